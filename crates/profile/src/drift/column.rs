//! One column against its reference.

use super::cells::Cells;
use super::probability::{hotelling, kolmogorov_smirnov, two_shares};
use super::{ColumnDrift, DriftOptions, Method, Test, is_expected_to_stay};
use crate::column::{ColumnState, DIRECTION_COUNT, Numbers};
use crate::kind::Kind;
use crate::report::ColumnProfile;
use crate::sketch::quantiles::{Quantiles, Ranks};
use crate::value::Value;

/// Parts of the reference's distribution that the stability index is made of.
const INDEX_PART_COUNT: usize = 10;
/// A value that is counted approximately stands by itself if it has this share of the rows.
const FREQUENT_SHARE_MIN: f64 = 0.005;
/// New values that a note names.
const NEW_VALUE_COUNT_MAX: usize = 3;
/// The share of rows with new values, or past the reference's extremes, that a note is made of.
const NEW_SHARE_MIN: f64 = 0.001;
/// What remains of a direction after all others must be more than this share of it.
const OWN_PART_MIN: f64 = 1e-9;

/// A column that is being compared.
struct Comparison<'a> {
    options: &'a DriftOptions,
    drift: ColumnDrift,
}

/// Tests a column; whether that is drift is decided over all columns.
pub(super) fn compare(was: &ColumnProfile, is: &ColumnProfile, options: &DriftOptions) -> ColumnDrift {
    let drift = ColumnDrift {
        name: was.name.clone(),
        drifted: false,
        reason: String::new(),
        p_value: 1.0,
        false_discovery_rate: 1.0,
        effect_of_minimum: 0.0,
        stability_index: None,
        jensen_shannon: None,
        type_changed: false,
        tests: Vec::new(),
        notes: Vec::new(),
    };
    let mut comparison = Comparison { options, drift };
    comparison.missing(was, is);
    let both_have_values = was.state.value_count() > 0 && is.state.value_count() > 0;
    if was.data_type != is.data_type && both_have_values && !readable_alike(&was.state, &is.state) {
        comparison.drift.type_changed = true;
        comparison.drift.reason = format!("its type changed from {} to {}", was.data_type, is.data_type);
        return comparison.finish();
    }
    comparison.notes_on_kind(was, is);
    if both_have_values && is_expected_to_stay(was.kind) {
        comparison.values(was, is);
    } else if was.kind == Kind::Identifier {
        comparison.drift.notes.push("an identifier's values are expected to be new".to_owned());
        comparison.shapes(&was.state, &is.state);
    }
    comparison.finish()
}

/// Whether two types hold values of one sort: integers that became floating numbers can be compared.
fn readable_alike(was: &ColumnState, is: &ColumnState) -> bool {
    (was.numbers.is_some() && is.numbers.is_some())
        || (was.texts.is_some() && is.texts.is_some())
        || (was.times.is_some() && is.times.is_some())
        || (was.vectors.is_some() && is.vectors.is_some())
}

