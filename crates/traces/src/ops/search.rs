//! Lists traces, by search or by id, and counts how two filters go together.

use std::collections::HashMap;

use filter::{parse_trace_filter, parse_trace_order_by};
use gate::{Action, Operation, Permit, Target};
use kernel::Problem;

use crate::store::search::{self, Search};
use crate::store::{spans, traces};
use crate::types::{Page, TraceInfo, TraceWithSpans, parse_experiment_id};
use crate::{Correlation, Traces, limits, rules};

/// Lists traces of experiments of the workspace that the caller may see.
pub struct SearchTraces {
    /// The room.
    pub room: Traces,
    /// The experiments; those that the caller may not see are left out.
    pub experiment_ids: Vec<String>,
    /// MLflow's filter.
    pub filter: String,
    /// MLflow's order.
    pub order_by: Vec<String>,
    /// How many at most.
    pub max_results: i64,
    /// Where to go on.
    pub page_token: Option<String>,
}

impl Operation for SearchTraces {
    const ACTION: Action = super::TRACES_SEARCH;
    type Output = Page<TraceInfo>;

    fn target(&self) -> Target {
        Target::Workspace
    }

    async fn run(self, permit: Permit<Self>) -> Result<Page<TraceInfo>, Problem> {
        let limit = rules::max_results(self.max_results)?;
        rules::no_nul("the filter", &self.filter)?;
        self.order_by.iter().try_for_each(|key| rules::no_nul("the order", key))?;
        if self.order_by.len() > limits::SEARCH_ORDER_KEY_COUNT_MAX {
            let most = limits::SEARCH_ORDER_KEY_COUNT_MAX;
            return Err(Problem::invalid(format!("`order_by` may name at most {most} fields, got {}", self.order_by.len())));
        }
        let offset = super::offset(self.page_token.as_deref())?;
        let search = Search {
            clauses: parse_trace_filter(&self.filter)?,
            order: parse_trace_order_by(&self.order_by)?,
            limit: limit + 1,
            offset,
        };
        let asked = experiments(&self.experiment_ids)?;
        let workspace = permit.workspace()?.to_owned();
        let scope = permit.scope().clone();
        self.room
            .db
            .read(&permit, move |reader| {
                let visible = search::visible(reader, &workspace, &scope, &asked)?;
                let mut heads = search::search(reader, &visible, &search)?;
                let next_page_token = super::next_page(&mut heads, limit, offset);
                Ok(Page { items: traces::with_data(reader, heads)?, next_page_token })
            })
            .await
    }
}

/// The experiments' numbers. An id in another spelling names nothing, like an experiment that is not there.
pub(super) fn experiments(texts: &[String]) -> Result<Vec<i64>, Problem> {
    if texts.len() > limits::SEARCH_EXPERIMENT_COUNT_MAX {
        let text = format!("a search may name at most {} experiments, got {}", limits::SEARCH_EXPERIMENT_COUNT_MAX, texts.len());
        return Err(Problem::invalid(text));
    }
    Ok(texts.iter().filter_map(|text| parse_experiment_id(text)).collect())
}

/// The ids that can be ids, each once, in the order in which they came.
fn plain_ids(ids: Vec<String>) -> Result<Vec<String>, Problem> {
    if ids.len() > limits::BATCH_TRACE_COUNT_MAX {
        return Err(Problem::invalid(format!(
            "at most {} traces may be asked for at once, got {}",
            limits::BATCH_TRACE_COUNT_MAX,
            ids.len()
        )));
    }
    let mut seen = std::collections::HashSet::new();
    Ok(ids.into_iter().filter(|id| rules::trace_id(id).is_ok() && seen.insert(id.clone())).collect())
}

/// The heads in the order of their ids.
fn in_order(ids: &[String], heads: Vec<traces::Head>) -> Vec<traces::Head> {
    let mut by_id: HashMap<String, traces::Head> = heads.into_iter().map(|head| (head.info.trace_id.clone(), head)).collect();
    ids.iter().filter_map(|id| by_id.remove(id)).collect()
}

