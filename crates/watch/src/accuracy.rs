//! How good a model is: expected from its own probabilities while there are no labels (confidence-based performance estimation, as
//! NannyML's CBPE; Guo et al. 2017 on why probabilities must be calibrated for that), real once there are.

use std::collections::BTreeMap;

use profile::drift::chi_squared;
use serde::{Deserialize, Serialize};

use crate::normal::quantile;
use crate::sample::class_name;
use crate::tally::{ConfidenceBin, Tally};

/// Rows that a cell of confidence must have for its calibration to be judged.
const CALIBRATION_ROWS_MIN: u64 = 20;

/// An expected value with its interval.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Estimate {
    /// The expected accuracy.
    pub accuracy: f64,
    /// The lower end of the interval.
    pub low: f64,
    /// The upper end.
    pub high: f64,
    /// The macro mean of the classes' expected F1.
    pub macro_f1: f64,
    /// Rows that it stands on.
    pub row_count: u64,
}

/// Rows with a true class: by true and predicted class.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Confusion {
    /// `(true, predicted)` → rows.
    pub counts: BTreeMap<(String, String), u64>,
    /// By cell of confidence: rows, those that were right, and the probabilities together.
    pub calibration: Vec<(u64, u64, f64)>,
}

/// Real accuracy.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Realised {
    /// The share of rows that were right.
    pub accuracy: f64,
    /// The lower end of Wilson's interval.
    pub low: f64,
    /// The upper end.
    pub high: f64,
    /// Rows with a label.
    pub row_count: u64,
}

/// What accuracy to expect of a stretch of time, without labels: the mean probability of the chosen classes. The interval covers the
/// chance of the rows (each is right or wrong) at this confidence, such as 0.95; it stands only as long as the probabilities are
/// calibrated, which [`calibration_drift`] tests where labels arrive.
#[must_use]
pub fn estimate(tally: &Tally, confidence: f64) -> Option<Estimate> {
    let sum = tally.confidence.iter().fold(ConfidenceBin::default(), |sum, bin| ConfidenceBin {
        count: sum.count + bin.count,
        expected: sum.expected + bin.expected,
        variance: sum.variance + bin.variance,
    });
    if sum.count == 0 {
        return None;
    }
    let count = sum.count as f64;
    let (accuracy, deviation) = (sum.expected / count, sum.variance.sqrt() / count);
    let reach = quantile(0.5 + confidence / 2.0) * deviation;
    let scores = tally.classes.values().filter(|class| class.predicted > 0 || class.expected > 0.5);
    let scores: Vec<f64> =
        scores.map(|class| 2.0 * class.expected_hits / (class.predicted as f64 + class.expected).max(1e-9)).collect();
    let macro_f1 = scores.iter().sum::<f64>() / scores.len().max(1) as f64;
    Some(Estimate {
        accuracy,
        low: (accuracy - reach).max(0.0),
        high: (accuracy + reach).min(1.0),
        macro_f1,
        row_count: sum.count,
    })
}

impl Confusion {
    /// Takes a row with its label; `sure` is the probability of the predicted class, if there was one.
    pub fn add(&mut self, truth: &str, predicted: &str, sure: Option<f64>) {
        // A label that comes as 1.0 is the class 1: clients keep classes as floats.
        let (truth, predicted) = (class_name(truth), class_name(predicted));
        *self.counts.entry((truth.clone().into_owned(), predicted.clone().into_owned())).or_default() += 1;
        let Some(sure) = sure else { return };
        self.calibration.resize(crate::tally::CONFIDENCE_CELL_COUNT, (0, 0, 0.0));
        let cells = crate::tally::CONFIDENCE_CELL_COUNT;
        if let Some(cell) = self.calibration.get_mut(((sure * cells as f64) as usize).min(cells - 1)) {
            cell.0 += 1;
            cell.1 += u64::from(truth == predicted);
            cell.2 += sure;
        }
    }
}

/// The real accuracy, with Wilson's interval (Wilson 1927).
#[must_use]
pub fn realised(confusion: &Confusion, confidence: f64) -> Option<Realised> {
    let row_count: u64 = confusion.counts.values().sum();
    if row_count == 0 {
        return None;
    }
    let right: u64 = confusion.counts.iter().filter(|((truth, predicted), _)| truth == predicted).map(|one| one.1).sum();
    let (count, share) = (row_count as f64, right as f64 / row_count as f64);
    let z2 = quantile(0.5 + confidence / 2.0).powi(2);
    let middle = (share + z2 / (2.0 * count)) / (1.0 + z2 / count);
    let reach = (z2 * (share * (1.0 - share) / count + z2 / (4.0 * count * count))).sqrt() / (1.0 + z2 / count);
    Some(Realised { accuracy: share, low: middle - reach, high: middle + reach, row_count })
}

