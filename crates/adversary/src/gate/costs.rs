//! Budgets of time and size, and golden rows.

use gates::{GateFile, Golden};

use super::judge::{Costs, GateInput, GoldenRows, shown};
use super::report::{Outcome, Reason, RuleReport};
use crate::Predictions;
use crate::stats::{Interval, quantile, quantile_interval};

/// Times from which a quantile is taken.
const LATENCY_COUNT_MIN: usize = 20;
/// Changed golden rows that are named.
const CHANGED_COUNT_MAX: usize = 5;

pub(super) fn costs(file: &GateFile, input: &GateInput<'_>, rules: &mut Vec<RuleReport>) {
    if let Some(latency) = &file.latency {
        let sorted = |costs: Option<&Costs>| {
            let mut times: Vec<f64> = costs.map(|costs| costs.latencies_ms.clone()).unwrap_or_default();
            times.retain(|time| time.is_finite() && *time >= 0.0);
            times.sort_by(f64::total_cmp);
            (times.len() >= LATENCY_COUNT_MIN).then_some(times)
        };
        let (own, champion) = (sorted(input.costs), sorted(input.champion_costs));
        let at = |times: &Vec<f64>| quantile(times, latency.quantile);
        let interval = own.as_ref().map(|times| quantile_interval(times, latency.quantile, file.confidence));
        let name = format!("latency, {} quantile in ms", latency.quantile);
        let cost = Cost {
            name: &name,
            own: own.as_ref().map(at),
            interval,
            champion: champion.as_ref().map(at),
            reason: Reason::TooSlow,
        };
        cost.judge((latency.max_ms, latency.max_factor), input.champion.is_some(), rules);
    }
    if let Some(size) = &file.size {
        let bytes = |costs: Option<&Costs>| costs.map(|costs| costs.size_bytes as f64);
        let (own, champion) = (bytes(input.costs), bytes(input.champion_costs));
        let cost = Cost { name: "size in bytes", own, interval: None, champion, reason: Reason::TooBig };
        cost.judge((size.max_bytes.map(|bytes| bytes as f64), size.max_factor), input.champion.is_some(), rules);
    }
}

struct Cost<'a> {
    name: &'a str,
    own: Option<f64>,
    interval: Option<Interval>,
    champion: Option<f64>,
    reason: Reason,
}

impl Cost<'_> {
    fn judge(&self, (max, max_factor): (Option<f64>, Option<f64>), has_champion: bool, rules: &mut Vec<RuleReport>) {
        let name = self.name;
        let report = |suffix: String| RuleReport {
            value: self.own,
            interval: self.interval,
            champion: self.champion,
            ..RuleReport::new(format!("{name}, {suffix}"), 0)
        };
        let bound = max.map(|max| (max, format!("at most {max}")));
        let factor = max_factor
            .map(|factor| (factor * self.champion.unwrap_or(f64::NAN), format!("at most {factor} times the champion's")));
        for (limit, suffix) in bound.into_iter().chain(factor) {
            let report = report(suffix.clone());
            let Some(own) = self.own else {
                let words = format!("{name} was not measured often enough: at least {LATENCY_COUNT_MIN} times are needed");
                rules.push(report.ended(Outcome::NotRun, Reason::Missing, words));
                continue;
            };
            if limit.is_nan() {
                let (outcome, reason) =
                    if has_champion { (Outcome::NotRun, Reason::Missing) } else { (Outcome::Skipped, Reason::NoChampion) };
                rules.push(report.ended(outcome, reason, format!("{name} of a champion is not known")));
                continue;
            }
            let report = RuleReport { limit: Some(limit), ..report };
            let words = format!("{name} is {own:.3}{}, {suffix} is allowed", shown(self.interval));
            rules.push(match own <= limit {
                true => report.ended(Outcome::Pass, Reason::Kept, words),
                false => report.ended(Outcome::Fail, self.reason, words),
            });
        }
    }
}

pub(super) fn changed(golden: &Golden, rows: Option<GoldenRows<'_>>) -> RuleReport {
    let report = RuleReport { limit: Some(golden.max_changed as f64), ..RuleReport::new("golden rows".to_owned(), 0) };
    let Some(rows) = rows else {
        return report.ended(
            Outcome::NotRun,
            Reason::Missing,
            "no golden rows were given: record some, or leave `golden` out".to_owned(),
        );
    };
    let (Some(expected), got) = (rows.expected, rows.got) else {
        return report.ended(
            Outcome::Skipped,
            Reason::NoChampion,
            "there is no champion whose answers must not change".to_owned(),
        );
    };
    if expected.count() != got.count() || got.count() == 0 {
        let words = format!("{} golden rows were asked and {} answered", expected.count(), got.count());
        return report.ended(Outcome::NotRun, Reason::Missing, words);
    }
    let differs = |row: usize| match (expected, got) {
        (Predictions::Probabilities { .. }, Predictions::Probabilities { .. }) => {
            let (left, right) = (expected.probabilities(row), got.probabilities(row));
            // Turned so that what is not a number differs.
            left.len() != right.len() || !left.iter().zip(right).all(|(left, right)| (left - right).abs() <= golden.tolerance)
        }
        (Predictions::Numbers(_), Predictions::Numbers(_)) => {
            let difference = (expected.number(row) - got.number(row)).abs();
            difference.is_nan() || difference > golden.tolerance
        }
        (Predictions::Numbers(_), _) | (_, Predictions::Numbers(_)) => true,
        _ => expected.label(row) != got.label(row),
    };
    let changed: Vec<usize> = (0..expected.count()).filter(|row| differs(*row)).collect();
    let report = RuleReport { rows: expected.count() as u64, value: Some(changed.len() as f64), ..report };
    let words = format!("{} of {} golden rows changed; {} may", changed.len(), expected.count(), golden.max_changed);
    if changed.len() as u64 > golden.max_changed {
        let first: Vec<String> = changed.iter().take(CHANGED_COUNT_MAX).map(usize::to_string).collect();
        let words = format!("{words}: rows {} …: look at them, and record them anew if the change is wanted", first.join(", "));
        return report.ended(Outcome::Fail, Reason::GoldenChanged, words);
    }
    report.ended(Outcome::Pass, Reason::Kept, words)
}
