//! The scanner as a whole: spans, overlaps, Unicode, and texts that mean no good.

use crate::{Kind, Scanner, ScannerOptions};

fn scanner() -> Scanner {
    Scanner::new(ScannerOptions::default()).unwrap()
}

/// The kinds and texts that are found.
fn check(text: &str, expected: &[(Kind, &str)]) {
    let found = scanner().scan(text);
    let found: Vec<(Kind, &str)> = found.iter().map(|hit| (hit.kind, hit.text(text))).collect();
    assert_eq!(found, expected, "{text}");
}

#[test]
fn names_and_numbers_together() {
    check(
        "My name is Greta Lindholm, write to greta@example.org or call +46 8 928 571 38.",
        &[(Kind::Person, "Greta Lindholm"), (Kind::Email, "greta@example.org"), (Kind::Phone, "+46 8 928 571 38")],
    );
    check("", &[]);
    check("\u{0}\u{feff}\n\r\t", &[]);
}

#[test]
fn spans_are_sound() {
    let texts = [
        "é@é.de ü1 +1é 4111é",
        "电话：+86 138 0013 8000，邮箱 a@b.cn",
        "👩‍👩‍👧 Anna 👍 4111111111111111👍",
        "ﬁ１２３４ ٠١٢٣٤٥٦٧٨٩",
        "http://é/é?é é.com é@é",
        "-----BEGIN PRIVATE KEY-----é",
        "password: é漢字é1",
        "postgres://é:é@é",
        "a\u{301}nna@x.org",
        "ＡＢ１２３４５６Ｃ",
    ];
    let scanner = scanner();
    for text in texts {
        // Every cut of the text too: matchers then meet its end in the middle of things.
        for (end, _) in text.char_indices() {
            let text = &text[..end];
            let mut last = 0;
            for hit in scanner.scan(text) {
                assert!(!hit.is_empty() && hit.start >= last, "{hit:?} in `{text}`");
                assert!(text.is_char_boundary(hit.start) && text.is_char_boundary(hit.end), "{hit:?} in `{text}`");
                assert!((0.0..=1.0).contains(&hit.score));
                last = hit.end;
            }
        }
    }
}

#[test]
fn without_names_only_patterns_are_found() {
    let scanner = Scanner::new(ScannerOptions { names: false, ..ScannerOptions::default() }).unwrap();
    let text = "Anna Schmidt of Hamburg, anna@example.org";
    let kinds: Vec<Kind> = scanner.scan(text).iter().map(|hit| hit.kind).collect();
    assert_eq!(kinds, [Kind::Email]);
}
