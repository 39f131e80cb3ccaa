//! The poisoning simulation: how many flipped labels of the training data cost how much accuracy, the most valuable ones
//! first (kNN-Shapley values, Jia et al. 2019) against random ones. The attacker flips all classes or one alone, whichever costs
//! more on rows that the number is not measured on: flips in both directions leave many models where they were.
//!
//! The candidate is not trained again: a surrogate is, the nearest neighbours or random Fourier features with discriminants,
//! whichever agrees with the candidate on more held-back rows. That agreement is in the report.

use std::ops::Range;

use poison::{Matrix, Nearest, Random, Surrogate};

use super::{Trial, chosen};
use crate::at::{argmax, at, narrow, put};
use crate::learn::Encoder;
use crate::oracle::Stop;
use crate::report::{AttackKind, AttackReport, Curve, Point};
use crate::stats::{Interval, share_interval, z_of};

/// Training rows below which nothing is learnt.
const ROW_COUNT_MIN: usize = 50;
/// Held-back rows that accuracy is measured on.
const JUDGED_COUNT_MAX: usize = 3_000;
/// Shares of flipped labels of the curve, besides the configured one.
const SHARES: [f64; 7] = [0.0, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2];
/// Random features of the surrogate.
const FEATURE_COUNT: usize = 256;
/// Classes whose labels are flipped alone.
const ONE_SIDED_COUNT_MAX: usize = 4;
/// Rows that are named.
const NAMED_COUNT: usize = 20;

/// Flips labels and learns again.
pub(crate) fn run(trial: &Trial<'_>) -> Result<AttackReport, Stop> {
    let config = &trial.config.poisoning;
    let report = AttackReport::new(AttackKind::Poisoning, trial.config.seed, config.limits);
    if trial.truth.classes() < 2 {
        return Ok(report.not_applicable("flipped labels are simulated for classifiers"));
    }
    let Some((rows, truth)) = &trial.data.training else {
        return Ok(report.not_applicable("no training rows were given"));
    };
    let seed = trial.config.seed;
    let numbers = Random::new(seed, 0x706f_6973).sample(rows.count(), config.rows as usize);
    if numbers.len() < ROW_COUNT_MIN {
        return Ok(
            report.not_run(format!("{} training rows are too few to learn from: give at least {ROW_COUNT_MIN}", numbers.len()))
        );
    }
    let fault = |error: crate::AdversaryError| Stop::Model(error.to_string());
    let learnt = rows.chosen(&numbers);
    let encoder = Encoder::new(&trial.data.features, &learnt, seed);
    let judged: Vec<u32> = Random::new(seed, 0x706f_6973 + 1).sample(trial.rows.count(), JUDGED_COUNT_MAX);
    let known = encoder.points(&learnt).map_err(fault)?;
    let asked = encoder.points(&trial.rows.chosen(&judged)).map_err(fault)?;
    let all = Matrix::new(known.columns(), [known.values(), asked.values()].concat())
        .map_err(|error| Stop::Model(error.to_string()))?;
    let watch = trial.oracle.watch().of_learners();
    let nearest = Nearest::of(&all, known.rows(), &watch).map_err(|_| Stop::Cancelled)?;
    let labels: Vec<u32> = chosen(truth, &numbers).labels().to_vec();
    let course = Course { trial, known: &known, asked: &asked, nearest: &nearest, labels: &labels, judged: &judged };
    course.run(report, &numbers)
}

/// Flips on one surrogate.
struct Course<'a> {
    trial: &'a Trial<'a>,
    known: &'a Matrix,
    asked: &'a Matrix,
    nearest: &'a Nearest,
    labels: &'a [u32],
    judged: &'a [u32],
}

