//! SQL of traces' heads, tags and metadata.

use std::collections::HashMap;

use kernel::{Micros, Problem};
use vault::db::sql::{IN_COUNT_MAX, padded};
use vault::db::{DbError, Reader, Row, Writer};

use super::assessments;
use crate::attribution::{LOCATION, SPANS_HERE, SPANS_LOCATION};
use crate::types::{NewTrace, Pair, TraceInfo, TraceState};

/// The columns of a [`Head`].
pub(crate) const HEAD: &str = "t.trace_row, t.trace_id, t.experiment_id, t.request_time_ms, t.duration_ms, t.state, \
     t.client_request_id, t.request_preview, t.response_preview, t.span_count, t.span_bytes";

/// A trace's own row.
#[derive(Clone, Debug)]
pub(crate) struct Head {
    pub(crate) row: i64,
    pub(crate) info: TraceInfo,
    pub(crate) span_count: i64,
    pub(crate) span_bytes: i64,
}

pub(crate) fn head_of(row: &Row<'_>) -> Result<Head, DbError> {
    Ok(Head {
        row: row.int(0)?,
        info: TraceInfo {
            trace_id: row.text(1)?,
            experiment_id: row.int(2)?,
            request_time_ms: row.int(3)?,
            duration_ms: row.opt_int(4)?,
            state: TraceState::of_word(&row.text(5)?).unwrap_or_default(),
            client_request_id: row.opt_text(6)?,
            request_preview: row.opt_text(7)?,
            response_preview: row.opt_text(8)?,
            tags: Vec::new(),
            metadata: Vec::new(),
            assessments: Vec::new(),
        },
        span_count: row.int(9)?,
        span_bytes: row.int(10)?,
    })
}

/// A trace's row by its number.
pub(crate) fn head(reader: &mut Reader<'_>, row: i64) -> Result<Option<Head>, DbError> {
    reader.query_one(&format!("SELECT {HEAD} FROM trace t WHERE t.trace_row = $1"), &[row.into()], head_of)
}

/// A trace's row by its id, wherever it is.
pub(crate) fn head_by_id(reader: &mut Reader<'_>, trace_id: &str) -> Result<Option<Head>, DbError> {
    reader.query_one(&format!("SELECT {HEAD} FROM trace t WHERE t.trace_id = $1"), &[trace_id.into()], head_of)
}

/// Whether an experiment is in use, and where its artifacts go.
pub(crate) fn experiment(reader: &mut Reader<'_>, experiment_id: i64) -> Result<Option<(bool, String)>, DbError> {
    reader.query_one(
        "SELECT deleted, artifact_location FROM experiment WHERE experiment_id = $1",
        &[experiment_id.into()],
        |row| Ok((!row.flag(0)?, row.text(1)?)),
    )
}

/// Keeps a new trace; `None` where its id is taken.
pub(crate) fn insert(
    writer: &mut Writer<'_>,
    experiment_id: i64,
    trace: &NewTrace,
    finalized: bool,
    owner: &str,
    at: Micros,
) -> Result<Option<i64>, DbError> {
    writer.query_one(
        "INSERT INTO trace (trace_id, experiment_id, request_time_ms, duration_ms, state, finalized, span_count, span_bytes, owner, \
         changed_at, client_request_id, request_preview, response_preview) \
         VALUES ($1, $2, $3, $4, $5, $6, 0, 0, $7, $8, $9, $10, $11) ON CONFLICT DO NOTHING RETURNING trace_row",
        &[
            (&trace.trace_id).into(),
            experiment_id.into(),
            trace.request_time_ms.into(),
            trace.duration_ms.into(),
            trace.state.word().into(),
            finalized.into(),
            owner.into(),
            at.0.into(),
            (&trace.client_request_id).into(),
            (&trace.request_preview).into(),
            (&trace.response_preview).into(),
        ],
        |row| row.int(0),
    )
}

