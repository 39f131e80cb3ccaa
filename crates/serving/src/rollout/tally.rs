//! What champion and challenger did, counted in bounded memory.

use std::collections::BTreeMap;
use std::sync::OnceLock;
use std::time::Duration;

use kernel::Micros;
use parking_lot::Mutex;
use runtime::{Outputs, Values};

use super::{Stops, interval};

/// Different labels that are counted; others are one.
const LABEL_COUNT_MAX: usize = 64;
/// A label longer than this is counted among the others.
const LABEL_BYTES_MAX: usize = 64;
/// Requests of each before latencies are compared: a 99th percentile of fewer is that of one request.
const COMPARED_COUNT_MIN: u64 = 200;
/// Numbers agree that differ by less than this share of the champion's spread.
const NEAR: f64 = 1e-3;
/// Buckets of latencies: four for each doubling from a microsecond on, up to about five minutes.
const BUCKET_COUNT: usize = 112;
const BUCKETS_PER_OCTAVE: f64 = 4.0;

/// Who did something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Arm {
    Champion,
    Challenger,
}

/// The counts of one rollout.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    pub(super) champion: Mutex<Counts>,
    pub(super) challenger: Mutex<Counts>,
    pub(super) pairs: Mutex<Pairs>,
    halted: OnceLock<(Micros, String)>,
}

/// What one of the two did.
#[derive(Debug, Default)]
pub(super) struct Counts {
    pub(super) requests: u64,
    pub(super) errors: u64,
    pub(super) rows: u64,
    pub(super) labels: BTreeMap<String, u64>,
    pub(super) other_labels: u64,
    pub(super) values: Moments,
    latencies: Latencies,
}

/// Rows that both were asked.
#[derive(Debug, Default)]
pub(super) struct Pairs {
    pub(super) rows: u64,
    pub(super) disagreed: u64,
    pub(super) differences: Moments,
    /// Requests whose shadow was left out, because too much computed already.
    pub(super) left_out: u64,
}

/// Mean and spread, in one pass (Welford 1962).
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Moments {
    pub(super) count: u64,
    pub(super) mean: f64,
    squares: f64,
}

#[derive(Debug)]
struct Latencies([u64; BUCKET_COUNT]);

impl Default for Latencies {
    fn default() -> Self {
        Self([0; BUCKET_COUNT])
    }
}

impl Tally {
    /// Counts an answer of one of them.
    pub(crate) fn answered(&self, arm: Arm, outputs: &Outputs, row_count: usize, took: Duration) {
        let mut counts = self.of(arm).lock();
        counts.requests += 1;
        counts.rows += row_count as u64;
        counts.latencies.add(took);
        if let Some(labels) = outputs.labels() {
            (0..labels.len()).for_each(|place| counts.label(labels, place));
        } else if let Some(Values::F64(values)) = outputs.value().map(runtime::Tensor::values) {
            values.iter().for_each(|value| counts.values.add(*value));
        } else if let Some(Values::F32(values)) = outputs.value().map(runtime::Tensor::values) {
            values.iter().for_each(|value| counts.values.add(f64::from(*value)));
        }
    }

    /// Counts a request that one of them could not answer although it fits.
    pub(crate) fn failed(&self, arm: Arm) {
        let mut counts = self.of(arm).lock();
        counts.requests += 1;
        counts.errors += 1;
    }

    /// Counts rows that both answered.
    pub(crate) fn compared(&self, champion: &Outputs, challenger: &Outputs) {
        let spread = self.champion.lock().values.spread();
        let mut pairs = self.pairs.lock();
        if let (Some(ours), Some(theirs)) = (champion.labels(), challenger.labels()) {
            let count = ours.len().max(theirs.len());
            pairs.rows += count as u64;
            let same =
                |place: &usize| text(ours, *place).is_some_and(|one| text(theirs, *place).is_some_and(|other| one == other));
            pairs.disagreed += (0..count).filter(|place| !same(place)).count() as u64;
            return;
        }
        let (Some(ours), Some(theirs)) = (numbers(champion), numbers(challenger)) else {
            // One gives classes and the other numbers: nothing of it agrees.
            pairs.rows += 1;
            pairs.disagreed += 1;
            return;
        };
        let count = ours.len().max(theirs.len());
        pairs.rows += count as u64;
        for place in 0..count {
            let (Some(one), Some(other)) = (ours.get(place), theirs.get(place)) else {
                pairs.disagreed += 1;
                continue;
            };
            let difference = other - one;
            pairs.differences.add(difference);
            let is_near = difference.abs() <= NEAR * spread.max(one.abs() * NEAR);
            pairs.disagreed += u64::from(!(is_near || one.is_nan() && other.is_nan()));
        }
    }

