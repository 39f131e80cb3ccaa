//! Round trips, and every way in which a disk, a row or a thief could change an object.

use std::collections::HashSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use bytes::Bytes;
use futures_util::{StreamExt, stream};
use gate::Target as GateTarget;
use kernel::{FakeClock, Kind, Problem};
use object_store::memory::InMemory;

use super::local::Faults;
use super::read::exported;
use super::segments::{FIRST_PLAIN_BYTES, HEADER_BYTES, Layout, REST_PLAIN_BYTES, SEGMENT_BYTES};
use super::*;
use crate::db::{Db, Location, open};
use crate::keys::KeyFile;

mod small;

const LIMIT: u64 = 64 * 1024 * 1024;

struct Bed {
    folder: tempfile::TempDir,
    objects: Objects,
    db: Db,
    gate: testkit::TestGate,
}

async fn bed_over(remote: bool) -> Bed {
    let folder = tempfile::tempdir().unwrap();
    let opened = open(&Location::Sqlite(folder.path().join("main.db"))).unwrap();
    let root = KeyFile::create(&folder.path().join("root.key")).unwrap();
    let keys = Keyring::open(opened.system, Arc::new(root), Arc::new(FakeClock::default())).await.unwrap();
    let objects = if remote {
        Objects::over(Store::Remote(RemoteStore::over(Arc::new(InMemory::new()), "some/prefix")), keys)
    } else {
        Objects::open_at(&ObjectsLocation::Folder(folder.path().join("objects")), keys).unwrap()
    };
    // Each object a file, as older servers had them, whatever its size: what is read here.
    let objects = objects.with_files_only();
    Bed { folder, objects, db: opened.db, gate: testkit::open_gate() }
}

/// As servers are now.
async fn small_bed() -> Bed {
    let mut bed = bed_over(false).await;
    bed.objects = Objects::local(&bed.folder.path().join("objects"), bed.objects.keys.clone()).unwrap();
    bed
}

/// A real S3-compatible store, where one is named: `http://HOST:PORT/BUCKET`, with credentials in the environment.
async fn bed_over_s3() -> Option<Bed> {
    let address = std::env::var("STRONGROOM_TEST_S3").ok()?;
    let (endpoint, bucket) = address.rsplit_once('/').unwrap();
    let location = S3Location {
        bucket: bucket.to_owned(),
        region: "us-east-1".to_owned(),
        endpoint: Some(endpoint.to_owned()),
        credentials: None,
        prefix: kernel::random_id(),
        ca: None,
        allow_insecure_http: true,
    };
    let mut bed = bed_over(true).await;
    bed.objects = Objects::open_at(&ObjectsLocation::S3(location), bed.objects.keys.clone()).unwrap();
    Some(bed)
}

async fn bed() -> Bed {
    bed_over(false).await
}

impl Bed {
    async fn put_body(&self, workspace: &'static str, body: Body, limit: u64) -> Result<StoredObject, Problem> {
        let objects = self.objects.clone();
        self.gate
            .permit_for(GateTarget::Workspace, move |permit| async move { objects.put(&permit, workspace, body, limit).await })
            .await
    }

    async fn put(&self, plain: &[u8]) -> StoredObject {
        self.put_body("w1", chunks(plain, 100_000), LIMIT).await.unwrap()
    }

    async fn get(&self, object: &StoredObject, range: std::ops::Range<u64>) -> Result<Vec<u8>, Problem> {
        let (objects, object) = (self.objects.clone(), object.clone());
        let read = move |permit| async move {
            let mut body = objects.open(&permit, &object, range).await?;
            let mut all = Vec::new();
            while let Some(bytes) = body.next().await {
                all.extend_from_slice(&bytes?);
            }
            Ok(all)
        };
        self.gate.permit_for(GateTarget::Workspace, read).await
    }

    async fn whole(&self, object: &StoredObject) -> Result<Vec<u8>, Problem> {
        self.get(object, 0..object.size_bytes).await
    }

    async fn verify(&self, object: &StoredObject) -> Result<(), Problem> {
        let (objects, object) = (self.objects.clone(), object.clone());
        self.gate.permit_for(GateTarget::Workspace, move |permit| async move { objects.verify(&permit, &object).await }).await
    }

