//! Objects as they come and go.

use std::sync::atomic::AtomicBool;

use super::*;
use crate::Told;
use crate::ops::buckets::{BucketChange, DeleteBucket, UpdateBucket};
use crate::ops::multipart::{CompleteUpload, CreateUpload, SentPart, WritePart};
use crate::ops::tags::TagObject;
use crate::{Tags, Versioning, WriteConditions, opaque_etag};

#[test]
fn what_was_written_is_read_and_only_so() {
    on_both_engines(async |world| {
        world.bucket("one", false).await;
        let written = world.put("one", "a/b", b"bytes").await;
        assert_eq!((written.is_versioned, written.version.version_id.as_str()), (false, "null"));
        let (found, bytes) = world.get("one", "a/b", None).await.unwrap();
        assert_eq!((found.is_versioned(), bytes.as_slice()), (false, b"bytes".as_slice()));
        for (bucket, key, version, wanted) in [
            ("one", "a", None, Code::NoSuchKey),
            ("one", "a/b", Some("other"), Code::NoSuchVersion),
            ("two", "a/b", None, Code::NoSuchBucket),
        ] {
            let problem = world.get(bucket, key, version).await.err().unwrap();
            assert_eq!(code(&problem), Some(wanted), "{bucket} {key}");
        }
        let records = world.gate.recorded().join("\n");
        assert!(records.contains("buckets.write done") && !records.contains("a/b"), "{records}");
    });
}

#[test]
fn without_versions_the_new_takes_the_place_of_the_old() {
    on_both_engines(async |world| {
        world.bucket("one", false).await;
        world.put("one", "k", b"old").await;
        world.put("one", "k", b"new").await;
        assert_eq!(world.get("one", "k", None).await.unwrap().1, b"new");
        let removed = world.remove(&world.room, "one", "k", None, false).await;
        assert!(removed.problem.is_none() && removed.marker.is_none());
        assert_eq!(code(&world.get("one", "k", None).await.err().unwrap()), Some(Code::NoSuchKey));
        world.call(DeleteBucket { room: world.room.clone(), name: "one".to_owned() }).await.unwrap();
    });
}

#[test]
fn a_version_without_an_id_is_named_where_there_are_versions() {
    on_both_engines(async |world| {
        world.bucket("one", false).await;
        world.put("one", "k", b"before").await;
        for versioning in [Versioning::Enabled, Versioning::Suspended] {
            let change = BucketChange::Versioning(versioning);
            world.call(UpdateBucket { room: world.room.clone(), name: "one".to_owned(), change }).await.unwrap();
            assert!(world.get("one", "k", None).await.unwrap().0.is_versioned(), "{versioning:?}");
            assert!(world.get("one", "k", Some("null")).await.unwrap().0.is_versioned(), "{versioning:?}");
            let (room, bucket, key) = (world.room.clone(), "one".to_owned(), "k".to_owned());
            let tag = TagObject { room, bucket, key, version_id: None, tags: Tags::default() };
            let tagged = world.call(tag).await.unwrap();
            assert_eq!((tagged.is_versioned, tagged.version.version_id.as_str()), (true, "null"));
        }
        let written = world.put("one", "k", b"after").await;
        assert_eq!((written.is_versioned, written.version.version_id.as_str()), (true, "null"));
    });
}

#[test]
fn with_versions_nothing_is_lost_until_a_version_is_named() {
    on_both_engines(async |world| {
        world.bucket("one", false).await;
        world.put("one", "k", b"before").await;
        let change = BucketChange::Versioning(Versioning::Enabled);
        world.call(UpdateBucket { room: world.room.clone(), name: "one".to_owned(), change }).await.unwrap();
        let second = world.put("one", "k", b"second").await.version.version_id;
        let marker = world.remove(&world.room, "one", "k", None, false).await.marker.unwrap();
        assert_eq!(code(&world.get("one", "k", None).await.err().unwrap()), Some(Code::NoSuchKeyDeleted));
        assert_eq!(code(&world.get("one", "k", Some(&marker)).await.err().unwrap()), Some(Code::MethodNotAllowed));
        assert_eq!(world.get("one", "k", Some("null")).await.unwrap().1, b"before");
        world.remove(&world.room, "one", "k", Some(&marker), false).await;
        assert_eq!(world.get("one", "k", None).await.unwrap().1, b"second");
        world.remove(&world.room, "one", "k", Some(&second), false).await;
        assert_eq!(world.get("one", "k", None).await.unwrap().1, b"before");
    });
}

