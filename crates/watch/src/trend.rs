//! What only grows or shrinks: the median of slopes (Theil 1950, Sen 1968), which a fifth of wild points does not move.

use crate::normal::quantile;

/// Points that pairs are made of; of more, a fair part.
const POINT_COUNT_MAX: usize = 240;

/// A line through points.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Trend {
    /// Change per step.
    pub slope: f64,
    /// The lower end of the slope's interval.
    pub slope_low: f64,
    /// The upper end.
    pub slope_high: f64,
    /// Where the line is at the last point.
    pub level: f64,
}

/// The median slope of evenly spaced points, with its interval at this confidence by Kendall's variance (Sen 1968).
#[must_use]
pub fn theil_sen(values: &[f64], confidence: f64) -> Option<Trend> {
    let step = values.len().div_ceil(POINT_COUNT_MAX).max(1);
    // Counted from the end, so that the last point is always there.
    let points: Vec<(f64, f64)> = values
        .iter()
        .enumerate()
        .rev()
        .step_by(step)
        .filter(|(_, value)| value.is_finite())
        .map(|(at, value)| (at as f64, *value))
        .collect();
    if points.len() < 8 {
        return None;
    }
    let mut slopes = Vec::with_capacity(points.len() * points.len() / 2);
    for (at, later) in points.iter().enumerate() {
        for earlier in points.iter().skip(at + 1) {
            slopes.push((later.1 - earlier.1) / (later.0 - earlier.0));
        }
    }
    slopes.sort_by(f64::total_cmp);
    let count = points.len() as f64;
    let reach = quantile(0.5 + confidence / 2.0) * (count * (count - 1.0) * (2.0 * count + 5.0) / 18.0).sqrt();
    let pairs = slopes.len() as f64;
    let at = |place: f64| slopes.get((place.max(0.0) as usize).min(slopes.len().saturating_sub(1))).copied();
    let slope = at(pairs / 2.0)?;
    let last = values.len().saturating_sub(1) as f64;
    let mut levels: Vec<f64> = points.iter().map(|(x, y)| y + slope * (last - x)).collect();
    levels.sort_by(f64::total_cmp);
    let level = levels.get(levels.len() / 2).copied()?;
    Some(Trend { slope, slope_low: at((pairs - reach) / 2.0)?, slope_high: at((pairs + reach) / 2.0)?, level })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::normal::Random;

    #[test]
    fn the_slope_is_found_in_spite_of_wild_points() {
        let mut random = Random(3);
        let mut covered = 0;
        for _ in 0..100 {
            let values: Vec<f64> =
                (0..60).map(|at| 0.5 * f64::from(at) + random.normal() + if at % 9 == 4 { 400.0 } else { 0.0 }).collect();
            let trend = theil_sen(&values, 0.95).unwrap();
            assert!((trend.slope - 0.5).abs() < 0.15 && (trend.level - 29.5).abs() < 2.0, "{trend:?}");
            covered += usize::from((trend.slope_low..=trend.slope_high).contains(&0.5));
        }
        assert!(covered >= 90, "{covered}");
        assert_eq!(theil_sen(&[1.0; 7], 0.95), None);
        assert_eq!(theil_sen(&[2.0; 1_000], 0.95).unwrap().slope, 0.0);
    }
}
