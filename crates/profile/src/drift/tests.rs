//! Drift on seeded tables: clean splits raise no alarm, shifts of a known size are found.

use std::sync::Arc;

use arrow_array::builder::{FixedSizeListBuilder, Float32Builder};
use arrow_array::{ArrayRef, Float64Array, Int64Array, RecordBatch, StringArray, TimestampSecondArray};

use super::*;
use crate::hash::next_random;
use crate::{Options, Profiler};

struct Random(u64);

impl Random {
    fn even(&mut self) -> f64 {
        let (state, word) = next_random(self.0);
        self.0 = state;
        (word >> 11) as f64 / (1_u64 << 53) as f64
    }

    fn normal(&mut self) -> f64 {
        (0..12).map(|_| self.even()).sum::<f64>() - 6.0
    }
}

/// How a table differs from the reference: nought everywhere if not at all.
#[derive(Clone, Copy, Default)]
struct Shift {
    /// Of the number, in standard deviations.
    number: f64,
    /// Of the share of one category.
    category: f64,
    /// Of the share of missing values.
    missing: f64,
    /// Of the texts' share of another shape.
    shape: f64,
    /// Of the vectors' first dimension, in standard deviations.
    vector: f64,
}

fn table(seed: u64, count: usize, shift: Shift) -> Profile {
    let mut random = Random(seed.wrapping_mul(0x9e37_79b9) ^ 77);
    let mut vectors = FixedSizeListBuilder::new(Float32Builder::new(), 24);
    for _ in 0..count {
        // Correlated dimensions, as embeddings have.
        let common = random.normal();
        for dimension in 0..24 {
            let moved = if dimension == 0 { shift.vector } else { 0.0 };
            vectors.values().append_value((random.normal() + common + moved) as f32);
        }
        vectors.append(true);
    }
    let names = ["red", "green", "blue", "grey", "pink"];
    let mut columns: Vec<(String, ArrayRef)> = Vec::new();
    for at in 0..4 {
        let numbers = (0..count)
            .map(|_| Some((random.normal() + shift.number) * 10f64.powi(at)).filter(|_| random.even() >= 0.1 + shift.missing));
        columns.push((format!("number{at}"), Arc::new(numbers.collect::<Float64Array>())));
        let share = 0.2 + shift.category;
        let texts = (0..count).map(|_| {
            let place = if random.even() < share { 0 } else { 1 + (random.even() * 4.0) as usize };
            Some(names[place])
        });
        columns.push((format!("category{at}"), Arc::new(texts.collect::<StringArray>())));
    }
    let counts = (0..count).map(|_| ((random.normal() + shift.number) * 3.0 + 20.0) as i64);
    columns.push(("count".to_owned(), Arc::new(Int64Array::from_iter_values(counts))));
    let notes = (0..count).map(|_| {
        let word = "ab".repeat(1 + (random.even() * 9.0) as usize);
        let number = (random.even() * 1e9) as u64;
        Some(if random.even() < 0.3 + shift.shape { format!("{word} {number}") } else { format!("{number} {word}") })
    });
    columns.push(("note".to_owned(), Arc::new(notes.collect::<StringArray>())));
    let when = (0..count).map(|_| 1_700_000_000 + (seed * 700_000 + (random.even() * 604_800.0) as u64).cast_signed());
    columns.push(("when".to_owned(), Arc::new(TimestampSecondArray::from_iter_values(when))));
    columns.push((
        "id".to_owned(),
        Arc::new(Int64Array::from_iter_values((0..count as i64).map(|at| at + seed as i64 * 1_000_000))),
    ));
    columns.push(("vector".to_owned(), Arc::new(vectors.finish())));
    let batch = RecordBatch::try_from_iter(columns).unwrap();
    let mut profiler = Profiler::new(&batch.schema(), &Options::default()).unwrap();
    profiler.update(&batch).unwrap();
    profiler.finish()
}

