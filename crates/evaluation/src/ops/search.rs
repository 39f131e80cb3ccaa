//! Lists datasets.

use filter::Entity;
use gate::{Action, Operation, Permit, Scope, Target};
use kernel::Problem;

use crate::store::search::{self, Search};
use crate::types::{Dataset, Page};
use crate::{Evaluation, limits, rules};

/// Lists the workspace's datasets.
pub struct SearchDatasets {
    /// The room.
    pub room: Evaluation,
    /// Only those joined to one of these experiments; empty means all.
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

impl Operation for SearchDatasets {
    const ACTION: Action = super::SEARCH;
    type Output = Page<Dataset>;

    fn target(&self) -> Target {
        Target::Workspace
    }

    async fn run(self, permit: Permit<Self>) -> Result<Page<Dataset>, Problem> {
        let limit = rules::page_count(self.max_results, limits::SEARCH_RESULT_COUNT_MAX)?;
        rules::no_nul("the filter", &self.filter)?;
        rules::experiment_count(self.experiment_ids.len())?;
        let offset = filter::decode_page_token(self.page_token.as_deref())?;
        let search = Search {
            clauses: filter::parse_filter(Entity::EvaluationDataset, &self.filter)?,
            order: filter::parse_order_by(Entity::EvaluationDataset, &self.order_by)?,
            // An id in another spelling names nothing, like an experiment that is not there.
            experiments: (!self.experiment_ids.is_empty())
                .then(|| self.experiment_ids.iter().filter_map(|text| rules::experiment_id(text)).collect()),
            limit: limit + 1,
            offset: i64::try_from(offset)
                .map_err(|_| Problem::invalid("the page token is beyond the end of any list; begin again without it"))?,
        };
        // Datasets belong to a workspace, not to an experiment: who was granted single experiments has none.
        if *permit.scope() != Scope::Workspace {
            return Ok(Page { items: Vec::new(), next_page_token: None });
        }
        let workspace = permit.workspace()?.to_owned();
        let mut items = self.room.db.read(&permit, move |reader| search::search(reader, &workspace, &search)).await?;
        let page = usize::try_from(limit).unwrap_or(usize::MAX);
        let more = items.len() > page;
        items.truncate(page);
        let next = offset.saturating_add(u64::try_from(limit).unwrap_or_default());
        Ok(Page { items, next_page_token: more.then(|| filter::encode_page_token(next)) })
    }
}
