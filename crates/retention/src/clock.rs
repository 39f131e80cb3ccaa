//! The compliance clock: time as retention counts it. While the server runs it goes as fast as the machine's monotonic clock, whatever
//! becomes of the wall clock. For the time in between it follows the wall clock, but only within an allowance that grows by a week in a
//! year of running: who sets the clock forward while the server is down gains no more than that.
//!
//! INVARIANT: it never goes back, and never runs ahead of what the monotonic clock and the allowance say. Held by `tests` below and by a
//! trigger of the database.

use std::sync::Arc;
use std::time::{Duration, Instant};

use kernel::{Clock, Micros, Problem};
use parking_lot::Mutex;
use vault::db::{Reader, SystemDb, Writer};

use crate::store::clock::{self as store, ClockRow};

const WEEK_US: i64 = 7 * 86_400 * 1_000_000;
/// A year of running earns a week of allowance.
const RUNNING_PER_ALLOWANCE: i64 = 52;
/// What moves the wall clock ahead of this one by more is said on `status`.
pub const LAG_US_MAX: i64 = 60 * 1_000_000;

/// Since some moment, how long it has been: never backwards.
pub type Monotonic = Arc<dyn Fn() -> Duration + Send + Sync>;

/// The clock. Cheap to clone.
#[derive(Clone)]
pub struct ComplianceClock(Arc<Inner>);

struct Inner {
    wall: Arc<dyn Clock>,
    monotonic: Monotonic,
    /// What this clock said, and the monotonic clock at that moment; none before the first look.
    base: Mutex<Option<(Micros, Duration)>>,
}

/// Where the clock stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClockState {
    /// The time that retention is judged by.
    pub at: Micros,
    /// What the wall clock says.
    pub wall_at: Micros,
}

impl ClockState {
    /// How far the wall clock is ahead, in microseconds. A clock that was set forward, or a server that was down for long, shows here.
    #[must_use]
    pub const fn lag_us(self) -> i64 {
        self.wall_at.0.saturating_sub(self.at.0)
    }
}

impl ComplianceClock {
    /// Writes down what time it is, as book-keeping between two records of it: what a server that is killed has lost of its time.
    ///
    /// # Errors
    /// `Unavailable` or `Internal` of the database.
    pub async fn keep(&self, system: &SystemDb) -> Result<(), Problem> {
        let clock = self.clone();
        system.write(move |writer| clock.tick(writer).map(drop)).await
    }

    /// The clock beside this wall clock.
    #[must_use]
    pub fn new(wall: Arc<dyn Clock>) -> Self {
        let start = Instant::now();
        Self::with_monotonic(wall, Arc::new(move || start.elapsed()))
    }

    /// The same with a monotonic clock of the caller's.
    #[must_use]
    pub fn with_monotonic(wall: Arc<dyn Clock>, monotonic: Monotonic) -> Self {
        Self(Arc::new(Inner { wall, monotonic, base: Mutex::new(None) }))
    }

    /// What time it is, written down in this transaction.
    ///
    /// # Errors
    /// `Unavailable` or `Internal` of the database.
    pub fn tick(&self, writer: &mut Writer<'_>) -> Result<ClockState, Problem> {
        let mut base = self.0.base.lock();
        // Both at one moment: what lies between them would be a lag for ever.
        let (wall_at, monotonic) = (self.0.wall.now(), (self.0.monotonic)());
        let kept = store::get(writer)?;
        let (row, ran_us) = match (*base, kept) {
            (None, None) => (ClockRow { at: wall_at, wall_at, ran: 0, granted: 0 }, 0),
            (None, Some(kept)) => (resumed(kept, wall_at), 0),
            (Some((at, then)), kept) => {
                let ran_us = i64::try_from(monotonic.saturating_sub(then).as_micros()).unwrap_or(0);
                let own = Micros(at.0.saturating_add(ran_us));
                let kept = kept.unwrap_or(ClockRow { at: own, wall_at, ran: 0, granted: 0 });
                // Another server on the same database may be ahead.
                (ClockRow { at: own.max(kept.at), wall_at: wall_at.max(kept.wall_at), ..kept }, ran_us)
            }
        };
        let row = ClockRow { ran: row.ran.saturating_add(ran_us), ..row };
        store::put(writer, &row)?;
        *base = Some((row.at, monotonic));
        Ok(ClockState { at: row.at, wall_at })
    }
}

/// What time the compliance clock last wrote down: a running server does so each minute. None before the first time.
///
/// # Errors
/// `Unavailable` or `Internal` of the database.
pub fn written_time(reader: &mut Reader<'_>) -> Result<Option<Micros>, Problem> {
    Ok(store::get(reader)?.map(|row| row.at))
}

/// How far it follows the wall clock in all, over times in which no server ran, once servers ran for so long.
#[must_use]
pub const fn allowance_us(ran_us: i64) -> i64 {
    WEEK_US.saturating_add(ran_us / RUNNING_PER_ALLOWANCE)
}

/// The clock after a time in which no server ran.
fn resumed(kept: ClockRow, wall_at: Micros) -> ClockRow {
    let allowed = allowance_us(kept.ran).saturating_sub(kept.granted).max(0);
    // What it lags behind already counts too: after a long pause it catches up as the allowance grows.
    let granted = wall_at.0.saturating_sub(kept.at.0).clamp(0, allowed);
    ClockRow {
        at: Micros(kept.at.0.saturating_add(granted)),
        wall_at: wall_at.max(kept.wall_at),
        ran: kept.ran,
        granted: kept.granted.saturating_add(granted),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR_US: i64 = 3_600 * 1_000_000;

    fn row(at: i64) -> ClockRow {
        ClockRow { at: Micros(at), wall_at: Micros(at), ran: 0, granted: 0 }
    }

    #[test]
    fn a_short_pause_is_followed() {
        let after = resumed(row(HOUR_US), Micros(3 * HOUR_US));
        assert_eq!((after.at, after.granted), (Micros(3 * HOUR_US), 2 * HOUR_US));
    }

    #[test]
    fn a_clock_that_was_set_back_changes_nothing() {
        let after = resumed(row(5 * HOUR_US), Micros(HOUR_US));
        assert_eq!((after.at, after.granted, after.wall_at), (Micros(5 * HOUR_US), 0, Micros(5 * HOUR_US)));
    }

    #[test]
    fn jumps_while_it_is_down_gain_a_week_in_all_however_often() {
        let mut row = row(0);
        for years in 1..50 {
            row = resumed(row, Micros(years * 365 * 24 * HOUR_US));
        }
        assert_eq!(row.at, Micros(WEEK_US));
        // A year of running earns one more.
        row.ran = 52 * WEEK_US;
        assert_eq!(resumed(row, Micros(i64::MAX)).at, Micros(2 * WEEK_US));
    }
}
