//! Where a metric goes: exponential smoothing in its state space form (level; level and slope; damped slope; Hyndman, Koehler, Ord and
//! Snyder 2008, tables 2.1 and 6.1), chosen by the corrected information criterion, over a season that is taken out first as STL's
//! simpler forebear does (Cleveland et al. 1990), with medians. And whether it will cross a limit, with the moment and how sure that is.
//!
//! Why not a library: `augurs` would bring fifty crates (linear algebra, another random number generator, vector instructions in unsafe
//! code) for the three models that are used here.

use serde::{Deserialize, Serialize};

use crate::normal::upper_tail;
use crate::trend::theil_sen;

/// Points that a forecast needs.
const POINT_COUNT_MIN: usize = 20;
/// Points that the line through the end is laid through, at least and at most.
const LINE_POINT_COUNT: std::ops::RangeInclusive<usize> = 20..=60;
/// How much of what is left the season must explain to be taken for one.
const SEASON_SHARE_MIN: f64 = 0.3;
/// Smoothing parameters that are tried first.
const TRIED: [f64; 6] = [0.02, 0.08, 0.2, 0.4, 0.7, 0.95];
const DAMPING: f64 = 0.97;

/// A limit that must not be crossed.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Limit {
    /// The value.
    pub value: f64,
    /// On which side it is crossed.
    pub side: Side,
}

/// On which side a limit is crossed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Side {
    /// It must not be exceeded.
    Above,
    /// It must not be undercut.
    Below,
}

/// A fitted model.
#[derive(Clone, Debug)]
pub struct Forecast {
    level: f64,
    slope: f64,
    damping: f64,
    alpha: f64,
    beta: f64,
    /// Of the one-step errors.
    deviation: f64,
    /// By phase; empty without a season. The first is that of the next step.
    season: Vec<f64>,
    /// A line through the end, which noise that comes in spells does not turn.
    line: Line,
}

/// A line through the last points.
#[derive(Clone, Copy, Debug)]
struct Line {
    level: f64,
    slope: f64,
    /// Of the points around it, as if they were independent of each other.
    deviation: f64,
    point_count: f64,
}

/// A limit will be crossed.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Crossing {
    /// In how many steps it is expected; 0 if that is now.
    pub in_steps: f64,
    /// In how many steps at the earliest.
    pub earliest_steps: f64,
    /// How sure that is, from 0 to 1.
    pub certainty: f64,
}

/// Fits a model to evenly spaced values, the newest last. `period` is the season's length in steps, if there may be one; none before two
/// of them were seen.
#[must_use]
pub fn fit(values: &[f64], period: Option<usize>) -> Option<Forecast> {
    let values = filled(values)?;
    let period = period.filter(|period| *period >= 2);
    // Half a wave looks like a line: where there may be a season, two of them are waited for.
    if period.is_some_and(|period| values.len() < 2 * period) {
        return None;
    }
    let season = period.and_then(|period| seasonal(&values, period));
    let plain: Vec<f64> = match &season {
        None => values.clone(),
        Some(season) => values.iter().enumerate().map(|(at, value)| value - phase(season, at)).collect(),
    };
    let mut best = Smoothing::fitted(&plain, false, 1.0);
    for damping in [1.0, DAMPING] {
        let next = Smoothing::fitted(&plain, true, damping);
        if next.criterion < best.criterion {
            best = next;
        }
    }
    let next = values.len();
    Some(Forecast {
        level: best.level,
        slope: best.slope,
        damping: best.damping,
        alpha: best.alpha,
        beta: best.beta,
        deviation: best.deviation,
        season: season.map(|season| (0..season.len()).map(|at| phase(&season, next + at)).collect()).unwrap_or_default(),
        line: Line::through_end(&plain)?,
    })
}

/// Whether a limit will be crossed within so many steps, at least this sure.
#[must_use]
pub fn crossing(forecast: &Forecast, limit: Limit, horizon_steps: usize, certainty_min: f64) -> Option<Crossing> {
    let sign = if limit.side == Side::Above { 1.0 } else { -1.0 };
    let margin = |at: usize| sign * (forecast.mean(at) - limit.value) / forecast.path_deviation(at);
    let surest = (1..=horizon_steps).map(|at| 1.0 - upper_tail(margin(at))).fold(0.0, f64::max);
    let line_margin = |at: usize| {
        let (mean, deviation) = forecast.line.at(at);
        sign * (mean + forecast.season_at(at) - limit.value) / deviation
    };
    let by_line = (1..=horizon_steps).map(|at| 1.0 - upper_tail(line_margin(at))).fold(0.0, f64::max);
    let slope_is_sure = sign * forecast.line.slope > 1.96 * forecast.line.slope_deviation();
    let certainty = match (slope_is_sure, forecast.season.is_empty()) {
        (true, _) => surest.max(by_line),
        // Only the season may carry it over the limit then.
        (false, false) => surest,
        (false, true) => return None,
    };
    if certainty < certainty_min {
        return None;
    }
    let margin = |at: usize| if surest >= by_line || !slope_is_sure { margin(at) } else { line_margin(at) };
    let first = |at_least: f64| (1..=horizon_steps).find(|at| margin(*at) >= at_least);
    let in_steps = first(0.0)?;
    Some(Crossing { in_steps: in_steps as f64, earliest_steps: first(-1.645).unwrap_or(in_steps) as f64, certainty: surest })
}

