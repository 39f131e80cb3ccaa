//! A contract proposed from what was seen in the data: for a person to review, never in force by itself.
//!
//! What people wrote into the contract before stays. Only what the data no longer hold to is widened, what is new is added and
//! what is gone is left out; so that [`crate::diff`] against the contract before is what there is to review.

use profile::{ColumnProfile, Kind, NumberReport, Profile, Value};
use serde_json::json;

use crate::diff::{Effect, diff};
use crate::model::{Contract, LogicalType, Property, SchemaObject};
use crate::quality::{Operator, Quality, json_number};
use crate::{ENGINE, import};

/// Different values that are proposed as the only ones.
const CATEGORY_VALUE_COUNT_MAX: usize = 20;
/// Rows below which so little was seen that only types are proposed.
const ROW_COUNT_MIN: u64 = 30;
/// Room above the greatest value that was seen.
const ROOM: f64 = 1.1;
/// Names of columns that models are taught to predict.
const LABEL_NAMES: [&str; 6] = ["label", "labels", "target", "class", "y", "outcome"];

/// A contract for a table, from its profile and, where there is one, the contract before.
#[must_use]
pub fn propose(profile: &Profile, table: &str, previous: Option<&Contract>) -> Contract {
    let mut made = previous.cloned().unwrap_or_else(|| Contract::new(table, "0.1.0", "proposed"));
    let before = made.schema.iter().position(|object| object.name == table);
    let mut object = match before {
        Some(at) => made.schema.remove(at),
        None => fresh(profile, table),
    };
    let known = std::mem::take(&mut object.properties);
    for column in &profile.columns {
        let property = match known.iter().find(|property| property.stored_name() == column.name) {
            Some(property) => widened(property.clone(), column),
            None => proposed(column),
        };
        object.properties.push(property);
    }
    made.schema.insert(before.unwrap_or(0), object);
    if let Some(previous) = previous {
        forget_what_is_gone(&mut made, table);
        made.version = next_version(previous, &made);
        if made != *previous {
            "proposed".clone_into(&mut made.status);
        }
    }
    made
}

/// A table's own rules, where there were none.
fn fresh(profile: &Profile, table: &str) -> SchemaObject {
    let mut object = SchemaObject { name: table.to_owned(), logical_type: Some(LogicalType::Object), ..SchemaObject::default() };
    object.quality.push(Quality::library("rowCount", Operator::GreaterThan(0.0)));
    if profile.row_count >= ROW_COUNT_MIN {
        object.quality.push(warning(json!({"check": "rowCountChange", "maxShare": 0.5})));
        if profile.duplicate_rows_exact && profile.duplicate_row_share == 0.0 {
            object.quality.push(warning(json!({"check": "duplicateRows", "maxShare": 0.01})));
        }
    }
    object
}

fn warning(implementation: serde_json::Value) -> Quality {
    Quality { severity: Some("warning".to_owned()), ..Quality::custom(ENGINE, implementation) }
}

/// The logical type of an Arrow type's name.
fn logical_type(data_type: &str) -> Option<LogicalType> {
    let data_type =
        data_type.strip_prefix("Dictionary(").and_then(|inner| inner.split_once(", ")).map_or(data_type, |(_, value)| value);
    let starts = |words: &[&str]| words.iter().any(|word| data_type.starts_with(word));
    Some(match data_type {
        _ if starts(&["Int", "UInt"]) => LogicalType::Integer,
        _ if starts(&["Float", "Decimal"]) => LogicalType::Number,
        _ if starts(&["Boolean"]) => LogicalType::Boolean,
        _ if starts(&["Utf8", "LargeUtf8"]) => LogicalType::String,
        _ if starts(&["Date"]) => LogicalType::Date,
        _ if starts(&["Timestamp"]) => LogicalType::Timestamp,
        _ if starts(&["Time"]) => LogicalType::Time,
        _ if starts(&["List", "LargeList", "FixedSizeList"]) => LogicalType::Array,
        _ if starts(&["Struct", "Map"]) => LogicalType::Object,
        _ => return None,
    })
}