impl Comparison<'_> {
    fn finish(mut self) -> ColumnDrift {
        let least = self.drift.tests.iter().map(|test| test.p_value).fold(1.0, f64::min);
        // Several tests of one column: Bonferroni.
        self.drift.p_value = (least * self.drift.tests.len() as f64).min(1.0);
        self.drift.effect_of_minimum = self.drift.tests.iter().map(|test| test.effect / test.effect_min).fold(0.0, f64::max);
        self.drift
    }

    fn missing(&mut self, was: &ColumnProfile, is: &ColumnProfile) {
        if was.null_count + is.null_count > 0 && was.row_count > 0 && is.row_count > 0 {
            let (before, after) = (was.null_share(), is.null_share());
            self.shares("missing values", (before, was.row_count), (after, is.row_count));
        }
    }

    fn shares(&mut self, subject: &str, (before, before_count): (f64, u64), (after, after_count): (f64, u64)) {
        self.drift.tests.push(Test {
            subject: subject.to_owned(),
            method: Method::TwoShares,
            statistic: after - before,
            p_value: two_shares(before, before_count as f64, after, after_count as f64),
            effect: (after - before).abs(),
            effect_min: self.options.null_share_min,
            change: format!("{subject} went from {} to {} of the rows", percent(before), percent(after)),
        });
    }

    fn notes_on_kind(&mut self, was: &ColumnProfile, is: &ColumnProfile) {
        if was.kind != is.kind && was.kind != Kind::Empty && is.kind != Kind::Empty {
            self.drift.notes.push(format!(
                "it looked like {} ({}), now like {} ({})",
                was.kind.name(),
                was.evidence,
                is.kind.name(),
                is.evidence
            ));
        }
        if was.data_type != is.data_type {
            self.drift.notes.push(format!("its type changed from {} to {}", was.data_type, is.data_type));
        }
        if was.kind == Kind::Identifier && is.repeated_share > 0.0 {
            self.drift.notes.push(format!("its values were unique, now {} of them repeat another", percent(is.repeated_share)));
        }
    }

    fn values(&mut self, was: &ColumnProfile, is: &ColumnProfile) {
        let (before, after) = (&was.state, &is.state);
        if let (Some(before), Some(after)) = (&before.times, &after.times) {
            // Time moves on by itself; what should stay is when in the week rows come.
            let hours = before.by_week_hour.iter().zip(&after.by_week_hour);
            let cells = Cells::new(hours.map(|(was, is)| (*was as f64, *is as f64)).collect());
            self.cells("hours of the week", &cells, |moved| {
                format!("{} of the rows lie at other hours of the week", percent(moved))
            });
            return;
        }
        if let (Some(before), Some(after)) = (&before.vectors, &after.vectors) {
            self.numbers("norms of the vectors", &before.norms, &after.norms);
            self.numbers("dimensions of the vectors", &before.dimensions, &after.dimensions);
            self.mean_vectors(before, after);
            return;
        }
        let categorical = matches!(was.kind, Kind::Category | Kind::Boolean)
            || was.distinct_is_exact && is.distinct_is_exact && before.numbers.is_none();
        if categorical {
            self.categories(before, after);
        }
        if let (Some(before), Some(after)) = (&before.numbers, &after.numbers) {
            if before.not_finite_count() + after.not_finite_count() > 0 {
                let share = |numbers: &Numbers| {
                    let count = numbers.not_finite_count() + numbers.moments.count;
                    (numbers.not_finite_count() as f64 / count.max(1) as f64, count)
                };
                self.shares("numbers that are not finite", share(before), share(after));
            }
            if !categorical {
                self.numbers("values", before, after);
            }
        }
        if !categorical {
            self.shapes(before, after);
        }
        if let (Some(before), Some(after)) = (&before.images, &after.images) {
            self.numbers("widths of the images", &before.widths, &after.widths);
            self.numbers("heights of the images", &before.heights, &after.heights);
        }
        if let (Some(before), Some(after)) = (&before.byte_lengths, &after.byte_lengths) {
            self.numbers("lengths in bytes", before, after);
        }
    }

    /// Lengths and shapes of texts.
    fn shapes(&mut self, was: &ColumnState, is: &ColumnState) {
        let (Some(was), Some(is)) = (&was.texts, &is.texts) else { return };
        self.numbers("lengths", &was.lengths, &is.lengths);
        let patterns = was.patterns.keys().chain(is.patterns.keys().filter(|pattern| !was.patterns.contains_key(*pattern)));
        let count =
            |patterns: &std::collections::BTreeMap<String, u64>, pattern| patterns.get(pattern).copied().unwrap_or(0) as f64;
        let mut pairs: Vec<(f64, f64)> = Vec::new();
        // Past the most patterns that are held, one table may count a pattern by itself that the other counts with the rest.
        let complete = was.other_pattern_count + is.other_pattern_count == 0;
        let mut rest = (was.other_pattern_count as f64, is.other_pattern_count as f64);
        for pattern in patterns {
            let pair = (count(&was.patterns, pattern), count(&is.patterns, pattern));
            if complete || (pair.0 > 0.0 && pair.1 > 0.0) {
                pairs.push(pair);
            } else {
                rest = (rest.0 + pair.0, rest.1 + pair.1);
            }
        }
        pairs.push(rest);
        self.cells("shapes", &Cells::new(pairs), |moved| format!("{} of the texts have another shape", percent(moved)));
    }

    fn cells(&mut self, subject: &str, cells: &Cells, change: impl Fn(f64) -> String) {
        let lumped = cells.lumped();
        let Some((statistic, p_value)) = lumped.chi_squared() else { return };
        let effect = lumped.moved_share();
        self.drift.stability_index.get_or_insert(lumped.stability_index());
        self.drift.jensen_shannon.get_or_insert(lumped.jensen_shannon());
        self.drift.tests.push(Test {
            subject: subject.to_owned(),
            method: Method::ChiSquared,
            statistic,
            p_value,
            effect,
            effect_min: self.options.moved_share_min,
            change: change(effect),
        });
    }

    fn categories(&mut self, was: &ColumnState, is: &ColumnState) {
        let (before, after) = (was.frequent.values(), is.frequent.values());
        let exact = was.frequent.is_exact() && is.frequent.is_exact();
        let (before_total, after_total) = (was.value_count() as f64, is.value_count() as f64);
        let mut all: std::collections::BTreeMap<u64, (f64, f64, &Value)> =
            before.iter().map(|counted| (counted.hash, (counted.count as f64, 0.0, counted.value))).collect();
        for counted in &after {
            all.entry(counted.hash).or_insert((0.0, 0.0, counted.value)).1 = counted.count as f64;
        }
        if !exact {
            let frequent =
                |(_, pair): &(&u64, &(f64, f64, &Value))| (pair.0 / before_total).max(pair.1 / after_total) >= FREQUENT_SHARE_MIN;
            let hashes: Vec<u64> = all.iter().filter(frequent).map(|(hash, _)| *hash).collect();
            all.retain(|hash, _| hashes.binary_search(hash).is_ok());
        }
        let (before_sum, after_sum) = all.values().fold((0.0, 0.0), |sums, pair| (sums.0 + pair.0, sums.1 + pair.1));
        let rest = ((before_total - before_sum).max(0.0), (after_total - after_sum).max(0.0));
        let mut pairs: Vec<(f64, f64)> = all.values().map(|pair| (pair.0, pair.1)).collect();
        if !exact {
            pairs.push(rest);
        }
        let most_moved = all.values().max_by(|left, right| {
            let moved = |pair: &(f64, f64, &Value)| (pair.0 / before_total - pair.1 / after_total).abs();
            moved(left).total_cmp(&moved(right))
        });
        let example = most_moved.map_or_else(String::new, |(before, after, value)| {
            format!(" (`{value}`: {} to {})", percent(before / before_total), percent(after / after_total))
        });
        self.cells("values", &Cells::new(pairs), |moved| format!("{} of the rows have another value{example}", percent(moved)));
        if was.frequent.is_exact() {
            self.note_new_values(&all, after_total);
        }
    }

    fn note_new_values(&mut self, all: &std::collections::BTreeMap<u64, (f64, f64, &Value)>, after_total: f64) {
        let mut new: Vec<(f64, &Value)> = all
            .values()
            .filter(|(before, after, _)| *before <= 0.0 && *after > 0.0)
            .map(|(_, after, value)| (*after, *value))
            .collect();
        let share = new.iter().map(|(count, _)| count).sum::<f64>() / after_total.max(1.0);
        if share >= NEW_SHARE_MIN {
            new.sort_by(|left, right| right.0.total_cmp(&left.0));
            let names: Vec<String> = new.iter().take(NEW_VALUE_COUNT_MAX).map(|(_, value)| format!("`{value}`")).collect();
            self.drift.notes.push(format!(
                "{} of the rows have values that the reference never has: {}",
                percent(share),
                names.join(", ")
            ));
        }
    }

    fn numbers(&mut self, subject: &str, was: &Numbers, is: &Numbers) {
        if was.quantiles.count() == 0 || is.quantiles.count() == 0 {
            return;
        }
        let (before, after) = (was.quantiles.ranks(), is.quantiles.ranks());
        let distance = greatest_distance(&before, &after);
        let size = worth(&was.quantiles, &is.quantiles);
        let middle = |ranks: &Ranks| ranks.quantile(0.5).map_or_else(String::new, short);
        self.drift.tests.push(Test {
            subject: subject.to_owned(),
            method: Method::KolmogorovSmirnov,
            statistic: distance,
            p_value: kolmogorov_smirnov(distance, size),
            effect: distance,
            effect_min: self.options.moved_share_min,
            change: format!("{} of the {subject} moved (median {} to {})", percent(distance), middle(&before), middle(&after)),
        });
        let parts = index_parts(&before, &after);
        self.drift.stability_index.get_or_insert(parts.stability_index());
        self.drift.jensen_shannon.get_or_insert(parts.jensen_shannon());
        if let (Some(low), Some(high)) = (was.quantiles.minimum(), was.quantiles.maximum()) {
            let outside = after.rank_below(low) + (1.0 - after.rank(high)).max(0.0);
            if outside >= NEW_SHARE_MIN {
                let extremes = format!("{} to {}", short(low), short(high));
                self.drift.notes.push(format!("{} of the {subject} lie outside of the reference's {extremes}", percent(outside)));
            }
        }
    }

    fn mean_vectors(&mut self, was: &crate::column::Vectors, is: &crate::column::Vectors) {
        if was.dimension != is.dimension {
            self.drift.notes.push(format!("the vectors had {} dimensions, now {}", was.dimension, is.dimension));
            return;
        }
        let (before, after) = (was.count as f64, is.count as f64);
        let Some((distance, direction_count)) = mahalanobis(was, is) else { return };
        let statistic = distance * before * after / (before + after);
        self.drift.tests.push(Test {
            subject: "mean vectors".to_owned(),
            method: Method::Hotelling,
            statistic,
            p_value: hotelling(statistic, direction_count, before + after),
            effect: distance.sqrt(),
            effect_min: self.options.vector_distance_min,
            change: format!("the mean vector moved by {:.2} standard deviations along its way", distance.sqrt()),
        });
    }
}

