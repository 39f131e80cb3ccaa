//! `detections.raise`: the detector writes down what it found, in one commit with how far it has read.

use std::sync::Arc;

use gate::{Action, Operation, Outcome, Permit, Target};
use kernel::{Kind, Problem};
use observe::event::{Apart, tell_apart};

use crate::detectors::Kept;
use crate::rules::{Level, Rule, RuleSet};
use crate::types::{Detection, RESPONSE_DUE, RESPONSE_NONE};
use crate::uses::Use;
use crate::{Detect, Finding, Rung, store, uses};

/// What was read of the log since, and what came of it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Batch {
    pub(crate) findings: Vec<Finding>,
    /// The rules that found them.
    pub(crate) rules: Arc<RuleSet>,
    pub(crate) states: Vec<(String, Kept)>,
    pub(crate) uses: Vec<Use>,
    /// Where reading began and where it goes on.
    pub(crate) before: Option<u64>,
    pub(crate) next: u64,
}

/// Writes findings down.
pub struct Raise {
    pub(crate) room: Detect,
    pub(crate) origin: String,
    pub(crate) batch: Batch,
}

/// What was done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Raised {
    /// New detections.
    pub new_count: usize,
    /// Findings that belong to one that there was.
    pub again_count: usize,
}

impl Operation for Raise {
    const ACTION: Action = super::RAISE;
    type Output = Raised;

    fn target(&self) -> Target {
        Target::Server
    }

    async fn run(self, permit: Permit<Self>) -> Result<Raised, Problem> {
        let at = permit.entry().at;
        let Self { room, origin, batch } = self;
        let db = room.db.clone();
        let write = db.write(&permit, move |writer| {
            if !store::move_on(writer, &origin, batch.before, batch.next)? {
                return Err(Problem::new(Kind::Conflict, "another process reads this log too; one is enough"));
            }
            store::keep_states(writer, &batch.states, at)?;
            uses::write(writer, &batch.uses)?;
            let mut raised = Raised::default();
            for finding in &batch.findings {
                let Some(rule) = batch.rules.rules().get(finding.rule) else { continue };
                let found = detection(&room, rule, finding);
                let alert_id = kernel::random_id();
                if !store::raise(writer, &found, rule.suppress_s, &alert_id)? {
                    raised.again_count += 1;
                    continue;
                }
                raised.new_count += 1;
                tell_apart(writer, &room.targets, apart(&found, alert_id))?;
            }
            let outcome = Outcome::done().with("new", raised.new_count).with("again", raised.again_count);
            Ok((raised, outcome))
        });
        write.await
    }
}

fn detection(room: &Detect, rule: &Rule, finding: &Finding) -> Detection {
    let response = rule.response.min(room.config.respond_up_to);
    let is_due = response > Rung::Note && finding.caller.is_some();
    Detection {
        id: finding.id.clone(),
        rule_id: rule.id.clone(),
        rule: rule.name.clone(),
        title: rule.title.clone(),
        level: rule.level,
        subject: finding.subject.clone(),
        caller: finding.caller.clone(),
        caller_name: None,
        token: finding.token.clone(),
        workspace: finding.workspace.clone(),
        first_at: finding.at,
        last_at: finding.at,
        last_index: finding.index,
        count: 1,
        evidence: finding.evidence.clone(),
        words: finding.words.clone(),
        response,
        response_state: if is_due { RESPONSE_DUE } else { RESPONSE_NONE }.to_owned(),
        acknowledged: None,
        acknowledged_name: None,
    }
}

/// What receivers outside are told: that something was found, not about whom. Who may see that asks for the detection.
fn apart(found: &Detection, alert_id: String) -> Apart {
    let severity = match found.level {
        Level::Critical | Level::High => observe::Severity::Critical,
        Level::Medium => observe::Severity::Warning,
        Level::Low | Level::Informational => observe::Severity::Info,
    };
    Apart {
        alert_id,
        severity,
        headline: format!("{} ({})", found.title, found.level.word()),
        subject: found.id.clone(),
        origin: vec![format!("strongroom detections show {}", found.id)],
        at: found.first_at,
    }
}
