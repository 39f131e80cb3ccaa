//! The SQL of how endpoints are guarded.

use ::guard::Level;
use kernel::Micros;
use vault::db::{Bind, DbError, Reader, Writer};

use crate::guard::{GuardSettings, RangePolicy};

/// How an endpoint is guarded, where somebody said so.
pub(crate) fn settings(reader: &mut Reader<'_>, endpoint_id: &str) -> Result<Option<GuardSettings>, DbError> {
    let sql = "SELECT rows_per_day, digits, top_k, ranges, unlike, ladder FROM endpoint_guard WHERE endpoint_id = $1";
    reader.query_one(sql, &[endpoint_id.into()], |row| {
        Ok(GuardSettings {
            rows_per_day: row.opt_int(0)?.map(u64::try_from).transpose().map_err(|_| DbError::Shape(0))?,
            digits: row.opt_int(1)?.map(u8::try_from).transpose().map_err(|_| DbError::Shape(1))?,
            top_k: row.opt_int(2)?.map(u16::try_from).transpose().map_err(|_| DbError::Shape(2))?,
            ranges: RangePolicy::parse(&row.text(3)?).map_err(|_| DbError::Shape(3))?,
            unlike: Level::parse(&row.text(4)?).ok_or(DbError::Shape(4))?,
            ladder: row.flag(5)?,
        })
    })
}

/// The id of an account that is named by id or name: no name looks like an id.
pub(crate) fn account(reader: &mut Reader<'_>, named: &str) -> Result<Option<String>, DbError> {
    let sql = "SELECT id FROM principal WHERE (id = $1 OR name = $2) AND kind <> 'group'";
    reader.query_one(sql, &[named.into(), (&named.to_ascii_lowercase()).into()], |row| row.text(0))
}

pub(crate) fn set(
    writer: &mut Writer<'_>,
    endpoint_id: &str,
    settings: &GuardSettings,
    (at, by): (Micros, &str),
) -> Result<(), DbError> {
    let rows_per_day = settings.rows_per_day.map(|rows| i64::try_from(rows).unwrap_or(i64::MAX));
    let binds: [Bind<'_>; 9] = [
        endpoint_id.into(),
        rows_per_day.into(),
        settings.digits.map(i64::from).into(),
        settings.top_k.map(i64::from).into(),
        settings.ranges.word().into(),
        settings.unlike.word().into(),
        settings.ladder.into(),
        at.0.into(),
        by.into(),
    ];
    let sql =
        "INSERT INTO endpoint_guard (endpoint_id, rows_per_day, digits, top_k, ranges, unlike, ladder, changed_at, changed_by)
               VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
               ON CONFLICT (endpoint_id) DO UPDATE SET rows_per_day = excluded.rows_per_day, digits = excluded.digits,
                   top_k = excluded.top_k, ranges = excluded.ranges, unlike = excluded.unlike, ladder = excluded.ladder,
                   changed_at = excluded.changed_at, changed_by = excluded.changed_by";
    writer.execute(sql, &binds)?;
    Ok(())
}

pub(crate) fn delete(writer: &mut Writer<'_>, endpoint_id: &str) -> Result<(), DbError> {
    writer.execute("DELETE FROM endpoint_guard WHERE endpoint_id = $1", &[endpoint_id.into()])?;
    Ok(())
}
