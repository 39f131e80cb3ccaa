//! Tests of single rows, made once for a column's type and then run over whole arrays.

use std::collections::HashSet;

use arrow_array::cast::AsArray;
use arrow_array::{Array, ArrayRef};
use arrow_buffer::BooleanBuffer;
use arrow_cast::cast;
use arrow_schema::DataType;

use super::items::{Json, Part};
use super::limits::{Limits, whole_set};
use super::pairs;
use super::values::{
    In, Outside, Where, floats, fraction_mask, is_fraction, is_text, is_whole, on_whole, plain, plain_type, text_mask,
};
use crate::format::TextFormat;
use crate::instant::{self, DAY_NS, TimeFormat, unit_ns};
use crate::pattern::Pattern;
use crate::rules::{Pair, RowTest};

/// Yes and no as texts, in any case: what DuckDB casts, with which `datacontract-cli` reads CSV.
const BOOLEANS: [&str; 10] = ["true", "false", "t", "f", "yes", "no", "y", "n", "1", "0"];
/// How far from a whole multiple, in multiples, a number may be.
const MULTIPLE_TOLERANCE: f64 = 1e-9;

/// A test that is ready to run. Each gives the rows that violate it.
#[derive(Clone, Debug)]
pub(crate) enum Mask {
    /// No row does.
    Never,
    /// Each that is not null does.
    Always,
    /// Those that are null.
    Nulls,
    /// Those outside of a range of whole numbers, or of ticks of time.
    Outside {
        low: i128,
        high: i128,
    },
    /// Those outside of a range; open ends are outside.
    OutsideFloats(Limits<f64>),
    /// Texts outside of a range of numbers, or that are none.
    OutsideTextNumbers(Limits<f64>),
    /// Texts outside of a range of whole numbers, or that are none.
    OutsideTextWholes {
        low: i128,
        high: i128,
    },
    /// Texts outside of a range of times, in nanoseconds, or that are none.
    OutsideTextTimes(Limits<i128>),
    /// Whole numbers, or ticks, that are no multiple.
    NoMultiple(i128),
    /// Numbers that are no multiple.
    NoMultipleFloats(f64),
    /// Those that are in the set, or are not.
    Wholes {
        set: Vec<i128>,
        marks: bool,
    },
    Floats {
        set: Vec<f64>,
        marks: bool,
    },
    Booleans {
        yes: bool,
        no: bool,
    },
    Texts {
        set: HashSet<String>,
        marks: bool,
    },
    /// Texts that match, or do not.
    Matches {
        pattern: Pattern,
        marks: bool,
    },
    /// Texts that are too short or too long.
    Length {
        least: usize,
        most: usize,
    },
    Format(TextFormat),
    Unreadable(Readable),
    /// Arrays with too few, too many or repeated items.
    ItemCount {
        least: usize,
        most: usize,
        unique: bool,
    },
    /// Arrays that hold what they must not.
    Items(Box<Part>),
    /// Texts that are no JSON of a shape.
    NotJson(Box<Json>),
    Compare(Pair),
    SumIsNot(f64),
    /// Those that any of these marks.
    Any(Vec<Mask>),
}

/// What a text can be read as.
#[derive(Clone, Debug)]
pub(crate) enum Readable {
    Integer,
    Number,
    Boolean,
    Date,
    Timestamp {
        zone: bool,
    },
    Time,
    /// A list or an object, by its brackets.
    Json(char, char),
    Format(TimeFormat),
}

impl Readable {
    pub(super) fn reads(&self, text: &str) -> bool {
        match self {
            Self::Integer => text.trim().parse::<i128>().is_ok(),
            Self::Number => text.trim().parse::<f64>().is_ok(),
            Self::Boolean => BOOLEANS.iter().any(|word| text.trim().eq_ignore_ascii_case(word)),
            Self::Date => instant::days(text.trim()).is_some(),
            Self::Timestamp { zone } => instant::nanoseconds(text).is_some() && (!zone || instant::has_zone(text.trim())),
            Self::Time => instant::is_time(text.trim()),
            Self::Json(open, close) => text.trim().starts_with(*open) && text.trim().ends_with(*close),
            Self::Format(format) => format.fits(text),
        }
    }
}

