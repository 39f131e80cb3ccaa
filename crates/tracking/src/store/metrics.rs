//! SQL of metrics: packed chunks for the history, one row per key for the latest point.

use std::collections::BTreeMap;

use kernel::{Kind, Problem};
use vault::db::sql::{IN_COUNT_MAX, padded};
use vault::db::{Bind, DbError, Reader, Writer};

use crate::limits;
use crate::points::{self, Point};
use crate::types::NewMetric;

const PUT_CHUNK: &str = "INSERT INTO metric_chunk (run_row, key, seq, points) VALUES ($1, $2, $3, $4)";
const PUT_LATEST: &str = "INSERT INTO latest_metric (run_row, key, value, is_nan, timestamp_ms, step) VALUES ($1, $2, $3, $4, $5, $6) \
     ON CONFLICT (run_row, key) DO UPDATE SET \
     value = excluded.value, is_nan = excluded.is_nan, timestamp_ms = excluded.timestamp_ms, step = excluded.step \
     WHERE (excluded.step, excluded.timestamp_ms, excluded.value) > (latest_metric.step, latest_metric.timestamp_ms, latest_metric.value)";
/// The logged models' metrics, a table that `registry` reads.
const PUT_MODEL_METRIC: &str = "INSERT INTO logged_model_metric \
     (model_id, experiment_id, run_id, name, timestamp_ms, step, value, is_nan, dataset_name, dataset_digest) \
     VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10) ON CONFLICT DO NOTHING";

/// Counts one more logging of metrics to a run that is in use, and gives that count: it tells the run's chunks apart.
/// `None` where the run is deleted.
pub(crate) fn next_seq(writer: &mut Writer<'_>, run_row: i64) -> Result<Option<i64>, DbError> {
    writer.query_one(
        "UPDATE run SET metric_seq = metric_seq + 1 WHERE run_row = $1 AND deleted = 0 RETURNING metric_seq",
        &[run_row.into()],
        |row| row.int(0),
    )
}

/// Logs points: one chunk for each key, and the latest point where it is later than the one known.
pub(crate) fn put(writer: &mut Writer<'_>, run_row: i64, seq: i64, metrics: &[NewMetric]) -> Result<(), DbError> {
    // By key, because neighbours in the table are cheap to write one after the other.
    let mut by_key: BTreeMap<&str, Vec<Point>> = BTreeMap::new();
    for metric in metrics {
        let point = Point { timestamp_ms: metric.timestamp_ms, step: metric.step, value: metric.value };
        by_key.entry(&metric.key).or_default().push(point);
    }
    let packed: Vec<(&str, Vec<u8>)> = by_key.iter().map(|(key, points)| (*key, points::pack(points))).collect();
    writer.execute_many(
        PUT_CHUNK,
        packed.iter().map(|(key, bytes)| vec![run_row.into(), Bind::Text(key), seq.into(), Bind::Bytes(bytes)]),
    )?;
    writer.execute_many(
        PUT_LATEST,
        by_key.iter().filter_map(|(key, points)| {
            let latest = points.iter().copied().reduce(|best, point| if point.is_later_than(&best) { point } else { best })?;
            Some(vec![
                run_row.into(),
                Bind::Text(key),
                latest.rank().into(),
                latest.value.is_nan().into(),
                latest.timestamp_ms.into(),
                latest.step.into(),
            ])
        }),
    )
}

/// Logs the points that measure a logged model of the run's own experiment. A point about any other model stays with the
/// run alone: leave to log to a run is no leave to write about models elsewhere.
pub(crate) fn put_model_metrics(
    writer: &mut Writer<'_>,
    experiment_id: i64,
    run_id: &str,
    metrics: &[NewMetric],
) -> Result<(), DbError> {
    let mut own = BTreeMap::new();
    for model_id in metrics.iter().filter_map(|metric| metric.model_id.as_deref()) {
        if !own.contains_key(model_id) {
            let found = writer.query_one(
                "SELECT 1 FROM logged_model WHERE model_id = $1 AND experiment_id = $2",
                &[model_id.into(), experiment_id.into()],
                |_| Ok(()),
            )?;
            own.insert(model_id, found.is_some());
        }
    }
    writer.execute_many(
        PUT_MODEL_METRIC,
        metrics.iter().filter_map(|metric| {
            let model_id = metric.model_id.as_deref().filter(|id| own.get(id) == Some(&true))?;
            let value = if metric.value.is_nan() { 0.0 } else { metric.value };
            Some(vec![
                model_id.into(),
                experiment_id.into(),
                run_id.into(),
                (&metric.key).into(),
                metric.timestamp_ms.into(),
                metric.step.into(),
                value.into(),
                metric.value.is_nan().into(),
                (&metric.dataset_name).into(),
                (&metric.dataset_digest).into(),
            ])
        }),
    )
}

