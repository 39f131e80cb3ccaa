//! dbt's `schema.yml`: models, their columns and their tests.

use serde_json::{Map, Value};

use super::{Draft, Imported, list, object, only, text, unique_together, with_column};
use crate::ContractError;
use crate::model::{LogicalType, OneOrMany, Options, Property, Relationship, SchemaObject};
use crate::quality::{Operator, Quality};

/// What a test may say without changing what it holds the data to.
const SAY_NOTHING: &[&str] = &[
    "name",
    "description",
    "config",
    "severity",
    "tags",
    "meta",
    "type",
    "quote",
    "quote_columns",
    "store_failures",
    "warn_unenforced",
    "warn_unsupported",
];
/// Why a test is not taken over that asks for more than its plain form.
const CONDITIONAL: &str = "a test with a condition, a group or a threshold has no equal: write it as an `sql` rule";

/// Reads the models (and sources) of a `schema.yml` as a contract.
///
/// # Errors
/// `Syntax` if it has no models; `Invalid` if they refer to what is not there; `TooBig` over a limit.
pub fn dbt(schema: &str, id: &str) -> Result<Imported, ContractError> {
    let root = object(schema)?;
    let mut draft = Draft::new(id);
    let sources = || list(&root, "sources").iter().filter_map(Value::as_object);
    for source in sources() {
        fresh(&mut draft, source);
    }
    let sources = sources().flat_map(|source| list(source, "tables"));
    for model in list(&root, "models").iter().chain(list(&root, "seeds")).chain(sources).filter_map(Value::as_object) {
        let made = one(&mut draft, model);
        draft.contract.schema.push(made);
    }
    if draft.contract.schema.is_empty() {
        return Err(ContractError::Syntax("a schema.yml has a list of `models`; this has none".to_owned()));
    }
    lost_references(&mut draft);
    draft.finish()
}

fn one(draft: &mut Draft, model: &Map<String, Value>) -> SchemaObject {
    let mut made = SchemaObject {
        name: text(model, "name").unwrap_or_default().to_owned(),
        logical_type: Some(LogicalType::Object),
        description: text(model, "description").map(str::to_owned),
        ..SchemaObject::default()
    };
    for column in list(model, "columns").iter().filter_map(Value::as_object) {
        let mut property = Property {
            name: text(column, "name").unwrap_or_default().to_owned(),
            description: text(column, "description").map(str::to_owned),
            ..Property::default()
        };
        property.physical_type = text(column, "data_type").map(str::to_owned);
        let at = format!("{}.{}", made.name, property.name);
        for test in tests(column) {
            column_test(draft, &mut property, &at, test);
        }
        made.properties.push(property);
    }
    for test in tests(model) {
        table_test(draft, &mut made, test);
    }
    fresh(draft, model);
    made
}

/// Names what is said of a source's age.
fn fresh(draft: &mut Draft, of: &Map<String, Value>) {
    let config = of.get("config").and_then(Value::as_object);
    let said = of.get("freshness").or_else(|| config.and_then(|config| config.get("freshness")));
    if said.is_some_and(|said| !said.is_null()) {
        let at = text(of, "name").unwrap_or_default();
        draft.cannot(at, "freshness", "write it as `freshness` under `slaProperties`, with the column that tells the time");
    }
}

/// Tests under either name, and constraints of a model's contract.
fn tests(of: &Map<String, Value>) -> impl Iterator<Item = &Value> {
    ["tests", "data_tests", "constraints"].into_iter().flat_map(|name| list(of, name))
}

/// A test's name and its arguments, as written in any of dbt's ways.
fn read(test: &Value) -> (String, Map<String, Value>) {
    let named = |name: &str, arguments: &Value| {
        let mut arguments = arguments.as_object().cloned().unwrap_or_default();
        if let Some(Value::Object(inner)) = arguments.remove("arguments") {
            arguments.extend(inner);
        }
        (name.to_owned(), arguments)
    };
    match test {
        Value::String(name) => named(name, &Value::Null),
        // A constraint: `type: not_null`.
        Value::Object(map) if text(map, "type").is_some() => named(text(map, "type").unwrap_or_default(), test),
        Value::Object(map) => {
            map.iter().next().map_or_else(|| named("?", &Value::Null), |(name, arguments)| named(name, arguments))
        }
        _ => named("?", &Value::Null),
    }
}

