//! Judges a candidate by a gate file.

use gates::{GateFile, Proof, Rule};

use super::costs::{changed, costs};
use super::paired::{Draw, Estimate, Pair, estimate};
use super::rare::Rare;
use super::report::{GateReport, Outcome, Reason, RuleReport};
use crate::Metric;
use crate::at::{add, at, narrow};
use crate::metric::Prepared;
use crate::stats::{Interval, mcnemar_worse, share_interval};
use crate::{AdversaryError, Predictions, Truth, Watch};

/// Rows of held-back data that are judged.
pub const GATE_ROW_COUNT_MAX: usize = 1_000_000;
/// Rows times resamples times rules: about a minute on two cores.
pub const WORK_COUNT_MAX: u64 = 20_000_000_000;

/// What a slice column holds for each row.
#[derive(Clone, Debug, PartialEq)]
pub enum SliceValues {
    /// The place of its text among the names.
    Texts {
        /// A place for each row.
        of_rows: Vec<u32>,
        /// The texts.
        names: Vec<String>,
    },
    /// Its number; not a number where missing.
    Numbers(Vec<f64>),
}

/// A column to slice by; the model need not see it.
#[derive(Clone, Debug, PartialEq)]
pub struct SliceColumn {
    /// Its name.
    pub name: String,
    /// Its values.
    pub values: SliceValues,
}

/// What answers cost.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Costs {
    /// Measured times of single answers.
    pub latencies_ms: Vec<f64>,
    /// The model's size.
    pub size_bytes: u64,
}

/// Answers to golden rows.
#[derive(Clone, Copy, Debug)]
pub struct GoldenRows<'a> {
    /// Those that are on record, or the champion's; none if there is neither yet.
    pub expected: Option<&'a Predictions>,
    /// The candidate's.
    pub got: &'a Predictions,
}

/// What a gate judges. The answers come from the serving runtimes, never from who submits the model.
#[derive(Clone, Copy, Debug)]
pub struct GateInput<'a> {
    /// What is true of the held-back rows.
    pub truth: &'a Truth,
    /// Columns to slice them by.
    pub slices: &'a [SliceColumn],
    /// The candidate's answers.
    pub candidate: &'a Predictions,
    /// The champion's answers to the same rows; none if there is no champion yet.
    pub champion: Option<&'a Predictions>,
    /// The candidate's costs.
    pub costs: Option<&'a Costs>,
    /// The champion's.
    pub champion_costs: Option<&'a Costs>,
    /// Golden rows.
    pub golden: Option<GoldenRows<'a>>,
}

/// Judges the candidate by every rule of the file.
///
/// # Errors
/// `Shape` if the parts do not fit; `Model` if the answers are none; `TooLarge` over a limit; `Cancelled`.
pub fn judge(file: &GateFile, input: &GateInput<'_>, watch: &Watch<'_>) -> Result<GateReport, AdversaryError> {
    file.check()?;
    input.check(file)?;
    let rows = input.truth.count();
    let draw = Draw { resamples: file.resamples, confidence: file.confidence, seed: file.seed };
    let mut rules = Vec::new();
    (watch.progress)("metrics");
    let all: Vec<u32> = (0..narrow(rows)).collect();
    for (rule, judged) in file.rules.iter().zip(input.estimates(&file.rules, &all, draw, watch)?) {
        match judged {
            Ok(estimate) => overall(rule, &estimate, input.champion.is_some(), rows as u64, &mut rules),
            Err(words) => {
                let report = RuleReport::new(rule.metric.name().to_owned(), rows as u64);
                rules.push(report.ended(Outcome::NotRun, Reason::Missing, words));
            }
        }
    }
    if let Some(slices) = &file.slices {
        (watch.progress)("slices");
        super::slices::judge(slices, input, draw, watch, &mut rules)?;
    }
    if let Some(test) = &file.mcnemar {
        rules.push(mcnemar(test.alpha, input));
    }
    costs(file, input, &mut rules);
    if let Some(golden) = &file.golden {
        rules.push(changed(golden, input.golden));
    }
    Ok(GateReport {
        passed: rules.iter().all(|rule| rule.outcome.passes()),
        rows: rows as u64,
        confidence: file.confidence,
        resamples: file.resamples,
        seed: file.seed,
        rules,
        notes: Vec::new(),
    })
}

