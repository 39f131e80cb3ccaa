//! Logged models.

use filter::{
    Entity, LoggedModelPage, decode_logged_model_page_token, encode_logged_model_page_token, parse_filter,
    parse_logged_model_order_by,
};
use gate::{Action, Operation, Outcome, Permit, Target};
use kernel::{Problem, random_id, random_text};
use lineage::Trust;
use lineage::record::{Scene, logged_model_created};
use serde_json::Value;

use super::{cut, logged_model_missing, page_count};
use crate::rules::shown;
use crate::store::{logged_models, search, versions};
use crate::types::{DatasetFilter, KeyValue, LoggedModel, LoggedModelStatus, Page};
use crate::{Registry, limits, rules};

/// Logs a model into an experiment. Its files come later; until it is finalized it is pending.
#[derive(Clone)]
pub struct CreateLoggedModel {
    /// The room.
    pub room: Registry,
    /// The experiment's id.
    pub experiment_id: String,
    /// Its name; one is made up where it is missing.
    pub name: Option<String>,
    /// Its type.
    pub model_type: Option<String>,
    /// The run it comes from, as the client says.
    pub source_run_id: Option<String>,
    /// Its params.
    pub params: Vec<KeyValue>,
    /// Its tags.
    pub tags: Vec<KeyValue>,
}

impl Operation for CreateLoggedModel {
    const ACTION: Action = super::LOGGED_MODELS_CREATE;
    type Output = LoggedModel;

    fn target(&self) -> Target {
        Target::Experiment(self.experiment_id.clone())
    }

    async fn run(self, permit: Permit<Self>) -> Result<LoggedModel, Problem> {
        let missing = || Problem::not_found(format!("No Experiment with id={} exists", shown(&self.experiment_id)));
        let experiment_id = permit.facts().experiment.filter(|_| permit.facts().exists).ok_or_else(missing)?;
        if let Some(name) = &self.name {
            rules::logged_model_name(name)?;
        }
        for (name, text) in [("model_type", &self.model_type), ("source_run_id", &self.source_run_id)] {
            rules::within(name, limits::NAME_CHARS_MAX, text.as_deref().unwrap_or_default())?;
        }
        let (params, tags) = (rules::params(self.params)?, rules::logged_model_tags(self.tags)?);
        let scene = Scene::of(&permit)?;
        let workspace = permit.workspace()?.to_owned();
        let owner = permit.caller().id.clone();
        let token = permit.caller().token.as_ref().map(|token| token.id.clone());
        let at = permit.entry().at;
        let model_id = format!("m-{}", random_id());
        let mut model = LoggedModel {
            name: self.name.unwrap_or_else(|| format!("model-{}", random_text(8))),
            model_id,
            experiment_id,
            model_type: self.model_type,
            source_run_id: self.source_run_id.filter(|id| !id.is_empty()),
            status: LoggedModelStatus::Pending,
            artifact_uri: String::new(),
            deleted: false,
            created_at: at,
            updated_at: at,
            tags,
            params,
            metrics: Vec::new(),
        };
        self.room
            .db
            .write(&permit, move |writer| {
                let (location, deleted) = logged_models::experiment(writer, experiment_id)?
                    .ok_or_else(|| Problem::not_found(format!("No Experiment with id={experiment_id} exists")))?;
                if deleted {
                    return Err(Problem::invalid(format!(
                        "The experiment {experiment_id} must be in the 'active' state. Current state is deleted."
                    )));
                }
                if let Some(run_id) = &model.source_run_id {
                    retention::guard_run(writer, run_id, token.as_deref())?;
                }
                model.artifact_uri = artifact_uri(&location, &model.model_id);
                logged_models::insert(writer, &model, &owner)?;
                let run = match &model.source_run_id {
                    None => None,
                    Some(run_id) => {
                        let run = versions::run_of(writer, &workspace, run_id)?;
                        let same = run.is_some_and(|(experiment, _)| experiment == experiment_id);
                        Some((run_id.as_str(), if same { Trust::Observed } else { Trust::Claimed }))
                    }
                };
                logged_model_created(writer, &scene, &model.model_id, run)?;
                let outcome = Outcome::done().resource(model.model_id.clone()).with("experiment", experiment_id);
                Ok((model, outcome))
            })
            .await
    }
}

/// The place of a model's files inside its experiment's.
fn artifact_uri(location: &str, model_id: &str) -> String {
    let (path, query) = location.split_once('?').map_or((location, String::new()), |(path, query)| (path, format!("?{query}")));
    format!("{}/models/{model_id}/artifacts{query}", path.trim_end_matches('/'))
}

/// Reads one logged model.
#[derive(Clone)]
pub struct GetLoggedModel {
    /// The room.
    pub room: Registry,
    /// Its id.
    pub model_id: String,
    /// Whether a deleted one is found too.
    pub allow_deleted: bool,
}

