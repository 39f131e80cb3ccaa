//! What a candidate is tried on: held-back rows with their truth, and what else is known.

use crate::{AdversaryError, Feature, FeatureKind, ImageShape, Rows};

/// Values of one table: 256 MB.
pub const VALUE_COUNT_MAX: usize = 1 << 25;
/// Rows of held-back data.
pub const ROW_COUNT_MAX: usize = 1_000_000;
/// Fewer rows than this say nothing.
pub const ROW_COUNT_MIN: usize = 20;
/// Classes.
pub const CLASS_COUNT_MAX: usize = 1_000;
/// Rows times classes of one table of probabilities: 256 MB.
pub const PROBABILITY_COUNT_MAX: usize = 1 << 25;
/// Known triggers that are tried.
pub const TRIGGER_COUNT_MAX: usize = 64;

/// What is true of each row.
#[derive(Clone, Debug, PartialEq)]
pub enum Truth {
    /// Its class.
    Classes {
        /// The class of each row, below the count of names.
        of_rows: Vec<u32>,
        /// The classes' names.
        names: Vec<String>,
    },
    /// Its number.
    Numbers(Vec<f64>),
}

/// A trigger to stamp on rows, such as the poisoning report of the training data names them.
#[derive(Clone, Debug, PartialEq)]
pub struct KnownTrigger {
    /// What to call it.
    pub name: String,
    /// The columns that it sets, and to what.
    pub cells: Vec<(usize, f64)>,
    /// The class that it is said to cause; unknown where none.
    pub target: Option<u32>,
}

/// Held-back data, and what else the attacks may use.
#[derive(Clone, Debug, PartialEq)]
pub struct EvaluationData {
    /// The columns.
    pub features: Vec<Feature>,
    /// Set if the rows are images.
    pub image: Option<ImageShape>,
    /// Rows that the model has not been trained on.
    pub rows: Rows,
    /// What is true of them.
    pub truth: Truth,
    /// Rows that the model was trained on, or a sample of them, with their truth.
    pub training: Option<(Rows, Truth)>,
    /// Triggers that are known or feared.
    pub triggers: Vec<KnownTrigger>,
}

impl Truth {
    /// How many rows it is of.
    #[must_use]
    pub fn count(&self) -> usize {
        match self {
            Self::Classes { of_rows, .. } => of_rows.len(),
            Self::Numbers(numbers) => numbers.len(),
        }
    }

    /// How many classes; 0 for numbers.
    #[must_use]
    pub fn classes(&self) -> usize {
        match self {
            Self::Classes { names, .. } => names.len(),
            Self::Numbers(_) => 0,
        }
    }

    /// The class of each row; empty for numbers.
    #[must_use]
    pub fn labels(&self) -> &[u32] {
        match self {
            Self::Classes { of_rows, .. } => of_rows,
            Self::Numbers(_) => &[],
        }
    }

    /// The number of each row; empty for classes.
    #[must_use]
    pub fn numbers(&self) -> &[f64] {
        match self {
            Self::Numbers(numbers) => numbers,
            Self::Classes { .. } => &[],
        }
    }

    /// The name of a class.
    pub(crate) fn name(&self, class: u32) -> &str {
        match self {
            Self::Classes { names, .. } => names.get(class as usize).map_or("?", String::as_str),
            Self::Numbers(_) => "",
        }
    }

    /// # Errors
    /// `Shape` or `TooLarge`, with what is wrong.
    pub(crate) fn check(&self) -> Result<(), AdversaryError> {
        match self {
            Self::Classes { of_rows, names } => {
                let classes = names.len();
                if classes > CLASS_COUNT_MAX || classes.saturating_mul(of_rows.len()) > PROBABILITY_COUNT_MAX {
                    let limit = format!("at most {CLASS_COUNT_MAX} classes and {PROBABILITY_COUNT_MAX} rows times classes");
                    return Err(AdversaryError::TooLarge(format!("{classes} classes of {} rows; {limit}", of_rows.len())));
                }
                match of_rows.iter().find(|label| **label as usize >= classes) {
                    Some(label) => Err(AdversaryError::Shape(format!("a row is of class {label}, of {classes} classes"))),
                    None => Ok(()),
                }
            }
            Self::Numbers(numbers) => match numbers.iter().any(|value| !value.is_finite()) {
                true => Err(AdversaryError::Shape("a true number is not finite".to_owned())),
                false => Ok(()),
            },
        }
    }
}

