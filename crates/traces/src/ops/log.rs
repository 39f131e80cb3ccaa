//! Logs spans. A trace that nobody has named yet comes into being with its first one.

use std::collections::BTreeMap;

use gate::{Action, Operation, Outcome, Permit, Target};
use kernel::{Kind, Micros, Problem};
use serde_json::{Map, Value};
use vault::db::Writer;

use crate::span_text::{self, COST_KEYS, SpanRow, TOKEN_KEYS};
use crate::store::spans::{self, Seen};
use crate::store::traces;
use crate::types::{NewSpan, NewTrace, SpanStatus, TraceState};
use crate::{Traces, limits};

const SESSION: &str = "mlflow.trace.session";
const USER: &str = "mlflow.trace.user";
const TOKENS: &str = "mlflow.trace.tokenUsage";
const COST: &str = "mlflow.trace.cost";

/// Logs spans to traces of an experiment, all of them or none. Gives how many.
pub struct LogSpans {
    /// The room.
    pub room: Traces,
    /// The experiment.
    pub experiment_id: String,
    /// The spans; they may belong to several traces.
    pub spans: Vec<NewSpan>,
}

impl Operation for LogSpans {
    const ACTION: Action = super::TRACES_LOG;
    type Output = usize;

    fn target(&self) -> Target {
        Target::Experiment(self.experiment_id.clone())
    }

    async fn run(self, permit: Permit<Self>) -> Result<usize, Problem> {
        if self.spans.len() > limits::REQUEST_SPAN_COUNT_MAX {
            let text =
                format!("at most {} spans may be logged at once, got {}", limits::REQUEST_SPAN_COUNT_MAX, self.spans.len());
            return Err(Problem::new(Kind::TooLarge, text));
        }
        let experiment = super::experiment_row(&permit, &self.experiment_id)?;
        let mut by_trace: BTreeMap<String, Vec<SpanRow>> = BTreeMap::new();
        for span in &self.spans {
            let row = span_text::row_of(span)?;
            by_trace.entry(row.trace_id.clone()).or_default().push(row);
        }
        let count = self.spans.len();
        let (owner, at) = (permit.caller().id.clone(), permit.entry().at);
        self.room
            .db
            .write(&permit, move |tx| {
                super::active_experiment(tx, experiment)?;
                let trace_count = by_trace.len();
                for (trace_id, spans) in &by_trace {
                    log(tx, experiment, trace_id, spans, &owner, at)?;
                }
                let outcome = Outcome::done().resource(experiment.to_string()).with("traces", trace_count).with("spans", count);
                Ok((count, outcome))
            })
            .await
    }
}

fn log(tx: &mut Writer<'_>, experiment: i64, trace_id: &str, new: &[SpanRow], owner: &str, at: Micros) -> Result<(), Problem> {
    let head = begin(tx, experiment, trace_id, new, owner, at)?;
    let (mut span_count, mut span_bytes) = (head.span_count, head.span_bytes);
    for span in new {
        let size = i64::try_from(span.content.len()).unwrap_or(i64::MAX);
        match spans::size(tx, head.row, &span.span_id)? {
            Some(before) => span_bytes -= before,
            None => span_count += 1,
        }
        span_bytes = span_bytes.saturating_add(size);
        if span_count > limits::TRACE_SPAN_COUNT_MAX || span_bytes > limits::TRACE_BYTES_MAX {
            let (count, bytes) = (limits::TRACE_SPAN_COUNT_MAX, limits::TRACE_BYTES_MAX);
            return Err(Problem::new(Kind::TooLarge, format!("a trace has at most {count} spans of {bytes} bytes in all")));
        }
        spans::put(tx, head.row, span, size)?;
    }
    let root = new.iter().find(|span| span.parent_span_id.is_none());
    let (request_preview, response_preview) = root.map(|root| root.previews.clone()).unwrap_or_default();
    let (start_ms, end_ms) = times(new);
    let state = root.map(state_of);
    spans::see(tx, head.row, &Seen { span_count, span_bytes, start_ms, end_ms, state, request_preview, response_preview }, at)?;
    add_up(tx, head.row, new)
}

