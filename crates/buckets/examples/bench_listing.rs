//! Fills a bucket of a stopped server with many objects, for `cargo xtask bench objects`: `bench_listing DATABASE BUCKET COUNT PREFIXES`.
//!
//! The objects are rows alone, as uploads leave them: `shard-NNNNN/NNNNNNNN.bin`, equally many below each prefix. A list reads no bytes.
#![expect(clippy::print_stdout, clippy::unwrap_used, reason = "it is part of a bench and may stop")]

use std::path::PathBuf;

use vault::db::{DbError, Location, Writer};

/// Rows of one transaction.
const STEP_COUNT: i64 = 50_000;
/// When the first was made: in 2026.
const FIRST_AT: i64 = 1_790_000_000_000_000;

fn main() {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let [database, bucket, count, prefixes] = words.as_slice() else {
        println!("bench_listing DATABASE BUCKET COUNT PREFIXES");
        return;
    };
    let (count, prefixes): (i64, i64) = (count.parse().unwrap(), prefixes.parse().unwrap());
    let opened = vault::db::open(&Location::Sqlite(PathBuf::from(database))).unwrap();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let seeded = runtime.block_on(async {
        for first in (0..count).step_by(usize::try_from(STEP_COUNT).unwrap()) {
            let (bucket, end) = (bucket.clone(), count.min(first + STEP_COUNT));
            let insert = move |writer: &mut Writer<'_>| Ok(objects(writer, &bucket, (first, end), (count / prefixes).max(1))?);
            opened.system.write(insert).await.unwrap();
        }
        let bucket = bucket.clone();
        let counted = move |reader: &mut vault::db::Reader<'_>| {
            let sql = "SELECT COUNT(*) FROM bucket_version v JOIN bucket b ON b.id = v.bucket_id WHERE b.name = $1";
            Ok(reader.query_one(sql, &[bucket.as_str().into()], |row| row.int(0))?.unwrap_or(0))
        };
        opened.system.read(counted).await.unwrap()
    });
    assert_eq!(seeded, count, "the bucket is there, and was empty");
    println!("{seeded}");
}

/// The objects of these numbers, in a statement that both engines run.
fn objects(writer: &mut Writer<'_>, bucket: &str, (first, end): (i64, i64), each: i64) -> Result<(), DbError> {
    let sql = format!(
        "INSERT INTO bucket_version (id, bucket_id, object_key, rank, version_id, is_latest, is_marker, size_bytes, etag, attributes, tags,
             part_count, created_at, created_by)
         WITH RECURSIVE n(i) AS (SELECT {first} UNION ALL SELECT i + 1 FROM n WHERE i + 1 < {end})
         SELECT 'a-row-as-long-as-others-' || CAST(10000000 + i AS TEXT), b.id,
                'shard-' || CAST(10000 + i / {each} AS TEXT) || '/' || CAST(10000000 + i AS TEXT) || '.bin',
                -{FIRST_AT} - i, 'null', 1, 0, 1048576, '0123456789abcdef0123456789abcdef',
                '{{\"content_type\":\"application/octet-stream\"}}', '', 1, {FIRST_AT} + i, b.created_by
         FROM n CROSS JOIN bucket b WHERE b.name = $1"
    );
    writer.execute(&sql, &[bucket.into()])?;
    Ok(())
}
