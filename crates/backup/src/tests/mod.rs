//! Tests of the room, on a small data folder of their own, on SQLite and, where `STRONGROOM_TEST_POSTGRES` names one, on PostgreSQL.

mod make;
mod postgres;
mod restore;
mod schedule;
mod verify;

use std::path::PathBuf;
use std::sync::Arc;

use audit::{Audit, AuditConfig, AuditLog};
use bytes::Bytes;
use futures_util::StreamExt;
use gate::Target as On;
use kernel::{Problem, Secret, SystemClock};
use tempfile::TempDir;
use testkit::{FreshDatabase, TestGate};
use vault::db::{Location, Opened};
use vault::keys::{KeyFile, Keyring};
use vault::objects::{OBJECT_COLUMNS, Objects, StoredObject};

use crate::chain::Chain;
use crate::check::{Checked, check};
use crate::ops::{MakeBackup, RunBackup};
use crate::target::Target;
use crate::types::Run;
use crate::{Backup, BackupConfig, Ground};

/// A data folder, its rooms, and a place for backups.
pub(super) struct World {
    pub(super) folder: TempDir,
    pub(super) gate: TestGate,
    pub(super) opened: Opened,
    pub(super) objects: Objects,
    pub(super) room: Backup,
    pub(super) location: Location,
    /// Dropped last: the server's connections go with it.
    pub(super) postgres: Option<FreshDatabase>,
}

impl World {
    pub(super) async fn new(keep: u32) -> Self {
        Self::with(BackupConfig { keep, ..BackupConfig::default() }).await
    }

    /// One on each engine that there is.
    pub(super) async fn all(keep: u32) -> Vec<Self> {
        let config = BackupConfig { keep, ..BackupConfig::default() };
        let mut all = vec![Self::with(config.clone()).await];
        if let Some(database) = FreshDatabase::make("backup") {
            all.push(Self::on(config, Some(database)).await);
        }
        all
    }

    /// One on PostgreSQL, if there is one.
    pub(super) async fn on_postgres(config: BackupConfig) -> Option<Self> {
        Some(Self::on(config, Some(FreshDatabase::make("backup")?)).await)
    }

    pub(super) async fn scheduled(every_hours: u32, drill_every_days: u32) -> Self {
        Self::with(BackupConfig { every_hours, drill_every_days, ..BackupConfig::default() }).await
    }

    async fn with(config: BackupConfig) -> Self {
        Self::on(config, None).await
    }

    async fn on(config: BackupConfig, postgres: Option<FreshDatabase>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let gate = testkit::open_gate();
        let data = folder.path().join("data");
        for name in ["data/db", "data/keys", "data/tls", "place"] {
            std::fs::create_dir_all(folder.path().join(name)).unwrap();
        }
        std::fs::write(data.join("strongroom.toml"), "# nothing\n").unwrap();
        let location = match &postgres {
            Some(database) => Location::Postgres { url: Secret::from(database.url.clone()), ca: None },
            None => Location::Sqlite(data.join("db/strongroom.db")),
        };
        let opened = vault::db::open(&location).unwrap();
        let root = Arc::new(KeyFile::create(&data.join("keys/root.key")).unwrap());
        let keys = Keyring::open(opened.system.clone(), root, Arc::new(SystemClock)).await.unwrap();
        let objects = Objects::local(&data.join("objects"), keys.clone()).unwrap();
        let seed = keys.secret("audit/signing-seed").await.unwrap().as_ref().clone();
        let settings = AuditConfig::new(&data.join("audit"), "test.example/audit", seed, Secret::new(vec![5; 32]));
        let log = AuditLog::open(settings, opened.system.clone(), Arc::new(SystemClock)).unwrap();
        let place = folder.path().join("place").display().to_string();
        let room = Backup::new(Ground {
            db: opened.db.clone(),
            system: opened.system.clone(),
            objects: objects.clone(),
            keys,
            audit: Audit::new(log),
            clock: Arc::new(gate.clock.clone()),
            data,
            config: BackupConfig { to: Some(place), ..config },
            wake: tokio::sync::Notify::new(),
            retention: None,
        });
        Self { folder, gate, opened, objects, room, location, postgres }
    }

