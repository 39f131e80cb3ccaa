//! The row of the compliance clock.

use kernel::{Micros, Problem};
use vault::db::{Reader, Writer};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ClockRow {
    pub(crate) at: Micros,
    pub(crate) wall_at: Micros,
    /// How long servers ran, in microseconds.
    pub(crate) ran: i64,
    /// How much it was moved on for times when none did.
    pub(crate) granted: i64,
}

pub(crate) fn get(reader: &mut Reader<'_>) -> Result<Option<ClockRow>, Problem> {
    let sql = "SELECT at, wall_at, ran, granted FROM compliance_clock WHERE id = 1";
    Ok(reader.query_one(sql, &[], |row| {
        Ok(ClockRow { at: Micros(row.int(0)?), wall_at: Micros(row.int(1)?), ran: row.int(2)?, granted: row.int(3)? })
    })?)
}

pub(crate) fn put(writer: &mut Writer<'_>, row: &ClockRow) -> Result<(), Problem> {
    let sql = "INSERT INTO compliance_clock (id, at, wall_at, ran, granted) VALUES (1, $1, $2, $3, $4)
               ON CONFLICT (id) DO UPDATE SET at = excluded.at, wall_at = excluded.wall_at, ran = excluded.ran, granted = excluded.granted";
    writer.execute(sql, &[row.at.0.into(), row.wall_at.0.into(), row.ran.into(), row.granted.into()])?;
    Ok(())
}
