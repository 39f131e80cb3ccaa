//! Trials of a candidate model before it may serve: regression gates and simulated attacks, each with a number, an interval
//! and what to do about it.
//!
//! [`gate::judge`] compares a candidate's answers with its champion's by the rules of a [`gate::GateFile`].
//!
//! It is not a server and not a runtime: a model is whatever implements [`Predict`], in this process or beside it. It reads
//! no file and no clock, and decides nothing: what refuses a model is policy, which reads the reports.
//!
//! INVARIANT: what could not be judged is never called passed. Held by `gate::tests`.
//! INVARIANT: the same input and seed give the same report, whatever the number of threads. Held by `gate::tests`.
//! INVARIANT: memory is bounded by the named limits, whatever the data and the model say. Held by `data::tests`, `gate::tests`.

#![forbid(unsafe_code)]

mod at;
mod data;
mod error;
pub mod gate;
mod metric;
mod predict;
mod rows;
mod stats;
#[cfg(test)]
mod testing;
mod watch;

pub use data::{
    CLASS_COUNT_MAX, EvaluationData, KnownTrigger, PROBABILITY_COUNT_MAX, ROW_COUNT_MAX, ROW_COUNT_MIN, TRIGGER_COUNT_MAX, Truth,
    VALUE_COUNT_MAX,
};
pub use error::AdversaryError;
pub use metric::Metric;
pub use predict::{Predict, PredictError, Predictions};
pub use rows::{Feature, FeatureKind, ImageShape, Rows};
pub use stats::Interval;
pub use watch::Watch;
