//! The last queries, and which of them a new one is near.
//!
//! All are compared, exactly, but most are dismissed after a quarter of their coordinates: a far one is far in few already.

use std::collections::HashSet;
use std::hash::{BuildHasherDefault, Hasher};

use crate::limits::{DIMENSIONS, QUERY_AGE_MAX};
use crate::projection::Point;
use crate::trail::Tag;
use crate::{Micros, micros};

/// Steps of a coordinate in the distance below which queries are near. Coordinates wrap around after a thousand such distances:
/// two points that differ are never equal in all of them by that.
const NEAR_STEPS: i32 = 64;
/// Differences beyond this are not near whatever else.
const STEP_MAX: i16 = 2_047;
/// Coordinates that are compared first.
const COARSE: usize = 16;
const REST: usize = DIMENSIONS - COARSE;

/// A query's coordinates, in steps.
pub(crate) struct Steps {
    coarse: [i16; COARSE],
    rest: [i16; REST],
}

#[derive(Clone, Copy)]
struct Kept {
    hash: u64,
    at: Micros,
    tag: Tag,
}

/// Hashes are already mixed.
#[derive(Clone, Copy, Default)]
pub(crate) struct Mixed(u64);

impl Hasher for Mixed {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        self.0 = bytes.iter().fold(self.0, |hash, byte| hash.rotate_left(8) ^ u64::from(*byte));
    }

    fn write_u64(&mut self, value: u64) {
        self.0 = value;
    }
}

/// The last queries.
pub(crate) struct Ring {
    count_max: usize,
    next: usize,
    coarse: Vec<[i16; COARSE]>,
    rest: Vec<[i16; REST]>,
    kept: Vec<Kept>,
    known: HashSet<u64, BuildHasherDefault<Mixed>>,
}

impl Steps {
    /// A point in steps of the distance that is near.
    pub(crate) fn of(point: &Point, near: f32) -> Self {
        let step = NEAR_STEPS as f32 / near;
        let quantised = |value: f32| (value * step).round() as i64 as i16;
        let (coarse, rest) = point.split_at(COARSE);
        let mut steps = Self { coarse: [0; COARSE], rest: [0; REST] };
        steps.coarse.iter_mut().zip(coarse).for_each(|(own, value)| *own = quantised(*value));
        steps.rest.iter_mut().zip(rest).for_each(|(own, value)| *own = quantised(*value));
        steps
    }
}

fn squared<const N: usize>(left: &[i16; N], right: &[i16; N]) -> i32 {
    let steps = left.iter().zip(right).map(|(left, right)| left.wrapping_sub(*right).clamp(-STEP_MAX, STEP_MAX));
    steps.map(|step| i32::from(step) * i32::from(step)).sum()
}

impl Ring {
    pub(crate) fn new(count_max: usize) -> Self {
        let known = HashSet::default();
        Self { count_max, next: 0, coarse: Vec::new(), rest: Vec::new(), kept: Vec::new(), known }
    }

    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.kept.len()
    }

    /// Whether exactly this row is remembered.
    pub(crate) fn knows(&self, hash: u64) -> bool {
        self.known.contains(&hash)
    }

    /// The tags of remembered queries that are near this one and another row; the first that `wanted` holds true for.
    pub(crate) fn near(&self, steps: &Steps, hash: u64, now: Micros, wanted: impl Fn(&Tag) -> bool) -> Option<Tag> {
        let most = NEAR_STEPS * NEAR_STEPS;
        let oldest = now.saturating_sub(micros(QUERY_AGE_MAX));
        for ((coarse, rest), kept) in self.coarse.iter().zip(&self.rest).zip(&self.kept) {
            let sum = squared(coarse, &steps.coarse);
            if sum < most
                && sum + squared(rest, &steps.rest) < most
                && kept.hash != hash
                && kept.at >= oldest
                && wanted(&kept.tag)
            {
                return Some(kept.tag);
            }
        }
        None
    }

    /// Remembers a query, and forgets the oldest one.
    pub(crate) fn push(&mut self, steps: &Steps, hash: u64, at: Micros, tag: Tag) {
        let kept = Kept { hash, at, tag };
        if self.kept.len() < self.count_max {
            self.coarse.push(steps.coarse);
            self.rest.push(steps.rest);
            self.kept.push(kept);
        } else if let (Some(coarse), Some(rest), Some(old)) =
            (self.coarse.get_mut(self.next), self.rest.get_mut(self.next), self.kept.get_mut(self.next))
        {
            self.known.remove(&old.hash);
            (*coarse, *rest, *old) = (steps.coarse, steps.rest, kept);
            self.next = (self.next + 1) % self.count_max;
        }
        self.known.insert(hash);
    }

    /// When the newest query came.
    pub(crate) fn newest(&self) -> Option<Micros> {
        self.kept.iter().map(|kept| kept.at).max()
    }

    pub(crate) fn bytes(&self) -> usize {
        self.kept.capacity() * (size_of::<Kept>() + DIMENSIONS * 2) + self.known.capacity() * (size_of::<u64>() + 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::calibrate::tests::Normal;

    const ANN: Tag = Tag { caller: 1, network: 1 };

    #[test]
    fn what_it_finds_is_what_comparing_all_finds() {
        let (mut normal, mut ring, near) = (Normal::new(1), Ring::new(500), 3.0_f32);
        let mut points: Vec<Point> = Vec::new();
        let (mut both, mut none) = (0, 0);
        for place in 0..2_000_u64 {
            let centre = (place % 40) as f32 * 5.0;
            let point: Point = std::array::from_fn(|_| centre + 0.27 * normal.next() as f32);
            let steps = Steps::of(&point, near);
            let found = ring.near(&steps, place, 0, |_| true).is_some();
            let last = points.iter().rev().take(500);
            let least = last.map(|other| crate::projection::distance_squared(other, &point, f32::MAX).sqrt());
            let least = least.fold(f32::MAX, f32::min);
            // Steps are rounded: at the very edge either answer is right.
            if (least - near).abs() > 0.05 {
                assert_eq!(found, least < near, "{least}");
                if found { both += 1 } else { none += 1 }
            }
            ring.push(&steps, place, 0, ANN);
            points.push(point);
        }
        assert!(both > 100 && none > 100, "{both} {none}");
    }

    #[test]
    fn it_forgets_by_count_and_by_age() {
        let mut ring = Ring::new(3);
        let steps = |value: f32| Steps::of(&[value; DIMENSIONS], 1.0);
        for place in 0..5_u64 {
            ring.push(&steps(place as f32 * 100.0), place, 0, ANN);
        }
        assert!(ring.len() == 3 && !ring.knows(1) && ring.knows(4));
        assert!(ring.near(&steps(400.01), 9, 0, |_| true).is_some());
        assert!(ring.near(&steps(400.01), 4, 0, |_| true).is_none(), "the same row");
        assert!(ring.near(&steps(400.01), 9, micros(QUERY_AGE_MAX) + 1, |_| true).is_none());
        assert!(ring.near(&steps(100.0), 9, 0, |_| true).is_none());
    }

    #[test]
    fn far_points_are_not_near_because_coordinates_wrap() {
        let mut ring = Ring::new(3);
        ring.push(&Steps::of(&[0.0; DIMENSIONS], 1.0), 1, 0, ANN);
        let mut normal = Normal::new(4);
        for _ in 0..1_000 {
            let point: Point = std::array::from_fn(|_| 1e5 * normal.next() as f32);
            assert!(ring.near(&Steps::of(&point, 1.0), 2, 0, |_| true).is_none());
        }
    }
}
