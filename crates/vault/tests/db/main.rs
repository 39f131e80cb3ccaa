//! The database's promises, on SQLite and, where `STRONGROOM_TEST_POSTGRES` names one, on PostgreSQL.
#![expect(clippy::unwrap_used, reason = "tests")]

mod statements;

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};

use gate::{Outcome, Target};
use kernel::{Kind, Problem, Secret};
use testkit::{TestGate, open_gate};
use vault::db::{self, Bind, Location, Opened};

/// One engine under test, with its folder kept alive.
struct Engine {
    name: &'static str,
    opened: Opened,
    _folder: tempfile::TempDir,
}

fn engines() -> Vec<Engine> {
    let folder = tempfile::tempdir().unwrap();
    let sqlite = db::open(&Location::Sqlite(folder.path().join("a.db"))).unwrap();
    let mut all = vec![Engine { name: "sqlite", opened: sqlite, _folder: folder }];
    if let Ok(url) = std::env::var("STRONGROOM_TEST_POSTGRES") {
        let opened = db::open(&Location::Postgres { url: Secret::from(url), ca: None }).unwrap();
        all.push(Engine { name: "postgres", opened, _folder: tempfile::tempdir().unwrap() });
    }
    all
}

/// Runs one write under a permit: inserts a checkpoint row named `origin`, then ends as `end` says.
async fn write_row(gate: &TestGate, opened: &Opened, origin: String, end: Result<(), Kind>) -> Result<(), Problem> {
    let db = opened.db.clone();
    gate.permit_for(Target::Workspace, move |permit| async move {
        db.write(&permit, move |tx| {
            tx.execute(
                "INSERT INTO audit_checkpoint (origin, size, root, note) VALUES ($4, $3, $2, $1)",
                &[Bind::Text("note"), Bind::Bytes(b"root"), Bind::Int(7), (&origin).into()],
            )?;
            match end {
                Ok(()) => Ok(((), Outcome::done().resource(origin))),
                Err(kind) => Err(Problem::new(kind, "told to fail")),
            }
        })
        .await
    })
    .await
}

async fn origins(opened: &Opened, prefix: &str) -> Vec<(String, i64)> {
    let like = format!("{prefix}%");
    opened
        .ports
        .read(move |tx| {
            let sql = "SELECT origin, size FROM audit_checkpoint WHERE origin LIKE $1 ORDER BY origin";
            Ok(tx.query(sql, &[(&like).into()], |row| Ok((row.text(0)?, row.int(1)?)))?)
        })
        .await
        .unwrap()
}

/// The outbox rows that this pool committed.
fn watch_outbox(opened: &Opened) -> Arc<Mutex<Vec<i64>>> {
    let seen = Arc::new(Mutex::new(Vec::new()));
    let sink = Arc::clone(&seen);
    opened.system.set_outbox_sink(Arc::new(move |row| sink.lock().unwrap().push(row.id)));
    seen
}

async fn is_in_outbox(opened: &Opened, id: i64) -> bool {
    let sql = "SELECT id FROM audit_outbox WHERE id = $1";
    let found = opened.system.read(move |tx| Ok(tx.query_one(sql, &[id.into()], |row| row.int(0))?));
    found.await.unwrap() == Some(id)
}

/// How many rows of that name there are, and whether that was looked up.
async fn count_known(opened: &Opened, known: &Arc<Mutex<Vec<(db::Stamp, i64)>>>, origin: &str) -> (i64, bool) {
    let (keep, origin) = (Arc::clone(known), origin.to_owned());
    let at = |stamp| known.lock().unwrap().iter().find(|(seen, _)| *seen == stamp).map(|(_, count)| (*count, false));
    let look = move |reader: &mut db::Reader<'_>, stamp: Option<db::Stamp>| {
        let sql = "SELECT COUNT(*) FROM audit_checkpoint WHERE origin = $1";
        let count = reader.query_one(sql, &[(&origin).into()], |row| row.int(0))?.unwrap_or(0);
        keep.lock().unwrap().extend(stamp.map(|stamp| (stamp, count)));
        Ok((count, true))
    };
    opened.ports.read_known(at, look).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_known_ends_with_every_commit() {
    for engine in engines() {
        let (gate, known, origin) = (open_gate(), Arc::default(), kernel::random_id());
        assert_eq!(count_known(&engine.opened, &known, &origin).await, (0, true));
        let is_known = engine.name == "sqlite";
        assert_eq!(count_known(&engine.opened, &known, &origin).await, (0, !is_known), "nobody wrote");
        // Somebody else's row changes the state too. A transaction that is not committed may: looking again is never wrong.
        for (name, end, count) in
            [(kernel::random_id(), Ok(()), 0), (kernel::random_id(), Err(Kind::Conflict), 0), (origin.clone(), Ok(()), 1)]
        {
            let is_committed = end.is_ok();
            drop(write_row(&gate, &engine.opened, name, end).await);
            let (found, is_looked_up) = count_known(&engine.opened, &known, &origin).await;
            assert_eq!(found, count);
            assert!(is_looked_up || !is_committed, "what was committed is seen");
            assert_eq!(count_known(&engine.opened, &known, &origin).await, (count, !is_known));
        }
    }
}

