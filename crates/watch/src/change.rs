//! When the level of a series of numbers changed: Bayesian online change point detection (Adams and MacKay 2007) with a normal model of unknown
//! mean and variance, over run lengths that are bounded.

use serde::{Deserialize, Serialize};

/// Run lengths that are told apart.
const RUN_LENGTH_MAX: usize = 400;
/// The chance of a change at a step.
const HAZARD: f64 = 1.0 / 250.0;
/// How sure it must be that the newest run began lately.
const CERTAINTY_MIN: f64 = 0.9;
/// Points of a run before it may be called.
const RUN_MIN: usize = 3;
/// Points that say what is usual, before a change can be called.
const WARM_UP: usize = 12;

/// A change.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct ChangePoint {
    /// The first point after it.
    pub at: usize,
    /// How sure that is.
    pub certainty: f64,
    /// The median before it.
    pub before: f64,
    /// The median since.
    pub after: f64,
}

/// A run's normal-gamma beliefs.
#[derive(Clone, Copy, Debug)]
struct Run {
    /// The logarithm of its chance.
    log_chance: f64,
    count: f64,
    mean: f64,
    kappa: f64,
    alpha: f64,
    beta: f64,
}

/// Watches one series.
#[derive(Clone, Debug, Default)]
pub struct Detector {
    runs: Vec<Run>,
    seen: Vec<f64>,
    /// Centre and scale of the first points: what is usual.
    usual: Option<(f64, f64)>,
    called_at: usize,
}

impl Detector {
    /// Takes the next point; gives the change that has become certain with it, once.
    pub fn step(&mut self, value: f64) -> Option<ChangePoint> {
        if !value.is_finite() {
            return None;
        }
        self.seen.push(value);
        if self.usual.is_none() {
            if self.seen.len() >= WARM_UP {
                self.usual = Some(centre_and_scale(&self.seen));
                for value in self.seen.clone() {
                    self.learn(value);
                }
            }
            return None;
        }
        self.learn(value);
        self.certain_change()
    }

    fn learn(&mut self, value: f64) {
        let (centre, scale) = self.usual.unwrap_or((0.0, 1.0));
        // Wild points are held: one of them is no change.
        let x = ((value - centre) / scale).clamp(-1e4, 1e4);
        let fresh = Run { log_chance: 0.0, count: 0.0, mean: 0.0, kappa: 0.05, alpha: 1.0, beta: 1.0 };
        if self.runs.is_empty() {
            self.runs.push(fresh);
        }
        let weights: Vec<f64> = self.runs.iter().map(|run| run.log_chance + run.log_density(x)).collect();
        let born = log_sum(&weights) + HAZARD.ln();
        let mut next = vec![Run { log_chance: born, ..fresh }];
        for (run, weight) in self.runs.iter().zip(weights) {
            next.push(Run { log_chance: weight + (1.0 - HAZARD).ln(), ..run.updated(x) });
        }
        if next.len() > RUN_LENGTH_MAX {
            // The two longest are one.
            let last = next.pop();
            if let (Some(last), Some(kept)) = (last, next.last_mut()) {
                kept.log_chance = log_sum(&[kept.log_chance, last.log_chance]);
            }
        }
        let total = log_sum(&next.iter().map(|run| run.log_chance).collect::<Vec<_>>());
        next.iter_mut().for_each(|run| run.log_chance -= total);
        self.runs = next;
    }

    fn certain_change(&mut self) -> Option<ChangePoint> {
        let likely = self.runs.iter().max_by(|left, right| left.log_chance.total_cmp(&right.log_chance))?;
        let length = likely.count as usize;
        let at = self.seen.len().checked_sub(length)?;
        if length < RUN_MIN || at < WARM_UP / 2 || at <= self.called_at + RUN_MIN {
            return None;
        }
        // A run that began a point earlier or later tells of the same change.
        let near = self.runs.iter().filter(|run| (run.count - likely.count).abs() <= 2.0).map(|run| run.log_chance.exp());
        let certainty = near.sum::<f64>().min(1.0);
        if certainty < CERTAINTY_MIN || self.seen.len() < WARM_UP + RUN_MIN {
            return None;
        }
        let (before, after) = self.seen.split_at(at);
        let ((before, scale), (after, _)) = (centre_and_scale(before.get(self.called_at..)?), centre_and_scale(after));
        // Behind one wild point a new run begins too, at the level that there was.
        if (after - before).abs() < scale {
            return None;
        }
        self.called_at = at;
        Some(ChangePoint { at, certainty, before, after })
    }
}

