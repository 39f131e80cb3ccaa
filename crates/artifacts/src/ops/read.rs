//! `artifacts.read`: the bytes of a file, whole or in part, as a stream.

use std::ops::Range;

use gate::{Action, Operation, Outcome, Permit, Target};
use kernel::{Micros, Problem, hex};
use vault::objects::{Body, Piece, Sending, pieces_of};

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
    /// Since when it is what it is, where that is known.
    pub committed_at: Option<Micros>,
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
        Ok(Fetched::File(Download { size_bytes: file.size_bytes, sha256: file.sha256, committed_at: None, range, body }))
    }
}
