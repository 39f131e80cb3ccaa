//! `alerts.search` and `alerts.get`.

use gate::{Action, Operation, Permit, Scope, Target};
use kernel::{Cursor, Problem};

use super::no_alert;
use crate::limits::{PAGE_ROWS_DEFAULT, PAGE_ROWS_MAX};
use crate::store::alerts::{self, Wish};
use crate::types::{Alert, AlertState, Remedy};
use crate::{Observe, store};

/// Lists alerts, the newest first: of the models that the caller may see.
pub struct SearchAlerts {
    /// The room.
    pub room: Observe,
    /// Only in this state.
    pub state: Option<AlertState>,
    /// Behind this place.
    pub after: Option<String>,
    /// How many; as many as the default if nothing is said.
    pub rows: Option<usize>,
}

/// A page.
#[derive(Clone, Debug, PartialEq)]
pub struct AlertPage {
    /// The alerts.
    pub rows: Vec<Alert>,
    /// Where the next page begins, if there is one.
    pub next: Option<String>,
}

impl Operation for SearchAlerts {
    const ACTION: Action = super::SEARCH;
    type Output = AlertPage;

    fn target(&self) -> Target {
        Target::Workspace
    }

    async fn run(self, permit: Permit<Self>) -> Result<AlertPage, Problem> {
        let models = match permit.scope() {
            Scope::Workspace => None,
            Scope::Only { models, .. } if !models.is_empty() => Some(models.clone()),
            _ => return Ok(AlertPage { rows: Vec::new(), next: None }),
        };
        let count = self.rows.unwrap_or(PAGE_ROWS_DEFAULT).clamp(1, PAGE_ROWS_MAX);
        let before = self.after.as_deref().map(Cursor::read).transpose()?;
        let wanted = i64::try_from(count.saturating_add(1)).unwrap_or(i64::MAX);
        let wish = Wish { state: self.state, models, before, count: wanted };
        let workspace = permit.workspace()?.to_owned();
        let read = move |reader: &mut vault::db::Reader<'_>| Ok(alerts::page(reader, &workspace, &wish)?);
        let mut rows = self.room.db().read(&permit, read).await?;
        let has_more = rows.len() > count;
        rows.truncate(count);
        let next = rows.last().filter(|_| has_more).map(|last| Cursor { at: last.opened_at, id: last.id.clone() }.to_string());
        Ok(AlertPage { rows, next })
    }
}

/// Shows an alert.
pub struct GetAlert {
    /// The room.
    pub room: Observe,
    /// Its id.
    pub id: String,
}

/// An alert, and what can be done.
#[derive(Clone, Debug, PartialEq)]
pub struct FoundAlert {
    /// The alert.
    pub alert: Alert,
    /// Its remedies, the best first.
    pub remedies: Vec<Remedy>,
}

impl Operation for GetAlert {
    const ACTION: Action = super::GET;
    type Output = FoundAlert;

    fn target(&self) -> Target {
        Target::Workspace
    }

    async fn run(self, permit: Permit<Self>) -> Result<FoundAlert, Problem> {
        let (workspace, id) = (permit.workspace()?.to_owned(), self.id);
        let models = match permit.scope() {
            Scope::Workspace => None,
            Scope::Only { models, .. } => Some(models.clone()),
            _ => return Err(no_alert()),
        };
        let read = move |reader: &mut vault::db::Reader<'_>| {
            let alert = store::alerts::get(reader, &workspace, &id)?.ok_or_else(no_alert)?;
            // Who may see some models only is shown theirs, and nothing tells of others.
            let theirs = |models: Vec<String>| alert.model.as_ref().is_some_and(|model| models.contains(model));
            if !models.is_none_or(theirs) {
                return Err(no_alert());
            }
            let remedies = store::alerts::remedies(reader, &id)?;
            Ok(FoundAlert { alert, remedies })
        };
        self.room.db().read(&permit, read).await
    }
}
