//! How many different things, in 256 bytes: HyperLogLog (Flajolet and others 2007) with linear counting for small counts. The standard
//! error is about 6.5 %.

const REGISTER_COUNT: usize = 256;

/// A sketch of a set.
#[derive(Clone, Debug)]
pub(crate) struct Sketch {
    registers: Box<[u8; REGISTER_COUNT]>,
    /// Registers that are still empty.
    zero_count: u16,
}

impl Default for Sketch {
    fn default() -> Self {
        Self { registers: Box::new([0; REGISTER_COUNT]), zero_count: 256 }
    }
}

impl Sketch {
    /// Adds a thing by its digest; whether the sketch changed.
    pub(crate) fn add(&mut self, digest: u64) -> bool {
        let place = (digest & 0xff) as usize;
        let rank = ((digest >> 8) | 1 << 56).trailing_zeros() as u8 + 1;
        match self.registers.get_mut(place) {
            Some(register) if *register < rank => {
                if *register == 0 {
                    self.zero_count -= 1;
                }
                *register = rank;
                true
            }
            _ => false,
        }
    }

    /// How many different things were added, roughly.
    pub(crate) fn count(&self) -> u64 {
        let m = REGISTER_COUNT as f64;
        let sum: f64 = self.registers.iter().map(|rank| (-f64::from(*rank)).exp2()).sum();
        let raw = 0.7213 / (1.0 + 1.079 / m) * m * m / sum;
        let zeros = f64::from(self.zero_count);
        let count = if raw <= 2.5 * m && zeros > 0.0 { m * (m / zeros).ln() } else { raw };
        count.round() as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::windows::digest;

    #[test]
    fn it_counts_different_things_and_not_the_same_one_twice() {
        let mut sketch = Sketch::default();
        for (count, error) in [(10_u64, 2_u64), (300, 60), (5_000, 1_000), (100_000, 20_000)] {
            for one in 0..count {
                sketch.add(digest(&one.to_string()));
            }
            (0..count).for_each(|one| assert!(!sketch.add(digest(&one.to_string()))));
            assert!(sketch.count().abs_diff(count) <= error, "{count}: {}", sketch.count());
        }
    }
}
