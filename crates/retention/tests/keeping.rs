//! The room behind an open gate, on both engines, and objects whose files get the immutable flag. What other rooms must not do to a thing that is
//! retained is tested there.
#![expect(clippy::unwrap_used, reason = "tests")]

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use gate::{Operation, Scope};
use kernel::{Clock, FakeClock, Problem};
use parking_lot::Mutex;
use testkit::gate::TEST_WORKSPACE;
use testkit::{Engine, TestGate};
use vault::db::{Opened, Reader, Writer};
use vault::keys::{KeyFile, Keyring};
use vault::objects::{Enforcement, ObjectId, Objects};

use retention::ops::{BypassKept, ExtendKept, HoldKept, KeptPage, ListKept, Named, Reach};
use retention::seal::{SealObjects, Sealed};
use retention::{Alarm, Bypassed, ComplianceClock, Find, Found, Keeping, Kept, Kind, Lock, Mode, Retention, Rules, Subject};

const DAY: i64 = 86_400;
const RULES: &str = r#"
    [[rule]]
    name = "trials"
    kind = "dataset"
    match = "trial-*"
    mode = "GOVERNANCE"
    days = 10
    [[rule]]
    name = "clinical"
    kind = "dataset"
    class = "health"
    mode = "COMPLIANCE"
    days = 5
    [[rule]]
    name = "models"
    kind = "model"
    mode = "COMPLIANCE"
    days = 3
"#;

/// What was told of bypasses.
#[derive(Default)]
struct Told(Mutex<Vec<Bypassed>>);

impl Alarm for Told {
    fn bypassed(&self, _: &mut Writer<'_>, bypassed: &Bypassed) -> Result<(), Problem> {
        self.0.lock().push(bypassed.clone());
        Ok(())
    }
}

struct World {
    opened: Opened,
    room: Keeping,
    objects: Objects,
    gate: TestGate,
    told: Arc<Told>,
    running: Arc<AtomicU64>,
    folder: PathBuf,
    _engine: Engine,
}

impl Drop for World {
    /// No file that cannot be deleted stays behind, whatever became of the test.
    fn drop(&mut self) {
        let stored = self.folder.join("stored");
        for shard in std::fs::read_dir(stored).into_iter().flatten().flatten() {
            for file in std::fs::read_dir(shard.path()).into_iter().flatten().flatten() {
                drop(std::process::Command::new("chattr").arg("-i").arg(file.path()).output());
            }
        }
    }
}

fn on_both_engines(body: impl AsyncFn(World)) {
    testkit::on_both_engines("retention", async |engine| body(World::open(engine).await).await);
}

impl World {
    async fn open(engine: Engine) -> Self {
        let opened = vault::db::open(&engine.location).unwrap();
        let root = KeyFile::create(&engine.folder.path().join("root.key")).unwrap();
        let keys = Keyring::open(opened.system.clone(), Arc::new(root), Arc::new(FakeClock::default())).await.unwrap();
        let folder = engine.folder.path().join("objects");
        let objects = Objects::local(&folder, keys).unwrap();
        let gate = testkit::open_gate();
        let running = Arc::new(AtomicU64::new(0));
        let counted = Arc::clone(&running);
        let monotonic = Arc::new(move || Duration::from_secs(counted.load(Ordering::SeqCst)));
        let clock = ComplianceClock::with_monotonic(Arc::new(gate.clock.clone()), monotonic);
        let told = Arc::new(Told::default());
        let rules = Rules::parse(RULES, clock).unwrap();
        let ground = (opened.db.clone(), opened.system.clone());
        let room = Keeping::new(ground, objects.clone(), rules).with_alarm(Arc::clone(&told) as _);
        Self { opened, room, objects, gate, told, running, folder, _engine: engine }
    }

    /// Time goes by as it does: both clocks go on, and it is written down.
    async fn pass(&self, seconds: i64) {
        self.gate.clock.advance_secs(seconds);
        self.running.fetch_add(u64::try_from(seconds).unwrap(), Ordering::SeqCst);
        self.room.rules().clock().keep(&self.opened.system).await.unwrap();
    }

    async fn keep(&self, kind: Kind, name: &'static str, classes: &'static [&'static str], objects: Vec<String>) -> Option<Lock> {
        let (rules, at) = (self.room.rules().clone(), self.gate.clock.now());
        let work = move |writer: &mut Writer<'_>| {
            let subject = Subject { kind, id: name, name, shown: name, workspace: TEST_WORKSPACE, classes, objects: &objects };
            rules.keep(writer, &subject, at)
        };
        self.opened.system.write(work).await.unwrap()
    }

