//! The files of runs and logged models: their names, sizes and digests, and the way to their bytes.
//!
//! It is not a file system: a path is a row, never a path on disk, and the bytes are objects under random names. It knows
//! no experiments and runs of its own: what exists was found by the gate.
//!
//! INVARIANT: an artifact's row names only objects that are whole and on disk. Held by `tests/rooms`.
//! INVARIANT: no text of a client reaches a file system. [`ArtifactPath`] is a key, and is strict all the same.
//! INVARIANT: records hold sizes, digests and keyed hashes of paths, never a path. Held by `tests/rooms`.

mod below;
mod config;
mod manifest;
mod ops;
mod path;
mod store;
mod types;

use std::sync::Arc;

use gate::{Action, Operation};
use kernel::Problem;
use vault::db::Db;
use vault::keys::keyed_hash;
use vault::objects::Objects;

pub use below::{FILES_BELOW_COUNT_MAX, StoredFile, files_below, manifest_below, objects_below};
pub use config::{ArtifactsConfig, KeyGround, KeyPolicy};
pub use manifest::{Manifest, ManifestEntry, manifest};
pub use ops::delete::DeleteArtifacts;
pub use ops::key_life::{
    ApproveDestroy, CancelDestroy, DestroyDue, Destroyed, DestroysOf, ListDestroys, RequestDestroy, RewrapDue, RotateDue, Rotated,
};
pub use ops::key_state::{GetKeysStatus, KeyVersion, KeysReport, KeysStatus, VerifyKeys, WorkspaceKey};
pub use ops::keys::{NewVersion, RenewRootKey, RewrapKeys, RotateRootKey, RotateWorkspaceKey};
pub use ops::list::{ListArtifacts, Listing};
pub use ops::read::{Download, Fetched, ReadArtifact};
pub use ops::upkeep::{SweepAtStart, SweepObjects, VerifyObjects, VerifyReport};
pub use ops::upload::{AbortUpload, Begun, CompleteUpload, CreateUpload, PartStored, SentPart, UploadPart};
pub use ops::write::{WriteArtifact, Written};
pub use path::ArtifactPath;
pub use store::{FileFacts, find, forget, known_objects};
pub use types::{ListedEntry, Owner, Place};
pub use vault::objects::{Body, Wanted};

/// Every verb of this room.
pub const ACTIONS: &[Action] = &[
    ListArtifacts::ACTION,
    ReadArtifact::ACTION,
    WriteArtifact::ACTION,
    DeleteArtifacts::ACTION,
    CreateUpload::ACTION,
    UploadPart::ACTION,
    CompleteUpload::ACTION,
    AbortUpload::ACTION,
    VerifyObjects::ACTION,
    SweepObjects::ACTION,
    RotateWorkspaceKey::ACTION,
    RewrapKeys::ACTION,
    GetKeysStatus::ACTION,
    VerifyKeys::ACTION,
    RotateDue::ACTION,
    RewrapDue::ACTION,
    RequestDestroy::ACTION,
    ApproveDestroy::ACTION,
    CancelDestroy::ACTION,
    ListDestroys::ACTION,
    DestroyDue::ACTION,
];

/// The server's secret that paths are hashed under before they go into records.
const PATH_KEY_NAME: &str = "artifacts/record-path/1";

/// The room. Cheap to clone.
#[derive(Clone)]
pub struct Artifacts {
    db: Db,
    objects: Objects,
    config: ArtifactsConfig,
    keys: Arc<KeyGround>,
}

impl Artifacts {
    /// The room over its storage, with its usual limits.
    #[must_use]
    pub fn new(db: Db, objects: Objects) -> Self {
        Self { db, objects, config: ArtifactsConfig::default(), keys: Arc::default() }
    }

    /// The same with these limits.
    #[must_use]
    pub const fn with_config(mut self, config: ArtifactsConfig) -> Self {
        self.config = config;
        self
    }

    /// The same with this ground for its keys.
    #[must_use]
    pub fn with_keys(mut self, keys: KeyGround) -> Self {
        self.keys = Arc::new(keys);
        self
    }

    /// What a record says of a path: the same for the same path of the same owner, and nothing to anybody without the key.
    async fn path_hash(&self, owner: &Owner, path: &str) -> Result<String, Problem> {
        let key = self.objects.keys().secret(PATH_KEY_NAME).await?;
        let text = format!("{}/{}/{path}", owner.kind_word(), owner.id());
        Ok(kernel::hex(&keyed_hash(&key, text.as_bytes())))
    }
}
