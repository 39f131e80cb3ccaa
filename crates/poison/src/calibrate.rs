//! Which labels are suspected: as many as the models show to be wrong where they are surest.

use crate::at::{argmax, at, ranking};
use crate::labels::Screened;

/// Shares of the rows, the surest first, in which wrong labels are counted.
const SUREST_SHARE: f64 = 0.1;
const SURE_SHARE: f64 = 0.3;
/// How many times greater the surest rows' log odds may be than those at the surest third; normal scores give 1.9.
const GROWTH_MAX: f64 = 1.6;
/// Below the greatest growth by this much, the count is taken whole.
const GROWTH_FADE: f64 = 0.2;
/// Noise that clean data shows: below it nothing is suspected, above it the data set is.
const NOISE_CLEAN_MAX: f64 = 0.02;

/// Suspected labels.
pub(crate) struct Suspicion {
    /// The share of labels that is wrong, as far as the models can tell.
    pub(crate) noise: f64,
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
    let noise = floor(labels, screened, &all);
    // Flips of one way spare the rows of which the models are surest, since these are of another class: so the rows that look
    // like the flipped class are counted by themselves.
    let flipped = screened.pairs.iter().any(|pair| {
        let alike = |index: &u32| argmax(screened.probabilities.row(*index as usize)) == pair.looks_like;
        let own: Vec<u32> = all.iter().copied().filter(alike).collect();
        floor(labels, screened, &own) > NOISE_CLEAN_MAX
    });
    let pairs: f64 = screened.pairs.iter().map(|pair| pair.excess).sum::<f64>() / labels.len().max(1) as f64;
    let share = if noise > NOISE_CLEAN_MAX { noise } else { 0.0 } + pairs;
    let count = (share * labels.len() as f64) as usize;
    let rows: Vec<u32> = ranking(&screened.doubts).into_iter().take(count).collect();
    let score_min = rows.last().map_or(2.0, |index| at(&screened.doubts, *index as usize));
    Suspicion { noise, rows, score_min, suspect: noise > NOISE_CLEAN_MAX || flipped }
}

/// The share of wrong labels of some rows, as it shows among the surest of them: the models' own errors fade towards them, wrong labels do
/// not. So what still falls from the surest third to the surest tenth is taken off once more, and nothing is claimed where
/// the models grow surer and surer: wrong labels cap how sure any model can be, hard classes do not.
fn floor(labels: &[u32], screened: &Screened, rows: &[u32]) -> f64 {
    let sure: Vec<f32> =
        rows.iter().map(|index| screened.probabilities.row(*index as usize)).map(|row| at(row, argmax(row))).collect();
    let order = ranking(&sure);
    let place = |share: f64| ((rows.len() as f64 * share) as usize).max(1);
    let wrong = |share: f64| {
        let wrong = order.iter().take(place(share)).filter(|index| {
            let index = at(rows, **index as usize) as usize;
            argmax(screened.probabilities.row(index)) != at(labels, index) as usize
        });
        wrong.count() as f64 / place(share) as f64
    };
    let log_odds = |share: f64| {
        let value = f64::from(at(&sure, at(&order, place(share)) as usize));
        (value / (1.0 - value).max(1e-6)).ln().max(1e-6)
    };
    let (surest, third) = (wrong(SUREST_SHARE), wrong(SURE_SHARE));
    // The lower end of what a sample of this size can mean.
    let lower = surest - 2.5 * (surest * (1.0 - surest) / place(SUREST_SHARE) as f64).sqrt();
    let growth = log_odds(0.5 * SUREST_SHARE) / log_odds(SURE_SHARE);
    let capped = ((GROWTH_MAX - growth) / GROWTH_FADE).clamp(0.0, 1.0);
    capped * lower.min(2.0 * surest - third).max(0.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Random;
    use crate::table::Matrix;

    /// 4,000 rows of two classes whose probabilities are right on average, of which a share then changes its label.
    fn noise(flipped: f32, width: f32) -> Suspicion {
        let mut random = Random::new(21, 0);
        let (mut labels, mut rows) = (Vec::new(), Vec::new());
        for _ in 0..4_000 {
            let truth = 1.0 / (1.0 + (-width * random.normal()).exp());
            let label = u32::from(random.unit() < truth);
            labels.push(if random.unit() < flipped { 1 - label } else { label });
            let seen = truth * (1.0 - flipped) + (1.0 - truth) * flipped;
            rows.extend([1.0 - seen, seen]);
        }
        screened(&labels, rows, Vec::new())
    }

    fn screened(labels: &[u32], rows: Vec<f32>, pairs: Vec<crate::joint::Pair>) -> Suspicion {
        let probabilities = Matrix::new(2, rows).unwrap();
        let doubts = crate::joint::doubts(labels, &probabilities, None);
        suspicion(labels, &Screened { smooth: Matrix::default(), probabilities, doubts, pairs, members: Vec::new() })
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
            let pair = crate::joint::Pair { given: 1, looks_like: 0, rate: 0.1, excess: 100.0, z: 6.0 };
            screened(&labels, rows, vec![pair])
        };
        assert!(pair(0.2).suspect && !pair(0.0).suspect);
        assert_eq!(pair(0.0).rows.len(), 100);
    }

    #[test]
    fn flipped_labels_are_counted_where_models_are_sure() {
        let found = noise(0.1, 6.0);
        assert!(found.suspect && (0.04..0.13).contains(&found.noise), "{}", found.noise);
        assert_eq!(found.rows.len(), (found.noise * 4_000.0) as usize);
    }
}
