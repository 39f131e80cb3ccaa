//! Pieces of SQL text with their binds.

use vault::db::Bind;

/// Rows that one `IN` list asks for.
pub(super) const IN_COUNT_MAX: usize = 1_024;

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
    /// Adds a value; gives its placeholder.
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
    pub(super) fn list(&mut self, values: impl IntoIterator<Item = Value>) -> String {
        let places: Vec<String> = values.into_iter().map(|value| self.add(value)).collect();
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

/// `$1, $2, …` for as many ids as come: filled up to a power of two, so that few statements are prepared.
pub(super) fn padded(ids: &[i64]) -> (String, Vec<Bind<'_>>) {
    let count = ids.len().max(1).next_power_of_two();
    let last = ids.last().copied().unwrap_or(-1);
    let binds: Vec<Bind<'_>> = ids.iter().copied().chain(std::iter::repeat(last)).take(count).map(Bind::Int).collect();
    let places: Vec<String> = (1..=count).map(|place| format!("${place}")).collect();
    (places.join(", "), binds)
}

/// A `LIKE` pattern whose backslashes mean themselves, as they do in MLflow. Goes with `ESCAPE '\'`.
pub(super) fn like_pattern(pattern: &str) -> String {
    pattern.replace('\\', "\\\\")
}
