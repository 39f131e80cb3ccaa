//! Screens for poisoned rows: wrong labels, triggers, inserted points; and the rows that an attacker would gain most by
//! changing.
//!
//! It works on features and labels alone, and better with embeddings or out-of-sample probabilities. [`Encoder`] makes an
//! [`Input`] of record batches, [`scan`] makes a [`PoisonReport`] of it: a score for every row, reasons for the suspected
//! ones, a verdict a screen. It reads no files, knows no server, and decides nothing: what refuses a data set is policy.
//!
//! INVARIANT: the same input, options and seed give the same report, whatever the number of threads. Held by
//! `tests::the_seed_decides`.
//! INVARIANT: only a trigger that a model learnt and unlearnt gets [`Verdict::Verified`]. Held by `triggers` and `verify`.
//! INVARIANT: memory is bounded by the named limits of [`Input::check`] and of the encoder, whatever the data.
//! INVARIANT: a scan ends soon after its [`Watch`] says stop. Held by `tests::it_stops_at_every_stage`.

mod algebra;
pub mod at;
mod bins;
mod boost;
mod calibrate;
mod cells;
mod certificate;
mod duplicates;
mod encode;
mod error;
mod folds;
mod forest;
mod fourier;
mod grow;
mod input;
mod isolation;
mod joint;
mod jointly;
mod knn;
mod labels;
mod mutual;
mod near_texts;
mod odd;
mod outliers;
mod phrases;
mod planted;
mod pool;
mod random;
mod report;
mod rising;
mod scan;
mod sources;
mod sparse;
mod stamps;
mod standing;
mod sums;
mod surrogate;
mod table;
mod targets;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;
mod trigger;
mod triggers;
mod verify;
mod views;
mod watch;
mod words;
mod written;

pub use cells::CellKind;
pub use certificate::{Certificate, Certified};
pub use duplicates::GROUP_ROW_COUNT_MAX;
pub use encode::{CATEGORY_COUNT_MAX, Encoder, FEATURE_COUNT_MAX, Role, Roles};
pub use error::PoisonError;
pub use input::{
    CLASS_COUNT_MAX, Column, ColumnKind, Features, Groups, Images, Input, PROBABILITY_COUNT_MAX, ROW_COUNT_MIN, Texts,
    VALUE_COUNT_MAX,
};
pub use joint::{Joint, label_issues};
pub use random::Random;
pub use report::{
    Copies, FlippedPair, Framework, LIST_COUNT_MAX, Member, PoisonReport, Reason, SUSPECT_COUNT_MAX, Scores, Screen, ScreenKind,
    Suspect, TARGET_COUNT_MAX, TargetReport, Trigger, Verdict,
};
pub use scan::{Options, scan};
pub use sources::{SOURCE_Z_MIN, SourceMark};
pub use surrogate::{Nearest, Surrogate};
pub use table::{Matrix, Tokens};
pub use targets::Dose;
pub use trigger::TRIGGER_COUNT_MAX;
pub use verify::AttackSuccess;
pub use watch::Watch;
pub use words::{ENTRY_COUNT_MAX, TEXT_BYTES_MAX, TOKEN_COUNT, TextReader};
