//! Memory depends on the number of columns alone. A file of its own, so that no other test's memory is measured with it.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::sync::Arc;

use arrow_array::{ArrayRef, Float64Array, Int64Array, RecordBatch, StringArray, TimestampMicrosecondArray};
use profile::{Options, Profiler};

const BATCH_ROW_COUNT: usize = 2_000;
const GROWTH_MAX_BYTES: u64 = 4 << 20;

/// Unique values, long texts, new shapes: whatever makes sketches work.
fn batch(from: usize) -> RecordBatch {
    let rows = || from..from + BATCH_ROW_COUNT;
    let text = |at: usize| Some(format!("{}{at}{}", "xY-".repeat(at % 17), "é".repeat(at * 7 % 300)));
    let columns: [(&str, ArrayRef); 4] = [
        (
            "id",
            Arc::new(Int64Array::from_iter_values(rows().map(|at| (at as i64).wrapping_mul(0x9e37_79b9_7f4a_7c15_u64 as i64)))),
        ),
        ("number", Arc::new(Float64Array::from_iter_values(rows().map(|at| (at as f64).sqrt())))),
        ("text", Arc::new(rows().map(text).collect::<StringArray>())),
        ("when", Arc::new(TimestampMicrosecondArray::from_iter_values(rows().map(|at| (at as i64).pow(3))))),
    ];
    RecordBatch::try_from_iter(columns).unwrap()
}

fn resident_bytes() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.split_whitespace().next().unwrap().parse::<u64>().unwrap() * 1024
}

#[test]
fn more_rows_take_no_more_memory() {
    let mut profiler = Profiler::new(&batch(0).schema(), &Options::default()).unwrap();
    (0..30).for_each(|at| profiler.update(&batch(at * BATCH_ROW_COUNT)).unwrap());
    let before = resident_bytes();
    (30..300).for_each(|at| profiler.update(&batch(at * BATCH_ROW_COUNT)).unwrap());
    let grown = resident_bytes().saturating_sub(before);
    assert!(grown <= GROWTH_MAX_BYTES, "ten times the rows took {grown} bytes more");
    let report = serde_json::to_string(&profiler.finish()).unwrap();
    assert!(report.len() < 400_000, "the report has {} bytes", report.len());
}