#[test]
fn what_is_not_what_was_promised_is_not_there() {
    on_both_engines(async |world| {
        world.bucket("one", false).await;
        let refuse: crate::Finish = Box::new(|_, _| -> Result<Told, Problem> { Err(Code::BadDigest.problem("no")) });
        let incoming = Incoming { finish: refuse, ..Incoming::of(Bytes::from_static(b"bytes")) };
        let write = |incoming| WriteObject {
            room: world.room.clone(),
            bucket: "one".to_owned(),
            key: "k".to_owned(),
            incoming,
            wish: Wish::default(),
        };
        assert_eq!(code(&world.call(write(incoming)).await.unwrap_err()), Some(Code::BadDigest));
        let short = Incoming { size_bytes: Some(9), ..Incoming::of(Bytes::from_static(b"bytes")) };
        assert_eq!(code(&world.call(write(short)).await.unwrap_err()), Some(Code::IncompleteBody));
        assert_eq!(code(&world.get("one", "k", None).await.err().unwrap()), Some(Code::NoSuchKey));
    });
}

#[test]
fn of_two_who_write_what_must_not_be_there_one_does() {
    on_both_engines(async |world| {
        world.bucket("one", false).await;
        let wish = || Wish {
            when: WriteConditions { if_none_match: Some("*".to_owned()), ..WriteConditions::default() },
            ..Wish::default()
        };
        world.put_wish("one", "k", b"first", wish()).await.unwrap();
        let problem = world.put_wish("one", "k", b"second", wish()).await.unwrap_err();
        assert_eq!(code(&problem), Some(Code::PreconditionFailed));
        assert_eq!(world.get("one", "k", None).await.unwrap().1, b"first");
    });
}

/// A large body is not read for nothing. A small one is here already: of it nothing stays.
#[test]
fn what_is_refused_leaves_nothing_and_a_large_body_is_not_even_read() {
    on_both_engines(async |world| {
        world.bucket("one", false).await;
        world.put("one", "k", b"first").await;
        for (size_bytes, is_read) in [(5_u64, true), (1 << 20, false)] {
            let read = Arc::new(AtomicBool::new(false));
            let told = Arc::clone(&read);
            let body = futures_util::stream::once(async move {
                told.store(true, Ordering::SeqCst);
                Ok(Bytes::from_static(b"bytes"))
            });
            let incoming =
                Incoming { body: Box::pin(body), size_bytes: Some(size_bytes), ..Incoming::of(Bytes::from_static(b"bytes")) };
            let when = WriteConditions { if_none_match: Some("*".to_owned()), ..WriteConditions::default() };
            let (room, bucket, key) = (world.room.clone(), "one".to_owned(), "k".to_owned());
            let write = WriteObject { room, bucket, key, incoming, wish: Wish { when, ..Wish::default() } };
            assert_eq!(code(&world.call(write).await.unwrap_err()), Some(Code::PreconditionFailed));
            assert_eq!(read.load(Ordering::SeqCst), is_read);
        }
        let count = |reader: &mut vault::db::Reader<'_>| {
            Ok(reader.query_one("SELECT COUNT(*) FROM small_object", &[], |row| row.int(0))?)
        };
        assert_eq!(world.opened.system.read(count).await.unwrap(), Some(1));
    });
}

#[test]
fn a_write_never_lands_in_another_bucket_that_got_the_name_meanwhile() {
    on_both_engines(async |world| {
        world.bucket("one", false).await;
        let system = world.opened.system.clone();
        // While the bytes come, the bucket goes and another workspace makes one of its name.
        let swap = async move {
            let swap = move |writer: &mut vault::db::Writer<'_>| {
                writer.execute("DELETE FROM bucket WHERE name = 'one'", &[])?;
                let sql = "INSERT INTO bucket (id, name, workspace, versioning, created_at, created_by)
                           VALUES ('other', 'one', 'another', 'off', 0, 'x')";
                Ok(writer.execute(sql, &[])?)
            };
            system.write(swap).await.map(|_| Bytes::from_static(b"bytes"))
        };
        let incoming =
            Incoming { body: Box::pin(futures_util::stream::once(swap)), ..Incoming::of(Bytes::from_static(b"bytes")) };
        let (room, bucket, key) = (world.room.clone(), "one".to_owned(), "k".to_owned());
        let write = WriteObject { room, bucket, key, incoming, wish: Wish::default() };
        assert_eq!(code(&world.call(write).await.unwrap_err()), Some(Code::NoSuchBucket));
        let count = |reader: &mut vault::db::Reader<'_>| {
            Ok(reader.query_one("SELECT COUNT(*) FROM bucket_version", &[], |row| row.int(0))?.unwrap_or(-1))
        };
        assert_eq!(world.opened.system.read(count).await.unwrap(), 0);
    });
}

