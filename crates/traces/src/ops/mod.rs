//! The verbs.

mod assess;
mod create;
mod delete;
mod get;
mod log;
mod metrics;
mod search;
mod tag;
mod update;

use gate::{Action, Permit};
use kernel::{Kind, Problem};
use vault::db::{Reader, Writer};

use crate::store;
use crate::types::{no_experiment, no_trace};

pub use assess::{CreateAssessment, DeleteAssessment, GetAssessment, UpdateAssessment};
pub use create::{BeginTrace, StartTrace};
pub use delete::{DeleteTraces, Which};
pub use get::{GetSpans, GetTrace, GetTraceInfo};
pub use log::LogSpans;
pub use metrics::QueryMetrics;
pub use search::{BatchGetInfos, BatchGetTraces, CorrelateFilters, SearchTraces};
pub use tag::{DeleteTag, SetTag};
pub use update::{EndTrace, LinkPrompts, LinkToRun};

/// Keeps a trace.
pub const TRACES_CREATE: Action = Action::write("traces.create");
/// Reads a trace, its spans or one of its assessments.
pub const TRACES_GET: Action = Action::read("traces.get");
/// Lists traces, and counts them.
pub const TRACES_SEARCH: Action = Action::read("traces.search");
/// Ends a trace, or links it to a run or to prompts.
pub const TRACES_UPDATE: Action = Action::write("traces.update");
/// Deletes traces.
pub const TRACES_DELETE: Action = Action::write("traces.delete");
/// Sets or removes a trace's tags.
pub const TRACES_TAG: Action = Action::write("traces.tag");
/// Logs spans.
pub const TRACES_LOG: Action = Action::write("traces.log");
/// Says what is thought of a trace.
pub const TRACES_ASSESS: Action = Action::write("traces.assess");

/// The trace's row that the gate found.
fn trace_row<O>(permit: &Permit<O>, trace_id: &str) -> Result<i64, Problem> {
    permit.facts().row.filter(|_| permit.facts().exists).ok_or_else(|| no_trace(trace_id))
}

/// What records call the trace that the gate found.
fn record_id<O>(permit: &Permit<O>) -> String {
    permit.facts().id.clone().unwrap_or_default()
}

/// The experiment that the gate found.
fn experiment_row<O>(permit: &Permit<O>, experiment_id: &str) -> Result<i64, Problem> {
    permit.facts().experiment.filter(|_| permit.facts().exists).ok_or_else(|| no_experiment(experiment_id))
}

/// That the experiment is in use, in the same transaction as the change that follows.
fn active_experiment(reader: &mut Reader<'_>, experiment_id: i64) -> Result<(), Problem> {
    match store::traces::experiment(reader, experiment_id)? {
        Some((true, _)) => Ok(()),
        Some((false, _)) => Err(Problem::invalid(format!(
            "The experiment {experiment_id} must be in the 'active' state. Current state is deleted."
        ))),
        None => Err(no_experiment(&experiment_id.to_string())),
    }
}

/// That the trace is still there; from here to the end of the transaction nobody else changes it.
fn hold(tx: &mut Writer<'_>, row: i64, trace_id: &str, at: kernel::Micros) -> Result<(), Problem> {
    if store::traces::touch(tx, row, at)? { Ok(()) } else { Err(no_trace(trace_id)) }
}

/// The answer to an id that is in use elsewhere. It does not say where: whoever may know sees it in its own experiment.
fn taken() -> Problem {
    Problem::new(Kind::AlreadyExists, "this trace id cannot be used in this experiment; let the client make a new one")
}

/// The offset in a page's token, as SQL takes it.
fn offset(token: Option<&str>) -> Result<i64, Problem> {
    let offset = filter::decode_page_token(token.filter(|text| !text.is_empty()))?;
    i64::try_from(offset).map_err(|_| Problem::invalid("the page token is beyond the end of any list; begin again without it"))
}

/// Cuts the one row too many off a page, and gives the token of the next page if there was one.
fn next_page<T>(items: &mut Vec<T>, limit: i64, offset: i64) -> Option<String> {
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    if items.len() <= limit {
        return None;
    }
    items.truncate(limit);
    let next = u64::try_from(offset).unwrap_or(0).saturating_add(u64::try_from(limit).unwrap_or(0));
    Some(filter::encode_page_token(next))
}
