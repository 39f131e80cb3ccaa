//! Chat templates: Jinja programs that the reader runs. They are taken apart, and what reaches for Python's internals, or
//! makes up while it runs the name of what it reaches for, is found. What people read of a template is not looked at.

mod token;

use std::collections::HashSet;

use crate::context::Context;
use crate::rules;

use token::{Code, Token};

/// Names that lead to Python's internals, and statements that load other templates.
const UNSAFE_NAMES: [&str; 5] = ["cycler", "joiner", "lipsum", "self", "request"];
const UNSAFE_STATEMENTS: [&str; 4] = ["import", "from", "include", "extends"];
/// Filters that take an attribute's name.
const ACCESS_FILTERS: [&str; 9] = ["map", "selectattr", "rejectattr", "groupby", "sort", "sum", "unique", "min", "max"];
/// Filters that make no texts.
const PLAIN_FILTERS: [&str; 10] = ["length", "count", "int", "abs", "first", "last", "min", "max", "list", "reverse"];
/// Filters that make texts out of others.
const TEXT_FILTERS: [&str; 9] = ["join", "format", "replace", "string", "tojson", "pprint", "xmlattr", "urlize", "escape"];
/// Rounds in which names hand on that they hold made-up texts.
const ROUNDS_MAX: usize = 8;
/// Templates of one file.
const TEMPLATES_MAX: usize = 64;

/// Notes what a chat template does.
pub(super) fn judge(context: &mut Context<'_>, at: u64, text: &str) {
    context.templates += 1;
    if context.templates > TEMPLATES_MAX {
        return context.find(rules::LIMIT, at, format!("the file has more than {TEMPLATES_MAX} chat templates"));
    }
    let codes = match token::codes(text) {
        Ok(codes) => codes,
        Err(problem) => return context.find(rules::TEMPLATE_UNREAD, at, format!("the chat template has {problem}")),
    };
    if let Some(what) = codes.iter().find_map(unsafe_part) {
        return context.find(rules::TEMPLATE_UNSAFE, at, format!("the chat template has {what}"));
    }
    let made = made_names(&codes);
    if made.is_none_or(|made| codes.iter().any(|code| reaches(&code.tokens, &made))) {
        let message = "the chat template makes up, while it runs, the name of what it reaches for";
        return context.find(rules::TEMPLATE_UNREAD, at, message);
    }
    context.find(rules::CHAT_TEMPLATE, at, "the file has a chat template");
}

/// What no chat template needs.
fn unsafe_part(code: &Code) -> Option<String> {
    if let (true, Some(Token::Name(word))) = (code.is_statement, code.tokens.first())
        && UNSAFE_STATEMENTS.contains(&word.as_str())
    {
        return Some(format!("the statement `{word}`"));
    }
    code.tokens.iter().enumerate().find_map(|(index, token)| {
        let before = index.checked_sub(1).and_then(|before| code.tokens.get(before));
        match token {
            Token::Name(name) if name.contains("__") => Some(format!("the name `{}`", crate::report::shown(name))),
            Token::Name(name) if UNSAFE_NAMES.contains(&name.as_str()) && before != Some(&Token::Sign('.')) => {
                Some(format!("`{name}`"))
            }
            Token::Name(name) if name == "attr" && before == Some(&Token::Sign('|')) => Some("the filter `attr`".to_owned()),
            Token::Text(text) if is_internal(text) => Some(format!("the text `{}`", crate::report::shown(text))),
            Token::Disguised => Some("a text with disguised letters".to_owned()),
            _ => None,
        }
    })
}

/// `__class__` and the like, wherever it stands in a text.
fn is_internal(text: &str) -> bool {
    text.match_indices("__").any(|(at, _)| {
        let rest = text.get(at + 2..).unwrap_or_default();
        let end = rest.find(|letter: char| !letter.is_ascii_alphanumeric()).unwrap_or(rest.len());
        let named = rest.get(..end).unwrap_or_default();
        !named.is_empty() && rest.get(end..).is_some_and(|after| after.starts_with("__"))
    })
}

/// Names of the template's own that may hold a text that is made up while it runs; `None` if that is too long a story.
fn made_names(codes: &[Code]) -> Option<HashSet<&str>> {
    let statements: Vec<Bound<'_>> = codes.iter().filter(|code| code.is_statement).filter_map(bound).collect();
    let own: HashSet<&str> = statements.iter().flat_map(|bound| bound.names.iter().copied()).collect();
    // A macro's value is a text, as is that of a block.
    let texts = statements.iter().flat_map(|bound| match bound.kind {
        Kind::Macro => bound.names.get(..1).unwrap_or_default(),
        Kind::Value if bound.value.is_empty() => bound.names.as_slice(),
        Kind::Value => &[],
    });
    let mut made: HashSet<&str> = texts.copied().collect();
    for _ in 0..ROUNDS_MAX {
        let before = made.len();
        // Values reach the parameters of macros by calls.
        let by_call = codes.iter().any(|code| calls_with_made(&code.tokens, &own, &made));
        for bound in &statements {
            if makes_text(bound.value, &made) && bound.kind == Kind::Value
                || bound.kind == Kind::Macro && (by_call || makes_text(bound.value, &HashSet::new()))
            {
                made.extend(&bound.names);
            }
        }
        // And lists and the like by their methods.
        let filled: Vec<&Code> = codes.iter().filter(|code| fills(&code.tokens, &made)).collect();
        for code in filled {
            made.extend(names(&code.tokens).into_iter().filter(|name| own.contains(name)));
        }
        if made.len() == before {
            return Some(made);
        }
    }
    None
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// The names get the value.
    Value,
    /// The first name is a macro's, the others are its parameters.
    Macro,
}

