//! All SQL of this room.

pub(crate) mod guard;
mod rollouts;

use gate::{Facts, Target};
use kernel::Micros;
use lineage::record::{Answers, Scene, endpoint_answers};
use vault::db::{Bind, DbError, Reader, Row, Writer};

pub(crate) use rollouts::{begin, end, halt};

use crate::engine::Runtime;
use crate::types::{Choice, Endpoint};

/// Where the runtime stands among the columns.
const RUNTIME_COLUMN: usize = 22;

const COLUMNS: &str = "e.endpoint_id, e.workspace, e.name, e.model_id, m.name, e.choice, e.created_at, e.created_by, e.changed_at, \
                       e.changed_by, e.previous, r.rollout_id, r.choice, r.mode, r.share_permille, r.errors_permille, \
                       r.disagreement_permille, r.slower_permille, r.began_at, r.began_by, r.halted_at, r.halted_why, e.runtime, \
                       (SELECT p.name FROM principal AS p WHERE p.id = e.created_by), \
                       (SELECT p.name FROM principal AS p WHERE p.id = e.changed_by)";
const FROM: &str = "endpoint e LEFT JOIN registered_model m ON m.model_id = e.model_id
                    LEFT JOIN endpoint_rollout r ON r.endpoint_id = e.endpoint_id";

fn endpoint_from(row: &Row<'_>) -> Result<Endpoint, DbError> {
    Ok(Endpoint {
        id: row.text(0)?,
        workspace: row.text(1)?,
        name: row.text(2)?,
        model_id: row.text(3)?,
        model: row.opt_text(4)?,
        choice: Choice::parse(&row.text(5)?).map_err(|_| DbError::Shape(5))?,
        previous: row.opt_int(10)?,
        rollout: rollouts::from(row, 11)?,
        runtime: Runtime::parse(&row.text(RUNTIME_COLUMN)?).map_err(|_| DbError::Shape(RUNTIME_COLUMN))?,
        created_at: Micros(row.int(6)?),
        created_by: row.text(7)?,
        created_by_name: row.opt_text(RUNTIME_COLUMN + 1)?,
        changed_at: Micros(row.int(8)?),
        changed_by: row.text(9)?,
        changed_by_name: row.opt_text(RUNTIME_COLUMN + 2)?,
    })
}

/// The endpoint of a name, for the gate: it is judged as its model.
pub(crate) fn locate(reader: &mut Reader<'_>, workspace: &str, target: &Target) -> Result<Option<Facts>, DbError> {
    let Target::Endpoint(name) = target else { return Ok(None) };
    let sql = "SELECT endpoint_id, model_id, created_by FROM endpoint WHERE workspace = $1 AND name = $2";
    reader.query_one(sql, &[workspace.into(), name.into()], |row| {
        Ok(Facts {
            exists: true,
            workspace: Some(workspace.to_owned()),
            id: Some(row.text(0)?),
            model: Some(row.text(1)?),
            owner: Some(row.text(2)?),
            ..Facts::default()
        })
    })
}

pub(crate) fn get(reader: &mut Reader<'_>, id: &str) -> Result<Option<Endpoint>, DbError> {
    reader.query_one(&format!("SELECT {COLUMNS} FROM {FROM} WHERE e.endpoint_id = $1"), &[id.into()], endpoint_from)
}

/// The name of a workspace, by which callers ask for it.
pub(crate) fn workspace_name(reader: &mut Reader<'_>, id: &str) -> Result<Option<String>, DbError> {
    reader.query_one("SELECT name FROM workspace WHERE id = $1", &[id.into()], |row| row.text(0))
}

/// Which endpoints a page lists.
pub(crate) struct Wanted<'a> {
    pub(crate) workspace: &'a str,
    /// Only of these models, by internal id.
    pub(crate) models: Option<&'a [String]>,
    /// Only of the model of this name.
    pub(crate) model: Option<&'a str>,
    /// Behind this name.
    pub(crate) after: &'a str,
}

