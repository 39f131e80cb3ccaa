//! The nouns of this room.

mod made;

use gate::{DataClasses, DataState};
use inspection::{CsvDialect, Effect, Finding, Roles};
use kernel::{Micros, Problem};

use crate::limits::NAME_BYTES_MAX;

pub use made::{Cleaning, OtherVersion, Parent, RetrainRequest, Trained};

/// A data set's name: 1 to 128 letters, digits, `.`, `_` and `-`, beginning with a letter or digit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DatasetName(String);

impl DatasetName {
    /// Reads a name.
    ///
    /// # Errors
    /// `Invalid`, saying what a name may be.
    pub fn parse(text: &str) -> Result<Self, Problem> {
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
        let begins = text.bytes().next().is_some_and(|byte| byte.is_ascii_alphanumeric());
        if !begins || text.len() > NAME_BYTES_MAX || !text.bytes().all(allowed) {
            return Err(Problem::invalid(format!(
                "a data set's name is 1 to {NAME_BYTES_MAX} letters, digits, `.`, `_` and `-`, and begins with a letter or digit"
            )));
        }
        Ok(Self(text.to_owned()))
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Which version of a data set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum VersionName {
    /// By its number.
    Number(i64),
    /// By its id, as open ones must be.
    Id(String),
    /// The newest that is committed.
    Latest,
    /// The newest that is admitted.
    Admitted,
}

impl VersionName {
    /// Reads `3`, `latest`, `admitted` or an id; none for anything else.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        match text {
            "latest" => return Some(Self::Latest),
            "admitted" => return Some(Self::Admitted),
            _ => {}
        }
        let digits = text.bytes().all(|byte| byte.is_ascii_digit());
        if digits && (1..=18).contains(&text.len()) && !text.starts_with('0') {
            return text.parse().ok().map(Self::Number);
        }
        let hex = text.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte));
        (hex && text.len() == 32).then(|| Self::Id(text.to_owned()))
    }
}

/// What the verdict's policy makes of an inspection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Verdict {
    /// Nothing speaks against it.
    Pass,
    /// A reviewer must waive something.
    Waiver,
    /// It is refused.
    Refuse,
}

impl Verdict {
    /// The word in rows, records and answers.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Pass => "pass",
            Self::Waiver => "waiver",
            Self::Refuse => "refuse",
        }
    }

    /// The verdict behind a word.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        [Self::Pass, Self::Waiver, Self::Refuse].into_iter().find(|verdict| verdict.word() == word)
    }

    pub(crate) const fn of(effect: Effect) -> Self {
        match effect {
            Effect::Inform => Self::Pass,
            Effect::Waiver => Self::Waiver,
            Effect::Refuse => Self::Refuse,
        }
    }
}

/// By what a version's state was decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DecisionKind {
    /// The inspection's verdict.
    Inspection,
    /// A reviewer's word.
    Reviewer,
    /// A waiver.
    Waiver,
}

impl DecisionKind {
    /// The word in rows, records and answers.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Inspection => "inspection",
            Self::Reviewer => "reviewer",
            Self::Waiver => "waiver",
        }
    }

    /// The kind behind a word.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        [Self::Inspection, Self::Reviewer, Self::Waiver].into_iter().find(|kind| kind.word() == word)
    }
}

/// Who decided a version's state, when and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decision {
    /// By what.
    pub kind: DecisionKind,
    /// By whom: a principal's id, or the inspector's.
    pub by: String,
    /// When.
    pub at: Micros,
    /// Why.
    pub why: String,
}

/// What a committer says of a version.
#[derive(Clone, Debug, Default)]
pub struct CommitWish {
    /// Where it comes from.
    pub source_uri: Option<String>,
    /// An Ed25519 signature of a trusted source over the manifest's digest (its 64 hex digits).
    pub signature: Option<Vec<u8>>,
    /// Under which licence, as an SPDX expression.
    pub licence: Option<String>,
    /// Whose it is.
    pub data_owner: Option<String>,
    /// What it is for.
    pub purpose: Option<String>,
    /// The format, where the files' names do not say it.
    pub format: Option<String>,
    /// How its CSV files are written.
    pub csv: CsvDialect,
    /// What its columns are for.
    pub roles: Roles,
    /// Its data contract (ODCS YAML).
    pub contract: Option<String>,
    /// The versions of the same data set that it was made from.
    pub parents: Vec<VersionName>,
    /// The version to compare it with; the first parent if none is named, else the newest admitted one.
    pub reference: Option<VersionName>,
    /// The run that it came out of, and whether the server itself took the files from it.
    pub run: Option<(String, lineage::Trust)>,
    /// Other versions that it is checked against, which its committer may read.
    pub others: Vec<OtherVersion>,
}