#[test]
fn the_log_says_which_versions_went_of_many() {
    on_both_engines(async |world| {
        world.bucket("one", true).await;
        let mut versions = Vec::new();
        for key in ["a", "b"] {
            versions.push(world.put("one", key, b"x").await.version.version_id);
        }
        let named = |key: &str, version_id: Option<&String>| Removal {
            key: key.to_owned(),
            version_id: version_id.cloned(),
            ..Removal::default()
        };
        let removals = vec![
            named("a", versions.first()),
            named("b", versions.get(1)),
            named("c", None),
            named("d", Some(&"no-such-version".to_owned())),
        ];
        let remove = RemoveObjects { room: world.room.clone(), bucket: "one".to_owned(), removals, bypass: None };
        let removed = world.call(remove).await.unwrap();
        let marker = removed[2].marker.clone().unwrap();
        let record = world.gate.recorded().into_iter().rfind(|line| line.contains("buckets.remove done")).unwrap();
        for version in &versions {
            assert!(record.contains(&format!("/{version}")), "{record}");
        }
        assert!(record.contains(&format!("/+{marker}")) && !record.contains("no-such-version"), "{record}");
    });
}

#[test]
fn what_is_sent_is_sent_whole_though_it_is_deleted_meanwhile() {
    on_both_engines(async |world| {
        world.bucket("one", false).await;
        let (room, bucket, key) = (|| world.room.clone(), || "one".to_owned(), || "k".to_owned());
        let create = CreateUpload { room: room(), bucket: bucket(), key: key(), wish: Wish::default() };
        let upload_id = world.call(create).await.unwrap().id;
        let bytes = [vec![1_u8; 5 << 20], vec![2; 5 << 20], vec![3; 9]];
        let mut parts = Vec::new();
        for (number, bytes) in (1..).zip(&bytes) {
            let bytes = Bytes::from(bytes.clone());
            let incoming = Box::new(move |_: &crate::Upload| Ok(Incoming::of(bytes)));
            let write = WritePart { room: room(), bucket: bucket(), key: key(), upload_id: upload_id.clone(), number, incoming };
            let etag = world.call(write).await.unwrap().part.etag;
            parts.push(SentPart { number, etag, checksums: Vec::new() });
        }
        let complete = |parts: Vec<SentPart>| CompleteUpload {
            room: room(),
            bucket: bucket(),
            key: key(),
            upload_id: upload_id.clone(),
            parts,
            when: WriteConditions::default(),
            size_bytes: None,
            join: Box::new(|_, parts| Ok((opaque_etag(&[0; 32], parts.len()), None))),
        };
        world.call(complete(parts.clone())).await.unwrap();
        // Who asks again is told the same, but not of other parts.
        world.call(complete(parts.clone())).await.unwrap();
        let problem = world.call(complete(parts[..2].to_vec())).await.unwrap_err();
        assert_eq!(code(&problem), Some(Code::InvalidPart));
        let read = ReadObject {
            room: room(),
            bucket: bucket(),
            key: key(),
            version_id: None,
            wanted: Of::Bytes(vault::objects::Wanted::Whole),
            has_body: true,
            when: ReadConditions::default(),
        };
        let mut body = world.call(read).await.unwrap().body.unwrap();
        world.remove(&world.room, "one", "k", None, false).await;
        let mut got = Vec::new();
        while let Some(piece) = body.next().await {
            got.extend_from_slice(&piece.unwrap());
        }
        assert!(got == bytes.concat(), "{} bytes came", got.len());
    });
}
