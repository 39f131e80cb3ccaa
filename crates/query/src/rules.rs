//! The SQL rules of a data contract (ODCS v3.1): their queries are run, and each gives a number or a reason.

use std::collections::BTreeMap;
use std::sync::Arc;

use contract::{CheckOptions, Checker, Contract, SqlResult};
use inspection::{QueryLimits, QueryValue};
use tables::Table;

use crate::engine::{self, Engine, Meter};

/// What the table is called in queries where its own name in the contract is no plain word.
const TABLE_NAME: &str = "data_set";

/// The answers of all SQL rules of a contract's table.
pub(crate) struct Answers {
    /// The check of that table, which has seen no rows.
    pub checker: Checker,
    /// What each rule's query gave.
    pub values: BTreeMap<String, QueryValue>,
}

impl Answers {
    /// The same, as the contract's check takes them.
    pub(crate) fn evidence(&self) -> BTreeMap<String, SqlResult> {
        let result = |value: &QueryValue| match value {
            QueryValue::Value(value) => SqlResult::Value(*value),
            QueryValue::Failed(why) => SqlResult::Failed(why.clone()),
        };
        self.values.iter().map(|(rule, value)| (rule.clone(), result(value))).collect()
    }
}

/// Runs the queries of the rules about `object`, or about the only table there is. The first of `tables` is that table.
///
/// # Errors
/// In words, if the contract or the tables are no ground to run anything on.
pub(crate) fn run(
    contract_yaml: &str,
    object: Option<&str>,
    tables: Vec<(String, Table)>,
    limits: &QueryLimits,
    meter: &Arc<Meter>,
    news: &dyn Fn(&str),
) -> Result<Answers, String> {
    let contract = Contract::from_yaml(contract_yaml).map_err(|error| error.to_string())?.contract;
    let object = contract.object(object).map_err(|error| error.to_string())?;
    let mut tables = tables.into_iter();
    let (own_name, table) = tables.next().ok_or("there is no table")?;
    let checker = Checker::new(&contract, Some(&object.name), table.schema(), CheckOptions::default());
    let checker = checker.map_err(|error| error.to_string())?;
    let called = [Some(object.name.as_str()), object.physical_name.as_deref(), Some(own_name.as_str())];
    let called: Vec<String> = called.into_iter().flatten().filter(|name| is_plain(name)).map(str::to_owned).collect();
    let name = called.first().cloned().unwrap_or_else(|| TABLE_NAME.to_owned());
    let queries = checker.queries(&name);
    let mut values = BTreeMap::new();
    if queries.is_empty() {
        return Ok(Answers { checker, values });
    }
    let names = called.into_iter().chain([TABLE_NAME.to_owned()]).collect();
    let named = std::iter::once((names, table)).chain(tables.map(|(name, table)| (vec![name], table))).collect();
    let engine = Engine::new(named, limits.clone(), meter).map_err(|error| error.without_values())?;
    for query in queries {
        news(&query.rule);
        let value = engine::for_report(engine.value(&query.sql));
        if values.insert(query.rule.clone(), value).is_some() {
            let why = "another rule has the same name; give each an `id` of its own";
            values.insert(query.rule, QueryValue::Failed(why.to_owned()));
        }
    }
    Ok(Answers { checker, values })
}

/// Whether a name is one word, which may stand after FROM once it is quoted.
fn is_plain(name: &str) -> bool {
    !name.is_empty() && !name.contains(['.', '"'])
}

#[cfg(test)]
mod tests {
    use contract::{Evidence, Status};
    use tables::{DataFile, ReadOptions};

    use super::*;

    const ORDERS: &str = "Id,customer,amount\n1,a,10\n2,b,20\n3,z,secret\n";

    fn table(text: &str) -> Table {
        Table::open(vec![DataFile::in_memory("t.csv", text.to_owned())], &ReadOptions::default()).unwrap()
    }

    fn answers(object: &str, quality: &str) -> Result<Answers, String> {
        let yaml = format!(
            "apiVersion: v3.1.0\nkind: DataContract\nid: c\nversion: 1.0.0\nstatus: active\nschema:\n- name: {object}\n  quality:\n{quality}  \
             properties:\n  - name: Id\n    quality:\n    - {{id: p, type: sql, query: 'SELECT MAX(${{property}}) FROM ${{object}}', mustBe: 3}}\n"
        );
        let tables = vec![("file".to_owned(), table(ORDERS)), ("customers".to_owned(), table("id\na\nb\n"))];
        run(&yaml, None, tables, &QueryLimits::default(), &Meter::new(|_| {}), &|_| {})
    }