    async fn call<O: Operation>(&self, operation: O) -> Result<O::Output, Problem> {
        self.gate.call(operation).await
    }

    async fn list(&self) -> KeptPage {
        let list = ListKept { room: self.room.clone(), reach: Reach::Workspace, after: String::new(), rows: None };
        self.call(list).await.unwrap()
    }

    async fn extend(&self, name: &str, mode: Mode, days: i64) -> Result<Kept, Problem> {
        let retention = Retention { mode, until: self.gate.clock.now().plus_secs(days * DAY) };
        self.call(ExtendKept { room: self.room.clone(), which: dataset(name), retention }).await
    }

    async fn bypass(&self, name: &str, reason: &str) -> Result<Kept, Problem> {
        let bypass = BypassKept { room: self.room.clone(), which: dataset(name), until: None, reason: reason.to_owned() };
        self.call(bypass).await
    }

    async fn may_go(&self, kind: Kind, name: &'static str) -> Result<(), Problem> {
        self.opened.system.read(move |reader| retention::guard(reader, kind, name)).await
    }

    async fn seal(&self, room: &Keeping) -> Sealed {
        self.call(SealObjects { room: room.clone() }).await.unwrap()
    }

    async fn sql(&self, sql: &'static str) -> Result<u64, Problem> {
        self.opened.system.write(move |writer| Ok(writer.execute(sql, &[])?)).await
    }
}

fn dataset(name: &str) -> Named {
    Named { reach: Reach::Workspace, kind: Kind::Dataset, name: name.to_owned() }
}

#[test]
fn the_strictest_rule_that_fits_locks_and_never_unlocks() {
    on_both_engines(async |world| {
        assert_eq!(world.keep(Kind::Dataset, "other", &[], Vec::new()).await, None);
        let trial = world.keep(Kind::Dataset, "trial-1", &[], Vec::new()).await.unwrap().retention.unwrap();
        assert_eq!((trial.mode, trial.until), (Mode::Governance, world.gate.clock.now().plus_secs(10 * DAY)));
        // What is learnt later makes it stricter, and not shorter.
        let learnt = world.keep(Kind::Dataset, "trial-1", &["health"], Vec::new()).await.unwrap().retention.unwrap();
        assert_eq!((learnt.mode, learnt.until), (Mode::Compliance, trial.until));
        // Looked at again later, and with less known of it, it stays as it is: it counts from when it was made.
        world.pass(2 * DAY).await;
        let again = world.keep(Kind::Dataset, "trial-1", &[], Vec::new()).await.unwrap().retention.unwrap();
        assert_eq!(again, learnt);
        let page = world.list().await;
        let shown: Vec<_> = page.kept.iter().map(|kept| (kept.name.as_str(), kept.rule.as_str())).collect();
        assert_eq!(shown, [("trial-1", "clinical")]);
        assert_eq!(page.enforcement, Enforcement::Software);
    });
}

#[test]
fn compliance_is_neither_shortened_nor_ended_before_its_time_and_governance_only_with_a_reason() {
    on_both_engines(async |world| {
        world.keep(Kind::Dataset, "trial-1", &[], Vec::new()).await;
        world.keep(Kind::Dataset, "clinic", &["health"], Vec::new()).await;
        for name in ["trial-1", "clinic"] {
            assert!(world.may_go(Kind::Dataset, if name == "clinic" { "clinic" } else { "trial-1" }).await.is_err());
            assert!(world.extend(name, Mode::Governance, 1).await.is_err(), "{name}");
        }
        assert!(world.extend("clinic", Mode::Governance, 50).await.is_err());
        assert!(world.bypass("clinic", "please").await.is_err());
        assert!(world.bypass("trial-1", "  ").await.is_err());
        assert!(world.told.0.lock().is_empty());
        world.bypass("trial-1", "collected without consent").await.unwrap();
        {
            let told = world.told.0.lock();
            let one = told.first().unwrap();
            assert_eq!((one.verb, one.subject.as_str(), told.len()), ("retention.bypass", "trial-1", 1));
            assert_eq!(one.reason, "collected without consent");
        }
        world.may_go(Kind::Dataset, "trial-1").await.unwrap();
        // Stricter needs no bypass; a hold outlasts it all.
        world.keep(Kind::Dataset, "trial-2", &[], Vec::new()).await;
        let kept = world.extend("trial-2", Mode::Compliance, 20).await.unwrap();
        assert_eq!(kept.lock.retention.unwrap().mode, Mode::Compliance);
        let hold = |hold| HoldKept { room: world.room.clone(), which: dataset("trial-2"), hold };
        world.call(hold(true)).await.unwrap();
        world.pass(21 * DAY).await;
        assert!(world.may_go(Kind::Dataset, "trial-2").await.is_err());
        world.may_go(Kind::Dataset, "clinic").await.unwrap();
        world.call(hold(false)).await.unwrap();
        world.may_go(Kind::Dataset, "trial-2").await.unwrap();
    });
}

