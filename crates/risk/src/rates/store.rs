//! The SQL of shared rates: a row per rate, which is one number.

use kernel::{Micros, Problem};
use vault::db::Writer;

/// Takes `count` of a rate: moves its number forward by as many intervals, if it stays within what may be ahead. Gives whether it did.
pub(super) fn take(writer: &mut Writer<'_>, key: &str, taken: Taken, now: Micros) -> Result<bool, Problem> {
    let Taken { step_us, ahead_us_max } = taken;
    // What was never counted, or is over, begins now; a number that is too far ahead came of a clock that was set back.
    let sql = "INSERT INTO risk_rate (key, full_at) VALUES ($1, $2)
               ON CONFLICT (key) DO UPDATE SET full_at =
                 CASE WHEN risk_rate.full_at < $3 THEN $3 WHEN risk_rate.full_at > $4 THEN $4 ELSE risk_rate.full_at END + $5
               WHERE CASE WHEN risk_rate.full_at < $3 THEN $3 ELSE risk_rate.full_at END + $5 <= $4";
    let binds = [
        key.into(),
        now.0.saturating_add(step_us).into(),
        now.0.into(),
        now.0.saturating_add(ahead_us_max).into(),
        step_us.into(),
    ];
    Ok(writer.execute(sql, &binds)? > 0)
}

/// How far a rate's number moves, and how far it may be ahead.
#[derive(Clone, Copy, Debug)]
pub(super) struct Taken {
    pub(super) step_us: i64,
    pub(super) ahead_us_max: i64,
}

/// When a rate will be whole again.
pub(super) fn full_at(writer: &mut Writer<'_>, key: &str) -> Result<Micros, Problem> {
    let found = writer.query_one("SELECT full_at FROM risk_rate WHERE key = $1", &[key.into()], |row| row.int(0))?;
    Ok(Micros(found.unwrap_or(0)))
}

/// Forgets what is whole again.
pub(super) fn sweep(writer: &mut Writer<'_>, now: Micros) -> Result<(), Problem> {
    writer.execute("DELETE FROM risk_rate WHERE full_at < $1", &[now.0.into()])?;
    Ok(())
}
