//! Pages against a list that is made by hand.

use std::collections::BTreeSet;

use super::*;
use crate::ops::list::{ListObjects, Page, Wanted as Listed};

const KEYS: [&str; 14] =
    ["a", "a/", "a/1", "a/2/x", "a/2/y", "a0", "b/1", "b/2", "b//3", "c", "ä", "ä/1", "\u{ffff}/x", "\u{10ffff}"];

async fn page(world: &World, prefix: &str, delimiter: &str, after: &str, count: usize) -> Page {
    let list = ListObjects {
        room: world.room.clone(),
        bucket: "one".to_owned(),
        wanted: Listed::Objects { after: after.to_owned() },
        prefix: prefix.to_owned(),
        delimiter: delimiter.to_owned(),
        count,
    };
    world.call(list).await.unwrap()
}

/// What a listing should give, line by line.
fn expected(prefix: &str, delimiter: &str) -> Vec<String> {
    let lines: BTreeSet<String> = KEYS
        .iter()
        .filter_map(|key| {
            let rest = key.strip_prefix(prefix)?;
            let cut = (!delimiter.is_empty()).then(|| rest.find(delimiter)).flatten();
            Some(cut.map_or((*key).to_owned(), |at| format!("{prefix}{}", &rest[..at + delimiter.len()])))
        })
        .collect();
    lines.into_iter().collect()
}

#[test]
fn pages_of_any_size_give_each_line_once_and_in_order() {
    on_both_engines(async |world| {
        world.bucket("one", false).await;
        for key in KEYS {
            world.put("one", key, b"x").await;
        }
        for prefix in ["", "a", "a/", "b/", "nothing", "ä", "\u{10ffff}"] {
            for delimiter in ["", "/", "2/", "\u{10ffff}"] {
                for count in [1, 2, 3, 1_000] {
                    let mut lines = Vec::new();
                    let mut after = String::new();
                    loop {
                        let page = page(&world, prefix, delimiter, &after, count).await;
                        let mut own: Vec<String> = page.versions.iter().map(|version| version.key.clone()).collect();
                        own.extend(page.prefixes.iter().cloned());
                        own.sort();
                        assert!(own.len() <= count);
                        assert_eq!(own.last(), page.last.as_ref(), "{prefix:?} {delimiter:?}");
                        lines.extend(own);
                        match page.last.filter(|_| page.is_truncated) {
                            Some(last) => after = last,
                            None => break,
                        }
                    }
                    assert_eq!(lines, expected(prefix, delimiter), "{prefix:?} {delimiter:?} {count}");
                }
            }
        }
    });
}

#[test]
fn versions_come_newest_first_and_pages_go_on_within_a_key() {
    on_both_engines(async |world| {
        world.bucket("one", true).await;
        let mut wanted = Vec::new();
        for key in ["a", "b"] {
            let mut own = Vec::new();
            for number in 0..3_u8 {
                own.push((key.to_owned(), world.put("one", key, &[number]).await.version.version_id));
            }
            own.reverse();
            wanted.extend(own);
        }
        let mut found = Vec::new();
        let (mut after, mut after_version) = (String::new(), String::new());
        loop {
            let list = ListObjects {
                room: world.room.clone(),
                bucket: "one".to_owned(),
                wanted: Listed::Versions { after: after.clone(), after_version: after_version.clone() },
                prefix: String::new(),
                delimiter: String::new(),
                count: 2,
            };
            let page = world.call(list).await.unwrap();
            for version in &page.versions {
                found.push((version.key.clone(), version.version_id.clone()));
            }
            (after, after_version) = found.last().cloned().unwrap();
            if !page.is_truncated {
                break;
            }
        }
        assert_eq!(found, wanted);
    });
}

#[test]
fn a_bucket_is_emptied_page_by_page_though_the_markers_are_gone() {
    on_both_engines(async |world| {
        world.bucket("one", true).await;
        for number in 0..7_u8 {
            world.put("one", "same", &[number]).await;
        }
        let (mut after, mut after_version, mut count) = (String::new(), String::new(), 0);
        loop {
            let list = ListObjects {
                room: world.room.clone(),
                bucket: "one".to_owned(),
                wanted: Listed::Versions { after, after_version },
                prefix: String::new(),
                delimiter: String::new(),
                count: 3,
            };
            let page = world.call(list).await.unwrap();
            for version in &page.versions {
                count += 1;
                world.remove(&world.room, "one", &version.key, Some(&version.version_id), false).await;
            }
            if !page.is_truncated {
                break;
            }
            (after, after_version) = (page.last.unwrap(), page.last_version.unwrap());
        }
        assert_eq!(count, 7);
    });
}

#[test]
fn uploads_under_one_prefix_are_one_line_of_one_page() {
    on_both_engines(async |world| {
        world.bucket("one", false).await;
        for key in ["a/1", "a/2", "a/3", "b", "c/1"] {
            let (room, bucket, key) = (world.room.clone(), "one".to_owned(), key.to_owned());
            let create = crate::ops::multipart::CreateUpload { room, bucket, key, wish: Wish::default() };
            world.call(create).await.unwrap();
        }
        let (mut after, mut after_upload, mut lines) = (String::new(), String::new(), Vec::new());
        loop {
            let list = ListObjects {
                room: world.room.clone(),
                bucket: "one".to_owned(),
                wanted: Listed::Uploads { after, after_upload },
                prefix: String::new(),
                delimiter: "/".to_owned(),
                count: 1,
            };
            let page = world.call(list).await.unwrap();
            lines.extend(page.uploads.iter().map(|upload| upload.key.clone()).chain(page.prefixes.iter().cloned()));
            if !page.is_truncated {
                break;
            }
            after_upload = page.uploads.last().map(|upload| upload.id.clone()).unwrap_or_default();
            after = page.last.unwrap();
        }
        assert_eq!(lines, ["a/", "b", "c/"]);
    });
}
