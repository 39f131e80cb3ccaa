//! A text as words, numbers, signs and line ends.

use crate::hit::Hit;
use crate::kind::Kind;

/// What a token is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TokenKind {
    /// Letters, with dashes and apostrophes inside.
    Word,
    /// Digits, or digits and letters.
    Number,
    /// One sign.
    Sign,
    /// A line's end.
    Line,
    /// Something that tier 1 found.
    Hit,
}

/// A piece of a text.
#[derive(Clone, Copy, Debug)]
pub struct Token {
    pub start: usize,
    pub end: usize,
    pub kind: TokenKind,
}

/// Stands for something that tier 1 would find, in sentences to learn from.
pub const HIT_MARK: char = '\u{1}';

/// Whether the hit is opaque to the tagger: its words are not read.
const fn is_opaque(kind: Kind) -> bool {
    !matches!(kind, Kind::PostalCode | Kind::Age | Kind::Year)
}

/// The tokens of a text; what `hits` (sorted by place) cover is one token each.
pub fn tokens_of(text: &str, hits: &[Hit]) -> Vec<Token> {
    let mut tokens = Vec::with_capacity(text.len() / 5);
    let mut opaque = hits.iter().filter(|hit| is_opaque(hit.kind)).peekable();
    let mut characters = text.char_indices().peekable();
    while let Some((start, first)) = characters.next() {
        if let Some(hit) = opaque.next_if(|hit| hit.start <= start) {
            while characters.next_if(|(place, _)| *place < hit.end).is_some() {}
            tokens.push(Token { start, end: hit.end, kind: TokenKind::Hit });
            continue;
        }
        let limit = opaque.peek().map_or(usize::MAX, |hit| hit.start);
        let kind = match first {
            '\n' => TokenKind::Line,
            HIT_MARK => TokenKind::Hit,
            _ if first.is_whitespace() => continue,
            _ if first.is_numeric() => TokenKind::Number,
            _ if first.is_alphabetic() => TokenKind::Word,
            _ => TokenKind::Sign,
        };
        let mut end = start + first.len_utf8();
        let mut kind = kind;
        while matches!(kind, TokenKind::Word | TokenKind::Number) {
            let rest = text.get(end..).unwrap_or_default();
            let Some(next) = rest.chars().next() else { break };
            let joins = next.is_alphanumeric() || next == '\u{301}' || (matches!(next, '-' | '\'' | '’') && goes_on(rest));
            if end >= limit || !joins {
                break;
            }
            if next.is_numeric() {
                kind = TokenKind::Number;
            }
            characters.next();
            end += next.len_utf8();
        }
        tokens.push(Token { start, end, kind });
    }
    tokens
}

/// Whether a dash or an apostrophe joins two parts of a word; that of `'s` does not.
fn goes_on(rest: &str) -> bool {
    let mut after = rest.chars();
    let sign = after.next();
    let (next, further) = (after.next(), after.next());
    let possessive = sign != Some('-') && matches!(next, Some('s' | 'S')) && !further.is_some_and(char::is_alphanumeric);
    next.is_some_and(char::is_alphanumeric) && !possessive
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hit::Why;

    fn check(text: &str, expected: &[&str]) {
        let found: Vec<&str> = tokens_of(text, &[]).iter().map(|token| &text[token.start..token.end]).collect();
        assert_eq!(found, expected);
    }

    #[test]
    fn words_numbers_signs() {
        check("O'Brien's Jean-Luc, aged 38-year-old.", &["O'Brien", "'", "s", "Jean-Luc", ",", "aged", "38-year-old", "."]);
        check("Šárka\n12b – é", &["Šárka", "\n", "12b", "–", "é"]);
        check("a- 'b'", &["a", "-", "'", "b", "'"]);
    }

    #[test]
    fn a_hit_is_one_token() {
        let text = "to ana@example.org, now";
        let hit = Hit { kind: Kind::Email, start: 3, end: 18, score: 1.0, why: Why::default() };
        let tokens = tokens_of(text, &[hit]);
        let kinds: Vec<TokenKind> = tokens.iter().map(|token| token.kind).collect();
        assert_eq!(kinds, [TokenKind::Word, TokenKind::Hit, TokenKind::Sign, TokenKind::Word]);
        assert_eq!((tokens[1].start, tokens[1].end), (3, 18));
    }
}
