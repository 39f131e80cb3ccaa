//! Walks over a graph of a million nodes and three million edges, through the gate, on SQLite and on the PostgreSQL that
//! `STRONGROOM_TEST_POSTGRES` names. Prints one JSON object.
//!
//! The graph is 33 trees of 30,000 things, each made from three earlier ones, and a last, smaller one. Walked is down from a run that one
//! tree hangs on, and up from a run that read the last thing of it.
#![expect(clippy::print_stdout, clippy::unwrap_used, reason = "a bench prints and may stop")]

use std::sync::Arc;
use std::time::Instant;

use gate::{Outcome, Target};
use lineage::ops::{WalkGraph, Walked};
use lineage::record::{self, Scene};
use lineage::{Direction, Lineage, Root, Trust};
use serde_json::{Value, json};
use testkit::gate::TEST_WORKSPACE;
use testkit::{Engine, TestGate};
use vault::db::{Db, DbError, Location, SystemDb, Writer};
use vault::keys::{KeyFile, Keyring};

const NODE_COUNT: i64 = 1_000_000;
const TREE_NODE_COUNT: i64 = 30_000;
/// The tree that is walked: one in the middle of the tables.
const TREE: i64 = 17;
const ROUND_COUNT: usize = 21;
/// Rounds before those that count: after five times PostgreSQL keeps a statement's plan, on each of eight connections.
const WARM_COUNT: usize = 48;
const ANCESTORS_LIMIT_MS: f64 = 5.0;
const DESCENDANTS_LIMIT_MS: f64 = 100.0;

fn main() {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let rows: Vec<Value> =
        Engine::all("bench_lineage").into_iter().flat_map(|engine| runtime.block_on(measure(engine))).collect();
    println!("{}", json!({ "bench": "lineage", "rows": rows }));
}

async fn measure(engine: Engine) -> Vec<Value> {
    let opened = vault::db::open(&engine.location).unwrap();
    let gate = testkit::open_gate();
    let begun = Instant::now();
    seed(&opened.system, &opened.db, &gate).await;
    vacuum(&engine);
    let (nodes, edges) = counts(&opened.system).await;
    let seeded_s = begun.elapsed().as_secs();
    let root = KeyFile::create(&engine.folder.path().join("root.key")).unwrap();
    let keys = Keyring::open(opened.system.clone(), Arc::new(root), Arc::new(kernel::FakeClock::default())).await.unwrap();
    let room = Lineage::new(opened.db.clone(), keys);
    let mut rows = Vec::new();
    for (work, subject, direction, limit) in [
        ("ancestors", "run:bench-leaf", Direction::Up, ANCESTORS_LIMIT_MS),
        ("descendants", "run:bench-root", Direction::Down, DESCENDANTS_LIMIT_MS),
    ] {
        let mut times = Vec::new();
        let mut found = 0;
        for _ in 0..WARM_COUNT {
            walk(&gate, &room, subject, direction).await;
        }
        for _ in 0..ROUND_COUNT {
            let begun = Instant::now();
            let walked = walk(&gate, &room, subject, direction).await;
            times.push(begun.elapsed().as_secs_f64() * 1_000.0);
            found = walked.found.len();
            assert!(!walked.truncated);
        }
        times.sort_by(f64::total_cmp);
        let at = |share: usize| times.get((times.len() * share / 100).min(times.len() - 1)).copied().unwrap_or(f64::NAN);
        rows.push(json!({
            "work": format!("{work}-{}", engine.name), "ours": at(50), "peer": null, "unit": "ms, median", "ratio": null,
            "limit": limit, "of_limit": limit / at(50), "found": found, "p95_ms": at(95), "nodes": nodes, "edges": edges,
            "seeded_s": seeded_s,
        }));
    }
    rows
}

/// What PostgreSQL does by itself within minutes of a load (`0024_lineage_vacuum`): the bench does not wait for it.
fn vacuum(engine: &Engine) {
    let Location::Postgres { url, .. } = &engine.location else { return };
    let url = url.clone();
    // The client blocks on a runtime of its own, which it may not do on a thread that already drives one.
    let done = std::thread::spawn(move || {
        let mut client = postgres::Client::connect(url.expose_text().unwrap(), postgres::NoTls).unwrap();
        for table in ["lineage_edge", "lineage_node"] {
            client.batch_execute(&format!("VACUUM (ANALYZE) {table}")).unwrap();
        }
    });
    done.join().unwrap();
}

