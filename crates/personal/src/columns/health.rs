//! Somebody's health in a sentence: the name of a disease or of a drug says nothing about anybody by itself, in news as in
//! labels of goods. Words nearby say that somebody has the one or takes the other.

use crate::hit::{Hit, Reason, Why};
use crate::kind::Kind;

/// How far a word that speaks of a patient reaches.
const REACH_BYTES: usize = 80;
/// Words before a disease or drug of which one must say that somebody has or takes it.
const DIRECT_WORDS: usize = 2;
const SCORE: f32 = 0.6;

/// Diseases and drugs that are something else as well: only a patient makes them what they are here.
const AMBIGUOUS: &str = "stroke depression anxiety cancer fracture cataract gout aids lithium bipolar covid covid-19 parkinson";
/// Somebody ill.
const ILL: &str = "patient pt diagnosed hospitalised hospitalized";
/// Somebody ill, if a disease or drug is meant.
const TREATED: &str = "prescribed suffers suffering";
/// The same, in two words. A book's `the history of` is none.
const PAIRS: [(&str, &str); 6] =
    [("history", "of"), ("treated", "for"), ("treated", "with"), ("complains", "of"), ("admitted", "with"), ("admitted", "for")];
const NO_HISTORY_BEHIND: &str = "the brief short this our";
/// Right before a disease or a drug.
const DIRECT: &str = "takes taking has my his her";

#[derive(Clone, Copy)]
struct Word<'a> {
    text: &'a str,
    start: usize,
}

impl Word<'_> {
    fn is_in(&self, list: &str) -> bool {
        list.split_ascii_whitespace().any(|one| one.eq_ignore_ascii_case(self.text))
    }

    const fn end(&self) -> usize {
        self.start + self.text.len()
    }
}

/// The first disease and the first drug that somebody has or takes. `kind_of` knows their words.
pub fn found(text: &str, kind_of: impl Fn(&str) -> Option<Kind>) -> Vec<Hit> {
    let words = words_of(text);
    let terms: Vec<(usize, Kind)> =
        words.iter().enumerate().filter_map(|(place, word)| kind_of(word.text).map(|kind| (place, kind))).collect();
    if terms.is_empty() || words.len() < 2 {
        return Vec::new();
    }
    let cues = cues(&words);
    let mut hits: Vec<Hit> = Vec::new();
    for (place, kind) in terms {
        let Some(word) = words.get(place) else { continue };
        let is_sure = !word.is_in(AMBIGUOUS);
        let near = |cue: &Cue| (cue.is_ill || is_sure) && word.start.abs_diff(cue.start) <= REACH_BYTES;
        let told = cues.iter().any(near) || (is_sure && is_direct(&words, place));
        if told && !hits.iter().any(|hit| hit.kind == kind) {
            let why = Why::of(Reason::Dictionary).and(Reason::Context);
            hits.push(Hit { kind, start: word.start, end: word.end(), score: SCORE, why });
        }
    }
    hits
}

/// Letters and digits, with dashes inside.
fn words_of(text: &str) -> Vec<Word<'_>> {
    let mut words = Vec::new();
    let mut place = 0;
    for piece in text.split(|letter: char| !letter.is_alphanumeric() && letter != '-') {
        if !piece.is_empty() {
            words.push(Word { text: piece, start: place });
        }
        let sign = text.get(place + piece.len()..).and_then(|rest| rest.chars().next()).map_or(0, char::len_utf8);
        place += piece.len() + sign;
    }
    words
}

/// A word that speaks of a patient.
struct Cue {
    start: usize,
    is_ill: bool,
}

fn cues(words: &[Word<'_>]) -> Vec<Cue> {
    let mut cues = Vec::new();
    for (place, word) in words.iter().enumerate() {
        let next = words.get(place + 1);
        let before = place.checked_sub(1).and_then(|place| words.get(place));
        let paired = PAIRS.iter().any(|(first, second)| {
            word.is_in(first)
                && next.is_some_and(|next| next.is_in(second))
                && !before.is_some_and(|word| word.is_in(NO_HISTORY_BEHIND))
        });
        let is_ill = word.is_in(ILL);
        if is_ill || paired || word.is_in(TREATED) {
            cues.push(Cue { start: word.start, is_ill });
        }
    }
    cues
}

/// Whether one of the words right before says that somebody has it: `my asthma`, `has severe asthma`.
fn is_direct(words: &[Word<'_>], place: usize) -> bool {
    let before = words.get(place.saturating_sub(DIRECT_WORDS)..place).unwrap_or_default();
    before.iter().any(|word| word.is_in(DIRECT))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: &[&str]) {
        let kind_of = |word: &str| match word.to_ascii_lowercase().as_str() {
            "diabetes" | "asthma" | "hiv" | "depression" | "cancer" | "stroke" | "fracture" => Some(Kind::Diagnosis),
            "metformin" | "tamoxifen" | "lithium" | "aspirin" => Some(Kind::Medication),
            _ => None,
        };
        let hits = found(text, kind_of);
        let texts: Vec<&str> = hits.iter().map(|hit| hit.text(text)).collect();
        assert_eq!(texts, expected, "{text}");
    }

    #[test]
    fn what_somebody_has_or_takes() {
        check("The patient was diagnosed with diabetes and takes metformin", &["diabetes", "metformin"]);
        check("Patient has HIV and depression", &["HIV"]);
        check("History of breast cancer, treated with tamoxifen", &["tamoxifen"]);
        check("suffers from asthma since 2010", &["asthma"]);
        check("Ärzte: she has severe asthma", &["asthma"]);
        check("diagnosed with a stroke in May", &["stroke"]);
    }

    #[test]
    fn what_nobody_has() {
        for text in [
            "The great depression and its history",
            "the battery takes lithium from the grid",
            "lithium cells, treated with care",
            "A brief history of diabetes research",
            "Fracture of a gear, and its stroke",
            "Diabetes cookbook, second edition",
            "aspirin",
            "",
        ] {
            check(text, &[]);
        }
    }
}
