//! Reading the graph. What a name for people is, the rooms' own tables say: this room keeps no copies of names.

use std::collections::{HashMap, HashSet};

use kernel::Micros;
use vault::db::{Bind, DbError, Reader, Row};

use crate::record::{node_id, version_name};
use crate::types::{Edge, Lineage, Node, NodeKind, Relation, Subject, Trust};

/// How many steps back the graph is followed.
pub(crate) const DEPTH_MAX: usize = 32;
/// How many nodes one lineage may have.
pub(crate) const NODE_COUNT_MAX: usize = 5_000;
/// How many edges one lineage may have.
const EDGE_COUNT_MAX: usize = 20_000;
/// Nodes looked up in one statement.
pub(crate) const CHUNK_COUNT: usize = 500;

/// The lineage of a version that is not deleted.
pub(crate) fn lineage_of(
    reader: &mut Reader<'_>,
    workspace: &str,
    model_id: &str,
    number: i64,
) -> Result<Option<Lineage>, DbError> {
    let name = version_name(model_id, number);
    let root = node_id(workspace, NodeKind::ModelVersion, &name);
    let Some(subject) = subject(reader, model_id, number, &root)? else { return Ok(None) };
    let mut lineage = Lineage { subject, nodes: Vec::new(), edges: Vec::new(), truncated: false };
    let mut known: HashSet<String> = HashSet::from([root.clone()]);
    let mut frontier = vec![root];
    for _ in 0..DEPTH_MAX {
        let mut nodes = nodes_of(reader, workspace, &frontier)?;
        // In the order in which they were reached, whatever order the engine gives.
        let place: HashMap<&String, usize> = frontier.iter().zip(0..).collect();
        nodes.sort_by_key(|node| place.get(&node.id).copied());
        // What a person read besides is not what the model stems from.
        let onward: Vec<String> = nodes.iter().filter(|node| node.kind != NodeKind::Person).map(|node| node.id.clone()).collect();
        lineage.nodes.append(&mut nodes);
        let edges = edges_from(reader, workspace, &onward)?;
        let mut next = Vec::new();
        for edge in edges {
            if lineage.edges.len() >= EDGE_COUNT_MAX || known.len() >= NODE_COUNT_MAX {
                lineage.truncated = true;
                break;
            }
            if known.insert(edge.to.clone()) {
                next.push(edge.to.clone());
            }
            lineage.edges.push(edge);
        }
        frontier = next;
        if frontier.is_empty() {
            break;
        }
    }
    if !frontier.is_empty() {
        lineage.truncated = true;
        let mut rest = nodes_of(reader, workspace, &frontier)?;
        lineage.nodes.append(&mut rest);
    }
    lineage.drop_repeated_claims();
    label(reader, &mut lineage.nodes)?;
    Ok(Some(lineage))
}

fn subject(reader: &mut Reader<'_>, model_id: &str, number: i64, node: &str) -> Result<Option<Subject>, DbError> {
    let binds = [Bind::from(model_id), Bind::from(number)];
    let found = reader.query_one(
        "SELECT m.name, v.version, v.stage, v.source, v.created_at FROM model_version v
         JOIN registered_model m ON m.model_id = v.model_id
         WHERE v.model_id = $1 AND v.version = $2 AND v.deleted = 0",
        &binds,
        |row| {
            Ok(Subject {
                name: row.text(0)?,
                version: row.int(1)?,
                aliases: Vec::new(),
                stage: row.text(2)?,
                source: row.text(3)?,
                at: Micros(row.int(4)?),
                node: node.to_owned(),
            })
        },
    )?;
    let Some(mut subject) = found else { return Ok(None) };
    let sql = "SELECT alias FROM registered_model_alias WHERE model_id = $1 AND version = $2 ORDER BY alias";
    subject.aliases = reader.query(sql, &binds, |row| row.text(0))?;
    Ok(Some(subject))
}

