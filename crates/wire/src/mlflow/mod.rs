//! MLflow's REST API, as its Python client and its web page speak it. One file per family of endpoints; each maps JSON
//! to a verb and its output to JSON. Shapes and limits: MLflow's `service.proto` and `model_registry.proto`.

pub mod experiments;
pub mod json;
pub mod logging;
pub mod metrics;
pub mod runs;
mod tracking_view;

use kernel::Problem;

use crate::Inbound;

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
