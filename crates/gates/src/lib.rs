//! The gate file: what a candidate model must hold to before it may serve, on which held-back data, and which attacks are tried
//! on it.
//!
//! It is not a judge: it knows no rows, no models and no engine, so that the server, which only keeps and hands over gate files,
//! links none. `adversary` judges by it.
//!
//! INVARIANT: a file that says nothing, or says it in words that are not known, is refused when it is read. Held by
//! `file::tests`, `attacks::tests`.
//! INVARIANT: reading is bounded in bytes, nodes and depth, whatever the text. Held by `file::tests`.

#![forbid(unsafe_code)]

mod attacks;
mod data_name;
mod error;
mod file;
mod metric;
mod rules;

pub use attacks::{
    AttackName, Attacks, EvasionConfig, ExtractionConfig, Limits, MembershipConfig, PoisoningConfig, QUERY_COUNT_MAX,
    SuiteConfig, TIME_MS_MAX, TriggerConfig,
};
pub use data_name::DataName;
pub use error::GateFileError;
pub use file::{DATA_COUNT_MAX, GATE_BYTES_MAX, GateFile, RESAMPLE_COUNT_MAX};
pub use metric::Metric;
pub use rules::{Budget, Golden, Latency, McNemar, Proof, RULE_COUNT_MAX, Range, Rule, SLICE_COUNT_MAX, SliceColumnRule, Slices};
