//! Data contracts: what a data set must hold to, and where it does not.
//!
//! A [`Contract`] is a document of the Open Data Contract Standard (ODCS v3.1.0). It is read by [`Contract::from_yaml`], written
//! by [`Contract::to_yaml`], made from other languages by [`import`], proposed from data by [`propose`], compared by
//! [`diff`] and checked over record batches by a [`Checker`].
//!
//! It is not a query engine: `sql` rules are handed out by [`Checker::queries`] and come back as results. It reads no file
//! and asks no clock; both are given.
//!
//! INVARIANT: what cannot be checked is never called passed: such a rule is `NotRun` with its reason, and the verdict of the
//! whole is then `Incomplete` at best. Held by `check::tests`.
//! INVARIANT: memory is bounded by the limits below whatever the contract and the data. Held by `yaml::tests`, `check::keys`.
//! INVARIANT: parts checked apart and merged give the counts and verdicts of one pass. Held by `check::tests::merges`.

mod check;
mod diff;
mod error;
mod format;
pub mod import;
mod instant;
mod lint;
mod model;
mod pattern;
mod propose;
mod quality;
mod rules;
mod validate;
mod yaml;

pub use check::{
    CheckOptions, Checker, ContractReport, Evidence, Example, KeySet, NeededKeys, Query, RuleReport, Source, SqlResult, Status,
    Verdict,
};
pub use diff::{Change, Effect, diff};
pub use error::{ContractError, Issue};
pub use lint::{Lint, Placed, lint};
pub use model::{
    Contract, CustomProperty, Description, LogicalType, OneOrMany, Options, Property, Relationship, SchemaObject, SlaProperty,
    Team, TeamMember,
};
pub use propose::propose;
pub use quality::{Operator, Quality, QualityKind, Severity, Unit};
pub use yaml::Reading;

/// The version of the standard that is written.
pub const API_VERSION: &str = "v3.1.0";
/// The engine name of our own rules inside `type: custom`.
pub const ENGINE: &str = "strongroom";
/// A contract's text, and that of what is imported.
pub const CONTRACT_BYTES_MAX: usize = 2 * 1024 * 1024;
/// Nesting of a contract's text.
pub const CONTRACT_DEPTH_MAX: usize = 40;
/// Scalars, lists and maps of a contract's text.
pub const CONTRACT_NODE_COUNT_MAX: usize = 200_000;
/// Aliases of a contract's text; what they repeat counts towards the nodes.
pub const CONTRACT_ALIAS_COUNT_MAX: usize = 200;
/// Tables of one contract.
pub const OBJECT_COUNT_MAX: usize = 1_000;
/// Rules that one table's check may hold.
pub const RULE_COUNT_MAX: usize = 20_000;
/// A regular expression's text.
pub const PATTERN_BYTES_MAX: usize = 4 * 1024;
/// Steps back that a pattern may take on one value before the rule is given up.
pub const PATTERN_BACKTRACK_MAX: usize = 100_000;
/// Violations that a report shows for each rule.
pub const EXAMPLE_COUNT_MAX: usize = 5;
/// Characters of one shown value.
pub const EXAMPLE_CHARS_MAX: usize = 64;
/// Distinct keys that one rule remembers before its verdict rests on a sample.
pub const UNIQUE_KEYS_MAX: usize = 12_000_000;
/// Distinct labels that a balance rule counts.
pub const LABEL_COUNT_MAX: usize = 1_000;