/// The trace's row: the one that is there, if it is in this experiment, or a new one.
fn begin(
    tx: &mut Writer<'_>,
    experiment: i64,
    trace_id: &str,
    new: &[SpanRow],
    owner: &str,
    at: Micros,
) -> Result<traces::Head, Problem> {
    if let Some(head) = traces::head_by_id(tx, trace_id)? {
        return held(tx, head, experiment, at);
    }
    let (start_ms, end_ms) = times(new);
    let root = new.iter().find(|span| span.parent_span_id.is_none());
    let trace = NewTrace {
        trace_id: trace_id.to_owned(),
        request_time_ms: start_ms,
        duration_ms: end_ms.map(|end| end - start_ms),
        state: root.map_or(TraceState::InProgress, state_of),
        ..NewTrace::default()
    };
    traces::insert(tx, experiment, &trace, false, owner, at)?;
    let head = traces::head_by_id(tx, trace_id)?.ok_or_else(super::taken)?;
    held(tx, head, experiment, at)
}

fn held(tx: &mut Writer<'_>, head: traces::Head, experiment: i64, at: Micros) -> Result<traces::Head, Problem> {
    if head.info.experiment_id != experiment {
        return Err(super::taken());
    }
    super::hold(tx, head.row, &head.info.trace_id, at)?;
    Ok(head)
}

/// The earliest start and the latest end, in milliseconds.
fn times(spans: &[SpanRow]) -> (i64, Option<i64>) {
    let start = spans.iter().map(|span| span.start_time_ns).min().unwrap_or(0) / 1_000_000;
    let end = spans.iter().filter_map(|span| span.end_time_ns).max().map(|end| end / 1_000_000);
    (start, end)
}

const fn state_of(root: &SpanRow) -> TraceState {
    match root.status {
        SpanStatus::Error => TraceState::Error,
        SpanStatus::Ok | SpanStatus::Unset => TraceState::Ok,
    }
}

/// Tokens, cost, session and user of the trace, unless its client said them itself.
fn add_up(tx: &mut Writer<'_>, row: i64, new: &[SpanRow]) -> Result<(), Problem> {
    for (key, found) in
        [(SESSION, new.iter().find_map(|span| span.session.as_ref())), (USER, new.iter().find_map(|span| span.user.as_ref()))]
    {
        if let Some(text) = found {
            traces::add_metadata(tx, row, key, text)?;
        }
    }
    if new.iter().all(|span| span.metrics.is_empty()) {
        return Ok(());
    }
    let sums = spans::sums(tx, row)?;
    let of =
        |keys: &[&str]| -> Vec<(String, f64)> { sums.iter().filter(|(key, _)| keys.contains(&key.as_str())).cloned().collect() };
    let (tokens, cost) = (of(&TOKEN_KEYS), of(&COST_KEYS));
    let finalized = tx
        .query_one("SELECT finalized FROM trace WHERE trace_row = $1", &[row.into()], |found| found.flag(0))?
        .unwrap_or_default();
    for (key, sums, whole) in [(TOKENS, &tokens, true), (COST, &cost, false)] {
        if sums.is_empty() {
            continue;
        }
        let text = Value::Object(sums.iter().map(|(name, sum)| (name.clone(), number(*sum, whole))).collect::<Map<_, _>>());
        if finalized {
            traces::add_metadata(tx, row, key, &span_text::json(&text))?;
        } else {
            traces::put_metadata(tx, row, &[(key.to_owned(), span_text::json(&text))])?;
        }
    }
    if !finalized {
        traces::put_metrics(tx, row, tokens.iter().map(|(key, sum)| (key.as_str(), *sum)))?;
    }
    Ok(())
}

#[expect(clippy::cast_possible_truncation, reason = "the range is checked first")]
fn number(sum: f64, whole: bool) -> Value {
    if whole && sum.fract() == 0.0 && sum.abs() < 9.0e15 { Value::from(sum as i64) } else { Value::from(sum) }
}