/// The whole history of one metric, in its order.
pub(crate) fn history(reader: &mut Reader<'_>, run_row: i64, key: &str) -> Result<Vec<Point>, Problem> {
    let mut all = Vec::new();
    let mut whole = true;
    let mut too_many = false;
    reader.for_each(
        "SELECT points FROM metric_chunk WHERE run_row = $1 AND key = $2 ORDER BY seq",
        &[run_row.into(), key.into()],
        |row| {
            too_many |= all.len() > limits::HISTORY_POINT_COUNT_MAX;
            if !too_many {
                whole &= points::unpack(&row.bytes(0)?, &mut all);
            }
            Ok(())
        },
    )?;
    if !whole {
        return Err(Problem::new(Kind::Internal, "a chunk of the metric's history is damaged; restore it from a backup"));
    }
    if too_many {
        let text =
            format!("this metric has more than {} points, too many to read; log fewer steps", limits::HISTORY_POINT_COUNT_MAX);
        return Err(Problem::new(Kind::TooLarge, text));
    }
    points::settle(&mut all);
    Ok(all)
}

/// Of the runs named, those of these experiments' workspace that may be read, as (row, id), by id.
pub(crate) fn rows_of_runs(
    reader: &mut Reader<'_>,
    workspace_id: &str,
    scope: &gate::Scope,
    run_ids: &[String],
) -> Result<Vec<(i64, String)>, DbError> {
    let granted: Option<&[i64]> = match scope {
        gate::Scope::Nothing | gate::Scope::Workspaces(_) | gate::Scope::Datasets(_) => return Ok(Vec::new()),
        gate::Scope::Workspace => None,
        gate::Scope::Only { experiments, .. } => Some(experiments),
    };
    let mut found = Vec::new();
    for run_id in run_ids.iter().filter(|id| !id.contains('\0')) {
        let row = reader.query_one(
            "SELECT r.run_row, r.run_id, r.experiment_id FROM run r JOIN experiment e ON e.experiment_id = r.experiment_id \
             WHERE r.run_id = $1 AND e.workspace_id = $2",
            &[run_id.into(), workspace_id.into()],
            |row| Ok((row.int(0)?, row.text(1)?, row.int(2)?)),
        )?;
        if let Some((row, id, experiment)) = row
            && granted.is_none_or(|ids| ids.contains(&experiment))
        {
            found.push((row, id));
        }
    }
    found.sort_by(|a, b| a.1.cmp(&b.1));
    found.dedup();
    Ok(found)
}

/// The latest points of runs, handed to `each` with the run's row.
pub(super) fn latest(
    reader: &mut Reader<'_>,
    run_rows: &[i64],
    mut each: impl FnMut(i64, crate::types::MetricPoint),
) -> Result<(), DbError> {
    debug_assert!(run_rows.len() <= IN_COUNT_MAX);
    let (places, binds) = padded(run_rows);
    let sql = format!(
        "SELECT run_row, key, value, is_nan, timestamp_ms, step FROM latest_metric WHERE run_row IN {places} ORDER BY run_row, key"
    );
    reader.for_each(&sql, &binds, |row| {
        let value = if row.flag(3)? { f64::NAN } else { row.real(2)? };
        each(row.int(0)?, crate::types::MetricPoint { key: row.text(1)?, value, timestamp_ms: row.int(4)?, step: row.int(5)? });
        Ok(())
    })
}
