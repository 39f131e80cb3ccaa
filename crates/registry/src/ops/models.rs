//! Registered models.

use filter::{Entity, decode_page_token, encode_page_token, parse_filter, parse_order_by};
use gate::{Action, Operation, Outcome, Permit, Target};
use kernel::{Problem, random_id};

use super::{cut, model_missing, model_of, page_count};
use crate::store::{models, search};
use crate::types::{KeyValue, Page, RegisteredModel};
use crate::{Registry, limits, rules};

/// Registers a model's name.
#[derive(Clone)]
pub struct CreateModel {
    /// The room.
    pub room: Registry,
    /// Its name.
    pub name: String,
    /// What it is.
    pub description: Option<String>,
    /// Its tags.
    pub tags: Vec<KeyValue>,
}

impl Operation for CreateModel {
    const ACTION: Action = super::MODELS_CREATE;
    type Output = RegisteredModel;

    fn target(&self) -> Target {
        Target::Workspace
    }

    async fn run(self, permit: Permit<Self>) -> Result<RegisteredModel, Problem> {
        rules::model_name("name", &self.name)?;
        describable(self.description.as_deref())?;
        let tags = rules::tags(self.tags)?;
        let workspace = permit.workspace()?.to_owned();
        let owner = permit.caller().id.clone();
        let at = permit.entry().at.0;
        let model_id = format!("rm_{}", random_id());
        let (name, description) = (self.name, self.description);
        self.room
            .db
            .write(&permit, move |writer| {
                let new = models::NewModel {
                    model_id: &model_id,
                    workspace_id: &workspace,
                    name: &name,
                    description: description.as_deref(),
                    owner: &owner,
                    tags: &tags,
                    at,
                };
                models::insert(writer, &new)?;
                let model = models::get(writer, &model_id)?.ok_or_else(|| model_missing(&name))?;
                Ok((model, Outcome::done().resource(model_id).with("tags", tags.len())))
            })
            .await
    }
}

/// Reads one registered model.
#[derive(Clone)]
pub struct GetModel {
    /// The room.
    pub room: Registry,
    /// Its name.
    pub name: String,
}

impl Operation for GetModel {
    const ACTION: Action = super::MODELS_GET;
    type Output = RegisteredModel;

    fn target(&self) -> Target {
        Target::RegisteredModel(self.name.clone())
    }

    async fn run(self, permit: Permit<Self>) -> Result<RegisteredModel, Problem> {
        rules::model_name("name", &self.name)?;
        let model_id = model_of(&permit, &self.name)?;
        let name = self.name;
        self.room.db.read_point(&permit, move |reader| models::get(reader, &model_id)?.ok_or_else(|| model_missing(&name))).await
    }
}

/// Lists registered models.
#[derive(Clone)]
pub struct SearchModels {
    /// The room.
    pub room: Registry,
    /// Which ones.
    pub filter: String,
    /// In which order.
    pub order_by: Vec<String>,
    /// How many at most.
    pub max_results: Option<i64>,
    /// Where to go on.
    pub page_token: Option<String>,
}

impl Operation for SearchModels {
    const ACTION: Action = super::MODELS_SEARCH;
    type Output = Page<RegisteredModel>;

    fn target(&self) -> Target {
        Target::Workspace
    }

    async fn run(self, permit: Permit<Self>) -> Result<Page<RegisteredModel>, Problem> {
        let limit = page_count(self.max_results, limits::MODEL_PAGE_COUNT, limits::MODEL_PAGE_COUNT_MAX)?;
        let clauses = parse_filter(Entity::RegisteredModel, &self.filter)?;
        let order = parse_order_by(Entity::RegisteredModel, &self.order_by)?;
        let offset = decode_page_token(self.page_token.as_deref())?;
        let workspace = permit.workspace()?.to_owned();
        let scope = permit.scope().clone();
        self.room
            .db
            .read(&permit, move |reader| {
                let window = search::Window { offset, limit };
                let mut rows = search::registered_models(reader, &workspace, &scope, (&clauses, &order), window)?;
                let more = cut(&mut rows, limit);
                let next = more.then(|| encode_page_token(offset.saturating_add(limit.unsigned_abs())));
                Ok(Page { rows, next })
            })
            .await
    }
}

/// Describes a registered model.
#[derive(Clone)]
pub struct UpdateModel {
    /// The room.
    pub room: Registry,
    /// Its name.
    pub name: String,
    /// What it is.
    pub description: Option<String>,
}

impl Operation for UpdateModel {
    const ACTION: Action = super::MODELS_UPDATE;
    type Output = RegisteredModel;

    fn target(&self) -> Target {
        Target::RegisteredModel(self.name.clone())
    }

    async fn run(self, permit: Permit<Self>) -> Result<RegisteredModel, Problem> {
        rules::model_name("name", &self.name)?;
        describable(self.description.as_deref())?;
        let model_id = model_of(&permit, &self.name)?;
        let at = permit.entry().at.0;
        let (name, description) = (self.name, self.description);
        self.room
            .db
            .write(&permit, move |writer| {
                models::describe(writer, &model_id, description.as_deref(), at)?;
                let model = models::get(writer, &model_id)?.ok_or_else(|| model_missing(&name))?;
                Ok((model, Outcome::done().resource(model_id)))
            })
            .await
    }
}

/// Gives a registered model another name.
#[derive(Clone)]
pub struct RenameModel {
    /// The room.
    pub room: Registry,
    /// Its name.
    pub name: String,
    /// Its name from now on.
    pub new_name: String,
}

impl Operation for RenameModel {
    const ACTION: Action = super::MODELS_UPDATE;
    type Output = RegisteredModel;

    fn target(&self) -> Target {
        Target::RegisteredModel(self.name.clone())
    }

    async fn run(self, permit: Permit<Self>) -> Result<RegisteredModel, Problem> {
        rules::model_name("new_name", &self.new_name)?;
        rules::model_name("name", &self.name)?;
        let model_id = model_of(&permit, &self.name)?;
        let workspace = permit.workspace()?.to_owned();
        let at = permit.entry().at.0;
        let new_name = self.new_name;
        self.room
            .db
            .write(&permit, move |writer| {
                models::rename(writer, &workspace, &model_id, &new_name, at)?;
                let model = models::get(writer, &model_id)?.ok_or_else(|| model_missing(&new_name))?;
                Ok((model, Outcome::done().resource(model_id).with("renamed", 1_i64)))
            })
            .await
    }
}

/// Deletes a registered model with its versions.
#[derive(Clone)]
pub struct DeleteModel {
    /// The room.
    pub room: Registry,
    /// Its name.
    pub name: String,
}

impl Operation for DeleteModel {
    const ACTION: Action = super::MODELS_DELETE;
    type Output = ();

    fn target(&self) -> Target {
        Target::RegisteredModel(self.name.clone())
    }

    async fn run(self, permit: Permit<Self>) -> Result<(), Problem> {
        rules::model_name("name", &self.name)?;
        let model_id = model_of(&permit, &self.name)?;
        self.room
            .db
            .write(&permit, move |writer| {
                for number in models::numbers(writer, &model_id)? {
                    retention::guard(writer, retention::Kind::Model, &format!("{model_id}/{number}"))?;
                }
                let versions = models::delete(writer, &model_id)?;
                let versions = i64::try_from(versions).unwrap_or(i64::MAX);
                Ok(((), Outcome::done().resource(model_id).with("versions", versions)))
            })
            .await
    }
}

pub(super) fn describable(description: Option<&str>) -> Result<(), Problem> {
    description.map_or(Ok(()), |text| rules::within("description", limits::DESCRIPTION_CHARS_MAX, text))
}
