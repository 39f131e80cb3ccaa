//! Types in, types out.

use std::sync::{Arc, Mutex};

use arrow_array::types::{Float32Type, Int8Type, Int32Type};
use arrow_array::{
    Array, ArrayRef, Decimal128Array, DictionaryArray, Int16Array, LargeStringArray, ListArray, RecordBatch, StructArray,
    TimestampNanosecondArray, TimestampSecondArray, UInt64Array,
};
use arrow_cast::display::array_value_to_string;

use super::*;

fn normalise(column: ArrayRef, lists: &[(&str, i32)]) -> Result<(RecordBatch, Notes), TableError> {
    let source = RecordBatch::try_from_iter_with_nullable([("c", column, true)]).unwrap();
    let lists = lists.iter().map(|(name, length)| ((*name).to_owned(), *length)).collect();
    let mut known = Known { lists, ..Known::default() };
    for leaf in open_leaves(source.schema().fields(), &mut known.exact).1 {
        leaf.see(leaf_of("f", &source, &leaf.path)?.as_ref(), &mut known.exact);
    }
    let mut notes = Notes::default();
    let outputs = plan("f", source.schema().fields(), &known, &mut notes)?;
    note_inexact(&outputs, &mut notes);
    let schema = schema_of(&outputs);
    let notes = Arc::new(Mutex::new(notes));
    let mut normaliser =
        Normaliser { file: "f".to_owned(), outputs, schema, notes: Arc::clone(&notes), row: 100, batch_rows: 1000 };
    let converted = normaliser.convert(&source)?;
    Ok((converted[0].clone(), notes.lock().unwrap().clone()))
}

fn check(column: impl Array + 'static, lists: &[(&str, i32)], expected: &[(&str, &str, &[&str])]) -> Notes {
    let (batch, notes) = normalise(Arc::new(column), lists).unwrap();
    let found: Vec<(String, String, Vec<String>)> = batch
        .schema()
        .fields()
        .iter()
        .zip(batch.columns())
        .map(|(field, column)| {
            let cell = |row| if column.is_null(row) { "∅".to_owned() } else { array_value_to_string(column, row).unwrap() };
            (field.name().clone(), field.data_type().to_string(), (0..column.len()).map(cell).collect())
        })
        .collect();
    let found: Vec<(&str, &str, Vec<&str>)> = found
        .iter()
        .map(|(name, data_type, cells)| (&name[..], &data_type[..], cells.iter().map(|cell| &cell[..]).collect()))
        .collect();
    let expected: Vec<_> = expected.iter().map(|(name, data_type, cells)| (*name, *data_type, cells.to_vec())).collect();
    assert_eq!(found, expected);
    notes
}

#[test]
fn plain_types() {
    check(Int16Array::from(vec![Some(1), None]), &[], &[("c", "Int64", &["1", "∅"])]);
    check(LargeStringArray::from(vec!["x"]), &[], &[("c", "Utf8", &["x"])]);
    check(DictionaryArray::<Int8Type>::from_iter(["a", "b", "a"]), &[], &[("c", "Dictionary(Int32, Utf8)", &["a", "b", "a"])]);
    let decimals = Decimal128Array::from(vec![12345]).with_precision_and_scale(10, 2).unwrap();
    check(decimals, &[], &[("c", "Float64", &["123.45"])]);
}

#[test]
fn exact_numbers_that_differ_stay_different() {
    let notes = check(
        UInt64Array::from(vec![(1 << 53) + 1, (1 << 53) + 2]),
        &[],
        &[("c", "Int64", &["9007199254740993", "9007199254740994"])],
    );
    assert!(notes.notes.is_empty(), "{notes:?}");
    check(UInt64Array::from(vec![u64::MAX, 1]), &[], &[("c", "UInt64", &["18446744073709551615", "1"])]);
    let decimals = |values: &[i128], precision, scale| {
        Decimal128Array::from(values.to_vec()).with_precision_and_scale(precision, scale).unwrap()
    };
    let long = 1_000_000_000_000_000_001;
    check(decimals(&[long, long + 1], 19, 0), &[], &[("c", "Int64", &["1000000000000000001", "1000000000000000002"])]);
    check(decimals(&[900_719_925_474_099_300], 38, 2), &[], &[("c", "Decimal128(38, 2)", &["9007199254740993.00"])]);
    check(decimals(&[150, 25], 38, 2), &[], &[("c", "Float64", &["1.5", "0.25"])]);
    let notes = check(decimals(&[333_333_333_333_333_333], 38, 18), &[], &[("c", "Float64", &["0.3333333333333333"])]);
    assert!(notes.find(NoteKind::ReadAsFloat, Some("c")).is_some());
    let mut far = arrow_array::builder::Decimal256Builder::new().with_precision_and_scale(50, 0).unwrap();
    far.append_value(arrow_buffer::i256::from_i128(i128::MAX).wrapping_add(arrow_buffer::i256::from_i128(7)));
    check(far.finish(), &[], &[("c", "Decimal256(50, 0)", &["170141183460469231731687303715884105734"])]);
}

#[test]
fn times_lose_their_zone_but_not_their_instant() {
    let seconds = TimestampSecondArray::from(vec![1]).with_timezone("No/Such_Zone");
    check(seconds, &[], &[("c", "Timestamp(µs, \"+00:00\")", &["1970-01-01T00:00:01Z"])]);
    let nanos = TimestampNanosecondArray::from(vec![1_500]);
    check(nanos, &[], &[("c", "Timestamp(µs)", &["1970-01-01T00:00:00.000001"])]);
    let far: ArrayRef = Arc::new(TimestampSecondArray::from(vec![i64::MAX]));
    assert!(matches!(normalise(far, &[]), Err(TableError::Damaged { .. })));
}

