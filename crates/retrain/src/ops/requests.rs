//! `retraining.requests`: what cleaned data left to be trained again.

use gate::{Action, Operation, Permit, Scope, Target};
use kernel::{Cursor, Problem};
use vault::db::Reader;

use super::page_rows;
use crate::store::requests;
use crate::{Request, Retrain};

/// Lists requests in the order in which they were asked.
pub struct ListRequests {
    /// The room.
    pub room: Retrain,
    /// What the page before gave as `next`.
    pub after: Option<String>,
    /// Rows of a page.
    pub rows: Option<usize>,
}

/// A page of requests.
#[derive(Clone, Debug, PartialEq)]
pub struct RequestPage {
    /// The requests.
    pub rows: Vec<Request>,
    /// What the next page is asked with; none at the end.
    pub next: Option<String>,
}

impl Operation for ListRequests {
    const ACTION: Action = super::REQUESTS;
    type Output = RequestPage;

    fn target(&self) -> Target {
        Target::Workspace
    }

    async fn run(self, permit: Permit<Self>) -> Result<RequestPage, Problem> {
        let (rows, after) = (page_rows(self.rows)?, self.after.as_deref().map(Cursor::read).transpose()?);
        // They name data sets and models alike: who has single ones of either is shown none.
        if *permit.scope() != Scope::Workspace {
            return Ok(RequestPage { rows: Vec::new(), next: None });
        }
        let workspace = permit.workspace()?.to_owned();
        let read = move |reader: &mut Reader<'_>| Ok(requests::list(reader, &workspace, after.as_ref(), rows.saturating_add(1))?);
        let mut found = self.room.db().read(&permit, read).await?;
        let more = found.len() > rows;
        found.truncate(rows);
        let next = found.last().filter(|_| more).map(|last| Cursor { at: last.asked_at, id: last.id.clone() }.to_string());
        Ok(RequestPage { rows: found, next })
    }
}