async fn walk(gate: &TestGate, room: &Lineage, subject: &str, direction: Direction) -> Walked {
    let root = Root::parse(subject).unwrap();
    gate.call(WalkGraph { room: room.clone(), subject: subject.to_owned(), root, direction, depth: None }).await.unwrap()
}

async fn counts(system: &SystemDb) -> (i64, i64) {
    let count = |reader: &mut vault::db::Reader<'_>, table: &str| -> Result<i64, DbError> {
        Ok(reader.query_one(&format!("SELECT COUNT(*) FROM {table}"), &[], |row| row.int(0))?.unwrap_or(0))
    };
    system.read(move |reader| Ok((count(reader, "lineage_node")?, count(reader, "lineage_edge")?))).await.unwrap()
}

async fn seed(system: &SystemDb, db: &Db, gate: &TestGate) {
    system.write(|writer| Ok(trees(writer)?)).await.unwrap();
    let db = db.clone();
    let runs = move |permit| async move {
        let scene = Scene::of(&permit)?;
        let write = move |writer: &mut Writer<'_>| {
            record::run_created(writer, &scene, "bench-root")?;
            record::run_created(writer, &scene, "bench-leaf")?;
            record::run_outputs(writer, &scene, "bench-root", &["bench-first"], Trust::Observed)?;
            record::run_model_inputs(writer, &scene, "bench-leaf", &["bench-last"])?;
            // The first and the last thing of the tree get those names, and with them their edges.
            for (name, place) in [("bench-first", 0), ("bench-last", TREE_NODE_COUNT - 1)] {
                join(writer, name, TREE * TREE_NODE_COUNT + place)?;
            }
            Ok(((), Outcome::done()))
        };
        db.write(&permit, write).await
    };
    gate.permit_for(Target::Workspace, runs).await.unwrap();
    system
        .write(|writer| {
            writer.execute("ANALYZE lineage_node", &[])?;
            writer.execute("ANALYZE lineage_edge", &[])?;
            Ok(())
        })
        .await
        .unwrap();
}

/// A million nodes and three million edges, in statements that both engines run.
fn trees(writer: &mut Writer<'_>) -> Result<(), DbError> {
    writer.execute(
        &format!(
            "INSERT INTO lineage_node (key, workspace, kind, name, attributes, at)
             WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i + 1 < {NODE_COUNT})
             SELECT 'a-key-as-long-as-real-ones-' || CAST(i AS TEXT), '{TEST_WORKSPACE}',
                    CASE i % 4 WHEN 0 THEN 'dataset' WHEN 1 THEN 'run' WHEN 2 THEN 'logged_model' ELSE 'model_version' END,
                    'a-name-as-long-as-real-ones-' || CAST(i AS TEXT), '{{}}', i
             FROM n"
        ),
        &[],
    )?;
    let first = writer.query_one("SELECT MIN(id) FROM lineage_node", &[], |row| row.int(0))?.unwrap_or(0);
    writer.execute(
        &format!(
            "INSERT INTO lineage_edge (from_node, to_node, relation, trust, detail, at, entry)
             WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i + 1 < {NODE_COUNT}),
             near(j) AS (SELECT 0 UNION ALL SELECT 1 UNION ALL SELECT 2),
             pair(i, k, p) AS (
                SELECT n.i, n.i % {TREE_NODE_COUNT}, (n.i % {TREE_NODE_COUNT}) / 3 + near.j - 1 FROM n CROSS JOIN near)
             SELECT {first} + i, {first} + i - k + CASE WHEN p < 0 THEN 0 WHEN p > k - 1 THEN k - 1 ELSE p END, 'derived',
                    CASE i % 10 WHEN 9 THEN 'claimed' ELSE 'observed' END, '', i, 'an-entry-as-long-as-a-real-one--'
             FROM pair WHERE k > 0 ON CONFLICT DO NOTHING"
        ),
        &[],
    )?;
    Ok(())
}

/// Joins the node of a logged model to a node of the trees, in both directions.
fn join(writer: &mut Writer<'_>, name: &str, place: i64) -> Result<(), DbError> {
    let ends = if name == "bench-first" { "m.id, l.id" } else { "l.id, m.id" };
    writer.execute(
        &format!(
            "INSERT INTO lineage_edge (from_node, to_node, relation, trust, detail, at, entry)
             SELECT {ends}, 'derived', 'observed', '', 0, 'x' FROM lineage_node l, lineage_node m
             WHERE l.name = $1 AND l.kind = 'logged_model' AND m.key = 'a-key-as-long-as-real-ones-' || CAST($2 AS TEXT)"
        ),
        &[name.into(), place.to_string().as_str().into()],
    )?;
    Ok(())
}
