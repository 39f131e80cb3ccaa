//! Which labels are suspected: as many as the models show to be wrong where they are surest.

use crate::at::{argmax, at, ranking};
use crate::joint::Pair;
use crate::labels::{Screened, shares};

/// Shares of the rows, the surest first, in which wrong labels are counted; each is compared with three times as many rows.
/// The greater share tells less noise from chance, but only where the models are equally sure of nearly all rows.
const SURE_SHARES: [f64; 3] = [0.1, 0.2, 0.3];
const WIDER: f64 = 3.0;
/// How many times greater the surest rows' log odds may be than those at the wider share; normal scores give 1.9 or more.
const GROWTH_MAX: f64 = 1.6;
/// Below the greatest growth by this much, the count is taken whole.
const GROWTH_FADE: f64 = 0.2;
/// The surest rows that are compared with nearly all where models tell the classes apart: wrong about no more than this share of all.
const EVEN_SHARE: f64 = 0.2;
const NEARLY_ALL: f64 = 0.9;
const EVEN_WRONG_MAX: f64 = 0.22;
/// Models' own errors are much rarer among the surest rows than this part of what they are among nearly all.
const EVEN_PART_MIN: f64 = 0.8;
/// Log odds that the wider share needs: models that are not sure of a row say nothing about its label.
const LOG_ODDS_MIN: f64 = 0.2;
/// The part of the surprise of the classes' shares alone that the models must take away. Where labels follow a pattern that
/// no model sees, or one that misleads each model about the row that it has not seen, the labels are not what is wrong.
const SKILL_MIN: f64 = 0.05;
/// Noise that clean data shows: below it nothing is suspected, above it the data set is.
const NOISE_CLEAN_MAX: f64 = 0.02;
/// What the two classes of a flip have together of the surest rows' probability. Where others share in it, the classes are
/// hard to tell rather than flipped.
const PAIR_MASS_MIN: f64 = 0.85;

/// Suspected labels.
pub(crate) struct Suspicion {
    /// The share of labels that is wrong, as far as the models can tell.
    pub(crate) noise: f64,
    /// Pairs of classes that look flipped rather than hard to tell.
    pub(crate) flipped: usize,
    /// The suspected rows, the most doubtful first.
    pub(crate) rows: Vec<u32>,
    /// The least score of them.
    pub(crate) score_min: f32,
    /// Whether there are more than clean data shows.
    pub(crate) suspect: bool,
}

/// Counts and picks the suspected labels.
pub(crate) fn suspicion(labels: &[u32], screened: &Screened) -> Suspicion {
    let all: Vec<u32> = (0..u32::try_from(labels.len()).unwrap_or(u32::MAX)).collect();
    let skilled = skill(labels, screened) >= SKILL_MIN;
    let noise = if skilled { Surest::of(screened, &all).floor(labels) } else { 0.0 };
    let shown = |pair: &&Pair| skilled && shows(labels, screened, &all, pair);
    let shown: Vec<&Pair> = screened.pairs.iter().filter(shown).collect();
    let flipped = shown.iter().map(|pair| pair.excess).sum::<f64>() / labels.len().max(1) as f64;
    let share = if noise > NOISE_CLEAN_MAX { noise } else { 0.0 } + flipped;
    let count = (share * labels.len() as f64) as usize;
    let rows: Vec<u32> = ranking(&screened.doubts).into_iter().take(count).collect();
    let score_min = rows.last().map_or(2.0, |index| at(&screened.doubts, *index as usize));
    Suspicion { noise, flipped: shown.len(), rows, score_min, suspect: share > 0.0 }
}

/// The part of the surprise at the labels, given the classes' shares alone, that the models take away.
fn skill(labels: &[u32], screened: &Screened) -> f64 {
    const LEAST: f64 = 1e-5;
    let shares = shares(labels, screened.probabilities.columns());
    let surprise = |value: f32| -f64::from(value).max(LEAST).ln();
    let (mut without, mut with) = (0.0, 0.0);
    for (own, label) in screened.probabilities.iter().zip(labels) {
        without += surprise(at(&shares, *label as usize));
        with += surprise(at(own, *label as usize));
    }
    if without > 0.0 { 1.0 - with / without } else { 0.0 }
}

/// Whether a flip of one way shows among the rows of which the models are surest. Since these are seldom of the flipped class,
/// the rows that look like it are counted by themselves.
fn shows(labels: &[u32], screened: &Screened, all: &[u32], pair: &Pair) -> bool {
    let alike = |index: &u32| argmax(screened.probabilities.row(*index as usize)) == pair.looks_like;
    let own: Vec<u32> = all.iter().copied().filter(alike).collect();
    let surest = Surest::of(screened, &own);
    let first = surest.first(at(&SURE_SHARES, 0));
    let of_both = |index: &u32| {
        let row = screened.probabilities.row(*index as usize);
        f64::from(at(row, pair.given) + at(row, pair.looks_like))
    };
    let mass = first.iter().map(of_both).sum::<f64>() / first.len().max(1) as f64;
    mass >= PAIR_MASS_MIN && surest.floor(labels) > NOISE_CLEAN_MAX
}