fn nodes_of(reader: &mut Reader<'_>, workspace: &str, ids: &[String]) -> Result<Vec<Node>, DbError> {
    let mut all = Vec::new();
    for chunk in ids.chunks(CHUNK_COUNT) {
        let (list, binds) = in_list(Some(workspace), chunk);
        let sql =
            format!("SELECT id, kind, name, digest, attributes, at FROM lineage_node WHERE workspace = $1 AND id IN {list}");
        all.append(&mut reader.query(&sql, &binds, node_from_row)?);
    }
    Ok(all)
}

pub(crate) fn node_from_row(row: &Row<'_>) -> Result<Node, DbError> {
    Ok(Node {
        id: row.text(0)?,
        kind: NodeKind::parse(&row.text(1)?).ok_or(DbError::Shape(1))?,
        name: row.text(2)?,
        label: None,
        digest: row.opt_text(3)?,
        attributes: serde_json::from_str(&row.text(4)?).unwrap_or_default(),
        at: Micros(row.int(5)?),
    })
}

fn edges_from(reader: &mut Reader<'_>, workspace: &str, ids: &[String]) -> Result<Vec<Edge>, DbError> {
    let mut all = Vec::new();
    for chunk in ids.chunks(CHUNK_COUNT) {
        let (list, binds) = in_list(Some(workspace), chunk);
        let sql = format!(
            "SELECT from_node, to_node, relation, trust, detail, at, entry FROM lineage_edge
             WHERE workspace = $1 AND from_node IN {list} ORDER BY at, relation, detail, id LIMIT {EDGE_COUNT_MAX}"
        );
        all.append(&mut reader.query(&sql, &binds, edge_from_row)?);
    }
    Ok(all)
}

fn edge_from_row(row: &Row<'_>) -> Result<Edge, DbError> {
    Ok(Edge {
        from: row.text(0)?,
        to: row.text(1)?,
        relation: Relation::parse(&row.text(2)?).ok_or(DbError::Shape(2))?,
        trust: Trust::parse(&row.text(3)?),
        detail: row.text(4)?,
        at: Micros(row.int(5)?),
        entry: row.text(6)?,
    })
}

/// Gives people, runs, logged models and versions the names they have now. An erased name stays away.
pub(crate) fn label(reader: &mut Reader<'_>, nodes: &mut [Node]) -> Result<(), DbError> {
    let kinds = [
        (NodeKind::Person, "SELECT id, name FROM principal WHERE id IN"),
        (NodeKind::Run, "SELECT run_id, name FROM run WHERE run_id IN"),
        (NodeKind::LoggedModel, "SELECT model_id, name FROM logged_model WHERE model_id IN"),
        (NodeKind::ModelVersion, "SELECT model_id, name FROM registered_model WHERE model_id IN"),
    ];
    for (kind, select) in kinds {
        let mut names: HashMap<String, String> = HashMap::new();
        let mut keys: Vec<String> = nodes.iter().filter(|node| node.kind == kind).map(key_of).collect();
        keys.sort();
        keys.dedup();
        for chunk in keys.chunks(CHUNK_COUNT) {
            let (list, binds) = in_list(None, chunk);
            names.extend(reader.query(&format!("{select} {list}"), &binds, |row| Ok((row.text(0)?, row.text(1)?)))?);
        }
        for node in nodes.iter_mut().filter(|node| node.kind == kind) {
            node.label = names.get(&key_of(node)).map(|name| match kind {
                NodeKind::ModelVersion => {
                    format!("{name} version {}", node.name.rsplit('/').next().unwrap_or_default())
                }
                _ => name.clone(),
            });
        }
    }
    Ok(())
}

/// The key of a node's row in its own room.
fn key_of(node: &Node) -> String {
    match node.kind {
        NodeKind::ModelVersion => node.name.rsplit_once('/').map_or(node.name.clone(), |(model, _)| model.to_owned()),
        _ => node.name.clone(),
    }
}

pub(crate) fn in_list<'a>(first: Option<&'a str>, ids: &'a [String]) -> (String, Vec<Bind<'a>>) {
    let mut binds: Vec<Bind<'a>> = first.into_iter().map(Bind::from).collect();
    let mut places = Vec::with_capacity(ids.len());
    for id in ids {
        binds.push(Bind::from(id));
        places.push(format!("${}", binds.len()));
    }
    (format!("({})", places.join(", ")), binds)
}
