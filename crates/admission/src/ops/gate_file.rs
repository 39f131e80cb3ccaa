//! `gates.get` and `gates.set`: what versions of a model must hold to.

use gate::{Action, Operation, Outcome, Permit, Target};
use gates::GateFile;
use kernel::{Problem, hex};
use vault::db::Reader;

use crate::Admission;
use crate::limits::{GATE_SHOWN_COUNT_MAX, REASON_BYTES_MAX};
use crate::store::gates as store;
use crate::types::Gate;

/// Makes a text the gate file of a model, or takes it away. Versions are judged by it when they are inspected next; one that was
/// judged by another is not promoted beyond the champion.
pub struct SetGate {
    /// The room.
    pub room: Admission,
    /// The model's name.
    pub name: String,
    /// The gate file (YAML); none to take it away.
    pub text: Option<String>,
    /// Why.
    pub reason: String,
}

impl Operation for SetGate {
    const ACTION: Action = super::SET_GATE;
    type Output = Gate;

    fn target(&self) -> Target {
        Target::RegisteredModel(self.name.clone())
    }

    async fn run(self, permit: Permit<Self>) -> Result<Gate, Problem> {
        let Self { room, text, reason, .. } = self;
        if reason.trim().is_empty() || reason.len() > REASON_BYTES_MAX || reason.chars().any(char::is_control) {
            return Err(Problem::invalid(format!("`reason` is a line of 1 to {REASON_BYTES_MAX} bytes")));
        }
        if let Some(text) = &text {
            GateFile::from_yaml(text).map_err(|error| Problem::invalid(error.to_string()))?;
        }
        let model_id = model_id(&permit)?;
        let (workspace, caller, at) = (permit.workspace()?.to_owned(), permit.caller().id.clone(), permit.entry().at);
        let write = move |writer: &mut vault::db::Writer<'_>| {
            let new = store::New {
                model_id: &model_id,
                workspace: &workspace,
                text: text.as_deref(),
                caller: &caller,
                at,
                reason: &reason,
            };
            let gate = store::put(writer, &new)?;
            let outcome = Outcome::done()
                .resource(model_id)
                .with("revision", gate.revision)
                .with("gate_sha256", hex(&gate.sha256))
                .with("reason_sha256", hex(&kernel::sha256(reason.as_bytes())));
            Ok((gate, outcome))
        };
        room.db().write(&permit, write).await
    }
}

/// Shows the gate file of a model.
pub struct ShowGate {
    /// The room.
    pub room: Admission,
    /// The model's name.
    pub name: String,
    /// Which revision; the newest if none is named.
    pub revision: Option<i64>,
}

/// The revisions of a gate file, without their texts.
pub type GateHistory = Vec<Gate>;

/// A gate file with its history.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GateShown {
    /// The revision.
    pub gate: Gate,
    /// The newest revisions, the newest first.
    pub history: GateHistory,
}

impl Operation for ShowGate {
    const ACTION: Action = super::GET_GATE;
    type Output = GateShown;

    fn target(&self) -> Target {
        Target::RegisteredModel(self.name.clone())
    }

    async fn run(self, permit: Permit<Self>) -> Result<GateShown, Problem> {
        let (model_id, revision) = (model_id(&permit)?, self.revision);
        let read = move |reader: &mut Reader<'_>| {
            let mut history = store::history(reader, &model_id, GATE_SHOWN_COUNT_MAX)?;
            let gate = match revision {
                Some(revision) => store::get(reader, &model_id, revision)?,
                None => history.first().cloned(),
            };
            history.iter_mut().for_each(|gate| gate.text = None);
            Ok(gate.map(|gate| GateShown { gate, history }))
        };
        let found = self.room.db().read(&permit, read).await?;
        found.ok_or_else(|| {
            Problem::not_found("the model has no such gate file; set one with `strongroom model gate set MODEL FILE`")
        })
    }
}

fn model_id<O: ?Sized>(permit: &Permit<O>) -> Result<String, Problem> {
    let facts = permit.facts();
    let missing = || Problem::not_found("there is no registered model of this name");
    facts.id.clone().filter(|_| facts.exists).ok_or_else(missing)
}