/// A version of a model, as its room knows it.
struct Shelf(Mutex<Found>);

impl Find for Shelf {
    fn kind(&self) -> Kind {
        Kind::Model
    }

    fn find(&self, _: &mut Reader<'_>, workspace: &str, name: &str) -> Result<Option<Found>, Problem> {
        let found = self.0.lock().clone();
        Ok(Some(found).filter(|found| workspace == TEST_WORKSPACE && (found.shown == name || found.id == name)))
    }
}

#[test]
fn a_legal_hold_needs_no_rule_and_leaves_nothing_behind() {
    on_both_engines(async |world| {
        let found = Found { id: "m_1/3".to_owned(), shown: "churn/3".to_owned(), objects: vec![OBJECT.to_owned()] };
        let shelf = Arc::new(Shelf(Mutex::new(found)));
        let room = world.room.clone().with_rooms(vec![Arc::clone(&shelf) as Arc<dyn Find>]);
        let which = |name: &str| Named { reach: Reach::Workspace, kind: Kind::Model, name: name.to_owned() };
        let hold = |name: &str, hold| HoldKept { room: room.clone(), which: which(name), hold };
        for (name, is_held) in [("churn/3", false), ("churn/4", true)] {
            let refused = world.call(hold(name, is_held)).await.unwrap_err();
            assert_eq!(refused.kind(), kernel::Kind::NotFound, "{name}");
        }
        let until = world.gate.clock.now().plus_secs(DAY);
        let extend = |name: &str| {
            let retention = Retention { mode: Mode::Compliance, until };
            ExtendKept { room: room.clone(), which: which(name), retention }
        };
        assert!(world.call(extend("churn/3")).await.is_err(), "only what is retained is retained longer");
        let kept = world.call(hold("churn/3", true)).await.unwrap();
        assert_eq!((kept.rule.as_str(), kept.object_count, kept.lock.hold), ("", 1, true));
        let refused = world.may_go(Kind::Model, "m_1/3").await.unwrap_err();
        assert!(refused.message().contains("legal hold") && !refused.message().contains("rule"), "{refused}");
        let object = ObjectId::parse(OBJECT).unwrap();
        let asked = object.clone();
        assert!(world.opened.system.read(move |reader| retention::guard_objects(reader, &[asked])).await.is_err());
        for sql in ["DELETE FROM retained", "DELETE FROM retained_object"] {
            assert!(world.sql(sql).await.is_err(), "{sql}");
        }
        // Files that came since are held when it is asked for again.
        shelf.0.lock().objects.push("f".repeat(32));
        assert_eq!(world.call(hold("churn/3", true)).await.unwrap().object_count, 2);
        // The name is another one's now: that one is meant, and what had it before goes by its id.
        shelf.0.lock().id = "m_2/3".to_owned();
        assert_eq!(world.call(hold("churn/3", true)).await.unwrap().subject, "m_2/3");
        assert_eq!(world.list().await.kept.len(), 2);
        world.call(hold("churn/3", false)).await.unwrap();
        assert!(world.may_go(Kind::Model, "m_1/3").await.is_err());
        world.call(hold("m_1/3", false)).await.unwrap();
        assert!(world.list().await.kept.is_empty());
        world.may_go(Kind::Model, "m_1/3").await.unwrap();
        world.opened.system.read(move |reader| retention::guard_objects(reader, &[object])).await.unwrap();
        // A retention that was put on meanwhile stays when the hold goes.
        world.call(hold("churn/3", true)).await.unwrap();
        world.call(extend("churn/3")).await.unwrap();
        world.call(hold("churn/3", false)).await.unwrap();
        assert!(world.may_go(Kind::Model, "m_2/3").await.is_err());
    });
}

