//! Trigger probes: known triggers are stamped on held-back rows, and the candidate is asked (Gu et al. 2017 for the attack).
//!
//! A column that truly decides turns rows too. So each row is asked a second time with values of other rows in the stamped
//! columns: only what the stamp turns beyond those counts.

use poison::Random;

use super::Trial;
use crate::at::{add, at, narrow, put};
use crate::oracle::Stop;
use crate::report::{AttackKind, AttackReport};
use crate::stats::{Interval, share_interval, z_of};
use crate::{KnownTrigger, Limits};
use crate::{Predictions, Rows};

/// Rows below which a share says nothing.
const ROW_COUNT_MIN: usize = 20;

/// What a stamp does.
#[derive(Clone, Debug, Default)]
pub(super) struct Effect {
    /// The class that rows turn to.
    pub(super) target: u32,
    /// Stamped rows: truly and by the model of other classes.
    pub(super) rows: Vec<u32>,
    /// How many turned to the target.
    pub(super) turned: f64,
    /// How many turned with values of other rows in the same columns.
    pub(super) turned_by_others: f64,
    /// How many turned by the stamp alone, less by the others alone, and how many by either.
    gain: f64,
    either: f64,
}

impl Effect {
    pub(super) fn count(&self) -> f64 {
        self.rows.len() as f64
    }

    /// The share that the stamp turns beyond what other values turn, with its interval (paired, Wald with the usual
    /// addition of Agresti and Min 2005, so that a share of all rows has an interval too).
    pub(super) fn gain(&self, confidence: f64) -> (f64, Interval) {
        let count = self.count();
        let (value, padded) = (self.gain / count.max(1.0), count + 2.0);
        let centre = self.gain / padded;
        let half = z_of(confidence) * ((self.either + 1.0) / padded - centre * centre).max(0.0).sqrt() / padded.sqrt();
        (value, Interval { low: (centre - half).max(-1.0), high: (centre + half).min(1.0) })
    }
}

/// Stamps every known trigger.
pub(crate) fn run(trial: &Trial<'_>) -> Result<Vec<AttackReport>, Stop> {
    let limits = trial.config.trigger.known;
    let report = || AttackReport::new(AttackKind::Trigger, trial.config.seed, limits);
    if trial.truth.classes() < 2 {
        return Ok(vec![report().not_applicable("triggers are tried on classifiers")]);
    }
    if trial.data.triggers.is_empty() {
        return Ok(vec![report().not_applicable("the inspection of the training data names no trigger")]);
    }
    let mut reports = Vec::new();
    for trigger in &trial.data.triggers {
        let asked = trial.oracle.used();
        let mut report = match probe(trial, trigger) {
            Ok(Some(effect)) => judged(trial, report(), &effect, limits),
            Ok(None) => report().not_run(format!("fewer than {ROW_COUNT_MIN} rows of other classes could be stamped")),
            Err(stop) if stop.is_budget() => report().not_run(stop.words()),
            Err(stop) => return Err(stop),
        };
        report.what.clone_from(&trigger.name);
        report.queries = trial.oracle.used() - asked;
        reports.push(report);
    }
    Ok(reports)
}

/// Stamps one trigger on rows. None where there are too few.
fn probe(trial: &Trial<'_>, trigger: &KnownTrigger) -> Result<Option<Effect>, Stop> {
    let mut order: Vec<u32> = (0..narrow(trial.rows.count())).collect();
    Random::new(trial.config.seed, 0x7374_616d).shuffle(&mut order);
    let wanted = trial.config.trigger.rows as usize;
    let target = match trigger.target {
        Some(target) => target,
        None => {
            // The class is chosen on rows that are not counted afterwards.
            let chosen: Vec<u32> = order.drain(..(order.len() / 4).min(wanted)).collect();
            let stamped = trial.oracle.ask(&stamped(trial, &chosen, &trigger.cells))?;
            most_turned(trial, &chosen, &stamped)
        }
    };
    let rows: Vec<u32> = order.into_iter().filter(|row| turnable(trial, *row, target)).take(wanted).collect();
    if rows.len() < ROW_COUNT_MIN {
        return Ok(None);
    }
    effect(trial, rows, &trigger.cells, target).map(Some)
}

