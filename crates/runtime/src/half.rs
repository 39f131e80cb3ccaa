//! Floats of 16 bits, IEEE 754's and Google's: models compute with neither here, and other servers and clients send them.

/// What rounds to more than the largest number of 16 bits.
const F16_END: f32 = 65_520.0;
/// The smallest number of 16 bits that has all its digits.
const F16_NORMAL_MIN: f32 = 1.0 / 16_384.0;
/// The difference between the exponents' biases of 32 bits and of 16, where an exponent lies in 32 bits.
const F16_REBASE: u32 = (127 - 15) << 23;
/// The exponent of what is no number, or infinite.
const BF16_END: u32 = 0x7f80;

/// The number of an IEEE 754 half.
#[must_use]
pub fn from_f16(bits: u16) -> f32 {
    let sign = if bits & 0x8000 == 0 { 1.0_f32 } else { -1.0 };
    let (exponent, fraction) = (i32::from((bits >> 10) & 0x1f), f32::from(bits & 0x3ff));
    sign * match exponent {
        0 => fraction * 2.0_f32.powi(-24),
        31 if fraction == 0.0 => f32::INFINITY,
        31 => f32::NAN,
        _ => (1.0 + fraction / 1024.0) * 2.0_f32.powi(exponent - 15),
    }
}

/// The nearest IEEE 754 half, the even one of two; none where the value is infinite, no number, or beyond all of them.
#[must_use]
pub fn to_f16(value: f32) -> Option<u16> {
    let (bits, size) = (value.to_bits(), value.abs());
    if size.is_nan() || size >= F16_END {
        return None;
    }
    let rounded = if size < F16_NORMAL_MIN {
        (f64::from(size) * 16_777_216.0).round_ties_even() as u32
    } else {
        let rebased = size.to_bits() - F16_REBASE;
        (rebased + 0xfff + ((rebased >> 13) & 1)) >> 13
    };
    Some((((bits >> 16) & 0x8000) | rounded) as u16)
}

/// The number of a bfloat16.
#[must_use]
pub fn from_bf16(bits: u16) -> f32 {
    f32::from_bits(u32::from(bits) << 16)
}

/// The nearest bfloat16, the even one of two; none where the value is infinite, no number, or beyond all of them.
#[must_use]
pub fn to_bf16(value: f32) -> Option<u16> {
    let bits = value.to_bits();
    let rounded = (u64::from(bits) + 0x7fff + u64::from((bits >> 16) & 1)) >> 16;
    let is_number = value.is_finite() && (rounded as u32 & BF16_END) != BF16_END;
    is_number.then_some(rounded as u16)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_half_comes_back_as_it_went() {
        for bits in 0..=u16::MAX {
            let (ieee, google) = (from_f16(bits), from_bf16(bits));
            assert_eq!(to_f16(ieee), ieee.is_finite().then_some(bits), "{bits:#x}");
            assert_eq!(to_bf16(google), google.is_finite().then_some(bits), "{bits:#x}");
        }
    }

    #[test]
    fn what_lies_between_is_rounded_and_what_lies_beyond_is_none() {
        for (value, ieee, google) in [
            (1.0, Some(0x3c00), Some(0x3f80)),
            (-2.5, Some(0xc100), Some(0xc020)),
            // Half way between two: the even one.
            (2_049.0, Some(0x6800), Some(0x4500)),
            (2_051.0, Some(0x6802), Some(0x4500)),
            (257.0, Some(0x5c04), Some(0x4380)),
            (65_519.0, Some(0x7bff), Some(0x4780)),
            (65_520.0, None, Some(0x4780)),
            (2.0_f32.powi(-25), Some(0), Some(0x3300)),
            (-1e-9, Some(0x8000), Some(0xb089)),
            (f32::MAX, None, None),
            (f32::NAN, None, None),
            (f32::NEG_INFINITY, None, None),
        ] {
            assert_eq!((to_f16(value), to_bf16(value)), (ieee, google), "{value}");
        }
    }
}
