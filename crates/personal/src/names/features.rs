//! What the tagger sees of a token and its neighbours, as numbers of weights.

use super::lexicon::{Lexicon, fold};
use super::tokens::{Token, TokenKind};

/// Features of one token.
pub const FEATURE_COUNT: usize = 36;
/// Rows of weights; a power of two.
pub const ROW_COUNT: u32 = 1 << 17;
/// A word's letters that make its shape.
const SHAPE_CHARS_MAX: usize = 24;

/// The rows that one token switches on.
pub type Features = [u32; FEATURE_COUNT];

/// What is known of one token by itself.
#[derive(Clone, Copy, Debug, Default)]
struct View {
    word: u32,
    shape: u32,
    prefix: u32,
    suffix: u32,
    short_suffix: u32,
    known: u32,
    /// 0 outside the text, 1 lower, 2 capital, 3 all capitals, 4 number, 5 sign, 6 line, 7 hit.
    class: u32,
}

const fn mix(hash: u32, value: u32) -> u32 {
    (hash ^ value).wrapping_mul(0x0100_0193).rotate_left(13).wrapping_mul(0x85EB_CA6B)
}

fn hash_of(text: &str) -> u32 {
    text.bytes().fold(0x811C_9DC5, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193))
}

/// The word's shape: `Xx`, `XX`, `dd-x`; runs of the same are shortened to two.
fn shape_of(word: &str) -> u32 {
    let mut hash = 0x811C_9DC5;
    let (mut last, mut run) = (' ', 0);
    for letter in word.chars().take(SHAPE_CHARS_MAX) {
        let class = match letter {
            _ if letter.is_numeric() => 'd',
            _ if letter.is_uppercase() => 'X',
            _ if letter.is_alphabetic() => 'x',
            _ => letter,
        };
        run = if class == last { run + 1 } else { 1 };
        last = class;
        // Digits are counted, up to five: house numbers and postal codes differ by length.
        if run <= if class == 'd' { 5 } else { 2 } {
            hash = mix(hash, class as u32);
        }
    }
    hash
}

fn tail(word: &str, count: usize) -> &str {
    let start = word.char_indices().rev().nth(count - 1).map_or(0, |(place, _)| place);
    word.get(start..).unwrap_or_default()
}

fn head(word: &str, count: usize) -> &str {
    let end = word.char_indices().nth(count).map_or(word.len(), |(place, _)| place);
    word.get(..end).unwrap_or_default()
}

fn view(text: &str, token: &Token, lexicon: &Lexicon) -> View {
    let word = text.get(token.start..token.end).unwrap_or_default();
    match token.kind {
        TokenKind::Line => return View { class: 6, word: 6, ..View::default() },
        TokenKind::Hit => return View { class: 7, word: 7, ..View::default() },
        TokenKind::Sign => return View { class: 5, word: hash_of(word), shape: hash_of(word), ..View::default() },
        TokenKind::Word | TokenKind::Number => {}
    }
    let folded = fold(word);
    let class = match token.kind {
        TokenKind::Number => 4,
        _ if !word.starts_with(char::is_uppercase) => 1,
        _ if word.chars().count() > 1 && !word.contains(char::is_lowercase) => 3,
        _ => 2,
    };
    View {
        // A number's digits say little; its length does.
        word: if class == 4 { shape_of(word) } else { hash_of(&folded) },
        shape: shape_of(word),
        prefix: hash_of(head(&folded, 3)),
        suffix: hash_of(tail(&folded, 3)),
        short_suffix: hash_of(tail(&folded, 2)),
        known: u32::from(lexicon.known(word).bits()),
        class,
    }
}

/// The features of each token.
pub fn of(text: &str, tokens: &[Token], lexicon: &Lexicon) -> Vec<Features> {
    let views: Vec<View> = tokens.iter().map(|token| view(text, token, lexicon)).collect();
    let at = |place: usize, offset: isize| {
        place.checked_add_signed(offset).and_then(|place| views.get(place)).copied().unwrap_or_default()
    };
    (0..views.len())
        .map(|place| {
            features(&[at(place, -3), at(place, -2), at(place, -1), at(place, 0), at(place, 1), at(place, 2), at(place, 3)])
        })
        .collect()
}

fn features(window: &[View; 7]) -> Features {
    let [before3, before2, before, here, after, after2, after3] = window;
    let starts = u32::from(matches!(before.class, 0 | 6) || (before.class == 5 && before2.class != 2));
    let values = [
        0,
        here.word,
        mix(here.word, starts),
        here.shape,
        mix(here.shape, starts),
        here.prefix,
        here.suffix,
        here.short_suffix,
        here.known,
        mix(here.known, here.class),
        mix(mix(here.known, here.class), starts),
        before.word,
        after.word,
        before2.word,
        after2.word,
        mix(before.word, here.class),
        mix(after.word, here.class),
        mix(mix(before2.word, before.word), here.class),
        mix(mix(after.word, after2.word), here.class),
        mix(before.word, after.word),
        before.known,
        after.known,
        mix(before.known, here.known),
        mix(here.known, after.known),
        mix(mix(before.class, here.class), after.class),
        mix(mix(mix(before2.class, before.class), here.class), mix(after.class, after2.class)),
        mix(before.shape, here.shape),
        mix(here.shape, after.shape),
        mix(before.class, before.known),
        mix(after.class, after.known),
        mix(mix(before2.known, before2.class), here.class),
        mix(mix(after2.known, after2.class), here.class),
        mix(before3.word, here.class),
        mix(mix(after3.known, after3.class), here.class),
        mix(mix(before.known, before.class), mix(after.known, after.class)),
        mix(here.suffix, mix(here.class, before.class)),
    ];
    let mut features = [0; FEATURE_COUNT];
    for ((slot, value), template) in features.iter_mut().zip(values).zip(1_u32..) {
        *slot = mix(mix(0x9E37_79B9, template), value) & (ROW_COUNT - 1);
    }
    features
}
