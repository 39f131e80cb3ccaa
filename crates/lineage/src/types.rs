//! The words of the graph, and what reading it gives.

use std::collections::{HashMap, HashSet};

use kernel::Micros;

/// The way back from one version of a model: a graph whose edges point at what a thing stems from.
#[derive(Clone, Debug, PartialEq)]
pub struct Lineage {
    /// The version asked for.
    pub subject: Subject,
    /// Everything that was found, the version itself first, nearer things before farther ones.
    pub nodes: Vec<Node>,
    /// What stems from what.
    pub edges: Vec<Edge>,
    /// Whether a limit cut the graph short.
    pub truncated: bool,
}

/// The version that a lineage is of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subject {
    /// The model's name.
    pub name: String,
    /// The version's number.
    pub version: i64,
    /// Its aliases.
    pub aliases: Vec<String>,
    /// Its stage.
    pub stage: String,
    /// Where the client said that it comes from.
    pub source: String,
    /// When it was registered.
    pub at: Micros,
    /// The id of its node.
    pub node: String,
}

/// A thing in the graph.
#[derive(Clone, Debug, PartialEq)]
pub struct Node {
    /// Its id in the graph.
    pub id: String,
    /// Its number in the tables.
    pub number: i64,
    /// What it is.
    pub kind: NodeKind,
    /// Its name: an id, or what the client called it.
    pub name: String,
    /// A name for people: an account's name, a run's name, an endpoint's. It is looked up, not kept here.
    pub label: Option<String>,
    /// Its digest.
    pub digest: Option<String>,
    /// What else the client said of it.
    pub attributes: serde_json::Map<String, serde_json::Value>,
    /// When it was first seen.
    pub at: Micros,
}

impl Node {
    /// What it is called, for people.
    #[must_use]
    pub fn described(&self) -> String {
        crate::text::described(self)
    }

    /// How a walk that begins here is asked for ([`crate::Root::parse`]), where it can be.
    #[must_use]
    pub fn subject(&self) -> Option<String> {
        let attribute = |name: &str| self.attributes.get(name).and_then(serde_json::Value::as_str);
        match self.kind {
            NodeKind::Run => Some(format!("run:{}", self.name)),
            NodeKind::LoggedModel => Some(format!("logged-model:{}", self.name)),
            NodeKind::DataVersion => Some(format!("data:{}", self.name)),
            NodeKind::ModelVersion => self.model_version().map(|(model, version)| format!("model:{model}/{version}")),
            NodeKind::Person => self.label.as_ref().map(|name| format!("person:{name}")),
            NodeKind::Owner => Some(format!("person:{}", self.name)),
            NodeKind::Code if attribute("what") == Some("git_commit") => attribute("value").map(|hash| format!("commit:{hash}")),
            NodeKind::Job => Some(format!("job:{}:{}", attribute("namespace")?, attribute("name")?)),
            NodeKind::Dataset => Some(format!("dataset:{}:{}", attribute("namespace")?, attribute("name")?)),
            _ => None,
        }
    }

    /// Name and number of a version of a registered model.
    #[must_use]
    pub fn model_version(&self) -> Option<(&str, &str)> {
        let label = self.label.as_deref().filter(|_| self.kind == NodeKind::ModelVersion)?;
        label.rsplit_once(" version ")
    }
}

/// That one thing stems from another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Edge {
    /// The later thing, by node id.
    pub from: String,
    /// What it stems from, by node id.
    pub to: String,
    /// How.
    pub relation: Relation,
    /// Whose word it is.
    pub trust: Trust,
    /// More of it, such as the context in which a dataset was used.
    pub detail: String,
    /// When it was first seen.
    pub at: Micros,
    /// The audit entry that made it.
    pub entry: String,
}

/// What a dataset was used for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Use {
    /// To train.
    Training,
    /// To test, validate or evaluate.
    Testing,
    /// For something else, or the client did not say.
    Other,
}

impl Use {
    /// The use behind a client's word for it.
    #[must_use]
    pub fn of_context(context: &str) -> Self {
        let word = context.to_ascii_lowercase();
        if word.starts_with("train") {
            return Self::Training;
        }
        if ["test", "eval", "valid"].iter().any(|start| word.starts_with(start)) { Self::Testing } else { Self::Other }
    }

    /// The word in answers.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Training => "training",
            Self::Testing => "testing",
            Self::Other => "other",
        }
    }
}

impl Lineage {
    /// The node of an id.
    #[must_use]
    pub fn node(&self, id: &str) -> Option<&Node> {
        self.nodes.iter().find(|node| node.id == id)
    }

