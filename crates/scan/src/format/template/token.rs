//! Jinja's tokens, as its own lexer takes a template apart: texts are passed over, expressions and statements are read.

/// Tokens of one template.
const TOKENS_MAX: usize = 1 << 15;
/// Brackets in brackets.
const DEPTH_MAX: usize = 32;

/// A part of an expression.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Token {
    Name(String),
    /// A text with its escapes resolved.
    Text(String),
    /// A text whose underscores were written as escapes: nobody writes them so without a reason.
    Disguised,
    Number,
    Sign(char),
}

/// What stands between two braces.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Code {
    /// `{% … %}`; otherwise `{{ … }}`.
    pub is_statement: bool,
    pub tokens: Vec<Token>,
}

/// Takes a template apart; the error says what could not be read.
pub(super) fn codes(template: &str) -> Result<Vec<Code>, &'static str> {
    let mut codes = Vec::new();
    let mut count = 0;
    let mut rest = template;
    while let Some(at) = next_mark(rest) {
        let (mark, inner) = rest.get(at..).and_then(|from| from.split_at_checked(2)).unwrap_or_default();
        if mark == "{#" {
            rest = inner.split_once("#}").ok_or("a comment without an end")?.1;
            continue;
        }
        let is_statement = mark == "{%";
        let inner = inner.strip_prefix(['-', '+']).unwrap_or(inner);
        let (tokens, after) = tokens(inner, if is_statement { "%}" } else { "}}" })?;
        count += tokens.len();
        if count > TOKENS_MAX {
            return Err("too many tokens");
        }
        if is_statement && tokens.first() == Some(&Token::Name("raw".to_owned())) {
            return Err("a raw part");
        }
        codes.push(Code { is_statement, tokens });
        rest = after;
    }
    Ok(codes)
}

fn next_mark(text: &str) -> Option<usize> {
    memchr::memchr_iter(b'{', text.as_bytes())
        .find(|at| text.as_bytes().get(at + 1).is_some_and(|byte| matches!(byte, b'{' | b'%' | b'#')))
}

/// Tokens up to the end mark, which counts only outside of brackets, and what follows.
fn tokens<'a>(text: &'a str, end: &str) -> Result<(Vec<Token>, &'a str), &'static str> {
    let mut tokens = Vec::new();
    let mut open = Vec::new();
    let mut rest = text.trim_start();
    loop {
        if open.is_empty() {
            let unsigned = rest.strip_prefix(['-', '+']).unwrap_or(rest);
            if let Some(after) = rest.strip_prefix(end).or_else(|| unsigned.strip_prefix(end)) {
                return Ok((tokens, after));
            }
        }
        let letter = rest.chars().next().ok_or("an expression without an end")?;
        if tokens.len() > TOKENS_MAX {
            return Err("too many tokens");
        }
        let after = if letter == '_' || letter.is_alphabetic() {
            let length = rest.find(|letter: char| letter != '_' && !letter.is_alphanumeric()).unwrap_or(rest.len());
            let (name, after) = rest.split_at_checked(length).unwrap_or_default();
            tokens.push(Token::Name(name.to_owned()));
            after
        } else if letter.is_ascii_digit() {
            tokens.push(Token::Number);
            rest.trim_start_matches(|letter: char| letter.is_ascii_alphanumeric() || letter == '_')
        } else if matches!(letter, '\'' | '"') {
            let (token, after) = quoted(rest, letter)?;
            match (tokens.last_mut(), token) {
                // Texts side by side are one.
                (Some(Token::Text(first)), Token::Text(second)) => first.push_str(&second),
                (_, token) => tokens.push(token),
            }
            after
        } else {
            match letter {
                '(' | '[' | '{' if open.len() >= DEPTH_MAX => return Err("brackets in brackets too deep"),
                '(' | '[' | '{' => open.push(letter),
                ')' | ']' | '}' => {
                    open.pop().ok_or("a bracket that was not opened")?;
                }
                letter if letter.is_ascii_punctuation() => {}
                _ => return Err("a letter that Jinja does not know"),
            }
            tokens.push(Token::Sign(letter));
            rest.get(letter.len_utf8()..).unwrap_or_default()
        };
        rest = after.trim_start();
    }
}

/// A text in quotes.
fn quoted(text: &str, quote: char) -> Result<(Token, &str), &'static str> {
    let mut plain = String::new();
    let mut disguised = false;
    let mut letters = text.char_indices().skip(1);
    while let Some((at, letter)) = letters.next() {
        if letter == quote {
            let after = text.get(at + 1..).unwrap_or_default();
            return Ok((if disguised { Token::Disguised } else { Token::Text(plain) }, after));
        }
        if letter != '\\' {
            plain.push(letter);
            continue;
        }
        match letters.next().ok_or("a text without an end")?.1 {
            'n' => plain.push('\n'),
            't' => plain.push('\t'),
            'r' => plain.push('\r'),
            // Numbers and names of letters: only an underscore and its parts matter.
            kind @ ('x' | 'u' | 'U' | 'N' | '0'..='7') => disguised |= escaped_underscore(text, at, kind),
            other => plain.push(other),
        }
    }
    Err("a text without an end")
}

fn escaped_underscore(text: &str, backslash: usize, kind: char) -> bool {
    let digits = text.get(backslash + 2..).unwrap_or_default();
    let number = |length: usize| digits.get(..length).and_then(|digits| u32::from_str_radix(digits, 16).ok());
    let code = match kind {
        'x' => number(2),
        'u' => number(4),
        'U' => number(8),
        // A name: only the rarest of letters are written so.
        'N' => return true,
        octal => {
            let more = digits.chars().take(2).take_while(|digit| matches!(digit, '0'..='7'));
            u32::from_str_radix(&std::iter::once(octal).chain(more).collect::<String>(), 8).ok()
        }
    };
    // `%`, `_`, and full-width forms, which some readers make the same.
    code.is_none_or(|code| matches!(code, 0x25 | 0x5f | 0x5c) || (0x20..0x7f).contains(&code))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(template: &str) -> Result<usize, &'static str> {
        codes(template).map(|codes| codes.iter().map(|code| code.tokens.len()).sum())
    }

    #[test]
    fn templates_are_taken_apart_as_jinja_does() {
        assert_eq!(check("plain { text } %}"), Ok(0));
        assert_eq!(check("{{ a['b'] }}{# {{ c }} #}{%- if x -%}"), Ok(6));
        assert_eq!(check("{{ {'a': {}} }}"), Ok(6));
        assert_eq!(check("{{ '}}' }}x"), Ok(1));
        for bad in ["{{ a", "{# a", "{{ 'a }}", "{{ a) }}", "{% raw %}{{ x }}{% endraw %}"] {
            assert!(check(bad).is_err(), "{bad}");
        }
        assert_eq!(
            codes(r"{{ '\x5f' '\137' '\u005f' '\n' }}").map(|codes| codes[0].tokens.clone()),
            Ok(vec![Token::Disguised, Token::Disguised, Token::Disguised, Token::Text("\n".to_owned()),])
        );
    }
}