/// Reads the heads of traces by id; those that the caller may not see are left out.
pub struct BatchGetInfos {
    /// The room.
    pub room: Traces,
    /// The ids.
    pub trace_ids: Vec<String>,
}

impl Operation for BatchGetInfos {
    const ACTION: Action = super::TRACES_SEARCH;
    type Output = Vec<TraceInfo>;

    fn target(&self) -> Target {
        Target::Workspace
    }

    async fn run(self, permit: Permit<Self>) -> Result<Vec<TraceInfo>, Problem> {
        let ids = plain_ids(self.trace_ids)?;
        let workspace = permit.workspace()?.to_owned();
        let scope = permit.scope().clone();
        self.room
            .db
            .read(&permit, move |reader| {
                let heads = search::by_ids(reader, &workspace, &scope, &ids)?;
                traces::with_data(reader, in_order(&ids, heads))
            })
            .await
    }
}

/// Reads traces with their spans by id; those that the caller may not see, or that are not whole, are left out.
pub struct BatchGetTraces {
    /// The room.
    pub room: Traces,
    /// The ids.
    pub trace_ids: Vec<String>,
}

impl Operation for BatchGetTraces {
    const ACTION: Action = super::TRACES_SEARCH;
    type Output = Vec<TraceWithSpans>;

    fn target(&self) -> Target {
        Target::Workspace
    }

    async fn run(self, permit: Permit<Self>) -> Result<Vec<TraceWithSpans>, Problem> {
        let ids = plain_ids(self.trace_ids)?;
        let workspace = permit.workspace()?.to_owned();
        let scope = permit.scope().clone();
        self.room
            .db
            .read(&permit, move |reader| {
                let heads = search::by_ids(reader, &workspace, &scope, &ids)?;
                if heads.iter().any(|head| head.span_count == 0) {
                    return Err(Problem::not_found("Trace data not stored in tracking store"));
                }
                super::get::fits(heads.iter().fold(0, |sum, head| sum.saturating_add(head.span_bytes)))?;
                let mut all = Vec::with_capacity(heads.len());
                for head in in_order(&ids, heads) {
                    if super::get::is_whole(reader, &head)? {
                        let spans = spans::contents(reader, head.row)?;
                        let info = traces::with_data(reader, vec![head])?.pop();
                        all.extend(info.map(|info| TraceWithSpans { info, spans }));
                    }
                }
                Ok(all)
            })
            .await
    }
}

/// Counts how two filters go together over traces of experiments that the caller may see.
pub struct CorrelateFilters {
    /// The room.
    pub room: Traces,
    /// The experiments; those that the caller may not see are left out.
    pub experiment_ids: Vec<String>,
    /// What all traces that count must match.
    pub base: String,
    /// The first filter.
    pub first: String,
    /// The second filter.
    pub second: String,
}

impl Operation for CorrelateFilters {
    const ACTION: Action = super::TRACES_SEARCH;
    type Output = Correlation;

    fn target(&self) -> Target {
        Target::Workspace
    }

    async fn run(self, permit: Permit<Self>) -> Result<Correlation, Problem> {
        for text in [&self.base, &self.first, &self.second] {
            rules::no_nul("a filter", text)?;
        }
        let base = parse_trace_filter(&self.base)?;
        let (first, second) = (parse_trace_filter(&self.first)?, parse_trace_filter(&self.second)?);
        let asked = experiments(&self.experiment_ids)?;
        let workspace = permit.workspace()?.to_owned();
        let scope = permit.scope().clone();
        self.room
            .db
            .read(&permit, move |reader| {
                let visible = search::visible(reader, &workspace, &scope, &asked)?;
                let [total, first, second, joint] = search::counts(reader, &visible, &base, &first, &second)?;
                Ok(Correlation::of_counts(total, first, second, joint))
            })
            .await
    }
}
