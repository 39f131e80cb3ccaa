//! The verbs.

mod decide;
mod deliver;
pub(crate) mod health;
mod judge;
mod labels;
mod metrics;
mod recall;
mod receive;
mod remedy;
mod search;
mod traffic;

use gate::Action;
use kernel::Problem;

pub use decide::{AcknowledgeAlert, ResolveAlert};
pub use deliver::{DeliverNews, Delivered};
pub use health::ShowHealth;
pub use judge::{Judge, Judged};
pub use labels::{AddLabels, Labelled};
pub use metrics::ShowMetrics;
pub use recall::RecallTraining;
pub use receive::{ReceiveAlerts, Received, Told};
pub use remedy::{RemedyDone, RunRemedy};
pub use search::{AlertPage, FoundAlert, GetAlert, SearchAlerts};
pub use traffic::{ShowTraffic, Traffic, TrafficMinute};

/// Lists alerts.
pub const SEARCH: Action = Action::read("alerts.search");
/// Shows an alert with its causes and remedies.
pub const GET: Action = Action::read("alerts.get");
/// Says that somebody is on it.
pub const ACKNOWLEDGE: Action = Action::write("alerts.acknowledge");
/// Closes an alert.
pub const RESOLVE: Action = Action::write("alerts.resolve");
/// Takes alerts of an Alertmanager in.
pub const RECEIVE: Action = Action::write("alerts.receive");
/// Takes a remedy up: its act is asked for behind it, as the same caller.
pub const REMEDY: Action = Action::write("remedies.run");
/// Notes what came of a remedy.
pub const REMEDY_DONE: Action = Action::write("remedies.done");
/// Adds true outcomes.
pub const LABELS: Action = Action::write("labels.add");
/// Shows how endpoints, data and the server are.
pub const HEALTH: Action = Action::read("health.show");
/// Shows what an endpoint was asked, minute by minute.
pub const TRAFFIC: Action = Action::read("endpoints.traffic");
/// Gives the metrics to a Prometheus.
pub const METRICS: Action = Action::read("observe.metrics");
/// The watcher judges what was seen.
pub const JUDGE: Action = Action::write("observe.judge");
/// The watcher looks up what a version was trained on.
pub const RECALL: Action = Action::read("observe.recall");
/// The watcher sends news to receivers outside.
pub const DELIVER: Action = Action::write("observe.deliver");

fn no_alert() -> Problem {
    Problem::not_found("there is no such alert here; `strongroom alerts list` shows those that there are")
}

fn no_remedy() -> Problem {
    Problem::not_found("there is no such remedy; `strongroom alerts show ALERT` shows those that there are")
}