/// A column as it was seen.
fn proposed(column: &ColumnProfile) -> Property {
    let mut made = Property { name: column.name.clone(), logical_type: logical_type(&column.data_type), ..Property::default() };
    if column.row_count < ROW_COUNT_MIN {
        return made;
    }
    if column.null_count == 0 {
        made.required = Some(true);
    }
    if column.kind == Kind::Identifier && column.repeated_share == 0.0 {
        made.unique = Some(true);
    }
    if matches!(column.kind, Kind::Number | Kind::Integer)
        && let Some(numbers) = &column.numbers
    {
        limits(&mut made, numbers);
    }
    if matches!(column.kind, Kind::Category | Kind::Boolean) && made.logical_type != Some(LogicalType::Boolean) {
        values(&mut made, column);
    }
    if let Some(text) = column.text.as_ref().filter(|_| made.logical_type == Some(LogicalType::String)) {
        if let Some(longest) = text.lengths.maximum {
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a length")]
            let longest = round_up(longest * ROOM) as u64;
            made.options_mut().max_length = Some(longest);
        }
        let single = text.patterns.first().filter(|found| found.share >= 1.0 && text.other_pattern_share == 0.0);
        if let Some(pattern) = single.and_then(|found| expression(&found.pattern)) {
            made.options_mut().pattern = Some(pattern);
        }
    }
    if LABEL_NAMES.contains(&column.name.to_ascii_lowercase().as_str()) && matches!(column.kind, Kind::Category | Kind::Boolean) {
        made.quality.push(warning(json!({"check": "labelBalance", "minShare": 0.01})));
    }
    made
}

/// Limits with room: exactly what was seen would fail the next version.
fn limits(made: &mut Property, numbers: &NumberReport) {
    let (Some(low), Some(high)) = (numbers.minimum, numbers.maximum) else { return };
    let share = low >= 0.0 && high <= 1.0 && numbers.whole_count < numbers.zero_count.saturating_add(1).max(2);
    let (bounded_below, bounded_above) = bounded(numbers);
    if !bounded_below && !bounded_above {
        return;
    }
    let options = made.options_mut();
    if bounded_below {
        options.minimum = finite(if low >= 0.0 { 0.0 } else { -round_up(-low * ROOM) });
    }
    if bounded_above {
        options.maximum = finite(match () {
            () if share => 1.0,
            () if high <= 0.0 => 0.0,
            () => round_up(high * ROOM),
        });
    }
}

/// Whether a least and a greatest value can hold: what is no number is in no range, and nothing is beyond what is infinite.
const fn bounded(numbers: &NumberReport) -> (bool, bool) {
    let all_numbers = numbers.nan_count == 0;
    (all_numbers && numbers.negative_infinity_count == 0, all_numbers && numbers.positive_infinity_count == 0)
}

/// A limit; none where it would be infinite.
fn finite(limit: f64) -> Option<serde_json::Value> {
    limit.is_finite().then(|| json_number(limit))
}

/// The next 1, 2 or 5 times a power of ten.
fn round_up(value: f64) -> f64 {
    if value <= 0.0 || !value.is_finite() {
        return value.max(0.0);
    }
    let power = 10_f64.powf(value.log10().floor());
    [1.0, 2.0, 5.0].into_iter().map(|step| step * power).find(|step| *step >= value).unwrap_or(10.0 * power)
}

fn values(made: &mut Property, column: &ColumnProfile) {
    // What is not finite is in no list either.
    let all = column.numbers.as_ref().is_none_or(|numbers| bounded(numbers) == (true, true))
        && column.distinct_is_exact
        && column.distinct_count == column.top.len() as u64
        && column.top.len() <= CATEGORY_VALUE_COUNT_MAX;
    let value = |value: &Value| match value {
        Value::Text(text) => Some(json!(text)),
        Value::Integer(number) => Some(json!(number)),
        Value::Number(number) => finite(*number),
        Value::Boolean(yes) => Some(json!(yes)),
        Value::Masked => None,
    };
    let mut seen: Vec<serde_json::Value> = column.top.iter().filter_map(|top| value(&top.value)).collect();
    if all && seen.len() == column.top.len() {
        seen.sort_by_key(ToString::to_string);
        made.quality.push(import::only(seen));
    }
}

