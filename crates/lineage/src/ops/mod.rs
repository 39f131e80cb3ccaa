//! The verbs.

mod show;

use gate::Action;

pub use show::Show;

/// See what stands behind a version of a model.
pub const LINEAGE_READ: Action = Action::read("lineage.read");
