//! Thresholds at their edges, severities, and what the whole then is.

use arrow_array::{Int64Array, StringArray};

use super::Status::{Failed, Note, Passed};
use super::*;

/// A column of a hundred rows, three of which are null.
fn three_of_hundred() -> ArrayRef {
    shared((0..100_i64).map(|at| (at % 33 != 32).then_some(at)).collect::<Int64Array>())
}

#[test]
fn operators_and_units() {
    for (operator, status) in [
        ("mustBe: 3", Passed),
        ("mustBe: 2", Failed),
        ("mustNotBe: 3", Failed),
        ("mustBeGreaterThan: 2", Passed),
        ("mustBeGreaterThan: 3", Failed),
        ("mustBeGreaterOrEqualTo: 3", Passed),
        ("mustBeLessThan: 3", Failed),
        ("mustBeLessOrEqualTo: 3", Passed),
        ("mustBeBetween: [3, 5]", Passed),
        ("mustBeBetween: [1, 3]", Passed),
        ("mustBeBetween: [4, 5]", Failed),
        ("mustNotBeBetween: [3, 5]", Failed),
        ("mustNotBeBetween: [4, 5]", Passed),
        ("mustBeGreaterThan: 1, mustBeLessThan: 3", Failed),
        ("mustBeGreaterThan: 1, mustBeLessThan: 4", Passed),
    ] {
        for unit in ["rows", "percent"] {
            let rule = format!("quality: [{{metric: nullValues, unit: {unit}, {operator}}}]");
            check(&rule, three_of_hundred(), &[("quality[0]", status, 3)]);
        }
    }
}

#[test]
fn no_rows_are_no_percent() {
    let rule = "quality: [{metric: nullValues, unit: percent, mustBeLessThan: 1}]";
    check(rule, shared(Int64Array::from(Vec::<i64>::new())), &[("quality[0]", Passed, 0)]);
}

#[test]
fn severities_decide_the_whole() {
    let verdict = |severity: &str| {
        let schema = format!(
            "schema:\n- name: t\n  properties:\n  - {{name: a, quality: [{{metric: nullValues, mustBe: 0{severity}}}]}}\n"
        );
        let report = report(&schema, &batch(vec![("a", three_of_hundred())]), CheckOptions::default());
        (report.verdict, report.failed, report.warned)
    };
    assert_eq!(verdict(""), (Verdict::Failed, 1, 0));
    assert_eq!(verdict(", severity: error"), (Verdict::Failed, 1, 0));
    assert_eq!(verdict(", severity: warning"), (Verdict::Passed, 0, 1));
    assert_eq!(verdict(", severity: info"), (Verdict::Passed, 0, 1));
}

#[test]
fn texts_are_for_people() {
    check("quality: [{type: text, description: It is right.}]", three_of_hundred(), &[("quality[0]", Note, 0)]);
}

#[test]
fn examples_are_few_short_and_first() {
    let long = "x".repeat(1_000);
    let schema = "schema:\n- name: t\n  properties:\n  - {name: a, logicalTypeOptions: {maxLength: 3}}\n";
    let table = batch(vec![("a", shared(StringArray::from(vec![long.as_str(); 50])))]);
    let contract = contract(schema);
    let mut checker = Checker::new(&contract, None, &table.schema(), CheckOptions::default()).unwrap();
    for first in [100, 0, 50] {
        checker.update(&table, first).unwrap();
    }
    let report = checker.finish();
    let rule = report.rule("maxLength").unwrap();
    assert_eq!((rule.violations, rule.checked), (150, 150));
    assert_eq!(rule.examples.iter().map(|example| example.row).collect::<Vec<_>>(), (0..5).map(Some).collect::<Vec<_>>());
    assert!(rule.examples[0].value.as_ref().unwrap().chars().count() <= crate::EXAMPLE_CHARS_MAX + 1);
    assert!(rule.message.contains("150 of 150"), "{}", rule.message);
}
