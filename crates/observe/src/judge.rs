//! What is wrong with an endpoint, by what was counted of it. Values in, findings out.

use std::collections::BTreeMap;

use kernel::Micros;
use watch::{
    BURN_RULES, ColumnState, Confusion, DriftConfig, Limit, Monitor, Objective, Reference, Side, Tally, burning,
    calibration_drift, change_points, crossing, estimate, fit, realised,
};

use crate::ObserveConfig;
use crate::types::Severity;

pub(crate) const MINUTE_US: i64 = 60_000_000;
/// How far ahead limits are looked for.
const HORIZON_MINUTES: usize = 60;
const CERTAINTY_MIN: f64 = 0.9;
/// Rows that a statement about accuracy stands on.
pub(crate) const ACCURACY_ROWS_MIN: u64 = 200;
/// Rows with labels that one stands on.
pub(crate) const LABELLED_ROWS_MIN: u64 = 30;
/// How long labels count after they came.
pub(crate) const LABELLED_SECS: i64 = 7 * 86_400;
/// How sure intervals are.
pub(crate) const CONFIDENCE: f64 = 0.99;
/// How much an expected accuracy must have fallen to matter.
const ACCURACY_FALL_MIN: f64 = 0.05;
/// By how much a metric's level must have changed to matter.
const LEVEL_FACTOR_MIN: f64 = 1.5;
/// The share of requests that do not fit that matters.
const INVALID_SHARE_MIN: f64 = 0.05;
/// Minutes that a level change is looked for in.
const LEVEL_MINUTES: usize = 240;

/// What is known of an endpoint.
pub(crate) struct Seen<'a> {
    /// By minute, the newest last: of the version that answers now.
    pub(crate) minutes: &'a BTreeMap<i64, Tally>,
    /// What that version is compared with.
    pub(crate) reference: Option<&'a Reference>,
    /// Rows with labels.
    pub(crate) labelled: &'a Confusion,
    /// Bad and all requests of the last minutes, of all versions.
    pub(crate) burned: &'a dyn Fn(u32) -> (u64, u64),
    pub(crate) now: Micros,
}

/// Something that is wrong.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Finding {
    pub(crate) kind: &'static str,
    pub(crate) severity: Severity,
    pub(crate) headline: String,
    pub(crate) began_at: Micros,
    pub(crate) crosses_at: Option<Micros>,
    pub(crate) certainty: Option<f64>,
    pub(crate) columns: Vec<ColumnState>,
    pub(crate) numbers: BTreeMap<String, f64>,
}

impl Finding {
    fn new(kind: &'static str, severity: Severity, began_at: Micros, headline: String) -> Self {
        let (columns, numbers) = (Vec::new(), BTreeMap::new());
        Self { kind, severity, headline, began_at, crosses_at: None, certainty: None, columns, numbers }
    }

    fn with(mut self, name: &str, value: f64) -> Self {
        self.numbers.insert(name.to_owned(), value);
        self
    }
}

/// All that is wrong, as far as it can be told.
pub(crate) fn findings(seen: &Seen<'_>, config: &ObserveConfig) -> Vec<Finding> {
    let all = [
        drift(seen, config),
        burn(seen, config),
        slower(seen),
        misfits(seen),
        expected_accuracy(seen, config),
        real_accuracy(seen, config),
        calibration(seen),
        latency_ahead(seen, config),
        accuracy_ahead(seen, config),
    ];
    all.into_iter().flatten().collect()
}

fn minute(at: i64) -> Micros {
    Micros(at.saturating_mul(MINUTE_US))
}

