//! Versions of registered models.

use std::collections::HashMap;

use kernel::Micros;
use vault::db::{Bind, DbError, Reader, Row, Writer};

use crate::store::key_value;
use crate::store::sql::Sql;
use crate::types::{KeyValue, ModelVersion, Stage};

/// Columns of `model_version v` joined with `registered_model m`.
pub(crate) const COLUMNS: &str = "v.model_id, m.name, v.version, v.source, v.storage_location, v.run_id, v.run_link, \
     v.logged_model_id, v.stage, v.status, v.status_message, v.description, v.user_name, v.created_at, v.updated_at";
pub(crate) const JOINED: &str = "model_version v JOIN registered_model m ON m.model_id = v.model_id";
/// Versions whose tags and aliases are fetched in one statement.
const CHUNK_COUNT: usize = 200;

pub(crate) fn from_row(row: &Row<'_>) -> Result<ModelVersion, DbError> {
    Ok(ModelVersion {
        model_id: row.text(0)?,
        name: row.text(1)?,
        version: row.int(2)?,
        source: row.text(3)?,
        storage_location: row.text(4)?,
        run_id: row.opt_text(5)?,
        run_link: row.opt_text(6)?,
        logged_model_id: row.opt_text(7)?,
        stage: Stage::parse(&row.text(8)?).unwrap_or(Stage::None),
        status: row.text(9)?,
        status_message: row.opt_text(10)?,
        description: row.opt_text(11)?,
        user_name: row.opt_text(12)?,
        created_at: Micros(row.int(13)?),
        updated_at: Micros(row.int(14)?),
        tags: Vec::new(),
        aliases: Vec::new(),
    })
}

/// What a new version is made of.
pub(crate) struct NewVersion<'a> {
    pub(crate) model_id: &'a str,
    pub(crate) source: &'a str,
    pub(crate) storage_location: &'a str,
    pub(crate) run_id: Option<&'a str>,
    pub(crate) run_link: Option<&'a str>,
    pub(crate) logged_model_id: Option<&'a str>,
    pub(crate) description: Option<&'a str>,
    pub(crate) user_name: &'a str,
    pub(crate) owner: &'a str,
    pub(crate) tags: &'a [KeyValue],
    pub(crate) at: i64,
}

/// Adds the next version; gives its number, or none where the model is gone.
pub(crate) fn insert(writer: &mut Writer<'_>, new: &NewVersion<'_>) -> Result<Option<i64>, DbError> {
    let next = writer.query_one(
        "UPDATE registered_model SET next_version = next_version + 1, updated_at = $2 WHERE model_id = $1
         RETURNING next_version",
        &[Bind::from(new.model_id), Bind::from(new.at)],
        |row| row.int(0),
    )?;
    let Some(version) = next.map(|next| next - 1) else { return Ok(None) };
    writer.execute(
        "INSERT INTO model_version
            (model_id, version, source, storage_location, run_id, run_link, logged_model_id, stage, status, status_message,
             description, user_name, owner, deleted, created_at, updated_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, 'None', 'READY', NULL, $8, $9, $10, 0, $11, $11)",
        &[
            Bind::from(new.model_id),
            Bind::from(version),
            Bind::from(new.source),
            Bind::from(new.storage_location),
            Bind::from(new.run_id),
            Bind::from(new.run_link),
            Bind::from(new.logged_model_id),
            Bind::from(new.description),
            Bind::from(new.user_name),
            Bind::from(new.owner),
            Bind::from(new.at),
        ],
    )?;
    put_tags(writer, new.model_id, version, new.tags)?;
    Ok(Some(version))
}

/// One version with its tags and aliases. A deleted one is not found.
pub(crate) fn get(reader: &mut Reader<'_>, model_id: &str, version: i64) -> Result<Option<ModelVersion>, DbError> {
    let sql = format!("SELECT {COLUMNS} FROM {JOINED} WHERE v.model_id = $1 AND v.version = $2 AND v.deleted = 0");
    let Some(found) = reader.query_one(&sql, &[Bind::from(model_id), Bind::from(version)], from_row)? else {
        return Ok(None);
    };
    let mut all = [found];
    complete(reader, &mut all)?;
    let [found] = all;
    Ok(Some(found))
}