impl Operation for GetLoggedModel {
    const ACTION: Action = super::LOGGED_MODELS_GET;
    type Output = LoggedModel;

    fn target(&self) -> Target {
        Target::LoggedModel(self.model_id.clone())
    }

    async fn run(self, permit: Permit<Self>) -> Result<LoggedModel, Problem> {
        let model_id = known(&permit, self.model_id)?;
        let allow_deleted = self.allow_deleted;
        self.room
            .db
            .read_point(&permit, move |reader| {
                let model = logged_models::get(reader, &model_id)?;
                model.filter(|model| allow_deleted || !model.deleted).ok_or_else(|| logged_model_missing(&model_id))
            })
            .await
    }
}

/// Lists logged models of experiments.
#[derive(Clone)]
pub struct SearchLoggedModels {
    /// The room.
    pub room: Registry,
    /// The experiments' ids.
    pub experiment_ids: Vec<String>,
    /// Which ones.
    pub filter: Option<String>,
    /// Only with metrics that were measured on one of these.
    pub datasets: Vec<DatasetFilter>,
    /// In which order, as the client's JSON objects.
    pub order_by: Vec<Value>,
    /// How many at most.
    pub max_results: Option<i64>,
    /// Where to go on.
    pub page_token: Option<String>,
}

impl Operation for SearchLoggedModels {
    const ACTION: Action = super::LOGGED_MODELS_SEARCH;
    type Output = Page<LoggedModel>;

    fn target(&self) -> Target {
        Target::Workspace
    }

    async fn run(self, permit: Permit<Self>) -> Result<Page<LoggedModel>, Problem> {
        let limit = page_count(self.max_results, limits::LOGGED_MODEL_PAGE_COUNT, limits::LOGGED_MODEL_PAGE_COUNT_MAX)?;
        let experiments = experiment_ids(&self.experiment_ids)?;
        if self.datasets.len() > limits::DATASET_COUNT_MAX {
            return Err(Problem::invalid(format!("a search may name at most {} datasets", limits::DATASET_COUNT_MAX)));
        }
        if self.datasets.iter().any(|dataset| dataset.name.is_empty()) {
            return Err(Problem::invalid("`dataset_name` in the `datasets` clause must be specified."));
        }
        let clauses = parse_filter(Entity::LoggedModel, self.filter.as_deref().unwrap_or_default())?;
        let order = parse_logged_model_order_by(&self.order_by)?;
        let order_value = (!self.order_by.is_empty()).then(|| Value::Array(self.order_by.clone()));
        let page = LoggedModelPage {
            experiment_ids: &self.experiment_ids,
            filter: self.filter.as_deref().filter(|filter| !filter.is_empty()),
            order_by: order_value.as_ref(),
        };
        let offset = decode_logged_model_page_token(&page, self.page_token.as_deref())?;
        let next = encode_logged_model_page_token(&page, offset.saturating_add(limit.unsigned_abs()));
        let workspace = permit.workspace()?.to_owned();
        let scope = permit.scope().clone();
        let datasets = self.datasets.clone();
        self.room
            .db
            .read(&permit, move |reader| {
                let search = search::LoggedModelSearch {
                    workspace_id: &workspace,
                    scope: &scope,
                    experiments: &experiments,
                    clauses: &clauses,
                    datasets: &datasets,
                    order: &order,
                    window: search::Window { offset, limit },
                };
                let mut rows = search::logged_models(reader, &search)?;
                let more = cut(&mut rows, limit);
                Ok(Page { rows, next: more.then_some(next) })
            })
            .await
    }
}

fn experiment_ids(texts: &[String]) -> Result<Vec<i64>, Problem> {
    if texts.len() > limits::EXPERIMENT_COUNT_MAX {
        return Err(Problem::invalid(format!("a search may name at most {} experiments", limits::EXPERIMENT_COUNT_MAX)));
    }
    let number = |text: &String| text.parse::<i64>().ok().filter(|id| id.to_string() == *text);
    texts
        .iter()
        .map(|text| number(text).ok_or_else(|| Problem::invalid(format!("Invalid experiment id '{}'", shown(text)))))
        .collect()
}

/// Says that a logged model's files are all there, or will not come.
#[derive(Clone)]
pub struct FinalizeLoggedModel {
    /// The room.
    pub room: Registry,
    /// Its id.
    pub model_id: String,
    /// The status.
    pub status: LoggedModelStatus,
}

impl Operation for FinalizeLoggedModel {
    const ACTION: Action = super::LOGGED_MODELS_UPDATE;
    type Output = LoggedModel;

    fn target(&self) -> Target {
        Target::LoggedModel(self.model_id.clone())
    }

