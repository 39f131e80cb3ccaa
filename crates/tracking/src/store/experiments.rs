//! SQL of experiments.

use filter::{Clause, Comparison, Field, OrderBy};
use gate::Scope;
use kernel::{Kind, Micros, Problem};
use vault::db::sql::{Binds, IN_COUNT_MAX, padded};
use vault::db::{Bind, DbError, Reader, Row, Writer};

use super::keyset::{self, After, Key};
use crate::types::{Experiment, KeyValue, Stage, View};

const COLUMNS: &str = "e.experiment_id, e.name, e.artifact_location, e.deleted, e.created_at, e.updated_at";
const COLUMN_COUNT: usize = 6;
/// Experiments that a scope may name, so that the list fits into one statement's binds.
const SCOPE_COUNT_MAX: usize = 30_000;

/// A new experiment's row.
pub(crate) struct NewExperiment<'a> {
    pub(crate) workspace_id: &'a str,
    pub(crate) name: &'a str,
    pub(crate) owner: &'a str,
    pub(crate) at: Micros,
}

fn experiment_of(row: &Row<'_>) -> Result<Experiment, DbError> {
    Ok(Experiment {
        experiment_id: row.int(0)?,
        name: row.text(1)?,
        artifact_location: row.text(2)?,
        stage: Stage::of_flag(row.flag(3)?),
        created_ms: Micros(row.int(4)?).as_millis(),
        updated_ms: Micros(row.int(5)?).as_millis(),
        tags: Vec::new(),
    })
}

/// Makes an experiment without a location; `None` where the name is taken.
pub(crate) fn insert(writer: &mut Writer<'_>, new: &NewExperiment<'_>) -> Result<Option<i64>, DbError> {
    writer.query_one(
        "INSERT INTO experiment (workspace_id, name, artifact_location, deleted, owner, created_at, updated_at) \
         VALUES ($1, $2, '', 0, $3, $4, $5) ON CONFLICT DO NOTHING RETURNING experiment_id",
        &[new.workspace_id.into(), new.name.into(), new.owner.into(), new.at.0.into(), new.at.0.into()],
        |row| row.int(0),
    )
}

/// Makes the experiment of id 0, unless there is one.
pub(crate) fn insert_default(writer: &mut Writer<'_>, new: &NewExperiment<'_>, location: &str) -> Result<bool, DbError> {
    let made = writer.execute(
        "INSERT INTO experiment (experiment_id, workspace_id, name, artifact_location, deleted, owner, created_at, updated_at) \
         VALUES (0, $1, $2, $3, 0, $4, $5, $6) ON CONFLICT DO NOTHING",
        &[new.workspace_id.into(), new.name.into(), location.into(), new.owner.into(), new.at.0.into(), new.at.0.into()],
    )?;
    Ok(made > 0)
}

pub(crate) fn set_location(writer: &mut Writer<'_>, experiment_id: i64, location: &str) -> Result<(), DbError> {
    writer.execute(
        "UPDATE experiment SET artifact_location = $1 WHERE experiment_id = $2",
        &[location.into(), experiment_id.into()],
    )?;
    Ok(())
}

pub(crate) fn get(reader: &mut Reader<'_>, experiment_id: i64) -> Result<Option<Experiment>, DbError> {
    let found = reader.query_one(
        &format!("SELECT {COLUMNS} FROM experiment e WHERE e.experiment_id = $1"),
        &[experiment_id.into()],
        experiment_of,
    )?;
    let Some(experiment) = found else { return Ok(None) };
    let mut all = vec![experiment];
    fill_tags(reader, &mut all)?;
    Ok(all.pop())
}

/// Whether it is in use; `None` where there is none.
pub(crate) fn stage(reader: &mut Reader<'_>, experiment_id: i64) -> Result<Option<Stage>, DbError> {
    reader.query_one("SELECT deleted FROM experiment WHERE experiment_id = $1", &[experiment_id.into()], |row| {
        Ok(Stage::of_flag(row.flag(0)?))
    })
}

/// Its stage and location, for a new run.
pub(crate) fn place(reader: &mut Reader<'_>, experiment_id: i64) -> Result<Option<(Stage, String)>, DbError> {
    reader.query_one(
        "SELECT deleted, artifact_location FROM experiment WHERE experiment_id = $1",
        &[experiment_id.into()],
        |row| Ok((Stage::of_flag(row.flag(0)?), row.text(1)?)),
    )
}

