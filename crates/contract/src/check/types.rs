//! Whether a column's type is the one that a contract names.

use arrow_schema::{DataType, Schema};

use super::row_test::{Mask, Readable};
use super::values::{is_text, is_whole, plain_type};
use crate::instant::{DAY_NS, TimeFormat, unit_ns};
use crate::model::LogicalType;

/// How much the types of a file say.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Source {
    /// Its writer chose them: Parquet, Arrow, NumPy.
    #[default]
    Typed,
    /// Numbers, texts and yes or no; dates and times are texts.
    Json,
    /// Everything is a text that a reader took for something.
    Csv,
}

/// What a type says about a rule.
pub(crate) enum Fit {
    /// It fits.
    Yes,
    /// It does not, and why.
    No(String),
    /// It fits if each value does.
    Each(Mask),
}

/// Whether a column fits a logical type.
pub(crate) fn logical(
    logical: LogicalType,
    format: Option<&str>,
    timezone: Option<bool>,
    data_type: &DataType,
    source: Source,
) -> Fit {
    let data_type = plain_type(data_type);
    let text = is_text(&data_type);
    // A column of texts without any value fits every type: readers give it to columns that are all null.
    let no = || if text { Fit::Each(Mask::Always) } else { Fit::No(format!("it holds {data_type}")) };
    if matches!(data_type, DataType::Null) {
        return Fit::Yes;
    }
    let loose = source == Source::Csv;
    match logical {
        LogicalType::String if text || (loose && !data_type.is_nested()) => Fit::Yes,
        LogicalType::Integer if is_whole(&data_type) => Fit::Yes,
        LogicalType::Integer => match data_type {
            DataType::Decimal128(_, scale) | DataType::Decimal256(_, scale) if scale <= 0 => Fit::Yes,
            // Readers take whole numbers with gaps, very large ones and decimals for floats.
            DataType::Float32 | DataType::Float64 => Fit::Each(Mask::NoMultipleFloats(1.0)),
            _ if loose && text => Fit::Each(Mask::Unreadable(Readable::Integer)),
            _ => no(),
        },
        LogicalType::Number if data_type.is_numeric() => Fit::Yes,
        LogicalType::Number if loose && text => Fit::Each(Mask::Unreadable(Readable::Number)),
        LogicalType::Boolean if matches!(data_type, DataType::Boolean) => Fit::Yes,
        // A reader takes a column of 0 and 1 for numbers.
        LogicalType::Boolean if loose && is_whole(&data_type) => Fit::Each(Mask::Outside { low: 0, high: 1 }),
        LogicalType::Boolean if loose && text => Fit::Each(Mask::Unreadable(Readable::Boolean)),
        LogicalType::Date if matches!(data_type, DataType::Date32 | DataType::Date64) => Fit::Yes,
        // Midnights are dates: many writers know no other way.
        LogicalType::Date if matches!(data_type, DataType::Timestamp(..)) => match unit_ns(&data_type) {
            Some(unit) => Fit::Each(Mask::NoMultiple(DAY_NS / unit)),
            None => no(),
        },
        LogicalType::Timestamp => match &data_type {
            DataType::Timestamp(_, None) if timezone == Some(true) => {
                Fit::No("it holds times without a zone, but `timezone` is true".to_owned())
            }
            DataType::Timestamp(..) | DataType::Date64 => Fit::Yes,
            _ => written(format, Readable::Timestamp { zone: timezone == Some(true) }, &data_type, source),
        },
        LogicalType::Time if matches!(data_type, DataType::Time32(_) | DataType::Time64(_)) => Fit::Yes,
        LogicalType::Date => written(format, Readable::Date, &data_type, source),
        // Times of day are texts in many files, whatever their writer chose.
        LogicalType::Time => written(format, Readable::Time, &data_type, Source::Json),
        LogicalType::Object if matches!(data_type, DataType::Struct(_) | DataType::Map(..)) => Fit::Yes,
        LogicalType::Array if is_list(&data_type) => Fit::Yes,
        // What has no column type of its own is read as JSON.
        LogicalType::Array if text => Fit::Each(Mask::Unreadable(Readable::Json('[', ']'))),
        LogicalType::Object if text => Fit::Each(Mask::Unreadable(Readable::Json('{', '}'))),
        _ => no(),
    }
}

