//! Keeps a trace: as MLflow 3's clients do at its end, or as MLflow 2's do at its beginning.

use gate::{Action, Operation, Outcome, Permit, Target};
use kernel::{Kind, Micros, Problem, random_id};
use serde_json::Value;
use vault::db::Writer;

use crate::span_text::TOKEN_KEYS;
use crate::store::{assessments, traces};
use crate::types::{Assessment, NewAssessment, NewTrace, Pair, TraceInfo, TraceState, no_trace};
use crate::{Traces, attribution, limits, rules};

/// The metadata that holds a trace's tokens, as JSON.
const TOKENS: &str = "mlflow.trace.tokenUsage";

/// Keeps a trace that has ended. What is known of it already, because its spans came first, is put over.
pub struct StartTrace {
    /// The room.
    pub room: Traces,
    /// The experiment.
    pub experiment_id: String,
    /// The trace.
    pub trace: NewTrace,
}

impl Operation for StartTrace {
    const ACTION: Action = super::TRACES_CREATE;
    type Output = TraceInfo;

    fn target(&self) -> Target {
        Target::Experiment(self.experiment_id.clone())
    }

    async fn run(self, permit: Permit<Self>) -> Result<TraceInfo, Problem> {
        let experiment = super::experiment_row(&permit, &self.experiment_id)?;
        keep(self.room, permit, experiment, self.trace, true).await
    }
}

/// Keeps a trace that begins; its id is made here.
pub struct BeginTrace {
    /// The room.
    pub room: Traces,
    /// The experiment.
    pub experiment_id: String,
    /// When it began, in the client's words.
    pub request_time_ms: i64,
    /// Its metadata.
    pub metadata: Vec<Pair>,
    /// Its tags.
    pub tags: Vec<Pair>,
}

impl Operation for BeginTrace {
    const ACTION: Action = super::TRACES_CREATE;
    type Output = TraceInfo;

    fn target(&self) -> Target {
        Target::Experiment(self.experiment_id.clone())
    }

    async fn run(self, permit: Permit<Self>) -> Result<TraceInfo, Problem> {
        let experiment = super::experiment_row(&permit, &self.experiment_id)?;
        let trace = NewTrace {
            trace_id: random_id(),
            request_time_ms: self.request_time_ms,
            state: TraceState::InProgress,
            tags: self.tags,
            metadata: self.metadata,
            ..NewTrace::default()
        };
        keep(self.room, permit, experiment, trace, false).await
    }
}

async fn keep<O: Operation>(
    room: Traces,
    permit: Permit<O>,
    experiment: i64,
    trace: NewTrace,
    finalized: bool,
) -> Result<TraceInfo, Problem> {
    let caller = permit.caller();
    let trace = NewTrace {
        tags: attribution::client_tags(trace.tags),
        metadata: attribution::client_metadata(trace.metadata, &caller.name),
        ..trace
    };
    let trace = rules::new_trace(trace)?;
    let (owner, at) = (caller.id.clone(), permit.entry().at);
    room.db
        .write(&permit, move |tx| {
            super::active_experiment(tx, experiment)?;
            let row = put(tx, experiment, &trace, finalized, &owner, at)?;
            traces::put_tags(tx, row, &trace.tags)?;
            traces::put_metadata(tx, row, &trace.metadata)?;
            within_counts(tx, row)?;
            traces::put_metrics(tx, row, tokens(&trace.metadata).into_iter())?;
            for assessment in trace.assessments {
                let assessment = made(assessment, at);
                assessments::put(tx, row, &assessment, &owner)?;
            }
            if assessments::count(tx, row)? > limits::ASSESSMENT_COUNT_MAX {
                return Err(too_many_assessments());
            }
            let head = traces::head(tx, row)?.ok_or_else(|| no_trace(&trace.trace_id))?;
            let info = traces::with_data(tx, vec![head])?.pop().ok_or_else(|| no_trace(&trace.trace_id))?;
            Ok((info, Outcome::done().resource(rules::record_id(&trace.trace_id, row)).with("experiment", experiment)))
        })
        .await
}

/// The trace's row: a new one, or the one that its spans made in this same experiment.
fn put(tx: &mut Writer<'_>, experiment: i64, trace: &NewTrace, finalized: bool, owner: &str, at: Micros) -> Result<i64, Problem> {
    if let Some(row) = traces::insert(tx, experiment, trace, finalized, owner, at)? {
        return Ok(row);
    }
    match traces::head_by_id(tx, &trace.trace_id)? {
        Some(head) if head.info.experiment_id == experiment && finalized => {
            super::hold(tx, head.row, &trace.trace_id, at)?;
            traces::finalize(tx, head.row, trace, at)?;
            Ok(head.row)
        }
        _ => Err(super::taken()),
    }
}

/// That no trace gathers more tags or metadata than one request could bring.
pub(super) fn within_counts(tx: &mut Writer<'_>, row: i64) -> Result<(), Problem> {
    let (tags, metadata) = traces::pair_counts(tx, row)?;
    let most = i64::try_from(limits::PAIR_COUNT_MAX).unwrap_or(i64::MAX);
    if tags > most || metadata > most {
        return Err(Problem::new(Kind::TooLarge, format!("a trace has at most {most} tags and {most} metadata entries")));
    }
    Ok(())
}

pub(super) fn too_many_assessments() -> Problem {
    Problem::new(Kind::TooLarge, format!("a trace has at most {} assessments", limits::ASSESSMENT_COUNT_MAX))
}

/// A new assessment with what the server adds.
pub(super) fn made(new: NewAssessment, at: Micros) -> Assessment {
    let now = at.as_millis();
    Assessment {
        assessment_id: new.assessment_id.unwrap_or_else(|| format!("a-{}", random_id())),
        kind: new.kind,
        name: new.name,
        value: new.value,
        error: new.error,
        source: new.source,
        span_id: new.span_id,
        rationale: new.rationale,
        metadata: new.metadata,
        overrides: new.overrides,
        valid: true,
        created_ms: new.created_ms.filter(|ms| *ms > 0).unwrap_or(now),
        updated_ms: new.updated_ms.filter(|ms| *ms > 0).unwrap_or(now),
    }
}

/// The numbers of tokens in the metadata.
fn tokens(metadata: &[Pair]) -> Vec<(&'static str, f64)> {
    let text = metadata.iter().find(|(key, _)| key == TOKENS).map(|(_, value)| value.as_str());
    let Some(Ok(usage)) = text.map(serde_json::from_str::<Value>) else { return Vec::new() };
    let number = |key: &'static str| Some((key, usage.get(key)?.as_f64().filter(|number| number.is_finite())?));
    TOKEN_KEYS.into_iter().filter_map(number).collect()
}
