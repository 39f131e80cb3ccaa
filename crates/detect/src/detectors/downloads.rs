//! How much accounts fetch: different things by the hour, against one's own habit and one's peers'.
//!
//! Counts are compared as logarithms, because work comes in bursts: a habit is the weighted mean and variance of ln(1 + count) over the
//! hours in which anything was fetched (weight 0.1 for the newest), and the highest hour, which fades by 1 % with each active hour. Peers
//! are all other accounts of the kind with a habit: their median highest hour, and its median absolute deviation (times 1.4826).

use serde::{Deserialize, Serialize};

use super::SUBJECT_COUNT_MAX;
use super::sketch::Sketch;
use crate::event::Seen;
use crate::recent::Recent;
use crate::windows::digest;

const HOUR_US: i64 = 3_600_000_000;
/// The weight of the newest hour.
const NEWEST_WEIGHT: f64 = 0.1;
/// How much of the highest hour is left after another active one.
const HIGH_KEPT: f64 = 0.99;
/// How far one hour can raise the highest.
const GROWTH_MAX: f64 = 3.0;
const GROWTH_START: f64 = 300.0;
/// No habit is so even that less than this counts as a deviation.
const DEVIATION_MIN: f64 = 0.35;
/// From so many active hours on a habit is one.
const HABIT_HOURS_MIN: u32 = 5;
/// From so many peers on they are a group.
const PEER_COUNT_MIN: usize = 5;
/// Where neither is known, so many floors.
const UNKNOWN_FLOORS: u64 = 4;
/// Peers that are looked at.
const PEERS_LOOKED_AT_MAX: usize = 2_000;

/// What is fetched by these verbs counts.
const VERBS: [&str; 6] = ["artifacts.read", "datasets.read", "datasets.export", "buckets.read", "traces.get", "predictions.read"];

/// How much an account fetches.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Habit {
    /// The mean of ln(1 + count).
    mean: f64,
    /// Its variance.
    variance: f64,
    /// The highest hour, faded.
    high: f64,
    /// Active hours.
    hours: u32,
    /// The last hour that it was learnt from.
    through_hour: i64,
    /// Whether it is a service account's.
    is_service: bool,
}

impl Habit {
    fn learn(&mut self, hour: i64, count: u64) {
        if hour <= self.through_hour || count == 0 {
            return;
        }
        // A habit grows step by step: one hour of a thief must not teach it what is usual.
        let count = (count as f64).min(self.high * GROWTH_MAX + GROWTH_START);
        let value = count.ln_1p();
        let weight = if self.hours == 0 { 1.0 } else { NEWEST_WEIGHT.max(1.0 / f64::from(self.hours + 1)) };
        let gap = value - self.mean;
        self.mean += weight * gap;
        self.variance = (1.0 - weight) * (self.variance + weight * gap * gap);
        self.high = (self.high * HIGH_KEPT).max(count);
        self.hours = self.hours.saturating_add(1);
        self.through_hour = hour;
    }
}

#[derive(Debug, Default)]
struct Account {
    habit: Habit,
    hour: i64,
    sketch: Sketch,
}

/// All accounts.
pub(crate) struct Downloads {
    accounts: Recent<String, Account>,
}

/// A download was counted.
pub(crate) struct Counted {
    /// Whether an hour ended, and the habit was learnt anew.
    pub(crate) habit_changed: bool,
}

impl Downloads {
    pub(crate) fn new() -> Self {
        Self { accounts: Recent::new(SUBJECT_COUNT_MAX) }
    }

    pub(crate) fn recall(&mut self, caller: &String, habit: Habit) {
        self.accounts.entry(caller).habit = habit;
    }

    pub(crate) fn habit(&self, caller: &String) -> Option<Habit> {
        self.accounts.peek(caller).map(|account| account.habit.clone())
    }

    /// Counts what a record says was fetched; none if it was nothing.
    pub(crate) fn take(&mut self, seen: &Seen<'_>, learns: bool) -> Option<Counted> {
        let view = seen.view;
        if view.status.as_deref() != Some("done") || !VERBS.contains(&view.action.as_ref()) {
            return None;
        }
        let hour = view.at.div_euclid(HOUR_US);
        let account = self.accounts.entry(&view.caller.id.as_ref().to_owned());
        account.habit.is_service = view.caller.kind == "service";
        let mut habit_changed = false;
        if hour > account.hour {
            let count = account.sketch.count();
            if learns && account.hour > 0 {
                let before = account.habit.through_hour;
                account.habit.learn(account.hour, count);
                habit_changed = account.habit.through_hour != before;
            }
            account.sketch = Sketch::default();
            account.hour = hour;
        }
        let thing =
            ["path_hash", "key_hash", "sha256", "manifest_sha256", "query_sha256"].into_iter().find_map(|name| seen.detail(name));
        let resource = view.resource.as_deref().unwrap_or_default();
        let is_new = account.sketch.add(digest(&format!("{resource}/{}", thing.unwrap_or_default())));
        is_new.then_some(Counted { habit_changed }).or(habit_changed.then_some(Counted { habit_changed }))
    }

    /// Whether the account's hour is far above its habit and its peers'.
    pub(crate) fn judge(&self, caller: &String, floor: u64, deviations: f64, times_own_high: f64) -> Option<String> {
        let account = self.accounts.peek(caller)?;
        let count = account.sketch.count();
        if count < floor {
            return None;
        }
        let (value, habit) = ((count as f64).ln_1p(), &account.habit);
        let own = (habit.hours >= HABIT_HOURS_MIN).then(|| {
            let deviation = habit.variance.max(0.0).sqrt().max(DEVIATION_MIN);
            (value - habit.mean) / deviation >= deviations && count as f64 >= times_own_high * habit.high
        });
        let peers = self.peers(caller, habit.is_service);
        let among = peers.map(|(middle, deviation)| (value - middle) / deviation.max(DEVIATION_MIN) >= deviations);
        let is_much = match (own, among) {
            (Some(own), Some(among)) => own && among,
            (Some(one), None) | (None, Some(one)) => one,
            (None, None) => count >= floor.saturating_mul(UNKNOWN_FLOORS),
        };
        is_much.then(|| {
            let usual = if own.is_some() { format!("{:.0} at most before", habit.high) } else { "no habit yet".to_owned() };
            let peers = peers.map_or("no peers".to_owned(), |(middle, _)| format!("{:.0}", middle.exp_m1()));
            format!("about {count} different things in an hour; its own: {usual}; the median highest of its peers: {peers}")
        })
    }

    /// The median of ln(1 + highest hour) of the others, and its spread.
    fn peers(&self, caller: &String, is_service: bool) -> Option<(f64, f64)> {
        let others = self
            .accounts
            .iter()
            .filter(|(id, one)| *id != caller && one.habit.is_service == is_service && one.habit.hours >= HABIT_HOURS_MIN);
        let mut values: Vec<f64> = others.take(PEERS_LOOKED_AT_MAX).map(|(_, one)| one.habit.high.ln_1p()).collect();
        if values.len() < PEER_COUNT_MIN {
            return None;
        }
        let middle = median(&mut values)?;
        let mut gaps: Vec<f64> = values.iter().map(|value| (value - middle).abs()).collect();
        Some((middle, 1.4826 * median(&mut gaps)?))
    }
}

fn median(values: &mut [f64]) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied()
}
