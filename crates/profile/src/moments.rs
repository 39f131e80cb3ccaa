//! Mean, variance and skewness in one pass, merged without loss: Pébay, "Formulas for robust, one-pass parallel computation
//! of covariances and arbitrary-order statistical moments" (Sandia 2008), equations 2.1 and 2.2 of section 3.

use serde::{Deserialize, Serialize};

use crate::finite;

/// Central moments of numbers.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct Moments {
    /// How many numbers.
    pub count: u64,
    /// Their mean.
    #[serde(with = "finite")]
    pub mean: f64,
    /// The sum of squared distances from the mean.
    #[serde(with = "finite")]
    squares: f64,
    /// The sum of cubed distances from the mean.
    #[serde(with = "finite")]
    cubes: f64,
}

/// A sum in four lanes, which the compiler can make one instruction of.
pub(crate) fn sum_of(values: &[f64], term: impl Fn(f64) -> f64) -> f64 {
    let (fours, rest) = values.as_chunks::<4>();
    let mut lanes = [0.0; 4];
    for four in fours {
        for (lane, value) in lanes.iter_mut().zip(four) {
            *lane += term(*value);
        }
    }
    lanes.iter().sum::<f64>() + rest.iter().map(|value| term(*value)).sum::<f64>()
}

impl Moments {
    /// Of some numbers.
    #[must_use]
    pub fn of(values: &[f64]) -> Self {
        if values.is_empty() {
            return Self::default();
        }
        let count = values.len() as f64;
        let mean = sum_of(values, |value| value) / count;
        // The rounding error of the mean is taken out again (Chan, Golub and LeVeque 1983).
        let squares = sum_of(values, |value| (value - mean) * (value - mean));
        let cubes = sum_of(values, |value| (value - mean) * (value - mean) * (value - mean));
        Self { count: values.len() as u64, mean, squares, cubes }
    }

    /// Of one number that came `count` times.
    #[must_use]
    pub const fn repeated(value: f64, count: u64) -> Self {
        Self { count, mean: value, squares: 0.0, cubes: 0.0 }
    }

    /// Joins others.
    pub fn merge(&mut self, other: &Self) {
        if other.count == 0 {
            return;
        }
        if self.count == 0 {
            *self = *other;
            return;
        }
        let (own, their) = (self.count as f64, other.count as f64);
        let all = own + their;
        let apart = other.mean - self.mean;
        let part = apart / all;
        self.cubes += other.cubes
            + apart * part * part * own * their * (own - their)
            + 3.0 * part * (own * other.squares - their * self.squares);
        self.squares += other.squares + apart * part * own * their;
        self.mean += part * their;
        self.count += other.count;
    }

    /// The variance of the sample (divided by count less one).
    #[must_use]
    pub fn variance(&self) -> Option<f64> {
        let variance = (self.count > 1).then(|| (self.squares / (self.count - 1) as f64).max(0.0))?;
        variance.is_finite().then_some(variance)
    }

    /// The standard deviation of the sample.
    #[must_use]
    pub fn deviation(&self) -> Option<f64> {
        self.variance().map(f64::sqrt)
    }

    /// The skewness (third standardised moment).
    #[must_use]
    pub fn skewness(&self) -> Option<f64> {
        let count = self.count as f64;
        let skewness = (self.squares > 0.0).then(|| count.sqrt() * self.cubes / self.squares.powf(1.5))?;
        skewness.is_finite().then_some(skewness)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn near(left: f64, right: f64) {
        assert!((left - right).abs() <= 1e-9 * right.abs().max(1.0), "{left} is not {right}");
    }

    fn check(values: &[f64], mean: f64, deviation: f64, skewness: f64) {
        let whole = Moments::of(values);
        for split in 0..=values.len() {
            let (left, right) = values.split_at(split);
            let mut merged = Moments::of(left);
            merged.merge(&Moments::of(right));
            assert_eq!(merged.count, whole.count);
            for moments in [whole, merged] {
                near(moments.mean, mean);
                near(moments.deviation().unwrap(), deviation);
                near(moments.skewness().unwrap(), skewness);
            }
        }
    }

    #[test]
    fn parts_give_the_moments_of_the_whole() {
        // By the definitions, in two passes.
        check(&[2.0, 8.0, 0.0, 4.0, 1.0, 9.0, 9.0, 0.0], 4.125, 3.979_860_011_895_608_5, 0.265_055_412_269_857_3);
        // A large offset loses nothing.
        check(&[1e9 + 1.0, 1e9 + 2.0, 1e9 + 6.0], 1e9 + 3.0, 7.0_f64.sqrt(), 0.595_170_064_139_494_3);
    }

    #[test]
    fn repeated_values_are_as_themselves() {
        let mut weighted = Moments::repeated(2.0, 3);
        weighted.merge(&Moments::repeated(5.0, 1));
        let plain = Moments::of(&[2.0, 2.0, 2.0, 5.0]);
        near(weighted.deviation().unwrap(), plain.deviation().unwrap());
        near(weighted.skewness().unwrap(), plain.skewness().unwrap());
    }

    #[test]
    fn nothing_and_too_much_have_no_moments() {
        assert_eq!(Moments::of(&[]).deviation(), None);
        assert_eq!(Moments::of(&[3.0]).variance(), None);
        assert_eq!(Moments::of(&[3.0, 3.0]).skewness(), None);
        let huge = Moments::of(&[f64::MAX, f64::MAX, -f64::MAX]);
        assert_eq!(huge.deviation(), None);
        assert!(serde_json::from_str::<Moments>(&serde_json::to_string(&huge).unwrap()).is_ok());
    }
}
