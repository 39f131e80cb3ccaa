//! The way on: what stems from a version of a data set. The way back is in `store`.

use std::collections::HashMap;

use vault::db::{DbError, Reader};

use crate::record::{data_version_name, node_key};
use crate::store::{DEPTH_MAX, NODE_COUNT_MAX, document, label, number_of};
use crate::types::{Node, NodeKind, Trust};

/// A thing that stems from the data.
#[derive(Clone, Debug, PartialEq)]
pub struct Stemming {
    /// The thing.
    pub node: Node,
    /// Observed if every step of a way to it is; where each way has a step that a client only claimed, it is claimed.
    pub trust: Trust,
    /// The data version that it stems from most nearly.
    pub data: String,
}

/// What stems from a version.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Onward {
    /// Runs, logged models, versions of models and of data sets, nearer ones before farther ones.
    pub things: Vec<Stemming>,
    /// Whether a limit cut it short.
    pub truncated: bool,
}

/// A node on the way: its number, and the data version behind it.
type Reached = (i64, String);

/// What is shown of what stems from data. Datasets and jobs that clients told of are only followed.
const SHOWN: [NodeKind; 4] = [NodeKind::Run, NodeKind::LoggedModel, NodeKind::ModelVersion, NodeKind::DataVersion];

/// What stems from version `number` of `dataset`: runs that read it or a version made from it, what they gave, what was derived
/// from that. People stem from nothing.
///
/// # Errors
/// [`DbError`] of the engine.
pub fn onward(reader: &mut Reader<'_>, workspace: &str, dataset: &str, number: i64) -> Result<Onward, DbError> {
    let name = data_version_name(dataset, number);
    let root = node_key(workspace, NodeKind::DataVersion, &name);
    let Some(root) = number_of(reader, &root)? else { return Ok(Onward::default()) };
    // How far each node's surest way is to be trusted. One that is reached again by a surer way is gone on from again.
    let mut known = HashMap::from([(root, Trust::Observed)]);
    let mut frontier: Vec<Reached> = vec![(root, name)];
    let mut found = Onward::default();
    for _ in 0..DEPTH_MAX {
        let mut next = Vec::new();
        for (node, trust, to) in steps(reader, &frontier)? {
            if known.len() >= NODE_COUNT_MAX {
                found.truncated = true;
                return labelled(reader, found);
            }
            let Some((_, data)) = frontier.iter().find(|(id, _)| *id == to) else { continue };
            let trust = trust.min(known.get(&to).copied().unwrap_or(Trust::Claimed));
            if known.get(&node.number).is_some_and(|held| *held >= trust) {
                continue;
            }
            let is_new = known.insert(node.number, trust).is_none();
            next.push((node.number, if node.kind == NodeKind::DataVersion { node.name.clone() } else { data.clone() }));
            if !is_new {
                let again = found.things.iter_mut().filter(|thing| thing.node.number == node.number);
                again.for_each(|thing| thing.trust = trust);
            } else if SHOWN.contains(&node.kind) {
                found.things.push(Stemming { node, trust, data: data.clone() });
            }
        }
        frontier = next;
        if frontier.is_empty() {
            return labelled(reader, found);
        }
    }
    found.truncated = true;
    labelled(reader, found)
}

fn labelled(reader: &mut Reader<'_>, mut found: Onward) -> Result<Onward, DbError> {
    let mut nodes: Vec<Node> = found.things.iter().map(|thing| thing.node.clone()).collect();
    label(reader, &mut nodes)?;
    found.things.iter_mut().zip(nodes).for_each(|(thing, node)| thing.node = node);
    Ok(found)
}

/// The edges that lead here, what was seen before what was claimed: where both are known, what was seen counts.
fn steps(reader: &mut Reader<'_>, frontier: &[Reached]) -> Result<Vec<(Node, Trust, i64)>, DbError> {
    let numbers: Vec<i64> = frontier.iter().map(|(number, _)| *number).collect();
    let sql = format!(
        "SELECT n.id, n.key, n.kind, n.name, n.digest, n.attributes, n.at, e.trust, e.to_node
         FROM json_each($1) AS k CROSS JOIN lineage_edge AS e CROSS JOIN lineage_node AS n
         WHERE e.to_node = CAST(k.key AS BIGINT) AND n.id = e.from_node AND e.relation NOT IN ('read', 'inspected') AND n.kind <> 'person'
         ORDER BY CASE e.trust WHEN 'claimed' THEN 1 ELSE 0 END, e.at, n.key, e.relation, e.detail LIMIT {NODE_COUNT_MAX}"
    );
    let binds = document(&numbers);
    reader
        .query(&sql, &[(&binds).into()], |row| Ok((crate::store::node_from_row(row)?, Trust::parse(&row.text(7)?), row.int(8)?)))
}
