//! Tags and stages of versions.

use gate::{Action, Operation, Outcome, Permit, Target};
use kernel::Problem;

use super::{version_missing, version_of};
use crate::rules::shown;
use crate::store::{models, versions};
use crate::types::{KeyValue, ModelVersion, Stage};
use crate::{Registry, rules};

/// Sets a tag of a version.
#[derive(Clone)]
pub struct SetVersionTag {
    /// The room.
    pub room: Registry,
    /// The model's name.
    pub name: String,
    /// The version's number.
    pub version: String,
    /// The tag.
    pub tag: KeyValue,
}

impl Operation for SetVersionTag {
    const ACTION: Action = super::VERSIONS_TAG;
    type Output = ();

    fn target(&self) -> Target {
        Target::ModelVersion(self.name.clone(), self.version.clone())
    }

    async fn run(self, permit: Permit<Self>) -> Result<(), Problem> {
        rules::tag(&self.tag)?;
        let (model_id, number) = version_of(&permit, &self.name, &self.version)?;
        let tag = self.tag;
        self.room
            .db
            .write(&permit, move |writer| {
                versions::put_tags(writer, &model_id, number, std::slice::from_ref(&tag))?;
                Ok(((), Outcome::done().resource(format!("{model_id}/{number}"))))
            })
            .await
    }
}

/// Deletes a tag of a version.
#[derive(Clone)]
pub struct DeleteVersionTag {
    /// The room.
    pub room: Registry,
    /// The model's name.
    pub name: String,
    /// The version's number.
    pub version: String,
    /// The tag's key.
    pub key: String,
}

impl Operation for DeleteVersionTag {
    const ACTION: Action = super::VERSIONS_TAG;
    type Output = ();

    fn target(&self) -> Target {
        Target::ModelVersion(self.name.clone(), self.version.clone())
    }

    async fn run(self, permit: Permit<Self>) -> Result<(), Problem> {
        rules::tag_key(&self.key)?;
        let (model_id, number) = version_of(&permit, &self.name, &self.version)?;
        let key = self.key;
        self.room
            .db
            .write(&permit, move |writer| {
                versions::delete_tag(writer, &model_id, number, &key)?;
                Ok(((), Outcome::done().resource(format!("{model_id}/{number}"))))
            })
            .await
    }
}

/// Moves a version to another stage.
#[derive(Clone)]
pub struct TransitionStage {
    /// The room.
    pub room: Registry,
    /// The model's name.
    pub name: String,
    /// The version's number.
    pub version: String,
    /// The stage.
    pub stage: String,
    /// Whether the stage's other versions are archived.
    pub archive_existing: bool,
}

impl Operation for TransitionStage {
    const ACTION: Action = super::VERSIONS_STAGE;
    type Output = ModelVersion;

    fn target(&self) -> Target {
        Target::ModelVersion(self.name.clone(), self.version.clone())
    }

    async fn run(self, permit: Permit<Self>) -> Result<ModelVersion, Problem> {
        let stage = Stage::parse(&self.stage)?;
        if self.archive_existing && !stage.is_active() {
            return Err(Problem::invalid(format!(
                "Model version transition cannot archive existing model versions because '{}' is not an Active stage. Valid \
                 stages are ['Staging', 'Production']",
                shown(&self.stage)
            )));
        }
        let (model_id, number) = version_of(&permit, &self.name, &self.version)?;
        let at = permit.entry().at.0;
        let (name, archive) = (self.name, self.archive_existing);
        let admission = self.room.admission.clone().filter(|_| stage.is_active());
        if let Some(admission) = &admission {
            admission.settled(&model_id, number).await?;
        }
        self.room
            .db
            .write(&permit, move |writer| {
                if let Some(admission) = &admission {
                    admission.may_promote(writer, &model_id, number)?;
                }
                let archived = if archive { versions::archive_others(writer, &model_id, number, stage, at)? } else { 0 };
                versions::set_stage(writer, &model_id, number, stage, at)?;
                models::touch(writer, &model_id, at)?;
                let found = versions::get(writer, &model_id, number)?;
                let found = found.ok_or_else(|| version_missing(&name, &number.to_string()))?;
                let outcome = Outcome::done()
                    .resource(format!("{model_id}/{number}"))
                    .with("stage", stage.word())
                    .with("archived", i64::try_from(archived).unwrap_or(i64::MAX));
                Ok((found, outcome))
            })
            .await
    }
}