/// The newest version of each stage of each model, by model and version.
pub(crate) fn latest(reader: &mut Reader<'_>, model_ids: &[String]) -> Result<Vec<ModelVersion>, DbError> {
    let mut sql = Sql::new("SELECT ");
    sql.push(COLUMNS).push(" FROM ").push(JOINED);
    let list = sql.binds.texts(model_ids);
    sql.push(&format!(
        " WHERE v.model_id IN {list} AND v.deleted = 0 AND NOT EXISTS (
            SELECT 1 FROM model_version w WHERE w.model_id = v.model_id AND w.deleted = 0 AND w.stage = v.stage
            AND w.version > v.version)
         ORDER BY v.model_id, v.version"
    ));
    let mut all = reader.query(&sql.text, &sql.binds.get(), from_row)?;
    complete(reader, &mut all)?;
    Ok(all)
}

/// The number of a model's newest version.
pub(crate) fn newest(reader: &mut Reader<'_>, model_id: &str) -> Result<Option<i64>, DbError> {
    reader.query_one(
        "SELECT version FROM model_version WHERE model_id = $1 AND deleted = 0 ORDER BY version DESC LIMIT 1",
        &[Bind::from(model_id)],
        |row| row.int(0),
    )
}

/// Adds tags and aliases to versions.
pub(crate) fn complete(reader: &mut Reader<'_>, versions: &mut [ModelVersion]) -> Result<(), DbError> {
    for chunk in versions.chunks_mut(CHUNK_COUNT) {
        let place: HashMap<(String, i64), usize> =
            chunk.iter().zip(0..).map(|(version, at)| ((version.model_id.clone(), version.version), at)).collect();
        let mut tags = Sql::new("SELECT model_id, version, key, value FROM model_version_tag WHERE ");
        push_pairs(&mut tags, chunk);
        tags.push(" ORDER BY key");
        reader.for_each(&tags.text, &tags.binds.get(), |row| {
            if let Some(version) = place.get(&(row.text(0)?, row.int(1)?)).and_then(|at| chunk.get_mut(*at)) {
                version.tags.push(key_value(row, 2)?);
            }
            Ok(())
        })?;
        let mut aliases = Sql::new("SELECT model_id, version, alias FROM registered_model_alias WHERE ");
        push_pairs(&mut aliases, chunk);
        aliases.push(" ORDER BY alias");
        reader.for_each(&aliases.text, &aliases.binds.get(), |row| {
            if let Some(version) = place.get(&(row.text(0)?, row.int(1)?)).and_then(|at| chunk.get_mut(*at)) {
                version.aliases.push(row.text(2)?);
            }
            Ok(())
        })?;
    }
    Ok(())
}

fn push_pairs(sql: &mut Sql, versions: &[ModelVersion]) {
    let pairs: Vec<String> = versions
        .iter()
        .map(|version| {
            let model = sql.binds.text(version.model_id.as_str());
            let number = sql.binds.int(version.version);
            format!("(model_id = {model} AND version = {number})")
        })
        .collect();
    sql.push(&pairs.join(" OR "));
}

/// Sets the description.
pub(crate) fn describe(
    writer: &mut Writer<'_>,
    model_id: &str,
    version: i64,
    text: Option<&str>,
    at: i64,
) -> Result<(), DbError> {
    writer.execute(
        "UPDATE model_version SET description = $3, updated_at = $4 WHERE model_id = $1 AND version = $2 AND deleted = 0",
        &[Bind::from(model_id), Bind::from(version), Bind::from(text), Bind::from(at)],
    )?;
    Ok(())
}