impl Mask {
    /// Makes a test ready for columns of these types.
    ///
    /// # Errors
    /// In words, if the test means nothing for such a column.
    pub(crate) fn new(test: &RowTest, types: &[DataType]) -> Result<Self, String> {
        let data_type = plain_type(types.first().ok_or("the rule names no column")?);
        let nothing = matches!(data_type, DataType::Null);
        Ok(match test {
            RowTest::NotNull => Self::Nulls,
            RowTest::NotMissing(values) if values.iter().all(serde_json::Value::is_null) => Self::Nulls,
            _ if nothing && !matches!(test, RowTest::NotMissing(_)) => Self::Never,
            RowTest::NotMissing(_) if nothing => Self::Nulls,
            RowTest::NotMissing(values) => Self::Any(vec![Self::Nulls, Self::set(values, true, &data_type)?]),
            RowTest::Null => Self::Always,
            RowTest::OneOf(values) => Self::set(values, false, &data_type)?,
            RowTest::NoneOf(values) => Self::set(values, true, &data_type)?,
            RowTest::Matches { pattern, must } => {
                let pattern = Pattern::new(pattern)?;
                if data_type.is_nested() {
                    return Err(format!("a pattern needs texts, but the column holds {data_type}"));
                }
                Self::Matches { pattern, marks: !must }
            }
            RowTest::Range { low, high } => Self::range(low.as_ref(), high.as_ref(), &data_type)?,
            RowTest::MultipleOf(step) => Self::multiple(*step, &data_type)?,
            RowTest::Length { least, most } => {
                let size =
                    |size: &Option<u64>, other: usize| size.map_or(other, |size| usize::try_from(size).unwrap_or(usize::MAX));
                Self::Length { least: size(least, 0), most: size(most, usize::MAX) }
            }
            RowTest::Text(format) if is_text(&data_type) => Self::Format(*format),
            RowTest::Text(format) => Self::text_format(*format, &data_type)?,
            RowTest::Integer(bits) if is_whole(&data_type) => Self::Outside { low: bits.low, high: bits.high },
            #[expect(clippy::cast_precision_loss, reason = "limits of whole types at most 64 bits wide; the edge is rounded up")]
            RowTest::Integer(bits) if is_fraction(&data_type) => {
                Self::OutsideFloats(Limits { low: Some((bits.low as f64, false)), high: Some((bits.high as f64, false)) })
            }
            RowTest::Integer(bits) if is_text(&data_type) => Self::OutsideTextWholes { low: bits.low, high: bits.high },
            RowTest::Integer(bits) => {
                return Err(format!("the format `{}` needs numbers, but the column holds {data_type}", bits.word));
            }
            RowTest::Items { least, most, unique } => match data_type {
                DataType::List(_) | DataType::LargeList(_) | DataType::FixedSizeList(..) | DataType::Utf8 => {
                    let size =
                        |size: &Option<u64>, other: usize| size.map_or(other, |size| usize::try_from(size).unwrap_or(usize::MAX));
                    Self::ItemCount { least: size(least, 0), most: size(most, usize::MAX), unique: *unique }
                }
                other => return Err(format!("items need arrays, but the column holds {other}")),
            },
            RowTest::Compare(pair) => match types {
                [left, right] => pairs::comparable(&plain_type(left), &plain_type(right)).map(|()| Self::Compare(*pair))?,
                _ => return Err("a comparison needs two columns".to_owned()),
            },
            RowTest::SumIs(total) => match types.iter().find(|other| !plain_type(other).is_numeric()) {
                None => Self::SumIsNot(*total),
                Some(other) => return Err(format!("a sum needs numbers, but a column holds {other}")),
            },
            RowTest::All(tests) => Self::Any(tests.iter().map(|inner| Self::new(inner, types)).collect::<Result<_, _>>()?),
        })
    }

