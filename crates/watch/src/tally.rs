//! What a stretch of time adds up to: counts and sums, which merge exactly.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::grid::Reference;
use crate::limits::{CALLER_COUNT_MAX, CLASS_COUNT_MAX, OTHERS};
use crate::sample::{Sample, Verdict, cut};

/// Upper ends of the latency's cells in microseconds; a last cell has what took longer.
pub const LATENCY_EDGES_US: [u64; 11] = [100, 250, 500, 1_000, 2_500, 5_000, 10_000, 25_000, 100_000, 500_000, 2_000_000];
/// Cells of confidence, of equal width.
pub const CONFIDENCE_CELL_COUNT: usize = 10;

/// Counts of a stretch of time.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Tally {
    /// Requests that were answered.
    pub answered: u64,
    /// Requests that did not fit.
    pub invalid: u64,
    /// Requests that were held back.
    pub limited: u64,
    /// Requests that the model or the server failed on.
    pub failed: u64,
    /// Rows of those answered.
    pub rows: u64,
    /// Time of those answered, together.
    pub latency_us: u64,
    /// Requests by time, in the cells of [`LATENCY_EDGES_US`].
    pub latencies: Vec<u64>,
    /// Rows by cell, for each column of the reference; empty as long as there is none.
    pub cells: Vec<Vec<u64>>,
    /// Values outside of what was seen in training.
    pub outside: u64,
    /// Of those with probabilities, by how sure the model was.
    pub confidence: Vec<ConfidenceBin>,
    /// Class by class.
    pub classes: BTreeMap<String, ClassTally>,
    /// Caller by caller.
    pub callers: BTreeMap<String, CallerTally>,
}

/// Rows of about one confidence.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ConfidenceBin {
    /// How many.
    pub count: u64,
    /// The probabilities of their chosen classes, together.
    pub expected: f64,
    /// The variances of being right, together.
    pub variance: f64,
}

/// A class.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ClassTally {
    /// Rows that were given it.
    pub predicted: u64,
    /// How many of those are expected to be right.
    pub expected_hits: f64,
    /// How many rows of it there are expected to be.
    pub expected: f64,
}

/// A caller.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct CallerTally {
    /// Requests.
    pub requests: u64,
    /// Of which the caller's own fault: did not fit, or held back.
    pub faults: u64,
    /// Rows.
    pub rows: u64,
}

impl Tally {
    /// Takes a request; its rows are counted in the cells of `reference`, if there is one.
    pub fn add(&mut self, sample: &Sample<'_>, reference: Option<&Reference>) {
        let counter = match sample.verdict {
            Verdict::Answered => &mut self.answered,
            Verdict::Invalid => &mut self.invalid,
            Verdict::Limited => &mut self.limited,
            Verdict::Failed => &mut self.failed,
        };
        *counter += 1;
        let caller = entry(&mut self.callers, sample.caller, CALLER_COUNT_MAX);
        caller.requests += 1;
        caller.faults += u64::from(matches!(sample.verdict, Verdict::Invalid | Verdict::Limited));
        if sample.verdict != Verdict::Answered {
            return;
        }
        caller.rows += sample.row_count as u64;
        self.rows += sample.row_count as u64;
        self.latency_us = self.latency_us.saturating_add(sample.latency_us);
        self.latencies.resize(LATENCY_EDGES_US.len() + 1, 0);
        let slot = LATENCY_EDGES_US.partition_point(|edge| *edge < sample.latency_us);
        if let Some(count) = self.latencies.get_mut(slot) {
            *count += 1;
        }
        if let Some(reference) = reference {
            self.add_cells(sample, reference);
        }
        self.add_predictions(sample);
    }

    fn add_cells(&mut self, sample: &Sample<'_>, reference: &Reference) {
        self.cells.resize(reference.columns.len(), Vec::new());
        for (place, (was, cells)) in reference.columns.iter().zip(&mut self.cells).enumerate() {
            cells.resize(was.grid.cell_count(), 0);
            // Without names, the place is the name.
            let Some(column) = sample.column(place, &was.name) else { continue };
            for row in 0..sample.row_count {
                let value = column.of_row(row);
                if let Some(count) = cells.get_mut(was.grid.cell(value)) {
                    *count += 1;
                }
                if let (Some((low, high)), crate::sample::One::Number(number)) = (was.range, value) {
                    self.outside += u64::from(number < low || number > high);
                }
            }
        }
    }

