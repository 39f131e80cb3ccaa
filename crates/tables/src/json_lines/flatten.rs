//! One JSON object as flat cells: nested objects become `outer.inner`, lists stay whole.

use std::borrow::Cow;
use std::collections::HashSet;
use std::fmt;

use serde::de::{Deserializer as _, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

use crate::limits::{COLUMN_NAME_BYTES_MAX, DEPTH_MAX, KEY_COUNT_MAX};
use crate::values::{Kind, classify, parse_integer};

/// A value and its kind.
#[derive(Clone, Debug, PartialEq)]
pub struct Cell<'a> {
    pub(crate) kind: Kind,
    /// The text of a string, or the JSON of anything else.
    pub(crate) text: Cow<'a, str>,
    /// For [`Kind::Numbers`].
    pub(crate) numbers: Vec<f64>,
}

/// The cells of the JSON object `line`, with their paths. Nulls are left out.
///
/// # Errors
/// What makes the line no row.
pub fn flatten(line: &[u8]) -> Result<Vec<(String, Cell<'_>)>, String> {
    let text = text_of(line)?;
    let mut row = Row { cells: Vec::new(), seen: HashSet::new(), keys: 0 };
    row.object("", text)?;
    Ok(row.cells)
}

/// The cells of the JSON array `line`, which holds a value for each of `columns`. Nulls are left out.
///
/// # Errors
/// What makes the array no row.
pub(crate) fn flatten_values<'a>(columns: &[String], line: &'a [u8]) -> Result<Vec<(String, Cell<'a>)>, String> {
    let mut reader = serde_json::Deserializer::from_str(text_of(line)?);
    let broken = |error: serde_json::Error| format!("no JSON array: {}", words(&error));
    let values = reader.deserialize_seq(Items { count_max: columns.len() }).map_err(broken)?;
    reader.end().map_err(broken)?;
    if values.len() < columns.len() {
        return Err(format!("{} values for {} columns", values.len(), columns.len()));
    }
    let mut row = Row { cells: Vec::new(), seen: HashSet::new(), keys: 0 };
    for (column, value) in columns.iter().zip(values) {
        row.entry(column.clone(), value.get())?;
    }
    Ok(row.cells)
}

fn text_of(line: &[u8]) -> Result<&str, String> {
    let depth = depth_of(line);
    if depth > DEPTH_MAX {
        return Err(format!("nested {depth} levels deep, at most {DEPTH_MAX}"));
    }
    std::str::from_utf8(line).map_err(|_| "invalid UTF-8".to_owned())
}

/// How deep the brackets of `line` nest.
fn depth_of(line: &[u8]) -> usize {
    let (mut depth, mut deepest) = (0_usize, 0);
    let (mut in_text, mut escaped) = (false, false);
    for byte in line {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if in_text => escaped = true,
            b'"' => in_text = !in_text,
            _ if in_text => {}
            b'{' | b'[' => {
                depth += 1;
                deepest = deepest.max(depth);
            }
            b'}' | b']' => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    deepest
}

struct Row<'a> {
    cells: Vec<(String, Cell<'a>)>,
    seen: HashSet<String>,
    keys: usize,
}

impl<'a> Row<'a> {
    fn object(&mut self, prefix: &str, json: &'a str) -> Result<(), String> {
        let mut reader = serde_json::Deserializer::from_str(json);
        let entries = reader.deserialize_map(Entries).map_err(|error| plain(&error))?;
        reader.end().map_err(|error| plain(&error))?;
        self.keys += entries.len();
        if self.keys > KEY_COUNT_MAX {
            return Err(format!("more than {KEY_COUNT_MAX} keys"));
        }
        for (key, value) in entries {
            if prefix.len() + key.len() >= COLUMN_NAME_BYTES_MAX {
                return Err(format!("a key longer than {COLUMN_NAME_BYTES_MAX} bytes"));
            }
            let path = if prefix.is_empty() { key.into_owned() } else { format!("{prefix}.{key}") };
            self.entry(path, value.get())?;
        }
        Ok(())
    }

    fn entry(&mut self, path: String, json: &'a str) -> Result<(), String> {
        // An empty object says that there is something, but nothing of it.
        if json.starts_with('{') {
            return self.object(&path, json);
        }
        if self.seen.contains(&path) {
            let path: String = path.chars().take(40).collect();
            return Err(format!("the key `{path}` twice"));
        }
        self.seen.insert(path.clone());
        if let Some(cell) = cell_of(json)? {
            self.cells.push((path, cell));
        }
        Ok(())
    }
}

fn cell_of(json: &str) -> Result<Option<Cell<'_>>, String> {
    let cell = |kind, text| Some(Cell { kind, text, numbers: Vec::new() });
    Ok(match json.as_bytes().first() {
        Some(b'n') => None,
        Some(b't' | b'f') => cell(Kind::Boolean, json.into()),
        Some(b'"') => {
            let text: Cow<'_, str> = match serde_json::from_str::<&str>(json) {
                Ok(text) => text.into(),
                Err(_) => serde_json::from_str::<String>(json).map_err(|error| plain(&error))?.into(),
            };
            // Only times are worth finding in a string: "1" was not meant as a number, or it would be one.
            let kind = match classify(&text) {
                kind @ (Kind::Date | Kind::Timestamp | Kind::Instant) => kind,
                _ => Kind::Text,
            };
            cell(kind, text)
        }
        Some(b'[') => match numbers_of(json) {
            Some(numbers) => Some(Cell { kind: Kind::Numbers, text: json.into(), numbers }),
            None => cell(Kind::Json, json.into()),
        },
        _ if json.bytes().any(|byte| matches!(byte, b'.' | b'e' | b'E')) => cell(Kind::Float, json.into()),
        _ if parse_integer(json).is_some() => cell(Kind::Integer, json.into()),
        _ => cell(Kind::Code, json.into()),
    })
}

