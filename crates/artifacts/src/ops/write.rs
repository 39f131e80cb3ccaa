//! `artifacts.write`: stores a file, instead of the one that had its path.

use gate::{Action, Operation, Outcome, Permit, Target};
use kernel::{Kind, Problem, hex, random_id};
use vault::objects::Body;

use crate::store::{self, NewFile};
use crate::{Artifacts, Place};

/// Writes a file.
pub struct WriteArtifact {
    /// The room.
    pub room: Artifacts,
    /// Where.
    pub place: Place,
    /// Its bytes.
    pub body: Body,
    /// How many the client says there are, so that too many are refused before they are sent.
    pub size_hint_bytes: Option<u64>,
}

/// A file that is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Written {
    /// Its size.
    pub size_bytes: u64,
    /// SHA-256 of its bytes.
    pub sha256: [u8; 32],
}

impl Operation for WriteArtifact {
    const ACTION: Action = Action::write("artifacts.write");
    type Output = Written;

    fn target(&self) -> Target {
        self.place.owner.target()
    }

    async fn run(self, permit: Permit<Self>) -> Result<Written, Problem> {
        let home = self.place.home(&permit)?;
        let path = self.place.file()?.clone();
        let room = self.room;
        let owner = self.place.owner;
        let limit = room.config.upload_bytes_max;
        check_size(self.size_hint_bytes, limit)?;
        let (wanted_owner, wanted_path) = (owner.clone(), path.clone());
        room.db.read_point(&permit, move |reader| store::check_place(reader, &wanted_owner, &wanted_path)).await?;
        let object = room.objects.put(&permit, &home.workspace, self.body, limit).await?;
        if let Some(hint) = self.size_hint_bytes.filter(|hint| *hint != object.size_bytes) {
            room.objects.drop_unnamed(&permit, vec![object.id]).await;
            return Err(Problem::invalid(format!("the body has {} bytes, not {hint} as its head said", object.size_bytes)));
        }
        let written = Written { size_bytes: object.size_bytes, sha256: object.sha256 };
        let outcome = Outcome::done()
            .with("sha256", hex(&object.sha256))
            .with("size_bytes", store::signed(object.size_bytes)?)
            .with("path_hash", room.path_hash(&owner, path.as_str()).await?);
        let (at, by, stored_id) = (permit.entry().at, permit.caller().id.clone(), object.id.clone());
        let token = permit.caller().token.as_ref().map(|token| token.id.clone());
        let commit = room.objects.commit(&room.db, &permit, vec![stored_id], move |writer| {
            let file = NewFile {
                id: &random_id(),
                owner: &owner,
                path: &path,
                home: &home,
                size_bytes: object.size_bytes,
                sha256: &object.sha256,
                upload_id: None,
                at,
                by: &by,
                token: token.as_deref(),
            };
            let old = store::put_file(writer, &file, std::slice::from_ref(&object))?;
            Ok(((written, old), outcome))
        });
        commit.await
    }
}

/// A size that the client announced is within the limit.
pub(crate) fn check_size(size_bytes: Option<u64>, size_bytes_max: u64) -> Result<(), Problem> {
    match size_bytes {
        Some(size_bytes) if size_bytes > size_bytes_max => {
            let message =
                format!("the artifact has {size_bytes} bytes; the limit `artifacts.upload_bytes_max` is {size_bytes_max}");
            Err(Problem::new(Kind::TooLarge, message))
        }
        _ => Ok(()),
    }
}
