//! The verbs.

mod acknowledge;
mod list;
mod own;
mod raise;
mod respond;

use gate::Action;
use kernel::Problem;

pub use acknowledge::AcknowledgeDetection;
pub use list::{DetectionPage, GetDetection, ListDetections, ListRules, PAGE_COUNT_MAX, RuleView};
pub use own::{CheckRules, CheckedRules, DeleteRules, GetOwnRules, ListOwnRules, SetRules, Tried, TriedRule};
pub(crate) use raise::Batch;
pub use raise::{Raise, Raised};
pub use respond::Respond;

/// Lists detections.
pub const LIST: Action = Action::read("detections.list");
/// Shows a detection with its evidence.
pub const GET: Action = Action::read("detections.get");
/// Lists the rules.
pub const RULES: Action = Action::read("detections.rules");
/// Reads rules that somebody writes, and tries them on the log.
pub const CHECK: Action = Action::read("detections.check");
/// Keeps rules that somebody wrote.
pub const SET_RULES: Action = Action::write("detections.set_rules");
/// Deletes them.
pub const DELETE_RULES: Action = Action::write("detections.delete_rules");
/// Says that somebody is on it.
pub const ACKNOWLEDGE: Action = Action::write("detections.acknowledge");
/// The detector writes down what it found.
pub const RAISE: Action = Action::write("detections.raise");
/// The responder notes what became of a response.
pub const RESPOND: Action = Action::write("detections.respond");

fn no_detection() -> Problem {
    Problem::not_found("there is no such detection; `strongroom detections list` shows those that there are")
}