#[test]
fn who_sees_some_models_is_shown_what_is_retained_of_these_alone() {
    on_both_engines(async |world| {
        world.keep(Kind::Dataset, "clinic", &["health"], Vec::new()).await;
        for version in ["m_1/3", "m_12/1", "mx1/1"] {
            world.keep(Kind::Model, version, &[], Vec::new()).await;
        }
        let only = |models: &[&str]| {
            let models = models.iter().map(|model| (*model).to_owned()).collect();
            Scope::Only { experiments: vec![7], models }
        };
        for (scope, expected) in [
            (Scope::Workspace, vec!["clinic", "m_1/3", "m_12/1", "mx1/1"]),
            (only(&["m_1"]), vec!["m_1/3"]),
            (only(&["m_1", "m_12", "m_none"]), vec!["m_1/3", "m_12/1"]),
            (only(&[]), Vec::new()),
            (Scope::Nothing, Vec::new()),
            (Scope::Datasets(vec!["clinic".to_owned()]), Vec::new()),
        ] {
            world.gate.set_scope(scope.clone());
            let mut names: Vec<String> = world.list().await.kept.into_iter().map(|kept| kept.name).collect();
            names.sort();
            assert_eq!(names, expected, "{scope:?}");
        }
    });
}

#[test]
fn a_wall_clock_that_jumps_releases_nothing() {
    on_both_engines(async |world| {
        world.keep(Kind::Dataset, "clinic", &["health"], Vec::new()).await;
        world.gate.clock.advance_secs(1_000 * DAY);
        world.room.rules().clock().keep(&world.opened.system).await.unwrap();
        assert!(world.may_go(Kind::Dataset, "clinic").await.is_err());
        assert!(world.bypass("clinic", "its time is over").await.is_err());
    });
}

#[test]
fn the_database_refuses_what_the_code_might_forget() {
    on_both_engines(async |world| {
        for sql in [
            "INSERT INTO data_set (dataset_id, workspace, name, last_number, created_at, created_by) VALUES ('d', 'w', 'clinic', 1, 0, 'x')",
            "INSERT INTO data_version (version_id, dataset_id, workspace, number, state, committer, opened_at, file_count, size_bytes, roles,
                 is_personal, is_special, is_health, is_financial) VALUES ('clinic', 'd', 'w', 1, 'admitted', 'x', 0, 1, 1, '{}', 0, 0, 0, 0)",
            "INSERT INTO model_version (model_id, version, source, storage_location, stage, status, owner, deleted, created_at, updated_at)
                 VALUES ('m', 3, 's', 'l', 'None', 'READY', 'x', 0, 0, 0)",
        ] {
            world.sql(sql).await.unwrap();
        }
        let digest = vec![7_u8; 32];
        let rows = move |writer: &mut Writer<'_>| {
            let file =
                "INSERT INTO data_file (version_id, path, object_id, workspace, size_bytes, sha256, wrapped_key, key_version)
                        VALUES ('clinic', 'a', 'of-data', 'w', 1, $1, $1, 1)";
            writer.execute(file, &[vault::db::Bind::Bytes(&digest)])?;
            let artifact = "INSERT INTO artifact (id, owner_kind, owner_id, path, workspace, experiment, size_bytes, sha256, created_at, created_by)
                            VALUES ('a', 'run', 'r', 'model.bin', 'w', 1, 1, $1, 0, 'x')";
            writer.execute(artifact, &[vault::db::Bind::Bytes(&digest)])?;
            let part = "INSERT INTO artifact_part (artifact_id, part_number, object_id, workspace, size_bytes, sha256, wrapped_key, key_version)
                        VALUES ('a', 1, $2, 'w', 1, $1, $1, 1)";
            writer.execute(part, &[vault::db::Bind::Bytes(&digest), OBJECT.into()])?;
            Ok(())
        };
        world.opened.system.write(rows).await.unwrap();
        world.keep(Kind::Dataset, "clinic", &["health"], Vec::new()).await;
        world.keep(Kind::Model, "m/3", &[], vec![OBJECT.to_owned()]).await;
        let tried = [
            "DELETE FROM retained",
            "UPDATE retained SET retain_until = retain_until - 1",
            "UPDATE retained SET lock_mode = 'GOVERNANCE'",
            "UPDATE retained SET lock_mode = NULL, retain_until = NULL",
            "UPDATE retained SET subject = 'other'",
            "DELETE FROM retained_object",
            "UPDATE retained_object SET object_id = 'other'",
            "DELETE FROM data_version",
            "UPDATE data_version SET number = 2",
            "UPDATE data_version SET size_bytes = 2",
            "DELETE FROM data_file",
            "UPDATE data_file SET object_id = 'other'",
            "UPDATE data_file SET path = 'b'",
            "DELETE FROM model_version",
            "UPDATE model_version SET deleted = 1",
            "UPDATE model_version SET storage_location = 'other'",
            "DELETE FROM artifact_part",
            "UPDATE artifact_part SET object_id = 'other'",
            "UPDATE artifact SET path = 'other'",
        ];
        for sql in tried {
            assert!(world.sql(sql).await.is_err(), "{sql}");
        }
        let object = ObjectId::parse(OBJECT).unwrap();
        let drop_it = {
            let object = object.clone();
            move |reader: &mut vault::db::Reader<'_>| retention::guard_objects(reader, &[object])
        };
        let refused = world.opened.system.read(drop_it).await.unwrap_err();
        assert!(refused.message().contains("`m/3`") && refused.message().contains("`models`"), "{refused}");
        // What is no part of the thing may change, a key may be wrapped anew, and the lock may grow.
        for sql in [
            "UPDATE data_version SET verdict = 'pass'",
            "UPDATE data_file SET key_version = 2",
            "UPDATE artifact_part SET key_version = 2",
            "UPDATE model_version SET stage = 'Production'",
            "UPDATE retained SET retain_until = retain_until + 1",
        ] {
            assert!(world.sql(sql).await.unwrap() > 0, "{sql}");
        }
        world.pass(6 * DAY).await;
        for sql in ["DELETE FROM artifact_part", "DELETE FROM data_file", "UPDATE model_version SET deleted = 1"] {
            assert!(world.sql(sql).await.unwrap() > 0, "{sql}");
        }
        world.opened.system.read(move |reader| retention::guard_objects(reader, &[object])).await.unwrap();
    });
}

