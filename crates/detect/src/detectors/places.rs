//! From where a token is used. The log knows addresses under a key of this installation only, so two addresses are the same or not; in which
//! country they are is asked in `journeys`.

use std::collections::VecDeque;

use kernel::Micros;
use serde::{Deserialize, Serialize};

use super::DAY_US;
use crate::windows::digest;

/// Addresses of one token that are remembered.
pub(crate) const ADDRESS_COUNT_MAX: usize = 12;
/// Changes of address that are remembered.
pub(crate) const TURN_COUNT_MAX: usize = 64;

/// A token with more addresses than that runs on many machines.
const PLACE_COUNT_MAX: usize = 4;

/// The addresses of a token.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Places {
    /// Digest of the address, first day, last day.
    addresses: Vec<(u64, i64, i64)>,
    /// Days on which it was used.
    active_days: i64,
    /// The last of them.
    last_day: i64,
}

/// What is remembered of a token besides.
#[derive(Debug, Default)]
pub(crate) struct State {
    pub(crate) known: Places,
    /// When it came from another address than before: time, address.
    turns: VecDeque<(i64, u64)>,
    last: Option<u64>,
}

/// A use from an address.
pub(crate) struct Arrival {
    /// Whether what is written down of the token changed.
    pub(crate) changed: bool,
    is_new: bool,
    known_count: usize,
    active_days: i64,
    /// Days since the newest of the other addresses was first seen.
    settled_days: i64,
}

impl Arrival {
    pub(crate) const fn is_settled(&self, settled_days: i64, active_days: i64, addresses_max: usize) -> bool {
        self.is_new
            && self.known_count > 0
            && self.known_count <= addresses_max
            && self.active_days >= active_days
            && self.settled_days >= settled_days
    }

    pub(crate) fn words(&self) -> String {
        format!(
            "used on {} days from {} addresses, the newest of them {} days old, and now from another",
            self.active_days, self.known_count, self.settled_days
        )
    }
}

impl State {
    /// Notes a use.
    pub(crate) fn arrive(&mut self, from: &str, at: Micros, learns: bool) -> Arrival {
        let (address, day) = (digest(from), at.0.div_euclid(DAY_US));
        if self.last != Some(address) {
            self.last = Some(address);
            self.turns.push_back((at.0, address));
            if self.turns.len() > TURN_COUNT_MAX {
                self.turns.pop_front();
            }
        }
        let known = &mut self.known;
        let newest = known.addresses.iter().map(|(_, first, _)| *first).max().unwrap_or(day);
        let found = known.addresses.iter_mut().find(|(one, _, _)| *one == address);
        let mut arrival = Arrival {
            changed: false,
            is_new: found.is_none(),
            known_count: 0,
            active_days: known.active_days,
            settled_days: day - newest,
        };
        if !learns {
            arrival.is_new = false;
            return arrival;
        }
        match found {
            Some((_, _, last)) if *last >= day => {}
            Some((_, _, last)) => {
                *last = day;
                arrival.changed = true;
            }
            None => {
                arrival.known_count = known.addresses.len();
                if known.addresses.len() >= ADDRESS_COUNT_MAX {
                    known.addresses.sort_by_key(|(_, _, last)| *last);
                    known.addresses.remove(0);
                }
                known.addresses.push((address, day, day));
                arrival.changed = true;
            }
        }
        if day > known.last_day {
            known.last_day = day;
            known.active_days = known.active_days.saturating_add(1);
            arrival.changed = true;
        }
        arrival
    }

    /// Whether it went to and fro so often, with an address that is new today and one that is not the same.
    pub(crate) fn turns(&self, at: Micros, is_service: bool, turns: usize, minutes: i64) -> Option<String> {
        // What runs on many machines comes from many addresses; on its first day a service's token is not known to be such a one.
        if self.known.addresses.len() > PLACE_COUNT_MAX || is_service && self.known.active_days <= 1 {
            return None;
        }
        let oldest = at.0.saturating_sub(minutes.saturating_mul(60_000_000));
        let recent: Vec<u64> = self.turns.iter().filter(|(when, _)| *when >= oldest).map(|(_, address)| *address).collect();
        if recent.len() <= turns {
            return None;
        }
        let day = at.0.div_euclid(DAY_US);
        let is_new = |address: &u64| self.known.addresses.iter().any(|(one, first, _)| one == address && *first >= day);
        // A token in its first hours knows no other place: each is new, and it came back to one.
        let came_back =
            recent.iter().enumerate().any(|(place, address)| recent.iter().skip(place + 2).any(|other| other == address));
        let fresh = recent.iter().any(is_new);
        (fresh && came_back).then(|| format!("{} turns between addresses within {minutes} minutes", recent.len() - 1))
    }
}
