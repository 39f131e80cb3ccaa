//! What the tests of this crate share: data, victims, a watch that nobody looks at.

use std::sync::atomic::AtomicBool;
use std::time::Duration;

use poison::Random;

use crate::{EvaluationData, Feature, FeatureKind, Predict, PredictError, Predictions, Rows, Truth, Watch};

/// Runs with a watch that nobody looks at.
pub(crate) fn quiet<T>(run: impl FnOnce(&Watch<'_>) -> T) -> T {
    watched(false, 0, run)
}

/// Runs with a watch that says to stop or not, and that so many seconds have passed.
pub(crate) fn watched<T>(stop: bool, seconds: u64, run: impl FnOnce(&Watch<'_>) -> T) -> T {
    let stop = AtomicBool::new(stop);
    run(&Watch { stop: &stop, progress: &|_| {}, elapsed: &|| Duration::from_secs(seconds) })
}

/// Two classes.
pub(crate) fn classes(of_rows: Vec<u32>) -> Truth {
    Truth::Classes { of_rows, names: vec!["no".to_owned(), "yes".to_owned()] }
}

/// Rows of two Gaussian classes whose means are `apart`, alternating.
pub(crate) fn two_classes(rows: usize, width: usize, apart: f64, seed: u64) -> (Rows, Vec<u32>) {
    let mut random = Random::new(seed, 0x7465_7374);
    let shift = apart / (width as f64).sqrt();
    let labels: Vec<u32> = (0..rows).map(|row| u32::try_from(row % 2).unwrap()).collect();
    let values = labels.iter().flat_map(|label| std::iter::repeat_n(f64::from(*label) * shift - 0.5 * shift, width));
    let values: Vec<f64> = values.map(|mean| mean + f64::from(random.normal())).collect();
    (Rows::new(width, values).unwrap(), labels)
}

/// Columns of any numbers.
pub(crate) fn numbers(width: usize) -> Vec<Feature> {
    let kind = FeatureKind::Number { least: f64::NEG_INFINITY, greatest: f64::INFINITY };
    (0..width).map(|column| Feature { name: format!("x{column}"), kind: kind.clone(), immutable: false }).collect()
}

/// Held-back rows of two Gaussian classes, with twice as many training rows.
pub(crate) fn blobs(rows: usize, width: usize, apart: f64, seed: u64) -> EvaluationData {
    let (held_back, labels) = two_classes(rows, width, apart, seed);
    let (training, training_labels) = two_classes(2 * rows, width, apart, seed + 1_000);
    EvaluationData {
        features: numbers(width),
        image: None,
        rows: held_back,
        truth: classes(labels),
        training: Some((training, classes(training_labels))),
        triggers: Vec::new(),
    }
}

/// A victim that is a function of a row to the probability of the second class.
pub(crate) struct Binary<F: Fn(&[f64]) -> f64>(pub(crate) F);

impl<F: Fn(&[f64]) -> f64> Predict for Binary<F> {
    fn predict(&self, rows: &Rows) -> Result<Predictions, PredictError> {
        let values = rows.iter().flat_map(|row| {
            let second = (self.0)(row);
            [1.0 - second, second]
        });
        Ok(Predictions::Probabilities { classes: 2, values: values.collect() })
    }
}

/// A victim that tells only the class.
pub(crate) struct Hidden<'a>(pub(crate) &'a dyn Predict);

impl Predict for Hidden<'_> {
    fn predict(&self, rows: &Rows) -> Result<Predictions, PredictError> {
        self.0.predict(rows).map(|answers| Predictions::Labels(answers.labels()))
    }
}

/// The logistic function of a sum of the row's values.
pub(crate) fn logistic(weights: Vec<f64>, offset: f64) -> Binary<impl Fn(&[f64]) -> f64> {
    Binary(move |row: &[f64]| {
        let score: f64 = row.iter().zip(&weights).map(|(value, weight)| value * weight).sum();
        1.0 / (1.0 + (-(score + offset)).exp())
    })
}

/// A model that knows its training rows by heart: the label of the nearest one.
pub(crate) fn by_heart(rows: Rows, labels: Vec<u32>) -> Binary<impl Fn(&[f64]) -> f64> {
    Binary(move |row: &[f64]| {
        let distance = |other: &[f64]| row.iter().zip(other).map(|(a, b)| (a - b).powi(2)).sum::<f64>();
        let nearest = rows.iter().zip(&labels).min_by(|a, b| distance(a.0).total_cmp(&distance(b.0)));
        f64::from(*nearest.unwrap().1)
    })
}
