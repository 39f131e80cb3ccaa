//! The statistics of gates and attacks: intervals, exact tests, and the correction for many of them.

use serde::{Deserialize, Serialize};

/// Where a number lies, with the confidence that the report names.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Interval {
    /// The lower end.
    pub low: f64,
    /// The upper end.
    pub high: f64,
}

/// The share of the standard normal distribution below `z`.
///
/// Near the middle by the series of odd powers, in the tails by Laplace's continued fraction.
pub(crate) fn normal_below(z: f64) -> f64 {
    const TAIL_FROM: f64 = 4.0;
    const TERM_COUNT: u32 = 120;
    if z.is_nan() {
        return f64::NAN;
    }
    let density = (-0.5 * z * z).exp() / std::f64::consts::TAU.sqrt();
    if z.abs() < TAIL_FROM {
        let (mut term, mut sum) = (z, z);
        for step in 1..TERM_COUNT {
            term *= z * z / f64::from(2 * step + 1);
            sum += term;
        }
        return (0.5 + density * sum).clamp(0.0, 1.0);
    }
    let fraction = (1..TERM_COUNT).rev().fold(z.abs(), |below, step| z.abs() + f64::from(step) / below);
    let tail = density / fraction;
    if z < 0.0 { tail } else { 1.0 - tail }
}

/// The `z` below which this share of the standard normal distribution lies, by bisection.
pub(crate) fn normal_at(share: f64) -> f64 {
    let (mut low, mut high) = (-12.0, 12.0);
    for _ in 0..80 {
        let middle = 0.5 * (low + high);
        if normal_below(middle) < share { low = middle } else { high = middle }
    }
    0.5 * (low + high)
}

/// The two-sided `z` of a confidence.
pub(crate) fn z_of(confidence: f64) -> f64 {
    normal_at(0.5 + 0.5 * confidence)
}

/// Wilson's interval of a share (Wilson 1927).
pub(crate) fn share_interval(hits: f64, of: f64, confidence: f64) -> Interval {
    if of <= 0.0 {
        return Interval { low: 0.0, high: 1.0 };
    }
    let (z, share) = (z_of(confidence), hits / of);
    let scale = 1.0 + z * z / of;
    let centre = (share + z * z / (2.0 * of)) / scale;
    let half = z / scale * (share * (1.0 - share) / of + z * z / (4.0 * of * of)).max(0.0).sqrt();
    // At the ends the true bound is the end itself; rounding must not cross it.
    let low = if hits <= 0.0 { 0.0 } else { (centre - half).max(0.0) };
    let high = if hits >= of { 1.0 } else { (centre + half).min(1.0) };
    Interval { low, high }
}

/// The value below which a share of sorted values lies, between two of them by a straight line.
pub(crate) fn quantile(sorted: &[f64], share: f64) -> f64 {
    let place = share.clamp(0.0, 1.0) * sorted.len().saturating_sub(1) as f64;
    let (low, high) = (place.floor() as usize, place.ceil() as usize);
    let (below, above) = (crate::at::at(sorted, low), crate::at::at(sorted, high));
    below + (above - below) * (place - place.floor())
}

/// The middle part of some values that holds `confidence` of them. Sorts them.
pub(crate) fn middle_of(values: &mut [f64], confidence: f64) -> Interval {
    values.sort_by(f64::total_cmp);
    let tail = 0.5 * (1.0 - confidence);
    Interval { low: quantile(values, tail), high: quantile(values, 1.0 - tail) }
}

/// The interval of the median, or another quantile, by order statistics (Conover 1999, section 3.2).
pub(crate) fn quantile_interval(sorted: &[f64], share: f64, confidence: f64) -> Interval {
    let count = sorted.len() as f64;
    let half = z_of(confidence) * (count * share * (1.0 - share)).sqrt();
    let last = sorted.len().saturating_sub(1);
    let low = (count * share - half).floor().max(0.0) as usize;
    let high = ((count * share + half).ceil().max(0.0) as usize).min(last);
    Interval { low: crate::at::at(sorted, low.min(last)), high: crate::at::at(sorted, high) }
}

/// The mid-p value of McNemar's exact test that the candidate is worse: `lost` rows only the champion had right, `won` only
/// the candidate (Fagerland, Lydersen and Laake 2013). Small where the candidate is worse.
pub(crate) fn mcnemar_worse(lost: u64, won: u64) -> f64 {
    let of = lost + won;
    if of == 0 {
        return 0.5;
    }
    // P(X > lost) + P(X = lost)/2 for X of Binomial(of, 1/2), the smaller tail summed outwards from `lost`.
    let upper = lost * 2 >= of;
    let log_at = |count: u64| ln_choose(of, count) - of as f64 * std::f64::consts::LN_2;
    let first = log_at(lost).exp();
    let (mut term, mut tail, mut count) = (first, 0.0, if upper { lost } else { won });
    while count < of && term > f64::MIN_POSITIVE {
        term *= (of - count) as f64 / (count + 1) as f64;
        tail += term;
        count += 1;
    }
    let beyond = tail + 0.5 * first;
    (if upper { beyond } else { 1.0 - beyond }).clamp(0.0, 1.0)
}

