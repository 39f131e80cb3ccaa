//! Registering a version: where it comes from is resolved, its author is the caller.

use gate::{Action, Operation, Outcome, Permit, Scope, Target};
use kernel::{Kind, Micros, Problem};
use lineage::Trust;
use lineage::record::{Scene, VersionSource, version_registered};
use serde_json::{Value, json};
use vault::db::{Reader, Writer};

use super::models::describable;
use super::{logged_model_missing, model_missing, model_of, version_missing};
use crate::rules::shown;
use crate::source::{self, Holder, Source};
use crate::store::{logged_models, may_know_of, models, versions};
use crate::types::{KeyValue, LoggedModel, ModelVersion, PROMPT_TAG, VERSIONS_TAG};
use crate::{Registered, Registry, limits, rules};

/// Registers a version of a model.
#[derive(Clone)]
pub struct CreateVersion {
    /// The room.
    pub room: Registry,
    /// The model's name.
    pub name: String,
    /// Where it comes from.
    pub source: String,
    /// The run that made it, as the client says.
    pub run_id: Option<String>,
    /// A link to that run.
    pub run_link: Option<String>,
    /// What it is.
    pub description: Option<String>,
    /// Its tags.
    pub tags: Vec<KeyValue>,
    /// The logged model it is made from.
    pub logged_model_id: Option<String>,
}

impl Operation for CreateVersion {
    const ACTION: Action = super::VERSIONS_CREATE;
    type Output = ModelVersion;

    fn target(&self) -> Target {
        Target::RegisteredModel(self.name.clone())
    }

    async fn run(self, permit: Permit<Self>) -> Result<ModelVersion, Problem> {
        rules::model_name("name", &self.name)?;
        describable(self.description.as_deref())?;
        for (name, text) in [("run_id", &self.run_id), ("run_link", &self.run_link)] {
            rules::within(name, limits::SOURCE_CHARS_MAX, text.as_deref().unwrap_or_default())?;
        }
        let prompt = self.tags.iter().any(|tag| tag.key == PROMPT_TAG);
        let source = if prompt {
            source::parse_prompt(&self.source)?
        } else {
            source::parse(&self.source, self.logged_model_id.is_some())?
        };
        let tags = rules::tags(self.tags.clone())?;
        let model_id = model_of(&permit, &self.name)?;
        let scene = Scene::of(&permit)?;
        let place = Place { workspace_id: permit.workspace()?.to_owned(), scope: permit.scope().clone() };
        let caller = permit.caller().clone();
        let at = permit.entry().at.0;
        let request = Request { source, tags, prompt };
        let (db, admission) = (self.room.db.clone(), self.room.admission.clone());
        let quarantine = admission.clone();
        let registered = db.write(&permit, move |writer| {
            let origin = origin(writer, &place, &self, &request.source)?;
            let new = versions::NewVersion {
                model_id: &model_id,
                source: &self.source,
                storage_location: &origin.storage_location,
                run_id: origin.run.as_ref().map(|(run_id, _)| run_id.as_str()),
                run_link: self.run_link.as_deref(),
                logged_model_id: origin.logged_model.as_ref().map(|(model_id, _)| model_id.as_str()),
                description: self.description.as_deref(),
                user_name: &caller.name,
                owner: &caller.id,
                tags: &request.tags,
                at,
            };
            let number = versions::insert(writer, &new)?.ok_or_else(|| model_missing(&self.name))?;
            if let (Some(logged), false) = (&self.logged_model_id, request.prompt) {
                list_version(writer, logged, &self.name, number)?;
            }
            let stems_from = VersionSource {
                run: origin.run.as_ref().map(|(run_id, trust)| (run_id.as_str(), *trust)),
                logged_model: origin.logged_model.as_ref().map(|(model_id, trust)| (model_id.as_str(), *trust)),
                version: origin.version.as_ref().map(|(model, number)| (model.as_str(), *number)),
            };
            version_registered(writer, &scene, &model_id, number, &stems_from)?;
            if let Some(quarantine) = quarantine {
                let new = Registered {
                    workspace: &place.workspace_id,
                    model_id: &model_id,
                    number,
                    storage_location: &origin.storage_location,
                    submitter: &caller.id,
                    at: Micros(at),
                };
                quarantine.registered(writer, &new)?;
            }
            let found = versions::get(writer, &model_id, number)?;
            let found = found.ok_or_else(|| version_missing(&self.name, &number.to_string()))?;
            Ok((found, Outcome::done().resource(format!("{model_id}/{number}")).with("version", number)))
        });
        let found = registered.await?;
        if let Some(admission) = admission {
            admission.wake();
        }
        Ok(found)
    }
}