/// Whether another experiment of the workspace has this name.
pub(crate) fn name_taken(reader: &mut Reader<'_>, workspace_id: &str, name: &str, but: i64) -> Result<bool, DbError> {
    let other = reader.query_one(
        "SELECT experiment_id FROM experiment WHERE workspace_id = $1 AND name = $2 AND experiment_id <> $3",
        &[workspace_id.into(), name.into(), but.into()],
        |row| row.int(0),
    )?;
    Ok(other.is_some())
}

pub(crate) fn rename(writer: &mut Writer<'_>, experiment_id: i64, name: &str, at: Micros) -> Result<(), DbError> {
    writer.execute(
        "UPDATE experiment SET name = $1, updated_at = $2 WHERE experiment_id = $3",
        &[name.into(), at.0.into(), experiment_id.into()],
    )?;
    Ok(())
}

/// Puts it and all its runs aside, or back into use. Gives how many runs changed, or `None` where it was so already.
pub(crate) fn set_deleted(
    writer: &mut Writer<'_>,
    experiment_id: i64,
    deleted: bool,
    at: Micros,
) -> Result<Option<u64>, DbError> {
    let changed = writer.execute(
        "UPDATE experiment SET deleted = $1, updated_at = $2 WHERE experiment_id = $3 AND deleted <> $4",
        &[deleted.into(), at.0.into(), experiment_id.into(), deleted.into()],
    )?;
    if changed == 0 {
        return Ok(None);
    }
    let deleted_at = if deleted { Bind::Int(at.0) } else { Bind::Null };
    let runs = writer.execute(
        "UPDATE run SET deleted = $1, deleted_at = $2 WHERE experiment_id = $3",
        &[deleted.into(), deleted_at, experiment_id.into()],
    )?;
    Ok(Some(runs))
}

pub(crate) fn put_tags(writer: &mut Writer<'_>, experiment_id: i64, tags: &[KeyValue]) -> Result<(), DbError> {
    writer.execute_many(
        "INSERT INTO experiment_tag (experiment_id, key, value) VALUES ($1, $2, $3) \
         ON CONFLICT (experiment_id, key) DO UPDATE SET value = excluded.value",
        tags.iter().map(|tag| vec![experiment_id.into(), (&tag.key).into(), (&tag.value).into()]),
    )
}

pub(crate) fn delete_tag(writer: &mut Writer<'_>, experiment_id: i64, key: &str) -> Result<bool, DbError> {
    let gone = writer
        .execute("DELETE FROM experiment_tag WHERE experiment_id = $1 AND key = $2", &[experiment_id.into(), key.into()])?;
    Ok(gone > 0)
}

fn fill_tags(reader: &mut Reader<'_>, experiments: &mut [Experiment]) -> Result<(), DbError> {
    for chunk in experiments.chunks_mut(IN_COUNT_MAX) {
        let ids: Vec<i64> = chunk.iter().map(|experiment| experiment.experiment_id).collect();
        let (places, binds) = padded(&ids);
        let at: std::collections::HashMap<i64, usize> = ids.iter().enumerate().map(|(index, id)| (*id, index)).collect();
        let sql = format!(
            "SELECT experiment_id, key, value FROM experiment_tag WHERE experiment_id IN {places} ORDER BY experiment_id, key"
        );
        reader.for_each(&sql, &binds, |row| {
            if let Some(experiment) = at.get(&row.int(0)?).and_then(|index| chunk.get_mut(*index)) {
                experiment.tags.push(KeyValue { key: row.text(1)?, value: row.text(2)? });
            }
            Ok(())
        })?;
    }
    Ok(())
}

/// What a search asks for.
pub(crate) struct Search {
    pub(crate) clauses: Vec<Clause>,
    pub(crate) order: Vec<OrderBy>,
    pub(crate) view: View,
    pub(crate) limit: usize,
    pub(crate) after: Option<After>,
}

