//! The tagger on sentences of its own making that it has not seen, and on a few written by hand.

use super::sentences::{Random, sentence};
use super::*;

/// Names found, as kinds and texts.
fn found(text: &str) -> Vec<(Kind, String)> {
    Names::shared().scan(text, 0.5, &[]).iter().map(|hit| (hit.kind, hit.text(text).to_owned())).collect()
}

fn check(text: &str, expected: &[(Kind, &str)]) {
    let expected: Vec<(Kind, String)> = expected.iter().map(|(kind, name)| (*kind, (*name).to_owned())).collect();
    assert_eq!(found(text), expected, "{text}");
}

#[test]
fn plain_sentences() {
    check("My name is Greta Lindholm and I live in Uppsala.", &[(Kind::Person, "Greta Lindholm"), (Kind::Place, "Uppsala")]);
    check("The invoice is late. Please pay within ten days.", &[]);
    check("We are open on Monday and Friday in May.", &[(Kind::Weekday, "Monday"), (Kind::Weekday, "Friday")]);
    check("see you on friday", &[(Kind::Weekday, "friday")]);
    check("a sunday roast", &[]);
    check("A Turkish teacher", &[(Kind::Nationality, "Turkish")]);
    check("", &[]);
}

#[test]
fn unseen_sentences_of_the_same_kind_are_read() {
    let mut random = Random::new(99);
    let (mut right, mut wrong, mut missed) = (0_usize, 0_usize, 0_usize);
    for _ in 0..600 {
        let sentence = sentence(&mut random);
        let mut hits = Names::shared().scan(&sentence.text, 0.5, &[]);
        hits.retain(|hit| !matches!(hit.kind, Kind::Nationality | Kind::Weekday));
        let exact = hits
            .iter()
            .filter(|hit| sentence.names.iter().any(|name| (name.kind, name.start, name.end) == (hit.kind, hit.start, hit.end)));
        let exact = exact.count();
        right += exact;
        wrong += hits.len() - exact;
        missed += sentence.names.len() - exact.min(sentence.names.len());
    }
    let (precision, recall) = (right as f64 / (right + wrong) as f64, right as f64 / (right + missed) as f64);
    assert!(precision > 0.85 && recall > 0.85, "precision {precision}, recall {recall}");
}

#[test]
fn a_long_text_is_cut_and_still_read() {
    let text = "Anna Schmidt met Peter Jones in Hamburg. ".repeat(200);
    assert!(found(&text).len() > 500);
}

#[test]
fn streets_and_towns_named_after_persons_are_no_persons() {
    check("The stop is on Peter Lindholm 188", &[(Kind::Address, "Peter Lindholm 188")]);
    check("Meet me where Rosalind and 12 Main Street meet", &[(Kind::Address, "12 Main Street")]);
}

#[test]
fn a_word_with_a_capital_is_no_person_by_that_alone() {
    check("See Guilty Pleasures", &[]);
    check("I am glad that it was withdrawn \u{5d2} and more", &[]);
    check("Dimensions of a Shadow", &[]);
    check("Broke after two days 6/10", &[]);
    check("Tolva after the first wash", &[]);
    check("Lindholm called after two days", &[(Kind::Person, "Lindholm")]);
    check("the Greta Lindholm version", &[(Kind::Person, "Greta Lindholm")]);
}
