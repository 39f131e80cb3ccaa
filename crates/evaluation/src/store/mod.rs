//! All SQL of this room. Writes run inside `Db::write`, which takes the verb's permit and commits the change together
//! with its record; reads inside `Db::read`.

pub(crate) mod records;
pub(crate) mod search;

use gate::{Caller, Facts, Target};
use kernel::{Micros, Problem};
use vault::db::{Bind, DbError, Reader, Row, Writer};

use crate::rules;
use crate::types::{Dataset, KeyValue, no_experiment};

pub(crate) const COLUMNS: &str = "d.dataset_row, d.dataset_id, d.name, d.digest, d.schema_text, d.record_count, d.created_at, \
                                  d.updated_at, d.created_by, d.updated_by";
/// Rows that one `IN` list asks for.
const IN_COUNT_MAX: usize = 1_024;

/// What the gate must know of a dataset of this workspace; `None` for what does not exist in it, and for targets of other
/// rooms.
///
/// # Errors
/// [`DbError`] of the engine.
pub fn locate(reader: &mut Reader<'_>, workspace_id: &str, target: &Target) -> Result<Option<Facts>, DbError> {
    let Target::EvaluationDataset(dataset_id) = target else { return Ok(None) };
    // A NUL cannot be in a PostgreSQL text, so no id holds one.
    if dataset_id.contains('\0') {
        return Ok(None);
    }
    reader.query_one(
        "SELECT dataset_row, owner FROM evaluation_dataset WHERE dataset_id = $1 AND workspace_id = $2",
        &[dataset_id.into(), workspace_id.into()],
        |row| {
            Ok(Facts {
                exists: true,
                workspace: Some(workspace_id.to_owned()),
                experiment: None,
                model: None,
                row: Some(row.int(0)?),
                id: Some(dataset_id.clone()),
                owner: Some(row.text(1)?),
                dataset: None,
                data: None,
                least_tier: 0,
            })
        },
    )
}

/// A new dataset's row.
pub(crate) struct NewDataset<'a> {
    pub(crate) dataset_id: &'a str,
    pub(crate) workspace_id: &'a str,
    pub(crate) name: &'a str,
    pub(crate) digest: &'a str,
    pub(crate) caller: &'a Caller,
    pub(crate) at: Micros,
}

/// What a change of records starts from.
pub(crate) struct Head {
    pub(crate) name: String,
    pub(crate) schema: Option<String>,
    pub(crate) record_count: i64,
}

pub(crate) fn insert(writer: &mut Writer<'_>, new: &NewDataset<'_>) -> Result<i64, DbError> {
    let (id, name) = ((&new.caller.id).into(), Bind::Text(&new.caller.name));
    let made = writer.query_one(
        "INSERT INTO evaluation_dataset (dataset_id, workspace_id, name, digest, schema_text, record_count, owner, created_by, \
         updated_by, created_at, updated_at) VALUES ($1, $2, $3, $4, NULL, 0, $5, $6, $7, $8, $9) RETURNING dataset_row",
        &[
            new.dataset_id.into(),
            new.workspace_id.into(),
            new.name.into(),
            new.digest.into(),
            id,
            name,
            name,
            new.at.0.into(),
            new.at.0.into(),
        ],
        |row| row.int(0),
    )?;
    made.ok_or(DbError::Reference)
}

pub(crate) fn dataset_of(row: &Row<'_>) -> Result<(i64, Dataset), DbError> {
    let dataset = Dataset {
        dataset_id: row.text(1)?,
        name: row.text(2)?,
        digest: row.text(3)?,
        schema: row.opt_text(4)?,
        record_count: row.int(5)?,
        created_ms: Micros(row.int(6)?).as_millis(),
        updated_ms: Micros(row.int(7)?).as_millis(),
        created_by: row.text(8)?,
        updated_by: row.text(9)?,
        tags: Vec::new(),
        experiment_ids: Vec::new(),
    };
    Ok((row.int(0)?, dataset))
}

/// A dataset with its tags and experiments.
pub(crate) fn get(reader: &mut Reader<'_>, row: i64) -> Result<Option<Dataset>, DbError> {
    let sql = format!("SELECT {COLUMNS} FROM evaluation_dataset d WHERE d.dataset_row = $1");
    let Some((_, mut dataset)) = reader.query_one(&sql, &[row.into()], dataset_of)? else { return Ok(None) };
    dataset.tags =
        reader.query("SELECT key, value FROM evaluation_tag WHERE dataset_row = $1 ORDER BY key", &[row.into()], |row| {
            Ok(KeyValue { key: row.text(0)?, value: row.text(1)? })
        })?;
    dataset.experiment_ids = reader.query(
        "SELECT experiment_id FROM evaluation_experiment WHERE dataset_row = $1 ORDER BY experiment_id",
        &[row.into()],
        |row| row.int(0),
    )?;
    Ok(Some(dataset))
}

pub(crate) fn head(reader: &mut Reader<'_>, row: i64) -> Result<Option<Head>, DbError> {
    reader.query_one(
        "SELECT name, schema_text, record_count FROM evaluation_dataset WHERE dataset_row = $1",
        &[row.into()],
        |row| Ok(Head { name: row.text(0)?, schema: row.opt_text(1)?, record_count: row.int(2)? }),
    )
}

