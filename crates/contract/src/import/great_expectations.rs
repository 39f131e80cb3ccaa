//! A suite of Great Expectations 1.x. What the standard has words for is written in them; what only our engine has is kept
//! verbatim as `engine: greatExpectations` and run; the rest is kept verbatim too, named, and never called passed.

use serde_json::{Map, Value, json};

use super::{Draft, Imported, list, object, only, text, unique_together, with_column};
use crate::ContractError;
use crate::model::{LogicalType, Property, SchemaObject};
use crate::quality::{Operator, Quality};
use crate::rules::expectation;

/// The name that the standard's examples give the engine.
const GREAT_EXPECTATIONS: &str = "greatExpectations";

/// Reads a suite as a contract over one table.
///
/// # Errors
/// `Syntax` if it is no suite; `TooBig` over a limit.
pub fn great_expectations(suite: &str, table: &str) -> Result<Imported, ContractError> {
    let suite = object(suite)?;
    if !suite.get("expectations").is_some_and(Value::is_array) {
        return Err(ContractError::Syntax("a suite has a list of `expectations`; this has none".to_owned()));
    }
    let mut draft = Draft::new(text(&suite, "name").unwrap_or(table));
    draft.contract.name = text(&suite, "name").map(str::to_owned);
    let mut made = SchemaObject { name: table.to_owned(), logical_type: Some(LogicalType::Object), ..SchemaObject::default() };
    for (index, one) in list(&suite, "expectations").iter().enumerate() {
        let Some(one) = one.as_object() else {
            draft.cannot(&format!("expectations[{index}]"), "?", "it is no object");
            continue;
        };
        add(&mut draft, &mut made, index, one);
    }
    draft.contract.schema.push(made);
    draft.finish()
}

fn add(draft: &mut Draft, object: &mut SchemaObject, index: usize, one: &Map<String, Value>) {
    let kind = text(one, "type").or_else(|| text(one, "expectation_type")).unwrap_or("?");
    let empty = Map::new();
    let kwargs = one.get("kwargs").and_then(Value::as_object).unwrap_or(&empty);
    let at = format!("expectations[{index}]");
    let found = expectation(kind, kwargs);
    if let Ok(found) = &found {
        // Names that are missing are added, so that rules over them have something to stand on.
        for name in &found.columns {
            with_column(object, name, |_| {});
        }
    }
    if found.is_ok() && !kwargs.contains_key("mostly") && plain_severity(one) && native(object, kind, kwargs) {
        return;
    }
    if let Err(why) = &found {
        draft.cannot(&at, kind, why);
    }
    let mut rule = Quality::custom(GREAT_EXPECTATIONS, json!({"type": kind, "kwargs": kwargs}));
    rule.severity = text(one, "severity").map(|word| if word == "critical" { "error" } else { word }.to_owned());
    match kwargs.get("column").and_then(Value::as_str) {
        Some(name) => with_column(object, name, |property| property.quality.push(rule)),
        None => object.quality.push(rule),
    }
}

/// A severity other than the highest is kept with the expectation.
fn plain_severity(one: &Map<String, Value>) -> bool {
    matches!(text(one, "severity"), None | Some("critical"))
}

/// Writes an expectation in the standard's own words; false if it has none.
fn native(object: &mut SchemaObject, kind: &str, kwargs: &Map<String, Value>) -> bool {
    let Some(name) = kwargs.get("column").and_then(Value::as_str) else { return table(object, kind, kwargs) };
    let mut done = true;
    with_column(object, name, |property| done = value(property, kind, kwargs));
    done
}

fn table(object: &mut SchemaObject, kind: &str, kwargs: &Map<String, Value>) -> bool {
    let number = |name: &str| kwargs.get(name).and_then(Value::as_f64);
    match kind {
        "expect_table_row_count_to_equal" => {
            let Some(count) = number("value") else { return false };
            object.quality.push(Quality::library("rowCount", Operator::Be(count)));
        }
        "expect_table_row_count_to_be_between" => {
            let strict = ["strict_min", "strict_max"].iter().any(|name| kwargs.get(*name).and_then(Value::as_bool) == Some(true));
            let operator = match (number("min_value"), number("max_value")) {
                _ if strict => return false,
                // The standard's own text leaves the ends of a between out, its tools put them in: equal ends say neither.
                (Some(low), Some(high)) if low < high => Operator::Between(low, high),
                (Some(low), None) => Operator::GreaterOrEqual(low),
                (None, Some(high)) => Operator::LessOrEqual(high),
                _ => return false,
            };
            object.quality.push(Quality::library("rowCount", operator));
        }
        "expect_compound_columns_to_be_unique" => {
            let names: Vec<&str> = list(kwargs, "column_list").iter().filter_map(Value::as_str).collect();
            object.quality.push(unique_together(&names));
        }
        _ => return false,
    }
    true
}

fn value(property: &mut Property, kind: &str, kwargs: &Map<String, Value>) -> bool {
    match kind {
        "expect_column_to_exist" => {}
        "expect_column_values_to_not_be_null" => property.required = Some(true),
        "expect_column_values_to_be_unique" => property.unique = Some(true),
        "expect_column_values_to_be_in_set" => property.quality.push(only(list(kwargs, "value_set").to_vec())),
        "expect_column_values_to_be_between" => return range(property, kwargs),
        "expect_column_values_to_match_regex" => {
            let options = property.options_mut();
            if options.pattern.is_some() {
                return false;
            }
            options.pattern = text(kwargs, "regex").map(str::to_owned);
            property.logical_type.get_or_insert(LogicalType::String);
        }
        "expect_column_value_lengths_to_be_between" | "expect_column_value_lengths_to_equal" => return lengths(property, kwargs),
        _ => return false,
    }
    true
}

