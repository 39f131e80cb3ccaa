//! What is seen of predictions, and what follows from it: drift, expected and real accuracy, change points, forecasts, burn rates,
//! and the likely causes. Values in, values out: no I/O, no clock, no server.
//!
//! A request is a [`Sample`]; samples add up to a [`Tally`] per minute; tallies of minutes are judged against a [`Reference`].
//!
//! INVARIANT: a tally holds counts and sums alone, so that tallies merge exactly in any order: `tally::tests::parts_merge_to_the_whole`.
//! INVARIANT: memory follows the number of columns, never rows, values or callers: [`limits`] names every bound; held by
//! `tally::tests::many_callers_and_classes_stay_few`.
//! INVARIANT: no value of a feature is kept: a row is known by the cells that its values fall into.

mod accuracy;
mod burn;
mod causes;
mod change;
mod drift;
mod forecast;
mod grid;
pub mod limits;
mod normal;
mod rows;
mod sample;
mod tally;
mod trend;

pub use accuracy::{Confusion, Estimate, Realised, calibration_drift, estimate, realised};
pub use burn::{BURN_RULES, Burn, BurnRule, Objective, burning};
pub use causes::{Cause, Event, EventKind, Segment, rank};
pub use change::{ChangePoint, Detector, change_points};
pub use drift::{ColumnState, Drift, DriftConfig, Monitor};
pub use forecast::{Crossing, Forecast, Limit, Side, crossing, fit};
pub use grid::{Baseline, ColumnReference, Grid, Reference};
pub use rows::{RowLog, SeenRow};
pub use sample::{CallerClass, Column, Observer, Probabilities, Sample, Values, Verdict};
pub use tally::{CallerTally, ClassTally, ConfidenceBin, Tally};
pub use trend::{Trend, theil_sen};
