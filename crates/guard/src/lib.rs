//! Abuse of a served model, seen in its queries: attacks that feel their way along the model's border, and queries unlike
//! anything that it was trained on. Answers it by steps: alarm, slower, coarser outputs, refusal.
//!
//! Pure: values in, values out; time is handed in. It is not the endpoint (that is `serving`) and knows no model. What it
//! compares with comes of training data ([`calibrate`], done where that data may be read) and is a bounded [`Reference`].
//!
//! Sources: stateful detection by nearest earlier queries follows Blacklight (Li et al., USENIX Security 2022) and PRADA (Juuti
//! et al., EuroS&P 2019), with a threshold calibrated on the training data instead of a fixed one; the watch on queries unlike
//! that data is a CUSUM (Page 1954) of likelihood ratios. Who spreads over accounts beyond what is tagged here, or who asks for
//! natural data only (Orekondy et al. 2019), is not seen by any detector known: budgets and coarser outputs answer that.
//!
//! INVARIANT: what is kept of a caller is bounded by [`limits`] and forgotten by age. Held by `trail::tests`.
//! INVARIANT: a row that was asked before, exactly, is no step of an attack. Held by `trail::tests`.

mod budget;
mod calibrate;
mod harden;
mod ladder;
pub mod limits;
mod packed;
mod projection;
mod ranges;
mod reference;
mod ring;
mod trail;
mod unlike;

pub use budget::Budget;
pub use calibrate::{Given, calibrate};
pub use harden::Hardening;
pub use ladder::{Cause, Ladder, Level};
pub use projection::{Calibrated, Cell};
pub use ranges::Outside;
pub use reference::{Column, Near, Reference, ReferenceError};
pub use trail::{Counts, Shared, Tag, Trail};

/// A moment, in microseconds.
pub type Micros = i64;

fn micros(duration: std::time::Duration) -> Micros {
    i64::try_from(duration.as_micros()).unwrap_or(i64::MAX)
}