/// The experiments of these ids.
///
/// # Errors
/// `NotFound` for the first that this workspace does not hold.
pub(crate) fn experiments_of(reader: &mut Reader<'_>, workspace_id: &str, texts: &[String]) -> Result<Vec<i64>, Problem> {
    let mut all = Vec::with_capacity(texts.len());
    for text in texts {
        let id = rules::experiment_id(text).ok_or_else(|| no_experiment(text))?;
        let found = reader.query_one(
            "SELECT experiment_id FROM experiment WHERE experiment_id = $1 AND workspace_id = $2",
            &[id.into(), workspace_id.into()],
            |row| row.int(0),
        )?;
        all.push(found.ok_or_else(|| no_experiment(text))?);
    }
    Ok(all)
}

pub(crate) fn join(writer: &mut Writer<'_>, row: i64, experiments: &[i64]) -> Result<(), DbError> {
    writer.execute_many(
        "INSERT INTO evaluation_experiment (dataset_row, experiment_id) VALUES ($1, $2) ON CONFLICT DO NOTHING",
        experiments.iter().map(|id| vec![row.into(), (*id).into()]),
    )
}

/// Gives how many it was joined to.
pub(crate) fn part(writer: &mut Writer<'_>, row: i64, experiments: &[i64]) -> Result<i64, DbError> {
    let mut count = 0;
    for id in experiments {
        let sql = "DELETE FROM evaluation_experiment WHERE dataset_row = $1 AND experiment_id = $2";
        count += signed(writer.execute(sql, &[row.into(), (*id).into()])?);
    }
    Ok(count)
}

/// It was changed by this account now.
pub(crate) fn touch(writer: &mut Writer<'_>, row: i64, by: &str, at: Micros) -> Result<(), DbError> {
    writer.execute(
        "UPDATE evaluation_dataset SET updated_by = $1, updated_at = $2 WHERE dataset_row = $3",
        &[by.into(), at.0.into(), row.into()],
    )?;
    Ok(())
}

pub(crate) fn set_content(
    writer: &mut Writer<'_>,
    row: i64,
    digest: &str,
    record_count: i64,
    schema: Option<&str>,
) -> Result<(), DbError> {
    writer.execute(
        "UPDATE evaluation_dataset SET digest = $1, record_count = $2, schema_text = $3 WHERE dataset_row = $4",
        &[digest.into(), record_count.into(), schema.into(), row.into()],
    )?;
    Ok(())
}

pub(crate) fn put_tags(writer: &mut Writer<'_>, row: i64, tags: &[KeyValue]) -> Result<(), DbError> {
    writer.execute_many(
        "INSERT INTO evaluation_tag (dataset_row, key, value) VALUES ($1, $2, $3) \
         ON CONFLICT (dataset_row, key) DO UPDATE SET value = excluded.value",
        tags.iter().map(|tag| vec![row.into(), (&tag.key).into(), (&tag.value).into()]),
    )
}

pub(crate) fn tag_count(reader: &mut Reader<'_>, row: i64) -> Result<usize, DbError> {
    let count =
        reader.query_one("SELECT COUNT(*) FROM evaluation_tag WHERE dataset_row = $1", &[row.into()], |row| row.int(0))?;
    Ok(usize::try_from(count.unwrap_or_default()).unwrap_or(usize::MAX))
}

pub(crate) fn delete_tag(writer: &mut Writer<'_>, row: i64, key: &str) -> Result<bool, DbError> {
    Ok(writer.execute("DELETE FROM evaluation_tag WHERE dataset_row = $1 AND key = $2", &[row.into(), key.into()])? > 0)
}

/// Gives how many records went with it.
pub(crate) fn delete(writer: &mut Writer<'_>, row: i64) -> Result<i64, DbError> {
    let count = writer.execute("DELETE FROM evaluation_record WHERE dataset_row = $1", &[row.into()])?;
    writer.execute("DELETE FROM evaluation_tag WHERE dataset_row = $1", &[row.into()])?;
    writer.execute("DELETE FROM evaluation_experiment WHERE dataset_row = $1", &[row.into()])?;
    writer.execute("DELETE FROM evaluation_dataset WHERE dataset_row = $1", &[row.into()])?;
    Ok(signed(count))
}

fn signed(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

/// Fills in the tags of datasets, each with its row.
pub(crate) fn fill_tags(reader: &mut Reader<'_>, datasets: &mut [(i64, Dataset)]) -> Result<(), DbError> {
    for chunk in datasets.chunks_mut(IN_COUNT_MAX) {
        let at: std::collections::HashMap<i64, usize> = chunk.iter().enumerate().map(|(index, (row, _))| (*row, index)).collect();
        // Filled up to a power of two, so that few statements are prepared.
        let last = chunk.last().map_or(-1, |(row, _)| *row);
        let count = chunk.len().next_power_of_two();
        let binds: Vec<Bind<'_>> =
            chunk.iter().map(|(row, _)| *row).chain(std::iter::repeat(last)).take(count).map(Bind::Int).collect();
        let places: Vec<String> = (1..=count).map(|place| format!("${place}")).collect();
        let sql = format!(
            "SELECT dataset_row, key, value FROM evaluation_tag WHERE dataset_row IN ({}) ORDER BY dataset_row, key",
            places.join(", ")
        );
        reader.for_each(&sql, &binds, |row| {
            if let Some((_, dataset)) = at.get(&row.int(0)?).and_then(|index| chunk.get_mut(*index)) {
                dataset.tags.push(KeyValue { key: row.text(1)?, value: row.text(2)? });
            }
            Ok(())
        })?;
    }
    Ok(())
}
