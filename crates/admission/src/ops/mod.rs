//! The verbs.

mod decide;
mod gate_file;
mod inspect;
mod paper;
mod run;
mod show;

use artifacts::{Manifest, Place, files_below};
use gate::{Action, Permit};
use kernel::Problem;
use vault::db::Reader;

pub use decide::{Admit, Decided, Refuse, Waive};
pub use gate_file::{GateHistory, GateShown, SetGate, ShowGate};
pub use inspect::QueueInspection;
pub use paper::MakePaper;
pub use run::{BeginInspection, Ended, RunInspection};
pub use show::{Document, Findings, Found, ListStandings, ReadDocument, ShowStanding, Shown, StandingPage};

use crate::types::{Subject, no_version};

/// Shows where a version stands.
pub const SHOW: Action = Action::read("admissions.show");
/// Lists where versions stand.
pub const LIST: Action = Action::read("admissions.list");
/// Shows what inspections of a version found.
pub const FINDINGS: Action = Action::read("admissions.findings");
/// Asks for an inspection of a version.
pub const INSPECT: Action = Action::write("admissions.inspect");
/// Lets a version in despite findings, for a while.
pub const WAIVE: Action = Action::write("admissions.waive");
/// Lets a version in that passed.
pub const ADMIT: Action = Action::write("admissions.admit");
/// Keeps a version out.
pub const REFUSE: Action = Action::write("admissions.refuse");
/// Makes what vouches for a version and describes it.
pub const VOUCH: Action = Action::read("admissions.vouch");
/// Shows the gate file of a model, with its history.
pub const GET_GATE: Action = Action::read("gates.get");
/// Says what versions of a model must hold to.
pub const SET_GATE: Action = Action::write("gates.set");
/// The inspector takes an inspection up.
pub const BEGIN: Action = Action::write("admissions.begin");
/// The inspector does an inspection.
pub const RUN: Action = Action::write("admissions.run");

/// The version that the permit is for.
fn subject_of<O: ?Sized>(permit: &Permit<O>) -> Result<Subject, Problem> {
    let facts = permit.facts();
    facts.id.as_deref().filter(|_| facts.exists).and_then(Subject::of_id).ok_or_else(no_version)
}

/// The manifest of the files that lie at a place just now.
pub(crate) fn manifest_at(reader: &mut Reader<'_>, place: &Place) -> Result<Manifest, Problem> {
    Ok(Manifest::of(files_below(reader, place)?.into_iter().map(|file| file.entry).collect()))
}
