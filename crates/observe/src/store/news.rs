//! News for receivers outside.

use kernel::Micros;
use vault::db::{DbError, Reader, Writer};

use crate::limits::{DELIVERY_ATTEMPTS_MAX, DELIVERY_ROUND_COUNT};
use crate::types::News;

/// News that waits.
#[derive(Clone, Debug)]
pub(crate) struct Due {
    pub(crate) id: String,
    pub(crate) alert: String,
    pub(crate) news: News,
    pub(crate) attempts: i64,
}

pub(crate) fn add(writer: &mut Writer<'_>, targets: &[String], alert: &str, news: News, at: Micros) -> Result<(), DbError> {
    for target in targets {
        let sql = "INSERT INTO observe_delivery (delivery_id, target, alert_id, news, attempts, next_at) VALUES ($1, $2, $3, $4, 0, $5)";
        writer.execute(sql, &[(&kernel::random_id()).into(), target.into(), alert.into(), news.word().into(), at.0.into()])?;
    }
    Ok(())
}

/// What is to be sent to a receiver now, the oldest first.
pub(crate) fn due(reader: &mut Reader<'_>, target: &str, at: Micros) -> Result<Vec<Due>, DbError> {
    let sql = "SELECT delivery_id, alert_id, news, attempts FROM observe_delivery
               WHERE delivered_at IS NULL AND next_at <= $1 AND attempts < $2 AND target = $3 ORDER BY next_at LIMIT $4";
    let count = i64::try_from(DELIVERY_ROUND_COUNT).unwrap_or(i64::MAX);
    reader.query(sql, &[at.0.into(), DELIVERY_ATTEMPTS_MAX.into(), target.into(), count.into()], |row| {
        Ok(Due {
            id: row.text(0)?,
            alert: row.text(1)?,
            news: News::parse(&row.text(2)?).ok_or(DbError::Shape(2))?,
            attempts: row.int(3)?,
        })
    })
}

pub(crate) fn delivered(writer: &mut Writer<'_>, id: &str, at: Micros) -> Result<(), DbError> {
    writer.execute(
        "UPDATE observe_delivery SET delivered_at = $1, fault = NULL WHERE delivery_id = $2",
        &[at.0.into(), id.into()],
    )?;
    Ok(())
}

pub(crate) fn failed(writer: &mut Writer<'_>, id: &str, next_at: Micros, fault: &str) -> Result<(), DbError> {
    let sql = "UPDATE observe_delivery SET attempts = attempts + 1, next_at = $1, fault = $2 WHERE delivery_id = $3";
    writer.execute(sql, &[next_at.0.into(), fault.into(), id.into()])?;
    Ok(())
}

/// Takes away what was settled before a moment.
pub(crate) fn sweep(writer: &mut Writer<'_>, before: Micros) -> Result<(), DbError> {
    writer.execute("DELETE FROM observe_delivery WHERE next_at < $1", &[before.0.into()])?;
    Ok(())
}
