//! Versions of registered models: reading, describing, deleting.

use filter::{Entity, decode_page_token, encode_page_token, parse_filter, parse_order_by};
use gate::{Action, Operation, Outcome, Permit, Target};
use kernel::Problem;

use super::models::describable;
use super::{cut, model_of, page_count, version_missing, version_of};
use crate::rules::shown;
use crate::store::{models, search, versions};
use crate::types::{ModelVersion, Page, Stage};
use crate::{Registry, limits, rules};

/// Reads one version.
#[derive(Clone)]
pub struct GetVersion {
    /// The room.
    pub room: Registry,
    /// The model's name.
    pub name: String,
    /// The version's number.
    pub version: String,
}

impl Operation for GetVersion {
    const ACTION: Action = super::VERSIONS_GET;
    type Output = ModelVersion;

    fn target(&self) -> Target {
        Target::ModelVersion(self.name.clone(), self.version.clone())
    }

    async fn run(self, permit: Permit<Self>) -> Result<ModelVersion, Problem> {
        let (model_id, number) = version_of(&permit, &self.name, &self.version)?;
        let name = self.name;
        self.room
            .db
            .read_point(&permit, move |reader| {
                versions::get(reader, &model_id, number)?.ok_or_else(|| version_missing(&name, &number.to_string()))
            })
            .await
    }
}

/// Reads where a version's bytes are.
#[derive(Clone)]
pub struct GetDownloadUri {
    /// The room.
    pub room: Registry,
    /// The model's name.
    pub name: String,
    /// The version's number.
    pub version: String,
}

impl Operation for GetDownloadUri {
    const ACTION: Action = super::VERSIONS_GET;
    type Output = String;

    fn target(&self) -> Target {
        Target::ModelVersion(self.name.clone(), self.version.clone())
    }

    async fn run(self, permit: Permit<Self>) -> Result<String, Problem> {
        let (model_id, number) = version_of(&permit, &self.name, &self.version)?;
        let name = self.name;
        let admission = self.room.admission.clone();
        if let Some(admission) = &admission {
            admission.settled(&model_id, number).await?;
        }
        self.room
            .db
            .read_point(&permit, move |reader| {
                let found = versions::get(reader, &model_id, number)?;
                if let Some(admission) = &admission {
                    admission.may_fetch(reader, &model_id, number)?;
                }
                found.map(|found| found.storage_location).ok_or_else(|| version_missing(&name, &number.to_string()))
            })
            .await
    }
}

/// Reads the version that an alias points at.
#[derive(Clone)]
pub struct GetVersionByAlias {
    /// The room.
    pub room: Registry,
    /// The model's name.
    pub name: String,
    /// The alias, or `latest`.
    pub alias: String,
}

impl Operation for GetVersionByAlias {
    const ACTION: Action = super::VERSIONS_GET;
    type Output = ModelVersion;

    fn target(&self) -> Target {
        Target::RegisteredModel(self.name.clone())
    }

    async fn run(self, permit: Permit<Self>) -> Result<ModelVersion, Problem> {
        rules::model_name("name", &self.name)?;
        rules::alias(&self.alias)?;
        let model_id = model_of(&permit, &self.name)?;
        let (name, alias) = (self.name, self.alias);
        self.room
            .db
            .read_point(&permit, move |reader| {
                if alias.eq_ignore_ascii_case("latest") {
                    let newest = versions::latest(reader, std::slice::from_ref(&model_id))?;
                    let newest = newest.into_iter().max_by_key(|version| version.version);
                    return newest
                        .ok_or_else(|| Problem::not_found(format!("Latest version not found for model {}.", shown(&name))));
                }
                let number = models::version_of_alias(reader, &model_id, &alias)?;
                let number =
                    number.ok_or_else(|| Problem::invalid(format!("Registered model alias {} not found.", shown(&alias))))?;
                versions::get(reader, &model_id, number)?.ok_or_else(|| version_missing(&name, &number.to_string()))
            })
            .await
    }
}

/// Reads the newest version of each stage.
#[derive(Clone)]
pub struct GetLatestVersions {
    /// The room.
    pub room: Registry,
    /// The model's name.
    pub name: String,
    /// Of these stages; of all, where it is empty.
    pub stages: Vec<String>,
}

