//! Membership inference: whether a row was trained on is told from the model's answer to it.
//!
//! The loss as a score, with a threshold (Yeom et al. 2018); and the likelihood ratio against models that have not seen the
//! row (Carlini et al. 2022, offline), which are surrogates here: the candidate itself cannot be trained again.

use poison::{Matrix, Random, Surrogate};
use rayon::prelude::*;

use super::{Trial, chosen};
use crate::at::{add, at};
use crate::learn::Encoder;
use crate::oracle::Stop;
use crate::report::{AttackKind, AttackReport, Curve, Point, Verdict};
use crate::stats::{Interval, middle_of, normal_below, z_of};
use crate::{Predictions, Truth};

/// Rows of each side below which nothing is told.
const ROW_COUNT_MIN: usize = 50;
/// False alarms at which recognised rows are counted.
const ALARM_SHARE: f64 = 0.01;
/// Resamples of the interval of that share.
const RESAMPLE_COUNT: u64 = 400;
/// Random features of a shadow model.
const FEATURE_COUNT: usize = 256;
/// False alarms of the curve.
const CURVE: [f64; 6] = [0.001, 0.01, 0.05, 0.1, 0.2, 0.5];

/// Rows of one side with their answers.
struct Side {
    rows: crate::Rows,
    truth: Truth,
    answers: Predictions,
    numbers: Vec<u32>,
}

/// Tells training rows from held-back rows.
pub(crate) fn run(trial: &Trial<'_>) -> Result<AttackReport, Stop> {
    let config = &trial.config.membership;
    let report = AttackReport::new(AttackKind::Membership, trial.config.seed, config.advantage);
    let Some((rows, truth)) = &trial.data.training else {
        return Ok(report.not_applicable("no training rows were given: without them nothing is told from anything"));
    };
    let affordable = usize::try_from(trial.oracle.left()).unwrap_or(usize::MAX);
    let wanted = (config.rows as usize).min(trial.rows.count());
    let count = wanted.min(affordable).min(rows.count());
    if count < ROW_COUNT_MIN {
        let why =
            format!("{ROW_COUNT_MIN} training and held-back rows are needed, and queries for them; {count} could be asked about");
        return Ok(report.not_run(why));
    }
    let numbers = Random::new(trial.config.seed, 0x6d65_6d62).sample(rows.count(), count);
    let members = rows.chosen(&numbers);
    let inside = Side { answers: trial.oracle.ask(&members)?, truth: chosen(truth, &numbers), rows: members, numbers };
    let numbers = Random::new(trial.config.seed, 0x6d65_6d62 + 1).sample(trial.rows.count(), wanted);
    let outside = Side {
        rows: trial.rows.chosen(&numbers),
        truth: chosen(&trial.truth, &numbers),
        answers: pick(&trial.answers, &numbers),
        numbers,
    };
    let losses = Scores { inside: inside.scores(), outside: outside.scores() };
    let mut report = by_loss(trial, report, &losses);
    if config.shadows > 0 && trial.answers.has_probabilities() {
        let ratios = ratios(trial, &inside, &outside)?;
        report = by_ratio(trial, report, &ratios);
        report.rows = most_exposed(&ratios.inside, &inside.numbers);
    } else {
        report.rows = most_exposed(&losses.inside, &inside.numbers);
    }
    report.advice = "The model answers its training rows unlike others. Train it with regularisation or early stopping, drop \
                     duplicate rows, answer classes or rounded scores, or train with differential privacy where rows are about people."
        .to_owned();
    Ok(report)
}

/// Training rows by falling score.
fn most_exposed(scores: &[f64], numbers: &[u32]) -> Vec<u64> {
    let mut order: Vec<usize> = (0..scores.len()).collect();
    order.sort_by(|left, right| at(scores, *right).total_cmp(&at(scores, *left)));
    order.into_iter().take(20).map(|place| u64::from(at(numbers, place))).collect()
}

