//! The linear chain: weights, the best path through a sentence, and learning.

use super::features::{self, Features, ROW_COUNT};
use super::lexicon::Lexicon;
use super::sentences::{Random, Sentence, sentence};
use super::tokens::{HIT_MARK, tokens_of};
use crate::kind::Kind;

/// Sentences that are made to learn from, and how often each is seen.
const SENTENCE_COUNT: usize = 9_000;
const EPOCH_COUNT: usize = 4;
/// Where all of them come from.
const SEED: u64 = 0x5EED_0F4A_3E5A_11CE;

const LABEL_COUNT: usize = 9;

/// A token's place in a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Label {
    Outside,
    PersonFirst,
    PersonNext,
    PlaceFirst,
    PlaceNext,
    AddressFirst,
    AddressNext,
    OrganisationFirst,
    OrganisationNext,
}

const LABELS: [Label; LABEL_COUNT] = [
    Label::Outside,
    Label::PersonFirst,
    Label::PersonNext,
    Label::PlaceFirst,
    Label::PlaceNext,
    Label::AddressFirst,
    Label::AddressNext,
    Label::OrganisationFirst,
    Label::OrganisationNext,
];

impl Label {
    /// The kind of name.
    pub const fn kind(self) -> Kind {
        match self {
            Self::Outside | Self::PersonFirst | Self::PersonNext => Kind::Person,
            Self::PlaceFirst | Self::PlaceNext => Kind::Place,
            Self::AddressFirst | Self::AddressNext => Kind::Address,
            Self::OrganisationFirst | Self::OrganisationNext => Kind::Organisation,
        }
    }

    const fn is_next(self) -> bool {
        matches!(self, Self::PersonNext | Self::PlaceNext | Self::AddressNext | Self::OrganisationNext)
    }

    /// Whether `next` belongs to the same name.
    pub fn goes_on_as(self, next: Self) -> bool {
        self != Self::Outside && next.is_next() && self.kind() == next.kind()
    }

    /// Whether `next` may follow at all.
    fn may_precede(self, next: Self) -> bool {
        !next.is_next() || self.goes_on_as(next)
    }

    /// The label of a token of a name of this kind.
    pub const fn of(kind: Kind, first: bool) -> Self {
        match (kind, first) {
            (Kind::Person, true) => Self::PersonFirst,
            (Kind::Person, false) => Self::PersonNext,
            (Kind::Place, true) => Self::PlaceFirst,
            (Kind::Place, false) => Self::PlaceNext,
            (Kind::Address, true) => Self::AddressFirst,
            (Kind::Address, false) => Self::AddressNext,
            (Kind::Organisation, true) => Self::OrganisationFirst,
            (Kind::Organisation, false) => Self::OrganisationNext,
            _ => Self::Outside,
        }
    }
}

type Row = [f32; LABEL_COUNT];

/// Weights of features and of pairs of labels.
#[derive(Debug)]
pub struct Tagger {
    rows: Vec<Row>,
    pairs: [Row; LABEL_COUNT],
}

impl Tagger {
    /// The best labels, each with how far the best path is ahead of the best one that means something else there.
    pub fn label(&self, tokens: &[Features]) -> Vec<(Label, f32)> {
        let scores: Vec<Row> = tokens.iter().map(|features| self.emission(features)).collect();
        let path = self.best_path(&scores);
        let sums = self.best_sums(&scores);
        path.into_iter()
            .zip(&sums)
            .map(|(label, row)| {
                let own = row.get(label).copied().unwrap_or(0.0);
                let label = LABELS.get(label).copied().unwrap_or(Label::Outside);
                // The same name's first and next word are no rivals.
                let rivals = row
                    .iter()
                    .zip(LABELS)
                    .filter(|(_, other)| (*other == Label::Outside) != (label == Label::Outside) || other.kind() != label.kind());
                let best = rivals.map(|(score, _)| *score).fold(f32::NEG_INFINITY, f32::max);
                (label, own - best)
            })
            .collect()
    }

