//! Numbers in byte strings, without indexing.

/// The `N` bytes at `at`.
pub(crate) fn array_at<const N: usize>(bytes: &[u8], at: usize) -> Option<[u8; N]> {
    bytes.get(at..at.checked_add(N)?)?.try_into().ok()
}

/// The little-endian number at `at`.
pub(crate) fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    array_at(bytes, at).map(u32::from_le_bytes)
}

/// The little-endian number at `at`.
pub(crate) fn u64_at(bytes: &[u8], at: usize) -> Option<u64> {
    array_at(bytes, at).map(u64::from_le_bytes)
}

/// Where the first byte other than zero is.
pub(crate) fn first_nonzero(bytes: &[u8]) -> Option<usize> {
    // Whole words first: segments are mostly zero, and verification reads all of them.
    let words = bytes.chunks_exact(16).position(|word| word != [0_u8; 16]);
    let from = words.map_or(bytes.len() - bytes.len() % 16, |word| word * 16);
    bytes.iter().skip(from).position(|byte| *byte != 0).map(|at| from + at)
}
