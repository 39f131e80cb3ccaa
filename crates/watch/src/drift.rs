//! Drift of a stream against what its model was trained on, judged step by step over windows of many lengths at once: a large
//! change is seen in a short window, a small one in a long window.
//!
//! Numbers are compared by Kolmogorov and Smirnov's distance over their cells and by chi-squared, names by chi-squared, missing values
//! by two shares. Over the columns the false discovery rate is bounded (Benjamini and Hochberg 1995), over windows and steps each look
//! may call by chance only as often as [`DriftConfig::false_alarm_share`] says, and what is called must also be large enough to matter.
//!
//! INVARIANT: a stream that stays as it was is called no more often than configured: `tests::a_stream_that_stays_is_not_called`.

use std::collections::VecDeque;

use profile::drift::{chi_squared, false_discovery_rates, kolmogorov_smirnov, two_shares};
use serde::{Deserialize, Serialize};

use crate::grid::{ColumnReference, Reference};

/// What a cell must be expected to hold to stand by itself. Far out in the tail, where alarms are, Cochran's 5 is too few.
const EXPECTED_MIN: f64 = 8.0;
/// Rows that a window must have to be judged.
const ROWS_MIN: u64 = 30;
/// Lengths of windows: 1, 2, 4, … steps.
const LENGTH_COUNT: u32 = 11;
/// The share that takes the place of none in the stability index.
const SHARE_MIN: f64 = 1e-4;

/// What counts as drift.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct DriftConfig {
    /// How often a look at one window may call by chance. There are up to eleven windows a step: at a step a minute, 1e-6 is less than
    /// one false alarm in two months.
    pub false_alarm_share: f64,
    /// The share of rows that must have moved.
    pub moved_share_min: f64,
}

impl Default for DriftConfig {
    fn default() -> Self {
        Self { false_alarm_share: 1e-6, moved_share_min: 0.05 }
    }
}

/// How a column compares with its reference now.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ColumnState {
    /// The column.
    pub column: String,
    /// The false discovery rate at which it would be called.
    pub false_discovery_rate: f64,
    /// The share of rows that moved.
    pub moved_share: f64,
    /// The population stability index, because people know it. It decides nothing.
    pub stability_index: f64,
    /// What changed most, in words.
    pub change: String,
}

/// Drift that was found.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Drift {
    /// The columns that drifted, the most moved first.
    pub columns: Vec<ColumnState>,
    /// Steps of the window in which it shows.
    pub window_steps: usize,
    /// Rows of that window.
    pub row_count: u64,
    /// How many steps ago it began.
    pub began_steps_ago: usize,
}

/// Watches a stream.
#[derive(Clone, Debug)]
pub struct Monitor {
    reference: Reference,
    config: DriftConfig,
    /// By step, the newest last: cells by column.
    steps: VecDeque<Vec<Vec<u64>>>,
}

impl Monitor {
    /// Against a reference.
    #[must_use]
    pub const fn new(reference: Reference, config: DriftConfig) -> Self {
        Self { reference, config, steps: VecDeque::new() }
    }

    /// Takes the cells of a step without judging them.
    pub fn push(&mut self, cells: Vec<Vec<u64>>) {
        if self.steps.len() >= 1 << (LENGTH_COUNT - 1) {
            self.steps.pop_front();
        }
        self.steps.push_back(cells);
    }

    /// Takes the cells of a step, and says whether the stream has drifted.
    pub fn step(&mut self, cells: Vec<Vec<u64>>) -> Option<Drift> {
        self.push(cells);
        self.judge()
    }

    /// Whether the stream has drifted, as far as it is known: in the shortest window that shows it.
    #[must_use]
    pub fn judge(&self) -> Option<Drift> {
        let mut window: Vec<Vec<f64>> = self.reference.columns.iter().map(|was| vec![0.0; was.counts.len()]).collect();
        let mut length = 1;
        for (at, cells) in self.steps.iter().rev().enumerate() {
            for (sum, step) in window.iter_mut().zip(cells) {
                sum.iter_mut().zip(step).for_each(|(sum, count)| *sum += *count as f64);
            }
            let is_last = at + 1 == self.steps.len();
            if at + 1 == length || is_last {
                if let Some(drift) = self.judge_window(&window, at + 1) {
                    return Some(drift);
                }
                length *= 2;
            }
        }
        None
    }