struct Request {
    source: Source,
    tags: Vec<KeyValue>,
    prompt: bool,
}

struct Place {
    workspace_id: String,
    scope: Scope,
}

/// What a source was found to be.
#[derive(Default)]
struct Origin {
    storage_location: String,
    run: Option<(String, Trust)>,
    /// Seen where the source itself names it: then the files are that model's.
    logged_model: Option<(String, Trust)>,
    version: Option<(String, i64)>,
}

fn origin(reader: &mut Reader<'_>, place: &Place, asked: &CreateVersion, source: &Source) -> Result<Origin, Problem> {
    let mut found = Origin { storage_location: asked.source.clone(), ..Origin::default() };
    match source {
        Source::Opaque => {}
        Source::Run { run_id, path } => of_run(reader, place, &mut found, run_id, path)?,
        Source::LoggedModel(model_id) => {
            let model = logged_model(reader, place, model_id).map_err(|problem| cannot_fetch(&asked.source, problem))?;
            found.storage_location = model.artifact_uri;
            found.run = model.source_run_id.map(|run_id| (run_id, Trust::Claimed));
            found.logged_model = Some((model.model_id, Trust::Observed));
        }
        Source::Version { name, version } => {
            of_version(reader, place, &mut found, name, *version).map_err(|problem| cannot_fetch(&asked.source, problem))?;
        }
        Source::Alias { name, alias } => {
            let model_id = models::id_of_name(reader, &place.workspace_id, name)?;
            let number = match &model_id {
                Some(model_id) => models::version_of_alias(reader, model_id, alias)?,
                None => None,
            };
            let number =
                number.ok_or_else(|| version_missing(name, alias)).map_err(|problem| cannot_fetch(&asked.source, problem))?;
            of_version(reader, place, &mut found, name, number)?;
        }
        Source::Artifacts { experiment_id, holder } => {
            of_artifacts(reader, place, &mut found, *experiment_id, holder.as_ref())
                .map_err(|problem| cannot_fetch(&asked.source, problem))?;
        }
    }
    if let Some(model_id) = &asked.logged_model_id {
        let model = logged_model(reader, place, model_id)?;
        if found.run.is_none() {
            found.run = model.source_run_id.map(|run_id| (run_id, Trust::Claimed));
        }
        let seen = found.logged_model.take().filter(|(seen, _)| *seen == model.model_id);
        found.logged_model = Some(seen.unwrap_or((model.model_id, Trust::Claimed)));
    }
    if let Some(run_id) = asked.run_id.as_ref().filter(|run_id| !run_id.is_empty()) {
        let seen = found.run.as_ref().is_some_and(|(seen, trust)| seen == run_id && *trust == Trust::Observed);
        found.run = Some((run_id.clone(), if seen { Trust::Observed } else { Trust::Claimed }));
    }
    Ok(found)
}

/// A run that is not there leaves the source as an opaque text: its reader must resolve it, and is judged then.
fn of_run(reader: &mut Reader<'_>, place: &Place, found: &mut Origin, run_id: &str, path: &str) -> Result<(), Problem> {
    let run = versions::run_of(reader, &place.workspace_id, run_id)?;
    if let Some((_, artifact_uri)) = run {
        found.storage_location = if path.is_empty() { artifact_uri } else { format!("{artifact_uri}/{path}") };
        found.run = Some((run_id.to_owned(), Trust::Observed));
    }
    Ok(())
}

