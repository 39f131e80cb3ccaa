//! Columns of a table as numbers and categories: what runtimes, gates and attacks ask about.

use std::collections::HashMap;

use arrow_array::cast::AsArray;
use arrow_array::types::{Date32Type, Float64Type, Int64Type, TimestampMicrosecondType};
use arrow_array::{Array, BooleanArray, RecordBatch};
use arrow_cast::display::{ArrayFormatter, FormatOptions};
use arrow_schema::DataType;
use arrow_select::filter::filter_record_batch;
use tables::Table;

/// Rows that are kept; of more, a seeded sample.
pub(super) const ROW_COUNT_MAX: u64 = 200_000;
/// Values (rows times columns) of all tables of a trial together: a quarter of a gigabyte.
const VALUE_COUNT_MAX: u64 = 32 << 20;
/// Different texts of one column.
const TEXT_COUNT_MAX: usize = 50_000;

/// One column's values, row by row.
#[derive(Clone, Debug)]
pub(super) enum Column {
    /// Numbers; not a number where missing.
    Numbers {
        /// The values.
        values: Vec<f64>,
        /// Whether all of them are whole by their type.
        whole: bool,
    },
    /// Places among the texts; not a number where missing.
    Texts {
        /// The places.
        places: Vec<f64>,
        /// The texts.
        names: Vec<String>,
    },
}

/// Columns of equal length.
#[derive(Clone, Debug, Default)]
pub(super) struct Frame {
    columns: HashMap<String, Column>,
    /// Numbers of the rows in the table.
    pub(super) rows: Vec<u64>,
    /// Rows of the table, of which these are all or a sample.
    pub(super) row_count: u64,
}

impl Frame {
    /// Reads columns of a table by their names. It is one of `tables` that are held at once.
    ///
    /// # Errors
    /// What is missing, cannot be read or is too much, for people.
    pub(super) fn read(table: &Table, names: &[String], seed: u64, tables: usize) -> Result<Self, String> {
        let schema = table.schema();
        let mut chosen = Vec::with_capacity(names.len());
        for name in names {
            let place = schema.index_of(name).map_err(|_| {
                let known: Vec<&str> = schema.fields().iter().map(|field| field.name().as_str()).take(20).collect();
                format!("there is no column `{name}`; there are {}", known.join(", "))
            })?;
            chosen.push(place);
        }
        let count = table.row_count();
        let most = ROW_COUNT_MAX.min(VALUE_COUNT_MAX / (names.len().max(1) as u64).saturating_mul(tables.max(1) as u64)).max(1);
        let mut builders: Vec<Builder> = names.iter().map(|_| Builder::default()).collect();
        let mut rows = Vec::new();
        for (index, partition) in table.partitions().iter().enumerate() {
            let mut row = partition.first_row;
            for batch in table.read(index, Some(&chosen)).map_err(|error| error.to_string())? {
                let mut batch = batch.map_err(|error| error.to_string())?;
                let after = row.saturating_add(batch.num_rows() as u64);
                if count > most {
                    batch = sampled(&batch, row, (seed, most, count), &mut rows)?;
                } else {
                    rows.extend(row..after);
                }
                for ((builder, array), name) in builders.iter_mut().zip(batch.columns()).zip(names) {
                    builder.add(array.as_ref()).map_err(|why| format!("the column `{name}` {why}"))?;
                }
                row = after;
            }
        }
        let columns = names.iter().cloned().zip(builders.into_iter().map(Builder::finish)).collect();
        Ok(Self { columns, rows, row_count: count })
    }

    /// How many rows there are.
    pub(super) fn len(&self) -> usize {
        self.rows.len()
    }

    /// Whether these are a sample of the table's rows.
    pub(super) fn is_sample(&self) -> bool {
        (self.rows.len() as u64) < self.row_count
    }

    /// A column.
    pub(super) fn get(&self, name: &str) -> Option<&Column> {
        self.columns.get(name)
    }