    fn judge_window(&self, window: &[Vec<f64>], steps: usize) -> Option<Drift> {
        let row_count = window.iter().map(|cells| cells.iter().sum::<f64>()).fold(0.0, f64::max) as u64;
        if row_count < ROWS_MIN {
            return None;
        }
        let tested: Vec<Tested> = self.reference.columns.iter().zip(window).map(|(was, is)| Tested::new(was, is)).collect();
        let p_values: Vec<f64> = tested.iter().map(|one| one.p_value).collect();
        let rates = false_discovery_rates(&p_values);
        let mut columns: Vec<ColumnState> = Vec::new();
        for ((was, is), (one, rate)) in self.reference.columns.iter().zip(window).zip(tested.iter().zip(rates)) {
            if rate <= self.config.false_alarm_share && one.moved_share >= self.config.moved_share_min {
                columns.push(state(was, is, one, rate));
            }
        }
        if columns.is_empty() {
            return None;
        }
        columns.sort_by(|left, right| right.moved_share.total_cmp(&left.moved_share));
        let began_steps_ago = columns.first().map_or(steps, |first| self.began(&first.column));
        Some(Drift { columns, window_steps: steps, row_count, began_steps_ago })
    }

    /// All columns over the last `steps` steps, drifted or not.
    #[must_use]
    pub fn states(&self, steps: usize) -> Vec<ColumnState> {
        let mut window: Vec<Vec<f64>> = self.reference.columns.iter().map(|was| vec![0.0; was.counts.len()]).collect();
        for cells in self.steps.iter().rev().take(steps) {
            for (sum, step) in window.iter_mut().zip(cells) {
                sum.iter_mut().zip(step).for_each(|(sum, count)| *sum += *count as f64);
            }
        }
        let tested: Vec<Tested> = self.reference.columns.iter().zip(&window).map(|(was, is)| Tested::new(was, is)).collect();
        let rates = false_discovery_rates(&tested.iter().map(|one| one.p_value).collect::<Vec<_>>());
        let both = self.reference.columns.iter().zip(&window).zip(tested.iter().zip(rates));
        both.map(|((was, is), (one, rate))| state(was, is, one, rate)).collect()
    }

    /// When the drift of a column began, in steps before now: the split after which the rows fit the reference worst for their number
    /// (the generalised likelihood ratio of Lorden 1971, with a price for how many cells may move).
    fn began(&self, column: &str) -> usize {
        let Some(place) = self.reference.place(column) else { return self.steps.len() };
        let Some(was) = self.reference.columns.get(place) else { return self.steps.len() };
        let total = was.row_count() as f64;
        let cell_count = was.counts.len() as f64;
        let expected: Vec<f64> = was.counts.iter().map(|count| (*count as f64 + 0.5) / (total + 0.5 * cell_count)).collect();
        let mut sums = vec![0.0; expected.len()];
        let mut best = (f64::MIN, self.steps.len());
        for (at, cells) in self.steps.iter().rev().enumerate() {
            let Some(step) = cells.get(place) else { continue };
            sums.iter_mut().zip(step).for_each(|(sum, count)| *sum += *count as f64);
            let count: f64 = sums.iter().sum();
            if count < 1.0 {
                continue;
            }
            let term = |(sum, share): (&f64, &f64)| if *sum > 0.0 { sum * (sum / (count * share)).ln() } else { 0.0 };
            let ratio: f64 = sums.iter().zip(&expected).map(term).sum::<f64>() - 0.5 * (cell_count - 1.0) * count.ln();
            if ratio > best.0 {
                best = (ratio, at + 1);
            }
        }
        best.1
    }
}

/// How one column's window compares.
struct Tested {
    p_value: f64,
    moved_share: f64,
}

impl Tested {
    fn new(was: &ColumnReference, is: &[f64]) -> Self {
        let before: Vec<f64> = was.counts.iter().map(|count| *count as f64).collect();
        let (total_before, total) = (before.iter().sum::<f64>(), is.iter().sum::<f64>());
        if total < 1.0 || total_before < 1.0 {
            return Self { p_value: 1.0, moved_share: 0.0 };
        }
        let (missing_before, missing) = (before.last().copied().unwrap_or(0.0), is.last().copied().unwrap_or(0.0));
        let shares = (missing_before / total_before, missing / total);
        let mut chances = vec![missing_chance(shares, (total_before, total))];
        let mut moved_share = (shares.0 - shares.1).abs();
        let present = before.len().saturating_sub(1);
        let (values_before, values): (Vec<f64>, Vec<f64>) =
            (before.iter().take(present).copied().collect(), is.iter().take(present).copied().collect());
        let (count_before, count) = (values_before.iter().sum::<f64>(), values.iter().sum::<f64>());
        if count >= ROWS_MIN as f64 && count_before >= ROWS_MIN as f64 {
            if let Some(chance) = cells_chance(&values_before, &values) {
                chances.push(chance);
            }
            let moved = values_before.iter().zip(&values).map(|(was, is)| (was / count_before - is / count).abs());
            let variation = 0.5 * moved.sum::<f64>();
            if was.grid.is_ordered() {
                let distance = greatest_distance(&values_before, &values);
                chances.push(kolmogorov_smirnov(distance, count_before * count / (count_before + count)));
                moved_share = moved_share.max(distance);
            }
            // What chance alone moves between so many cells is no change.
            let by_chance = by_chance(&values_before, count);
            moved_share = moved_share.max(variation - by_chance);
        }
        // Several tests of one column: Bonferroni.
        let least = chances.iter().copied().fold(1.0, f64::min);
        Self { p_value: (least * chances.len() as f64).min(1.0), moved_share }
    }
}

