//! Quality rules as they are written, and what their operators and units mean.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::model::{Other, nullable};

/// A quality rule.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Quality {
    /// A stable identifier.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// A short name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// What it demands.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// Which kind of rule; `library` where there is none.
    #[serde(rename = "type", default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<QualityKind>,
    /// The metric of a library rule.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metric: Option<String>,
    /// Deprecated: the metric.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rule: Option<String>,
    /// What the metric needs.
    #[serde(default, skip_serializing_if = "Map::is_empty", deserialize_with = "nullable")]
    pub arguments: Map<String, Value>,
    /// `=`
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub must_be: Option<Value>,
    /// `≠`
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub must_not_be: Option<Value>,
    /// `>`
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub must_be_greater_than: Option<f64>,
    /// `≥`
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub must_be_greater_or_equal_to: Option<f64>,
    /// `<`
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub must_be_less_than: Option<f64>,
    /// `≤`
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub must_be_less_or_equal_to: Option<f64>,
    /// From the first to the second, both included.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub must_be_between: Option<Vec<f64>>,
    /// Below the first or above the second.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub must_not_be_between: Option<Vec<f64>>,
    /// `rows` or `percent`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unit: Option<String>,
    /// The query of an SQL rule.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub query: Option<String>,
    /// Who runs a custom rule.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub engine: Option<String>,
    /// What it runs: text, or an object.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub implementation: Option<Value>,
    /// Which quality it is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dimension: Option<String>,
    /// How bad it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub severity: Option<String>,
    /// The rest.
    #[serde(flatten)]
    pub other: Other,
}

/// Which kind of rule it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum QualityKind {
    /// A metric of the standard.
    #[default]
    Library,
    /// For people.
    Text,
    /// A query that gives one value.
    Sql,
    /// Another engine's, or ours.
    Custom,
}

/// A comparison with a value that was measured.
#[derive(Clone, Copy, Debug, PartialEq)]
#[expect(missing_docs, reason = "the standard's own words")]
pub enum Operator {
    Be(f64),
    NotBe(f64),
    GreaterThan(f64),
    GreaterOrEqual(f64),
    LessThan(f64),
    LessOrEqual(f64),
    Between(f64, f64),
    NotBetween(f64, f64),
}

impl Operator {
    /// Whether the value holds to it. A value that is no number holds to nothing.
    #[must_use]
    pub fn holds(self, value: f64) -> bool {
        if value.is_nan() {
            return false;
        }
        match self {
            #[expect(clippy::float_cmp, reason = "counts and query results are compared as they are")]
            Self::Be(wanted) => value == wanted,
            #[expect(clippy::float_cmp, reason = "counts and query results are compared as they are")]
            Self::NotBe(wanted) => value != wanted,
            Self::GreaterThan(limit) => value > limit,
            Self::GreaterOrEqual(limit) => value >= limit,
            Self::LessThan(limit) => value < limit,
            Self::LessOrEqual(limit) => value <= limit,
            Self::Between(low, high) => low <= value && value <= high,
            Self::NotBetween(low, high) => value < low || value > high,
        }
    }

    /// In words, such as `at most 5`.
    #[must_use]
    pub fn words(self) -> String {
        match self {
            Self::Be(wanted) => format!("exactly {wanted}"),
            Self::NotBe(wanted) => format!("not {wanted}"),
            Self::GreaterThan(limit) => format!("more than {limit}"),
            Self::GreaterOrEqual(limit) => format!("at least {limit}"),
            Self::LessThan(limit) => format!("less than {limit}"),
            Self::LessOrEqual(limit) => format!("at most {limit}"),
            Self::Between(low, high) => format!("from {low} to {high}"),
            Self::NotBetween(low, high) => format!("below {low} or above {high}"),
        }
    }
}

/// What a threshold counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// Rows, or the value itself.
    Rows,
    /// Rows of a hundred.
    Percent,
}

/// Whether a broken rule refuses the data.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// It is good to know.
    Info,
    /// It should be looked at.
    Warning,
    /// It refuses.
    #[default]
    Error,
}

impl Severity {
    /// What a rule's word means. An unknown word refuses.
    #[must_use]
    pub fn of(word: Option<&str>) -> Self {
        match word.unwrap_or_default().trim().to_ascii_lowercase().as_str() {
            "info" | "trivial" => Self::Info,
            "warning" | "warn" | "low" | "minor" => Self::Warning,
            _ => Self::Error,
        }
    }
}

impl Quality {
    /// A library rule.
    #[must_use]
    pub fn library(metric: &str, operator: Operator) -> Self {
        let mut made = Self { metric: Some(metric.to_owned()), ..Self::default() };
        made.set(operator);
        made
    }

    /// A custom rule.
    #[must_use]
    pub fn custom(engine: &str, implementation: Value) -> Self {
        Self {
            kind: Some(QualityKind::Custom),
            engine: Some(engine.to_owned()),
            implementation: Some(implementation),
            ..Self::default()
        }
    }

    /// Which kind of rule it is; one with a query or an engine but no type is what it looks like.
    #[must_use]
    pub fn kind(&self) -> QualityKind {
        self.kind.unwrap_or(match self {
            Self { metric: Some(_), .. } | Self { rule: Some(_), .. } => QualityKind::Library,
            Self { query: Some(_), .. } => QualityKind::Sql,
            Self { engine: Some(_), .. } => QualityKind::Custom,
            _ => QualityKind::Library,
        })
    }

    /// The metric, also by its deprecated name.
    #[must_use]
    pub fn metric(&self) -> Option<&str> {
        self.metric.as_deref().or(self.rule.as_deref())
    }

