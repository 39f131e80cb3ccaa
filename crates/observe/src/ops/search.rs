//! `alerts.search` and `alerts.get`.

use gate::{Action, Operation, Permit, Scope, Target};
use kernel::{Cursor, Problem};

use super::no_alert;
use crate::limits::{PAGE_ROWS_DEFAULT, PAGE_ROWS_MAX};
use crate::store::alerts::{self, Wish};
use crate::types::{Alert, AlertState, Remedy, Severity};
use crate::{Observe, store};

/// Lists alerts, the newest first: of the models that the caller may see.
pub struct SearchAlerts {
    /// The room.
    pub room: Observe,
    /// Only in this state.
    pub state: Option<AlertState>,
    /// Only of this endpoint, by its id.
    pub endpoint: Option<String>,
    /// Whether the gravest come first, and only of equals the newest.
    pub gravest_first: bool,
    /// Whether the remedies of each are wanted too.
    pub with_remedies: bool,
    /// Behind this place, as a page in the same order gave it.
    pub after: Option<String>,
    /// How many; as many as the default if nothing is said.
    pub rows: Option<usize>,
}

impl SearchAlerts {
    /// The newest of all.
    #[must_use]
    pub const fn all(room: Observe) -> Self {
        Self { room, state: None, endpoint: None, gravest_first: false, with_remedies: false, after: None, rows: None }
    }
}

/// A page.
#[derive(Clone, Debug, PartialEq)]
pub struct AlertPage {
    /// The alerts.
    pub rows: Vec<Alert>,
    /// Their remedies, where they were asked for: of each alert the best first.
    pub remedies: Vec<Remedy>,
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
            _ => return Ok(AlertPage { rows: Vec::new(), remedies: Vec::new(), next: None }),
        };
        let count = self.rows.unwrap_or(PAGE_ROWS_DEFAULT).clamp(1, PAGE_ROWS_MAX);
        let (behind, before) = match self.after.as_deref() {
            Some(after) if self.gravest_first => (Some(gravest_cursor(after)?), None),
            after => (None, after.map(Cursor::read).transpose()?),
        };
        let wanted = i64::try_from(count.saturating_add(1)).unwrap_or(i64::MAX);
        let wish = Wish { state: self.state, severity: None, endpoint: self.endpoint, models, before, count: wanted };
        let workspace = permit.workspace()?.to_owned();
        let (gravest_first, with_remedies) = (self.gravest_first, self.with_remedies);
        let read = move |reader: &mut vault::db::Reader<'_>| {
            let mut rows = if gravest_first {
                alerts::gravest(reader, &workspace, &wish, behind.as_ref())?
            } else {
                alerts::page(reader, &workspace, &wish)?
            };
            let has_more = rows.len() > count;
            rows.truncate(count);
            let mut remedies = Vec::new();
            for alert in rows.iter().filter(|_| with_remedies) {
                remedies.extend(alerts::remedies(reader, &alert.id)?);
            }
            let next = rows.last().filter(|_| has_more).map(|last| place_of(last, gravest_first));
            Ok(AlertPage { rows, remedies, next })
        };
        self.room.db().read(&permit, read).await
    }
}

/// Where a page begins that goes on behind an alert.
fn place_of(last: &Alert, gravest_first: bool) -> String {
    let cursor = Cursor { at: last.opened_at, id: last.id.clone() };
    if gravest_first { format!("{}:{cursor}", last.severity.word()) } else { cursor.to_string() }
}

fn gravest_cursor(after: &str) -> Result<(Severity, Cursor), Problem> {
    let (severity, cursor) = after.split_once(':').unwrap_or_default();
    let severity = Severity::parse(severity).ok_or_else(|| Problem::invalid("`after` is what the page before gave as `next`"))?;
    Ok((severity, Cursor::read(cursor)?))
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