/// Numbers only: for dates the expectation does not say which kind they are.
fn range(property: &mut Property, kwargs: &Map<String, Value>) -> bool {
    let side = |name: &str| kwargs.get(name).filter(|value| !value.is_null()).cloned();
    let (low, high) = (side("min_value"), side("max_value"));
    let open = |name: &str| kwargs.get(name).and_then(Value::as_bool).unwrap_or(false);
    let numbers = low.iter().chain(&high).all(Value::is_number);
    let options = property.options_mut();
    let taken = [&options.minimum, &options.maximum, &options.exclusive_minimum, &options.exclusive_maximum];
    if !numbers || taken.iter().any(|limit| limit.is_some()) || !matches!(property.logical_type, None | Some(LogicalType::Number))
    {
        return false;
    }
    property.logical_type = Some(LogicalType::Number);
    let options = property.options_mut();
    *(if open("strict_min") { &mut options.exclusive_minimum } else { &mut options.minimum }) = low;
    *(if open("strict_max") { &mut options.exclusive_maximum } else { &mut options.maximum }) = high;
    true
}

fn lengths(property: &mut Property, kwargs: &Map<String, Value>) -> bool {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "the expectation was read: whole and not negative"
    )]
    let count = |name: &str| kwargs.get(name).and_then(Value::as_f64).map(|count| count as u64);
    let options = property.options_mut();
    let strict = ["strict_min", "strict_max"].iter().any(|name| kwargs.get(*name).and_then(Value::as_bool) == Some(true));
    if strict || options.min_length.is_some() || options.max_length.is_some() {
        return false;
    }
    options.min_length = count("min_value").or_else(|| count("value"));
    options.max_length = count("max_value").or_else(|| count("value"));
    property.logical_type.get_or_insert(LogicalType::String);
    true
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Contract;

    const SUITE: &str = r#"{"name": "s", "expectations": [
        {"type": "expect_column_values_to_not_be_null", "kwargs": {"column": "id"}, "meta": {}, "severity": "critical"},
        {"type": "expect_column_values_to_be_unique", "kwargs": {"column": "id"}},
        {"type": "expect_column_values_to_be_between", "kwargs": {"column": "age", "min_value": 0, "max_value": 120, "strict_max": true}},
        {"type": "expect_column_values_to_be_between", "kwargs": {"column": "height", "min_value": 0, "mostly": 0.9}},
        {"type": "expect_column_values_to_be_in_set", "kwargs": {"column": "sex", "value_set": ["f", "m", "x"]}},
        {"type": "expect_column_values_to_match_regex", "kwargs": {"column": "zip", "regex": "^[0-9]{5}$"}},
        {"type": "expect_column_value_lengths_to_equal", "kwargs": {"column": "zip", "value": 5.0}},
        {"type": "expect_table_row_count_to_be_between", "kwargs": {"min_value": 1, "max_value": 100}},
        {"type": "expect_compound_columns_to_be_unique", "kwargs": {"column_list": ["id", "zip"]}},
        {"type": "expect_column_mean_to_be_between", "kwargs": {"column": "age", "min_value": 20}, "severity": "warning"},
        {"type": "expect_column_kl_divergence_to_be_less_than", "kwargs": {"column": "age", "threshold": 0.1}},
        {"type": "expect_column_values_to_be_json_parseable", "kwargs": {"column": "blob"}}
    ], "meta": {"great_expectations_version": "1.24.1"}, "notes": null}"#;

    #[test]
    fn a_suite_becomes_a_contract() {
        let imported = great_expectations(SUITE, "people").unwrap();
        let table = &imported.contract.schema[0];
        let column = |name: &str| table.property(name).unwrap();
        assert_eq!((column("id").required, column("id").unique), (Some(true), Some(true)));
        let age = column("age").logical_type_options.as_ref().unwrap();
        assert_eq!((age.minimum.clone(), age.exclusive_maximum.clone()), (Some(json!(0)), Some(json!(120))));
        assert_eq!(column("age").quality[0].severity.as_deref(), Some("warning"));
        assert_eq!(column("height").quality[0].engine.as_deref(), Some("greatExpectations"));
        let zip = column("zip").logical_type_options.as_ref().unwrap();
        assert_eq!((zip.pattern.as_deref(), zip.min_length, zip.max_length), (Some("^[0-9]{5}$"), Some(5), Some(5)));
        assert_eq!(table.quality.len(), 2);
        let named: Vec<&str> = imported.unsupported.iter().map(|one| one.what.as_str()).collect();
        assert_eq!(named, ["expect_column_kl_divergence_to_be_less_than", "expect_column_values_to_be_json_parseable"]);
        let written = imported.contract.to_yaml().unwrap();
        assert_eq!(Contract::from_yaml(&written).unwrap().contract, imported.contract);
    }

    #[test]
    fn what_is_no_suite_is_refused() {
        for text in ["[]", "{}", "{\"expectations\": 1}", "{"] {
            assert!(great_expectations(text, "t").is_err(), "{text}");
        }
        assert_eq!(great_expectations("{\"expectations\": [1, {}]}", "t").unwrap().unsupported.len(), 2);
    }
}
