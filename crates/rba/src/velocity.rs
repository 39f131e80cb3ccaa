//! How many accounts were tried in vain from one place lately: what spraying and stuffing look like.

use std::collections::{HashMap, VecDeque};

use kernel::Micros;

use crate::keyed::Value;

/// Failures count for this long.
pub const WINDOW_S: i64 = 600;
/// Distinct accounts of one address that make it an attack.
pub const ADDRESS_ACCOUNT_COUNT: usize = 10;
/// Distinct accounts of one network that make it one.
pub const NETWORK_ACCOUNT_COUNT: usize = 40;
/// Places that are watched. When there are more, the one that failed longest ago goes.
pub const PLACE_COUNT_MAX: usize = 20_000;
/// Failures remembered of one place.
const FAILURE_COUNT_MAX: usize = 64;

/// Failed attempts by place.
#[derive(Default)]
pub struct Velocity {
    places: HashMap<Value, Failures>,
    /// The places by when they failed; one that failed again stands here more than once.
    order: VecDeque<(u64, Micros, Value)>,
    turn: u64,
}

#[derive(Default)]
struct Failures {
    /// The turn of the last one.
    turn: u64,
    accounts: VecDeque<(Micros, Value)>,
}

impl Velocity {
    /// An attempt at `account` failed at `place`.
    pub fn fail(&mut self, place: Value, account: Value, now: Micros) {
        self.make_room(now);
        self.turn += 1;
        let failures = self.places.entry(place).or_default();
        failures.turn = self.turn;
        failures.accounts.retain(|(at, other)| *other != account && at.plus_secs(WINDOW_S) > now);
        if failures.accounts.len() >= FAILURE_COUNT_MAX {
            failures.accounts.pop_front();
        }
        failures.accounts.push_back((now, account));
        self.order.push_back((self.turn, now, place));
    }

    /// Distinct accounts that failed at `place` within the window.
    #[must_use]
    pub fn count(&self, place: &Value, now: Micros) -> usize {
        let is_recent = |(at, _): &&(Micros, Value)| at.plus_secs(WINDOW_S) > now;
        self.places.get(place).map_or(0, |failures| failures.accounts.iter().filter(is_recent).count())
    }

    fn make_room(&mut self, now: Micros) {
        // Each failure leaves one entry, so what is taken here is paid for by what came.
        while let Some((turn, at, place)) = self.order.front().copied() {
            if at.plus_secs(WINDOW_S) > now && self.order.len() < PLACE_COUNT_MAX {
                return;
            }
            self.order.pop_front();
            if self.places.get(&place).is_some_and(|failures| failures.turn == turn) {
                self.places.remove(&place);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(number: u32) -> Value {
        let mut value = [0; 16];
        value[..4].copy_from_slice(&number.to_le_bytes());
        value
    }

    #[test]
    fn distinct_accounts_count_and_are_forgotten() {
        let mut velocity = Velocity::default();
        let mut now = Micros(1_000_000_000);
        for number in 0..9 {
            velocity.fail(value(1), value(number % 3), now);
            now = now.plus_secs(1);
        }
        assert_eq!((velocity.count(&value(1), now), velocity.count(&value(2), now)), (3, 0));
        assert_eq!(velocity.count(&value(1), now.plus_secs(WINDOW_S)), 0);
    }

    #[test]
    fn memory_is_bounded_whoever_comes() {
        let mut velocity = Velocity::default();
        let now = Micros(1_000_000_000);
        for number in 0..100_000 {
            velocity.fail(value(number), value(number), now);
            velocity.fail(value(1), value(number), now);
        }
        assert!(velocity.places.len() <= PLACE_COUNT_MAX && velocity.order.len() <= PLACE_COUNT_MAX);
        assert_eq!(velocity.count(&value(1), now), FAILURE_COUNT_MAX);
        velocity.fail(value(2), value(2), now.plus_secs(WINDOW_S + 1));
        assert_eq!((velocity.places.len(), velocity.order.len()), (1, 1));
    }
}