    /// An argument; also one that stands beside `arguments`, as in the standard's own IBAN example.
    pub(crate) fn argument(&self, name: &str) -> Option<&Value> {
        self.arguments.get(name).or_else(|| self.other.get(name)).filter(|value| !value.is_null())
    }

    /// What its unit counts.
    ///
    /// # Errors
    /// In words, if it is neither rows nor percent.
    pub fn unit(&self) -> Result<Unit, String> {
        match self.unit.as_deref().unwrap_or("rows").trim().to_ascii_lowercase().as_str() {
            "rows" | "row" | "" => Ok(Unit::Rows),
            "percent" | "percentage" | "%" => Ok(Unit::Percent),
            other => Err(format!("the unit `{other}` is not known: write `rows` or `percent`")),
        }
    }

    /// All of its comparisons; each must hold.
    ///
    /// # Errors
    /// In words, if a comparison has no number.
    pub fn operators(&self) -> Result<Vec<Operator>, String> {
        let mut found = Vec::new();
        for (name, value, make) in [
            ("mustBe", &self.must_be, Operator::Be as fn(f64) -> Operator),
            ("mustNotBe", &self.must_not_be, Operator::NotBe as fn(f64) -> Operator),
        ] {
            if let Some(value) = value {
                found.push(make(number(value).ok_or_else(|| format!("`{name}` needs a number, not `{value}`"))?));
            }
        }
        for (value, make) in [
            (self.must_be_greater_than, Operator::GreaterThan as fn(f64) -> Operator),
            (self.must_be_greater_or_equal_to, Operator::GreaterOrEqual as fn(f64) -> Operator),
            (self.must_be_less_than, Operator::LessThan as fn(f64) -> Operator),
            (self.must_be_less_or_equal_to, Operator::LessOrEqual as fn(f64) -> Operator),
        ] {
            found.extend(value.map(make));
        }
        for (name, pair, make) in [
            ("mustBeBetween", &self.must_be_between, Operator::Between as fn(f64, f64) -> Operator),
            ("mustNotBeBetween", &self.must_not_be_between, Operator::NotBetween as fn(f64, f64) -> Operator),
        ] {
            match pair.as_deref() {
                None => {}
                Some([low, high]) if low <= high => found.push(make(*low, *high)),
                Some(_) => return Err(format!("`{name}` needs two numbers, the smaller one first")),
            }
        }
        Ok(found)
    }

    /// Adds a comparison.
    pub fn set(&mut self, operator: Operator) {
        match operator {
            Operator::Be(value) => self.must_be = Some(json_number(value)),
            Operator::NotBe(value) => self.must_not_be = Some(json_number(value)),
            Operator::GreaterThan(value) => self.must_be_greater_than = Some(value),
            Operator::GreaterOrEqual(value) => self.must_be_greater_or_equal_to = Some(value),
            Operator::LessThan(value) => self.must_be_less_than = Some(value),
            Operator::LessOrEqual(value) => self.must_be_less_or_equal_to = Some(value),
            Operator::Between(low, high) => self.must_be_between = Some(vec![low, high]),
            Operator::NotBetween(low, high) => self.must_not_be_between = Some(vec![low, high]),
        }
    }
}

/// A number, or yes and no as 1 and 0, which is what a query may give.
fn number(value: &Value) -> Option<f64> {
    match value {
        Value::Number(number) => number.as_f64(),
        Value::Bool(yes) => Some(f64::from(u8::from(*yes))),
        _ => None,
    }
}

/// A number as it is written by hand: `5`, not `5.0`.
pub(crate) fn json_number(value: f64) -> Value {
    #[expect(clippy::cast_possible_truncation, reason = "checked to be whole and small")]
    if value.fract() == 0.0 && value.abs() < 9e15 {
        return Value::from(value as i64);
    }
    Value::from(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(operator: Operator, holds: &[f64], breaks: &[f64]) {
        for value in holds {
            assert!(operator.holds(*value), "{operator:?} {value}");
        }
        for value in breaks {
            assert!(!operator.holds(*value), "{operator:?} {value}");
        }
    }

    #[test]
    fn operators_at_their_edges() {
        check(Operator::Be(5.0), &[5.0], &[4.9, f64::NAN]);
        check(Operator::NotBe(5.0), &[4.0], &[5.0, f64::NAN]);
        check(Operator::GreaterThan(5.0), &[5.1], &[5.0]);
        check(Operator::GreaterOrEqual(5.0), &[5.0], &[4.9]);
        check(Operator::LessThan(5.0), &[4.9], &[5.0]);
        check(Operator::LessOrEqual(5.0), &[5.0], &[5.1]);
        check(Operator::Between(1.0, 2.0), &[1.0, 2.0], &[0.9, 2.1, f64::NAN]);
        check(Operator::NotBetween(1.0, 2.0), &[0.9, 2.1], &[1.0, 2.0]);
    }

    #[test]
    fn a_between_needs_two_ordered_numbers() {
        let rule = Quality { must_be_between: Some(vec![5.0, 1.0]), ..Quality::default() };
        assert!(rule.operators().is_err());
        let rule = Quality { must_be_between: Some(vec![5.0]), ..Quality::default() };
        assert!(rule.operators().is_err());
    }

    #[test]
    fn severity_words_as_the_command_line_tool_reads_them() {
        for (word, severity) in
            [("info", Severity::Info), ("Warn", Severity::Warning), ("error", Severity::Error), ("x", Severity::Error)]
        {
            assert_eq!(Severity::of(Some(word)), severity);
        }
        assert_eq!(Severity::of(None), Severity::Error);
    }
}
