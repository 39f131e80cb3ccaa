//! Progress out, cancellation and time in.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// How a caller follows a run and stops it. Asked before each batch of queries.
pub struct Watch<'a> {
    /// The run ends soon after this becomes true.
    pub stop: &'a AtomicBool,
    /// Hears the name of each stage as it begins.
    pub progress: &'a (dyn Fn(&'static str) + Sync),
    /// The time since the run began: this crate reads no clock.
    pub elapsed: &'a (dyn Fn() -> Duration + Sync),
}

impl Watch<'_> {
    /// True once somebody asked to stop.
    pub(crate) fn stopped(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }

    /// The same watch for the learners of `poison`.
    pub(crate) fn of_learners(&self) -> poison::Watch<'_> {
        poison::Watch::new(self.stop, &|_| {})
    }
}