    /// Gives the texts of another frame the places that they have here, new ones behind those that are known.
    ///
    /// # Errors
    /// If together they are too many.
    pub(super) fn share_texts(&mut self, other: &mut Self) -> Result<(), String> {
        for (name, column) in &mut self.columns {
            let (Column::Texts { names, .. }, Some(Column::Texts { places, names: others })) =
                (column, other.columns.get_mut(name))
            else {
                continue;
            };
            let known: HashMap<String, usize> = names.iter().cloned().zip(0..).collect();
            let mut moved = Vec::with_capacity(others.len());
            for text in others.iter() {
                moved.push(known.get(text).copied().unwrap_or(names.len()) as f64);
                if !known.contains_key(text) {
                    names.push(text.clone());
                }
            }
            if names.len() > TEXT_COUNT_MAX {
                return Err(format!("the column `{name}` holds more than {TEXT_COUNT_MAX} different texts"));
            }
            for place in places.iter_mut().filter(|place| !place.is_nan()) {
                *place = moved.get(*place as usize).copied().unwrap_or(f64::NAN);
            }
            others.clone_from(names);
        }
        Ok(())
    }

    /// The rows that `keep` holds true for.
    pub(super) fn kept(mut self, keep: &[bool]) -> Self {
        let of = |values: &mut Vec<f64>| {
            let mut kept = keep.iter();
            values.retain(|_| kept.next().copied().unwrap_or(false));
        };
        for column in self.columns.values_mut() {
            match column {
                Column::Numbers { values, .. } => of(values),
                Column::Texts { places, .. } => of(places),
            }
        }
        let mut kept = keep.iter();
        self.rows.retain(|_| kept.next().copied().unwrap_or(false));
        self
    }
}

impl Column {
    /// The value of a row; not a number where missing.
    pub(super) fn at(&self, row: usize) -> f64 {
        let values = match self {
            Self::Numbers { values, .. } => values,
            Self::Texts { places, .. } => places,
        };
        values.get(row).copied().unwrap_or(f64::NAN)
    }

    /// The value of a row as a text; nothing where missing.
    pub(super) fn text(&self, row: usize) -> Option<String> {
        let value = self.at(row);
        if value.is_nan() {
            return None;
        }
        match self {
            Self::Numbers { .. } => Some(number_text(value)),
            Self::Texts { names, .. } => names.get(value as usize).cloned(),
        }
    }
}

/// A number as labels write it: whole ones without a fraction.
pub(super) fn number_text(value: f64) -> String {
    if value.fract() == 0.0 && value.abs() < 9e15 { format!("{value:.0}") } else { value.to_string() }
}

/// Rows in a seeded sample by their numbers alone, so that partitions do not matter (SplitMix64, Steele et al. 2014).
fn sampled(
    batch: &RecordBatch,
    first: u64,
    (seed, most, count): (u64, u64, u64),
    rows: &mut Vec<u64>,
) -> Result<RecordBatch, String> {
    let is_chosen = |row: u64| {
        let mut mixed = (row ^ seed.rotate_left(32)).wrapping_add(0x9e37_79b9_7f4a_7c15);
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^= mixed >> 31;
        u128::from(mixed) * u128::from(count) < u128::from(most) << 64
    };
    let all = first..first.saturating_add(batch.num_rows() as u64);
    let keep: BooleanArray = all.clone().map(|row| Some(is_chosen(row))).collect();
    rows.extend(all.filter(|row| is_chosen(*row)));
    filter_record_batch(batch, &keep).map_err(|error| error.to_string())
}

/// A column while it is read.
#[derive(Default)]
struct Builder {
    values: Vec<f64>,
    names: Vec<String>,
    places: HashMap<String, usize>,
    is_text: bool,
    is_fractional: bool,
}

impl Builder {
    fn add(&mut self, array: &dyn Array) -> Result<(), String> {
        let count = array.len();
        let mut push = |numbers: &mut dyn FnMut(usize) -> f64| {
            self.values.extend((0..count).map(|row| if array.is_null(row) { f64::NAN } else { numbers(row) }));
        };
        let odd = || format!("is {}, which models are not asked about here", array.data_type());
        match array.data_type() {
            DataType::Boolean => {
                let array = array.as_boolean_opt().ok_or_else(odd)?;
                push(&mut |row| f64::from(u8::from(array.value(row))));
            }
            DataType::Int64 => {
                let array = array.as_primitive_opt::<Int64Type>().ok_or_else(odd)?;
                push(&mut |row| array.value(row) as f64);
            }
            DataType::Float64 => {
                let array = array.as_primitive_opt::<Float64Type>().ok_or_else(odd)?;
                push(&mut |row| if array.value(row).is_finite() { array.value(row) } else { f64::NAN });
                self.is_fractional = true;
            }
            DataType::UInt64 | DataType::Decimal128(_, _) | DataType::Decimal256(_, _) => {
                let plain = arrow_cast::cast(array, &DataType::Float64).map_err(|error| error.to_string())?;
                let plain = plain.as_primitive_opt::<Float64Type>().ok_or_else(odd)?;
                push(&mut |row| plain.value(row));
                self.is_fractional |= array.data_type() != &DataType::UInt64;
            }
            DataType::Date32 => {
                let array = array.as_primitive_opt::<Date32Type>().ok_or_else(odd)?;
                push(&mut |row| f64::from(array.value(row)));
            }
            DataType::Timestamp(_, _) => {
                let array = array.as_primitive_opt::<TimestampMicrosecondType>().ok_or_else(odd)?;
                push(&mut |row| array.value(row) as f64);
            }
            DataType::Utf8 | DataType::Dictionary(_, _) => self.add_texts(array)?,
            _ => return Err(odd()),
        }
        Ok(())
    }

