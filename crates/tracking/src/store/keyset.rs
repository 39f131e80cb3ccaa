//! Pages of a list that go on behind a row, not after a count: each row is given out once, whatever is added before it meanwhile, and the last page
//! costs what the first one does (Winand, "SQL Performance Explained", ch. 7: the seek method). A page's token holds what the last row is ordered by.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use kernel::{Problem, hex, sha256};
use serde::{Deserialize, Serialize};
use vault::db::sql::Binds;
use vault::db::{DbError, Row};

/// A longer text is not carried in a token: it is read again of its row.
const TEXT_BYTES_MAX: usize = 500;

/// A whole token.
const TOKEN_BYTES_MAX: usize = filter::PAGE_TOKEN_BYTES_MAX;

/// What a token says. Nobody needs to read it but this server.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Token {
    /// What tells the order.
    order: String,
    /// What the last row is ordered by, each as a word.
    after: Vec<String>,
}

/// What a column or expression holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Whole,
    Real,
    Text,
}

/// One of the things that a list is ordered by. All together tell rows apart.
#[derive(Clone, Debug)]
pub(crate) struct Key {
    pub(crate) expression: String,
    pub(crate) kind: Kind,
    pub(crate) ascending: bool,
}

impl Key {
    pub(crate) fn new(expression: impl Into<String>, kind: Kind, ascending: bool) -> Self {
        Self { expression: expression.into(), kind, ascending }
    }
}

/// What the last row of a page is ordered by.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Value {
    /// Only behind a key that says that it is missing: all rows beside it miss it too.
    Missing,
    Whole(i64),
    Real(f64),
    Text(String),
    /// Too long for a token.
    Long,
}

/// Where a page begins.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct After(pub(crate) Vec<Value>);

/// The keys as columns of a statement.
pub(crate) fn columns(keys: &[Key]) -> String {
    keys.iter().map(|key| key.expression.as_str()).collect::<Vec<_>>().join(", ")
}

/// The keys as an order.
pub(crate) fn order(keys: &[Key]) -> String {
    let one = |key: &Key| format!("{} {}", key.expression, if key.ascending { "ASC" } else { "DESC" });
    keys.iter().map(one).collect::<Vec<_>>().join(", ")
}

/// What a row is ordered by, read from this column on.
pub(crate) fn values(row: &Row<'_>, first: usize, keys: &[Key]) -> Result<Vec<Value>, DbError> {
    let one = |(place, key): (usize, &Key)| {
        let column = first + place;
        let value = match key.kind {
            Kind::Whole => row.opt_int(column)?.map(Value::Whole),
            Kind::Real => row.opt_real(column)?.map(Value::Real),
            Kind::Text => row.opt_text(column)?.map(Value::Text),
        };
        Ok(value.unwrap_or(Value::Missing))
    };
    keys.iter().enumerate().map(one).collect()
}

/// That a row comes behind another one. The first key is compared by itself too, so that an index of it is walked from there.
pub(crate) fn behind(keys: &[Key], after: &After, binds: &mut Binds) -> Option<String> {
    let compared: Vec<(&Key, String)> =
        keys.iter().zip(&after.0).filter_map(|(key, value)| Some((key, bound(value, binds)?))).collect();
    let mut nested = String::new();
    for (key, place) in compared.iter().rev() {
        let (column, beyond) = (&key.expression, if key.ascending { ">" } else { "<" });
        nested = if nested.is_empty() {
            format!("{column} {beyond} {place}")
        } else {
            format!("({column} {beyond} {place} OR ({column} = {place} AND {nested}))")
        };
    }
    let (key, place) = compared.first()?;
    let least = if key.ascending { ">=" } else { "<=" };
    Some(format!("{} {least} {place} AND {nested}", key.expression))
}

fn bound(value: &Value, binds: &mut Binds) -> Option<String> {
    match value {
        Value::Missing | Value::Long => None,
        Value::Whole(number) => Some(binds.int(*number)),
        Value::Real(number) => Some(binds.number(*number)),
        Value::Text(text) => Some(binds.text(text.as_str())),
    }
}

/// The token of the page behind a row, which is good for this order alone.
pub(crate) fn token(order_by: &impl std::fmt::Debug, values: &[Value]) -> String {
    let word = |value: &Value| match value {
        Value::Missing => "n".to_owned(),
        Value::Whole(number) => format!("i{number}"),
        Value::Real(number) => format!("r{:016x}", number.to_bits()),
        Value::Text(text) if text.len() > TEXT_BYTES_MAX => "l".to_owned(),
        Value::Text(text) => format!("t{text}"),
        Value::Long => "l".to_owned(),
    };
    let token = Token { order: mark(order_by), after: values.iter().map(word).collect() };
    STANDARD.encode(serde_json::to_vec(&token).unwrap_or_default())
}

/// Reads one; none for the first page.
///
/// # Errors
/// `Invalid` for what is no token, or one of another order.
pub(crate) fn parse(token: Option<&str>, order_by: &impl std::fmt::Debug) -> Result<Option<After>, Problem> {
    let Some(token) = token.filter(|text| !text.is_empty()) else { return Ok(None) };
    if token.len() > TOKEN_BYTES_MAX {
        return Err(broken());
    }
    let read = STANDARD.decode(token).map_err(|_| broken())?;
    let token: Token = serde_json::from_slice(&read).map_err(|_| broken())?;
    if token.order != mark(order_by) {
        return Err(Problem::invalid("the page token belongs to another `order_by`; begin again without it"));
    }
    let values: Option<Vec<Value>> = token.after.iter().map(|word| value_of(word)).collect();
    values.map(|values| Some(After(values))).ok_or_else(broken)
}

