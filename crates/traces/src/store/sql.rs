//! Pieces of SQL text with their binds.

use filter::{Comparison, Literal};
use kernel::Problem;
use vault::db::Bind;

/// A value that a statement under construction owns.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Value {
    Int(i64),
    Real(f64),
    Text(String),
}

/// The binds of a statement under construction.
#[derive(Debug, Default)]
pub(super) struct Binds(Vec<Value>);

impl Binds {
    pub(super) fn add(&mut self, value: Value) -> String {
        self.0.push(value);
        format!("${}", self.0.len())
    }

    pub(super) fn int(&mut self, value: i64) -> String {
        self.add(Value::Int(value))
    }

    pub(super) fn text(&mut self, value: impl Into<String>) -> String {
        self.add(Value::Text(value.into()))
    }

    /// A float: the cast keeps PostgreSQL from reading it as the whole number it is compared with.
    pub(super) fn real(&mut self, value: f64) -> String {
        format!("CAST({} AS DOUBLE PRECISION)", self.add(Value::Real(value)))
    }

    /// A list for `IN`, without its brackets.
    pub(super) fn ints(&mut self, values: &[i64]) -> String {
        let places: Vec<String> = values.iter().map(|value| self.int(*value)).collect();
        places.join(", ")
    }

    /// A list for `IN`, without its brackets.
    pub(super) fn texts(&mut self, values: &[String]) -> String {
        let places: Vec<String> = values.iter().map(|value| self.text(value.as_str())).collect();
        places.join(", ")
    }

    pub(super) fn get(&self) -> Vec<Bind<'_>> {
        self.0
            .iter()
            .map(|value| match value {
                Value::Int(number) => Bind::Int(*number),
                Value::Real(number) => Bind::Real(*number),
                Value::Text(text) => Bind::Text(text),
            })
            .collect()
    }
}

/// A `LIKE` pattern whose backslashes mean themselves, as they do in MLflow. Goes with `ESCAPE '\'`.
pub(super) fn like_pattern(pattern: &str) -> String {
    pattern.replace('\\', "\\\\")
}

/// `text` inside a pattern, where none of its letters is a wildcard.
pub(super) fn like_literal(text: &str) -> String {
    text.replace('\\', "\\\\").replace('%', "\\%").replace('_', "\\_")
}

/// `column` against a pattern that is escaped already.
pub(super) fn like(column: &str, pattern: String, ignore_case: bool, binds: &mut Binds) -> String {
    let place = binds.text(pattern);
    if ignore_case {
        format!("LOWER({column}) LIKE LOWER({place}) ESCAPE '\\'")
    } else {
        format!("{column} LIKE {place} ESCAPE '\\'")
    }
}

/// `column` compared with a literal.
pub(super) fn compare(column: &str, comparison: Comparison, literal: &Literal, binds: &mut Binds) -> Result<String, Problem> {
    Ok(match (literal, comparison) {
        (Literal::Text(text), Comparison::Like) => like(column, like_pattern(text), false, binds),
        (Literal::Text(text), Comparison::ILike) => like(column, like_pattern(text), true, binds),
        (Literal::Text(text), compared) => format!("{column} {} {}", compared.word(), binds.text(text.as_str())),
        (Literal::Number(number), compared) => format!("{column} {} {}", compared.word(), binds.real(*number)),
        (Literal::List(list), compared) => format!("{column} {} ({})", compared.word(), binds.texts(list)),
        (Literal::None, _) => return Err(Problem::invalid("traces have no such field, or it cannot be compared like this")),
    })
}
