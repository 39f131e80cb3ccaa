//! How many distinct values: HyperLogLog registers (Flajolet et al. 2007) with the estimator of Ertl, "New cardinality
//! estimation algorithms for HyperLogLog sketches" (arXiv 1702.01284), algorithm 6. The estimate depends on the registers
//! alone, so any partition of the data gives the same one.

use serde::{Deserialize, Serialize};

use super::{Reader, from_text, to_text};
use crate::error::{ProfileError, broken};

const NAME: &str = "distinct";
/// The largest value of a register, as in the DataSketches format.
const VALUE_MAX: u8 = 63;
const POWER_MIN: u8 = 4;
const POWER_MAX: u8 = 18;
const PREAMBLE_BYTES: usize = 40;

/// Counts distinct hashes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct Distinct {
    registers: Vec<u8>,
}

impl Distinct {
    /// With two to this power registers; the standard error is 1.04 over the root of that.
    #[must_use]
    pub fn new(power: u8) -> Self {
        Self { registers: vec![0; 1 << power.clamp(POWER_MIN, POWER_MAX)] }
    }

    /// Counts hashes in.
    #[inline]
    pub fn extend(&mut self, hashes: &[u64]) {
        let mask = self.registers.len() - 1;
        for hash in hashes {
            let value = (hash.leading_zeros() as u8 + 1).min(VALUE_MAX);
            if let Some(register) = self.registers.get_mut(*hash as usize & mask) {
                *register = value.max(*register);
            }
        }
    }

    /// Counts one hash in.
    #[inline]
    pub fn insert(&mut self, hash: u64) {
        self.extend(&[hash]);
    }

    /// The relative standard error of the estimate.
    #[must_use]
    pub fn relative_error(&self) -> f64 {
        1.04 / (self.registers.len() as f64).sqrt()
    }

    /// About how many distinct hashes were counted in.
    #[must_use]
    pub fn estimate(&self) -> f64 {
        let mut counts = [0_u32; VALUE_MAX as usize + 1];
        for register in &self.registers {
            if let Some(count) = counts.get_mut(usize::from(*register)) {
                *count += 1;
            }
        }
        let [zeros, middle @ .., full] = counts;
        let size = self.registers.len() as f64;
        let mut sum = size * tau(1.0 - f64::from(full) / size);
        for count in middle.iter().rev() {
            sum = 0.5 * (sum + f64::from(*count));
        }
        sum += size * sigma(f64::from(zeros) / size);
        if sum.is_finite() { size * size / (2.0 * std::f64::consts::LN_2 * sum) } else { 0.0 }
    }

    /// Joins what the other has seen. The smaller of two sizes remains.
    pub fn merge(&mut self, other: &Self) {
        if other.registers.len() < self.registers.len() {
            let fine = std::mem::replace(&mut self.registers, other.registers.clone());
            self.fold(&fine);
        } else {
            self.fold(&other.registers);
        }
    }

    /// Low bits of a hash choose the register, so a finer table folds onto a coarser one.
    fn fold(&mut self, registers: &[u8]) {
        let mask = self.registers.len() - 1;
        for (at, value) in registers.iter().enumerate() {
            if let Some(register) = self.registers.get_mut(at & mask) {
                *register = (*register).max(*value);
            }
        }
    }

