//! `alerts.receive`: what an Alertmanager sends to its webhook becomes alerts here.

use gate::{Action, Operation, Outcome, Permit, Target};
use kernel::{Kind, Micros, Problem, hex, random_id, sha256};

use crate::Observe;
use crate::limits::RECEIVED_COUNT_MAX;
use crate::store::alerts::{self, Raised};
use crate::types::{Alert, AlertState, News, Severity, bounded};

/// One alert as it was told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Told {
    /// Whether it fires, or is over.
    pub news: News,
    /// The Alertmanager's fingerprint.
    pub fingerprint: String,
    /// Its name.
    pub name: String,
    /// Its severity's word, if it has one.
    pub severity: Option<String>,
    /// What it says.
    pub summary: String,
    /// Since when.
    pub began_at: Micros,
}

/// Takes alerts in.
pub struct ReceiveAlerts {
    /// The room.
    pub room: Observe,
    /// What was told.
    pub told: Vec<Told>,
}

/// How many were taken in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Received {
    /// Opened.
    pub opened_count: usize,
    /// Closed.
    pub resolved_count: usize,
}

impl Operation for ReceiveAlerts {
    const ACTION: Action = super::RECEIVE;
    type Output = Received;

    fn target(&self) -> Target {
        Target::Workspace
    }

    async fn run(self, permit: Permit<Self>) -> Result<Received, Problem> {
        if self.told.len() > RECEIVED_COUNT_MAX {
            return Err(Problem::new(Kind::TooLarge, format!("a message brings at most {RECEIVED_COUNT_MAX} alerts")));
        }
        let workspace = permit.workspace()?.to_owned();
        let (at, by, told) = (permit.entry().at, permit.caller().id.clone(), self.told);
        let taken = self.room.db().write(&permit, move |writer| {
            let mut received = Received::default();
            for one in &told {
                // Of no more than a workspace's own: another one's alert of the same fingerprint is another.
                let fingerprint = format!("external/{}", hex(&sha256(format!("{workspace}\n{}", one.fingerprint).as_bytes())));
                if one.news == News::Resolved {
                    if let Some(id) = alerts::open_of(writer, &fingerprint)? {
                        received.resolved_count += usize::from(alerts::resolve(writer, &id, at, &by)?);
                    }
                    continue;
                }
                let alert = one.as_alert(&workspace, at);
                let raised = Raised { fingerprint: &fingerprint, alert: &alert, remedies: &[] };
                received.opened_count += usize::from(alerts::raise(writer, &raised)?.is_some());
            }
            let outcome = Outcome::done().with("opened", received.opened_count).with("resolved", received.resolved_count);
            Ok((received, outcome))
        });
        taken.await
    }
}

impl Told {
    fn as_alert(&self, workspace: &str, at: Micros) -> Alert {
        let severity = self.severity.as_deref().map(|word| if word == "page" { "critical" } else { word });
        let name = bounded(&self.name);
        let headline = if self.summary.is_empty() { name.clone() } else { format!("{name}: {}", bounded(&self.summary)) };
        Alert {
            id: random_id(),
            workspace: workspace.to_owned(),
            endpoint: None,
            model: None,
            kind: "external".to_owned(),
            severity: severity.and_then(Severity::parse).unwrap_or(Severity::Warning),
            state: AlertState::Open,
            headline,
            began_at: self.began_at,
            opened_at: at,
            seen_at: at,
            crosses_at: None,
            certainty: None,
            detail: alerts::detail_of(&name),
            acknowledged: None,
            resolved: None,
        }
    }
}
