//! Splits a filter into words. It mirrors how MLflow's server tokenises SQL, as far as the grammar reaches.

/// What a token is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A dotted path of bare, `backtick` or "double" quoted parts. Also a double-quoted value.
    Name,
    /// A 'single' quoted text.
    Text,
    /// A number.
    Number,
    /// `=`, `!=`, `<` and so on; also `LIKE`, `ILIKE` and `NOT LIKE`.
    Operator,
    /// `AND`
    And,
    /// `IN`, `NOT`, `IS`, `NULL`, `OR` and other words that are not names.
    Keyword,
    /// A parenthesis up to its end, without another one inside.
    List,
    /// Arithmetic between names, which no clause may hold.
    Operation,
    /// `;`
    End,
    /// Anything else.
    Other,
}

/// One token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Token<'a> {
    pub(crate) kind: Kind,
    pub(crate) text: &'a str,
}

/// Words that end an operand instead of being one.
const KEYWORDS: &[&str] = &["IN", "NOT", "IS", "NULL", "OR", "BETWEEN", "EXISTS", "CASE", "SELECT", "WHERE", "FROM"];

/// The tokens of `text`, white space left out.
pub(crate) fn tokens(text: &str) -> Vec<Token<'_>> {
    let mut all: Vec<Token<'_>> = Vec::new();
    let mut at = 0;
    while let Some(first) = rest(text, at).chars().next() {
        if first.is_whitespace() {
            at += first.len_utf8();
            continue;
        }
        let (kind, length) = one(rest(text, at));
        let length = length.max(first.len_utf8());
        let piece = text.get(at..at + length).unwrap_or_default();
        let glued = all.last().is_some_and(|last| {
            let touches = last.text.as_ptr().wrapping_add(last.text.len()) == piece.as_ptr();
            touches && kind == Kind::Number && piece.starts_with('-') && last.kind == Kind::Name
        });
        all.push(Token { kind: if glued { Kind::Other } else { kind }, text: piece });
        at += length;
    }
    join_operations(text, &all)
}

fn rest(text: &str, at: usize) -> &str {
    text.get(at..).unwrap_or_default()
}

fn one(text: &str) -> (Kind, usize) {
    let mut letters = text.chars();
    let first = letters.next().unwrap_or_default();
    let second = letters.next().unwrap_or_default();
    match first {
        '-' if second == '-' => (Kind::Other, text.find(['\n', '\r']).unwrap_or(text.len())),
        '\'' => quoted(text, '\'').map_or((Kind::Other, 1), |length| (Kind::Text, length)),
        '`' | '"' => match name_length(text) {
            0 => (Kind::Other, 1),
            length => (Kind::Name, length),
        },
        '(' => list_length(text).map_or((Kind::Other, 1), |length| (Kind::List, length)),
        ';' => (Kind::End, 1),
        '=' | '<' | '>' | '!' | '~' => (Kind::Operator, text.find(|c| !"=<>!~*".contains(c)).unwrap_or(text.len())),
        '0'..='9' | '-' | '.' => match number_length(text) {
            0 => (Kind::Other, 1),
            length => (Kind::Number, length),
        },
        _ if is_name_start(first) => {
            let length = name_length(text);
            (word_kind(text.get(..length).unwrap_or_default()), length)
        }
        _ => (Kind::Other, first.len_utf8()),
    }
}

fn word_kind(word: &str) -> Kind {
    match word.to_ascii_uppercase().as_str() {
        "AND" => Kind::And,
        "LIKE" | "ILIKE" | "RLIKE" | "REGEXP" => Kind::Operator,
        upper if KEYWORDS.contains(&upper) => Kind::Keyword,
        _ => Kind::Name,
    }
}

fn is_name_start(letter: char) -> bool {
    letter.is_alphabetic() || letter == '_'
}

fn is_name_part(letter: char) -> bool {
    letter.is_alphanumeric() || letter == '_'
}

