//! The room's promises, through a gate, on SQLite and, where `STRONGROOM_TEST_POSTGRES` names one, on PostgreSQL.
#![expect(clippy::unwrap_used, reason = "tests")]

mod files;
mod key_life;
mod upkeep;
mod uploads;

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use artifacts::{
    AbortUpload, Artifacts, ArtifactsConfig, Body, CompleteUpload, CreateUpload, DeleteArtifacts, Fetched, ListArtifacts,
    Manifest, Owner, Place, ReadArtifact, RewrapKeys, RotateRootKey, RotateWorkspaceKey, SentPart, SweepAtStart, SweepObjects,
    UploadPart, VerifyObjects, Wanted, WriteArtifact, Written, manifest,
};
use bytes::Bytes;
use futures_util::{StreamExt, stream};
use gate::{Facts, Target};
use kernel::{FakeClock, Kind, Problem, sha256};
use testkit::gate::{TEST_WORKSPACE, default_facts};
use testkit::{Engine, TestGate};
use vault::db::{Bind, Opened, open};
use vault::keys::{KeyFile, Keyring};
use vault::objects::Objects;

/// One engine under test.
struct Bed {
    folder: tempfile::TempDir,
    opened: Opened,
    room: Artifacts,
    keys: Keyring,
    gate: TestGate,
    run: String,
}

/// Each object is a file, whatever its size: what is looked at here.
async fn bed_at(engine: Engine) -> Bed {
    bed_over(engine, Objects::with_files_only).await
}

async fn bed_over(engine: Engine, kind: impl FnOnce(Objects) -> Objects) -> Bed {
    let Engine { location, folder, .. } = engine;
    let opened = open(&location).unwrap();
    let root = KeyFile::create(&folder.path().join("root.key")).unwrap();
    let keys = Keyring::open(opened.system.clone(), Arc::new(root), Arc::new(FakeClock::default())).await.unwrap();
    let objects = Objects::local(&folder.path().join("objects"), keys.clone()).unwrap();
    let room = Artifacts::new(opened.db.clone(), kind(objects));
    Bed { folder, opened, room, keys, gate: testkit::open_gate(), run: kernel::random_id() }
}

async fn sqlite() -> Bed {
    bed_at(Engine::sqlite()).await
}

async fn engines() -> Vec<Bed> {
    let mut beds = Vec::new();
    for engine in Engine::all("artifacts") {
        beds.push(bed_at(engine).await);
    }
    beds
}

fn body(bytes: &[u8]) -> Body {
    let parts: Vec<_> = bytes.chunks(50_000).map(|part| Ok(Bytes::copy_from_slice(part))).collect();
    Box::pin(stream::iter(parts))
}

fn noise(seed: u8, length: usize) -> Vec<u8> {
    (0..length).map(|at| (at as u8).wrapping_mul(31).wrapping_add(seed).rotate_left((at >> 8) as u32 % 8)).collect()
}

impl Bed {
    /// The keys of its objects.
    fn room_keys(&self) -> Keyring {
        self.keys.clone()
    }

    fn owner(&self) -> Owner {
        Owner::Run(self.run.clone())
    }

    fn place(&self, path: &str) -> Place {
        Place::of(self.owner(), Some(path)).unwrap()
    }

    async fn write(&self, path: &str, bytes: &[u8]) -> Result<Written, Problem> {
        self.write_body(path, body(bytes), None).await
    }

    async fn write_body(&self, path: &str, body: Body, size_hint_bytes: Option<u64>) -> Result<Written, Problem> {
        self.gate.call(WriteArtifact { room: self.room.clone(), place: self.place(path), body, size_hint_bytes }).await
    }

    async fn fetch(&self, place: Place, wanted: Wanted) -> Result<Fetched, Problem> {
        self.gate.call(ReadArtifact { room: self.room.clone(), place, wanted }).await
    }

    async fn read(&self, path: &str, wanted: Wanted) -> Result<Vec<u8>, Problem> {
        match self.fetch(self.place(path), wanted).await? {
            Fetched::File(mut download) => {
                let mut all = Vec::new();
                while let Some(bytes) = download.body.next().await {
                    all.extend_from_slice(&bytes?);
                }
                assert_eq!(all.len() as u64, download.range.end - download.range.start);
                Ok(all)
            }
            Fetched::OutOfRange { size_bytes } => Err(Problem::invalid(format!("only {size_bytes}"))),
        }
    }

    async fn list(&self, path: &str) -> Vec<(String, Option<u64>)> {
        let entries = self.gate.call(ListArtifacts { room: self.room.clone(), place: self.place(path) }).await.unwrap();
        entries.entries.into_iter().map(|entry| (entry.path, entry.size_bytes)).collect()
    }

    async fn delete(&self, path: &str) -> Result<usize, Problem> {
        self.gate.call(DeleteArtifacts { room: self.room.clone(), place: self.place(path) }).await
    }

    async fn manifest(&self) -> Manifest {
        let owner = self.owner();
        self.opened.ports.read(move |reader| manifest(reader, &owner)).await.unwrap()
    }

    async fn create(&self, path: &str, part_count: i64) -> Result<String, Problem> {
        self.gate
            .call(CreateUpload { room: self.room.clone(), place: self.place(path), part_count })
            .await
            .map(|begun| begun.upload_id)
    }

    async fn part(&self, path: &str, upload_id: &str, part_number: i64, bytes: &[u8]) -> Result<SentPart, Problem> {
        let part = UploadPart {
            room: self.room.clone(),
            place: self.place(path),
            upload_id: upload_id.to_owned(),
            part_number,
            body: body(bytes),
            size_hint_bytes: None,
        };
        Ok(SentPart { number: part_number, etag: self.gate.call(part).await?.etag })
    }

    async fn complete(&self, path: &str, upload_id: &str, parts: Vec<SentPart>) -> Result<Written, Problem> {
        let room = self.room.clone();
        self.gate.call(CompleteUpload { room, place: self.place(path), upload_id: upload_id.to_owned(), parts }).await
    }

    async fn abort(&self, path: &str, upload_id: &str) -> Result<(), Problem> {
        let room = self.room.clone();
        self.gate.call(AbortUpload { room, place: self.place(path), upload_id: upload_id.to_owned() }).await
    }

    async fn sql(&self, sql: &'static str, id: &str) {
        let id = id.to_owned();
        self.opened.system.write(move |writer| Ok(writer.execute(sql, &[Bind::Text(&id)])?)).await.unwrap();
    }

    fn objects(&self) -> Vec<PathBuf> {
        files(&self.folder.path().join("objects"))
    }
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let mut all = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { all.extend(files(&path)) } else { all.push(path) }
    }
    all
}