/// Moves a version to a stage.
pub(crate) fn set_stage(writer: &mut Writer<'_>, model_id: &str, version: i64, stage: Stage, at: i64) -> Result<(), DbError> {
    writer.execute(
        "UPDATE model_version SET stage = $3, updated_at = $4 WHERE model_id = $1 AND version = $2 AND deleted = 0",
        &[Bind::from(model_id), Bind::from(version), Bind::from(stage.word()), Bind::from(at)],
    )?;
    Ok(())
}

/// Archives all other versions of a stage; gives how many.
pub(crate) fn archive_others(
    writer: &mut Writer<'_>,
    model_id: &str,
    version: i64,
    stage: Stage,
    at: i64,
) -> Result<u64, DbError> {
    writer.execute(
        "UPDATE model_version SET stage = 'Archived', updated_at = $4
         WHERE model_id = $1 AND version <> $2 AND stage = $3 AND deleted = 0",
        &[Bind::from(model_id), Bind::from(version), Bind::from(stage.word()), Bind::from(at)],
    )
}

/// Deletes a version: its row stays, so that its number is not given again, but what it said is gone.
pub(crate) fn redact(writer: &mut Writer<'_>, model_id: &str, version: i64, at: i64) -> Result<(), DbError> {
    let both = [Bind::from(model_id), Bind::from(version)];
    writer.execute("DELETE FROM registered_model_alias WHERE model_id = $1 AND version = $2", &both)?;
    writer.execute("DELETE FROM model_version_tag WHERE model_id = $1 AND version = $2", &both)?;
    writer.execute(
        "UPDATE model_version SET deleted = 1, stage = 'None', source = 'REDACTED-SOURCE-PATH',
            storage_location = 'REDACTED-SOURCE-PATH', run_id = 'REDACTED-RUN-ID', run_link = 'REDACTED-RUN-LINK',
            logged_model_id = NULL, status_message = NULL, description = NULL, user_name = NULL, updated_at = $3
         WHERE model_id = $1 AND version = $2",
        &[Bind::from(model_id), Bind::from(version), Bind::from(at)],
    )?;
    Ok(())
}

/// Sets tags.
pub(crate) fn put_tags(writer: &mut Writer<'_>, model_id: &str, version: i64, tags: &[KeyValue]) -> Result<(), DbError> {
    writer.execute_many(
        "INSERT INTO model_version_tag (model_id, version, key, value) VALUES ($1, $2, $3, $4)
         ON CONFLICT (model_id, version, key) DO UPDATE SET value = excluded.value",
        tags.iter().map(|tag| vec![Bind::from(model_id), Bind::from(version), Bind::from(&tag.key), Bind::from(&tag.value)]),
    )
}

/// Removes a tag, if it is there.
pub(crate) fn delete_tag(writer: &mut Writer<'_>, model_id: &str, version: i64, key: &str) -> Result<(), DbError> {
    writer.execute(
        "DELETE FROM model_version_tag WHERE model_id = $1 AND version = $2 AND key = $3",
        &[Bind::from(model_id), Bind::from(version), Bind::from(key)],
    )?;
    Ok(())
}

/// A run of the workspace: its experiment and where its artifacts are.
pub(crate) fn run_of(reader: &mut Reader<'_>, workspace_id: &str, run_id: &str) -> Result<Option<(i64, String)>, DbError> {
    reader.query_one(
        "SELECT r.experiment_id, r.artifact_uri FROM run r JOIN experiment e ON e.experiment_id = r.experiment_id
         WHERE r.run_id = $1 AND e.workspace_id = $2",
        &[Bind::from(run_id), Bind::from(workspace_id)],
        |row| Ok((row.int(0)?, row.text(1)?)),
    )
}

/// Whether an experiment is one of the workspace.
pub(crate) fn has_experiment(reader: &mut Reader<'_>, workspace_id: &str, experiment_id: i64) -> Result<bool, DbError> {
    let found = reader.query_one(
        "SELECT experiment_id FROM experiment WHERE experiment_id = $1 AND workspace_id = $2",
        &[Bind::from(experiment_id), Bind::from(workspace_id)],
        |row| row.int(0),
    )?;
    Ok(found.is_some())
}
