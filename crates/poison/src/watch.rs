//! Progress out, cancellation in.

use std::sync::atomic::{AtomicBool, Ordering};

use crate::PoisonError;

/// How a caller follows a scan and stops it. Asked several times a second.
pub struct Watch<'a> {
    stop: &'a AtomicBool,
    progress: &'a (dyn Fn(&'static str) + Sync),
}

impl<'a> Watch<'a> {
    /// A watch: the scan ends soon after `stop` becomes true; `progress` hears the name of each stage as it begins.
    #[must_use]
    pub const fn new(stop: &'a AtomicBool, progress: &'a (dyn Fn(&'static str) + Sync)) -> Self {
        Self { stop, progress }
    }

    /// A stage begins.
    pub(crate) fn stage(&self, name: &'static str) -> Result<(), PoisonError> {
        self.check()?;
        (self.progress)(name);
        Ok(())
    }

    /// Goes on only if nobody asked to stop.
    pub(crate) fn check(&self) -> Result<(), PoisonError> {
        if self.stopped() { Err(PoisonError::Cancelled) } else { Ok(()) }
    }

    /// True once somebody asked to stop. Parallel loops skip the rest of their work then; their callers `check`.
    pub(crate) fn stopped(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }
}
