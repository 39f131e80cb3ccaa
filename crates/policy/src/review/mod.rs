//! Least privilege: what of the grants is used, the smallest set that this use needs, and the ways by which somebody could come to more.
//!
//! Pure: a [`World`] goes in, a report comes out. Decisions are those of the real engine over an index of the grants as they are and one of
//! the grants as they are proposed.

mod joining;
mod paths;
mod proof;
mod propose;
mod redundant;
#[cfg(test)]
mod tests;
mod verify;
mod world;

use std::collections::BTreeMap;
use std::sync::Arc;

use gate::{Caller, DataClasses, DataFacts, DataState, Facts, TargetKind, TokenFacts};
use kernel::Micros;

use crate::cache::PreparedCache;
use crate::circumstances::Circumstances;
use crate::engine::Engine;
use crate::index::{Change, Index};
use crate::judge::{Ask, Judge};
use crate::place::target_of;
use crate::types::{Grant, PrincipalKind, Resource, as_if_knocking};

pub(crate) use joining::newly_allowed_by_joining;
pub(crate) use paths::find as find_paths;
pub use paths::{EscalationPath, PathsFound, Step};
pub use proof::Proof;
pub(crate) use proof::{Question, prove, written};
pub use propose::{Advice, Dormant, GrantReview, OldToken, ReviewReport};
pub(crate) use propose::{review, withdraw_found};
pub(crate) use verify::newly_allowed;
pub use verify::{Enumeration, Request};
pub(crate) use world::read;

/// An account or group.
#[derive(Clone, Debug)]
pub(crate) struct Someone {
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) kind: PrincipalKind,
    pub(crate) owner: String,
    pub(crate) disabled: bool,
    pub(crate) created_at: Micros,
    /// Of all levels.
    pub(crate) groups: Vec<String>,
    /// A token that is narrowed, where that is all that is had of the account.
    pub(crate) token: Option<TokenFacts>,
}

impl Someone {
    /// Those of the grants that it has, directly and by groups.
    pub(crate) fn held<'a>(&self, grants: impl Iterator<Item = &'a Grant>) -> Vec<Grant> {
        grants.filter(|one| one.principal == self.id || self.groups.contains(&one.principal)).cloned().collect()
    }

    /// What a search that comes by tells it by: a token that is narrowed is less than its account.
    pub(crate) fn node(&self) -> &str {
        self.token.as_ref().map_or(self.id.as_str(), |token| token.id.as_str())
    }

    /// It, as if it knocked; a group as a member that has nothing else.
    pub(crate) fn caller(&self) -> Caller {
        Caller { token: self.token.clone(), ..as_if_knocking(self.kind, &self.id, &self.groups) }
    }
}

/// What a grant let pass, summed up.
#[derive(Clone, Debug)]
pub(crate) struct Use {
    pub(crate) grant: String,
    pub(crate) verb: String,
    pub(crate) place: String,
    pub(crate) workspace: String,
    pub(crate) caller: String,
    pub(crate) days: i64,
    pub(crate) last_at: Micros,
}

/// A token, without its secret.
#[derive(Clone, Debug)]
pub(crate) struct TokenRow {
    pub(crate) id: String,
    pub(crate) principal: String,
    /// Who made it, and so has it.
    pub(crate) created_by: String,
    pub(crate) label: String,
    /// The verbs that it is narrowed to, as patterns; none means all.
    pub(crate) scopes: Vec<String>,
    /// The workspace that it is narrowed to, by id.
    pub(crate) workspace: Option<String>,
    pub(crate) created_at: Micros,
    pub(crate) expires_at: Micros,
    pub(crate) last_used_day: Option<i64>,
}

impl TokenRow {
    /// Whether it lets less pass than its account may do.
    pub(crate) fn is_narrowed(&self) -> bool {
        !self.scopes.is_empty() || self.workspace.is_some()
    }
}

/// An endpoint, and what it answers with, or its canary.
#[derive(Clone, Debug)]
pub(crate) struct EndpointRow {
    pub(crate) name: String,
    pub(crate) workspace: String,
    pub(crate) model: String,
    /// A version, or `@` and an alias.
    pub(crate) choice: String,
}

/// Everything that a review looks at.
#[derive(Clone, Debug, Default)]
pub(crate) struct World {
    pub(crate) now: Micros,
    pub(crate) people: BTreeMap<String, Someone>,
    pub(crate) grants: Vec<Arc<Grant>>,
    /// Those that were taken back: they come back with an old backup.
    pub(crate) revoked: Vec<Grant>,
    pub(crate) uses: Vec<Use>,
    /// Since when uses are counted.
    pub(crate) counted_since: Option<Micros>,
    pub(crate) tokens: Vec<TokenRow>,
    pub(crate) endpoints: Vec<EndpointRow>,
    pub(crate) workspaces: BTreeMap<String, String>,
    /// Groups that a provisioner looks after, with whose they are.
    pub(crate) looked_after: BTreeMap<String, String>,
    /// What there was too much of to be read, in sentences.
    pub(crate) left_off: Vec<String>,
}

