//! All attacks in order, within one budget of queries and time.

use std::time::Duration;

use crate::attack::{Trial, extraction, hop, membership, poisoning, search, square, trigger};
use crate::oracle::{Oracle, Stop};
use crate::report::{AttackReport, CANNOT_SHOW, Measure, SuiteReport, SuiteVerdict};
use crate::stats::share_interval;
use crate::{AdversaryError, AttackKind, AttackName, EvaluationData, Limits, Predict, SuiteConfig, Watch};

/// Parts of the queries: what one attack leaves, the next may use. Evasion comes last: it uses what it gets.
const MEMBERSHIP_SHARE: f64 = 0.3;
const KNOWN_SHARE: f64 = 0.4;
const SEARCH_SHARE: f64 = 0.5;

/// All attacks that this crate knows.
pub struct Suite;

impl Suite {
    /// Tries the model. The same model, data, configuration and seed give the same report, unless the time ends it.
    ///
    /// # Errors
    /// `Shape` or `TooLarge` if data or configuration cannot be used; `Model` if it answers no held-back row soundly;
    /// `Cancelled` when the watch says so.
    pub fn run(
        model: &dyn Predict,
        data: &EvaluationData,
        config: &SuiteConfig,
        watch: &Watch<'_>,
    ) -> Result<SuiteReport, AdversaryError> {
        config.check()?;
        data.check()?;
        let oracle = Oracle::new(model, data.truth.classes(), Duration::from_millis(config.time_max_ms), watch);
        oracle.allow(config.queries_max);
        (watch.progress)("held-back rows");
        let trial = Trial::new(data, config, &oracle)?;
        let run = Run { trial: &trial, oracle: &oracle, watch };
        let mut attacks = Vec::new();
        let wanted = |name: AttackName| !config.skip.contains(&name);
        if wanted(AttackName::Extraction) {
            run.one("extraction", AttackKind::Extraction, 1.0, &mut attacks, |trial| extraction::run(trial).map(one))?;
        }
        if wanted(AttackName::Membership) {
            let membership = |trial: &Trial<'_>| membership::run(trial).map(one);
            run.one("membership", AttackKind::Membership, MEMBERSHIP_SHARE, &mut attacks, membership)?;
        }
        if wanted(AttackName::Triggers) {
            run.one("known triggers", AttackKind::Trigger, KNOWN_SHARE, &mut attacks, trigger::run)?;
            run.one("search for triggers", AttackKind::Trigger, SEARCH_SHARE, &mut attacks, |trial| search::run(trial).map(one))?;
        }
        if wanted(AttackName::Poisoning) {
            run.one("poisoning", AttackKind::Poisoning, 1.0, &mut attacks, |trial| poisoning::run(trial).map(one))?;
        }
        // Images with scores are tried by Square, everything else by HopSkipJump.
        if !wanted(AttackName::Evasion) {
            (watch.progress)("report");
        } else if data.image.is_some() && trial.answers.has_probabilities() {
            run.one("evasion of images", AttackKind::Square, 1.0, &mut attacks, |trial| square::run(trial).map(one))?;
        } else {
            run.one("evasion", AttackKind::HopSkipJump, 1.0, &mut attacks, |trial| hop::run(trial).map(one))?;
        }
        Ok(SuiteReport {
            verdict: SuiteVerdict::of(&attacks),
            seed: config.seed,
            confidence: config.confidence,
            queries: oracle.used(),
            queries_max: config.queries_max,
            clean: clean(&trial),
            attacks,
            cannot_show: CANNOT_SHOW.map(str::to_owned).to_vec(),
        })
    }
}

fn one(report: AttackReport) -> Vec<AttackReport> {
    vec![report]
}

struct Run<'a> {
    trial: &'a Trial<'a>,
    oracle: &'a Oracle<'a>,
    watch: &'a Watch<'a>,
}