/// Puts what a client says at the end of a trace over what is known of it. Previews that it leaves out stay.
pub(crate) fn finalize(writer: &mut Writer<'_>, row: i64, trace: &NewTrace, at: Micros) -> Result<(), DbError> {
    writer.execute(
        "UPDATE trace SET request_time_ms = $1, duration_ms = $2, state = $3, finalized = 1, changed_at = $4, client_request_id = $5, \
         request_preview = COALESCE($6, request_preview), response_preview = COALESCE($7, response_preview) WHERE trace_row = $8",
        &[
            trace.request_time_ms.into(),
            trace.duration_ms.into(),
            trace.state.word().into(),
            at.0.into(),
            (&trace.client_request_id).into(),
            (&trace.request_preview).into(),
            (&trace.response_preview).into(),
            row.into(),
        ],
    )?;
    Ok(())
}

/// Ends a trace: its state, and how long it took.
pub(crate) fn end(writer: &mut Writer<'_>, row: i64, end_time_ms: i64, state: TraceState, at: Micros) -> Result<(), DbError> {
    writer.execute(
        "UPDATE trace SET duration_ms = $1 - request_time_ms, state = $2, finalized = 1, changed_at = $3 WHERE trace_row = $4",
        &[end_time_ms.into(), state.word().into(), at.0.into(), row.into()],
    )?;
    Ok(())
}

/// Marks a trace as changed. Its row is this transaction's until the end, so that nobody deletes it meanwhile. `false` where it
/// is gone.
pub(crate) fn touch(writer: &mut Writer<'_>, row: i64, at: Micros) -> Result<bool, DbError> {
    Ok(writer.execute("UPDATE trace SET changed_at = $1 WHERE trace_row = $2", &[at.0.into(), row.into()])? > 0)
}

pub(crate) fn put_tags(writer: &mut Writer<'_>, row: i64, tags: &[Pair]) -> Result<(), DbError> {
    put_pairs(writer, "trace_tag", row, tags)
}

pub(crate) fn put_metadata(writer: &mut Writer<'_>, row: i64, metadata: &[Pair]) -> Result<(), DbError> {
    put_pairs(writer, "trace_metadata", row, metadata)
}

fn put_pairs(writer: &mut Writer<'_>, table: &str, row: i64, pairs: &[Pair]) -> Result<(), DbError> {
    writer.execute_many(
        &format!(
            "INSERT INTO {table} (trace_row, key, value) VALUES ($1, $2, $3) \
             ON CONFLICT (trace_row, key) DO UPDATE SET value = excluded.value"
        ),
        pairs.iter().map(|(key, value)| vec![row.into(), key.into(), value.into()]),
    )
}

/// Keeps an entry of the metadata unless there is one.
pub(crate) fn add_metadata(writer: &mut Writer<'_>, row: i64, key: &str, value: &str) -> Result<(), DbError> {
    writer.execute(
        "INSERT INTO trace_metadata (trace_row, key, value) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING",
        &[row.into(), key.into(), value.into()],
    )?;
    Ok(())
}

/// How many tags and metadata entries a trace has.
pub(crate) fn pair_counts(reader: &mut Reader<'_>, row: i64) -> Result<(i64, i64), DbError> {
    let mut count = |table: &str| {
        let sql = format!("SELECT COUNT(*) FROM {table} WHERE trace_row = $1");
        reader.query_one(&sql, &[row.into()], |found| found.int(0)).map(Option::unwrap_or_default)
    };
    Ok((count("trace_tag")?, count("trace_metadata")?))
}

pub(crate) fn put_metrics<'a>(
    writer: &mut Writer<'_>,
    row: i64,
    metrics: impl Iterator<Item = (&'a str, f64)>,
) -> Result<(), DbError> {
    writer.execute_many(
        "INSERT INTO trace_metric (trace_row, key, value) VALUES ($1, $2, $3) \
         ON CONFLICT (trace_row, key) DO UPDATE SET value = excluded.value",
        metrics.map(|(key, value)| vec![row.into(), key.into(), value.into()]),
    )
}

pub(crate) fn delete_tag(writer: &mut Writer<'_>, row: i64, key: &str) -> Result<bool, DbError> {
    Ok(writer.execute("DELETE FROM trace_tag WHERE trace_row = $1 AND key = $2", &[row.into(), key.into()])? > 0)
}

/// Links traces to a run, each with the experiment in which the link holds.
pub(crate) fn link_run(writer: &mut Writer<'_>, run_id: &str, links: &[(String, i64)]) -> Result<(), DbError> {
    writer.execute_many(
        "INSERT INTO trace_run (run_id, trace_id, experiment_id) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING",
        links.iter().map(|(trace_id, experiment)| vec![run_id.into(), trace_id.into(), (*experiment).into()]),
    )
}

