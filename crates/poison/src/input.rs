//! What is scanned: features and labels, and what else the caller knows of each row.

use crate::PoisonError;
use crate::table::{Matrix, Tokens};

/// Classes that labels may have.
pub const CLASS_COUNT_MAX: usize = 1_000;
/// Rows times classes: one table of probabilities holds so many numbers (200 MB).
pub const PROBABILITY_COUNT_MAX: usize = 50_000_000;
/// Rows times columns of one part of the input (1 GiB of numbers).
pub const VALUE_COUNT_MAX: usize = 1 << 28;
/// Fewer rows than this say nothing.
pub const ROW_COUNT_MIN: usize = 20;

/// What a column of features holds.
#[derive(Clone, Debug, PartialEq)]
pub enum ColumnKind {
    /// Measured values; not a number where missing.
    Number,
    /// Codes `0..` of these values.
    Category(Vec<String>),
}

/// A column of features.
#[derive(Clone, Debug, PartialEq)]
pub struct Column {
    /// Its name.
    pub name: String,
    /// What it holds.
    pub kind: ColumnKind,
}

/// The features as they stand in the data, not scaled.
#[derive(Clone, Debug, Default)]
pub struct Features {
    /// One for each column of `values`.
    pub columns: Vec<Column>,
    /// A row for each row of the data.
    pub values: Matrix,
}

/// A class, or a source, for each row.
#[derive(Clone, Debug, Default)]
pub struct Groups {
    /// The group of each row, below the count of names.
    pub of_rows: Vec<u32>,
    /// The groups' names.
    pub names: Vec<String>,
}

/// Texts as counts of their words.
#[derive(Clone, Debug, Default)]
pub struct Texts {
    /// A row of words for each row of the data.
    pub words: Tokens,
    /// The word behind each token, as far as known.
    pub names: Vec<String>,
}

/// Images of one size.
#[derive(Clone, Debug, Default)]
pub struct Images {
    /// Pixels in a row.
    pub width: usize,
    /// Rows of pixels.
    pub height: usize,
    /// Values of a pixel: 1 or 3.
    pub channels: usize,
    /// All images one after the other, each row by row, the channels of a pixel side by side.
    pub pixels: Vec<u8>,
}

/// A data set to scan. Everything but the row count is optional; what is given has one entry a row.
#[derive(Clone, Debug, Default)]
pub struct Input {
    /// Tabular features.
    pub features: Features,
    /// Labels and the names of the classes.
    pub labels: Option<Groups>,
    /// The caller's own out-of-sample class probabilities.
    pub probabilities: Option<Matrix>,
    /// Embeddings of a model.
    pub embeddings: Option<Matrix>,
    /// Who brought each row.
    pub sources: Option<Groups>,
    /// Texts.
    pub texts: Option<Texts>,
    /// Images.
    pub images: Option<Images>,
    /// What could not be used, for the report.
    pub notes: Vec<String>,
}

impl Images {
    /// Values of one image.
    #[must_use]
    pub const fn image_len(&self) -> usize {
        self.width * self.height * self.channels
    }

    /// How many images there are.
    #[must_use]
    pub fn rows(&self) -> usize {
        self.pixels.len().checked_div(self.image_len()).unwrap_or(0)
    }

    /// The pixels of one image; empty where there is none.
    #[must_use]
    pub fn image(&self, index: usize) -> &[u8] {
        crate::at::row(&self.pixels, self.image_len(), index)
    }
}

impl Input {
    /// How many rows the data has.
    #[must_use]
    pub fn rows(&self) -> usize {
        self.lengths().map(|(_, rows)| rows).max().unwrap_or(0)
    }

    /// How many classes the labels have; 0 without labels.
    #[must_use]
    pub fn classes(&self) -> usize {
        self.labels.as_ref().map_or(0, |labels| labels.names.len())
    }

