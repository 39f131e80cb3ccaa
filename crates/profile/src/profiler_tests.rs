//! The whole pass: types, parts, repeats, hostile tables.

use std::sync::Arc;

use arrow_array::builder::{FixedSizeListBuilder, Float32Builder, ListBuilder, StringBuilder};
use arrow_array::types::Int32Type;
use arrow_array::{
    ArrayRef, BooleanArray, Date32Array, Decimal128Array, DictionaryArray, Float64Array, Int64Array, LargeStringArray, NullArray,
    StringArray, StringViewArray, StructArray, TimestampMillisecondArray, UInt64Array,
};
use arrow_schema::Schema;

use super::*;
use crate::{Kind, Value};

fn batch(columns: Vec<(&str, ArrayRef)>) -> RecordBatch {
    RecordBatch::try_from_iter(columns).unwrap()
}

fn profile_of(batches: &[RecordBatch]) -> Profile {
    let mut profiler = Profiler::new(&batches[0].schema(), &Options::default()).unwrap();
    batches.iter().for_each(|batch| profiler.update(batch).unwrap());
    profiler.finish()
}

fn of(array: impl arrow_array::Array + 'static) -> ColumnProfile {
    profile_of(&[batch(vec![("c", Arc::new(array))])]).columns.remove(0)
}

fn strings(count: usize, text: impl Fn(usize) -> String) -> StringArray {
    (0..count).map(|at| Some(text(at))).collect()
}

/// A table with a column of each common kind.
fn table(from: i64, count: i64) -> RecordBatch {
    let rows = || from..from + count;
    let mut vectors = FixedSizeListBuilder::new(Float32Builder::new(), 3);
    for row in rows() {
        (0..3).for_each(|dimension| vectors.values().append_value((row % 7 + dimension) as f32));
        vectors.append(true);
    }
    let category: DictionaryArray<Int32Type> =
        rows().map(|row| ["red", "green", "blue"].get((row % 4) as usize).copied()).collect();
    batch(vec![
        ("id", Arc::new(Int64Array::from_iter_values(rows()))),
        ("amount", Arc::new(rows().map(|row| (row % 10 != 0).then_some((row % 1_000) as f64 / 8.0)).collect::<Float64Array>())),
        ("colour", Arc::new(category)),
        ("when", Arc::new(TimestampMillisecondArray::from_iter_values(rows().map(|row| 1_700_000_000_000 + row * 60_000)))),
        ("paid", Arc::new(rows().map(|row| Some(row % 3 == 0)).collect::<BooleanArray>())),
        (
            "note",
            Arc::new(strings(count as usize, |at| {
                format!("see {} {}", from as usize + at, "x y ".repeat((from as usize + at) % 40))
            })),
        ),
        ("code", Arc::new(strings(count as usize, |at| format!("AB-{:06}", from as usize + at)))),
        ("vector", Arc::new(vectors.finish())),
    ])
}

