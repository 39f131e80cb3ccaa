//! Reading and adding without panics: an index outside gives zero, and adding there does nothing.
//!
//! The algorithms of this crate walk flat tables by computed numbers; this keeps a wrong number from ending the process.

/// The value at an index; zero where there is none.
#[inline]
pub fn at<T: Copy + Default>(values: &[T], index: usize) -> T {
    values.get(index).copied().unwrap_or_default()
}

/// Writes at an index, if there is such a place.
#[inline]
pub fn put<T>(values: &mut [T], index: usize, value: T) {
    if let Some(place) = values.get_mut(index) {
        *place = value;
    }
}

/// Adds at an index, if there is such a place.
#[inline]
pub fn add<T: std::ops::AddAssign>(values: &mut [T], index: usize, value: T) {
    if let Some(place) = values.get_mut(index) {
        *place += value;
    }
}

/// Row `index` of a flat table of rows of `width`; empty where there is none.
#[inline]
pub(crate) fn row<T>(values: &[T], width: usize, index: usize) -> &[T] {
    let from = index * width;
    values.get(from..from + width).unwrap_or(&[])
}

/// Row `index` of a flat table, to be changed.
#[inline]
pub(crate) fn row_mut<T>(values: &mut [T], width: usize, index: usize) -> &mut [T] {
    let from = index * width;
    values.get_mut(from..from + width).unwrap_or(&mut [])
}

/// The place of the greatest value, the first of equals.
pub(crate) fn argmax(values: &[f32]) -> usize {
    let mut best = (0, f32::NEG_INFINITY);
    for (place, value) in values.iter().enumerate() {
        if *value > best.1 {
            best = (place, *value);
        }
    }
    best.0
}

/// Row numbers in falling order of their score; equal scores keep the order of rows.
pub(crate) fn ranking(scores: &[f32]) -> Vec<u32> {
    let mut rows: Vec<u32> = (0..u32::try_from(scores.len()).unwrap_or(u32::MAX)).collect();
    rows.sort_by(|left, right| at(scores, *right as usize).total_cmp(&at(scores, *left as usize)));
    rows
}

/// The value below which a share of the values lies. Sorts a copy.
pub(crate) fn quantile(values: &[f32], share: f64) -> f32 {
    let mut sorted: Vec<f32> = values.iter().copied().filter(|value| value.is_finite()).collect();
    sorted.sort_by(f32::total_cmp);
    let place = ((sorted.len().saturating_sub(1)) as f64 * share).round() as usize;
    at(&sorted, place)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_index_outside_is_zero_and_harmless() {
        let mut values = [1.0_f32, 2.0];
        assert_eq!(at(&values, 5), 0.0);
        add(&mut values, 5, 1.0);
        put(&mut values, 1, 7.0);
        assert_eq!(values, [1.0, 7.0]);
        assert!(row(&values, 2, 1).is_empty());
        assert!(row_mut(&mut values, 2, 9).is_empty());
    }

    #[test]
    fn ranking_is_stable_and_quantiles_skip_what_is_not_a_number() {
        assert_eq!(ranking(&[0.1, 0.9, 0.9, f32::NEG_INFINITY]), [1, 2, 0, 3]);
        assert_eq!(quantile(&[3.0, 1.0, f32::NAN, 2.0], 0.5), 2.0);
        assert_eq!(argmax(&[1.0, 3.0, 3.0]), 1);
    }
}
