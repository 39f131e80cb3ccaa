//! Backups that prove themselves: made while the server runs, signed, bound to the audit log, and tried by restoring them.
//!
//! ```text
//! database ─ snapshot ─┐                                        ┌ verify: every byte, the chain, the log's proofs
//! objects ── as stored ┼─ sealed parts ─ inventory ─ manifest ───┼ restore: into a fresh folder, checked before it is used
//! log, files ──────────┘                (signed, each names       └ drill: a restore in a sandbox, by schedule
//!                                        the one before it)
//! ```
//!
//! It is not a mirror: it copies no root key, so what it holds opens only together with `keys`, which is kept elsewhere. It decides
//! nothing about who may do what.
//!
//! INVARIANT: a backup is whole or has no manifest. Held by `tests::a_backup_without_its_manifest_is_none` and `tests/drills`.
//! INVARIANT: a change of any byte of a backup is found, and named. Held by `tests::verify`.
//! INVARIANT: no path and no address comes from a client: `--to` names a place of the configuration. Held by `config::tests`.

mod approval;
mod chain;
mod check;
mod config;
mod error;
mod health;
mod inventory;
mod make;
mod manifest;
mod mend;
pub mod ops;
mod prune;
pub mod restore;
mod runner;
mod sealed;
mod store;
mod target;
mod trust;
mod types;

#[cfg(test)]
mod tests;

use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use attest::keys::{EcdsaSigner, Signer};
use audit::Audit;
use gate::{Action, BoxFuture, Permit};
use kernel::{Clock, Micros, Problem, Secret};
use tokio::sync::Notify;
use vault::db::{Db, Reader, SystemDb, Writer};
use vault::keys::Keyring;
use vault::objects::Objects;

pub use approval::{APPROVAL_HOURS, Approval};
pub use chain::{Chain, Known};
pub use check::{Checked, check};
pub use config::BackupConfig;
pub use error::BackupError;
pub use health::{How, how};
pub use inventory::{Blob, FileEntry, Inventory};
pub use manifest::{Log, Manifest, Part, Signed};
pub use runner::{Drill, Drilled, Runner};
pub use store::restored as restored_from;
pub use target::{Stored, Target};
pub use trust::Trust;
pub use types::{Request, Restored, Run, RunKind, RunState};

/// The job that makes backups and drills.
pub const BACKUP: &str = "backup";

/// The server's secret that seals all parts.
const KEY_NAME: &str = "backup";
/// The server's secret that signs manifests and approvals.
const SIGNER_NAME: &str = "backup/signer";
/// Where snapshots lie while they are sealed.
const SCRATCH: &str = "backup";

/// Every verb of this room.
pub const ACTIONS: &[Action] = &[
    ops::RUN,
    ops::DRILL,
    ops::LIST,
    ops::SHOW,
    ops::VERIFY,
    ops::ESCROW,
    ops::REQUEST,
    ops::APPROVE,
    ops::REQUESTS,
    ops::MAKE,
    ops::TRY,
];

/// The room. Cheap to clone.
#[derive(Clone)]
pub struct Backup(Arc<Ground>);

/// What the room stands on.
pub struct Ground {
    /// The database.
    pub db: Db,
    /// For progress, which is no change of its own.
    pub system: SystemDb,
    /// The objects.
    pub objects: Objects,
    /// The keys.
    pub keys: Keyring,
    /// The log.
    pub audit: Audit,
    /// The clock.
    pub clock: Arc<dyn Clock>,
    /// The data folder.
    pub data: PathBuf,
    /// The section `[backup]`.
    pub config: BackupConfig,
    /// What is retained by rules; none where nobody set them.
    pub retention: Option<retention::Rules>,
    /// Told when something waits to be done.
    pub wake: Notify,
}

impl Backup {
    /// The room over its ground.
    #[must_use]
    pub fn new(ground: Ground) -> Self {
        Self(Arc::new(ground))
    }

    fn db(&self) -> &Db {
        &self.0.db
    }

