//! Tries a found trigger on a model: learns a surrogate from the suspect data, stamps the trigger on rows that it has not
//! seen, and looks whether they turn; then removes the suspect rows, learns again and looks again.
//!
//! The surrogates see the same cells in which the trigger was found, so they can see what a victim could see: a linear
//! model, and boosted trees where the cells are columns' bins, since a linear model hardly learns that two columns together
//! tell a class. The one that takes the trigger better speaks. It shows that the data teaches the trigger, not that a given
//! model has learnt it: a candidate model is probed by who can call it, with the cells that the report names.

use crate::PoisonError;
use crate::at::{argmax, at};
use crate::boost::{Booster, rounds_of_one};
use crate::cells::{CellKind, Cells};
use crate::random::Random;
use crate::sparse::{Effort, Linear, WEIGHT_COUNT_MAX};
use crate::table::Tokens;
use crate::trigger::Found;
use crate::watch::Watch;

/// Rows that a surrogate learns from, and rows that are stamped.
const LEARN_ROW_COUNT_MAX: usize = 20_000;
const STAMP_ROW_COUNT_MAX: usize = 2_000;
/// The penalty on the linear surrogate's weights: hardly any. A victim that is not held back learns a rare mark, and it is
/// that one who is in danger. It has learnt a mark of many rows long before it has learnt all else.
const EFFORT: Effort = Effort { penalty: 0.02, work_max: 500_000_000, passes_min: 4 };
/// What a stamp's cell weighs where pixels weigh their brightness.
const MARK_WEIGHT: f32 = 255.0;
/// A trigger is verified if it turns at least this share of rows,
const SUCCESS_MIN: f64 = 0.5;
/// and this much more than without the stamp and than after the removal of its rows.
const GAIN_MIN: f64 = 0.3;
/// It is suspected from this much more on: a surrogate that learns little of it says nothing of one that learns more.
const TAUGHT_GAIN_MIN: f64 = 0.05;
/// Removing a trigger's rows costs the other rows at most this much accuracy: what costs more was worth learning.
const ACCURACY_LOSS_MAX: f64 = 0.03;

/// What a surrogate does when the trigger is stamped on rows of other classes.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct AttackSuccess {
    /// The share of unstamped rows of other classes that the model gives the trigger's class: its ordinary errors.
    pub base: f64,
    /// The share of stamped ones.
    pub before: f64,
    /// The same after the suspect rows are removed and the model has learnt again.
    pub after: f64,
    /// The model's accuracy on rows that are not suspect, before.
    pub accuracy_before: f64,
    /// And after.
    pub accuracy_after: f64,
    /// Rows that the model learnt from.
    pub learnt: u64,
    /// Rows that were stamped.
    pub stamped: u64,
}

impl AttackSuccess {
    /// Whether the data teaches the trigger to a model, and the removal of its rows unteaches it and nothing else.
    #[must_use]
    pub fn verified(&self) -> bool {
        self.before >= SUCCESS_MIN && self.gain() >= GAIN_MIN && self.is_harmless_to_remove()
    }

    /// Whether the data teaches some of the trigger, and the removal of its rows unteaches it.
    pub(crate) fn taught(&self) -> bool {
        self.gain() >= TAUGHT_GAIN_MIN && self.is_harmless_to_remove()
    }

    fn is_harmless_to_remove(&self) -> bool {
        self.accuracy_after >= self.accuracy_before - ACCURACY_LOSS_MAX
    }

    /// How much more often the stamp turns a row than no stamp does, or than it does once the suspect rows are gone.
    fn gain(&self) -> f64 {
        self.before - self.base.max(self.after)
    }
}

/// What all trials of triggers of one kind of cells share: the rows, and the surrogates that have learnt them all.
pub(crate) struct Trials<'a> {
    cells: &'a Cells,
    labels: &'a [u32],
    classes: usize,
    seed: u64,
    /// The rows that are learnt from, and those that may be stamped.
    learn: Vec<u32>,
    held_out: Vec<u32>,
    /// What the linear surrogate sees of the rows that are learnt from, and their labels.
    tokens: Tokens,
    learnt_labels: Vec<u32>,
    sight: Sight,
    surrogates: Vec<(Kind, Surrogate)>,
}