fn value_of(word: &str) -> Option<Value> {
    let rest = word.get(1..)?;
    Some(match word.as_bytes().first()? {
        b'n' if rest.is_empty() => Value::Missing,
        b'l' if rest.is_empty() => Value::Long,
        b'i' => Value::Whole(rest.parse().ok()?),
        b'r' if rest.len() == 16 => Value::Real(f64::from_bits(u64::from_str_radix(rest, 16).ok()?)),
        b't' if !rest.contains('\0') => Value::Text(rest.to_owned()),
        _ => return None,
    })
}

impl After {
    /// Whether it fits these keys: nobody but the server makes tokens, but anybody can send one.
    ///
    /// # Errors
    /// `Invalid`.
    pub(crate) fn check(&self, keys: &[Key]) -> Result<(), Problem> {
        let fits = |(key, value): (&Key, &Value)| match value {
            Value::Missing => true,
            Value::Whole(_) => key.kind == Kind::Whole,
            Value::Real(number) => key.kind == Kind::Real && !number.is_nan(),
            Value::Text(_) | Value::Long => key.kind == Kind::Text,
        };
        // The last key is the row's own, and never missing.
        let ends = matches!(self.0.last(), Some(Value::Whole(_) | Value::Text(_)));
        if self.0.len() == keys.len() && ends && keys.iter().zip(&self.0).all(fits) { Ok(()) } else { Err(broken()) }
    }

    /// The same with what was too long for the token.
    pub(crate) fn with_long(self, read: Vec<Value>) -> Self {
        let whole = |(kept, read)| if kept == Value::Long { read } else { kept };
        Self(self.0.into_iter().zip(read).map(whole).collect())
    }

    pub(crate) fn has_long(&self) -> bool {
        self.0.contains(&Value::Long)
    }
}

pub(crate) fn broken() -> Problem {
    Problem::invalid("Invalid page token: it is none of this list, or of an older server; begin again without it")
}

/// What tells an order from another one.
fn mark(order_by: &impl std::fmt::Debug) -> String {
    let digest = sha256(format!("{order_by:?}").as_bytes());
    hex(digest.get(..8).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys() -> Vec<Key> {
        vec![Key::new("a", Kind::Real, false), Key::new("b", Kind::Text, true), Key::new("id", Kind::Whole, true)]
    }

    #[test]
    fn a_row_behind_another_is_told_key_by_key() {
        let after = |values: [Value; 3]| After(values.to_vec());
        let mut binds = Binds::default();
        let text = behind(&keys(), &after([Value::Real(1.5), Value::Text("x".to_owned()), Value::Whole(3)]), &mut binds);
        let place = "CAST($1 AS DOUBLE PRECISION)";
        let expected = format!("a <= {place} AND (a < {place} OR (a = {place} AND (b > $2 OR (b = $2 AND id > $3))))");
        assert_eq!(text, Some(expected));
        let text = behind(&keys(), &after([Value::Missing, Value::Missing, Value::Whole(3)]), &mut Binds::default());
        assert_eq!(text.as_deref(), Some("id >= $1 AND id > $1"), "what is missing is equal");
    }

    #[test]
    fn tokens_go_round_and_are_good_for_their_order_alone() {
        let order = ["metrics.a DESC"];
        for number in [0.1, -0.0, f64::MAX, 5e-324, f64::INFINITY] {
            let values = vec![Value::Real(number), Value::Text("ä\"\\".to_owned()), Value::Whole(i64::MIN)];
            let read = parse(Some(&token(&order, &values)), &order).unwrap().unwrap();
            assert_eq!(read, After(values));
            assert!(read.check(&keys()).is_ok());
        }
        let long = token(&order, &[Value::Missing, Value::Text("x".repeat(501)), Value::Whole(1)]);
        let read = parse(Some(&long), &order).unwrap().unwrap();
        assert!(read.has_long() && long.len() < 200);
        let whole = read.with_long(vec![Value::Real(9.0), Value::Text("whole".to_owned()), Value::Whole(9)]);
        assert_eq!(whole, After(vec![Value::Missing, Value::Text("whole".to_owned()), Value::Whole(1)]));
        assert_eq!(parse(None, &order).unwrap(), None);
        let other = parse(Some(&long), &["metrics.b"]).unwrap_err();
        assert!(other.message().contains("another `order_by`"), "{}", other.message());
        for old in ["eyJvZmZzZXQiOiAxMH0=", "§", "e30="] {
            assert!(parse(Some(old), &order).unwrap_err().message().contains("begin again"), "{old}");
        }
        let mark = mark(&order);
        for words in [
            &["i1"][..],
            &["i1", "tx", "i1"],
            &["r0", "tx", "i1"],
            &["n", "n", "n"],
            &["x", "tx", "i1"],
            &["", "tx", "i1"],
            &["ä", "tx", "i1"],
        ] {
            let words: Vec<String> = words.iter().map(|word| (*word).to_owned()).collect();
            let forged = Token { order: mark.clone(), after: words };
            let read = parse(Some(&STANDARD.encode(serde_json::to_vec(&forged).unwrap())), &order);
            assert!(read.and_then(|after| after.map_or(Ok(()), |after| after.check(&keys()))).is_err(), "{:?}", forged.after);
        }
    }
}
