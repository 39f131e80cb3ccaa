//! Queries unlike the training data: how many of them are too many, at any time.

/// The share of unlike queries that is still taken for ordinary: thirty times what the training data itself holds.
const ORDINARY: f64 = 0.05;
/// Shares that are looked for: most queries, and a good part of them.
const SOUGHT: [f64; 2] = [0.95, 0.4];
/// An alarm by chance is expected once in e to this many queries at the most: in a billion.
const ALARM_AT: f64 = 20.72;

/// A watch on one caller (CUSUM of Page 1954 on likelihood ratios; its time between false alarms is at least `e^ALARM_AT` queries).
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Unlike {
    sums: [f64; SOUGHT.len()],
}

impl Unlike {
    /// One more query; true if there are too many. It then begins anew.
    pub(crate) fn add(&mut self, is_unlike: bool) -> bool {
        for (sum, sought) in self.sums.iter_mut().zip(SOUGHT) {
            let ratio = if is_unlike { sought / ORDINARY } else { (1.0 - sought) / (1.0 - ORDINARY) };
            *sum = (*sum + ratio.ln()).max(0.0);
        }
        let is_alarm = self.sums.iter().any(|sum| *sum > ALARM_AT);
        if is_alarm {
            *self = Self::default();
        }
        is_alarm
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::calibrate::tests::Normal;

    fn alarm_at(share: f64, count: usize) -> Option<usize> {
        let (mut watch, mut normal) = (Unlike::default(), Normal::new(8));
        (1..=count).find(|_| watch.add(normal.uniform() < share))
    }

    #[test]
    fn foreign_queries_are_noticed_soon_and_ordinary_ones_never() {
        assert_eq!(alarm_at(1.1, 100), Some(8));
        assert!(alarm_at(0.5, 200).is_some());
        assert_eq!(alarm_at(0.005, 3_000_000), None);
        assert_eq!(alarm_at(0.05, 3_000_000), None, "a caller with an unusual part of the population");
        let mut watch = Unlike::default();
        assert!((0..100_000).all(|_| !watch.add(false)), "a good past is no credit:");
        assert_eq!((1..100).find(|_| watch.add(true)), Some(8));
    }
}
