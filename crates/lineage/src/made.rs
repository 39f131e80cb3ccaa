//! A prediction in front of a walk: it stands in its own log, not in the graph, and so does who asked for it.

use kernel::Micros;

use crate::ops::{Found, Walked};
use crate::text::{ANSWERS, ASKED};
use crate::types::{Edge, Node, NodeKind, Relation, Trust};

/// A prediction that was made.
#[derive(Clone, Debug)]
pub struct Made {
    /// Its id.
    pub id: String,
    /// When.
    pub at: Micros,
    /// The audit entry of the request.
    pub entry: String,
    /// The endpoint's id.
    pub endpoint_id: String,
    /// The endpoint's name.
    pub endpoint: String,
    /// Who asked, by id.
    pub caller: String,
    /// The name of that account, if it has one.
    pub caller_name: Option<String>,
}

/// How many steps the version lies behind the prediction that it made.
const STEPS: u32 = 2;

impl Walked {
    /// A walk up from the version that made a prediction, as one that begins at the prediction.
    #[must_use]
    pub fn begun_at(mut self, made: &Made) -> Self {
        let node = |number: i64, kind: NodeKind, name: &str| Node {
            id: format!("{}:{name}", kind.word()),
            number,
            kind,
            name: name.to_owned(),
            label: None,
            digest: None,
            attributes: serde_json::Map::new(),
            at: made.at,
        };
        let prediction = node(-1, NodeKind::Prediction, &made.id);
        let mut endpoint = node(-2, NodeKind::Endpoint, &made.endpoint_id);
        endpoint.attributes.insert("name".to_owned(), made.endpoint.clone().into());
        let known = self.nodes.iter().find(|node| node.kind == NodeKind::Person && node.name == made.caller).cloned();
        let is_new_person = known.is_none();
        let mut person = known.unwrap_or_else(|| node(-3, NodeKind::Person, &made.caller));
        person.label = person.label.or_else(|| made.caller_name.clone());
        let edge = |from: &Node, to: &Node, relation: Relation, detail: &str| Edge {
            from: from.id.clone(),
            to: to.id.clone(),
            relation,
            trust: Trust::Observed,
            detail: detail.to_owned(),
            at: made.at,
            entry: made.entry.clone(),
        };
        let mut edges = vec![edge(&prediction, &endpoint, Relation::Generated, "")];
        edges.extend(self.roots.iter().map(|version| edge(&endpoint, version, Relation::Used, ANSWERS)));
        edges.push(edge(&prediction, &person, Relation::Associated, ASKED));
        let found = |node: &Node, depth: u32| Found {
            number: node.number,
            kind: node.kind,
            name: node.name.clone(),
            label: node.label.clone(),
            depth,
            trust: Trust::Observed,
        };
        let mut all = vec![found(&endpoint, 1)];
        if is_new_person {
            all.push(found(&person, 1));
        }
        all.extend(self.roots.iter().map(|version| found(version, STEPS)));
        all.extend(self.found.into_iter().map(|mut one| {
            let is_asker = one.number == person.number;
            one.depth = if is_asker { 1 } else { one.depth.saturating_add(STEPS) };
            one
        }));
        all.sort_by_key(|one| one.depth);
        let mut nodes = vec![prediction.clone(), endpoint];
        nodes.extend(is_new_person.then_some(person));
        nodes.append(&mut self.nodes);
        edges.append(&mut self.edges);
        self.subject = format!("prediction {}", made.id);
        Self { roots: vec![prediction], found: all, nodes, edges, endpoints: Vec::new(), ..self }
    }
}