impl Run {
    /// Student's predictive density.
    fn log_density(&self, x: f64) -> f64 {
        let freedom = 2.0 * self.alpha;
        let variance = self.beta * (self.kappa + 1.0) / (self.alpha * self.kappa);
        let squared = (x - self.mean).powi(2) / variance;
        ln_gamma_half_step(freedom)
            - 0.5 * (freedom * std::f64::consts::PI * variance).ln()
            - 0.5 * (freedom + 1.0) * (squared / freedom).ln_1p()
    }

    fn updated(&self, x: f64) -> Self {
        let kappa = self.kappa + 1.0;
        Self {
            log_chance: 0.0,
            count: self.count + 1.0,
            mean: (self.kappa * self.mean + x) / kappa,
            kappa,
            alpha: self.alpha + 0.5,
            beta: self.beta + 0.5 * self.kappa * (x - self.mean).powi(2) / kappa,
        }
    }
}

/// `ln Γ((v+1)/2) − ln Γ(v/2)`, by Stirling's series after moving up (error below 1e-9).
fn ln_gamma_half_step(freedom: f64) -> f64 {
    ln_gamma(0.5 * (freedom + 1.0)) - ln_gamma(0.5 * freedom)
}

fn ln_gamma(x: f64) -> f64 {
    let (mut x, mut product) = (x, 1.0);
    while x < 8.0 {
        product *= x;
        x += 1.0;
    }
    let square = x * x;
    (x - 0.5) * x.ln() - x
        + 0.5 * (2.0 * std::f64::consts::PI).ln()
        + (1.0 / 12.0 - (1.0 / 360.0 - 1.0 / (1_260.0 * square)) / square) / x
        - f64::ln(product)
}

fn log_sum(logs: &[f64]) -> f64 {
    let most = logs.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    if most.is_finite() { most + logs.iter().map(|log| (log - most).exp()).sum::<f64>().ln() } else { most }
}

/// The median, and the median distance from it as a standard deviation.
pub(crate) fn centre_and_scale(values: &[f64]) -> (f64, f64) {
    let median = |mut values: Vec<f64>| {
        values.sort_by(f64::total_cmp);
        values.get(values.len() / 2).copied().unwrap_or(0.0)
    };
    let centre = median(values.to_vec());
    let apart = 1.482_6 * median(values.iter().map(|value| (value - centre).abs()).collect());
    // Points that are all alike: any size that is small beside them.
    (centre, if apart > 0.0 { apart } else { (centre.abs() * 1e-3).max(1e-9) })
}

/// All changes of a series.
#[must_use]
pub fn change_points(values: &[f64]) -> Vec<ChangePoint> {
    let mut detector = Detector::default();
    values.iter().filter_map(|value| detector.step(*value)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::normal::Random;

    #[test]
    fn a_known_change_is_found_and_none_is_made_up() {
        let (mut false_calls, mut found, mut off) = (0, 0, Vec::new());
        for seed in 0..50 {
            let mut random = Random(seed);
            let still: Vec<f64> = (0..200).map(|_| 10.0 + random.normal()).collect();
            false_calls += change_points(&still).len();
            let changed: Vec<f64> = (0..200).map(|at| 10.0 + random.normal() + if at >= 120 { 3.0 } else { 0.0 }).collect();
            if let Some(change) = change_points(&changed).first() {
                found += 1;
                off.push(change.at.abs_diff(120));
            }
        }
        off.sort_unstable();
        assert!(false_calls <= 3, "{false_calls} calls in 50 series without a change");
        assert!(found >= 48 && off[found / 2] <= 1, "{found}: {off:?}");
    }

    #[test]
    fn what_cannot_be_told_is_not_called() {
        assert!(change_points(&[5.0; 100]).is_empty());
        assert!(change_points(&[f64::NAN; 100]).is_empty());
        assert!(change_points(&[1.0, 50.0, 2.0]).is_empty());
        let mut one_wild = vec![5.0; 60];
        (0..60).for_each(|at| one_wild[at] += f64::from(u8::try_from(at % 5).unwrap()) * 0.1);
        one_wild[40] = 90.0;
        assert!(change_points(&one_wild).is_empty(), "{:?}", change_points(&one_wild));
    }

    #[test]
    fn the_gamma_function_is_right() {
        for (x, expected) in [(0.5, 0.572_364_942_9), (1.0, 0.0), (4.5, 2.453_736_570_8), (30.0, 71.257_038_967_2)] {
            assert!((ln_gamma(x) - expected).abs() < 1e-8, "{x}");
        }
    }
}