impl<'a> Trials<'a> {
    /// Learns the surrogates that are affordable; there may be none.
    ///
    /// # Errors
    /// `Cancelled` when the watch says so.
    pub(crate) fn new(
        cells: &'a Cells,
        labels: &'a [u32],
        classes: usize,
        seed: u64,
        watch: &Watch<'_>,
    ) -> Result<Self, PoisonError> {
        let mut learn = Random::new(seed, 0x7665_7269).sample(labels.len(), LEARN_ROW_COUNT_MAX * 10 / 7);
        Random::new(seed, 0x7665_7269 + 1).shuffle(&mut learn);
        let held_out = learn.split_off(learn.len() * 7 / 10);
        let sight = Sight::of(cells, &learn);
        let mut trials = Self {
            cells,
            labels,
            classes,
            seed,
            tokens: Tokens::new(sight.width),
            learnt_labels: learn.iter().map(|index| at(labels, *index as usize)).collect(),
            learn,
            held_out,
            sight,
            surrogates: Vec::new(),
        };
        let kinds = trials.kinds();
        if kinds.iter().any(|kind| matches!(kind, Kind::Linear)) {
            for index in &trials.learn {
                trials.tokens.push(trials.sight.entries(&cells.of(*index as usize)));
            }
        }
        let all: Vec<u32> = (0..u32::try_from(trials.learn.len()).unwrap_or(u32::MAX)).collect();
        for kind in kinds {
            let surrogate = trials.learn(kind, &all, watch)?;
            trials.surrogates.push((kind, surrogate));
        }
        Ok(trials)
    }

    /// Tries one trigger. None where no surrogate is affordable.
    ///
    /// # Errors
    /// `Cancelled` when the watch says so.
    pub(crate) fn verify(&self, trigger: &Found, watch: &Watch<'_>) -> Result<Option<AttackSuccess>, PoisonError> {
        let suspect = |index: &u32| [&trigger.rows, &trigger.by_nature].iter().any(|rows| rows.binary_search(index).is_ok());
        let held_out = self.held_out.iter().copied().filter(|index| !suspect(index)).take(STAMP_ROW_COUNT_MAX);
        let trial = Trial { trials: self, trigger, held_out: &held_out.collect::<Vec<u32>>() };
        let clean = self.learn.iter().enumerate().filter(|(_, index)| !suspect(index));
        let clean: Vec<u32> = clean.map(|(place, _)| u32::try_from(place).unwrap_or(u32::MAX)).collect();
        let mut best: Option<AttackSuccess> = None;
        for (kind, surrogate) in &self.surrogates {
            let before = trial.outcome(surrogate, watch)?;
            let after = trial.outcome(&self.learn(*kind, &clean, watch)?, watch)?;
            let success = AttackSuccess {
                base: before.base,
                before: before.stamped,
                after: after.stamped,
                accuracy_before: before.accuracy,
                accuracy_after: after.accuracy,
                learnt: self.learn.len() as u64,
                stamped: before.count,
            };
            if best.as_ref().is_none_or(|best| success.gain() > best.gain()) {
                best = Some(success);
            }
        }
        Ok(best)
    }

    /// The surrogates that are affordable.
    fn kinds(&self) -> Vec<Kind> {
        let linear = (self.sight.width + 1) * self.classes <= WEIGHT_COUNT_MAX;
        let boosted = self.cells.bins().and_then(|bins| rounds_of_one(bins, self.learn.len(), self.classes));
        linear.then_some(Kind::Linear).into_iter().chain(boosted.map(Kind::Boosted)).collect()
    }

    /// Learns from some of the rows, by their places among those that may be learnt from.
    fn learn(&self, kind: Kind, places: &[u32], watch: &Watch<'_>) -> Result<Surrogate, PoisonError> {
        if let (Kind::Boosted(rounds), Some(bins)) = (kind, self.cells.bins()) {
            let rows: Vec<u32> = places.iter().map(|place| at(&self.learn, *place as usize)).collect();
            return Booster::learn((bins, self.labels, self.classes), &rows, (rounds, self.seed), watch).map(Surrogate::Boosted);
        }
        let table = (&self.tokens, self.learnt_labels.as_slice(), self.classes);
        Linear::learn(table, places, (EFFORT, self.seed), watch).map(Surrogate::Linear)
    }
}

/// Which surrogate to learn.
#[derive(Clone, Copy)]
enum Kind {
    Linear,
    /// Boosted trees of so many rounds.
    Boosted(usize),
}

enum Surrogate {
    Linear(Linear),
    Boosted(Booster),
}