    fn add_predictions(&mut self, sample: &Sample<'_>) {
        let Some(predicted) = sample.predicted else { return };
        let Some(probabilities) = sample.probabilities.filter(|one| one.width > 0) else {
            // Without probabilities only classes can be counted: numbers that are no classes would each be one.
            if !sample.classes.is_empty() || matches!(predicted, crate::Values::Text(_) | crate::Values::I64(_)) {
                for name in (0..sample.row_count).filter_map(|row| predicted.name(row)) {
                    entry(&mut self.classes, &name, CLASS_COUNT_MAX).predicted += 1;
                }
            }
            return;
        };
        self.confidence.resize(CONFIDENCE_CELL_COUNT, ConfidenceBin::default());
        for row in 0..sample.row_count {
            let first = row * probabilities.width;
            let chances = (0..probabilities.width).map(|at| probabilities.values.number(first + at).unwrap_or(0.0));
            let chances: Vec<f64> = chances.map(|chance| chance.clamp(0.0, 1.0)).collect();
            let name_of = |at: usize| sample.classes.get(at).cloned().unwrap_or_else(|| at.to_string());
            let Some((best, sure)) = chances.iter().copied().enumerate().max_by(|left, right| left.1.total_cmp(&right.1)) else {
                continue;
            };
            for (at, chance) in chances.iter().enumerate() {
                entry(&mut self.classes, &name_of(at), CLASS_COUNT_MAX).expected += chance;
            }
            let class = entry(&mut self.classes, &name_of(best), CLASS_COUNT_MAX);
            class.predicted += 1;
            class.expected_hits += sure;
            let slot = ((sure * CONFIDENCE_CELL_COUNT as f64) as usize).min(CONFIDENCE_CELL_COUNT - 1);
            if let Some(bin) = self.confidence.get_mut(slot) {
                bin.count += 1;
                bin.expected += sure;
                bin.variance += sure * (1.0 - sure);
            }
        }
    }

    /// Adds another stretch of time of the same version.
    pub fn merge(&mut self, other: &Self) {
        self.answered += other.answered;
        self.invalid += other.invalid;
        self.limited += other.limited;
        self.failed += other.failed;
        self.rows += other.rows;
        self.latency_us = self.latency_us.saturating_add(other.latency_us);
        self.outside += other.outside;
        add_counts(&mut self.latencies, &other.latencies);
        self.cells.resize(self.cells.len().max(other.cells.len()), Vec::new());
        for (own, their) in self.cells.iter_mut().zip(&other.cells) {
            add_counts(own, their);
        }
        self.confidence.resize(self.confidence.len().max(other.confidence.len()), ConfidenceBin::default());
        for (own, their) in self.confidence.iter_mut().zip(&other.confidence) {
            own.count += their.count;
            own.expected += their.expected;
            own.variance += their.variance;
        }
        for (name, their) in &other.classes {
            let own = entry(&mut self.classes, name, CLASS_COUNT_MAX);
            own.predicted += their.predicted;
            own.expected_hits += their.expected_hits;
            own.expected += their.expected;
        }
        for (name, their) in &other.callers {
            let own = entry(&mut self.callers, name, CALLER_COUNT_MAX);
            own.requests += their.requests;
            own.faults += their.faults;
            own.rows += their.rows;
        }
    }

    /// All requests.
    #[must_use]
    pub const fn requests(&self) -> u64 {
        self.answered + self.invalid + self.limited + self.failed
    }

    /// The share of requests that the model or the server failed on, of those that were not the caller's fault.
    #[must_use]
    pub fn failed_share(&self) -> Option<f64> {
        let of = self.answered + self.failed;
        (of > 0).then(|| self.failed as f64 / of as f64)
    }

    /// The mean time of an answer.
    #[must_use]
    pub fn mean_latency_us(&self) -> Option<f64> {
        (self.answered > 0).then(|| self.latency_us as f64 / self.answered as f64)
    }

    /// How many answers took longer than this, which is taken up to the next edge of the cells.
    #[must_use]
    pub fn slower_than(&self, limit_us: u64) -> u64 {
        let first = LATENCY_EDGES_US.partition_point(|edge| *edge < limit_us);
        self.latencies.iter().skip(first + 1).sum()
    }

    /// The time within which this share of the answers came: the upper end of its cell, so never told too short but for answers
    /// beyond the last edge. None if nothing was answered.
    #[must_use]
    pub fn latency_us_at(&self, share: f64) -> Option<u64> {
        let total: u64 = self.latencies.iter().sum();
        let wanted = (total as f64 * share).ceil().max(1.0) as u64;
        let mut seen = 0;
        let reached = |count: &u64| {
            seen += count;
            seen >= wanted
        };
        let cell = self.latencies.iter().position(reached)?;
        LATENCY_EDGES_US.get(cell).or(LATENCY_EDGES_US.last()).copied()
    }
}