    async fn sweep(&self, known: &[&StoredObject], older_than: Duration) -> Swept {
        let known: HashSet<String> = known.iter().map(|object| object.id.as_str().to_owned()).collect();
        let objects = self.objects.clone();
        let sweep = move |permit| async move { objects.sweep(&permit, Arc::new(known), older_than).await };
        self.gate.permit_for(GateTarget::Server, sweep).await.unwrap()
    }

    fn file(&self, object: &StoredObject) -> PathBuf {
        self.folder.path().join("objects/stored").join(object.id.shard()).join(object.id.as_str())
    }

    fn faults(&self) -> &Faults {
        match &self.objects.store {
            Store::Local(store) => &store.faults,
            Store::Remote(_) => unreachable!("only local stores have faults"),
        }
    }

    fn files(&self) -> usize {
        fn count(folder: &Path) -> usize {
            fs::read_dir(folder)
                .unwrap()
                .map(|entry| entry.unwrap().path())
                .map(|path| if path.is_dir() { count(&path) } else { 1 })
                .sum()
        }
        count(&self.folder.path().join("objects"))
    }
}

fn chunks(plain: &[u8], size: usize) -> Body {
    let parts: Vec<_> = plain.chunks(size).map(|part| Ok(Bytes::copy_from_slice(part))).collect();
    Box::pin(stream::iter(parts))
}

/// The same bytes for the same seed (splitmix64).
fn noise(seed: u64, length: usize) -> Vec<u8> {
    let mut random = Random(seed);
    (0..length.div_ceil(8)).flat_map(|_| random.next().to_le_bytes()).take(length).collect()
}

struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, limit: usize) -> usize {
        (self.next() % limit as u64) as usize
    }
}

fn edge_sizes() -> Vec<usize> {
    let mut sizes = vec![0, 1, 15, 16, 17];
    for segments in [1, 2, 3, 15, 16, 17, 32] {
        let full = FIRST_PLAIN_BYTES + (segments - 1) * REST_PLAIN_BYTES;
        sizes.extend([full - 1, full, full + 1]);
    }
    sizes
}

async fn check_round_trips(bed: &Bed) {
    for (seed, size) in edge_sizes().into_iter().enumerate() {
        let plain = noise(seed as u64, size);
        let object = bed.put(&plain).await;
        assert_eq!(object.size_bytes, size as u64);
        assert_eq!(object.sha256, kernel::sha256(&plain));
        assert!(bed.whole(&object).await.unwrap() == plain, "size {size}");
        bed.verify(&object).await.unwrap();
    }
}

async fn check_ranges(bed: &Bed) {
    let plain = noise(7, FIRST_PLAIN_BYTES + 40 * REST_PLAIN_BYTES + 1_000);
    let object = bed.put(&plain).await;
    let mut random = Random(7);
    for round in 0..60 {
        let edge = FIRST_PLAIN_BYTES + random.below(39) * REST_PLAIN_BYTES;
        let (mut start, mut end) = (random.below(plain.len()), random.below(plain.len()));
        if round % 3 == 0 {
            start = edge;
        }
        if round % 5 == 0 {
            end = edge;
        }
        let range = start.min(end)..start.max(end);
        let got = bed.get(&object, range.start as u64..range.end as u64).await.unwrap();
        assert!(got == plain[range.clone()], "{range:?}");
    }
    let end = object.size_bytes;
    assert!(bed.get(&object, end - 1..end).await.unwrap() == plain[plain.len() - 1..]);
    assert!(bed.get(&object, end..end).await.unwrap().is_empty());
    for outside in [end..end + 1, 0..end + 1, 0..u64::MAX] {
        assert_eq!(bed.get(&object, outside).await.unwrap_err().kind(), Kind::Invalid);
    }
}

#[tokio::test]
async fn objects_come_back_as_they_went_in_at_every_segment_edge() {
    check_round_trips(&bed().await).await;
}

/// The first reading of a large object passes by the page cache, where the disk can do that, and the second does not.
#[tokio::test]
async fn large_objects_come_back_past_the_page_cache_and_through_it() {
    let bed = bed().await;
    for size in [4 * 1024 * 1024 - 1, 5 * 1024 * 1024, 7 * 1024 * 1024 + 4_097] {
        let large = noise(3, size);
        for (from, to) in [(0, size), (1, size - 1), (3 * 1024 * 1024 - 7, 3 * 1024 * 1024 + 7), (size - 1, size)] {
            let object = bed.put(&large).await;
            for _ in 0..2 {
                assert!(bed.get(&object, from as u64..to as u64).await.unwrap() == large[from..to], "{size} {from}..{to}");
            }
        }
    }
}

