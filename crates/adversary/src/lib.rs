//! Trials of a candidate model before it may serve: regression gates and simulated attacks, each with a number, an interval
//! and what to do about it.
//!
//! [`gate::judge`] compares a candidate's answers with its champion's by the rules of a [`gate::GateFile`]. [`Suite::run`]
//! attacks it as who may only ask can: evasion, membership inference, extraction, triggers; and simulates flipped labels in
//! its training data on a surrogate.
//!
//! It is not a server and not a runtime: a model is whatever implements [`Predict`], in this process or beside it. It reads
//! no file and no clock, and decides nothing: what refuses a model is policy, which reads the reports.
//!
//! INVARIANT: what could not be judged or tried is never called passed or clear. Held by `gate::tests`, `report::tests`,
//! `suite::tests`.
//! INVARIANT: the same input and seed give the same report, whatever the number of threads, unless the time ends it. Held by
//! `gate::tests`, `suite::tests`.
//! INVARIANT: no query beyond the budget is asked, and no answer is believed unchecked. Held by `oracle::tests`.
//! INVARIANT: memory is bounded by the named limits, whatever the data and the model say. Held by `data::tests`, `gate::tests`.

#![forbid(unsafe_code)]

mod at;
mod attack;
mod data;
mod error;
pub mod gate;
mod learn;
mod metric;
mod oracle;
mod predict;
mod report;
mod rows;
mod stats;
mod suite;
#[cfg(test)]
mod testing;
mod watch;

pub use data::{
    CLASS_COUNT_MAX, EvaluationData, KnownTrigger, PROBABILITY_COUNT_MAX, ROW_COUNT_MAX, ROW_COUNT_MIN, TRIGGER_COUNT_MAX, Truth,
    VALUE_COUNT_MAX,
};
pub use error::AdversaryError;
pub use gates::{
    AttackName, EvasionConfig, ExtractionConfig, Limits, MembershipConfig, Metric, PoisoningConfig, QUERY_COUNT_MAX, SuiteConfig,
    TIME_MS_MAX, TriggerConfig,
};
pub use oracle::ASK_ROW_COUNT_MAX;
pub use poison::Framework;
pub use predict::{Predict, PredictError, Predictions};
pub use report::{AttackKind, AttackReport, Curve, Measure, Point, SuiteReport, SuiteVerdict, Verdict};
pub use rows::{Feature, FeatureKind, ImageShape, Rows};
pub use stats::Interval;
pub use suite::Suite;
pub use watch::Watch;