/// A version.
#[derive(Clone, Debug, PartialEq)]
pub struct Version {
    /// Its id.
    pub id: String,
    /// Its data set's name.
    pub dataset: String,
    /// Its number; none while it is open.
    pub number: Option<i64>,
    /// How far it has come.
    pub state: DataState,
    /// What the last inspection's findings mean.
    pub verdict: Option<Verdict>,
    /// Who brought it, by id.
    pub committer: String,
    /// And by name, as it is now; none for an account that is gone.
    pub committer_name: Option<String>,
    /// When it was opened.
    pub opened_at: Micros,
    /// When it was committed.
    pub committed_at: Option<Micros>,
    /// Its manifest's digest.
    pub manifest_sha256: Option<[u8; 32]>,
    /// How many files.
    pub file_count: i64,
    /// How many bytes.
    pub size_bytes: i64,
    /// How many rows, as the inspection counted.
    pub row_count: Option<i64>,
    /// How many columns.
    pub column_count: Option<i64>,
    /// The format that was named.
    pub format: Option<String>,
    /// How its CSV files are written, as far as that was said.
    pub csv: CsvDialect,
    /// What its columns are for.
    pub roles: Roles,
    /// Where it comes from, as its committer says.
    pub source_uri: Option<String>,
    /// The trusted source that it was found to come from, by id.
    pub source_id: Option<String>,
    /// The source's signature.
    pub signature: Option<Vec<u8>>,
    /// Under which licence.
    pub licence: Option<String>,
    /// Whose it is.
    pub data_owner: Option<String>,
    /// What it is for.
    pub purpose: Option<String>,
    /// The run that it came out of.
    pub run_id: Option<String>,
    /// The version that it is compared with, by id.
    pub reference_id: Option<String>,
    /// Whom and what it concerns.
    pub classes: DataClasses,
    /// Who decided its state.
    pub decision: Option<Decision>,
    /// When its waiver ends.
    pub waiver_until: Option<Micros>,
}

/// What a list is narrowed to: of data sets by their newest version, of models by each version.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Which {
    /// All there are.
    #[default]
    All,
    /// What is in this state.
    In(DataState),
    /// What was let in by a waiver that still holds and ends before this moment.
    WaivedUntil(Micros),
}

/// A data set in a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DatasetSummary {
    /// Its id.
    pub id: String,
    /// Its name.
    pub name: String,
    /// When it was made.
    pub created_at: Micros,
    /// Who made it, by id.
    pub created_by: String,
    /// The newest version's number; 0 if there is none.
    pub latest_number: i64,
    /// That version's state.
    pub latest_state: Option<DataState>,
    /// The newest admitted version's number.
    pub admitted_number: Option<i64>,
    /// When the first waiver ends that lets a version in.
    pub waiver_until: Option<Micros>,
}

/// How far an inspection has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InspectionState {
    /// It waits for its turn.
    Queued,
    /// It is being done.
    Running,
    /// There is a report.
    Done,
    /// There is none; why stands in the inspection.
    Failed,
    /// Somebody stopped it.
    Cancelled,
}

impl InspectionState {
    /// Every one.
    pub(crate) const ALL: [Self; 5] = [Self::Queued, Self::Running, Self::Done, Self::Failed, Self::Cancelled];

    /// The word in rows and answers.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Running => "running",
            Self::Done => "done",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
        }
    }

    /// The state behind a word.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.word() == word)
    }

    /// Whether it is over.
    #[must_use]
    pub const fn is_over(self) -> bool {
        matches!(self, Self::Done | Self::Failed | Self::Cancelled)
    }
}

/// What the inspector does for a version.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Task {
    /// It inspects it.
    Inspect,
    /// It writes it: another one without some rows.
    Clean,
}