#[test]
fn each_column_gets_its_kind_and_figures() {
    let profile = profile_of(&[table(0, 600), table(600, 1_400)]);
    let kinds: Vec<(&str, Kind)> = profile.columns.iter().map(|column| (column.name.as_str(), column.kind)).collect();
    assert_eq!(
        kinds,
        [
            ("id", Kind::Identifier),
            ("amount", Kind::Number),
            ("colour", Kind::Category),
            ("when", Kind::Time),
            ("paid", Kind::Boolean),
            ("note", Kind::Text),
            ("code", Kind::Identifier),
            ("vector", Kind::Embedding),
        ]
    );
    assert_eq!((profile.row_count, profile.distinct_row_count), (2_000, 2_000));
    assert!(profile.duplicate_row_share.abs() < f64::EPSILON && profile.duplicate_rows_exact);
    let amount = profile.column("amount").unwrap();
    assert_eq!((amount.null_count, amount.distinct_is_exact), (200, false));
    assert!(amount.distinct_count.abs_diff(900) < 40, "{}", amount.distinct_count);
    let numbers = amount.numbers.as_ref().unwrap();
    assert_eq!((numbers.minimum, numbers.maximum), (Some(0.125), Some(124.875)));
    assert!((numbers.mean.unwrap() - 62.5).abs() < 1e-9);
    assert_eq!(numbers.histogram.as_ref().unwrap().counts.iter().sum::<u64>(), 1_800);
    let colour = profile.column("colour").unwrap();
    assert_eq!((colour.null_count, colour.distinct_count, colour.distinct_is_exact), (500, 3, true));
    assert!(colour.top.iter().all(|top| top.count == 500 && top.count_max == 500));
    let when = profile.column("when").unwrap().time.as_ref().unwrap();
    assert_eq!(when.minimum.as_deref(), Some("2023-11-14T22:13:20Z"));
    assert_eq!(when.by_weekday.iter().sum::<u64>(), 2_000);
    assert_eq!(profile.column("paid").unwrap().true_count, Some(667));
    assert_eq!(profile.column("code").unwrap().text.as_ref().unwrap().patterns[0].pattern, "A+-999999");
    assert_eq!(profile.column("vector").unwrap().vectors.as_ref().unwrap().mean.len(), 3);
}

#[test]
fn parts_merge_to_the_whole() {
    let whole = profile_of(&[table(0, 3_000)]);
    let parts = [profile_of(&[table(0, 10)]), profile_of(&[table(10, 1_700)]), profile_of(&[table(1_710, 1_290)])];
    let orders = [[0, 1, 2], [2, 0, 1], [1, 2, 0]];
    for order in orders {
        let [first, second, third] = order.map(|at| &parts[at]);
        let merged = first.merge(second).unwrap().merge(third).unwrap();
        assert_eq!((merged.row_count, merged.distinct_row_count), (whole.row_count, whole.distinct_row_count));
        for (own, whole) in merged.columns.iter().zip(&whole.columns) {
            assert_eq!((own.kind, own.null_count, own.distinct_count), (whole.kind, whole.null_count, whole.distinct_count));
            assert_eq!(own.state.distinct, whole.state.distinct, "{}", own.name);
            assert_eq!(own.true_count, whole.true_count);
            if whole.distinct_is_exact {
                assert_eq!(own.top, whole.top, "{}", own.name);
            }
            if let (Some(own), Some(whole)) = (&own.numbers, &whole.numbers) {
                assert_eq!((own.minimum, own.maximum, own.zero_count), (whole.minimum, whole.maximum, whole.zero_count));
                assert!((own.mean.unwrap() - whole.mean.unwrap()).abs() < 1e-9);
                for (own, whole) in own.quantiles.iter().zip(&whole.quantiles) {
                    assert!((own.value - whole.value).abs() <= 0.02 * 3_000.0, "{own:?} {whole:?}");
                }
            }
        }
    }
}

#[test]
fn a_profile_can_be_repeated() {
    let text = |profile: &Profile| serde_json::to_string(profile).unwrap();
    let profile = profile_of(&[table(0, 5_000)]);
    assert!(text(&profile) == text(&profile_of(&[table(0, 5_000)])), "a second pass gives other bytes");
    let read: Profile = serde_json::from_str(&text(&profile)).unwrap();
    let (first, second) = (text(&profile), text(&read));
    let same = first.bytes().zip(second.bytes()).take_while(|(left, right)| left == right).count();
    assert_eq!(same, first.len(), "{:?} became {:?}", first.get(same..same + 40), second.get(same..same + 40));
    // What was read merges as what was made.
    let other = profile_of(&[table(5_000, 5_000)]);
    let (left, right) = (read.merge(&other).unwrap(), profile.merge(&other).unwrap());
    assert_eq!(left.columns[0].distinct_count, right.columns[0].distinct_count);
    assert_eq!(left.row_count, 10_000);
}

