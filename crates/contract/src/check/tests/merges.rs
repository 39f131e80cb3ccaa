//! Parts that are checked apart and merged say what one pass says.

use arrow_array::{Float64Array, Int64Array, StringArray};

use super::*;

const SCHEMA: &str = "slaProperties: [{property: freshness, value: 1, unit: d, element: t.at}]
schema:
- name: t
  quality:
  - {metric: rowCount, mustBe: 5000}
  - {metric: duplicateValues, mustBe: 0, arguments: {properties: [n, s]}}
  - {type: custom, engine: strongroom, implementation: {check: labelBalance, column: s, minShare: 0.2}}
  - {type: custom, engine: strongroom, implementation: {check: nearConstant, column: s}}
  - {type: custom, engine: strongroom, implementation: {check: duplicateRows}}
  - {type: custom, engine: strongroom, implementation: {check: aggregate, column: f, statistic: mean, max: 0}}
  - {type: custom, engine: strongroom, implementation: {check: aggregate, column: f, statistic: standardDeviation, max: 0}}
  - {type: custom, engine: strongroom, implementation: {check: aggregate, column: f, statistic: sum, max: 0}}
  - {type: custom, engine: strongroom, implementation: {check: aggregate, column: f, statistic: distinct, max: 0}}
  - {type: custom, engine: greatExpectations, implementation: {type: expect_column_distinct_values_to_contain_set, kwargs: {column: s, value_set: [s1, zz]}}}
  properties:
  - {name: n, unique: true, required: true, logicalTypeOptions: {minimum: 10, maximum: 3000}}
  - {name: wide, unique: true}
  - {name: f, unique: true, logicalTypeOptions: {maximum: 0.5}}
  - {name: s, logicalTypeOptions: {pattern: '[0-4]$'}, quality: [{metric: invalidValues, unit: percent, mustBeLessThan: 1, arguments: {validValues: [s1]}}]}
  - {name: at, logicalType: timestamp}
";

/// Rows from a seed: some null, some repeated.
fn rows(seed: u64, count: u64) -> RecordBatch {
    let mut state = seed;
    let mut next = |below: u64| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        i64::try_from((state >> 33) % below).unwrap()
    };
    let n: Int64Array = (0..count).map(|_| Some(next(4_000)).filter(|value| value % 97 != 0)).collect();
    let wide: Int64Array = (0..count).map(|_| Some(next(4_500) << 30)).collect();
    #[expect(clippy::cast_precision_loss, reason = "small numbers")]
    let f: Float64Array = (0..count).map(|_| Some(next(10_000) as f64 / 10_000.0)).collect();
    let s: StringArray = (0..count).map(|_| Some(format!("s{}", next(6)))).collect();
    let at: arrow_array::TimestampMicrosecondArray = (0..count).map(|_| Some(next(1_000_000))).collect();
    batch(vec![("n", shared(n)), ("wide", shared(wide)), ("f", shared(f)), ("s", shared(s)), ("at", shared(at))])
}

fn run(table: &RecordBatch, cuts: &[usize], swap: bool) -> ContractReport {
    let contract = contract(SCHEMA);
    let fresh = Checker::new(&contract, None, &table.schema(), CheckOptions { seed: 9, ..CheckOptions::default() }).unwrap();
    let mut parts: Vec<Checker> = Vec::new();
    let mut from = 0;
    for to in cuts.iter().copied().chain([table.num_rows()]) {
        let mut part = fresh.clone();
        for start in (from..to).step_by(700) {
            part.update(&table.slice(start, 700.min(to - start)), start as u64).unwrap();
        }
        parts.push(part);
        from = to;
    }
    if swap {
        parts.reverse();
    }
    let mut whole = fresh;
    for part in parts {
        whole.merge(part).unwrap();
    }
    whole.finish()
}

/// A measured number that does not depend on the last bits of a float, and everything else but examples' values.
fn essence(report: &ContractReport) -> Vec<(String, Status, Option<i64>, u64, u64)> {
    #[expect(clippy::cast_possible_truncation, reason = "rounded on purpose")]
    let rounded = |value: f64| (value * 1e9).round() as i64;
    report
        .rules
        .iter()
        .map(|rule| (rule.rule.clone(), rule.status, rule.measured.map(rounded), rule.violations, rule.checked))
        .collect()
}

#[test]
fn parts_equal_the_whole() {
    for seed in 1..4 {
        let table = rows(seed, 5_000);
        let whole = run(&table, &[], false);
        assert!(whole.rules.iter().filter(|rule| rule.status == Status::Failed).count() > 8, "{whole:#?}");
        for (cuts, swap) in [(&[2_500][..], false), (&[1, 1_000, 4_999], false), (&[1_700, 3_400], true)] {
            let merged = run(&table, cuts, swap);
            assert_eq!(essence(&merged), essence(&whole), "seed {seed}, cuts {cuts:?}");
            for (one, two) in merged.rules.iter().zip(&whole.rules) {
                if matches!(one.kind.as_str(), "minimum" | "maximum" | "pattern" | "required" | "invalidValues") {
                    assert_eq!(one.examples, two.examples);
                }
            }
        }
    }
}

#[test]
fn a_check_that_begins_with_numbers_may_end_with_hashes() {
    let wide = |from: i64| batch(vec![("a", shared((from..from + 6_000).map(|at| Some(at << 20)).collect::<Int64Array>()))]);
    let contract = contract("schema:\n- name: t\n  properties: [{name: a, unique: true}]\n");
    let fresh = Checker::new(&contract, None, &wide(0).schema(), CheckOptions::default()).unwrap();
    let (mut one, mut two) = (fresh.clone(), fresh);
    one.update(&wide(0), 0).unwrap();
    two.update(&wide(5_990).slice(0, 20), 6_000).unwrap();
    one.merge(two).unwrap();
    let report = one.finish();
    let rule = report.rule("unique").unwrap();
    assert_eq!((rule.status, rule.violations, rule.measured), (Status::Failed, 10, Some(10.0)));
}

#[test]
fn checks_that_do_not_belong_together_do_not_merge() {
    let table = rows(1, 10);
    let of = |schema: &str, seed: u64| {
        Checker::new(&contract(schema), None, &table.schema(), CheckOptions { seed, ..CheckOptions::default() }).unwrap()
    };
    let other = "schema:\n- name: t\n  properties: [{name: n}]\n";
    assert!(of(SCHEMA, 1).merge(of(SCHEMA, 2)).is_err());
    assert!(of(SCHEMA, 1).merge(of(other, 1)).is_err());
    assert!(of(SCHEMA, 1).merge(of(SCHEMA, 1)).is_ok());
}