    async fn run(self, permit: Permit<Self>) -> Result<LoggedModel, Problem> {
        let model_id = known(&permit, self.model_id)?;
        let at = permit.entry().at.0;
        let status = self.status;
        self.room
            .db
            .write(&permit, move |writer| {
                logged_models::set_status(writer, &model_id, status, at)?;
                let model = logged_models::get(writer, &model_id)?.ok_or_else(|| logged_model_missing(&model_id))?;
                Ok((model, Outcome::done().resource(model_id).with("status", status.word())))
            })
            .await
    }
}

/// Deletes a logged model. Its row stays until it is cleaned up.
#[derive(Clone)]
pub struct DeleteLoggedModel {
    /// The room.
    pub room: Registry,
    /// Its id.
    pub model_id: String,
}

impl Operation for DeleteLoggedModel {
    const ACTION: Action = super::LOGGED_MODELS_DELETE;
    type Output = ();

    fn target(&self) -> Target {
        Target::LoggedModel(self.model_id.clone())
    }

    async fn run(self, permit: Permit<Self>) -> Result<(), Problem> {
        let model_id = known(&permit, self.model_id)?;
        let at = permit.entry().at.0;
        self.room
            .db
            .write(&permit, move |writer| {
                logged_models::delete(writer, &model_id, at)?;
                Ok(((), Outcome::done().resource(model_id)))
            })
            .await
    }
}

/// Sets tags of a logged model.
#[derive(Clone)]
pub struct SetLoggedModelTags {
    /// The room.
    pub room: Registry,
    /// Its id.
    pub model_id: String,
    /// The tags.
    pub tags: Vec<KeyValue>,
}

impl Operation for SetLoggedModelTags {
    const ACTION: Action = super::LOGGED_MODELS_UPDATE;
    type Output = LoggedModel;

    fn target(&self) -> Target {
        Target::LoggedModel(self.model_id.clone())
    }

    async fn run(self, permit: Permit<Self>) -> Result<LoggedModel, Problem> {
        let tags = rules::logged_model_tags(self.tags)?;
        let model_id = known(&permit, self.model_id)?;
        self.room
            .db
            .write(&permit, move |writer| {
                logged_models::put_tags(writer, &model_id, &tags)?;
                let model = logged_models::get(writer, &model_id)?.ok_or_else(|| logged_model_missing(&model_id))?;
                Ok((model, Outcome::done().resource(model_id).with("tags", tags.len())))
            })
            .await
    }
}

/// Deletes a tag of a logged model.
#[derive(Clone)]
pub struct DeleteLoggedModelTag {
    /// The room.
    pub room: Registry,
    /// Its id.
    pub model_id: String,
    /// The tag's key.
    pub key: String,
}

impl Operation for DeleteLoggedModelTag {
    const ACTION: Action = super::LOGGED_MODELS_UPDATE;
    type Output = ();

    fn target(&self) -> Target {
        Target::LoggedModel(self.model_id.clone())
    }

    async fn run(self, permit: Permit<Self>) -> Result<(), Problem> {
        let model_id = known(&permit, self.model_id)?;
        let key = self.key;
        self.room
            .db
            .write(&permit, move |writer| {
                if !logged_models::delete_tag(writer, &model_id, &key)? {
                    return Err(Problem::not_found(format!(
                        "No tag with key '{}' found for model with ID '{model_id}'.",
                        shown(&key)
                    )));
                }
                Ok(((), Outcome::done().resource(model_id)))
            })
            .await
    }
}

/// Adds params to a logged model. A param never changes once it is there.
#[derive(Clone)]
pub struct LogLoggedModelParams {
    /// The room.
    pub room: Registry,
    /// Its id.
    pub model_id: String,
    /// The params.
    pub params: Vec<KeyValue>,
}

impl Operation for LogLoggedModelParams {
    const ACTION: Action = super::LOGGED_MODELS_LOG;
    type Output = ();

    fn target(&self) -> Target {
        Target::LoggedModel(self.model_id.clone())
    }

    async fn run(self, permit: Permit<Self>) -> Result<(), Problem> {
        let params = rules::params(self.params)?;
        let model_id = known(&permit, self.model_id)?;
        self.room
            .db
            .write(&permit, move |writer| {
                let old = logged_models::params(writer, &model_id)?;
                for param in &params {
                    if old.iter().any(|known| known.key == param.key && known.value != param.value) {
                        return Err(Problem::invalid(format!(
                            "Changing param values is not allowed. Param with key='{}' was already logged with another value \
                             for model with ID '{model_id}'.",
                            shown(&param.key)
                        )));
                    }
                }
                logged_models::put_params(writer, &model_id, &params)?;
                Ok(((), Outcome::done().resource(model_id).with("params", params.len())))
            })
            .await
    }
}

/// The id of the logged model that the permit is for.
fn known<O: ?Sized>(permit: &Permit<O>, model_id: String) -> Result<String, Problem> {
    if permit.facts().exists { Ok(model_id) } else { Err(logged_model_missing(&model_id)) }
}
