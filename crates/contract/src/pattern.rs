//! Regular expressions as the standard means them (ECMA-262), run by an engine that can be bounded.
//!
//! The two languages differ: what means the same is rewritten, what does not exist or would mean something else is refused.
//! A pattern matches if it occurs anywhere in the value; anchor it with `^` and `$` to mean the whole.

use std::iter::Peekable;
use std::str::Chars;

use fancy_regex::{Regex, RegexBuilder};

use crate::{PATTERN_BACKTRACK_MAX, PATTERN_BYTES_MAX};

/// Compiled size of one pattern.
const PATTERN_PROGRAM_BYTES_MAX: usize = 4 * 1024 * 1024;
/// Instructions of one pattern's own program.
const PATTERN_INSTRUCTION_COUNT_MAX: usize = 50_000;

/// A compiled pattern.
#[derive(Clone, Debug)]
pub(crate) struct Pattern {
    regex: Regex,
}

impl Pattern {
    /// Compiles.
    ///
    /// # Errors
    /// In words, if the pattern is not one, is too long, or uses what cannot be run as it is meant.
    pub(crate) fn new(text: &str) -> Result<Self, String> {
        if text.len() > PATTERN_BYTES_MAX {
            return Err(format!("the pattern has {} bytes, but at most {PATTERN_BYTES_MAX} are allowed", text.len()));
        }
        let mut builder = RegexBuilder::new(&rewritten(text)?);
        builder
            .backtrack_limit(PATTERN_BACKTRACK_MAX)
            .delegate_size_limit(PATTERN_PROGRAM_BYTES_MAX)
            .max_prog_size(PATTERN_INSTRUCTION_COUNT_MAX);
        let regex = builder.build().map_err(|error| format!("the pattern `{}` cannot be run: {error}", short(text)))?;
        Ok(Self { regex })
    }

    /// Whether it occurs in the value.
    ///
    /// # Errors
    /// In words, if it took more steps than it may.
    pub(crate) fn occurs_in(&self, value: &str) -> Result<bool, String> {
        self.regex.is_match(value).map_err(|_| {
            format!("the pattern took more than {PATTERN_BACKTRACK_MAX} steps on one value: write it without nested repetition")
        })
    }
}

fn short(text: &str) -> String {
    text.chars().take(80).collect()
}

/// The pattern in the engine's own language.
fn rewritten(text: &str) -> Result<String, String> {
    let mut out = String::with_capacity(text.len() + 16);
    let mut rest = text.chars().peekable();
    while let Some(one) = rest.next() {
        match one {
            '\\' => escape(&mut rest, &mut out, false)?,
            '[' => class(&mut rest, &mut out)?,
            _ => out.push(one),
        }
    }
    Ok(out)
}

/// What follows a backslash. Digits and words are ASCII in ECMA-262.
fn escape(rest: &mut Peekable<Chars<'_>>, out: &mut String, in_class: bool) -> Result<(), String> {
    let Some(one) = rest.next() else { return Err("the pattern ends with a backslash".to_owned()) };
    match (one, in_class) {
        ('d', false) => out.push_str("[0-9]"),
        ('d', true) => out.push_str("0-9"),
        ('w', false) => out.push_str("[A-Za-z0-9_]"),
        ('w', true) => out.push_str("A-Za-z0-9_"),
        ('D', _) => out.push_str("[^0-9]"),
        ('W', _) => out.push_str("[^A-Za-z0-9_]"),
        ('b', true) => out.push_str("\\x08"),
        ('0', _) => out.push_str("\\x00"),
        ('c', _) => match rest.next() {
            Some(letter) if letter.is_ascii_alphabetic() => {
                out.push_str(&format!("\\x{:02x}", u32::from(letter.to_ascii_uppercase()) - 64));
            }
            _ => return Err("after `\\c` a letter must stand".to_owned()),
        },
        ('Z' | 'G' | 'K' | 'R' | 'X' | 'h' | 'H' | 'e' | 'N' | 'O' | 'g' | 'y' | 'Y', _) => {
            return Err(format!("the escape `\\{one}` means different things to different engines: write what you mean"));
        }
        ('/' | '-' | '"' | '\'' | '@' | '%' | '=' | ':' | ',' | ';' | '!' | '#' | '&' | '~' | ' ' | '_' | '`', false) => {
            literal(one, out);
        }
        ('s' | 'S' | 't' | 'n' | 'r' | 'v' | 'f' | 'b' | 'B' | 'A' | 'z' | 'x' | 'u' | 'p' | 'P' | 'k' | '1'..='9', _) => {
            out.push('\\');
            out.push(one);
        }
        _ if one.is_ascii_punctuation() || one == ' ' => {
            out.push('\\');
            out.push(one);
        }
        _ => return Err(format!("the escape `\\{one}` is not known: write `{one}` alone")),
    }
    Ok(())
}