#[test]
fn a_dictionary_and_its_plain_values_are_the_same() {
    let text = |at: usize| format!("value {}", at * at % 50);
    let plain = strings(2_000, text);
    let dictionary: DictionaryArray<Int32Type> = plain.iter().collect();
    let view: StringViewArray = plain.iter().collect();
    let large: LargeStringArray = plain.iter().collect();
    let expected = profile_of(&[batch(vec![("c", Arc::new(plain))])]);
    let others: [ArrayRef; 3] = [Arc::new(dictionary.clone()), Arc::new(view), Arc::new(large)];
    for other in others {
        let found = profile_of(&[batch(vec![("c", other)])]);
        let (own, their) = (&found.columns[0], &expected.columns[0]);
        assert_eq!((&own.top, own.distinct_count, own.kind), (&their.top, their.distinct_count, their.kind));
        assert_eq!(own.text.as_ref().unwrap().patterns, their.text.as_ref().unwrap().patterns);
        assert_eq!(found.rows.sample, expected.rows.sample);
        assert!(expected.merge(&found).is_ok());
    }
    // A slice whose dictionary is larger than itself.
    let few = of(dictionary.slice(7, 5));
    assert_eq!((few.row_count, few.distinct_count), (5, 5));
}

#[test]
fn odd_numbers_are_counted() {
    let column =
        of(Float64Array::from(vec![Some(f64::NAN), Some(1.0), None, Some(f64::INFINITY), Some(-f64::INFINITY), Some(-0.0)]));
    let numbers = column.numbers.unwrap();
    assert_eq!((numbers.nan_count, numbers.positive_infinity_count, numbers.negative_infinity_count), (1, 1, 1));
    assert_eq!((column.null_count, column.distinct_count, numbers.zero_count), (1, 2, 1));
    assert_eq!((numbers.minimum, numbers.maximum), (Some(0.0), Some(1.0)));
    let big = of(Int64Array::from(vec![i64::MIN, i64::MAX, i64::MAX - 1]));
    assert_eq!((big.numbers.unwrap().integer_range, big.distinct_count), (Some((i64::MIN, i64::MAX)), 3));
    assert_eq!(of(UInt64Array::from(vec![u64::MAX])).numbers.unwrap().maximum, Some(u64::MAX as f64));
    let decimals = Decimal128Array::from(vec![12_345, -1]).with_precision_and_scale(10, 2).unwrap();
    assert_eq!(of(decimals).numbers.unwrap().maximum, Some(123.45));
    assert_eq!(of(Date32Array::from(vec![0, 19_000])).time.unwrap().maximum.as_deref(), Some("2022-01-08T00:00:00Z"));
}

#[test]
fn empty_and_strange_columns_do_no_harm() {
    assert_eq!(of(NullArray::new(5)).kind, Kind::Empty);
    assert_eq!(of(Float64Array::from(vec![None::<f64>, None])).kind, Kind::Empty);
    assert_eq!(of(StringArray::from(Vec::<&str>::new())).kind, Kind::Empty);
    assert_eq!(of(Float64Array::from(vec![f64::NAN; 200])).kind, Kind::Number);
    let mut lists = ListBuilder::new(StringBuilder::new());
    lists.append_value([Some("a"), None]);
    lists.append_null();
    let column = of(lists.finish());
    assert_eq!((column.kind, column.null_count, column.distinct_count), (Kind::Nested, 1, 1));
    let empty: DictionaryArray<Int32Type> = [None::<&str>; 3].into_iter().collect();
    assert_eq!(of(empty).null_count, 3);
    let profile = profile_of(&[RecordBatch::new_empty(Arc::new(Schema::empty()))]);
    assert!(profile.columns.is_empty() && serde_json::to_string(&profile).is_ok());
}

#[test]
fn structures_are_looked_into() {
    let inner: ArrayRef = Arc::new(Int64Array::from(vec![1, 2, 3]));
    let nulls = Some(vec![true, false, true].into());
    let fields = vec![Field::new("inner", DataType::Int64, true)].into();
    let outer = StructArray::new(fields, vec![inner], nulls);
    let column = of(outer);
    assert_eq!((column.name.as_str(), column.null_count, column.distinct_count), ("c.inner", 1, 2));
}