/// A `where` or a threshold changes what a test means; such a test is not taken for the plain one.
fn conditional(arguments: &Map<String, Value>) -> bool {
    let config = arguments.get("config").and_then(Value::as_object);
    ["where", "error_if", "warn_if", "limit"]
        .iter()
        .any(|name| arguments.contains_key(*name) || config.is_some_and(|config| config.contains_key(*name)))
}

/// Whether a test says more than `known`: a condition on rows, a share, a group.
fn says_more(arguments: &Map<String, Value>, known: &[&str]) -> bool {
    let is_known = |name: &str| known.contains(&name) || SAY_NOTHING.contains(&name);
    arguments.iter().any(|(name, value)| !value.is_null() && !is_known(name))
}

/// Whether a broken test only warns.
fn warns(arguments: &Map<String, Value>) -> bool {
    let config = arguments.get("config").and_then(Value::as_object);
    let severity = text(arguments, "severity").or_else(|| config.and_then(|config| text(config, "severity")));
    severity.is_some_and(|severity| severity.eq_ignore_ascii_case("warn"))
}

/// What a test of a column means as a rule that may be minor; none if it has no such equal.
fn minor(name: &str, arguments: &Map<String, Value>) -> Option<Quality> {
    let mut rule = match name {
        "not_null" => Quality::library("nullValues", Operator::Be(0.0)),
        "unique" => Quality::library("duplicateValues", Operator::Be(0.0)),
        "accepted_values" => only(list(arguments, "values").to_vec()),
        _ => return None,
    };
    rule.severity = Some("warning".to_owned());
    Some(rule)
}

fn column_test(draft: &mut Draft, property: &mut Property, at: &str, test: &Value) {
    let (name, arguments) = read(test);
    let known: &[&str] = match name.as_str() {
        "accepted_values" => &["values"],
        "relationships" => &["to", "field"],
        "dbt_expectations.expect_column_values_to_match_regex" => &["regex"],
        "dbt_utils.accepted_range" => &["min_value", "max_value", "inclusive"],
        "dbt_expectations.expect_column_values_to_be_between" => &["min_value", "max_value", "strictly"],
        _ => &[],
    };
    let is_known = !known.is_empty() || matches!(name.as_str(), "not_null" | "unique" | "primary_key");
    if conditional(&arguments) || is_known && says_more(&arguments, known) {
        return draft.cannot(at, &name, CONDITIONAL);
    }
    if is_known && warns(&arguments) {
        match minor(&name, &arguments) {
            Some(rule) => property.quality.push(rule),
            None => draft.cannot(at, &name, "a test of this kind that only warns has no equal: write it as an `sql` rule"),
        }
        return;
    }
    match name.as_str() {
        "not_null" => property.required = Some(true),
        "unique" => property.unique = Some(true),
        "primary_key" => property.primary_key = Some(true),
        "accepted_values" => property.quality.push(only(list(&arguments, "values").to_vec())),
        "relationships" => {
            let to = text(&arguments, "to").and_then(referred);
            match (to, text(&arguments, "field")) {
                (Some(table), Some(field)) => property.relationships.push(Relationship {
                    kind: Some("foreignKey".to_owned()),
                    from: None,
                    to: OneOrMany::One(format!("{table}.{field}")),
                    other: Default::default(),
                }),
                _ => draft.cannot(at, &name, "it needs `to: ref('model')` and `field`"),
            }
        }
        "dbt_expectations.expect_column_values_to_match_regex" => {
            property.options_mut().pattern = text(&arguments, "regex").map(str::to_owned);
        }
        "dbt_utils.accepted_range" | "dbt_expectations.expect_column_values_to_be_between" => {
            if !range(property, &arguments) {
                draft.cannot(at, &name, "its limits are no numbers, or there is a range already: write it as an `sql` rule");
            }
        }
        _ => draft.cannot(at, &name, "the test has no equal: write it as an `sql` rule"),
    }
}