    /// For each token and label the sum of the best path that has this label there: the best way to it and the best way on.
    fn best_sums(&self, scores: &[Row]) -> Vec<Row> {
        let mut sums = Vec::with_capacity(scores.len());
        let mut best = [f32::NEG_INFINITY; LABEL_COUNT];
        if let Some(outside) = best.first_mut() {
            *outside = 0.0;
        }
        for row in scores {
            let mut next = *row;
            for (to, slot) in next.iter_mut().enumerate() {
                let before = best.iter().zip(&self.pairs).map(|(sum, pair)| sum + pair.get(to).copied().unwrap_or(0.0));
                *slot += before.fold(f32::NEG_INFINITY, f32::max);
            }
            best = next;
            sums.push(next);
        }
        let mut onward = [0.0; LABEL_COUNT];
        for (sum, row) in sums.iter_mut().zip(scores).rev() {
            for (sum, onward) in sum.iter_mut().zip(&onward) {
                *sum += onward;
            }
            let mut before = [f32::NEG_INFINITY; LABEL_COUNT];
            for (slot, pairs) in before.iter_mut().zip(&self.pairs) {
                let after = pairs.iter().zip(row).zip(&onward).map(|((pair, score), onward)| pair + score + onward);
                *slot = after.fold(f32::NEG_INFINITY, f32::max);
            }
            onward = before;
        }
        sums
    }

    fn emission(&self, features: &Features) -> Row {
        let mut sum = [0.0; LABEL_COUNT];
        for feature in features {
            if let Some(row) = self.rows.get(*feature as usize) {
                for (total, weight) in sum.iter_mut().zip(row) {
                    *total += weight;
                }
            }
        }
        sum
    }

    /// Viterbi's algorithm; labels as their places in [`LABELS`].
    fn best_path(&self, scores: &[Row]) -> Vec<usize> {
        let mut back: Vec<[u8; LABEL_COUNT]> = Vec::with_capacity(scores.len());
        let mut best = [f32::NEG_INFINITY; LABEL_COUNT];
        if let Some(outside) = best.first_mut() {
            // Before the first token stands `Outside`.
            *outside = 0.0;
        }
        for row in scores {
            let mut next = [f32::NEG_INFINITY; LABEL_COUNT];
            let mut from = [0_u8; LABEL_COUNT];
            for (to, ((score, slot), origin)) in row.iter().zip(&mut next).zip(&mut from).enumerate() {
                for (label, (so_far, pair)) in best.iter().zip(&self.pairs).enumerate() {
                    let sum = so_far + pair.get(to).copied().unwrap_or(0.0);
                    if sum > *slot {
                        *slot = sum;
                        *origin = u8::try_from(label).unwrap_or(0);
                    }
                }
                *slot += score;
            }
            best = next;
            back.push(from);
        }
        let mut last = (0..LABEL_COUNT).max_by(|a, b| {
            let score = |place: &usize| best.get(*place).copied().unwrap_or(f32::NEG_INFINITY);
            score(a).total_cmp(&score(b))
        });
        let mut path: Vec<usize> = Vec::with_capacity(scores.len());
        for from in back.iter().rev() {
            let label = last.unwrap_or(0);
            path.push(label);
            last = from.get(label).map(|origin| usize::from(*origin));
        }
        path.reverse();
        path
    }

    /// A tagger that has learned from sentences made here, always the same.
    pub fn trained(lexicon: &Lexicon) -> Self {
        let mut random = Random::new(SEED);
        let lessons: Vec<(Vec<Features>, Vec<usize>)> =
            (0..SENTENCE_COUNT).map(|_| lesson(&sentence(&mut random), lexicon)).collect();
        let mut learner = Learner::new();
        let mut order: Vec<usize> = (0..lessons.len()).collect();
        for _ in 0..EPOCH_COUNT {
            random.shuffle(&mut order);
            for place in &order {
                if let Some((tokens, labels)) = lessons.get(*place) {
                    learner.learn(tokens, labels);
                }
            }
        }
        learner.averaged()
    }
}