impl GateInput<'_> {
    fn check(&self, file: &GateFile) -> Result<(), AdversaryError> {
        self.truth.check()?;
        let (rows, classes) = (self.truth.count(), self.truth.classes());
        if rows == 0 || rows > GATE_ROW_COUNT_MAX {
            return Err(AdversaryError::TooLarge(format!(
                "{rows} held-back rows; 1 to {GATE_ROW_COUNT_MAX} are judged: give a sample"
            )));
        }
        let sliced = file.slices.as_ref().map_or(0, |slices| slices.rules.len() * slices.columns.len());
        let work = (rows as u64) * u64::from(file.resamples) * (file.rules.len() + sliced).max(1) as u64;
        if work > WORK_COUNT_MAX {
            let say = "give fewer `resamples`, rules or rows";
            return Err(AdversaryError::TooLarge(format!(
                "rows times resamples times rules are {work}, over {WORK_COUNT_MAX}: {say}"
            )));
        }
        for (who, answers) in [("candidate", Some(self.candidate)), ("champion", self.champion)] {
            if let Some(fault) = answers.and_then(|answers| answers.fault(rows, classes)) {
                return Err(AdversaryError::Model(format!("the {who}: {fault}")));
            }
        }
        for column in self.slices {
            let sound = match &column.values {
                SliceValues::Texts { of_rows, names } => {
                    of_rows.len() == rows && of_rows.iter().all(|of| (*of as usize) < names.len())
                }
                SliceValues::Numbers(numbers) => numbers.len() == rows,
            };
            if !sound {
                return Err(AdversaryError::Shape(format!("the slice column `{}` needs one value for each row", column.name)));
            }
        }
        Ok(())
    }

    /// Each rule's metric on these rows, or why it cannot be taken.
    pub(super) fn estimates(
        &self,
        rules: &[Rule],
        rows: &[u32],
        draw: Draw,
        watch: &Watch<'_>,
    ) -> Result<Vec<Result<Estimate, String>>, AdversaryError> {
        let mut pairs = Vec::new();
        let mut places = Vec::new();
        for rule in rules {
            let candidate = Prepared::new(rule.metric, self.truth, self.candidate, rows);
            let champion = self.champion.map(|answers| Prepared::new(rule.metric, self.truth, answers, rows)).transpose();
            places.push(match (candidate, champion) {
                (Ok(candidate), Ok(champion)) => {
                    pairs.push(Pair { candidate, champion, more_is_better: rule.metric.more_is_better() });
                    Ok(pairs.len() - 1)
                }
                (Err(words), _) => Err(words),
                (_, Err(words)) => Err(format!("the champion: {words}")),
            });
        }
        let mut estimates = estimate(&pairs, rows.len(), draw, watch)?;
        for (place, rule) in places.iter().zip(rules) {
            let Some(own) = place.as_ref().ok().and_then(|place| estimates.get_mut(*place)) else { continue };
            if let (Metric::Accuracy, Some(value)) = (rule.metric, own.value) {
                // Resamples of rows that are all right are all right, which proves less than it seems.
                let interval = share_interval(value * rows.len() as f64, rows.len() as f64, draw.confidence);
                own.error = own.error.max(0.5 * (interval.high - interval.low) / crate::stats::z_of(draw.confidence));
                own.interval = Some(interval);
                own.champion_interval =
                    own.champion.map(|value| share_interval(value * rows.len() as f64, rows.len() as f64, draw.confidence));
            }
            let same = self.candidate.has_probabilities() && self.champion == Some(self.candidate);
            let z = crate::stats::z_of(draw.confidence);
            if let Some(rare) = Rare::of(rule.metric, self, rows, same, draw.confidence) {
                own.widen(&rare, z);
            }
            if let Some(count) = self.counted(rule.metric, rows) {
                let unseen = share_interval(0.0, count, draw.confidence).high;
                own.doubt(unseen, same, z);
            }
        }
        let of_place = |place: usize| {
            let estimate = estimates.get(place).copied().unwrap_or_default();
            estimate
                .value
                .map(|_| estimate)
                .ok_or_else(|| "the metric has no meaning on these rows: they may be of one class".to_owned())
        };
        Ok(places.into_iter().map(|place| place.and_then(of_place)).collect())
    }

    /// The rows that a share is of: for what is of each class by itself, those of the rarest. Other metrics are no shares.
    fn counted(&self, metric: Metric, rows: &[u32]) -> Option<f64> {
        match metric {
            Metric::Accuracy | Metric::Brier | Metric::CalibrationError => Some(rows.len() as f64),
            Metric::BalancedAccuracy | Metric::F1 | Metric::Auc => {
                let mut counts = vec![0.0_f64; self.truth.classes()];
                rows.iter().for_each(|row| add(&mut counts, at(self.truth.labels(), *row as usize) as usize, 1.0));
                counts.into_iter().filter(|count| *count > 0.0).reduce(f64::min)
            }
            Metric::LogLoss | Metric::Rmse | Metric::Mae | Metric::R2 => None,
        }
    }

    /// How many of these rows only the champion has right, and only the candidate.
    pub(super) fn changed_answers(&self, rows: impl Iterator<Item = u32>) -> (u64, u64) {
        let Some(champion) = self.champion else { return (0, 0) };
        rows.fold((0, 0), |(lost, won), row| {
            let truth = at(self.truth.labels(), row as usize);
            match (self.candidate.label(row as usize) == truth, champion.label(row as usize) == truth) {
                (false, true) => (lost + 1, won),
                (true, false) => (lost, won + 1),
                _ => (lost, won),
            }
        })
    }
}

/// Whether a number keeps a bound, when everything is turned so that more is better.
fn outcome(value: f64, interval: Option<Interval>, least: f64, proof: Proof) -> Outcome {
    match (proof, interval) {
        _ if value < least => Outcome::Fail,
        (Proof::Estimate, _) => Outcome::Pass,
        (Proof::Interval, Some(interval)) if interval.low >= least => Outcome::Pass,
        (Proof::Interval, _) => Outcome::Unproven,
    }
}

