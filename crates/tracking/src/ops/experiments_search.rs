//! Lists experiments.

use filter::Entity;
use gate::{Action, Operation, Permit, Target};
use kernel::Problem;

use crate::store::experiments::{self, Search};
use crate::store::keyset;
use crate::types::{Experiment, Page, View};
use crate::{Tracking, rules};

/// Lists the workspace's experiments that the caller may see.
pub struct SearchExperiments {
    /// The room.
    pub room: Tracking,
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

impl Operation for SearchExperiments {
    const ACTION: Action = super::EXPERIMENTS_SEARCH;
    type Output = Page<Experiment>;

    fn target(&self) -> Target {
        Target::Workspace
    }

    async fn run(self, permit: Permit<Self>) -> Result<Page<Experiment>, Problem> {
        let limit = rules::max_results(self.max_results)?;
        rules::no_nul("the filter", &self.filter)?;
        let order = filter::parse_order_by(Entity::Experiment, &self.order_by)?;
        let search = Search {
            clauses: filter::parse_filter(Entity::Experiment, &self.filter)?,
            after: keyset::parse(self.page_token.as_deref(), &order)?,
            order,
            view: self.view,
            limit: usize::try_from(limit).unwrap_or(usize::MAX),
        };
        let workspace = permit.workspace()?.to_owned();
        let scope = permit.scope().clone();
        let read = self.room.db.read(&permit, move |reader| experiments::search(reader, &workspace, &scope, &search));
        let (items, next_page_token) = read.await?;
        Ok(Page { items, next_page_token })
    }
}