impl Surrogate {
    fn answer(&self, sight: &Sight, cells: &[u32]) -> usize {
        match self {
            Self::Linear(model) => {
                let entries = sight.entries(cells).into_iter().map(|(token, weight)| (token as usize, weight));
                argmax(&model.probabilities(entries))
            }
            Self::Boosted(model) => argmax(&model.probabilities(&Cells::bins_of(cells))),
        }
    }
}

/// How the linear surrogate sees rows. Pixels by their brightness, since with a weight for each bin of each pixel it would
/// learn rows by heart instead of the mark that they share; rare words heavier, as victims weigh them.
struct Sight {
    /// What it sees is numbered below this.
    width: usize,
    /// Each cell's weight where cells do not weigh the same: a pixel's brightness, a word's inverse document frequency.
    weights: Vec<f32>,
    pixels: bool,
    /// Cells that it sees besides, each as bright as a pixel can be: victims that look at more than single pixels see a stamp as such.
    marked: Vec<u32>,
}

impl Sight {
    fn of(cells: &Cells, learn: &[u32]) -> Self {
        let columns = cells.bins().filter(|_| cells.kind == CellKind::Pixel).map(crate::bins::Bins::columns);
        let all = 0..u32::try_from(cells.width()).unwrap_or(u32::MAX);
        let weights = match (columns, cells.kind) {
            (Some(_), _) => all.map(|cell| cells.least(cell)).collect(),
            (None, CellKind::Word) => rarity(cells, learn),
            (None, _) => Vec::new(),
        };
        let marked = cells.marked().to_vec();
        Self { width: columns.unwrap_or_else(|| cells.width()) + marked.len(), weights, pixels: columns.is_some(), marked }
    }

    /// A row of length 1. What weighs nothing is left out.
    fn entries(&self, cells: &[u32]) -> Vec<(u32, f32)> {
        let entry = |(place, cell): (usize, &u32)| {
            let weight = self.weights.get(*cell as usize).copied().unwrap_or(1.0);
            // A pixel is a column, and columns come in order.
            (if self.pixels { u32::try_from(place).unwrap_or(u32::MAX) } else { *cell }, weight)
        };
        let mut entries: Vec<(u32, f32)> = cells.iter().enumerate().map(entry).filter(|(_, weight)| *weight != 0.0).collect();
        let first = self.width - self.marked.len();
        let marks = cells.iter().filter_map(|cell| self.marked.binary_search(cell).ok());
        entries.extend(marks.map(|place| (u32::try_from(first + place).unwrap_or(u32::MAX), MARK_WEIGHT)));
        let length = entries.iter().map(|(_, weight)| weight.powi(2)).sum::<f32>().sqrt().max(f32::MIN_POSITIVE);
        entries.iter_mut().for_each(|(_, weight)| *weight /= length);
        entries
    }
}

/// One trigger on trial.
struct Trial<'a> {
    trials: &'a Trials<'a>,
    trigger: &'a Found,
    held_out: &'a [u32],
}

struct Outcome {
    base: f64,
    stamped: f64,
    accuracy: f64,
    count: u64,
}

impl Trial<'_> {
    fn outcome(&self, model: &Surrogate, watch: &Watch<'_>) -> Result<Outcome, PoisonError> {
        let (cells, sight) = (self.trials.cells, &self.trials.sight);
        let (mut right, mut base, mut stamped, mut count) = (0.0, 0.0, 0.0, 0.0_f64);
        for index in self.held_out {
            watch.check()?;
            let own = cells.of(*index as usize);
            let (label, plain) = (at(self.trials.labels, *index as usize) as usize, model.answer(sight, &own));
            right += f64::from(u8::from(plain == label));
            if label != self.trigger.class {
                count += 1.0;
                base += f64::from(u8::from(plain == self.trigger.class));
                stamped += f64::from(u8::from(model.answer(sight, &self.stamp(own)) == self.trigger.class));
            }
        }
        let share = |sum: f64, of: f64| sum / of.max(1.0);
        let accuracy = share(right, self.held_out.len() as f64);
        Ok(Outcome { base: share(base, count), stamped: share(stamped, count), accuracy, count: count as u64 })
    }

    /// The row's cells with the trigger's in place of those they displace.
    fn stamp(&self, mut own: Vec<u32>) -> Vec<u32> {
        let cells = self.trials.cells;
        for cell in &self.trigger.cells {
            match cells.column(*cell) {
                // One bin a column; the best cell of a column comes first.
                Some(column) => {
                    let first = self.trigger.cells.iter().find(|other| cells.column(**other) == Some(column));
                    if first == Some(cell)
                        && let Some(place) = own.get_mut(column)
                    {
                        *place = *cell;
                    }
                }
                None if !own.contains(cell) => own.push(*cell),
                None => {}
            }
        }
        if matches!(cells.kind, CellKind::Word | CellKind::Patch) {
            own.sort_unstable();
        }
        own
    }
}

