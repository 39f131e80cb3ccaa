//! Keys by the calendar, and their end.

use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};

use artifacts::{
    ApproveDestroy, CancelDestroy, DestroyDue, DestroysOf, GetKeysStatus, KeyGround, KeyPolicy, ListDestroys, RequestDestroy,
    RewrapDue, RotateDue, Rotated, VerifyKeys,
};
use gate::{Attempt, Operation};
use kernel::Micros;
use vault::db::Reader;
use vault::keys::{DestroyRequest, DestroyState, Retained, Tombstone, replay, tombstones};

use super::*;

const DAY_S: i64 = 86_400;
const BEGIN: Micros = Micros(1_700_000_000_000_000);

/// Retains while it is told to, and says the time that it is told; none while that is 0.
#[derive(Default)]
struct Told(AtomicBool, AtomicI64);

impl Retained for Told {
    fn retained(&self, _: &mut Reader<'_>, workspace: &str) -> Result<Option<String>, Problem> {
        assert_eq!(workspace, TEST_WORKSPACE);
        Ok(self.0.load(Ordering::SeqCst).then(|| "a version is locked".to_owned()))
    }

    fn time(&self, _: &mut Reader<'_>) -> Result<Option<Micros>, Problem> {
        let told = self.1.load(Ordering::SeqCst);
        Ok((told != 0).then_some(Micros(told)))
    }
}

struct Life {
    bed: Bed,
    clock: FakeClock,
    told: Arc<Told>,
}

async fn life_at(engine: Engine) -> Life {
    let Engine { location, folder, .. } = engine;
    let opened = open(&location).unwrap();
    let root = KeyFile::create(&folder.path().join("root.key")).unwrap();
    let clock = FakeClock::at(BEGIN);
    let keys = Keyring::open(opened.system.clone(), Arc::new(root), Arc::new(clock.clone())).await.unwrap();
    keys.note_root().await.unwrap();
    keys.tombstone_key().await.unwrap();
    let told = Arc::new(Told::default());
    let objects = Objects::local(&folder.path().join("objects"), keys.clone()).unwrap();
    let policy = KeyPolicy { rotate_workspace_days: 90, rotate_root_days: 365, destroy_wait_days: 7 };
    let ground = KeyGround { policy, retained: Arc::clone(&told) as _, searched: vec![folder.path().to_path_buf()] };
    let room = Artifacts::new(opened.db.clone(), objects).with_keys(ground);
    let bed = Bed { folder, opened, room, keys, gate: testkit::open_gate(), run: kernel::random_id() };
    Life { bed, clock, told }
}

async fn lives() -> Vec<Life> {
    let mut lives = Vec::new();
    for engine in Engine::all("keylife") {
        lives.push(life_at(engine).await);
    }
    lives
}

impl Life {
    async fn by<O: Operation>(&self, who: &'static str, verb: O) -> Result<O::Output, Problem> {
        self.bed.gate.gate.call(Attempt::of_job(self.bed.gate.job_key.pass(who)), verb).await
    }

    fn room(&self) -> Artifacts {
        self.bed.room.clone()
    }

    async fn request(&self, who: &'static str) -> Result<DestroyRequest, Problem> {
        self.by(who, RequestDestroy { room: self.room(), reason: "the contract ended".to_owned() }).await
    }

    async fn approve(&self, who: &'static str, request: &str) -> Result<DestroyRequest, Problem> {
        self.by(who, ApproveDestroy { room: self.room(), request: request.to_owned() }).await
    }

    async fn destroy_due(&self) -> Vec<Result<Tombstone, Problem>> {
        let (mut all, mut passed_over) = (Vec::new(), Vec::new());
        while let Some(next) =
            self.by("shredder", DestroyDue { room: self.room(), passed_over: passed_over.clone() }).await.unwrap()
        {
            passed_over.push(next.request);
            all.push(next.done);
        }
        all
    }

    async fn key_rows(&self) -> Vec<(i64, i64)> {
        let sql = "SELECT version, LENGTH(wrapped) FROM vault_key WHERE purpose = 'workspace' ORDER BY version";
        self.bed.opened.ports.read(move |reader| Ok(reader.query(sql, &[], |row| Ok((row.int(0)?, row.int(1)?)))?)).await.unwrap()
    }

    async fn graves(&self) -> Vec<Tombstone> {
        self.bed.opened.ports.read(tombstones).await.unwrap()
    }

    fn kind_of<T>(result: Result<T, Problem>) -> Kind {
        result.map(|_| ()).unwrap_err().kind()
    }
}

