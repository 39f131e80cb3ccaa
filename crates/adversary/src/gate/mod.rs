//! Regression gates: whether a candidate may take its champion's place, rule by rule, in numbers and in words.

mod costs;
mod judge;
mod paired;
mod rare;
mod report;
mod slices;
#[cfg(test)]
mod tests;

pub use gates::{
    Budget, GATE_BYTES_MAX, GateFile, Golden, Latency, McNemar, Proof, RESAMPLE_COUNT_MAX, RULE_COUNT_MAX, Range, Rule,
    SLICE_COUNT_MAX, SliceColumnRule, Slices,
};
pub use judge::{Costs, GateInput, GoldenRows, SliceColumn, SliceValues, judge};
pub use judge::{GATE_ROW_COUNT_MAX, WORK_COUNT_MAX};
pub use report::{GateReport, Outcome, Reason, RuleReport};