fn names(report: &DriftReport) -> Vec<&str> {
    report.drifted().map(|column| column.name.as_str()).collect()
}

/// Without the floor under the effect, chance alone is to be judged: of all rounds no more than the rate may call anything.
#[test]
fn clean_splits_raise_no_alarm() {
    let options =
        DriftOptions { moved_share_min: 1e-9, null_share_min: 1e-9, vector_distance_min: 1e-9, ..DriftOptions::default() };
    let (rounds, mut alarms, mut small, mut tests) = (60, 0, 0, 0);
    for round in 0..rounds {
        let report = compare(&table(2 * round, 1_500, Shift::default()), &table(2 * round + 1, 900, Shift::default()), &options);
        alarms += usize::from(report.has_drift());
        let all = report.columns.iter().flat_map(|column| &column.tests).map(|test| test.p_value);
        small += all.clone().filter(|p_value| *p_value <= 0.05).count();
        tests += all.count();
    }
    // With every hypothesis true, the rate bounds the chance of any call in a round: 3 of 60 expected at most, and 8 is the
    // 99th percentile of that.
    assert!(alarms <= 8, "{alarms} of {rounds} rounds raised an alarm");
    let share = small as f64 / tests as f64;
    // 1,000 tests: 5 % of their p-values may lie below 0.05, and not far fewer, or nothing would ever be found.
    assert!((0.02..0.066).contains(&share), "{share} of {tests} p-values lie below 0.05");
}

/// The sketches' own errors are in the p-values: at many rows they are all that there is.
#[test]
fn sketches_of_many_rows_raise_no_alarm() {
    let sketch = |seed: u64| {
        let mut random = Random(seed);
        let batches = (0..60).map(|_| (0..10_000).map(|_| random.even()).collect::<Vec<f64>>());
        let schema =
            Arc::new(arrow_schema::Schema::new(vec![arrow_schema::Field::new("x", arrow_schema::DataType::Float64, true)]));
        let mut profiler = Profiler::new(&schema, &Options { seed: 0 }).unwrap();
        for batch in batches.collect::<Vec<_>>() {
            let array: ArrayRef = Arc::new(Float64Array::from(batch));
            profiler.update(&RecordBatch::try_new(Arc::clone(&schema), vec![array]).unwrap()).unwrap();
        }
        profiler.finish()
    };
    let profiles: Vec<Profile> = (0..40).map(sketch).collect();
    let pairs = profiles.chunks(2).map(|pair| compare(&pair[0], &pair[1], &DriftOptions::default()));
    let p_values: Vec<f64> = pairs.map(|report| report.columns[0].p_value).collect();
    let small = p_values.iter().filter(|p_value| **p_value <= 0.05).count();
    // One of twenty is expected; four or more come once in 60 times.
    assert!(small <= 3, "{p_values:?}");
}

#[test]
fn shifts_of_a_known_size_are_found() {
    let reference = table(1, 4_000, Shift::default());
    for (shift, expected) in [
        (Shift { number: 0.2, ..Shift::default() }, vec!["number0", "number1", "number2", "number3", "count"]),
        (Shift { category: 0.08, ..Shift::default() }, vec!["category0", "category1", "category2", "category3"]),
        (Shift { missing: 0.05, ..Shift::default() }, vec!["number0", "number1", "number2", "number3"]),
        (Shift { shape: 0.15, ..Shift::default() }, vec!["note"]),
        (Shift { vector: 0.5, ..Shift::default() }, vec!["vector"]),
    ] {
        let (mut found, mut others) = (0, 0);
        for round in 0..10 {
            let report = compare(&reference, &table(100 + round, 4_000, shift), &DriftOptions::default());
            let (right, wrong): (Vec<&str>, Vec<&str>) = names(&report).into_iter().partition(|name| expected.contains(name));
            found += right.len();
            others += wrong.len();
        }
        assert!(found * 100 >= expected.len() * 10 * 95, "{found} of {} were found: {expected:?}", expected.len() * 10);
        assert!(others <= 3, "{others} others were called with {expected:?}");
    }
}