#[tokio::test]
async fn a_clock_that_is_set_forward_or_back_ends_no_wait() {
    for life in lives().await {
        life.bed.write("a", b"kept for now").await.unwrap();
        let tell = |time: Micros| life.told.1.store(time.0, Ordering::SeqCst);
        tell(BEGIN.plus_secs(DAY_S));
        let request = life.request("alice").await.unwrap();
        let approved = life.approve("bob", &request.id).await.unwrap();
        assert_eq!(approved.due_at, Some(BEGIN.plus_secs(8 * DAY_S)), "the machine's clock was a day behind");
        life.clock.advance_secs(100 * DAY_S);
        for time in [BEGIN.plus_secs(DAY_S), BEGIN.plus_secs(8 * DAY_S - 1)] {
            tell(time);
            let done = life.destroy_due().await;
            let [Err(refused)] = done.as_slice() else { panic!("{done:?}") };
            assert!(refused.kind() == Kind::Conflict && refused.message().contains("not done before 2023-11-22"), "{refused}");
        }
        assert_eq!(life.bed.read("a", Wanted::Whole).await.unwrap(), b"kept for now");
        tell(BEGIN.plus_secs(8 * DAY_S));
        let done = life.destroy_due().await;
        assert!(matches!(done.as_slice(), [Ok(_)]), "{done:?}");
    }
}

#[tokio::test]
async fn a_key_is_destroyed_by_two_people_after_a_wait_and_nothing_opens_any_more() {
    for life in lives().await {
        let bed = &life.bed;
        assert_eq!(Life::kind_of(life.request("alice").await), Kind::NotFound, "nothing was encrypted yet");
        bed.write("a", &noise(1, 100_000)).await.unwrap();
        bed.gate.call(RotateWorkspaceKey { room: life.room() }).await.unwrap();
        bed.write("b", b"under the second version").await.unwrap();
        // The rows as a backup has them.
        let old_rows = "SELECT purpose, name, version, wrapped, root_name, root_version, created_at FROM vault_key";
        bed.opened
            .system
            .write(move |writer| Ok(writer.execute(&format!("CREATE TABLE old_copy AS {old_rows}"), &[])?))
            .await
            .unwrap();

        let request = life.request("alice").await.unwrap();
        assert_eq!(Life::kind_of(life.request("bob").await), Kind::Conflict, "one at a time");
        assert_eq!(Life::kind_of(life.approve("alice", &request.id).await), Kind::Forbidden, "nobody alone");
        assert_eq!(Life::kind_of(life.approve("bob", "another").await), Kind::NotFound);
        life.clock.advance_secs(30 * DAY_S);
        assert!(life.destroy_due().await.is_empty(), "not agreed to");
        let approved = life.approve("bob", &request.id).await.unwrap();
        assert_eq!(approved.due_at, Some(BEGIN.plus_secs(37 * DAY_S)));
        assert_eq!(Life::kind_of(life.approve("carol", &request.id).await), Kind::Conflict);
        life.clock.advance_secs(7 * DAY_S - 1);
        assert!(life.destroy_due().await.is_empty(), "not before its time");
        assert_eq!(bed.read("a", Wanted::Whole).await.unwrap(), noise(1, 100_000));
        life.clock.advance_secs(1);
        let done = life.destroy_due().await;
        let [Ok(tombstone)] = done.as_slice() else { panic!("{done:?}") };

        assert!(life.key_rows().await.is_empty());
        for path in ["a", "b"] {
            let refused = bed.read(path, Wanted::Whole).await.unwrap_err();
            assert!(refused.kind() == Kind::Gone && refused.message().contains("destroyed on 2023-12-21"), "{refused}");
        }
        assert_eq!(Life::kind_of(bed.write("c", b"new").await), Kind::Gone, "no new key comes up under an old name");
        assert_eq!(Life::kind_of(bed.gate.call(RotateWorkspaceKey { room: life.room() }).await), Kind::Gone);
        assert_eq!(Life::kind_of(bed.gate.call(RewrapKeys { room: life.room() }).await), Kind::Gone);
        assert_eq!(Life::kind_of(life.request("alice").await), Kind::Gone);
        assert!(life.destroy_due().await.is_empty());
        let report = bed.gate.call(VerifyObjects { room: life.room() }).await.unwrap();
        assert_eq!((report.damaged_count, report.destroyed_count), (0, 2));
        let keys = bed.gate.call(VerifyKeys { room: life.room(), all: true }).await.unwrap();
        assert!(keys.is_ok() && keys.destroyed_count == 2 && keys.object_count == 0, "{keys:?}");

        // The tombstone names who and which, and nobody else could have signed it.
        let key = bed.room_keys().tombstone_key().await.unwrap();
        assert!(tombstone.holds(&key) && !tombstone.holds(&[7; 32]));
        for line in ["versions 1,2", "requested alice ", "approved bob "] {
            assert!(tombstone.note.contains(line), "{}", tombstone.note);
        }
        assert!(!tombstone.note.contains("contract"), "the reason is a digest there");
        let changed = Tombstone { note: tombstone.note.replace("alice", "mallory"), ..tombstone.clone() };
        assert!(!changed.holds(&key));
        assert!(!Tombstone { workspace: "another".to_owned(), ..tombstone.clone() }.holds(&key));
        assert_eq!(life.graves().await, std::slice::from_ref(tombstone));
        let other = "INSERT INTO vault_key_destroy (id, workspace, reason, state, requested_by, requested_at)
                     VALUES ('q', 'another', 'why', 'requested', 'u', 1)";
        bed.opened.system.write(move |writer| Ok(writer.execute(other, &[])?)).await.unwrap();
        let list = |of| bed.gate.call(ListDestroys { room: life.room(), of });
        let own = list(DestroysOf::Workspace).await.unwrap();
        assert_eq!((own.len(), own[0].state, own[0].ended_by.as_deref()), (1, DestroyState::Done, Some("shredder")));
        assert_eq!(list(DestroysOf::Server).await.unwrap().len(), 2);
        let recorded = bed.gate.recorded();
        let sealed = |line: &&String| line.starts_with("sealed keys.destroy_due done") && line.contains("version_count=2");
        assert_eq!(recorded.iter().filter(sealed).count(), 1, "{recorded:?}");
        assert!(!recorded.iter().any(|line| line.contains("contract")), "a reason may name people");

        // A restore brings the rows back; replaying the tombstone takes them away, whoever comes with another's does nothing.
        let grave = tombstone.clone();
        let restored = bed.opened.system.write(move |writer| {
            writer.execute("DELETE FROM vault_key_tombstone", &[])?;
            writer.execute("INSERT INTO vault_key SELECT * FROM old_copy WHERE purpose = 'workspace'", &[])?;
            assert!(replay(writer, &changed, &key).is_err());
            Ok((replay(writer, &grave, &key)?, replay(writer, &grave, &key)?))
        });
        assert_eq!(restored.await.unwrap(), (2, 0));
        assert!(life.key_rows().await.is_empty() && life.graves().await == [tombstone.clone()]);
        bed.opened.system.write(|writer| Ok(writer.execute("DROP TABLE old_copy", &[])?)).await.unwrap();
    }
}

