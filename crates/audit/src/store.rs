//! The log's SQL: the row that says which checkpoint is the newest, and the outbox.

use kernel::Problem;
use vault::db::{Bind, DbError, OutboxRow, Reader, Writer};

use crate::checkpoint::Checkpoint;

/// The newest checkpoint, as the database knows it. Only one server can replace it at a time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CheckpointRow {
    /// Which log.
    pub origin: String,
    /// How many records.
    pub size: i64,
    /// The tree's root.
    pub root: Vec<u8>,
    /// The signed note.
    pub note: String,
}

pub(crate) fn read_checkpoint(reader: &mut Reader<'_>, origin: &str) -> Result<Option<CheckpointRow>, DbError> {
    let sql = "SELECT origin, size, root, note FROM audit_checkpoint WHERE origin = $1";
    reader.query_one(sql, &[Bind::Text(origin)], |row| {
        Ok(CheckpointRow { origin: row.text(0)?, size: row.int(1)?, root: row.bytes(2)?, note: row.text(3)? })
    })
}

/// Every checkpoint row: there ought to be one.
pub(crate) fn read_checkpoints(reader: &mut Reader<'_>) -> Result<Vec<CheckpointRow>, DbError> {
    reader.query("SELECT origin, size, root, note FROM audit_checkpoint ORDER BY origin", &[], |row| {
        Ok(CheckpointRow { origin: row.text(0)?, size: row.int(1)?, root: row.bytes(2)?, note: row.text(3)? })
    })
}

/// Replaces the row if it is still `before`; `false` if somebody else replaced it.
pub(crate) fn swap_checkpoint(
    writer: &mut Writer<'_>,
    before: Option<&Checkpoint>,
    after: &Checkpoint,
    note: &str,
) -> Result<bool, Problem> {
    let size = i64::try_from(after.size).map_err(|_| Problem::invalid("the log is full"))?;
    let values = [Bind::Text(&after.origin), Bind::Int(size), Bind::Bytes(&after.root), Bind::Text(note)];
    let changed = match before {
        None => writer.execute(
            "INSERT INTO audit_checkpoint (origin, size, root, note) VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING",
            &values,
        )?,
        Some(before) => {
            let old_size = i64::try_from(before.size).map_err(|_| Problem::invalid("the log is full"))?;
            let [origin, size, root, note] = values;
            let binds = [origin, size, root, note, Bind::Int(old_size), Bind::Bytes(&before.root)];
            writer.execute(
                "UPDATE audit_checkpoint SET size = $2, root = $3, note = $4 WHERE origin = $1 AND size = $5 AND root = $6",
                &binds,
            )?
        }
    };
    Ok(changed == 1)
}

/// Puts the row as it is told, after an operator accepted a mismatch.
pub(crate) fn force_checkpoint(writer: &mut Writer<'_>, after: &Checkpoint, note: &str) -> Result<(), Problem> {
    let size = i64::try_from(after.size).map_err(|_| Problem::invalid("the log is full"))?;
    writer.execute(
        "INSERT INTO audit_checkpoint (origin, size, root, note) VALUES ($1, $2, $3, $4)
         ON CONFLICT (origin) DO UPDATE SET size = excluded.size, root = excluded.root, note = excluded.note",
        &[Bind::Text(&after.origin), Bind::Int(size), Bind::Bytes(&after.root), Bind::Text(note)],
    )?;
    Ok(())
}

/// Rows of the outbox after `after_id`, oldest first.
pub(crate) fn read_outbox(reader: &mut Reader<'_>, after_id: i64, limit_count: i64) -> Result<Vec<OutboxRow>, DbError> {
    let sql = "SELECT id, event_id, payload FROM audit_outbox WHERE id > $1 ORDER BY id LIMIT $2";
    reader.query(sql, &[Bind::Int(after_id), Bind::Int(limit_count)], |row| {
        Ok(OutboxRow { id: row.int(0)?, event_id: row.text(1)?, payload: row.bytes(2)? })
    })
}

/// Deletes the rows of these ids (ascending). Neighbours go in one statement.
pub(crate) fn delete_outbox(writer: &mut Writer<'_>, ids: &[i64]) -> Result<(), Problem> {
    let mut ranges: Vec<(i64, i64)> = Vec::new();
    for id in ids {
        match ranges.last_mut() {
            Some((_, last)) if last.checked_add(1) == Some(*id) => *last = *id,
            _ => ranges.push((*id, *id)),
        }
    }
    let binds = ranges.iter().map(|(first, last)| vec![Bind::Int(*first), Bind::Int(*last)]);
    writer.execute_many("DELETE FROM audit_outbox WHERE id BETWEEN $1 AND $2", binds)?;
    Ok(())
}
