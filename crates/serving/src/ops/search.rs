//! `endpoints.search`.

use std::collections::BTreeMap;

use gate::{Action, Operation, Permit, Scope, Target};
use kernel::Problem;

use crate::limits::{PAGE_ROWS_DEFAULT, PAGE_ROWS_MAX};
use crate::types::Endpoint;
use crate::{Serving, store};

/// Lists the endpoints of the models that the caller may see, by name.
pub struct SearchEndpoints {
    /// The room.
    pub room: Serving,
    /// Only those of this model, by name.
    pub model: Option<String>,
    /// Behind this name.
    pub after: Option<String>,
    /// How many; as many as the default if nothing is said.
    pub rows: Option<usize>,
}

/// A page.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EndpointPage {
    /// The endpoints.
    pub rows: Vec<Endpoint>,
    /// Where the next page begins, if there is one.
    pub next: Option<String>,
    /// Why those that cannot answer cannot, by id.
    pub obstacles: BTreeMap<String, String>,
}

impl Operation for SearchEndpoints {
    const ACTION: Action = super::SEARCH;
    type Output = EndpointPage;

    fn target(&self) -> Target {
        Target::Workspace
    }

    async fn run(self, permit: Permit<Self>) -> Result<EndpointPage, Problem> {
        let models = match permit.scope() {
            Scope::Workspace => None,
            Scope::Only { models, .. } if !models.is_empty() => Some(models.clone()),
            _ => return Ok(EndpointPage { rows: Vec::new(), next: None, obstacles: BTreeMap::new() }),
        };
        let count = self.rows.unwrap_or(PAGE_ROWS_DEFAULT).clamp(1, PAGE_ROWS_MAX);
        let (workspace, after, model) = (permit.workspace()?.to_owned(), self.after.unwrap_or_default(), self.model);
        let room = self.room.clone();
        let read = move |reader: &mut vault::db::Reader<'_>| {
            let wanted =
                store::Wanted { workspace: &workspace, models: models.as_deref(), model: model.as_deref(), after: &after };
            let rows = store::page(reader, &wanted, count.saturating_add(1))?;
            let mut obstacles = BTreeMap::new();
            for one in rows.iter().take(count) {
                obstacles.extend(room.obstacle(reader, &one.id)?.map(|why| (one.id.clone(), why)));
            }
            Ok((rows, obstacles))
        };
        let (mut rows, obstacles) = self.room.db().read(&permit, read).await?;
        let has_more = rows.len() > count;
        rows.truncate(count);
        let next = rows.last().filter(|_| has_more).map(|last| last.name.clone());
        Ok(EndpointPage { rows, next, obstacles })
    }
}
