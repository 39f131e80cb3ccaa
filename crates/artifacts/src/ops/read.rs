//! `artifacts.read`: the bytes of a file, whole or in part, as a stream.

use std::ops::Range;

use gate::{Action, Operation, Outcome, Permit, Target};
use kernel::{Problem, hex};
use vault::objects::{Body, Piece, Sending, StoredObject};

use crate::{Artifacts, Place, Wanted, store};

/// Reads a file.
pub struct ReadArtifact {
    /// The room.
    pub room: Artifacts,
    /// The file.
    pub place: Place,
    /// Which of its bytes.
    pub wanted: Wanted,
}

/// What was found.
pub enum Fetched {
    /// The bytes.
    File(Download),
    /// The file has none of the wanted bytes.
    OutOfRange {
        /// Its size.
        size_bytes: u64,
    },
}

/// A file on its way.
pub struct Download {
    /// The size of the whole file.
    pub size_bytes: u64,
    /// SHA-256 of the whole file.
    pub sha256: [u8; 32],
    /// Which of its bytes come.
    pub range: Range<u64>,
    /// The bytes. Each was checked before it is given out; if one is damaged, the stream breaks off with a problem.
    pub body: Body,
}

impl Operation for ReadArtifact {
    const ACTION: Action = Action::read("artifacts.read");
    type Output = Fetched;

    fn target(&self) -> Target {
        self.place.owner.target()
    }

    async fn run(self, permit: Permit<Self>) -> Result<Fetched, Problem> {
        self.place.home(&permit)?;
        let path = self.place.file()?.clone();
        let owner = self.place.owner.clone();
        let path_hash = self.room.path_hash(&owner, path.as_str()).await?;
        let found = self.room.db.read_point(&permit, move |reader| {
            let file = store::find(reader, &owner, &path)?;
            file.map(|file| Ok((store::parts(reader, &file.id)?, file))).transpose()
        });
        let Some((parts, file)) = found.await? else {
            return Err(Problem::not_found("there is no such artifact; list its folder to see what there is"));
        };
        if parts.iter().fold(0_u64, |sum, part| sum.saturating_add(part.size_bytes)) != file.size_bytes {
            return Err(Problem::internal(
                "the artifact's row is not what its objects hold; restore it from a backup",
                "sizes differ",
            ));
        }
        let Some(range) = self.wanted.within(file.size_bytes) else {
            return Ok(Fetched::OutOfRange { size_bytes: file.size_bytes });
        };
        let outcome = Outcome::done()
            .with("sha256", hex(&file.sha256))
            .with("size_bytes", store::signed(file.size_bytes)?)
            .with("path_hash", path_hash);
        let pieces = pieces_of(parts, &range).into_iter();
        let pieces = pieces.map(|(object, range)| Piece::Object { object: Box::new(object), range }).collect();
        let total_bytes = range.end.saturating_sub(range.start);
        let body = Sending::begin(permit, self.room.objects, pieces, total_bytes, outcome).await?;
        Ok(Fetched::File(Download { size_bytes: file.size_bytes, sha256: file.sha256, range, body }))
    }
}

/// Which bytes of which objects make up `range` of the file. An empty file's only object is opened too: it is checked.
pub(crate) fn pieces_of(parts: Vec<StoredObject>, range: &Range<u64>) -> Vec<(StoredObject, Range<u64>)> {
    let mut start = 0_u64;
    let mut pieces = Vec::new();
    let is_empty = range.is_empty();
    for part in parts {
        let end = start.saturating_add(part.size_bytes);
        let (from, to) = (range.start.max(start), range.end.min(end));
        if from < to || (is_empty && pieces.is_empty()) {
            pieces.push((part, from.saturating_sub(start)..to.saturating_sub(start)));
        }
        start = end;
    }
    pieces
}

#[cfg(test)]
mod tests {
    use super::*;
    use vault::keys::ObjectKey;
    use vault::objects::ObjectId;

    #[test]
    fn a_range_is_cut_into_the_parts_it_touches() {
        let part = |size_bytes| StoredObject {
            id: ObjectId::random(),
            workspace: String::new(),
            size_bytes,
            sha256: [0; 32],
            key: ObjectKey { wrapped: Vec::new(), version: 1 },
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
}