/// Takes limits over; not if they are expressions of SQL, or the column has limits.
fn range(property: &mut Property, arguments: &Map<String, Value>) -> bool {
    let limit = |name: &str| arguments.get(name).filter(|value| !value.is_null());
    let (low, high) = (limit("min_value"), limit("max_value"));
    let are_numbers = [low, high].into_iter().flatten().all(Value::is_number);
    if !are_numbers || property.logical_type_options.as_ref().is_some_and(has_range) {
        return false;
    }
    let is_open = limit("inclusive") == Some(&Value::Bool(false)) || limit("strictly") == Some(&Value::Bool(true));
    let options = property.options_mut();
    *(if is_open { &mut options.exclusive_minimum } else { &mut options.minimum }) = low.cloned();
    *(if is_open { &mut options.exclusive_maximum } else { &mut options.maximum }) = high.cloned();
    true
}

fn has_range(options: &Options) -> bool {
    [&options.minimum, &options.maximum, &options.exclusive_minimum, &options.exclusive_maximum].into_iter().any(Option::is_some)
}

/// The model in `ref('model')`, or the table in `source('source', 'table')`.
fn referred(text: &str) -> Option<&str> {
    let inner = text.trim().trim_start_matches("{{").trim_end_matches("}}").trim();
    let arguments = inner.strip_prefix("ref(").or_else(|| inner.strip_prefix("source("))?.strip_suffix(')')?;
    Some(arguments.rsplit(',').next()?.trim().trim_matches(['\'', '"']))
}

fn table_test(draft: &mut Draft, made: &mut SchemaObject, test: &Value) {
    let (name, arguments) = read(test);
    let at = made.name.clone();
    let known: &[&str] = match name.as_str() {
        "dbt_utils.unique_combination_of_columns" => &["combination_of_columns"],
        "unique" | "primary_key" => &["columns"],
        "dbt_expectations.expect_table_row_count_to_be_between" => &["min_value", "max_value"],
        _ => &[],
    };
    if conditional(&arguments) || !known.is_empty() && (says_more(&arguments, known) || warns(&arguments)) {
        return draft.cannot(&at, &name, CONDITIONAL);
    }
    let count = |name: &str| arguments.get(name).and_then(Value::as_f64);
    match name.as_str() {
        "dbt_utils.unique_combination_of_columns" => {
            let names: Vec<&str> = list(&arguments, "combination_of_columns").iter().filter_map(Value::as_str).collect();
            made.quality.push(unique_together(&names));
        }
        "unique" | "primary_key" if !list(&arguments, "columns").is_empty() => {
            let names: Vec<&str> = list(&arguments, "columns").iter().filter_map(Value::as_str).collect();
            made.quality.push(unique_together(&names));
            // No part of a primary key is null.
            for column in names.iter().filter(|_| name == "primary_key") {
                with_column(made, column, |property| property.required = Some(true));
            }
        }
        "dbt_expectations.expect_table_row_count_to_be_between" => {
            let mut rule = Quality { metric: Some("rowCount".to_owned()), ..Quality::default() };
            count("min_value").map(Operator::GreaterOrEqual).into_iter().for_each(|operator| rule.set(operator));
            count("max_value").map(Operator::LessOrEqual).into_iter().for_each(|operator| rule.set(operator));
            if let (Some(low), Some(high)) = (count("min_value"), count("max_value")) {
                rule = Quality::library("rowCount", Operator::Between(low, high));
            }
            made.quality.push(rule);
        }
        _ => draft.cannot(&at, &name, "the test has no equal: write it as an `sql` rule"),
    }
}