/// The logarithm of the number of ways to choose.
fn ln_choose(of: u64, count: u64) -> f64 {
    ln_factorial(of) - ln_factorial(count) - ln_factorial(of - count.min(of))
}

/// The logarithm of `n!`: summed where small, by Stirling's series where not.
fn ln_factorial(number: u64) -> f64 {
    if number < 64 {
        return (2..=number).map(|factor| (factor as f64).ln()).sum();
    }
    let n = number as f64;
    n * n.ln() - n + 0.5 * (std::f64::consts::TAU * n).ln() + 1.0 / (12.0 * n) - 1.0 / (360.0 * n.powi(3))
}

/// Holm's step-down correction (Holm 1979): each p value as if it were the only one, in the order given.
pub(crate) fn holm(values: &[f64]) -> Vec<f64> {
    let mut order: Vec<usize> = (0..values.len()).collect();
    order.sort_by(|left, right| crate::at::at(values, *left).total_cmp(&crate::at::at(values, *right)));
    let mut adjusted = vec![1.0; values.len()];
    let mut greatest = 0.0_f64;
    for (rank, place) in order.into_iter().enumerate() {
        greatest = greatest.max(crate::at::at(values, place) * (values.len() - rank) as f64);
        crate::at::put(&mut adjusted, place, greatest.min(1.0));
    }
    adjusted
}

/// The mean and the standard deviation of a sample; zeros of fewer than two.
pub(crate) fn spread(values: &[f64]) -> (f64, f64) {
    let count = values.len() as f64;
    let mean = values.iter().sum::<f64>() / count.max(1.0);
    let squares: f64 = values.iter().map(|value| (value - mean).powi(2)).sum();
    (mean, if values.len() < 2 { 0.0 } else { (squares / (count - 1.0)).sqrt() })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(got: f64, wanted: f64) {
        assert!((got - wanted).abs() < 1e-6 * wanted.abs().max(1e-3), "{got} instead of {wanted}");
    }

    #[test]
    fn the_normal_distribution_is_right_in_the_middle_and_in_the_tails() {
        check(normal_below(0.0), 0.5);
        check(normal_below(1.959_963_984_540_054), 0.975);
        check(normal_below(-6.0) * 1e9, 0.986_587_645);
        check(normal_below(-3.99) + normal_below(3.99), 1.0);
        check(normal_at(0.975), 1.959_963_985);
        assert!(normal_below(-40.0) == 0.0 && normal_below(40.0) == 1.0 && normal_below(f64::NAN).is_nan());
    }

    #[test]
    fn shares_have_wilsons_interval() {
        // 8 of 10 at 95 %: 0.4901625 to 0.9433178 (the formula worked by hand).
        let of_ten = share_interval(8.0, 10.0, 0.95);
        check(of_ten.low, 0.490_162_5);
        check(of_ten.high, 0.943_317_8);
        assert_eq!(share_interval(0.0, 5.0, 0.95).low, 0.0);
        assert_eq!(share_interval(5.0, 5.0, 0.95).high, 1.0);
        assert_eq!(share_interval(0.0, 0.0, 0.95), Interval { low: 0.0, high: 1.0 });
    }

    #[test]
    fn the_exact_test_sums_binomial_tails() {
        // X of Binomial(5, 1/2): P(X > 4) = 1/32, P(X = 4) = 5/32.
        check(mcnemar_worse(4, 1), 1.0 / 32.0 + 2.5 / 32.0);
        check(mcnemar_worse(1, 4), 1.0 - (1.0 / 32.0 + 2.5 / 32.0));
        check(mcnemar_worse(3, 3), 0.5);
        check(mcnemar_worse(0, 0), 0.5);
        assert!(mcnemar_worse(60_000, 50_000) < 1e-100 && mcnemar_worse(0, 2_000) > 0.999_999);
        // Many rows: as the normal distribution has it.
        let z = 400.0 / 1_000_000.0_f64.sqrt();
        assert!((mcnemar_worse(500_200, 499_800) - normal_below(-z)).abs() < 1e-4);
    }

    #[test]
    fn holm_corrects_and_keeps_order() {
        let adjusted = holm(&[0.04, 0.01, 0.03]);
        check(adjusted[1], 0.03);
        check(adjusted[2], 0.06);
        check(adjusted[0], 0.06);
        assert!(holm(&[]).is_empty());
    }

    #[test]
    fn quantiles_lie_between_values() {
        check(quantile(&[0.0, 1.0, 2.0], 0.25), 0.5);
        assert_eq!(quantile(&[], 0.5), 0.0);
        let sorted: Vec<f64> = (0..101).map(f64::from).collect();
        let interval = quantile_interval(&sorted, 0.5, 0.95);
        assert!(interval.low < 45.0 && interval.low > 35.0 && interval.high > 55.0 && interval.high < 65.0, "{interval:?}");
        assert_eq!(quantile_interval(&[], 0.5, 0.95), Interval { low: 0.0, high: 0.0 });
        assert_eq!(middle_of(&mut [3.0, 1.0, 2.0], 1.0), Interval { low: 1.0, high: 3.0 });
        assert_eq!(spread(&[1.0, 3.0]), (2.0, 2.0_f64.sqrt()));
    }
}