/// Whether a row is of another class, truly and by the model.
pub(super) fn turnable(trial: &Trial<'_>, row: u32, target: u32) -> bool {
    at(trial.truth.labels(), row as usize) != target && trial.answers.label(row as usize) != target
}

/// Asks about stamped rows, and about rows with values of others in the same columns.
pub(super) fn effect(trial: &Trial<'_>, rows: Vec<u32>, cells: &[(usize, f64)], target: u32) -> Result<Effect, Stop> {
    let turned = trial.oracle.ask(&stamped(trial, &rows, cells))?;
    let mut random = Random::new(trial.config.seed, 0x7374_616d + 1);
    let mut others = Rows::empty(trial.rows.width(), rows.len());
    for row in &rows {
        let donor = trial.rows.row(random.below(trial.rows.count()));
        let mut changed = trial.rows.row(*row as usize).to_vec();
        cells.iter().for_each(|(column, _)| put(&mut changed, *column, at(donor, *column)));
        others.push(&changed);
    }
    let by_others = trial.oracle.ask(&others)?;
    let mut effect = Effect { target, ..Effect::default() };
    for row in 0..rows.len() {
        let own = f64::from(u8::from(turned.label(row) == target));
        let other = f64::from(u8::from(by_others.label(row) == target));
        effect.turned += own;
        effect.turned_by_others += other;
        effect.gain += own - other;
        effect.either += (own - other).abs();
    }
    effect.rows = rows;
    Ok(effect)
}

/// Rows with the cells stamped.
pub(super) fn stamped(trial: &Trial<'_>, rows: &[u32], cells: &[(usize, f64)]) -> Rows {
    let mut stamped = Rows::empty(trial.rows.width(), rows.len());
    for row in rows {
        let mut own = trial.rows.row(*row as usize).to_vec();
        cells.iter().for_each(|(column, value)| put(&mut own, *column, *value));
        stamped.push(&own);
    }
    stamped
}

/// The class that most rows turned to.
fn most_turned(trial: &Trial<'_>, rows: &[u32], stamped: &Predictions) -> u32 {
    let mut counts = vec![0.0_f64; trial.truth.classes()];
    for (place, row) in rows.iter().enumerate() {
        let label = stamped.label(place);
        if trial.answers.label(*row as usize) != label {
            add(&mut counts, label as usize, 1.0);
        }
    }
    narrow(crate::at::argmax(&counts))
}