const fn is_list(data_type: &DataType) -> bool {
    matches!(
        data_type,
        DataType::List(_)
            | DataType::LargeList(_)
            | DataType::FixedSizeList(..)
            | DataType::ListView(_)
            | DataType::LargeListView(_)
    )
}

/// Dates and times as texts: where the file knows no other way, or where the contract says how they are written.
fn written(format: Option<&str>, plainly: Readable, data_type: &DataType, source: Source) -> Fit {
    if !is_text(data_type) {
        return Fit::No(format!("it holds {data_type}"));
    }
    if source == Source::Typed && format.is_none() {
        return Fit::Each(Mask::Always);
    }
    match format.map(TimeFormat::new) {
        None => Fit::Each(Mask::Unreadable(plainly)),
        Some(Ok(format)) => Fit::Each(Mask::Unreadable(Readable::Format(format))),
        Some(Err(problem)) => Fit::No(problem),
    }
}

/// Whether a column's type is of a kind.
type Holds = fn(&DataType) -> bool;

/// Kinds of stored types, by the words that systems use for them. Widths are not compared: readers widen them.
const PHYSICAL: [(&str, Holds); 48] = [
    ("int8", is_integer),
    ("tinyint", is_integer),
    ("int16", is_integer),
    ("smallint", is_integer),
    ("short", is_integer),
    ("int32", is_integer),
    ("int64", is_integer),
    ("bigint", is_integer),
    ("long", is_integer),
    ("uint8", is_integer),
    ("uint16", is_integer),
    ("uint32", is_integer),
    ("uint64", is_integer),
    ("int", is_integer),
    ("integer", is_integer),
    ("float32", DataType::is_floating),
    ("float64", DataType::is_floating),
    ("double", DataType::is_floating),
    ("double precision", DataType::is_floating),
    ("float", DataType::is_floating),
    ("real", DataType::is_floating),
    ("decimal", is_decimal),
    ("numeric", is_decimal),
    ("number", DataType::is_numeric),
    ("bool", |kind| matches!(kind, DataType::Boolean)),
    ("boolean", |kind| matches!(kind, DataType::Boolean)),
    ("string", is_text),
    ("str", is_text),
    ("object", is_text),
    ("text", is_text),
    ("utf8", is_text),
    ("varchar", is_text),
    ("char", is_text),
    ("character varying", is_text),
    ("nvarchar", is_text),
    ("date", |kind| matches!(kind, DataType::Date32 | DataType::Date64)),
    ("datetime", is_timestamp),
    ("datetime64", is_timestamp),
    ("timestamp", is_timestamp),
    ("timestamptz", is_timestamp),
    ("time", |kind| matches!(kind, DataType::Time32(_) | DataType::Time64(_))),
    ("binary", is_binary),
    ("bytes", is_binary),
    ("blob", is_binary),
    ("array", is_list),
    ("list", is_list),
    ("struct", |kind| matches!(kind, DataType::Struct(_))),
    ("map", |kind| matches!(kind, DataType::Map(..))),
];

/// Whole numbers with gaps, and those of 64 bits without a sign, are read as floats.
fn is_integer(kind: &DataType) -> bool {
    kind.is_integer() || kind.is_floating()
}

fn is_decimal(kind: &DataType) -> bool {
    kind.is_numeric()
}

const fn is_timestamp(kind: &DataType) -> bool {
    matches!(kind, DataType::Timestamp(..))
}

const fn is_binary(kind: &DataType) -> bool {
    matches!(kind, DataType::Binary | DataType::LargeBinary | DataType::BinaryView | DataType::FixedSizeBinary(_))
}

/// Whether a column fits a stored type's name; `None` if the name is not known.
pub(crate) fn physical(name: &str, data_type: &DataType) -> Option<Fit> {
    let data_type = plain_type(data_type);
    let plain = name.trim().to_ascii_lowercase();
    let word = plain.split(['(', '<', '[']).next().unwrap_or_default().trim();
    let (_, fits) = PHYSICAL.iter().find(|(known, _)| *known == word)?;
    Some(if fits(&data_type) || matches!(data_type, DataType::Null) {
        Fit::Yes
    } else {
        Fit::No(format!("it holds {data_type}"))
    })
}

