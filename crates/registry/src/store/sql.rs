//! A statement that is put together clause by clause. Only constants of this crate become text; what a client sent is bound.

use filter::{Comparison, Literal};
use vault::db::Bind;

/// A value on its way into a statement.
#[derive(Clone, Debug)]
pub(crate) enum Value {
    Int(i64),
    Real(f64),
    Text(String),
}

/// A statement and its binds.
#[derive(Clone, Debug, Default)]
pub(crate) struct Sql {
    pub(crate) text: String,
    values: Vec<Value>,
}

impl Sql {
    pub(crate) fn new(text: &str) -> Self {
        Self { text: text.to_owned(), values: Vec::new() }
    }

    pub(crate) fn push(&mut self, text: &str) -> &mut Self {
        self.text.push_str(text);
        self
    }

    /// Binds a value and gives its placeholder, which may stand in the text more than once.
    pub(crate) fn bind(&mut self, value: Value) -> String {
        self.values.push(value);
        format!("${}", self.values.len())
    }

    pub(crate) fn text_bind(&mut self, text: &str) -> String {
        self.bind(Value::Text(text.to_owned()))
    }

    /// `($1, $2, …)`; `(NULL)` for an empty list, which nothing equals.
    pub(crate) fn list(&mut self, values: impl IntoIterator<Item = Value>) -> String {
        let places: Vec<String> = values.into_iter().map(|value| self.bind(value)).collect();
        if places.is_empty() { "(NULL)".to_owned() } else { format!("({})", places.join(", ")) }
    }

    pub(crate) fn texts(&mut self, values: &[String]) -> String {
        self.list(values.iter().cloned().map(Value::Text))
    }

    /// `column <comparison> <literal>`. A pattern's own `~` is doubled: engines differ in their default escape.
    pub(crate) fn compare(&mut self, column: &str, comparison: Comparison, literal: &Literal) -> String {
        let bound = match (comparison, literal) {
            (Comparison::Like | Comparison::ILike, Literal::Text(pattern)) => self.bind(Value::Text(pattern.replace('~', "~~"))),
            (_, Literal::Text(text)) => self.text_bind(text),
            (_, Literal::Number(number)) => self.number(*number),
            (_, Literal::List(values)) => self.texts(values),
            (_, Literal::None) => String::new(),
        };
        match comparison {
            Comparison::Like => format!("{column} LIKE {bound} ESCAPE '~'"),
            Comparison::ILike => format!("LOWER({column}) LIKE LOWER({bound}) ESCAPE '~'"),
            Comparison::IsNull | Comparison::IsNotNull => format!("{column} {}", comparison.word()),
            _ => format!("{column} {} {bound}", comparison.word()),
        }
    }

    /// A number for a column of any numeric type: a fraction is cast, because PostgreSQL would take it for the column's type.
    #[expect(clippy::cast_possible_truncation, reason = "the range is checked first")]
    fn number(&mut self, number: f64) -> String {
        if number.fract() == 0.0 && number.abs() < 9.0e15 {
            return self.bind(Value::Int(number as i64));
        }
        format!("CAST({} AS DOUBLE PRECISION)", self.bind(Value::Real(number)))
    }

    pub(crate) fn binds(&self) -> Vec<Bind<'_>> {
        self.values
            .iter()
            .map(|value| match value {
                Value::Int(number) => Bind::Int(*number),
                Value::Real(number) => Bind::Real(*number),
                Value::Text(text) => Bind::Text(text),
            })
            .collect()
    }
}