/// The length of a quoted text with its quotes; a doubled or backslashed quote does not end it.
fn quoted(text: &str, quote: char) -> Option<usize> {
    let mut letters = text.char_indices().skip(1).peekable();
    while let Some((at, letter)) = letters.next() {
        if letter == '\\' && quote != '`' && letters.peek().is_some_and(|(_, next)| *next == quote) {
            // Escaped only if the text goes on to another quote; else this was the last letter.
            let after = rest(text, at + 1 + quote.len_utf8());
            if after.contains(quote) {
                letters.next();
            }
            continue;
        }
        if letter == quote {
            if letters.peek().is_some_and(|(_, next)| *next == quote) {
                letters.next();
                continue;
            }
            return Some(at + quote.len_utf8());
        }
    }
    None
}

/// The length of a dotted path that starts at `text`; 0 if there is none.
fn name_length(text: &str) -> usize {
    let mut at = 0;
    loop {
        let part = rest(text, at);
        let length = match part.chars().next() {
            Some(quote @ ('`' | '"')) => quoted(part, quote).unwrap_or(0),
            Some(letter) if is_name_part(letter) => part.find(|c| !is_name_part(c)).unwrap_or(part.len()),
            _ => 0,
        };
        if length == 0 {
            // A trailing dot is not part of the path.
            return at.saturating_sub(1);
        }
        at += length;
        if !rest(text, at).starts_with('.') {
            return at;
        }
        at += 1;
    }
}

fn number_length(text: &str) -> usize {
    let mut at = usize::from(text.starts_with('-'));
    let digits = |from: usize| rest(text, from).find(|c: char| !c.is_ascii_digit()).unwrap_or(rest(text, from).len());
    let whole = digits(at);
    at += whole;
    let mut fraction = 0;
    if rest(text, at).starts_with('.') {
        fraction = digits(at + 1);
        at += 1 + fraction;
    }
    if whole + fraction == 0 {
        return 0;
    }
    let after = rest(text, at);
    if after.starts_with(['e', 'E']) {
        let sign = usize::from(rest(after, 1).starts_with(['+', '-']));
        let exponent = digits(at + 1 + sign);
        if exponent > 0 {
            at += 1 + sign + exponent;
        }
    }
    if rest(text, at).chars().next().is_some_and(is_name_start) {
        return 0;
    }
    at
}

/// The length of a parenthesis with its ends. One inside another is no list, so that no text is scanned twice.
fn list_length(text: &str) -> Option<usize> {
    let mut at = 1;
    while let Some(letter) = rest(text, at).chars().next() {
        match letter {
            '\'' | '"' => {
                at += quoted(rest(text, at), letter)?;
                continue;
            }
            '(' => return None,
            ')' => return Some(at + 1),
            _ => at += letter.len_utf8(),
        }
    }
    None
}

/// `a-b`, `a/b`, `a + b`: one operand that no clause may have. Only names are joined; `> -1` stays a number.
fn join_operations<'a>(text: &'a str, tokens: &[Token<'a>]) -> Vec<Token<'a>> {
    let mut joined: Vec<Token<'a>> = Vec::with_capacity(tokens.len());
    let mut rest = tokens;
    while let Some((token, after)) = rest.split_first() {
        rest = after;
        let starts = joined.last().is_some_and(|last| matches!(last.kind, Kind::Name | Kind::Operation));
        let arithmetic = token.kind == Kind::Other && token.text.starts_with(['-', '+', '/', '*', '%']);
        let longer = token.text.len() > 1 && !token.text.starts_with("--");
        let next = rest.first().filter(|next| matches!(next.kind, Kind::Name | Kind::Number));
        if !(starts && arithmetic && (longer || next.is_some()) && !token.text.starts_with("--")) {
            joined.push(*token);
            continue;
        }
        let last = if longer {
            *token
        } else {
            rest = rest.split_first().map_or(rest, |(_, after)| after);
            next.copied().unwrap_or(*token)
        };
        if let Some(first) = joined.pop() {
            joined.push(Token { kind: Kind::Operation, text: span(text, first.text, last.text) });
        }
    }
    joined
}

/// The part of `text` from the start of `first` to the end of `last`, both being parts of it.
fn span<'a>(text: &'a str, first: &str, last: &str) -> &'a str {
    let base = text.as_ptr().addr();
    let from = first.as_ptr().addr().wrapping_sub(base);
    let to = last.as_ptr().addr().wrapping_sub(base).wrapping_add(last.len());
    text.get(from..to).unwrap_or_default()
}
