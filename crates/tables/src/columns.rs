//! Columns of text formats: facts from the first look, the type they settle on, and the arrays built by it.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use arrow_array::builder::{
    BooleanBuilder, Date32Builder, FixedSizeListBuilder, Float64Builder, Int64Builder, StringBuilder, TimestampMicrosecondBuilder,
};
use arrow_array::{ArrayRef, RecordBatch, RecordBatchOptions};
use arrow_schema::{DataType, Field, Schema, SchemaRef, TimeUnit};

use crate::error::TableError;
use crate::limits::{COLUMN_COUNT_MAX, COLUMN_NAME_BYTES_MAX, EMBEDDING_LENGTH_MAX, MIXED_SHARE_PERCENT_MIN};
use crate::notes::{About, Example, NoteKind, Notes, cut};
use crate::values::{
    KIND_COUNT, Kind, UTC, is_formula_name, parse_boolean, parse_date, parse_float, parse_integer, parse_timestamp,
};

/// What the first look saw of one column.
#[derive(Clone, Debug, Default)]
pub(crate) struct Facts {
    counts: [u64; KIND_COUNT],
    first: [Option<Box<Example>>; KIND_COUNT],
    /// The length of the first list of numbers; 0 if there was none.
    list_length: usize,
    ragged_count: u64,
    /// Whole numbers of more than 64 bits.
    wide_count: u64,
    first_wide: Option<Box<Example>>,
}

impl Facts {
    /// Counts a value of `kind` in `row`.
    pub(crate) fn see(&mut self, kind: Kind, row: u64, text: &str) {
        if let Some(count) = self.counts.get_mut(kind as usize) {
            *count += 1;
        }
        if kind == Kind::Empty {
            return;
        }
        let example = || Some(Box::new(Example { row, line: None, text: cut(text) }));
        if let Some(first @ None) = self.first.get_mut(kind as usize) {
            *first = example();
        }
        if kind == Kind::Code && is_wide(text) {
            self.wide_count += 1;
            if self.first_wide.is_none() {
                self.first_wide = example();
            }
        }
    }

    /// Counts a list of `length` numbers.
    pub(crate) fn see_numbers(&mut self, length: usize, row: u64, text: &str) {
        self.see(Kind::Numbers, row, text);
        if self.list_length == 0 {
            self.list_length = length;
        } else if self.list_length != length {
            self.ragged_count += 1;
        }
    }

    fn count(&self, kind: Kind) -> u64 {
        self.counts.get(kind as usize).copied().unwrap_or(0)
    }

    /// Whether nothing but emptiness was seen.
    pub(crate) fn is_empty(&self) -> bool {
        Kind::ALL.iter().all(|kind| *kind == Kind::Empty || self.count(*kind) == 0)
    }

    /// The narrowest type that loses nothing.
    pub(crate) fn data_type(&self) -> DataType {
        let only = |kinds: &[Kind]| {
            Kind::ALL
                .iter()
                .all(|kind| self.count(*kind) == 0 || matches!(kind, Kind::Empty | Kind::NullWord) || kinds.contains(kind))
                && kinds.iter().any(|kind| self.count(*kind) > 0)
        };
        if only(&[Kind::Boolean]) {
            DataType::Boolean
        } else if only(&[Kind::Integer]) {
            DataType::Int64
        } else if only(&[Kind::Integer, Kind::Float]) {
            DataType::Float64
        } else if only(&[Kind::Date]) {
            DataType::Date32
        } else if only(&[Kind::Date, Kind::Timestamp]) {
            DataType::Timestamp(TimeUnit::Microsecond, None)
        } else if only(&[Kind::Instant]) {
            DataType::Timestamp(TimeUnit::Microsecond, Some(UTC.into()))
        } else if only(&[Kind::Numbers]) && self.ragged_count == 0 && (2..=EMBEDDING_LENGTH_MAX).contains(&self.list_length) {
            let length = i32::try_from(self.list_length).unwrap_or(0);
            DataType::FixedSizeList(Arc::new(Field::new("item", DataType::Float64, true)), length)
        } else {
            DataType::Utf8
        }
    }