impl World {
    /// The name of an account, or its id where it has none any more.
    pub(crate) fn name<'a>(&'a self, id: &'a str) -> &'a str {
        self.people.get(id).map_or(id, |one| one.name.as_str())
    }
}

/// Decisions over one set of grants.
pub(crate) struct Decider<'a> {
    engine: &'a Engine,
    index: Index,
    cache: PreparedCache,
    now: Micros,
}

impl<'a> Decider<'a> {
    pub(crate) fn new<'g>(engine: &'a Engine, grants: impl Iterator<Item = &'g Grant>, now: Micros) -> Self {
        let mut index = Index::default();
        index.apply(1, grants.map(|grant| Change::Live(grant.clone())).collect());
        Self { engine, index, cache: PreparedCache::default(), now }
    }

    fn ask<'b>(&self, caller: &'b Caller, verb: &'b str, place: &'b Spot) -> Ask<'b> {
        // As strong as the caller can show itself: what only asks for more is no question of grants.
        let circumstances = Circumstances { risk: 0, assurance: 3, ..Circumstances::CALM };
        Ask { caller, verb, kind: place.kind, facts: &place.facts, circumstances, now: self.now }
    }

    fn judge(&self) -> Judge<'_> {
        Judge { engine: self.engine, index: &self.index, cache: &self.cache }
    }

    /// Whether the verb is allowed there, and what a list would show; none if not.
    pub(crate) fn scope(&self, caller: &Caller, verb: &str, place: &Spot) -> Option<gate::Scope> {
        match self.judge().decide(self.ask(caller, verb, place)) {
            gate::Decision::Allow { scope, .. } => Some(scope),
            _ => None,
        }
    }

    /// Whether a role is about the server itself.
    pub(crate) fn is_office(&self, role: &str) -> bool {
        self.engine.roles.get(role).is_none_or(|role| !role.data)
    }

    /// The verbs of a role.
    pub(crate) fn verbs(&self, role: &str) -> impl Iterator<Item = &str> {
        self.engine.roles.get(role).into_iter().flat_map(|role| role.verbs.iter().map(String::as_str))
    }

    /// Whether a role holds all of these.
    pub(crate) fn has_verbs(&self, role: &str, verbs: &[&str]) -> bool {
        self.engine.roles.get(role).is_some_and(|role| verbs.iter().all(|verb| role.verbs.contains(*verb)))
    }

    /// Whether these roles hold together, on one place, all that a role holds. What `special_reader` reads no other role does.
    pub(crate) fn includes(&self, held: &[&str], role: &str) -> bool {
        let Some(wanted) = self.engine.roles.get(role) else { return false };
        if held.contains(&role) {
            return true;
        }
        let roles: Vec<_> =
            held.iter().filter_map(|name| self.engine.roles.get(*name)).filter(|one| one.data || !wanted.data).collect();
        !wanted.is_apart() && wanted.verbs.iter().all(|verb| roles.iter().any(|one| one.verbs.contains(verb)))
    }

    /// Whether a role reads what no other does.
    pub(crate) fn is_apart(&self, role: &str) -> bool {
        self.engine.roles.get(role).is_some_and(crate::roles::Role::is_apart)
    }

    /// The grants by which it is allowed; none if it is not.
    pub(crate) fn grants(&self, caller: &Caller, verb: &str, place: &Spot) -> Option<Vec<Arc<Grant>>> {
        self.judge().may(self.ask(caller, verb, place))
    }
}

/// Where something is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Spot {
    pub(crate) kind: TargetKind,
    pub(crate) facts: Facts,
    /// As people read it.
    pub(crate) words: String,
}

impl Spot {
    pub(crate) fn server() -> Self {
        Self { kind: TargetKind::Server, facts: Facts { exists: true, ..Facts::default() }, words: "server".to_owned() }
    }

    pub(crate) fn log() -> Self {
        Self { kind: TargetKind::AuditLog, facts: Facts { exists: true, ..Facts::default() }, words: "audit_log".to_owned() }
    }

    /// What a grant is on.
    pub(crate) fn of(resource: &Resource, workspace: Option<&str>) -> Self {
        if *resource == Resource::Server {
            return Self::server();
        }
        let (kind, facts) = target_of(resource, workspace);
        // What data is asked about was let in, and is of no special class, unless somebody says otherwise: see `verify::variants`.
        let data = Some(DataFacts { state: DataState::Admitted, classes: DataClasses::default() });
        let facts = Facts { data, ..facts };
        Self { kind, facts, words: format!("{}:{}", resource.kind(), resource.id()) }
    }

    /// Where a use was; none for one's own account, which needs no grant.
    pub(crate) fn of_use(one: &Use) -> Option<(Self, Resource)> {
        let resource = match one.place.split_once(':') {
            Some((kind, id)) => Resource::parse(kind, id)?,
            None if one.place == "server" => Resource::Server,
            None if one.place == "audit_log" => return Some((Self::log(), Resource::Server)),
            None => return None,
        };
        let workspace = Some(one.workspace.as_str()).filter(|id| !id.is_empty());
        Some((Self::of(&resource, workspace), resource))
    }
}