impl Course<'_> {
    fn run(&self, report: AttackReport, numbers: &[u32]) -> Result<AttackReport, Stop> {
        let (by_neighbours, by_features) = (self.answers(true, self.labels)?, self.answers(false, self.labels)?);
        let agreement = |answers: &[u32]| self.share(answers, |row| self.trial.answers.label(row));
        let neighbours = agreement(&by_neighbours) >= agreement(&by_features);
        let clean = if neighbours { by_neighbours } else { by_features };
        let flipped_to = self.second_classes()?;
        let order = self.worst_order(neighbours, &clean, &flipped_to)?;
        let mut shares = SHARES.to_vec();
        shares.push(self.trial.config.poisoning.share);
        shares.sort_by(f64::total_cmp);
        shares.dedup();
        let mut random_order = order.clone();
        Random::new(self.trial.config.seed, 0x666c_6970).shuffle(&mut random_order);
        let (mut targeted, mut random, mut own) = (Vec::new(), Vec::new(), None);
        for share in shares {
            let count = (share * self.labels.len() as f64).round() as usize;
            for (order, points) in [(&order, &mut targeted), (&random_order, &mut random)] {
                let answers = self.answers(neighbours, &self.flipped(order, count, &flipped_to))?;
                let (loss, interval) = self.loss(&clean, &answers, self.judged.len() / 2..self.judged.len());
                points.push(Point { x: count as f64, y: loss, interval: Some(interval) });
            }
            if share == self.trial.config.poisoning.share {
                own = targeted.last().copied().zip(random.last().copied());
            }
        }
        let Some(own) = own else { return Ok(report.not_run("no share of labels was flipped".to_owned())) };
        let rows = order.iter().take(NAMED_COUNT).map(|row| u64::from(at(numbers, *row as usize))).collect();
        let accuracy = self.share(&clean, |row| at(self.trial.truth.labels(), row));
        let report = AttackReport { rows, ..report };
        Ok(self.summarise(report, own, (targeted, random), (agreement(&clean), accuracy, neighbours)))
    }

    fn summarise(
        &self,
        report: AttackReport,
        (own, by_chance): (Point, Point),
        (targeted, random): (Vec<Point>, Vec<Point>),
        (agreement, accuracy, neighbours): (f64, f64, bool),
    ) -> AttackReport {
        let config = &self.trial.config.poisoning;
        let name =
            format!("accuracy lost to {} flipped labels ({:.1} % of them), chosen by the attacker", own.x, 100.0 * config.share);
        let mut report = report.measured(&name, own.y, own.interval);
        report = report.and("accuracy lost to as many random ones", by_chance.y, by_chance.interval);
        let of = self.judged.len() as f64;
        let interval = |share: f64| Some(share_interval(share * of, of, self.trial.config.confidence));
        report = report.and("agreement of the surrogate with the model", agreement, interval(agreement));
        report = report.and("accuracy of the surrogate", accuracy, interval(accuracy));
        let lethal = targeted.iter().find(|point| point.y >= config.loss).map(|point| point.x);
        if let Some(count) = lethal {
            report = report.and(&format!("flipped labels that cost {} of accuracy", config.loss), count, None);
        }
        let surrogate = if neighbours { "a nearest-neighbour surrogate" } else { "a surrogate of random features" };
        let price = lethal.map_or_else(
            || format!("none of the doses tried costs {:.0} points", 100.0 * config.loss),
            |count| format!("{count} flips or fewer cost {:.0} points", 100.0 * config.loss),
        );
        report.summary = format!(
            "On {surrogate} {} flips that an attacker chooses cost {:.1} points of accuracy, random ones {:.1}; {price}",
            own.x,
            100.0 * own.y,
            100.0 * by_chance.y
        );
        "Guard the rows that are named: a later version of the data that changes one of them is a finding. Let two people confirm their \
         labels, limit what one source may contribute, and screen each version for wrong labels."
            .clone_into(&mut report.advice);
        report
            .curves
            .push(Curve { name: "accuracy lost by flipped labels, chosen by the attacker".to_owned(), points: targeted });
        report.curves.push(Curve { name: "accuracy lost by flipped labels, at random".to_owned(), points: random });
        report
    }

    /// What a surrogate with these labels answers to the judged rows.
    fn answers(&self, neighbours: bool, labels: &[u32]) -> Result<Vec<u32>, Stop> {
        let classes = self.trial.truth.classes();
        if neighbours {
            return Ok(self.nearest.answers(labels, classes));
        }
        let told = self.surrogate(labels)?.probabilities(self.asked);
        Ok(told.iter().map(|row| narrow(argmax(&wide(row)))).collect())
    }

    fn surrogate(&self, labels: &[u32]) -> Result<Surrogate, Stop> {
        let watch = self.trial.oracle.watch();
        if watch.stopped() {
            return Err(Stop::Cancelled);
        }
        let task = (self.known, labels, self.trial.truth.classes());
        Surrogate::learn(task, FEATURE_COUNT, self.trial.config.seed, &watch.of_learners()).map_err(|_| Stop::Cancelled)
    }

    /// Training rows by falling value of their labels.
    fn by_value(&self) -> Vec<u32> {
        let values = self.nearest.values(self.labels);
        let mut order: Vec<u32> = (0..narrow(self.labels.len())).collect();
        order.sort_by(|left, right| at(&values, *right as usize).total_cmp(&at(&values, *left as usize)).then(left.cmp(right)));
        order
    }

    /// The order whose flips cost most on the first half of the judged rows: all classes by value, or the rows of one class first.
    fn worst_order(&self, neighbours: bool, clean: &[u32], flipped_to: &[u32]) -> Result<Vec<u32>, Stop> {
        let by_value = self.by_value();
        let count = (self.trial.config.poisoning.share * self.labels.len() as f64).round() as usize;
        let mut worst = (f64::NEG_INFINITY, by_value.clone());
        let one_sided = (0..narrow(self.trial.truth.classes().min(ONE_SIDED_COUNT_MAX))).map(|class| {
            let (own, others): (Vec<u32>, Vec<u32>) = by_value.iter().partition(|row| at(self.labels, **row as usize) == class);
            [own, others].concat()
        });
        for order in std::iter::once(by_value.clone()).chain(one_sided) {
            let answers = self.answers(neighbours, &self.flipped(&order, count, flipped_to))?;
            let (loss, _) = self.loss(clean, &answers, 0..self.judged.len() / 2);
            if loss > worst.0 {
                worst = (loss, order);
            }
        }
        Ok(worst.1)
    }

    /// The most probable other class of each training row: what a flipped label looks least wrong as.
    fn second_classes(&self) -> Result<Vec<u32>, Stop> {
        let told = self.surrogate(self.labels)?.probabilities(self.known);
        let second = |(row, label): (&[f32], &u32)| {
            let mut row = wide(row);
            put(&mut row, *label as usize, f64::NEG_INFINITY);
            narrow(argmax(&row))
        };
        Ok(told.iter().zip(self.labels).map(second).collect())
    }

    fn flipped(&self, order: &[u32], count: usize, flipped_to: &[u32]) -> Vec<u32> {
        let mut labels = self.labels.to_vec();
        order.iter().take(count).for_each(|row| put(&mut labels, *row as usize, at(flipped_to, *row as usize)));
        labels
    }

    fn share(&self, answers: &[u32], wanted: impl Fn(usize) -> u32) -> f64 {
        let hits = answers.iter().zip(self.judged).filter(|(answer, row)| **answer == wanted(**row as usize)).count();
        hits as f64 / self.judged.len().max(1) as f64
    }

    /// The accuracy lost on some of the judged rows, with its paired interval.
    fn loss(&self, clean: &[u32], poisoned: &[u32], rows: Range<usize>) -> (f64, Interval) {
        let of = rows.len().max(1) as f64;
        let (mut lost, mut won) = (0.0, 0.0);
        for ((clean, poisoned), row) in clean.iter().zip(poisoned).zip(self.judged).take(rows.end).skip(rows.start) {
            let truth = at(self.trial.truth.labels(), *row as usize);
            match (*clean == truth, *poisoned == truth) {
                (true, false) => lost += 1.0,
                (false, true) => won += 1.0,
                _ => {}
            }
        }
        let value = (lost - won) / of;
        let half = z_of(self.trial.config.confidence) * ((lost + won) / of - value * value).max(0.0).sqrt() / of.sqrt();
        (value, Interval { low: value - half, high: value + half })
    }
}

