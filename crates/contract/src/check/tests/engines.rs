//! Rules inside `type: custom`: expectations of Great Expectations, and our own.

use arrow_array::{Float64Array, Int64Array, StringArray};
use profile::{Options, Profiler};

use super::Status::{Failed, NotRun, Note, Passed};
use super::*;

fn table() -> RecordBatch {
    batch(vec![
        ("n", shared(Int64Array::from(vec![Some(1), Some(2), Some(3), Some(4), None]))),
        ("m", shared(Float64Array::from(vec![Some(2.0), Some(2.0), Some(2.0), Some(6.0), Some(1.0)]))),
        ("s", shared(StringArray::from(vec!["a", "a", "a", "b", "a"]))),
    ])
}

const COLUMNS: &str = "  properties: [{name: n}, {name: m}, {name: s}]\n";

/// Runs one custom rule at the table.
fn engine(engine: &str, implementation: &str, options: CheckOptions) -> RuleReport {
    let schema = format!(
        "schema:\n- name: t\n  quality: [{{type: custom, engine: {engine}, implementation: {implementation}}}]\n{COLUMNS}"
    );
    report(&schema, &table(), options).rule("t.quality[0]").unwrap().clone()
}

fn expect(implementation: &str, status: Status) {
    let found = engine("greatExpectations", implementation, CheckOptions::default());
    assert_eq!(found.status, status, "{implementation}: {found:#?}");
}

fn ours(implementation: &str, status: Status) {
    let found = engine("strongroom", implementation, CheckOptions { previous_rows: Some(4), ..CheckOptions::default() });
    assert_eq!(found.status, status, "{implementation}: {found:#?}");
}

#[test]
fn expectations_of_values() {
    expect("{type: expect_column_values_to_not_be_null, kwargs: {column: n, mostly: 0.8}}", Passed);
    expect("{type: expect_column_values_to_not_be_null, kwargs: {column: n, mostly: 0.81}}", Failed);
    expect("{type: expect_column_values_to_be_null, kwargs: {column: n}}", Failed);
    // Three of the four that are there.
    expect("{type: expect_column_values_to_be_between, kwargs: {column: n, min_value: 2, mostly: 0.75}}", Passed);
    expect(
        "{type: expect_column_values_to_be_between, kwargs: {column: n, min_value: 2, strict_min: true, mostly: 0.75}}",
        Failed,
    );
    expect("{type: expect_column_values_to_be_in_set, kwargs: {column: s, value_set: [a, b]}}", Passed);
    expect("{type: expect_column_values_to_not_be_in_set, kwargs: {column: s, value_set: [b]}}", Failed);
    expect("{type: expect_column_values_to_not_match_regex, kwargs: {column: s, regex: c}}", Passed);
    expect("{type: expect_column_values_to_match_regex_list, kwargs: {column: s, regex_list: [a, b]}}", NotRun);
    expect("{type: expect_column_value_lengths_to_equal, kwargs: {column: s, value: 1}}", Passed);
    expect("{type: expect_column_distinct_values_to_contain_set, kwargs: {column: s, value_set: [a, b]}}", Passed);
    expect("{type: expect_column_distinct_values_to_contain_set, kwargs: {column: s, value_set: [a, c]}}", Failed);
    expect("{type: expect_column_values_to_be_of_type, kwargs: {column: n, type_: int64}}", Passed);
    expect(
        "{type: expect_column_pair_values_a_to_be_greater_than_b, kwargs: {column_A: m, column_B: n, or_equal: true}}",
        Failed,
    );
    expect(
        "{type: expect_column_pair_values_a_to_be_greater_than_b, kwargs: {column_A: m, column_B: n, or_equal: true, mostly: 0.75}}",
        Passed,
    );
    expect("{type: expect_multicolumn_sum_to_equal, kwargs: {column_list: [n, m], sum_total: 3, mostly: 0.25}}", Passed);
    expect("{type: expect_column_values_to_be_increasing, kwargs: {column: n}}", NotRun);
    expect("{type: expect_column_values_to_not_be_null, kwargs: {column: n, row_condition: x}}", NotRun);
    expect("{type: expect_column_values_to_not_be_null, kwargs: {}}", NotRun);
}