#[test]
fn structs_are_flattened_and_lists_are_json() {
    let texts: ArrayRef = Arc::new(LargeStringArray::from(vec!["x", "y"]));
    let numbers: ArrayRef = Arc::new(Int16Array::from(vec![1, 2]));
    let fields = Fields::from(vec![Field::new("a", DataType::LargeUtf8, false), Field::new("b", DataType::Int16, false)]);
    let nulls = NullBufferOf(vec![true, false]).into();
    let nested = StructArray::try_new(fields, vec![texts, numbers], Some(nulls)).unwrap();
    check(nested, &[], &[("c.a", "Utf8", &["x", "∅"]), ("c.b", "Int64", &["1", "∅"])]);
    let lists = ListArray::from_iter_primitive::<Int32Type, _, _>([Some(vec![Some(1), None]), None, Some(vec![])]);
    check(lists, &[], &[("c", "Utf8", &["[1,null]", "∅", "[]"])]);
}

#[test]
fn times_within_lists_are_instants() {
    let times = TimestampSecondArray::from(vec![1]).with_timezone(UTC);
    let field = Arc::new(Field::new("item", times.data_type().clone(), true));
    let offsets = arrow_buffer::OffsetBuffer::from_lengths([1]);
    let lists = ListArray::new(field, offsets, Arc::new(times), None);
    check(lists, &[], &[("c", "Utf8", &["[\"1970-01-01T00:00:01Z\"]"])]);
    let berlin = DataType::Timestamp(TimeUnit::Second, Some("Europe/Berlin".into()));
    let list = |item: DataType| DataType::List(Arc::new(Field::new("item", item, true)));
    assert_eq!(with_plain_zones(&list(berlin)), list(DataType::Timestamp(TimeUnit::Second, Some(UTC.into()))));
}

struct NullBufferOf(Vec<bool>);

impl From<NullBufferOf> for arrow_buffer::NullBuffer {
    fn from(valid: NullBufferOf) -> Self {
        Self::from(valid.0)
    }
}

#[test]
fn lists_of_one_length_are_embeddings_and_others_are_noted() {
    let even = ListArray::from_iter_primitive::<Float32Type, _, _>([Some([Some(1.0), Some(2.0)]), Some([Some(3.0), None])]);
    assert_eq!(list_length(&even), Some(2));
    check(even.clone(), &[("c", 2)], &[("c", "FixedSizeList(2 x Float32)", &["[1.0, 2.0]", "[3.0, ]"])]);
    check(even.slice(1, 1), &[("c", 2)], &[("c", "FixedSizeList(2 x Float32)", &["[3.0, ]"])]);
    let ragged = ListArray::from_iter_primitive::<Int32Type, _, _>([
        Some(vec![Some(1), Some(2)]),
        None,
        Some(vec![Some(3)]),
        Some(vec![Some(4), Some(5)]),
    ]);
    assert_eq!(list_length(&ragged), None);
    let notes = check(ragged, &[("c", 2)], &[("c", "FixedSizeList(2 x Float64)", &["[1.0, 2.0]", "∅", "∅", "[4.0, 5.0]"])]);
    let note = notes.find(NoteKind::RaggedList, Some("c")).unwrap();
    assert_eq!((note.count, note.examples[0].row, &note.examples[0].text[..]), (1, 102, "1 numbers"));
}

#[test]
fn texts_beyond_a_batch_are_split_and_beyond_a_row_refused() {
    let column: ArrayRef = Arc::new(LargeStringArray::from(vec!["x".repeat(BATCH_TEXT_BYTES_MAX / 2); 3]));
    let source = RecordBatch::try_from_iter([("c", column)]).unwrap();
    let outputs = plan("f", source.schema().fields(), &Known::default(), &mut Notes::default()).unwrap();
    let schema = schema_of(&outputs);
    let mut normaliser =
        Normaliser { file: "f".to_owned(), outputs, schema, notes: SharedNotes::default(), row: 0, batch_rows: 1000 };
    let rows: Vec<usize> = normaliser.convert(&source).unwrap().iter().map(RecordBatch::num_rows).collect();
    assert_eq!(rows, [1, 2]);
    let huge: ArrayRef = Arc::new(LargeStringArray::from(vec!["x".repeat(ROW_BYTES_MAX + 1)]));
    assert!(normalise(huge, &[]).unwrap_err().to_string().contains("bytes in one row"));
}

#[test]
fn types_that_grow_without_a_bound_are_refused() {
    let values: ArrayRef = Arc::new(LargeStringArray::from(vec!["x"]));
    let keys = arrow_array::PrimitiveArray::<Int32Type>::from(vec![0, 0]);
    let nested: ArrayRef = Arc::new(DictionaryArray::new(keys, values));
    let offsets = arrow_buffer::OffsetBuffer::from_lengths([2]);
    let field = Arc::new(Field::new("item", nested.data_type().clone(), true));
    let list: ArrayRef = Arc::new(ListArray::new(field, offsets, nested, None));
    assert!(matches!(normalise(list, &[]), Err(TableError::Unsupported { .. })));
}