    /// Reports what the settled type hides: mixed kinds in a text column, null words in a typed one.
    pub(crate) fn report(&self, name: &str, notes: &mut Notes) {
        if self.data_type() != DataType::Utf8 {
            if self.count(Kind::NullWord) > 0 {
                let text = "words such as NA or null in a typed column are read as nulls";
                let about = About { kind: NoteKind::NullWords, file: None, column: Some(name), text };
                notes.add(about, self.count(Kind::NullWord), self.example(Kind::NullWord));
            }
            return;
        }
        let seen: Vec<Kind> =
            Kind::ALL.into_iter().filter(|kind| !matches!(kind, Kind::Empty | Kind::NullWord) && self.count(*kind) > 0).collect();
        let codes_only = seen.iter().all(|kind| matches!(kind, Kind::Code | Kind::Integer));
        if codes_only && self.wide_count > 0 {
            let text =
                "whole numbers of more than 64 bits make the whole column text; as numbers they are kept by Parquet's decimals";
            let about = About { kind: NoteKind::WideNumbers, file: None, column: Some(name), text };
            notes.add(about, self.wide_count, self.first_wide.as_deref().cloned());
        }
        let lists_only = seen.iter().all(|kind| matches!(kind, Kind::Json | Kind::Numbers));
        if seen.len() < 2 || codes_only || lists_only {
            return;
        }
        let total: u64 = seen.iter().map(|kind| self.count(*kind)).sum();
        let typed = total - self.count(Kind::Text);
        if typed.saturating_mul(100) < total.saturating_mul(MIXED_SHARE_PERCENT_MIN) {
            return;
        }
        let words: Vec<String> = seen.iter().map(|kind| format!("{} {}", self.count(*kind), kind.word())).collect();
        let text = format!("values of different types are read as text: {}", words.join(", "));
        // What is counted are the values that do not fit the most frequent kind.
        let main = seen.iter().copied().max_by_key(|kind| self.count(*kind));
        for kind in seen.into_iter().filter(|kind| Some(*kind) != main) {
            let about = About { kind: NoteKind::MixedTypes, file: None, column: Some(name), text: &text };
            notes.add(about, self.count(kind), self.example(kind));
        }
    }

    fn example(&self, kind: Kind) -> Option<Example> {
        self.first.get(kind as usize).and_then(Option::as_deref).cloned()
    }
}

/// Whether digits that are no number of 64 bits are too many, and not led by zeros.
fn is_wide(digits: &str) -> bool {
    !digits.trim_ascii().trim_start_matches(['-', '+']).starts_with('0')
}

/// Checks names, names the nameless, renames the second of two.
pub(crate) fn settle_names(file: &str, names: Vec<String>, notes: &mut Notes) -> Result<Vec<String>, TableError> {
    let count = names.len() as u64;
    TableError::limit(
        file,
        "columns",
        count,
        COLUMN_COUNT_MAX as u64,
        "store wide data as one list column, or in several tables",
    )?;
    let mut free = FreeNames { taken: names.iter().cloned().collect(), next: HashMap::new() };
    let mut seen = HashSet::new();
    let mut settled = Vec::with_capacity(names.len());
    for (index, mut name) in names.into_iter().enumerate() {
        let length = name.len() as u64;
        TableError::limit(file, "bytes in a column's name", length, COLUMN_NAME_BYTES_MAX as u64, "give it a short name")?;
        if name.trim().is_empty() {
            let wanted = format!("column_{}", index + 1);
            name = if free.taken.insert(wanted.clone()) { wanted } else { free.take(&wanted) };
            let about = About { kind: NoteKind::UnnamedColumn, file: None, column: Some(&name), text: "it had no name" };
            notes.add(about, 1, None);
        } else if seen.contains(&name) {
            let renamed = free.take(&name);
            let text = format!("a second column `{name}` was renamed");
            notes.add(About { kind: NoteKind::DuplicatedColumn, file: None, column: Some(&renamed), text: &text }, 1, None);
            name = renamed;
        }
        if is_formula_name(&name) {
            let text = "a spreadsheet would run the column's name as a formula; give it another one";
            let example = Example { row: 0, line: None, text: cut(&name) };
            notes.add(About { kind: NoteKind::Formula, file: None, column: Some(&name), text }, 1, Some(example));
        }
        seen.insert(name.clone());
        settled.push(name);
    }
    Ok(settled)
}

/// Names not yet taken. Remembers the last number by name, so that ten thousand equal names take no quadratic time.
struct FreeNames {
    taken: HashSet<String>,
    next: HashMap<String, u64>,
}

impl FreeNames {
    fn take(&mut self, name: &str) -> String {
        let number = self.next.entry(name.to_owned()).or_insert(0);
        loop {
            *number += 1;
            let free = format!("{name}.{number}");
            if self.taken.insert(free.clone()) {
                return free;
            }
        }
    }
}

