//! `datasets.search`: the data sets of a workspace.

use gate::{Action, Operation, Permit, Scope, Target};
use kernel::{Kind, Problem};

use crate::limits::GRANTED_COUNT_MAX;
use crate::store::versions::{self, Wanted};
use crate::{Data, DatasetSummary, Which, rules};

/// Lists data sets by name.
pub struct SearchDatasets {
    /// The room.
    pub room: Data,
    /// Which of them.
    pub which: Which,
    /// The last name of the page before.
    pub after: Option<String>,
    /// How many rows.
    pub rows: Option<usize>,
}

/// A page of data sets.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DatasetPage {
    /// The rows.
    pub rows: Vec<DatasetSummary>,
    /// Where the next page begins.
    pub next: Option<String>,
}

impl Operation for SearchDatasets {
    const ACTION: Action = super::SEARCH;
    type Output = DatasetPage;

    fn target(&self) -> Target {
        Target::Workspace
    }

    async fn run(self, permit: Permit<Self>) -> Result<DatasetPage, Problem> {
        let count = rules::page_rows(self.rows)?;
        // Whoever holds single experiments or models sees none.
        let only = match permit.scope() {
            Scope::Workspace => None,
            Scope::Datasets(ids) if ids.len() > GRANTED_COUNT_MAX => {
                let message =
                    format!("more than {GRANTED_COUNT_MAX} data sets are granted one by one; grant the workspace instead");
                return Err(Problem::new(Kind::TooMany, message));
            }
            Scope::Datasets(ids) => Some(ids.clone()),
            Scope::Nothing | Scope::Workspaces(_) | Scope::Only { .. } => return Ok(DatasetPage::default()),
        };
        let (workspace, now) = (permit.workspace()?.to_owned(), permit.entry().at);
        let (after, which) = (self.after.unwrap_or_default(), self.which);
        let limit = i64::try_from(count).unwrap_or(i64::MAX).saturating_add(1);
        let read = move |reader: &mut vault::db::Reader<'_>| {
            let wanted = Wanted { workspace: &workspace, only: only.as_deref(), which, after: &after, count: limit };
            Ok(versions::datasets(reader, &wanted, now)?)
        };
        let mut rows = self.room.db().read(&permit, read).await?;
        let more = rows.len() > count;
        rows.truncate(count);
        let next = rows.last().filter(|_| more).map(|last| last.name.clone());
        Ok(DatasetPage { rows, next })
    }
}
