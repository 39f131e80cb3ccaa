//! Which rows a drift comes from: the column and value whose removal from both tables restores a drifted column.
//!
//! That takes a second pass over both tables: a [`SegmentPlan`] says what to count, a [`SegmentCounter`] for each table counts
//! it, [`explain`] compares the two. Nothing here knows Arrow; [`crate::SegmentPass`] feeds a counter from record
//! batches.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::DriftReport;
use super::cells::Cells;
use crate::kind::Kind;
use crate::report::Profile;
use crate::value::Value;

/// Drifted columns that are explained, the most changed first.
pub const TARGET_COUNT_MAX: usize = 16;
/// Columns whose values make segments.
pub const SEGMENT_COLUMN_COUNT_MAX: usize = 32;
/// Values of such a column that are counted by themselves.
pub const SEGMENT_VALUE_COUNT_MAX: usize = 64;
/// Bins of a drifted column.
pub const BIN_COUNT_MAX: usize = 32;
/// Explanations of a drifted column.
pub const EXPLANATION_COUNT_MAX: usize = 5;
/// The share of a drift that a segment must explain.
const EXPLAINED_SHARE_MIN: f64 = 0.2;
/// A segment that is most of the rows explains everything and says nothing.
const SEGMENT_SHARE_MAX: f64 = 0.8;
/// Rows that must remain in each table without the segment.
const REMAINING_COUNT_MIN: f64 = 100.0;
/// The change of a segment's share of the rows that is its explanation rather than its values.
const MIX_CHANGE_MIN: f64 = 0.02;

/// How a drifted column is cut into bins.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Bins {
    /// Numbers: one bin up to each edge, one past the last. The edges are quantiles of the reference.
    Edges(Vec<f64>),
    /// Values by their text: one bin for each, one for all others.
    Values(Vec<String>),
    /// A value or none.
    Missing,
}

impl Bins {
    /// How many bins for values; one more holds the missing ones.
    #[must_use]
    pub const fn count(&self) -> usize {
        match self {
            Self::Edges(edges) => edges.len() + 1,
            Self::Values(values) => values.len() + 1,
            Self::Missing => 1,
        }
    }

    /// The bin of a number.
    #[must_use]
    pub fn of_number(&self, number: f64) -> usize {
        match self {
            Self::Edges(edges) => edges.partition_point(|edge| *edge < number),
            Self::Values(values) => values.len(),
            Self::Missing => 0,
        }
    }

    /// The bin of a text.
    #[must_use]
    pub fn of_text(&self, text: &str) -> usize {
        match self {
            Self::Values(values) => values.iter().position(|value| value == text).unwrap_or(values.len()),
            Self::Edges(_) | Self::Missing => 0,
        }
    }
}

/// A drifted column that is to be explained.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Target {
    /// Its name.
    pub column: String,
    /// Its bins.
    pub bins: Bins,
}

/// What the second pass counts.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SegmentPlan {
    /// The drifted columns.
    pub targets: Vec<Target>,
    /// The columns whose values make segments.
    pub by: Vec<String>,
}

impl SegmentPlan {
    /// For the columns that drifted, by all columns with few values.
    #[must_use]
    pub fn of(reference: &Profile, current: &Profile, report: &DriftReport) -> Self {
        let mut drifted: Vec<_> = report.drifted().filter(|column| !column.type_changed).collect();
        drifted.sort_by(|left, right| right.effect_of_minimum.total_cmp(&left.effect_of_minimum));
        let targets = drifted.into_iter().filter_map(|drift| {
            let column = reference.column(&drift.name)?;
            let most = drift
                .tests
                .iter()
                .max_by(|left, right| (left.effect / left.effect_min).total_cmp(&(right.effect / right.effect_min)))?;
            let bins = if most.subject == "missing values" {
                Bins::Missing
            } else if let Some(values) = column.all_values() {
                Bins::Values(values.iter().take(BIN_COUNT_MAX - 1).map(|top| top.value.to_string()).collect())
            } else {
                let ranks = column.state.numbers.as_ref()?.quantiles.ranks();
                let mut edges: Vec<f64> =
                    (1..BIN_COUNT_MAX).filter_map(|at| ranks.quantile(at as f64 / BIN_COUNT_MAX as f64)).collect();
                edges.dedup();
                Bins::Edges(edges)
            };
            Some(Target { column: drift.name.clone(), bins })
        });
        let few = |name: &str| {
            let column = current.column(name);
            column.is_some_and(|column| matches!(column.kind, Kind::Category | Kind::Boolean) && column.distinct_is_exact)
        };
        let by = reference.columns.iter().filter(|column| few(&column.name)).take(SEGMENT_COLUMN_COUNT_MAX);
        Self { targets: targets.take(TARGET_COUNT_MAX).collect(), by: by.map(|column| column.name.clone()).collect() }
    }