/// A page of endpoints, by name.
pub(crate) fn page(reader: &mut Reader<'_>, wanted: &Wanted<'_>, count: usize) -> Result<Vec<Endpoint>, DbError> {
    let count = i64::try_from(count).unwrap_or(i64::MAX);
    let mut binds: Vec<Bind<'_>> = vec![wanted.workspace.into(), wanted.after.into(), count.into()];
    let mut narrowed = match wanted.models {
        None => String::new(),
        Some(models) => {
            let places: Vec<String> = models
                .iter()
                .map(|model| {
                    binds.push(model.into());
                    format!("${}", binds.len())
                })
                .collect();
            format!("AND e.model_id IN ({})", places.join(", "))
        }
    };
    if let Some(model) = wanted.model {
        binds.push(model.into());
        narrowed.push_str(&format!(" AND m.name = ${}", binds.len()));
    }
    let sql = format!("SELECT {COLUMNS} FROM {FROM} WHERE e.workspace = $1 AND e.name > $2 {narrowed} ORDER BY e.name LIMIT $3");
    reader.query(&sql, &binds, endpoint_from)
}

pub(crate) fn count(reader: &mut Reader<'_>, workspace: &str) -> Result<i64, DbError> {
    let sql = "SELECT COUNT(*) FROM endpoint WHERE workspace = $1";
    Ok(reader.query_one(sql, &[workspace.into()], |row| row.int(0))?.unwrap_or_default())
}

/// Adds an endpoint; false if the name is taken.
pub(crate) fn insert(writer: &mut Writer<'_>, endpoint: &Endpoint) -> Result<bool, DbError> {
    let (choice, runtime) = (endpoint.choice.to_string(), endpoint.runtime.to_string());
    let added = writer.execute(
        "INSERT INTO endpoint (endpoint_id, workspace, name, model_id, choice, created_at, created_by, changed_at, changed_by,
             runtime)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $6, $7, $8) ON CONFLICT (workspace, name) DO NOTHING",
        &[
            (&endpoint.id).into(),
            (&endpoint.workspace).into(),
            (&endpoint.name).into(),
            (&endpoint.model_id).into(),
            (&choice).into(),
            endpoint.created_at.0.into(),
            (&endpoint.created_by).into(),
            (&runtime).into(),
        ],
    )?;
    Ok(added == 1)
}

/// Lets another version answer; `previous` is the number of the one that did.
pub(crate) fn choose(
    writer: &mut Writer<'_>,
    id: &str,
    choice: &Choice,
    previous: Option<i64>,
    (at, by): (Micros, &str),
) -> Result<(), DbError> {
    let choice = choice.to_string();
    let sql = "UPDATE endpoint SET choice = $1, previous = COALESCE($2, previous), changed_at = $3, changed_by = $4
               WHERE endpoint_id = $5";
    writer.execute(sql, &[(&choice).into(), previous.into(), at.0.into(), by.into(), id.into()])?;
    Ok(())
}

/// Notes in the lineage that an endpoint answers with a version, by the version's id.
pub(crate) fn note_answers(writer: &mut Writer<'_>, scene: &Scene, endpoint: &Endpoint, version: &str) -> Result<(), DbError> {
    let Some((model, number)) = version.rsplit_once('/').and_then(|(model, number)| Some((model, number.parse().ok()?))) else {
        return Ok(());
    };
    endpoint_answers(writer, scene, &Answers { endpoint_id: &endpoint.id, endpoint: &endpoint.name, model, number })
}

pub(crate) fn delete(writer: &mut Writer<'_>, id: &str) -> Result<(), DbError> {
    rollouts::end(writer, id)?;
    guard::delete(writer, id)?;
    writer.execute("DELETE FROM endpoint WHERE endpoint_id = $1", &[id.into()])?;
    Ok(())
}