    /// What a node stems from, in the order in which it became known.
    pub fn stems_from<'a>(&'a self, id: &'a str) -> impl Iterator<Item = (&'a Edge, &'a Node)> {
        self.edges.iter().filter(move |edge| edge.from == id).filter_map(|edge| Some((edge, self.node(&edge.to)?)))
    }

    /// Every use of a node of a kind, each node and detail once.
    #[must_use]
    pub fn uses(&self, kind: NodeKind) -> Vec<(&Edge, &Node)> {
        let mut all: Vec<(&Edge, &Node)> = Vec::new();
        for edge in &self.edges {
            let Some(node) = self.node(&edge.to).filter(|node| node.kind == kind) else { continue };
            let known = all.iter().any(|(earlier, same)| same.id == node.id && earlier.detail == edge.detail);
            if !known {
                all.push((edge, node));
            }
        }
        all
    }

    /// Drops claims of what the server saw as well: that one thing stems from the other, or that a thing came out of the run
    /// which what it was made from came out of. A claim that says something else stays. So goes what was seen of what was executed.
    pub(crate) fn drop_repeated_claims(&mut self) {
        self.drop_seen_of_executed();
        let mut seen: HashSet<(&str, &str, Relation, &str)> = HashSet::new();
        let mut made_of: HashMap<&str, Vec<&str>> = HashMap::new();
        for edge in self.edges.iter().filter(|edge| edge.trust > Trust::Claimed) {
            seen.insert((&edge.from, &edge.to, edge.relation, &edge.detail));
            if edge.relation == Relation::Derived {
                made_of.entry(&edge.from).or_default().push(&edge.to);
            }
        }
        let is_repeated = |claim: &Edge| {
            let came_out = |from: &str| seen.contains(&(from, claim.to.as_str(), claim.relation, claim.detail.as_str()));
            let sources = made_of.get(claim.from.as_str()).into_iter().flatten();
            claim.trust == Trust::Claimed
                && (came_out(&claim.from) || claim.relation == Relation::Generated && sources.copied().any(came_out))
        };
        let keep: Vec<bool> = self.edges.iter().map(|edge| !is_repeated(edge)).collect();
        let mut keep = keep.into_iter();
        self.edges.retain(|_| keep.next().unwrap_or(true));
    }

    fn drop_seen_of_executed(&mut self) {
        let key = |edge: &Edge| (edge.from.clone(), edge.to.clone(), edge.relation);
        let executed: HashSet<_> = self.edges.iter().filter(|edge| edge.trust == Trust::Executed).map(key).collect();
        self.edges.retain(|edge| edge.trust != Trust::Observed || !executed.contains(&key(edge)));
    }

    /// Who registered the version.
    #[must_use]
    pub fn author(&self) -> Option<&Node> {
        self.stems_from(&self.subject.node).find(|(edge, _)| edge.relation == Relation::Attributed).map(|(_, node)| node)
    }

    /// The same as an indented text.
    #[must_use]
    pub fn to_text(&self) -> String {
        crate::text::render(self)
    }
}

/// What a node stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum NodeKind {
    /// A run, by its id.
    Run,
    /// A piece of source: a commit, an entry point or the hash of a source tree.
    Code,
    /// A dataset, by name and digest.
    Dataset,
    /// A logged model, by its id.
    LoggedModel,
    /// A version of a registered model, by the model's internal id and the number.
    ModelVersion,
    /// A version of a data set that is kept here, by the data set's name and the number.
    DataVersion,
    /// Where data comes from, by its address.
    DataSource,
    /// An inspection of a version of a data set, by its id.
    Inspection,
    /// A principal, by its random id.
    Person,
    /// A job that OpenLineage events tell of, by namespace and name.
    Job,
    /// An owner of a job or a dataset that an event names and no account here has the name of.
    Owner,
    /// An endpoint, by its id.
    Endpoint,
    /// A prediction, by its id. It is found in the log of predictions, and stands in no table of the graph.
    Prediction,
}

impl NodeKind {
    /// Every kind.
    pub const ALL: &'static [Self] = &[
        Self::Run,
        Self::Code,
        Self::Dataset,
        Self::LoggedModel,
        Self::ModelVersion,
        Self::DataVersion,
        Self::DataSource,
        Self::Inspection,
        Self::Person,
        Self::Job,
        Self::Owner,
        Self::Endpoint,
        Self::Prediction,
    ];

    /// The word in rows and answers.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Run => "run",
            Self::Code => "code",
            Self::Dataset => "dataset",
            Self::LoggedModel => "logged_model",
            Self::ModelVersion => "model_version",
            Self::DataVersion => "data_version",
            Self::DataSource => "data_source",
            Self::Inspection => "inspection",
            Self::Person => "person",
            Self::Job => "job",
            Self::Owner => "owner",
            Self::Endpoint => "endpoint",
            Self::Prediction => "prediction",
        }
    }

    /// What people call one of its kind.
    #[must_use]
    pub const fn noun(self) -> &'static str {
        crate::text::noun(self)
    }

    /// The kind behind a word.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|kind| kind.word() == word)
    }
}

/// How the later thing stems from the earlier one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Relation {
    /// A run read code, data or a model, or ran a job.
    Used,
    /// A person read data. Nothing that the person made stems from it by that alone, so no walk follows it.
    Read,
    /// A thing was made by a run.
    Generated,
    /// A thing was made out of another.
    Derived,
    /// A run was started by a person.
    Associated,
    /// A thing was made by a person.
    Attributed,
    /// Data was looked into by an inspection.
    Inspected,
}

impl Relation {
    /// The word in rows and answers.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Used => "used",
            Self::Read => "read",
            Self::Generated => "generated",
            Self::Derived => "derived",
            Self::Associated => "associated",
            Self::Attributed => "attributed",
            Self::Inspected => "inspected",
        }
    }

    /// The relation behind a word.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        let all = [Self::Used, Self::Read, Self::Generated, Self::Derived, Self::Associated, Self::Attributed, Self::Inspected];
        all.into_iter().find(|relation| relation.word() == word)
    }
}

/// Whose word an edge is, the weakest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Trust {
    /// The client said it.
    Claimed,
    /// The server saw it.
    Observed,
    /// The server had it done: it chose the code, the data and the run, and started them.
    Executed,
}

impl Trust {
    /// The word in rows and answers.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Executed => "executed",
            Self::Observed => "observed",
            Self::Claimed => "claimed",
        }
    }

    /// The trust behind a word. What cannot be read is no more than a claim.
    #[must_use]
    pub fn parse(word: &str) -> Self {
        match word {
            "executed" => Self::Executed,
            "observed" => Self::Observed,
            _ => Self::Claimed,
        }
    }
}
