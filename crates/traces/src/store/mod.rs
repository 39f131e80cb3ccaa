//! All SQL of this room. Writes run inside `Db::write`, which takes the verb's permit and commits the change together
//! with its record; reads inside `Db::read`.

pub(crate) mod assessments;
pub(crate) mod metrics;
pub(crate) mod search;
pub(crate) mod spans;
pub(crate) mod traces;

use gate::{Facts, Target};
use vault::db::{DbError, Reader};

use crate::rules;

/// What the gate must know of a trace of this workspace; `None` for what does not exist in it, and for targets of other rooms.
///
/// # Errors
/// [`DbError`] of the engine.
pub fn locate(reader: &mut Reader<'_>, workspace_id: &str, target: &Target) -> Result<Option<Facts>, DbError> {
    let Target::Trace(trace_id) = target else { return Ok(None) };
    if rules::trace_id(trace_id).is_err() {
        return Ok(None);
    }
    reader.query_one(
        "SELECT t.trace_row, t.experiment_id, t.owner FROM trace t JOIN experiment e ON e.experiment_id = t.experiment_id \
         WHERE t.trace_id = $1 AND e.workspace_id = $2",
        &[trace_id.into(), workspace_id.into()],
        |row| {
            let number = row.int(0)?;
            Ok(Facts {
                exists: true,
                workspace: Some(workspace_id.to_owned()),
                experiment: Some(row.int(1)?),
                model: None,
                row: Some(number),
                id: Some(rules::record_id(trace_id, number)),
                owner: Some(row.text(2)?),
                dataset: None,
                data: None,
                least_tier: 0,
            })
        },
    )
}
