//! Which bytes of a file are wanted (RFC 9110 §14), and in which of its objects they are.

use std::ops::Range;

use super::StoredObject;

/// Which bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Wanted {
    /// All.
    #[default]
    Whole,
    /// From this one to the end.
    From(u64),
    /// From the first to the last, both given out.
    Between(u64, u64),
    /// This many at the end.
    Last(u64),
}

impl Wanted {
    /// Reads a `Range` header. What is not one range of bytes is ignored, as the standard asks: then all are wanted.
    #[must_use]
    pub fn parse(header: Option<&str>) -> Self {
        header.and_then(parse).unwrap_or_default()
    }

    /// The bytes in a file of this size, or none if there are none of them.
    #[must_use]
    pub fn within(self, size_bytes: u64) -> Option<Range<u64>> {
        match self {
            Self::Whole => Some(0..size_bytes),
            Self::From(start) => (start < size_bytes).then_some(start..size_bytes),
            Self::Between(first, last) => (first < size_bytes).then_some(first..last.saturating_add(1).min(size_bytes)),
            Self::Last(count) => (count > 0 && size_bytes > 0).then_some(size_bytes.saturating_sub(count)..size_bytes),
        }
    }
}

/// Which bytes of which objects make up `range` of what `parts` are, in order. An empty file's only object is among them: it is checked when
/// it is opened.
pub fn pieces_of(parts: impl IntoIterator<Item = StoredObject>, range: &Range<u64>) -> Vec<(StoredObject, Range<u64>)> {
    let mut start = 0_u64;
    let mut pieces = Vec::new();
    for part in parts {
        let end = start.saturating_add(part.size_bytes);
        let (from, to) = (range.start.max(start), range.end.min(end));
        if from < to || (range.is_empty() && pieces.is_empty()) {
            pieces.push((part, from.saturating_sub(start)..to.saturating_sub(start)));
        }
        start = end;
    }
    pieces
}

fn parse(header: &str) -> Option<Wanted> {
    let (unit, range) = header.split_once('=')?;
    if !unit.trim().eq_ignore_ascii_case("bytes") || range.contains(',') {
        return None;
    }
    let (first, last) = range.trim().split_once('-')?;
    match (first.trim(), last.trim()) {
        ("", last) => Some(Wanted::Last(digits(last)?)),
        (first, "") => Some(Wanted::From(digits(first)?)),
        (first, last) => {
            let (first, last) = (digits(first)?, digits(last)?);
            (first <= last).then_some(Wanted::Between(first, last))
        }
    }
}

fn digits(text: &str) -> Option<u64> {
    let is_number = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    // What is beyond 64 bits is behind the end of every file.
    is_number.then(|| text.parse().unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::super::ObjectId;
    use super::*;
    use crate::keys::ObjectKey;

    #[test]
    fn a_range_is_cut_into_the_parts_it_touches() {
        let part = |size_bytes| StoredObject {
            id: ObjectId::random(),
            workspace: String::new(),
            size_bytes,
            sha256: [0; 32],
            key: ObjectKey { wrapped: Vec::new(), version: 1 },
            fresh: None,
        };
        let parts = vec![part(10), part(5), part(20)];
        let cut = |range: Range<u64>| -> Vec<(u64, Range<u64>)> {
            pieces_of(parts.clone(), &range).into_iter().map(|(part, range)| (part.size_bytes, range)).collect()
        };
        assert_eq!(cut(0..35), [(10, 0..10), (5, 0..5), (20, 0..20)]);
        assert_eq!(cut(9..16), [(10, 9..10), (5, 0..5), (20, 0..1)]);
        assert_eq!(cut(10..15), [(5, 0..5)]);
        assert_eq!(cut(34..35), [(20, 19..20)]);
        assert_eq!(pieces_of(vec![part(0)], &(0..0)).len(), 1);
    }

    #[test]
    fn headers_are_read_or_ignored() {
        let cases = [
            ("bytes=0-0", Wanted::Between(0, 0)),
            ("bytes=5-", Wanted::From(5)),
            ("Bytes= 5-9 ", Wanted::Between(5, 9)),
            ("bytes=-3", Wanted::Last(3)),
            ("bytes=9-5", Wanted::Whole),
            ("bytes=0-1,3-4", Wanted::Whole),
            ("bytes=-", Wanted::Whole),
            ("bytes=+1-2", Wanted::Whole),
            ("rows=0-1", Wanted::Whole),
            ("bytes=0-99999999999999999999", Wanted::Between(0, u64::MAX)),
            ("bytes=99999999999999999999-", Wanted::From(u64::MAX)),
            ("bytes=-99999999999999999999", Wanted::Last(u64::MAX)),
            ("bytes=99999999999999999999-5", Wanted::Whole),
        ];
        for (header, wanted) in cases {
            assert_eq!(Wanted::parse(Some(header)), wanted, "{header}");
        }
        assert_eq!(Wanted::parse(None), Wanted::Whole);
    }

    #[test]
    fn ranges_are_cut_to_the_file() {
        assert_eq!(Wanted::Whole.within(0), Some(0..0));
        assert_eq!(Wanted::Between(2, 100).within(10), Some(2..10));
        assert_eq!(Wanted::Between(2, u64::MAX).within(10), Some(2..10));
        assert_eq!(Wanted::Between(10, 12).within(10), None);
        assert_eq!(Wanted::From(10).within(10), None);
        assert_eq!(Wanted::From(u64::MAX).within(10), None);
        assert_eq!(Wanted::Last(100).within(10), Some(0..10));
        assert_eq!(Wanted::Last(u64::MAX).within(10), Some(0..10));
        assert_eq!(Wanted::Last(0).within(10), None);
        assert_eq!(Wanted::Last(1).within(0), None);
    }
}
