//! `/lineage/{model}/{version}`: the way back from a version of a model, as a graph and as a text. `/lineage`: what any thing stems
//! from or what stems from it, as a graph, a text or a picture.

use std::collections::HashMap;

use http::Method;
use kernel::Problem;
use lineage::ops::{Found, Show, WalkGraph, Walked};
use lineage::{Direction, Edge, Graph, Lineage, Node, NodeKind, Root, Use};
use serde_json::{Value, json};

use super::{shape, times};
use crate::{Answer, Door, Inbound, outbound};

/// Adds the route.
pub fn routes(door: &mut Door, lineage: &Lineage) {
    let room = lineage.clone();
    let parse = move |inbound: &Inbound| {
        Ok(Show { room: room.clone(), model: inbound.path("model").to_owned(), version: inbound.path("version").to_owned() })
    };
    door.route::<Show, _, _>(Method::GET, "/api/strongroom/v1/lineage/{model}/{version}", parse, answer);
    let room = lineage.clone();
    let parse = move |inbound: &Inbound| walk(&room, inbound);
    door.route_with(Method::GET, "/api/strongroom/v1/lineage", parse, |walked, form| walk_answer(&walked, form));
}

/// How a walk is answered.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Form {
    Json,
    Text,
    Svg,
}

/// Adds walks below an address of the console, whose links can send no header: the same parameters, and others that are the page's.
pub fn walk_route(door: &mut Door, lineage: &Lineage, path: &str) {
    let room = lineage.clone();
    let parse = move |inbound: &Inbound| {
        let query = inbound.query()?;
        let value = |wanted: &str| query.iter().find(|(name, _)| name == wanted).map(|(_, value)| value.clone());
        walk_of(&room, ["subject", "direction", "depth", "format"].map(value))
    };
    door.route_with(Method::GET, path, parse, |walked, form| walk_answer(&walked, form));
}

fn walk(room: &Lineage, inbound: &Inbound) -> Result<(WalkGraph, Form), Problem> {
    walk_of(room, shape::only(inbound, ["subject", "direction", "depth", "format"])?)
}

fn walk_of(room: &Lineage, asked: [Option<String>; 4]) -> Result<(WalkGraph, Form), Problem> {
    let [subject, direction, depth, format] = asked;
    let subject = subject.ok_or_else(|| Problem::invalid("`subject` must name where to begin, such as `churn@champion`"))?;
    let direction = match direction.as_deref() {
        None | Some("up") => Direction::Up,
        Some("down") => Direction::Down,
        Some(_) => return Err(Problem::invalid("`direction` is `up` or `down`")),
    };
    let whole = |text: String| text.parse::<u32>().map_err(|_| Problem::invalid("`depth` is a number of steps"));
    let form = match format.as_deref() {
        None | Some("json") => Form::Json,
        Some("text") => Form::Text,
        Some("svg") => Form::Svg,
        Some(_) => return Err(Problem::invalid("`format` is `json`, `text` or `svg`")),
    };
    let root = Root::parse(&subject)?;
    Ok((WalkGraph { room: room.clone(), subject, root, direction, depth: depth.map(whole).transpose()? }, form))
}

fn walk_answer(walked: &Walked, form: Form) -> Result<Answer, Problem> {
    match form {
        Form::Json => outbound::json(&walk_json(walked)),
        Form::Text => Ok(document(walked.to_text(), "text/plain; charset=utf-8")),
        Form::Svg => Ok(document(walked.to_svg(), "image/svg+xml")),
    }
}

pub(super) fn document(text: String, kind: &'static str) -> Answer {
    let mut answer = Answer::new(axum::body::Body::from(text));
    let headers = answer.headers_mut();
    headers.insert(http::header::CONTENT_TYPE, http::HeaderValue::from_static(kind));
    // A picture that a browser opens by itself must not be able to do anything.
    let nothing = http::HeaderValue::from_static("default-src 'none'; sandbox");
    headers.insert(http::header::CONTENT_SECURITY_POLICY, nothing);
    outbound::harden(&mut answer);
    answer
}

/// Things go by their numbers here: a walk may find very many.
pub(super) fn walk_json(walked: &Walked) -> Value {
    let numbers: HashMap<&str, String> = walked.nodes.iter().map(|node| (node.id.as_str(), node.number.to_string())).collect();
    let found = |found: &Found| {
        json!({
            "id": found.number.to_string(),
            "kind": found.kind.word(),
            "name": found.name,
            "label": found.label,
            "depth": found.depth,
            "trust": found.trust.word(),
        })
    };
    let renamed = |mut value: Value, fields: &[(&str, &str)]| {
        for (field, id) in fields {
            if let Some(place) = value.get_mut(*field) {
                *place = json!(numbers.get(id));
            }
        }
        value
    };
    let root = |node: &Node| renamed(node_json(node), &[("id", node.id.as_str())]);
    let edge = |edge: &Edge| renamed(edge_json(edge), &[("from", edge.from.as_str()), ("to", edge.to.as_str())]);
    let counts: serde_json::Map<String, Value> =
        walked.counts().into_iter().map(|(kind, count)| (kind.word().to_owned(), json!(count))).collect();
    json!({
        "subject": walked.subject,
        "direction": walked.direction.word(),
        "roots": walked.roots.iter().map(root).collect::<Vec<_>>(),
        "count": walked.found.len(),
        "counts": counts,
        "nodes": walked.found.iter().map(found).collect::<Vec<_>>(),
        "edges": walked.edges.iter().map(edge).collect::<Vec<_>>(),
        "endpoints": walked
            .endpoints
            .iter()
            .map(|(endpoint, trust)| json!({ "name": endpoint.name, "version": endpoint.version, "trust": trust.word() }))
            .collect::<Vec<_>>(),
        "edges_complete": walked.is_detailed() && !walked.truncated,
        "truncated": walked.truncated,
        "leads_on": walked.leads_on,
    })
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