impl Run<'_> {
    /// Runs one attack with a share of the queries that are left.
    fn one(
        &self,
        name: &'static str,
        kind: AttackKind,
        share: f64,
        attacks: &mut Vec<AttackReport>,
        attack: impl FnOnce(&Trial<'_>) -> Result<Vec<AttackReport>, Stop>,
    ) -> Result<(), AdversaryError> {
        if self.watch.stopped() {
            return Err(AdversaryError::Cancelled);
        }
        (self.watch.progress)(name);
        let left = self.trial.config.queries_max.saturating_sub(self.oracle.used());
        self.oracle.allow((left as f64 * share) as u64);
        let used = self.oracle.used();
        match attack(self.trial) {
            Ok(mut reports) => {
                if let [report] = reports.as_mut_slice() {
                    report.queries = self.oracle.used() - used;
                }
                attacks.extend(reports);
                Ok(())
            }
            Err(Stop::Cancelled) => Err(AdversaryError::Cancelled),
            // One attack that got no answer does not hide what the others found.
            Err(stop) => {
                let mut report = AttackReport::new(kind, self.trial.config.seed, Limits { notice: None, refuse: None });
                report.queries = self.oracle.used() - used;
                report.cut_short = stop.is_budget();
                attacks.push(report.not_run(format!("{name}: {}", stop.words())));
                Ok(())
            }
        }
    }
}

