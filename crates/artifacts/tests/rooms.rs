//! The room's promises, through a gate, on SQLite and, where `STRONGROOM_TEST_POSTGRES` names one, on PostgreSQL.
#![expect(clippy::unwrap_used, reason = "tests")]

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use artifacts::{
    AbortUpload, Artifacts, ArtifactsConfig, Body, CompleteUpload, CreateUpload, DeleteArtifacts, Fetched, ListArtifacts,
    Manifest, Owner, Place, ReadArtifact, RewrapKeys, RotateWorkspaceKey, SentPart, SweepAtStart, SweepObjects, UploadPart, VerifyObjects,
    Wanted, WriteArtifact, Written, manifest,
};
use bytes::Bytes;
use futures_util::{StreamExt, stream};
use gate::{Facts, Target};
use kernel::{FakeClock, Kind, Problem, Secret, sha256};
use testkit::TestGate;
use testkit::gate::{TEST_WORKSPACE, default_facts};
use vault::db::{Bind, Location, Opened, open};
use vault::keys::{KeyFile, Keyring};
use vault::objects::Objects;

/// One engine under test.
struct Bed {
    folder: tempfile::TempDir,
    opened: Opened,
    room: Artifacts,
    gate: TestGate,
    /// Runs have other ids in each bed: PostgreSQL's tables are shared by all tests.
    run: String,
}

async fn bed_at(location: Location, folder: tempfile::TempDir) -> Bed {
    let opened = open(&location).unwrap();
    let root = KeyFile::create(&folder.path().join("root.key")).unwrap();
    let keys_db = open(&Location::Sqlite(folder.path().join("keys.db"))).unwrap();
    let keys = Keyring::open(keys_db.system, Arc::new(root), Arc::new(FakeClock::default())).await.unwrap();
    let objects = Objects::local(&folder.path().join("objects"), keys).unwrap();
    let room = Artifacts::new(opened.db.clone(), objects);
    Bed { folder, opened, room, gate: testkit::open_gate(), run: kernel::random_id() }
}

async fn sqlite() -> Bed {
    let folder = tempfile::tempdir().unwrap();
    let location = Location::Sqlite(folder.path().join("main.db"));
    bed_at(location, folder).await
}