/// A character that stands for itself.
fn literal(one: char, out: &mut String) {
    if matches!(one, '#' | '&' | '~' | '-') {
        out.push('\\');
    }
    out.push(one);
}

/// A character class. Brackets, `&&`, `--` and `~~` inside it are plain characters in ECMA-262, operators in the engine.
fn class(rest: &mut Peekable<Chars<'_>>, out: &mut String) -> Result<(), String> {
    out.push('[');
    if rest.next_if_eq(&'^').is_some() {
        out.push('^');
    }
    if rest.peek() == Some(&']') {
        return Err("an empty class `[]` matches nothing in one engine and is a fault in another: leave it out".to_owned());
    }
    let mut before = None;
    while let Some(one) = rest.next() {
        match one {
            ']' => {
                out.push(']');
                return Ok(());
            }
            '[' if matches!(rest.peek(), Some(':' | '.' | '=')) => {
                return Err("classes such as `[:alpha:]` are not part of ECMA-262: write `a-zA-Z`".to_owned());
            }
            '[' | '&' | '~' => {
                out.push('\\');
                out.push(one);
            }
            '-' if before == Some('-') => out.push_str("\\-"),
            '\\' => escape(rest, out, true)?,
            _ => out.push(one),
        }
        before = Some(one);
    }
    Err("a class `[` has no end `]`".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(pattern: &str, matches: &[&str], others: &[&str]) {
        let pattern = Pattern::new(pattern).unwrap();
        for value in matches {
            assert!(pattern.occurs_in(value).unwrap(), "{pattern:?} {value}");
        }
        for value in others {
            assert!(!pattern.occurs_in(value).unwrap(), "{pattern:?} {value}");
        }
    }

    #[test]
    fn as_ecma_means_it() {
        check(r"\d{2}", &["a12"], &["1", "٣٣"]);
        check(r"^\w+$", &["a_1"], &["é", "a b"]);
        check(r"^[\w.+-]+@[\w-]+\.[\w.]+$", &["a.b+c@d-e.org"], &["a b@c.d"]);
        check(r"^[[]x$", &["[x"], &["x"]);
        check(r"^[a&&b]+$", &["a&b"], &["c"]);
        check(r"^[^\D]+$", &["12"], &["a"]);
        check(r"^\/a\-b$", &["/a-b"], &["ab"]);
        check(r"^\u0041\x42\cJ$", &["AB\n"], &["AB"]);
        check(r"^(?!foo)[a-z]+$", &["bar"], &["foobar"]);
        check(r"(?<=\$)\d+", &["$5"], &["5"]);
        check(r"^(a)\1$", &["aa"], &["ab"]);
        check("^[A-Z]{2}[0-9]{2}[A-Z0-9]{4}[0-9]{7}([A-Z0-9]?){0,16}$", &["GB82WEST12345698765432"], &["nope"]);
        check("^[A-Z--]$", &["-", "B"], &["b"]);
    }

    #[test]
    fn what_cannot_run_as_meant_is_refused() {
        for pattern in ["[", "(", "[]", "[^]", "[[:alpha:]]", r"\Z", r"\h", r"\", r"\q", r"a**", r"\c1"] {
            assert!(Pattern::new(pattern).is_err(), "{pattern}");
        }
        assert!(Pattern::new(&"a".repeat(PATTERN_BYTES_MAX + 1)).is_err());
        assert!(Pattern::new("((((a{100}){100}){100}){100})").is_err());
    }

    #[test]
    fn endless_steps_are_given_up() {
        let pattern = Pattern::new(r"^(?=(a+)+$)(a|aa)+\1$").unwrap();
        assert!(pattern.occurs_in(&"a".repeat(200)).is_err() || !pattern.occurs_in("b").unwrap());
        let pattern = Pattern::new(r"^(\w+\s?)*(?!x)\1$").unwrap();
        assert!(pattern.occurs_in(&format!("{}!", "word ".repeat(40))).is_err());
    }
}
