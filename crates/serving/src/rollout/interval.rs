//! Intervals of shares.

/// The quantile of the normal distribution for 95 %.
const Z: f64 = 1.959_964;

/// A share with its 95 % interval.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Share {
    pub(crate) value: f64,
    pub(crate) low: f64,
    pub(crate) high: f64,
}

/// `part` of `all`, with Wilson's score interval (Wilson 1927). Nothing of nothing may be any share.
pub(crate) fn share(part: u64, all: u64) -> Share {
    if all == 0 {
        return Share { value: 0.0, low: 0.0, high: 1.0 };
    }
    let count = all as f64;
    let value = part as f64 / count;
    let square = Z * Z;
    let middle = (value + square / (2.0 * count)) / (1.0 + square / count);
    let half = Z / (1.0 + square / count) * (value * (1.0 - value) / count + square / (4.0 * count * count)).sqrt();
    Share { value, low: (middle - half).max(0.0), high: (middle + half).min(1.0) }
}

/// `of` minus `from`, with Newcombe's hybrid score interval (Newcombe 1998, method 10).
pub(crate) fn difference(of: Share, from: Share) -> (f64, f64, f64) {
    let value = of.value - from.value;
    let below = (of.value - of.low).hypot(from.high - from.value);
    let above = (of.high - of.value).hypot(from.value - from.low);
    // Roundings do not lead beyond what a difference of shares can be.
    (value, (value - below).max(-1.0), (value + above).min(1.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_intervals_are_those_of_the_papers() {
        // Newcombe 1998, table II: 81 of 263 gives 0.2553 to 0.3662; 0 of 20 gives 0 to 0.1611.
        let one = share(81, 263);
        assert!((one.low - 0.2553).abs() < 5e-5 && (one.high - 0.3662).abs() < 5e-5, "{one:?}");
        let none = share(0, 20);
        assert!(none.low == 0.0 && (none.high - 0.1611).abs() < 5e-5, "{none:?}");
        assert_eq!(share(0, 0).high, 1.0);
        for (of, from) in [(0, 320), (335, 0)] {
            let (_, low, high) = difference(share(of, 335), share(from, 320));
            assert!(low >= -1.0 && high <= 1.0, "{low} {high}");
        }
        // Newcombe 1998 (the second paper), table II: 56 of 70 against 48 of 80 gives 0.0524 to 0.3339.
        let (value, low, high) = difference(share(56, 70), share(48, 80));
        assert!((value - 0.2).abs() < 1e-12 && (low - 0.0524).abs() < 5e-5 && (high - 0.3339).abs() < 5e-5, "{low} {high}");
    }
}
