//! Extraction: a copy of the model is learnt from its answers to natural queries (Knockoff nets, Orekondy et al. 2019).
//!
//! The queries are held-back rows, so the copy has seen no training row. Two learners copy, and the better one counts: a
//! linear one, by the logarithms of the probabilities where there are any, and random Fourier features with discriminants.

use poison::{Matrix, Random, Surrogate};

use super::Trial;
use crate::at::{argmax, at, narrow};
use crate::learn::{Encoder, Linear};
use crate::oracle::Stop;
use crate::report::{AttackKind, AttackReport, Curve, Point};
use crate::stats::{Interval, middle_of, share_interval};
use crate::{AdversaryError, Predictions};

/// The share of the rows that copies are judged on.
const JUDGED_SHARE: f64 = 0.3;
/// Rows of queries below which nothing is learnt.
const QUERY_COUNT_MIN: usize = 20;
/// Queries of the curve.
const STEPS: [usize; 10] = [30, 100, 300, 1_000, 2_000, 4_000, 8_000, 16_000, 32_000, 64_000];
/// Random features of a copy.
const FEATURE_COUNT: usize = 512;
/// A probability is taken as no smaller than this in a logarithm.
const PROBABILITY_MIN: f64 = 1e-6;
/// Resamples of a regressor's interval.
const RESAMPLE_COUNT: u64 = 300;
/// Agreements whose price in queries is reported.
const GOALS: [f64; 3] = [0.8, 0.9, 0.95];

/// Copies the model with more and more queries.
pub(crate) fn run(trial: &Trial<'_>) -> Result<AttackReport, Stop> {
    let report = AttackReport::new(AttackKind::Extraction, trial.config.seed, trial.config.extraction.limits);
    let mut order: Vec<u32> = (0..narrow(trial.rows.count())).collect();
    Random::new(trial.config.seed, 0x636f_7079).shuffle(&mut order);
    let (judged, pool) = order.split_at((order.len() as f64 * JUDGED_SHARE) as usize);
    if pool.len() < QUERY_COUNT_MIN || judged.len() < QUERY_COUNT_MIN / 2 {
        return Ok(report.not_run(format!("{} rows are too few to learn a copy from: give more held-back rows", order.len())));
    }
    let fault = |error: AdversaryError| Stop::Model(error.to_string());
    let encoder = Encoder::new(&trial.data.features, &trial.rows.chosen(pool), trial.config.seed);
    let asked = encoder.points(&trial.rows.chosen(judged)).map_err(fault)?;
    let known = encoder.points(&trial.rows.chosen(pool)).map_err(fault)?;
    let steps = STEPS.iter().copied().filter(|step| *step < pool.len()).chain([pool.len()]);
    let (mut fidelity, mut accuracy) = (Vec::new(), Vec::new());
    for step in steps {
        let copies = Copies { trial, asked: &asked, known: &known, pool: pool.get(..step).unwrap_or(&[]), judged };
        let Some((own, right)) = copies.best()? else { continue };
        fidelity.push(Point { x: step as f64, ..own });
        accuracy.extend(right.map(|right| Point { x: step as f64, y: right, interval: None }));
    }
    Ok(summarise(report, fidelity, accuracy))
}

fn summarise(mut report: AttackReport, fidelity: Vec<Point>, accuracy: Vec<Point>) -> AttackReport {
    let Some(best) = fidelity.iter().copied().max_by(|left, right| left.y.total_cmp(&right.y)) else {
        return report.not_run("no copy could be learnt from the answers".to_owned());
    };
    report = report.measured("agreement of the best copy with the model", best.y, best.interval);
    for goal in GOALS {
        if let Some(first) = fidelity.iter().find(|point| point.y >= goal) {
            report = report.and(&format!("queries to an agreement of {goal}"), first.x, None);
        }
    }
    let reach = fidelity.iter().find(|point| point.y >= 0.9).or(fidelity.last()).copied().unwrap_or(best);
    report.summary =
        format!("A copy learnt from {} answers agrees with the model on {:.1} % of other rows", best.x, 100.0 * best.y);
    report.advice = format!(
        "Whoever may ask {} questions like the held-back rows gets a copy that agrees in {:.0} %. Rounding answers does not stop it: \
         give each caller a budget of fewer queries than that, count how much of the input space each has covered, and mark the model \
         so that a copy can be proven.",
        reach.x,
        100.0 * reach.y
    );
    report.curves.push(Curve { name: "agreement by queries".to_owned(), points: fidelity });
    if !accuracy.is_empty() {
        report.curves.push(Curve { name: "accuracy of the copy by queries".to_owned(), points: accuracy });
    }
    report
}