/// The sample size that the test of two sketches has: `n·m/(n+m)` of what each is worth.
fn worth(was: &Quantiles, is: &Quantiles) -> f64 {
    let (before, after) = (was.worth(), is.worth());
    before * after / (before + after)
}

fn greatest_distance(was: &Ranks, is: &Ranks) -> f64 {
    let at = |value: f64| (was.rank(value) - is.rank(value)).abs();
    was.values().chain(is.values()).map(at).fold(0.0, f64::max)
}

/// Both distributions over tenths of the reference.
fn index_parts(was: &Ranks, is: &Ranks) -> Cells {
    let mut edges: Vec<f64> = (1..INDEX_PART_COUNT).filter_map(|at| was.quantile(at as f64 / INDEX_PART_COUNT as f64)).collect();
    edges.dedup();
    let mut pairs = Vec::new();
    let mut below = (0.0, 0.0);
    for (before, after) in edges.iter().map(|edge| (was.rank(*edge), is.rank(*edge))).chain([(1.0, 1.0)]) {
        pairs.push((before - below.0, after - below.1));
        below = (before, after);
    }
    Cells::new(pairs)
}

/// The squared distance of the projected means in units of the pooled covariance, and the number of directions that are
/// independent. By Cholesky's elimination, which leaves out a direction that the ones before it explain.
fn mahalanobis(was: &crate::column::Vectors, is: &crate::column::Vectors) -> Option<(f64, f64)> {
    let freedom = (was.count + is.count).checked_sub(2).filter(|freedom| *freedom > 0)? as f64;
    if was.count == 0 || is.count == 0 {
        return None;
    }
    let mut apart: Vec<f64> = was.projected_mean.iter().zip(&is.projected_mean).map(|(was, is)| is - was).collect();
    let pooled = was.co_moments.iter().zip(&is.co_moments).map(|(was, is)| (was + is) / freedom);
    let pooled: Vec<f64> = pooled.collect();
    let mut rows: Vec<Vec<f64>> = pooled.chunks(DIRECTION_COUNT).map(<[f64]>::to_vec).collect();
    let whole: Vec<f64> = rows.iter().enumerate().filter_map(|(at, row)| row.get(at).copied()).collect();
    let (mut distance, mut count) = (0.0, 0.0);
    for (at, whole) in whole.iter().enumerate() {
        let (done, later) = rows.split_at_mut((at + 1).min(DIRECTION_COUNT));
        let (Some(row), Some(own)) = (done.last(), apart.get(at).copied()) else { break };
        let variance = row.get(at).copied().unwrap_or(0.0);
        if variance <= OWN_PART_MIN * whole || !variance.is_normal() {
            continue;
        }
        distance += own * own / variance;
        count += 1.0;
        for (below, apart) in later.iter_mut().zip(apart.iter_mut().skip(at + 1)) {
            let factor = below.get(at).copied().unwrap_or(0.0) / variance;
            below.iter_mut().zip(row).for_each(|(cell, other)| *cell -= factor * other);
            *apart -= factor * own;
        }
    }
    (count > 0.0).then_some((distance, count))
}

fn percent(share: f64) -> String {
    let percent = 100.0 * share;
    if percent >= 10.0 {
        format!("{percent:.0} %")
    } else if percent >= 0.1 || percent == 0.0 {
        format!("{percent:.1} %")
    } else {
        "less than 0.1 %".to_owned()
    }
}

fn short(number: f64) -> String {
    let size = number.abs();
    if size != 0.0 && !(1e-3..1e7).contains(&size) {
        format!("{number:.3e}")
    } else if size >= 1_000.0 || number.trunc() == number {
        format!("{number:.0}")
    } else {
        format!("{number:.3}")
    }
}