/// A regular expression for a shape of fixed width, such as `A999-99`; none for shapes that stand for several lengths.
fn expression(shape: &str) -> Option<String> {
    if shape.is_empty() || shape.contains(['+', '…', 'ä']) {
        return None;
    }
    let one = |one: char| match one {
        'A' => "[A-Z]".to_owned(),
        'a' => "[a-z]".to_owned(),
        '9' => "[0-9]".to_owned(),
        plain if plain.is_ascii_alphanumeric() || matches!(plain, ' ' | '-' | '_' | ':' | '/' | ',' | '@') => plain.to_string(),
        special => format!("\\{special}"),
    };
    Some(format!("^{}$", shape.chars().map(one).collect::<String>()))
}

/// A column that people have described, its limits widened to what was seen.
fn widened(mut property: Property, column: &ColumnProfile) -> Property {
    if property.required == Some(true) && column.null_count > 0 {
        property.required = Some(false);
    }
    if property.unique == Some(true) && column.repeated_share > 0.0 && column.distinct_is_exact {
        property.unique = Some(false);
    }
    let seen = logical_type(&column.data_type);
    let same = property.logical_type.is_none_or(|known| seen.is_none_or(|seen| compatible(known, seen)));
    if !same {
        property.logical_type = seen;
        property.logical_type_options = None;
    }
    let Some(options) = &mut property.logical_type_options else { return property };
    if let Some(numbers) = &column.numbers {
        let (bounded_below, bounded_above) = bounded(numbers);
        if !bounded_below {
            (options.minimum, options.exclusive_minimum) = (None, None);
        }
        if !bounded_above {
            (options.maximum, options.exclusive_maximum) = (None, None);
        }
    }
    let ends = column.numbers.as_ref().map(|numbers| (numbers.minimum, numbers.maximum));
    if let Some((Some(low), Some(high))) = ends {
        if options.minimum.as_ref().and_then(serde_json::Value::as_f64).is_some_and(|limit| low < limit) {
            options.minimum = Some(json_number(low));
        }
        if options.maximum.as_ref().and_then(serde_json::Value::as_f64).is_some_and(|limit| high > limit) {
            options.maximum = Some(json_number(high));
        }
    }
    if let Some(text) = &column.text {
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a length")]
        let length = |length: Option<f64>| length.map(|length| length as u64);
        let (shortest, longest) = (length(text.lengths.minimum), length(text.lengths.maximum));
        options.min_length = options.min_length.map(|limit| shortest.map_or(limit, |seen| limit.min(seen)));
        options.max_length = options.max_length.map(|limit| longest.map_or(limit, |seen| limit.max(seen)));
    }
    property
}

/// Whether data of a type hold to a contract of another: whole numbers are numbers, and files write dates as times and texts.
fn compatible(known: LogicalType, seen: LogicalType) -> bool {
    use LogicalType::{Date, Integer, Number, String, Time, Timestamp};
    known == seen || matches!((known, seen), (Number, Integer) | (Date, Timestamp) | (Date | Timestamp | Time, String))
}

/// Rules and references over columns that are no longer there.
fn forget_what_is_gone(contract: &mut Contract, table: &str) {
    let names: Vec<String> = contract
        .schema
        .iter()
        .find(|object| object.name == table)
        .map(|object| object.properties.iter().map(|property| property.name.clone()).collect())
        .unwrap_or_default();
    let there = |name: &str| names.iter().any(|known| known == name);
    let whole = |rule: &Quality| {
        let listed = rule.arguments.get("properties").and_then(serde_json::Value::as_array);
        listed.is_none_or(|list| list.iter().filter_map(serde_json::Value::as_str).all(there))
    };
    let kept = |reference: &str| match reference.strip_prefix(&format!("{table}.")) {
        Some(rest) => there(rest.split('.').next().unwrap_or_default()),
        None => true,
    };
    for object in &mut contract.schema {
        if object.name == table {
            object.quality.retain(whole);
        }
        let keeps = |relationship: &crate::Relationship| {
            relationship.from.iter().flat_map(crate::OneOrMany::list).chain(relationship.to.list()).all(kept)
        };
        object.relationships.retain(keeps);
        for property in &mut object.properties {
            property.relationships.retain(keeps);
        }
    }
}

