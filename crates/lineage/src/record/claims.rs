//! What OpenLineage events make of the graph. Every edge is claimed: nobody saw any of it.
//!
//! Nodes are made in the order of their keys and edges in that of their nodes, so that two transactions never wait for each other.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};
use vault::db::{Bind, DbError, Reader, Writer};

use super::{Scene, clip, edge, node};
use crate::claim::{About, DataClaim, Event, JobClaim, Named};
use crate::find::{self, Thing};
use crate::store::number_of;
use crate::{NodeKind, Relation, Trust};

/// The namespace in which names such as `models:/churn/3` are those of this server.
pub const MODEL_NAMESPACE: &str = "mlops";
/// The namespace in which this server's runs and the datasets that they describe are shown.
pub const RUN_NAMESPACE: &str = "mlflow";
/// Things here that one version of a dataset is joined to.
const JOINED_COUNT_MAX: i64 = 16;

/// The text of an event as its row keeps it.
pub(crate) struct KeptText {
    /// Of the text as it was sent.
    pub(crate) digest: [u8; 32],
    /// Sealed.
    pub(crate) text: String,
}

/// Keeps an event and what it says. The same event twice is one, and so is every fact.
///
/// # Errors
/// [`DbError`] of the engine.
pub(crate) fn event_posted(writer: &mut Writer<'_>, scene: &Scene, event: &Event, kept: &KeptText) -> Result<(), DbError> {
    let known = "SELECT 1 FROM lineage_event WHERE workspace = $1 AND digest = $2";
    let binds = [Bind::from(&scene.workspace), Bind::from(kept.digest.as_slice())];
    if writer.query_one(known, &binds, |row| row.int(0))?.is_some() {
        return Ok(());
    }
    let mut draft = Draft::default();
    let subject = draft.event(writer, scene, event)?;
    draft.write(writer, scene)?;
    let subject = find::key_of(&scene.workspace, &subject);
    let number = number_of(writer, &subject)?.ok_or(DbError::Shape(0))?;
    writer.execute(
        "INSERT INTO lineage_event (workspace, digest, kind, event_type, subject, at, received_at, entry, body)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) ON CONFLICT DO NOTHING",
        &[
            Bind::from(&scene.workspace),
            Bind::from(kept.digest.as_slice()),
            Bind::from(event.about.word()),
            Bind::from(&event.event_type),
            Bind::from(number),
            Bind::from(event.at.0),
            Bind::from(scene.at),
            Bind::from(&scene.entry),
            Bind::from(&kept.text),
        ],
    )?;
    Ok(())
}

/// What an event will add.
#[derive(Default)]
struct Draft {
    /// Digest and attributes by thing.
    nodes: BTreeMap<Thing, (Option<String>, Value)>,
    /// Later thing, earlier thing, relation word, detail.
    edges: BTreeSet<(Thing, Thing, &'static str, String)>,
}

impl Draft {
    fn node(&mut self, thing: Thing, digest: Option<&str>, attributes: Value) -> Thing {
        self.nodes.entry(thing.clone()).or_insert_with(|| (digest.map(str::to_owned), attributes));
        thing
    }

    fn edge(&mut self, later: &Thing, earlier: &Thing, relation: Relation, detail: &str) {
        if later != earlier {
            self.edges.insert((later.clone(), earlier.clone(), relation.word(), detail.to_owned()));
        }
    }

    /// Everything that an event says; gives the thing that it is of.
    fn event(&mut self, writer: &mut Writer<'_>, scene: &Scene, event: &Event) -> Result<Thing, DbError> {
        let subject = match &event.about {
            About::Run { run_id, parent, job } => {
                let run = self.run(writer, scene, run_id)?;
                let person = self.node((NodeKind::Person, scene.principal.clone()), None, json!({}));
                self.edge(&run, &person, Relation::Associated, "reported");
                let work = self.job(writer, job)?;
                self.edge(&run, &work, Relation::Used, "job");
                if let Some(code) = self.code(job) {
                    self.edge(&run, &code, Relation::Used, &code_word(&code));
                }
                if let Some((parent, parent_job)) = parent {
                    let parent = self.run(writer, scene, parent)?;
                    self.edge(&run, &parent, Relation::Associated, "parent");
                    if let Some(named) = parent_job {
                        let job = self.named(NodeKind::Job, named);
                        self.edge(&parent, &job, Relation::Used, "job");
                    }
                }
                run
            }
            About::Job(job) => {
                let work = self.job(writer, job)?;
                if let Some(code) = self.code(job) {
                    self.edge(&work, &code, Relation::Used, &code_word(&code));
                }
                work
            }
            About::Dataset(data) => {
                let things = self.data(writer, scene, data)?;
                things.into_iter().next().unwrap_or((NodeKind::Dataset, data.named.joined()))
            }
        };
        for data in &event.inputs {
            for thing in self.data(writer, scene, data)? {
                self.edge(&subject, &thing, Relation::Used, "");
            }
        }
        for data in &event.outputs {
            for thing in self.data(writer, scene, data)? {
                self.edge(&thing, &subject, Relation::Generated, "");
            }
        }
        Ok(subject)
    }

    /// A run here whose id is the UUID, without its dashes, is that run; it may be written by whoever may post.
    fn run(&mut self, writer: &mut Writer<'_>, scene: &Scene, uuid: &str) -> Result<Thing, DbError> {
        let id = uuid.replace('-', "");
        if super::run_in_workspace(writer, &scene.workspace, &id)?.is_some() {
            return Ok(self.node((NodeKind::Run, id), None, json!({})));
        }
        Ok(self.node((NodeKind::Run, uuid.to_owned()), None, json!({ "source": "openlineage" })))
    }

