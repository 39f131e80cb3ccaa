//! The distributions that test statistics have when nothing has changed.

use std::f64::consts::PI;

const TERM_COUNT_MAX: usize = 500;
const PRECISION: f64 = 1e-14;
/// Degrees of freedom from which on Hotelling's statistic is as good as chi-squared.
const LARGE_FREEDOM: f64 = 10_000.0;

/// The natural logarithm of the gamma function, for positive numbers (Lanczos 1964, with g = 7 and nine terms).
fn ln_gamma(x: f64) -> f64 {
    const TERMS: [f64; 8] = [
        676.520_368_121_885_1,
        -1_259.139_216_722_402_8,
        771.323_428_777_653_1,
        -176.615_029_162_140_6,
        12.507_343_278_686_905,
        -0.138_571_095_265_720_12,
        9.984_369_578_019_572e-6,
        1.505_632_735_149_311_6e-7,
    ];
    let x = x - 1.0;
    let mut sum = 0.999_999_999_999_809_9;
    for (term, at) in TERMS.iter().zip(1_u32..) {
        sum += term / (x + f64::from(at));
    }
    let base = x + 7.5;
    0.5 * (2.0 * PI).ln() + (x + 0.5) * base.ln() - base + sum.ln()
}

/// How likely chi-squared with so many degrees of freedom is to be this large: the upper regularised gamma function, by its
/// series or its continued fraction (Press et al., "Numerical Recipes", 3rd edition, section 6.2).
#[must_use]
pub fn chi_squared(statistic: f64, freedom: f64) -> f64 {
    let (a, x) = (freedom / 2.0, statistic / 2.0);
    if x <= 0.0 || a <= 0.0 {
        return 1.0;
    }
    let front = (a * x.ln() - x - ln_gamma(a)).exp();
    if x < a + 1.0 {
        let (mut term, mut sum) = (1.0 / a, 1.0 / a);
        for at in 1..TERM_COUNT_MAX + a as usize {
            term *= x / (a + at as f64);
            sum += term;
            if term < sum * PRECISION {
                break;
            }
        }
        return (1.0 - front * sum).clamp(0.0, 1.0);
    }
    let tiny = f64::MIN_POSITIVE / PRECISION;
    let mut b = x + 1.0 - a;
    let mut c = 1.0 / tiny;
    let mut d = 1.0 / b;
    let mut fraction = d;
    for at in 1..TERM_COUNT_MAX + a as usize {
        let at = at as f64;
        let factor = -at * (at - a);
        b += 2.0;
        d = 1.0 / not_nought(factor * d + b, tiny);
        c = not_nought(b + factor / c, tiny);
        fraction *= d * c;
        if (d * c - 1.0).abs() < PRECISION {
            break;
        }
    }
    (front * fraction).clamp(0.0, 1.0)
}

fn not_nought(value: f64, tiny: f64) -> f64 {
    if value.abs() < tiny { tiny } else { value }
}

/// How likely the greatest distance between two samples of one distribution is to be this large, where `size` is
/// `n·m/(n+m)`: Kolmogorov's distribution, with the correction of Stephens (1970) for small samples. Samples with
/// equal values make it too careful, never too bold.
#[must_use]
pub fn kolmogorov_smirnov(distance: f64, size: f64) -> f64 {
    let root = size.sqrt();
    let scaled = (root + 0.12 + 0.11 / root) * distance;
    if scaled.is_nan() || scaled < 0.2 {
        return 1.0;
    }
    if scaled < 1.18 {
        let term = |at: i32| (-f64::from(2 * at - 1).powi(2) * PI * PI / (8.0 * scaled * scaled)).exp();
        return (1.0 - (2.0 * PI).sqrt() / scaled * (1..8).map(term).sum::<f64>()).clamp(0.0, 1.0);
    }
    let term = |at: i32| if at % 2 == 1 { 1.0 } else { -1.0 } * (-2.0 * f64::from(at).powi(2) * scaled * scaled).exp();
    (2.0 * (1..8).map(term).sum::<f64>()).clamp(0.0, 1.0)
}

/// How likely Hotelling's T² of so many dimensions is to be this large, where `count` is the size of both samples together.
#[must_use]
pub fn hotelling(statistic: f64, dimension: f64, count: f64) -> f64 {
    let freedom = count - dimension - 1.0;
    if freedom < 1.0 {
        return 1.0;
    }
    if freedom > LARGE_FREEDOM {
        return chi_squared(statistic, dimension);
    }
    let f = statistic * freedom / ((count - 2.0) * dimension);
    // The upper tail of Fisher's F.
    regularised_beta(freedom / 2.0, dimension / 2.0, freedom / (freedom + dimension * f))
}

/// How likely two shares of one truth are to differ by so much, by the pooled normal test without correction.
#[must_use]
pub fn two_shares(first: f64, first_count: f64, second: f64, second_count: f64) -> f64 {
    if first_count <= 0.0 || second_count <= 0.0 {
        return 1.0;
    }
    let pooled = (first * first_count + second * second_count) / (first_count + second_count);
    let variance = pooled * (1.0 - pooled) * (1.0 / first_count + 1.0 / second_count);
    if variance <= 0.0 {
        return 1.0;
    }
    chi_squared((first - second).powi(2) / variance, 1.0)
}

