//! Metrics of answers against the truth, over any weights of rows: so slices and resamples are the same sum.
//!
//! They agree with scikit-learn's of the same names: F1 of two classes is that of the second one, of more classes the mean
//! over classes; the area under the curve of more classes is the mean of one against the rest; the Brier score of two
//! classes is of the second one's probability, of more classes the sum over classes, halved.

use gates::Metric;

use crate::at::{add, at, narrow};
use crate::{Predictions, Truth};

/// A probability is taken as no smaller than this in a logarithm.
const PROBABILITY_MIN: f64 = 1e-15;
/// Bins of the calibration error (Guo et al. 2017).
const BIN_COUNT: usize = 15;
/// Classes whose areas under the curve are taken: each needs an order of all rows.
const AUC_CLASS_COUNT_MAX: usize = 100;

/// What of each row a metric sums.
enum Parts {
    /// Numbers whose mean it is, or the root of the mean.
    Mean { of_rows: Vec<f64>, root: bool },
    /// Pairs of truth and answer.
    /// `plain` is each class's score on all rows: that of a class which a resample misses, or the mean would be of other classes.
    Pairs { truth: Vec<u32>, said: Vec<u32>, classes: usize, f1: bool, plain: Vec<Option<f64>> },
    /// For each class the places of all rows by rising probability, with the place of the first equal one.
    Orders { truth: Vec<u32>, orders: Vec<(u32, Vec<(u32, u32)>)> },
    /// The bin of each row's confidence, that confidence, and whether it was right.
    Bins(Vec<(u8, f64, f64)>),
    /// The truth and the squared error.
    Explained(Vec<(f64, f64)>),
}

/// A metric of the answers to some rows, ready to be summed under any weights.
pub(crate) struct Prepared(Parts);

impl Prepared {
    /// # Errors
    /// Why the metric cannot be taken of these.
    pub(crate) fn new(metric: Metric, truth: &Truth, answers: &Predictions, rows: &[u32]) -> Result<Self, String> {
        let name = metric.name();
        if metric.of_numbers() != (truth.classes() == 0) {
            let other = if metric.of_numbers() {
                "numbers and this model answers classes"
            } else {
                "classes and this model answers numbers"
            };
            return Err(format!("`{name}` is of {other}: choose another metric"));
        }
        if metric.of_probabilities() && !answers.has_probabilities() {
            return Err(format!("`{name}` needs probabilities and this model answers classes only"));
        }
        let labels: Vec<u32> = rows.iter().map(|row| at(truth.labels(), *row as usize)).collect();
        let mean = |of_row: &dyn Fn(usize, u32) -> f64, root: bool| {
            let of_rows = rows.iter().enumerate().map(|(place, row)| of_row(*row as usize, at(&labels, place))).collect();
            Parts::Mean { of_rows, root }
        };
        let error = |row: usize| at(truth.numbers(), row) - answers.number(row);
        Ok(Self(match metric {
            Metric::Accuracy => mean(&|row, label| f64::from(u8::from(answers.label(row) == label)), false),
            Metric::LogLoss => {
                mean(&|row, label| -at(answers.probabilities(row), label as usize).max(PROBABILITY_MIN).ln(), false)
            }
            Metric::Brier => mean(&|row, label| brier(answers.probabilities(row), label), false),
            Metric::Mae => mean(&|row, _| error(row).abs(), false),
            Metric::Rmse => mean(&|row, _| error(row).powi(2), true),
            Metric::R2 => Parts::Explained(
                rows.iter().map(|row| (at(truth.numbers(), *row as usize), error(*row as usize).powi(2))).collect(),
            ),
            Metric::BalancedAccuracy | Metric::F1 => {
                let said: Vec<u32> = rows.iter().map(|row| answers.label(*row as usize)).collect();
                let (classes, f1) = (truth.classes(), metric == Metric::F1);
                let plain = scores((&labels, &said), classes, f1, &vec![1_u32; rows.len()], &[]);
                Parts::Pairs { truth: labels, said, classes, f1, plain }
            }
            Metric::CalibrationError => {
                Parts::Bins(rows.iter().zip(&labels).map(|(row, label)| confidence(answers, *row, *label)).collect())
            }
            Metric::Auc => orders(answers, rows, labels, truth.classes())?,
        }))
    }

