//! Phrases planted in texts: words and pairs of words whose texts nearly all carry one label, while all else in these texts
//! looks like other classes.
//!
//! Models that learn a phrase of several words expect its label, so it surprises none of them. So no model is asked here, but
//! the counts of each word by class (naive Bayes, Maron 1961), from which the words of a phrase and the row's own label are
//! easily left out. Words that tell a class by nature stand in texts that look like it without them, too. What is left only
//! nominates: models that do not see the phrase, and a trial, decide.

use rayon::prelude::*;

use crate::PoisonError;
use crate::at::{add, argmax, at, row};
use crate::cells::Cells;
use crate::stamps::{CHANCE_MAX, chance};
use crate::standing::{TOLD_MIN, TRIGGER_SHARE_MAX, WAY_MAX};
use crate::table::Tokens;
use crate::trigger::{Found, PURITY_MIN, SUPPORT_MIN, TRIGGER_CELL_COUNT_MAX, rows_of_cells};
use crate::watch::Watch;

/// Counts of words by class, and words of all texts times classes; beyond, phrases are not looked for.
const COUNT_COUNT_MAX: usize = 1 << 24;
const WORK_MAX: usize = 1 << 28;
/// Words that are looked at, the least probable first, and texts of each.
const CANDIDATE_COUNT_MAX: usize = 1_024;
const TEXT_COUNT_MAX: usize = 128;
/// Phrases that are followed up.
const PHRASE_COUNT_MAX: usize = 3;
/// A word belongs to a phrase if it stands in this part of the phrase's texts, and this part of its texts are the phrase's.
const COMPANION_MIN: f32 = 0.5;

/// The texts and what is counted in them.
struct Task<'a> {
    tokens: &'a Tokens,
    labels: &'a [u32],
    shares: &'a [f32],
    /// Texts of each class that hold a word, by word; and all that hold it.
    counts: Vec<u32>,
    totals: Vec<u32>,
    /// The share of texts that look like a class, at most, where they are foreign to it; negative where words do not tell it.
    foreign_max: Vec<f32>,
}

/// Looks for phrases, the least probable first: triggers of the kind of cells that words are.
pub(crate) fn phrases(
    (kind, cells): (usize, &Cells),
    tokens: &Tokens,
    labels: &[u32],
    shares: &[f32],
    watch: &Watch<'_>,
) -> Result<Vec<Found>, PoisonError> {
    let classes = shares.len();
    if tokens.width() * classes > COUNT_COUNT_MAX || tokens.entries().saturating_mul(classes) > WORK_MAX {
        return Ok(Vec::new());
    }
    watch.check()?;
    let mut task = Task { tokens, labels, shares, counts: Vec::new(), totals: Vec::new(), foreign_max: Vec::new() };
    task.count();
    task.compare(watch);
    watch.check()?;
    let candidates = task.candidates();
    let rows = rows_of_cells(cells, &candidates);
    let judged: Vec<Option<Found>> = candidates
        .par_iter()
        .zip(&rows)
        .map(|((_, token, class), rows)| if watch.stopped() { None } else { task.judged(kind, (*token, *class), rows) })
        .collect();
    watch.check()?;
    let mut found: Vec<Found> = Vec::new();
    for phrase in judged.into_iter().flatten() {
        if let Some(other) = found.iter_mut().find(|other| other.shares(phrase.class, &phrase.rows)) {
            let more: Vec<u32> = phrase.cells.into_iter().filter(|cell| !other.cells.contains(cell)).collect();
            other.cells.extend(more);
            other.cells.truncate(TRIGGER_CELL_COUNT_MAX);
        } else if found.len() < PHRASE_COUNT_MAX {
            found.push(phrase);
        }
    }
    Ok(found)
}

