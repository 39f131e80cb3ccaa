//! Queries and files made to take everything: each ends in an error, and the server lives.

use inspection::InspectionError;

use super::{Given, job, rows, run};

async fn check(file: (&str, &[u8]), sql: &str, expected: &str) {
    let files = [file];
    let tables: [Given<'_>; 1] = [("t", &files)];
    let mut asked = job(&tables, rows(sql));
    asked.limits.memory_bytes_max = 512 << 20;
    asked.limits.cpu_seconds_max = 20;
    asked.limits.query_seconds_max = 5;
    let error = run(&asked, &tables).await.unwrap_err();
    assert!(error.to_string().contains(expected), "{sql}: {error}");
}

#[tokio::test]
async fn files_that_break_readers_are_errors() {
    check(("t.parquet", b"PAR1\x00\x00\x00\x00PAR1"), "SELECT 1", "t.parquet").await;
    check(
        ("t.parquet", &[b"PAR1".as_slice(), &[0xff; 64], &[0xff, 0xff, 0xff, 0x7f], b"PAR1"].concat()),
        "SELECT 1",
        "t.parquet",
    )
    .await;
    check(("t.csv", b""), "SELECT 1", "").await;
    check(("t.arrow", b"ARROW1\x00\x00\xff\xff\xff\xff\xff\xff\xff\x7f"), "SELECT 1", "t.arrow").await;
    check(("../../etc/passwd.csv", b"a\n1\n"), "SELECT 1", "climbs").await;
}

#[tokio::test]
async fn texts_that_grow_end_the_worker_only() {
    let text = b"a\n1\n";
    check(("t.csv", text), "SELECT MAX(length(repeat('x', 2000000000))) FROM t", "").await;
    check(("t.csv", text), "SELECT MAX(length(repeat(repeat('x', 60000), 60000))) FROM t", "").await;
    check(("t.csv", text), "SELECT MAX(length(rpad('x', 2000000000, 'y'))) FROM t", "").await;
}

#[tokio::test]
async fn a_query_without_end_is_stopped() {
    let text = format!("a\n{}", "1\n".repeat(300_000));
    let sql = "SELECT COUNT(*) FROM t a, t b WHERE a.a + b.a > 9";
    check(("t.csv", text.as_bytes()), sql, "stopped after 5 s").await;
}

#[tokio::test]
async fn reading_is_limited_over_all_scans() {
    let text = format!("a\n{}", "1\n".repeat(100_000));
    let files = [("t.csv", text.as_bytes())];
    let tables: [Given<'_>; 1] = [("t", &files)];
    let mut asked = job(&tables, rows("SELECT COUNT(*) FROM t x JOIN t y ON x.a = y.a + 1"));
    asked.limits.read_bytes_max = text.len() as u64 + 1_000;
    let error = run(&asked, &tables).await.unwrap_err();
    assert!(matches!(&error, InspectionError::Failed(why) if why.contains("bytes had to be read")), "{error}");
}