impl EvaluationData {
    /// Checks that the parts fit each other and keep the limits of this crate.
    ///
    /// # Errors
    /// `Shape` or `TooLarge`, with what is wrong.
    pub fn check(&self) -> Result<(), AdversaryError> {
        let width = self.features.len();
        table("held-back", &self.rows, &self.truth, width)?;
        if self.rows.count() < ROW_COUNT_MIN {
            let rows = self.rows.count();
            return Err(AdversaryError::Shape(format!("{rows} held-back rows say nothing: give at least {ROW_COUNT_MIN}")));
        }
        if let Some((rows, truth)) = &self.training {
            table("training", rows, truth, width)?;
            if truth.classes() != self.truth.classes() {
                return Err(AdversaryError::Shape("the training rows have other classes than the held-back ones".to_owned()));
            }
        }
        if let Some(image) = self.image.filter(|image| image.len() != width || image.is_empty()) {
            let of = format!("{} × {} × {}", image.width, image.height, image.channels);
            return Err(AdversaryError::Shape(format!("images of {of} values do not make rows of {width}")));
        }
        for feature in &self.features {
            let sound = match &feature.kind {
                FeatureKind::Number { least, greatest } | FeatureKind::Integer { least, greatest } => least <= greatest,
                FeatureKind::Category(names) => !names.is_empty(),
            };
            if !sound {
                return Err(AdversaryError::Shape(format!("the column `{}` can hold no value: mend its bounds", feature.name)));
            }
        }
        self.check_triggers()
    }

    fn check_triggers(&self) -> Result<(), AdversaryError> {
        if self.triggers.len() > TRIGGER_COUNT_MAX {
            let count = self.triggers.len();
            return Err(AdversaryError::TooLarge(format!("{count} triggers; at most {TRIGGER_COUNT_MAX} are tried")));
        }
        for trigger in &self.triggers {
            let columns = trigger.cells.iter().all(|(column, value)| *column < self.features.len() && value.is_finite());
            let target = trigger.target.is_none_or(|target| (target as usize) < self.truth.classes());
            if !columns || !target || trigger.cells.is_empty() {
                let name = &trigger.name;
                return Err(AdversaryError::Shape(format!("the trigger `{name}` names a column, value or class that is none")));
            }
        }
        Ok(())
    }
}

fn table(what: &str, rows: &Rows, truth: &Truth, width: usize) -> Result<(), AdversaryError> {
    truth.check()?;
    if rows.values().len() > VALUE_COUNT_MAX || rows.count() > ROW_COUNT_MAX {
        let size = format!("{} {what} rows of {}", rows.count(), rows.width());
        let limit = format!("at most {ROW_COUNT_MAX} rows and {VALUE_COUNT_MAX} values; give a sample");
        return Err(AdversaryError::TooLarge(format!("{size}; {limit}")));
    }
    if rows.width() != width || rows.count() != truth.count() {
        let rows = format!("{} {what} rows of {} values", rows.count(), rows.width());
        return Err(AdversaryError::Shape(format!("{rows} with {} truths and {width} columns", truth.count())));
    }
    if rows.values().iter().any(|value| value.is_infinite()) {
        return Err(AdversaryError::Shape(format!("a value of the {what} rows is infinite")));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{blobs, classes};

    fn check(change: impl FnOnce(&mut EvaluationData), wanted: &str) {
        let mut data = blobs(30, 2, 3.0, 1);
        change(&mut data);
        let said = data.check().map_or_else(|error| error.to_string(), |()| "sound".to_owned());
        assert!(said.contains(wanted), "{said}");
    }

    #[test]
    fn parts_that_do_not_fit_are_refused_with_their_name() {
        check(|_| {}, "sound");
        check(|data| data.truth = classes(vec![0; 29]), "30 held-back rows of 2 values with 29 truths");
        check(|data| data.truth = classes([vec![0; 29], vec![7]].concat()), "class 7, of 2 classes");
        check(|data| data.truth = Truth::Numbers(vec![f64::NAN; 30]), "not finite");
        check(|data| data.training = Some((Rows::empty(2, 0), Truth::Numbers(Vec::new()))), "other classes");
        check(|data| data.image = Some(ImageShape { width: 2, height: 2, channels: 1 }), "do not make rows of 2");
        check(|data| data.features[0].kind = FeatureKind::Category(Vec::new()), "can hold no value");
        check(|data| data.features[0].kind = FeatureKind::Number { least: f64::NAN, greatest: 1.0 }, "can hold no value");
        check(|data| data.rows = Rows::new(2, vec![f64::INFINITY; 60]).unwrap(), "infinite");
        check(|data| *data = blobs(10, 2, 3.0, 1), "say nothing");
        let trigger = |cells, target| KnownTrigger { name: "t".to_owned(), cells, target };
        check(|data| data.triggers.push(trigger(vec![(9, 1.0)], None)), "the trigger `t`");
        check(|data| data.triggers.push(trigger(vec![(0, 1.0)], Some(5))), "the trigger `t`");
        check(|data| data.triggers = vec![trigger(vec![(0, 1.0)], None); 65], "65 triggers");
    }
}