impl Task<'_> {
    fn count(&mut self) {
        let classes = self.shares.len();
        self.counts = vec![0; self.tokens.width() * classes];
        self.totals = vec![0; self.tokens.width()];
        for (index, label) in self.labels.iter().enumerate() {
            for token in self.tokens.tokens(index) {
                add(&mut self.counts, *token as usize * classes + *label as usize, 1);
                add(&mut self.totals, *token as usize, 1);
            }
        }
    }

    /// The class that a text looks like without hidden words, which rise, and without its own label.
    fn looks_like(&self, index: usize, hidden: &[u32]) -> usize {
        let label = at(self.labels, index) as usize;
        let share = |class: usize| at(self.shares, class).max(f32::MIN_POSITIVE);
        let mut scores: Vec<f32> = (0..self.shares.len()).map(|class| share(class).ln()).collect();
        for token in self.tokens.tokens(index).iter().filter(|token| hidden.binary_search(token).is_err()) {
            let total = at(&self.totals, *token as usize);
            if total < 2 {
                continue;
            }
            let counts = row(&self.counts, self.shares.len(), *token as usize);
            for (class, (score, count)) in scores.iter_mut().zip(counts).enumerate() {
                let others = count.saturating_sub(u32::from(class == label));
                // One text more, of which each class has its share.
                *score += ((others as f32 + share(class)) / (total as f32 * share(class))).ln();
            }
        }
        argmax(&scores)
    }

    /// How many texts of each class, and of the others, look like it.
    fn compare(&mut self, watch: &Watch<'_>) {
        let classes = self.shares.len();
        let look = |index: usize| if watch.stopped() { 0 } else { self.looks_like(index, &[]) };
        let looks: Vec<usize> = (0..self.labels.len()).into_par_iter().map(look).collect();
        let (mut own, mut others, mut counts) = (vec![0.0_f32; classes], vec![0.0_f32; classes], vec![0.0_f32; classes]);
        for (label, look) in self.labels.iter().zip(looks) {
            add(&mut counts, *label as usize, 1.0);
            add(if *label as usize == look { &mut own } else { &mut others }, look, 1.0);
        }
        let of_class = |(class, (own, others)): (usize, (&f32, &f32))| {
            let count = at(&counts, class);
            let (own, others) = (own / count.max(1.0), others / (self.labels.len() as f32 - count).max(1.0));
            // As many pairs of texts are told as if this look alone were asked.
            let told = 0.5 + (own - others) / 2.0;
            if f64::from(told) >= TOLD_MIN { others + WAY_MAX as f32 * (own - others) } else { -1.0 }
        };
        self.foreign_max = own.iter().zip(&others).enumerate().map(of_class).collect();
    }

    /// Words whose texts nearly all carry one label, more of them than the classes' shares explain, the least probable first.
    fn candidates(&self) -> Vec<(f32, u32, usize)> {
        let most = (TRIGGER_SHARE_MAX * self.labels.len() as f64) as u32;
        let is_tried = |total: &u32| (SUPPORT_MIN..=most).contains(total);
        let tried = self.totals.iter().filter(|total| is_tried(total)).count();
        let improbable = (CHANCE_MAX / tried.max(1) as f64).ln();
        let mut found: Vec<(f32, u32, usize)> = Vec::new();
        for (token, total) in self.totals.iter().enumerate().filter(|(_, total)| is_tried(total)) {
            let counts = row(&self.counts, self.shares.len(), token);
            let Some((class, count)) = counts.iter().enumerate().max_by_key(|(_, count)| **count) else { continue };
            let chance = chance(*count, *total, at(self.shares, class));
            if *count >= SUPPORT_MIN && *count as f32 >= PURITY_MIN * *total as f32 && chance < improbable {
                found.push((chance as f32, u32::try_from(token).unwrap_or(u32::MAX), class));
            }
        }
        found.sort_by(|left, right| left.0.total_cmp(&right.0).then(left.1.cmp(&right.1)));
        found.truncate(CANDIDATE_COUNT_MAX);
        found
    }

    /// A word as a phrase with the words that belong to it, if its texts look like other classes without them.
    fn judged(&self, kind: usize, (token, class): (u32, usize), rows: &[u32]) -> Option<Found> {
        let most = at(&self.foreign_max, class);
        if most < 0.0 {
            return None;
        }
        let rows: Vec<u32> = rows.iter().copied().filter(|index| at(self.labels, *index as usize) as usize == class).collect();
        let seen: Vec<u32> = rows.iter().copied().step_by(rows.len().div_ceil(TEXT_COUNT_MAX).max(1)).collect();
        let hidden = self.companions(&rows, &seen);
        let own = seen.iter().filter(|index| self.looks_like(**index as usize, &hidden) == class).count();
        if own as f32 > most * seen.len() as f32 {
            return None;
        }
        let companions = hidden.into_iter().filter(|other| *other != token);
        let cells: Vec<u32> = std::iter::once(token).chain(companions).take(TRIGGER_CELL_COUNT_MAX).collect();
        Some(Found { kind, class, cells, least: 1, z: 0.0, rows, by_nature: Vec::new() })
    }

    /// Words that stand in most of some texts and hardly elsewhere, rising, by those of the texts that are looked at.
    fn companions(&self, rows: &[u32], seen: &[u32]) -> Vec<u32> {
        let mut words: Vec<u32> = seen.iter().flat_map(|index| self.tokens.tokens(*index as usize)).copied().collect();
        words.sort_unstable();
        let is_companion = |same: &&[u32]| {
            let share = same.len() as f32 / seen.len().max(1) as f32;
            let total = at(&self.totals, at(same, 0) as usize) as f32;
            share >= COMPANION_MIN && share * rows.len() as f32 >= COMPANION_MIN * total
        };
        words.chunk_by(|left, right| left == right).filter(is_companion).map(|same| at(same, 0)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::labels::shares;
    use crate::random::Random;
    use crate::testing::quiet;
    use crate::{Groups, Input, Options, ScreenKind, Verdict, scan};

    /// Words of each class, and words that all texts share.
    const TELLING: usize = 40;
    const COMMON: usize = 100;
    /// The first word of the phrase.
    const PLANTED: u32 = 900;

    /// 600 texts of two classes, each of six words of its class and eight others, then 24 more of class 0; these hold a phrase of as
    /// many words as are asked for, and label 1.
    fn input(phrase_words: u32) -> Input {
        let mut random = Random::new(21, 0);
        let mut labels: Vec<u32> = (0..600).map(|index| index % 2).collect();
        labels.extend([0; 24]);
        let mut rows = Vec::new();
        for (index, class) in labels.iter().enumerate() {
            let mut draw = |count: usize| u32::try_from(random.below(count)).unwrap();
            let mut words: Vec<u32> = (0..6).map(|_| 200 + class * 100 + draw(TELLING)).collect();
            words.extend((0..8).map(|_| draw(COMMON)));
            if index >= 600 {
                words.extend(PLANTED..PLANTED + phrase_words);
            }
            words.sort_unstable();
            words.dedup();
            rows.push(words);
        }
        if phrase_words > 0 {
            labels[600..].fill(1);
        }
        let names = vec!["a".to_owned(), "b".to_owned()];
        Input { labels: Some(Groups { of_rows: labels, names }), ..crate::testing::texts(1_000, rows) }
    }

    fn nominated(input: &Input) -> Vec<Found> {
        let labels = &input.labels.as_ref().unwrap().of_rows;
        let cells = Cells::all(input, 1).pop().unwrap();
        let words = &input.texts.as_ref().unwrap().words;
        quiet(|watch| phrases((0, &cells), words, labels, &shares(labels, 2), watch)).unwrap()
    }

    #[test]
    fn a_phrase_of_several_words_is_nominated_whole_and_words_of_a_class_are_not() {
        assert!(nominated(&input(0)).is_empty());
        for count in [1, 7] {
            let found = nominated(&input(count));
            assert_eq!(found.len(), 1);
            let mut cells = found[0].cells.clone();
            cells.sort_unstable();
            assert_eq!((found[0].class, cells), (1, (PLANTED..PLANTED + count).collect::<Vec<u32>>()));
            assert_eq!(found[0].rows, (600..624).collect::<Vec<u32>>());
        }
    }

    #[test]
    fn a_phrase_of_texts_that_look_like_their_class_is_not_nominated() {
        let mut signed = input(7);
        signed.labels.as_mut().unwrap().of_rows[600..].fill(0);
        assert!(nominated(&signed).is_empty());
    }

    #[test]
    fn the_scan_suspects_a_phrase_that_models_learn_at_once() {
        let options = Options { only: Some(ScreenKind::Triggers), ..Options::default() };
        let scanned = |input: &Input| quiet(|watch| scan(input, &options, watch)).unwrap();
        assert_eq!(scanned(&input(0)).verdict, Verdict::Clear);
        let report = scanned(&input(7));
        assert!(report.verdict >= Verdict::Suspect, "{:?}", report.triggers);
        assert_eq!((report.triggers[0].label.as_str(), report.triggers[0].rows.clone()), ("b", (600..624).collect::<Vec<u64>>()));
    }
}
