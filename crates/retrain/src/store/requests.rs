//! The SQL of requests to train again, which cleaning a data set leaves.

use kernel::{Cursor, Micros};
use vault::db::{DbError, Reader, Row, Writer};

use crate::types::Request;

const COLUMNS: &str = "q.request_id, q.trained_on, q.replaced_by, q.subject_kind, q.subject_name, q.trust, q.state, q.why, q.asked_at, \
                       q.asked_by, m.name";

fn request_from(row: &Row<'_>) -> Result<Request, DbError> {
    let name = row.text(4)?;
    let number = name.rsplit_once('/').and_then(|(_, number)| number.parse().ok());
    Ok(Request {
        id: row.text(0)?,
        trained_on: row.text(1)?,
        replaced_by: row.text(2)?,
        kind: row.text(3)?,
        model: row.opt_text(10)?.zip(number),
        name,
        trust: row.text(5)?,
        state: row.text(6)?,
        why: row.text(7)?,
        asked_at: Micros(row.int(8)?),
        asked_by: row.text(9)?,
    })
}

/// A version of a model is named `MODEL_ID/NUMBER`, and only models have a name for people.
const JOINED: &str = "retrain_request q LEFT JOIN registered_model m ON q.subject_kind = 'model_version' \
                      AND q.subject_name LIKE m.model_id || '/%' AND m.workspace_id = q.workspace";

/// Requests of a workspace in the order in which they were asked.
pub(crate) fn list(
    reader: &mut Reader<'_>,
    workspace: &str,
    after: Option<&Cursor>,
    count: usize,
) -> Result<Vec<Request>, DbError> {
    let (at, id) = after.map_or((i64::MIN, ""), |after| (after.at.0, &after.id));
    let limit = i64::try_from(count).unwrap_or(i64::MAX);
    let sql = format!(
        "SELECT {COLUMNS} FROM {JOINED} WHERE q.workspace = $1 AND (q.asked_at, q.request_id) > ($2, $3)
         ORDER BY q.asked_at, q.request_id LIMIT $4"
    );
    reader.query(&sql, &[workspace.into(), at.into(), id.into(), limit.into()], request_from)
}

/// Takes a request that waits; gives whether it was one about this version.
pub(crate) fn take(writer: &mut Writer<'_>, workspace: &str, id: &str, subject: &str) -> Result<bool, DbError> {
    let changed = writer.execute(
        "UPDATE retrain_request SET state = 'taken' WHERE request_id = $1 AND workspace = $2 AND subject_kind = 'model_version'
             AND subject_name = $3 AND state = 'queued'",
        &[id.into(), workspace.into(), subject.into()],
    )?;
    Ok(changed == 1)
}

/// What became of a request that was taken: it is done, or waits again.
pub(crate) fn settle(writer: &mut Writer<'_>, id: &str, done: bool) -> Result<(), DbError> {
    let state = if done { "done" } else { "queued" };
    writer
        .execute("UPDATE retrain_request SET state = $1 WHERE request_id = $2 AND state = 'taken'", &[state.into(), id.into()])?;
    Ok(())
}