    /// The bytes that Apache DataSketches reads as an `HLL_8` sketch.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut sums = [0.0_f64; 2];
        for register in &self.registers {
            let [low, high] = &mut sums;
            let sum = if *register < 32 { low } else { high };
            *sum += (-f64::from(*register)).exp2();
        }
        let zeros = self.registers.iter().filter(|register| **register == 0).count() as u32;
        let power = self.registers.len().trailing_zeros() as u8;
        let mut bytes = Vec::with_capacity(PREAMBLE_BYTES + self.registers.len());
        // Preamble words, version, family, power, unused, out of order, minimum, mode HLL in eight bits.
        bytes.extend([10, 1, 7, power, 0, 16, 0, 2 | (2 << 2)]);
        bytes.extend(self.estimate().to_le_bytes());
        for sum in sums {
            bytes.extend(sum.to_le_bytes());
        }
        bytes.extend(zeros.to_le_bytes());
        bytes.extend(0_u32.to_le_bytes());
        bytes.extend(&self.registers);
        bytes
    }

    /// Reads what [`Self::to_bytes`] wrote.
    ///
    /// # Errors
    /// [`ProfileError::BrokenSketch`] if it is anything else.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, ProfileError> {
        let mut reader = Reader::new(NAME, bytes);
        let (head, _version, family, power) = (reader.byte()?, reader.byte()?, reader.byte()?, reader.byte()?);
        let (_unused, _order, _minimum, mode) = (reader.byte()?, reader.byte()?, reader.byte()?, reader.byte()?);
        if head != 10 || family != 7 || mode != 2 | (2 << 2) || !(POWER_MIN..=POWER_MAX).contains(&power) {
            return Err(broken(NAME, "it is not an HLL_8 sketch"));
        }
        for _ in 0..4 {
            reader.long()?;
        }
        let registers = reader.rest();
        if registers.len() != 1 << power || registers.iter().any(|value| *value > VALUE_MAX) {
            return Err(broken(NAME, "its registers do not fit"));
        }
        Ok(Self { registers: registers.to_vec() })
    }
}

fn tau(mut x: f64) -> f64 {
    if x <= 0.0 || x >= 1.0 {
        return 0.0;
    }
    let (mut y, mut z) = (1.0, 1.0 - x);
    loop {
        x = x.sqrt();
        let before = z;
        y *= 0.5;
        z -= (1.0 - x).powi(2) * y;
        if z >= before {
            return z / 3.0;
        }
    }
}

fn sigma(mut x: f64) -> f64 {
    if x >= 1.0 {
        return f64::INFINITY;
    }
    let (mut y, mut z) = (1.0, x);
    loop {
        x *= x;
        let before = z;
        z += x * y;
        y += y;
        if z <= before {
            return z;
        }
    }
}

impl From<Distinct> for String {
    fn from(sketch: Distinct) -> Self {
        to_text(&sketch.to_bytes())
    }
}

impl TryFrom<String> for Distinct {
    type Error = ProfileError;

    fn try_from(text: String) -> Result<Self, ProfileError> {
        Self::from_bytes(&from_text(NAME, &text)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hash::of_integer;

    fn of(range: std::ops::Range<i64>, power: u8) -> Distinct {
        let mut sketch = Distinct::new(power);
        range.for_each(|value| sketch.insert(of_integer(5, value)));
        sketch
    }

    #[test]
    fn estimates_stay_within_four_standard_errors() {
        for count in [0, 1, 2, 10, 100, 1_000, 5_000, 20_000, 200_000] {
            let sketch = of(0..count, 12);
            let fault = (sketch.estimate() - count as f64).abs();
            assert!(fault <= 4.0 * sketch.relative_error() * count as f64, "{count}: {}", sketch.estimate());
        }
    }

    #[test]
    fn any_partition_gives_the_same_sketch() {
        let mut merged = of(500..3_000, 12);
        merged.merge(&of(0..700, 12));
        assert_eq!(merged, of(0..3_000, 12));
        let mut coarse = of(0..700, 12);
        coarse.merge(&of(500..3_000, 10));
        assert_eq!(coarse, of(0..3_000, 10));
    }

    #[test]
    fn data_sketches_reads_ours() {
        for count in [0, 50_000] {
            let sketch = of(0..count, 12);
            let theirs = datasketches::hll::HllSketch::deserialize(&sketch.to_bytes()).unwrap();
            assert!(
                (theirs.estimate() - sketch.estimate()).abs() <= 0.03 * count as f64,
                "{} {}",
                theirs.estimate(),
                sketch.estimate()
            );
            assert_eq!(Distinct::from_bytes(&sketch.to_bytes()).unwrap(), sketch);
        }
    }

    #[test]
    fn broken_bytes_are_refused() {
        let bytes = of(0..10, 4).to_bytes();
        for length in 0..bytes.len() {
            assert!(Distinct::from_bytes(&bytes[..length]).is_err());
        }
        for at in [0, 2, 3, 7] {
            let mut other = bytes.clone();
            other[at] = 0xff;
            assert!(Distinct::from_bytes(&other).is_err(), "byte {at}");
        }
        assert!(Distinct::try_from("!".to_owned()).is_err());
    }
}