    fn lengths(&self) -> impl Iterator<Item = (&'static str, usize)> {
        let features = (self.features.values.columns() > 0).then(|| ("features", self.features.values.rows()));
        let parts = [
            features,
            self.labels.as_ref().map(|part| ("labels", part.of_rows.len())),
            self.probabilities.as_ref().map(|part| ("probabilities", part.rows())),
            self.embeddings.as_ref().map(|part| ("embeddings", part.rows())),
            self.sources.as_ref().map(|part| ("sources", part.of_rows.len())),
            self.texts.as_ref().map(|part| ("texts", part.words.rows())),
            self.images.as_ref().map(|part| ("images", part.rows())),
        ];
        parts.into_iter().flatten()
    }

    /// Checks once that all parts fit each other and the limits, so that nothing behind needs to.
    ///
    /// # Errors
    /// `Shape` naming the part that does not fit; `TooFewRows`; `TooLarge` naming the limit.
    pub fn check(&self) -> Result<(), PoisonError> {
        let rows = self.rows();
        if rows < ROW_COUNT_MIN {
            return Err(PoisonError::TooFewRows(rows));
        }
        if let Some((name, own)) = self.lengths().find(|(_, own)| *own != rows) {
            return Err(PoisonError::Shape(format!("the {name} have {own} rows where others have {rows}")));
        }
        if u32::try_from(rows).is_err() {
            return Err(PoisonError::TooLarge(format!("{rows} rows; at most {} can be scanned at once", u32::MAX)));
        }
        if self.features.columns.len() != self.features.values.columns() {
            return Err(PoisonError::Shape("the features have more or fewer columns than names".to_owned()));
        }
        let widest = [&self.features.values].into_iter().chain(self.embeddings.as_ref()).map(|part| part.values().len()).max();
        if widest.is_some_and(|values| values > VALUE_COUNT_MAX) {
            return Err(PoisonError::TooLarge(format!("more than {VALUE_COUNT_MAX} values; scan a sample of the rows")));
        }
        for (name, groups) in [("labels", &self.labels), ("sources", &self.sources)] {
            let fit = |groups: &Groups| groups.of_rows.iter().all(|group| (*group as usize) < groups.names.len());
            if !groups.as_ref().is_none_or(fit) {
                return Err(PoisonError::Shape(format!("the {name} name a group that has no name")));
            }
        }
        let classes = self.classes();
        if classes > CLASS_COUNT_MAX || classes * rows > PROBABILITY_COUNT_MAX {
            let limit = format!("{classes} classes of {rows} rows; at most {CLASS_COUNT_MAX} classes");
            return Err(PoisonError::TooLarge(format!("{limit} and {PROBABILITY_COUNT_MAX} rows times classes are scanned")));
        }
        if let Some(given) = &self.probabilities {
            let sound = given.columns() == classes && given.values().iter().all(|value| value.is_finite());
            if !sound {
                return Err(PoisonError::Shape("the probabilities need one finite value for each class".to_owned()));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sound() -> Input {
        let columns = vec![Column { name: "a".to_owned(), kind: ColumnKind::Number }];
        let labels = Groups { of_rows: vec![0; 30], names: vec!["no".to_owned()] };
        Input { features: Features { columns, values: Matrix::zeros(30, 1) }, labels: Some(labels), ..Input::default() }
    }

    fn check(change: impl FnOnce(&mut Input), wanted: &str) {
        let mut input = sound();
        change(&mut input);
        let said = input.check().map_or_else(|error| error.to_string(), |()| "fine".to_owned());
        assert!(said.contains(wanted), "{said}");
    }

    #[test]
    fn parts_that_do_not_fit_are_refused_with_their_name() {
        check(|_| {}, "fine");
        check(|input| input.embeddings = Some(Matrix::zeros(29, 2)), "the embeddings have 29 rows where others have 30");
        check(|input| input.labels.as_mut().unwrap().of_rows[3] = 1, "the labels name a group");
        check(|input| input.probabilities = Some(Matrix::zeros(30, 2)), "one finite value for each class");
        check(|input| input.features.columns.clear(), "more or fewer columns");
        check(|input| *input = Input::default(), "0 rows");
        check(|input| input.labels.as_mut().unwrap().names = vec![String::new(); 1_001], "at most 1000 classes");
    }
}