    /// Counts a shadow that was left out.
    pub(crate) fn left_out(&self) {
        self.pairs.lock().left_out += 1;
    }

    /// When and why the challenger is out.
    pub(crate) fn halted(&self) -> Option<&(Micros, String)> {
        self.halted.get()
    }

    /// Takes the challenger out if a limit is exceeded beyond doubt.
    pub(crate) fn judge(&self, stops: &Stops, now: Micros) {
        if self.halted.get().is_some() {
            return;
        }
        if let Some(why) = self.excess(stops) {
            tracing::warn!(why, "a rollout was halted");
            let _already = self.halted.set((now, why));
        }
    }

    fn excess(&self, stops: &Stops) -> Option<String> {
        let percent = |permille: u16| f64::from(permille) / 10.0;
        let (errors, requests, tail) = {
            let challenger = self.challenger.lock();
            (challenger.errors, challenger.requests, challenger.latencies.percentile(99))
        };
        let failing = interval::share(errors, requests);
        if failing.low > f64::from(stops.errors_permille) / 1_000.0 {
            let limit = percent(stops.errors_permille);
            return Some(format!("the challenger failed {errors} of {requests} requests; at most {limit} % are allowed"));
        }
        if let Some(allowed) = stops.disagreement_permille {
            let (rows, disagreed) = {
                let pairs = self.pairs.lock();
                (pairs.rows, pairs.disagreed)
            };
            if interval::share(disagreed, rows).low > f64::from(allowed) / 1_000.0 {
                let limit = percent(allowed);
                return Some(format!("{disagreed} of {rows} rows were answered otherwise; at most {limit} % are allowed"));
            }
        }
        let allowed = stops.slower_permille?;
        let champion = self.champion.lock();
        let is_enough = champion.requests >= COMPARED_COUNT_MIN && requests >= COMPARED_COUNT_MIN;
        let (ours, limit) = (champion.latencies.percentile(99), 1.0 + f64::from(allowed) / 1_000.0);
        (is_enough && tail > ours * limit)
            .then(|| format!("the challenger's 99th percentile is {:.2} ms, the champion's {:.2} ms", tail * 1e3, ours * 1e3))
    }

    fn of(&self, arm: Arm) -> &Mutex<Counts> {
        match arm {
            Arm::Champion => &self.champion,
            Arm::Challenger => &self.challenger,
        }
    }
}

impl Counts {
    fn label(&mut self, labels: &Values, place: usize) {
        let Some(label) = text(labels, place).filter(|label| label.len() <= LABEL_BYTES_MAX) else {
            self.other_labels += 1;
            return;
        };
        if let Some(count) = self.labels.get_mut(&label) {
            *count += 1;
        } else if self.labels.len() < LABEL_COUNT_MAX {
            self.labels.insert(label, 1);
        } else {
            self.other_labels += 1;
        }
    }

    /// A percentile of the latencies, in seconds.
    pub(super) fn percentile(&self, percent: u64) -> f64 {
        self.latencies.percentile(percent)
    }
}

impl Moments {
    fn add(&mut self, value: f64) {
        if !value.is_finite() {
            return;
        }
        self.count += 1;
        let off = value - self.mean;
        self.mean += off / self.count as f64;
        self.squares += off * (value - self.mean);
    }

    /// The standard deviation.
    pub(super) fn spread(&self) -> f64 {
        if self.count < 2 { 0.0 } else { (self.squares / (self.count - 1) as f64).sqrt() }
    }
}

impl Latencies {
    fn add(&mut self, took: Duration) {
        let microseconds = took.as_secs_f64() * 1e6;
        let place = (microseconds.max(1.0).log2() * BUCKETS_PER_OCTAVE) as usize;
        if let Some(bucket) = self.0.get_mut(place.min(BUCKET_COUNT - 1)) {
            *bucket += 1;
        }
    }

    /// The upper end of the percentile's bucket, in seconds.
    fn percentile(&self, percent: u64) -> f64 {
        let all: u64 = self.0.iter().sum();
        let wanted = (all * percent).div_ceil(100);
        let mut seen = 0;
        for (place, count) in self.0.iter().enumerate() {
            seen += count;
            if seen >= wanted && seen > 0 {
                return ((place as f64 + 1.0) / BUCKETS_PER_OCTAVE).exp2() * 1e-6;
            }
        }
        0.0
    }
}

