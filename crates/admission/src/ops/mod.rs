//! The verbs.

mod decide;
mod gate_file;
mod inspect;
mod news;
mod paper;
mod rescan;
mod run;
mod show;
mod signers;
mod verify;

use gate::{Action, Permit};
use kernel::Problem;

pub use decide::{Admit, Decided, Refuse, Waive};
pub use gate_file::{GateHistory, GateShown, SetGate, ShowGate};
pub use inspect::QueueInspection;
pub use paper::{AddReceipts, MadePaper, MakePaper};
pub use rescan::QueueRescans;
pub use run::{BeginInspection, Ended, RunInspection};
pub use show::{Document, Findings, Found, ListStandings, ReadDocument, ShowStanding, Shown, StandingPage};
pub use signers::{GetSigners, SetSigners};
pub use verify::{Verified, VerifyVersion};

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
/// Shows whose signatures count.
pub const SIGNERS_GET: Action = Action::read("signers.get");
/// Sets whose signatures count.
pub const SIGNERS_SET: Action = Action::write("signers.set");
/// Adds receipts of the log to the evidence about a version.
pub const RECEIPT: Action = Action::read("admissions.receipt");
/// The inspector asks again about what other rules judged.
pub const RESCAN: Action = Action::write("admissions.rescan");
/// The inspector takes an inspection up.
pub const BEGIN: Action = Action::write("admissions.begin");
/// The inspector does an inspection.
pub const RUN: Action = Action::write("admissions.run");

/// The version that the permit is for.
fn subject_of<O: ?Sized>(permit: &Permit<O>) -> Result<Subject, Problem> {
    let facts = permit.facts();
    facts.id.as_deref().filter(|_| facts.exists).and_then(Subject::of_id).ok_or_else(no_version)
}
