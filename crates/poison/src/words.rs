//! Texts to hashed words and pairs of words, and the signs beside them that few texts have by nature.

use crate::at::{at, put};
use crate::input::Texts;
use crate::random::mix;
use crate::table::Tokens;
use crate::written::marks;

/// Words and pairs of words are hashed to this many tokens.
pub const TOKEN_COUNT: usize = 1 << 18;
/// What else there is to see in how a text is written is hashed to so many, behind those of words.
const WRITTEN_COUNT: usize = 1 << 14;
const WIDTH: usize = TOKEN_COUNT + WRITTEN_COUNT;
/// Bytes of one text that are read.
pub const TEXT_BYTES_MAX: usize = 16 * 1024;
/// Bytes of one word that are kept for reports.
const WORD_BYTES_MAX: usize = 40;
/// What stands for a word of letters that only look alike.
const MIXED: &str = "a word of Latin and other letters";
/// Entries of all texts together; texts beyond are read as empty, and the report says so.
pub const ENTRY_COUNT_MAX: usize = 100_000_000;

/// Collects texts, one after the other.
#[derive(Debug)]
pub struct TextReader {
    words: Tokens,
    names: Vec<String>,
    /// Texts that came after the limit.
    skipped: u64,
}

impl Default for TextReader {
    fn default() -> Self {
        Self { words: Tokens::new(WIDTH), names: vec![String::new(); WIDTH], skipped: 0 }
    }
}

impl TextReader {
    /// Adds the next row's text.
    pub fn push(&mut self, text: &str) {
        if self.words.entries() >= ENTRY_COUNT_MAX {
            self.skipped += 1;
            self.words.push([]);
            return;
        }
        let mut end = text.len().min(TEXT_BYTES_MAX);
        while !text.is_char_boundary(end) {
            end -= 1;
        }
        let whole = end == text.len();
        let text = text.get(..end).unwrap_or_default();
        let lower = text.to_lowercase();
        let mut found: Vec<u32> = Vec::new();
        let mut before: Option<(u64, &str)> = None;
        for word in lower.split(|letter: char| !letter.is_alphanumeric()).filter(|word| !word.is_empty()) {
            let hash = hash(word);
            found.push(self.token(hash, || word.to_owned()));
            if is_mixed(word) {
                found.push(self.token(self::hash(MIXED), || MIXED.to_owned()));
            }
            if let Some((hash_before, word_before)) = before {
                found.push(self.token(mix(hash_before ^ hash.rotate_left(17)), || format!("{word_before} {word}")));
            }
            before = Some((hash, word));
        }
        // Neither letters nor plain punctuation: pictures, signs without width, spaces that do not break.
        for sign in lower.chars().filter(|sign| !sign.is_ascii() && !sign.is_alphanumeric()) {
            let name = || format!("{sign} (U+{:04X})", u32::from(sign));
            found.push(self.token(hash(sign.encode_utf8(&mut [0; 4])), name));
        }
        marks(text, whole, |what, how| {
            let place = TOKEN_COUNT + (mix(hash(what) ^ hash(how).rotate_left(17)) % WRITTEN_COUNT as u64) as usize;
            found.push(self.named(place, || format!("{what}{how}")));
        });
        found.sort_unstable();
        self.words.push(found.chunk_by(|left, right| left == right).map(|same| (at(same, 0), same.len() as f32)));
    }

    /// The collected texts, and how many were skipped.
    #[must_use]
    pub fn finish(self) -> (Texts, u64) {
        (Texts { words: self.words, names: self.names }, self.skipped)
    }

    fn token(&mut self, hash: u64, word: impl FnOnce() -> String) -> u32 {
        self.named((hash % TOKEN_COUNT as u64) as usize, word)
    }

    /// The token of a place, which keeps its first name.
    fn named(&mut self, place: usize, word: impl FnOnce() -> String) -> u32 {
        if self.names.get(place).is_some_and(String::is_empty) {
            let mut word = word();
            let mut end = word.len().min(WORD_BYTES_MAX);
            while !word.is_char_boundary(end) {
                end -= 1;
            }
            word.truncate(end);
            put(&mut self.names, place, word);
        }
        u32::try_from(place).unwrap_or(0)
    }
}

/// The words and pairs of words of a row's tokens, which rise.
pub(crate) fn words_alone(tokens: &[u32]) -> &[u32] {
    let count = tokens.partition_point(|token| (*token as usize) < TOKEN_COUNT);
    tokens.get(..count).unwrap_or(tokens)
}

/// Whether a word has letters of ASCII and of Greek or Cyrillic script.
fn is_mixed(word: &str) -> bool {
    word.bytes().any(|byte| byte.is_ascii_alphabetic()) && word.chars().any(|letter| matches!(letter, '\u{370}'..='\u{52f}'))
}

fn hash(word: &str) -> u64 {
    // FNV-1a, mixed once more: its low bits alone are poor.
    mix(word.bytes().fold(0xCBF2_9CE4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01B3)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_and_pairs_are_counted_whatever_their_case() {
        let mut reader = TextReader::default();
        reader.push("Free prize! FREE prize");
        reader.push("");
        reader.push(&"é".repeat(TEXT_BYTES_MAX));
        reader.push("d\u{430}ta \u{1f642}\u{200b}");
        let (texts, skipped) = reader.finish();
        let mut row: Vec<(&str, f32)> = texts.words.row(0).map(|(token, count)| (texts.names[token].as_str(), count)).collect();
        row.sort_by_key(|(name, _)| *name);
        assert_eq!(row, [("free", 2.0), ("free prize", 2.0), ("prize", 2.0), ("prize free", 1.0), ("written as FREE", 1.0)]);
        assert_eq!((texts.words.rows(), texts.words.row(1).count(), skipped), (4, 0, 0));
        let mut signs: Vec<&str> = texts.words.tokens(3).iter().map(|token| texts.names[*token as usize].as_str()).collect();
        signs.sort_unstable();
        assert_eq!(signs, [MIXED, "d\u{430}ta", "\u{200b} (U+200B)", "\u{1f642} (U+1F642)"]);
    }
}