fn numbers_of(json: &str) -> Option<Vec<f64>> {
    let first = json.get(1..)?.trim_start().bytes().next()?;
    if !(first.is_ascii_digit() || first == b'-') {
        return None;
    }
    serde_json::from_str(json).ok()
}

/// The parser's words, without its place: within a record that says nothing to a user.
fn plain(error: &serde_json::Error) -> String {
    format!("no JSON object: {}", words(error))
}

fn words(error: &serde_json::Error) -> String {
    let text = error.to_string();
    text.split(" at line ").next().unwrap_or_default().to_owned()
}

/// All values of an array, unparsed.
struct Items {
    count_max: usize,
}

impl<'de> Visitor<'de> for Items {
    type Value = Vec<&'de RawValue>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("an array")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut sequence: A) -> Result<Self::Value, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = sequence.next_element()? {
            if items.len() >= self.count_max {
                return Err(serde::de::Error::custom("more values than columns"));
            }
            items.push(item);
        }
        Ok(items)
    }
}

/// All entries of an object, its values unparsed.
struct Entries;

impl<'de> Visitor<'de> for Entries {
    type Value = Vec<(Cow<'de, str>, &'de RawValue)>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut entries = Vec::new();
        while let Some(key) = map.next_key::<Key<'de>>()? {
            if entries.len() > KEY_COUNT_MAX {
                return Err(serde::de::Error::custom("too many keys"));
            }
            entries.push((key.0, map.next_value()?));
        }
        Ok(entries)
    }
}

/// A key, borrowed if it holds no escapes.
struct Key<'de>(Cow<'de, str>);

impl<'de> serde::Deserialize<'de> for Key<'de> {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Text;
        impl<'de> Visitor<'de> for Text {
            type Value = Key<'de>;
            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("a key")
            }
            fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Self::Value, E> {
                Ok(Key(text.into()))
            }
            fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
                Ok(Key(text.to_owned().into()))
            }
        }
        deserializer.deserialize_str(Text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(line: &str, expected: Result<&[(&str, Kind, &str)], &str>) {
        let found = flatten(line.as_bytes());
        let found = found
            .as_ref()
            .map(|cells| cells.iter().map(|(path, cell)| (&path[..], cell.kind, &cell.text[..])).collect::<Vec<_>>());
        assert_eq!(found.map_err(String::as_str), expected.map(<[_]>::to_vec), "{line}");
    }

    #[test]
    fn objects_become_cells() {
        check(
            r#"{"a":1,"b":{"c":"x\n","d":[1,2.5]},"e":null,"f":true,"g":[],"h":1e3,"i":12345678901234567890}"#,
            Ok(&[
                ("a", Kind::Integer, "1"),
                ("b.c", Kind::Text, "x\n"),
                ("b.d", Kind::Numbers, "[1,2.5]"),
                ("f", Kind::Boolean, "true"),
                ("g", Kind::Json, "[]"),
                ("h", Kind::Float, "1e3"),
                ("i", Kind::Code, "12345678901234567890"),
            ]),
        );
        check(r#"{"t":"2024-01-02","n":"7"}"#, Ok(&[("t", Kind::Date, "2024-01-02"), ("n", Kind::Text, "7")]));
        check("{}", Ok(&[]));
    }

    #[test]
    fn what_is_no_row_says_why() {
        check(r#"{"a":1,"a":2}"#, Err("the key `a` twice"));
        check(r#"{"a.b":1,"a":{"b":2}}"#, Err("the key `a.b` twice"));
        check("[1]", Err("no JSON object: invalid type: sequence, expected an object"));
        check(r#"{"a":1"#, Err("no JSON object: EOF while parsing an object"));
        check(r#"{"a":1} x"#, Err("no JSON object: trailing characters"));
        let deep = format!("{{\"a\":{}{}}}", "[".repeat(1_000_000), "]".repeat(1_000_000));
        check(&deep, Err("nested 1000001 levels deep, at most 32"));
        let deep = "{\"a\":".repeat(100);
        check(&deep, Err("nested 100 levels deep, at most 32"));
        let wide: Vec<String> = (0..70_000).map(|key| format!("\"{key}\":1")).collect();
        check(&format!("{{{}}}", wide.join(",")), Err("no JSON object: too many keys"));
        check(&format!("{{\"{}\":1}}", "k".repeat(2000)), Err("a key longer than 1024 bytes"));
    }
}
