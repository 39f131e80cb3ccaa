//! `datasets.put`: a file for an open version.

use artifacts::ArtifactPath;
use gate::{Action, Operation, Outcome, Permit, Target};
use kernel::{Kind, Problem, hex};
use vault::db::Reader;
use vault::objects::Body;

use crate::store::{self, files, versions};
use crate::types::no_version;
use crate::{Data, rules};

/// Stores a file, instead of the one that had its path. Nothing of it is kept if the body breaks off: send it again.
pub struct PutFile {
    /// The room.
    pub room: Data,
    /// The data set.
    pub dataset: String,
    /// The open version's id.
    pub version: String,
    /// The file's path in the version.
    pub path: String,
    /// Its bytes.
    pub body: Body,
    /// How many the client says there are.
    pub size_hint_bytes: Option<u64>,
}

/// A file that is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stored {
    /// Its size.
    pub size_bytes: u64,
    /// SHA-256 of its bytes.
    pub sha256: [u8; 32],
}

impl Operation for PutFile {
    const ACTION: Action = super::PUT;
    type Output = Stored;

    fn target(&self) -> Target {
        Target::DatasetVersion(self.dataset.clone(), self.version.clone())
    }

    async fn run(self, permit: Permit<Self>) -> Result<Stored, Problem> {
        let id = rules::version_id(&permit)?;
        let path = ArtifactPath::parse(&self.path)?;
        let (room, caller) = (self.room, permit.caller().id.clone());
        let workspace = permit.workspace()?.to_owned();
        let limit = room.0.config.file_bytes_max;
        if self.size_hint_bytes.is_some_and(|hint| hint > limit) {
            return Err(Problem::new(Kind::TooLarge, format!("the limit `data.file_bytes_max` is {limit} bytes")));
        }
        let (wanted, asker, wanted_path) = (id.clone(), caller.clone(), path.clone());
        room.db().read_point(&permit, move |reader| may_put(reader, &wanted, &asker, &wanted_path)).await?;
        let object = room.objects().put(&permit, &workspace, self.body, limit).await?;
        if let Some(hint) = self.size_hint_bytes.filter(|hint| *hint != object.size_bytes) {
            room.objects().drop_unnamed(&permit, vec![object.id]).await;
            return Err(Problem::invalid(format!("the body has {} bytes, not {hint} as its head said", object.size_bytes)));
        }
        let stored = Stored { size_bytes: object.size_bytes, sha256: object.sha256 };
        let outcome = Outcome::done().with("sha256", hex(&object.sha256)).with("size_bytes", store::signed(object.size_bytes)?);
        let object_id = object.id.clone();
        let commit = room.objects().commit(room.db(), &permit, vec![object_id], move |writer| {
            // It may have been committed or swept while the bytes came.
            may_put(writer, &id, &caller, &path)?;
            let old = files::put(writer, &id, path.as_str(), &object)?;
            Ok(((stored, old.into_iter().collect()), outcome))
        });
        commit.await
    }
}

fn may_put(reader: &mut Reader<'_>, version_id: &str, caller: &str, path: &ArtifactPath) -> Result<(), Problem> {
    let version = versions::get(reader, version_id)?.ok_or_else(no_version)?;
    rules::open_to(&version, caller)?;
    if files::is_in_the_way(reader, version_id, path.as_str())? {
        return Err(Problem::new(Kind::Conflict, "a folder of the path is a file, or the path is a folder; choose another name"));
    }
    Ok(())
}
