//! All SQL of this room. Writes run inside `Db::write`, which takes the verb's permit and commits the change together
//! with its record; reads inside `Db::read`.

pub(crate) mod experiments;
pub(crate) mod inputs;
pub(crate) mod keyset;
pub(crate) mod metrics;
pub(crate) mod runs;
pub(crate) mod search;

use gate::{Facts, Target};
use vault::db::{Bind, DbError, Reader};

use crate::types::parse_experiment_id;

/// What the gate must know of an experiment or run of this workspace; `None` for what does not exist in it, and for
/// targets of other rooms.
///
/// # Errors
/// [`DbError`] of the engine.
pub fn locate(reader: &mut Reader<'_>, workspace_id: &str, target: &Target) -> Result<Option<Facts>, DbError> {
    match target {
        Target::Experiment(id) => match parse_experiment_id(id) {
            Some(id) => locate_experiment(
                reader,
                "SELECT experiment_id, owner FROM experiment WHERE experiment_id = $1 AND workspace_id = $2",
                Bind::Int(id),
                workspace_id,
            ),
            None => Ok(None),
        },
        // A NUL cannot be in a PostgreSQL text, so no name holds one.
        Target::ExperimentNamed(name) if !name.contains('\0') => locate_experiment(
            reader,
            "SELECT experiment_id, owner FROM experiment WHERE name = $1 AND workspace_id = $2",
            Bind::Text(name),
            workspace_id,
        ),
        Target::Run(run_id) if !run_id.contains('\0') => locate_run(reader, run_id, workspace_id),
        _ => Ok(None),
    }
}

fn locate_experiment(reader: &mut Reader<'_>, sql: &str, key: Bind<'_>, workspace_id: &str) -> Result<Option<Facts>, DbError> {
    reader.query_one(sql, &[key, workspace_id.into()], |row| {
        let id = row.int(0)?;
        Ok(Facts {
            exists: true,
            workspace: Some(workspace_id.to_owned()),
            experiment: Some(id),
            model: None,
            row: Some(id),
            id: Some(id.to_string()),
            owner: Some(row.text(1)?),
            dataset: None,
            data: None,
            least_tier: 0,
        })
    })
}

fn locate_run(reader: &mut Reader<'_>, run_id: &str, workspace_id: &str) -> Result<Option<Facts>, DbError> {
    reader.query_one(
        "SELECT r.run_row, r.experiment_id, r.owner FROM run r JOIN experiment e ON e.experiment_id = r.experiment_id \
         WHERE r.run_id = $1 AND e.workspace_id = $2",
        &[run_id.into(), workspace_id.into()],
        |row| {
            Ok(Facts {
                exists: true,
                workspace: Some(workspace_id.to_owned()),
                experiment: Some(row.int(1)?),
                model: None,
                row: Some(row.int(0)?),
                id: Some(run_id.to_owned()),
                owner: Some(row.text(2)?),
                dataset: None,
                data: None,
                least_tier: 0,
            })
        },
    )
}