/// Another process is another pool on the same file.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_known_ends_with_a_commit_of_another_process() {
    let folder = tempfile::tempdir().unwrap();
    let [ours, theirs] = [0, 1].map(|_| db::open(&Location::Sqlite(folder.path().join("a.db"))).unwrap());
    let (gate, known, origin) = (open_gate(), Arc::default(), kernel::random_id());
    assert_eq!(count_known(&ours, &known, &origin).await, (0, true));
    assert_eq!(count_known(&ours, &known, &origin).await, (0, false));
    write_row(&gate, &theirs, origin.clone(), Ok(())).await.unwrap();
    assert_eq!(count_known(&ours, &known, &origin).await, (1, true));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_and_its_record_are_one_commit() {
    for engine in engines() {
        let gate = open_gate();
        let seen = watch_outbox(&engine.opened);
        let prefix = format!("one-{}-", kernel::random_id());
        write_row(&gate, &engine.opened, format!("{prefix}a"), Ok(())).await.unwrap();
        let failed = write_row(&gate, &engine.opened, format!("{prefix}b"), Err(Kind::Conflict)).await.unwrap_err();
        assert_eq!(failed.kind(), Kind::Conflict);
        assert_eq!(origins(&engine.opened, &prefix).await, [(format!("{prefix}a"), 7)], "{}", engine.name);
        let ids = seen.lock().unwrap().clone();
        assert_eq!(ids.len(), 1, "{}: one change, one record", engine.name);
        assert!(is_in_outbox(&engine.opened, ids[0]).await, "{}", engine.name);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn one_failure_in_a_group_takes_no_other_with_it() {
    for engine in engines() {
        let gate = Arc::new(open_gate());
        let opened = Arc::new(engine.opened);
        let prefix = format!("group-{}-", kernel::random_id());
        let tasks: Vec<_> = (0..60)
            .map(|number| {
                let (gate, opened, origin) = (Arc::clone(&gate), Arc::clone(&opened), format!("{prefix}{number:02}"));
                tokio::spawn(async move {
                    let end = if number % 3 == 0 { Err(Kind::Invalid) } else { Ok(()) };
                    write_row(&gate, &opened, origin, end).await.is_ok()
                })
            })
            .collect();
        let mut done = 0;
        for task in tasks {
            done += usize::from(task.await.unwrap());
        }
        assert_eq!(done, 40);
        assert_eq!(origins(&opened, &prefix).await.len(), 40, "{}", engine.name);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_taken_key_is_said_and_nothing_is_left() {
    for engine in engines() {
        let gate = open_gate();
        let origin = format!("twice-{}", kernel::random_id());
        write_row(&gate, &engine.opened, origin.clone(), Ok(())).await.unwrap();
        let seen = watch_outbox(&engine.opened);
        let problem = write_row(&gate, &engine.opened, origin, Ok(())).await.unwrap_err();
        assert_eq!(problem.kind(), Kind::AlreadyExists);
        assert!(seen.lock().unwrap().is_empty(), "{}", engine.name);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reader_cannot_write() {
    for engine in engines() {
        let sql = "INSERT INTO audit_outbox (event_id, payload) VALUES ('x', $1) RETURNING id";
        let result = engine.opened.ports.read(move |tx| Ok(tx.query_one(sql, &[Bind::Bytes(b"x")], |row| row.int(0))?)).await;
        assert!(result.is_err(), "{}", engine.name);
    }
}

/// The tables and columns that a schema file makes, read from its text.
fn columns(sql: &str) -> BTreeSet<String> {
    let mut all = BTreeSet::new();
    let mut table = String::new();
    for line in sql.lines().map(str::trim) {
        if let Some(rest) = line.strip_prefix("CREATE TABLE ") {
            table = rest.trim_end_matches('(').trim().trim_start_matches("IF NOT EXISTS ").to_owned();
        } else if let Some((made, _)) = line.strip_prefix("ALTER TABLE ").and_then(|rest| rest.split_once(" RENAME TO ")) {
            // What takes an older table's place has its columns, which SQLite cannot change one by one.
            all.retain(|column: &String| column.split('.').next() != Some(made));
        } else if line.starts_with(')') {
            table.clear();
        } else if !table.is_empty() {
            let first = line.split_whitespace().next().unwrap_or_default();
            if !first.is_empty() && first.chars().all(|c| c.is_ascii_lowercase() || c == '_' || c.is_ascii_digit()) {
                all.insert(format!("{table}.{first}"));
            }
        }
    }
    all
}

#[test]
fn both_engines_have_the_same_tables_and_columns() {
    for step in db::schema_files() {
        assert_eq!(columns(step.sqlite), columns(step.postgres), "{}", step.name);
    }
    let first = db::schema_files().first().unwrap();
    assert!(columns(first.sqlite).contains("audit_outbox.payload"), "the comparison sees columns");
}

/// INVARIANT of the gate: every intent gets exactly one outcome, also when the caller hangs up at a bad moment.
#[tokio::test(flavor = "multi_thread")]
async fn a_caller_that_hangs_up_leaves_one_outcome() {
    for engine in engines() {
        let gate = Arc::new(open_gate());
        let opened = Arc::new(engine.opened);
        let committed = watch_outbox(&opened);
        for round in 0..60_u64 {
            let (gate, opened) = (Arc::clone(&gate), Arc::clone(&opened));
            let origin = format!("hang-{}", kernel::random_id());
            let end = if round % 5 == 0 { Err(Kind::Conflict) } else { Ok(()) };
            let task = tokio::spawn(async move { drop(write_row(&gate, &opened, origin, end).await) });
            for _ in 0..round % 12 {
                tokio::task::yield_now().await;
            }
            task.abort();
            drop(task.await);
        }
        // One more, waited for: all that was begun before it is over, for there is one queue.
        write_row(&gate, &opened, format!("hang-{}", kernel::random_id()), Ok(())).await.unwrap();
        let count = || {
            let records = gate.recorded();
            let of = |start: &str| records.iter().filter(|record| record.starts_with(start)).count();
            (of("intent"), of("outcome"), committed.lock().unwrap().len())
        };
        // PostgreSQL's connections finish in their own time.
        let deadline = std::time::Instant::now() + std::time::Duration::from_secs(10);
        let (mut intents, mut outcomes, mut commits) = count();
        while intents > outcomes + commits && std::time::Instant::now() < deadline {
            tokio::task::yield_now().await;
            (intents, outcomes, commits) = count();
        }
        assert_eq!(intents, outcomes + commits, "{}: {intents} intents, {outcomes} outcomes, {commits} commits", engine.name);
    }
}

#[tokio::test]
async fn a_database_that_must_be_there_is_neither_made_nor_changed() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("sub/a.db");
    let location = Location::Sqlite(path.clone());
    for opening in [db::Opening::Existing, db::Opening::ReadOnly] {
        assert!(db::open_as(&location, opening).is_err_and(|error| error.to_string().contains("a.db")));
        assert!(!path.parent().unwrap().exists());
    }
    drop(db::open(&location).unwrap());
    drop(db::open_as(&location, db::Opening::Existing).unwrap());
    let read_only = db::open_as(&location, db::Opening::ReadOnly).unwrap();
    assert!(changes(&read_only).await.is_err());
    // A file of something else.
    let other = folder.path().join("other.db");
    std::fs::write(&other, "").unwrap();
    let refused = db::open_as(&Location::Sqlite(other), db::Opening::Existing).map(|_| ()).unwrap_err();
    assert!(refused.to_string().contains("nothing of strongroom's"), "{refused}");
}

#[tokio::test]
async fn a_postgres_database_that_must_be_there_is_neither_made_nor_changed() {
    let Ok(url) = std::env::var("STRONGROOM_TEST_POSTGRES") else { return };
    drop(db::open(&Location::Postgres { url: Secret::from(url.clone()), ca: None }).unwrap());
    let at = |options: &str| {
        let separator = if url.contains('?') { '&' } else { '?' };
        Location::Postgres { url: Secret::from(format!("{url}{separator}{options}")), ca: None }
    };
    // A schema that nothing is in, as in a database that somebody else made.
    let empty = at("options=-c%20search_path%3Dnothing_here");
    for opening in [db::Opening::Existing, db::Opening::ReadOnly] {
        let refused = db::open_as(&empty, opening).map(|_| ()).unwrap_err();
        assert!(refused.to_string().contains("nothing of strongroom's"), "{refused}");
    }
    let read_only = db::open_as(&at("options=-c%20search_path%3Dpublic"), db::Opening::ReadOnly).unwrap();
    assert!(changes(&read_only).await.is_err());
}

async fn changes(opened: &db::Opened) -> Result<(), kernel::Problem> {
    let write = |tx: &mut db::Writer<'_>| {
        tx.execute("INSERT INTO schema_step (name) VALUES ('x')", &[])?;
        Ok(())
    };
    opened.system.write(write).await
}
