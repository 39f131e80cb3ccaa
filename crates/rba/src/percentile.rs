//! Where a score stands among the server's own accepted log-ins.

use std::collections::VecDeque;

/// Accepted log-ins that a score is compared with, at each stage.
pub const KEPT_COUNT: usize = 2_000;
/// With fewer there is no telling.
pub const NEEDED_COUNT: usize = 20;

/// Log-ins that are imagined above all others at each stage: of few, the highest is no rarity yet. So 20 reach no more than 80, 95 no more than
/// 95, and it takes 495 for one to be among the highest hundredth.
const IMAGINED_COUNT: f64 = 5.0;
/// Log-ins of a person from which on they are compared with others of that many: whoever is new would otherwise stand above everybody for
/// being new, and would be asked at each of their first log-ins.
const STAGES: [usize; 4] = [0, 5, 20, 60];

/// The scores of the last accepted log-ins, by how many log-ins of the person were known. A threshold on the percentile is the share of log-ins
/// that will be above it, at each stage.
#[derive(Clone, Debug, Default)]
pub struct Percentiles([Ring; STAGES.len()]);

#[derive(Clone, Debug, Default)]
struct Ring {
    by_age: VecDeque<f64>,
    sorted: Vec<f64>,
}

impl Percentiles {
    /// One more that was accepted.
    pub fn accept(&mut self, known_count: usize, nats: f64) {
        if nats.is_finite()
            && let Some(ring) = self.0.get_mut(stage(known_count))
        {
            ring.put(nats);
        }
    }

    /// The percentage of accepted log-ins of that stage that scored lower, those that scored the same counting half; from 0 to 100. None
    /// where too few were accepted so far.
    #[must_use]
    pub fn of(&self, known_count: usize, nats: f64) -> Option<f64> {
        self.0.get(stage(known_count))?.of(nats)
    }

    /// How many it knows.
    #[must_use]
    pub fn count(&self) -> usize {
        self.0.iter().map(|ring| ring.sorted.len()).sum()
    }
}

fn stage(known_count: usize) -> usize {
    STAGES.partition_point(|from| *from <= known_count).saturating_sub(1)
}

impl Ring {
    fn put(&mut self, nats: f64) {
        if self.by_age.len() >= KEPT_COUNT
            && let Some(oldest) = self.by_age.pop_front()
        {
            let at = self.sorted.partition_point(|one| *one < oldest);
            if at < self.sorted.len() {
                self.sorted.remove(at);
            }
        }
        self.by_age.push_back(nats);
        let at = self.sorted.partition_point(|one| *one < nats);
        self.sorted.insert(at, nats);
    }

    #[expect(clippy::cast_precision_loss, reason = "no more than 2,000")]
    fn of(&self, nats: f64) -> Option<f64> {
        if self.sorted.len() < NEEDED_COUNT {
            return None;
        }
        let lower = self.sorted.partition_point(|one| *one < nats);
        let not_higher = self.sorted.partition_point(|one| *one <= nats);
        Some((lower + not_higher) as f64 * 50.0 / (self.sorted.len() as f64 + IMAGINED_COUNT))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_threshold_is_a_share_of_log_ins() {
        let mut percentiles = Percentiles::default();
        for number in 0..19 {
            percentiles.accept(9, f64::from(number));
        }
        assert_eq!(percentiles.of(9, 3.0), None);
        for number in 19..5_000 {
            percentiles.accept(9, f64::from(number));
        }
        assert_eq!(percentiles.count(), KEPT_COUNT);
        // The last 2,000 are 3,000 to 4,999.
        assert_eq!(percentiles.of(9, 2_999.0), Some(0.0));
        assert!(percentiles.of(9, 9_999.0).is_some_and(|at| at > 99.7 && at < 100.0));
        percentiles.accept(9, f64::NAN);
        let over = (3_000..5_000).filter(|number| percentiles.of(9, f64::from(*number)).is_some_and(|at| at >= 95.0)).count();
        assert!((94..=100).contains(&over), "{over}");
    }

    #[test]
    fn equal_scores_stand_in_the_middle_of_themselves() {
        let mut percentiles = Percentiles::default();
        for _ in 0..95 {
            percentiles.accept(9, 1.0);
        }
        assert_eq!(percentiles.of(9, 1.0), Some(47.5));
    }

    #[test]
    fn of_few_the_highest_is_no_rarity() {
        let mut percentiles = Percentiles::default();
        for count in 1..=495 {
            percentiles.accept(9, f64::from(count));
            let highest = percentiles.of(9, 1_000.0);
            let expected = [(20, 80.0), (95, 95.0), (495, 99.0)].into_iter().find(|one| one.0 == count);
            assert!(expected.is_none_or(|(_, at)| highest == Some(at)), "{count}: {highest:?}");
        }
    }

    #[test]
    fn who_is_new_is_compared_with_the_new() {
        let mut percentiles = Percentiles::default();
        for number in 0..95 {
            percentiles.accept(1, 10.0 + f64::from(number) / 100.0);
            percentiles.accept(80, f64::from(number) / 100.0);
        }
        assert_eq!(percentiles.of(2, 10.47), Some(47.5));
        assert_eq!(percentiles.of(90, 10.47), Some(95.0));
        assert_eq!(percentiles.of(10, 10.47), None, "nobody of that stage yet");
    }
}