/// A batch of `rows` rows, also if it has no columns.
pub(crate) fn batch(file: &str, schema: &SchemaRef, columns: Vec<ArrayRef>, rows: usize) -> Result<RecordBatch, TableError> {
    let options = RecordBatchOptions::new().with_row_count(Some(rows));
    RecordBatch::try_new_with_options(Arc::clone(schema), columns, &options).map_err(|error| TableError::damaged(file, error))
}

/// The schema of the columns of `projection`.
pub(crate) fn project(schema: &Schema, projection: &[usize]) -> SchemaRef {
    let fields: Vec<_> = projection.iter().filter_map(|index| schema.fields().get(*index).cloned()).collect();
    Arc::new(Schema::new(fields))
}

/// Builds one column from texts whose kinds are known to fit.
pub(crate) enum Builder {
    Boolean(BooleanBuilder),
    Integer(Int64Builder),
    Float(Float64Builder),
    Date(Date32Builder),
    Timestamp(TimestampMicrosecondBuilder),
    Embedding(FixedSizeListBuilder<Float64Builder>),
    Text(StringBuilder),
}

impl Builder {
    pub(crate) fn new(data_type: &DataType, rows: usize) -> Self {
        match data_type {
            DataType::Boolean => Self::Boolean(BooleanBuilder::with_capacity(rows)),
            DataType::Int64 => Self::Integer(Int64Builder::with_capacity(rows)),
            DataType::Float64 => Self::Float(Float64Builder::with_capacity(rows)),
            DataType::Date32 => Self::Date(Date32Builder::with_capacity(rows)),
            DataType::Timestamp(..) => {
                Self::Timestamp(TimestampMicrosecondBuilder::with_capacity(rows).with_data_type(data_type.clone()))
            }
            DataType::FixedSizeList(_, length) => Self::Embedding(FixedSizeListBuilder::new(Float64Builder::new(), *length)),
            _ => Self::Text(StringBuilder::with_capacity(rows, rows * 8)),
        }
    }

    /// Adds a value. `false` if it does not fit, so that the file must have changed since the first look.
    pub(crate) fn push(&mut self, text: &str, kind: Kind) -> bool {
        let null = matches!(kind, Kind::Empty | Kind::NullWord);
        match self {
            Self::Boolean(builder) => push_option(null, parse_boolean(text), |value| builder.append_option(value)),
            Self::Integer(builder) => push_option(null, parse_integer(text), |value| builder.append_option(value)),
            Self::Float(builder) => push_option(null, parse_float(text), |value| builder.append_option(value)),
            Self::Date(builder) => push_option(null, parse_date(text), |value| builder.append_option(value)),
            Self::Timestamp(builder) => push_option(null, to_micros(text), |value| builder.append_option(value)),
            Self::Embedding(_) => {
                self.push_numbers(None);
                null
            }
            Self::Text(builder) => {
                builder.append_value(text);
                true
            }
        }
    }

    /// Adds a null.
    pub(crate) fn push_null(&mut self) {
        match self {
            Self::Boolean(builder) => builder.append_null(),
            Self::Integer(builder) => builder.append_null(),
            Self::Float(builder) => builder.append_null(),
            Self::Date(builder) => builder.append_null(),
            Self::Timestamp(builder) => builder.append_null(),
            Self::Embedding(_) => {
                self.push_numbers(None);
            }
            Self::Text(builder) => builder.append_null(),
        }
    }

    /// Adds a list of numbers; `false` if it does not fit.
    pub(crate) fn push_numbers(&mut self, numbers: Option<&[f64]>) -> bool {
        let Self::Embedding(builder) = self else { return false };
        let length = usize::try_from(builder.value_length()).unwrap_or(0);
        match numbers.filter(|numbers| numbers.len() == length) {
            Some(numbers) => builder.values().append_slice(numbers),
            None => builder.values().append_nulls(length),
        }
        builder.append(numbers.is_some());
        numbers.is_none_or(|numbers| numbers.len() == length)
    }

    /// Whether texts are kept as they are.
    pub(crate) const fn is_text(&self) -> bool {
        matches!(self, Self::Text(_))
    }

    pub(crate) fn finish(&mut self) -> ArrayRef {
        match self {
            Self::Boolean(builder) => Arc::new(builder.finish()),
            Self::Integer(builder) => Arc::new(builder.finish()),
            Self::Float(builder) => Arc::new(builder.finish()),
            Self::Date(builder) => Arc::new(builder.finish()),
            Self::Timestamp(builder) => Arc::new(builder.finish()),
            Self::Embedding(builder) => Arc::new(builder.finish()),
            Self::Text(builder) => Arc::new(builder.finish()),
        }
    }
}