/// Names and numbers can be guessed, so the earlier version must be one that this caller may know of.
fn of_version(reader: &mut Reader<'_>, place: &Place, found: &mut Origin, name: &str, number: i64) -> Result<(), Problem> {
    let missing = || version_missing(name, &number.to_string());
    let model_id = models::id_of_name(reader, &place.workspace_id, name)?.ok_or_else(missing)?;
    let visible = match &place.scope {
        Scope::Only { models, .. } => models.contains(&model_id),
        Scope::Workspace => true,
        Scope::Nothing | Scope::Workspaces(_) | Scope::Datasets(_) => false,
    };
    let earlier = versions::get(reader, &model_id, number)?.filter(|_| visible).ok_or_else(missing)?;
    found.storage_location = earlier.storage_location;
    found.run = earlier.run_id.map(|run_id| (run_id, Trust::Claimed));
    if let Some(logged) = earlier.logged_model_id {
        let known = logged_models::find(reader, &place.workspace_id, &logged)?;
        let seen = known.is_some_and(|model| lies_in(&found.storage_location, &model.artifact_uri));
        found.logged_model = Some((logged, if seen { Trust::Observed } else { Trust::Claimed }));
    }
    found.version = Some((model_id, number));
    Ok(())
}

/// Whether a place is another one, or below it.
fn lies_in(place: &str, other: &str) -> bool {
    place.strip_prefix(other).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

fn of_artifacts(
    reader: &mut Reader<'_>,
    place: &Place,
    found: &mut Origin,
    experiment_id: i64,
    holder: Option<&Holder>,
) -> Result<(), Problem> {
    let nothing_there = || Problem::not_found("there are no such artifacts in this workspace");
    match holder {
        None => {
            // The number of an experiment can be guessed, so it must be one that this caller may know of.
            let visible = may_know_of(&place.scope, experiment_id);
            if !visible || !versions::has_experiment(reader, &place.workspace_id, experiment_id)? {
                return Err(nothing_there());
            }
            Ok(())
        }
        Some(Holder::Run(run_id)) => {
            let run = versions::run_of(reader, &place.workspace_id, run_id)?;
            if run.is_none_or(|(experiment, _)| experiment != experiment_id) {
                return Err(nothing_there());
            }
            found.run = Some((run_id.clone(), Trust::Observed));
            Ok(())
        }
        Some(Holder::LoggedModel(model_id)) => {
            let model = logged_models::find(reader, &place.workspace_id, model_id)?;
            let model = model.filter(|model| model.experiment_id == experiment_id).ok_or_else(nothing_there)?;
            found.run = model.source_run_id.map(|run_id| (run_id, Trust::Claimed));
            found.logged_model = Some((model.model_id, Trust::Observed));
            Ok(())
        }
    }
}

/// A logged model's id is random: who names it was told of it. Reading its bytes is judged on its own.
fn logged_model(reader: &mut Reader<'_>, place: &Place, model_id: &str) -> Result<LoggedModel, Problem> {
    let model = logged_models::find(reader, &place.workspace_id, model_id)?;
    model.ok_or_else(|| logged_model_missing(model_id))
}

/// The reason is the client's to know; a fault of the database stays what it is.
fn cannot_fetch(source: &str, problem: Problem) -> Problem {
    if !matches!(problem.kind(), Kind::NotFound | Kind::Invalid) {
        return problem;
    }
    let message = format!("Unable to fetch model from model URI source artifact location '{}'. Error: {problem}", shown(source));
    Problem::new(problem.kind(), message)
}

/// Adds the version to the logged model's own list of versions, a JSON text as MLflow's client writes it.
fn list_version(writer: &mut Writer<'_>, model_id: &str, name: &str, number: i64) -> Result<(), Problem> {
    let known = logged_models::tag(writer, model_id, VERSIONS_TAG)?;
    let mut list: Vec<Value> = known.and_then(|text| serde_json::from_str(&text).ok()).unwrap_or_default();
    let new = json!({ "name": name, "version": number });
    if !list.contains(&new) {
        list.push(new);
    }
    let mut text = list_text(&list);
    while text.chars().count() > limits::LOGGED_MODEL_TAG_VALUE_CHARS_MAX && list.len() > 1 {
        list.remove(0);
        text = list_text(&list);
    }
    logged_models::put_tags(writer, model_id, &[KeyValue { key: VERSIONS_TAG.to_owned(), value: text }])?;
    Ok(())
}

/// The list with Python's spacing: clients compare it as a text.
fn list_text(list: &[Value]) -> String {
    let each: Vec<String> = list
        .iter()
        .map(|one| {
            let null = Value::Null;
            let name = one.get("name").unwrap_or(&null);
            let version = one.get("version").unwrap_or(&null);
            format!("{{\"name\": {name}, \"version\": {version}}}")
        })
        .collect();
    format!("[{}]", each.join(", "))
}
