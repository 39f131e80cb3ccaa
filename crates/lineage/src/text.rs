//! A lineage as a text for a terminal: an indented tree, each line with whose word it is.

use std::collections::HashSet;

use serde_json::Value;

use crate::types::{Edge, Lineage, Node, NodeKind, Relation, Trust, Use};

/// How deep the tree is drawn. What lies deeper is in the JSON form.
const DEPTH_MAX: usize = 32;
/// The detail of an edge from an endpoint to a version that it answered with.
pub(crate) const ANSWERS: &str = "answers";
/// The detail of an edge from a prediction to who asked for it.
pub(crate) const ASKED: &str = "asked";
/// The longest name in a line.
const NAME_CHARS_MAX: usize = 200;

/// The tree, then a summary of code, data and people.
pub(crate) fn render(lineage: &Lineage) -> String {
    let subject = &lineage.subject;
    let mut lines = vec![format!("{} version {}", clean(&subject.name), subject.version)];
    if let Some(first) = lines.first_mut() {
        for alias in &subject.aliases {
            first.push_str(&format!(" @{}", clean(alias)));
        }
        if subject.stage != "None" {
            first.push_str(&format!(" [{}]", clean(&subject.stage)));
        }
    }
    lines.push(format!("  source: {}", clean(&subject.source)));
    let mut drawn = HashSet::new();
    branch(lineage, &subject.node, 1, &mut drawn, &mut lines);
    lines.push(String::new());
    summary(lineage, &mut lines);
    if lineage.truncated {
        lines.push("This lineage is larger than the limit; only its nearer part is shown.".to_owned());
    }
    lines.join("\n")
}

/// Depth is bounded, so that this recursion is too.
fn branch(lineage: &Lineage, id: &str, depth: usize, drawn: &mut HashSet<String>, lines: &mut Vec<String>) {
    if depth > DEPTH_MAX || !drawn.insert(id.to_owned()) {
        return;
    }
    for (edge, node) in lineage.stems_from(id) {
        let again = if drawn.contains(&node.id) && has_roots(lineage, node) { " (as above)" } else { "" };
        lines.push(format!("{}- {} [{}]{again}", "  ".repeat(depth), sentence(edge, node), edge.trust.word()));
        branch(lineage, &node.id, depth + 1, drawn, lines);
    }
}

fn has_roots(lineage: &Lineage, node: &Node) -> bool {
    lineage.edges.iter().any(|edge| edge.from == node.id)
}

pub(crate) fn sentence(edge: &Edge, node: &Node) -> String {
    let name = described(node);
    match (edge.relation, node.kind) {
        (Relation::Attributed, _) => format!("made by {name}"),
        (Relation::Associated, NodeKind::Run) => format!("part of run {name}"),
        (Relation::Associated, _) if edge.detail == ASKED => format!("asked for by {name}"),
        (Relation::Associated, _) => format!("started by {name}"),
        (Relation::Derived, NodeKind::DataSource) => format!("comes from {name}"),
        (Relation::Derived, NodeKind::DataVersion) if edge.detail == "cleaned" => format!("is {name} without some rows"),
        (Relation::Derived, kind) => format!("made from {} {name}", noun(kind)),
        (Relation::Generated, kind) => format!("came out of {} {name}", noun(kind)),
        (Relation::Inspected, _) => format!("was inspected: {} ({name})", clean(&edge.detail)),
        (Relation::Used, NodeKind::Dataset | NodeKind::DataVersion) => format!("read {}data {name}", data_use(edge)),
        (Relation::Used, NodeKind::Code) => format!("ran {name}"),
        (Relation::Used, NodeKind::Job) => format!("ran job {name}"),
        (Relation::Used, NodeKind::ModelVersion) if edge.detail == ANSWERS => format!("answers with model {name}"),
        (Relation::Used | Relation::Read, kind) => format!("read {} {name}", noun(kind)),
    }
}

fn data_use(edge: &Edge) -> String {
    match Use::of_context(&edge.detail) {
        Use::Other if edge.detail.is_empty() => String::new(),
        Use::Other => format!("{} ", clean(&edge.detail)),
        known => format!("{} ", known.word()),
    }
}