    pub(super) fn place(&self) -> PathBuf {
        self.folder.path().join("place")
    }

    pub(super) fn target(&self) -> Target {
        Target::folder(&self.place()).unwrap()
    }

    /// Stores an object with its row, as a file of a run: a file of its own, whatever its size.
    pub(super) async fn store(&self, path: &str, content: &'static [u8]) -> StoredObject {
        let objects = self.objects.clone();
        let put = move |permit| async move {
            let body = futures_util::stream::once(async move { Ok(Bytes::from_static(content)) }).boxed();
            objects.put_apart(&permit, "w1", body, 1 << 20).await
        };
        let object = self.gate.permit_for(On::Workspace, put).await.unwrap();
        self.name(path, object).await
    }

    /// The same in the database, if it is small.
    pub(super) async fn store_small(&self, path: &str, content: &'static [u8]) -> StoredObject {
        let objects = self.objects.clone();
        let put = move |permit| async move {
            let body = futures_util::stream::once(async move { Ok(Bytes::from_static(content)) }).boxed();
            objects.put(&permit, "w1", body, 1 << 20).await
        };
        let object = self.gate.permit_for(On::Workspace, put).await.unwrap();
        self.name(path, object).await
    }

    async fn name(&self, path: &str, object: StoredObject) -> StoredObject {
        let (db, path) = (self.opened.db.clone(), path.to_owned());
        let named = self.gate.permit_for(On::Workspace, move |permit| async move {
            let kept = object.clone();
            db.write(&permit, move |writer| {
                let (id, size) = (kernel::random_id(), i64::try_from(kept.size_bytes).unwrap());
                writer.execute(
                    "INSERT INTO artifact (id, owner_kind, owner_id, path, workspace, experiment, size_bytes, sha256, created_at,
                     created_by) VALUES ($1, 'run', 'r1', $2, 'w1', 1, $3, $4, 1, 'u1')",
                    &[id.as_str().into(), path.as_str().into(), size.into(), kept.sha256.as_slice().into()],
                )?;
                let mut binds = vec![id.as_str().into()];
                binds.extend(kept.keep(writer)?);
                writer.execute(
                    &format!(
                        "INSERT INTO artifact_part (artifact_id, part_number, {OBJECT_COLUMNS}) VALUES ($1, 1, $2, $3, $4, $5, $6, $7)"
                    ),
                    &binds,
                )?;
                Ok(((), gate::Outcome::done()))
            })
            .await?;
            Ok(object)
        });
        named.await.unwrap()
    }

    /// Asks for a backup and makes it.
    pub(super) async fn back_up(&self) -> Result<Run, Problem> {
        let run = self.gate.call(RunBackup { room: self.room.clone(), to: None }).await?;
        let made = self.gate.call(MakeBackup { room: self.room.clone(), run: run.clone() }).await;
        if made.is_err() {
            let ended = Run { state: crate::RunState::Failed, ..run };
            self.opened.system.write(move |writer| crate::store::end_run(writer, &ended)).await.unwrap();
        }
        made
    }

    pub(super) async fn check(&self, sequence: u64) -> Result<Checked, crate::BackupError> {
        let (target, trust) = (self.target(), self.room.trust().await.unwrap());
        let mut chain = Chain::read(&target, &trust).await?;
        let place = self.place().display().to_string();
        let known = self.opened.system.read(move |reader| crate::store::known_manifests(reader, &place)).await.unwrap();
        chain.compare(&known, self.room.0.config.keep);
        let log = self.room.0.audit.log();
        check(&target, &trust, &chain, chain.find(&target, Some(sequence))?, Some(&|old| log.goes_on_from(old))).await
    }

    pub(super) async fn health(&self) -> crate::How {
        let (config, now) = (self.room.0.config.clone(), self.room.0.clock.now());
        let how = self.opened.system.read(move |reader| crate::how(reader, &config, now)).await.unwrap();
        how.unwrap_or(crate::How { is_degraded: false, reasons: Vec::new() })
    }
}