const OBJECT: &str = "0123456789abcdef0123456789abcdef";

/// Stores an object; behind a gate, because that is the only way.
struct Put(Objects);

impl Operation for Put {
    const ACTION: gate::Action = gate::Action::write("buckets.write");
    type Output = ObjectId;

    fn target(&self) -> gate::Target {
        gate::Target::Workspace
    }

    async fn run(self, permit: gate::Permit<Self>) -> Result<ObjectId, Problem> {
        // More than is kept in the database.
        let body = Box::pin(futures_util::stream::iter([Ok(Bytes::from(vec![7; 20 << 10]))]));
        let stored = self.0.put(&permit, TEST_WORKSPACE, body, 1 << 20).await?;
        permit.defer_outcome().settle(&gate::Outcome::done());
        Ok(stored.id)
    }
}

#[test]
fn files_of_what_is_under_compliance_are_immutable_until_its_time_is_over() {
    on_both_engines(async |world| {
        let (objects, fault) = world.objects.clone().with_immutable_files().unwrap();
        if let Some(fault) = fault {
            eprintln!("skipped: {fault}");
            return;
        }
        assert_eq!(objects.enforcement(), Enforcement::Flag);
        let ground = (world.opened.db.clone(), world.opened.system.clone());
        let room = Keeping::new(ground, objects.clone(), world.room.rules().clone());
        let (locked, free) = (world.call(Put(objects.clone())).await.unwrap(), world.call(Put(objects.clone())).await.unwrap());
        world.keep(Kind::Model, "m/3", &[], vec![locked.as_str().to_owned()]).await;
        assert!(room.is_seal_due().await.unwrap());
        assert_eq!(world.seal(&room).await, Sealed { sealed_count: 1, released_count: 0, failed_count: 0 });
        assert!(!room.is_seal_due().await.unwrap());
        let file = |id: &ObjectId| world.folder.join(vault::objects::stored_place(id));
        assert!(std::fs::remove_file(file(&locked)).is_err());
        assert!(std::fs::write(file(&locked), b"other").is_err());
        std::fs::remove_file(file(&free)).unwrap();
        // Where the flag is switched off again, what is sealed stays so until its time is over.
        world.pass(2 * DAY).await;
        assert_eq!(world.seal(&world.room).await, Sealed::default());
        world.pass(DAY + 1).await;
        assert_eq!(world.seal(&world.room).await, Sealed { sealed_count: 0, released_count: 1, failed_count: 0 });
        std::fs::remove_file(file(&locked)).unwrap();
    });
}

#[test]
fn a_lock_that_cannot_be_read_is_an_error() {
    on_both_engines(async |world| {
        world
            .sql(
                "INSERT INTO retained (id, kind, subject, name, workspace, rule, lock_mode, retain_until, legal_hold, created_at)
                   VALUES ('a', 'dataset', 'broken', 'broken', 'w', 'r', 'COMPLIANCE', NULL, 0, 0)",
            )
            .await
            .unwrap();
        let asked = world.may_go(Kind::Dataset, "broken").await.unwrap_err();
        assert_ne!(asked.kind(), kernel::Kind::Forbidden);
    });
}
