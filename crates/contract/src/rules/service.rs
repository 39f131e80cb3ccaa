//! Service levels that data can show: how old the newest or the oldest row is.

use serde_json::Value;

use super::target::resolve;
use super::{Check, Rule, Tolerance};
use crate::model::{Contract, SchemaObject, SlaProperty};
use crate::quality::Operator;

const MINUTE_S: f64 = 60.0;
const HOUR_S: f64 = 3_600.0;
const DAY_S: f64 = 86_400.0;
/// A month and a year as the standard's tools count them.
const MONTH_S: f64 = 30.0 * DAY_S;
const YEAR_S: f64 = 365.0 * DAY_S;

/// Adds the rules of the service levels that look at a column of this table.
pub(super) fn levels(contract: &Contract, object: &SchemaObject, rules: &mut Vec<Rule>) {
    for sla in &contract.sla_properties {
        let word = sla.property.to_ascii_lowercase();
        let (kind, oldest) = match word.as_str() {
            "freshness" => ("freshness", false),
            "latency" | "ly" => ("latency", false),
            "retention" | "re" => ("retention", true),
            _ => continue,
        };
        let elements = sla.element.as_deref().or(contract.sla_default_element.as_deref()).unwrap_or_default();
        for element in elements.split(',').map(str::trim).filter(|element| !element.is_empty()) {
            if let Some(column) = column(contract, object, element) {
                rules.push(level(object, sla, kind, oldest, column));
            }
        }
    }
}

/// The column of this table that an element names; with one table its name may be left out.
fn column(contract: &Contract, object: &SchemaObject, element: &str) -> Option<String> {
    match resolve(contract, element) {
        Ok(target) if target.object == object.name => Some(target.column),
        Ok(_) => None,
        Err(_) if contract.schema.len() == 1 => {
            resolve(contract, &format!("{}.{element}", object.name)).ok().map(|found| found.column)
        }
        Err(_) => None,
    }
}

fn level(object: &SchemaObject, sla: &SlaProperty, kind: &'static str, oldest: bool, column: String) -> Rule {
    let id = format!("{}.{column}.{}", object.name, sla.id.as_deref().unwrap_or(kind));
    let Some(seconds) = seconds(&sla.value, sla.unit.as_deref(), oldest) else {
        let reason = format!("`{}` with the unit `{}` is no time", sla.value, sla.unit.as_deref().unwrap_or("d"));
        return Rule::impossible(id, kind, vec![column], reason);
    };
    let mut rule = Rule::new(id, kind, vec![column], Check::Age { oldest });
    rule.tolerance = Tolerance::value(vec![Operator::LessThan(seconds)]);
    rule
}

/// How many seconds a value with its unit is. `m` is minutes of freshness, but months of retention.
fn seconds(value: &Value, unit: Option<&str>, retention: bool) -> Option<f64> {
    let amount = match value {
        Value::Number(number) => number.as_f64()?,
        Value::String(text) => match text.trim().parse::<f64>() {
            Ok(number) => number,
            Err(_) => return duration(text.trim()),
        },
        _ => return None,
    };
    let one = match unit.unwrap_or("d").trim().to_ascii_lowercase().as_str() {
        "y" | "yr" | "year" | "years" => YEAR_S,
        "mo" | "month" | "months" => MONTH_S,
        "w" | "week" | "weeks" => 7.0 * DAY_S,
        "d" | "day" | "days" | "" => DAY_S,
        "h" | "hr" | "hour" | "hours" => HOUR_S,
        "m" if retention => MONTH_S,
        "m" | "min" | "minute" | "minutes" => MINUTE_S,
        "s" | "sec" | "second" | "seconds" => 1.0,
        _ => return None,
    };
    Some(amount * one)
}

/// A duration of ISO 8601, such as `P1DT12H`.
fn duration(text: &str) -> Option<f64> {
    let text = text.to_ascii_uppercase();
    let (date, time) = match text.strip_prefix('P')?.split_once('T') {
        Some((_, "")) => return None,
        Some((date, time)) => (date.to_owned(), time.to_owned()),
        None => (text.strip_prefix('P')?.to_owned(), String::new()),
    };
    let days = parts(&date, &[('Y', YEAR_S), ('M', MONTH_S), ('W', 7.0 * DAY_S), ('D', DAY_S)])?;
    let hours = parts(&time, &[('H', HOUR_S), ('M', MINUTE_S), ('S', 1.0)])?;
    (!date.is_empty() || !time.is_empty()).then_some(days + hours)
}

/// The sum of numbers with letters behind them, each letter at most once and in order.
fn parts(text: &str, letters: &[(char, f64)]) -> Option<f64> {
    let (mut sum, mut number, mut left) = (0.0, String::new(), letters);
    for one in text.chars() {
        if one.is_ascii_digit() || one == '.' {
            number.push(one);
            continue;
        }
        let at = left.iter().position(|(letter, _)| *letter == one)?;
        let (_, scale) = left.get(at)?;
        sum += number.parse::<f64>().ok()? * scale;
        number.clear();
        left = left.get(at + 1..)?;
    }
    number.is_empty().then_some(sum)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn values_units_and_durations() {
        for (value, unit, retention, wanted) in [
            (json!(2), None, false, Some(172_800.0)),
            (json!("2"), Some("h"), false, Some(7_200.0)),
            (json!(5), Some("m"), false, Some(300.0)),
            (json!(5), Some("m"), true, Some(12_960_000.0)),
            (json!(1), Some("y"), true, Some(31_536_000.0)),
            (json!("P1DT12H"), None, false, Some(129_600.0)),
            (json!("PT90M"), None, false, Some(5_400.0)),
            (json!("PT"), None, false, None),
            (json!("P"), None, false, None),
            (json!("P1H"), None, false, None),
            (json!("P1D1Y"), None, false, None),
            (json!("09:00-08:00"), None, false, None),
            (json!(1), Some("parsec"), false, None),
            (json!(true), None, false, None),
        ] {
            assert_eq!(seconds(&value, unit, retention), wanted, "{value} {unit:?}");
        }
    }
}
