//! Rows as bytes, for digests that find a row again in another version.

use arrow_array::cast::AsArray;
use arrow_array::types::{
    Date32Type, Decimal128Type, Decimal256Type, Float32Type, Float64Type, Int32Type, Int64Type, TimestampMicrosecondType,
    UInt64Type,
};
use arrow_array::{Array, RecordBatch};
use arrow_schema::DataType;

/// The cells of one column, by the types that tables are read as.
enum Cells<'a> {
    Boolean(&'a arrow_array::BooleanArray),
    Integer(&'a arrow_array::Int64Array),
    Unsigned(&'a arrow_array::UInt64Array),
    Number(&'a arrow_array::Float64Array),
    Decimal(&'a arrow_array::Decimal128Array),
    LongDecimal(&'a arrow_array::Decimal256Array),
    Text(&'a arrow_array::StringArray),
    Category(&'a arrow_array::DictionaryArray<Int32Type>, &'a arrow_array::StringArray),
    Bytes(&'a arrow_array::BinaryArray),
    Date(&'a arrow_array::Date32Array),
    Time(&'a arrow_array::TimestampMicrosecondArray),
    List(&'a arrow_array::FixedSizeListArray),
}

/// Turns rows of one batch into bytes: the same rows give the same bytes, whatever their layout or order of columns.
pub(super) struct RowBytes<'a> {
    columns: Vec<(&'a dyn Array, Cells<'a>)>,
}

impl<'a> RowBytes<'a> {
    /// For the columns of `batch` but `left_out`, in the order of their names.
    ///
    /// # Errors
    /// Names a column whose type no reader makes.
    pub(super) fn new(batch: &'a RecordBatch, left_out: Option<&str>) -> Result<Self, String> {
        let schema = batch.schema_ref();
        let mut named: Vec<(&str, usize)> = schema
            .fields()
            .iter()
            .enumerate()
            .map(|(at, field)| (field.name().as_str(), at))
            .filter(|(name, _)| Some(*name) != left_out)
            .collect();
        named.sort_unstable();
        let mut columns = Vec::with_capacity(named.len());
        for (name, at) in named {
            let Some(array) = batch.columns().get(at) else { continue };
            let cells = cells(array.as_ref()).ok_or_else(|| format!("`{name}` is {}, which has no digest", array.data_type()))?;
            columns.push((array.as_ref(), cells));
        }
        Ok(Self { columns })
    }

    /// Digest of row `row` of the batch.
    pub(super) fn digest(&self, row: usize, scratch: &mut Vec<u8>) -> [u8; 32] {
        scratch.clear();
        for (array, cells) in &self.columns {
            if array.is_null(row) {
                scratch.push(0);
            } else {
                scratch.push(1);
                cells.write(row, scratch);
            }
        }
        kernel::sha256(scratch)
    }
}

fn cells(array: &dyn Array) -> Option<Cells<'_>> {
    Some(match array.data_type() {
        DataType::Boolean => Cells::Boolean(array.as_boolean_opt()?),
        DataType::Int64 => Cells::Integer(array.as_primitive_opt::<Int64Type>()?),
        DataType::Float64 => Cells::Number(array.as_primitive_opt::<Float64Type>()?),
        DataType::UInt64 => Cells::Unsigned(array.as_primitive_opt::<UInt64Type>()?),
        DataType::Decimal128(_, _) => Cells::Decimal(array.as_primitive_opt::<Decimal128Type>()?),
        DataType::Decimal256(_, _) => Cells::LongDecimal(array.as_primitive_opt::<Decimal256Type>()?),
        DataType::Utf8 => Cells::Text(array.as_string_opt()?),
        DataType::Dictionary(_, _) => {
            let dictionary = array.as_dictionary_opt::<Int32Type>()?;
            Cells::Category(dictionary, dictionary.values().as_string_opt()?)
        }
        DataType::Binary => Cells::Bytes(array.as_binary_opt()?),
        DataType::Date32 => Cells::Date(array.as_primitive_opt::<Date32Type>()?),
        DataType::Timestamp(_, _) => Cells::Time(array.as_primitive_opt::<TimestampMicrosecondType>()?),
        DataType::FixedSizeList(_, _) => Cells::List(array.as_fixed_size_list_opt()?),
        _ => return None,
    })
}

impl Cells<'_> {
    /// Writes the value of a row that has one. Lengths go first, so that no two rows read the same.
    fn write(&self, row: usize, to: &mut Vec<u8>) {
        match self {
            Self::Boolean(array) => to.push(u8::from(array.value(row))),
            Self::Integer(array) => to.extend(array.value(row).to_le_bytes()),
            Self::Number(array) => to.extend(array.value(row).to_bits().to_le_bytes()),
            Self::Unsigned(array) => to.extend(array.value(row).to_le_bytes()),
            Self::Decimal(array) => to.extend(array.value(row).to_le_bytes()),
            Self::LongDecimal(array) => to.extend(array.value(row).to_le_bytes()),
            Self::Text(array) => text(array.value(row).as_bytes(), to),
            Self::Category(array, values) => {
                let key = array.keys().value(row);
                text(usize::try_from(key).map_or("", |key| values.value(key)).as_bytes(), to);
            }
            Self::Bytes(array) => text(array.value(row), to),
            Self::Date(array) => to.extend(array.value(row).to_le_bytes()),
            Self::Time(array) => to.extend(array.value(row).to_le_bytes()),
            Self::List(array) => list(array.value(row).as_ref(), to),
        }
    }
}

fn text(bytes: &[u8], to: &mut Vec<u8>) {
    to.extend((bytes.len() as u64).to_le_bytes());
    to.extend_from_slice(bytes);
}

/// Numbers of an embedding, all as 64-bit ones: a file may store them either way.
fn list(array: &dyn Array, to: &mut Vec<u8>) {
    to.extend((array.len() as u64).to_le_bytes());
    if let Some(numbers) = array.as_primitive_opt::<Float32Type>() {
        numbers.values().iter().for_each(|number| to.extend(f64::from(*number).to_bits().to_le_bytes()));
    } else if let Some(numbers) = array.as_primitive_opt::<Float64Type>() {
        numbers.values().iter().for_each(|number| to.extend(number.to_bits().to_le_bytes()));
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow_array::{ArrayRef, DictionaryArray, Float64Array, Int64Array, StringArray};

    use super::*;

    fn digests(columns: Vec<(&str, ArrayRef)>, left_out: Option<&str>) -> Vec<[u8; 32]> {
        let batch = RecordBatch::try_from_iter(columns).unwrap();
        let rows = RowBytes::new(&batch, left_out).unwrap();
        (0..batch.num_rows()).map(|row| rows.digest(row, &mut Vec::new())).collect()
    }

    fn number(values: &[Option<f64>]) -> ArrayRef {
        Arc::new(Float64Array::from(values.to_vec()))
    }

    fn words(values: &[&str]) -> ArrayRef {
        Arc::new(StringArray::from(values.to_vec()))
    }

    #[test]
    fn layout_and_order_do_not_matter_but_values_do() {
        let plain = digests(vec![("a", number(&[Some(1.0), None])), ("b", words(&["x", "y"]))], None);
        let dictionary: ArrayRef = Arc::new(["x", "y"].into_iter().collect::<DictionaryArray<Int32Type>>());
        let other = digests(vec![("b", dictionary), ("a", number(&[Some(1.0), None]))], None);
        assert_eq!(plain, other);
        assert_ne!(plain[0], plain[1]);
        let changed = digests(vec![("a", number(&[Some(1.0), Some(0.0)])), ("b", words(&["x", "y"]))], None);
        assert_eq!(plain[0], changed[0]);
        assert_ne!(plain[1], changed[1]);
    }

    #[test]
    fn the_label_can_be_left_out_and_borders_of_texts_count() {
        let label = |values: [i64; 2]| -> ArrayRef { Arc::new(Int64Array::from(values.to_vec())) };
        let one = digests(vec![("x", words(&["a", "b"])), ("y", label([0, 1]))], Some("y"));
        let two = digests(vec![("x", words(&["a", "b"])), ("y", label([1, 1]))], Some("y"));
        assert_eq!(one, two);
        let joined = digests(vec![("p", words(&["ab", "a"])), ("q", words(&["c", "bc"]))], None);
        assert_ne!(joined[0], joined[1]);
    }
}
