//! Who may do what: the schema of verbs, the roles, the grants, and the decision. Cedar judges; this room gives it what it
//! needs and no more, and keeps the grants.
//!
//! It is not the place where anybody is identified (`identity`), nor where a verb's own rules live. It narrows lists by
//! saying which rows may be seen; the rooms turn that into SQL.
//!
//! INVARIANT: any doubt (an error of a policy, an unknown verb, a grant that cannot be linked) refuses. Held by
//! `tests::a_forbid_that_errs_refuses`.
//! INVARIANT: a slice of the grants decides like all of them. Held by `tests::a_slice_decides_like_the_whole`.
//! INVARIANT: nobody gains by granting. Held by `tests::nobody_gains_by_granting`; why so: decision 0002.
//! INVARIANT: a revoked or expired grant counts no more within a second on every node. Held by
//! `tests::another_node_sees_a_revocation`.

mod cache;
mod circumstances;
mod config;
mod directory;
mod elevation;
mod engine;
mod escalate;
mod index;
mod judge;
mod office;
mod ops;
mod place;
mod policy;
mod review;
mod roles;
mod store;
mod store_names;
#[cfg(test)]
mod tests;
mod texts;
mod types;

use std::collections::BTreeSet;

pub use config::PolicyConfig;
pub use directory::{Directory, NoDirectory};
pub use elevation::{Broken, Elevation, ElevationState, GlassAlarm};
pub use ops::{
    ACCESS_CHECK, AccessAnswer, AccessCheck, BreakGlass, CreateGrant, DecideElevation, ElevationPreview, EndElevation, FindPaths,
    GrantPage, GrantPreview, JUSTIFICATION_BYTES_MAX, ListElevations, ListGrants, ListRoles, MemberPreview, NameThings,
    OwnElevations, PAGE_COUNT_MAX, PreviewElevation, PreviewGrant, PreviewMember, RequestElevation, ReviewAccess, RevokeGrant,
    THINGS_NAMED_COUNT_MAX, ThingName,
};
pub use policy::{Policy, PolicyPort, VisibleWorkspaces};
pub use review::{
    Advice, Dormant, Enumeration, EscalationPath, GrantReview, OldToken, PathsFound, Proof, Request as ReviewedRequest,
    ReviewReport, Step as EscalationStep,
};
pub use roles::{Role, covers};
pub use types::{Grant, On, PolicyError, Principal, PrincipalKind, Resource};

use gate::Action;

/// Every verb of this room.
pub const ACTIONS: &[Action] = &[
    ops::GRANTS_CREATE,
    ops::GRANTS_LIST,
    ops::GRANTS_REVOKE,
    ops::ROLES_LIST,
    ops::ELEVATIONS_REQUEST,
    ops::ELEVATIONS_DECIDE,
    ops::ELEVATIONS_BREAK_GLASS,
    ops::ELEVATIONS_LIST,
    ops::ELEVATIONS_OWN,
    ops::ELEVATIONS_END,
    ops::ACCESS_CHECK,
    ops::GRANTS_PREVIEW,
    ops::GROUPS_PREVIEW,
    ops::ACCESS_REVIEW,
    ops::ACCESS_PATHS,
];

/// Every verb that the schema knows, of all rooms; empty if the built-in policy cannot be read.
#[must_use]
pub fn known_actions() -> &'static BTreeSet<String> {
    static NONE: BTreeSet<String> = BTreeSet::new();
    engine::embedded_ref().map_or(&NONE, engine::Engine::known)
}

/// Whether the schema has a verb among those that change something; `None` for an unknown one.
#[must_use]
pub fn is_write(verb: &str) -> Option<bool> {
    engine::embedded_ref().and_then(|engine| engine.verb(verb)).map(|verb| verb.writes)
}

/// SHA-256 over the schema, the roles and all policies, as hex. Its first 8 digits end the reasons of every decision.
#[must_use]
pub fn policy_version() -> &'static str {
    engine::embedded_ref().map_or("", |engine| engine.version.as_str())
}