impl Forecast {
    /// What is expected `steps` from the last value.
    #[must_use]
    pub fn mean(&self, steps: usize) -> f64 {
        self.level + self.slope * damped_sum(self.damping, steps) + self.season_at(steps)
    }

    /// The interval in which the value lies with this confidence's normal quantile, such as 1.96.
    #[must_use]
    pub fn interval(&self, steps: usize, z: f64) -> (f64, f64) {
        let reach = z * (self.deviation.powi(2) * (1.0 + self.growth(steps))).sqrt();
        (self.mean(steps) - reach, self.mean(steps) + reach)
    }

    fn season_at(&self, steps: usize) -> f64 {
        let length = self.season.len().max(1);
        self.season.get(steps.saturating_sub(1) % length).copied().unwrap_or(0.0)
    }

    /// How much the variance has grown by then, in units of the one-step variance (table 6.1, class 1).
    fn growth(&self, steps: usize) -> f64 {
        (1..steps).map(|at| (self.alpha + self.beta * damped_sum(self.damping, at)).powi(2)).sum()
    }

    /// How unsure the expected path itself is: what the level may have been, how it may wander, and what the slope may be.
    fn path_deviation(&self, steps: usize) -> f64 {
        let level = self.alpha / (2.0 - self.alpha) + 1.0 / self.line.point_count;
        let slope = self.line.slope_deviation() * damped_sum(self.damping, steps);
        let wander = self.deviation.powi(2) * (level + self.growth(steps));
        (wander + slope * slope).sqrt().max(1e-12 * self.level.abs()).max(f64::MIN_POSITIVE)
    }
}

impl Line {
    fn through_end(values: &[f64]) -> Option<Self> {
        let count = (values.len() / 2).clamp(*LINE_POINT_COUNT.start(), *LINE_POINT_COUNT.end());
        let line = Self::through(values.get(values.len().saturating_sub(count)..)?)?;
        let newest = Self::through(values.get(values.len().saturating_sub(count / 2)..)?)?;
        // What levels off must not be carried on: the newer half decides where it says clearly less.
        let levels_off = newest.slope.abs() + newest.slope_deviation() < line.slope.abs() || newest.slope * line.slope < 0.0;
        Some(if levels_off { newest } else { line })
    }

    fn through(values: &[f64]) -> Option<Self> {
        let trend = theil_sen(values, 0.9)?;
        let last = values.len() as f64 - 1.0;
        let rest: Vec<f64> =
            values.iter().enumerate().map(|(at, value)| value - trend.level - trend.slope * (at as f64 - last)).collect();
        let squared: f64 = rest.iter().map(|rest| rest * rest).sum();
        let neighbours: f64 = rest.iter().zip(rest.iter().skip(1)).map(|(left, right)| left * right).sum();
        let spells = if squared > 0.0 { (neighbours / squared).clamp(0.0, 0.9) } else { 0.0 };
        // Noise in spells counts as fewer points (Bartlett 1946).
        let deviation = (squared / (values.len() as f64 - 2.0).max(1.0) * (1.0 + spells) / (1.0 - spells)).sqrt();
        Some(Self { level: trend.level, slope: trend.slope, deviation, point_count: values.len() as f64 })
    }

    fn slope_deviation(&self) -> f64 {
        12.0_f64.sqrt() * self.deviation / self.point_count.powf(1.5)
    }

    /// Where it is, and how unsure that is, as of a regression's line.
    fn at(&self, steps: usize) -> (f64, f64) {
        let away = steps as f64 + self.point_count / 2.0;
        let variance = self.deviation.powi(2) / self.point_count + (self.slope_deviation() * away).powi(2);
        (self.level + self.slope * steps as f64, variance.sqrt().max(1e-12 * self.level.abs()).max(f64::MIN_POSITIVE))
    }
}

fn damped_sum(damping: f64, steps: usize) -> f64 {
    if damping >= 1.0 {
        steps as f64
    } else {
        damping * (1.0 - damping.powi(i32::try_from(steps).unwrap_or(i32::MAX))) / (1.0 - damping)
    }
}