    fn target(&self, place: &str) -> Result<Target, Problem> {
        Target::open(place, &self.0.config)
    }

    async fn signer(&self) -> Result<EcdsaSigner, Problem> {
        let seed = self.0.keys.secret(SIGNER_NAME).await?;
        EcdsaSigner::from_seed(&seed).map_err(|error| Problem::internal("the key that signs backups cannot be used", error))
    }

    /// What backups of this server are checked and opened with.
    ///
    /// # Errors
    /// `Unavailable` if the keys cannot be had.
    pub(crate) async fn trust(&self) -> Result<Trust, Problem> {
        let key: Secret = self.0.keys.secret(KEY_NAME).await?.as_ref().clone();
        let log = self.0.audit.log().verifier_key().clone();
        let signer = self.signer().await?.public_key().clone();
        Ok(Trust { key, signer, instance: log.name.clone(), log })
    }

    /// The folder for snapshots, which only this account may look into.
    fn scratch(&self) -> Result<PathBuf, Problem> {
        let folder: &Path = &self.0.data.join(SCRATCH);
        let made = std::fs::DirBuilder::new().recursive(true).mode(0o700).create(folder);
        made.map_err(|error| Problem::unavailable("the folder for snapshots cannot be made").because(error))?;
        Ok(folder.to_path_buf())
    }

    async fn progress(&self, id: &str, step: &'static str, done: u64, total: u64) -> Result<(), Problem> {
        let id = id.to_owned();
        self.0.system.write(move |writer| store::progress(writer, &id, step, done, total)).await
    }

    /// Retains a backup as the rules say, in the transaction that notes that it is whole.
    fn keep(&self, writer: &mut Writer<'_>, target: &str, sequence: u64, at: Micros) -> Result<(), Problem> {
        let Some(rules) = self.0.retention.as_ref().filter(|rules| rules.have(retention::Kind::Backup)) else { return Ok(()) };
        let id = subject_of(target, sequence);
        let subject = retention::Subject {
            kind: retention::Kind::Backup,
            id: &id,
            name: target,
            shown: &id,
            workspace: "",
            classes: &[],
            objects: &[],
        };
        rules.keep(writer, &subject, at).map(drop)
    }

    /// Notes what was found missing or damaged: the next backup copies it anew, and health tells until then.
    async fn note_faults(&self, target: &str, report: &Checked) -> Result<(), Problem> {
        if report.damaged.is_empty() {
            return Ok(());
        }
        let (target, sequence, at) = (target.to_owned(), report.sequence, self.0.clock.now());
        let names = report.damaged.clone();
        tracing::error!(target, sequence, count = names.len(), "parts of a backup are missing or damaged");
        self.0.system.write(move |writer| store::note_faults(writer, &target, &names, sequence, at)).await
    }

    async fn known_manifests<O: ?Sized>(&self, permit: &Permit<O>, target: &str) -> Result<Vec<Known>, Problem> {
        let target = target.to_owned();
        self.0.db.read(permit, move |reader| store::known_manifests(reader, &target)).await
    }
}

/// What a backup is called among what is retained.
fn subject_of(target: &str, sequence: u64) -> String {
    format!("{target}#{sequence}")
}

/// A future of a port.
type Future<'a, T> = BoxFuture<'a, Result<T, Problem>>;

impl retention::Find for Backup {
    fn kind(&self) -> retention::Kind {
        retention::Kind::Backup
    }

    fn find(&self, reader: &mut Reader<'_>, workspace: &str, name: &str) -> Result<Option<retention::Found>, Problem> {
        let Some((place, Ok(sequence))) = name.rsplit_once('#').map(|(place, number)| (place, number.parse::<u64>())) else {
            return Ok(None);
        };
        // Backups are the server's own. One that was taken away has no manifest any more.
        if !workspace.is_empty() || store::kept_manifest(reader, place, sequence)?.is_none() {
            return Ok(None);
        }
        let id = subject_of(place, sequence);
        Ok(Some(retention::Found { shown: id.clone(), id, objects: Vec::new() }))
    }
}
