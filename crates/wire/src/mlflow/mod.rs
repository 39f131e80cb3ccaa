//! MLflow's REST API, as its Python client and its web page speak it. One file per family of endpoints; each maps JSON
//! to a verb and its output to JSON. Shapes and limits: MLflow's `service.proto` and `model_registry.proto`.

pub mod artifacts;
mod assessments;
pub mod evaluation;
pub mod experiments;
pub mod graphql;
pub mod json;
pub mod logged_models;
pub mod logging;
pub mod metrics;
pub mod model_versions;
pub(crate) mod number;
pub mod promptlab;
pub mod registered_models;
mod registry_view;
pub mod runs;
mod trace_view;
pub mod traces;
mod tracking_view;
pub mod version_files;
pub mod workspaces;

use kernel::Problem;

use crate::{Door, Inbound};

/// MLflow's Python client uses `/api`, its web page `/ajax-api`; both versions mean the same verbs.
pub(crate) const PREFIXES: [&str; 4] = ["/api/2.0", "/ajax-api/2.0", "/api/3.0", "/ajax-api/3.0"];

/// A route's reader: `parse` with its room.
fn bound<R, O>(
    room: &R,
    parse: fn(&R, &Inbound) -> Result<O, Problem>,
) -> impl Fn(&Inbound) -> Result<O, Problem> + Send + Sync + Clone + 'static
where
    R: Clone + Send + Sync + 'static,
    O: 'static,
{
    let room = room.clone();
    move |inbound| parse(&room, inbound)
}

/// Adds all routes of MLflow's interface.
pub fn routes(
    door: &mut Door,
    tracking: &tracking::Tracking,
    registry: &registry::Registry,
    artifacts: &::artifacts::Artifacts,
    identity: &identity::Identity,
) {
    experiments::routes(door, tracking);
    runs::routes(door, tracking);
    logging::routes(door, tracking);
    promptlab::routes(door, tracking, artifacts);
    metrics::routes(door, tracking);
    artifacts::routes(door, artifacts, identity);
    registered_models::routes(door, registry);
    model_versions::routes(door, registry);
    version_files::routes(door, registry, artifacts);
    logged_models::routes(door, registry);
    graphql::routes(door, tracking, registry, artifacts);
}