pub(crate) const fn noun(kind: NodeKind) -> &'static str {
    match kind {
        NodeKind::Run => "run",
        NodeKind::Code => "code",
        NodeKind::Dataset => "data",
        NodeKind::LoggedModel => "logged model",
        NodeKind::ModelVersion => "model",
        NodeKind::DataVersion => "data version",
        NodeKind::DataSource => "source",
        NodeKind::Inspection => "inspection",
        NodeKind::Person => "principal",
        NodeKind::Job => "job",
        NodeKind::Owner => "owner",
        NodeKind::Endpoint => "endpoint",
        NodeKind::Prediction => "prediction",
    }
}

pub(crate) fn described(node: &Node) -> String {
    let attribute = |name: &str| node.attributes.get(name).and_then(Value::as_str).map(clean);
    match node.kind {
        NodeKind::Person => node.label.as_deref().map_or_else(|| format!("principal {}", clean(&node.name)), clean),
        NodeKind::Code => {
            let what = match attribute("what").as_deref() {
                Some("git_commit") => "git commit",
                Some("entry_point") => "entry point",
                Some("code_sha256") => "code sha256",
                _ => "code",
            };
            format!("{what} {}", attribute("value").unwrap_or_else(|| clean(&node.name)))
        }
        NodeKind::Dataset => {
            let name = attribute("name").unwrap_or_else(|| clean(&node.name));
            let name = attribute("namespace").map_or_else(|| name.clone(), |namespace| format!("{namespace}:{name}"));
            let digest = node.digest.as_deref().map_or_else(String::new, |digest| format!(" (digest {})", clean(digest)));
            format!("{name}{digest}")
        }
        NodeKind::Job => {
            let part = |name| attribute(name).unwrap_or_default();
            format!("{}:{}", part("namespace"), part("name"))
        }
        NodeKind::Endpoint => attribute("name").unwrap_or_else(|| clean(&node.name)),
        NodeKind::DataVersion => {
            let digest = node.digest.as_deref().map_or_else(String::new, |digest| format!(" (manifest {})", clean(digest)));
            format!("{}{digest}", clean(&node.name.replacen('/', "@", 1)))
        }
        _ => match &node.label {
            Some(label) if node.kind == NodeKind::ModelVersion => clean(label),
            Some(label) => format!("{} ({})", clean(label), clean(&node.name)),
            None => clean(&node.name),
        },
    }
}

fn summary(lineage: &Lineage, lines: &mut Vec<String>) {
    let author = lineage.author().map_or_else(|| "unknown".to_owned(), described);
    lines.push(format!("author:        {author}"));
    let code: Vec<String> = lineage.uses(NodeKind::Code).into_iter().map(line).collect();
    lines.push(format!("code:          {}", listed(&code, "nothing was said of it")));
    for (wanted, title) in [(Use::Training, "training data:"), (Use::Testing, "test data:    "), (Use::Other, "other data:   ")] {
        let data: Vec<String> = lineage
            .uses(NodeKind::DataVersion)
            .into_iter()
            .chain(lineage.uses(NodeKind::Dataset))
            .filter(|(edge, _)| Use::of_context(&edge.detail) == wanted)
            .map(line)
            .collect();
        if wanted != Use::Other || !data.is_empty() {
            lines.push(format!("{title} {}", listed(&data, "nothing was said of it")));
        }
    }
}

fn line((edge, node): (&Edge, &Node)) -> String {
    let mark = match edge.trust {
        Trust::Executed => " [executed]",
        Trust::Observed => "",
        Trust::Claimed => " [claimed]",
    };
    format!("{}{mark}", described(node))
}

fn listed(all: &[String], none: &str) -> String {
    if all.is_empty() { none.to_owned() } else { all.join("; ") }
}

/// What a client wrote must not steer a terminal: control and direction characters are dropped, long texts are cut.
pub(crate) fn clean(text: &str) -> String {
    let invisible = |c: char| {
        c.is_control() || matches!(c, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}')
    };
    text.chars().filter(|c| !invisible(*c)).take(NAME_CHARS_MAX).collect()
}