fn add_counts(own: &mut Vec<u64>, their: &[u64]) {
    own.resize(own.len().max(their.len()), 0);
    own.iter_mut().zip(their).for_each(|(own, their)| *own += their);
}

/// The entry of a name; of one too many, that of all others.
fn entry<'a, T: Default>(map: &'a mut BTreeMap<String, T>, name: &str, count_max: usize) -> &'a mut T {
    let name = cut(name);
    let known = map.contains_key(name) || map.len() < count_max;
    map.entry(if known { name } else { OTHERS }.to_owned()).or_default()
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::grid::{ColumnReference, Grid};
    use crate::sample::{CallerClass, Column, Probabilities, Values};

    pub(crate) fn sample<'a>(columns: &'a [Column<'a>], rows: usize, caller: &'a str) -> Sample<'a> {
        Sample {
            at_us: 0,
            workspace: "w",
            endpoint: "e",
            version: "m/1",
            prediction: Some("p"),
            caller,
            caller_class: CallerClass::Service,
            row_count: rows,
            latency_us: 700,
            verdict: Verdict::Answered,
            columns,
            classes: &[],
            predicted: None,
            predicts_classes: false,
            probabilities: None,
        }
    }

    fn reference() -> Reference {
        let column = ColumnReference {
            name: "x".to_owned(),
            grid: Grid::Numbers(vec![0.0]),
            counts: vec![50, 50, 0, 0],
            range: Some((-1.0, 1.0)),
        };
        Reference { origin: String::new(), columns: vec![column] }
    }

    #[test]
    fn a_request_is_counted() {
        let values = [-0.5, 0.5, 3.0, f64::NAN];
        let columns = [Column { name: "x", values: Values::F64(&values), first: 0, stride: 1 }];
        let classes = ["no".to_owned(), "yes".to_owned()];
        let chances = [0.9, 0.1, 0.2, 0.8, 0.4, 0.6, 0.5, 0.5];
        let asked = Sample {
            classes: &classes,
            predicted: Some(Values::I64(&[0, 1, 1, 1])),
            probabilities: Some(Probabilities { values: Values::F64(&chances), width: 2 }),
            ..sample(&columns, 4, "c")
        };
        let mut tally = Tally::default();
        tally.add(&asked, Some(&reference()));
        assert_eq!((tally.answered, tally.rows, tally.outside), (1, 4, 1));
        assert_eq!(tally.cells, vec![vec![1, 2, 0, 1]]);
        assert_eq!((tally.classes["no"].predicted, tally.classes["yes"].predicted), (1, 3));
        assert!((tally.classes["yes"].expected - 2.0).abs() < 1e-9);
        assert!((tally.classes["yes"].expected_hits - 1.9).abs() < 1e-9);
        assert_eq!((tally.slower_than(500), tally.slower_than(1_000)), (1, 0));
        tally.add(&Sample { verdict: Verdict::Invalid, ..asked }, Some(&reference()));
        assert_eq!((tally.requests(), tally.rows, tally.callers["c"].faults), (2, 4, 1));
    }

    #[test]
    fn parts_merge_to_the_whole() {
        let (mut whole, mut first, mut second) = (Tally::default(), Tally::default(), Tally::default());
        for at in 0..200 {
            let values = [f64::from(at % 7) - 3.0];
            let columns = [Column { name: "x", values: Values::F64(&values), first: 0, stride: 1 }];
            let caller = format!("c{}", at % 5);
            let asked = sample(&columns, 1, &caller);
            whole.add(&asked, Some(&reference()));
            if at % 3 == 0 { &mut first } else { &mut second }.add(&asked, Some(&reference()));
        }
        let mut merged = second.clone();
        merged.merge(&first);
        assert_eq!(merged, whole);
        let text = serde_json::to_string(&whole).unwrap();
        assert_eq!(serde_json::from_str::<Tally>(&text).unwrap(), whole);
    }

    #[test]
    fn many_callers_and_classes_stay_few() {
        let mut tally = Tally::default();
        for at in 0..500 {
            let (caller, class) = (format!("c{at}"), [format!("k{at}")]);
            tally.add(&Sample { predicted: Some(Values::Text(&class)), ..sample(&[], 1, &caller) }, None);
        }
        assert_eq!((tally.callers.len(), tally.classes.len()), (CALLER_COUNT_MAX + 1, CLASS_COUNT_MAX + 1));
        assert_eq!(tally.callers[OTHERS].requests, 500 - CALLER_COUNT_MAX as u64);
    }
}