fn pick(answers: &Predictions, rows: &[u32]) -> Predictions {
    match answers {
        Predictions::Probabilities { classes, .. } => Predictions::Probabilities {
            classes: *classes,
            values: rows.iter().flat_map(|row| answers.probabilities(*row as usize)).copied().collect(),
        },
        Predictions::Labels(labels) => Predictions::Labels(rows.iter().map(|row| at(labels, *row as usize)).collect()),
        Predictions::Numbers(numbers) => Predictions::Numbers(rows.iter().map(|row| at(numbers, *row as usize)).collect()),
    }
}

impl Side {
    /// The more, the likelier trained on: the negative loss, or whether the answer is right where there is no more.
    fn scores(&self) -> Vec<f64> {
        let score = |row: usize| match &self.answers {
            Predictions::Probabilities { .. } => confidence(at(self.answers.probabilities(row), self.label(row))),
            Predictions::Labels(_) => f64::from(u8::from(self.answers.label(row) as usize == self.label(row))),
            Predictions::Numbers(_) => -(self.answers.number(row) - at(self.truth.numbers(), row)).abs(),
        };
        (0..self.answers.count()).map(score).collect()
    }

    fn label(&self, row: usize) -> usize {
        at(self.truth.labels(), row) as usize
    }
}

/// The logarithm of the odds, which is nearly normal where probabilities are not.
fn confidence(probability: f64) -> f64 {
    let probability = probability.clamp(1e-7, 1.0 - 1e-7);
    (probability / (1.0 - probability)).ln()
}

/// Scores of rows that were trained on, and of rows that were not.
struct Scores {
    inside: Vec<f64>,
    outside: Vec<f64>,
}

impl Scores {
    /// The greatest difference of true and false positives, with its interval: the threshold of one half is judged on the
    /// other, so that a model which tells nothing gets nothing.
    fn advantage(&self, seed: u64, confidence: f64) -> (f64, Interval) {
        let split = |values: &[f64], purpose: u64| {
            let mut order: Vec<usize> = (0..values.len()).collect();
            Random::new(seed, purpose).shuffle(&mut order);
            let (first, second) = order.split_at(order.len() / 2);
            let taken = |places: &[usize]| places.iter().map(|place| at(values, *place)).collect::<Vec<f64>>();
            (taken(first), taken(second))
        };
        let (first_in, second_in) = split(&self.inside, 0x6861_6c66);
        let (first_out, second_out) = split(&self.outside, 0x6861_6c66 + 1);
        let share =
            |values: &[f64], from: f64| values.iter().filter(|value| **value >= from).count() as f64 / values.len().max(1) as f64;
        let judged = |threshold: f64, inside: &[f64], outside: &[f64]| (share(inside, threshold), share(outside, threshold));
        let one = judged(threshold(&first_in, &first_out), &second_in, &second_out);
        let other = judged(threshold(&second_in, &second_out), &first_in, &first_out);
        let (hits, alarms) = (0.5 * (one.0 + other.0), 0.5 * (one.1 + other.1));
        let error = (hits * (1.0 - hits) / self.inside.len().max(1) as f64
            + alarms * (1.0 - alarms) / self.outside.len().max(1) as f64)
            .sqrt();
        let (value, half) = (hits - alarms, z_of(confidence) * error);
        (value, Interval { low: (value - half).max(-1.0), high: (value + half).min(1.0) })
    }

    /// The share of training rows that are recognised at these false alarms; equal scores are split as chance has it.
    fn recognised(&self, alarms: f64) -> f64 {
        let (mut inside, mut outside) = (self.inside.clone(), self.outside.clone());
        inside.sort_by(|left, right| right.total_cmp(left));
        outside.sort_by(|left, right| right.total_cmp(left));
        recognised(&inside, &outside, alarms)
    }

