//! Contracts checked over small tables: each rule where it holds and where it breaks.

mod engines;
mod merges;
mod rules;
mod tolerance;

use std::sync::Arc;

use arrow_array::{ArrayRef, RecordBatch};

use super::*;

const HEAD: &str = "apiVersion: v3.1.0\nkind: DataContract\nid: c\nversion: 1.0.0\nstatus: active\n";

/// A batch of named columns.
fn batch(columns: Vec<(&str, ArrayRef)>) -> RecordBatch {
    RecordBatch::try_from_iter_with_nullable(columns.into_iter().map(|(name, array)| (name, array, true))).unwrap()
}

fn contract(schema: &str) -> Contract {
    Contract::from_yaml(&format!("{HEAD}{schema}")).unwrap().contract
}

/// The report of a contract's first table over a batch.
fn report(schema: &str, batch: &RecordBatch, options: CheckOptions) -> ContractReport {
    let contract = contract(schema);
    let object = contract.schema[0].name.clone();
    let mut checker = Checker::new(&contract, Some(&object), &batch.schema(), options).unwrap();
    checker.update(batch, 0).unwrap();
    checker.finish()
}

/// Checks one column `a` under a property written in one line, and says what each named rule must find.
fn check(property: &str, column: ArrayRef, wanted: &[(&str, Status, u64)]) {
    check_from(Source::Typed, property, column, wanted);
}

fn check_from(source: Source, property: &str, column: ArrayRef, wanted: &[(&str, Status, u64)]) {
    let schema = format!("schema:\n- name: t\n  properties:\n  - {{name: a, {property}}}\n");
    let report = report(&schema, &batch(vec![("a", column)]), CheckOptions { source, ..CheckOptions::default() });
    for (rule, status, violations) in wanted {
        let found = report.rule(rule).unwrap_or_else(|| panic!("no rule {rule} in {report:#?}"));
        assert_eq!((found.status, found.violations), (*status, *violations), "{property}: {found:#?}");
        assert_eq!(found.remedy.is_empty(), matches!(status, Status::Passed | Status::Note), "{found:#?}");
    }
}

fn shared<A: arrow_array::Array + 'static>(array: A) -> ArrayRef {
    Arc::new(array)
}
