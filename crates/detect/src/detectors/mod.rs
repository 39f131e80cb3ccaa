//! Detectors: what only a state of its own can tell. Each keeps a bounded state, some of it written down so that it outlives a restart.

mod dormant;
mod downloads;
mod enumeration;
mod journeys;
mod places;
mod sketch;

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::event::Seen;
use crate::recent::Recent;

pub(crate) use dormant::LastDay;
pub(crate) use downloads::Habit;
pub use journeys::Whereabouts;
pub(crate) use places::Places;

/// Accounts and tokens of which a state is kept.
pub(crate) const SUBJECT_COUNT_MAX: usize = 20_000;
const DAY_US: i64 = 86_400_000_000;

/// A detector, with its settings.
#[derive(Clone, Debug, PartialEq)]
pub enum DetectorRule {
    /// Many more different files in an hour than one's own habit and one's peers'.
    MassDownload {
        /// Fewer different things are never a finding.
        floor: u64,
        /// Deviations above the habit, in logarithms.
        deviations: f64,
        /// Times one's own highest hour.
        times_own_high: f64,
    },
    /// A settled token is used from an address that is new to it.
    NewNetwork {
        /// Days since its newest address was first seen.
        settled_days: i64,
        /// Days on which it was used.
        active_days: i64,
        /// A token with more addresses than that travels.
        addresses_max: usize,
    },
    /// A token is used in turns from two addresses, one of them new today.
    TwoPlaces {
        /// Turns from one address to another.
        turns: usize,
        /// Within so many minutes.
        minutes: i64,
    },
    /// A token is used in two countries between which nobody gets in that time, one of them new to the account.
    ImpossibleTravel {
        /// A country from which the account came on an earlier day, so many days back at most, is not new to it.
        habit_days: i64,
    },
    /// An account does something after so many days of nothing.
    Dormant {
        /// Days.
        days: i64,
    },
    /// Most of what an account asks for does not exist or is not for it.
    Enumeration {
        /// Misses, at least.
        missed_min: u64,
        /// Within so many minutes.
        minutes: i64,
        /// Misses for each that was done, at least.
        missed_per_done: u64,
    },
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, tag = "type", rename_all = "snake_case")]
enum Text {
    MassDownload { floor: u64, deviations: f64, times_own_high: f64 },
    NewNetwork { settled_days: i64, active_days: i64, addresses_max: usize },
    TwoPlaces { turns: usize, minutes: i64 },
    ImpossibleTravel { habit_days: i64 },
    Dormant { days: i64 },
    Enumeration { missed_min: u64, minutes: i64, missed_per_done: u64 },
}

impl DetectorRule {
    /// Reads a detector.
    pub(crate) fn read(value: &Value) -> Result<Self, String> {
        let text = Text::deserialize(value).map_err(|error| {
            let message: String = error.to_string().chars().take(300).collect();
            format!("`detector`: {message}")
        })?;
        let read = match text {
            Text::MassDownload { floor, deviations, times_own_high } => Self::MassDownload { floor, deviations, times_own_high },
            Text::NewNetwork { settled_days, active_days, addresses_max } => {
                Self::NewNetwork { settled_days, active_days, addresses_max }
            }
            Text::TwoPlaces { turns, minutes } => Self::TwoPlaces { turns, minutes },
            Text::ImpossibleTravel { habit_days } => Self::ImpossibleTravel { habit_days },
            Text::Dormant { days } => Self::Dormant { days },
            Text::Enumeration { missed_min, minutes, missed_per_done } => {
                Self::Enumeration { missed_min, minutes, missed_per_done }
            }
        };
        let good = match &read {
            Self::MassDownload { floor, deviations, times_own_high } => {
                (10..=1_000_000).contains(floor) && (1.0..=100.0).contains(deviations) && (1.0..=1_000.0).contains(times_own_high)
            }
            Self::NewNetwork { settled_days, active_days, addresses_max } => {
                (1..=365).contains(settled_days)
                    && (1..=365).contains(active_days)
                    && (1..=places::ADDRESS_COUNT_MAX).contains(addresses_max)
            }
            Self::TwoPlaces { turns, minutes } => (2..=places::TURN_COUNT_MAX).contains(turns) && (1..=1_440).contains(minutes),
            Self::ImpossibleTravel { habit_days } => (1..=365).contains(habit_days),
            Self::Dormant { days } => (1..=3_650).contains(days),
            Self::Enumeration { missed_min, minutes, missed_per_done } => {
                (5..=100_000).contains(missed_min) && (1..=1_440).contains(minutes) && (1..=1_000).contains(missed_per_done)
            }
        };
        if good { Ok(read) } else { Err("a setting of the detector is out of range".to_owned()) }
    }
}

/// What a detector found.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Signal {
    /// What it is about: the account, or the token.
    pub(crate) subject: String,
    /// In numbers, for people.
    pub(crate) words: String,
}

/// A state that is written down, under the kind and the subject's id.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub(crate) enum Kept {
    /// When an account was last active.
    Active(LastDay),
    /// How much an account fetches.
    Habit(Habit),
    /// From where a token is used.
    Places(Places),
}

impl Kept {
    pub(crate) const fn kind(&self) -> &'static str {
        match self {
            Self::Active(_) => "active",
            Self::Habit(_) => "habit",
            Self::Places(_) => "places",
        }
    }
}