pub(super) fn shown(interval: Option<Interval>) -> String {
    interval.map_or(String::new(), |interval| format!(" ({:.4} to {:.4})", interval.low, interval.high))
}

fn overall(rule: &Rule, estimate: &Estimate, has_champion: bool, rows: u64, rules: &mut Vec<RuleReport>) {
    let name = rule.metric.name();
    let value = estimate.value.unwrap_or(f64::NAN);
    let filled = |suffix: &str, limit: f64| RuleReport {
        value: estimate.value,
        interval: estimate.interval,
        champion: estimate.champion,
        champion_interval: estimate.champion_interval,
        gain: estimate.gain,
        gain_interval: estimate.gain_interval,
        limit: Some(limit),
        ..RuleReport::new(format!("{name} {suffix}"), rows)
    };
    let number = format!("{name} is {value:.4}{}", shown(estimate.interval));
    for (bound, suffix, sign) in [(rule.min, "at least", 1.0), (rule.max, "at most", -1.0)] {
        let Some(bound) = bound else { continue };
        let turned =
            estimate.interval.map(|interval| Interval { low: if sign > 0.0 { interval.low } else { -interval.high }, high: 0.0 });
        let outcome = outcome(sign * value, turned, sign * bound, rule.proof);
        let report = filled(&format!("{suffix} {bound}"), bound);
        rules.push(match outcome {
            Outcome::Pass => report.ended(outcome, Reason::Kept, format!("{number}: {suffix} {bound} is kept")),
            Outcome::Unproven => {
                let words =
                    format!("{number}: that it is {suffix} {bound} is not shown; give more held-back rows, or `proof: estimate`");
                report.ended(outcome, Reason::TooFewRows, words)
            }
            _ => report.ended(outcome, Reason::OutOfBounds, format!("{number}: it must be {suffix} {bound}")),
        });
    }
    let Some(worse) = rule.max_worse else { return };
    let report = filled(&format!("against the champion, at most {worse} worse"), worse);
    let Some((gain, champion)) = estimate.gain.zip(estimate.champion) else {
        rules.push(if has_champion {
            report.ended(Outcome::NotRun, Reason::Missing, format!("{name} of the champion has no meaning on these rows"))
        } else {
            report.ended(Outcome::Skipped, Reason::NoChampion, format!("{number}: there is no champion to compare with"))
        });
        return;
    };
    let change = if gain < 0.0 { format!("{:.4} worse than", -gain) } else { format!("{gain:.4} better than") };
    let words = format!("{number}, {change} the champion's {champion:.4}");
    let range = shown(estimate.gain_interval);
    rules.push(match outcome(gain, estimate.gain_interval, -worse, rule.proof) {
        Outcome::Pass => report.ended(Outcome::Pass, Reason::Kept, words),
        Outcome::Unproven => {
            // What no row showed shrinks with the rows, and not with their root.
            let interval = estimate.gain_interval.filter(|_| !estimate.gain_is_flat);
            let need = rows_needed(rows, gain, interval, worse);
            let words = format!("{words}; that it is at most {worse} worse is not shown{range}: {need}, or `proof: estimate`");
            report.ended(Outcome::Unproven, Reason::TooFewRows, words)
        }
        _ => {
            let words = format!("{words}, and {worse} is allowed{range}: keep the champion, or find what the candidate lost");
            report.ended(Outcome::Fail, Reason::WorseThanChampion, words)
        }
    });
}

/// Intervals shrink with the root of the rows.
fn rows_needed(rows: u64, gain: f64, interval: Option<Interval>, worse: f64) -> String {
    let half = interval.map_or(f64::NAN, |interval| gain - interval.low);
    let need = rows as f64 * (half / (gain + worse)).powi(2);
    if need.is_finite() && need < 1e9 {
        format!("about {:.0} held-back rows would show it", need.ceil())
    } else {
        "give more held-back rows".to_owned()
    }
}

fn mcnemar(alpha: f64, input: &GateInput<'_>) -> RuleReport {
    let rows = input.truth.count();
    let report = RuleReport { limit: Some(alpha), ..RuleReport::new("McNemar's test".to_owned(), rows as u64) };
    if input.truth.classes() == 0 {
        return report.ended(
            Outcome::NotRun,
            Reason::Missing,
            "McNemar's test is of classes and this model answers numbers".to_owned(),
        );
    }
    if input.champion.is_none() {
        return report.ended(Outcome::Skipped, Reason::NoChampion, "there is no champion to compare with".to_owned());
    }
    let (lost, won) = input.changed_answers(0..narrow(rows));
    let p = mcnemar_worse(lost, won);
    let report = RuleReport { p: Some(p), ..report };
    let words = format!("{lost} right answers of the champion were lost and {won} won");
    if p < alpha {
        let words = format!("{words}: by chance so many are lost with probability {p:.2e}, below {alpha}");
        return report.ended(Outcome::Fail, Reason::AnswersLost, words);
    }
    report.ended(Outcome::Pass, Reason::Kept, format!("{words} (p = {p:.3})"))
}