    /// The format of a text, for a column that is none: readers of CSV take dates, times and numbers for what they are.
    fn text_format(format: TextFormat, data_type: &DataType) -> Result<Self, String> {
        use TextFormat::{Date, DateTime, Email, Hostname, Ipv4, Ipv6, Time, Uri, Uuid};
        let is_date = matches!(data_type, DataType::Date32 | DataType::Date64);
        let is_time_of_day = matches!(data_type, DataType::Time32(_) | DataType::Time64(_));
        let is_timestamp = matches!(data_type, DataType::Timestamp(..));
        let is_scalar = is_date || is_time_of_day || is_timestamp || data_type.is_numeric() || *data_type == DataType::Boolean;
        Ok(match (format, unit_ns(data_type)) {
            (Date, _) if is_date => Self::Never,
            (DateTime, _) if is_timestamp => Self::Never,
            (Time, _) if is_time_of_day => Self::Never,
            // Midnights are dates, as for the type of that name.
            (Date, Some(unit)) if is_timestamp => Self::NoMultiple(DAY_NS / unit),
            // None of these can be written so.
            (Date | DateTime | Time | Email | Uuid | Uri | Ipv4 | Ipv6, _) if is_scalar => Self::Always,
            (Hostname, _) if is_whole(data_type) => Self::Format(format),
            _ => return Err(format!("the format `{}` needs texts, but the column holds {data_type}", format.word())),
        })
    }

    fn set(values: &[serde_json::Value], marks: bool, data_type: &DataType) -> Result<Self, String> {
        use serde_json::Value;
        if is_text(data_type) {
            let text = |value: &Value| match value {
                Value::String(text) => Ok(text.clone()),
                Value::Number(number) => Ok(number.to_string()),
                // Some writers of YAML turn an unquoted NO into false.
                other => Err(format!("the list holds `{other}` for a column of texts: write it in quotes")),
            };
            let set = values.iter().filter(|value| !value.is_null()).map(text).collect::<Result<_, _>>()?;
            return Ok(Self::Texts { set, marks });
        }
        if let Some(set) = whole_set(values, data_type) {
            return Ok(Self::Wholes { set, marks });
        }
        if is_fraction(data_type) {
            let number = |value: &Value| value.as_f64().or_else(|| value.as_str()?.trim().parse().ok());
            return Ok(Self::Floats { set: values.iter().filter_map(number).collect(), marks });
        }
        if matches!(data_type, DataType::Boolean) {
            let holds = |yes: bool| {
                values
                    .iter()
                    .any(|value| value.as_bool() == Some(yes) || value.as_str() == Some(if yes { "true" } else { "false" }))
            };
            return Ok(Self::Booleans { yes: holds(true) == marks, no: holds(false) == marks });
        }
        Err(format!("a list of values cannot be compared with {data_type}"))
    }

    fn range(
        low: Option<&(serde_json::Value, bool)>,
        high: Option<&(serde_json::Value, bool)>,
        data_type: &DataType,
    ) -> Result<Self, String> {
        if let Some(unit) = unit_ns(data_type) {
            let limits = Limits::times(low, high, matches!(data_type, DataType::Time32(_) | DataType::Time64(_)))?;
            let (low, high) = limits.ticks(unit);
            return Ok(Self::Outside { low, high });
        }
        if is_whole(data_type) {
            let (low, high) = Limits::wholes(low, high)?;
            return Ok(Self::Outside { low, high });
        }
        if is_fraction(data_type) {
            return Ok(Self::OutsideFloats(Limits::floats(low, high)?));
        }
        if is_text(data_type) {
            let numbers = |limit: Option<&(serde_json::Value, bool)>| limit.is_none_or(|(value, _)| value.is_number());
            return Ok(if numbers(low) && numbers(high) {
                Self::OutsideTextNumbers(Limits::floats(low, high)?)
            } else {
                Self::OutsideTextTimes(Limits::times(low, high, false)?)
            });
        }
        Err(format!("a range means nothing for {data_type}"))
    }

