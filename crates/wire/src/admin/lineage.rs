//! `/lineage/{model}/{version}`: the way back from a version of a model, as a graph and as a text.

use http::Method;
use kernel::Problem;
use lineage::ops::Show;
use lineage::{Edge, Graph, Lineage, Node, NodeKind, Use};
use serde_json::{Value, json};

use super::times;
use crate::{Answer, Door, Inbound, outbound};

/// Adds the route.
pub fn routes(door: &mut Door, lineage: &Lineage) {
    let room = lineage.clone();
    let parse = move |inbound: &Inbound| {
        Ok(Show { room: room.clone(), model: inbound.path("model").to_owned(), version: inbound.path("version").to_owned() })
    };
    door.route::<Show, _, _>(Method::GET, "/api/strongroom/v1/lineage/{model}/{version}", parse, answer);
}

fn answer(graph: Graph) -> Result<Answer, Problem> {
    let subject = &graph.subject;
    let data = |wanted: Use| -> Vec<Value> {
        let uses = graph.uses(NodeKind::DataVersion).into_iter().chain(graph.uses(NodeKind::Dataset));
        uses.filter(|(edge, _)| Use::of_context(&edge.detail) == wanted).map(used).collect()
    };
    outbound::json(&json!({
        "model": subject.name,
        "version": subject.version,
        "aliases": subject.aliases,
        "stage": subject.stage,
        "source": subject.source,
        "registered_at": times::to_text(subject.at),
        "node": subject.node,
        "author": graph.author().map(|node| json!({ "id": node.name, "name": node.label })),
        "code": graph.uses(NodeKind::Code).into_iter().map(used).collect::<Vec<_>>(),
        "training_data": data(Use::Training),
        "test_data": data(Use::Testing),
        "other_data": data(Use::Other),
        "nodes": graph.nodes.iter().map(node_json).collect::<Vec<_>>(),
        "edges": graph.edges.iter().map(edge_json).collect::<Vec<_>>(),
        "truncated": graph.truncated,
        "text": graph.to_text(),
    }))
}

/// Code or data, with whose word it is that it was used.
fn used((edge, node): (&Edge, &Node)) -> Value {
    let mut value = Value::Object(node.attributes.clone());
    if let Some(fields) = value.as_object_mut() {
        fields.insert("node".to_owned(), json!(node.id));
        fields.insert("digest".to_owned(), json!(node.digest));
        fields.insert("trust".to_owned(), json!(edge.trust.word()));
        if node.kind == NodeKind::DataVersion {
            fields.insert("name".to_owned(), json!(node.name.replacen('/', "@", 1)));
        }
        if matches!(node.kind, NodeKind::Dataset | NodeKind::DataVersion) {
            fields.insert("context".to_owned(), json!(edge.detail));
        }
    }
    value
}

fn node_json(node: &Node) -> Value {
    json!({
        "id": node.id,
        "kind": node.kind.word(),
        "name": node.name,
        "label": node.label,
        "digest": node.digest,
        "attributes": node.attributes,
        "at": times::to_text(node.at),
    })
}

fn edge_json(edge: &Edge) -> Value {
    json!({
        "from": edge.from,
        "to": edge.to,
        "relation": edge.relation.word(),
        "trust": edge.trust.word(),
        "detail": edge.detail,
        "at": times::to_text(edge.at),
        "audit_entry": edge.entry,
    })
}
