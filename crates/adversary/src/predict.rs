//! What a candidate model is to this crate: something that answers rows.

use std::fmt;

use crate::Rows;

/// A model that answers rows: a runtime in this process, or a worker beside it.
pub trait Predict {
    /// Answers each row, in order, and always in the same form.
    ///
    /// # Errors
    /// If the model cannot answer; the text goes into the report.
    fn predict(&self, rows: &Rows) -> Result<Predictions, PredictError>;
}

/// The answers to rows, in row order.
#[derive(Clone, Debug, PartialEq)]
pub enum Predictions {
    /// The probability of each class, row after row; they sum to 1 in each row.
    Probabilities {
        /// How many classes.
        classes: usize,
        /// `rows × classes` numbers.
        values: Vec<f64>,
    },
    /// The class of each row.
    Labels(Vec<u32>),
    /// The number of each row, of a regressor.
    Numbers(Vec<f64>),
}

/// Why a model did not answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PredictError(pub String);

impl fmt::Display for PredictError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "the model did not answer: {}", self.0)
    }
}

impl std::error::Error for PredictError {}

/// How far the probabilities of a row may sum to something else than 1: answers of single precision are rounded.
const SUM_TOLERANCE: f64 = 1e-3;

impl Predictions {
    /// How many rows are answered.
    #[must_use]
    pub fn count(&self) -> usize {
        match self {
            Self::Probabilities { classes, values } => values.len().checked_div(*classes).unwrap_or(0),
            Self::Labels(labels) => labels.len(),
            Self::Numbers(numbers) => numbers.len(),
        }
    }

    /// The probabilities of a row; empty where there are none.
    #[must_use]
    pub fn probabilities(&self, row: usize) -> &[f64] {
        match self {
            Self::Probabilities { classes, values } => values.get(row * classes..(row + 1) * classes).unwrap_or(&[]),
            Self::Labels(_) | Self::Numbers(_) => &[],
        }
    }

    /// The class of a row, the first of equally probable ones; 0 for a regressor.
    #[must_use]
    pub fn label(&self, row: usize) -> u32 {
        match self {
            Self::Probabilities { .. } => crate::at::narrow(crate::at::argmax(self.probabilities(row))),
            Self::Labels(labels) => crate::at::at(labels, row),
            Self::Numbers(_) => 0,
        }
    }

    /// The number of a row; 0 for a classifier.
    #[must_use]
    pub fn number(&self, row: usize) -> f64 {
        match self {
            Self::Numbers(numbers) => crate::at::at(numbers, row),
            Self::Probabilities { .. } | Self::Labels(_) => 0.0,
        }
    }

    /// The class of every row.
    #[must_use]
    pub fn labels(&self) -> Vec<u32> {
        (0..self.count()).map(|row| self.label(row)).collect()
    }

    /// Whether there are probabilities.
    #[must_use]
    pub const fn has_probabilities(&self) -> bool {
        matches!(self, Self::Probabilities { .. })
    }

    /// What is wrong with these answers to `rows` rows of `classes` classes (0 for numbers), if anything is.
    pub(crate) fn fault(&self, rows: usize, classes: usize) -> Option<String> {
        if self.count() != rows {
            return Some(format!("{rows} rows were asked and {} answered", self.count()));
        }
        match self {
            Self::Probabilities { classes: own, values } => {
                if *own != classes {
                    return Some(format!("the answers have {own} classes where the data has {classes}"));
                }
                // Not whole rows: the rest would be dropped unseen.
                if values.len() != rows * classes {
                    return Some(format!("{} probabilities for {rows} rows of {classes} classes", values.len()));
                }
                let sound = values.chunks_exact((*own).max(1)).all(|row| {
                    let within = row.iter().all(|value| (-SUM_TOLERANCE..=1.0 + SUM_TOLERANCE).contains(value));
                    within && (row.iter().sum::<f64>() - 1.0).abs() <= SUM_TOLERANCE
                });
                (!sound).then(|| "a row's answers are no probabilities: each 0 to 1, together 1".to_owned())
            }
            Self::Labels(_) if classes == 0 => Some("the answers are classes where the data has numbers".to_owned()),
            Self::Labels(labels) => {
                let outside = labels.iter().find(|label| **label as usize >= classes)?;
                Some(format!("the answers name class {outside} where the data has {classes} classes"))
            }
            Self::Numbers(_) if classes > 0 => Some("the answers are numbers where the data has classes".to_owned()),
            Self::Numbers(numbers) => {
                numbers.iter().any(|value| !value.is_finite()).then(|| "an answer is not a finite number".to_owned())
            }
        }
    }

    /// Adds the answers to further rows; false if they are of another form.
    pub(crate) fn append(&mut self, more: Self) -> bool {
        match (self, more) {
            (Self::Probabilities { classes, values }, Self::Probabilities { classes: others, values: more })
                if *classes == others =>
            {
                values.extend(more);
            }
            (Self::Labels(own), Self::Labels(more)) => own.extend(more),
            (Self::Numbers(own), Self::Numbers(more)) => own.extend(more),
            _ => return false,
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(answers: &Predictions, rows: usize, classes: usize, wanted: &str) {
        let said = answers.fault(rows, classes).unwrap_or_else(|| "sound".to_owned());
        assert!(said.contains(wanted), "{said}");
    }

    #[test]
    fn answers_that_are_none_are_named() {
        let table = |classes, values: &[f64]| Predictions::Probabilities { classes, values: values.to_vec() };
        check(&table(2, &[0.2, 0.8, 1.0, 0.0]), 2, 2, "sound");
        check(&table(2, &[0.2, 0.8]), 2, 2, "2 rows were asked and 1 answered");
        check(&table(2, &[0.2, 0.8, 0.1]), 1, 2, "3 probabilities");
        check(&table(2, &[2.0, -1.0]), 1, 2, "no probabilities");
        check(&table(2, &[f64::NAN, 1.0]), 1, 2, "no probabilities");
        check(&table(3, &[0.2, 0.4, 0.4]), 1, 2, "3 classes where the data has 2");
        check(&Predictions::Labels(vec![0, 2]), 2, 2, "name class 2");
        check(&Predictions::Labels(vec![0]), 1, 0, "classes where the data has numbers");
        check(&Predictions::Numbers(vec![0.0]), 1, 2, "numbers where the data has classes");
        check(&Predictions::Numbers(vec![f64::INFINITY]), 1, 0, "not a finite number");
    }

    #[test]
    fn forms_do_not_mix() {
        let mut answers = Predictions::Labels(vec![1]);
        assert!(answers.append(Predictions::Labels(vec![0])) && !answers.append(Predictions::Numbers(vec![0.0])));
        assert_eq!((answers.labels(), answers.label(9), answers.number(0)), (vec![1, 0], 0, 0.0));
    }
}
