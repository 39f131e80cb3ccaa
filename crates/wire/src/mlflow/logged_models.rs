//! `logged-models…`: the models that runs log. Their files are served by the artifact routes.

use http::Method;
use kernel::Problem;
use registry::ops::{
    CreateLoggedModel, DeleteLoggedModel, DeleteLoggedModelTag, FinalizeLoggedModel, GetLoggedModel, LogLoggedModelParams,
    SearchLoggedModels, SetLoggedModelTags,
};
use registry::{DatasetFilter, LoggedModelStatus, Registry};
use serde_json::Value;

use super::json::{Fields, missing, wrong_type};
use super::registered_models::key_values;
use super::{bound, registry_view};
use crate::{Door, Inbound};

/// Adds these routes.
pub fn routes(door: &mut Door, room: &Registry) {
    let (post, patch, delete) = (Method::POST, Method::PATCH, Method::DELETE);
    let one = "/mlflow/logged-models/{model_id}";
    door.mlflow(post.clone(), "/mlflow/logged-models", bound(room, create), registry_view::logged_model);
    door.mlflow(post.clone(), "/mlflow/logged-models/search", bound(room, search), registry_view::logged_models);
    door.mlflow(Method::GET, one, bound(room, read), registry_view::logged_model);
    door.mlflow(patch.clone(), one, bound(room, finalize), registry_view::logged_model);
    door.mlflow(delete.clone(), one, bound(room, remove), registry_view::nothing);
    door.mlflow(post, &format!("{one}/params"), bound(room, log_params), registry_view::nothing);
    door.mlflow(patch, &format!("{one}/tags"), bound(room, set_tags), registry_view::logged_model);
    door.mlflow(delete, &format!("{one}/tags/{{tag_key}}"), bound(room, delete_tag), registry_view::nothing);
}

fn create(room: &Registry, inbound: &Inbound) -> Result<CreateLoggedModel, Problem> {
    let fields = Fields::of(inbound)?;
    let given = |name: &str| Ok::<_, Problem>(fields.text(name)?.filter(|text| !text.is_empty()));
    Ok(CreateLoggedModel {
        room: room.clone(),
        experiment_id: fields.need_text("experiment_id")?,
        name: given("name")?,
        model_type: given("model_type")?,
        source_run_id: given("source_run_id")?,
        params: key_values(&fields, "params")?,
        tags: key_values(&fields, "tags")?,
    })
}

fn read(room: &Registry, inbound: &Inbound) -> Result<GetLoggedModel, Problem> {
    let allow_deleted = Fields::of(inbound)?.flag("allow_deleted")?.unwrap_or(false);
    Ok(GetLoggedModel { room: room.clone(), model_id: inbound.path("model_id").to_owned(), allow_deleted })
}

fn search(room: &Registry, inbound: &Inbound) -> Result<SearchLoggedModels, Problem> {
    let fields = Fields::of(inbound)?;
    let experiment_ids = fields.texts("experiment_ids")?;
    if experiment_ids.is_empty() {
        return Err(missing("experiment_ids"));
    }
    let dataset = |entry: &Fields| {
        Ok(DatasetFilter {
            name: entry.text("dataset_name")?.unwrap_or_default(),
            digest: entry.text("dataset_digest")?.filter(|digest| !digest.is_empty()),
        })
    };
    Ok(SearchLoggedModels {
        room: room.clone(),
        experiment_ids,
        filter: fields.text("filter")?.filter(|filter| !filter.is_empty()),
        datasets: fields.objects("datasets")?.iter().map(dataset).collect::<Result<_, Problem>>()?,
        order_by: fields.list("order_by")?.to_vec(),
        max_results: fields.int("max_results")?,
        page_token: fields.text("page_token")?,
    })
}

fn finalize(room: &Registry, inbound: &Inbound) -> Result<FinalizeLoggedModel, Problem> {
    let fields = Fields::of(inbound)?;
    let model_id = same_model(inbound, &fields)?;
    Ok(FinalizeLoggedModel { room: room.clone(), model_id, status: status(&fields)? })
}

fn remove(room: &Registry, inbound: &Inbound) -> Result<DeleteLoggedModel, Problem> {
    Ok(DeleteLoggedModel { room: room.clone(), model_id: inbound.path("model_id").to_owned() })
}

fn log_params(room: &Registry, inbound: &Inbound) -> Result<LogLoggedModelParams, Problem> {
    let fields = Fields::of(inbound)?;
    let model_id = same_model(inbound, &fields)?;
    Ok(LogLoggedModelParams { room: room.clone(), model_id, params: key_values(&fields, "params")? })
}

fn set_tags(room: &Registry, inbound: &Inbound) -> Result<SetLoggedModelTags, Problem> {
    let fields = Fields::of(inbound)?;
    let model_id = same_model(inbound, &fields)?;
    Ok(SetLoggedModelTags { room: room.clone(), model_id, tags: key_values(&fields, "tags")? })
}

fn delete_tag(room: &Registry, inbound: &Inbound) -> Result<DeleteLoggedModelTag, Problem> {
    let (model_id, key) = (inbound.path("model_id").to_owned(), inbound.path("tag_key").to_owned());
    Ok(DeleteLoggedModelTag { room: room.clone(), model_id, key })
}

/// The path names the model. A body that names another one is refused, so that nobody can take one for the other.
fn same_model(inbound: &Inbound, fields: &Fields) -> Result<String, Problem> {
    let model_id = inbound.path("model_id");
    match fields.text("model_id")? {
        Some(other) if other != model_id => Err(Problem::invalid("`model_id` in the body differs from the one in the path")),
        _ => Ok(model_id.to_owned()),
    }
}

/// A `LoggedModelStatus`, by name or number.
fn status(fields: &Fields) -> Result<LoggedModelStatus, Problem> {
    let value = fields.get("status").ok_or_else(|| missing("status"))?;
    let word = match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    match word.as_str() {
        "LOGGED_MODEL_STATUS_UNSPECIFIED" | "0" => Ok(LoggedModelStatus::Unspecified),
        "LOGGED_MODEL_PENDING" | "1" => Ok(LoggedModelStatus::Pending),
        "LOGGED_MODEL_READY" | "2" => Ok(LoggedModelStatus::Ready),
        "LOGGED_MODEL_UPLOAD_FAILED" | "3" => Ok(LoggedModelStatus::Failed),
        _ => Err(wrong_type("status", value)),
    }
}