#[test]
fn expectations_of_tables_and_columns() {
    // The names of the standard's own example.
    expect("{type: expect_table_row_count_to_be_between, kwargs: {minValue: 5, maxValue: 5}}", Passed);
    expect("'type: expect_table_row_count_to_equal\n\n  kwargs: {value: 6}'", Failed);
    expect("{type: expect_table_column_count_to_equal, kwargs: {value: 3}}", Passed);
    expect("{type: expect_table_columns_to_match_set, kwargs: {column_set: [m, n], exact_match: false}}", Passed);
    expect("{type: expect_table_columns_to_match_set, kwargs: {column_set: [m, n]}}", Failed);
    expect("{type: expect_table_columns_to_match_ordered_list, kwargs: {column_list: [n, s, m]}}", Failed);
    expect("{type: expect_column_to_exist, kwargs: {column: z}}", Failed);
    expect("{type: expect_compound_columns_to_be_unique, kwargs: {column_list: [m, s]}}", Failed);
    expect("{type: expect_column_mean_to_be_between, kwargs: {column: n, min_value: 2.5, max_value: 2.5}}", Passed);
    expect("{type: expect_column_sum_to_be_between, kwargs: {column: m, min_value: 13.5}}", Failed);
    expect("{type: expect_column_max_to_be_between, kwargs: {column: m, max_value: 6}}", Passed);
    expect("{type: expect_column_min_to_be_between, kwargs: {column: m, min_value: 1, strict_min: true}}", Failed);
    expect("{type: expect_column_stdev_to_be_between, kwargs: {column: n, min_value: 1.29, max_value: 1.3}}", Passed);
    expect("{type: expect_column_unique_value_count_to_be_between, kwargs: {column: s, min_value: 2, max_value: 2}}", Passed);
    expect("{type: expect_column_proportion_of_unique_values_to_be_between, kwargs: {column: s, max_value: 0.4}}", Passed);
    expect("{type: expect_column_proportion_of_non_null_values_to_be_between, kwargs: {column: n, min_value: 0.8}}", Passed);
    expect("{type: expect_column_mean_to_be_between, kwargs: {column: s, min_value: 1}}", NotRun);
    expect("{type: expect_column_median_to_be_between, kwargs: {column: n, min_value: 1}}", NotRun);
    expect("{type: unexpected_rows_expectation, kwargs: {unexpected_rows_query: 'SELECT * FROM {batch}'}}", NotRun);
    expect("nothing", NotRun);
    let soda = engine("soda", "{x: 1}", CheckOptions::default());
    assert!(soda.message.contains("`soda`"), "{soda:#?}");
}

#[test]
fn quantiles_come_from_the_profile() {
    let table = table();
    let mut profiler = Profiler::new(&table.schema(), &Options::default()).unwrap();
    profiler.update(&table).unwrap();
    let profile = profiler.finish();
    let schema = format!(
        "schema:\n- name: t\n  quality: [{{type: custom, engine: strongroom, implementation: {{check: aggregate, column: n, statistic: median, min: 2, max: 3}}}}]\n{COLUMNS}"
    );
    let contract = contract(&schema);
    let mut checker = Checker::new(&contract, None, &table.schema(), CheckOptions::default()).unwrap();
    checker.update(&table, 0).unwrap();
    let report = checker.finish_with(&Evidence { profile: Some(&profile), sql: None });
    assert_eq!(report.rule("t.quality[0]").unwrap().status, Passed, "{report:#?}");
}

#[test]
fn our_own() {
    ours("{check: labelBalance, column: s, minShare: 0.2}", Passed);
    ours("{check: labelBalance, column: s, minShare: 0.21}", Failed);
    ours("{check: nearConstant, column: s, maxShare: 0.8}", Passed);
    ours("{check: nearConstant, column: s, maxShare: 0.79}", Failed);
    ours("{check: duplicateRows, columns: [m, s], maxShare: 0.4}", Passed);
    ours("{check: duplicateRows, columns: [m, s], maxShare: 0.39}", Failed);
    ours("{check: duplicateRows}", Passed);
    ours("{check: rowCountChange, maxShare: 0.25}", Passed);
    ours("{check: rowCountChange, maxShare: 0.2}", Failed);
    // A first version has changed nothing: nobody is to be asked about it.
    let first = engine("strongroom", "{check: rowCountChange, maxShare: 0.2}", CheckOptions::default());
    assert_eq!((first.status, first.measured), (Note, None), "{first:#?}");
    ours("{check: noOtherColumns}", Passed);
    ours("{check: compare, left: n, operator: '<=', right: m}", Failed);
    ours("{check: compare, left: n, operator: '!=', right: s}", NotRun);
    ours("{check: aggregate, column: n, statistic: sum, min: 10, max: 10}", Passed);
    for broken in
        ["{}", "{check: magic}", "{check: nearConstant}", "{check: nearConstant, column: s, minShare: 1}", "{check: leakage}"]
    {
        ours(broken, NotRun);
    }
}

#[test]
fn leakage_against_another_version() {
    let contract_text = format!(
        "schema:\n- name: t\n  quality: [{{type: custom, engine: strongroom, implementation: {{check: leakage, against: test@3}}}}]\n{COLUMNS}"
    );
    let needed = contract(&contract_text).needed_keys(None).unwrap();
    assert_eq!(needed, [NeededKeys { name: "test@3()".to_owned(), columns: Vec::new(), rows: true }]);
    let mut set = KeySet::new(0);
    set.add(&table().slice(4, 1), &[]).unwrap();
    let options = CheckOptions { keys: BTreeMap::from([(needed[0].name.clone(), Arc::new(set))]), ..CheckOptions::default() };
    let found = report(&contract_text, &table(), options);
    let rule = found.rule("t.quality[0]").unwrap();
    assert_eq!((rule.status, rule.violations, rule.examples[0].row, rule.measured), (Failed, 1, Some(4), Some(20.0)));
}
