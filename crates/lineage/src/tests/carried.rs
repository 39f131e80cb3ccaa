//! A graph that an earlier version wrote is the same one after its tables have changed.

use testkit::gate::{TEST_CALLER, TEST_WORKSPACE};
use vault::db::{Bind, DbError, Writer};

use super::on_both_engines;
use crate::record::node_key;
use crate::{NodeKind, Trust};

// Cargo runs tests in the folder of their package.
const MIGRATIONS: &str = "../../migrations";

fn steps(engine: &str, name: &str) -> Vec<String> {
    let text = std::fs::read_to_string(format!("{MIGRATIONS}/{engine}/{name}.sql")).unwrap();
    text.split(";\n").map(str::trim).filter(|statement| !statement.is_empty()).map(str::to_owned).collect()
}

fn as_before(writer: &mut Writer<'_>, engine: &str) -> Result<(), DbError> {
    for table in ["lineage_event", "lineage_edge", "lineage_node"] {
        writer.execute(&format!("DROP TABLE {table}"), &[])?;
    }
    for index in ["data_file_by_sha256", "data_version_by_manifest", "artifact_by_sha256"] {
        writer.execute(&format!("DROP INDEX {index}"), &[])?;
    }
    for statement in steps(engine, "0006_lineage") {
        writer.execute(&statement, &[])?;
    }
    let nodes = [
        (NodeKind::Run, "run1"),
        (NodeKind::Person, TEST_CALLER),
        (NodeKind::DataVersion, "d/1"),
        (NodeKind::ModelVersion, "rm_1/1"),
    ];
    let key = |at: usize| nodes.get(at).map(|(kind, name)| node_key(TEST_WORKSPACE, *kind, name)).unwrap_or_default();
    for (at, (kind, name)) in nodes.iter().enumerate() {
        writer.execute(
            "INSERT INTO lineage_node (id, workspace, kind, name, digest, attributes, at) VALUES ($1, $2, $3, $4, NULL, '{}', 7)",
            &[Bind::from(&key(at)), Bind::from(TEST_WORKSPACE), Bind::from(kind.word()), Bind::from(*name)],
        )?;
    }
    let long = "x".repeat(4_000);
    let edges = [
        (0, 1, "associated", "observed", ""),
        (1, 2, "used", "observed", ""),
        (0, 2, "used", "claimed", long.as_str()),
        (3, 0, "generated", "observed", ""),
    ];
    for (number, (from, to, relation, trust, detail)) in edges.into_iter().enumerate() {
        writer.execute(
            "INSERT INTO lineage_edge (id, workspace, from_node, to_node, relation, trust, detail, at, entry)
             VALUES ($1, $2, $3, $4, $5, $6, $7, 8, 'entry')",
            &[
                Bind::from(number.to_string().as_str()),
                Bind::from(TEST_WORKSPACE),
                Bind::from(&key(from)),
                Bind::from(&key(to)),
                Bind::from(relation),
                Bind::from(trust),
                Bind::from(detail),
            ],
        )?;
    }
    for statement in steps(engine, "0013_lineage") {
        writer.execute(&statement, &[])?;
    }
    Ok(())
}

#[test]
fn a_graph_of_before_is_carried_over() {
    on_both_engines(|world| async move {
        let engine = world.engine;
        world.system.write(move |writer| Ok(as_before(writer, engine)?)).await.unwrap();
        let graph = world.show("1").await.unwrap();
        let mut edges: Vec<_> = graph
            .edges
            .iter()
            .map(|edge| (edge.relation.word(), edge.trust, edge.detail.len(), graph.node(&edge.to).unwrap().name.as_str()))
            .collect();
        edges.sort_by_key(|edge| edge.0);
        assert_eq!(
            edges,
            [
                ("associated", Trust::Observed, 0, TEST_CALLER),
                ("generated", Trust::Observed, 0, "run1"),
                ("used", Trust::Claimed, 256, "d/1"),
            ],
            "what the person read is not followed"
        );
        assert_eq!(graph.nodes.first().map(|node| node.at.0), Some(7));
        assert!(graph.edges.iter().all(|edge| edge.entry == "entry" && edge.at.0 == 8));
    });
}