impl Operation for GetLatestVersions {
    const ACTION: Action = super::VERSIONS_GET;
    type Output = Vec<ModelVersion>;

    fn target(&self) -> Target {
        Target::RegisteredModel(self.name.clone())
    }

    async fn run(self, permit: Permit<Self>) -> Result<Vec<ModelVersion>, Problem> {
        rules::model_name("name", &self.name)?;
        let model_id = model_of(&permit, &self.name)?;
        let stages: Vec<Stage> = self.stages.iter().map(|stage| Stage::parse(stage)).collect::<Result<_, _>>()?;
        self.room
            .db
            .read_point(&permit, move |reader| {
                let mut all = versions::latest(reader, std::slice::from_ref(&model_id))?;
                all.retain(|version| stages.is_empty() || stages.contains(&version.stage));
                Ok(all)
            })
            .await
    }
}

/// Lists versions.
#[derive(Clone)]
pub struct SearchVersions {
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

impl Operation for SearchVersions {
    const ACTION: Action = super::VERSIONS_SEARCH;
    type Output = Page<ModelVersion>;

    fn target(&self) -> Target {
        Target::Workspace
    }

    async fn run(self, permit: Permit<Self>) -> Result<Page<ModelVersion>, Problem> {
        let limit = page_count(self.max_results, limits::VERSION_PAGE_COUNT, limits::VERSION_PAGE_COUNT_MAX)?;
        let clauses = parse_filter(Entity::ModelVersion, &self.filter)?;
        let order = parse_order_by(Entity::ModelVersion, &self.order_by)?;
        let offset = decode_page_token(self.page_token.as_deref())?;
        let workspace = permit.workspace()?.to_owned();
        let scope = permit.scope().clone();
        self.room
            .db
            .read(&permit, move |reader| {
                let window = search::Window { offset, limit };
                let mut rows = search::model_versions(reader, &workspace, &scope, (&clauses, &order), window)?;
                let more = cut(&mut rows, limit);
                let next = more.then(|| encode_page_token(offset.saturating_add(limit.unsigned_abs())));
                Ok(Page { rows, next })
            })
            .await
    }
}

/// Describes a version.
#[derive(Clone)]
pub struct UpdateVersion {
    /// The room.
    pub room: Registry,
    /// The model's name.
    pub name: String,
    /// The version's number.
    pub version: String,
    /// What it is.
    pub description: Option<String>,
}

impl Operation for UpdateVersion {
    const ACTION: Action = super::VERSIONS_UPDATE;
    type Output = ModelVersion;

    fn target(&self) -> Target {
        Target::ModelVersion(self.name.clone(), self.version.clone())
    }

    async fn run(self, permit: Permit<Self>) -> Result<ModelVersion, Problem> {
        let (model_id, number) = version_of(&permit, &self.name, &self.version)?;
        describable(self.description.as_deref())?;
        let at = permit.entry().at.0;
        let (name, description) = (self.name, self.description);
        self.room
            .db
            .write(&permit, move |writer| {
                versions::describe(writer, &model_id, number, description.as_deref(), at)?;
                let found = versions::get(writer, &model_id, number)?;
                let found = found.ok_or_else(|| version_missing(&name, &number.to_string()))?;
                Ok((found, Outcome::done().resource(format!("{model_id}/{number}"))))
            })
            .await
    }
}

/// Deletes and redacts a version. Its number is not given again.
#[derive(Clone)]
pub struct DeleteVersion {
    /// The room.
    pub room: Registry,
    /// The model's name.
    pub name: String,
    /// The version's number.
    pub version: String,
}

impl Operation for DeleteVersion {
    const ACTION: Action = super::VERSIONS_DELETE;
    type Output = ();

    fn target(&self) -> Target {
        Target::ModelVersion(self.name.clone(), self.version.clone())
    }

    async fn run(self, permit: Permit<Self>) -> Result<(), Problem> {
        let (model_id, number) = version_of(&permit, &self.name, &self.version)?;
        let at = permit.entry().at.0;
        self.room
            .db
            .write(&permit, move |writer| {
                retention::guard(writer, retention::Kind::Model, &format!("{model_id}/{number}"))?;
                versions::redact(writer, &model_id, number, at)?;
                models::touch(writer, &model_id, at)?;
                Ok(((), Outcome::done().resource(format!("{model_id}/{number}"))))
            })
            .await
    }
}