#[tokio::test]
async fn another_server_on_the_same_database_forgets_too() {
    for life in lives().await {
        life.bed.write("a", b"text").await.unwrap();
        let root = KeyFile::open(&life.bed.folder.path().join("root.key")).unwrap();
        let keys = Keyring::open(life.bed.opened.system.clone(), Arc::new(root), Arc::new(life.clock.clone())).await.unwrap();
        let before = keys.workspace(TEST_WORKSPACE).await.unwrap();
        life.bed.gate.call(RotateWorkspaceKey { room: life.room() }).await.unwrap();
        assert_eq!(keys.workspace(TEST_WORKSPACE).await.unwrap().version, 1);
        life.clock.advance_secs(31);
        assert_eq!(keys.workspace(TEST_WORKSPACE).await.unwrap().version, 2, "a rotation is seen");
        let request = life.request("alice").await.unwrap();
        life.approve("bob", &request.id).await.unwrap();
        life.clock.advance_secs(7 * DAY_S);
        // Held again, just before it goes.
        drop(keys.workspace(TEST_WORKSPACE).await.unwrap());
        assert!(life.destroy_due().await[0].is_ok());
        life.clock.advance_secs(30);
        assert_eq!(Life::kind_of(keys.workspace(TEST_WORKSPACE).await), Kind::Gone);
        let sealed = vault::keys::ObjectKey { wrapped: vec![1; 81], version: before.version };
        assert_eq!(Life::kind_of(keys.unwrap_object_key(TEST_WORKSPACE, b"x", &sealed).await), Kind::Gone);
    }
}

