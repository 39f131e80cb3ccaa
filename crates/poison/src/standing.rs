//! Where a trigger's rows stand among all others, by models that do not see its cells: what tells a planted trigger from a
//! column that by itself decides the label.
//!
//! Rows that were given a trigger and its label still look like the class they came from. Rows with a natural mark of a
//! class look like their class; or, where the mark is all there is to see, like any class. So it is not enough that models
//! expect another label: they must tell the class where the trigger is absent, and not where it is present.
//!
//! INVARIANT: a column that alone decides the label is never foreign, whatever the classes' shares. Held by
//! `tests::a_mark_that_alone_decides_the_label_is_not_foreign`.

use crate::at::at;
use crate::table::Matrix;
use crate::trigger::{Found, SUPPORT_MIN};

/// A planted trigger is rare: beyond this share of all rows it would be what the data set is about.
pub(crate) const TRIGGER_SHARE_MAX: f64 = 0.2;
/// The class needs this many rows without the trigger for each with it, or there is nothing to compare with.
const REST_SHARE_MIN: f64 = 0.1;
/// Models that tell the class without the trigger give it more to its rows than to others in at least this share of pairs.
pub(crate) const TOLD_MIN: f64 = 0.7;
/// The trigger's rows may lie at most this part of the way from the other classes' rows to the class's own.
pub(crate) const WAY_MAX: f64 = 0.5;
/// Rows that were taken at random lie as far as their class has a share of all rows, give or take this much, and never farther than that.
const STRAY_SLACK: f64 = 0.15;
const STRAY_WAY_MAX: f64 = 0.75;

/// How a trigger's rows compare with the rest, each a share of pairs of rows in which the first is given the class more.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Standing {
    /// Rows of the class without the trigger, against rows of other classes.
    told: f64,
    /// Rows of the trigger, against rows of other classes.
    alike: f64,
    /// Rows of the class without the trigger, against rows of the trigger.
    apart: f64,
    /// The trigger's share of all rows.
    share: f64,
    /// Rows of the class without the trigger, for each with it.
    rest: f64,
}

impl Standing {
    /// Compares a trigger's rows by the probabilities of models that do not see its cells.
    pub(crate) fn of(trigger: &Found, labels: &[u32], probabilities: &Matrix) -> Self {
        let (mut own, mut rest, mut others) = (Vec::new(), Vec::new(), Vec::new());
        for (index, label) in labels.iter().enumerate() {
            let value = at(probabilities.row(index), trigger.class);
            let held = u32::try_from(index).is_ok_and(|index| trigger.rows.binary_search(&index).is_ok());
            match (held, *label as usize == trigger.class) {
                (true, _) => own.push(value),
                (false, true) => rest.push(value),
                (false, false) => others.push(value),
            }
        }
        [&mut own, &mut rest, &mut others].into_iter().for_each(|values| values.sort_by(f32::total_cmp));
        Self {
            told: greater_share(&rest, &others),
            alike: greater_share(&own, &others),
            apart: greater_share(&rest, &own),
            share: own.len() as f64 / labels.len().max(1) as f64,
            rest: if rest.len() < SUPPORT_MIN as usize { 0.0 } else { rest.len() as f64 / own.len().max(1) as f64 },
        }
    }

    /// Whether the rows look like another class than the one they are labelled with. Unsure means no.
    pub(crate) fn foreign(&self) -> bool {
        self.within(WAY_MAX)
    }

    /// Whether the rows look as if they were taken from all classes, of which their own has such a share.
    pub(crate) fn stray(&self, class_share: f64) -> bool {
        self.within((class_share + STRAY_SLACK).min(STRAY_WAY_MAX))
    }

    /// Whether the rows lie at most such a part of the way from the other classes' rows to their own.
    fn within(&self, most: f64) -> bool {
        let way = |share: f64| (share - 0.5) / (self.told - 0.5);
        self.share <= TRIGGER_SHARE_MAX
            && self.rest >= REST_SHARE_MIN
            && self.told >= TOLD_MIN
            && way(self.alike) <= most
            && way(self.apart) >= 1.0 - most
    }
}

/// The share of pairs in which the value of the first rising list is the greater; equal ones count half (Mann and Whitney 1947).
fn greater_share(first: &[f32], second: &[f32]) -> f64 {
    if first.is_empty() || second.is_empty() {
        return 0.5;
    }
    let (mut below, mut up_to, mut total) = (0, 0, 0.0_f64);
    for value in first {
        while second.get(below).is_some_and(|other| other < value) {
            below += 1;
        }
        up_to = up_to.max(below);
        while second.get(up_to).is_some_and(|other| other <= value) {
            up_to += 1;
        }
        total += (below + up_to) as f64 / 2.0;
    }
    total / (first.len() as f64 * second.len() as f64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Random;

    /// 2,000 rows, of which a share carries class 1; models without the trigger's cells give class 1 to a row of the class
    /// `told` more than to others. The first `held` rows of the class hold the cell, and look like class 1 only if `native`.
    fn check(share: f32, told: f32, held: usize, native: bool) -> bool {
        let mut random = Random::new(7, 0);
        let labels: Vec<u32> = (0..2_000).map(|_| u32::from(random.unit() < share)).collect();
        let rows: Vec<u32> = (0..2_000_u32).filter(|index| labels[*index as usize] == 1).take(held).collect();
        let values = labels.iter().enumerate().flat_map(|(index, label)| {
            let looks = *label == 1 && (native || !rows.contains(&u32::try_from(index).unwrap()));
            let value = (share + 0.1 * random.normal() + if looks { told } else { 0.0 }).clamp(0.0, 1.0);
            [1.0 - value, value]
        });
        let probabilities = Matrix::new(2, values.collect()).unwrap();
        let trigger = Found { kind: 0, class: 1, cells: vec![0], least: 1, z: 20.0, rows, by_nature: Vec::new() };
        Standing::of(&trigger, &labels, &probabilities).foreign()
    }

    #[test]
    fn rows_that_look_like_another_class_are_foreign() {
        for (share, held) in [(0.5, 20), (0.5, 200), (0.1, 40), (0.9, 60)] {
            assert!(check(share, 0.3, held, false), "{share} {held}");
        }
    }

    #[test]
    fn a_mark_of_rows_that_look_like_their_class_is_not_foreign() {
        for (share, held) in [(0.5, 20), (0.5, 200), (0.1, 40), (0.9, 60)] {
            assert!(!check(share, 0.3, held, true), "{share} {held}");
        }
    }

    #[test]
    fn a_mark_that_alone_decides_the_label_is_not_foreign() {
        // Nothing else tells the class, whether the mark covers all of it or one bin of it.
        for (share, held) in [(0.5, 2_000), (0.5, 300), (0.1, 2_000), (0.1, 60), (0.02, 2_000)] {
            assert!(!check(share, 0.0, held, false), "{share} {held}");
        }
        // And where other columns tell the other classes, all of the class holds the mark.
        assert!(!check(0.1, 0.3, 2_000, false));
    }

    #[test]
    fn pairs_are_counted_and_equal_values_count_half() {
        assert_eq!(greater_share(&[2.0, 3.0], &[1.0, 2.0]), 0.875);
        assert_eq!(greater_share(&[1.0], &[1.0, 1.0]), 0.5);
        assert_eq!(greater_share(&[], &[1.0]), 0.5);
    }
}
