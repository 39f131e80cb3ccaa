//! The room behind an open gate, on both engines. Real clients are in `tests/clients/test_s3.py` and `test_s3_locks.py`.

mod listing;
mod locks;
mod objects;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use futures_util::StreamExt;
use gate::{Facts, Operation, Target};
use kernel::{FakeClock, Problem};
use testkit::gate::TEST_WORKSPACE;
use testkit::{Engine, TestGate};
use vault::db::Opened;
use vault::keys::{KeyFile, Keyring};
use vault::objects::Objects;

use crate::lock::{Lock, Mode};
use crate::ops::buckets::CreateBucket;
use crate::ops::lock::{BypassLeave, HoldLeave, MayBypass, MayHold, MayRetain, RetainLeave};
use crate::ops::read::{Found, Of, ReadConditions, ReadObject};
use crate::ops::remove::{Removal, RemoveObjects, Removed};
use crate::ops::write::{LockLeave, Wish, WriteObject, Written};
use crate::{Buckets, Code, ComplianceClock, Incoming};

/// One engine under test.
struct World {
    opened: Opened,
    room: Buckets,
    gate: TestGate,
    /// The monotonic clock, in seconds.
    running: Arc<AtomicU64>,
    _engine: Engine,
}

/// Runs `body` on every engine.
fn on_both_engines(body: impl AsyncFn(World)) {
    testkit::on_both_engines("buckets", async |engine| body(World::open(engine).await).await);
}

impl World {
    async fn open(engine: Engine) -> Self {
        let opened = vault::db::open(&engine.location).unwrap();
        let root = KeyFile::create(&engine.folder.path().join("root.key")).unwrap();
        let keys = Keyring::open(opened.system.clone(), Arc::new(root), Arc::new(FakeClock::default())).await.unwrap();
        let objects = Objects::local(&engine.folder.path().join("objects"), keys).unwrap();
        let gate = testkit::open_gate();
        let ports = opened.ports.clone();
        gate.set_facts_of(move |target| facts(&ports, target));
        let running = Arc::new(AtomicU64::new(0));
        let clock = clock_of(&gate, &running);
        let room = Buckets::with_clock(opened.db.clone(), objects, clock);
        Self { opened, room, gate, running, _engine: engine }
    }

    /// Time goes by as it does: both clocks go on.
    fn pass(&self, seconds: u32) {
        self.gate.clock.advance_secs(i64::from(seconds));
        self.running.fetch_add(u64::from(seconds), Ordering::SeqCst);
    }

    /// The same room after a restart.
    fn restarted(&self) -> Buckets {
        Buckets { clock: clock_of(&self.gate, &self.running), ..self.room.clone() }
    }

    async fn call<O: Operation>(&self, operation: O) -> Result<O::Output, Problem> {
        self.pass(1);
        self.gate.call(operation).await
    }

    async fn bucket(&self, name: &str, lock_enabled: bool) {
        self.call(CreateBucket { room: self.room.clone(), name: name.to_owned(), lock_enabled, tags: crate::Tags::default() })
            .await
            .unwrap();
    }

    async fn put(&self, bucket: &str, key: &str, bytes: &[u8]) -> Written {
        self.put_wish(bucket, key, bytes, Wish::default()).await.unwrap()
    }

    async fn put_wish(&self, bucket: &str, key: &str, bytes: &[u8], wish: Wish) -> Result<Written, Problem> {
        let incoming = Incoming::of(Bytes::copy_from_slice(bytes));
        let (bucket, key) = (bucket.to_owned(), key.to_owned());
        self.call(WriteObject { room: self.room.clone(), bucket, key, incoming, wish }).await
    }

    async fn get(&self, bucket: &str, key: &str, version_id: Option<&str>) -> Result<(Found, Vec<u8>), Problem> {
        let read = ReadObject {
            room: self.room.clone(),
            bucket: bucket.to_owned(),
            key: key.to_owned(),
            version_id: version_id.map(str::to_owned),
            wanted: Of::Bytes(vault::objects::Wanted::Whole),
            has_body: true,
            when: ReadConditions::default(),
        };
        let mut found = self.call(read).await?;
        let mut bytes = Vec::new();
        let mut body = found.body.take().unwrap();
        while let Some(piece) = body.next().await {
            bytes.extend_from_slice(&piece?);
        }
        Ok((found, bytes))
    }

    async fn remove(&self, room: &Buckets, bucket: &str, key: &str, version_id: Option<&str>, bypass: bool) -> Removed {
        let bypass = if bypass { Some(self.bypass(bucket).await) } else { None };
        let removal = Removal { key: key.to_owned(), version_id: version_id.map(str::to_owned), ..Removal::default() };
        let remove = RemoveObjects { room: room.clone(), bucket: bucket.to_owned(), removals: vec![removal], bypass };
        self.call(remove).await.unwrap().remove(0)
    }

    async fn retain(&self, bucket: &str) -> RetainLeave {
        self.call(MayRetain { bucket: bucket.to_owned(), reason: None }).await.unwrap()
    }

    async fn hold(&self, bucket: &str) -> HoldLeave {
        self.call(MayHold { bucket: bucket.to_owned(), reason: None }).await.unwrap()
    }

    async fn bypass(&self, bucket: &str) -> BypassLeave {
        self.call(MayBypass { bucket: bucket.to_owned(), reason: Some("a test".to_owned()) }).await.unwrap()
    }

    /// A wish to be retained until so many seconds from now.
    async fn retained(&self, bucket: &str, mode: Mode, seconds: i64) -> Wish {
        use kernel::Clock;
        let until = self.gate.clock.now().plus_secs(seconds);
        let lock = Lock { retention: Some(crate::lock::Retention { mode, until }), hold: false };
        Wish { lock, leave: LockLeave { retain: Some(self.retain(bucket).await), hold: None }, ..Wish::default() }
    }
}

fn clock_of(gate: &TestGate, running: &Arc<AtomicU64>) -> ComplianceClock {
    let running = Arc::clone(running);
    let monotonic = Arc::new(move || Duration::from_secs(running.load(Ordering::SeqCst)));
    ComplianceClock::with_monotonic(Arc::new(gate.clock.clone()), monotonic)
}

/// What the server's look-up finds.
fn facts(ports: &vault::db::PortDb, target: &Target) -> Facts {
    let nothing = Facts { workspace: Some(TEST_WORKSPACE.to_owned()), ..Facts::default() };
    let Target::Bucket(name) = target else { return Facts { exists: true, ..nothing } };
    let (ports, name) = (ports.clone(), name.clone());
    let look = async move { ports.read_point(move |reader| Ok(crate::locate(reader, &name)?)).await.unwrap() };
    tokio::task::block_in_place(|| tokio::runtime::Handle::current().block_on(look)).unwrap_or(nothing)
}

fn code(problem: &Problem) -> Option<Code> {
    // A lock refuses without a code of its own: S3 tells it as this one.
    Code::of(problem).or_else(|| (problem.kind() == kernel::Kind::Forbidden).then_some(Code::AccessDenied))
}
