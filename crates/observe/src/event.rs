//! What another room saw happen, and somebody must look at. It does not go away by itself, as a fault does: a person closes it.

use kernel::{Micros, Problem, random_id};
use vault::db::Writer;

use crate::store::alerts::{self, Raised};
use crate::store::news;
use crate::types::{Alert, AlertState, Detail, News, Severity};

/// The kind of an alert about governance that was bypassed.
pub const GOVERNANCE_BYPASS: &str = "governance_bypass";

/// The kind of an alert about somebody who made themself administrator in an emergency.
pub const BREAK_GLASS: &str = "break_glass";

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

/// Opens an alert in the transaction of what it is about, and tells receivers outside: none is without the others. `targets` is
/// [`crate::ObserveConfig::receivers`].
///
/// # Errors
/// `Unavailable` or `Internal` of the database.
pub fn tell(writer: &mut Writer<'_>, targets: &[String], event: Event) -> Result<(), Problem> {
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
    Ok(news::add(writer, targets, &alert.id, News::Firing, event.at)?)
}

/// The kind of an alert about what was found in the log.
pub const DETECTION: &str = "detection";
/// Where alerts are that no list of alerts shows, whatever the workspace: no workspace has such an id.
const APART: &str = "!apart";

/// Something that receivers outside are told, and nobody else: those whom it is about may see alerts too.
#[derive(Clone, Debug)]
pub struct Apart {
    /// The alert's id, as [`settle_apart`] wants it.
    pub alert_id: String,
    /// How bad.
    pub severity: Severity,
    /// What, in a sentence, without people.
    pub headline: String,
    /// What it is about, by id.
    pub subject: String,
    /// Commands that show more.
    pub origin: Vec<String>,
    /// When.
    pub at: Micros,
}

/// Tells receivers outside, in the transaction of what it is about. `targets` is [`crate::Observe::receivers`].
///
/// # Errors
/// `Unavailable` or `Internal` of the database.
pub fn tell_apart(writer: &mut Writer<'_>, targets: &[String], apart: Apart) -> Result<(), Problem> {
    let fingerprint = format!("apart/{}", apart.alert_id);
    let alert = Alert {
        id: apart.alert_id,
        workspace: APART.to_owned(),
        endpoint: None,
        model: None,
        kind: DETECTION.to_owned(),
        severity: apart.severity,
        state: AlertState::Open,
        headline: apart.headline,
        began_at: apart.at,
        opened_at: apart.at,
        seen_at: apart.at,
        crosses_at: None,
        certainty: None,
        detail: Detail { subject: apart.subject, origin: apart.origin, ..Detail::default() },
        acknowledged: None,
        resolved: None,
    };
    alerts::raise(writer, &Raised { fingerprint: &fingerprint, alert: &alert, remedies: &[] })?;
    Ok(news::add(writer, targets, &alert.id, News::Firing, apart.at)?)
}

/// Tells receivers outside that somebody is on it.
///
/// # Errors
/// As above.
pub fn settle_apart(writer: &mut Writer<'_>, targets: &[String], alert_id: &str, at: Micros, by: &str) -> Result<(), Problem> {
    if alerts::resolve(writer, alert_id, at, by)? {
        news::add(writer, targets, alert_id, News::Resolved, at)?;
    }
    Ok(())
}
