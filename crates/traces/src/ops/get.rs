//! Reads a trace.

use gate::{Action, Operation, Permit, Target};
use kernel::{Kind, Problem};
use serde_json::Value;
use vault::db::Reader;

use crate::store::{spans, traces};
use crate::types::{StoredSpans, TraceInfo, TraceWithSpans, no_trace};
use crate::{Traces, limits};

/// Reads a trace's head.
pub struct GetTraceInfo {
    /// The room.
    pub room: Traces,
    /// Its id.
    pub trace_id: String,
}

impl Operation for GetTraceInfo {
    const ACTION: Action = super::TRACES_GET;
    type Output = TraceInfo;

    fn target(&self) -> Target {
        Target::Trace(self.trace_id.clone())
    }

    async fn run(self, permit: Permit<Self>) -> Result<TraceInfo, Problem> {
        let row = super::trace_row(&permit, &self.trace_id)?;
        let found = self.room.db.read_point(&permit, move |reader| match traces::head(reader, row)? {
            Some(head) => Ok(traces::with_data(reader, vec![head])?.pop()),
            None => Ok(None),
        });
        found.await?.ok_or_else(|| no_trace(&self.trace_id))
    }
}

/// Reads a trace with the spans that are kept here.
pub struct GetTrace {
    /// The room.
    pub room: Traces,
    /// Its id.
    pub trace_id: String,
    /// Whether a part of its spans will do.
    pub allow_partial: bool,
}

impl Operation for GetTrace {
    const ACTION: Action = super::TRACES_GET;
    type Output = TraceWithSpans;

    fn target(&self) -> Target {
        Target::Trace(self.trace_id.clone())
    }

    async fn run(self, permit: Permit<Self>) -> Result<TraceWithSpans, Problem> {
        let row = super::trace_row(&permit, &self.trace_id)?;
        let Self { trace_id, allow_partial, room } = self;
        room.db
            .read(&permit, move |reader| {
                let head = traces::head(reader, row)?.ok_or_else(|| no_trace(&trace_id))?;
                if head.span_count == 0 {
                    return Err(Problem::not_found("Trace data not stored in tracking store"));
                }
                if !allow_partial && !is_whole(reader, &head)? {
                    let text = format!("Trace with ID {trace_id} is not fully exported yet, please try again later.");
                    return Err(Problem::not_found(text));
                }
                let spans = spans::contents(reader, row)?;
                let info = traces::with_data(reader, vec![head])?.pop().ok_or_else(|| no_trace(&trace_id))?;
                Ok(TraceWithSpans { info, spans })
            })
            .await
    }
}

/// Whether all spans came that the client said there are.
pub(super) fn is_whole(reader: &mut Reader<'_>, head: &traces::Head) -> Result<bool, Problem> {
    let Some(text) = spans::promised(reader, head.row)? else { return Ok(true) };
    let promised = serde_json::from_str::<Value>(&text).ok().and_then(|stats| stats.get("num_spans")?.as_i64());
    Ok(promised.is_none_or(|count| head.span_count >= count))
}

/// Reads a trace's spans alone.
pub struct GetSpans {
    /// The room.
    pub room: Traces,
    /// The trace.
    pub trace_id: String,
}

impl Operation for GetSpans {
    const ACTION: Action = super::TRACES_GET;
    type Output = StoredSpans;

    fn target(&self) -> Target {
        Target::Trace(self.trace_id.clone())
    }

    async fn run(self, permit: Permit<Self>) -> Result<StoredSpans, Problem> {
        let row = super::trace_row(&permit, &self.trace_id)?;
        let all = self.room.db.read(&permit, move |reader| Ok(spans::contents(reader, row)?)).await?;
        Ok(if all.is_empty() { StoredSpans::Elsewhere } else { StoredSpans::Here(all) })
    }
}

/// That an answer with so many bytes of spans fits into memory.
pub(super) fn fits(span_bytes: i64) -> Result<(), Problem> {
    if span_bytes > limits::ANSWER_SPAN_BYTES_MAX {
        let text = format!(
            "the traces have {span_bytes} bytes of spans; at most {} are answered at once, ask for fewer",
            limits::ANSWER_SPAN_BYTES_MAX
        );
        return Err(Problem::new(Kind::TooLarge, text));
    }
    Ok(())
}
