//! Seeded random numbers: the same seed gives the same scan on every machine.
//!
//! Source: Blackman and Vigna 2021, xoshiro256++; seeded by SplitMix64. Not for secrets.

/// A stream of random numbers.
#[derive(Clone, Debug)]
pub struct Random {
    state: [u64; 4],
}

/// One step of SplitMix64: also a good mixer of 64 bits.
pub const fn mix(value: u64) -> u64 {
    let mut mixed = value.wrapping_add(0x9E37_79B9_7F4A_7C15);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    mixed ^ (mixed >> 31)
}

impl Random {
    /// The stream of a seed for one purpose; streams of different purposes are independent.
    pub const fn new(seed: u64, purpose: u64) -> Self {
        let first = mix(seed ^ mix(purpose));
        let second = mix(first);
        let third = mix(second);
        Self { state: [first, second, third, mix(third)] }
    }

    /// 64 random bits.
    pub const fn bits(&mut self) -> u64 {
        let [s0, s1, s2, s3] = self.state;
        let result = s0.wrapping_add(s3).rotate_left(23).wrapping_add(s0);
        let (s2, s3) = (s2 ^ s0, s3 ^ s1);
        self.state = [s0 ^ s3, s1 ^ s2, s2 ^ (s1 << 17), s3.rotate_left(45)];
        result
    }

    /// A number of `0..below`; 0 if that is empty.
    pub fn below(&mut self, below: usize) -> usize {
        ((u128::from(self.bits()) * below as u128) >> 64) as usize
    }

    /// A number of `0.0..1.0`.
    pub fn unit(&mut self) -> f32 {
        (self.bits() >> 40) as f32 / (1_u64 << 24) as f32
    }

    /// A number of the standard normal distribution (Box and Muller 1958).
    pub fn normal(&mut self) -> f32 {
        let radius = (-2.0 * (1.0 - f64::from(self.unit())).ln()).sqrt();
        let angle = std::f64::consts::TAU * f64::from(self.unit());
        (radius * angle.cos()) as f32
    }

    /// Puts values into a random order.
    pub fn shuffle<T>(&mut self, values: &mut [T]) {
        for place in (1..values.len()).rev() {
            values.swap(place, self.below(place + 1));
        }
    }

    /// `count` different numbers of `0..of`, rising; all of them if there are no more.
    pub fn sample(&mut self, of: usize, count: usize) -> Vec<u32> {
        let mut chosen = Vec::with_capacity(count.min(of));
        let mut left = count.min(of);
        for number in 0..of {
            if self.below(of - number) < left {
                chosen.push(u32::try_from(number).unwrap_or(u32::MAX));
                left -= 1;
            }
        }
        chosen
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_gives_the_same_stream_and_purposes_differ() {
        let stream = |seed, purpose| {
            let mut random = Random::new(seed, purpose);
            [random.bits(), random.bits()]
        };
        assert_eq!(stream(1, 2), stream(1, 2));
        assert_ne!(stream(1, 2), stream(1, 3));
        assert_ne!(stream(1, 2), stream(2, 2));
    }

    #[test]
    fn the_moments_fit() {
        let mut random = Random::new(7, 0);
        let normals: Vec<f32> = (0..20_000).map(|_| random.normal()).collect();
        let mean = normals.iter().sum::<f32>() / 20_000.0;
        let variance = normals.iter().map(|value| (value - mean).powi(2)).sum::<f32>() / 20_000.0;
        assert!(mean.abs() < 0.03 && (variance - 1.0).abs() < 0.05, "{mean} {variance}");
        let chosen = random.sample(1_000, 100);
        assert_eq!(chosen.len(), 100);
        assert!(chosen.windows(2).all(|pair| pair[0] < pair[1]));
        assert_eq!(random.below(0), 0);
    }
}