#[tokio::test]
async fn objects_in_a_remote_store_come_back_too() {
    let bed = bed_over(true).await;
    check_round_trips(&bed).await;
    let large = noise(1, 21 * 1024 * 1024);
    let object = bed.put(&large).await;
    assert!(bed.whole(&object).await.unwrap() == large);
}

#[tokio::test]
async fn objects_in_a_real_s3_store_come_back_and_are_swept() {
    let Some(bed) = bed_over_s3().await else { return };
    check_round_trips(&bed).await;
    check_ranges(&bed).await;
    let large = noise(1, 35 * 1024 * 1024);
    let object = bed.put(&large).await;
    assert!(bed.whole(&object).await.unwrap() == large);
    assert!(bed.sweep(&[&object], Duration::ZERO).await.orphan_count > 20);
    bed.verify(&object).await.unwrap();
    let broken: Vec<Result<Bytes, Problem>> = vec![Ok(Bytes::from(large)), Err(Problem::invalid("broke off"))];
    assert!(bed.put_body("w1", Box::pin(stream::iter(broken)), LIMIT).await.is_err());
    assert_eq!(bed.sweep(&[&object], Duration::ZERO).await.orphan_count, 0);
}

#[tokio::test]
async fn any_range_is_what_it_is_in_the_whole() {
    check_ranges(&bed().await).await;
    check_ranges(&bed_over(true).await).await;
}

#[tokio::test]
async fn how_the_bytes_were_cut_on_their_way_does_not_matter() {
    let bed = bed().await;
    let plain = noise(3, 300_000);
    for size in [1_000, 65_480, 65_520, 65_536, 300_000] {
        let object = bed.put_body("w1", chunks(&plain, size), LIMIT).await.unwrap();
        assert!(bed.whole(&object).await.unwrap() == plain, "{size}");
    }
}

#[tokio::test]
async fn every_flipped_byte_is_refused() {
    let bed = bed().await;
    let plain = noise(11, 200_000);
    let object = bed.put(&plain).await;
    let path = bed.file(&object);
    let sealed = fs::read(&path).unwrap();
    let mut random = Random(11);
    let mut places: Vec<usize> = (0..HEADER_BYTES).collect();
    places.extend((0..100).map(|_| random.below(sealed.len())));
    places.push(sealed.len() - 1);
    for place in places {
        let mut changed = sealed.clone();
        changed[place] ^= 1 << random.below(8);
        fs::write(&path, &changed).unwrap();
        let refused = bed.verify(&object).await.unwrap_err();
        assert_eq!(refused.kind(), Kind::Internal, "byte {place}");
        // What is read of it before the flip is right; nothing from the flipped segment on leaves.
        if let Ok(read) = bed.get(&object, 0..1).await {
            assert_eq!(read, plain[..1]);
            assert!(place >= SEGMENT_BYTES, "byte {place}");
        }
    }
    fs::write(&path, &sealed).unwrap();
    bed.verify(&object).await.unwrap();
}

#[tokio::test]
async fn cut_grown_moved_and_repeated_segments_are_refused() {
    let bed = bed().await;
    let object = bed.put(&noise(5, FIRST_PLAIN_BYTES + 3 * REST_PLAIN_BYTES)).await;
    let path = bed.file(&object);
    let sealed = fs::read(&path).unwrap();
    assert_eq!(sealed.len(), 4 * SEGMENT_BYTES);
    let segment = |at: usize| &sealed[at * SEGMENT_BYTES..(at + 1) * SEGMENT_BYTES];
    let cases = [
        Vec::new(),
        sealed[..sealed.len() - 1].to_vec(),
        sealed[..3 * SEGMENT_BYTES].to_vec(),
        [&sealed[..], &[0]].concat(),
        [segment(0), segment(2), segment(1), segment(3)].concat(),
        [segment(0), segment(1), segment(1), segment(3)].concat(),
        [segment(0), segment(1), segment(3), segment(2)].concat(),
    ];
    for (at, changed) in cases.iter().enumerate() {
        fs::write(&path, changed).unwrap();
        assert_eq!(bed.whole(&object).await.unwrap_err().kind(), Kind::Internal, "case {at}");
    }
    // A row that lies about the size cannot make a cut object look whole.
    fs::write(&path, &sealed[..3 * SEGMENT_BYTES]).unwrap();
    let lying = StoredObject { size_bytes: (FIRST_PLAIN_BYTES + 2 * REST_PLAIN_BYTES) as u64, ..object.clone() };
    assert_eq!(Layout::of(lying.size_bytes).stored_bytes, 3 * SEGMENT_BYTES as u64);
    assert!(bed.whole(&lying).await.is_err());
    fs::remove_file(&path).unwrap();
    assert!(bed.whole(&object).await.unwrap_err().message().contains("missing"));
}

