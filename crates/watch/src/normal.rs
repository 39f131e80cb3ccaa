//! The normal distribution.

/// The upper tail of the standard normal distribution, by the continued fraction and series of [`profile::drift::chi_squared`].
pub(crate) fn upper_tail(z: f64) -> f64 {
    let two_sided = profile::drift::chi_squared(z * z, 1.0);
    if z >= 0.0 { 0.5 * two_sided } else { 1.0 - 0.5 * two_sided }
}

/// The number below which this share of a standard normal variable lies (Acklam's rational approximation, relative error 1.2e-9).
pub(crate) fn quantile(share: f64) -> f64 {
    const A: [f64; 6] = [
        -39.696_830_286_653_76,
        220.946_098_424_520_5,
        -275.928_510_446_968_7,
        138.357_751_867_269,
        -30.664_798_066_147_16,
        2.506_628_277_459_239,
    ];
    const B: [f64; 5] =
        [-54.476_098_798_224_06, 161.585_836_858_040_9, -155.698_979_859_886_6, 66.801_311_887_719_72, -13.280_681_552_885_72];
    const C: [f64; 6] = [
        -0.007_784_894_002_430_293,
        -0.322_396_458_041_136_5,
        -2.400_758_277_161_838,
        -2.549_732_539_343_734,
        4.374_664_141_464_968,
        2.938_163_982_698_783,
    ];
    const D: [f64; 4] = [0.007_784_695_709_041_462, 0.322_467_129_070_039_8, 2.445_134_137_142_996, 3.754_408_661_907_416];
    let polynomial = |terms: &[f64], x: f64| terms.iter().fold(0.0, |sum, term| sum * x + term);
    if !(0.0..=1.0).contains(&share) {
        return f64::NAN;
    }
    if share < 0.024_25 {
        let q = (-2.0 * share.ln()).sqrt();
        return polynomial(&C, q) / (polynomial(&D, q) * q + 1.0);
    }
    if share > 1.0 - 0.024_25 {
        return -quantile(1.0 - share);
    }
    let q = share - 0.5;
    let r = q * q;
    polynomial(&A, r) * q / (polynomial(&B, r) * r + 1.0)
}

/// Draws for tests: reproducible from the seed.
#[cfg(test)]
pub(crate) struct Random(pub(crate) u64);

#[cfg(test)]
impl Random {
    pub(crate) fn even(&mut self) -> f64 {
        // SplitMix64 (Steele, Lea and Flood 2014).
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut word = self.0;
        word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((word ^ (word >> 31)) >> 11) as f64 / (1_u64 << 53) as f64
    }

    pub(crate) fn normal(&mut self) -> f64 {
        quantile(self.even().clamp(1e-12, 1.0 - 1e-12))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_answers_hold() {
        for (share, z) in [(0.5, 0.0), (0.975, 1.959_963_985), (0.999, 3.090_232_306), (0.01, -2.326_347_874)] {
            assert!((quantile(share) - z).abs() < 1e-7, "{share}: {}", quantile(share));
            assert!((upper_tail(z) - (1.0 - share)).abs() < 1e-8, "{z}: {}", upper_tail(z));
        }
        assert!(quantile(1.5).is_nan());
    }
}
