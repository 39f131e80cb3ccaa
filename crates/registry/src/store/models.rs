//! Registered models, their tags and aliases.

use kernel::{Micros, Problem};
use vault::db::{Bind, DbError, Reader, Row, Writer};

use crate::limits;
use crate::rules::shown;
use crate::store::sql::Sql;
use crate::store::{key_value, versions};
use crate::types::{Alias, KeyValue, PROMPT_TAG, RegisteredModel};

pub(crate) const COLUMNS: &str = "m.model_id, m.name, m.description, m.created_at, m.updated_at";

pub(crate) fn from_row(row: &Row<'_>) -> Result<RegisteredModel, DbError> {
    Ok(RegisteredModel {
        model_id: row.text(0)?,
        name: row.text(1)?,
        description: row.opt_text(2)?,
        created_at: Micros(row.int(3)?),
        updated_at: Micros(row.int(4)?),
        tags: Vec::new(),
        aliases: Vec::new(),
        latest_versions: Vec::new(),
    })
}

/// What a new model is made of.
pub(crate) struct NewModel<'a> {
    pub(crate) model_id: &'a str,
    pub(crate) workspace_id: &'a str,
    pub(crate) name: &'a str,
    pub(crate) description: Option<&'a str>,
    pub(crate) owner: &'a str,
    pub(crate) tags: &'a [KeyValue],
    pub(crate) at: i64,
}

/// Adds a model.
pub(crate) fn insert(writer: &mut Writer<'_>, new: &NewModel<'_>) -> Result<(), Problem> {
    let prompt = is_prompt(new.tags);
    let made = writer.query_one(
        "INSERT INTO registered_model
            (model_id, workspace_id, name, description, owner, prompt, next_version, created_at, updated_at)
         VALUES ($1, $2, $3, $4, $5, $6, 1, $7, $7) ON CONFLICT (workspace_id, name) DO NOTHING RETURNING model_id",
        &[
            Bind::from(new.model_id),
            Bind::from(new.workspace_id),
            Bind::from(new.name),
            Bind::from(new.description),
            Bind::from(new.owner),
            Bind::from(prompt),
            Bind::from(new.at),
        ],
        |row| row.text(0),
    )?;
    if made.is_none() {
        return Err(name_taken(writer, new.workspace_id, new.name, prompt)?);
    }
    put_tags(writer, new.model_id, new.tags)?;
    Ok(())
}

fn is_prompt(tags: &[KeyValue]) -> bool {
    tags.iter().any(|tag| tag.key == PROMPT_TAG && tag.value == "true")
}

fn name_taken(reader: &mut Reader<'_>, workspace_id: &str, name: &str, new_prompt: bool) -> Result<Problem, DbError> {
    let old_prompt = reader
        .query_one(
            "SELECT prompt FROM registered_model WHERE workspace_id = $1 AND name = $2",
            &[Bind::from(workspace_id), Bind::from(name)],
            |row| row.flag(0),
        )?
        .unwrap_or(new_prompt);
    let word = |prompt| if prompt { "Prompt" } else { "Registered Model" };
    let name = shown(name);
    if old_prompt == new_prompt {
        return Ok(Problem::already_exists(format!("{} (name={name}) already exists.", word(new_prompt))));
    }
    Ok(Problem::already_exists(format!(
        "Tried to create a {} with name '{name}', but the name is already taken by a {}. MLflow does not allow creating a \
         model and a prompt with the same name.",
        word(new_prompt).to_lowercase(),
        word(old_prompt).to_lowercase()
    )))
}

/// One model with all that belongs to it.
pub(crate) fn get(reader: &mut Reader<'_>, model_id: &str) -> Result<Option<RegisteredModel>, DbError> {
    let sql = format!("SELECT {COLUMNS} FROM registered_model m WHERE m.model_id = $1");
    let Some(model) = reader.query_one(&sql, &[Bind::from(model_id)], from_row)? else { return Ok(None) };
    let mut models = [model];
    complete(reader, &mut models)?;
    let [model] = models;
    Ok(Some(model))
}

