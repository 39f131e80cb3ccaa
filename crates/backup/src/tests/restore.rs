use std::path::Path;

use kernel::Secret;
use testkit::FreshDatabase;
use vault::db::Location;
use vault::db::snapshot::Fresh;

use super::World;
use crate::chain::Chain;
use crate::error::BackupError;
use crate::restore::{self, MARK, Old, Unpacked};

async fn unpack(world: &World, into: &Path) -> Result<Unpacked, kernel::Problem> {
    let (target, trust) = (world.target(), world.room.trust().await.unwrap());
    let chain = Chain::read(&target, &trust).await?;
    restore::unpack(&target, &trust, &chain, chain.find(&target, None)?, into).await
}

/// The restored database, and on PostgreSQL what it lies in.
fn database(world: &World, into: &Path) -> (Location, Option<FreshDatabase>) {
    if world.postgres.is_none() {
        let path = into.join(restore::DATABASE);
        assert!(vault::db::snapshot::faults_of_file(&path).unwrap().is_empty());
        return (Location::Sqlite(path), None);
    }
    let made = FreshDatabase::make("restored").unwrap();
    let location = Location::Postgres { url: Secret::from(made.url.clone()), ca: None };
    let fresh = Fresh::given(&location).unwrap();
    fresh.claim("a test", false).unwrap();
    fresh.load(&steps(world), &into.join(restore::DUMP), None).unwrap();
    fresh.release().unwrap();
    (location, Some(made))
}