impl Task {
    /// The word in rows and answers.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Inspect => "inspect",
            Self::Clean => "clean",
        }
    }

    pub(crate) fn parse(word: &str) -> Option<Self> {
        [Self::Inspect, Self::Clean].into_iter().find(|task| task.word() == word)
    }
}

/// A version that is to be another one without some rows, while it is not there yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Making {
    /// The number of the other one.
    pub parent_number: i64,
    /// How many rows are left out.
    pub removed_count: u64,
    /// Why.
    pub why: String,
    /// How far the job is.
    pub state: InspectionState,
    /// What it does now, how much of that is done, and of how much.
    pub stage: (String, i64, Option<i64>),
    /// When it was asked for.
    pub asked_at: Micros,
    /// Why there is no version.
    pub fault: Option<String>,
}

/// An inspection of a version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Inspection {
    /// Its id.
    pub id: String,
    /// The version's id.
    pub version_id: String,
    /// The workspace's id.
    pub workspace: String,
    /// What is done.
    pub task: Task,
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
    /// How much of that is done.
    pub done_count: i64,
    /// Of how much.
    pub total_count: Option<i64>,
    /// What its findings mean.
    pub verdict: Option<Verdict>,
    /// Its report's digest.
    pub report_sha256: Option<[u8; 32]>,
    /// Why there is no report.
    pub fault: Option<String>,
}

/// A finding and what the policy makes of it.
#[derive(Clone, Debug, PartialEq)]
pub struct FoundFinding {
    /// What the policy makes of it.
    pub effect: Effect,
    /// What was found.
    pub finding: Finding,
}

/// A document that belongs to a version.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DocumentKind {
    /// Its contract, as it was committed.
    Contract,
    /// Its last inspection's report, as JSON.
    Report,
    /// The same as a page.
    Page,
    /// The signed statement about it.
    Attestation,
    /// The version as Croissant, with the paths of its archive.
    Croissant,
    /// The rows that it lacks of the version that it was cleaned from, as JSON.
    Removed,
}

impl DocumentKind {
    const ALL: [Self; 6] = [Self::Contract, Self::Report, Self::Page, Self::Attestation, Self::Croissant, Self::Removed];

    /// The word in rows and addresses.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Contract => "contract.yaml",
            Self::Report => "report.json",
            Self::Page => "report.html",
            Self::Attestation => "attestation.json",
            Self::Croissant => "croissant.json",
            Self::Removed => "removed-rows.json",
        }
    }

    /// The kind behind a word.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.word() == word)
    }
}

/// What makes a source trusted beside its address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SourceKey {
    /// Nothing: the committer's word for the address is enough.
    Address,
    /// The manifest has this digest.
    Digest([u8; 32]),
    /// The manifest's digest is signed by this Ed25519 key.
    PublicKey([u8; 32]),
}

/// A source in the register.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TrustedSource {
    /// Its id.
    pub id: String,
    /// Its name.
    pub name: String,
    /// The addresses it covers: a text in which `*` stands for anything.
    pub pattern: String,
    /// What else must hold.
    pub key: SourceKey,
    /// Whose data it is.
    pub data_owner: String,
    /// Under which licence.
    pub licence: String,
    /// What it may be used for; empty for everything.
    pub purposes: Vec<String>,
    /// When it was added.
    pub added_at: Micros,
    /// By whom.
    pub added_by: String,
}

/// Why there is no such version.
pub(crate) fn no_version() -> Problem {
    Problem::not_found("there is no such version of this data set; `strongroom data show NAME` lists them")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_data_sets_and_versions() {
        for good in ["a", "churn-2024", "A.b_c", "9"] {
            assert!(DatasetName::parse(good).is_ok(), "{good}");
        }
        for bad in ["", "-a", ".a", "a/b", "a@1", "a b", "ä", &"a".repeat(129)] {
            assert!(DatasetName::parse(bad).is_err(), "{bad}");
        }
        let id = "0123456789abcdef0123456789abcdef";
        assert_eq!(VersionName::parse("3"), Some(VersionName::Number(3)));
        assert_eq!(VersionName::parse("latest"), Some(VersionName::Latest));
        assert_eq!(VersionName::parse(id), Some(VersionName::Id(id.to_owned())));
        for bad in ["", "0", "03", "-1", "x", "1234567890123456789", &id.to_uppercase()] {
            assert_eq!(VersionName::parse(bad), None, "{bad}");
        }
    }
}