fn wide(row: &[f32]) -> Vec<f64> {
    row.iter().map(|value| f64::from(*value)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::attack::tried;
    use crate::report::Verdict;
    use crate::testing::{blobs, classes, logistic};
    use crate::{EvaluationData, SuiteConfig};

    fn check(data: &EvaluationData, share: f64, wanted: Verdict) -> AttackReport {
        let mut config = SuiteConfig { seed: 5, ..SuiteConfig::default() };
        config.poisoning.share = share;
        let report = tried(&logistic(vec![1.0; 3], 0.0), data, &config, run);
        assert_eq!(report.verdict, wanted, "{}", report.summary);
        report
    }

    #[test]
    fn valuable_labels_cost_more_than_random_ones_and_more_flips_cost_more() {
        let report = check(&blobs(600, 3, 3.0, 12), 0.2, Verdict::Notice);
        let (targeted, random) = (report.measure.as_ref().unwrap().value, report.more[0].value);
        assert!(targeted > random + 0.02, "{}", report.summary);
        assert!(report.more[1].value > 0.9, "the surrogate agrees with the model");
        let points = &report.curves[0].points;
        assert_eq!((points[0].x, points[0].y, points.len()), (0.0, 0.0, 7));
        assert!(points[6].y > points[2].y && report.rows.len() == 20 && report.queries == 0);
    }

    #[test]
    fn few_flips_in_clear_classes_are_no_danger() {
        check(&blobs(600, 3, 6.0, 12), 0.01, Verdict::Clear);
    }

    #[test]
    fn what_is_missing_is_said() {
        let mut none = blobs(100, 3, 3.0, 1);
        none.training = None;
        check(&none, 0.01, Verdict::NotApplicable);
        none.training = Some((none.rows.chosen(&[0, 1]), classes(vec![0, 1])));
        check(&none, 0.01, Verdict::NotRun);
    }
}