    #[track_caller]
    fn check(rule: &str, expected: Status, message: &str) {
        for object in ["orders", "my.orders", "Orders 2024"] {
            let answers = answers(object, &format!("  - {{id: q, type: sql, {rule}}}\n")).unwrap();
            let evidence = answers.evidence();
            let report = answers.checker.finish_with(&Evidence { profile: None, sql: Some(&evidence) });
            let found = report.rules.iter().find(|found| found.rule == format!("{object}.q")).unwrap();
            assert_eq!(found.status, expected, "{object}: {rule}: {}", found.message);
            assert!(found.message.contains(message) && !found.message.contains("secret"), "{rule}: {}", found.message);
            let property = report.rules.iter().find(|found| found.rule == format!("{object}.Id.p")).unwrap();
            assert_eq!(property.status, Status::Passed, "{object}: {}", property.message);
        }
    }

    #[test]
    fn rules_hold_or_not_or_are_not_run() {
        check("query: 'SELECT COUNT(*) FROM {object}', mustBe: 3", Status::Passed, "");
        check("query: 'SELECT COUNT(*) FROM ${object}', mustBeGreaterThan: 5", Status::Failed, "is 3");
        check("query: 'SELECT COUNT(*) FROM data_set', mustBeBetween: [1, 5]", Status::Passed, "");
        check("query: 'SELECT id FROM {object} WHERE id > 1', mustBeLessThan: 2", Status::Failed, "is 2");
        check("query: 'SELECT COUNT(*) FROM nowhere', mustBe: 3", Status::NotRun, "nowhere");
        check("query: 'SELECT SUM(CAST(amount AS INT)) FROM {object}', mustBe: 3", Status::NotRun, "TRY_CAST");
        check("query: 'DROP TABLE {object}', mustBe: 3", Status::NotRun, "only SELECT");
        check("query: 'SELECT 3; SELECT 3', mustBe: 3", Status::NotRun, "exactly one SELECT");
    }

    #[test]
    fn a_reference_to_another_table_is_a_join() {
        let sql = "SELECT COUNT(*) FROM {object} o LEFT JOIN customers c ON o.customer = c.id WHERE c.id IS NULL";
        check(&format!("query: '{sql}', mustBe: 1"), Status::Passed, "");
        check(&format!("query: '{sql}', mustBe: 0"), Status::Failed, "is 1");
    }

    #[test]
    fn rows_that_a_great_expectations_rule_does_not_expect_are_counted() {
        let custom = |limit: u32| {
            format!(
                "  - {{id: q, type: custom, engine: greatExpectations, implementation: {{type: unexpected_rows_expectation, kwargs: \
                 {{unexpected_rows_query: 'SELECT * FROM {{batch}} WHERE id > {limit}'}}}}}}\n"
            )
        };
        for (limit, expected) in [(3, 0.0), (1, 2.0)] {
            let values = answers("orders", &custom(limit)).unwrap().values;
            assert_eq!(values["orders.q"], QueryValue::Value(expected), "{values:?}");
        }
    }

    #[test]
    fn two_rules_of_one_name_are_not_told_apart() {
        let twice =
            "  - {id: q, type: sql, query: 'SELECT 1', mustBe: 1}\n  - {id: q, type: sql, query: 'SELECT 2', mustBe: 2}\n";
        let values = answers("orders", twice).unwrap().values;
        assert!(matches!(&values["orders.q"], QueryValue::Failed(why) if why.contains("same name")), "{values:?}");
    }

    #[test]
    fn a_contract_that_is_none_is_an_error() {
        let tables = || vec![("t".to_owned(), table(ORDERS))];
        for yaml in ["[", "kind: DataContract", "schema: [{name: a}, {name: b}]"] {
            let answered = run(yaml, None, tables(), &QueryLimits::default(), &Meter::new(|_| {}), &|_| {});
            assert!(answered.is_err(), "{yaml}");
        }
    }
}
