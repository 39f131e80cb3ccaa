//! `experiments/…`: make, read, list, rename, put aside, take back, tag; and the datasets of experiments.

use http::Method;
use kernel::Problem;
use serde_json::Value;
use tracking::ops::{
    CreateExperiment, DeleteExperiment, DeleteExperimentTag, GetExperiment, GetExperimentByName, RenameExperiment,
    RestoreExperiment, SearchDatasets, SearchExperiments, SetExperimentTag,
};
use tracking::{KeyValue, Tracking, View};

use super::json::{Fields, missing, wrong_type};
use super::{bound, tracking_view};
use crate::{Door, Inbound};

/// Adds these routes.
pub fn routes(door: &mut Door, room: &Tracking) {
    let (get, post) = (Method::GET, Method::POST);
    door.mlflow(post.clone(), "/mlflow/experiments/create", bound(room, create), tracking_view::experiment_id);
    door.mlflow(get.clone(), "/mlflow/experiments/get", bound(room, read), tracking_view::experiment);
    door.mlflow(get.clone(), "/mlflow/experiments/get-by-name", bound(room, read_by_name), tracking_view::experiment);
    door.mlflow(get, "/mlflow/experiments/search", bound(room, search), tracking_view::experiments);
    door.mlflow(post.clone(), "/mlflow/experiments/search", bound(room, search), tracking_view::experiments);
    door.mlflow(post.clone(), "/mlflow/experiments/update", bound(room, rename), tracking_view::nothing);
    door.mlflow(post.clone(), "/mlflow/experiments/delete", bound(room, delete), tracking_view::nothing);
    door.mlflow(post.clone(), "/mlflow/experiments/restore", bound(room, restore), tracking_view::nothing);
    door.mlflow(post.clone(), "/mlflow/experiments/set-experiment-tag", bound(room, set_tag), tracking_view::nothing);
    door.mlflow(post.clone(), "/mlflow/experiments/delete-experiment-tag", bound(room, delete_tag), tracking_view::nothing);
    door.mlflow(post, "/mlflow/experiments/search-datasets", bound(room, search_datasets), tracking_view::dataset_summaries);
}

fn create(room: &Tracking, inbound: &Inbound) -> Result<CreateExperiment, Problem> {
    let fields = Fields::of(inbound)?;
    Ok(CreateExperiment {
        room: room.clone(),
        name: fields.need_text("name")?,
        artifact_location: fields.text("artifact_location")?,
        tags: key_values(&fields, "tags")?,
    })
}

fn read(room: &Tracking, inbound: &Inbound) -> Result<GetExperiment, Problem> {
    Ok(GetExperiment { room: room.clone(), experiment_id: Fields::of(inbound)?.need_text("experiment_id")? })
}

fn read_by_name(room: &Tracking, inbound: &Inbound) -> Result<GetExperimentByName, Problem> {
    Ok(GetExperimentByName { room: room.clone(), name: Fields::of(inbound)?.need_text("experiment_name")? })
}

fn search(room: &Tracking, inbound: &Inbound) -> Result<SearchExperiments, Problem> {
    let fields = Fields::of(inbound)?;
    Ok(SearchExperiments {
        room: room.clone(),
        view: view(&fields, "view_type")?,
        max_results: fields.int("max_results")?.unwrap_or(tracking::limits::SEARCH_RESULT_COUNT_DEFAULT),
        order_by: fields.texts("order_by")?,
        filter: fields.text("filter")?.unwrap_or_default(),
        page_token: fields.text("page_token")?,
    })
}

fn rename(room: &Tracking, inbound: &Inbound) -> Result<RenameExperiment, Problem> {
    let fields = Fields::of(inbound)?;
    let experiment_id = fields.need_text("experiment_id")?;
    Ok(RenameExperiment { room: room.clone(), experiment_id, new_name: fields.need_text("new_name")? })
}

fn delete(room: &Tracking, inbound: &Inbound) -> Result<DeleteExperiment, Problem> {
    Ok(DeleteExperiment { room: room.clone(), experiment_id: Fields::of(inbound)?.need_text("experiment_id")? })
}

fn restore(room: &Tracking, inbound: &Inbound) -> Result<RestoreExperiment, Problem> {
    Ok(RestoreExperiment { room: room.clone(), experiment_id: Fields::of(inbound)?.need_text("experiment_id")? })
}

fn set_tag(room: &Tracking, inbound: &Inbound) -> Result<SetExperimentTag, Problem> {
    let fields = Fields::of(inbound)?;
    let experiment_id = fields.need_text("experiment_id")?;
    let key = fields.need_text("key")?;
    let tag = KeyValue { key, value: fields.text("value")?.unwrap_or_default() };
    Ok(SetExperimentTag { room: room.clone(), experiment_id, tag })
}

fn delete_tag(room: &Tracking, inbound: &Inbound) -> Result<DeleteExperimentTag, Problem> {
    let fields = Fields::of(inbound)?;
    let experiment_id = fields.need_text("experiment_id")?;
    Ok(DeleteExperimentTag { room: room.clone(), experiment_id, key: fields.need_text("key")? })
}

fn search_datasets(room: &Tracking, inbound: &Inbound) -> Result<SearchDatasets, Problem> {
    Ok(SearchDatasets { room: room.clone(), experiment_ids: Fields::of(inbound)?.texts("experiment_ids")? })
}

/// The tags or parameters of a list; a key that is missing is MLflow's error, a value that is missing is empty.
pub(super) fn key_values(fields: &Fields, name: &str) -> Result<Vec<KeyValue>, Problem> {
    let mut all = Vec::new();
    for (index, entry) in fields.objects(name)?.iter().enumerate() {
        let key = entry.text("key")?.filter(|key| !key.is_empty()).ok_or_else(|| missing(&format!("{name}[{index}].key")))?;
        all.push(KeyValue { key, value: entry.text("value")?.unwrap_or_default() });
    }
    Ok(all)
}

/// A `ViewType`, by name or number.
pub(super) fn view(fields: &Fields, name: &str) -> Result<View, Problem> {
    let Some(value) = fields.get(name) else { return Ok(View::Active) };
    let word = match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    match word.as_str() {
        "ACTIVE_ONLY" | "1" => Ok(View::Active),
        "DELETED_ONLY" | "2" => Ok(View::Deleted),
        "ALL" | "3" => Ok(View::All),
        _ => Err(wrong_type(name, value)),
    }
}
