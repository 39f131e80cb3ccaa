//! `keys.rotate` and `keys.rewrap`: a new workspace key for new objects, then the keys of old objects wrapped by it. No
//! object is read or written.

use std::sync::Arc;

use gate::{Action, Operation, Outcome, Permit, Target};
use kernel::Problem;
use vault::keys::KeyService;

use crate::config::REWRAP_BATCH_COUNT;
use crate::{Artifacts, store};

/// A new version of a workspace's key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NewVersion {
    /// The version.
    pub version: i64,
    /// The objects whose keys older versions wrap.
    pub waiting_count: u64,
}

/// Makes a new version of the attempt's workspace's key. [`RewrapKeys`] does the rest.
pub struct RotateWorkspaceKey {
    /// The room.
    pub room: Artifacts,
}

impl Operation for RotateWorkspaceKey {
    const ACTION: Action = Action::write("keys.rotate");
    type Output = NewVersion;

    fn target(&self) -> Target {
        Target::Workspace
    }

    async fn run(self, permit: Permit<Self>) -> Result<NewVersion, Problem> {
        let workspace = permit.workspace()?.to_owned();
        let version = self.room.objects.keys().rotate_workspace(&self.room.db, &permit, &workspace).await?;
        let count = move |reader: &mut vault::db::Reader<'_>| store::count_before_key(reader, &workspace, version);
        Ok(NewVersion { version, waiting_count: self.room.db.read(&permit, count).await? })
    }
}

/// Has every workspace key and server secret wrapped by another root key. Gives how many. Neither data nor object keys are
/// touched; the old root key must be kept until this is done.
pub struct RotateRootKey {
    /// The room.
    pub room: Artifacts,
    /// The new root key: `KeyFile::rotated` of the old one, or another service.
    pub root: Arc<dyn KeyService>,
}

impl Operation for RotateRootKey {
    const ACTION: Action = RotateWorkspaceKey::ACTION;
    type Output = usize;

    fn target(&self) -> Target {
        Target::Server
    }

    async fn run(self, permit: Permit<Self>) -> Result<usize, Problem> {
        self.room.objects.keys().change_root(&self.room.db, &permit, self.root).await
    }
}

/// Makes a new version of the root key in the service that keeps it, and wraps every other key by it. Gives the version and how many.
pub struct RenewRootKey {
    /// The room.
    pub room: Artifacts,
}

impl Operation for RenewRootKey {
    const ACTION: Action = RotateWorkspaceKey::ACTION;
    type Output = (i64, usize);

    fn target(&self) -> Target {
        Target::Server
    }

    async fn run(self, permit: Permit<Self>) -> Result<(i64, usize), Problem> {
        let renewed = self.room.objects.keys().renew_root(&self.room.db, &permit).await?;
        renewed.ok_or_else(|| {
            let message = "a running server cannot rotate a root key in a file or of a passphrase: stop it, and use \
                           `strongroom keys rotate-root` or `change-passphrase`";
            Problem::new(kernel::Kind::Conflict, message)
        })
    }
}

/// Wraps one batch of object keys anew. Gives how many; call it until that is 0.
pub struct RewrapKeys {
    /// The room.
    pub room: Artifacts,
}

impl Operation for RewrapKeys {
    const ACTION: Action = Action::write("keys.rewrap");
    type Output = u64;

    fn target(&self) -> Target {
        Target::Workspace
    }

    async fn run(self, permit: Permit<Self>) -> Result<u64, Problem> {
        let workspace = permit.workspace()?.to_owned();
        rewrap_batch(&self.room, &permit, &workspace).await
    }
}

/// A batch of objects of one workspace, of every table.
pub(super) async fn rewrap_batch<O: ?Sized>(room: &Artifacts, permit: &Permit<O>, workspace: &str) -> Result<u64, Problem> {
    let workspace = workspace.to_owned();
    let version = room.objects.keys().workspace(&workspace).await?.version;
    let read = move |reader: &mut vault::db::Reader<'_>| {
        let mut all = Vec::new();
        for table in store::OBJECT_TABLES {
            let old = store::objects_before_key(reader, table, &workspace, version, REWRAP_BATCH_COUNT)?;
            all.extend(old.into_iter().map(|object| (table, object)));
        }
        Ok(all)
    };
    let old = room.db.read(permit, read).await?;
    let mut fresh = Vec::with_capacity(old.len());
    for (table, object) in old {
        if let Some(key) = room.objects.rewrap(permit, &object).await? {
            fresh.push((table, object, key));
        }
    }
    let write = move |writer: &mut vault::db::Writer<'_>| {
        let mut count = 0;
        for (table, object, key) in &fresh {
            count += store::rewrap(writer, table, object, key)?;
        }
        let outcome = Outcome::done().with("key_version", version).with("rewrapped_count", store::signed(count)?);
        Ok((count, outcome))
    };
    room.db.write(permit, write).await
}
