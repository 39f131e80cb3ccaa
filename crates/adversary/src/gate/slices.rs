//! Slices: a part of the rows that got worse, though the total may hide it.

use gates::{Range, Rule, SLICE_COUNT_MAX, SliceColumnRule, Slices};

use super::judge::{GateInput, SliceColumn, SliceValues, shown};
use super::paired::{Draw, Estimate};
use super::report::{Outcome, Reason, RuleReport};
use crate::Metric;
use crate::metric::Prepared;
use crate::stats::{holm, mcnemar_worse, normal_below};
use crate::{AdversaryError, Watch};

/// Rows of one value or range.
struct Slice {
    name: String,
    rows: Vec<u32>,
}

/// A bound that a slice was tested against.
struct Test {
    report: RuleReport,
    /// Whether the number breaks the bound.
    broken: bool,
    p: f64,
    broken_reason: Reason,
    words: String,
}

pub(super) fn judge(
    slices: &Slices,
    input: &GateInput<'_>,
    draw: Draw,
    watch: &Watch<'_>,
    rules: &mut Vec<RuleReport>,
) -> Result<(), AdversaryError> {
    let totals: Vec<Option<f64>> = slices.rules.iter().map(|rule| total_gain(rule, input)).collect();
    let (mut tests, mut slice_count) = (Vec::new(), 0);
    for column in &slices.columns {
        let parts = match parts_of(column, input.slices) {
            Ok(parts) => parts,
            Err(words) => {
                rules.push(RuleReport::new(format!("slices of {}", column.column), 0).ended(
                    Outcome::NotRun,
                    Reason::Missing,
                    words,
                ));
                continue;
            }
        };
        slice_count += parts.len();
        if slice_count > SLICE_COUNT_MAX {
            let words = format!("more than {SLICE_COUNT_MAX} slices: name the values of `{}` that matter", column.column);
            return Err(AdversaryError::TooLarge(words));
        }
        for slice in parts {
            let report = RuleReport::new(slice.name.clone(), slice.rows.len() as u64);
            if slice.rows.is_empty() {
                let words = format!("no held-back row is in the slice {}: mend its name or give such rows", slice.name);
                rules.push(report.ended(Outcome::NotRun, Reason::Missing, words));
            } else if slice.rows.len() < slices.min_rows as usize {
                let words = format!("the slice {} has {} rows, and {} are needed", slice.name, slice.rows.len(), slices.min_rows);
                rules.push(report.ended(Outcome::Skipped, Reason::TooFewRows, words));
            } else {
                let estimates = input.estimates(&slices.rules, &slice.rows, draw, watch)?;
                for ((rule, judged), total) in slices.rules.iter().zip(estimates).zip(&totals) {
                    match judged {
                        Ok(estimate) => compare(rule, &slice, &estimate, *total, input, &mut tests, rules),
                        // A slice of one class has no area under a curve: that is its nature, not the model's.
                        Err(words) => {
                            let report =
                                RuleReport::new(format!("{} where {}", rule.metric.name(), slice.name), slice.rows.len() as u64);
                            rules.push(report.ended(Outcome::Skipped, Reason::Missing, words));
                        }
                    }
                }
            }
        }
    }
    conclude(tests, slices.alpha, rules);
    Ok(())
}

/// Corrects all tests together, then says which slices are worse.
fn conclude(tests: Vec<Test>, alpha: f64, rules: &mut Vec<RuleReport>) {
    let corrected = holm(&tests.iter().map(|test| test.p).collect::<Vec<f64>>());
    let count = tests.len();
    for (test, corrected) in tests.into_iter().zip(corrected) {
        let report = RuleReport { p: Some(test.p), p_corrected: Some(corrected), ..test.report };
        let words = test.words;
        rules.push(match (test.broken, corrected < alpha) {
            (false, _) => report.ended(Outcome::Pass, Reason::Kept, words),
            (true, false) => {
                let words = format!("{words}; as one of {count} tests this is within chance (p = {corrected:.3})");
                report.ended(Outcome::Pass, Reason::Kept, words)
            }
            (true, true) => {
                let words = format!("{words}; by chance, as one of {count} tests, with probability {corrected:.2e}");
                report.ended(Outcome::Fail, test.broken_reason, words)
            }
        });
    }
}

