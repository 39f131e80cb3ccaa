//! Estimates of the candidate and the champion on the same resampled rows (Efron and Tibshirani 1993, section 10).

use poison::Random;
use rayon::prelude::*;

use super::rare::{Open, Rare};
use crate::at::put;
use crate::metric::Prepared;
use crate::stats::{Interval, middle_of, spread};
use crate::{AdversaryError, Watch};

/// A metric of both on the same rows.
pub(super) struct Pair {
    pub(super) candidate: Prepared,
    pub(super) champion: Option<Prepared>,
    pub(super) more_is_better: bool,
}

/// What the resamples say.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Estimate {
    pub(super) value: Option<f64>,
    pub(super) interval: Option<Interval>,
    /// The standard error of the value.
    pub(super) error: f64,
    pub(super) champion: Option<f64>,
    pub(super) champion_interval: Option<Interval>,
    /// How much better the candidate is.
    pub(super) gain: Option<f64>,
    pub(super) gain_interval: Option<Interval>,
    /// The standard error of the gain.
    pub(super) gain_error: f64,
    /// Whether no resample saw another gain, or the gain of a rare class.
    pub(super) gain_is_flat: bool,
}

/// An interval no wider than this comes of resamples that all agree.
const FLAT_MAX: f64 = 1e-12;

fn is_flat(interval: Option<Interval>) -> bool {
    interval.is_some_and(|interval| interval.high - interval.low <= FLAT_MAX)
}

impl Estimate {
    /// Where resamples do differ, a class of few rows may be one of which they do not: an interval knows of it what `rare` says.
    pub(super) fn widen(&mut self, rare: &Rare, z: f64) {
        let around = |interval: Option<Interval>, value: Option<f64>, open: Open, least: f64| {
            interval.zip(value).map(|(interval, value)| open.around(interval, value, least))
        };
        if !is_flat(self.interval) {
            self.interval = around(self.interval, self.value, rare.candidate, 0.0);
            self.error = self.error.hypot(rare.candidate.greater() / z);
        }
        if !is_flat(self.champion_interval) {
            self.champion_interval = around(self.champion_interval, self.champion, rare.champion, 0.0);
        }
        if !is_flat(self.gain_interval) {
            let half = self.gain_interval.zip(self.gain).map_or(0.0, |(interval, gain)| gain - interval.low);
            self.gain_is_flat = rare.gain.low > half;
            self.gain_interval = around(self.gain_interval, self.gain, rare.gain, -1.0);
            self.gain_error = self.gain_error.hypot(rare.gain.greater() / z);
        }
    }

    /// Resamples of rows that are all right are all right, which proves less than it seems: where all of them agree, the share
    /// `unseen` of the rows may still be otherwise. That both gave the very same answers (`same`) is no such chance.
    pub(super) fn doubt(&mut self, unseen: f64, same: bool, z: f64) {
        let wider = |interval: Interval, least: f64| Interval {
            low: (interval.low - unseen).max(least),
            high: (interval.high + unseen).min(1.0),
        };
        if is_flat(self.interval) {
            self.error = self.error.max(unseen / z);
            self.interval = self.interval.map(|interval| wider(interval, 0.0));
        }
        if is_flat(self.champion_interval) {
            self.champion_interval = self.champion_interval.map(|interval| wider(interval, 0.0));
        }
        if !same && is_flat(self.gain_interval) {
            self.gain_is_flat = true;
            self.gain_error = self.gain_error.max(unseen / z);
            self.gain_interval = self.gain_interval.map(|interval| wider(interval, -1.0));
        }
    }
}

/// How the resamples are drawn.
#[derive(Clone, Copy)]
pub(super) struct Draw {
    pub(super) resamples: u32,
    pub(super) confidence: f64,
    pub(super) seed: u64,
}

