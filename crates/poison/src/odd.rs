//! Values of which their column gives no account: one that repeats among values that do not, or values far beyond all
//! others. A trigger that is written into columns of numbers is such a value; so are placeholders and limits of instruments,
//! which is why a value alone accuses nobody.

use crate::at::at;

/// A repeating value's bin holds at least this many rows,
const REPEATS_MIN: usize = 8;
/// and this many times as many as the values beside it hold on average,
const REPEATS_FACTOR: f64 = 5.0;
/// of which so many on either side are looked at.
const NEIGHBOUR_COUNT: usize = 8;
/// Values lie beyond all others if what is empty between them is at least this part of the width of the middle values,
const GAP_MIN: f32 = 0.4;
/// and if they are at most this share of all.
const OUTER_SHARE_MAX: f64 = 0.1;

/// The bins of a column that are odd, rising. `sorted` are its values, `edges` the least value of each bin from bin 1 on.
pub(crate) fn bins(sorted: &[f32], edges: &[f32]) -> Vec<u8> {
    let [low, high] = outer_edges(sorted);
    let values = distinct(sorted);
    let mut found = Vec::new();
    for (place, from) in edges.iter().enumerate() {
        let below = edges.get(place + 1).copied().unwrap_or(f32::INFINITY);
        let first = values.partition_point(|(value, _)| value < from);
        let last = values.partition_point(|(value, _)| *value < below);
        let outer = high.is_some_and(|high| *from >= high) || low.is_some_and(|low| below <= low);
        if outer || (last == first + 1 && repeats(&values, first)) {
            found.extend(u8::try_from(place + 1));
        }
    }
    found
}

/// The edges that cut off values far beyond all others: below the first, and from the second on.
pub(crate) fn outer_edges(sorted: &[f32]) -> [Option<f32>; 2] {
    let outer = (sorted.len() as f64 * OUTER_SHARE_MAX) as usize;
    let (Some(low), Some(high)) = (sorted.get(outer), sorted.get(sorted.len().saturating_sub(outer + 1))) else {
        return [None, None];
    };
    let needed = GAP_MIN * (high - low).max(f32::MIN_POSITIVE);
    let cut = |from: usize, to: usize, falling: bool| {
        let mut places = from..to;
        let wide = |place: &usize| at(sorted, *place) - at(sorted, place - 1) > needed;
        if falling { places.rev().find(wide) } else { places.find(wide) }
    };
    let low = cut(1, outer + 1, true).filter(|place| *place >= REPEATS_MIN);
    let high = cut(sorted.len().saturating_sub(outer).max(1), sorted.len(), false);
    let high = high.filter(|place| sorted.len() - place >= REPEATS_MIN);
    [low, high].map(|place| place.and_then(|place| sorted.get(place).copied()))
}

/// Each value once, with how often it occurs.
fn distinct(sorted: &[f32]) -> Vec<(f32, usize)> {
    let mut values: Vec<(f32, usize)> = Vec::new();
    for value in sorted {
        match values.last_mut().filter(|(last, _)| last == value) {
            Some((_, count)) => *count += 1,
            None => values.push((*value, 1)),
        }
    }
    values
}

/// Whether a value occurs far more often than those beside it.
fn repeats(values: &[(f32, usize)], place: usize) -> bool {
    let count = values.get(place).map_or(0, |(_, count)| *count);
    let beside = values.iter().enumerate().skip(place.saturating_sub(NEIGHBOUR_COUNT)).take(2 * NEIGHBOUR_COUNT + 1);
    let beside: Vec<usize> = beside.filter(|(other, _)| *other != place).map(|(_, (_, count))| *count).collect();
    let mean = beside.iter().sum::<usize>() as f64 / beside.len().max(1) as f64;
    !beside.is_empty() && count >= REPEATS_MIN && count as f64 >= REPEATS_FACTOR * mean
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 1,000 values from 0 to 10 and what is added; the lower ends of the bins that are odd.
    fn check(added: &[f32]) -> Vec<f32> {
        let mut values: Vec<f32> = (0..1_000).map(|number| number as f32 / 100.0).chain(added.iter().copied()).collect();
        values.sort_by(f32::total_cmp);
        let mut edges = vec![0.0, 5.0, 9.0];
        edges.extend(added);
        edges.extend(added.iter().filter_map(|value| values.iter().copied().find(|other| other > value)));
        edges.sort_by(f32::total_cmp);
        edges.dedup();
        bins(&values, &edges).into_iter().map(|bin| edges[usize::from(bin) - 1]).collect()
    }

    #[test]
    fn a_value_that_repeats_among_others_is_odd() {
        assert_eq!(check(&[4.215; 20]), [4.215]);
        assert!(check(&[4.215; 5]).is_empty());
    }

    #[test]
    fn values_far_beyond_all_others_are_odd() {
        let far: Vec<f32> = (0..20).map(|number| 30.0 + number as f32).collect();
        let values: Vec<f32> = (0..1_000).map(|number| number as f32 / 100.0).chain(far).collect();
        assert_eq!(outer_edges(&values), [None, Some(30.0)]);
        assert_eq!(check(&[-40.0; 20]), [-40.0]);
    }

    #[test]
    fn values_that_all_repeat_and_empty_columns_are_not_odd() {
        let values: Vec<f32> = (0..1_000).map(|number| (number / 20) as f32).collect();
        assert!(bins(&values, &(0..50).map(|value| value as f32).collect::<Vec<_>>()).is_empty());
        assert!(bins(&[], &[]).is_empty());
    }
}