fn push_option<T>(null: bool, value: Option<T>, mut append: impl FnMut(Option<T>)) -> bool {
    let fits = null || value.is_some();
    append(if null { None } else { value });
    fits
}

fn to_micros(text: &str) -> Option<i64> {
    parse_timestamp(text).map(|(micros, _)| micros).or_else(|| parse_date(text).map(|days| i64::from(days) * 86_400_000_000))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::values::classify;

    fn facts(texts: &[&str]) -> Facts {
        let mut facts = Facts::default();
        for (row, text) in texts.iter().enumerate() {
            facts.see(classify(text), row as u64, text);
        }
        facts
    }

    fn check(texts: &[&str], data_type: DataType, mixed: bool) {
        let facts = facts(texts);
        let mut notes = Notes::default();
        facts.report("c", &mut notes);
        assert_eq!(facts.data_type(), data_type, "{texts:?}");
        assert_eq!(notes.find(NoteKind::MixedTypes, Some("c")).is_some(), mixed, "{texts:?}: {notes:?}");
    }

    #[test]
    fn the_narrowest_type_that_loses_nothing() {
        let micros = |zone: Option<&str>| DataType::Timestamp(TimeUnit::Microsecond, zone.map(Into::into));
        check(&["1", "", "-2", "NA"], DataType::Int64, false);
        check(&["1", "2.5", "nan"], DataType::Float64, false);
        check(&["true", "False"], DataType::Boolean, false);
        check(&["2024-01-01", ""], DataType::Date32, false);
        check(&["2024-01-01", "2024-01-01 10:00"], micros(None), false);
        check(&["2024-01-01T10:00Z"], micros(Some(UTC)), false);
        check(&["007", "12"], DataType::Utf8, false);
        check(&["", ""], DataType::Utf8, false);
        check(&["a", "b"], DataType::Utf8, false);
        check(&["1", "a", "2"], DataType::Utf8, true);
        check(&["true", "1"], DataType::Utf8, true);
        check(&["a", "b", "c", "d", "e", "f", "g", "h", "i", "j", "k", "7"], DataType::Utf8, false);
    }

    #[test]
    fn numbers_of_more_than_64_bits_are_noted() {
        let noted = |texts: &[&str]| {
            let mut notes = Notes::default();
            facts(texts).report("id", &mut notes);
            let note = notes.find(NoteKind::WideNumbers, Some("id"))?;
            Some((note.count, note.examples[0].row, note.examples[0].text.clone()))
        };
        let wide = "9223372036854775808";
        assert_eq!(noted(&["7", wide, "-9223372036854775809", ""]), Some((2, 1, wide.to_owned())));
        assert_eq!(noted(&[wide]), Some((1, 0, wide.to_owned())));
        assert_eq!(noted(&["9223372036854775807", "-9223372036854775808"]), None);
        assert_eq!(noted(&["007", "0031612345678901234567890"]), None);
        assert_eq!(noted(&[wide, "a", "b"]), None, "a text among texts");
    }

    #[test]
    fn a_mixed_column_names_what_does_not_fit() {
        let mut notes = Notes::default();
        facts(&["1", "2", "n/a", "x"]).report("age", &mut notes);
        let note = notes.find(NoteKind::MixedTypes, Some("age")).unwrap();
        assert_eq!(note.text, "values of different types are read as text: 2 integer, 1 text");
        assert_eq!((note.count, &note.examples[0].text[..], note.examples[0].row), (1, "x", 3));
    }

    #[test]
    fn names_are_made_unique() {
        let mut notes = Notes::default();
        let names = ["a", "a", "", "a.1", "a", "column_3"].map(str::to_owned).to_vec();
        let settled = settle_names("f.csv", names, &mut notes).unwrap();
        assert_eq!(settled, ["a", "a.2", "column_3.1", "a.1", "a.3", "column_3"]);
        assert_eq!(notes.find(NoteKind::DuplicatedColumn, Some("a.2")).unwrap().text, "a second column `a` was renamed");
        let long = vec!["x".repeat(2000)];
        assert!(settle_names("f.csv", long, &mut notes).unwrap_err().to_string().contains("bytes in a column's name"));
        let wide = vec![String::new(); 20_000];
        let error = settle_names("f.csv", wide, &mut notes).unwrap_err().to_string();
        assert_eq!(
            error,
            "`f.csv` exceeds a limit: 20000 columns, at most 16384; store wide data as one list column, or in several tables"
        );
    }
}