fn steps(world: &World) -> Vec<String> {
    world.location.read(vault::db::snapshot::schema_steps).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_is_unpacked_into_a_fresh_folder_and_goes_on_after_a_break() {
    for world in World::all(0).await {
        let object = world.store("a.bin", &[7; 100_000]).await;
        world.back_up().await.unwrap();
        let into = world.folder.path().join("new");
        let done = unpack(&world, &into).await.unwrap();
        assert_eq!((done.object_count, done.kept_count), (1, 0));
        let place = Path::new("objects").join(vault::objects::stored_place(&object.id));
        assert_eq!(std::fs::read(into.join(&place)).unwrap(), std::fs::read(world.room.0.data.join(&place)).unwrap());
        assert!(into.join(MARK).is_file() && !into.join("lock").exists(), "no server starts there yet");
        assert!(!into.join("keys/root.key").exists(), "the root key is in no backup");
        let (restored, _kept) = database(&world, &into);
        assert_eq!(restored.read(vault::db::snapshot::schema_steps).unwrap(), steps(&world));
        // What an earlier try left is gone on with: what is whole is kept, what is not is put there again.
        std::fs::write(into.join("audit/log/stray"), "x").unwrap();
        let again = unpack(&world, &into).await.unwrap();
        assert_eq!(again.kept_count, 1);
        assert!(!into.join("audit/log/stray").exists());
        std::fs::write(into.join(&place), "damaged").unwrap();
        assert_eq!(unpack(&world, &into).await.unwrap().kept_count, 0);
        restore::finish(&into).unwrap();
        let refused = unpack(&world, &into).await.unwrap_err();
        assert!(refused.message().contains("writes over nothing"), "{refused}");
    }
}

/// Small objects lie in the database: its snapshot holds them, and no backup copies them a second time.
#[tokio::test(flavor = "multi_thread")]
async fn small_objects_come_back_with_the_database() {
    let world = World::new(0).await;
    world.store("large.bin", &[7; 100_000]).await;
    let small = world.store_small("small.bin", b"a few words").await;
    assert!(!world.room.0.data.join("objects").join(vault::objects::stored_place(&small.id)).exists());
    let made = world.back_up().await.unwrap();
    assert_eq!(made.object_count, Some(1), "the large one");
    assert!(world.check(1).await.unwrap().is_good());
    let into = world.folder.path().join("new");
    unpack(&world, &into).await.unwrap();
    let opened = vault::db::open(&vault::db::Location::Sqlite(into.join(restore::DATABASE))).unwrap();
    let root = vault::keys::KeyFile::open(&world.room.0.data.join("keys/root.key")).unwrap();
    let clock = std::sync::Arc::new(kernel::SystemClock);
    let keys = vault::keys::Keyring::open(opened.system, std::sync::Arc::new(root), clock).await.unwrap();
    let objects = vault::objects::Objects::local(&into.join("objects"), keys).unwrap();
    let row = vault::objects::StoredObject { fresh: None, ..small };
    let verify = move |permit| async move { objects.verify(&permit, &row).await };
    world.gate.permit_for(gate::Target::Workspace, verify).await.unwrap();
}

/// More objects than are restored at once, one of two pieces; one that is missing ends all of it.
#[tokio::test(flavor = "multi_thread")]
async fn many_objects_are_unpacked_at_once_and_one_that_is_missing_ends_it() {
    let world = World::new(0).await;
    let mut stored = vec![world.store("large.bin", &[7; 1 << 20]).await];
    for index in 0..40_u8 {
        stored.push(world.store(&format!("{index}.bin"), &[3; 20_000]).await);
    }
    world.back_up().await.unwrap();
    let into = world.folder.path().join("new");
    let done = unpack(&world, &into).await.unwrap();
    assert_eq!((done.object_count, done.kept_count), (41, 0));
    for object in &stored {
        let place = vault::objects::stored_place(&object.id);
        let bytes = |folder: &Path| std::fs::read(folder.join("objects").join(&place)).unwrap();
        assert_eq!(bytes(&into), bytes(&world.room.0.data));
    }
    assert!(std::fs::read_dir(into.join("objects/incoming")).unwrap().next().is_none());
    std::fs::remove_file(world.place().join(crate::sealed::object_name(stored[20].id.as_str()))).unwrap();
    let elsewhere = world.folder.path().join("elsewhere");
    unpack(&world, &elsewhere).await.unwrap_err();
    assert!(elsewhere.join(MARK).is_file(), "no server starts there");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_backup_is_not_unpacked() {
    for world in World::all(0).await {
        let object = world.store("a.bin", b"bytes").await;
        world.back_up().await.unwrap();
        let path = world.place().join(crate::sealed::object_name(object.id.as_str()));
        let mut bytes = std::fs::read(&path).unwrap();
        bytes[3] ^= 1;
        std::fs::write(&path, bytes).unwrap();
        let into = world.folder.path().join("new");
        let refused = unpack(&world, &into).await.unwrap_err();
        assert!(refused.message().contains("is not what the manifest says"), "{refused}");
        assert!(into.join(MARK).is_file(), "no server starts there");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_without_its_manifest_is_none() {
    for world in World::all(0).await {
        world.store("a.bin", b"bytes").await;
        world.back_up().await.unwrap();
        std::fs::remove_file(world.place().join(crate::manifest::name_of(1))).unwrap();
        let trust = world.room.trust().await.unwrap();
        let chain = Chain::read(&world.target(), &trust).await.unwrap();
        assert!(matches!(chain.find(&world.target(), None), Err(BackupError::None(_))));
        let said = chain.find(&world.target(), Some(7)).map(|_| ()).unwrap_err().to_string();
        assert_eq!(said, format!("there is no backup in `{}` of the number 7", world.target().shown()));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_taken_back_since_is_taken_back_again() {
    for world in World::all(0).await {
        world.store("kept.bin", b"bytes").await;
        world.store("erased.bin", b"bytes").await;
        let fill = |writer: &mut vault::db::Writer<'_>| {
            for id in ["u1", "u2", "u3"] {
                writer.execute(
                    "INSERT INTO principal (id, kind, name, owner, created_at) VALUES ($1, 'user', $1, '', 1)",
                    &[id.into()],
                )?;
            }
            for (id, of) in [("t1", "u1"), ("t2", "u1"), ("t3", "u2")] {
                writer.execute(
                "INSERT INTO token (id, principal_id, kind, sha256, prefix, label, scopes, created_at, created_by, expires_at)
                 VALUES ($1, $2, 'pat', $3, '', '', '', 1, 'u1', 9)",
                &[id.into(), of.into(), id.as_bytes().into()],
            )?;
            }
            for id in ["g1", "g2"] {
                writer.execute(
                    "INSERT INTO grant_row (id, principal, principal_kind, role, resource_kind, resource, created_by, created_at,
                 justification, changed_generation) VALUES ($1, $1, 'user', 'viewer', 'server', '', 'u1', 1, '', 0)",
                    &[id.into()],
                )?;
            }
            writer.execute(
                "INSERT INTO session (id, principal_id, sha256, scopes, created_at, last_seen, expires_at)
             VALUES ('s1', 'u1', $1, '', 1, 1, 9)",
                &[b"s1".as_slice().into()],
            )?;
            writer.execute(
                "INSERT INTO prediction_subject (subject_id, workspace, tag, wrapped_key, key_version, created_at)
             VALUES ('p1', 'w1', $1, $1, 1, 1)",
                &[b"p1".as_slice().into()],
            )?;
            for id in ['1', '2'] {
                let sql = format!(
                    "INSERT INTO device (id, principal_id, label, public_key, created_at, created_by, certified_at)
                     VALUES ('d{id}', 'u1', '', $1, 1, 'u1', 1)"
                );
                writer.execute(&sql, &[b"key".as_slice().into()])?;
            }
            for user in ["u1", "u3"] {
                let address =
                    "INSERT INTO mail_address (principal_id, sealed, source, set_at) VALUES ($1, $2, 'administrator', 1)";
                writer.execute(address, &[user.into(), b"old".as_slice().into()])?;
                let notice = "INSERT INTO mail_notice (id, recipient, principal_id, kind, event, made_at, sealed, state)
                              VALUES ($1, $1, $1, 'test', '', 1, $2, 'waiting')";
                writer.execute(notice, &[user.into(), b"x".as_slice().into()])?;
            }
            let key = "INSERT INTO mail_key (principal_id, public_key, fingerprint, set_at) VALUES ('u1', $1, 'F', 1)";
            writer.execute(key, &[b"key".as_slice().into()])?;
            Ok(())
        };
        world.opened.system.write(fill).await.unwrap();
        world.back_up().await.unwrap();
        let since = |writer: &mut vault::db::Writer<'_>| {
            writer.execute("UPDATE token SET revoked_at = 5 WHERE id = 't1'", &[])?;
            writer.execute("UPDATE device SET revoked_at = 5, revoked_by = 'u1' WHERE id = 'd1'", &[])?;
            writer.execute("UPDATE grant_row SET revoked_at = 5, revoked_by = 'u1' WHERE id = 'g1'", &[])?;
            writer.execute("UPDATE principal SET disabled = 1 WHERE id = 'u1'", &[])?;
            writer.execute("DELETE FROM principal WHERE id = 'u2'", &[])?;
            writer.execute("DELETE FROM prediction_subject", &[])?;
            writer.execute("DELETE FROM mail_address WHERE principal_id = 'u1'", &[])?;
            let new = "UPDATE mail_address SET sealed = $1, set_at = 2 WHERE principal_id = 'u3'";
            writer.execute(new, &[b"new".as_slice().into()])?;
            writer.execute("UPDATE mail_notice SET state = 'sent' WHERE id = 'u1'", &[])?;
            writer.execute("DELETE FROM mail_key", &[])?;
            writer.execute(
                "DELETE FROM artifact_part WHERE artifact_id = (SELECT id FROM artifact WHERE path = 'erased.bin')",
                &[],
            )?;
            writer.execute("DELETE FROM artifact WHERE path = 'erased.bin'", &[])?;
            Ok(())
        };
        world.opened.system.write(since).await.unwrap();
        world.store("later.bin", b"bytes").await;
        let into = world.folder.path().join("new");
        unpack(&world, &into).await.unwrap();
        let (restored, _kept) = database(&world, &into);
        let lost = restore::loss((&world.room.0.data, &world.location), &restored, 0);
        assert_eq!(lost.things.unwrap().iter().find(|(kind, _)| *kind == "files").unwrap().1, 1);
        let done = restore::replay(&restored, &Old::read(&world.location).unwrap(), kernel::Micros(7)).unwrap();
        assert_eq!((done.token_count, done.grant_count, done.account_count), (2, 1, 2), "{done:?}");
        assert_eq!((done.key_count, done.erased_count), (1, 1), "{done:?}");
        let ids = |sql: &'static str| restored.read(|reader| Ok(reader.query(sql, &[], |row| row.text(0))?)).unwrap();
        assert_eq!(ids("SELECT id FROM token WHERE revoked_at IS NULL"), ["t2"]);
        assert_eq!((ids("SELECT id FROM device WHERE revoked_at IS NULL"), done.device_count), (vec!["d2".to_owned()], 1));
        assert_eq!(ids("SELECT id FROM grant_row WHERE revoked_at IS NULL"), ["g2"]);
        assert_eq!(ids("SELECT id FROM principal WHERE disabled = 0"), ["u3"]);
        assert_eq!(ids("SELECT path FROM artifact"), ["kept.bin"]);
        assert_eq!(ids("SELECT principal_id FROM mail_address WHERE set_at = 2"), ["u3"]);
        assert_eq!(ids("SELECT id FROM mail_notice"), ["u3"]);
        assert_eq!(ids("SELECT principal_id FROM mail_address").len(), 1);
        assert!(ids("SELECT fingerprint FROM mail_key").is_empty());
        assert!(ids("SELECT id FROM session").is_empty() && ids("SELECT subject_id FROM prediction_subject").is_empty());
    }
}
