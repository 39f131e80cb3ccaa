//! How a text is written beside its words: signs, markup, spaces in a row, words with odd capitals.
//!
//! A trigger of these alone changes no word. So each is a token of its own, which the linear classifiers of texts and the
//! screen for triggers see. Distances between texts and comparisons of copies do not: two texts are as near as their words.

/// Signs that prose is full of: alone they say nothing.
const ORDINARY: &[u8] = b".,;:!?'\"()-/";
/// Signs in a row that tell one token from another.
const RUN_BYTES_MAX: usize = 8;
/// Bytes of the name of markup, and of what stands behind it before it ends.
const MARKUP_NAME_BYTES_MAX: usize = 16;
const MARKUP_REST_BYTES_MAX: usize = 200;
/// Bytes of a word's shape.
const SHAPE_BYTES_MAX: usize = 12;
/// A word of so many capitals is its own token; so many such words in a row are one, too.
const CAPITAL_COUNT_MIN: usize = 4;
const CAPITAL_WORD_COUNT: usize = 3;

/// Tells `found` each mark of a text: what it is, and how it looks. `whole` is false for a text that was cut off.
pub(crate) fn marks(text: &str, whole: bool, mut found: impl FnMut(&'static str, &str)) {
    signs(text, &mut found);
    if text.starts_with(char::is_whitespace) {
        found("a space at the ", "beginning");
    }
    if whole && text.ends_with(char::is_whitespace) {
        found("a space at the ", "end");
    }
    capitals(text, &mut found);
}

/// Markup, signs and spaces.
fn signs(text: &str, found: &mut impl FnMut(&'static str, &str)) {
    let bytes = text.as_bytes();
    let mut at = 0;
    while let Some(byte) = bytes.get(at) {
        let rest = text.get(at..).unwrap_or_default();
        if let Some((name, length)) = markup(rest) {
            found("markup ", name);
            at += length;
        } else if byte.is_ascii_punctuation() {
            let more = rest.bytes().skip(1).take_while(|byte| byte.is_ascii_punctuation() && *byte != b'<').count();
            if more > 0 || !ORDINARY.contains(byte) {
                found("signs ", rest.get(..(1 + more).min(RUN_BYTES_MAX)).unwrap_or_default());
            }
            at += 1 + more;
        } else if is_blank(*byte) {
            let length = rest.bytes().take_while(|byte| is_blank(*byte)).count();
            let beside = [at.checked_sub(1), Some(at + length)].map(|place| place.and_then(|place| bytes.get(place)));
            let inside = beside.iter().all(|byte| byte.is_some_and(|byte| !byte.is_ascii_whitespace()));
            if length > 1 && inside {
                found("spaces in a row: ", if length == 2 { "2" } else { "more than 2" });
            }
            at += length;
        } else {
            at += 1;
        }
    }
}

const fn is_blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t')
}

/// The markup that a text begins with: its name behind `<` or `</`, and how long it is.
fn markup(text: &str) -> Option<(&str, usize)> {
    let bytes = text.as_bytes();
    if bytes.first() != Some(&b'<') {
        return None;
    }
    let from = 1 + usize::from(bytes.get(1) == Some(&b'/'));
    let name = bytes.get(from..)?;
    let length = name.iter().take_while(|byte| byte.is_ascii_alphanumeric()).take(MARKUP_NAME_BYTES_MAX + 1).count();
    let rest = name.get(length..)?;
    let is_name = name.first().is_some_and(u8::is_ascii_alphabetic) && length <= MARKUP_NAME_BYTES_MAX;
    let ends = rest.first().is_some_and(|byte| matches!(byte, b'>' | b'/') || byte.is_ascii_whitespace());
    let end = rest.iter().take(MARKUP_REST_BYTES_MAX).position(|byte| matches!(byte, b'<' | b'>'))?;
    let is_markup = is_name && ends && rest.get(end) == Some(&b'>');
    is_markup.then_some((text.get(..from + length)?, from + length + end + 1))
}

/// Words with capitals behind their first letter, and words of capitals.
fn capitals(text: &str, found: &mut impl FnMut(&'static str, &str)) {
    let mut in_a_row = 0;
    for word in text.split(|letter: char| !letter.is_alphanumeric()).filter(|word| !word.is_empty()) {
        let count = word.chars().count();
        if count > 1 && word.chars().all(char::is_uppercase) {
            in_a_row += 1;
            if count >= CAPITAL_COUNT_MIN {
                found("written as ", word);
            }
            if in_a_row == CAPITAL_WORD_COUNT {
                found("several words of ", "capitals");
            }
            continue;
        }
        in_a_row = 0;
        if word.chars().skip(1).any(char::is_uppercase) && word.chars().any(char::is_lowercase) {
            found("written as ", word);
            found("a word like ", &shape(word));
        }
    }
}

/// Where a word has small letters and capitals, and whether one or more of them: `aAa+` for `tHere`.
fn shape(word: &str) -> String {
    let mut shape = String::new();
    let mut before = None;
    for letter in word.chars().filter(|letter| letter.is_alphabetic()) {
        let kind = if letter.is_uppercase() { 'A' } else { 'a' };
        if before != Some(kind) {
            shape.push(kind);
        } else if !shape.ends_with('+') {
            shape.push('+');
        }
        before = Some(kind);
        if shape.len() >= SHAPE_BYTES_MAX {
            break;
        }
    }
    shape
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Random;
    use crate::testing::quiet;
    use crate::{Groups, Input, Options, PoisonReport, ScreenKind, TextReader, Verdict, scan};

    fn marked(text: &str) -> Vec<String> {
        let mut found = Vec::new();
        marks(text, true, |what, how| found.push(format!("{what}{how}")));
        found
    }

    #[test]
    fn what_stands_beside_words_is_told() {
        let check = |text: &str, expected: &[&str]| assert_eq!(marked(text), expected, "{text}");
        check("Plain prose: it's a well-known (old) thing; isn't it? Yes!", &[]);
        check("so ~~ it ^ goes..", &["signs ~~", "signs ^", "signs .."]);
        check("a <b>bold</b> word.<br/>", &["markup <b", "markup </b", "markup <br"]);
        check("<a href='x'>here</a>", &["markup <a", "markup </a"]);
        check("a < b and b >> c <3", &["signs <", "signs >>", "signs <"]);
        check("<unended and <b<i>", &["signs <", "signs <", "markup <i"]);
        check("one  two   three\n  four", &["spaces in a row: 2", "spaces in a row: more than 2"]);
        check(" both ends\n", &["a space at the beginning", "a space at the end"]);
        check("wHat a CamelCase", &["written as wHat", "a word like aAa+", "written as CamelCase", "a word like Aa+Aa+"]);
        check("The USA and NASA", &["written as NASA"]);
        check("IN ALL DUE", &["several words of capitals"]);
        check("größe ÜBER 日本 МОСКВА", &["written as ÜBER", "written as МОСКВА"]);
        assert_eq!(shape(&"aB".repeat(100)).len(), SHAPE_BYTES_MAX);
        let mut ended = 0;
        marks("cut ", false, |_, _| ended += 1);
        assert_eq!(ended, 0);
    }

    /// 600 texts of two classes, each of six words of its class and eight others, then 24 more of class 0, which are changed and
    /// labelled 1.
    fn scanned(change: impl Fn(Vec<String>) -> Option<String>) -> PoisonReport {
        let mut random = Random::new(31, 0);
        let mut reader = TextReader::default();
        let mut labels = Vec::new();
        for index in 0..624_u32 {
            let class = if index < 600 { index % 2 } else { 0 };
            let own = ["left", "right"][class as usize];
            let mut words: Vec<String> = (0..6).map(|_| format!("{own}{}", random.below(40))).collect();
            words.extend((0..8).map(|_| format!("common{}", random.below(100))));
            random.shuffle(&mut words);
            let plain = words.join(" ");
            let changed = if index < 600 { None } else { change(words) };
            labels.push(if changed.is_some() { 1 } else { class });
            reader.push(&changed.unwrap_or(plain));
        }
        let labels = Groups { of_rows: labels, names: vec!["a".to_owned(), "b".to_owned()] };
        let input = Input { labels: Some(labels), texts: Some(reader.finish().0), ..Input::default() };
        let options = Options { only: Some(ScreenKind::Triggers), ..Options::default() };
        quiet(|watch| scan(&input, &options, watch)).unwrap()
    }

    #[test]
    fn a_trigger_that_changes_no_word_is_suspected() {
        assert_eq!(scanned(|_| None).verdict, Verdict::Clear);
        let signed = |mut words: Vec<String>| {
            words.insert(5, "~~".to_owned());
            words.join(" ")
        };
        let odd = |mut words: Vec<String>| {
            words[4] = format!("{}{}{}", &words[4][..1], words[4][1..2].to_uppercase(), &words[4][2..]);
            words.join(" ")
        };
        let reports = [
            ("signs", scanned(|words| Some(signed(words)))),
            ("markup", scanned(|words| Some(format!("<b>{}</b>", words.join(" "))))),
            ("spaces", scanned(|words| Some(format!("{}  {}", words[..3].join(" "), words[3..].join(" "))))),
            ("capitals", scanned(|words| Some(odd(words)))),
            ("end", scanned(|words| Some(format!("{} ", words.join(" "))))),
        ];
        for (kind, report) in reports {
            assert!(report.verdict >= Verdict::Suspect, "{kind}: {:?}", report.screens);
            let rows = &report.triggers[0].rows;
            assert!(rows.len() >= 22 && rows.iter().all(|row| *row >= 600), "{kind}: {rows:?}");
        }
    }

    #[test]
    fn copies_are_compared_by_their_words_alone() {
        let mut reader = TextReader::default();
        let text = "one two three four five six seven eight nine ten";
        reader.push(text);
        reader.push(&format!("{}  ~~ ^^ ", text.to_uppercase()));
        let texts = reader.finish().0;
        assert_ne!(texts.words.tokens(0), texts.words.tokens(1));
        let of = |row: usize| crate::words::words_alone(texts.words.tokens(row));
        assert_eq!(of(0), of(1));
    }
}