/// Copies from the same queries.
struct Copies<'a> {
    trial: &'a Trial<'a>,
    asked: &'a Matrix,
    known: &'a Matrix,
    /// The rows asked about, the first of `known`.
    pool: &'a [u32],
    judged: &'a [u32],
}

impl Copies<'_> {
    /// The best copy's agreement with the model, and its accuracy.
    fn best(&self) -> Result<Option<(Point, Option<f64>)>, Stop> {
        let width = self.known.columns();
        let values = self.known.values().get(..self.pool.len() * width).unwrap_or(&[]).to_vec();
        let points = Matrix::new(width, values).map_err(|error| Stop::Model(error.to_string()))?;
        if self.trial.truth.classes() == 0 {
            return Ok(self.numbers(&points).map(|point| (point, None)));
        }
        let mut copies = vec![self.fourier(&points)?];
        copies.extend(self.linear(&points));
        let of = self.judged.len() as f64;
        let share = |copy: &[u32], label: &dyn Fn(u32) -> u32| {
            copy.iter().zip(self.judged).filter(|(own, row)| **own == label(**row)).count() as f64
        };
        let scored = copies.iter().map(|copy| (share(copy, &|row| self.trial.answers.label(row as usize)), copy));
        let Some((hits, copy)) = scored.max_by(|left, right| left.0.total_cmp(&right.0)) else { return Ok(None) };
        let right = share(copy, &|row| at(self.trial.truth.labels(), row as usize)) / of;
        let interval = Some(share_interval(hits, of, self.trial.config.confidence));
        Ok(Some((Point { x: 0.0, y: hits / of, interval }, Some(right))))
    }

    fn fourier(&self, points: &Matrix) -> Result<Vec<u32>, Stop> {
        let labels: Vec<u32> = self.pool.iter().map(|row| self.trial.answers.label(*row as usize)).collect();
        let watch = self.trial.oracle.watch();
        let task = (points, labels.as_slice(), self.trial.truth.classes());
        let model =
            Surrogate::learn(task, FEATURE_COUNT, self.trial.config.seed, &watch.of_learners()).map_err(|_| Stop::Cancelled)?;
        let told = model.probabilities(self.asked);
        Ok(told.iter().map(|row| narrow(argmax(&row.iter().map(|value| f64::from(*value)).collect::<Vec<f64>>()))).collect())
    }

    fn linear(&self, points: &Matrix) -> Option<Vec<u32>> {
        let classes = self.trial.truth.classes();
        let targets: Vec<f64> = self.pool.iter().flat_map(|row| targets(&self.trial.answers, *row as usize, classes)).collect();
        let model = Linear::learn(points, &targets, classes, self.trial.oracle.watch())?;
        Some(model.scores(self.asked).iter().map(|scores| narrow(argmax(scores))).collect())
    }

    /// The share of the variance of a regressor's answers that a linear copy explains.
    fn numbers(&self, points: &Matrix) -> Option<Point> {
        let targets: Vec<f64> = self.pool.iter().map(|row| self.trial.answers.number(*row as usize)).collect();
        let model = Linear::learn(points, &targets, 1, self.trial.oracle.watch())?;
        let wanted = self.judged.iter().map(|row| self.trial.answers.number(*row as usize));
        let pairs: Vec<(f64, f64)> = wanted.zip(model.scores(self.asked).iter().map(|scores| at(scores, 0))).collect();
        let explained = |pairs: &[(f64, f64)]| {
            let mean = pairs.iter().map(|(wanted, _)| wanted).sum::<f64>() / pairs.len().max(1) as f64;
            let all: f64 = pairs.iter().map(|(wanted, _)| (wanted - mean).powi(2)).sum();
            let rest: f64 = pairs.iter().map(|(wanted, got)| (wanted - got).powi(2)).sum();
            if all > 0.0 { (1.0 - rest / all).max(0.0) } else { 0.0 }
        };
        let resample = |seed: u64| {
            let mut random = Random::new(self.trial.config.seed, 0x636f_7000 + (seed << 32));
            explained(&(0..pairs.len()).map(|_| at(&pairs, random.below(pairs.len()))).collect::<Vec<_>>())
        };
        let mut values: Vec<f64> = (0..RESAMPLE_COUNT).map(resample).collect();
        let interval: Interval = middle_of(&mut values, self.trial.config.confidence);
        Some(Point { x: 0.0, y: explained(&pairs), interval: Some(interval) })
    }
}

