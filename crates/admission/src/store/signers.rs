//! The SQL of signer policies.

use kernel::{Kind, Micros, Problem, sha256};
use vault::db::{Bind, DbError, Reader, Writer};

use crate::limits::SIGNERS_COUNT_MAX;
use crate::signers::{Signers, SignersSet};

/// The policy of a workspace that counts now, if one was ever set.
pub(crate) fn last(reader: &mut Reader<'_>, workspace: &str) -> Result<Option<SignersSet>, DbError> {
    let sql =
        "SELECT number, document, sha256, set_at, set_by FROM signer_policy WHERE workspace = $1 ORDER BY number DESC LIMIT 1";
    reader.query_one(sql, &[workspace.into()], |row| {
        Ok(SignersSet {
            number: row.int(0)?,
            signers: serde_json::from_str(&row.text(1)?).map_err(|_| DbError::Shape(1))?,
            sha256: row.bytes(2)?.try_into().map_err(|_| DbError::Shape(2))?,
            set_at: Micros(row.int(3)?),
            set_by: row.text(4)?,
        })
    })
}

/// Makes `signers` the policy that counts.
pub(crate) fn set(
    writer: &mut Writer<'_>,
    workspace: &str,
    signers: Signers,
    (set_at, set_by): (Micros, String),
) -> Result<SignersSet, Problem> {
    let number = last(writer, workspace)?.map_or(0, |last| last.number).saturating_add(1);
    if number > SIGNERS_COUNT_MAX {
        return Err(Problem::new(Kind::TooMany, format!("a workspace's signers are changed at most {SIGNERS_COUNT_MAX} times")));
    }
    let document = serde_json::to_string(&signers).map_err(|e| Problem::internal("the signers cannot be written", e))?;
    let sha256 = sha256(document.as_bytes());
    writer.execute(
        "INSERT INTO signer_policy (workspace, number, document, sha256, set_at, set_by) VALUES ($1, $2, $3, $4, $5, $6)",
        &[workspace.into(), number.into(), (&document).into(), Bind::Bytes(&sha256), set_at.0.into(), (&set_by).into()],
    )?;
    Ok(SignersSet { number, signers, sha256, set_at, set_by })
}