fn compare(
    rule: &Rule,
    slice: &Slice,
    estimate: &Estimate,
    total: Option<f64>,
    input: &GateInput<'_>,
    tests: &mut Vec<Test>,
    rules: &mut Vec<RuleReport>,
) {
    let name = format!("{} where {}", rule.metric.name(), slice.name);
    let report = RuleReport {
        value: estimate.value,
        interval: estimate.interval,
        champion: estimate.champion,
        champion_interval: estimate.champion_interval,
        gain: estimate.gain,
        gain_interval: estimate.gain_interval,
        ..RuleReport::new(name.clone(), slice.rows.len() as u64)
    };
    let value = estimate.value.unwrap_or(f64::NAN);
    let number = format!("{name} is {value:.4}{}", shown(estimate.interval));
    for (bound, suffix, sign) in [(rule.min, "at least", 1.0), (rule.max, "at most", -1.0)] {
        let Some(bound) = bound else { continue };
        let margin = sign * (value - bound);
        tests.push(Test {
            report: RuleReport { limit: Some(bound), ..report.clone() },
            broken: margin < 0.0,
            p: below_by_chance(margin, estimate.error),
            broken_reason: Reason::SliceOutOfBounds,
            words: format!("{number}, and must be {suffix} {bound}"),
        });
    }
    let Some(worse) = rule.max_worse else { return };
    let report = RuleReport { limit: Some(worse), ..report };
    let Some((gain, champion)) = estimate.gain.zip(estimate.champion) else {
        rules.push(report.ended(Outcome::Skipped, Reason::NoChampion, format!("{number}: there is no champion to compare with")));
        return;
    };
    let p = if rule.metric == Metric::Accuracy && worse == 0.0 {
        let (lost, won) = input.changed_answers(slice.rows.iter().copied());
        mcnemar_worse(lost, won)
    } else {
        below_by_chance(gain + worse, estimate.gain_error)
    };
    let hidden = total.filter(|total| *total > 0.0);
    let change = if gain < 0.0 { format!("{:.4} worse than", -gain) } else { format!("{gain:.4} better than") };
    let aside = hidden.map_or(String::new(), |total| format!(" while the total got {total:.4} better"));
    tests.push(Test {
        report,
        broken: gain < -worse,
        p,
        broken_reason: if hidden.is_some() { Reason::SliceWorseTotalBetter } else { Reason::SliceWorse },
        words: format!("{number}, {change} the champion's {champion:.4}{aside}, and {worse} worse is allowed"),
    });
}

/// How probable a margin so low is where the true one is 0.
fn below_by_chance(margin: f64, error: f64) -> f64 {
    if error > 0.0 { normal_below(margin / error) } else { f64::from(u8::from(margin >= 0.0)) }
}

fn total_gain(rule: &Rule, input: &GateInput<'_>) -> Option<f64> {
    let all: Vec<u32> = (0..crate::at::narrow(input.truth.count())).collect();
    let weights = vec![1_u32; all.len()];
    let value = |answers| Prepared::new(rule.metric, input.truth, answers, &all).ok()?.value(&weights);
    let gain = value(input.candidate)? - value(input.champion?)?;
    Some(if rule.metric.more_is_better() { gain } else { -gain })
}

fn parts_of(rule: &SliceColumnRule, columns: &[SliceColumn]) -> Result<Vec<Slice>, String> {
    let name = &rule.column;
    let Some(column) = columns.iter().find(|column| column.name == *name) else {
        return Err(format!("the held-back data has no column `{name}` to slice by: mend its name, or leave it out"));
    };
    let collect =
        |holds: &dyn Fn(usize) -> bool, rows: usize| (0..rows).filter(|row| holds(*row)).map(crate::at::narrow).collect();
    match &column.values {
        SliceValues::Texts { of_rows, names } if rule.ranges.is_empty() => {
            let wanted: Vec<&String> = if rule.values.is_empty() { names.iter().collect() } else { rule.values.iter().collect() };
            let part = |wanted: &String| {
                let code = names.iter().position(|own| own == wanted).map(crate::at::narrow);
                let holds = |row: usize| code.is_some() && of_rows.get(row).copied() == code;
                Slice { name: format!("{name} is {wanted}"), rows: collect(&holds, of_rows.len()) }
            };
            // Beyond the limit the caller refuses; one more than it is enough to know.
            Ok(wanted.into_iter().take(SLICE_COUNT_MAX + 1).map(part).collect())
        }
        SliceValues::Numbers(numbers) if rule.values.is_empty() && !rule.ranges.is_empty() => {
            let part = |range: &Range| {
                let (from, below) = (range.from.unwrap_or(f64::NEG_INFINITY), range.below.unwrap_or(f64::INFINITY));
                let holds = |row: usize| {
                    numbers.get(row).is_some_and(|value| *value >= from && (*value < below || range.below.is_none()))
                };
                Slice { name: format!("{name} is in {from} to below {below}"), rows: collect(&holds, numbers.len()) }
            };
            Ok(rule.ranges.iter().map(part).collect())
        }
        SliceValues::Texts { .. } => Err(format!("`{name}` holds texts: slice it by `values`")),
        SliceValues::Numbers(_) => Err(format!("`{name}` holds numbers: slice it by `ranges`")),
    }
}
