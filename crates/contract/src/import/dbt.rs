//! dbt's `schema.yml`: models, their columns and their tests.

use serde_json::{Map, Value};

use super::{Draft, Imported, list, object, only, text, unique_together};
use crate::ContractError;
use crate::model::{LogicalType, OneOrMany, Property, Relationship, SchemaObject};
use crate::quality::{Operator, Quality};

/// Reads the models (and sources) of a `schema.yml` as a contract.
///
/// # Errors
/// `Syntax` if it has no models; `Invalid` if they refer to what is not there; `TooBig` over a limit.
pub fn dbt(schema: &str, id: &str) -> Result<Imported, ContractError> {
    let root = object(schema)?;
    let mut draft = Draft::new(id);
    let sources = list(&root, "sources").iter().filter_map(Value::as_object).flat_map(|source| list(source, "tables"));
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
    made
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

fn column_test(draft: &mut Draft, property: &mut Property, at: &str, test: &Value) {
    let (name, arguments) = read(test);
    if conditional(&arguments) {
        return draft.cannot(at, &name, "a test with a condition or a threshold has no equal: write it as an `sql` rule");
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
        "dbt_expectations.expect_column_values_to_match_regex" if arguments.len() == 1 => {
            property.options_mut().pattern = text(&arguments, "regex").map(str::to_owned);
        }
        "dbt_utils.accepted_range" | "dbt_expectations.expect_column_values_to_be_between" => {
            let open = arguments.get("inclusive") == Some(&Value::Bool(false));
            let options = property.options_mut();
            *(if open { &mut options.exclusive_minimum } else { &mut options.minimum }) = arguments.get("min_value").cloned();
            *(if open { &mut options.exclusive_maximum } else { &mut options.maximum }) = arguments.get("max_value").cloned();
        }
        _ => draft.cannot(at, &name, "the test has no equal: write it as an `sql` rule"),
    }
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
    if conditional(&arguments) {
        return draft.cannot(&at, &name, "a test with a condition or a threshold has no equal: write it as an `sql` rule");
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
}
