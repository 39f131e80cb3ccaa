//! Reading the graph. What a name for people is, the rooms' own tables say: this room keeps no copies of names.

use std::collections::{HashMap, HashSet};

use kernel::Micros;
use vault::db::{Bind, DbError, Reader, Row};

use crate::ops::EventWish;
use crate::record::{node_key, version_name};
use crate::types::{Edge, Lineage, Node, NodeKind, Relation, Subject, Trust};

/// How many steps back the graph is followed.
pub(crate) const DEPTH_MAX: usize = 32;
/// How many nodes one lineage may have.
pub(crate) const NODE_COUNT_MAX: usize = 5_000;
/// How many edges one lineage may have.
const EDGE_COUNT_MAX: usize = 20_000;

/// The lineage of a version that is not deleted.
pub(crate) fn lineage_of(
    reader: &mut Reader<'_>,
    workspace: &str,
    model_id: &str,
    number: i64,
) -> Result<Option<Lineage>, DbError> {
    let root = node_key(workspace, NodeKind::ModelVersion, &version_name(model_id, number));
    let Some(subject) = subject(reader, model_id, number, &root)? else { return Ok(None) };
    let mut lineage = Lineage { subject, nodes: Vec::new(), edges: Vec::new(), truncated: false };
    let mut frontier: Vec<i64> = number_of(reader, &root)?.into_iter().collect();
    let mut known: HashSet<i64> = frontier.iter().copied().collect();
    for _ in 0..DEPTH_MAX {
        lineage.nodes.append(&mut nodes_of(reader, &frontier)?);
        let mut next = Vec::new();
        for (to, edge) in edges_from(reader, &frontier)? {
            if lineage.edges.len() >= EDGE_COUNT_MAX || known.len() >= NODE_COUNT_MAX {
                lineage.truncated = true;
                break;
            }
            if known.insert(to) {
                next.push(to);
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
        lineage.nodes.append(&mut nodes_of(reader, &frontier)?);
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

/// The number of the node of a key.
pub(crate) fn number_of(reader: &mut Reader<'_>, key: &str) -> Result<Option<i64>, DbError> {
    reader.query_one("SELECT id FROM lineage_node WHERE key = $1", &[key.into()], |row| row.int(0))
}

/// Numbers as the JSON object that `json_each` makes rows of, on both engines: one statement for any count of them.
pub(crate) fn document(numbers: &[i64]) -> String {
    let mut text = String::with_capacity(numbers.len().saturating_mul(12).saturating_add(2));
    text.push('{');
    for (place, number) in numbers.iter().enumerate() {
        text.push_str(if place == 0 { "\"" } else { ",\"" });
        text.push_str(&number.to_string());
        text.push_str("\":0");
    }
    text.push('}');
    text
}

/// The nodes of these numbers, in their order.
pub(crate) fn nodes_of(reader: &mut Reader<'_>, numbers: &[i64]) -> Result<Vec<Node>, DbError> {
    let sql = "SELECT n.id, n.key, n.kind, n.name, n.digest, n.attributes, n.at
               FROM json_each($1) AS k CROSS JOIN lineage_node AS n WHERE n.id = CAST(k.key AS BIGINT)";
    let mut nodes = reader.query(sql, &[Bind::from(&document(numbers))], node_from_row)?;
    // Whatever order the engine gives.
    let place: HashMap<i64, usize> = numbers.iter().copied().zip(0..).collect();
    nodes.sort_by_key(|node| place.get(&node.number).copied());
    Ok(nodes)
}

pub(crate) fn node_from_row(row: &Row<'_>) -> Result<Node, DbError> {
    Ok(Node {
        number: row.int(0)?,
        id: row.text(1)?,
        kind: NodeKind::parse(&row.text(2)?).ok_or(DbError::Shape(2))?,
        name: crate::claim::shown(row.text(3)?),
        label: None,
        digest: row.opt_text(4)?,
        attributes: serde_json::from_str(&row.text(5)?).unwrap_or_default(),
        at: Micros(row.int(6)?),
    })
}

/// What these nodes stem from, with the number of each.
pub(crate) fn edges_from(reader: &mut Reader<'_>, numbers: &[i64]) -> Result<Vec<(i64, Edge)>, DbError> {
    let sql = format!(
        "SELECT f.key, t.key, e.relation, e.trust, e.detail, e.at, e.entry, e.to_node
         FROM json_each($1) AS k CROSS JOIN lineage_edge AS e CROSS JOIN lineage_node AS f CROSS JOIN lineage_node AS t
         WHERE e.from_node = CAST(k.key AS BIGINT) AND f.id = e.from_node AND t.id = e.to_node AND e.relation <> 'read' AND f.kind <> 'inspection'
         ORDER BY e.at, e.relation, e.detail, t.key LIMIT {EDGE_COUNT_MAX}"
    );
    reader
        .query(&sql, &[Bind::from(&document(numbers))], |row| Ok((row.int(7)?, edge_from_row(row, row.text(0)?, row.text(1)?)?)))
}

/// The edges between these nodes, looked up from their later ends: a thing stems from few, but much may stem from it.
pub(crate) fn between(reader: &mut Reader<'_>, nodes: &[Node]) -> Result<Vec<Edge>, DbError> {
    let known: HashMap<i64, &Node> = nodes.iter().map(|node| (node.number, node)).collect();
    let from: Vec<i64> = nodes.iter().filter(|node| node.kind != NodeKind::Inspection).map(|node| node.number).collect();
    let sql = format!(
        "SELECT e.from_node, e.to_node, e.relation, e.trust, e.detail, e.at, e.entry FROM json_each($1) AS k CROSS JOIN lineage_edge AS e
         WHERE e.from_node = CAST(k.key AS BIGINT) AND e.relation <> 'read' ORDER BY e.at, e.relation, e.detail, e.to_node, e.from_node
         LIMIT {EDGE_COUNT_MAX}"
    );
    let mut edges = Vec::new();
    reader.for_each(&sql, &[Bind::from(&document(&from))], |row| {
        if let (Some(from), Some(to)) = (known.get(&row.int(0)?), known.get(&row.int(1)?)) {
            edges.push(edge_from_row(row, from.id.clone(), to.id.clone())?);
        }
        Ok(())
    })?;
    Ok(edges)
}

/// An edge whose columns begin with its two ends.
fn edge_from_row(row: &Row<'_>, from: String, to: String) -> Result<Edge, DbError> {
    Ok(Edge {
        from,
        to,
        relation: Relation::parse(&row.text(2)?).ok_or(DbError::Shape(2))?,
        trust: Trust::parse(&row.text(3)?),
        detail: row.text(4)?,
        at: Micros(row.int(5)?),
        entry: row.text(6)?,
    })
}

/// Gives people, runs, logged models, versions and endpoints the names they have now. An erased name stays away.
pub(crate) fn label(reader: &mut Reader<'_>, nodes: &mut [Node]) -> Result<(), DbError> {
    let kinds = [
        (NodeKind::Person, "principal", "id"),
        (NodeKind::Run, "run", "run_id"),
        (NodeKind::LoggedModel, "logged_model", "model_id"),
        (NodeKind::ModelVersion, "registered_model", "model_id"),
        (NodeKind::Endpoint, "endpoint", "endpoint_id"),
    ];
    let mut parts = Vec::new();
    let mut documents = Vec::new();
    for (kind, table, id) in kinds {
        let of_kind = nodes.iter().filter(|node| node.kind == kind);
        let keys: serde_json::Map<String, serde_json::Value> =
            of_kind.map(|node| (key_of(node), serde_json::Value::from(0))).filter(|(key, _)| !key.contains('\0')).collect();
        if !keys.is_empty() {
            documents.push(serde_json::Value::Object(keys).to_string());
            let (place, word) = (documents.len(), kind.word());
            parts.push(format!(
                "SELECT '{word}', t.{id}, t.name FROM json_each(${place}) AS k CROSS JOIN {table} AS t WHERE t.{id} = k.key"
            ));
        }
    }
    if parts.is_empty() {
        return Ok(());
    }
    let binds: Vec<Bind<'_>> = documents.iter().map(Bind::from).collect();
    let name = |row: &Row<'_>| Ok(((NodeKind::parse(&row.text(0)?).ok_or(DbError::Shape(0))?, row.text(1)?), row.text(2)?));
    let names: HashMap<(NodeKind, String), String> =
        reader.query(&parts.join(" UNION ALL "), &binds, name)?.into_iter().collect();
    for node in nodes.iter_mut() {
        node.label = names.get(&(node.kind, key_of(node))).map(|name| match node.kind {
            NodeKind::ModelVersion => {
                format!("{name} version {}", node.name.rsplit('/').next().unwrap_or_default())
            }
            _ => name.clone(),
        });
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

/// Events of one answer may not be longer than this together.
const EVENTS_BYTES_MAX: i64 = 32 * 1024 * 1024;

/// An event's digest, and its text as it is kept.
type KeptEvent = (Vec<u8>, String);

/// Events of a workspace, as many as fit into one answer, and how many there are.
pub(crate) fn events(reader: &mut Reader<'_>, workspace: &str, wish: &EventWish) -> Result<(Vec<KeptEvent>, i64), DbError> {
    let range = [Bind::from(workspace), Bind::from(wish.after.0), Bind::from(wish.before.0)];
    let within = "workspace = $1 AND at >= $2 AND at < $3";
    let count = format!("SELECT COUNT(*) FROM lineage_event WHERE {within}");
    let total_count = reader.query_one(&count, &range, |row| row.int(0))?.unwrap_or(0);
    let order = if wish.oldest_first { "at, id" } else { "at DESC, id DESC" };
    let sizes = format!("SELECT id, LENGTH(body) FROM lineage_event WHERE {within} ORDER BY {order} LIMIT $4 OFFSET $5");
    let page: Vec<Bind<'_>> = range.into_iter().chain([wish.limit.into(), wish.offset.into()]).collect();
    let mut left = EVENTS_BYTES_MAX;
    let mut chosen = Vec::new();
    for (id, size) in reader.query(&sizes, &page, |row| Ok((row.int(0)?, row.int(1)?)))? {
        left = left.saturating_sub(size);
        if left < 0 && !chosen.is_empty() {
            break;
        }
        chosen.push(id);
    }
    let sql = format!(
        "SELECT e.digest, e.body FROM json_each($1) AS k CROSS JOIN lineage_event AS e WHERE e.id = CAST(k.key AS BIGINT) ORDER BY {}",
        if wish.oldest_first { "e.at, e.id" } else { "e.at DESC, e.id DESC" }
    );
    let kept = reader.query(&sql, &[Bind::from(&document(&chosen))], |row| Ok((row.bytes(0)?, row.text(1)?)))?;
    Ok((kept, total_count))
}
