//! `datasets.waive`, `datasets.admit` and `datasets.refuse`: what a person decides about a version.
//!
//! INVARIANT: who committed a version lets it in by no way, neither by themself nor by an account of theirs. The policy forbids
//! the first; the second is looked up here. Held by `tests::admission`.

use gate::{Action, DataState, Operation, Outcome, Permit, Target};
use kernel::{Kind, Micros, Problem};
use vault::db::{Reader, Writer};

use crate::limits::WAIVER_DAYS_MAX;
use crate::store::{inspections, is_waiver_over, versions};
use crate::types::{Decision, DecisionKind, InspectionState, Verdict, Version, no_version};
use crate::{Data, rules};

/// A decision as it was written down.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decided {
    /// The version's number.
    pub number: i64,
    /// Its state now.
    pub state: DataState,
    /// When the waiver ends.
    pub waiver_until: Option<Micros>,
}

/// Lets a version in although its inspection asks for a waiver: a named person, a reason, an end. What the policy refuses
/// cannot be waived.
pub struct Waive {
    /// The room.
    pub room: Data,
    /// The data set.
    pub dataset: String,
    /// The version.
    pub version: String,
    /// Why.
    pub reason: String,
    /// When it ends.
    pub until: Micros,
}

impl Operation for Waive {
    const ACTION: Action = super::WAIVE;
    type Output = Decided;

    fn target(&self) -> Target {
        Target::DatasetVersion(self.dataset.clone(), self.version.clone())
    }

    async fn run(self, permit: Permit<Self>) -> Result<Decided, Problem> {
        let at = permit.entry().at;
        if self.until <= at || self.until > at.plus_secs(WAIVER_DAYS_MAX * 86_400) {
            return Err(Problem::invalid(format!("a waiver ends in the future, at most {WAIVER_DAYS_MAX} days from now")));
        }
        let until = self.until;
        decide(&self.room, &permit, DecisionKind::Waiver, self.reason, DataState::Admitted, Some(until)).await
    }
}

/// Lets a version in whose last inspection has no objection: where admission is not automatic, or after it was refused.
pub struct Admit {
    /// The room.
    pub room: Data,
    /// The data set.
    pub dataset: String,
    /// The version.
    pub version: String,
    /// Why.
    pub reason: String,
}

impl Operation for Admit {
    const ACTION: Action = super::ADMIT;
    type Output = Decided;

    fn target(&self) -> Target {
        Target::DatasetVersion(self.dataset.clone(), self.version.clone())
    }

    async fn run(self, permit: Permit<Self>) -> Result<Decided, Problem> {
        decide(&self.room, &permit, DecisionKind::Reviewer, self.reason, DataState::Admitted, None).await
    }
}

/// Keeps a version out, whatever its inspection said. Anybody who may, their own included: it only makes things safer.
pub struct Refuse {
    /// The room.
    pub room: Data,
    /// The data set.
    pub dataset: String,
    /// The version.
    pub version: String,
    /// Why.
    pub reason: String,
}

impl Operation for Refuse {
    const ACTION: Action = super::REFUSE;
    type Output = Decided;

    fn target(&self) -> Target {
        Target::DatasetVersion(self.dataset.clone(), self.version.clone())
    }

    async fn run(self, permit: Permit<Self>) -> Result<Decided, Problem> {
        decide(&self.room, &permit, DecisionKind::Reviewer, self.reason, DataState::Refused, None).await
    }
}

async fn decide<O: ?Sized>(
    room: &Data,
    permit: &Permit<O>,
    kind: DecisionKind,
    why: String,
    to: DataState,
    until: Option<Micros>,
) -> Result<Decided, Problem> {
    rules::reason(&why)?;
    let id = rules::version_id(permit)?;
    let decision = Decision { kind, by: permit.caller().id.clone(), at: permit.entry().at, why };
    let write = move |writer: &mut Writer<'_>| {
        let version = versions::get(writer, &id)?.ok_or_else(no_version)?;
        let number = rules::committed(&version)?;
        if to == DataState::Admitted {
            another_hand(writer, &version, &decision.by)?;
            may_be_let_in(writer, &version, kind, decision.at)?;
        }
        let from = from_states(to);
        versions::decide(writer, &id, from, to, &decision, until)?;
        if to == DataState::Refused
            && let Some(running) = inspections::last(writer, &id)?.filter(|last| !last.state.is_over())
        {
            stop(writer, &running.id, running.state, decision.at)?;
        }
        let outcome = Outcome::done().resource(id).with("number", number).with("state", to.word());
        let outcome = until.map_or(outcome.clone(), |until| outcome.with("waiver_until", until.0));
        Ok((Decided { number, state: to, waiver_until: until }, outcome))
    };
    room.db().write(permit, write).await
}

const fn from_states(to: DataState) -> &'static [DataState] {
    match to {
        DataState::Refused => &[DataState::Quarantined, DataState::Inspecting, DataState::Admitted],
        // A waiver that ended may still stand as admitted in its row.
        _ => &[DataState::Quarantined, DataState::Refused, DataState::Admitted],
    }
}

/// Who lets a version in is somebody else than who brought it, also by way of a service account.
fn another_hand(reader: &mut Reader<'_>, version: &Version, caller: &str) -> Result<(), Problem> {
    let committers = versions::hands(reader, &version.committer)?;
    if committers.iter().any(|hand| hand == caller) {
        return Err(Problem::forbidden(
            "who committed a version does not let it in, nor does an account of theirs; ask another reviewer",
        ));
    }
    Ok(())
}

/// The last inspection left a report that allows this way in.
fn may_be_let_in(reader: &mut Reader<'_>, version: &Version, kind: DecisionKind, now: Micros) -> Result<(), Problem> {
    let conflict = |why: &str| Err(Problem::new(Kind::Conflict, why));
    if version.state == DataState::Admitted && !is_waiver_over(version.state, version.waiver_until, now) {
        return conflict("the version is admitted already");
    }
    let last = inspections::last(reader, &version.id)?;
    let Some(done) = last.filter(|last| last.state == InspectionState::Done) else {
        return conflict("its last inspection left no report; have it inspected again first");
    };
    match (done.verdict, kind) {
        (Some(Verdict::Pass), DecisionKind::Reviewer) | (Some(Verdict::Waiver), DecisionKind::Waiver) => Ok(()),
        (Some(Verdict::Pass), _) => conflict("nothing speaks against the version; admit it, there is nothing to waive"),
        (Some(Verdict::Waiver), _) => conflict("its findings need a waiver, with an end; waive them instead"),
        (Some(Verdict::Refuse) | None, _) => conflict(
            "its findings refuse it, which cannot be waived; clean it, or have the verdict's policy changed and inspect it again",
        ),
    }
}

/// Stops an inspection: one that waits at once, one that runs when it next looks up.
pub(super) fn stop(writer: &mut Writer<'_>, id: &str, state: InspectionState, at: Micros) -> Result<(), Problem> {
    if state == InspectionState::Queued {
        inspections::fail(writer, id, InspectionState::Cancelled, "it was cancelled before it began", at)?;
    }
    Ok(inspections::cancel(writer, id)?)
}