    fn named(&mut self, kind: NodeKind, named: &Named) -> Thing {
        let attributes = json!({ "namespace": named.namespace, "name": named.name });
        self.node((kind, named.joined()), None, attributes)
    }

    fn job(&mut self, writer: &mut Writer<'_>, job: &JobClaim) -> Result<Thing, DbError> {
        let work = self.named(NodeKind::Job, &job.named);
        self.owned(writer, &work, &job.owners)?;
        Ok(work)
    }

    /// Owners with an account are that person; the others stand under the name that the client gave.
    fn owned(&mut self, writer: &mut Writer<'_>, thing: &Thing, owners: &[String]) -> Result<(), DbError> {
        for name in owners {
            let bare = name.rsplit_once(':').map_or(name.as_str(), |(_, bare)| bare);
            let owner = match find::person(writer, bare)? {
                Some(person) => self.node(person, None, json!({})),
                None => self.node((NodeKind::Owner, clip(name).to_owned()), None, json!({})),
            };
            self.edge(thing, &owner, Relation::Attributed, "owner");
        }
        Ok(())
    }

    fn code(&mut self, job: &JobClaim) -> Option<Thing> {
        let code = job.code.as_ref()?;
        if let Some(commit) = &code.commit {
            let commit = clip(commit);
            let attributes = json!({ "what": "git_commit", "value": commit, "repository": code.url });
            return Some(self.node((NodeKind::Code, format!("git:{commit}")), Some(commit), attributes));
        }
        let url = clip(code.url.as_deref()?);
        Some(self.node((NodeKind::Code, format!("entry:{url}")), None, json!({ "what": "entry_point", "value": url })))
    }

    /// The things that a dataset's name stands for: one of this server's, if it is one's name; else the name itself, its version, and
    /// what has that version's digest here.
    fn data(&mut self, writer: &mut Writer<'_>, scene: &Scene, data: &DataClaim) -> Result<Vec<Thing>, DbError> {
        let mut things = Vec::new();
        if let Some(own) = own_thing(writer, &scene.workspace, &data.named)? {
            things.push(self.node(own, None, json!({})));
        } else {
            things.push(self.named(NodeKind::Dataset, &data.named));
        }
        if let Some(version) = data.version.as_deref().map(clip) {
            let sha256 = find::sha256_in(version);
            let joined = match &sha256 {
                Some(sha256) => find::data_of(writer, &scene.workspace, sha256, JOINED_COUNT_MAX)?,
                None => Vec::new(),
            };
            let own = things.first().is_some_and(|thing| thing.0 != NodeKind::Dataset);
            if joined.is_empty() && !own {
                let digest = sha256.map_or_else(|| version.to_owned(), |sha256| kernel::hex(&sha256));
                let name = format!("{}{}{version}", data.named.joined(), crate::claim::SEPARATOR);
                let attributes = json!({ "namespace": data.named.namespace, "name": data.named.name, "version": version });
                things.push(self.node((NodeKind::Dataset, name), Some(&digest), attributes));
            }
            for thing in joined {
                things.push(self.node(thing, None, json!({})));
            }
        }
        if let Some(thing) = things.first().cloned() {
            self.owned(writer, &thing, &data.owners)?;
        }
        Ok(things)
    }

    fn write(self, writer: &mut Writer<'_>, scene: &Scene) -> Result<(), DbError> {
        let mut nodes: Vec<_> = self.nodes.into_iter().collect();
        nodes.sort_by_cached_key(|(thing, _)| find::key_of(&scene.workspace, thing));
        for ((kind, name), (digest, attributes)) in &nodes {
            node(writer, scene, *kind, name, digest.as_deref(), &attributes.to_string())?;
        }
        for (later, earlier, relation, detail) in &self.edges {
            let keys = (find::key_of(&scene.workspace, later), find::key_of(&scene.workspace, earlier));
            let relation = Relation::parse(relation).ok_or(DbError::Shape(0))?;
            edge(writer, scene, (&keys.0, &keys.1), relation, Trust::Claimed, detail)?;
        }
        Ok(())
    }
}

fn code_word((_, name): &Thing) -> String {
    if name.starts_with("git:") { "git_commit".to_owned() } else { "entry_point".to_owned() }
}

/// What a dataset's name means here: `models:/NAME/3`, `models:/m-…` and `datasets:/NAME/3` in the namespace [`MODEL_NAMESPACE`], and
/// the address of a file of a data set's version.
pub(crate) fn own_thing(reader: &mut Reader<'_>, workspace: &str, named: &Named) -> Result<Option<Thing>, DbError> {
    if let Some((dataset, number)) = super::data::version_in(&named.name) {
        return find::data_version(reader, workspace, &dataset, &number.to_string());
    }
    if named.namespace != MODEL_NAMESPACE {
        return Ok(None);
    }
    if let Some(rest) = named.name.strip_prefix("models:/") {
        if let Some((model, version)) = rest.rsplit_once('/') {
            return find::model_version(reader, workspace, model, version);
        }
        if let Some((model, alias)) = rest.rsplit_once('@') {
            return find::model_version(reader, workspace, model, &format!("@{alias}"));
        }
        return find::logged_model(reader, workspace, rest);
    }
    if let Some((dataset, version)) = named.name.strip_prefix("datasets:/").and_then(|rest| rest.rsplit_once('/')) {
        return find::data_version(reader, workspace, dataset, version);
    }
    Ok(None)
}