/// What a linear copy learns of an answer: logarithms of probabilities about their mean, or the class.
fn targets(answers: &Predictions, row: usize, classes: usize) -> Vec<f64> {
    if answers.has_probabilities() {
        let logs: Vec<f64> = answers.probabilities(row).iter().map(|value| value.max(PROBABILITY_MIN).ln()).collect();
        let mean = logs.iter().sum::<f64>() / classes.max(1) as f64;
        return logs.into_iter().map(|value| value - mean).collect();
    }
    (0..classes).map(|class| f64::from(u8::from(answers.label(row) as usize == class))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::attack::tried;
    use crate::report::Verdict;
    use crate::testing::{Binary, Hidden, blobs, logistic};
    use crate::{Predict, PredictError, Rows, SuiteConfig, Truth};

    fn check(model: &dyn Predict, least: f64, most: f64) -> AttackReport {
        let config = SuiteConfig { seed: 6, ..SuiteConfig::default() };
        let report = tried(model, &blobs(1_500, 6, 2.0, 4), &config, run);
        let value = report.measure.as_ref().unwrap().value;
        assert!((least..=most).contains(&value), "{}", report.summary);
        report
    }

    #[test]
    fn a_linear_model_is_copied() {
        let victim = logistic(vec![1.0, -0.5, 0.7, 0.2, 0.0, 1.0], 0.1);
        let report = check(&victim, 0.99, 1.0);
        assert_eq!(report.verdict, Verdict::Notice);
        let points = &report.curves[0].points;
        assert!(points.len() >= 4 && points[0].x == 30.0, "{points:?}");
        assert!(report.more.iter().any(|more| more.name == "queries to an agreement of 0.9"));
        // Hiding the scores hardly helps.
        check(&Hidden(&victim), 0.95, 1.0);
    }

    #[test]
    fn noise_is_not_copied() {
        let noise = Binary(|row: &[f64]| f64::from(u8::from((row[0] * 12_345.678).fract().abs() > 0.5)));
        assert_eq!(check(&noise, 0.3, 0.7).verdict, Verdict::Clear);
    }

    /// A regressor: a plane.
    struct Plane;

    impl Predict for Plane {
        fn predict(&self, rows: &Rows) -> Result<Predictions, PredictError> {
            Ok(Predictions::Numbers(rows.iter().map(|row| 2.0 * row[0] - row[1] + 3.0).collect()))
        }
    }

    #[test]
    fn a_regressor_is_copied_too() {
        let mut data = blobs(400, 3, 2.0, 4);
        data.truth = Truth::Numbers(data.rows.iter().map(|row| row[0]).collect());
        data.training = None;
        let report = tried(&Plane, &data, &SuiteConfig::default(), run);
        assert!(report.measure.unwrap().value > 0.99);
    }
}
