//! Ends a trace; links it to a run or to prompts.

use std::collections::HashMap;

use gate::{Action, Operation, Outcome, Permit, Target};
use kernel::Problem;

use crate::store::{search, traces};
use crate::types::{Pair, TraceInfo, TraceState, no_trace};
use crate::{Traces, attribution, limits, rules};

/// Ends a trace, as MLflow 2's clients do. Its tags and metadata are added to those that it has.
pub struct EndTrace {
    /// The room.
    pub room: Traces,
    /// The trace.
    pub trace_id: String,
    /// When it ended, in the client's words.
    pub end_time_ms: i64,
    /// How.
    pub state: TraceState,
    /// More metadata.
    pub metadata: Vec<Pair>,
    /// More tags.
    pub tags: Vec<Pair>,
}

impl Operation for EndTrace {
    const ACTION: Action = super::TRACES_UPDATE;
    type Output = TraceInfo;

    fn target(&self) -> Target {
        Target::Trace(self.trace_id.clone())
    }

    async fn run(self, permit: Permit<Self>) -> Result<TraceInfo, Problem> {
        let tags = rules::pairs("tags", attribution::client_tags(self.tags))?;
        let metadata = attribution::client_metadata(self.metadata, &permit.caller().name);
        let metadata = rules::pairs("metadata entries", metadata)?;
        let row = super::trace_row(&permit, &self.trace_id)?;
        let (trace_id, end_time_ms, state) = (self.trace_id, self.end_time_ms, self.state);
        let (at, id) = (permit.entry().at, super::record_id(&permit));
        self.room
            .db
            .write(&permit, move |tx| {
                super::hold(tx, row, &trace_id, at)?;
                traces::end(tx, row, end_time_ms, state, at)?;
                traces::put_tags(tx, row, &tags)?;
                traces::put_metadata(tx, row, &metadata)?;
                super::create::within_counts(tx, row)?;
                let head = traces::head(tx, row)?.ok_or_else(|| no_trace(&trace_id))?;
                let info = traces::with_data(tx, vec![head])?.pop().ok_or_else(|| no_trace(&trace_id))?;
                Ok((info, Outcome::done().resource(id).with("state", state.word())))
            })
            .await
    }
}

/// Links traces to a run. A trace that is not there yet, or that the caller may not see, is taken for one to come in the
/// run's own experiment: the link means nothing elsewhere.
pub struct LinkToRun {
    /// The room.
    pub room: Traces,
    /// The run.
    pub run_id: String,
    /// The traces.
    pub trace_ids: Vec<String>,
}

impl Operation for LinkToRun {
    const ACTION: Action = super::TRACES_UPDATE;
    type Output = ();

    fn target(&self) -> Target {
        Target::Run(self.run_id.clone())
    }

    async fn run(self, permit: Permit<Self>) -> Result<(), Problem> {
        let (count, most) = (self.trace_ids.len(), limits::RUN_LINK_COUNT_MAX);
        if count > most {
            let text = format!("Cannot link more than {most} traces to a run in a single request. Provided {count} traces.");
            return Err(Problem::invalid(text));
        }
        let home = permit.facts().experiment.filter(|_| permit.facts().exists);
        let home = home.ok_or_else(|| Problem::not_found(format!("Run with id={} not found", self.run_id)))?;
        let ids: Vec<String> = self.trace_ids.into_iter().filter(|id| rules::trace_id(id).is_ok()).collect();
        let workspace = permit.workspace()?.to_owned();
        let (scope, run_id) = (permit.scope().clone(), self.run_id);
        self.room
            .db
            .write(&permit, move |tx| {
                let heads = if ids.is_empty() { Vec::new() } else { search::by_ids(tx, &workspace, &scope, &ids)? };
                let known: HashMap<&str, i64> =
                    heads.iter().map(|head| (head.info.trace_id.as_str(), head.info.experiment_id)).collect();
                let place = |id: String| (known.get(id.as_str()).copied().unwrap_or(home), id);
                let links: Vec<(String, i64)> = ids.into_iter().map(place).map(|(experiment, id)| (id, experiment)).collect();
                traces::link_run(tx, &run_id, &links)?;
                Ok(((), Outcome::done().resource(run_id).with("traces", links.len())))
            })
            .await
    }
}

/// Links prompt versions to a trace.
pub struct LinkPrompts {
    /// The room.
    pub room: Traces,
    /// The trace.
    pub trace_id: String,
    /// The prompts: name and version.
    pub prompts: Vec<Pair>,
}

impl Operation for LinkPrompts {
    const ACTION: Action = super::TRACES_UPDATE;
    type Output = ();

    fn target(&self) -> Target {
        Target::Trace(self.trace_id.clone())
    }

    async fn run(self, permit: Permit<Self>) -> Result<(), Problem> {
        let (count, most) = (self.prompts.len(), limits::PROMPT_LINK_COUNT_MAX);
        if count > most {
            return Err(Problem::invalid(format!("at most {most} prompts may be linked at once, got {count}")));
        }
        let mut prompts = Vec::with_capacity(count);
        for (name, version) in &self.prompts {
            let prompt = format!("{name}/{version}");
            rules::no_nul("a prompt", &prompt)?;
            if name.is_empty() || version.parse::<u32>().is_err() || prompt.chars().count() > limits::PROMPT_CHARS_MAX {
                return Err(Problem::invalid("a prompt version is a name and a whole number"));
            }
            prompts.push(prompt);
        }
        let row = super::trace_row(&permit, &self.trace_id)?;
        let (trace_id, at, id) = (self.trace_id, permit.entry().at, super::record_id(&permit));
        self.room
            .db
            .write(&permit, move |tx| {
                super::hold(tx, row, &trace_id, at)?;
                traces::link_prompts(tx, row, &prompts)?;
                Ok(((), Outcome::done().resource(id).with("prompts", prompts.len())))
            })
            .await
    }
}