/// Two shares of missing values. Where one side has none, the normal test is too bold: then by the chance of seeing none at all.
fn missing_chance((before, after): (f64, f64), (count_before, count_after): (f64, f64)) -> f64 {
    if before <= 0.0 && after <= 0.0 {
        return 1.0;
    }
    let expected = (before * count_before + after * count_after) / (count_before + count_after) * count_after.min(count_before);
    if expected >= EXPECTED_MIN {
        return two_shares(before, count_before, after, count_after);
    }
    // The upper tail of a binomial, by Chernoff's bound (Chernoff 1952), with the reference's share held away from nought.
    let share = before.max(3.0 / count_before.max(3.0));
    if after <= share {
        return 1.0;
    }
    let divergence =
        after * (after / share).ln() + if after < 1.0 { (1.0 - after) * ((1.0 - after) / (1.0 - share)).ln() } else { 0.0 };
    (-count_after * divergence).exp().min(1.0)
}

/// The total variation that chance alone makes, about: half the sum of mean absolute deviations of the cells.
fn by_chance(before: &[f64], count: f64) -> f64 {
    let total: f64 = before.iter().sum();
    let deviation = |was: &f64| {
        let share = was / total;
        (2.0 / std::f64::consts::PI * share * (1.0 - share) * (1.0 / count + 1.0 / total)).sqrt()
    };
    0.5 * before.iter().map(deviation).sum::<f64>()
}

fn greatest_distance(before: &[f64], is: &[f64]) -> f64 {
    let (total_before, total) = (before.iter().sum::<f64>(), is.iter().sum::<f64>());
    let (mut apart, mut most) = (0.0_f64, 0.0_f64);
    for (was, now) in before.iter().zip(is) {
        apart += was / total_before - now / total;
        most = most.max(apart.abs());
    }
    most
}

/// Pearson's chance of equal distributions; neighbours share a cell where little is expected.
fn cells_chance(before: &[f64], is: &[f64]) -> Option<f64> {
    let (total_before, total) = (before.iter().sum::<f64>(), is.iter().sum::<f64>());
    let smaller = total_before.min(total) / (total_before + total);
    let mut lumped: Vec<(f64, f64)> = Vec::new();
    let mut open = (0.0, 0.0);
    for (was, now) in before.iter().zip(is) {
        open = (open.0 + was, open.1 + now);
        if (open.0 + open.1) * smaller >= EXPECTED_MIN {
            lumped.push(open);
            open = (0.0, 0.0);
        }
    }
    if let Some(last) = lumped.last_mut() {
        *last = (last.0 + open.0, last.1 + open.1);
    }
    if lumped.len() < 2 {
        return None;
    }
    let (left, right) = ((total / total_before).sqrt(), (total_before / total).sqrt());
    let statistic: f64 = lumped.iter().map(|(was, now)| (was * left - now * right).powi(2) / (was + now)).sum();
    Some(chi_squared(statistic, (lumped.len() - 1) as f64))
}

fn state(was: &ColumnReference, is: &[f64], tested: &Tested, rate: f64) -> ColumnState {
    let (total_before, total) = (was.row_count().max(1) as f64, is.iter().sum::<f64>().max(1.0));
    let shares: Vec<(f64, f64)> =
        was.counts.iter().zip(is).map(|(before, now)| (*before as f64 / total_before, now / total)).collect();
    let index = |(before, now): &(f64, f64)| {
        let (before, now) = (before.max(SHARE_MIN), now.max(SHARE_MIN));
        (now - before) * (now / before).ln()
    };
    let most = shares.iter().enumerate().max_by(|left, right| {
        let moved = |pair: &(f64, f64)| (pair.0 - pair.1).abs();
        moved(left.1).total_cmp(&moved(right.1))
    });
    let change = most.map_or_else(String::new, |(cell, (before, now))| {
        format!("{} went from {:.1} % to {:.1} % of the rows", was.grid.describe(cell), 100.0 * before, 100.0 * now)
    });
    ColumnState {
        column: was.name.clone(),
        false_discovery_rate: rate,
        moved_share: tested.moved_share,
        stability_index: shares.iter().map(index).sum(),
        change,
    }
}

#[cfg(test)]
#[path = "drift_tests.rs"]
mod tests;