/// The model's number on the held-back rows.
fn clean(trial: &Trial<'_>) -> Measure {
    let count = trial.rows.count() as f64;
    if trial.truth.classes() > 0 {
        let hits = (0..trial.rows.count())
            .filter(|row| trial.truth.labels().get(*row) == Some(&trial.answers.label(*row)))
            .count() as f64;
        let interval = Some(share_interval(hits, count, trial.config.confidence));
        return Measure { name: "accuracy".to_owned(), value: hits / count.max(1.0), interval };
    }
    let mean = trial.truth.numbers().iter().sum::<f64>() / count.max(1.0);
    let all: f64 = trial.truth.numbers().iter().map(|value| (value - mean).powi(2)).sum();
    let errors: f64 =
        trial.truth.numbers().iter().enumerate().map(|(row, value)| (value - trial.answers.number(row)).powi(2)).sum();
    Measure { name: "R²".to_owned(), value: if all > 0.0 { 1.0 - errors / all } else { 0.0 }, interval: None }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Binary, blobs, by_heart, logistic, quiet, watched};
    use crate::{KnownTrigger, PredictError, Predictions, Rows, Truth, Verdict};

    fn config() -> SuiteConfig {
        let mut config = SuiteConfig { seed: 9, queries_max: 20_000, ..SuiteConfig::default() };
        (config.evasion.rows, config.evasion.queries_per_row) = (5, 300);
        config
    }

    /// The kinds of the attacks that refuse a model.
    fn check(model: &dyn Predict, data: &EvaluationData, verdict: SuiteVerdict, refused_by: &[AttackKind]) -> SuiteReport {
        let report = quiet(|watch| Suite::run(model, data, &config(), watch)).unwrap();
        let found: Vec<AttackKind> =
            report.attacks.iter().filter(|attack| attack.verdict == Verdict::Refuse).map(|attack| attack.kind).collect();
        assert_eq!((report.verdict, found.as_slice()), (verdict, refused_by), "{:#?}", report.attacks);
        assert!(report.queries <= report.queries_max);
        report
    }

    #[test]
    fn each_bad_model_is_refused_by_its_own_attack() {
        let honest = || logistic(vec![1.0; 4], 0.0);
        let data = blobs(600, 4, 5.0, 3);
        let report = check(&honest(), &data, SuiteVerdict::Notice, &[]);
        assert!(report.attacks.iter().all(|attack| !attack.summary.is_empty() && !attack.framework.atlas.is_empty()));
        assert!(report.clean.value > 0.95 && report.attacks.len() == 6);
        let mut stamped = data.clone();
        stamped.triggers = vec![KnownTrigger { name: "a stamp".to_owned(), cells: vec![(2, 9.5)], target: Some(1) }];
        let backdoored = Binary(|row: &[f64]| if row[2] == 9.5 { 0.99 } else { 1.0 / (1.0 + (-row.iter().sum::<f64>()).exp()) });
        check(&backdoored, &stamped, SuiteVerdict::Refuse, &[AttackKind::Trigger]);
        let noisy = blobs(600, 4, 1.0, 3);
        let (rows, truth) = noisy.training.clone().unwrap();
        check(&by_heart(rows, truth.labels().to_vec()), &noisy, SuiteVerdict::Refuse, &[AttackKind::Membership]);
    }

    #[test]
    fn the_seed_decides_and_reports_are_read_back() {
        let (model, data) = (logistic(vec![1.0; 3], 0.0), blobs(300, 3, 3.0, 3));
        let run = |seed| quiet(|watch| Suite::run(&model, &data, &SuiteConfig { seed, ..config() }, watch)).unwrap();
        let first = run(1);
        assert_eq!(first, run(1));
        assert_ne!(first.attacks, run(2).attacks);
        assert_eq!(first, serde_json::from_str(&serde_json::to_string(&first).unwrap()).unwrap());
    }

    /// Answers so many rows, then fails.
    struct Failing(std::cell::Cell<usize>);

    impl Predict for Failing {
        fn predict(&self, rows: &Rows) -> Result<Predictions, PredictError> {
            let left = self.0.get();
            if rows.count() > left {
                return Err(PredictError("out of memory".to_owned()));
            }
            self.0.set(left - rows.count());
            Ok(Predictions::Labels(rows.iter().map(|row| u32::from(row.iter().sum::<f64>() > 0.0)).collect()))
        }
    }

    #[test]
    fn a_model_that_fails_and_a_budget_that_ends_are_never_clear() {
        let data = blobs(300, 3, 3.0, 3);
        let run = |model: &dyn Predict, config: &SuiteConfig| quiet(|watch| Suite::run(model, &data, config, watch));
        assert!(matches!(run(&Failing(std::cell::Cell::new(10)), &config()), Err(AdversaryError::Model(_))));
        let failed = run(&Failing(std::cell::Cell::new(1_000)), &config()).unwrap();
        assert_eq!(failed.verdict, SuiteVerdict::Incomplete);
        assert!(failed.attacks.iter().any(|attack| attack.summary.contains("out of memory")));
        let poor = run(&logistic(vec![1.0; 3], 0.0), &SuiteConfig { queries_max: 700, ..config() }).unwrap();
        assert_eq!(poor.verdict, SuiteVerdict::Incomplete, "{:#?}", poor.attacks);
        assert!(poor.queries <= 700);
    }

    #[test]
    fn time_and_a_stop_end_it() {
        let (model, data) = (logistic(vec![1.0; 3], 0.0), blobs(100, 3, 3.0, 3));
        assert!(matches!(watched(true, 0, |watch| Suite::run(&model, &data, &config(), watch)), Err(AdversaryError::Cancelled)));
        let late = watched(false, 10_000, |watch| Suite::run(&model, &data, &config(), watch));
        assert!(matches!(late, Err(AdversaryError::Model(words)) if words.contains("time")));
    }

    #[test]
    fn a_regressor_is_tried_by_what_applies() {
        struct First;
        impl Predict for First {
            fn predict(&self, rows: &Rows) -> Result<Predictions, PredictError> {
                Ok(Predictions::Numbers(rows.iter().map(|row| row[0]).collect()))
            }
        }
        let mut data = blobs(300, 3, 3.0, 3);
        let numbers = |rows: &Rows| Truth::Numbers(rows.iter().map(|row| row[0] + 0.1).collect());
        data.truth = numbers(&data.rows);
        data.training = data.training.map(|(rows, _)| {
            let truth = numbers(&rows);
            (rows, truth)
        });
        let report = quiet(|watch| Suite::run(&First, &data, &config(), watch)).unwrap();
        let applied: Vec<AttackKind> =
            report.attacks.iter().filter(|attack| attack.verdict != Verdict::NotApplicable).map(|attack| attack.kind).collect();
        assert_eq!(
            (applied.as_slice(), report.verdict),
            (&[AttackKind::Extraction, AttackKind::Membership][..], SuiteVerdict::Notice)
        );
    }
}