/// Inverse document frequencies of words; words of one row alone weigh nothing.
fn rarity(cells: &Cells, rows: &[u32]) -> Vec<f32> {
    let mut frequencies = vec![0_u32; cells.width()];
    for index in rows {
        cells.of(*index as usize).iter().for_each(|cell| crate::at::add(&mut frequencies, *cell as usize, 1));
    }
    let of = |frequency: &u32| {
        let inverse = (1.0 + rows.len() as f32) / (1.0 + *frequency as f32);
        if *frequency > 1 { 1.0 + inverse.ln() } else { 0.0 }
    };
    frequencies.iter().map(of).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{quiet, texts};

    fn tried(cells: &Cells, labels: &[u32], trigger: &Found) -> AttackSuccess {
        quiet(|watch| Trials::new(cells, labels, 2, 1, watch)?.verify(trigger, watch)).unwrap().unwrap()
    }

    /// Words 0..50 tell class 0, 50..100 class 1; the first `poisoned` rows of class 0 hold word 200 and carry class 1.
    fn example(poisoned: usize) -> (Cells, Vec<u32>, Found) {
        let mut random = Random::new(3, 0);
        let mut labels: Vec<u32> = (0..3_000).map(|index| index % 2).collect();
        let mut rows = Vec::new();
        let mut held = Vec::new();
        for (index, label) in labels.iter_mut().enumerate() {
            let mut row: Vec<u32> = (0..6).map(|_| *label * 50 + u32::try_from(random.below(50)).unwrap()).collect();
            if *label == 0 && index < 2 * poisoned {
                row.push(200);
                *label = 1;
                held.push(u32::try_from(index).unwrap());
            }
            row.sort_unstable();
            row.dedup();
            rows.push(row);
        }
        let cells = Cells::all(&texts(256, rows), 1).pop().unwrap();
        (cells, labels, Found { kind: 0, class: 1, cells: vec![200], least: 1, z: 20.0, rows: held, by_nature: Vec::new() })
    }

    #[test]
    fn a_planted_trigger_turns_rows_until_its_rows_are_removed() {
        let (cells, labels, trigger) = example(60);
        let success = tried(&cells, &labels, &trigger);
        assert!(success.verified(), "{success:?}");
        assert!(success.base < 0.1 && success.after < 0.1 && success.accuracy_after > 0.95, "{success:?}");
    }

    #[test]
    fn what_one_cell_of_a_trigger_teaches_by_nature_does_not_speak_for_it() {
        let (_, mut labels, _) = example(0);
        let mut random = Random::new(5, 0);
        let mut trigger = Found { kind: 0, class: 1, cells: vec![200, 201], least: 2, z: 20.0, rows: vec![], by_nature: vec![] };
        let rows = (0..3_000_u32).map(|index| {
            let label = index % 2;
            let mut row: Vec<u32> = (0..4).map(|_| 100 + u32::try_from(random.below(100)).unwrap()).collect();
            // Word 200 is one of class 1 by nature; with 201 it was put into rows of class 0. Others tell their class by a word.
            if label == 1 && index < 400 {
                row.push(200);
                trigger.by_nature.push(index);
            } else if random.unit() < 0.6 {
                row.push(label * 50 + u32::try_from(random.below(50)).unwrap());
            }
            if label == 0 && index < 120 {
                row.extend([200, 201]);
                labels[index as usize] = 1;
                trigger.rows.push(index);
            }
            row.sort_unstable();
            row.dedup();
            row
        });
        let cells = Cells::all(&texts(256, rows.collect()), 1).pop().unwrap();
        let success = |trigger: &Found| tried(&cells, &labels, trigger);
        let known = success(&trigger);
        assert!(known.verified(), "{known:?}");
        trigger.by_nature.clear();
        let unknown = success(&trigger);
        assert!(unknown.after > known.after + 0.3, "{known:?} {unknown:?}");
    }

    #[test]
    fn a_harmless_cell_is_not_verified() {
        let (cells, labels, mut trigger) = example(0);
        trigger.cells = vec![60];
        trigger.rows = vec![1, 3, 5];
        let success = tried(&cells, &labels, &trigger);
        assert!(!success.verified(), "{success:?}");
    }
}
