//! What changed between two profiles: for each column a statistic, how likely it is by chance, how much it is, and a
//! sentence. Pure: profiles in, a report out.
//!
//! A column has drifted if chance is an unlikely reason (the false discovery rate over all columns, Benjamini and Hochberg) *and*
//! the change is large enough to matter. With many rows everything is significant, with few nothing is; the population
//! stability index is shown because people know it, and decides nothing.
//!
//! INVARIANT: on two samples of one distribution no more columns are called than the rate allows, the sketches' errors
//! included: `tests::clean_splits_raise_no_alarm`.

mod cells;
mod column;
mod probability;
pub mod segments;

use serde::{Deserialize, Serialize};

pub use probability::{chi_squared, false_discovery_rates, hotelling, kolmogorov_smirnov, two_shares};

use crate::kind::Kind;
use crate::report::{ColumnProfile, Profile};

/// What counts as drift.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DriftOptions {
    /// Of the columns that are called drifted, the share that may be called so by chance.
    pub false_discovery_rate: f64,
    /// The share of rows that must have moved for a change to matter.
    pub moved_share_min: f64,
    /// The change in the share of missing values that matters.
    pub null_share_min: f64,
    /// The distance of mean vectors that matters, in standard deviations along the change.
    pub vector_distance_min: f64,
}

impl Default for DriftOptions {
    fn default() -> Self {
        Self { false_discovery_rate: 0.05, moved_share_min: 0.03, null_share_min: 0.01, vector_distance_min: 0.2 }
    }
}

/// How a change was tested.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Method {
    /// The greatest distance between two distributions of numbers.
    KolmogorovSmirnov,
    /// Counts of values, shapes or hours.
    ChiSquared,
    /// The mean vectors, projected on sixteen directions.
    Hotelling,
    /// Two shares.
    TwoShares,
}

/// One test of one column.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Test {
    /// What of the column: `values`, `missing values`, `lengths`, ….
    pub subject: String,
    /// How it was tested.
    pub method: Method,
    /// The statistic of that method.
    pub statistic: f64,
    /// How likely it is to be as large by chance.
    pub p_value: f64,
    /// How much changed, mostly as a share of the rows.
    pub effect: f64,
    /// The effect that matters.
    pub effect_min: f64,
    /// What changed, in words.
    pub change: String,
}

/// What changed in a column.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ColumnDrift {
    /// The column.
    pub name: String,
    /// Whether it drifted.
    pub drifted: bool,
    /// Why, or why not, in a sentence.
    pub reason: String,
    /// How likely the change is by chance, over all tests of the column.
    pub p_value: f64,
    /// The false discovery rate at which the column would be called.
    pub false_discovery_rate: f64,
    /// The largest effect of a test, as a multiple of what matters.
    pub effect_of_minimum: f64,
    /// The population stability index, where there are values to count.
    pub stability_index: Option<f64>,
    /// The Jensen-Shannon distance, from 0 to 1, of the same counts.
    pub jensen_shannon: Option<f64>,
    /// Whether its type changed.
    pub type_changed: bool,
    /// Every test.
    pub tests: Vec<Test>,
    /// What else is worth knowing.
    pub notes: Vec<String>,
}

/// What changed between two tables.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DriftReport {
    /// What was asked.
    pub options: DriftOptions,
    /// Rows of the reference.
    pub reference_row_count: u64,
    /// Rows of what is compared with it.
    pub current_row_count: u64,
    /// The columns that both have.
    pub columns: Vec<ColumnDrift>,
    /// Columns that only the current table has.
    pub new_columns: Vec<String>,
    /// Columns that only the reference has.
    pub lost_columns: Vec<String>,
}

impl DriftReport {
    /// The columns that drifted.
    pub fn drifted(&self) -> impl Iterator<Item = &ColumnDrift> {
        self.columns.iter().filter(|column| column.drifted)
    }

    /// Whether anything changed that matters: a column drifted, came or went.
    #[must_use]
    pub fn has_drift(&self) -> bool {
        self.drifted().next().is_some() || !self.new_columns.is_empty() || !self.lost_columns.is_empty()
    }
}

/// Compares a table with its reference, column by column. Of columns with one name the first is paired with the first.
#[must_use]
pub fn compare(reference: &Profile, current: &Profile, options: &DriftOptions) -> DriftReport {
    let (pairs, new_columns, lost_columns) = paired(reference, current);
    let mut columns: Vec<ColumnDrift> = pairs.iter().map(|(was, is)| column::compare(was, is, options)).collect();
    let tested: Vec<f64> = columns.iter().filter(|column| !column.tests.is_empty()).map(|column| column.p_value).collect();
    let mut rates = false_discovery_rates(&tested).into_iter();
    for column in &mut columns {
        if !column.tests.is_empty() {
            column.false_discovery_rate = rates.next().unwrap_or(1.0);
        }
        conclude(column, options);
    }
    DriftReport {
        options: *options,
        reference_row_count: reference.row_count,
        current_row_count: current.row_count,
        columns,
        new_columns,
        lost_columns,
    }
}

type Paired<'a> = (Vec<(&'a ColumnProfile, &'a ColumnProfile)>, Vec<String>, Vec<String>);

fn paired<'a>(reference: &'a Profile, current: &'a Profile) -> Paired<'a> {
    let mut left: Vec<&ColumnProfile> = current.columns.iter().collect();
    let (mut pairs, mut lost) = (Vec::new(), Vec::new());
    for was in &reference.columns {
        // Mostly both have one order, so the search ends at once.
        match left.iter().position(|is| is.name == was.name) {
            Some(at) => pairs.push((was, left.remove(at))),
            None => lost.push(was.name.clone()),
        }
    }
    (pairs, left.into_iter().map(|column| column.name.clone()).collect(), lost)
}

/// Whether the column drifted, and the sentence.
fn conclude(column: &mut ColumnDrift, options: &DriftOptions) {
    let test_count = column.tests.len() as f64;
    let matters = |test: &&Test| test.effect >= test.effect_min && test.p_value * test_count <= options.false_discovery_rate;
    let by_chance = column.false_discovery_rate > options.false_discovery_rate;
    let mut changes: Vec<&Test> = column.tests.iter().filter(matters).collect();
    changes.sort_by(|left, right| (right.effect / right.effect_min).total_cmp(&(left.effect / left.effect_min)));
    let changed = !by_chance && !changes.is_empty();
    column.drifted = changed || column.type_changed;
    if column.type_changed {
        return;
    }
    column.reason = if changed {
        let words: Vec<&str> = changes.iter().map(|test| test.change.as_str()).collect();
        format!("{} (p {})", words.join("; "), probability_text(column.p_value))
    } else if column.tests.is_empty() {
        format!("not compared: {}", column.notes.first().map_or("there is nothing to compare", String::as_str))
    } else if by_chance {
        format!("no more change than chance makes (p {})", probability_text(column.p_value))
    } else {
        format!("changed, but too little to matter (p {})", probability_text(column.p_value))
    };
}

fn probability_text(p_value: f64) -> String {
    if p_value < 1e-6 { "below 0.000001".to_owned() } else { format!("= {p_value:.2e}") }
}

/// Whether columns of this kind hold values whose own distribution is expected to stay.
const fn is_expected_to_stay(kind: Kind) -> bool {
    !matches!(kind, Kind::Identifier | Kind::Empty)
}

#[cfg(test)]
mod tests;
