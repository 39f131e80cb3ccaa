//! SQL of spans.

use kernel::Micros;
use vault::db::{DbError, Reader, Writer};

use crate::span_text::SpanRow;
use crate::types::TraceState;

/// How many bytes a span has that is kept already.
pub(crate) fn size(reader: &mut Reader<'_>, trace_row: i64, span_id: &str) -> Result<Option<i64>, DbError> {
    let sql = "SELECT size_bytes FROM trace_span WHERE trace_row = $1 AND span_id = $2";
    reader.query_one(sql, &[trace_row.into(), span_id.into()], |row| row.int(0))
}

/// Keeps a span, instead of the one of its id.
pub(crate) fn put(writer: &mut Writer<'_>, trace_row: i64, span: &SpanRow, size_bytes: i64) -> Result<(), DbError> {
    writer.execute(
        "INSERT INTO trace_span (trace_row, span_id, parent_span_id, name, kind, status, start_time_ns, end_time_ns, model, provider, \
         size_bytes, content) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12) \
         ON CONFLICT (trace_row, span_id) DO UPDATE SET parent_span_id = excluded.parent_span_id, name = excluded.name, \
         kind = excluded.kind, status = excluded.status, start_time_ns = excluded.start_time_ns, end_time_ns = excluded.end_time_ns, \
         model = excluded.model, provider = excluded.provider, size_bytes = excluded.size_bytes, content = excluded.content",
        &[
            trace_row.into(),
            (&span.span_id).into(),
            (&span.parent_span_id).into(),
            (&span.name).into(),
            (&span.kind).into(),
            span.status.word().into(),
            span.start_time_ns.into(),
            span.end_time_ns.into(),
            (&span.model).into(),
            (&span.provider).into(),
            size_bytes.into(),
            (&span.content).into(),
        ],
    )?;
    writer.execute_many(
        "INSERT INTO trace_span_metric (trace_row, span_id, key, value) VALUES ($1, $2, $3, $4) \
         ON CONFLICT (trace_row, span_id, key) DO UPDATE SET value = excluded.value",
        span.metrics.iter().map(|(key, value)| vec![trace_row.into(), (&span.span_id).into(), (*key).into(), (*value).into()]),
    )
}

/// The sums of the spans' tokens and costs, by key.
pub(crate) fn sums(reader: &mut Reader<'_>, trace_row: i64) -> Result<Vec<(String, f64)>, DbError> {
    let sql = "SELECT key, SUM(value) FROM trace_span_metric WHERE trace_row = $1 GROUP BY key ORDER BY key";
    reader.query(sql, &[trace_row.into()], |row| Ok((row.text(0)?, row.real(1)?)))
}

/// What spans say of their trace.
pub(crate) struct Seen {
    pub(crate) span_count: i64,
    pub(crate) span_bytes: i64,
    /// The earliest start and the latest end among them.
    pub(crate) start_ms: i64,
    pub(crate) end_ms: Option<i64>,
    /// How the root ended.
    pub(crate) state: Option<TraceState>,
    pub(crate) request_preview: Option<String>,
    pub(crate) response_preview: Option<String>,
}

/// Puts what was seen into the trace's row. What a client said at the trace's end stays.
pub(crate) fn see(writer: &mut Writer<'_>, trace_row: i64, seen: &Seen, at: Micros) -> Result<(), DbError> {
    writer.execute(
        "UPDATE trace SET span_count = $1, span_bytes = $2, changed_at = $3, \
         request_preview = COALESCE(request_preview, $4), response_preview = COALESCE(response_preview, $5) WHERE trace_row = $6",
        &[
            seen.span_count.into(),
            seen.span_bytes.into(),
            at.0.into(),
            (&seen.request_preview).into(),
            (&seen.response_preview).into(),
            trace_row.into(),
        ],
    )?;
    if let Some(state) = seen.state {
        writer.execute(
            "UPDATE trace SET state = $1 WHERE trace_row = $2 AND state IN ('IN_PROGRESS', 'STATE_UNSPECIFIED')",
            &[state.word().into(), trace_row.into()],
        )?;
    }
    // The end first, while the old start still stands in the row.
    if let Some(end_ms) = seen.end_ms {
        writer.execute(
            "UPDATE trace SET duration_ms = $1 - request_time_ms \
             WHERE trace_row = $2 AND finalized = 0 AND (duration_ms IS NULL OR request_time_ms + duration_ms < $3)",
            &[end_ms.into(), trace_row.into(), end_ms.into()],
        )?;
    }
    writer.execute(
        "UPDATE trace SET duration_ms = duration_ms + (request_time_ms - $1), request_time_ms = $2 \
         WHERE trace_row = $3 AND finalized = 0 AND request_time_ms > $4",
        &[seen.start_ms.into(), seen.start_ms.into(), trace_row.into(), seen.start_ms.into()],
    )?;
    Ok(())
}

/// A trace's spans: the root first, then by start.
pub(crate) fn contents(reader: &mut Reader<'_>, trace_row: i64) -> Result<Vec<String>, DbError> {
    reader.query(
        "SELECT content FROM trace_span WHERE trace_row = $1 \
         ORDER BY CASE WHEN parent_span_id IS NULL THEN 0 ELSE 1 END, start_time_ns, span_id",
        &[trace_row.into()],
        |row| row.text(0),
    )
}

/// Whether a trace's client said that it is whole, and of how many spans.
pub(crate) fn promised(reader: &mut Reader<'_>, trace_row: i64) -> Result<Option<String>, DbError> {
    let sql = "SELECT value FROM trace_metadata WHERE trace_row = $1 AND key = 'mlflow.trace.sizeStats'";
    reader.query_one(sql, &[trace_row.into()], |row| row.text(0))
}