/// How likely it is by chance that labels differ so much from the probabilities (Hosmer and Lemeshow 1980, with as many degrees of
/// freedom as cells, for the model was fitted elsewhere); none where there are too few labels. A small one says that estimates without
/// labels are no longer to be believed.
#[must_use]
pub fn calibration_drift(confusion: &Confusion) -> Option<f64> {
    let (mut statistic, mut freedom) = (0.0, 0.0);
    for (count, right, expected) in confusion.calibration.iter().filter(|cell| cell.0 >= CALIBRATION_ROWS_MIN) {
        let (count, right) = (*count as f64, *right as f64);
        let share = (expected / count).clamp(0.001, 0.999);
        statistic += (right - expected).powi(2) / (count * share * (1.0 - share));
        freedom += 1.0;
    }
    (freedom > 0.0).then(|| chi_squared(statistic, freedom))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::normal::Random;
    use crate::sample::{Probabilities, Sample, Values};

    /// Rows of a model whose probabilities are right, or bolder than they should be; gives what it says, and the truth.
    fn stream(seed: u64, count: usize, bold: f64) -> (Tally, Confusion) {
        let mut random = Random(seed);
        let (mut tally, mut confusion) = (Tally::default(), Confusion::default());
        let classes = ["no".to_owned(), "yes".to_owned()];
        for _ in 0..count {
            let truth = random.even();
            let said = (0.5 + (truth - 0.5) * bold).clamp(0.001, 0.999);
            let chances = [1.0 - said, said];
            let asked = Sample {
                classes: &classes,
                predicted: Some(Values::I64(&[0])),
                probabilities: Some(Probabilities { values: Values::F64(&chances), width: 2 }),
                ..crate::tally::tests::sample(&[], 1, "c")
            };
            tally.add(&asked, None);
            let actual = if random.even() < truth { "yes" } else { "no" };
            confusion.add(actual, if said > 0.5 { "yes" } else { "no" }, Some(said.max(1.0 - said)));
        }
        (tally, confusion)
    }

    #[test]
    fn the_estimate_holds_the_real_accuracy_as_often_as_it_says() {
        let mut covered = 0;
        for seed in 0..100 {
            let (tally, confusion) = stream(seed, 500, 1.0);
            let (expected, real) = (estimate(&tally, 0.95).unwrap(), realised(&confusion, 0.95).unwrap());
            assert!((expected.accuracy - 0.75).abs() < 0.04 && (expected.macro_f1 - 0.75).abs() < 0.05, "{expected:?}");
            covered += usize::from((expected.low..=expected.high).contains(&real.accuracy));
        }
        assert!((90..=99).contains(&covered), "{covered} of 100");
    }

    #[test]
    fn lost_calibration_is_noticed_and_kept_calibration_is_not_called() {
        let kept = (0..100).filter(|seed| calibration_drift(&stream(*seed, 1_000, 1.0).1).unwrap() < 0.01).count();
        assert!(kept <= 4, "{kept}");
        let lost = (0..20).filter(|seed| calibration_drift(&stream(*seed, 1_000, 1.8).1).unwrap() < 0.01).count();
        assert_eq!(lost, 20);
        assert_eq!(calibration_drift(&Confusion::default()), None);
        assert_eq!((estimate(&Tally::default(), 0.95), realised(&Confusion::default(), 0.95)), (None, None));
    }

    #[test]
    fn a_class_is_the_same_however_its_number_is_written() {
        for (truth, predicted, is_right) in [
            ("1.0", "1", true),
            ("1e0", "1", true),
            ("-0.0", "0", true),
            ("1.0", "1.0", true),
            ("2.0", "1", false),
            ("007", "7", false),
            ("e", "e", true),
            ("v1.0", "v1", false),
        ] {
            let mut confusion = Confusion::default();
            confusion.add(truth, predicted, Some(0.9));
            assert_eq!(realised(&confusion, 0.95).unwrap().accuracy == 1.0, is_right, "{truth} {predicted}");
            assert_eq!(confusion.calibration.iter().any(|cell| cell.1 == 1), is_right, "{truth} {predicted}");
        }
    }

    #[test]
    fn wilsons_interval_is_right() {
        let mut confusion = Confusion::default();
        (0..10).for_each(|at| confusion.add("a", if at < 9 { "a" } else { "b" }, None));
        let real = realised(&confusion, 0.95).unwrap();
        assert!((real.low - 0.595_849_99).abs() < 1e-6 && (real.high - 0.982_123_74).abs() < 1e-6, "{real:?}");
    }
}