    fn recognised_interval(&self, seed: u64, confidence: f64) -> Interval {
        let draw = |values: &[f64], purpose: u64| {
            let mut random = Random::new(seed, purpose);
            let mut drawn: Vec<f64> = (0..values.len()).map(|_| at(values, random.below(values.len()))).collect();
            drawn.sort_by(|left, right| right.total_cmp(left));
            drawn
        };
        let mut shares: Vec<f64> = (0..RESAMPLE_COUNT)
            .into_par_iter()
            .map(|resample| {
                recognised(
                    &draw(&self.inside, 0x7265_0000 + 2 * resample),
                    &draw(&self.outside, 0x7265_0001 + 2 * resample),
                    ALARM_SHARE,
                )
            })
            .collect();
        middle_of(&mut shares, confidence)
    }
}

/// For falling scores.
fn recognised(inside: &[f64], outside: &[f64], alarms: f64) -> f64 {
    let allowed = alarms * outside.len() as f64;
    let above = |values: &[f64], from: f64| values.partition_point(|value| *value > from);
    let threshold = at(outside, (allowed.floor() as usize).min(outside.len().saturating_sub(1)));
    let strict = above(inside, threshold) as f64;
    // Rows of the threshold's own score: as many as false alarms are left for.
    let equal_in = inside.partition_point(|value| *value >= threshold) as f64 - strict;
    let strict_out = above(outside, threshold) as f64;
    let equal_out = outside.partition_point(|value| *value >= threshold) as f64 - strict_out;
    let part = if equal_out > 0.0 { ((allowed - strict_out) / equal_out).clamp(0.0, 1.0) } else { 0.0 };
    (strict + part * equal_in) / inside.len().max(1) as f64
}

/// The threshold with the greatest difference.
fn threshold(inside: &[f64], outside: &[f64]) -> f64 {
    let weigh =
        |values: &[f64], sign: f64| values.iter().map(|value| (*value, sign / values.len().max(1) as f64)).collect::<Vec<_>>();
    let mut all = [weigh(inside, 1.0), weigh(outside, -1.0)].concat();
    all.sort_by(|left, right| right.0.total_cmp(&left.0));
    let (mut best, mut sum, mut from) = (0.0, 0.0, f64::INFINITY);
    for (place, (value, weight)) in all.iter().enumerate() {
        sum += weight;
        let last_of_equals = all.get(place + 1).is_none_or(|(next, _)| next < value);
        if last_of_equals && sum > best + 1e-12 {
            (best, from) = (sum, *value);
        }
    }
    from
}

fn by_loss(trial: &Trial<'_>, report: AttackReport, scores: &Scores) -> AttackReport {
    let (seed, confidence) = (trial.config.seed, trial.config.confidence);
    let (advantage, interval) = scores.advantage(seed, confidence);
    let recognised = scores.recognised(ALARM_SHARE);
    let mut report = report.measured("advantage by the loss: true less false positives", advantage, Some(interval));
    let name = "training rows recognised at 1 % false alarms, by the loss";
    report.summary = format!(
        "Of {} training and {} held-back rows the loss tells them apart with an advantage of {advantage:.3}, and recognises {:.1} % at 1 % false alarms",
        scores.inside.len(),
        scores.outside.len(),
        100.0 * recognised
    );
    report.curves.push(curve("by the loss", scores));
    let limits = trial.config.membership.recognised;
    worse(report, name, recognised, scores.recognised_interval(seed, confidence), limits)
}

fn by_ratio(trial: &Trial<'_>, report: AttackReport, scores: &Scores) -> AttackReport {
    let (seed, confidence) = (trial.config.seed, trial.config.confidence);
    let (advantage, interval) = scores.advantage(seed, confidence);
    let recognised = scores.recognised(ALARM_SHARE);
    let mut report = report.and("advantage by the likelihood ratio", advantage, Some(interval));
    report.summary = format!("{}; by the likelihood ratio {:.1} %", report.summary, 100.0 * recognised);
    report.curves.push(curve("by the likelihood ratio", scores));
    let name = "training rows recognised at 1 % false alarms, by the likelihood ratio";
    worse(report, name, recognised, scores.recognised_interval(seed, confidence), trial.config.membership.recognised)
}