fn drift(seen: &Seen<'_>, config: &ObserveConfig) -> Option<Finding> {
    let reference = seen.reference?;
    let options =
        DriftConfig { false_alarm_share: config.drift_false_alarm_share, moved_share_min: config.drift_moved_share_min };
    let mut monitor = Monitor::new(reference.clone(), options);
    let mut times = Vec::new();
    for (at, tally) in seen.minutes.iter().filter(|(_, tally)| tally.cells.len() == reference.columns.len()) {
        monitor.push(tally.cells.clone());
        times.push(*at);
    }
    let drift = monitor.judge()?;
    let began = times.len().checked_sub(drift.began_steps_ago).and_then(|place| times.get(place)).or_else(|| times.first())?;
    let first = drift.columns.first()?;
    let names: Vec<String> = drift.columns.iter().take(4).map(|column| format!("`{}`", column.column)).collect();
    let more = drift.columns.len().saturating_sub(names.len());
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    let headline = format!("what is asked has drifted from {}: {}{more}; {}", reference.origin, names.join(", "), first.change);
    let severity = if first.moved_share >= 0.3 { Severity::Critical } else { Severity::Warning };
    let rows = drift.row_count as f64;
    let finding =
        Finding::new("drift", severity, minute(*began), headline).with("rows", rows).with("moved_share", first.moved_share);
    Some(Finding { certainty: Some(1.0 - first.false_discovery_rate), columns: drift.columns, ..finding })
}

fn burn(seen: &Seen<'_>, config: &ObserveConfig) -> Option<Finding> {
    let burn = burning(Objective { good_share: config.success_share }, seen.burned)?;
    let severity = if burn.rule.is_urgent { Severity::Critical } else { Severity::Warning };
    let headline = format!(
        "requests fail {:.1} times as often as {} % success over 30 days allows; at this rate the budget is gone in {:.0} h",
        burn.rate,
        100.0 * config.success_share,
        burn.gone_in_minutes / 60.0
    );
    let first_bad = seen.minutes.iter().rev().take_while(|(_, tally)| tally.failed > 0).last();
    let began = first_bad.map_or_else(|| seen.now.plus_secs(-60 * i64::from(burn.rule.short_minutes)), |(at, _)| minute(*at));
    let finding = Finding::new("errors", severity, began, headline).with("burn_rate", burn.rate);
    let gone_s = (burn.gone_in_minutes * 60.0) as i64;
    Some(Finding { crosses_at: Some(seen.now.plus_secs(gone_s)), ..finding })
}

/// The newest level change of a series by minute, if what was reached is what is there now.
fn newest_change(series: &[(i64, f64)]) -> Option<(i64, watch::ChangePoint)> {
    let tail = series.get(series.len().saturating_sub(LEVEL_MINUTES)..)?;
    let values: Vec<f64> = tail.iter().map(|one| one.1).collect();
    let change = change_points(&values).last().copied()?;
    Some((tail.get(change.at)?.0, change))
}

fn slower(seen: &Seen<'_>) -> Option<Finding> {
    let series: Vec<(i64, f64)> =
        seen.minutes.iter().filter_map(|(at, tally)| Some((*at, tally.mean_latency_us()? / 1_000.0))).collect();
    let (at, change) = newest_change(&series)?;
    if change.after < change.before * LEVEL_FACTOR_MIN || change.after < 0.5 {
        return None;
    }
    let headline = format!("answers take {:.2} ms on average, {:.2} ms before", change.after, change.before);
    let finding = Finding::new("latency", Severity::Warning, minute(at), headline);
    let finding = finding.with("before_ms", change.before).with("after_ms", change.after);
    Some(Finding { certainty: Some(change.certainty), ..finding })
}

fn misfits(seen: &Seen<'_>) -> Option<Finding> {
    let share = |tally: &Tally| (tally.requests() > 0).then(|| tally.invalid as f64 / tally.requests() as f64);
    let series: Vec<(i64, f64)> = seen.minutes.iter().filter_map(|(at, tally)| Some((*at, share(tally)?))).collect();
    let (at, change) = newest_change(&series)?;
    if change.after < INVALID_SHARE_MIN || change.after < change.before * LEVEL_FACTOR_MIN {
        return None;
    }
    let headline =
        format!("{:.1} % of the requests do not fit the model, {:.1} % before", 100.0 * change.after, 100.0 * change.before);
    let finding = Finding::new("data-quality", Severity::Warning, minute(at), headline).with("share", change.after);
    Some(Finding { certainty: Some(change.certainty), ..finding })
}