#[test]
fn a_change_too_small_to_matter_is_said_and_not_called() {
    let report = compare(
        &table(1, 40_000, Shift::default()),
        &table(2, 40_000, Shift { category: 0.012, ..Shift::default() }),
        &DriftOptions::default(),
    );
    assert_eq!(names(&report), Vec::<&str>::new());
    let column = report.columns.iter().find(|column| column.name == "category0").unwrap();
    assert!(column.p_value < 0.01 && column.reason.starts_with("changed, but too little to matter"), "{}", column.reason);
}

#[test]
fn each_change_has_its_sentence() {
    let report = compare(
        &table(1, 5_000, Shift::default()),
        &table(2, 5_000, Shift { number: 1.0, category: 0.3, missing: 0.2, ..Shift::default() }),
        &DriftOptions::default(),
    );
    let reason = |name: &str| report.columns.iter().find(|column| column.name == name).unwrap().reason.clone();
    assert!(reason("number0").contains("to 30 % of the rows; 38 % of the values moved (median -0.0"), "{}", reason("number0"));
    assert!(reason("number0").starts_with("missing values went from 1"), "{}", reason("number0"));
    assert!(reason("category0").contains("(`red`: 20 % to 5"), "{}", reason("category0"));
    assert!(reason("when").starts_with("no more change than chance makes"), "{}", reason("when"));
    let number = report.columns.iter().find(|column| column.name == "number0").unwrap();
    assert!(number.stability_index.unwrap() > 0.5 && number.jensen_shannon.unwrap() > 0.2);
    let text = serde_json::to_string(&report).unwrap();
    assert_eq!(serde_json::from_str::<DriftReport>(&text).unwrap(), report);
}

fn single(name: &str, array: ArrayRef) -> Profile {
    let batch = RecordBatch::try_from_iter([(name, array)]).unwrap();
    let mut profiler = Profiler::new(&batch.schema(), &Options::default()).unwrap();
    profiler.update(&batch).unwrap();
    profiler.finish()
}

#[test]
fn columns_that_come_go_or_change_their_type_are_told() {
    let numbers = || Arc::new(Int64Array::from_iter_values((0..500).map(|at| at % 50))) as ArrayRef;
    let floats = || Arc::new(Float64Array::from_iter_values((0..500).map(|at| f64::from(at % 50)))) as ArrayRef;
    let texts = || Arc::new((0..500).map(|at| Some((at % 50).to_string())).collect::<StringArray>()) as ArrayRef;
    let report = compare(&single("a", numbers()), &single("b", numbers()), &DriftOptions::default());
    assert_eq!((report.new_columns, report.lost_columns), (vec!["b".to_owned()], vec!["a".to_owned()]));
    let report = compare(&single("a", numbers()), &single("a", texts()), &DriftOptions::default());
    assert_eq!(names(&report), ["a"]);
    assert_eq!(report.columns[0].reason, "its type changed from Int64 to Utf8");
    let report = compare(&single("a", numbers()), &single("a", floats()), &DriftOptions::default());
    assert!(names(&report).is_empty() && report.columns[0].notes[0].contains("from Int64 to Float64"));
}

#[test]
fn empty_and_tiny_tables_are_not_judged() {
    let of = |values: Vec<Option<f64>>| single("a", Arc::new(Float64Array::from(values)));
    for (was, is) in [
        (vec![], vec![]),
        (vec![None], vec![Some(1.0)]),
        (vec![Some(1.0)], vec![Some(5.0)]),
        (vec![Some(f64::NAN)], vec![Some(2.0)]),
    ] {
        let report = compare(&of(was), &of(is), &DriftOptions::default());
        assert!(!report.has_drift() && !report.columns[0].reason.is_empty(), "{report:?}");
    }
}