    fn add_texts(&mut self, array: &dyn Array) -> Result<(), String> {
        self.is_text = true;
        let options = FormatOptions::new();
        let formatter = ArrayFormatter::try_new(array, &options).map_err(|error| error.to_string())?;
        for row in 0..array.len() {
            if array.is_null(row) {
                self.values.push(f64::NAN);
                continue;
            }
            let text = formatter.value(row).try_to_string().map_err(|error| error.to_string())?;
            let next = self.names.len();
            let place = *self.places.entry(text.clone()).or_insert(next);
            if place == next {
                if next >= TEXT_COUNT_MAX {
                    return Err(format!("holds more than {TEXT_COUNT_MAX} different texts"));
                }
                self.names.push(text);
            }
            self.values.push(place as f64);
        }
        Ok(())
    }

    fn finish(self) -> Column {
        if self.is_text {
            Column::Texts { places: self.values, names: self.names }
        } else {
            Column::Numbers { values: self.values, whole: !self.is_fractional }
        }
    }
}

#[cfg(test)]
mod tests {
    use tables::{DataFile, ReadOptions};

    use super::*;

    fn table(text: &str) -> Table {
        Table::open(vec![DataFile::in_memory("a.csv", text.as_bytes().to_vec())], &ReadOptions::default()).unwrap()
    }

    #[test]
    fn columns_are_read_by_name_and_rows_can_be_left_out() {
        let table = table("a,b,c\n1,x,0.5\n2,y,\n3,x,2.5\n");
        let frame = Frame::read(&table, &["b".to_owned(), "a".to_owned(), "c".to_owned()], 1, 1).unwrap();
        assert_eq!((frame.len(), frame.get("b").unwrap().text(2).as_deref()), (3, Some("x")));
        assert_eq!((frame.get("a").unwrap().text(1).as_deref(), frame.get("c").unwrap().text(1)), (Some("2"), None));
        let kept = frame.kept(&[true, false, true]);
        assert_eq!((kept.rows.as_slice(), kept.get("c").unwrap().at(1)), (&[0, 2][..], 2.5));
        let missing = Frame::read(&table, &["z".to_owned()], 1, 1).unwrap_err();
        assert!(missing.contains("no column `z`; there are a, b, c"), "{missing}");
    }

    #[test]
    fn texts_of_two_frames_get_the_same_places() {
        let read = |text: &str| Frame::read(&table(text), &["b".to_owned()], 1, 1).unwrap();
        let (mut one, mut other) = (read("a,b\n1,x\n2,y\n"), read("a,b\n1,z\n2,y\n3,\n"));
        one.share_texts(&mut other).unwrap();
        let (one, other) = (one.get("b").unwrap(), other.get("b").unwrap());
        assert_eq!((other.text(0).as_deref(), other.at(1), other.text(2)), (Some("z"), one.at(1), None));
    }

    #[test]
    fn of_many_rows_a_seeded_sample_is_taken() {
        let text: String = std::iter::once("a\n".to_owned()).chain((0..250_000).map(|row| format!("{row}\n"))).collect();
        let frame = Frame::read(&table(&text), &["a".to_owned()], 7, 1).unwrap();
        assert!(frame.is_sample() && (195_000..=205_000).contains(&frame.len()), "{}", frame.len());
        let values = frame.get("a").unwrap();
        assert!((0..100).all(|row| values.at(row) == frame.rows[row] as f64));
    }
}
