//! What another room saw happen, and somebody must look at. It does not go away by itself, as a fault does: a person closes it.

use kernel::{Micros, Problem, random_id};
use vault::db::Writer;

use crate::store::alerts::{self, Raised};
use crate::types::{Alert, AlertState, Detail, Severity};

/// The kind of an alert about governance that was bypassed.
pub const GOVERNANCE_BYPASS: &str = "governance_bypass";

/// Something that happened.
#[derive(Clone, Debug)]
pub struct Event {
    /// What kind, such as [`GOVERNANCE_BYPASS`].
    pub kind: &'static str,
    /// The workspace's id.
    pub workspace: String,
    /// What, in a sentence.
    pub headline: String,
    /// What it is about, as people name it.
    pub subject: String,
    /// Commands that show more.
    pub origin: Vec<String>,
    /// When.
    pub at: Micros,
}

/// Opens an alert in the transaction of what it is about: neither is without the other.
///
/// # Errors
/// `Unavailable` or `Internal` of the database.
pub fn tell(writer: &mut Writer<'_>, event: Event) -> Result<(), Problem> {
    let id = random_id();
    let fingerprint = format!("event/{id}");
    let alert = Alert {
        id,
        workspace: event.workspace,
        endpoint: None,
        model: None,
        kind: event.kind.to_owned(),
        severity: Severity::Critical,
        state: AlertState::Open,
        headline: event.headline,
        began_at: event.at,
        opened_at: event.at,
        seen_at: event.at,
        crosses_at: None,
        certainty: None,
        detail: Detail { subject: event.subject, origin: event.origin, ..Detail::default() },
        acknowledged: None,
        resolved: None,
    };
    alerts::raise(writer, &Raised { fingerprint: &fingerprint, alert: &alert, remedies: &[] })?;
    Ok(())
}
