//! `admissions.waive`, `admissions.admit` and `admissions.refuse`: what a person decides about a version.
//!
//! INVARIANT: who registered a version lets it in by no way, neither by themself nor by an account of theirs. Held by
//! `tests::decisions`.

use data::{Decision, DecisionKind, InspectionState, Verdict};
use gate::{Action, DataState, Operation, Outcome, Permit, Target};
use kernel::{Micros, Problem};
use vault::db::{Reader, Writer};

use super::subject_of;
use crate::Admission;
use crate::limits::{REASON_BYTES_MAX, WAIVER_DAYS_MAX};
use crate::store::{inspections, standings};
use crate::types::{Standing, conflict, no_version};

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
    pub room: Admission,
    /// The model's name.
    pub name: String,
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
        Target::ModelVersion(self.name.clone(), self.version.clone())
    }

    async fn run(self, permit: Permit<Self>) -> Result<Decided, Problem> {
        let at = permit.entry().at;
        if self.until <= at || self.until > at.plus_secs(WAIVER_DAYS_MAX * 86_400) {
            return Err(Problem::invalid(format!("a waiver ends in the future, at most {WAIVER_DAYS_MAX} days from now")));
        }
        let until = Some(self.until);
        decide(&self.room, &permit, Word { kind: DecisionKind::Waiver, why: self.reason, to: DataState::Admitted, until }).await
    }
}

/// Lets a version in whose last inspection has no objection: where admission is not automatic, or after it was refused.
pub struct Admit {
    /// The room.
    pub room: Admission,
    /// The model's name.
    pub name: String,
    /// The version.
    pub version: String,
    /// Why.
    pub reason: String,
}

impl Operation for Admit {
    const ACTION: Action = super::ADMIT;
    type Output = Decided;

    fn target(&self) -> Target {
        Target::ModelVersion(self.name.clone(), self.version.clone())
    }

    async fn run(self, permit: Permit<Self>) -> Result<Decided, Problem> {
        let word = Word { kind: DecisionKind::Reviewer, why: self.reason, to: DataState::Admitted, until: None };
        decide(&self.room, &permit, word).await
    }
}

/// Keeps a version out, whatever its inspection said. Anybody who may, their own included: it only makes things safer. Aliases
/// that point at it stay, and what follows them is refused.
pub struct Refuse {
    /// The room.
    pub room: Admission,
    /// The model's name.
    pub name: String,
    /// The version.
    pub version: String,
    /// Why.
    pub reason: String,
}

impl Operation for Refuse {
    const ACTION: Action = super::REFUSE;
    type Output = Decided;

    fn target(&self) -> Target {
        Target::ModelVersion(self.name.clone(), self.version.clone())
    }

    async fn run(self, permit: Permit<Self>) -> Result<Decided, Problem> {
        let word = Word { kind: DecisionKind::Reviewer, why: self.reason, to: DataState::Refused, until: None };
        decide(&self.room, &permit, word).await
    }
}

/// What a person says.
struct Word {
    kind: DecisionKind,
    why: String,
    to: DataState,
    until: Option<Micros>,
}

async fn decide<O: ?Sized>(room: &Admission, permit: &Permit<O>, word: Word) -> Result<Decided, Problem> {
    let Word { kind, why, to, until } = word;
    if why.trim().is_empty() || why.len() > REASON_BYTES_MAX || why.chars().any(char::is_control) {
        return Err(Problem::invalid(format!("`reason` is a line of 1 to {REASON_BYTES_MAX} bytes")));
    }
    let subject = subject_of(permit)?;
    let decision = Decision { kind, by: permit.caller().id.clone(), at: permit.entry().at, why };
    let write = move |writer: &mut Writer<'_>| {
        let standing = standings::get(writer, &subject)?.ok_or_else(no_version)?;
        if to == DataState::Admitted {
            another_hand(writer, &standing, &decision.by)?;
            may_be_let_in(writer, &standing, kind, decision.at)?;
        } else if let Some(running) = inspections::last(writer, &subject)?.filter(|last| !last.state.is_over()) {
            if running.state == InspectionState::Queued {
                let why = "it was cancelled before it began";
                inspections::fail(writer, &running.id, InspectionState::Cancelled, why, decision.at)?;
            }
            inspections::cancel(writer, &running.id)?;
        }
        standings::decide(writer, &subject, to, &decision, until)?;
        let outcome = Outcome::done().resource(subject.id()).with("state", to.word());
        let outcome = until.map_or(outcome.clone(), |until| outcome.with("waiver_until", until.0));
        Ok((Decided { number: subject.number, state: to, waiver_until: until }, outcome))
    };
    let decided = room.db().write(permit, write).await?;
    room.0.ended.notify_waiters();
    Ok(decided)
}

/// Who lets a version in is somebody else than who registered it, also by way of a service account.
fn another_hand(reader: &mut Reader<'_>, standing: &Standing, caller: &str) -> Result<(), Problem> {
    if data::hands(reader, &standing.submitter)?.iter().any(|hand| hand == caller) {
        return Err(Problem::forbidden(
            "who registered a version does not let it in, nor does an account of theirs; ask another reviewer",
        ));
    }
    Ok(())
}

/// The last inspection left a report that allows this way in.
fn may_be_let_in(reader: &mut Reader<'_>, standing: &Standing, kind: DecisionKind, now: Micros) -> Result<(), Problem> {
    if standing.state_at(now) == DataState::Admitted {
        return Err(conflict("the version is admitted already"));
    }
    let last = inspections::last(reader, &standing.subject)?;
    let Some(done) = last.filter(|last| last.state == InspectionState::Done) else {
        return Err(conflict("its last inspection left no report; have it inspected again first"));
    };
    match (done.verdict, kind) {
        (Some(Verdict::Pass), DecisionKind::Reviewer) | (Some(Verdict::Waiver), DecisionKind::Waiver) => Ok(()),
        (Some(Verdict::Pass), _) => Err(conflict("nothing speaks against the version; admit it, there is nothing to waive")),
        (Some(Verdict::Waiver), _) => Err(conflict("its findings need a waiver, with an end; waive them instead")),
        (Some(Verdict::Refuse) | None, _) => Err(conflict(
            "its findings refuse it, which cannot be waived; register a version without them, or have the verdict's policy changed \
             and inspect it again",
        )),
    }
}