/// The newest minutes that hold so many rows with probabilities, and all before them.
fn split(minutes: &BTreeMap<i64, Tally>) -> Option<(i64, Tally, Tally)> {
    let (mut newest, mut before, mut began) = (Tally::default(), Tally::default(), None);
    for (at, tally) in minutes.iter().rev() {
        if newest.confidence.iter().map(|bin| bin.count).sum::<u64>() < ACCURACY_ROWS_MIN {
            newest.merge(tally);
            began = Some(*at);
        } else {
            before.merge(tally);
        }
    }
    Some((began?, newest, before))
}

fn expected_accuracy(seen: &Seen<'_>, config: &ObserveConfig) -> Option<Finding> {
    let (began, newest, before) = split(seen.minutes)?;
    let is = estimate(&newest, CONFIDENCE).filter(|is| is.row_count >= ACCURACY_ROWS_MIN)?;
    let trusted = calibration_drift(seen.labelled).is_none_or(|chance| chance >= 1e-4);
    let caution = if trusted { "" } else { "; labels say that its probabilities are no longer to be believed" };
    let words = format!(
        "{:.1} % (from {:.1} % to {:.1} %) of the answers are expected to be right, by the model's own probabilities",
        100.0 * is.accuracy,
        100.0 * is.low,
        100.0 * is.high
    );
    let finding = |headline: String| {
        let finding = Finding::new("expected-accuracy", Severity::Warning, minute(began), headline);
        Some(finding.with("accuracy", is.accuracy).with("macro_f1", is.macro_f1))
    };
    if let Some(least) = config.accuracy_min.filter(|least| is.high < *least) {
        return finding(format!("{words}; at least {:.1} % are wanted{caution}", 100.0 * least));
    }
    let was = estimate(&before, CONFIDENCE).filter(|was| was.row_count >= ACCURACY_ROWS_MIN)?;
    if is.high < was.low && was.accuracy - is.accuracy >= ACCURACY_FALL_MIN {
        return finding(format!("{words}; {:.1} % before{caution}", 100.0 * was.accuracy));
    }
    None
}

fn real_accuracy(seen: &Seen<'_>, config: &ObserveConfig) -> Option<Finding> {
    let real = realised(seen.labelled, CONFIDENCE).filter(|real| real.row_count >= LABELLED_ROWS_MIN)?;
    let least = config.accuracy_min.filter(|least| real.high < *least)?;
    let headline = format!(
        "{:.1} % of {} labelled answers were right; at least {:.1} % are wanted",
        100.0 * real.accuracy,
        real.row_count,
        100.0 * least
    );
    let began = seen.minutes.keys().next().copied().map_or(seen.now, minute);
    let finding = Finding::new("accuracy", Severity::Critical, began, headline);
    Some(Finding { certainty: Some(CONFIDENCE), ..finding.with("accuracy", real.accuracy) })
}

fn calibration(seen: &Seen<'_>) -> Option<Finding> {
    let chance = calibration_drift(seen.labelled).filter(|chance| *chance < 1e-4)?;
    let headline =
        "labels differ from the model's probabilities more than chance makes: accuracy that is estimated without labels is \
                    not to be believed"
            .to_owned();
    let began = seen.minutes.keys().next().copied().map_or(seen.now, minute);
    let finding = Finding::new("calibration", Severity::Warning, began, headline).with("p_value", chance);
    Some(Finding { certainty: Some(1.0 - chance), ..finding })
}

