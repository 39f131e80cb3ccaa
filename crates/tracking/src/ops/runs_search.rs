//! Lists runs, and the datasets that runs used.

use filter::Entity;
use gate::{Action, Operation, Permit, Target};
use kernel::Problem;

use crate::store::search::{self, Search};
use crate::store::{keyset, runs};
use crate::types::{DatasetSummary, Page, Run, View, parse_experiment_id};
use crate::{Tracking, limits, rules};

/// Lists runs of experiments of the workspace that the caller may see.
pub struct SearchRuns {
    /// The room.
    pub room: Tracking,
    /// The experiments; those that the caller may not see are left out.
    pub experiment_ids: Vec<String>,
    /// MLflow's filter.
    pub filter: String,
    /// MLflow's order.
    pub order_by: Vec<String>,
    /// Which stages.
    pub view: View,
    /// How many at most.
    pub max_results: i64,
    /// Where to go on.
    pub page_token: Option<String>,
}

impl Operation for SearchRuns {
    const ACTION: Action = super::RUNS_SEARCH;
    type Output = Page<Run>;

    fn target(&self) -> Target {
        Target::Workspace
    }

    async fn run(self, permit: Permit<Self>) -> Result<Page<Run>, Problem> {
        let limit = rules::max_results(self.max_results)?;
        rules::no_nul("the filter", &self.filter)?;
        self.order_by.iter().try_for_each(|key| rules::no_nul("the order", key))?;
        order_is_short(&self.order_by)?;
        let order = filter::parse_order_by(Entity::Run, &self.order_by)?;
        let search = Search {
            clauses: filter::parse_filter(Entity::Run, &self.filter)?,
            after: keyset::parse(self.page_token.as_deref(), &order)?,
            order,
            view: self.view,
            limit: usize::try_from(limit).unwrap_or(usize::MAX),
        };
        let asked = experiment_ids(&self.experiment_ids)?;
        let workspace = permit.workspace()?.to_owned();
        let scope = permit.scope().clone();
        self.room
            .db
            .read(&permit, move |reader| {
                let visible = search::visible_experiments(reader, &workspace, &scope, &asked)?;
                let (rows, next_page_token) = search::search(reader, &visible, &search)?;
                Ok(Page { items: runs::with_data(reader, rows)?, next_page_token })
            })
            .await
    }
}

fn order_is_short(order_by: &[String]) -> Result<(), Problem> {
    let (count, limit) = (order_by.len(), limits::SEARCH_ORDER_KEY_COUNT_MAX);
    if count > limit {
        return Err(Problem::invalid(format!("`order_by` may name at most {limit} fields, got {count}")));
    }
    Ok(())
}

fn experiment_ids(texts: &[String]) -> Result<Vec<i64>, Problem> {
    if texts.len() > limits::SEARCH_EXPERIMENT_COUNT_MAX {
        let text = format!("a search may name at most {} experiments, got {}", limits::SEARCH_EXPERIMENT_COUNT_MAX, texts.len());
        return Err(Problem::invalid(text));
    }
    // An id in another spelling names nothing, like an experiment that is not there.
    Ok(texts.iter().filter_map(|text| parse_experiment_id(text)).collect())
}

/// Lists the datasets that runs of experiments used.
pub struct SearchDatasets {
    /// The room.
    pub room: Tracking,
    /// The experiments; those that the caller may not see are left out.
    pub experiment_ids: Vec<String>,
}

impl Operation for SearchDatasets {
    const ACTION: Action = super::RUNS_SEARCH;
    type Output = Vec<DatasetSummary>;

    fn target(&self) -> Target {
        Target::Workspace
    }

    async fn run(self, permit: Permit<Self>) -> Result<Vec<DatasetSummary>, Problem> {
        let count = self.experiment_ids.len();
        if count == 0 {
            return Err(Problem::invalid("SearchDatasets request must specify at least one experiment_id."));
        }
        if count > limits::DATASET_LIST_EXPERIMENT_COUNT_MAX {
            return Err(Problem::invalid(format!(
                "SearchDatasets request cannot specify more than {} experiment_ids. Received {count} experiment_ids.",
                limits::DATASET_LIST_EXPERIMENT_COUNT_MAX
            )));
        }
        let asked = experiment_ids(&self.experiment_ids)?;
        let workspace = permit.workspace()?.to_owned();
        let scope = permit.scope().clone();
        self.room
            .db
            .read(&permit, move |reader| {
                let visible = search::visible_experiments(reader, &workspace, &scope, &asked)?;
                Ok(search::datasets(reader, &visible, limits::DATASET_LIST_COUNT_MAX)?)
            })
            .await
    }
}
