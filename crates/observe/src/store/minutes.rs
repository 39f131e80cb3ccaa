//! Minutes, references, predictions and gauges.

use std::collections::BTreeMap;

use kernel::{Micros, Problem};
use vault::db::{Bind, DbError, Reader, Writer};
use watch::{Confusion, Reference, Tally};

use crate::collector::{Kept, Key, Waiting};
use crate::types::Label;

/// Labelled rows that are looked at.
const LABELLED_COUNT_MAX: i64 = 20_000;

fn unreadable(error: serde_json::Error) -> Problem {
    Problem::internal("a row of what was seen cannot be read", error)
}

/// Writes down what was taken out of the collector; a minute that is there already grows.
pub(crate) fn write(
    writer: &mut Writer<'_>,
    source: &str,
    at: Micros,
    taken: &[(Key, Waiting)],
    slow_us: u64,
) -> Result<(), Problem> {
    for ((endpoint, version), waiting) in taken {
        for (minute, tally) in &waiting.minutes {
            let place: [Bind<'_>; 4] = [endpoint.into(), version.into(), (*minute).into(), source.into()];
            let sql =
                "SELECT tally FROM observe_minute WHERE endpoint_id = $1 AND version_id = $2 AND minute = $3 AND source = $4";
            let mut whole = tally.clone();
            if let Some(text) = writer.query_one(sql, &place, |row| row.text(0))? {
                whole.merge(&serde_json::from_str::<Tally>(&text).map_err(unreadable)?);
            }
            let text = serde_json::to_string(&whole).map_err(unreadable)?;
            writer.execute(
                "INSERT INTO observe_minute (endpoint_id, version_id, minute, source, workspace, answered, failed, slow, tally)
                 VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
                 ON CONFLICT (endpoint_id, version_id, minute, source) DO UPDATE SET answered = excluded.answered,
                     failed = excluded.failed, slow = excluded.slow, tally = excluded.tally",
                &[
                    endpoint.into(),
                    version.into(),
                    (*minute).into(),
                    source.into(),
                    (&waiting.workspace).into(),
                    count(whole.answered),
                    count(whole.failed),
                    count(whole.slower_than(slow_us)),
                    (&text).into(),
                ],
            )?;
        }
        if let Some(reference) = &waiting.reference {
            set_reference(writer, (endpoint, version), reference, at)?;
        }
        keep(writer, (endpoint, version), &waiting.predictions)?;
    }
    Ok(())
}

fn count(number: u64) -> Bind<'static> {
    i64::try_from(number).unwrap_or(i64::MAX).into()
}

fn set_reference(writer: &mut Writer<'_>, key: (&str, &str), reference: &Reference, at: Micros) -> Result<(), Problem> {
    let text = serde_json::to_string(reference).map_err(unreadable)?;
    let sql = "INSERT INTO observe_reference (endpoint_id, version_id, made_at, cells) VALUES ($1, $2, $3, $4)
               ON CONFLICT (endpoint_id, version_id) DO UPDATE SET cells = excluded.cells";
    writer.execute(sql, &[key.0.into(), key.1.into(), at.0.into(), (&text).into()])?;
    Ok(())
}

fn keep(writer: &mut Writer<'_>, (endpoint, version): (&str, &str), predictions: &[Kept]) -> Result<(), DbError> {
    let sql = "INSERT INTO observe_prediction (prediction_id, place, endpoint_id, version_id, predicted_at, predicted, sure)
               VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT (prediction_id, place) DO NOTHING";
    let rows = predictions.iter().map(|kept| {
        vec![
            (&kept.prediction).into(),
            kept.place.into(),
            endpoint.into(),
            version.into(),
            kept.at_us.into(),
            (&kept.predicted).into(),
            kept.sure.into(),
        ]
    });
    writer.execute_many(sql, rows)
}

pub(crate) fn reference(reader: &mut Reader<'_>, key: (&str, &str)) -> Result<Option<Reference>, Problem> {
    let sql = "SELECT cells FROM observe_reference WHERE endpoint_id = $1 AND version_id = $2";
    let text = reader.query_one(sql, &[key.0.into(), key.1.into()], |row| row.text(0))?;
    text.map(|text| serde_json::from_str(&text).map_err(unreadable)).transpose()
}

/// Version by version, minute by minute: what was seen of an endpoint since a minute.
pub(crate) fn of_endpoint(
    reader: &mut Reader<'_>,
    endpoint: &str,
    since_minute: i64,
) -> Result<BTreeMap<String, BTreeMap<i64, Tally>>, Problem> {
    let sql = "SELECT version_id, minute, tally FROM observe_minute WHERE endpoint_id = $1 AND minute >= $2 ORDER BY minute";
    let rows = reader.query(sql, &[endpoint.into(), since_minute.into()], |row| Ok((row.text(0)?, row.int(1)?, row.text(2)?)))?;
    let mut all: BTreeMap<String, BTreeMap<i64, Tally>> = BTreeMap::new();
    for (version, minute, text) in rows {
        let tally: Tally = serde_json::from_str(&text).map_err(unreadable)?;
        all.entry(version).or_default().entry(minute).or_default().merge(&tally);
    }
    Ok(all)
}

