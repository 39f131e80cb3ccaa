//! Who has which role.

use std::collections::BTreeMap;

use gate::{Action, Operation, Permit, Target};
use kernel::Problem;

use crate::policy::Policy;
use crate::store::{self, ListFilter};
use crate::types::{Grant, On, Resource};

/// Grants in one answer.
pub const PAGE_COUNT_MAX: i64 = 1_000;

/// Lists live grants: on the server all of them, on a workspace those inside it, else those on the item itself.
#[derive(Clone)]
pub struct ListGrants {
    /// The room.
    pub room: Policy,
    /// On what.
    pub on: On,
    /// Only of this principal: an id or a name.
    pub principal: Option<String>,
    /// Only after this grant's id: the last one of the page before.
    pub after: Option<String>,
    /// How many at most.
    pub limit: i64,
}

/// A page of grants.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct GrantPage {
    /// The grants, in order of their ids.
    pub grants: Vec<Grant>,
    /// Where the next page starts, if there is one.
    pub next: Option<String>,
    /// How the accounts are called, by id; an account that is gone has no name.
    pub names: BTreeMap<String, String>,
}

impl Operation for ListGrants {
    const ACTION: Action = super::GRANTS_LIST;
    type Output = GrantPage;

    fn target(&self) -> Target {
        self.on.target()
    }

    async fn run(self, permit: Permit<Self>) -> Result<GrantPage, Problem> {
        if !(1..=PAGE_COUNT_MAX).contains(&self.limit) {
            return Err(Problem::invalid(format!("the limit must be between 1 and {PAGE_COUNT_MAX}")));
        }
        let resource = self.on.resource(permit.facts())?;
        let (workspace, item) = match resource {
            Resource::Server => (None, None),
            Resource::Workspace(id) => (Some(id), None),
            item => (permit.facts().workspace.clone(), Some(item)),
        };
        // Of a workspace, who was only let in for single items sees the grants on those.
        let only = match (&item, permit.scope()) {
            (None, gate::Scope::Only { experiments, models }) => {
                let experiments = experiments.iter().copied().map(Resource::Experiment);
                Some(experiments.chain(models.iter().cloned().map(Resource::RegisteredModel)).collect::<Vec<_>>())
            }
            _ => None,
        };
        let now = permit.entry().at;
        let directory = self.room.directory();
        let limit = self.limit;
        let after = self.after.unwrap_or_default();
        let (mut grants, names) = self
            .room
            .db()
            .read(&permit, move |reader| {
                let principal = match &self.principal {
                    None => None,
                    // A principal that was deleted has grants yet: then the id itself is looked for.
                    Some(name) => Some(directory.find(reader, name)?.map_or_else(|| name.clone(), |found| found.id)),
                };
                let mut filter = ListFilter { workspace, resource: item, principal, after, limit: limit + 1 };
                let mut all = Vec::new();
                match only {
                    None => all = store::list(reader, &filter, now)?,
                    Some(only) => {
                        for one in only {
                            filter.resource = Some(one);
                            all.extend(store::list(reader, &filter, now)?);
                        }
                        all.sort_by(|a, b| a.id.cmp(&b.id));
                    }
                }
                let names = store::names(reader, &all)?;
                Ok((all, names))
            })
            .await?;
        let page = usize::try_from(limit).unwrap_or(usize::MAX);
        let more = grants.len() > page;
        grants.truncate(page);
        let next = grants.last().filter(|_| more).map(|grant| grant.id.clone());
        Ok(GrantPage { grants, next, names })
    }
}
