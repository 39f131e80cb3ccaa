//! Tags and aliases of registered models.

use gate::{Action, Operation, Outcome, Permit, Target};
use kernel::{Kind, Problem, hex, sha256};

use super::{model_of, version_missing};
use crate::store::{models, versions};
use crate::types::KeyValue;
use crate::{Registry, rules};

/// Sets a tag of a registered model.
#[derive(Clone)]
pub struct SetModelTag {
    /// The room.
    pub room: Registry,
    /// The model's name.
    pub name: String,
    /// The tag.
    pub tag: KeyValue,
}

impl Operation for SetModelTag {
    const ACTION: Action = super::MODELS_TAG;
    type Output = ();

    fn target(&self) -> Target {
        Target::RegisteredModel(self.name.clone())
    }

    async fn run(self, permit: Permit<Self>) -> Result<(), Problem> {
        rules::model_name("name", &self.name)?;
        rules::tag(&self.tag)?;
        let model_id = model_of(&permit, &self.name)?;
        let tag = self.tag;
        self.room
            .db
            .write(&permit, move |writer| {
                models::put_tags(writer, &model_id, std::slice::from_ref(&tag))?;
                Ok(((), Outcome::done().resource(model_id)))
            })
            .await
    }
}

/// Deletes a tag of a registered model.
#[derive(Clone)]
pub struct DeleteModelTag {
    /// The room.
    pub room: Registry,
    /// The model's name.
    pub name: String,
    /// The tag's key.
    pub key: String,
}

impl Operation for DeleteModelTag {
    const ACTION: Action = super::MODELS_TAG;
    type Output = ();

    fn target(&self) -> Target {
        Target::RegisteredModel(self.name.clone())
    }

    async fn run(self, permit: Permit<Self>) -> Result<(), Problem> {
        rules::model_name("name", &self.name)?;
        rules::tag_key(&self.key)?;
        let model_id = model_of(&permit, &self.name)?;
        let key = self.key;
        self.room
            .db
            .write(&permit, move |writer| {
                models::delete_tag(writer, &model_id, &key)?;
                Ok(((), Outcome::done().resource(model_id)))
            })
            .await
    }
}

/// Points an alias at a version.
#[derive(Clone)]
pub struct SetAlias {
    /// The room.
    pub room: Registry,
    /// The model's name.
    pub name: String,
    /// The alias.
    pub alias: String,
    /// The version's number.
    pub version: String,
    /// The number that it pointed at as it was seen, empty for none: where it points elsewhere by now, it stays.
    pub seen: Option<String>,
}

impl Operation for SetAlias {
    const ACTION: Action = super::MODELS_ALIAS;
    type Output = ();

    fn target(&self) -> Target {
        Target::RegisteredModel(self.name.clone())
    }

    async fn run(self, permit: Permit<Self>) -> Result<(), Problem> {
        rules::model_name("name", &self.name)?;
        rules::new_alias(&self.alias)?;
        let number = rules::version(&self.version)?;
        let model_id = permit.facts().model.clone().ok_or_else(|| version_missing(&self.name, &self.version))?;
        let (name, alias, seen) = (self.name, self.alias, self.seen);
        let admission = self.room.admission.clone();
        if let Some(admission) = &admission {
            admission.settled(&model_id, number).await?;
        }
        self.room
            .db
            .write(&permit, move |writer| {
                if versions::get(writer, &model_id, number)?.is_none() {
                    return Err(version_missing(&name, &number.to_string()));
                }
                if let Some(admission) = &admission {
                    admission.may_promote(writer, &model_id, number)?;
                }
                let before = models::version_of_alias(writer, &model_id, &alias)?;
                if seen.is_some_and(|seen| seen != before.map(|number| number.to_string()).unwrap_or_default()) {
                    return Err(moved_meanwhile(&alias, before));
                }
                models::put_alias(writer, &model_id, &alias, number)?;
                let outcome = Outcome::done()
                    .resource(model_id)
                    .with("version", number)
                    .with("alias_sha256", hex(&sha256(alias.as_bytes())));
                Ok(((), before.into_iter().fold(outcome, |outcome, before| outcome.with("before", before))))
            })
            .await
    }
}

fn moved_meanwhile(alias: &str, now: Option<i64>) -> Problem {
    let now = now.map_or_else(|| "at no version".to_owned(), |number| format!("at version {number}"));
    let message = format!("`{alias}` points {now} by now, so it was not moved; look at it again");
    Problem::new(Kind::Conflict, message)
}

/// Deletes an alias.
#[derive(Clone)]
pub struct DeleteAlias {
    /// The room.
    pub room: Registry,
    /// The model's name.
    pub name: String,
    /// The alias.
    pub alias: String,
}

impl Operation for DeleteAlias {
    const ACTION: Action = super::MODELS_ALIAS;
    type Output = ();

    fn target(&self) -> Target {
        Target::RegisteredModel(self.name.clone())
    }

    async fn run(self, permit: Permit<Self>) -> Result<(), Problem> {
        rules::model_name("name", &self.name)?;
        rules::alias(&self.alias)?;
        let model_id = model_of(&permit, &self.name)?;
        let alias = self.alias;
        self.room
            .db
            .write(&permit, move |writer| {
                models::delete_alias(writer, &model_id, &alias)?;
                Ok(((), Outcome::done().resource(model_id)))
            })
            .await
    }
}