/// Adds tags, aliases and latest versions to models.
pub(crate) fn complete(reader: &mut Reader<'_>, models: &mut [RegisteredModel]) -> Result<(), DbError> {
    if models.is_empty() {
        return Ok(());
    }
    let ids: Vec<String> = models.iter().map(|model| model.model_id.clone()).collect();
    let place: std::collections::HashMap<String, usize> = ids.iter().cloned().zip(0..).collect();
    let mut tags = Sql::new("SELECT model_id, key, value FROM registered_model_tag WHERE model_id IN ");
    let list = tags.binds.texts(&ids);
    tags.push(&list).push(" ORDER BY key");
    reader.for_each(&tags.text, &tags.binds.get(), |row| {
        if let Some(model) = place.get(&row.text(0)?).and_then(|at| models.get_mut(*at)) {
            model.tags.push(key_value(row, 1)?);
        }
        Ok(())
    })?;
    let mut aliases = Sql::new("SELECT model_id, alias, version FROM registered_model_alias WHERE model_id IN ");
    let list = aliases.binds.texts(&ids);
    aliases.push(&list).push(" ORDER BY alias");
    reader.for_each(&aliases.text, &aliases.binds.get(), |row| {
        if let Some(model) = place.get(&row.text(0)?).and_then(|at| models.get_mut(*at)) {
            model.aliases.push(Alias { alias: row.text(1)?, version: row.int(2)? });
        }
        Ok(())
    })?;
    for version in versions::latest(reader, &ids)? {
        if let Some(model) = place.get(&version.model_id).and_then(|at| models.get_mut(*at)) {
            model.latest_versions.push(version);
        }
    }
    Ok(())
}

/// Sets the description.
pub(crate) fn describe(writer: &mut Writer<'_>, model_id: &str, text: Option<&str>, at: i64) -> Result<(), DbError> {
    writer.execute(
        "UPDATE registered_model SET description = $2, updated_at = $3 WHERE model_id = $1",
        &[Bind::from(model_id), Bind::from(text), Bind::from(at)],
    )?;
    Ok(())
}

/// Marks a model as changed.
pub(crate) fn touch(writer: &mut Writer<'_>, model_id: &str, at: i64) -> Result<(), DbError> {
    writer.execute("UPDATE registered_model SET updated_at = $2 WHERE model_id = $1", &[Bind::from(model_id), Bind::from(at)])?;
    Ok(())
}

/// Gives a model another name.
pub(crate) fn rename(writer: &mut Writer<'_>, workspace_id: &str, model_id: &str, name: &str, at: i64) -> Result<(), Problem> {
    let holder = writer.query_one(
        "SELECT model_id FROM registered_model WHERE workspace_id = $1 AND name = $2",
        &[Bind::from(workspace_id), Bind::from(name)],
        |row| row.text(0),
    )?;
    if holder.is_some_and(|holder| holder != model_id) {
        return Err(Problem::already_exists(format!("Registered Model (name={}) already exists.", shown(name))));
    }
    writer.execute(
        "UPDATE registered_model SET name = $2, updated_at = $3 WHERE model_id = $1",
        &[Bind::from(model_id), Bind::from(name), Bind::from(at)],
    )?;
    writer.execute(
        "UPDATE model_version SET updated_at = $2 WHERE model_id = $1 AND deleted = 0",
        &[Bind::from(model_id), Bind::from(at)],
    )?;
    Ok(())
}

/// The numbers of a model's versions, those that were deleted too.
pub(crate) fn numbers(reader: &mut Reader<'_>, model_id: &str) -> Result<Vec<i64>, DbError> {
    reader.query("SELECT version FROM model_version WHERE model_id = $1", &[Bind::from(model_id)], |row| row.int(0))
}

