//! A metric's points as they are kept: packed, 24 bytes each, and what MLflow says of their order.

use std::cmp::Ordering;

/// Timestamp, step and value, 8 bytes little endian each.
const POINT_BYTES: usize = 24;

/// One point without its key.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Point {
    pub(crate) timestamp_ms: i64,
    pub(crate) step: i64,
    pub(crate) value: f64,
}

impl Point {
    /// The value that NaN counts as where points are compared: MLflow keeps NaN as 0 beside a flag.
    pub(crate) const fn rank(&self) -> f64 {
        if self.value.is_nan() { 0.0 } else { self.value }
    }

    /// Whether this point is later than `other`: by step, then time, then value.
    pub(crate) fn is_later_than(&self, other: &Self) -> bool {
        let head = (self.step, self.timestamp_ms).cmp(&(other.step, other.timestamp_ms));
        head.then(self.rank().total_cmp(&other.rank())) == Ordering::Greater
    }

    /// The order of a history: by time, then step, then value.
    pub(crate) fn in_time(&self, other: &Self) -> Ordering {
        let head = (self.timestamp_ms, self.step).cmp(&(other.timestamp_ms, other.step));
        head.then(self.rank().total_cmp(&other.rank())).then(self.value.is_nan().cmp(&other.value.is_nan()))
    }
}

/// Packs points.
pub(crate) fn pack(points: &[Point]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(points.len().saturating_mul(POINT_BYTES));
    for point in points {
        bytes.extend_from_slice(&point.timestamp_ms.to_le_bytes());
        bytes.extend_from_slice(&point.step.to_le_bytes());
        bytes.extend_from_slice(&point.value.to_bits().to_le_bytes());
    }
    bytes
}

/// Unpacks points onto `points`. Gives whether the bytes were whole points.
pub(crate) fn unpack(bytes: &[u8], points: &mut Vec<Point>) -> bool {
    let (words, rest) = bytes.as_chunks::<8>();
    for three in words.chunks_exact(3) {
        if let [time, step, value] = three {
            points.push(Point {
                timestamp_ms: i64::from_le_bytes(*time),
                step: i64::from_le_bytes(*step),
                value: f64::from_bits(u64::from_le_bytes(*value)),
            });
        }
    }
    rest.is_empty() && words.len().is_multiple_of(3)
}

/// Sorts a history and drops what was logged twice: MLflow's key of a point is all of it.
pub(crate) fn settle(points: &mut Vec<Point>) {
    points.sort_unstable_by(Point::in_time);
    points.dedup_by(|a, b| a.in_time(b) == Ordering::Equal);
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn point(timestamp_ms: i64, step: i64, value: f64) -> Point {
        Point { timestamp_ms, step, value }
    }

    #[test]
    fn points_come_back_bit_for_bit() {
        let all = [point(1, -2, f64::NAN), point(i64::MAX, i64::MIN, f64::NEG_INFINITY), point(0, 0, -0.0)];
        let mut back = Vec::new();
        assert!(unpack(&pack(&all), &mut back));
        let bits = |points: &[Point]| points.iter().map(|p| (p.timestamp_ms, p.step, p.value.to_bits())).collect::<Vec<_>>();
        assert_eq!(bits(&back), bits(&all));
        assert!(!unpack(&[0; 25], &mut back));
        assert!(!unpack(&[0; 16], &mut back));
    }

    #[test]
    fn the_latest_is_by_step_then_time_then_value() {
        assert!(point(0, 2, 0.0).is_later_than(&point(9, 1, 9.0)));
        assert!(point(2, 1, 0.0).is_later_than(&point(1, 1, 9.0)));
        assert!(point(1, 1, 2.0).is_later_than(&point(1, 1, 1.0)));
        assert!(!point(1, 1, 1.0).is_later_than(&point(1, 1, 1.0)));
        // NaN ranks as 0, as in MLflow.
        assert!(point(1, 1, f64::NAN).is_later_than(&point(1, 1, -1.0)));
        assert!(!point(1, 1, f64::NAN).is_later_than(&point(1, 1, 1.0)));
    }

    #[test]
    fn a_history_is_in_order_and_without_doubles() {
        let mut all = vec![
            point(2, 0, 1.0),
            point(1, 5, 1.0),
            point(1, 5, 1.0),
            point(1, 5, 0.0),
            point(1, 5, f64::NAN),
            point(1, 5, f64::NAN),
        ];
        settle(&mut all);
        assert_eq!(all.len(), 4);
        assert_eq!((all[0].value, all[1].value.is_nan(), all[2].value, all[3].timestamp_ms), (0.0, true, 1.0, 2));
    }
}
