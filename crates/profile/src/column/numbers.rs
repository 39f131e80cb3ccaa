//! What is known of the numbers of a column; lengths, norms and times are numbers too.

use serde::{Deserialize, Serialize};

use crate::limits::{HISTOGRAM_BAR_COUNT, SketchSizes};
use crate::moments::Moments;
use crate::report::{Histogram, NumberReport, Quantile};
use crate::sketch::quantiles::Quantiles;

/// The shares whose quantiles a report gives.
const SHARES: [f64; 7] = [0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99];

/// The distribution of numbers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Numbers {
    pub(crate) moments: Moments,
    pub(crate) quantiles: Quantiles,
    pub(crate) zero_count: u64,
    pub(crate) negative_count: u64,
    /// Numbers without a fraction.
    pub(crate) whole_count: u64,
    pub(crate) nan_count: u64,
    pub(crate) positive_infinity_count: u64,
    pub(crate) negative_infinity_count: u64,
    /// The extremes where they are whole numbers, which may be too large for a floating one.
    pub(crate) integer_range: Option<(i64, i64)>,
}

impl Numbers {
    pub(crate) fn new(sizes: SketchSizes, seed: u64) -> Self {
        Self {
            moments: Moments::default(),
            quantiles: Quantiles::new(sizes.quantile_k, seed),
            zero_count: 0,
            negative_count: 0,
            whole_count: 0,
            nan_count: 0,
            positive_infinity_count: 0,
            negative_infinity_count: 0,
            integer_range: None,
        }
    }

    /// Takes finite numbers.
    pub(crate) fn extend(&mut self, values: &[f64]) {
        self.whole_count += count_of(values, |value| value.trunc() == value);
        self.extend_whole_or_not(values);
    }

    /// Takes numbers that came from integers.
    pub(crate) fn extend_whole(&mut self, values: &[f64]) {
        self.whole_count += values.len() as u64;
        self.extend_whole_or_not(values);
    }

    fn extend_whole_or_not(&mut self, values: &[f64]) {
        if values.is_empty() {
            return;
        }
        self.zero_count += count_of(values, |value| value == 0.0);
        self.negative_count += count_of(values, |value| value < 0.0);
        self.moments.merge(&Moments::of(values));
        let (minimum, maximum) = extremes(values);
        self.quantiles.extend(values, minimum, maximum);
    }

    /// Takes a finite number that came `weight` times.
    pub(crate) fn insert(&mut self, value: f64, weight: u64) {
        self.zero_count += if value == 0.0 { weight } else { 0 };
        self.negative_count += if value < 0.0 { weight } else { 0 };
        self.whole_count += if value.trunc() == value { weight } else { 0 };
        self.moments.merge(&Moments::repeated(value, weight));
        self.quantiles.insert(value, weight);
    }

    /// Counts a number that is not finite.
    pub(crate) const fn insert_not_finite(&mut self, value: f64, weight: u64) {
        if value.is_nan() {
            self.nan_count += weight;
        } else if value > 0.0 {
            self.positive_infinity_count += weight;
        } else {
            self.negative_infinity_count += weight;
        }
    }

    /// Widens the exact range.
    pub(crate) fn stretch(&mut self, minimum: i64, maximum: i64) {
        let (low, high) = self.integer_range.unwrap_or((minimum, maximum));
        self.integer_range = Some((low.min(minimum), high.max(maximum)));
    }

    pub(crate) const fn not_finite_count(&self) -> u64 {
        self.nan_count + self.positive_infinity_count + self.negative_infinity_count
    }

    pub(crate) fn merge(&mut self, other: &Self) {
        self.moments.merge(&other.moments);
        self.quantiles.merge(&other.quantiles);
        self.zero_count += other.zero_count;
        self.negative_count += other.negative_count;
        self.whole_count += other.whole_count;
        self.nan_count += other.nan_count;
        self.positive_infinity_count += other.positive_infinity_count;
        self.negative_infinity_count += other.negative_infinity_count;
        if let Some((minimum, maximum)) = other.integer_range {
            self.stretch(minimum, maximum);
        }
    }

    pub(crate) fn report(&self) -> NumberReport {
        let ranks = self.quantiles.ranks();
        let quantile = |share| ranks.quantile(share).map(|value| Quantile { share, value });
        NumberReport {
            minimum: self.quantiles.minimum(),
            maximum: self.quantiles.maximum(),
            integer_range: self.integer_range,
            mean: (self.moments.count > 0 && self.moments.mean.is_finite()).then_some(self.moments.mean),
            standard_deviation: self.moments.deviation(),
            skewness: self.moments.skewness(),
            zero_count: self.zero_count,
            negative_count: self.negative_count,
            whole_count: self.whole_count,
            nan_count: self.nan_count,
            positive_infinity_count: self.positive_infinity_count,
            negative_infinity_count: self.negative_infinity_count,
            quantiles: SHARES.into_iter().filter_map(quantile).collect(),
            histogram: self.histogram(),
        }
    }

    /// Bars of equal width between the extremes, their heights from the quantile sketch.
    fn histogram(&self) -> Option<Histogram> {
        let (minimum, maximum) = (self.quantiles.minimum()?, self.quantiles.maximum()?);
        let width = (maximum / HISTOGRAM_BAR_COUNT as f64) - (minimum / HISTOGRAM_BAR_COUNT as f64);
        if width <= 0.0 || !width.is_finite() {
            return None;
        }
        let ranks = self.quantiles.ranks();
        let count = self.quantiles.count() as f64;
        let edge = |at: usize| if at == HISTOGRAM_BAR_COUNT { maximum } else { minimum + width * at as f64 };
        let edges: Vec<f64> = (0..=HISTOGRAM_BAR_COUNT).map(edge).collect();
        // The last bar holds the maximum; every other one ends before its edge.
        let below = |at: usize| if at == HISTOGRAM_BAR_COUNT { 1.0 } else { ranks.rank_below(edge(at)) };
        let height = |at: usize| ((below(at + 1) - below(at)) * count).round().max(0.0) as u64;
        Some(Histogram { edges, counts: (0..HISTOGRAM_BAR_COUNT).map(height).collect() })
    }
}

fn count_of(values: &[f64], holds: impl Fn(f64) -> bool) -> u64 {
    values.iter().map(|value| u64::from(holds(*value))).sum()
}

/// The smallest and the largest; of none, the wrong way round.
pub(crate) fn extremes(values: &[f64]) -> (f64, f64) {
    let (fours, rest) = values.as_chunks::<4>();
    let (mut low, mut high) = ([f64::INFINITY; 4], [f64::NEG_INFINITY; 4]);
    for four in fours {
        for ((low, high), value) in low.iter_mut().zip(&mut high).zip(four) {
            *low = if *value < *low { *value } else { *low };
            *high = if *value > *high { *value } else { *high };
        }
    }
    let least = low.iter().chain(rest).copied().fold(f64::INFINITY, f64::min);
    let most = high.iter().chain(rest).copied().fold(f64::NEG_INFINITY, f64::max);
    (least, most)
}