async fn engines() -> Vec<Bed> {
    let mut beds = vec![sqlite().await];
    if let Ok(url) = std::env::var("STRONGROOM_TEST_POSTGRES") {
        let location = Location::Postgres { url: Secret::from(url), ca: None };
        beds.push(bed_at(location, tempfile::tempdir().unwrap()).await);
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
        self.gate.call(CreateUpload { room: self.room.clone(), place: self.place(path), part_count }).await
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

#[tokio::test]
async fn files_come_back_whole_and_in_part() {
    for bed in engines().await {
        let bytes = noise(1, 300_000);
        let written = bed.write("model/weights.bin", &bytes).await.unwrap();
        assert_eq!(written, Written { size_bytes: 300_000, sha256: sha256(&bytes) });
        assert!(bed.read("model/weights.bin", Wanted::Whole).await.unwrap() == bytes);
        let cases = [(Wanted::Between(100_000, 200_000), 100_000..200_001), (Wanted::From(299_999), 299_999..300_000), (Wanted::Last(70_000), 230_000..300_000)];
        for (wanted, range) in cases {
            assert!(bed.read("model/weights.bin", wanted).await.unwrap() == bytes[range], "{wanted:?}");
        }
        let beyond = bed.read("model/weights.bin", Wanted::From(300_000)).await.unwrap_err();
        assert_eq!(beyond.message(), "only 300000");
        bed.write("empty", b"").await.unwrap();
        assert!(bed.read("empty", Wanted::Whole).await.unwrap().is_empty());
        for missing in ["model", "model/weights", "nothing"] {
            assert_eq!(bed.read(missing, Wanted::Whole).await.unwrap_err().kind(), Kind::NotFound);
        }
        assert_eq!(bed.fetch(Place::of(bed.owner(), None).unwrap(), Wanted::Whole).await.map(|_| ()).unwrap_err().kind(), Kind::Invalid);
    }
}

#[tokio::test]
async fn folders_are_listed_as_folders() {
    for bed in engines().await {
        for path in ["a.txt", "a/b.txt", "a/c/d.txt", "a/c/e.txt", "a-b", "a0", "ä/x", "z%41/y"] {
            bed.write(path, path.as_bytes()).await.unwrap();
        }
        let names = |list: Vec<(String, Option<u64>)>| list.into_iter().map(|(path, size)| (path, size.is_none())).collect::<Vec<_>>();
        let root: Vec<_> = [("a", true), ("a-b", false), ("a.txt", false), ("a0", false), ("z%41", true), ("ä", true)]
            .map(|(path, folder)| (path.to_owned(), folder))
            .to_vec();
        assert_eq!(names(bed.list("").await), root);
        assert_eq!(bed.list("a").await, [("a/b.txt".to_owned(), Some(7)), ("a/c".to_owned(), None)]);
        assert_eq!(bed.list("a/c").await.len(), 2);
        assert!(bed.list("a.txt").await.is_empty());
        assert!(bed.list("none").await.is_empty());
    }
}

#[tokio::test]
async fn a_large_folder_is_listed_without_walking_its_subfolders() {
    let bed = sqlite().await;
    let (run, written) = (bed.run.clone(), bed.write("seed", b"x").await.unwrap());
    assert_eq!(written.size_bytes, 1);
    let insert = move |writer: &mut vault::db::Writer<'_>| {
        for at in 0..3_000 {
            let (id, path) = (kernel::random_id(), format!("deep/f{}/{at:05}", at / 1_500));
            let flat = format!("file-{at:05}");
            for (id, path) in [(id.clone(), path), (kernel::random_id(), flat)] {
                writer.execute(
                    "INSERT INTO artifact (id, owner_kind, owner_id, path, workspace, experiment, size_bytes, sha256, created_at, created_by)
                     VALUES ($1, 'run', $2, $3, 'w', 1, 0, $4, 0, 'x')",
                    &[id.as_str().into(), run.as_str().into(), path.as_str().into(), Bind::Bytes(&[0; 32])],
                )?;
            }
        }
        Ok(())
    };
    bed.opened.system.write(insert).await.unwrap();
    let root = bed.list("").await;
    assert_eq!(root.len(), 3_002);
    assert_eq!(root.iter().filter(|(_, size)| size.is_none()).count(), 1);
    assert_eq!(bed.list("deep").await, [("deep/f0".to_owned(), None), ("deep/f1".to_owned(), None)]);
    assert_eq!(bed.list("deep/f1").await.len(), 1_500);
}

#[tokio::test]
async fn an_overwritten_file_leaves_no_object_behind() {
    for bed in engines().await {
        bed.write("a", b"one").await.unwrap();
        bed.write("a", b"two!").await.unwrap();
        assert_eq!(bed.read("a", Wanted::Whole).await.unwrap(), b"two!");
        assert_eq!(bed.objects().len(), 1);
        assert_eq!(bed.list("").await, [("a".to_owned(), Some(4))]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn of_many_writers_to_one_path_one_wins_whole() {
    for bed in engines().await {
        let bed = Arc::new(bed);
        let mut writers = Vec::new();
        for seed in 0..16_u8 {
            let bed = Arc::clone(&bed);
            writers.push(tokio::spawn(async move { bed.write("same", &noise(seed, 100_000 + usize::from(seed))).await.unwrap() }));
        }
        for writer in writers {
            writer.await.unwrap();
        }
        let bytes = bed.read("same", Wanted::Whole).await.unwrap();
        let seed = (bytes.len() - 100_000) as u8;
        assert!(bytes == noise(seed, bytes.len()));
        assert_eq!(bed.objects().len(), 1);
    }
}

#[tokio::test]
async fn a_reader_keeps_what_it_began_to_read() {
    let bed = sqlite().await;
    let bytes = noise(1, 5_000_000);
    bed.write("a", &bytes).await.unwrap();
    let Fetched::File(mut download) = bed.fetch(bed.place("a"), Wanted::Whole).await.unwrap() else { unreachable!("it is there") };
    bed.write("a", b"new").await.unwrap();
    let mut all = Vec::new();
    while let Some(part) = download.body.next().await {
        all.extend_from_slice(&part.unwrap());
    }
    assert!(all == bytes);
    assert_eq!(bed.read("a", Wanted::Whole).await.unwrap(), b"new");
}

#[tokio::test]
async fn a_file_is_no_folder_and_a_folder_no_file() {
    for bed in engines().await {
        bed.write("a/b", b"x").await.unwrap();
        for path in ["a", "a/b/c", "a/b/c/d"] {
            assert_eq!(bed.write(path, b"y").await.unwrap_err().kind(), Kind::Conflict, "{path}");
            assert_eq!(bed.create(path, 1).await.unwrap_err().kind(), Kind::Conflict, "{path}");
        }
        assert_eq!(bed.objects().len(), 1);
    }
}

#[tokio::test]
async fn files_and_folders_are_deleted_with_their_objects() {
    for bed in engines().await {
        for path in ["a/b", "a/c/d", "ab", "e"] {
            bed.write(path, b"x").await.unwrap();
        }
        assert_eq!(bed.delete("a").await.unwrap(), 2);
        assert_eq!(bed.delete("e").await.unwrap(), 1);
        assert_eq!(bed.delete("e").await.unwrap_err().kind(), Kind::NotFound);
        assert_eq!(bed.list("").await, [("ab".to_owned(), Some(1))]);
        assert_eq!(bed.objects().len(), 1);
        assert_eq!(bed.delete("").await.unwrap(), 1);
        assert_eq!(bed.delete("").await.unwrap(), 0);
        assert!(bed.objects().is_empty());
    }
}

#[tokio::test]
async fn parts_are_joined_without_being_written_anew() {
    for bed in engines().await {
        let parts: Vec<Vec<u8>> = (1..=3).map(|seed| noise(seed, 100_000 * usize::from(seed))).collect();
        let whole = parts.concat();
        let id = bed.create("big", 3).await.unwrap();
        let mut sent = Vec::new();
        for number in [3_usize, 1, 2] {
            sent.push(bed.part("big", &id, number as i64, &parts[number - 1]).await.unwrap());
        }
        bed.part("big", &id, 9, b"never asked for").await.unwrap();
        bed.part("big", &id, 2, b"sent twice").await.unwrap();
        assert!(bed.complete("big", &id, sent.clone()).await.is_err(), "out of order");
        sent.sort_by_key(|part| part.number);
        assert!(bed.complete("big", &id, sent.clone()).await.is_err(), "part 2 was replaced");
        bed.part("big", &id, 2, &parts[1]).await.unwrap();
        assert!(bed.complete("big", &id, Vec::new()).await.is_err());
        assert!(bed.complete("other", &id, sent.clone()).await.is_err(), "another path");
        let before = bed.objects();
        let written = bed.complete("big", &id, sent.clone()).await.unwrap();
        assert_eq!(written, Written { size_bytes: whole.len() as u64, sha256: sha256(&whole) });
        assert_eq!(bed.complete("big", &id, sent).await.unwrap(), written, "asked again");
        assert!(bed.objects().iter().all(|file| before.contains(file)));
        assert_eq!(bed.objects().len(), 3);
        assert!(bed.read("big", Wanted::Whole).await.unwrap() == whole);
        assert!(bed.read("big", Wanted::Between(99_999, 300_000)).await.unwrap() == whole[99_999..=300_000]);
        assert_eq!(bed.part("big", &id, 1, b"late").await.unwrap_err().kind(), Kind::NotFound);
        bed.delete("big").await.unwrap();
        assert!(bed.objects().is_empty());
    }
}

#[tokio::test]
async fn an_aborted_upload_leaves_nothing() {
    for bed in engines().await {
        let id = bed.create("big", 2).await.unwrap();
        bed.part("big", &id, 1, b"x").await.unwrap();
        for number in [0, -1, 10_001] {
            assert_eq!(bed.part("big", &id, number, b"x").await.unwrap_err().kind(), Kind::Invalid);
        }
        bed.abort("big", &id).await.unwrap();
        bed.abort("big", &id).await.unwrap();
        assert!(bed.objects().is_empty());
        assert!(bed.complete("big", &id, vec![SentPart { number: 1, etag: String::new() }]).await.is_err());
    }
}

#[tokio::test]
async fn another_experiments_name_and_a_missing_run_are_not_found() {
    let bed = sqlite().await;
    bed.write("a", b"x").await.unwrap();
    let through = |experiment| Place::parse(&format!("{experiment}/{}/artifacts/a", bed.run)).unwrap();
    assert!(bed.fetch(through(1), Wanted::Whole).await.is_ok());
    assert_eq!(bed.fetch(through(2), Wanted::Whole).await.map(|_| ()).unwrap_err().kind(), Kind::NotFound);
    let model = Place::parse(&format!("1/models/{}/artifacts/a", bed.run)).unwrap();
    assert_eq!(bed.fetch(model, Wanted::Whole).await.map(|_| ()).unwrap_err().kind(), Kind::NotFound);
    bed.gate.set_facts(Facts { exists: false, workspace: Some(TEST_WORKSPACE.to_owned()), ..Facts::default() });
    assert_eq!(bed.write("b", b"x").await.unwrap_err().kind(), Kind::NotFound);
    assert_eq!(bed.delete("").await.unwrap_err().kind(), Kind::NotFound);
    bed.gate.set_facts_of(|target| Facts { exists: matches!(target, Target::Workspace), ..default_facts(target) });
    assert_eq!(bed.read("a", Wanted::Whole).await.unwrap_err().kind(), Kind::NotFound);
    assert_eq!(bed.objects().len(), 1);
}

#[tokio::test]
async fn too_large_a_broken_body_and_a_broken_disk_store_nothing() {
    let mut bed = sqlite().await;
    bed.write("a", b"kept").await.unwrap();
    bed.room = bed.room.clone().with_config(ArtifactsConfig { upload_bytes_max: 1_000 });
    assert_eq!(bed.write("a", &noise(1, 1_001)).await.unwrap_err().kind(), Kind::TooLarge);
    assert_eq!(bed.write_body("a", body(b""), Some(1_001)).await.unwrap_err().kind(), Kind::TooLarge);
    assert_eq!(bed.write_body("a", body(b"abc"), Some(4)).await.unwrap_err().kind(), Kind::Invalid);
    let broken: Body = Box::pin(stream::iter([Ok(Bytes::from_static(b"x")), Err(Problem::invalid("broke off"))]));
    assert_eq!(bed.write_body("a", broken, None).await.unwrap_err().message(), "broke off");
    assert_eq!(bed.objects().len(), 1);
    let incoming = bed.folder.path().join("objects/incoming");
    fs::remove_dir(&incoming).unwrap();
    assert_eq!(bed.write("a", b"new").await.unwrap_err().kind(), Kind::Unavailable);
    fs::create_dir(&incoming).unwrap();
    assert_eq!(bed.read("a", Wanted::Whole).await.unwrap(), b"kept");
    assert_eq!(bed.objects().len(), 1);
    bed.write("a", b"new").await.unwrap();
    assert_eq!(bed.read("a", Wanted::Whole).await.unwrap(), b"new");
}

#[tokio::test]
async fn records_tell_digests_and_sizes_and_no_path() {
    for bed in engines().await {
        bed.write("secret-name/file", b"abc").await.unwrap();
        bed.read("secret-name/file", Wanted::Whole).await.unwrap();
        drop(bed.fetch(bed.place("secret-name/file"), Wanted::Whole).await.unwrap());
        let recorded = bed.gate.recorded();
        let digest = kernel::hex(&sha256(b"abc"));
        let written = recorded.iter().find(|line| line.starts_with("sealed artifacts.write done")).unwrap();
        assert!(written.contains(&format!("sha256={digest}")) && written.contains("size_bytes=3") && written.contains("path_hash="));
        let read: Vec<_> = recorded.iter().filter(|line| line.starts_with("outcome artifacts.read")).collect();
        assert!(read[0].starts_with("outcome artifacts.read done") && read[0].contains("sent_bytes=3"), "{read:?}");
        assert_eq!(read[1].as_str(), "outcome artifacts.read aborted");
        assert!(recorded.iter().all(|line| !line.contains("secret-name")), "{recorded:?}");
        let intents = recorded.iter().filter(|line| line.starts_with("intent")).count();
        assert_eq!(intents, recorded.len() - intents, "each intent has one outcome");
    }
}

#[tokio::test]
async fn the_manifest_is_of_what_is_there() {
    for bed in engines().await {
        let empty = bed.manifest().await;
        bed.write("b", b"2").await.unwrap();
        bed.write("a/x", b"1").await.unwrap();
        let both = bed.manifest().await;
        assert_eq!(both.entries.iter().map(|entry| entry.path.as_str()).collect::<Vec<_>>(), ["a/x", "b"]);
        assert_eq!(both.entries[1].sha256, sha256(b"2"));
        bed.delete("b").await.unwrap();
        bed.delete("a").await.unwrap();
        assert_eq!(bed.manifest().await, empty);
        assert_ne!(both.digest, empty.digest);
    }
}

#[tokio::test]
async fn rotation_wraps_keys_anew_and_leaves_data_alone() {
    let bed = sqlite().await;
    let bytes = noise(1, 100_000);
    bed.write("a", &bytes).await.unwrap();
    let id = bed.create("b", 1).await.unwrap();
    let part = bed.part("b", &id, 1, b"part").await.unwrap();
    let before: Vec<_> = bed.objects().iter().map(|file| fs::read(file).unwrap()).collect();
    let version = bed.gate.call(RotateWorkspaceKey { room: bed.room.clone() }).await.unwrap();
    assert_eq!(version, 2);
    let rewrap = || bed.gate.call(RewrapKeys { room: bed.room.clone() });
    assert_eq!(rewrap().await.unwrap(), 2);
    assert_eq!(rewrap().await.unwrap(), 0);
    let after: Vec<_> = bed.objects().iter().map(|file| fs::read(file).unwrap()).collect();
    assert!(before == after);
    let versions = |reader: &mut vault::db::Reader<'_>| Ok(reader.query("SELECT key_version FROM artifact_part", &[], |row| row.int(0))?);
    assert_eq!(bed.opened.ports.read(versions).await.unwrap(), [2]);
    assert!(bed.read("a", Wanted::Whole).await.unwrap() == bytes);
    bed.complete("b", &id, vec![part]).await.unwrap();
    assert_eq!(bed.read("b", Wanted::Whole).await.unwrap(), b"part");
}

#[tokio::test]
async fn verification_finds_a_flip_in_any_object_and_row() {
    let bed = sqlite().await;
    bed.write("a", &noise(1, 100_000)).await.unwrap();
    let id = bed.create("b", 2).await.unwrap();
    let parts = vec![bed.part("b", &id, 1, b"one").await.unwrap(), bed.part("b", &id, 2, b"two").await.unwrap()];
    bed.complete("b", &id, parts).await.unwrap();
    let open = bed.create("c", 1).await.unwrap();
    bed.part("c", &open, 1, b"open").await.unwrap();
    let verify = || bed.gate.call(VerifyObjects { room: bed.room.clone() });
    let clean = verify().await.unwrap();
    assert_eq!((clean.checked_count, clean.checked_bytes, clean.damaged_count), (4, 100_010, 0));
    for file in bed.objects() {
        let whole = fs::read(&file).unwrap();
        for place in [0, 40, whole.len() - 1] {
            let mut flipped = whole.clone();
            flipped[place] ^= 4;
            fs::write(&file, flipped).unwrap();
            assert_eq!(verify().await.unwrap().damaged_count, 1, "byte {place}");
        }
        fs::write(&file, whole).unwrap();
    }
    for (change, back) in [
        ("UPDATE artifact SET size_bytes = size_bytes + 1 WHERE path = $1", "UPDATE artifact SET size_bytes = size_bytes - 1 WHERE path = $1"),
        (
            "UPDATE artifact_part SET size_bytes = size_bytes + 1 WHERE artifact_id = (SELECT id FROM artifact WHERE path = $1) AND part_number = 1",
            "UPDATE artifact_part SET size_bytes = size_bytes - 1 WHERE artifact_id = (SELECT id FROM artifact WHERE path = $1) AND part_number = 1",
        ),
    ] {
        for path in ["a", "b"] {
            bed.sql(change, path).await;
            assert_eq!(verify().await.unwrap().damaged_count, 1, "{change}");
            assert!(bed.read(path, Wanted::Whole).await.is_err());
            bed.sql(back, path).await;
        }
    }
    bed.sql("UPDATE artifact SET sha256 = CAST($1 AS BLOB) WHERE path = 'b'", &"x".repeat(32)).await;
    assert_eq!(verify().await.unwrap().damaged_count, 1);
}

#[tokio::test]
async fn the_sweep_takes_leftovers_and_stale_uploads_only() {
    let bed = sqlite().await;
    bed.write("a", b"kept").await.unwrap();
    let id = bed.create("b", 1).await.unwrap();
    let part = bed.part("b", &id, 1, b"part").await.unwrap();
    let orphan = bed.folder.path().join("objects/stored/00");
    fs::create_dir_all(&orphan).unwrap();
    fs::write(orphan.join("0".repeat(32)), b"orphan").unwrap();
    fs::write(bed.folder.path().join("objects/incoming").join("1".repeat(32)), b"half").unwrap();
    let young = bed.gate.call(SweepObjects { room: bed.room.clone() }).await.unwrap();
    assert_eq!((young.orphan_count, young.unfinished_count), (0, 0));
    let swept = bed.gate.call(SweepAtStart { room: bed.room.clone() }).await.unwrap();
    assert_eq!((swept.orphan_count, swept.unfinished_count), (1, 1));
    assert_eq!(bed.objects().len(), 2);
    bed.gate.clock.advance_secs(8 * 24 * 3_600);
    bed.gate.call(SweepObjects { room: bed.room.clone() }).await.unwrap();
    assert_eq!(bed.objects().len(), 1);
    assert!(bed.complete("b", &id, vec![part]).await.is_err());
    assert_eq!(bed.read("a", Wanted::Whole).await.unwrap(), b"kept");
}

/// What the room stores is under random names only: no spelling of a path reaches the disk.
#[tokio::test]
async fn no_clients_text_becomes_a_file_name() {
    let bed = sqlite().await;
    for path in ["canary", "a b/c;d", "..canary", "x%41"] {
        bed.write(path, b"x").await.unwrap();
    }
    for file in files(bed.folder.path()) {
        let name = file.file_name().unwrap().to_str().unwrap();
        let random = name.len() == 32 && name.bytes().all(|byte| byte.is_ascii_hexdigit());
        assert!(random || ["root.key"].contains(&name) || name.contains(".db"), "{name}");
    }
}