#[tokio::test]
async fn an_empty_object_is_checked_too() {
    for remote in [false, true] {
        let bed = bed_over(remote).await;
        let object = bed.put(b"").await;
        bed.verify(&object).await.unwrap();
        if !remote {
            let path = bed.file(&object);
            let mut sealed = fs::read(&path).unwrap();
            *sealed.last_mut().unwrap() ^= 1;
            fs::write(&path, sealed).unwrap();
            assert!(bed.whole(&object).await.is_err());
        }
    }
}

#[tokio::test]
async fn a_changed_row_does_not_open() {
    let bed = bed().await;
    let (object, other) = (bed.put(&noise(1, 1_000)).await, bed.put(&noise(2, 1_000)).await);
    let mut cases = vec![
        StoredObject { id: other.id.clone(), ..object.clone() },
        StoredObject { workspace: "w2".to_owned(), ..object.clone() },
        StoredObject { size_bytes: 999, ..object.clone() },
        StoredObject { sha256: other.sha256, ..object.clone() },
        StoredObject { key: other.key.clone(), ..object.clone() },
    ];
    let mut version = object.clone();
    version.key.version += 1;
    cases.push(version);
    for at in 0..object.key.wrapped.len() {
        let mut changed = object.clone();
        changed.key.wrapped[at] ^= 0x10;
        cases.push(changed);
    }
    for changed in cases {
        assert!(bed.get(&changed, 0..1).await.is_err(), "{changed:?}");
    }
    // One object's file in the place of another.
    fs::copy(bed.file(&other), bed.file(&object)).unwrap();
    assert!(bed.whole(&object).await.is_err());
}

#[tokio::test]
async fn nothing_readable_is_on_disk() {
    let bed = bed().await;
    let plain = b"a very recognisable sentence ".repeat(5_000);
    let object = bed.put(&plain).await;
    let sealed = fs::read(bed.file(&object)).unwrap();
    assert!(!sealed.windows(20).any(|window| window == &plain[..20]));
    let mode = std::os::unix::fs::PermissionsExt::mode(&fs::metadata(bed.file(&object)).unwrap().permissions());
    assert_eq!(mode & 0o777, 0o600);
}

#[tokio::test]
async fn a_failing_disk_stores_nothing() {
    let bed = bed().await;
    let plain = noise(1, 5_000_000);
    for room in [1, 2 * 1024 * 1024] {
        bed.faults().full_after_bytes.store(room, Ordering::SeqCst);
        let refused = bed.put_body("w1", chunks(&plain, 100_000), LIMIT).await.unwrap_err();
        assert_eq!(refused.kind(), Kind::Unavailable);
        assert!(refused.message().contains("no room"), "{refused}");
        assert_eq!(bed.files(), 0);
    }
    bed.faults().full_after_bytes.store(0, Ordering::SeqCst);
    bed.faults().no_sync.store(true, Ordering::SeqCst);
    assert_eq!(bed.put_body("w1", chunks(&plain, 100_000), LIMIT).await.unwrap_err().kind(), Kind::Unavailable);
    assert_eq!(bed.files(), 0);
    bed.faults().no_sync.store(false, Ordering::SeqCst);
    let object = bed.put(&plain).await;
    assert!(bed.whole(&object).await.unwrap() == plain);
}

