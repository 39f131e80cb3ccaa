//! Objects as they come and go.

use super::*;
use crate::Told;
use crate::ops::buckets::{BucketChange, DeleteBucket, UpdateBucket};
use crate::{Versioning, WriteConditions};

#[test]
fn what_was_written_is_read_and_only_so() {
    on_both_engines(async |world| {
        world.bucket("one", false).await;
        let written = world.put("one", "a/b", b"bytes").await;
        assert_eq!((written.is_versioned(), written.version.version_id.as_str()), (false, "null"));
        assert_eq!(world.get("one", "a/b", None).await.unwrap().1, b"bytes");
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