/// A sentence as the learner sees it.
fn lesson(sentence: &Sentence, lexicon: &Lexicon) -> (Vec<Features>, Vec<usize>) {
    let tokens = tokens_of(&sentence.text, &[]);
    let features = features::of(&sentence.text, &tokens, lexicon);
    let labels = tokens.iter().map(|token| {
        let name = sentence.names.iter().find(|name| (name.start..name.end).contains(&token.start));
        let label = name.map_or(Label::Outside, |name| Label::of(name.kind, name.start == token.start));
        LABELS.iter().position(|one| *one == label).unwrap_or(0)
    });
    debug_assert!(!sentence.text.starts_with(HIT_MARK) || !tokens.is_empty());
    (features, labels.collect())
}

/// The perceptron with its sums: the average of all weights over time is `now - sums / time`.
struct Learner {
    now: Tagger,
    sums: Tagger,
    time: f32,
}

impl Learner {
    fn new() -> Self {
        let mut pairs = [[0.0; LABEL_COUNT]; LABEL_COUNT];
        for (row, from) in pairs.iter_mut().zip(LABELS) {
            for (pair, to) in row.iter_mut().zip(LABELS) {
                if !from.may_precede(to) {
                    *pair = f32::NEG_INFINITY;
                }
            }
        }
        let empty = |pairs| Tagger { rows: vec![[0.0; LABEL_COUNT]; ROW_COUNT as usize], pairs };
        Self { now: empty(pairs), sums: empty([[0.0; LABEL_COUNT]; LABEL_COUNT]), time: 1.0 }
    }

    fn learn(&mut self, tokens: &[Features], labels: &[usize]) {
        let scores: Vec<Row> = tokens.iter().map(|features| self.now.emission(features)).collect();
        let path = self.now.best_path(&scores);
        self.time += 1.0;
        if path == labels {
            return;
        }
        let (mut right_before, mut wrong_before) = (0, 0);
        for ((features, right), wrong) in tokens.iter().zip(labels).zip(&path) {
            if right != wrong {
                for feature in features {
                    self.change(*feature as usize, *right, 1.0);
                    self.change(*feature as usize, *wrong, -1.0);
                }
            }
            if (right, right_before) != (wrong, wrong_before) {
                self.change_pair(right_before, *right, 1.0);
                self.change_pair(wrong_before, *wrong, -1.0);
            }
            (right_before, wrong_before) = (*right, *wrong);
        }
    }

    fn change(&mut self, row: usize, label: usize, by: f32) {
        let time = self.time;
        for (table, step) in [(&mut self.now.rows, by), (&mut self.sums.rows, by * time)] {
            if let Some(weight) = table.get_mut(row).and_then(|row| row.get_mut(label)) {
                *weight += step;
            }
        }
    }

    fn change_pair(&mut self, from: usize, to: usize, by: f32) {
        let time = self.time;
        for (table, step) in [(&mut self.now.pairs, by), (&mut self.sums.pairs, by * time)] {
            if let Some(weight) = table.get_mut(from).and_then(|row| row.get_mut(to)) {
                *weight += step;
            }
        }
    }

    fn averaged(mut self) -> Tagger {
        let average = |now: &mut Row, sum: &Row| {
            for (weight, sum) in now.iter_mut().zip(sum) {
                *weight -= sum / self.time;
            }
        };
        self.now.rows.iter_mut().zip(&self.sums.rows).for_each(|(now, sum)| average(now, sum));
        self.now.pairs.iter_mut().zip(&self.sums.pairs).for_each(|(now, sum)| average(now, sum));
        self.now
    }
}