    /// Whether there is nothing to count.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.targets.is_empty() || self.by.is_empty()
    }
}

/// The value of a segment; all that are past the most that are counted are `None`, as are missing ones.
type SegmentValue = Option<String>;

/// Counts of a table: target by column by value by bin.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SegmentCounter {
    plan: SegmentPlan,
    counts: Vec<Vec<BTreeMap<SegmentValue, Vec<u64>>>>,
}

impl SegmentCounter {
    /// Of nothing yet.
    #[must_use]
    pub fn new(plan: SegmentPlan) -> Self {
        let counts = vec![vec![BTreeMap::new(); plan.by.len()]; plan.targets.len()];
        Self { plan, counts }
    }

    /// What it counts.
    #[must_use]
    pub const fn plan(&self) -> &SegmentPlan {
        &self.plan
    }

    /// Adds the counts of each bin of a target (and of missing ones, last) for the rows whose value in a column is this.
    pub fn add(&mut self, target: usize, by: usize, value: Option<&str>, counts: &[u64]) {
        let bin_count = self.plan.targets.get(target).map_or(0, |target| target.bins.count() + 1);
        let Some(values) = self.counts.get_mut(target).and_then(|columns| columns.get_mut(by)) else { return };
        let key = value.map(str::to_owned);
        let key = if values.len() < SEGMENT_VALUE_COUNT_MAX || values.contains_key(&key) { key } else { None };
        let bins = values.entry(key).or_insert_with(|| vec![0; bin_count]);
        for (bin, count) in bins.iter_mut().zip(counts) {
            *bin += count;
        }
    }

    /// Joins the counts of another part of the table. Of another plan's counter nothing is taken.
    pub fn merge(&mut self, other: &Self) {
        if self.plan != other.plan {
            return;
        }
        for (target, columns) in other.counts.iter().enumerate() {
            for (by, values) in columns.iter().enumerate() {
                for (value, counts) in values {
                    self.add(target, by, value.as_deref(), counts);
                }
            }
        }
    }
}

/// A segment and what it explains.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Segment {
    /// The drifted column.
    pub target: String,
    /// The column whose value makes the segment.
    pub column: String,
    /// The value.
    pub value: Value,
    /// How far the target's distributions are apart: the share of rows that moved.
    pub drift: f64,
    /// The same without the segment.
    pub drift_without: f64,
    /// The share of the drift that goes with the segment.
    pub explained_share: f64,
    /// The segment's share of the reference's rows.
    pub reference_share: f64,
    /// Its share of the current rows.
    pub current_share: f64,
    /// How far its own values are apart.
    pub drift_within: f64,
    /// All that in a sentence.
    pub sentence: String,
}

/// The segments that explain each target's drift best. Both counters must have one plan.
#[must_use]
pub fn explain(reference: &SegmentCounter, current: &SegmentCounter) -> Vec<Segment> {
    if reference.plan != current.plan {
        return Vec::new();
    }
    let mut all = Vec::new();
    for (target, (was, is)) in reference.plan.targets.iter().zip(reference.counts.iter().zip(&current.counts)) {
        let mut segments: Vec<Segment> = Vec::new();
        for (column, (was, is)) in reference.plan.by.iter().zip(was.iter().zip(is)) {
            if *column != target.column {
                segments.extend(of_column(target, column, was, is));
            }
        }
        segments.sort_by(|left, right| right.explained_share.total_cmp(&left.explained_share));
        segments.truncate(EXPLANATION_COUNT_MAX);
        all.extend(segments);
    }
    all
}

type Counts = BTreeMap<SegmentValue, Vec<u64>>;