/// Removes a model and all that belongs to it; gives how many versions it had.
pub(crate) fn delete(writer: &mut Writer<'_>, model_id: &str) -> Result<u64, DbError> {
    let binds = [Bind::from(model_id)];
    writer.execute("DELETE FROM registered_model_tag WHERE model_id = $1", &binds)?;
    writer.execute("DELETE FROM registered_model_alias WHERE model_id = $1", &binds)?;
    writer.execute("DELETE FROM model_version_tag WHERE model_id = $1", &binds)?;
    let versions = writer.execute("DELETE FROM model_version WHERE model_id = $1", &binds)?;
    writer.execute("DELETE FROM registered_model WHERE model_id = $1", &binds)?;
    Ok(versions)
}

/// Sets tags.
pub(crate) fn put_tags(writer: &mut Writer<'_>, model_id: &str, tags: &[KeyValue]) -> Result<(), DbError> {
    writer.execute_many(
        "INSERT INTO registered_model_tag (model_id, key, value) VALUES ($1, $2, $3)
         ON CONFLICT (model_id, key) DO UPDATE SET value = excluded.value",
        tags.iter().map(|tag| vec![Bind::from(model_id), Bind::from(&tag.key), Bind::from(&tag.value)]),
    )?;
    if tags.iter().any(|tag| tag.key == PROMPT_TAG) {
        set_prompt(writer, model_id, is_prompt(tags))?;
    }
    Ok(())
}

fn set_prompt(writer: &mut Writer<'_>, model_id: &str, prompt: bool) -> Result<(), DbError> {
    writer.execute("UPDATE registered_model SET prompt = $2 WHERE model_id = $1", &[Bind::from(model_id), Bind::from(prompt)])?;
    Ok(())
}

/// Removes a tag, if it is there.
pub(crate) fn delete_tag(writer: &mut Writer<'_>, model_id: &str, key: &str) -> Result<(), DbError> {
    writer
        .execute("DELETE FROM registered_model_tag WHERE model_id = $1 AND key = $2", &[Bind::from(model_id), Bind::from(key)])?;
    if key == PROMPT_TAG {
        set_prompt(writer, model_id, false)?;
    }
    Ok(())
}

/// Points an alias at a version.
pub(crate) fn put_alias(writer: &mut Writer<'_>, model_id: &str, alias: &str, version: i64) -> Result<(), Problem> {
    let count = writer.query_one(
        "SELECT COUNT(*) FROM registered_model_alias WHERE model_id = $1 AND alias <> $2",
        &[Bind::from(model_id), Bind::from(alias)],
        |row| row.int(0),
    )?;
    if count.unwrap_or(0) >= limits::ALIAS_COUNT_MAX {
        return Err(Problem::invalid(format!("a model may have at most {} aliases", limits::ALIAS_COUNT_MAX)));
    }
    writer.execute(
        "INSERT INTO registered_model_alias (model_id, alias, version) VALUES ($1, $2, $3)
         ON CONFLICT (model_id, alias) DO UPDATE SET version = excluded.version",
        &[Bind::from(model_id), Bind::from(alias), Bind::from(version)],
    )?;
    Ok(())
}

/// Removes an alias, if it is there.
pub(crate) fn delete_alias(writer: &mut Writer<'_>, model_id: &str, alias: &str) -> Result<(), DbError> {
    writer.execute(
        "DELETE FROM registered_model_alias WHERE model_id = $1 AND alias = $2",
        &[Bind::from(model_id), Bind::from(alias)],
    )?;
    Ok(())
}

/// The version that an alias points at.
pub(crate) fn version_of_alias(reader: &mut Reader<'_>, model_id: &str, alias: &str) -> Result<Option<i64>, DbError> {
    reader.query_one(
        "SELECT version FROM registered_model_alias WHERE model_id = $1 AND alias = $2",
        &[Bind::from(model_id), Bind::from(alias)],
        |row| row.int(0),
    )
}

/// The internal id of a model by name.
pub(crate) fn id_of_name(reader: &mut Reader<'_>, workspace_id: &str, name: &str) -> Result<Option<String>, DbError> {
    reader.query_one(
        "SELECT model_id FROM registered_model WHERE workspace_id = $1 AND name = $2",
        &[Bind::from(workspace_id), Bind::from(name)],
        |row| row.text(0),
    )
}