/// The regularised incomplete beta function (Press et al., section 6.4).
fn regularised_beta(a: f64, b: f64, x: f64) -> f64 {
    if x <= 0.0 {
        return 0.0;
    }
    if x >= 1.0 {
        return 1.0;
    }
    let front = (ln_gamma(a + b) - ln_gamma(a) - ln_gamma(b) + a * x.ln() + b * (1.0 - x).ln()).exp();
    if x < (a + 1.0) / (a + b + 2.0) {
        (front * beta_fraction(a, b, x) / a).clamp(0.0, 1.0)
    } else {
        (1.0 - front * beta_fraction(b, a, 1.0 - x) / b).clamp(0.0, 1.0)
    }
}

fn beta_fraction(a: f64, b: f64, x: f64) -> f64 {
    let tiny = f64::MIN_POSITIVE / PRECISION;
    let mut c = 1.0;
    let mut d = 1.0 / not_nought(1.0 - (a + b) * x / (a + 1.0), tiny);
    let mut fraction = d;
    for at in 1..TERM_COUNT_MAX {
        let at = at as f64;
        let even = at * (b - at) * x / ((a + 2.0 * at - 1.0) * (a + 2.0 * at));
        let odd = -(a + at) * (a + b + at) * x / ((a + 2.0 * at) * (a + 2.0 * at + 1.0));
        let mut step = 1.0;
        for factor in [even, odd] {
            d = 1.0 / not_nought(1.0 + factor * d, tiny);
            c = not_nought(1.0 + factor / c, tiny);
            step = d * c;
            fraction *= step;
        }
        if (step - 1.0).abs() < PRECISION {
            break;
        }
    }
    fraction
}

/// The false discovery rate at which each of these would be called (Benjamini and Hochberg 1995).
#[must_use]
pub fn false_discovery_rates(p_values: &[f64]) -> Vec<f64> {
    let mut order: Vec<(usize, f64)> = p_values.iter().copied().enumerate().collect();
    order.sort_by(|left, right| right.1.total_cmp(&left.1));
    let mut rates = vec![1.0; p_values.len()];
    let mut least = 1.0_f64;
    for (rank_from_above, (at, p_value)) in order.into_iter().enumerate() {
        least = least.min(p_value * p_values.len() as f64 / (p_values.len() - rank_from_above) as f64);
        if let Some(rate) = rates.get_mut(at) {
            *rate = least;
        }
    }
    rates
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn near(left: f64, right: f64) {
        assert!((left - right).abs() <= 1e-6 * right.max(1e-9), "{left} is not {right}");
    }

    #[test]
    fn known_answers_hold() {
        // By quadrature of the densities, and by closed forms where there are any.
        near(chi_squared(3.841_458_820_694_124, 1.0), 0.05);
        near(chi_squared(18.307_038_053_275_146, 10.0), 0.05);
        near(chi_squared(1.0, 5.0), 0.962_565_773_247_243);
        near(chi_squared(600.0, 500.0), 0.001_377_471_877_5);
        near(chi_squared(100.0, 1.0), 1.523_970_604_832_094e-23);
        // Stephens' correction taken back out.
        let bare = |scaled: f64| kolmogorov_smirnov(scaled / (1e4 + 0.12 + 0.11 / 1e4), 1e8);
        near(bare(1.358_098_6), 0.05);
        near(bare(0.8), 0.544_142_4);
        near(bare(2.0), 0.000_670_925_3);
        // Of two dimensions and 12 rows: T² = 10 is F = 4.5 with 2 and 9 degrees.
        near(hotelling(10.0, 2.0, 12.0), 0.044_194_17);
        near(two_shares(0.5, 100.0, 0.6, 100.0), 0.155_218_5);
    }

    #[test]
    fn nothing_to_compare_is_no_discovery() {
        for p_value in [
            chi_squared(0.0, 3.0),
            chi_squared(5.0, 0.0),
            kolmogorov_smirnov(0.0, 100.0),
            kolmogorov_smirnov(f64::NAN, 0.0),
            hotelling(99.0, 16.0, 10.0),
            two_shares(0.0, 10.0, 0.0, 10.0),
            two_shares(0.0, 0.0, 1.0, 1.0),
        ] {
            near(p_value, 1.0);
        }
    }

    #[test]
    fn discoveries_are_adjusted_as_benjamini_and_hochberg_do() {
        // By R's p.adjust(method = "BH").
        let rates = false_discovery_rates(&[0.01, 0.04, 0.03, 0.005, 0.5]);
        for (found, expected) in rates.into_iter().zip([0.025, 0.05, 0.05, 0.025, 0.5]) {
            near(found, expected);
        }
        assert!(false_discovery_rates(&[]).is_empty());
    }
}
