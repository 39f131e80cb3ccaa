//! All SQL of this room. Writes run inside `Db::write`, which takes the verb's permit and commits the change together with its
//! record; an inspection's progress alone is book-keeping of the server's own.

pub(crate) mod cleanings;
pub(crate) mod files;
pub(crate) mod inspections;
pub(crate) mod readable;
pub(crate) mod retrain;
pub(crate) mod sources;
pub(crate) mod versions;

use gate::{DataFacts, DataState, Facts, Target};
use kernel::Micros;
use vault::db::{DbError, Reader, Row};

use crate::types::{DatasetName, VersionName};

pub(crate) use vault::objects::{OBJECT_COLUMNS, digest, signed, unsigned};

/// What the gate must know of a data set or a version of this workspace at `now`; `None` for what does not exist in it, and for
/// targets of other rooms. A version whose waiver has ended is quarantined, whether or not its row says so yet.
///
/// # Errors
/// [`DbError`] of the engine.
pub fn locate(reader: &mut Reader<'_>, workspace: &str, target: &Target, now: Micros) -> Result<Option<Facts>, DbError> {
    let (Target::Dataset(name) | Target::DatasetVersion(name, _)) = target else { return Ok(None) };
    if DatasetName::parse(name).is_err() {
        return Ok(None);
    }
    let dataset = reader.query_one(
        "SELECT dataset_id, created_by FROM data_set WHERE workspace = $1 AND name = $2",
        &[workspace.into(), name.into()],
        |row| Ok((row.text(0)?, row.text(1)?)),
    )?;
    let Some((id, owner)) = dataset else { return Ok(None) };
    let dataset = Facts {
        exists: true,
        workspace: Some(workspace.to_owned()),
        id: Some(id.clone()),
        dataset: Some(id.clone()),
        owner: Some(owner),
        ..Facts::default()
    };
    let Target::DatasetVersion(_, version) = target else { return Ok(Some(dataset)) };
    let missing = Facts { exists: false, ..dataset };
    let Some(version) = VersionName::parse(version) else { return Ok(Some(missing)) };
    let Some(version_id) = versions::find(reader, &id, &version)? else { return Ok(Some(missing)) };
    let found = versions::get(reader, &version_id)?;
    Ok(Some(found.map_or(missing, |version| Facts {
        exists: true,
        workspace: Some(workspace.to_owned()),
        id: Some(version.id),
        dataset: Some(id.clone()),
        owner: Some(version.committer),
        data: Some(DataFacts {
            state: if is_waiver_over(version.state, version.waiver_until, now) { DataState::Quarantined } else { version.state },
            classes: version.classes,
        }),
        ..Facts::default()
    })))
}

/// Whether a version was admitted by a waiver that has ended.
pub(crate) fn is_waiver_over(state: DataState, until: Option<Micros>, now: Micros) -> bool {
    state == DataState::Admitted && until.is_some_and(|until| until <= now)
}

pub(crate) fn opt_digest(row: &Row<'_>, column: usize) -> Result<Option<[u8; 32]>, DbError> {
    let bytes = row.opt_bytes(column)?;
    bytes.map(|bytes| bytes.try_into().map_err(|_| DbError::Shape(column))).transpose()
}
