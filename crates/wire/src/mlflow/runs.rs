//! `runs/…`: begin, read, list, change, put aside, take back, tag.

use http::Method;
use kernel::Problem;
use serde_json::Value;
use tracking::ops::{CreateRun, DeleteRun, DeleteTag, GetRun, RestoreRun, SearchRuns, SetTag, UpdateRun};
use tracking::{KeyValue, RunStatus, Tracking};

use super::experiments::{key_values, view};
use super::json::{Fields, missing, wrong_type};
use super::{bound, tracking_view};
use crate::{Door, Inbound};

/// The experiment that MLflow's clients mean when they name none.
const DEFAULT_EXPERIMENT: &str = "0";

/// Adds these routes.
pub fn routes(door: &mut Door, room: &Tracking) {
    let post = Method::POST;
    door.mlflow(post.clone(), "/mlflow/runs/create", bound(room, create), tracking_view::run);
    door.mlflow(Method::GET, "/mlflow/runs/get", bound(room, read), tracking_view::run);
    door.mlflow(post.clone(), "/mlflow/runs/search", bound(room, search), tracking_view::runs);
    door.mlflow(post.clone(), "/mlflow/runs/update", bound(room, update), tracking_view::run_info);
    door.mlflow(post.clone(), "/mlflow/runs/delete", bound(room, delete), tracking_view::nothing);
    door.mlflow(post.clone(), "/mlflow/runs/restore", bound(room, restore), tracking_view::nothing);
    door.mlflow(post.clone(), "/mlflow/runs/set-tag", bound(room, set_tag), tracking_view::nothing);
    door.mlflow(post, "/mlflow/runs/delete-tag", bound(room, delete_tag), tracking_view::nothing);
}

/// A run's id, which older clients call `run_uuid`.
pub(super) fn run_id(fields: &Fields) -> Result<String, Problem> {
    let text = match fields.text("run_id")? {
        Some(text) => Some(text),
        None => fields.text("run_uuid")?,
    };
    text.filter(|text| !text.is_empty()).ok_or_else(|| missing("run_id"))
}

fn create(room: &Tracking, inbound: &Inbound) -> Result<CreateRun, Problem> {
    let fields = Fields::of(inbound)?;
    let experiment_id = fields.text("experiment_id")?.filter(|id| !id.is_empty());
    Ok(CreateRun {
        room: room.clone(),
        experiment_id: experiment_id.unwrap_or_else(|| DEFAULT_EXPERIMENT.to_owned()),
        start_time_ms: fields.int("start_time")?.unwrap_or_default(),
        run_name: fields.text("run_name")?,
        user_id: fields.text("user_id")?,
        tags: key_values(&fields, "tags")?,
    })
}

fn read(room: &Tracking, inbound: &Inbound) -> Result<GetRun, Problem> {
    Ok(GetRun { room: room.clone(), run_id: run_id(&Fields::of(inbound)?)? })
}

fn search(room: &Tracking, inbound: &Inbound) -> Result<SearchRuns, Problem> {
    search_of(room, &Fields::of(inbound)?)
}

pub(super) fn search_of(room: &Tracking, fields: &Fields) -> Result<SearchRuns, Problem> {
    Ok(SearchRuns {
        room: room.clone(),
        experiment_ids: fields.texts("experiment_ids")?,
        filter: fields.text("filter")?.unwrap_or_default(),
        max_results: fields.int("max_results")?.unwrap_or(tracking::limits::SEARCH_RESULT_COUNT_DEFAULT),
        order_by: fields.texts("order_by")?,
        view: view(fields, "run_view_type")?,
        page_token: fields.text("page_token")?,
    })
}

fn update(room: &Tracking, inbound: &Inbound) -> Result<UpdateRun, Problem> {
    let fields = Fields::of(inbound)?;
    Ok(UpdateRun {
        room: room.clone(),
        run_id: run_id(&fields)?,
        end_time_ms: fields.int("end_time")?,
        status: status(&fields)?,
        run_name: fields.text("run_name")?,
    })
}

/// A `RunStatus`, by name or number.
fn status(fields: &Fields) -> Result<Option<RunStatus>, Problem> {
    let Some(value) = fields.get("status") else { return Ok(None) };
    let word = match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    let named = match word.as_str() {
        "1" => Some(RunStatus::Running),
        "2" => Some(RunStatus::Scheduled),
        "3" => Some(RunStatus::Finished),
        "4" => Some(RunStatus::Failed),
        "5" => Some(RunStatus::Killed),
        word => RunStatus::of_word(word),
    };
    named.map(Some).ok_or_else(|| wrong_type("status", value))
}

fn delete(room: &Tracking, inbound: &Inbound) -> Result<DeleteRun, Problem> {
    Ok(DeleteRun { room: room.clone(), run_id: run_id(&Fields::of(inbound)?)? })
}

fn restore(room: &Tracking, inbound: &Inbound) -> Result<RestoreRun, Problem> {
    Ok(RestoreRun { room: room.clone(), run_id: run_id(&Fields::of(inbound)?)? })
}

fn set_tag(room: &Tracking, inbound: &Inbound) -> Result<SetTag, Problem> {
    let fields = Fields::of(inbound)?;
    let run_id = run_id(&fields)?;
    let key = fields.need_text("key")?;
    let tag = KeyValue { key, value: fields.text("value")?.unwrap_or_default() };
    Ok(SetTag { room: room.clone(), run_id, tag })
}

fn delete_tag(room: &Tracking, inbound: &Inbound) -> Result<DeleteTag, Problem> {
    let fields = Fields::of(inbound)?;
    let run_id = run_id(&fields)?;
    Ok(DeleteTag { room: room.clone(), run_id, key: fields.need_text("key")? })
}
