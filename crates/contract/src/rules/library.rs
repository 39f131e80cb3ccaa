//! Quality rules: the library's metrics, queries, texts; other engines' rules are handed on.

use serde_json::Value;

use super::{Check, Measured, RowTest, Rule, Tolerance, engines};
use crate::model::SchemaObject;
use crate::quality::{Quality, QualityKind, Severity, Unit};

/// The rule that a quality entry is, on a column or on the table.
pub(super) fn quality(object: &SchemaObject, column: Option<&str>, quality: &Quality, index: usize) -> Rule {
    let place = column.map_or_else(|| object.name.clone(), |column| format!("{}.{column}", object.name));
    let id = match &quality.id {
        Some(id) => format!("{place}.{id}"),
        None => format!("{place}.quality[{index}]"),
    };
    let columns: Vec<String> = column.map(str::to_owned).into_iter().collect();
    let mut rule = match quality.kind() {
        QualityKind::Text => Rule::new(id, "text", columns, Check::Text),
        QualityKind::Sql => sql(id, columns, quality),
        QualityKind::Custom => engines::custom(object, id, columns, quality),
        QualityKind::Library => library(object, id, columns, quality),
    };
    rule.severity = Severity::of(quality.severity.as_deref());
    rule.description = quality.description.clone().or_else(|| quality.name.clone());
    rule
}

fn sql(id: String, columns: Vec<String>, quality: &Quality) -> Rule {
    match (&quality.query, quality.operators()) {
        (Some(query), Ok(operators)) if !operators.is_empty() => {
            let mut rule = Rule::new(id, "sql", columns, Check::Sql(query.clone()));
            rule.tolerance = Tolerance::value(operators);
            rule
        }
        (Some(_), Ok(_)) => {
            Rule::impossible(id, "sql", columns, "the rule compares with nothing: add `mustBe` or another operator")
        }
        (Some(_), Err(problem)) => Rule::impossible(id, "sql", columns, problem),
        (None, _) => Rule::impossible(id, "sql", columns, "the rule has no `query`"),
    }
}

fn library(object: &SchemaObject, id: String, columns: Vec<String>, quality: &Quality) -> Rule {
    let metric = quality.metric().unwrap_or_default().to_owned();
    let kind = match metric.as_str() {
        "nullValues" => "nullValues",
        "missingValues" => "missingValues",
        "invalidValues" => "invalidValues",
        "duplicateValues" => "duplicateValues",
        "rowCount" => "rowCount",
        _ => {
            let reason = format!("the metric `{metric}` is not known: use one of the standard's, or an `sql` rule");
            return Rule::impossible(id, "library", columns, reason);
        }
    };
    let (operators, unit) = match (quality.operators(), quality.unit()) {
        (Ok(operators), Ok(unit)) if !operators.is_empty() => (operators, unit),
        (Ok(_), Ok(_)) => return Rule::impossible(id, kind, columns, "the rule compares with nothing"),
        (Err(problem), _) | (_, Err(problem)) => return Rule::impossible(id, kind, columns, problem),
    };
    let checked = metric_check(object, kind, quality);
    let (check, columns) = match checked {
        Ok((check, None)) => (check, columns),
        Ok((check, Some(columns))) => (check, columns),
        Err(problem) => return Rule::impossible(id, kind, columns, problem),
    };
    let measured = match (kind, unit) {
        ("rowCount", Unit::Percent) => return Rule::impossible(id, kind, columns, "a row count has no percent"),
        ("rowCount", Unit::Rows) => Measured::Value,
        (_, Unit::Rows) => Measured::Rows,
        (_, Unit::Percent) => Measured::PercentOfRows,
    };
    let mut rule = Rule::new(id, kind, columns, check);
    rule.tolerance = Tolerance { measured, operators };
    rule
}

/// The check of a metric, and its columns where they are not the rule's own.
fn metric_check(object: &SchemaObject, kind: &str, quality: &Quality) -> Result<(Check, Option<Vec<String>>), String> {
    let list = |name: &str| match quality.argument(name) {
        None => Ok(None),
        Some(Value::Array(values)) => Ok(Some(values.clone())),
        Some(_) => Err(format!("`{name}` must be a list")),
    };
    Ok(match kind {
        "rowCount" => (Check::RowCount, None),
        "nullValues" => (Check::Row(RowTest::NotNull), None),
        "missingValues" => (Check::Row(RowTest::NotMissing(list("missingValues")?.unwrap_or_default())), None),
        "invalidValues" => {
            let mut tests = Vec::new();
            if let Some(values) = list("validValues")? {
                tests.push(RowTest::OneOf(values.into_iter().filter(|value| !value.is_null()).collect()));
            }
            if let Some(Value::String(pattern)) = quality.argument("pattern") {
                tests.push(RowTest::Matches { pattern: pattern.clone(), must: true });
            }
            if tests.is_empty() {
                return Err("`invalidValues` needs the argument `validValues` or `pattern`".to_owned());
            }
            (Check::Row(RowTest::All(tests)), None)
        }
        _ => {
            let named = list("properties")?;
            let stored = named.map(|names| names.iter().filter_map(Value::as_str).map(|name| stored(object, name)).collect());
            (Check::Duplicates, stored)
        }
    })
}

/// The stored name of a column that is named in a rule.
pub(super) fn stored(object: &SchemaObject, name: &str) -> String {
    object.property(name).map_or(name, |property| property.stored_name()).to_owned()
}