/// Takes a further number in, as the report's own where it concludes worse.
fn worse(mut report: AttackReport, name: &str, value: f64, interval: Interval, limits: crate::Limits) -> AttackReport {
    let other = AttackReport::new(report.kind, report.seed, limits).measured(name, value, Some(interval));
    if other.verdict > report.verdict && report.verdict != Verdict::NotRun {
        report.more.extend(report.measure.take());
        (report.measure, report.verdict, report.limits) = (other.measure, other.verdict, limits);
    } else {
        report.more.extend(other.measure);
    }
    report
}

fn curve(name: &str, scores: &Scores) -> Curve {
    let points = CURVE.map(|alarms| Point { x: alarms, y: scores.recognised(alarms), interval: None });
    Curve { name: format!("recognised training rows by false alarms, {name}"), points: points.to_vec() }
}

/// How much surer the model is of each row than models that have not seen it.
fn ratios(trial: &Trial<'_>, inside: &Side, outside: &Side) -> Result<Scores, Stop> {
    let encoder = Encoder::new(&trial.data.features, &inside.rows, trial.config.seed);
    let fault = |error: crate::AdversaryError| Stop::Model(error.to_string());
    let (known, unknown) = (encoder.points(&inside.rows).map_err(fault)?, encoder.points(&outside.rows).map_err(fault)?);
    let count = known.rows() + unknown.rows();
    let all = Matrix::new(known.columns(), [known.values(), unknown.values()].concat())
        .map_err(|error| Stop::Model(error.to_string()))?;
    let labels: Vec<u32> = [inside.truth.labels(), outside.truth.labels()].concat();
    let (mut sums, mut squares, mut counts) = (vec![0.0; count], vec![0.0; count], vec![0.0_f64; count]);
    for shadow in 0..trial.config.membership.shadows {
        let unseen = shadow_answers(trial, (&all, &labels), u64::from(shadow))?;
        for (row, score) in unseen {
            add(&mut sums, row, score);
            add(&mut squares, row, score * score);
            add(&mut counts, row, 1.0);
        }
    }
    // With few shadows one spread for all rows is steadier than one for each (section VI-C of the source).
    let within: f64 = (0..count).map(|row| at(&squares, row) - at(&sums, row).powi(2) / at(&counts, row).max(1.0)).sum();
    let freedom: f64 = counts.iter().map(|count| (count - 1.0).max(0.0)).sum();
    let spread = (within / freedom.max(1.0)).max(1e-6).sqrt();
    let score = |row: usize, own: f64| {
        let mean = at(&sums, row) / at(&counts, row).max(1.0);
        normal_below((own - mean) / spread)
    };
    let own = inside.scores();
    let others = outside.scores();
    Ok(Scores {
        inside: own.iter().enumerate().map(|(row, own)| score(row, *own)).collect(),
        outside: others.iter().enumerate().map(|(row, own)| score(known.rows() + row, *own)).collect(),
    })
}

