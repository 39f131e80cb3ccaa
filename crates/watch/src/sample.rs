//! One request to an endpoint, as whoever serves it hands it over. Nothing in here is copied until it is counted.

use std::borrow::Cow;

/// Where samples go. Called once per request, after the answer is known and before it is sent: it must not block or fail.
pub trait Observer: Send + Sync + 'static {
    /// Takes a sample.
    fn sample(&self, sample: &Sample<'_>);
}

/// One request.
#[derive(Clone, Copy, Debug)]
pub struct Sample<'a> {
    /// When it was answered, in microseconds since the epoch.
    pub at_us: i64,
    /// The workspace's id.
    pub workspace: &'a str,
    /// The endpoint's id.
    pub endpoint: &'a str,
    /// The version that answered, as records name it.
    pub version: &'a str,
    /// The prediction's id, if there was one.
    pub prediction: Option<&'a str>,
    /// The caller's id. It is counted, never shown in a metric.
    pub caller: &'a str,
    /// What kind of caller.
    pub caller_class: CallerClass,
    /// Rows asked.
    pub row_count: usize,
    /// How long it took.
    pub latency_us: u64,
    /// How it ended.
    pub verdict: Verdict,
    /// What was asked, column by column; empty if it could not be read.
    pub columns: &'a [Column<'a>],
    /// The classes' names in the order of the probabilities, if there are any.
    pub classes: &'a [String],
    /// The chosen classes or predicted numbers, one per row.
    pub predicted: Option<Values<'a>>,
    /// Whether these are classes, which a label says to be right or wrong.
    pub predicts_classes: bool,
    /// The probabilities.
    pub probabilities: Option<Probabilities<'a>>,
}

/// What kind of caller asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CallerClass {
    /// A person.
    Person,
    /// A service account.
    Service,
    /// Anything else.
    Other,
}

/// How a request ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// With a prediction.
    Answered,
    /// It did not fit: shape, type, range, contract.
    Invalid,
    /// Too many, or held back by the guard.
    Limited,
    /// The model or the server failed.
    Failed,
}

/// One column of a request: every `stride`-th value from `first` on.
#[derive(Clone, Copy, Debug)]
pub struct Column<'a> {
    /// Its name; for a matrix without names its place.
    pub name: &'a str,
    /// The values that it lies in.
    pub values: Values<'a>,
    /// Where it begins.
    pub first: usize,
    /// How far its values lie apart.
    pub stride: usize,
}

impl<'a> Sample<'a> {
    /// The column of this name. It is looked for at `place` first, where it mostly stands: requests have their columns in the order of the
    /// training data.
    pub(crate) fn column(&self, place: usize, name: &str) -> Option<&Column<'a>> {
        let there = self.columns.get(place).filter(|column| column.name == name);
        there.or_else(|| self.columns.iter().find(|column| column.name == name))
    }
}

/// Values of one type.
#[derive(Clone, Copy, Debug)]
pub enum Values<'a> {
    /// NaN is missing.
    F32(&'a [f32]),
    /// NaN is missing.
    F64(&'a [f64]),
    /// Integers.
    I64(&'a [i64]),
    /// True or false.
    Bool(&'a [bool]),
    /// Text.
    Text(&'a [String]),
}

/// Class probabilities, row-major.
#[derive(Clone, Copy, Debug)]
pub struct Probabilities<'a> {
    /// The numbers.
    pub values: Values<'a>,
    /// How many a row has.
    pub width: usize,
}

/// One value as it is counted.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum One<'a> {
    /// There is none.
    Missing,
    /// A number.
    Number(f64),
    /// A text.
    Text(&'a str),
}

impl<'a> Values<'a> {
    /// How many there are.
    #[must_use]
    pub const fn len(&self) -> usize {
        match self {
            Self::F32(values) => values.len(),
            Self::F64(values) => values.len(),
            Self::I64(values) => values.len(),
            Self::Bool(values) => values.len(),
            Self::Text(values) => values.len(),
        }
    }

    /// Whether there are none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The value at a place; missing beyond the end.
    #[must_use]
    pub fn at(&self, place: usize) -> One<'a> {
        let number = |value: Option<f64>| value.filter(|value| !value.is_nan()).map_or(One::Missing, One::Number);
        match self {
            Self::F32(values) => number(values.get(place).map(|value| f64::from(*value))),
            Self::F64(values) => number(values.get(place).copied()),
            Self::I64(values) => number(values.get(place).map(|value| *value as f64)),
            Self::Bool(values) => number(values.get(place).map(|value| f64::from(u8::from(*value)))),
            Self::Text(values) => values.get(place).map_or(One::Missing, |text| One::Text(text.as_str())),
        }
    }

    /// The number at a place, if there is one.
    #[must_use]
    pub fn number(&self, place: usize) -> Option<f64> {
        match self.at(place) {
            One::Number(value) => Some(value),
            One::Missing | One::Text(_) => None,
        }
    }

    /// The value at a place as a name: of a class, or a category.
    #[must_use]
    pub fn name(&self, place: usize) -> Option<String> {
        match self.at(place) {
            One::Missing => None,
            One::Number(value) => Some(name_of_number(value)),
            One::Text(text) => Some(cut(text).to_owned()),
        }
    }
}

impl<'a> Column<'a> {
    /// The value of a row.
    #[must_use]
    pub fn of_row(&self, row: usize) -> One<'a> {
        self.values.at(self.first.saturating_add(row.saturating_mul(self.stride)))
    }
}

/// The name of a class or category that is a number: `1` for 1.0 too.
fn name_of_number(value: f64) -> String {
    if value == 0.0 { "0".to_owned() } else { value.to_string() }
}

/// The name of a class as it is compared: a number that is written with a point or an exponent is the number that it means.
pub(crate) fn class_name(text: &str) -> Cow<'_, str> {
    let is_written_out = text.bytes().all(|byte| byte.is_ascii_digit() || b"+-.eE".contains(&byte));
    let number = text.parse::<f64>().ok().filter(|_| is_written_out && text.bytes().any(|byte| b".eE".contains(&byte)));
    number.map_or(Cow::Borrowed(text), |number| Cow::Owned(name_of_number(number)))
}

/// A name, cut to what is kept of it.
pub(crate) fn cut(text: &str) -> &str {
    let end = (0..=crate::limits::NAME_BYTES_MAX.min(text.len())).rev().find(|end| text.is_char_boundary(*end));
    text.get(..end.unwrap_or(0)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_column_of_a_matrix_is_every_nth_value() {
        let matrix = [1.0, 2.0, 3.0, f64::NAN];
        let column = Column { name: "b", values: Values::F64(&matrix), first: 1, stride: 2 };
        assert_eq!(column.of_row(0), One::Number(2.0));
        assert_eq!(column.of_row(1), One::Missing);
        assert_eq!(column.of_row(2), One::Missing);
        assert_eq!(Values::I64(&[3]).name(0).as_deref(), Some("3"));
        assert_eq!(cut(&"ä".repeat(200)).len(), 128);
    }
}
