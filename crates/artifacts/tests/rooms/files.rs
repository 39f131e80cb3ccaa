//! Files: written, read, listed, deleted.

use super::*;

#[tokio::test]
async fn files_come_back_whole_and_in_part() {
    for bed in engines().await {
        let bytes = noise(1, 300_000);
        let written = bed.write("model/weights.bin", &bytes).await.unwrap();
        assert_eq!(written, Written { size_bytes: 300_000, sha256: sha256(&bytes) });
        assert!(bed.read("model/weights.bin", Wanted::Whole).await.unwrap() == bytes);
        let cases = [
            (Wanted::Between(100_000, 200_000), 100_000..200_001),
            (Wanted::From(299_999), 299_999..300_000),
            (Wanted::Last(70_000), 230_000..300_000),
        ];
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
        assert_eq!(
            bed.fetch(Place::of(bed.owner(), None).unwrap(), Wanted::Whole).await.map(|_| ()).unwrap_err().kind(),
            Kind::Invalid
        );
    }
}

#[tokio::test]
async fn folders_are_listed_as_folders() {
    for bed in engines().await {
        for path in ["a.txt", "a/b.txt", "a/c/d.txt", "a/c/e.txt", "a-b", "a0", "ä/x", "z%41/y"] {
            bed.write(path, path.as_bytes()).await.unwrap();
        }
        let names =
            |list: Vec<(String, Option<u64>)>| list.into_iter().map(|(path, size)| (path, size.is_none())).collect::<Vec<_>>();
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
            writers
                .push(tokio::spawn(async move { bed.write("same", &noise(seed, 100_000 + usize::from(seed))).await.unwrap() }));
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
    let Fetched::File(mut download) = bed.fetch(bed.place("a"), Wanted::Whole).await.unwrap() else {
        unreachable!("it is there")
    };
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
    // The half-written file is taken away on its own thread.
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(60);
    while bed.objects().len() > 1 && std::time::Instant::now() < deadline {
        tokio::task::yield_now().await;
    }
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
