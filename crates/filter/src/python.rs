//! How MLflow's messages print values: clients and their tests read these texts.

use std::fmt::Write as _;

/// A text as Python's `repr` prints it.
pub(crate) fn repr(text: &str) -> String {
    let quote = if text.contains('\'') && !text.contains('"') { '"' } else { '\'' };
    let mut out = String::with_capacity(text.len().saturating_add(2));
    out.push(quote);
    for letter in text.chars() {
        match letter {
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\\' => out.push_str("\\\\"),
            _ if letter == quote => {
                out.push('\\');
                out.push(letter);
            }
            _ if letter.is_control() => drop(write!(out, "\\x{:02x}", u32::from(letter))),
            _ => out.push(letter),
        }
    }
    out.push(quote);
    out
}

/// Texts as Python prints a list of them.
pub(crate) fn repr_list(texts: impl IntoIterator<Item = impl AsRef<str>>) -> String {
    let inside: Vec<String> = texts.into_iter().map(|text| repr(text.as_ref())).collect();
    format!("[{}]", inside.join(", "))
}

/// Texts as Python prints a set of them, but always in one order.
pub(crate) fn repr_set(texts: &[&str]) -> String {
    let inside: Vec<String> = texts.iter().map(|text| repr(text)).collect();
    format!("{{{}}}", inside.join(", "))
}

/// The longest text that an error message repeats.
const ECHO_CHARS_MAX: usize = 500;

/// A client's text for an error message, cut where it is too long to repeat.
pub(crate) fn echo(text: &str) -> String {
    match text.char_indices().nth(ECHO_CHARS_MAX) {
        Some((at, _)) => format!("{}…", text.get(..at).unwrap_or_default()),
        None => text.to_owned(),
    }
}