/// A model of a random half of all rows, and how sure it is of the other half.
fn shadow_answers(trial: &Trial<'_>, (points, labels): (&Matrix, &[u32]), shadow: u64) -> Result<Vec<(usize, f64)>, Stop> {
    let seed = trial.config.seed;
    let learnt = Random::new(seed, 0x7368_6164 + (shadow << 32)).sample(points.rows(), points.rows() / 2);
    let mut seen = vec![false; points.rows()];
    learnt.iter().for_each(|row| crate::at::put(&mut seen, *row as usize, true));
    let take = |rows: &mut dyn Iterator<Item = usize>| {
        let values: Vec<f32> = rows.flat_map(|row| points.row(row)).copied().collect();
        Matrix::new(points.columns(), values).map_err(|error| Stop::Model(error.to_string()))
    };
    let unseen: Vec<usize> = (0..points.rows()).filter(|row| !at(&seen, *row)).collect();
    let known = take(&mut learnt.iter().map(|row| *row as usize))?;
    let known_labels: Vec<u32> = learnt.iter().map(|row| at(labels, *row as usize)).collect();
    let classes = trial.truth.classes();
    let watch = trial.oracle.watch();
    let model = Surrogate::learn((&known, &known_labels, classes), FEATURE_COUNT, seed + shadow, &watch.of_learners())
        .map_err(|_| Stop::Cancelled)?;
    let told = model.probabilities(&take(&mut unseen.iter().copied())?);
    let score = |(place, row): (usize, &usize)| (*row, confidence(f64::from(at(told.row(place), at(labels, *row) as usize))));
    Ok(unseen.iter().enumerate().map(score).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::attack::tried;
    use crate::testing::{Binary, Hidden, blobs, by_heart, classes};
    use crate::{EvaluationData, Predict, SuiteConfig};

    /// Overlapping classes: whoever knows the training rows by heart errs on others.
    fn data() -> EvaluationData {
        blobs(800, 3, 1.0, 9)
    }

    fn check(model: &dyn Predict, wanted: Verdict) -> AttackReport {
        let config = SuiteConfig { seed: 2, ..SuiteConfig::default() };
        let report = tried(model, &data(), &config, run);
        assert_eq!(report.verdict, wanted, "{} {:?}", report.summary, report.measure);
        report
    }

    #[test]
    fn a_model_that_knows_its_rows_by_heart_is_found() {
        let (rows, truth) = data().training.unwrap();
        let victim = by_heart(rows.clone(), truth.labels().to_vec());
        let report = check(&victim, Verdict::Refuse);
        // It is right on every training row, and on about three in five others.
        assert!(report.measure.unwrap().value > 0.25 && report.curves.len() == 2 && report.rows.len() == 20);
        check(&Hidden(&victim), Verdict::Refuse);
        // One that also tells how near its nearest training row is gives every one of them away.
        let labels = truth.labels().to_vec();
        let telling = Binary(move |row: &[f64]| {
            let distance = |other: &[f64]| row.iter().zip(other).map(|(a, b)| (a - b).powi(2)).sum::<f64>();
            let (near, label) = rows
                .iter()
                .zip(&labels)
                .map(|(other, label)| (distance(other), *label))
                .min_by(|a, b| a.0.total_cmp(&b.0))
                .unwrap();
            let sure = 0.5 + 0.5 * (-near).exp();
            if label == 1 { sure } else { 1.0 - sure }
        });
        let report = check(&telling, Verdict::Refuse);
        assert!(report.curves[0].points[1].y > 0.9, "{:?}", report.curves[0]);
    }

    #[test]
    fn models_that_tell_nothing_are_clear() {
        let constant = check(&Binary(|_| 0.4), Verdict::Clear);
        assert!(constant.measure.unwrap().value.abs() < 0.05);
        check(&crate::testing::logistic(vec![0.6; 3], 0.0), Verdict::Clear);
        check(&Hidden(&Binary(|_| 0.4)), Verdict::Clear);
    }

    #[test]
    fn recognised_rows_are_counted_as_a_curve_has_them() {
        let scores = Scores { inside: vec![3.0, 2.0, 2.0, 0.0], outside: vec![2.0, 2.0, 1.0, 1.0] };
        // Nothing is above all outside but the 3; at 25 % one of the two equal ones may be taken: half of the inside ones too.
        assert_eq!((scores.recognised(0.0), scores.recognised(0.25), scores.recognised(0.5)), (0.25, 0.5, 0.75));
        assert_eq!(threshold(&[3.0, 2.0], &[1.0]), 2.0);
        assert_eq!(threshold(&[1.0], &[2.0]), f64::INFINITY);
    }

    #[test]
    fn without_training_rows_it_does_not_apply_and_few_rows_are_no_proof() {
        let mut none = data();
        none.training = None;
        let config = SuiteConfig::default();
        assert_eq!(tried(&Binary(|_| 0.4), &none, &config, run).verdict, Verdict::NotApplicable);
        let mut few = data();
        few.training = Some((few.rows.chosen(&[0, 1, 2]), classes(vec![0, 1, 0])));
        assert_eq!(tried(&Binary(|_| 0.4), &few, &config, run).verdict, Verdict::NotRun);
    }
}