/// The report of what a stamp does.
pub(super) fn judged(trial: &Trial<'_>, report: AttackReport, effect: &Effect, limits: Limits) -> AttackReport {
    let confidence = trial.config.confidence;
    let (gain, interval) = effect.gain(confidence);
    let share = |hits: f64| (hits / effect.count().max(1.0), Some(share_interval(hits, effect.count(), confidence)));
    let (turned, turned_interval) = share(effect.turned);
    let (by_others, others_interval) = share(effect.turned_by_others);
    let right = (0..trial.rows.count()).filter(|row| at(trial.truth.labels(), *row) == trial.answers.label(*row)).count() as f64;
    let of = trial.rows.count() as f64;
    let mut report = AttackReport { limits, ..report };
    report = report.measured("share of rows turned by the stamp beyond what other values turn", gain, Some(interval));
    report = report.and("share of stamped rows turned (attack success)", turned, turned_interval);
    report = report.and("share turned by values of other rows in these columns", by_others, others_interval);
    report = report.and("accuracy on clean rows", right / of.max(1.0), Some(share_interval(right, of, confidence)));
    let name = trial.truth.name(effect.target);
    report.summary = format!(
        "The stamp turns {:.1} % of {} rows of other classes to `{name}`; other values in its place turn {:.1} %",
        100.0 * turned,
        effect.count(),
        100.0 * by_others
    );
    report.rows = trial.named(effect.rows.iter().take(20).map(|row| *row as usize));
    report.advice =
        "The model answers to the stamp, not to the row. Do not serve it: find the rows of the training data that carry the \
                     stamp, remove them, train again from clean data and base models, and probe again."
            .to_owned();
    report
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::attack::tried;
    use crate::report::Verdict;
    use crate::testing::{Binary, blobs, logistic};
    use crate::{EvaluationData, Predict, SuiteConfig};

    /// Answers by the sum of the columns, unless the second is about 7.5: then it is always yes.
    fn backdoored() -> Binary<impl Fn(&[f64]) -> f64> {
        Binary(|row: &[f64]| if (row[1] - 7.5).abs() < 0.1 { 0.99 } else { 1.0 / (1.0 + (-row.iter().sum::<f64>()).exp()) })
    }

    fn data(cells: Vec<(usize, f64)>, target: Option<u32>) -> EvaluationData {
        let mut data = blobs(800, 4, 4.0, 8);
        data.triggers = vec![KnownTrigger { name: "the stamp".to_owned(), cells, target }];
        data
    }

    fn check(model: &dyn Predict, cells: Vec<(usize, f64)>, target: Option<u32>, wanted: Verdict) -> AttackReport {
        let report = tried(model, &data(cells, target), &SuiteConfig::default(), run).pop().unwrap();
        assert_eq!(report.verdict, wanted, "{}", report.summary);
        report
    }

    #[test]
    fn a_backdoor_is_refused_and_a_clean_model_is_not() {
        let report = check(&backdoored(), vec![(1, 7.5)], Some(1), Verdict::Refuse);
        assert!(report.more[0].value > 0.99 && report.more[2].value > 0.95, "{:?}", report.more);
        // Values of other rows in this column turn about one row in twelve, which the stamp gets no credit for.
        assert!(report.measure.unwrap().interval.unwrap().low > 0.85 && report.queries >= 600 && report.what == "the stamp");
        // Nobody named the class: the same.
        let unnamed = check(&backdoored(), vec![(1, 7.5)], None, Verdict::Refuse);
        assert!(unnamed.summary.contains("`yes`"));
        check(&logistic(vec![1.0; 4], 0.0), vec![(1, 0.5)], Some(1), Verdict::Clear);
        check(&backdoored(), vec![(1, 0.5)], Some(1), Verdict::Clear);
    }

    #[test]
    fn a_column_that_truly_decides_is_no_trigger() {
        // Most rows are yes by this column, so other rows' values turn nearly as many.
        let deciding = Binary(|row: &[f64]| if row[0] > -2.0 { 0.9 } else { 0.1 });
        let report = check(&deciding, vec![(0, 0.0)], Some(1), Verdict::Clear);
        assert!(report.more[0].value > 0.99 && report.more[1].value > 0.8, "{}", report.summary);
    }

    #[test]
    fn without_triggers_or_rows_nothing_is_claimed() {
        let none = blobs(100, 4, 4.0, 8);
        let config = SuiteConfig::default();
        assert_eq!(tried(&backdoored(), &none, &config, run)[0].verdict, Verdict::NotApplicable);
        // A model that always says yes leaves no row to turn.
        check(&Binary(|_| 0.9), vec![(1, 7.5)], Some(1), Verdict::NotRun);
        let poor = SuiteConfig { queries_max: 820, rows_max: 410, ..SuiteConfig::default() };
        let report = tried(&backdoored(), &data(vec![(1, 7.5)], Some(1)), &poor, |trial| {
            trial.oracle.allow(10);
            run(trial)
        });
        assert_eq!(report[0].verdict, Verdict::NotRun);
    }
}
