//! The file scan of models: what loading a file would do, found without loading it.
//!
//! It is not a sandbox and not a policy: it says `clean`, `unknown` or `blocked`, by which rule and where, and what is done
//! about it is decided elsewhere. It does no I/O beyond the [`Source`] it is handed, knows no server, and never runs, imports
//! or evaluates anything of a file. What it cannot read is `unknown`, never `clean`.
//!
//! Pickles are judged by an exact allow-list of (module, name) after following the stream with a true stack and memo; the
//! lists are in `allow/`, each with its origin. Containers are taken only if all readers must see the same members in them.
//!
//! INVARIANT: every name that CPython's unpickler would ask `find_class` for is in the report. Held by
//! `pickle::tests` and, against CPython itself, by `tests/clients/test_scan.py`.
//! INVARIANT: memory and time are bounded by the limits of `limits.rs` and the size of the file. Held by
//! `tests::hostile_files_end_soon`.
//! INVARIANT: a file that is not understood to its last byte is not clean. Held by `tests::no_cut_file_is_clean`.
#![forbid(unsafe_code)]

mod allow;
pub mod cli;
mod container;
mod context;
mod format;
mod limits;
mod pickle;
mod report;
mod rules;
mod sarif;
mod scanner;
mod source;
#[cfg(test)]
mod tests;

pub use report::{FileReport, Finding, GlobalUse, Report, RuleSet, Use, Verdict};
pub use rules::{Effect, RULES, RULES_VERSION, Rule};
pub use scanner::{Limits, Scanner};
pub use source::{FileSource, Source};
