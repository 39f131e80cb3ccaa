//! Statements that are put together clause by clause. Only constants of the rooms become text; what a client sent is bound.

use filter::{Comparison, Literal};

use super::Bind;

/// Ids that one `IN` list asks for.
pub const IN_COUNT_MAX: usize = 1_024;
/// Whole numbers up to here are exact as floats too (below 2^53).
const WHOLE_MAX: f64 = 9.0e15;

/// The binds of a statement under construction, which owns their values.
#[derive(Clone, Debug, Default)]
pub struct Binds(Vec<Value>);

#[derive(Clone, Debug)]
enum Value {
    Int(i64),
    Real(f64),
    Text(String),
}

impl Binds {
    fn add(&mut self, value: Value) -> String {
        self.0.push(value);
        format!("${}", self.0.len())
    }

    /// Binds a whole number. Gives its placeholder, which may stand in the text more than once.
    pub fn int(&mut self, value: i64) -> String {
        self.add(Value::Int(value))
    }

    /// Binds a text.
    pub fn text(&mut self, value: impl Into<String>) -> String {
        self.add(Value::Text(value.into()))
    }

    /// Binds a number that is compared with a column of any numeric type: a fraction is cast, because PostgreSQL would read
    /// it as the column's whole number.
    #[expect(clippy::cast_possible_truncation, reason = "the range is checked first")]
    pub fn number(&mut self, value: f64) -> String {
        if value.fract() == 0.0 && value.abs() < WHOLE_MAX {
            return self.int(value as i64);
        }
        format!("CAST({} AS DOUBLE PRECISION)", self.add(Value::Real(value)))
    }

    /// Binds a list of whole numbers: `($1, $2)`, for `IN`.
    pub fn ints(&mut self, values: &[i64]) -> String {
        self.list(values.iter().copied().map(Value::Int))
    }

    /// Binds a list of texts: `($1, $2)`, for `IN`.
    pub fn texts(&mut self, values: &[String]) -> String {
        self.list(values.iter().cloned().map(Value::Text))
    }

    /// `(NULL)` for an empty list, which nothing equals.
    fn list(&mut self, values: impl Iterator<Item = Value>) -> String {
        let places: Vec<String> = values.map(|value| self.add(value)).collect();
        if places.is_empty() { "(NULL)".to_owned() } else { format!("({})", places.join(", ")) }
    }

    /// `column` against a pattern whose backslashes escape.
    pub fn like(&mut self, column: &str, pattern: &str, ignore_case: bool) -> String {
        let place = self.text(pattern);
        if ignore_case {
            format!("LOWER({column}) LIKE LOWER({place}) ESCAPE '\\'")
        } else {
            format!("{column} LIKE {place} ESCAPE '\\'")
        }
    }

    /// `column` compared with what a filter says; nothing where that is no value.
    pub fn compare(&mut self, column: &str, comparison: Comparison, literal: &Literal) -> Option<String> {
        let word = comparison.word();
        Some(match literal {
            Literal::Text(text) => match comparison {
                Comparison::Like => self.like(column, &like_pattern(text), false),
                Comparison::ILike => self.like(column, &like_pattern(text), true),
                _ => format!("{column} {word} {}", self.text(text.as_str())),
            },
            Literal::Number(number) => format!("{column} {word} {}", self.number(*number)),
            Literal::List(list) => format!("{column} {word} {}", self.texts(list)),
            Literal::None => return None,
        })
    }

    /// The binds, in the order of their placeholders.
    #[must_use]
    pub fn get(&self) -> Vec<Bind<'_>> {
        let bind = |value| match value {
            &Value::Int(number) => Bind::Int(number),
            &Value::Real(number) => Bind::Real(number),
            Value::Text(text) => Bind::Text(text),
        };
        self.0.iter().map(bind).collect()
    }
}

/// `($1, $2, …)` for as many ids as come, and their binds: filled up to a power of two, so that few statements are prepared.
#[must_use]
pub fn padded(ids: &[i64]) -> (String, Vec<Bind<'_>>) {
    let count = ids.len().max(1).next_power_of_two();
    let last = ids.last().copied().unwrap_or(-1);
    let binds: Vec<Bind<'_>> = ids.iter().copied().chain(std::iter::repeat(last)).take(count).map(Bind::Int).collect();
    let places: Vec<String> = (1..=count).map(|place| format!("${place}")).collect();
    (format!("({})", places.join(", ")), binds)
}

/// A client's `LIKE` pattern for [`Binds::like`]: its backslashes mean themselves, as they do in MLflow.
#[must_use]
pub fn like_pattern(pattern: &str) -> String {
    pattern.replace('\\', "\\\\")
}

/// `text` inside a pattern for [`Binds::like`], where none of its letters is a wildcard.
#[must_use]
pub fn like_literal(text: &str) -> String {
    text.replace('\\', "\\\\").replace('%', "\\%").replace('_', "\\_")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_client_sent_is_bound_never_text() {
        let check = |comparison, literal: &Literal, text: Option<&str>, bound: &[Bind<'_>]| {
            let mut binds = Binds::default();
            assert_eq!(binds.compare("c", comparison, literal).as_deref(), text);
            assert_eq!(binds.get(), bound);
        };
        let text = Literal::Text("a'%\\".to_owned());
        check(Comparison::Eq, &text, Some("c = $1"), &[Bind::Text("a'%\\")]);
        check(Comparison::Like, &text, Some("c LIKE $1 ESCAPE '\\'"), &[Bind::Text("a'%\\\\")]);
        check(Comparison::ILike, &text, Some("LOWER(c) LIKE LOWER($1) ESCAPE '\\'"), &[Bind::Text("a'%\\\\")]);
        check(Comparison::Ge, &Literal::Number(3.0), Some("c >= $1"), &[Bind::Int(3)]);
        check(Comparison::Lt, &Literal::Number(0.5), Some("c < CAST($1 AS DOUBLE PRECISION)"), &[Bind::Real(0.5)]);
        let list = Literal::List(vec!["x".to_owned(), "y".to_owned()]);
        check(Comparison::NotIn, &list, Some("c NOT IN ($1, $2)"), &[Bind::Text("x"), Bind::Text("y")]);
        check(Comparison::IsNull, &Literal::None, None, &[]);
    }

    #[test]
    fn lists_are_filled_up_with_what_stands_in_them() {
        assert_eq!(padded(&[7]), ("($1)".to_owned(), vec![Bind::Int(7)]));
        assert_eq!(padded(&[1, 2, 3]).1, [1, 2, 3, 3].map(Bind::Int));
        assert_eq!(padded(&[]), ("($1)".to_owned(), vec![Bind::Int(-1)]));
        assert_eq!(Binds::default().ints(&[]), "(NULL)");
    }

    #[test]
    fn no_letter_of_a_literal_is_a_wildcard() {
        assert_eq!(like_literal("50%_\\"), "50\\%\\_\\\\");
    }
}