/// What a table lacks, has too much, or has in another order.
pub(crate) fn columns(wanted: &[String], schema: &Schema, ordered: bool, exact: bool) -> Option<String> {
    let found: Vec<&str> = schema.fields().iter().map(|field| field.name().as_str()).collect();
    if let Some(missing) = wanted.iter().find(|name| !found.contains(&name.as_str())) {
        return Some(format!("the column `{missing}` is missing"));
    }
    if let Some(extra) = found.iter().find(|name| exact && !wanted.iter().any(|wanted| wanted == *name)) {
        return Some(format!("the column `{extra}` is not in the contract"));
    }
    let same = found.iter().zip(wanted).all(|(found, wanted)| found == wanted);
    (ordered && !same).then(|| format!("the columns stand in another order: {}", found.join(", ")))
}

#[cfg(test)]
mod tests {
    use arrow_schema::TimeUnit;

    use super::*;

    #[derive(Debug, PartialEq)]
    enum Answer {
        Yes,
        No,
        Each,
    }

    fn answer(fit: &Fit) -> Answer {
        match fit {
            Fit::Yes => Answer::Yes,
            Fit::No(_) => Answer::No,
            Fit::Each(_) => Answer::Each,
        }
    }

    #[test]
    fn logical_types_by_source() {
        use Answer::{Each, No, Yes};
        let utc = || DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()));
        let plain = || DataType::Timestamp(TimeUnit::Microsecond, None);
        let dictionary = DataType::Dictionary(Box::new(DataType::Int32), Box::new(DataType::Utf8));
        for (kind, data_type, typed, json, csv) in [
            (LogicalType::String, DataType::Utf8, Yes, Yes, Yes),
            (LogicalType::String, dictionary, Yes, Yes, Yes),
            (LogicalType::String, DataType::Int64, No, No, Yes),
            (LogicalType::Array, DataType::Utf8, Each, Each, Each),
            (LogicalType::Integer, DataType::UInt8, Yes, Yes, Yes),
            (LogicalType::Integer, DataType::Float64, Each, Each, Each),
            (LogicalType::Integer, DataType::Utf8, Each, Each, Each),
            (LogicalType::Integer, DataType::Decimal128(10, 0), Yes, Yes, Yes),
            (LogicalType::Number, DataType::Decimal128(10, 2), Yes, Yes, Yes),
            (LogicalType::Number, DataType::Utf8, Each, Each, Each),
            (LogicalType::Boolean, DataType::Int8, No, No, Each),
            (LogicalType::Boolean, DataType::Float64, No, No, No),
            (LogicalType::Boolean, DataType::Utf8, Each, Each, Each),
            (LogicalType::Date, DataType::Date32, Yes, Yes, Yes),
            (LogicalType::Date, plain(), Each, Each, Each),
            (LogicalType::Date, DataType::Utf8, Each, Each, Each),
            (LogicalType::Timestamp, utc(), Yes, Yes, Yes),
            (LogicalType::Timestamp, DataType::Utf8, Each, Each, Each),
            (LogicalType::Time, DataType::Time64(TimeUnit::Nanosecond), Yes, Yes, Yes),
            (LogicalType::Object, DataType::Int64, No, No, No),
            (LogicalType::Array, DataType::Null, Yes, Yes, Yes),
        ] {
            for (source, wanted) in [(Source::Typed, typed), (Source::Json, json), (Source::Csv, csv)] {
                assert_eq!(answer(&logical(kind, None, None, &data_type, source)), wanted, "{kind:?} {data_type} {source:?}");
            }
        }
        assert_eq!(answer(&logical(LogicalType::Timestamp, None, Some(true), &plain(), Source::Typed)), No);
        assert_eq!(answer(&logical(LogicalType::Timestamp, None, Some(true), &utc(), Source::Typed)), Yes);
        assert_eq!(answer(&logical(LogicalType::Date, Some("dd.MM.yyyy"), None, &DataType::Utf8, Source::Typed)), Each);
    }

    #[test]
    fn stored_types_by_their_words() {
        for (name, data_type, fits) in [
            ("VARCHAR(18)", DataType::Utf8View, Some(true)),
            ("BIGINT", DataType::Utf8, Some(false)),
            ("decimal(10,2)", DataType::Decimal128(10, 2), Some(true)),
            ("INT", DataType::Int64, Some(true)),
            ("GEOGRAPHY", DataType::Utf8, None),
        ] {
            assert_eq!(physical(name, &data_type).map(|fit| answer(&fit) == Answer::Yes), fits, "{name}");
        }
    }
}
