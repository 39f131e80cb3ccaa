//! Outputs made coarser: what a caller does not learn cannot be used to copy or to fool the model (Tramèr et al. 2016).

use crate::ladder::Level;
use crate::limits::COARSE_DIGITS;

/// How coarse outputs are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Hardening {
    /// Digits after the point of probabilities, and significant digits of other numbers.
    pub digits: Option<u8>,
    /// So many of the largest probabilities are told, the others are 0.
    pub top_k: Option<u16>,
    /// The most probable class is 1, the others are 0.
    pub label_only: bool,
}

impl Hardening {
    /// The same at a step of the ladder.
    #[must_use]
    pub fn at(self, level: Level) -> Self {
        if level < Level::Coarser {
            return self;
        }
        let digits = Some(self.digits.map_or(COARSE_DIGITS, |digits| digits.min(COARSE_DIGITS)));
        Self { digits, label_only: true, ..self }
    }

    /// Whether outputs stay as they are.
    #[must_use]
    pub const fn is_none(&self) -> bool {
        self.digits.is_none() && self.top_k.is_none() && !self.label_only
    }

    /// Probabilities of `width` classes, row by row.
    pub fn probabilities(&self, values: &mut [f64], width: usize) {
        for row in values.chunks_mut(width.max(1)) {
            let kept = if self.label_only { 1 } else { usize::from(self.top_k.unwrap_or(u16::MAX)) };
            if kept < row.len() {
                keep_largest(row, kept);
            }
            if self.label_only {
                // Of two classes, one probability alone may be told.
                let least = if row.len() == 1 { 0.5 } else { f64::MIN_POSITIVE };
                row.iter_mut().for_each(|value| *value = f64::from(u8::from(*value >= least)));
            }
            if let Some(digits) = self.digits {
                let unit = 10_f64.powi(i32::from(digits));
                row.iter_mut().for_each(|value| *value = (*value * unit).round() / unit);
            }
        }
    }

    /// Other numbers.
    pub fn numbers(&self, values: &mut [f64]) {
        let Some(digits) = self.digits else { return };
        for value in values.iter_mut().filter(|value| value.is_finite() && **value != 0.0) {
            let exponent = i32::from(digits) - 1 - value.abs().log10().floor() as i32;
            let unit = 10_f64.powi(exponent.abs());
            let rounded = if exponent >= 0 { (*value * unit).round() / unit } else { (*value / unit).round() * unit };
            if rounded.is_finite() {
                *value = rounded;
            }
        }
    }
}

fn keep_largest(row: &mut [f64], count: usize) {
    let mut places: Vec<usize> = (0..row.len()).collect();
    let at = |place: &usize| row.get(*place).copied().unwrap_or(0.0);
    places.sort_by(|left, right| at(right).total_cmp(&at(left)));
    for place in places.into_iter().skip(count) {
        if let Some(value) = row.get_mut(place) {
            *value = 0.0;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(hardening: Hardening, width: usize, given: &[f64], expected: &[f64]) {
        let mut values = given.to_vec();
        hardening.probabilities(&mut values, width);
        assert_eq!(values, expected);
    }

    #[test]
    fn probabilities_become_coarser() {
        let (none, two) = (Hardening::default(), Hardening { digits: Some(2), ..Hardening::default() });
        assert!(none.is_none() && !two.is_none());
        check(none, 2, &[0.123, 0.877], &[0.123, 0.877]);
        check(two, 2, &[0.123, 0.877], &[0.12, 0.88]);
        check(Hardening { top_k: Some(2), ..none }, 3, &[0.2, 0.5, 0.3], &[0.0, 0.5, 0.3]);
        check(none.at(Level::Coarser), 3, &[0.2, 0.5, 0.3, 0.6, 0.3, 0.1], &[0.0, 1.0, 0.0, 1.0, 0.0, 0.0]);
        check(none.at(Level::Coarser), 1, &[0.7, 0.3], &[1.0, 0.0]);
        assert_eq!(none.at(Level::Slower), none);
    }

    #[test]
    fn numbers_keep_their_first_digits() {
        let mut values = [1234.5, -0.001_234, 0.0, f64::NAN, f64::INFINITY, 1e-300];
        Hardening { digits: Some(2), ..Hardening::default() }.numbers(&mut values);
        assert_eq!((values[0], values[1], values[2]), (1200.0, -0.0012, 0.0));
        assert!(values[3].is_nan() && values[4].is_infinite() && (values[5] - 1e-300).abs() < 1e-302);
    }
}
