//! Who did what, when, to what, and how it ended.

use gate::{Action, Operation, Permit, Target};
use kernel::Problem;

use crate::ops::blocking;
use crate::room::Audit;
use crate::search::{Filter, Page};

/// Looks for records, newest first.
pub struct Search {
    /// The room.
    pub room: Audit,
    /// What to look for.
    pub filter: Filter,
    /// Go on below this index, as the page before said.
    pub before: Option<u64>,
    /// Records on a page; at most [`crate::PAGE_COUNT_MAX`].
    pub limit_count: usize,
}

impl Operation for Search {
    const ACTION: Action = Action::read("audit.search");
    type Output = Page;

    fn target(&self) -> Target {
        Target::AuditLog
    }

    async fn run(self, _permit: Permit<Self>) -> Result<Page, Problem> {
        self.filter.check()?;
        let log = self.room.log;
        log.flush().await?;
        blocking(move || Ok(log.search(&self.filter, self.before, self.limit_count)?)).await
    }
}
