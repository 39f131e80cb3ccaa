//! All live grants in memory, found by holder and resource, so that a decision looks at a handful whatever their number.

use std::collections::HashMap;
use std::sync::Arc;

use gate::Caller;
use kernel::Micros;

use crate::place::Place;
use crate::types::{Grant, Resource};

/// One change of the table: the grant as it now is, or the id of a revoked one.
#[derive(Clone, Debug)]
pub(crate) enum Change {
    Live(Grant),
    Revoked(String),
}

/// The grants of one principal.
#[derive(Default)]
struct Holder {
    by_resource: HashMap<Resource, Vec<Arc<Grant>>>,
    /// By workspace; those on the server are under the empty id.
    by_workspace: HashMap<String, Vec<Arc<Grant>>>,
}

/// The index.
#[derive(Default)]
pub(crate) struct Index {
    /// The generation of the table that it shows.
    pub(crate) generation: i64,
    by_id: HashMap<String, Arc<Grant>>,
    holders: HashMap<String, Holder>,
}

impl Index {
    /// How many grants it holds.
    pub(crate) fn len(&self) -> usize {
        self.by_id.len()
    }

    /// The grant of that id.
    pub(crate) fn get(&self, id: &str) -> Option<&Arc<Grant>> {
        self.by_id.get(id)
    }

    /// Brings it up to `generation`. Applying a change twice does no harm.
    pub(crate) fn apply(&mut self, generation: i64, changes: Vec<Change>) {
        for change in changes {
            match change {
                Change::Live(grant) => {
                    self.remove(&grant.id);
                    self.insert(Arc::new(grant));
                }
                Change::Revoked(id) => self.remove(&id),
            }
        }
        self.generation = generation;
    }

    fn insert(&mut self, grant: Arc<Grant>) {
        let holder = self.holders.entry(grant.principal.clone()).or_default();
        holder.by_resource.entry(grant.resource.clone()).or_default().push(Arc::clone(&grant));
        let workspace = grant.workspace.clone().unwrap_or_default();
        holder.by_workspace.entry(workspace).or_default().push(Arc::clone(&grant));
        self.by_id.insert(grant.id.clone(), grant);
    }

    fn remove(&mut self, id: &str) {
        let Some(grant) = self.by_id.remove(id) else { return };
        let Some(holder) = self.holders.get_mut(&grant.principal) else { return };
        forget(&mut holder.by_resource, &grant.resource, id);
        forget(&mut holder.by_workspace, &grant.workspace.clone().unwrap_or_default(), id);
        if holder.by_resource.is_empty() {
            self.holders.remove(&grant.principal);
        }
    }

    /// The live grants that reach `place`, of the caller and its groups.
    pub(crate) fn slice(&self, caller: &Caller, place: &Place, now: Micros) -> Vec<Arc<Grant>> {
        let resources = place.reached_by();
        let mut found = Vec::new();
        for holder in self.holders_of(caller) {
            for resource in &resources {
                let grants = holder.by_resource.get(resource).into_iter().flatten();
                found.extend(grants.filter(|grant| grant.is_live(now)).cloned());
            }
        }
        found
    }

    /// The live grants inside one workspace, those on the workspace itself included; the empty id stands for the server.
    pub(crate) fn in_workspace<'a>(
        &'a self,
        caller: &'a Caller,
        workspace: &'a str,
        now: Micros,
    ) -> impl Iterator<Item = &'a Arc<Grant>> {
        self.holders_of(caller)
            .filter_map(move |holder| holder.by_workspace.get(workspace))
            .flatten()
            .filter(move |grant| grant.is_live(now))
    }

    /// Every live grant that the caller has.
    pub(crate) fn all_of<'a>(&'a self, caller: &'a Caller, now: Micros) -> impl Iterator<Item = &'a Arc<Grant>> {
        self.holders_of(caller).flat_map(|holder| holder.by_workspace.values()).flatten().filter(move |grant| grant.is_live(now))
    }

    fn holders_of<'a>(&'a self, caller: &'a Caller) -> impl Iterator<Item = &'a Holder> {
        std::iter::once(&caller.id).chain(&caller.groups).filter_map(|id| self.holders.get(id))
    }
}

fn forget<K: std::hash::Hash + Eq>(map: &mut HashMap<K, Vec<Arc<Grant>>>, key: &K, id: &str) {
    if let Some(grants) = map.get_mut(key) {
        grants.retain(|grant| grant.id != id);
        if grants.is_empty() {
            map.remove(key);
        }
    }
}
