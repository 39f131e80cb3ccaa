//! Multipart uploads.

use super::*;

#[tokio::test]
async fn parts_are_joined_without_being_written_anew() {
    for bed in engines().await {
        let parts: Vec<Vec<u8>> = (1..=3).map(|seed| noise(seed, 100_000 * usize::from(seed))).collect();
        let whole = parts.concat();
        let id = bed.create("big", 3).await.unwrap();
        let mut sent = Vec::new();
        for number in [3_usize, 1, 2] {
            sent.push(bed.part("big", &id, number as i64, &parts[number - 1]).await.unwrap());
        }
        bed.part("big", &id, 9, b"never asked for").await.unwrap();
        bed.part("big", &id, 2, b"sent twice").await.unwrap();
        assert!(bed.complete("big", &id, sent.clone()).await.is_err(), "out of order");
        sent.sort_by_key(|part| part.number);
        assert!(bed.complete("big", &id, sent.clone()).await.is_err(), "part 2 was replaced");
        bed.part("big", &id, 2, &parts[1]).await.unwrap();
        assert!(bed.complete("big", &id, Vec::new()).await.is_err());
        assert!(bed.complete("other", &id, sent.clone()).await.is_err(), "another path");
        let before = bed.objects();
        let written = bed.complete("big", &id, sent.clone()).await.unwrap();
        assert_eq!(written, Written { size_bytes: whole.len() as u64, sha256: sha256(&whole) });
        assert_eq!(bed.complete("big", &id, sent).await.unwrap(), written, "asked again");
        assert!(bed.objects().iter().all(|file| before.contains(file)));
        assert_eq!(bed.objects().len(), 3);
        assert!(bed.read("big", Wanted::Whole).await.unwrap() == whole);
        assert!(bed.read("big", Wanted::Between(99_999, 300_000)).await.unwrap() == whole[99_999..=300_000]);
        assert_eq!(bed.part("big", &id, 1, b"late").await.unwrap_err().kind(), Kind::NotFound);
        bed.delete("big").await.unwrap();
        assert!(bed.objects().is_empty());
    }
}

#[tokio::test]
async fn an_aborted_upload_leaves_nothing() {
    for bed in engines().await {
        let id = bed.create("big", 2).await.unwrap();
        bed.part("big", &id, 1, b"x").await.unwrap();
        for number in [0, -1, 10_001] {
            assert_eq!(bed.part("big", &id, number, b"x").await.unwrap_err().kind(), Kind::Invalid);
        }
        bed.abort("big", &id).await.unwrap();
        bed.abort("big", &id).await.unwrap();
        assert!(bed.objects().is_empty());
        assert!(bed.complete("big", &id, vec![SentPart { number: 1, etag: String::new() }]).await.is_err());
    }
}