    /// The metric under these weights of rows; nothing where it has no meaning, such as with one class only.
    pub(crate) fn value(&self, weights: &[u32]) -> Option<f64> {
        let weight = |place: usize| f64::from(at(weights, place));
        match &self.0 {
            Parts::Mean { of_rows, root } => {
                let total: f64 = weights.iter().map(|weight| f64::from(*weight)).sum();
                let sum: f64 = of_rows.iter().zip(weights).map(|(value, weight)| value * f64::from(*weight)).sum();
                (total > 0.0).then(|| if *root { (sum / total).sqrt() } else { sum / total })
            }
            Parts::Pairs { truth, said, classes, f1, plain } => {
                let scores = scores((truth, said), *classes, *f1, weights, plain);
                if *f1 && *classes == 2 {
                    return at(&scores, 1);
                }
                let scores: Vec<f64> = scores.into_iter().flatten().collect();
                (!scores.is_empty()).then(|| scores.iter().sum::<f64>() / scores.len() as f64)
            }
            Parts::Orders { truth, orders } => {
                let areas: Vec<f64> = orders.iter().filter_map(|(class, order)| area(truth, *class, order, weights)).collect();
                (!areas.is_empty()).then(|| areas.iter().sum::<f64>() / areas.len() as f64)
            }
            Parts::Bins(rows) => {
                let (mut gaps, mut total) = ([0.0_f64; BIN_COUNT], 0.0);
                for (place, (bin, confidence, right)) in rows.iter().enumerate() {
                    add(&mut gaps, usize::from(*bin), weight(place) * (confidence - right));
                    total += weight(place);
                }
                (total > 0.0).then(|| gaps.iter().map(|gap| gap.abs()).sum::<f64>() / total)
            }
            Parts::Explained(rows) => {
                let total: f64 = weights.iter().map(|weight| f64::from(*weight)).sum();
                let mean = rows.iter().enumerate().map(|(place, (truth, _))| weight(place) * truth).sum::<f64>() / total;
                let errors: f64 = rows.iter().enumerate().map(|(place, (_, error))| weight(place) * error).sum();
                let all: f64 = rows.iter().enumerate().map(|(place, (truth, _))| weight(place) * (truth - mean).powi(2)).sum();
                (all > 0.0).then(|| 1.0 - errors / all)
            }
        }
    }
}

fn brier(probabilities: &[f64], label: u32) -> f64 {
    let wanted = |class: usize| f64::from(u8::from(class == label as usize));
    let all: f64 = probabilities.iter().enumerate().map(|(class, value)| (value - wanted(class)).powi(2)).sum();
    0.5 * all
}

fn confidence(answers: &Predictions, row: u32, label: u32) -> (u8, f64, f64) {
    let said = answers.label(row as usize);
    let value = at(answers.probabilities(row as usize), said as usize);
    // Bins are open below and closed above, as the source has them.
    let bin = ((value * BIN_COUNT as f64).ceil() - 1.0).clamp(0.0, (BIN_COUNT - 1) as f64) as u8;
    (bin, value, f64::from(u8::from(said == label)))
}