fn of_column<'a>(target: &'a Target, column: &'a str, was: &'a Counts, is: &'a Counts) -> impl Iterator<Item = Segment> + 'a {
    let bin_count = target.bins.count() + 1;
    let sums = |counts: &Counts| {
        let mut sums = vec![0_u64; bin_count];
        for bins in counts.values() {
            sums.iter_mut().zip(bins).for_each(|(sum, count)| *sum += count);
        }
        sums
    };
    let (all_was, all_is) = (sums(was), sums(is));
    let drift = apart(target, &all_was, &all_is);
    let none = vec![0_u64; bin_count];
    let values: std::collections::BTreeSet<&String> = was.keys().chain(is.keys()).flatten().collect();
    values.into_iter().filter_map(move |value| {
        let key = Some(value.clone());
        let (own_was, own_is) = (was.get(&key).unwrap_or(&none), is.get(&key).unwrap_or(&none));
        let rest =
            |all: &[u64], own: &[u64]| all.iter().zip(own).map(|(all, own)| all.saturating_sub(*own)).collect::<Vec<u64>>();
        let (rest_was, rest_is) = (rest(&all_was, own_was), rest(&all_is, own_is));
        let share = |own: &[u64], all: &[u64]| own.iter().sum::<u64>() as f64 / all.iter().sum::<u64>().max(1) as f64;
        let (reference_share, current_share) = (share(own_was, &all_was), share(own_is, &all_is));
        let remaining = rest_was.iter().sum::<u64>().min(rest_is.iter().sum());
        if (remaining as f64) < REMAINING_COUNT_MIN || reference_share.max(current_share) > SEGMENT_SHARE_MAX || drift <= 0.0 {
            return None;
        }
        let drift_without = apart(target, &rest_was, &rest_is);
        let explained_share = 1.0 - drift_without / drift;
        let drift_within = apart(target, own_was, own_is);
        let how = if (current_share - reference_share).abs() >= MIX_CHANGE_MIN {
            format!("its share of the rows went from {:.1} % to {:.1} %", 100.0 * reference_share, 100.0 * current_share)
        } else {
            format!("its own values moved ({:.0} % of them)", 100.0 * drift_within)
        };
        let sentence = format!(
            "without the rows whose `{column}` is `{value}`, {:.0} % of the change of `{}` is gone; {how}",
            100.0 * explained_share,
            target.column
        );
        (explained_share >= EXPLAINED_SHARE_MIN).then(|| Segment {
            target: target.column.clone(),
            column: column.to_owned(),
            value: Value::Text(value.clone()),
            drift,
            drift_without,
            explained_share,
            reference_share,
            current_share,
            drift_within,
            sentence,
        })
    })
}

/// The share of rows that moved between two tables' bins; of one table without rows, none.
fn apart(target: &Target, was: &[u64], is: &[u64]) -> f64 {
    let pairs: Vec<(f64, f64)> = was.iter().zip(is).map(|(was, is)| (*was as f64, *is as f64)).collect();
    if was.iter().sum::<u64>() == 0 || is.iter().sum::<u64>() == 0 {
        return 0.0;
    }
    match target.bins {
        Bins::Edges(_) => Cells::new(pairs).greatest_distance(),
        Bins::Values(_) | Bins::Missing => Cells::new(pairs).moved_share(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counter(rows: &[(&str, usize, u64)]) -> SegmentCounter {
        let target = Target { column: "income".to_owned(), bins: Bins::Edges(vec![10.0, 20.0]) };
        let mut own = SegmentCounter::new(SegmentPlan { targets: vec![target], by: vec!["country".to_owned()] });
        for (country, bin, count) in rows {
            let mut counts = [0; 4];
            counts[*bin] = *count;
            own.add(0, 0, Some(country), &counts);
        }
        own
    }

    #[test]
    fn the_segment_that_changed_is_named() {
        let was = counter(&[("AT", 0, 500), ("AT", 1, 500), ("DE", 0, 500), ("DE", 1, 500), ("FR", 1, 1_000)]);
        let is = counter(&[("AT", 0, 510), ("AT", 1, 490), ("DE", 2, 1_000), ("FR", 1, 1_000)]);
        let segments = explain(&was, &is);
        assert_eq!((segments.len(), &segments[0].value), (1, &Value::Text("DE".to_owned())));
        assert!(segments[0].explained_share > 0.95 && segments[0].drift_within > 0.99, "{segments:?}");
        assert!(segments[0].sentence.contains("its own values moved (100 % of them)"), "{}", segments[0].sentence);
    }

    #[test]
    fn a_segment_that_grew_is_told_from_one_that_moved() {
        let was = counter(&[("AT", 0, 1_000), ("DE", 2, 50)]);
        let is = counter(&[("AT", 0, 1_000), ("DE", 2, 900)]);
        let segments = explain(&was, &is);
        assert_eq!(segments[0].value, Value::Text("DE".to_owned()));
        assert!(segments[0].sentence.contains("its share of the rows went from 4.8 % to 47.4 %"), "{}", segments[0].sentence);
    }

    #[test]
    fn without_drift_or_with_another_plan_nothing_is_explained() {
        let was = counter(&[("AT", 0, 1_000), ("DE", 1, 1_000)]);
        assert!(explain(&was, &was).is_empty());
        let other = SegmentCounter::new(SegmentPlan { targets: Vec::new(), by: Vec::new() });
        assert!(explain(&was, &other).is_empty());
        let mut merged = counter(&[("AT", 0, 1_000)]);
        merged.merge(&counter(&[("DE", 1, 1_000)]));
        assert_eq!(merged, was);
        merged.merge(&other);
        assert_eq!(merged, was);
    }

    #[test]
    fn many_values_stay_few() {
        let mut own = counter(&[]);
        for at in 0..1_000 {
            own.add(0, 0, Some(&at.to_string()), &[1, 0, 0, 0]);
        }
        let values = &own.counts[0][0];
        assert_eq!(
            (values.len(), values.get(&None)),
            (SEGMENT_VALUE_COUNT_MAX + 1, Some(&vec![1_000 - SEGMENT_VALUE_COUNT_MAX as u64, 0, 0, 0]))
        );
    }
}
