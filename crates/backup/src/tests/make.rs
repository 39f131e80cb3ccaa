use super::World;
use crate::chain::Chain;
use crate::ops::{ExportKey, ListRuns, RunBackup};
use crate::trust::Trust;
use crate::types::RunState;

#[tokio::test(flavor = "multi_thread")]
async fn a_second_backup_copies_what_is_new_alone() {
    for world in World::all(0).await {
        let first = world.store("a.bin", &[1; 200_000]).await;
        let one = world.back_up().await.unwrap();
        assert_eq!((one.sequence, one.object_count, one.state), (Some(1), Some(1), RunState::Done));
        let place = world.place().join("objects").join(&first.id.as_str()[..2]).join(first.id.as_str());
        let before = std::fs::metadata(&place).unwrap().modified().unwrap();
        world.store("b.bin", b"small").await;
        let two = world.back_up().await.unwrap();
        assert_eq!((two.sequence, two.object_count), (Some(2), Some(2)));
        assert!(two.copied_bytes < one.copied_bytes, "{two:?}");
        assert_eq!(std::fs::metadata(&place).unwrap().modified().unwrap(), before, "an object is copied once");
        for sequence in [1, 2] {
            let report = world.check(sequence).await.unwrap();
            assert!(report.is_good(), "{report:?}");
            assert_eq!(report.object_count, sequence);
            assert!(report.log_size >= Some(report.point));
        }
        let listed = world.gate.call(ListRuns { room: world.room.clone() }).await.unwrap();
        assert_eq!(listed.len(), 2);
        let recorded = world.gate.recorded();
        assert!(recorded.iter().any(|line| line.contains("backups.make done") && line.contains("sequence=2")), "{recorded:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_readable_lies_in_the_place() {
    for world in World::all(0).await {
        world.store("a.bin", b"the words of a secret file").await;
        world.back_up().await.unwrap();
        let mut files = vec![world.place()];
        let mut count = 0;
        while let Some(path) = files.pop() {
            if path.is_dir() {
                files.extend(std::fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()));
                continue;
            }
            let bytes = std::fs::read(&path).unwrap();
            for word in
                [b"secret file".as_slice(), b"SQLite format", b"PGDMP", b"strongroom-root-key", b"a.bin", b"strongroom-inventory"]
            {
                assert!(!bytes.windows(word.len()).any(|part| part == word), "{}", path.display());
            }
            count += 1;
        }
        assert!(count > 4, "{count} files were looked at");
        assert!(!world.room.0.data.join("backup").read_dir().unwrap().any(|_| true), "the snapshot is gone");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_deleted_meanwhile_waits_for_the_backup() {
    for world in World::all(0).await {
        let object = world.store("a.bin", b"bytes").await;
        let held = world.objects.hold().await;
        let (objects, id) = (world.objects.clone(), object.id.clone());
        world
            .gate
            .permit_for(gate::Target::Workspace, move |permit| async move { objects.delete(&permit, vec![id]).await })
            .await
            .unwrap();
        let place = world.room.0.data.join("objects").join(vault::objects::stored_place(&object.id));
        assert!(place.exists(), "it is still there while it is held");
        world.gate.permit_for(gate::Target::Workspace, move |permit| async move { held.release(&permit).await }).await.unwrap();
        assert!(!place.exists(), "and gone afterwards");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn one_runs_at_a_time_and_only_to_places_of_the_configuration() {
    for world in World::all(0).await {
        world.gate.call(RunBackup { room: world.room.clone(), to: None }).await.unwrap();
        let second = world.gate.call(RunBackup { room: world.room.clone(), to: None }).await.unwrap_err();
        assert!(second.message().contains("already"), "{second}");
        for to in ["/etc", "../x", "s3://other"] {
            let refused = world.gate.call(RunBackup { room: world.room.clone(), to: Some(to.to_owned()) }).await.unwrap_err();
            assert!(refused.message().contains("[backup]"), "{refused}");
        }
        std::fs::remove_dir_all(world.place()).unwrap();
        let gone = world.gate.call(RunBackup { room: world.room.clone(), to: None }).await.unwrap_err();
        assert!(gone.message().contains("mount"), "{gone}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_place_of_another_server_is_left_alone() {
    let (one, other) = (World::new(0).await, World::new(0).await);
    one.back_up().await.unwrap();
    let name = crate::manifest::name_of(1);
    std::fs::create_dir_all(other.place().join("manifests")).unwrap();
    std::fs::copy(one.place().join(&name), other.place().join(&name)).unwrap();
    assert!(other.back_up().await.is_err(), "its manifest is signed by another key");
    assert_eq!(std::fs::read_dir(other.place()).unwrap().count(), 1, "nothing was written there");
}

#[tokio::test(flavor = "multi_thread")]
async fn old_backups_go_and_take_what_nobody_else_holds() {
    for world in World::all(2).await {
        for number in 0..4 {
            world.store(&format!("{number}.bin"), b"bytes").await;
            world.back_up().await.unwrap();
        }
        assert_eq!(crate::prune::prune(&world.room, &world.place().display().to_string()).await.unwrap(), 2);
        let trust = world.room.trust().await.unwrap();
        let chain = Chain::read(&world.target(), &trust).await.unwrap();
        assert_eq!(chain.iter().map(|one| one.manifest.sequence).collect::<Vec<_>>(), [3, 4]);
        for sequence in [3, 4] {
            assert!(world.check(sequence).await.unwrap().is_good());
        }
        assert!(world.check(1).await.is_err());
        let kept = "SELECT sequence FROM backup_run WHERE manifest IS NOT NULL ORDER BY sequence";
        let kept = world.opened.system.read(move |reader| Ok(reader.query(kept, &[], |row| row.int(0))?)).await.unwrap();
        assert_eq!(kept, [3, 4], "what is taken away on purpose does not come back");
        assert_eq!(world.target().list("objects").await.unwrap().len(), 4, "the newest backup names all four");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_key_is_handed_out_once_and_reads_back() {
    for world in World::all(0).await {
        let text = world.gate.call(ExportKey { room: world.room.clone() }).await.unwrap();
        let read = Trust::parse(text.expose_text().unwrap()).unwrap();
        let own = world.room.trust().await.unwrap();
        assert!(read.key == own.key && read.signer == own.signer && read.instance == own.instance);
        assert!(world.gate.call(ExportKey { room: world.room.clone() }).await.is_err());
        for bad in ["", "{}", &text.expose_text().unwrap().replace("test.example", "other.example")] {
            assert!(Trust::parse(bad).is_err(), "{bad}");
        }
    }
}