/// The next version after the changes: a breaking one raises the first number, another the second.
fn next_version(previous: &Contract, made: &Contract) -> String {
    let changes = diff(previous, made);
    let mut numbers: Vec<u64> = previous.version.split('.').filter_map(|part| part.parse().ok()).collect();
    numbers.resize(3, 0);
    let [major, minor, _] = numbers.as_slice() else { return previous.version.clone() };
    if changes.iter().any(|change| change.effect == Effect::Breaking) {
        format!("{}.0.0", major + 1)
    } else if changes.iter().any(|change| change.effect == Effect::NonBreaking) {
        format!("{major}.{}.0", minor + 1)
    } else {
        previous.version.clone()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow_array::{ArrayRef, Float64Array, Int64Array, RecordBatch, StringArray};
    use profile::Profiler;

    use super::*;
    use crate::{CheckOptions, Checker, Verdict};

    fn table(extra: i64, label: bool) -> RecordBatch {
        let rows = 0..200_i64;
        let mut columns: Vec<(&str, ArrayRef)> = vec![
            ("id", Arc::new(rows.clone().collect::<Int64Array>())),
            ("age", Arc::new(rows.clone().map(|row| Some(row % 80 + extra).filter(|_| row != 7)).collect::<Int64Array>())),
            ("code", Arc::new(rows.clone().map(|row| Some(format!("B{:03}-x", row % 150))).collect::<StringArray>())),
            #[expect(clippy::cast_precision_loss, reason = "small numbers")]
            ("share", Arc::new(rows.clone().map(|row| Some(row as f64 / 400.0 + 0.001)).collect::<Float64Array>())),
        ];
        if label {
            columns.push((
                "label",
                Arc::new(rows.map(|row| Some(if row % 3 == 0 { "NO" } else { "yes" })).collect::<StringArray>()),
            ));
        }
        RecordBatch::try_from_iter_with_nullable(columns.into_iter().map(|(name, array)| (name, array, true))).unwrap()
    }

    fn profiled(table: &RecordBatch) -> Profile {
        let mut profiler = Profiler::new(&table.schema(), &profile::Options::default()).unwrap();
        profiler.update(table).unwrap();
        profiler.finish()
    }

    fn verdict(contract: &Contract, table: &RecordBatch) -> Verdict {
        let options = CheckOptions { previous_rows: Some(200), ..CheckOptions::default() };
        let mut checker = Checker::new(contract, None, &table.schema(), options).unwrap();
        checker.update(table, 0).unwrap();
        checker.finish().verdict
    }

    #[test]
    fn what_is_proposed_holds_and_can_be_written() {
        let table = table(0, true);
        let made = propose(&profiled(&table), "people", None);
        let object = made.object(None).unwrap();
        let column = |name: &str| object.property(name).unwrap();
        assert_eq!((column("id").required, column("id").unique), (Some(true), Some(true)));
        assert_eq!((column("age").required, column("age").unique), (None, None));
        assert_eq!(column("age").logical_type_options.as_ref().unwrap().maximum, Some(json!(100)));
        assert_eq!(column("share").logical_type_options.as_ref().unwrap().maximum, Some(json!(1)));
        assert_eq!(
            column("code").logical_type_options.as_ref().unwrap().pattern.as_deref(),
            Some("^[A-Z][0-9][0-9][0-9]-[a-z]$")
        );
        assert_eq!(column("label").quality[0].arguments["validValues"], json!(["NO", "yes"]));
        let read = Contract::from_yaml(&made.to_yaml().unwrap()).unwrap();
        assert_eq!((&read.contract, read.warnings.len()), (&made, 0));
        assert_eq!(verdict(&made, &table), Verdict::Passed);
    }

    #[test]
    fn what_is_not_finite_is_in_no_proposed_range() {
        for (odd, low, high) in
            [(f64::NAN, false, false), (f64::INFINITY, true, false), (f64::NEG_INFINITY, false, true), (0.5, true, true)]
        {
            let values = |odd: f64| {
                let column = |value: &dyn Fn(u8) -> f64| -> ArrayRef {
                    Arc::new((0..200_u8).map(|row| if row == 7 { odd } else { value(row) }).collect::<Float64Array>())
                };
                let columns =
                    [("a", column(&|row| f64::from(row) - 99.5), true), ("class", column(&|row| f64::from(row % 3)), true)];
                RecordBatch::try_from_iter_with_nullable(columns).unwrap()
            };
            let table = values(odd);
            let made = propose(&profiled(&table), "t", None);
            let options = made.schema[0].properties[0].logical_type_options.clone().unwrap_or_default();
            assert_eq!((options.minimum.is_some(), options.maximum.is_some()), (low, high), "{odd}");
            assert_eq!(verdict(&made, &table), Verdict::Passed, "{odd}");
            let numbers = |odd: f64| values(odd).project(&[0]).unwrap();
            let widened = propose(&profiled(&numbers(odd)), "t", Some(&propose(&profiled(&numbers(1.0)), "t", None)));
            assert_eq!(verdict(&widened, &numbers(odd)), Verdict::Passed, "{odd}");
        }
    }

    #[test]
    fn the_first_version_holds_to_its_own_proposal() {
        let table = table(0, true);
        let made = propose(&profiled(&table), "people", None);
        let mut checker = Checker::new(&made, None, &table.schema(), CheckOptions::default()).unwrap();
        checker.update(&table, 0).unwrap();
        let report = checker.finish();
        assert_eq!((report.verdict, report.not_run), (Verdict::Passed, 0), "{report:#?}");
    }

    #[test]
    fn what_people_wrote_stays() {
        let mut first = propose(&profiled(&table(0, true)), "people", None);
        first.status = "active".to_owned();
        first.schema[0].properties[1].description = Some("in years".to_owned());
        assert_eq!(propose(&profiled(&table(0, true)), "people", Some(&first)), first);
        let second = propose(&profiled(&table(50, false)), "people", Some(&first));
        let age = second.object(None).unwrap().property("age").unwrap();
        assert_eq!(age.description.as_deref(), Some("in years"));
        assert_eq!(age.logical_type_options.as_ref().unwrap().maximum, Some(json!(129)));
        assert_eq!((second.version.as_str(), second.status.as_str()), ("1.0.0", "proposed"));
        let breaking: Vec<String> = diff(&first, &second)
            .into_iter()
            .filter(|change| change.effect == Effect::Breaking)
            .map(|change| change.at)
            .collect();
        assert_eq!(breaking, ["people.age.maximum", "people.label"]);
        assert_eq!(verdict(&second, &table(50, false)), Verdict::Passed);
        let third = propose(&profiled(&table(0, true)), "people", Some(&propose(&profiled(&table(0, false)), "people", None)));
        assert_eq!(third.version, "0.2.0");
    }

    #[test]
    #[expect(clippy::float_cmp, reason = "exact by construction")]
    fn limits_are_round() {
        for (value, up) in
            [(0.0, 0.0), (1.0, 1.0), (90.0, 100.0), (1_100.0, 2_000.0), (0.03, 0.05), (5.5, 10.0), (f64::INFINITY, f64::INFINITY)]
        {
            assert!((round_up(value) - up).abs() < 1e-9 || round_up(value) == up, "{value}");
        }
    }

    #[test]
    fn shapes_as_expressions() {
        assert_eq!(expression("A9.9").as_deref(), Some("^[A-Z][0-9]\\.[0-9]$"));
        for shape in ["A+", "", "9…", "ä"] {
            assert_eq!(expression(shape), None);
        }
    }
}
