//! What is true of rows, in classes that the candidate, the champion and the data agree on.

use adversary::{CLASS_COUNT_MAX, Truth};

use super::frame::{Column, Frame, number_text};
use super::model::Served;

/// What is true of a table's rows.
pub(super) struct Truths {
    /// For the judge.
    pub(super) truth: Truth,
    /// Rows that were left out because nothing says what is true of them.
    pub(super) unknown_count: u64,
}

/// The classes of a trial, the candidate's first; none where it answers numbers.
#[derive(Clone, Debug, Default)]
pub(super) struct Classes {
    names: Vec<String>,
    pub(super) are_classes: bool,
    /// Whether the candidate names its classes: else they are numbers from 0.
    are_named: bool,
}

/// A class as models and data both may write it: `1`, `1.0`; `true` is 1 to a model that was fitted on numbers.
pub(super) fn canonical(text: &str) -> String {
    if let Ok(number) = text.trim().parse::<f64>()
        && number.is_finite()
    {
        return number_text(number);
    }
    match text {
        "true" | "True" | "TRUE" => "1".to_owned(),
        "false" | "False" | "FALSE" => "0".to_owned(),
        other => other.to_owned(),
    }
}

impl Classes {
    pub(super) fn of(candidate: &Served, champion: Option<&Served>) -> Self {
        let mut names: Vec<String> = Vec::new();
        let all = candidate.classes().iter().chain(champion.iter().flat_map(|champion| champion.classes()));
        for name in all {
            if !names.contains(name) {
                names.push(name.clone());
            }
        }
        Self { names, are_classes: candidate.is_classifier(), are_named: candidate.names_classes() }
    }

    /// The classes' names.
    pub(super) fn names(&self) -> &[String] {
        &self.names
    }

    /// The place of a class.
    pub(super) fn place(&self, name: &str) -> Option<u32> {
        let place = self.names.iter().position(|own| own == name)?;
        u32::try_from(place).ok()
    }

    /// The truth of a table's rows; those without one are left out.
    ///
    /// # Errors
    /// Why there is none, for people.
    pub(super) fn truth(&mut self, frame: Frame, label: &str) -> Result<(Frame, Truths), String> {
        let column = frame.get(label).ok_or_else(|| format!("there is no column `{label}` with the truth"))?;
        let keep: Vec<bool> = (0..frame.len()).map(|row| !column.at(row).is_nan()).collect();
        let unknown_count = keep.iter().filter(|known| !**known).count() as u64;
        let truth = if self.are_classes { self.classes_of(column, &keep)? } else { numbers_of(column, &keep, label)? };
        if truth.count() == 0 {
            return Err(format!("no row has a value in `{label}`"));
        }
        let frame = if unknown_count > 0 { frame.kept(&keep) } else { frame };
        Ok((frame, Truths { truth, unknown_count }))
    }

    fn classes_of(&mut self, column: &Column, keep: &[bool]) -> Result<Truth, String> {
        let mut of_rows = Vec::new();
        for (row, _) in keep.iter().enumerate().filter(|(_, keep)| **keep) {
            let name = canonical(&column.text(row).unwrap_or_default());
            let place = match self.place(&name) {
                Some(place) => place,
                None if !self.are_named && !self.names.is_empty() => {
                    return Err(format!(
                        "the truth names `{}`, and the model knows its classes only as the numbers 0 to {}: give the truth so",
                        name.chars().take(40).collect::<String>(),
                        self.names.len().saturating_sub(1)
                    ));
                }
                None if self.names.len() >= CLASS_COUNT_MAX => {
                    return Err(format!("the truth has more than {CLASS_COUNT_MAX} classes; the model answers classes"));
                }
                None => {
                    self.names.push(name);
                    u32::try_from(self.names.len().saturating_sub(1)).unwrap_or(u32::MAX)
                }
            };
            of_rows.push(place);
        }
        Ok(Truth::Classes { of_rows, names: Vec::new() })
    }
}

fn numbers_of(column: &Column, keep: &[bool], label: &str) -> Result<Truth, String> {
    match column {
        Column::Numbers { values, .. } => {
            Ok(Truth::Numbers(values.iter().zip(keep).filter(|(_, keep)| **keep).map(|(value, _)| *value).collect()))
        }
        Column::Texts { .. } => Err(format!("the model answers numbers, and `{label}` holds texts")),
    }
}

impl Truths {
    /// The truth, with the classes' names as they are once all tables were read.
    pub(super) fn named(&self, classes: &Classes) -> Truth {
        match &self.truth {
            Truth::Classes { of_rows, .. } => Truth::Classes { of_rows: of_rows.clone(), names: classes.names.clone() },
            numbers @ Truth::Numbers(_) => numbers.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn classes_are_the_same_however_they_are_written() {
        for (text, wanted) in
            [("1", "1"), ("1.0", "1"), ("True", "1"), ("false", "0"), ("0.5", "0.5"), ("no", "no"), ("NaN", "NaN")]
        {
            assert_eq!(canonical(text), wanted);
        }
    }
}