pub(crate) fn link_prompts(writer: &mut Writer<'_>, row: i64, prompts: &[String]) -> Result<(), DbError> {
    writer.execute_many(
        "INSERT INTO trace_prompt (prompt, trace_row) VALUES ($1, $2) ON CONFLICT DO NOTHING",
        prompts.iter().map(|prompt| vec![prompt.into(), row.into()]),
    )
}

/// Takes traces away with all that hangs on them, but their files.
pub(crate) fn delete(writer: &mut Writer<'_>, found: &[(i64, String)]) -> Result<(), DbError> {
    const TABLES: [&str; 8] = [
        "trace_tag",
        "trace_metadata",
        "trace_metric",
        "trace_span",
        "trace_span_metric",
        "trace_assessment",
        "trace_prompt",
        "trace",
    ];
    for table in TABLES {
        writer.execute_many(
            &format!("DELETE FROM {table} WHERE trace_row = $1"),
            found.iter().map(|(row, _)| vec![(*row).into()]),
        )?;
    }
    writer.execute_many("DELETE FROM trace_run WHERE trace_id = $1", found.iter().map(|(_, trace_id)| vec![trace_id.into()]))
}

/// Heads with their tags, metadata and assessments.
pub(crate) fn with_data(reader: &mut Reader<'_>, heads: Vec<Head>) -> Result<Vec<TraceInfo>, Problem> {
    let mut all = Vec::with_capacity(heads.len());
    let mut rest = heads;
    while !rest.is_empty() {
        let after = rest.split_off(rest.len().min(IN_COUNT_MAX));
        all.extend(chunk_with_data(reader, rest)?);
        rest = after;
    }
    Ok(all)
}

fn chunk_with_data(reader: &mut Reader<'_>, mut heads: Vec<Head>) -> Result<Vec<TraceInfo>, Problem> {
    let rows: Vec<i64> = heads.iter().map(|head| head.row).collect();
    let at: HashMap<i64, usize> = rows.iter().enumerate().map(|(index, row)| (*row, index)).collect();
    let (places, binds) = padded(&rows);
    let mut locations: HashMap<i64, String> = HashMap::new();
    for head in &mut heads {
        let experiment_id = head.info.experiment_id;
        if let std::collections::hash_map::Entry::Vacant(entry) = locations.entry(experiment_id) {
            entry.insert(experiment(reader, experiment_id)?.map(|(_, location)| location).unwrap_or_default());
        }
        let location = locations.get(&experiment_id).map(String::as_str).unwrap_or_default();
        head.info.tags.push((LOCATION.to_owned(), location_of(location, &head.info.trace_id)));
        if head.span_count > 0 {
            head.info.tags.push((SPANS_LOCATION.to_owned(), SPANS_HERE.to_owned()));
        }
    }
    for (table, is_tag) in [("trace_tag", true), ("trace_metadata", false)] {
        let sql = format!("SELECT trace_row, key, value FROM {table} WHERE trace_row IN {places} ORDER BY trace_row, key");
        reader.for_each(&sql, &binds, |row| {
            if let Some(head) = at.get(&row.int(0)?).and_then(|index| heads.get_mut(*index)) {
                let list = if is_tag { &mut head.info.tags } else { &mut head.info.metadata };
                list.push((row.text(1)?, row.text(2)?));
            }
            Ok(())
        })?;
    }
    assessments::of_rows(reader, &places, &binds, |row, assessment| {
        if let Some(head) = at.get(&row).and_then(|index| heads.get_mut(*index)) {
            head.info.assessments.push(assessment);
        }
    })?;
    Ok(heads.into_iter().map(|head| head.info).collect())
}

/// Where a trace's files go, inside its experiment's place.
fn location_of(experiment: &str, trace_id: &str) -> String {
    let (path, query) = match experiment.split_once('?') {
        Some((path, query)) => (path, format!("?{query}")),
        None => (experiment, String::new()),
    };
    format!("{}/traces/{trace_id}/artifacts{query}", path.trim_end_matches('/'))
}