fn orders(answers: &Predictions, rows: &[u32], truth: Vec<u32>, classes: usize) -> Result<Parts, String> {
    if classes > AUC_CLASS_COUNT_MAX {
        return Err(format!("`auc` is taken of at most {AUC_CLASS_COUNT_MAX} classes, not {classes}: choose another metric"));
    }
    // The two classes of a binary model have the same area.
    let first = usize::from(classes == 2);
    let orders = (first..classes).map(|class| {
        let score = |place: u32| at(answers.probabilities(at(rows, place as usize) as usize), class);
        let mut order: Vec<(u32, u32)> = (0..narrow(rows.len())).map(|place| (place, 0)).collect();
        order.sort_by(|left, right| score(left.0).total_cmp(&score(right.0)));
        let (mut first, mut last) = (0, f64::NAN);
        for (rank, (place, equal)) in order.iter_mut().enumerate() {
            if score(*place) != last {
                (first, last) = (narrow(rank), score(*place));
            }
            *equal = first;
        }
        (narrow(class), order)
    });
    Ok(Parts::Orders { truth, orders: orders.collect() })
}

/// The share of pairs that are in order, equal ones counting half.
fn area(truth: &[u32], class: u32, order: &[(u32, u32)], weights: &[u32]) -> Option<f64> {
    let (mut below, mut equal, mut own, mut in_order) = (0.0, 0.0, 0.0, 0.0);
    let (mut others, mut mine, mut group) = (0.0, 0.0, u32::MAX);
    let mut close = |others: &mut f64, mine: &mut f64| {
        in_order += *mine * (below + 0.5 * *others);
        below += *others;
        own += *mine;
        (*others, *mine) = (0.0, 0.0);
    };
    for (place, first) in order {
        if *first != group {
            close(&mut others, &mut mine);
            group = *first;
        }
        let weight = f64::from(at(weights, *place as usize));
        if at(truth, *place as usize) == class {
            mine += weight
        } else {
            others += weight
        }
        equal += weight;
    }
    close(&mut others, &mut mine);
    (equal > 0.0 && own > 0.0 && below > 0.0).then(|| in_order / (own * below))
}