/// Short gaps are filled with what was there before; more gaps than values are no series.
fn filled(values: &[f64]) -> Option<Vec<f64>> {
    let known = values.iter().filter(|value| value.is_finite()).count();
    if known < POINT_COUNT_MIN || known * 2 < values.len() {
        return None;
    }
    let mut last = values.iter().copied().find(|value| value.is_finite())?;
    Some(
        values
            .iter()
            .map(|value| {
                if value.is_finite() {
                    last = *value;
                }
                last
            })
            .collect(),
    )
}

fn phase(season: &[f64], at: usize) -> f64 {
    season.get(at % season.len().max(1)).copied().unwrap_or(0.0)
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    match (values.get(values.len().saturating_sub(1) / 2), values.get(values.len() / 2)) {
        (Some(low), Some(high)) => f64::midpoint(*low, *high),
        _ => 0.0,
    }
}

/// The season by phase, if there is one.
fn seasonal(values: &[f64], period: usize) -> Option<Vec<f64>> {
    // The trend: a mean over a whole period, at the ends carried on by the local slope.
    let half = period / 2;
    let trend: Vec<f64> = (0..values.len())
        .map(|at| {
            let middle = at.clamp(half, values.len().saturating_sub(period - half).max(half));
            let window = values.get(middle - half..(middle - half + period).min(values.len())).unwrap_or(values);
            window.iter().sum::<f64>() / window.len().max(1) as f64
        })
        .collect();
    let slope = theil_sen(&trend, 0.9).map_or(0.0, |trend| trend.slope);
    let ends = |at: usize| at as f64 - at.clamp(half, values.len().saturating_sub(period - half).max(half)) as f64;
    let left: Vec<f64> =
        values.iter().zip(&trend).enumerate().map(|(at, (value, trend))| value - trend - slope * ends(at)).collect();
    let mut season: Vec<f64> =
        (0..period).map(|phase| median(left.iter().skip(phase).step_by(period).copied().collect())).collect();
    let centre = season.iter().sum::<f64>() / period as f64;
    season.iter_mut().for_each(|value| *value -= centre);
    let variance = |parts: &[f64]| {
        let mean = parts.iter().sum::<f64>() / parts.len().max(1) as f64;
        parts.iter().map(|part| (part - mean).powi(2)).sum::<f64>() / parts.len().max(1) as f64
    };
    let rest: Vec<f64> = left.iter().enumerate().map(|(at, value)| value - phase(&season, at)).collect();
    (1.0 - variance(&rest) / variance(&left).max(f64::MIN_POSITIVE) >= SEASON_SHARE_MIN).then_some(season)
}

/// One model of exponential smoothing, fitted.
struct Smoothing {
    level: f64,
    slope: f64,
    damping: f64,
    alpha: f64,
    beta: f64,
    deviation: f64,
    criterion: f64,
}

impl Smoothing {
    fn fitted(values: &[f64], has_slope: bool, damping: f64) -> Self {
        let head = values.get(..values.len().min(12)).unwrap_or(values);
        let start = theil_sen(head, 0.9).map_or(0.0, |trend| trend.slope);
        let first = median(head.to_vec()) - start * (head.len() as f64 - 1.0) / 2.0;
        let start = if has_slope { start } else { 0.0 };
        let origin = if has_slope { first - start } else { median(head.to_vec()) };
        let run = |alpha: f64, beta: f64| smooth(values, origin, start, damping, alpha, beta);
        let betas: &[f64] = if has_slope { &[0.0, 0.02, 0.1, 0.3] } else { &[0.0] };
        let mut best = (f64::MAX, 0.1, 0.0);
        for alpha in TRIED {
            for share in betas {
                let squared = run(alpha, alpha * share).2;
                if squared < best.0 {
                    best = (squared, alpha, *share);
                }
            }
        }
        // Then nearer and nearer around the best.
        let mut reach = 0.5;
        for _ in 0..6 {
            for (alpha, share) in [(1.0 - reach, 1.0), (1.0 + reach, 1.0), (1.0, 1.0 - reach), (1.0, 1.0 + reach)] {
                let (alpha, share) = ((best.1 * alpha).clamp(0.005, 0.99), (best.2 * share).clamp(0.0, 0.99));
                let squared = run(alpha, alpha * share).2;
                if squared < best.0 {
                    best = (squared, alpha, share);
                }
            }
            reach *= 0.6;
        }
        let (squared, alpha, share) = best;
        let (level, slope, _) = run(alpha, alpha * share);
        let count = values.len() as f64;
        let parameters = 3.0 + if has_slope { 2.0 } else { 0.0 } + if damping < 1.0 { 1.0 } else { 0.0 };
        let criterion = count * (squared / count).max(f64::MIN_POSITIVE).ln()
            + 2.0 * parameters
            + 2.0 * parameters * (parameters + 1.0) / (count - parameters - 1.0).max(1.0);
        let deviation = (squared / (count - parameters).max(1.0)).sqrt();
        Self { level, slope, damping, alpha, beta: alpha * share, deviation, criterion }
    }
}

