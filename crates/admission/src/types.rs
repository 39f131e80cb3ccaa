//! The nouns of this room.

use artifacts::Place;
use data::{Decision, InspectionState, Verdict};
use gate::DataState;
use kernel::{Kind, Micros, Problem};

/// Which version of which model.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subject {
    /// The model's internal id.
    pub model_id: String,
    /// The version's number.
    pub number: i64,
}

impl Subject {
    /// The version's name in records.
    #[must_use]
    pub fn id(&self) -> String {
        format!("{}/{}", self.model_id, self.number)
    }

    /// The subject behind the id that the gate found for a version.
    #[must_use]
    pub fn of_id(id: &str) -> Option<Self> {
        let (model_id, number) = id.rsplit_once('/')?;
        Some(Self { model_id: model_id.to_owned(), number: number.parse().ok()? })
    }
}

/// Where a version stands.
#[derive(Clone, Debug, PartialEq)]
pub struct Standing {
    /// Which version.
    pub subject: Subject,
    /// The model's name.
    pub name: String,
    /// The workspace's id.
    pub workspace: String,
    /// How far it has come; never `Open`.
    pub state: DataState,
    /// What the last inspection's findings mean.
    pub verdict: Option<Verdict>,
    /// Who registered it, by id.
    pub submitter: String,
    /// And by name, as it is now; none for an account that is gone.
    pub submitter_name: Option<String>,
    /// When.
    pub submitted_at: Micros,
    /// Where its files are; none if they are not on this server.
    pub place: Option<Place>,
    /// The digest of the manifest that was inspected.
    pub manifest_sha256: Option<[u8; 32]>,
    /// How many files.
    pub file_count: i64,
    /// How many bytes.
    pub size_bytes: i64,
    /// Who decided its state.
    pub decision: Option<Decision>,
    /// When its waiver ends.
    pub waiver_until: Option<Micros>,
    /// By which revision of the gate file it was judged last.
    pub gate_revision: Option<i64>,
}

impl Standing {
    /// Its state at `now`: a waiver that has ended admits nothing.
    #[must_use]
    pub fn state_at(&self, now: Micros) -> DataState {
        match (self.state, self.waiver_until) {
            (DataState::Admitted, Some(until)) if until <= now => DataState::Quarantined,
            (state, _) => state,
        }
    }
}

/// An inspection of a version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Inspection {
    /// Its id.
    pub id: String,
    /// The version.
    pub subject: Subject,
    /// The workspace's id.
    pub workspace: String,
    /// How far it has come.
    pub state: InspectionState,
    /// When it was asked for.
    pub queued_at: Micros,
    /// By whom.
    pub queued_by: String,
    /// When it began.
    pub started_at: Option<Micros>,
    /// When it ended.
    pub ended_at: Option<Micros>,
    /// How often it was begun.
    pub attempt_count: i64,
    /// What it does now.
    pub stage: String,
    /// What its findings mean.
    pub verdict: Option<Verdict>,
    /// Its report's digest.
    pub report_sha256: Option<[u8; 32]>,
    /// Why there is no report.
    pub fault: Option<String>,
}

/// A revision of a model's gate file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Gate {
    /// Which one, from 1.
    pub revision: i64,
    /// Its text; none where the gate was taken away.
    pub text: Option<String>,
    /// SHA-256 of its text.
    pub sha256: [u8; 32],
    /// When it was set.
    pub set_at: Micros,
    /// Who set it, by id.
    pub set_by: String,
    /// Why.
    pub reason: String,
}

/// A document that an inspection leaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DocumentKind {
    /// The report, as JSON.
    Report,
    /// The same as a page.
    Page,
    /// The signed statement about it.
    Attestation,
    /// What the guard of endpoints compares queries with. It is not handed out, so no word leads to it.
    Guard,
}

impl DocumentKind {
    const ALL: [Self; 3] = [Self::Report, Self::Page, Self::Attestation];

    /// The word in rows and addresses.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Report => "report.json",
            Self::Page => "report.html",
            Self::Attestation => "attestation.json",
            Self::Guard => "guard.json",
        }
    }

    /// The kind behind a word.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.word() == word)
    }
}

/// Why there is no such version.
pub(crate) fn no_version() -> Problem {
    Problem::not_found("there is no such version of this model; `strongroom model list` lists them")
}

/// A state that stands in the way, with what to do.
pub(crate) fn conflict(why: impl Into<String>) -> Problem {
    Problem::new(Kind::Conflict, why)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn subjects_are_read_from_the_ids_that_records_carry() {
        let subject = Subject { model_id: "ab12".to_owned(), number: 3 };
        assert_eq!(Subject::of_id(&subject.id()), Some(subject));
        for bad in ["", "ab12", "ab12/", "ab12/x"] {
            assert_eq!(Subject::of_id(bad), None, "{bad}");
        }
    }
}