fn text(values: &Values, place: usize) -> Option<String> {
    match values {
        Values::Text(all) => all.get(place).cloned(),
        Values::I64(all) => all.get(place).map(ToString::to_string),
        Values::Bool(all) => all.get(place).map(ToString::to_string),
        Values::F64(all) => all.get(place).map(ToString::to_string),
        Values::F32(all) => all.get(place).map(ToString::to_string),
    }
}

fn numbers(outputs: &Outputs) -> Option<Vec<f64>> {
    match outputs.value().or_else(|| outputs.probabilities())?.values() {
        Values::F64(all) => Some(all.clone()),
        Values::F32(all) => Some(all.iter().map(|value| f64::from(*value)).collect()),
        Values::I64(all) => Some(all.iter().map(|value| *value as f64).collect()),
        Values::Bool(_) | Values::Text(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rollout::tests_support::{labels, values};

    const NOW: Micros = Micros(5);

    #[test]
    fn a_few_errors_halt_nothing_and_many_do() {
        let tally = Tally::default();
        let stops = Stops { errors_permille: 100, ..Stops::default() };
        for _ in 0..18 {
            tally.answered(Arm::Challenger, &labels(&["a"]), 1, Duration::from_micros(10));
        }
        tally.failed(Arm::Challenger);
        tally.failed(Arm::Challenger);
        tally.judge(&stops, NOW);
        assert!(tally.halted().is_none(), "2 of 20 may be 1 %");
        (0..10).for_each(|_| tally.failed(Arm::Challenger));
        tally.judge(&stops, NOW);
        let (at, why) = tally.halted().unwrap();
        assert_eq!((*at, why.as_str()), (NOW, "the challenger failed 12 of 30 requests; at most 10 % are allowed"));
    }

    #[test]
    fn a_shadow_that_says_otherwise_is_halted() {
        let tally = Tally::default();
        let stops = Stops { disagreement_permille: Some(200), ..Stops::default() };
        for _ in 0..50 {
            tally.compared(&labels(&["a", "b"]), &labels(&["a", "b"]));
        }
        tally.judge(&stops, NOW);
        assert!(tally.halted().is_none());
        for _ in 0..100 {
            tally.compared(&labels(&["a", "b"]), &labels(&["b", "b"]));
        }
        tally.judge(&stops, NOW);
        assert!(tally.halted().is_some(), "a third is more than a fifth beyond doubt");
    }

    #[test]
    fn numbers_agree_that_differ_by_little_of_their_spread() {
        let tally = Tally::default();
        tally.answered(Arm::Champion, &values(&[0.0, 100.0]), 2, Duration::ZERO);
        tally.compared(&values(&[10.0, 10.0, 10.0]), &values(&[10.0, 10.01, 20.0]));
        let pairs = tally.pairs.lock();
        assert_eq!((pairs.rows, pairs.disagreed), (3, 1));
        drop(pairs);
        tally.compared(&values(&[f64::NAN]), &values(&[f64::NAN]));
        tally.compared(&values(&[1.0]), &labels(&["a"]));
        let pairs = tally.pairs.lock();
        assert_eq!((pairs.rows, pairs.disagreed), (5, 2), "another kind of answer never agrees");
    }

    #[test]
    fn a_slow_challenger_is_halted_once_there_is_enough_to_compare() {
        let tally = Tally::default();
        let stops = Stops { slower_permille: Some(500), ..Stops::default() };
        for _ in 0..COMPARED_COUNT_MIN {
            assert!(tally.halted().is_none());
            tally.answered(Arm::Champion, &labels(&["a"]), 1, Duration::from_micros(100));
            tally.answered(Arm::Challenger, &labels(&["a"]), 1, Duration::from_micros(400));
            tally.judge(&stops, NOW);
        }
        assert!(tally.halted().unwrap().1.contains("99th percentile"));
    }

    #[test]
    fn memory_is_bounded_whatever_is_said() {
        let tally = Tally::default();
        for number in 0..1_000 {
            let long = "x".repeat(LABEL_BYTES_MAX + 1);
            tally.answered(Arm::Champion, &labels(&[&number.to_string(), &long]), 2, Duration::from_secs(1 << 40));
        }
        let champion = tally.champion.lock();
        assert_eq!((champion.labels.len(), champion.other_labels), (LABEL_COUNT_MAX, 2_000 - LABEL_COUNT_MAX as u64));
        assert_eq!((champion.rows, champion.requests), (2_000, 1_000));
    }
}