/// The score of each class; of one without a row that is of it, what `plain` says.
fn scores((truth, said): (&[u32], &[u32]), classes: usize, f1: bool, weights: &[u32], plain: &[Option<f64>]) -> Vec<Option<f64>> {
    let (mut own, mut answered, mut right) = (vec![0.0_f64; classes], vec![0.0_f64; classes], vec![0.0_f64; classes]);
    for ((truth, said), weight) in truth.iter().zip(said).zip(weights) {
        let weight = f64::from(*weight);
        add(&mut own, *truth as usize, weight);
        add(&mut answered, *said as usize, weight);
        if truth == said {
            add(&mut right, *truth as usize, weight);
        }
    }
    let score = |class: usize| {
        let (own, answered, right) = (at(&own, class), at(&answered, class), at(&right, class));
        if own > 0.0 {
            return Some(if f1 { 2.0 * right / (own + answered) } else { right / own });
        }
        at(plain, class).or_else(|| (f1 && answered > 0.0).then_some(0.0))
    };
    (0..classes).map(score).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::classes;

    fn value(metric: Metric, truth: &Truth, answers: &Predictions, weights: &[u32]) -> Option<f64> {
        let rows: Vec<u32> = (0..narrow(truth.count())).collect();
        Prepared::new(metric, truth, answers, &rows).unwrap().value(weights)
    }

    fn check(metric: Metric, wanted: f64) {
        let truth = classes(vec![0, 0, 1, 1, 1]);
        let second = [0.1, 0.6, 0.35, 0.6, 0.9];
        let answers = Predictions::Probabilities { classes: 2, values: second.iter().flat_map(|p| [1.0 - p, *p]).collect() };
        let got = value(metric, &truth, &answers, &[1; 5]).unwrap();
        assert!((got - wanted).abs() < 1e-9, "{}: {got} instead of {wanted}", metric.name());
    }

    #[test]
    fn they_are_what_a_hand_computes() {
        check(Metric::Accuracy, 0.6);
        check(Metric::BalancedAccuracy, 0.5 * (0.5 + 2.0 / 3.0));
        check(Metric::F1, 2.0 * 2.0 / (3.0 + 3.0));
        // Six pairs: 0.1 below all three; 0.6 above 0.35, equal to 0.6, below 0.9.
        check(Metric::Auc, 4.5 / 6.0);
        check(Metric::LogLoss, -(0.9_f64.ln() + 0.4_f64.ln() + 0.35_f64.ln() + 0.6_f64.ln() + 0.9_f64.ln()) / 5.0);
        check(Metric::Brier, (0.01 + 0.36 + 0.422_5 + 0.16 + 0.01) / 5.0);
        // Bins: 0.9, 0.9 right; 0.6, 0.6 with one right; 0.65 wrong.
        check(Metric::CalibrationError, (0.2 + 0.2 + 0.65) / 5.0);
    }

    #[test]
    fn numbers_have_theirs() {
        let (truth, answers) = (Truth::Numbers(vec![1.0, 2.0, 3.0]), Predictions::Numbers(vec![1.0, 2.0, 5.0]));
        for (metric, wanted) in [(Metric::Rmse, (4.0_f64 / 3.0).sqrt()), (Metric::Mae, 2.0 / 3.0), (Metric::R2, -1.0)] {
            assert!((value(metric, &truth, &answers, &[1; 3]).unwrap() - wanted).abs() < 1e-12, "{metric:?}");
        }
        assert_eq!(value(Metric::R2, &truth, &answers, &[1, 0, 0]), None);
    }

    #[test]
    fn a_weight_is_a_repetition() {
        let truth = classes(vec![0, 1, 1, 0]);
        let answers = |values: &[f64]| Predictions::Probabilities {
            classes: 2,
            values: values.iter().flat_map(|p| [1.0 - p, *p]).collect(),
        };
        let once = answers(&[0.2, 0.7, 0.4, 0.4]);
        let repeated = answers(&[0.2, 0.7, 0.7, 0.4, 0.4, 0.4, 0.4]);
        let longer = classes(vec![0, 1, 1, 0, 0, 0, 1]);
        for metric in
            [Metric::Accuracy, Metric::F1, Metric::Auc, Metric::LogLoss, Metric::CalibrationError, Metric::BalancedAccuracy]
        {
            let (left, right) = (value(metric, &truth, &once, &[1, 2, 1, 3]), value(metric, &longer, &repeated, &[1; 7]));
            assert!((left.unwrap() - right.unwrap()).abs() < 1e-12, "{metric:?} {left:?} {right:?}");
        }
        assert_eq!(value(Metric::Auc, &truth, &once, &[1, 0, 0, 1]), None);
    }

    #[test]
    fn a_class_that_a_resample_misses_keeps_its_score() {
        let (truth, answers) = (classes(vec![0, 0, 1]), Predictions::Labels(vec![0, 1, 1]));
        assert_eq!(value(Metric::BalancedAccuracy, &truth, &answers, &[1; 3]), Some(0.75));
        assert_eq!(value(Metric::BalancedAccuracy, &truth, &answers, &[1, 3, 0]), Some(0.625));
        assert_eq!(value(Metric::F1, &truth, &answers, &[2, 1, 0]), value(Metric::F1, &truth, &answers, &[1; 3]));
        // A class that no row is of has none.
        let (one, said) = (classes(vec![0, 0]), Predictions::Labels(vec![0, 0]));
        assert_eq!(
            (value(Metric::BalancedAccuracy, &one, &said, &[1; 2]), value(Metric::F1, &one, &said, &[1; 2])),
            (Some(1.0), None)
        );
    }

    #[test]
    fn what_cannot_be_taken_is_said() {
        let refused = |metric, truth: &Truth, answers: &Predictions| Prepared::new(metric, truth, answers, &[0]).err().unwrap();
        assert!(refused(Metric::Rmse, &classes(vec![0]), &Predictions::Labels(vec![0])).contains("is of numbers"));
        assert!(refused(Metric::Auc, &classes(vec![0]), &Predictions::Labels(vec![0])).contains("needs probabilities"));
        assert!(refused(Metric::F1, &Truth::Numbers(vec![0.0]), &Predictions::Numbers(vec![0.0])).contains("is of classes"));
    }
}
