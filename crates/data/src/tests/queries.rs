//! SQL over versions: the rules of contracts before an inspection, and the queries of callers.

use std::collections::BTreeMap;

use gate::DataState;
use inspection::{Ask, QueryReport, QueryRows, QueryValue, Section};
use kernel::Kind;

use super::support::*;
use crate::CommitWish;
use crate::ops::*;

fn with_contract(contract: &str) -> CommitWish {
    CommitWish { contract: Some(contract.to_owned()), ..told() }
}

fn answered(value: QueryValue) -> Option<QueryReport> {
    Some(QueryReport { rules: BTreeMap::from([("t.q".to_owned(), value)]), ..QueryReport::default() })
}

fn query(world: &World, sql: &str) -> QueryVersion {
    let (dataset, version) = ("d".to_owned(), "1".to_owned());
    QueryVersion { room: world.room.clone(), dataset, version, sql: sql.to_owned(), row_count_max: 10 }
}

#[test]
fn sql_rules_are_asked_before_the_inspection_that_judges_by_them() {
    on_both_engines(|world| async move {
        *world.asked.answer.lock() = answered(QueryValue::Value(4.0));
        world.committed("d", &[("a.csv", b"1"), ("b.csv", b"22")], with_contract("quality: [{query: x}]")).await;
        world.inspected().await;
        let asked = world.asked.jobs.lock().clone();
        assert_eq!(asked.len(), 1);
        assert_eq!((asked[0].tables.len(), asked[0].tables[0].files.len()), (1, 2));
        assert!(matches!(&asked[0].ask, Ask::Rules { contract_yaml } if contract_yaml.contains("query")));
        let job = world.worker.jobs.lock().last().cloned().unwrap();
        assert_eq!(job.sql.values["t.q"], QueryValue::Value(4.0));
        assert_eq!(job.sql.fault, None);
    });
}

#[test]
fn a_contract_without_queries_asks_nothing() {
    on_both_engines(|world| async move {
        world.committed("d", &[("a.csv", b"1")], with_contract("quality: [{metric: rowCount}]")).await;
        world.inspected().await;
        assert!(world.asked.jobs.lock().is_empty());
        assert_eq!(world.worker.jobs.lock().last().unwrap().sql.fault, None);
    });
}

#[test]
fn the_version_before_is_a_table_for_rules_that_name_it() {
    on_both_engines(|world| async move {
        world.trusted().await;
        *world.asked.answer.lock() = answered(QueryValue::Value(0.0));
        world.committed("d", &[("a.csv", b"1")], told()).await;
        world.inspected().await;
        world.committed("d", &[("b.csv", b"2")], with_contract("query: SELECT 1 FROM previous")).await;
        world.inspected().await;
        let asked = world.asked.jobs.lock().last().cloned().unwrap();
        let tables: Vec<(&str, &str)> =
            asked.tables.iter().map(|table| (table.name.as_str(), table.files[0].path.as_str())).collect();
        assert_eq!(tables, [("d", "b.csv"), ("previous", "a.csv")]);
    });
}

#[test]
fn rules_that_cannot_be_run_are_said_to_be_so() {
    on_both_engines(|world| async move {
        world.committed("d", &[("a.csv", b"1")], with_contract("query: x")).await;
        world.inspected().await;
        let job = world.worker.jobs.lock().last().cloned().unwrap();
        assert!(job.sql.fault.unwrap().contains("a test says so"));
        assert!(job.sql.values.is_empty());
    });
}

#[test]
fn a_query_reads_the_version_and_is_recorded() {
    on_both_engines(|world| async move {
        let rows = QueryRows { columns: Vec::new(), row_count: 1, truncated: false, rows: Section::of(&[[7]]).unwrap() };
        *world.asked.answer.lock() = Some(QueryReport { rows: Some(rows), ..QueryReport::default() });
        world.trusted().await;
        world.committed("d", &[("a.csv", b"1")], told()).await;
        world.inspected().await;
        assert_eq!(world.state("d", "1").await, DataState::Admitted);
        let rows = world.call(query(&world, "SELECT 7 FROM data")).await.unwrap();
        assert_eq!(rows.rows.as_str(), "[[7]]");
        let asked = world.asked.jobs.lock().last().cloned().unwrap();
        assert_eq!((asked.tables[0].name.as_str(), asked.limits.row_count_max), ("data", 10));
        let recorded = world.gate.recorded();
        assert!(recorded.iter().any(|line| line.contains("datasets.read")), "{recorded:?}");
        assert!(!recorded.iter().any(|line| line.contains("SELECT")), "{recorded:?}");
    });
}

#[test]
fn a_query_that_is_too_much_or_not_run_says_why() {
    on_both_engines(|world| async move {
        world.committed("d", &[("a.csv", b"1")], told()).await;
        world.inspected().await;
        assert_eq!(kind(world.call(query(&world, "DROP TABLE data")).await), Kind::Invalid);
        assert_eq!(kind(world.call(query(&world, &"x".repeat(70_000))).await), Kind::TooLarge);
        assert_eq!(kind(world.call(QueryVersion { row_count_max: 0, ..query(&world, "SELECT 1") }).await), Kind::Invalid);
        assert_eq!(kind(world.call(QueryVersion { version: "9".to_owned(), ..query(&world, "SELECT 1") }).await), Kind::NotFound);
    });
}
