//! `model-versions/…`: versions of registered models.

use http::Method;
use kernel::Problem;
use registry::Registry;
use registry::ops::{
    CreateVersion, DeleteVersion, DeleteVersionTag, GetDownloadUri, GetVersion, SearchVersions, SetVersionTag, TransitionStage,
    UpdateVersion,
};

use super::json::Fields;
use super::registered_models::{key_values, one_tag};
use super::{bound, registry_view};
use crate::{Door, Inbound};

/// Adds these routes.
pub fn routes(door: &mut Door, room: &Registry) {
    let (get, post, delete) = (Method::GET, Method::POST, Method::DELETE);
    door.mlflow(post.clone(), "/mlflow/model-versions/create", bound(room, create), registry_view::model_version);
    door.mlflow(get.clone(), "/mlflow/model-versions/get", bound(room, read), registry_view::model_version);
    door.mlflow(get.clone(), "/mlflow/model-versions/search", bound(room, search), registry_view::model_versions);
    door.mlflow(get, "/mlflow/model-versions/get-download-uri", bound(room, download_uri), registry_view::download_uri);
    door.mlflow(Method::PATCH, "/mlflow/model-versions/update", bound(room, update), registry_view::model_version);
    door.mlflow(post.clone(), "/mlflow/model-versions/transition-stage", bound(room, stage), registry_view::model_version);
    door.mlflow(delete.clone(), "/mlflow/model-versions/delete", bound(room, remove), registry_view::nothing);
    door.mlflow(post, "/mlflow/model-versions/set-tag", bound(room, set_tag), registry_view::nothing);
    door.mlflow(delete, "/mlflow/model-versions/delete-tag", bound(room, delete_tag), registry_view::nothing);
}

fn create(room: &Registry, inbound: &Inbound) -> Result<CreateVersion, Problem> {
    let fields = Fields::of(inbound)?;
    Ok(CreateVersion {
        room: room.clone(),
        name: fields.need_text("name")?,
        source: fields.need_text("source")?,
        run_id: given(&fields, "run_id")?,
        tags: key_values(&fields, "tags")?,
        run_link: given(&fields, "run_link")?,
        // MLflow's answers tell a description that was never set (empty) from one that was taken back (absent).
        description: Some(fields.text("description")?.unwrap_or_default()),
        logged_model_id: given(&fields, "model_id")?,
    })
}

fn read(room: &Registry, inbound: &Inbound) -> Result<GetVersion, Problem> {
    let (name, version) = name_and_version(&Fields::of(inbound)?)?;
    Ok(GetVersion { room: room.clone(), name, version })
}

fn search(room: &Registry, inbound: &Inbound) -> Result<SearchVersions, Problem> {
    let fields = Fields::of(inbound)?;
    Ok(SearchVersions {
        room: room.clone(),
        filter: fields.text("filter")?.unwrap_or_default(),
        max_results: fields.int("max_results")?,
        order_by: fields.texts("order_by")?,
        page_token: fields.text("page_token")?,
    })
}

fn download_uri(room: &Registry, inbound: &Inbound) -> Result<GetDownloadUri, Problem> {
    let (name, version) = name_and_version(&Fields::of(inbound)?)?;
    Ok(GetDownloadUri { room: room.clone(), name, version })
}

fn update(room: &Registry, inbound: &Inbound) -> Result<UpdateVersion, Problem> {
    let fields = Fields::of(inbound)?;
    let (name, version) = name_and_version(&fields)?;
    Ok(UpdateVersion { room: room.clone(), name, version, description: fields.text("description")? })
}

fn stage(room: &Registry, inbound: &Inbound) -> Result<TransitionStage, Problem> {
    let fields = Fields::of(inbound)?;
    let (name, version) = name_and_version(&fields)?;
    Ok(TransitionStage {
        room: room.clone(),
        name,
        version,
        stage: fields.need_text("stage")?,
        archive_existing: fields.flag("archive_existing_versions")?.unwrap_or(false),
    })
}

fn remove(room: &Registry, inbound: &Inbound) -> Result<DeleteVersion, Problem> {
    let (name, version) = name_and_version(&Fields::of(inbound)?)?;
    Ok(DeleteVersion { room: room.clone(), name, version })
}

fn set_tag(room: &Registry, inbound: &Inbound) -> Result<SetVersionTag, Problem> {
    let fields = Fields::of(inbound)?;
    let (name, version) = name_and_version(&fields)?;
    Ok(SetVersionTag { room: room.clone(), name, version, tag: one_tag(&fields)? })
}

fn delete_tag(room: &Registry, inbound: &Inbound) -> Result<DeleteVersionTag, Problem> {
    let fields = Fields::of(inbound)?;
    let (name, version) = name_and_version(&fields)?;
    Ok(DeleteVersionTag { room: room.clone(), name, version, key: fields.need_text("key")? })
}

pub(super) fn name_and_version(fields: &Fields) -> Result<(String, String), Problem> {
    let name = fields.need_text("name")?;
    Ok((name, fields.need_text("version")?))
}

/// An optional text; an empty one counts as absent, as clients send it for what they do not know.
fn given(fields: &Fields, name: &str) -> Result<Option<String>, Problem> {
    Ok(fields.text(name)?.filter(|text| !text.is_empty()))
}
