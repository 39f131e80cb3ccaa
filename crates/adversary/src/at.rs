//! Reading and adding without panics: an index outside gives zero, and adding there does nothing.

pub(crate) use poison::at::{add, at, put};

/// The place of the greatest value, the first of equals.
pub(crate) fn argmax(values: &[f64]) -> usize {
    let mut best = (0, f64::NEG_INFINITY);
    for (place, value) in values.iter().enumerate() {
        if *value > best.1 {
            best = (place, *value);
        }
    }
    best.0
}

/// A count as the number that reports hold.
pub(crate) fn narrow(count: usize) -> u32 {
    u32::try_from(count).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_index_outside_is_zero_and_harmless() {
        let mut values = [1.0, 3.0, 3.0];
        add(&mut values, 9, 1.0);
        put(&mut values, 9, 1.0);
        assert_eq!((at(&values, 9), argmax(&values), argmax(&[]), narrow(usize::MAX)), (0.0, 1, 0, u32::MAX));
    }
}