/// Some rows, those of which the models are surest first.
struct Surest<'a> {
    screened: &'a Screened,
    rows: Vec<u32>,
}

impl<'a> Surest<'a> {
    fn of(screened: &'a Screened, rows: &[u32]) -> Self {
        let greatest = |index: &u32| screened.probabilities.row(*index as usize).iter().copied().fold(0.0, f32::max);
        let sure: Vec<f32> = rows.iter().map(greatest).collect();
        Self { screened, rows: ranking(&sure).into_iter().map(|place| at(rows, place as usize)).collect() }
    }

    /// The surest rows of a share.
    fn first(&self, share: f64) -> &[u32] {
        let count = ((self.rows.len() as f64 * share) as usize).max(1);
        self.rows.get(..count).unwrap_or(&self.rows)
    }

    /// The share of wrong labels, as it shows among the surest rows: the models' own errors fade towards them, wrong labels
    /// do not. The greatest of what the shares show, each of which claims no more than it can.
    fn floor(&self, labels: &[u32]) -> f64 {
        SURE_SHARES.iter().map(|share| self.floor_of(labels, *share)).fold(self.even(labels), f64::max)
    }

    /// The share of wrong labels where models tell the classes apart and are wrong just as often about rows of which they are sure: few rows
    /// show that before they show how sure a model can become.
    fn even(&self, labels: &[u32]) -> f64 {
        let (surest, nearly_all) = (self.wrong(labels, EVEN_SHARE), self.wrong(labels, NEARLY_ALL));
        if nearly_all > EVEN_WRONG_MAX || surest < EVEN_PART_MIN * nearly_all {
            return 0.0;
        }
        least_share(surest, self.first(EVEN_SHARE).len().max(1) as f64)
    }

    /// What still falls from the wider share to the surest rows is taken off once more, and nothing is claimed where the
    /// models grow surer and surer: wrong labels cap how sure any model can be, hard classes do not.
    fn floor_of(&self, labels: &[u32], share: f64) -> f64 {
        let growth = self.log_odds(0.5 * share) / self.log_odds(WIDER * share);
        if self.log_odds(WIDER * share) < LOG_ODDS_MIN {
            return 0.0;
        }
        let (surest, wider) = (self.wrong(labels, share), self.wrong(labels, WIDER * share));
        let lower = least_share(surest, self.first(share).len().max(1) as f64);
        let capped = ((GROWTH_MAX - growth) / GROWTH_FADE).clamp(0.0, 1.0);
        capped * lower.min(2.0 * surest - wider).max(0.0)
    }

    fn wrong(&self, labels: &[u32], share: f64) -> f64 {
        let rows = self.first(share);
        let differs = |index: &&u32| {
            let index = **index as usize;
            argmax(self.screened.probabilities.row(index)) != at(labels, index) as usize
        };
        rows.iter().filter(differs).count() as f64 / rows.len().max(1) as f64
    }

    /// How sure the models are of the last row of the share.
    fn log_odds(&self, share: f64) -> f64 {
        let last = self.first(share).last().map_or(&[][..], |index| self.screened.probabilities.row(*index as usize));
        let value = f64::from(at(last, argmax(last)));
        (value.max(1e-6) / (1.0 - value).max(1e-6)).ln()
    }
}

