//! Looks through delta-encoded texts before the Parquet decoder does, which reserves memory for as many values as their own
//! header claims, and grows shared prefixes without a bound.
//!
//! Source: Apache Parquet, `Encodings.md`: DELTA_BINARY_PACKED, DELTA_LENGTH_BYTE_ARRAY, DELTA_BYTE_ARRAY.

/// Why values are refused.
pub(crate) type Refusal = &'static str;

/// The number of values that a DELTA_BINARY_PACKED block claims.
pub(crate) fn claimed_count(bytes: &[u8]) -> Result<u64, Refusal> {
    let mut reader = Reader { bytes, at: 0 };
    reader.varint()?;
    reader.varint()?;
    reader.varint()
}

/// Checks the lengths of DELTA_BYTE_ARRAY values: at most `count_max` values, which grow to at most `bytes_max`.
pub(crate) fn check_shared_prefixes(bytes: &[u8], count_max: u64, bytes_max: u64) -> Result<(), Refusal> {
    let (prefixes, taken) = decode(bytes, count_max)?;
    let (suffixes, _) = decode(bytes.get(taken..).unwrap_or_default(), count_max)?;
    if prefixes.len() != suffixes.len() {
        return Err("as many prefixes as suffixes are needed");
    }
    let mut total = 0_u64;
    for (prefix, suffix) in prefixes.iter().zip(&suffixes) {
        let (Ok(prefix), Ok(suffix)) = (u64::try_from(*prefix), u64::try_from(*suffix)) else {
            return Err("a negative length");
        };
        total = total.saturating_add(prefix).saturating_add(suffix);
        if total > bytes_max {
            return Err("shared prefixes that grow beyond the limit of a page");
        }
    }
    Ok(())
}

struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl Reader<'_> {
    fn varint(&mut self) -> Result<u64, Refusal> {
        let mut value = 0_u64;
        for shift in (0..64).step_by(7) {
            let byte = *self.bytes.get(self.at).ok_or("its bytes end within a number")?;
            self.at += 1;
            value |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Ok(value);
            }
        }
        Err("a number longer than 64 bits")
    }

    fn integer(&mut self) -> Result<i64, Refusal> {
        let raw = self.varint()?;
        Ok((raw >> 1).cast_signed() ^ -(raw & 1).cast_signed())
    }
}

/// The values of a DELTA_BINARY_PACKED sequence, and how many bytes it takes.
fn decode(bytes: &[u8], count_max: u64) -> Result<(Vec<i64>, usize), Refusal> {
    let mut reader = Reader { bytes, at: 0 };
    let block = reader.varint()?;
    let minis = reader.varint()?;
    let count = reader.varint()?;
    let mut value = reader.integer()?;
    if count > count_max {
        return Err("more values than its page has");
    }
    if minis == 0 || block > 1 << 20 || !block.is_multiple_of(128) || !block.is_multiple_of(minis) || block / minis % 32 != 0 {
        return Err("a block size that is not allowed");
    }
    let count = usize::try_from(count).map_err(|_| "too many values")?;
    let per_mini = usize::try_from(block / minis).map_err(|_| "too many values")?;
    let mut values = Vec::new();
    if count > 0 {
        values.push(value);
    }
    while values.len() < count {
        let least = reader.integer()?;
        let widths_at = reader.at;
        reader.at += usize::try_from(minis).map_err(|_| "too many blocks")?;
        for mini in 0..minis {
            if values.len() >= count {
                break;
            }
            let width =
                usize::try_from(mini).ok().and_then(|mini| bytes.get(widths_at + mini)).copied().ok_or("its widths end")?;
            let length = per_mini / 8 * usize::from(width);
            let packed = bytes.get(reader.at..reader.at.saturating_add(length)).ok_or("its values end")?;
            if width > 64 {
                return Err("a bit width over 64");
            }
            for index in 0..per_mini.min(count - values.len()) {
                let delta = unpack(packed, index * usize::from(width), usize::from(width));
                value = value.wrapping_add(least).wrapping_add(delta.cast_signed());
                values.push(value);
            }
            reader.at += length;
        }
    }
    Ok((values, reader.at))
}

/// `width` bits from bit `from` on, least significant first.
fn unpack(packed: &[u8], from: usize, width: usize) -> u64 {
    let mut value = 0_u64;
    let mut have = 0;
    while have < width {
        let at = from + have;
        let byte = packed.get(at / 8).copied().unwrap_or(0);
        let take = (8 - at % 8).min(width - have);
        let bits = u64::from(byte >> (at % 8)) & ((1 << take) - 1);
        value |= bits << have;
        have += take;
    }
    value
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 128 values in a block of 4: all equal.
    fn equal(count: u8, value: u8) -> Vec<u8> {
        let mut bytes = vec![0x80, 1, 4, count, value * 2];
        if count > 1 {
            bytes.extend([0, 0, 0, 0, 0]);
        }
        bytes
    }

    #[test]
    fn sequences_are_read_by_the_rules() {
        assert_eq!(decode(&equal(3, 5), 10), Ok((vec![5, 5, 5], 10)));
        // The example of the specification: 7, 5, 3, 1, 2, 3, 4, 5 in one block: deltas -2 -2 -2 1 1 1 1, least -2, 2 bits.
        let mut bytes = vec![0x80, 1, 4, 8, 14, 3, 2, 0, 0, 0, 0b1100_0000, 0b0011_1111];
        bytes.extend([0; 6]);
        assert_eq!(decode(&bytes, 8), Ok((vec![7, 5, 3, 1, 2, 3, 4, 5], 18)));
        assert_eq!(claimed_count(&bytes), Ok(8));
    }

    #[test]
    fn claims_are_bounded() {
        assert_eq!(decode(&equal(100, 1), 10), Err("more values than its page has"));
        assert_eq!(decode(&[0x80, 1, 0, 1, 0], 10), Err("a block size that is not allowed"));
        let both = [equal(100, 60), equal(100, 1)].concat();
        assert_eq!(check_shared_prefixes(&both, 100, 1000), Err("shared prefixes that grow beyond the limit of a page"));
        assert_eq!(check_shared_prefixes(&both, 100, 100_000), Ok(()));
    }
}
