//! `registered-models/…`: names, descriptions, tags and aliases.

use http::Method;
use kernel::Problem;
use registry::ops::{
    CreateModel, DeleteAlias, DeleteModel, DeleteModelTag, GetLatestVersions, GetModel, GetVersionByAlias, RenameModel,
    SearchModels, SetAlias, SetModelTag, UpdateModel,
};
use registry::{KeyValue, Registry};

use super::json::Fields;
use super::{bound, registry_view};
use crate::{Door, Inbound};

/// Adds these routes.
pub fn routes(door: &mut Door, room: &Registry) {
    let (get, post, delete) = (Method::GET, Method::POST, Method::DELETE);
    door.mlflow(post.clone(), "/mlflow/registered-models/create", bound(room, create), registry_view::registered_model);
    door.mlflow(get.clone(), "/mlflow/registered-models/get", bound(room, read), registry_view::registered_model);
    door.mlflow(get.clone(), "/mlflow/registered-models/search", bound(room, search), registry_view::registered_models);
    door.mlflow(Method::PATCH, "/mlflow/registered-models/update", bound(room, update), registry_view::registered_model);
    door.mlflow(post.clone(), "/mlflow/registered-models/rename", bound(room, rename), registry_view::registered_model);
    door.mlflow(delete.clone(), "/mlflow/registered-models/delete", bound(room, remove), registry_view::nothing);
    for method in [&get, &post] {
        let path = "/mlflow/registered-models/get-latest-versions";
        door.mlflow(method.clone(), path, bound(room, latest), registry_view::latest_versions);
    }
    door.mlflow(post.clone(), "/mlflow/registered-models/set-tag", bound(room, set_tag), registry_view::nothing);
    door.mlflow(delete.clone(), "/mlflow/registered-models/delete-tag", bound(room, delete_tag), registry_view::nothing);
    door.mlflow(post, "/mlflow/registered-models/alias", bound(room, set_alias), registry_view::nothing);
    door.mlflow(get, "/mlflow/registered-models/alias", bound(room, read_alias), registry_view::model_version);
    door.mlflow(delete, "/mlflow/registered-models/alias", bound(room, delete_alias), registry_view::nothing);
}

fn create(room: &Registry, inbound: &Inbound) -> Result<CreateModel, Problem> {
    let fields = Fields::of(inbound)?;
    Ok(CreateModel {
        room: room.clone(),
        name: fields.need_text("name")?,
        tags: key_values(&fields, "tags")?,
        description: fields.text("description")?,
    })
}

fn read(room: &Registry, inbound: &Inbound) -> Result<GetModel, Problem> {
    Ok(GetModel { room: room.clone(), name: Fields::of(inbound)?.need_text("name")? })
}

fn search(room: &Registry, inbound: &Inbound) -> Result<SearchModels, Problem> {
    let fields = Fields::of(inbound)?;
    Ok(SearchModels {
        room: room.clone(),
        filter: fields.text("filter")?.unwrap_or_default(),
        max_results: fields.int("max_results")?,
        order_by: fields.texts("order_by")?,
        page_token: fields.text("page_token")?,
    })
}

fn update(room: &Registry, inbound: &Inbound) -> Result<UpdateModel, Problem> {
    let fields = Fields::of(inbound)?;
    let name = fields.need_text("name")?;
    Ok(UpdateModel { room: room.clone(), name, description: fields.text("description")? })
}

fn rename(room: &Registry, inbound: &Inbound) -> Result<RenameModel, Problem> {
    let fields = Fields::of(inbound)?;
    let name = fields.need_text("name")?;
    Ok(RenameModel { room: room.clone(), name, new_name: fields.need_text("new_name")? })
}

fn remove(room: &Registry, inbound: &Inbound) -> Result<DeleteModel, Problem> {
    Ok(DeleteModel { room: room.clone(), name: Fields::of(inbound)?.need_text("name")? })
}

fn latest(room: &Registry, inbound: &Inbound) -> Result<GetLatestVersions, Problem> {
    let fields = Fields::of(inbound)?;
    let name = fields.need_text("name")?;
    Ok(GetLatestVersions { room: room.clone(), name, stages: fields.texts("stages")? })
}

fn set_tag(room: &Registry, inbound: &Inbound) -> Result<SetModelTag, Problem> {
    let fields = Fields::of(inbound)?;
    let name = fields.need_text("name")?;
    Ok(SetModelTag { room: room.clone(), name, tag: one_tag(&fields)? })
}

fn delete_tag(room: &Registry, inbound: &Inbound) -> Result<DeleteModelTag, Problem> {
    let fields = Fields::of(inbound)?;
    let name = fields.need_text("name")?;
    Ok(DeleteModelTag { room: room.clone(), name, key: fields.need_text("key")? })
}

fn set_alias(room: &Registry, inbound: &Inbound) -> Result<SetAlias, Problem> {
    let fields = Fields::of(inbound)?;
    let name = fields.need_text("name")?;
    let alias = fields.need_text("alias")?;
    Ok(SetAlias { room: room.clone(), name, alias, version: fields.need_text("version")?, seen: None })
}

fn read_alias(room: &Registry, inbound: &Inbound) -> Result<GetVersionByAlias, Problem> {
    let fields = Fields::of(inbound)?;
    let name = fields.need_text("name")?;
    Ok(GetVersionByAlias { room: room.clone(), name, alias: fields.need_text("alias")? })
}

fn delete_alias(room: &Registry, inbound: &Inbound) -> Result<DeleteAlias, Problem> {
    let fields = Fields::of(inbound)?;
    let name = fields.need_text("name")?;
    Ok(DeleteAlias { room: room.clone(), name, alias: fields.need_text("alias")? })
}

/// The tag of a request that sets one.
pub(super) fn one_tag(fields: &Fields) -> Result<KeyValue, Problem> {
    let key = fields.need_text("key")?;
    Ok(KeyValue { key, value: fields.text("value")?.unwrap_or_default() })
}

/// The tags or params of a list. What is missing is empty, and refused by the rules for keys.
pub(super) fn key_values(fields: &Fields, name: &str) -> Result<Vec<KeyValue>, Problem> {
    let pair = |entry: &Fields| {
        Ok(KeyValue { key: entry.text("key")?.unwrap_or_default(), value: entry.text("value")?.unwrap_or_default() })
    };
    fields.objects(name)?.iter().map(pair).collect()
}