#[tokio::test]
async fn what_must_be_kept_keeps_its_key() {
    for life in lives().await {
        life.bed.write("a", b"text").await.unwrap();
        life.told.0.store(true, Ordering::SeqCst);
        assert_eq!(Life::kind_of(life.request("alice").await), Kind::Conflict);
        life.told.0.store(false, Ordering::SeqCst);
        let request = life.request("alice").await.unwrap();
        life.told.0.store(true, Ordering::SeqCst);
        assert_eq!(Life::kind_of(life.approve("bob", &request.id).await), Kind::Conflict);
        life.told.0.store(false, Ordering::SeqCst);
        life.approve("bob", &request.id).await.unwrap();
        life.clock.advance_secs(8 * DAY_S);
        // Locked after it was agreed to: asked again in the transaction that would destroy.
        life.told.0.store(true, Ordering::SeqCst);
        let kept = life.destroy_due().await;
        assert!(matches!(kept.as_slice(), [Err(problem)] if problem.message().contains("a version is locked")), "{kept:?}");
        assert_eq!(life.bed.read("a", Wanted::Whole).await.unwrap(), b"text");
        assert!(life.graves().await.is_empty());
        let cancelled = life.by("carol", CancelDestroy { room: life.room(), request: request.id.clone() }).await.unwrap();
        assert_eq!(cancelled.state, DestroyState::Cancelled);
        life.told.0.store(false, Ordering::SeqCst);
        assert!(life.destroy_due().await.is_empty(), "taken back is taken back");
        assert_eq!(
            Life::kind_of(life.by("carol", CancelDestroy { room: life.room(), request: request.id }).await),
            Kind::Conflict
        );
        life.request("alice").await.unwrap();
    }
}

#[tokio::test]
async fn keys_are_rotated_by_the_calendar_and_an_interrupted_rewrap_goes_on() {
    for life in lives().await {
        for path in ["a", "b", "c"] {
            life.bed.write(path, path.as_bytes()).await.unwrap();
        }
        let rotate = || life.by("custodian", RotateDue { room: life.room() });
        let rewrap = || life.by("custodian", RewrapDue { room: life.room() });
        life.clock.advance_secs(90 * DAY_S - 1);
        assert_eq!((rotate().await.unwrap(), rewrap().await.unwrap()), (None, 0));
        life.clock.advance_secs(1);
        assert_eq!(rotate().await.unwrap(), Some(Rotated::Workspace(TEST_WORKSPACE.to_owned(), 2)));
        assert_eq!(rotate().await.unwrap(), None);
        let status = || life.bed.gate.call(GetKeysStatus { room: life.room() });
        let counts = |status: artifacts::KeysStatus| -> Vec<u64> {
            status.workspaces[0].versions.iter().map(|version| version.object_count).collect()
        };
        assert_eq!(counts(status().await.unwrap()), [3, 0], "interrupted here");
        assert_eq!((rewrap().await.unwrap(), rewrap().await.unwrap()), (3, 0));
        assert_eq!(counts(status().await.unwrap()), [0, 3]);
        // A file is not rotated by a server; that it should be is said.
        life.clock.advance_secs(275 * DAY_S);
        let rotated = rotate().await.unwrap();
        assert!(matches!(rotated, Some(Rotated::Workspace(_, 3))), "{rotated:?}");
        assert_eq!(rotate().await.unwrap(), None);
        let status = status().await.unwrap();
        assert!(status.is_root_overdue && status.warnings.iter().any(|warning| warning.contains("by hand")), "{status:?}");
    }
}

#[tokio::test]
async fn verification_finds_keys_that_do_not_open_and_keys_that_lie_open() {
    let life = life_at(Engine::sqlite()).await;
    for path in ["a", "b"] {
        life.bed.write(path, path.as_bytes()).await.unwrap();
    }
    let verify = |all| life.bed.gate.call(VerifyKeys { room: life.room(), all });
    // The root key's own file lies in the folder that is searched here, and is none of these keys.
    for all in [true, false] {
        let report = verify(all).await.unwrap();
        assert!(report.is_ok() && report.object_count == 2 && report.keys.searched_all, "{report:?}");
        assert!(report.keys.searched_bytes > 0 && report.keys.key_count >= 2, "{report:?}");
    }
    let flip = "UPDATE artifact_part SET wrapped_key = $1 WHERE part_number = 1 AND object_id = (SELECT MIN(object_id) FROM artifact_part)";
    life.bed.opened.system.write(move |writer| Ok(writer.execute(flip, &[Bind::Bytes(&[1; 81])])?)).await.unwrap();
    let report = verify(true).await.unwrap();
    assert_eq!((report.is_ok(), report.broken_count, report.broken.len(), report.object_count), (false, 1, 1, 1));
    let key = life.bed.room_keys().workspace(TEST_WORKSPACE).await.unwrap().key;
    fs::write(life.bed.folder.path().join("leak"), [b"before".as_slice(), key.expose()].concat()).unwrap();
    let report = verify(false).await.unwrap();
    assert!(matches!(report.keys.plain_in.as_slice(), [file] if file.ends_with("leak")), "{report:?}");
}
