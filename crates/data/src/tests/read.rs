//! Reading, exporting, and the edges that reading leaves.

use kernel::{Kind, Problem};
use testkit::gate::{TEST_CALLER, TEST_WORKSPACE};
use vault::db::Bind;

use super::support::*;
use crate::ops::*;
use crate::{Fetched, Wanted};

/// Edges out of runs and people into versions, as `relation trust detail`.
async fn edges(world: &World) -> Vec<String> {
    let read = |reader: &mut vault::db::Reader<'_>| {
        let sql = "SELECT f.kind, e.trust, e.detail, t.name FROM lineage_edge e JOIN lineage_node f ON f.id = e.from_node
                   JOIN lineage_node t ON t.id = e.to_node WHERE e.relation IN ('used', 'read') ORDER BY f.kind, e.trust, e.detail";
        Ok(reader.query(sql, &[], |row| Ok(format!("{} {} {} {}", row.text(0)?, row.text(1)?, row.text(3)?, row.text(2)?)))?)
    };
    world.opened.ports.read(read).await.unwrap()
}

async fn put_run(world: &World, id: &'static str, owner: &'static str) {
    let write = move |writer: &mut vault::db::Writer<'_>| {
        writer.execute(
            "INSERT INTO experiment (workspace_id, name, artifact_location, deleted, owner, created_at, updated_at)
             VALUES ($1, $2, 'x', 0, 'o', 1, 1)",
            &[Bind::from(TEST_WORKSPACE), Bind::from(id)],
        )?;
        writer.execute(
            "INSERT INTO run (run_id, experiment_id, name, user_name, owner, status, start_time_ms, artifact_uri, deleted, metric_seq)
             SELECT $1, experiment_id, 'r', 'u', $2, 'RUNNING', 1, 'x', 0, 0 FROM experiment WHERE name = $1",
            &[Bind::from(id), Bind::from(owner)],
        )?;
        Ok(())
    };
    world.opened.system.write(write).await.unwrap();
}

async fn fetch(world: &World, read: ReadFile) -> Result<Vec<u8>, Problem> {
    match world.call(read).await? {
        Fetched::File(download) => Ok(whole(download.body).await),
        Fetched::OutOfRange { size_bytes } => Err(Problem::invalid(format!("only {size_bytes}"))),
    }
}

#[test]
fn a_file_is_read_in_part_and_leaves_edges_once() {
    on_both_engines(|world| async move {
        world.committed("d", &[("a.csv", b"0123456789")], told()).await;
        put_run(&world, "runmine", TEST_CALLER).await;
        put_run(&world, "runother", "somebody").await;
        let read = || world.read("d", "1", "a.csv");
        assert_eq!(fetch(&world, read()).await.unwrap(), b"0123456789");
        assert_eq!(fetch(&world, ReadFile { wanted: Wanted::Between(2, 4), ..read() }).await.unwrap(), b"234");
        assert!(fetch(&world, ReadFile { wanted: Wanted::From(10), ..read() }).await.is_err());
        assert_eq!(kind(fetch(&world, world.read("d", "1", "b.csv")).await), Kind::NotFound);
        assert_eq!(kind(fetch(&world, world.read("d", "2", "a.csv")).await), Kind::NotFound);
        assert_eq!(edges(&world).await, ["person observed d/1 "]);
        for run in ["runmine", "runother", "runmine"] {
            fetch(&world, ReadFile { run: Some(run.to_owned()), ..read() }).await.unwrap();
        }
        assert_eq!(edges(&world).await, ["person observed d/1 ", "run claimed d/1 ", "run observed d/1 "]);
        assert_eq!(kind(fetch(&world, ReadFile { run: Some("none".to_owned()), ..read() }).await), Kind::Invalid);
        let recorded = world.gate.recorded();
        let read = recorded.iter().find(|line| line.starts_with("outcome datasets.read done")).unwrap();
        assert!(read.contains("sent_bytes=10"), "{read}");
    });
}

#[test]
fn an_export_is_an_archive_with_all_that_vouches_for_it() {
    on_both_engines(|world| async move {
        let long = format!("{}/{}.csv", "folder".repeat(12), "n".repeat(80));
        world.committed("d", &[("a.csv", &[b'x'; 1_000]), (&long, b"deep")], told()).await;
        world.inspected().await;
        let export = Export { room: world.room.clone(), dataset: "d".to_owned(), version: "1".to_owned() };
        let exported = world.call(export).await.unwrap();
        assert_eq!(exported.file_name, "d-1.tar");
        let (size_bytes, bytes) = (exported.size_bytes, whole(exported.body).await);
        assert_eq!(bytes.len() as u64, size_bytes);
        let path = world.folder.path().join("d.tar");
        std::fs::write(&path, &bytes).unwrap();
        let listed = std::process::Command::new("tar").arg("-tf").arg(&path).output().unwrap();
        let names: Vec<String> = String::from_utf8(listed.stdout).unwrap().lines().map(str::to_owned).collect();
        let documents = ["manifest.txt", "report.json", "report.html", "attestation.json", "croissant.json"];
        let deep = format!("data/{long}");
        let expected = [&documents[..], &["data/a.csv", &deep]].concat();
        assert_eq!(names, expected, "{}", String::from_utf8_lossy(&listed.stderr));
    });
}
