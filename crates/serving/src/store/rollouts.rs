//! Rollouts.

use kernel::Micros;
use vault::db::{DbError, Row, Writer};

use crate::rollout::{Mode, Rollout, Stops};
use crate::types::Choice;

/// The rollout in the columns from `first` on, if there is one.
pub(super) fn from(row: &Row<'_>, first: usize) -> Result<Option<Rollout>, DbError> {
    let Some(id) = row.opt_text(first)? else { return Ok(None) };
    let at = |place: usize| first.saturating_add(place);
    let small =
        |place: usize| -> Result<u16, DbError> { u16::try_from(row.int(at(place))?).map_err(|_| DbError::Shape(at(place))) };
    let disagreement = row.opt_int(at(5))?.map(u16::try_from).transpose().map_err(|_| DbError::Shape(at(5)))?;
    let slower = row.opt_int(at(6))?.map(u32::try_from).transpose().map_err(|_| DbError::Shape(at(6)))?;
    Ok(Some(Rollout {
        id,
        choice: Choice::parse(&row.text(at(1))?).map_err(|_| DbError::Shape(at(1)))?,
        mode: Mode::parse(&row.text(at(2))?).map_err(|_| DbError::Shape(at(2)))?,
        share_permille: small(3)?,
        stops: Stops { errors_permille: small(4)?, disagreement_permille: disagreement, slower_permille: slower },
        began_at: Micros(row.int(at(7))?),
        began_by: row.text(at(8))?,
        halted: row.opt_int(at(9))?.map(Micros).zip(row.opt_text(at(10))?),
    }))
}

/// Begins a rollout, or changes the one that there is.
pub(crate) fn begin(writer: &mut Writer<'_>, endpoint: &str, rollout: &Rollout) -> Result<(), DbError> {
    let choice = rollout.choice.to_string();
    let stops = rollout.stops;
    end(writer, endpoint)?;
    writer.execute(
        "INSERT INTO endpoint_rollout (endpoint_id, rollout_id, choice, mode, share_permille, errors_permille,
             disagreement_permille, slower_permille, began_at, began_by)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)",
        &[
            endpoint.into(),
            (&rollout.id).into(),
            (&choice).into(),
            rollout.mode.as_str().into(),
            i64::from(rollout.share_permille).into(),
            i64::from(stops.errors_permille).into(),
            stops.disagreement_permille.map(i64::from).into(),
            stops.slower_permille.map(i64::from).into(),
            rollout.began_at.0.into(),
            (&rollout.began_by).into(),
        ],
    )?;
    Ok(())
}

/// Ends what takes part.
pub(crate) fn end(writer: &mut Writer<'_>, endpoint: &str) -> Result<(), DbError> {
    writer.execute("DELETE FROM endpoint_rollout WHERE endpoint_id = $1", &[endpoint.into()])?;
    Ok(())
}

/// Writes down that a rollout ended by itself; false if it is gone or was halted already.
pub(crate) fn halt(writer: &mut Writer<'_>, rollout: &str, at: Micros, why: &str) -> Result<bool, DbError> {
    let sql = "UPDATE endpoint_rollout SET halted_at = $1, halted_why = $2 WHERE rollout_id = $3 AND halted_at IS NULL";
    Ok(writer.execute(sql, &[at.0.into(), why.into(), rollout.into()])? == 1)
}