/// One page of the workspace's experiments, and the token of the next one if there is one.
pub(crate) fn search(
    reader: &mut Reader<'_>,
    workspace_id: &str,
    scope: &Scope,
    search: &Search,
) -> Result<(Vec<Experiment>, Option<String>), Problem> {
    let mut binds = Binds::default();
    let keys = order(&search.order)?;
    let mut sql = format!(
        "SELECT {COLUMNS}, {} FROM experiment e WHERE e.workspace_id = {}",
        keyset::columns(&keys),
        binds.text(workspace_id)
    );
    match scope {
        Scope::Workspace => {}
        Scope::Nothing | Scope::Workspaces(_) | Scope::Datasets(_) => return Ok((Vec::new(), None)),
        Scope::Only { experiments, .. } if experiments.is_empty() => return Ok((Vec::new(), None)),
        Scope::Only { experiments, .. } if experiments.len() > SCOPE_COUNT_MAX => {
            let text = format!("more than {SCOPE_COUNT_MAX} experiments are granted one by one; grant the workspace instead");
            return Err(Problem::new(Kind::TooLarge, text));
        }
        Scope::Only { experiments, .. } => {
            sql.push_str(&format!(" AND e.experiment_id IN {}", binds.ints(experiments)));
        }
    }
    sql.push_str(match search.view {
        View::Active => " AND e.deleted = 0",
        View::Deleted => " AND e.deleted = 1",
        View::All => "",
    });
    for clause in &search.clauses {
        sql.push_str(" AND ");
        sql.push_str(&condition(clause, &mut binds)?);
    }
    if let Some(after) = &search.after {
        after.check(&keys)?;
        if let Some(behind) = keyset::behind(&keys, after, &mut binds) {
            sql.push_str(" AND ");
            sql.push_str(&behind);
        }
    }
    let limit = i64::try_from(search.limit.saturating_add(1)).unwrap_or(i64::MAX);
    sql.push_str(&format!(" ORDER BY {} LIMIT {}", keyset::order(&keys), binds.int(limit)));
    let read = |row: &Row<'_>| Ok((experiment_of(row)?, keyset::values(row, COLUMN_COUNT, &keys)?));
    let mut rows = reader.query(&sql, &binds.get(), read)?;
    let has_more = rows.len() > search.limit;
    rows.truncate(search.limit);
    let next = rows.last().filter(|_| has_more).map(|(_, values)| keyset::token(&search.order, values));
    let mut found: Vec<Experiment> = rows.into_iter().map(|(experiment, _)| experiment).collect();
    fill_tags(reader, &mut found)?;
    Ok((found, next))
}

fn unsupported() -> Problem {
    Problem::invalid("experiments have no such field to filter or order by, or it cannot be compared like this")
}

fn column(field: &Field) -> Result<&'static str, Problem> {
    match field {
        Field::Attribute("name") => Ok("e.name"),
        Field::Attribute("experiment_id") => Ok("e.experiment_id"),
        Field::Attribute("creation_time") => Ok("(e.created_at / 1000)"),
        Field::Attribute("last_update_time") => Ok("(e.updated_at / 1000)"),
        _ => Err(unsupported()),
    }
}

fn condition(clause: &Clause, binds: &mut Binds) -> Result<String, Problem> {
    let compare =
        |column: &str, binds: &mut Binds| binds.compare(column, clause.comparison, &clause.literal).ok_or_else(unsupported);
    if let Field::Tag(key) = &clause.field {
        let key = binds.text(key.as_str());
        let tags = "SELECT 1 FROM experiment_tag t WHERE t.experiment_id = e.experiment_id AND t.key";
        return Ok(match clause.comparison {
            Comparison::IsNull => format!("NOT EXISTS ({tags} = {key})"),
            Comparison::IsNotNull => format!("EXISTS ({tags} = {key})"),
            _ => format!("EXISTS ({tags} = {key} AND {})", compare("t.value", binds)?),
        });
    }
    compare(column(&clause.field)?, binds)
}

/// The last key is the id, whatever was asked for before it: no two experiments are equal in it.
fn order(order: &[OrderBy]) -> Result<Vec<Key>, Problem> {
    if order.is_empty() {
        let made = Key::new("(e.created_at / 1000)", keyset::Kind::Whole, false);
        return Ok(vec![made, Key::new("e.experiment_id", keyset::Kind::Whole, true)]);
    }
    let mut keys = Vec::new();
    for by in order {
        let kind = if by.field == Field::Attribute("name") { keyset::Kind::Text } else { keyset::Kind::Whole };
        keys.push(Key::new(column(&by.field)?, kind, by.ascending));
    }
    let own = order.iter().find(|by| by.field == Field::Attribute("experiment_id"));
    keys.push(Key::new("e.experiment_id", keyset::Kind::Whole, own.is_some_and(|by| by.ascending)));
    Ok(keys)
}
