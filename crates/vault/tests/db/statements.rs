//! What the connections to PostgreSQL keep of the statements that ran on them.

use std::sync::{Arc, Barrier};

use kernel::{Kind, Problem, Secret};
use testkit::fresh_postgres;
use vault::db::{self, DbError, Location, Opened, Reader};

/// Connections of a pool.
const CONNECTION_COUNT: usize = 8;

/// A pool on a schema of its own, where there is a PostgreSQL.
fn open() -> Option<Opened> {
    let url = fresh_postgres("vault_statements")?;
    Some(db::open(&Location::Postgres { url: Secret::from(url), ca: None }).unwrap())
}

/// Runs `work` on every connection at once.
async fn on_every_connection<T: Send + 'static>(
    opened: &Opened,
    work: fn(&mut Reader<'_>) -> Result<T, DbError>,
) -> Vec<Result<T, Problem>> {
    let meeting = Arc::new(Barrier::new(CONNECTION_COUNT));
    let reads = (0..CONNECTION_COUNT).map(|_| {
        let meeting = Arc::clone(&meeting);
        let system = opened.system.clone();
        tokio::spawn(async move {
            let read = move |reader: &mut Reader<'_>| {
                meeting.wait();
                Ok(work(reader)?)
            };
            system.read(read).await
        })
    });
    let mut results = Vec::new();
    for read in reads.collect::<Vec<_>>() {
        results.push(read.await.unwrap());
    }
    results
}

async fn change(opened: &Opened, statements: &'static [&'static str]) {
    let write = move |writer: &mut db::Writer<'_>| {
        for sql in statements {
            writer.execute(sql, &[])?;
        }
        Ok(())
    };
    opened.system.write(write).await.unwrap();
}

/// How many statements the connection keeps whose text has `part` in it, this one aside.
fn kept_count(reader: &mut Reader<'_>, part: &str) -> Result<i64, DbError> {
    let sql = "SELECT COUNT(*) FROM pg_prepared_statements WHERE statement LIKE '%' || $1 || '%' AND statement NOT LIKE '%pg_prepared%'";
    Ok(reader.query_one(sql, &[part.into()], |row| row.int(0))?.unwrap_or(0))
}

/// How many of these are kept once they ran in turn.
async fn check_kept(statements: Vec<String>, part: &'static str, expected: i64) {
    let Some(opened) = open() else { return };
    let read = move |reader: &mut Reader<'_>| {
        for sql in &statements {
            reader.query_one(sql, &[], |row| row.int(0))?;
        }
        Ok(kept_count(reader, part)?)
    };
    assert_eq!(opened.system.read(read).await.unwrap(), expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_statement_is_prepared_once() {
    check_kept(vec!["SELECT 1 + 1 AS twice".to_owned(); 5], "twice", 1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn so_many_statements_are_kept_and_no_more() {
    let many = (0..300).map(|number| format!("SELECT {number} AS many")).collect();
    // The one that counts them is kept too.
    check_kept(many, "many", 255).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_long_statement_is_not_kept() {
    check_kept(vec![format!("SELECT 1 AS long{}", " ".repeat(8 * 1024))], "long", 0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_statement_that_the_schema_outgrew_is_prepared_anew() {
    let Some(opened) = open() else { return };
    change(&opened, &["CREATE TABLE drill (a BIGINT NOT NULL)", "INSERT INTO drill (a) VALUES (7)"]).await;
    let look = |reader: &mut Reader<'_>| reader.query_one("SELECT * FROM drill", &[], |row| row.int(0));
    for result in on_every_connection(&opened, look).await {
        assert_eq!(result.unwrap(), Some(7));
    }
    change(&opened, &["ALTER TABLE drill ADD COLUMN b BIGINT NOT NULL DEFAULT 8"]).await;
    for result in on_every_connection(&opened, look).await {
        assert_eq!(result.unwrap_err().kind(), Kind::Unavailable, "the caller may come back");
    }
    let look = |reader: &mut Reader<'_>| reader.query_one("SELECT * FROM drill", &[], |row| row.int(1));
    for result in on_every_connection(&opened, look).await {
        assert_eq!(result.unwrap(), Some(8));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn where_statements_are_forgotten_none_is_kept() {
    let Some(opened) = open() else { return };
    let sql = "SELECT 1 AS forgotten";
    let forgotten = move |reader: &mut Reader<'_>| {
        reader.query_one(sql, &[], |row| row.int(0))?;
        reader.query_one("DEALLOCATE ALL", &[], |row| row.int(0))?;
        Ok(reader.query_one(sql, &[], |row| row.int(0))?)
    };
    assert_eq!(opened.system.read(forgotten).await.unwrap_err().kind(), Kind::Unavailable);
    let again = |reader: &mut Reader<'_>| {
        reader.query_one("SELECT 1 AS forgotten", &[], |row| row.int(0))?;
        kept_count(reader, "forgotten")
    };
    for result in on_every_connection(&opened, again).await {
        assert_eq!(result.unwrap(), 0);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_that_was_lost_begins_with_none() {
    let Some(opened) = open() else { return };
    let before = on_every_connection(&opened, backend).await.into_iter().collect::<Result<Vec<i64>, _>>().unwrap();
    let (killed, was_killed) = tokio::sync::oneshot::channel();
    let (done, is_done) = std::sync::mpsc::channel::<()>();
    let others = before.clone();
    let system = opened.system.clone();
    // It holds the one connection that is left until the others were used again.
    let kill = tokio::spawn(async move {
        let kill = move |reader: &mut Reader<'_>| {
            let own = backend(reader)?;
            for other in others.into_iter().filter(|other| *other != own) {
                let sql = "SELECT CASE WHEN pg_terminate_backend($1) THEN 1 ELSE 0 END";
                assert_eq!(reader.query_one(sql, &[other.into()], |row| row.int(0))?, Some(1));
            }
            killed.send(()).unwrap();
            is_done.recv().unwrap();
            Ok(())
        };
        system.read(kill).await
    });
    was_killed.await.unwrap();
    let mut lost_count = 0;
    for _ in 0..3 * CONNECTION_COUNT {
        match opened.system.read(|reader| Ok(backend(reader)?)).await {
            Ok(number) => assert!(!before.contains(&number)),
            Err(problem) => {
                assert_eq!(problem.kind(), Kind::Unavailable);
                lost_count += 1;
            }
        }
    }
    assert!(lost_count < CONNECTION_COUNT, "each connection is lost once: {lost_count}");
    done.send(()).unwrap();
    kill.await.unwrap().unwrap();
}

/// Which connection this is, as PostgreSQL numbers them.
fn backend(reader: &mut Reader<'_>) -> Result<i64, DbError> {
    let number = reader.query_one("SELECT pg_backend_pid()", &[], |row| row.int(0))?;
    Ok(number.unwrap_or_default())
}
