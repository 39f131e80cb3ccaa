//! The way on: what stems from a version of a data set. The way back is in `store`.

use std::collections::HashSet;

use vault::db::{DbError, Reader};

use crate::record::{data_version_name, node_id};
use crate::store::{CHUNK_COUNT, DEPTH_MAX, NODE_COUNT_MAX, in_list, label};
use crate::types::{Node, NodeKind, Trust};

/// A thing that stems from the data.
#[derive(Clone, Debug, PartialEq)]
pub struct Stemming {
    /// The thing.
    pub node: Node,
    /// Observed if every step to it is; a step that a client only claimed makes it claimed.
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

/// A node on the way: its id, whether all steps to it were seen, the data version behind it.
type Reached = (String, Trust, String);

/// What stems from version `number` of `dataset`: runs that read it or a version made from it, what they gave, what was derived
/// from that. People stem from nothing.
///
/// # Errors
/// [`DbError`] of the engine.
pub fn onward(reader: &mut Reader<'_>, workspace: &str, dataset: &str, number: i64) -> Result<Onward, DbError> {
    let name = data_version_name(dataset, number);
    let root = node_id(workspace, NodeKind::DataVersion, &name);
    let mut known = HashSet::from([root.clone()]);
    let mut frontier: Vec<Reached> = vec![(root, Trust::Observed, name)];
    let mut found = Onward::default();
    for _ in 0..DEPTH_MAX {
        let mut next = Vec::new();
        for (node, trust, to) in steps(reader, workspace, &frontier)? {
            if known.len() >= NODE_COUNT_MAX {
                found.truncated = true;
                return labelled(reader, found);
            }
            let Some((_, before, data)) = frontier.iter().find(|(id, _, _)| *id == to) else { continue };
            if !known.insert(node.id.clone()) {
                continue;
            }
            let trust = if *before == Trust::Observed { trust } else { Trust::Claimed };
            next.push((
                node.id.clone(),
                trust,
                if node.kind == NodeKind::DataVersion { node.name.clone() } else { data.clone() },
            ));
            found.things.push(Stemming { node, trust, data: data.clone() });
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
fn steps(reader: &mut Reader<'_>, workspace: &str, frontier: &[Reached]) -> Result<Vec<(Node, Trust, String)>, DbError> {
    let ids: Vec<String> = frontier.iter().map(|(id, _, _)| id.clone()).collect();
    let mut all = Vec::new();
    for chunk in ids.chunks(CHUNK_COUNT) {
        let (list, binds) = in_list(Some(workspace), chunk);
        let sql = format!(
            "SELECT n.id, n.kind, n.name, n.digest, n.attributes, n.at, e.trust, e.to_node
             FROM lineage_edge e JOIN lineage_node n ON n.id = e.from_node
             WHERE e.workspace = $1 AND e.to_node IN {list} AND n.kind IN ('run', 'logged_model', 'model_version', 'data_version')
             ORDER BY CASE e.trust WHEN 'observed' THEN 0 ELSE 1 END, e.at, e.id LIMIT {NODE_COUNT_MAX}"
        );
        all.append(
            &mut reader
                .query(&sql, &binds, |row| Ok((crate::store::node_from_row(row)?, Trust::parse(&row.text(6)?), row.text(7)?)))?,
        );
    }
    Ok(all)
}