    fn multiple(step: f64, data_type: &DataType) -> Result<Self, String> {
        if is_whole(data_type) && step.fract() == 0.0 && step.abs() < 9e15 {
            #[expect(clippy::cast_possible_truncation, reason = "checked to be whole and small")]
            return Ok(Self::NoMultiple(i128::from(step as i64)));
        }
        if data_type.is_numeric() {
            Ok(Self::NoMultipleFloats(step))
        } else {
            Err(format!("a multiple means nothing for {data_type}"))
        }
    }

    /// The rows that violate the test. A null violates only what forbids nulls.
    ///
    /// # Errors
    /// In words, if the test had to be given up.
    pub(crate) fn violations(&self, columns: &[ArrayRef]) -> Result<BooleanBuffer, String> {
        let Some(first) = columns.first() else { return Ok(BooleanBuffer::new_unset(0)) };
        match self {
            Self::Never => Ok(BooleanBuffer::new_unset(first.len())),
            Self::Nulls => {
                Ok(first.logical_nulls().map_or_else(|| BooleanBuffer::new_unset(first.len()), |nulls| !nulls.inner()))
            }
            Self::Any(masks) => {
                let mut all = BooleanBuffer::new_unset(first.len());
                for mask in masks {
                    all = &all | &mask.violations(columns)?;
                }
                Ok(all)
            }
            Self::Compare(pair) => pairs::compare(columns, *pair),
            Self::SumIsNot(total) => pairs::sum_is_not(columns, *total),
            _ => self.of_one(first),
        }
    }

    fn of_one(&self, array: &ArrayRef) -> Result<BooleanBuffer, String> {
        if let Some(dictionary) = array.as_any_dictionary_opt()
            && dictionary.values().len() < array.len()
        {
            // Each distinct value is looked at once.
            let values = self.of_one(dictionary.values())?;
            let keys = dictionary.normalized_keys();
            let mut each = keys.iter();
            let marked = BooleanBuffer::collect_bool(keys.len(), |_| {
                each.next().is_some_and(|key| *key < values.len() && values.value(*key))
            });
            return Ok(there(marked, array));
        }
        let array = plain(array)?;
        let marked = self.marked(&array)?;
        Ok(there(marked, &array))
    }

    /// The values that violate the test, whatever those of nulls are.
    fn marked(&self, array: &ArrayRef) -> Result<BooleanBuffer, String> {
        let unfit = || format!("the column's type changed to {}", array.data_type());
        match self {
            Self::Always => Ok(BooleanBuffer::new_set(array.len())),
            Self::Outside { low, high } => on_whole(array.as_ref(), Outside { low: *low, high: *high }).ok_or_else(unfit),
            // A value that is no number is in no range.
            Self::OutsideFloats(limits) => fraction_mask(array.as_ref(), |value| !limits.hold(value)).ok_or_else(unfit),
            Self::NoMultiple(step) => on_whole(array.as_ref(), Where(|value: i128| value % step != 0)).ok_or_else(unfit),
            Self::NoMultipleFloats(step) => {
                let values = floats(array).ok_or_else(unfit)?;
                let mut each = values.iter();
                Ok(BooleanBuffer::collect_bool(values.len(), |_| each.next().is_some_and(|value| !is_multiple(*value, *step))))
            }
            Self::Wholes { set, marks } => {
                let inside = on_whole(array.as_ref(), In(set)).ok_or_else(unfit)?;
                Ok(if *marks { inside } else { !&inside })
            }
            Self::Floats { set, marks } => {
                fraction_mask(array.as_ref(), |value| set.contains(&value) == *marks).ok_or_else(unfit)
            }
            Self::Booleans { yes, no } => {
                let values = array.as_boolean_opt().ok_or_else(unfit)?.values();
                Ok(BooleanBuffer::collect_bool(values.len(), |row| if values.value(row) { *yes } else { *no }))
            }
            Self::Items(part) => part.violations(array),
            _ => self.of_texts(array),
        }
    }

