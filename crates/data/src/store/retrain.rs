//! The SQL of requests to train again.

use kernel::{Micros, hex, sha256};
use lineage::{Stemming, Trust};
use vault::db::{DbError, Reader, Writer};

use crate::types::{RetrainRequest, Trained};

/// What a request is about.
pub(crate) struct Asked<'a> {
    pub(crate) workspace: &'a str,
    /// The version that was trained on, as `NAME/NUMBER`.
    pub(crate) trained_on: &'a str,
    /// The version that takes its place, as `NAME/NUMBER`.
    pub(crate) replaced_by: &'a str,
    pub(crate) why: &'a str,
    pub(crate) at: Micros,
    pub(crate) by: &'a str,
}

/// Queues a request for each thing. Asked again for the same, nothing is added. Gives how many are new.
pub(crate) fn queue(writer: &mut Writer<'_>, asked: &Asked<'_>, things: &[Stemming]) -> Result<u64, DbError> {
    let mut count = 0;
    for thing in things {
        let (kind, name) = (thing.node.kind.word(), thing.node.name.as_str());
        let mut text = String::new();
        for part in [asked.workspace, asked.trained_on, asked.replaced_by, kind, name] {
            text.push_str(&format!("{} {part}", part.len()));
        }
        let digest = hex(&sha256(text.as_bytes()));
        let id = digest.get(..32).unwrap_or(&digest);
        count += writer.execute(
            "INSERT INTO retrain_request (request_id, workspace, trained_on, replaced_by, subject_kind, subject_name, trust, state,
                 why, asked_at, asked_by)
             VALUES ($1, $2, $3, $4, $5, $6, $7, 'queued', $8, $9, $10) ON CONFLICT (request_id) DO NOTHING",
            &[
                id.into(),
                asked.workspace.into(),
                asked.trained_on.into(),
                asked.replaced_by.into(),
                kind.into(),
                name.into(),
                thing.trust.word().into(),
                asked.why.into(),
                asked.at.0.into(),
                asked.by.into(),
            ],
        )?;
    }
    Ok(count)
}

/// The requests about a version, those of what it took the place of too; the oldest first.
pub(crate) fn about(reader: &mut Reader<'_>, workspace: &str, version: &str, count: i64) -> Result<Vec<RetrainRequest>, DbError> {
    let sql = "SELECT request_id, trained_on, replaced_by, subject_kind, subject_name, trust, state, why, asked_at, asked_by
               FROM retrain_request WHERE workspace = $1 AND (trained_on = $2 OR replaced_by = $2)
               ORDER BY asked_at, request_id LIMIT $3";
    reader.query(sql, &[workspace.into(), version.into(), count.into()], |row| {
        Ok(RetrainRequest {
            id: row.text(0)?,
            trained_on: row.text(1)?,
            replaced_by: row.text(2)?,
            subject: Trained {
                kind: row.text(3)?,
                name: row.text(4)?,
                label: None,
                trust: Trust::parse(&row.text(5)?),
                data: row.text(1)?,
            },
            state: row.text(6)?,
            why: row.text(7)?,
            asked_at: Micros(row.int(8)?),
            asked_by: row.text(9)?,
        })
    })
}