#[tokio::test]
async fn a_body_that_breaks_off_or_is_too_large_stores_nothing() {
    let bed = bed().await;
    let broken: Vec<Result<Bytes, Problem>> = vec![Ok(Bytes::from(noise(1, 4_000_000))), Err(Problem::invalid("broke off"))];
    assert_eq!(bed.put_body("w1", Box::pin(stream::iter(broken)), LIMIT).await.unwrap_err().message(), "broke off");
    for limit in [999_999, 65_480, 0] {
        let refused = bed.put_body("w1", chunks(&noise(1, 1_000_000), 70_000), limit).await.unwrap_err();
        assert_eq!(refused.kind(), Kind::TooLarge);
    }
    bed.put_body("w1", chunks(&noise(1, 1_000_000), 70_000), 1_000_000).await.unwrap();
    assert_eq!(bed.files(), 1);
}

#[tokio::test]
async fn a_caller_that_hangs_up_leaves_nothing() {
    let bed = bed().await;
    let endless: Body = Box::pin(stream::iter([Ok(Bytes::from(noise(1, 2_000_000)))]).chain(stream::pending()));
    let gone = tokio::time::timeout(Duration::from_millis(100), bed.put_body("w1", endless, LIMIT)).await;
    assert!(gone.is_err());
    // The worker may still be at the batch; its file goes with it.
    for _ in 0..200 {
        if bed.files() == 0 {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert_eq!(bed.files(), 0);
}

#[tokio::test]
async fn what_a_crash_leaves_is_swept_and_what_is_known_stays() {
    let bed = bed().await;
    let (kept, orphan) = (bed.put(b"kept").await, bed.put(b"orphan").await);
    let folder = bed.folder.path().join("objects");
    fs::write(folder.join("incoming").join(kernel::random_id()), b"half").unwrap();
    fs::write(folder.join("stored/notes.txt"), b"not ours").unwrap();
    assert_eq!(bed.sweep(&[&kept], Duration::from_secs(3_600)).await, Swept::default());
    assert_eq!(bed.sweep(&[&kept], Duration::ZERO).await, Swept { unfinished_count: 1, orphan_count: 1 });
    assert_eq!(bed.whole(&kept).await.unwrap(), b"kept");
    assert!(bed.whole(&orphan).await.is_err());
    assert!(folder.join("stored/notes.txt").exists());
    let remote = bed_over(true).await;
    let (kept, orphan) = (remote.put(b"kept").await, remote.put(b"orphan").await);
    assert_eq!(remote.sweep(&[&kept], Duration::ZERO).await.orphan_count, 1);
    assert_eq!(remote.whole(&kept).await.unwrap(), b"kept");
    assert!(remote.whole(&orphan).await.is_err());
}

#[tokio::test]
async fn a_deleted_object_is_gone_and_may_be_deleted_again() {
    for remote in [false, true] {
        let bed = bed_over(remote).await;
        let object = bed.put(b"once").await;
        for _ in 0..2 {
            let (objects, id) = (bed.objects.clone(), object.id.clone());
            let delete = move |permit| async move { objects.delete(&permit, vec![id]).await };
            bed.gate.permit_for(GateTarget::Workspace, delete).await.unwrap();
        }
        assert!(bed.whole(&object).await.is_err());
    }
}

/// Tink's own Python code, where an environment that has it is named: `cargo xtask test` does.
#[tokio::test]
async fn tink_reads_ours_and_we_read_tinks() {
    let Ok(python) = std::env::var("STRONGROOM_TINK_PYTHON") else { return };
    let script = "../../tests/clients/tink_objects.py"; // from the folder of the package, where cargo runs tests
    let bed = bed().await;
    let run = |mode: &str, key: &[u8], aad: &[u8], from: &Path, to: &Path| {
        let (key, aad) = (kernel::hex(key), kernel::hex(aad));
        Command::new(&python).arg(script).args([mode, &key, &aad]).args([from, to]).status().unwrap().success()
    };
    for (seed, size) in edge_sizes().into_iter().enumerate() {
        let plain = noise(seed as u64, size);
        let object = bed.put(&plain).await;
        let (key, aad) = exported(&bed.objects, &object).await;
        let (sealed, opened) = (bed.file(&object), bed.folder.path().join("opened"));
        assert!(run("open", &key, &aad, &sealed, &opened), "size {size}");
        assert!(fs::read(&opened).unwrap() == plain, "size {size}");
        assert!(!run("open", &key, b"other", &sealed, &opened), "size {size}");
        fs::write(&opened, &plain).unwrap();
        assert!(run("seal", &key, &aad, &opened, &sealed));
        assert!(bed.whole(&object).await.unwrap() == plain, "size {size}");
    }
}