/// A value for each minute; a minute without one is a gap.
fn by_minute(minutes: &BTreeMap<i64, Tally>, value: impl Fn(&Tally) -> Option<f64>) -> Vec<f64> {
    let (Some((first, _)), Some((last, _))) = (minutes.first_key_value(), minutes.last_key_value()) else { return Vec::new() };
    let first = (*first).max(last.saturating_sub(LEVEL_MINUTES as i64));
    (first..=*last).map(|at| minutes.get(&at).and_then(&value).unwrap_or(f64::NAN)).collect()
}

/// A limit that will be crossed, as two looks in a row say.
fn ahead(values: &[f64], limit: Limit) -> Option<watch::Crossing> {
    let look = |values: &[f64]| crossing(&fit(values, None)?, limit, HORIZON_MINUTES, CERTAINTY_MIN);
    let before = values.get(..values.len().saturating_sub(1))?;
    look(before).and_then(|_| look(values))
}

fn latency_ahead(seen: &Seen<'_>, config: &ObserveConfig) -> Option<Finding> {
    let limit_ms = config.latency_ms_max?;
    let values = by_minute(seen.minutes, |tally| Some(tally.mean_latency_us()? / 1_000.0));
    let found = ahead(&values, Limit { value: limit_ms, side: Side::Above })?;
    Some(foretold(seen, "latency-ahead", &format!("the mean latency will exceed {limit_ms} ms"), found))
}

fn accuracy_ahead(seen: &Seen<'_>, config: &ObserveConfig) -> Option<Finding> {
    let least = config.accuracy_min?;
    let values = by_minute(seen.minutes, |tally| Some(estimate(tally, CONFIDENCE)?.accuracy));
    let found = ahead(&values, Limit { value: least, side: Side::Below })?;
    Some(foretold(seen, "accuracy-ahead", &format!("the expected accuracy will fall below {:.1} %", 100.0 * least), found))
}

/// A crossing that is to come, in words.
pub(crate) fn foretold(seen: &Seen<'_>, kind: &'static str, what: &str, found: watch::Crossing) -> Finding {
    let headline = format!("{what} in about {:.0} minutes, in {:.0} at the earliest", found.in_steps, found.earliest_steps);
    let finding = Finding::new(kind, Severity::Warning, seen.now, headline);
    let crosses_at = Some(seen.now.plus_secs((found.in_steps * 60.0) as i64));
    Finding { crosses_at, certainty: Some(found.certainty), ..finding }
}

/// The free share of the disk will be too low: a line through what only shrinks.
pub(crate) fn disk_ahead(free_shares: &[f64], limit: f64, now: Micros) -> Option<Finding> {
    let newest = *free_shares.last()?;
    if newest < limit {
        let headline = format!("{:.1} % of the disk is free; at least {:.1} % is wanted", 100.0 * newest, 100.0 * limit);
        return Some(Finding::new("disk", Severity::Critical, now, headline).with("free_share", newest));
    }
    let trend = watch::theil_sen(free_shares, 0.95)?;
    // Sure of its direction, and there within a day.
    let minutes = (limit - trend.level) / trend.slope;
    if trend.slope_high >= 0.0 || !(0.0..=1_440.0).contains(&minutes) {
        return None;
    }
    let headline = format!("less than {:.1} % of the disk will be free in about {:.1} h", 100.0 * limit, minutes / 60.0);
    let finding = Finding::new("disk-ahead", Severity::Warning, now, headline).with("free_share", newest);
    Some(Finding { crosses_at: Some(now.plus_secs((minutes * 60.0) as i64)), certainty: Some(0.95), ..finding })
}

/// Minutes that the burn rates look at, so that the store can add them up.
pub(crate) fn burn_windows() -> Vec<u32> {
    BURN_RULES.iter().flat_map(|rule| [rule.long_minutes, rule.short_minutes]).collect()
}

#[cfg(test)]
#[path = "judge_tests.rs"]
mod tests;
