//! The SQL of versions that are others without some rows, and of the other versions that one is checked against.

use kernel::{Micros, Problem};
use vault::db::{Bind, DbError, Reader, Writer};

use super::{digest, signed};
use crate::types::{Cleaning, InspectionState, Making, OtherVersion, Version};

/// Keeps what a version is to lack.
pub(crate) fn put(writer: &mut Writer<'_>, version_id: &str, parent_id: &str, cleaning: &Cleaning) -> Result<(), Problem> {
    let findings =
        serde_json::to_string(&cleaning.findings).map_err(|error| Problem::internal("findings cannot be written", error))?;
    writer.execute(
        "INSERT INTO data_cleaning (version_id, parent_id, removed_count, rows_sha256, parent_row_count, findings, why, retrain)
         VALUES ($1, $2, $3, $4, NULL, $5, $6, $7)",
        &[
            version_id.into(),
            parent_id.into(),
            signed(cleaning.removed_count)?.into(),
            Bind::Bytes(&cleaning.rows_sha256),
            (&findings).into(),
            (&cleaning.why).into(),
            cleaning.retrain.into(),
        ],
    )?;
    Ok(())
}

/// What a version lacks, and the version that it was made from, by id.
pub(crate) fn get(reader: &mut Reader<'_>, version_id: &str) -> Result<Option<(String, Cleaning)>, DbError> {
    let sql = "SELECT parent_id, removed_count, rows_sha256, parent_row_count, findings, why, retrain FROM data_cleaning
               WHERE version_id = $1";
    reader.query_one(sql, &[version_id.into()], |row| {
        let cleaning = Cleaning {
            removed_count: super::unsigned(row, 1)?,
            rows_sha256: digest(row, 2)?,
            parent_row_count: row.opt_int(3)?.and_then(|count| u64::try_from(count).ok()),
            findings: serde_json::from_str(&row.text(4)?).map_err(|_| DbError::Shape(4))?,
            why: row.text(5)?,
            retrain: row.flag(6)?,
        };
        Ok((row.text(0)?, cleaning))
    })
}

/// Whether the same rows are being left out of the same version for the same reason.
pub(crate) fn is_under_way(reader: &mut Reader<'_>, parent_id: &str, cleaning: &Cleaning) -> Result<bool, DbError> {
    let sql = "SELECT 1 FROM data_cleaning c JOIN data_inspection i ON i.version_id = c.version_id
               WHERE c.parent_id = $1 AND c.rows_sha256 = $2 AND c.why = $3 AND i.task = 'clean' AND i.state IN ('queued', 'running') LIMIT 1";
    let binds = [parent_id.into(), Bind::Bytes(&cleaning.rows_sha256), (&cleaning.why).into()];
    Ok(reader.query_one(sql, &binds, |_| Ok(()))?.is_some())
}

/// Versions of a data set that are being made, or could not be: the newest first.
pub(crate) fn making(reader: &mut Reader<'_>, dataset_id: &str, count_max: i64) -> Result<Vec<Making>, DbError> {
    let sql = "SELECT p.number, c.removed_count, c.why, i.state, i.queued_at, i.fault, i.stage, i.done_count, i.total_count
               FROM data_version v JOIN data_cleaning c ON c.version_id = v.version_id
               JOIN data_version p ON p.version_id = c.parent_id JOIN data_inspection i ON i.version_id = v.version_id
               WHERE v.dataset_id = $1 AND v.number IS NULL AND i.task = 'clean' ORDER BY i.queued_at DESC, i.inspection_id LIMIT $2";
    reader.query(sql, &[dataset_id.into(), count_max.into()], |row| {
        Ok(Making {
            parent_number: row.opt_int(0)?.unwrap_or_default(),
            removed_count: super::unsigned(row, 1)?,
            why: row.text(2)?,
            state: InspectionState::parse(&row.text(3)?).ok_or(DbError::Shape(3))?,
            asked_at: Micros(row.int(4)?),
            fault: row.opt_text(5)?,
            stage: (row.text(6)?, row.int(7)?, row.opt_int(8)?),
        })
    })
}

/// Keeps how many rows the parent had.
pub(crate) fn counted(writer: &mut Writer<'_>, version_id: &str, parent_row_count: u64) -> Result<(), Problem> {
    writer.execute(
        "UPDATE data_cleaning SET parent_row_count = $1 WHERE version_id = $2",
        &[signed(parent_row_count)?.into(), version_id.into()],
    )?;
    Ok(())
}

/// A version that is not committed yet gets what its parent's data was found to concern: nobody reads it for less.
pub(crate) fn inherit_classes(writer: &mut Writer<'_>, version_id: &str, parent: &Version) -> Result<(), DbError> {
    let classes = parent.classes;
    writer.execute(
        "UPDATE data_version SET is_personal = $1, is_special = $2, is_health = $3, is_financial = $4 WHERE version_id = $5",
        &[classes.personal.into(), classes.special.into(), classes.health.into(), classes.financial.into(), version_id.into()],
    )?;
    Ok(())
}

/// A version that was never committed is forgotten with this.
pub(crate) fn forget(writer: &mut Writer<'_>, version_id: &str) -> Result<(), DbError> {
    for table in ["data_cleaning", "data_inspection"] {
        writer.execute(&format!("DELETE FROM {table} WHERE version_id = $1"), &[version_id.into()])?;
    }
    Ok(())
}

/// Keeps which other versions a version is checked against.
pub(crate) fn put_others(writer: &mut Writer<'_>, version_id: &str, others: &[OtherVersion]) -> Result<(), DbError> {
    for other in others {
        writer.execute(
            "INSERT INTO data_table (version_id, name, other_id, apart) VALUES ($1, $2, $3, $4)",
            &[version_id.into(), (&other.name).into(), (&other.version_id).into(), other.apart.into()],
        )?;
    }
    Ok(())
}

/// The other versions that a version is checked against.
pub(crate) fn others(reader: &mut Reader<'_>, version_id: &str) -> Result<Vec<OtherVersion>, DbError> {
    let sql = "SELECT name, other_id, apart FROM data_table WHERE version_id = $1 ORDER BY name";
    reader.query(sql, &[version_id.into()], |row| {
        Ok(OtherVersion { name: row.text(0)?, version_id: row.text(1)?, apart: row.flag(2)? })
    })
}