/// The version that answered last.
pub(crate) fn answering(versions: &BTreeMap<String, BTreeMap<i64, Tally>>) -> Option<&String> {
    let newest = |minutes: &BTreeMap<i64, Tally>| minutes.iter().rev().find(|(_, tally)| tally.answered > 0).map(|one| *one.0);
    versions.iter().filter_map(|(version, minutes)| Some((newest(minutes)?, version))).max().map(|one| one.1)
}

/// Bad and all requests of an endpoint since a minute: failed, or answered later than is good.
pub(crate) fn burned(reader: &mut Reader<'_>, endpoint: &str, since_minute: i64) -> Result<(u64, u64), DbError> {
    let sql = "SELECT COALESCE(CAST(SUM(failed) AS BIGINT), 0), COALESCE(CAST(SUM(answered + failed) AS BIGINT), 0)
               FROM observe_minute WHERE endpoint_id = $1 AND minute >= $2";
    let both = reader.query_one(sql, &[endpoint.into(), since_minute.into()], |row| Ok((row.int(0)?, row.int(1)?)))?;
    let (bad, all) = both.unwrap_or_default();
    Ok((u64::try_from(bad).unwrap_or(0), u64::try_from(all).unwrap_or(0)))
}

/// Rows with labels of a version.
pub(crate) fn labelled(reader: &mut Reader<'_>, key: (&str, &str), since: Micros) -> Result<Confusion, DbError> {
    let sql = "SELECT truth, predicted, sure FROM observe_prediction
               WHERE endpoint_id = $1 AND version_id = $2 AND labelled_at >= $3 ORDER BY labelled_at DESC LIMIT $4";
    let mut confusion = Confusion::default();
    reader.for_each(sql, &[key.0.into(), key.1.into(), since.0.into(), LABELLED_COUNT_MAX.into()], |row| {
        confusion.add(&row.text(0)?, &row.text(1)?, row.opt_real(2)?);
        Ok(())
    })?;
    Ok(confusion)
}

/// What became of a label.
#[derive(Clone, Copy)]
pub(crate) enum Taken {
    /// The row has it now.
    Stored,
    /// The row had it already.
    Repeated,
    /// There is no such row.
    Unknown,
}

/// Gives a row its label, or another one.
pub(crate) fn label(writer: &mut Writer<'_>, endpoint: &str, label: &Label, at: Micros, by: &str) -> Result<Taken, DbError> {
    let sql = "UPDATE observe_prediction SET truth = $1, labelled_at = $2, labelled_by = $3
               WHERE prediction_id = $4 AND place = $5 AND endpoint_id = $6 AND (truth IS NULL OR truth <> $1)";
    let binds = [(&label.truth).into(), at.0.into(), by.into(), (&label.prediction).into(), label.row.into(), endpoint.into()];
    if writer.execute(sql, &binds)? == 1 {
        return Ok(Taken::Stored);
    }
    let sql = "SELECT place FROM observe_prediction WHERE prediction_id = $1 AND place = $2 AND endpoint_id = $3";
    let found = writer.query_one(sql, &[(&label.prediction).into(), label.row.into(), endpoint.into()], |row| row.int(0))?;
    Ok(if found.is_some() { Taken::Repeated } else { Taken::Unknown })
}

pub(crate) fn write_gauges(
    writer: &mut Writer<'_>,
    source: &str,
    minute: i64,
    gauges: &[(&'static str, f64)],
) -> Result<(), DbError> {
    for (name, value) in gauges {
        let sql = "INSERT INTO observe_gauge (name, minute, source, value) VALUES ($1, $2, $3, $4)
                   ON CONFLICT (name, minute, source) DO UPDATE SET value = excluded.value";
        writer.execute(sql, &[(*name).into(), minute.into(), source.into(), (*value).into()])?;
    }
    Ok(())
}

/// A gauge of this server, minute by minute.
pub(crate) fn gauge(reader: &mut Reader<'_>, name: &str, source: &str, since_minute: i64) -> Result<Vec<f64>, DbError> {
    let sql = "SELECT value FROM observe_gauge WHERE name = $1 AND source = $2 AND minute >= $3 ORDER BY minute";
    reader.query(sql, &[name.into(), source.into(), since_minute.into()], |row| row.real(0))
}

/// Takes away what is older than it is kept.
pub(crate) fn sweep(writer: &mut Writer<'_>, oldest_minute: i64, oldest_prediction: Micros) -> Result<(), DbError> {
    writer.execute("DELETE FROM observe_minute WHERE minute < $1", &[oldest_minute.into()])?;
    writer.execute("DELETE FROM observe_gauge WHERE minute < $1", &[oldest_minute.into()])?;
    writer.execute("DELETE FROM observe_prediction WHERE predicted_at < $1", &[oldest_prediction.0.into()])?;
    Ok(())
}