    fn of_texts(&self, array: &ArrayRef) -> Result<BooleanBuffer, String> {
        if let Self::ItemCount { least, most, unique } = self {
            return items(array, *least, *most, *unique);
        }
        let texts = if is_text(array.data_type()) {
            array.clone()
        } else {
            cast(array, &DataType::Utf8).map_err(|error| error.to_string())?
        };
        let mut given_up = None;
        let marked = text_mask(texts.as_ref(), |text| match self {
            Self::Texts { set, marks } => set.contains(text) == *marks,
            Self::Matches { pattern, marks } => match pattern.occurs_in(text) {
                _ if given_up.is_some() => false,
                Ok(occurs) => occurs == *marks,
                Err(problem) => {
                    given_up = Some(problem);
                    false
                }
            },
            Self::Length { least, most } => !length_fits(text, *least, *most),
            Self::Format(format) => !format.fits(text),
            Self::Unreadable(readable) => !readable.reads(text),
            Self::NotJson(json) => !json.fits(text),
            Self::OutsideTextNumbers(limits) => !text.trim().parse::<f64>().is_ok_and(|value| limits.hold(value)),
            Self::OutsideTextWholes { low, high } => !text.trim().parse().is_ok_and(|value| (*low..=*high).contains(&value)),
            Self::OutsideTextTimes(limits) => !instant::nanoseconds(text).is_some_and(|value| limits.hold(value)),
            _ => false,
        });
        match given_up {
            Some(problem) => Err(problem),
            None => marked.ok_or_else(|| format!("the column's type changed to {}", array.data_type())),
        }
    }
}

/// A mask without the rows that are null.
fn there(marked: BooleanBuffer, array: &ArrayRef) -> BooleanBuffer {
    match array.logical_nulls() {
        None => marked,
        Some(nulls) => &marked & nulls.inner(),
    }
}

/// Whether the text has so many characters, without counting them where its bytes tell.
fn length_fits(text: &str, least: usize, most: usize) -> bool {
    if text.len() <= most && text.len() / 4 >= least {
        return true;
    }
    let length = text.chars().count();
    least <= length && length <= most
}

fn is_multiple(value: f64, step: f64) -> bool {
    let times = value / step;
    times.is_finite() && (times - times.round()).abs() <= MULTIPLE_TOLERANCE * times.abs().max(1.0)
}

/// Arrays with too few, too many or repeated items.
fn items(array: &ArrayRef, least: usize, most: usize, unique: bool) -> Result<BooleanBuffer, String> {
    if let Some(marked) = text_mask(array.as_ref(), |text| !json_items_fit(text, least, most, unique)) {
        return Ok(marked);
    }
    let seed = super::hash::Seed::new(0);
    let row = |row: usize| match array.data_type() {
        DataType::List(_) => Some(array.as_list::<i32>().value(row)),
        DataType::LargeList(_) => Some(array.as_list::<i64>().value(row)),
        DataType::FixedSizeList(..) => Some(array.as_fixed_size_list().value(row)),
        _ => None,
    };
    let mut marks = Vec::with_capacity(array.len());
    for at in 0..array.len() {
        let Some(items) = row(at).filter(|_| array.is_valid(at)) else {
            marks.push(false);
            continue;
        };
        let mut bad = items.len() < least || items.len() > most;
        if unique && !bad {
            let hashes = seed.rows(std::slice::from_ref(&items))?;
            bad = hashes.iter().collect::<HashSet<_>>().len() < hashes.len();
        }
        marks.push(bad);
    }
    Ok(BooleanBuffer::from(marks))
}

/// An array that a reader gave as JSON.
fn json_items_fit(text: &str, least: usize, most: usize, unique: bool) -> bool {
    let Ok(items) = serde_json::from_str::<Vec<&serde_json::value::RawValue>>(text) else { return false };
    let distinct = || items.iter().map(|item| item.get()).collect::<HashSet<_>>().len();
    least <= items.len() && items.len() <= most && (!unique || distinct() == items.len())
}