/// The lower end of what a share in so many rows can mean, at 2.5 standard deviations (Wilson 1927): of few rows it is still right.
fn least_share(share: f64, count: f64) -> f64 {
    const DEVIATIONS: f64 = 2.5;
    let square = DEVIATIONS * DEVIATIONS / count;
    let spread = (share * (1.0 - share) / count + square / (4.0 * count)).sqrt();
    ((share + square / 2.0 - DEVIATIONS * spread) / (1.0 + square)).max(0.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Random;
    use crate::table::Matrix;

    fn noise(flipped: f32, width: f32) -> Suspicion {
        noise_of(4_000, flipped, width)
    }

    /// Rows of two classes whose probabilities are right on average, of which a share then changes its label.
    fn noise_of(count: usize, flipped: f32, width: f32) -> Suspicion {
        let mut random = Random::new(21, 0);
        let (mut labels, mut rows) = (Vec::new(), Vec::new());
        for _ in 0..count {
            let truth = 1.0 / (1.0 + (-width * random.normal()).exp());
            let label = u32::from(random.unit() < truth);
            labels.push(if random.unit() < flipped { 1 - label } else { label });
            let seen = truth * (1.0 - flipped) + (1.0 - truth) * flipped;
            rows.extend([1.0 - seen, seen]);
        }
        screened(&labels, rows, Vec::new())
    }

    fn screened(labels: &[u32], rows: Vec<f32>, pairs: Vec<Pair>) -> Suspicion {
        let probabilities = Matrix::new(2, rows).unwrap();
        let doubts = crate::joint::doubts(labels, &probabilities, None);
        suspicion(labels, &Screened { probabilities, doubts, pairs, members: Vec::new() })
    }

    #[test]
    fn clean_labels_are_not_suspected_however_hard_they_are_to_tell() {
        for width in [0.5, 1.0, 2.0, 6.0] {
            let found = noise(0.0, width);
            assert!(!found.suspect && found.rows.is_empty(), "{width}: {}", found.noise);
        }
    }

    #[test]
    fn flips_of_one_way_are_suspected_only_where_the_surest_rows_show_them() {
        let pair = |flipped: f32| {
            let mut random = Random::new(4, 0);
            let (mut labels, mut rows) = (Vec::new(), Vec::new());
            for _ in 0..4_000 {
                let truth = 1.0 / (1.0 + (-6.0 * random.normal()).exp());
                let label = random.unit() < truth;
                labels.push(u32::from(label || random.unit() < flipped));
                let seen = truth + (1.0 - truth) * flipped;
                rows.extend([1.0 - seen, seen]);
            }
            let pair = Pair { given: 1, looks_like: 0, rate: 0.1, excess: 100.0, z: 6.0 };
            screened(&labels, rows, vec![pair])
        };
        assert!(pair(0.2).suspect && !pair(0.0).suspect);
        assert_eq!((pair(0.0).rows.len(), pair(0.2).rows.len()), (0, 100));
    }

    #[test]
    fn flipped_labels_are_counted_where_models_are_sure() {
        let found = noise(0.1, 6.0);
        assert!(found.suspect && (0.04..0.13).contains(&found.noise), "{}", found.noise);
        assert_eq!(found.rows.len(), (found.noise * 4_000.0) as usize);
    }

    #[test]
    fn few_flips_in_few_rows_are_seen_where_the_classes_are_far_apart() {
        let found = noise_of(3_000, 0.05, 60.0);
        assert!(found.suspect && (0.025..0.06).contains(&found.noise), "{}", found.noise);
        assert!(!noise_of(3_000, 0.0, 60.0).suspect);
    }

    #[test]
    fn flips_in_a_set_of_a_few_rows_are_seen_where_the_classes_are_far_apart() {
        for flipped in [0.12, 0.2] {
            assert!(noise_of(180, flipped, 60.0).suspect, "{flipped}");
        }
        for (count, width) in [(120, 0.5), (180, 1.0), (180, 2.0), (250, 4.0), (180, 6.0), (180, 60.0)] {
            let found = noise_of(count, 0.0, width);
            assert!(!found.suspect, "{count} {width}: {}", found.noise);
        }
    }

    #[test]
    fn a_share_of_a_few_rows_means_less() {
        assert!((least_share(0.1, 1e9) - 0.1).abs() < 1e-3);
        assert!(least_share(0.1, 20.0) < 0.03 && least_share(0.1, 20.0) > 0.0);
        assert_eq!(least_share(0.0, 20.0), 0.0);
    }

    #[test]
    fn models_that_know_nothing_accuse_nobody() {
        // Every second row is of class 1, and the models say half; or they are misled: sure of what is not so.
        let labels: Vec<u32> = (0..2_000).map(|index| index % 2).collect();
        for sure in [0.5, 0.4, 0.2] {
            let rows = labels.iter().flat_map(|label| if *label == 0 { [sure, 1.0 - sure] } else { [1.0 - sure, sure] });
            let found = screened(&labels, rows.collect(), Vec::new());
            assert!(!found.suspect && found.rows.is_empty(), "{sure}: {}", found.noise);
        }
    }

    #[test]
    fn classes_that_are_hard_to_tell_from_many_others_are_not_flipped() {
        // Nine classes of which none is ever sure: the surest rows have half of their probability elsewhere.
        let mut random = Random::new(5, 0);
        let (mut labels, mut rows) = (Vec::new(), Vec::new());
        for _ in 0..4_000 {
            let drawn = random.unit();
            labels.push(if drawn < 0.5 {
                1
            } else if drawn < 0.75 {
                0
            } else {
                2 + u32::from(drawn < 0.87)
            });
            rows.extend([0.25, 0.5, 0.13, 0.12]);
        }
        let pair = Pair { given: 0, looks_like: 1, rate: 0.3, excess: 150.0, z: 8.0 };
        let probabilities = Matrix::new(4, rows).unwrap();
        let doubts = crate::joint::doubts(&labels, &probabilities, None);
        let found = suspicion(&labels, &Screened { probabilities, doubts, pairs: vec![pair], members: Vec::new() });
        assert!(!found.suspect && found.rows.is_empty());
    }
}
