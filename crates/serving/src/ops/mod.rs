//! The verbs.

mod create;
mod delete;
mod get;
mod guard;
mod predict;
mod rollout;
mod search;
mod takeover;
mod trails;
mod update;

use gate::{Action, Facts, Permit, Target};
use kernel::Problem;
use vault::db::{DbError, Reader};

pub use create::CreateEndpoint;
pub use delete::DeleteEndpoint;
pub use get::{Challenger, GetEndpoint, Ready};
pub use guard::{GuardChange, SetGuard};
pub use predict::Predict;
pub use rollout::{HaltRollout, StartRollout};
pub use search::{EndpointPage, SearchEndpoints};
pub use takeover::{PromoteChallenger, Rollback};
pub use trails::{ListTrails, ReleaseTrail, ThrottleTrail};
pub use update::UpdateEndpoint;

use crate::types::no_endpoint;

/// Makes an endpoint.
pub const CREATE: Action = Action::write("endpoints.create");
/// Lists endpoints.
pub const SEARCH: Action = Action::read("endpoints.search");
/// Shows an endpoint and what it answers with.
pub const GET: Action = Action::read("endpoints.get");
/// Lets an endpoint answer with another version.
pub const UPDATE: Action = Action::write("endpoints.update");
/// Takes an endpoint away.
pub const DELETE: Action = Action::write("endpoints.delete");
/// Lets a second version take part.
pub const ROLLOUT: Action = Action::write("endpoints.rollout");
/// Lets the second version answer all requests.
pub const PROMOTE: Action = Action::write("endpoints.promote");
/// Takes the last change back.
pub const ROLLBACK: Action = Action::write("endpoints.rollback");
/// Writes down that a rollout ended by itself.
pub const HALT: Action = Action::write("endpoints.halt");
/// Asks an endpoint.
pub const PREDICT: Action = Action::read("endpoints.predict");
/// Says how an endpoint is guarded.
pub const GUARD: Action = Action::write("endpoints.guard");
/// Shows what is known of an endpoint's callers.
pub const TRAILS: Action = Action::read("endpoints.trails");
/// Takes back what is held against a caller.
pub const RELEASE: Action = Action::write("endpoints.release");
/// Slows a caller down, or refuses it.
pub const THROTTLE: Action = Action::write("endpoints.throttle");

/// Finds an endpoint for the gate.
///
/// # Errors
/// Of the database.
pub fn locate(reader: &mut Reader<'_>, workspace: &str, target: &Target) -> Result<Option<Facts>, DbError> {
    crate::store::locate(reader, workspace, target)
}

/// The endpoint that the permit is for.
pub(crate) fn endpoint_of<O: ?Sized>(permit: &Permit<O>) -> Result<String, Problem> {
    let facts = permit.facts();
    facts.id.clone().filter(|_| facts.exists).ok_or_else(no_endpoint)
}
