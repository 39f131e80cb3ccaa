//! Command lines that ask whether their person agreed: how often each may, and for how long (RFC 8628, section 3.5). Only this process knows, and
//! only for a while: a code that it has forgotten, or that another server was asked about, is one that it never saw.

use std::collections::HashMap;
use std::time::Duration;

use kernel::Micros;
use parking_lot::Mutex;

use crate::agreed::{EXPIRED, PENDING, SLOW_DOWN};
use crate::factors::device::DEVICE_SECONDS;

/// How long a command line waits between two questions, at first.
pub const DEVICE_ASK: Duration = Duration::from_secs(2);
/// How much longer, from each time on that it did not.
pub const DEVICE_SLOWER: Duration = Duration::from_secs(5);
/// Command lines that are known at once.
const POLL_COUNT_MAX: usize = 10_000;
/// How long one is known after it asked last: long enough that a code which is over is not taken for a new one.
const KEPT_US: i64 = DEVICE_SECONDS * 1_000_000;

/// By the digests of their codes.
#[derive(Default)]
pub(crate) struct Polls(Mutex<HashMap<[u8; 32], Poll>>);

#[derive(Clone, Copy)]
struct Poll {
    since: Micros,
    last: Micros,
    interval: Duration,
}

impl Poll {
    fn is_over(&self, now: Micros) -> bool {
        now >= self.since.plus_secs(DEVICE_SECONDS)
    }
}

impl Polls {
    /// What a command line is told that asks now, about whose code nobody has decided.
    pub(crate) fn ask(&self, code: &[u8; 32], now: Micros) -> &'static str {
        let mut polls = self.0.lock();
        if let Some(poll) = polls.get_mut(code) {
            // A clock that was set back is nobody's haste.
            let passed = u64::try_from(now.0.saturating_sub(poll.last.0)).map_or(Duration::MAX, Duration::from_micros);
            poll.last = now;
            if poll.is_over(now) {
                return EXPIRED;
            }
            if passed < poll.interval {
                poll.interval = poll.interval.saturating_add(DEVICE_SLOWER);
                return SLOW_DOWN;
            }
            return PENDING;
        }
        if polls.len() >= POLL_COUNT_MAX {
            polls.retain(|_, poll| now.0.saturating_sub(poll.last.0) < KEPT_US);
        }
        if polls.len() >= POLL_COUNT_MAX {
            polls.clear();
        }
        polls.insert(*code, Poll { since: now, last: now, interval: DEVICE_ASK });
        PENDING
    }

    /// Whether the time of this code is known to be over.
    pub(crate) fn is_over(&self, code: &[u8; 32], now: Micros) -> bool {
        self.0.lock().get(code).is_some_and(|poll| poll.is_over(now))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: Micros = Micros(1_800_000_000_000_000);

    #[test]
    fn who_asks_too_soon_waits_longer_each_time_and_nobody_else_does() {
        let polls = Polls::default();
        let at = |seconds: i64| START.plus_secs(seconds);
        let told = [(0, PENDING), (2, PENDING), (3, SLOW_DOWN), (10, PENDING), (16, SLOW_DOWN), (28, PENDING), (39, SLOW_DOWN)];
        for (seconds, word) in told {
            assert_eq!(polls.ask(&[1; 32], at(seconds)), word, "{seconds}");
        }
        assert_eq!(polls.ask(&[2; 32], at(39)), PENDING);
        assert_eq!(polls.ask(&[2; 32], at(30)), PENDING, "a clock that was set back");
    }

    #[test]
    fn a_code_is_over_ten_minutes_after_it_was_first_asked_about() {
        let polls = Polls::default();
        polls.ask(&[1; 32], START);
        assert!(!polls.is_over(&[1; 32], START.plus_secs(599)) && polls.is_over(&[1; 32], START.plus_secs(600)));
        assert_eq!(polls.ask(&[1; 32], START.plus_secs(600)), EXPIRED);
        assert_eq!(polls.ask(&[1; 32], START.plus_secs(601)), EXPIRED);
        assert!(!polls.is_over(&[2; 32], START));
    }

    #[test]
    fn strangers_fill_no_memory() {
        let polls = Polls::default();
        for number in 0..30_000_u32 {
            let mut code = [0; 32];
            code[..4].copy_from_slice(&number.to_be_bytes());
            assert_eq!(polls.ask(&code, START), PENDING);
        }
        assert!(polls.0.lock().len() <= POLL_COUNT_MAX);
    }
}