/// The states of all detectors.
pub(crate) struct Detectors {
    active: Recent<String, LastDay>,
    downloads: downloads::Downloads,
    places: Recent<String, places::State>,
    journeys: journeys::Journeys,
    misses: Recent<String, enumeration::Misses>,
    /// What has to be written down: kind and subject.
    changed: std::collections::BTreeSet<(&'static str, String)>,
}

impl Detectors {
    pub(crate) fn new() -> Self {
        Self {
            active: Recent::new(SUBJECT_COUNT_MAX),
            downloads: downloads::Downloads::new(),
            places: Recent::new(SUBJECT_COUNT_MAX),
            journeys: journeys::Journeys::new(),
            misses: Recent::new(SUBJECT_COUNT_MAX),
            changed: std::collections::BTreeSet::new(),
        }
    }

    /// Tells where addresses are asked for.
    pub(crate) fn ask(&mut self, whereabouts: Arc<dyn Whereabouts>) {
        self.journeys.ask(whereabouts);
    }

    /// Brings back what was written down.
    pub(crate) fn recall(&mut self, subject: &str, kept: Kept) {
        let subject = subject.to_owned();
        match kept {
            Kept::Active(last) => *self.active.entry(&subject) = last,
            Kept::Habit(habit) => self.downloads.recall(&subject, habit),
            Kept::Places(known) => self.places.entry(&subject).known = known,
        }
    }

    /// What changed since it was asked last.
    pub(crate) fn take_changed(&mut self) -> Vec<(String, Kept)> {
        let changed = std::mem::take(&mut self.changed);
        let find = |(kind, subject): (&'static str, String)| {
            let kept = match kind {
                "active" => self.active.peek(&subject).cloned().map(Kept::Active),
                "habit" => self.downloads.habit(&subject).map(Kept::Habit),
                _ => self.places.peek(&subject).map(|state| Kept::Places(state.known.clone())),
            };
            kept.map(|kept| (subject, kept))
        };
        changed.into_iter().filter_map(find).collect()
    }

    /// Takes one record of a person's or service account's in, for each of `rules`. `learns` is false for what was learnt from before.
    pub(crate) fn take(&mut self, seen: &Seen<'_>, rules: &[(usize, &DetectorRule)], learns: bool) -> Vec<(usize, Signal)> {
        let mut found = Vec::new();
        let caller = seen.view.caller.id.as_ref().to_owned();
        let day = seen.at().0.div_euclid(DAY_US);
        let mut quiet_days = None;
        if learns && seen.view.kind != "outcome" {
            let last = self.active.entry(&caller);
            quiet_days = last.step(day);
            if last.day == day && quiet_days.is_some() {
                self.changed.insert(("active", caller.clone()));
            }
        }
        let downloaded = self.downloads.take(seen, learns);
        if downloaded.as_ref().is_some_and(|one| one.habit_changed) {
            self.changed.insert(("habit", caller.clone()));
        }
        let token = seen.view.caller.token.as_deref().map(ToOwned::to_owned);
        let arrival = match (&token, seen.from, seen.view.kind.as_ref()) {
            (Some(token), Some(from), "intent" | "refusal") => Some(self.places.entry(token).arrive(from, seen.at(), learns)),
            _ => None,
        };
        if let (Some(token), Some(true)) = (&token, arrival.as_ref().map(|one| one.changed)) {
            self.changed.insert(("places", token.clone()));
        }
        let travels = rules.iter().any(|(_, rule)| matches!(rule, DetectorRule::ImpossibleTravel { .. }));
        let travelling = token.as_ref().filter(|_| travels && arrival.is_some());
        let journey = travelling.and_then(|token| self.journeys.take(token, seen, learns));
        let misses = self.misses.entry(&caller);
        let missed = misses.take(seen);
        for (place, rule) in rules {
            let signal = match rule {
                DetectorRule::Dormant { days } => quiet_days
                    .filter(|quiet| quiet >= days)
                    .map(|quiet| Signal { subject: caller.clone(), words: format!("after {quiet} days without a single act") }),
                DetectorRule::MassDownload { floor, deviations, times_own_high } => downloaded
                    .as_ref()
                    .and_then(|_| self.downloads.judge(&caller, *floor, *deviations, *times_own_high))
                    .map(|words| Signal { subject: caller.clone(), words }),
                DetectorRule::NewNetwork { settled_days, active_days, addresses_max } => arrival
                    .as_ref()
                    .filter(|one| one.is_settled(*settled_days, *active_days, *addresses_max))
                    .zip(token.as_ref())
                    .map(|(one, token)| Signal { subject: token.clone(), words: one.words() }),
                DetectorRule::TwoPlaces { turns, minutes } => token.as_ref().filter(|_| arrival.is_some()).and_then(|token| {
                    let state = self.places.entry(token);
                    state
                        .turns(seen.at(), seen.view.caller.kind == "service", *turns, *minutes)
                        .map(|words| Signal { subject: token.clone(), words })
                }),
                DetectorRule::ImpossibleTravel { habit_days } => token.as_ref().zip(journey).and_then(|(token, journey)| {
                    let is_service = seen.view.caller.kind == "service";
                    let words = self.journeys.judge(&journey, &caller, is_service, *habit_days)?;
                    Some(Signal { subject: token.clone(), words })
                }),
                DetectorRule::Enumeration { missed_min, minutes, missed_per_done } => missed
                    .then(|| self.misses.entry(&caller).judge(seen.at(), *missed_min, *minutes, *missed_per_done))
                    .flatten()
                    .map(|words| Signal { subject: caller.clone(), words }),
            };
            found.extend(signal.map(|signal| (*place, signal)));
        }
        found
    }
}