/// Estimates every pair on `rows` rows; all pairs see the same resamples.
///
/// # Errors
/// `Cancelled` when the watch says so.
pub(super) fn estimate(pairs: &[Pair], rows: usize, draw: Draw, watch: &Watch<'_>) -> Result<Vec<Estimate>, AdversaryError> {
    let all = vec![1_u32; rows];
    let plain: Vec<(Option<f64>, Option<f64>)> = pairs.iter().map(|pair| pair.values(&all)).collect();
    let stop = watch.stop;
    let drawn: Vec<Vec<(Option<f64>, Option<f64>)>> = (0..draw.resamples)
        .into_par_iter()
        .map_init(
            || vec![0_u32; rows],
            |weights, resample| {
                if stop.load(std::sync::atomic::Ordering::Relaxed) {
                    return Vec::new();
                }
                weights.fill(0);
                let mut random = Random::new(draw.seed, 0x626f_6f74 + (u64::from(resample) << 32));
                for _ in 0..rows {
                    let row = random.below(rows);
                    let count = crate::at::at(weights, row) + 1;
                    put(weights, row, count);
                }
                pairs.iter().map(|pair| pair.values(weights)).collect()
            },
        )
        .collect();
    if watch.stopped() {
        return Err(AdversaryError::Cancelled);
    }
    let of_pair = |place: usize| drawn.iter().filter_map(move |resample| resample.get(place).copied());
    let estimates = pairs.iter().zip(&plain).enumerate().map(|(place, (pair, (value, champion)))| {
        let mut values: Vec<f64> = of_pair(place).filter_map(|(value, _)| value).collect();
        let mut champions: Vec<f64> = of_pair(place).filter_map(|(_, champion)| champion).collect();
        let mut gains: Vec<f64> = of_pair(place).filter_map(|(value, champion)| Some(pair.gain(value?, champion?))).collect();
        // A metric that most resamples cannot take has no interval.
        let enough = |values: &[f64]| values.len() * 2 > draw.resamples as usize;
        Estimate {
            value: *value,
            champion: *champion,
            champion_interval: enough(&champions).then(|| middle_of(&mut champions, draw.confidence)),
            gain: value.zip(*champion).map(|(value, champion)| pair.gain(value, champion)),
            error: spread(&values).1,
            gain_error: spread(&gains).1,
            interval: enough(&values).then(|| middle_of(&mut values, draw.confidence)),
            gain_interval: enough(&gains).then(|| middle_of(&mut gains, draw.confidence)),
            gain_is_flat: false,
        }
    });
    Ok(estimates.collect())
}

impl Pair {
    fn values(&self, weights: &[u32]) -> (Option<f64>, Option<f64>) {
        (self.candidate.value(weights), self.champion.as_ref().and_then(|champion| champion.value(weights)))
    }

    fn gain(&self, value: f64, champion: f64) -> f64 {
        if self.more_is_better { value - champion } else { champion - value }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Metric;
    use crate::testing::{classes, quiet, watched};
    use crate::{Predictions, Truth};

    const DRAW: Draw = Draw { resamples: 2_000, confidence: 0.95, seed: 5 };

    /// The candidate errs in every tenth row, the champion in every fifth.
    fn pair() -> Pair {
        let truth: Truth = classes(vec![0; 1_000]);
        let rows: Vec<u32> = (0..1_000).collect();
        let answers = |every: u32| Predictions::Labels((0..1_000).map(|row| u32::from(row % every == 0)).collect());
        let prepared = |every| Prepared::new(Metric::Accuracy, &truth, &answers(every), &rows).unwrap();
        Pair { candidate: prepared(10), champion: Some(prepared(5)), more_is_better: true }
    }

    #[test]
    fn intervals_are_as_wide_as_theory_has_them_and_pairing_narrows_the_gain() {
        let estimate = quiet(|watch| estimate(&[pair()], 1_000, DRAW, watch)).unwrap().pop().unwrap();
        assert_eq!(
            (estimate.value, estimate.champion, estimate.gain.map(|gain| (gain * 10.0).round())),
            (Some(0.9), Some(0.8), Some(1.0))
        );
        // The standard error of a share: √(p (1 − p) / n); of the paired gain, where the errors of one lie in the other's, too.
        let theory = (0.9_f64 * 0.1 / 1_000.0).sqrt();
        assert!((estimate.error / theory - 1.0).abs() < 0.1, "{} {theory}", estimate.error);
        assert!((estimate.gain_error / theory - 1.0).abs() < 0.1, "{}", estimate.gain_error);
        let (own, champions) = (estimate.interval.unwrap(), estimate.champion_interval.unwrap());
        assert!(
            champions.low < 0.8 && 0.8 < champions.high && champions.high - champions.low > own.high - own.low,
            "{champions:?} {own:?}"
        );
        let interval = estimate.gain_interval.unwrap();
        assert!((interval.low - (0.1 - 1.96 * theory)).abs() < 0.004 && (interval.high - (0.1 + 1.96 * theory)).abs() < 0.004);
    }

    #[test]
    fn the_seed_decides_and_a_stop_is_heard() {
        let run =
            |seed| quiet(|watch| estimate(&[pair()], 1_000, Draw { seed, resamples: 200, ..DRAW }, watch)).unwrap()[0].interval;
        assert_eq!(run(1), run(1));
        assert!(watched(true, 0, |watch| estimate(&[pair()], 1_000, DRAW, watch).map(|_| ())).is_err());
    }
}