/// References to models that this file does not describe are named and left out: there is nothing here to refer to.
fn lost_references(draft: &mut Draft) {
    let known: Vec<(String, Vec<String>)> = draft
        .contract
        .schema
        .iter()
        .map(|object| (object.name.clone(), object.properties.iter().map(|property| property.name.clone()).collect()))
        .collect();
    let there = |to: &str| {
        to.split_once('.').is_some_and(|(table, field)| {
            known.iter().any(|(name, fields)| name == table && fields.iter().any(|one| one == field))
        })
    };
    let mut lost = Vec::new();
    for object in &mut draft.contract.schema {
        for property in &mut object.properties {
            let at = format!("{}.{}", object.name, property.name);
            property.relationships.retain(|relationship| {
                let to = relationship.to.list().join(",");
                let keep = there(&to);
                if !keep {
                    lost.push((at.clone(), to));
                }
                keep
            });
        }
    }
    for (at, to) in lost {
        draft.cannot(&at, "relationships", &format!("`{to}` is not described in this file: add it"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_schema_becomes_a_contract() {
        let yaml = "
version: 2
models:
- name: orders
  data_tests:
  - dbt_utils.unique_combination_of_columns:
      combination_of_columns: [id, line]
  - my_package.odd_test
  columns:
  - name: id
    data_type: bigint
    tests: [unique, not_null]
  - name: line
  - name: status
    tests:
    - accepted_values: {arguments: {values: [open, shipped]}}
    - not_null: {config: {where: 'x > 1'}}
  - name: customer
    tests:
    - relationships: {to: ref('customers'), field: id}
    - relationships: {to: \"ref('elsewhere')\", field: id}
- name: customers
  columns: [{name: id}]
";
        let imported = dbt(yaml, "shop").unwrap();
        let orders = imported.contract.object(Some("orders")).unwrap();
        let id = orders.property("id").unwrap();
        assert_eq!((id.required, id.unique, id.physical_type.as_deref()), (Some(true), Some(true), Some("bigint")));
        assert_eq!(orders.property("status").unwrap().quality.len(), 1);
        assert_eq!(orders.property("customer").unwrap().relationships[0].to.list(), ["customers.id"]);
        assert_eq!(orders.quality.len(), 1);
        let named: Vec<&str> = imported.unsupported.iter().map(|one| one.what.as_str()).collect();
        assert_eq!(named, ["my_package.odd_test", "relationships", "not_null"]);
        assert!(dbt("version: 2\n", "x").is_err());
    }

    #[test]
    fn a_test_that_asks_for_more_or_less_than_its_plain_form_is_no_plain_rule() {
        let yaml = "
models:
- name: orders
  constraints: [{type: primary_key, columns: [id]}]
  data_tests:
  - dbt_expectations.expect_table_row_count_to_be_between: {min_value: 1, group_by: [id]}
  columns:
  - name: id
    data_tests: [{not_null: {config: {severity: warn}}}, {unique: {severity: WARN, name: ids}}]
  - name: v
    tests:
    - dbt_expectations.expect_column_values_to_be_between: {min_value: 0, max_value: 5, row_condition: 'id > 1'}
    - dbt_expectations.expect_column_values_to_be_between: {min_value: \"'2010-01-01'::date\"}
    - dbt_expectations.expect_column_values_to_be_between: {min_value: 1, strictly: true}
    - dbt_utils.accepted_range: {max_value: 9}
    - relationships: {to: ref('orders'), field: id, severity: warn}
sources:
- name: raw
  freshness: {error_after: {count: 12, period: hour}}
  tables: [{name: events, columns: [{name: ts}]}]
";
        let imported = dbt(yaml, "shop").unwrap();
        let orders = imported.contract.object(Some("orders")).unwrap();
        let id = orders.property("id").unwrap();
        assert_eq!((id.required, id.unique, id.quality.len(), orders.quality.len()), (Some(true), None, 2, 1));
        assert!(id.quality.iter().all(|rule| rule.severity.as_deref() == Some("warning")));
        let options = orders.property("v").unwrap().logical_type_options.as_ref().unwrap();
        assert_eq!((options.exclusive_minimum.as_ref(), options.minimum.as_ref()), (Some(&Value::from(1)), None));
        assert_eq!(options.maximum, None);
        let named: Vec<(&str, &str)> = imported.unsupported.iter().map(|one| (one.at.as_str(), one.what.as_str())).collect();
        let between = "dbt_expectations.expect_column_values_to_be_between";
        let counted = "dbt_expectations.expect_table_row_count_to_be_between";
        let range = ("orders.v", "dbt_utils.accepted_range");
        let expected = [("orders", counted), ("orders.v", between), ("orders.v", between), range, ("orders.v", "relationships")];
        assert_eq!(named[..5], expected);
        assert_eq!(named[5..], [("raw", "freshness")]);
    }
}
