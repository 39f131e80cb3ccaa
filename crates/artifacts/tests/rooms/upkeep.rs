//! Rotation, verification, sweeping, and what is left behind in records and on disk.

use super::*;

#[tokio::test]
async fn records_tell_digests_and_sizes_and_no_path() {
    for bed in engines().await {
        bed.write("secret-name/file", b"abc").await.unwrap();
        bed.read("secret-name/file", Wanted::Whole).await.unwrap();
        drop(bed.fetch(bed.place("secret-name/file"), Wanted::Whole).await.unwrap());
        let recorded = bed.gate.recorded();
        let digest = kernel::hex(&sha256(b"abc"));
        let written = recorded.iter().find(|line| line.starts_with("sealed artifacts.write done")).unwrap();
        assert!(
            written.contains(&format!("sha256={digest}")) && written.contains("size_bytes=3") && written.contains("path_hash=")
        );
        let read: Vec<_> = recorded.iter().filter(|line| line.starts_with("outcome artifacts.read")).collect();
        assert!(read[0].starts_with("outcome artifacts.read done") && read[0].contains("sent_bytes=3"), "{read:?}");
        assert_eq!(read[1].as_str(), "outcome artifacts.read aborted");
        assert!(recorded.iter().all(|line| !line.contains("secret-name")), "{recorded:?}");
        let intents = recorded.iter().filter(|line| line.starts_with("intent")).count();
        assert_eq!(intents, recorded.len() - intents, "each intent has one outcome");
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
    assert_eq!((version.version, version.waiting_count), (2, 2));
    let rewrap = || bed.gate.call(RewrapKeys { room: bed.room.clone() });
    assert_eq!(rewrap().await.unwrap(), 2);
    assert_eq!(rewrap().await.unwrap(), 0);
    let after: Vec<_> = bed.objects().iter().map(|file| fs::read(file).unwrap()).collect();
    assert!(before == after);
    let versions =
        |reader: &mut vault::db::Reader<'_>| Ok(reader.query("SELECT key_version FROM artifact_part", &[], |row| row.int(0))?);
    assert_eq!(bed.opened.ports.read(versions).await.unwrap(), [2]);
    assert!(bed.read("a", Wanted::Whole).await.unwrap() == bytes);
    let root = Arc::new(KeyFile::open(&bed.folder.path().join("root.key")).unwrap().rotated().unwrap());
    // Two versions of the workspace's key, and the secret that paths are hashed under.
    assert_eq!(bed.gate.call(RotateRootKey { room: bed.room.clone(), root }).await.unwrap(), 3);
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
        (
            "UPDATE artifact SET size_bytes = size_bytes + 1 WHERE path = $1",
            "UPDATE artifact SET size_bytes = size_bytes - 1 WHERE path = $1",
        ),
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

/// Small objects lie in the database: whatever walks objects walks those too.
#[tokio::test]
async fn small_objects_are_verified_rotated_swept_and_deleted_as_files_are() {
    for engine in Engine::all("artifacts") {
        let bed = bed_over(engine, |objects| objects).await;
        let count = async || {
            let count = |reader: &mut vault::db::Reader<'_>| {
                Ok(reader.query_one("SELECT COUNT(*) FROM small_object", &[], |row| row.int(0))?)
            };
            bed.opened.ports.read(count).await.unwrap().unwrap()
        };
        bed.write("a", b"old").await.unwrap();
        bed.write("a", b"new").await.unwrap();
        assert_eq!((count().await, bed.objects().len()), (1, 0), "the old one went with its row");
        let id = bed.create("b", 2).await.unwrap();
        let parts = vec![bed.part("b", &id, 1, b"one").await.unwrap(), bed.part("b", &id, 2, b"two").await.unwrap()];
        bed.complete("b", &id, parts).await.unwrap();
        assert_eq!(bed.read("b", Wanted::Between(2, 3)).await.unwrap(), b"et");
        let verify = || bed.gate.call(VerifyObjects { room: bed.room.clone() });
        let clean = verify().await.unwrap();
        assert_eq!((clean.checked_count, clean.checked_bytes, clean.damaged_count), (3, 9, 0));
        bed.gate.call(RotateWorkspaceKey { room: bed.room.clone() }).await.unwrap();
        assert_eq!(bed.gate.call(RewrapKeys { room: bed.room.clone() }).await.unwrap(), 3);
        assert_eq!(bed.read("a", Wanted::Whole).await.unwrap(), b"new");
        // What a forgotten path of the code would leave, and what somebody who edits the database does.
        bed.sql("INSERT INTO small_object (object_id, sealed) SELECT $1, sealed FROM small_object LIMIT 1", &"0".repeat(32))
            .await;
        assert_eq!(bed.gate.call(SweepObjects { room: bed.room.clone() }).await.unwrap().orphan_count, 1);
        assert_eq!((count().await, verify().await.unwrap().damaged_count), (3, 0));
        let named = "(SELECT object_id FROM artifact_part p JOIN artifact a ON a.id = p.artifact_id WHERE a.path = $1)";
        let taken: &'static str = format!("DELETE FROM small_object WHERE object_id IN {named}").leak();
        bed.sql(taken, "a").await;
        assert_eq!(verify().await.unwrap().damaged_count, 1, "what is missing is found");
        assert!(bed.read("a", Wanted::Whole).await.is_err());
        for path in ["a", "b"] {
            bed.delete(path).await.unwrap();
        }
        assert_eq!(count().await, 0);
    }
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
