//! What is of PostgreSQL alone: its programs, its dumps, and the fresh database that they go into. Each test needs
//! `STRONGROOM_TEST_POSTGRES`.

use std::collections::BTreeSet;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use kernel::{Kind, Problem, Secret};
use testkit::FreshDatabase;
use vault::db::Location;
use vault::db::snapshot::Fresh;

use super::World;
use crate::BackupConfig;
use crate::chain::Chain;
use crate::restore::{self, DUMP};

/// A folder with a program that does not do what it should.
fn programs(world: &Path, name: &str, text: &str) -> PathBuf {
    let folder = world.join("programs");
    std::fs::create_dir_all(&folder).unwrap();
    let path = folder.join(name);
    std::fs::write(&path, format!("#!/bin/sh\n{text}\n")).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
    folder
}

async fn with_program(text: &str) -> Option<(World, Problem)> {
    let folder = tempfile::tempdir().unwrap();
    let programs = programs(folder.path(), "pg_dump", text);
    let world = World::on_postgres(BackupConfig { postgres_programs: Some(programs), ..BackupConfig::default() }).await?;
    world.store("a.bin", b"bytes").await;
    let problem = world.back_up().await.unwrap_err();
    Some((world, problem))
}

fn has_manifest(world: &World) -> bool {
    world.place().join("manifests").exists()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_older_tool_and_a_missing_one_say_what_to_do() {
    let Some((world, problem)) = with_program("echo 'pg_dump (PostgreSQL) 9.6.24'").await else { return };
    assert!(problem.message().contains("PostgreSQL 9") && problem.message().contains("postgres_programs"), "{problem}");
    assert!(!has_manifest(&world));
    let empty = tempfile::tempdir().unwrap();
    let config = BackupConfig { postgres_programs: Some(empty.path().to_path_buf()), ..BackupConfig::default() };
    let world = World::on_postgres(config).await.unwrap();
    let problem = world.back_up().await.unwrap_err();
    assert!(problem.message().contains("install PostgreSQL's client programs"), "{problem}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dump_that_breaks_off_is_no_backup() {
    let text = "case $1 in --version) echo 'pg_dump (PostgreSQL) 99.1';; *) printf 'PGDMP and some bytes'; echo 'lost the server' >&2; exit 1;; esac";
    let Some((world, problem)) = with_program(text).await else { return };
    let cause = std::error::Error::source(&problem).unwrap().to_string();
    assert!(problem.message().contains("pg_dump") && cause.contains("lost the server"), "{problem}: {cause}");
    assert!(!has_manifest(&world), "nothing says that it is whole");
}

/// A backup of `world`, unpacked.
async fn unpacked(world: &World) -> (PathBuf, Vec<String>) {
    world.back_up().await.unwrap();
    let into = world.folder.path().join("new");
    let (target, trust) = (world.target(), world.room.trust().await.unwrap());
    let chain = Chain::read(&target, &trust).await.unwrap();
    let of = chain.find(&target, None).unwrap();
    restore::unpack(&target, &trust, &chain, of, &into).await.unwrap();
    (into.join(DUMP), of.manifest.schema.clone())
}

fn fresh() -> (Fresh, Location, FreshDatabase) {
    let made = FreshDatabase::make("fresh").unwrap();
    let location = Location::Postgres { url: Secret::from(made.url.clone()), ca: None };
    (Fresh::given(&location).unwrap(), location, made)
}

fn count(location: &Location, sql: &'static str) -> i64 {
    location.read(|reader| Ok(reader.query_one(sql, &[], |row| row.int(0))?)).unwrap().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dump_that_was_cut_or_changed_on_its_way_leaves_nothing() {
    let Some(world) = World::on_postgres(BackupConfig::default()).await else { return };
    world.store("a.bin", b"bytes").await;
    let (dump, steps) = unpacked(&world).await;
    let good = std::fs::read(&dump).unwrap();
    let mut changed = good.clone();
    let at = good.len() - 2_000;
    changed[at] ^= 0xff;
    for bad in [&good[..good.len() * 9 / 10], &good[..20], &changed, b"PGDMP", b"-- SQL"] {
        let (fresh, location, _kept) = fresh();
        fresh.claim("a test", false).unwrap();
        std::fs::write(&dump, bad).unwrap();
        let refused = fresh.load(&steps, &dump, None);
        let (tables, length) = (count(&location, "SELECT count(*) FROM pg_tables WHERE tablename = 'artifact'"), bad.len());
        if refused.is_ok() {
            // The byte was of what is not taken: then all rows are as they were.
            assert_eq!((bad.len(), count(&location, "SELECT count(*) FROM artifact")), (good.len(), 1));
        } else if tables == 1 {
            assert_eq!(count(&location, "SELECT count(*) FROM artifact"), 0, "{length}");
        }
        assert!(refused.is_err() || bad.len() == good.len(), "{length}");
    }
    std::fs::write(&dump, good).unwrap();
    let (fresh, location, _kept) = fresh();
    fresh.claim("a test", false).unwrap();
    fresh.load(&steps, &dump, None).unwrap();
    assert_eq!(count(&location, "SELECT count(*) FROM artifact"), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_put_beside_our_tables_does_not_come_along() {
    let Some(world) = World::on_postgres(BackupConfig::default()).await else { return };
    world.store("a.bin", b"bytes").await;
    world.postgres.as_ref().unwrap().run(
        "CREATE TABLE evil_table (x INT);
         CREATE FUNCTION evil() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN INSERT INTO evil_table VALUES (1); RETURN NEW; END $$;
         CREATE TRIGGER evil BEFORE INSERT ON artifact FOR EACH ROW EXECUTE FUNCTION evil();
         DROP TRIGGER bucket_version_stays ON bucket_version",
    );
    let (dump, steps) = unpacked(&world).await;
    let (fresh, location, _kept) = fresh();
    fresh.claim("a test", false).unwrap();
    fresh.load(&steps, &dump, None).unwrap();
    assert_eq!(count(&location, "SELECT count(*) FROM artifact"), 1);
    assert_eq!(count(&location, "SELECT count(*) FROM pg_class WHERE relname = 'evil_table'"), 0);
    assert_eq!(count(&location, "SELECT count(*) FROM pg_trigger WHERE tgname = 'evil'"), 0);
    assert_eq!(count(&location, "SELECT count(*) FROM pg_trigger WHERE tgname = 'bucket_version_stays'"), 1, "locks hold again");
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_that_name_what_is_not_there_are_found() {
    let Some(world) = World::on_postgres(BackupConfig::default()).await else { return };
    world.postgres.as_ref().unwrap().run(
        "ALTER TABLE membership DROP CONSTRAINT membership_group_id_fkey;
         ALTER TABLE membership DROP CONSTRAINT membership_member_id_fkey;
         INSERT INTO membership (group_id, member_id, added_at, added_by) VALUES ('none', 'none', 1, '')",
    );
    let (dump, steps) = unpacked(&world).await;
    let (fresh, _location, _kept) = fresh();
    fresh.claim("a test", false).unwrap();
    let refused = fresh.load(&steps, &dump, None).unwrap_err();
    assert!(refused.message().contains("is not whole") && refused.message().contains("membership"), "{refused}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_holds_anything_is_not_written_to() {
    let Some(world) = World::on_postgres(BackupConfig::default()).await else { return };
    let (dump, steps) = unpacked(&world).await;
    let (fresh, location, kept) = fresh();
    kept.run("CREATE TABLE theirs (x INT)");
    let refused = fresh.claim("mine", false).unwrap_err();
    assert!(refused.kind() == Kind::Conflict && refused.message().contains("theirs"), "{refused}");
    kept.run("DROP TABLE theirs");
    fresh.claim("mine", false).unwrap();
    fresh.load(&steps, &dump, None).unwrap();
    assert!(fresh.claim("another's", true).is_err());
    // What broke off is begun anew, also where a session of it still works.
    let busy = kept.url.clone();
    let left = std::thread::spawn(move || Location::Postgres { url: Secret::from(busy), ca: None }.read(|_| Ok(())));
    fresh.claim("mine", false).unwrap();
    left.join().unwrap().unwrap();
    assert_eq!(count(&location, "SELECT count(*) FROM pg_tables WHERE tablename = 'artifact'"), 0);
    fresh.load(&steps, &dump, None).unwrap();
    fresh.note_proved().unwrap();
    assert!(fresh.claim("mine", false).is_err(), "a server may use it already");
    fresh.claim("mine", true).unwrap();
    fresh.load(&steps, &dump, None).unwrap();
    fresh.release().unwrap();
    assert!(fresh.claim("mine", true).is_err());
}

/// A server goes on with what a killed client asked for: the next try meets a database that is being made.
#[test]
fn a_database_that_is_being_made_by_an_earlier_try_is_taken() {
    let Some(kept) = FreshDatabase::make("beside") else { return };
    let location = Location::Postgres { url: Secret::from(kept.url.clone()), ca: None };
    let name = format!("{}_made", Fresh::given(&location).unwrap().name());
    let made: Vec<_> = std::thread::scope(|scope| {
        let tries: Vec<_> = (0..4).map(|_| scope.spawn(|| Fresh::make_beside(&location, &name))).collect();
        tries.into_iter().map(|one| one.join().unwrap()).collect()
    });
    let problems: Vec<_> = made.iter().filter_map(|one| one.as_ref().err()).collect();
    assert!(problems.is_empty(), "{problems:?}");
    let made = made.into_iter().next().unwrap().unwrap();
    made.claim("mine", false).unwrap();
    made.throw_away("mine").unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_newer_backup_and_an_older_pg_restore_say_what_to_do() {
    let Some(world) = World::on_postgres(BackupConfig::default()).await else { return };
    let (dump, mut steps) = unpacked(&world).await;
    let (fresh, _location, _kept) = fresh();
    fresh.claim("a test", false).unwrap();
    let old = "case $1 in --version) echo 'pg_restore (PostgreSQL) 9.6.1';; *) echo 'unsupported version (1.99) in file header' >&2; exit 1;; esac";
    let refused = fresh.load(&steps, &dump, Some(&programs(world.folder.path(), "pg_restore", old))).unwrap_err();
    assert!(refused.message().contains("PostgreSQL 9") && refused.message().contains("install newer"), "{refused}");
    steps.push("9999_later".to_owned());
    let refused = fresh.load(&steps, &dump, None).unwrap_err();
    assert!(refused.message().contains("newer version of strongroom"), "{refused}");
}

/// The state is that of one moment: of two rows that each writer writes in one commit, a backup never has one alone; what it does not know
/// is behind its point, what it knows is before, or in its outbox.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn writers_go_on_and_the_snapshot_is_one_state() {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
    let Some(world) = World::on_postgres(BackupConfig::default()).await else { return };
    let (stop, written) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
    let writers: Vec<_> = (0..8)
        .map(|writer| {
            let (db, gate, stop, written) =
                (world.opened.db.clone(), testkit::open_gate(), Arc::clone(&stop), Arc::clone(&written));
            tokio::spawn(async move {
                for number in 0.. {
                    if stop.load(Ordering::Relaxed) {
                        return;
                    }
                    let (db, id) = (db.clone(), format!("{writer}-{number}"));
                    let done = gate.permit_for(gate::Target::Run(id.clone()), move |permit| async move {
                        let write = move |tx: &mut vault::db::Writer<'_>| {
                            let sql = "INSERT INTO audit_checkpoint (origin, size, root, note) VALUES ($1, 1, $2, '')";
                            for half in ["a", "b"] {
                                let origin = format!("pair/{id}/{half}");
                                tx.execute(sql, &[origin.as_str().into(), b"".as_slice().into()])?;
                            }
                            Ok(((), gate::Outcome::done().resource(id)))
                        };
                        db.write(&permit, write).await
                    });
                    done.await.unwrap();
                    written.fetch_add(1, Ordering::Relaxed);
                }
            })
        })
        .collect();
    while written.load(Ordering::Relaxed) < 100 {
        tokio::task::yield_now().await;
    }
    let before = written.load(Ordering::Relaxed);
    let (dump, steps) = unpacked(&world).await;
    assert!(written.load(Ordering::Relaxed) > before, "writers went on");
    stop.store(true, Ordering::Relaxed);
    for writer in writers {
        writer.await.unwrap();
    }
    let (fresh, location, _kept) = fresh();
    fresh.claim("a test", false).unwrap();
    fresh.load(&steps, &dump, None).unwrap();
    let texts =
        |sql: &'static str| -> Vec<String> { location.read(|reader| Ok(reader.query(sql, &[], |row| row.text(0))?)).unwrap() };
    let halves = texts("SELECT origin FROM audit_checkpoint WHERE origin LIKE 'pair/%'");
    let pairs: BTreeSet<String> = halves.iter().filter_map(|half| half.split('/').nth(1)).map(str::to_owned).collect();
    assert!(pairs.len() > 100 && halves.len() == 2 * pairs.len(), "{} halves of {} pairs", halves.len(), pairs.len());
    // Each pair has its record: in the log before the point, or in the outbox; and no record is without its pair.
    let resource = |record: &[u8]| {
        let text = String::from_utf8_lossy(record).into_owned();
        // Of a pair, not of the backup itself.
        text.split_once("resource=").map(|(_, id)| id.to_owned()).filter(|id| id.contains('-'))
    };
    let mut logged = BTreeSet::new();
    audit::records_after(&dump.parent().unwrap().parent().unwrap().join("audit"), 0, |_, record| logged.extend(resource(record)));
    let rows = location.read(|reader| Ok(reader.query("SELECT payload FROM audit_outbox", &[], |row| row.bytes(0))?)).unwrap();
    let left: BTreeSet<String> = rows.iter().filter_map(|row| resource(row)).collect();
    let unlogged: Vec<_> = pairs.difference(&logged).filter(|id| !left.contains(*id)).collect();
    let unmade: Vec<_> = logged.union(&left).filter(|id| !pairs.contains(*id)).collect();
    assert!(unlogged.is_empty() && unmade.is_empty(), "without a record: {unlogged:?}; without the change: {unmade:?}");
}
