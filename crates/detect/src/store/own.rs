//! Rules that were written on this server.

use kernel::Micros;
use vault::db::{DbError, Reader, Row, Writer};

use crate::rules::OwnRules;

const COLUMNS: &str = "r.name, r.body, r.enabled, r.changed_at, r.changed_by, p.name, r.change_count";
const FROM: &str = "FROM detection_own_rules AS r LEFT JOIN principal AS p ON p.id = r.changed_by";

fn own_from(row: &Row<'_>) -> Result<OwnRules, DbError> {
    Ok(OwnRules {
        name: row.text(0)?,
        body: row.text(1)?,
        enabled: row.flag(2)?,
        changed_at: Micros(row.int(3)?),
        changed_by: row.text(4)?,
        changed_by_name: row.opt_text(5)?,
        change_count: row.int(6)?,
    })
}

/// All of them, by name.
pub(crate) fn own_rules(reader: &mut Reader<'_>) -> Result<Vec<OwnRules>, DbError> {
    reader.query(&format!("SELECT {COLUMNS} {FROM} ORDER BY r.name"), &[], own_from)
}

pub(crate) fn own_rule(reader: &mut Reader<'_>, name: &str) -> Result<Option<OwnRules>, DbError> {
    reader.query_one(&format!("SELECT {COLUMNS} {FROM} WHERE r.name = $1"), &[name.into()], own_from)
}

/// Tells how all of them stand from how they stood: when one was changed last, and how often those that there are were changed.
pub(crate) fn own_mark(reader: &mut Reader<'_>) -> Result<(i64, i64), DbError> {
    let sql = "SELECT COALESCE(MAX(changed_at), 0), CAST(COALESCE(SUM(change_count), 0) AS BIGINT) FROM detection_own_rules";
    Ok(reader.query_one(sql, &[], |row| Ok((row.int(0)?, row.int(1)?)))?.unwrap_or_default())
}

/// Writes one, in place of what has its name.
pub(crate) fn put_own(writer: &mut Writer<'_>, own: &OwnRules) -> Result<(), DbError> {
    writer.execute(
        "INSERT INTO detection_own_rules (name, body, enabled, changed_at, changed_by, change_count) VALUES ($1, $2, $3, $4, $5, $6)
         ON CONFLICT (name) DO UPDATE SET body = excluded.body, enabled = excluded.enabled, changed_at = excluded.changed_at,
             changed_by = excluded.changed_by, change_count = excluded.change_count",
        &[
            (&own.name).into(),
            (&own.body).into(),
            i64::from(own.enabled).into(),
            own.changed_at.0.into(),
            (&own.changed_by).into(),
            own.change_count.into(),
        ],
    )?;
    Ok(())
}

pub(crate) fn delete_own(writer: &mut Writer<'_>, name: &str) -> Result<u64, DbError> {
    writer.execute("DELETE FROM detection_own_rules WHERE name = $1", &[name.into()])
}