/// The names that a statement gives values to, and the tokens of these.
struct Bound<'a> {
    kind: Kind,
    names: Vec<&'a str>,
    value: &'a [Token],
}

fn bound(code: &Code) -> Option<Bound<'_>> {
    let (Token::Name(word), rest) = code.tokens.split_first()? else { return None };
    let split = match word.as_str() {
        "set" | "with" => rest.iter().position(|token| *token == Token::Sign('=')),
        "for" => rest.iter().position(|token| *token == Token::Name("in".to_owned())),
        "macro" | "call" => return Some(Bound { kind: Kind::Macro, names: names(rest), value: rest }),
        _ => return None,
    };
    let (left, right) = rest.split_at_checked(split.unwrap_or(rest.len())).unwrap_or((rest, &[]));
    let mut names = names(if word == "with" { rest } else { left });
    // Of `set ns.key`, the key alone gets a value.
    if left.contains(&Token::Sign('.')) {
        names = names.split_off(names.len().saturating_sub(1));
    }
    Some(Bound { kind: Kind::Value, names, value: right })
}

fn names(tokens: &[Token]) -> Vec<&str> {
    tokens.iter().filter_map(|token| if let Token::Name(name) = token { Some(name.as_str()) } else { None }).collect()
}

/// Whether an expression may make a text that stands nowhere in the template.
fn makes_text(tokens: &[Token], made: &HashSet<&str>) -> bool {
    let has_text = tokens.iter().any(|token| matches!(token, Token::Text(_)));
    tokens.iter().enumerate().any(|(index, token)| {
        let after = tokens.get(index + 1);
        match token {
            Token::Sign('~') => true,
            Token::Sign('+' | '*' | '%') => has_text,
            // A letter, a method or a filter of a text of the template's own.
            Token::Text(text) => text.contains("%c") || matches!(after, Some(Token::Sign('[' | '.' | '|'))),
            Token::Name(name) if made.contains(name.as_str()) => true,
            Token::Sign('|') => matches!(after, Some(Token::Name(name)) if TEXT_FILTERS.contains(&name.as_str())),
            Token::Sign('.') => matches!(after, Some(Token::Name(name)) if name.starts_with("format")),
            _ => false,
        }
    })
}

/// Whether something of the template's own is called with a made-up text.
fn calls_with_made(tokens: &[Token], own: &HashSet<&str>, made: &HashSet<&str>) -> bool {
    tokens.windows(2).enumerate().any(|(index, pair)| {
        let [Token::Name(name), Token::Sign('(')] = pair else { return false };
        (own.contains(name.as_str()) || name == "caller" || name == "namespace")
            && makes_text(inside(tokens.get(index + 1..).unwrap_or_default()), made)
    })
}

/// Whether a method is called with a made-up text that its object may keep.
fn fills(tokens: &[Token], made: &HashSet<&str>) -> bool {
    const FILLING: [&str; 6] = ["append", "insert", "extend", "update", "setdefault", "add"];
    tokens.windows(3).enumerate().any(|(index, window)| {
        let [Token::Sign('.'), Token::Name(name), Token::Sign('(')] = window else { return false };
        FILLING.contains(&name.as_str()) && makes_text(inside(tokens.get(index + 2..).unwrap_or_default()), made)
    })
}

/// The tokens between a bracket, which is the first, and the one that closes it.
fn inside(tokens: &[Token]) -> &[Token] {
    let mut depth = 0_usize;
    for (index, token) in tokens.iter().enumerate() {
        match token {
            Token::Sign('(' | '[' | '{') => depth += 1,
            Token::Sign(')' | ']' | '}') => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return tokens.get(1..index).unwrap_or_default();
        }
    }
    tokens.get(1..).unwrap_or_default()
}

/// Whether an attribute or an item is reached whose name is a made-up text.
fn reaches(tokens: &[Token], made: &HashSet<&str>) -> bool {
    tokens.iter().enumerate().any(|(index, token)| {
        let before = index.checked_sub(1).and_then(|before| tokens.get(before));
        let follows_value = match before {
            Some(Token::Name(name)) => {
                !matches!(name.as_str(), "in" | "is" | "not" | "and" | "or" | "if" | "else" | "set" | "do")
            }
            Some(Token::Sign(sign)) => matches!(sign, ')' | ']' | '}'),
            Some(_) => true,
            None => false,
        };
        let content = || inside(tokens.get(index..).unwrap_or_default());
        match token {
            Token::Sign('[') if follows_value => is_made(content(), made),
            Token::Sign('(') => {
                let filter = index.checked_sub(2).and_then(|at| tokens.get(at)) == Some(&Token::Sign('|'));
                let takes_name = matches!(before, Some(Token::Name(name)) if ACCESS_FILTERS.contains(&name.as_str()));
                filter && takes_name && is_made(content(), made)
            }
            _ => false,
        }
    })
}

/// Whether what stands in brackets is more than a plain text, a number, or a value that is handed in.
fn is_made(tokens: &[Token], made: &HashSet<&str>) -> bool {
    let calls = tokens.iter().zip(tokens.iter().skip(1)).any(|pair| match pair {
        (Token::Name(name), Token::Sign('(')) => !matches!(name.as_str(), "in" | "not" | "and" | "or" | "if" | "else"),
        (Token::Sign(')' | ']'), Token::Sign('(')) => true,
        _ => false,
    });
    let filtered = tokens.iter().zip(tokens.iter().skip(1)).any(|pair| {
        let (Token::Sign('|'), Token::Name(name)) = pair else { return false };
        !PLAIN_FILTERS.contains(&name.as_str())
    });
    calls || filtered || makes_text(tokens, made)
}

#[cfg(test)]
mod tests;