/// Level, slope and the sum of squared one-step errors behind the last value.
fn smooth(values: &[f64], mut level: f64, mut slope: f64, damping: f64, alpha: f64, beta: f64) -> (f64, f64, f64) {
    let mut squared = 0.0;
    for value in values {
        let expected = level + damping * slope;
        let error = value - expected;
        level = expected + alpha * error;
        slope = damping * slope + beta * error;
        squared += error * error;
    }
    (level, slope, squared)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::normal::Random;

    const ABOVE_100: Limit = Limit { value: 100.0, side: Side::Above };

    fn series(seed: u64, count: usize, noise: f64, mean: impl Fn(f64) -> f64) -> Vec<f64> {
        let mut random = Random(seed);
        (0..count).map(|at| mean(at as f64) + noise * random.normal()).collect()
    }

    #[test]
    fn a_line_is_carried_on() {
        let values = series(1, 80, 1.0, |at| 20.0 + at);
        let forecast = fit(&values, None).unwrap();
        assert!((forecast.mean(10) - 109.0).abs() < 3.0, "{}", forecast.mean(10));
        let found = crossing(&forecast, ABOVE_100, 30, 0.9).unwrap();
        assert!(
            (found.in_steps - 1.0).abs() <= 3.0 && found.certainty > 0.99 && found.earliest_steps <= found.in_steps,
            "{found:?}"
        );
        let (low, high) = forecast.interval(10, 1.96);
        assert!(low < 109.0 && high > 109.0 && high - low < 12.0, "{low} {high}");
    }

    #[test]
    fn the_interval_holds_the_value_as_often_as_it_says() {
        let mut held = 0;
        for seed in 0..200 {
            let values = series(seed, 110, 5.0, |at| 50.0 + 0.3 * at);
            let (low, high) = fit(&values[..100], None).unwrap().interval(10, 1.96);
            held += usize::from((low..=high).contains(&values[109]));
        }
        assert!((178..=199).contains(&held), "{held} of 200");
    }

    #[test]
    fn a_season_is_known_and_its_peak_foreseen() {
        let wave = |at: f64| 60.0 + 30.0 * (at * std::f64::consts::TAU / 24.0).sin() + 0.25 * at;
        let values = series(2, 72, 2.0, wave);
        let forecast = fit(&values, Some(24)).unwrap();
        assert!((forecast.mean(6) - wave(77.0)).abs() < 7.0, "{} {}", forecast.mean(6), wave(77.0));
        let found = crossing(&forecast, ABOVE_100, 12, 0.8).unwrap();
        assert!((3.0..=7.0).contains(&found.in_steps), "{found:?}");
        let still = series(3, 72, 2.0, |at| 60.0 + 30.0 * (at * std::f64::consts::TAU / 24.0).sin());
        assert_eq!(crossing(&fit(&still, Some(24)).unwrap(), ABOVE_100, 24, 0.9), None);
    }

    #[test]
    fn what_stays_or_levels_off_is_not_foretold_to_cross() {
        let mut called = 0;
        for seed in 0..100 {
            let still = series(seed, 120, 6.0, |_| 80.0);
            let levelling = series(1_000 + seed, 120, 1.0, |at| 85.0 - 60.0 * (-at / 20.0).exp());
            for values in [still, levelling] {
                called += usize::from(crossing(&fit(&values, None).unwrap(), ABOVE_100, 60, 0.9).is_some());
            }
        }
        assert!(called <= 4, "{called} of 200");
    }

    #[test]
    fn below_is_the_mirror_of_above() {
        let values = series(4, 60, 1.0, |at| 100.0 - at);
        let found = crossing(&fit(&values, None).unwrap(), Limit { value: 20.0, side: Side::Below }, 40, 0.9).unwrap();
        assert!((found.in_steps - 21.0).abs() <= 3.0, "{found:?}");
    }

    #[test]
    fn too_little_is_no_series() {
        assert!(fit(&[1.0; 19], None).is_none());
        let mut holes = vec![f64::NAN; 100];
        holes[..30].fill(1.0);
        assert!(fit(&holes, None).is_none());
        assert!(fit(&[3.0; 40], None).is_some_and(|flat| (flat.mean(5) - 3.0).abs() < 1e-9));
    }
}