#[test]
fn duplicate_rows_are_estimated() {
    let profile = profile_of(&[table(0, 20_000), table(0, 5_000)]);
    assert!((profile.duplicate_row_share - 0.2).abs() < 0.03, "{}", profile.duplicate_row_share);
    assert!(profile.distinct_row_count.abs_diff(20_000) < 800);
    let test_set = profile_of(&[table(19_000, 10_000)]);
    let shared = test_set.rows_shared_with(&profile).unwrap();
    assert!((shared - 0.1).abs() < 0.03, "{shared}");
}

#[test]
fn decimals_that_one_float_stands_for_are_different() {
    let long = 1_000_000_000_000_000_000_000;
    let decimals = |values: Vec<i128>| Decimal128Array::from(values).with_precision_and_scale(30, 2).unwrap();
    let found = profile_of(&[batch(vec![("c", Arc::new(decimals((0..500).map(|row| long + row).collect())) as ArrayRef)])]);
    assert!(found.columns[0].distinct_count.abs_diff(500) < 20, "{}", found.columns[0].distinct_count);
    assert!(found.duplicate_row_share < 0.03, "{}", found.duplicate_row_share);
    let equal = profile_of(&[batch(vec![("c", Arc::new(decimals(vec![long; 500])) as ArrayRef)])]);
    assert_eq!(equal.columns[0].distinct_count, 1);
    assert_eq!(of(decimals(vec![150, 150, 25])).distinct_count, 2);
}

#[test]
fn what_does_not_fit_is_refused() {
    let profile = profile_of(&[table(0, 10)]);
    let other = profile_of(&[batch(vec![("id", Arc::new(Int64Array::from(vec![1])))])]);
    assert!(matches!(profile.merge(&other), Err(ProfileError::OtherSchema { .. })));
    let seeded = Profiler::new(&table(0, 1).schema(), &Options { seed: 5 }).unwrap();
    assert!(matches!(profile.merge(&seeded.finish()), Err(ProfileError::OtherSeed)));
    let mut profiler = Profiler::new(&table(0, 1).schema(), &Options::default()).unwrap();
    assert!(profiler.update(&batch(vec![("id", Arc::new(StringArray::from(vec!["1"])))])).is_err());
    assert_eq!(profiler.row_count(), 0);
    let many = Schema::new((0..=COLUMN_COUNT_MAX).map(|at| Field::new(at.to_string(), DataType::Null, true)).collect::<Vec<_>>());
    assert!(matches!(Profiler::new(&Arc::new(many), &Options::default()), Err(ProfileError::TooManyColumns { .. })));
}

#[test]
fn a_masked_column_shows_no_value() {
    let mut profile = profile_of(&[table(0, 3_000)]);
    profile.columns.iter_mut().for_each(ColumnProfile::mask);
    assert_eq!(profile.column("code").unwrap().kind, Kind::Identifier);
    assert!(profile.columns.iter().flat_map(|column| &column.top).all(|top| top.value == Value::Masked));
    let text = serde_json::to_string(&profile).unwrap();
    for value in ["AB-0", "124.875", "green", "see x", "2023-"] {
        assert!(!text.contains(value), "{value} is in the masked profile");
    }
    assert!(serde_json::from_str::<Profile>(&text).is_ok());
}

#[test]
fn ten_thousand_columns_stay_small() {
    let columns = (0..COLUMN_COUNT_MAX).map(|at| (format!("c{at}"), Arc::new(Int64Array::from_iter_values(0..50)) as ArrayRef));
    let report = serde_json::to_string(&profile_of(&[RecordBatch::try_from_iter(columns).unwrap()])).unwrap();
    assert!(report.len() < 60_000_000, "the report has {} bytes", report.len());
}
