//! What the room speaks of.

use kernel::Micros;

/// What was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RunKind {
    /// A backup.
    Backup,
    /// A whole restore in a sandbox.
    Drill,
}

impl RunKind {
    /// The word for rows and answers.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Backup => "backup",
            Self::Drill => "drill",
        }
    }

    pub(crate) fn parse(word: &str) -> Option<Self> {
        [Self::Backup, Self::Drill].into_iter().find(|kind| kind.word() == word)
    }
}

/// How far it has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RunState {
    /// It waits for its turn.
    Queued,
    /// It is under way.
    Running,
    /// It is whole.
    Done,
    /// It is not.
    Failed,
}

impl RunState {
    /// The word for rows and answers.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Running => "running",
            Self::Done => "done",
            Self::Failed => "failed",
        }
    }

    pub(crate) fn parse(word: &str) -> Option<Self> {
        [Self::Queued, Self::Running, Self::Done, Self::Failed].into_iter().find(|state| state.word() == word)
    }
}

/// A backup or a drill that was asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Run {
    /// Its id.
    pub id: String,
    /// Which of the two.
    pub kind: RunKind,
    /// The place.
    pub target: String,
    /// How far it has come.
    pub state: RunState,
    /// What it does now, in a word.
    pub step: String,
    /// How much of that is done.
    pub done_count: u64,
    /// Of how much.
    pub total_count: u64,
    /// The backup's number.
    pub sequence: Option<u64>,
    /// Its manifest's digest.
    pub manifest_sha256: Option<Vec<u8>>,
    /// Records of the log before its point.
    pub log_size: Option<u64>,
    /// Objects that it holds.
    pub object_count: Option<u64>,
    /// Bytes that were copied for it.
    pub copied_bytes: Option<u64>,
    /// The moment that it stands for: everything acknowledged before is in it.
    pub point_at: Option<Micros>,
    /// How long it took; of a drill, the restore alone.
    pub took_ms: Option<u64>,
    /// Why it failed.
    pub problem: Option<String>,
    /// Who asked: a principal's id, or the job's name.
    pub asked_by: String,
    /// When.
    pub asked_at: Micros,
    /// When it ended.
    pub ended_at: Option<Micros>,
}

impl Run {
    /// A new one that waits.
    #[must_use]
    pub fn new(kind: RunKind, target: &str, asked_by: &str, asked_at: Micros) -> Self {
        Self {
            id: kernel::random_id(),
            kind,
            target: target.to_owned(),
            state: RunState::Queued,
            step: "waiting".to_owned(),
            done_count: 0,
            total_count: 0,
            sequence: None,
            manifest_sha256: None,
            log_size: None,
            object_count: None,
            copied_bytes: None,
            point_at: None,
            took_ms: None,
            problem: None,
            asked_by: asked_by.to_owned(),
            asked_at,
            ended_at: None,
        }
    }
}

/// A restore that was asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// Its id.
    pub id: String,
    /// The place of the backup.
    pub target: String,
    /// The backup's number.
    pub sequence: u64,
    /// Its manifest's digest.
    pub manifest_sha256: Vec<u8>,
    /// Why.
    pub reason: String,
    /// Who asked, by id.
    pub asked_by: String,
    /// And by name, as it is now; none for an account that is gone.
    pub asked_by_name: Option<String>,
    /// When.
    pub asked_at: Micros,
    /// Who approved it: never who asked.
    pub approved_by: Option<String>,
    /// When.
    pub approved_at: Option<Micros>,
    /// Until when it may be begun.
    pub expires_at: Option<Micros>,
}

/// What a database was restored from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Restored {
    /// Its id.
    pub id: String,
    /// The backup's number.
    pub sequence: u64,
    /// Its manifest's digest.
    pub manifest_sha256: Vec<u8>,
    /// Records of the log before its point.
    pub point: u64,
    /// Records that the log had behind it; none if that is not known.
    pub lost_count: Option<u64>,
    /// `replayed`: what was revoked and erased since is revoked and erased here too; `partly`: as far as the old log alone tells;
    /// `unreplayed`: that is not known.
    pub state: String,
    /// Why: of the request, or of the emergency.
    pub reason: String,
    /// The request that was approved; none in an emergency.
    pub request_id: Option<String>,
    /// Who asked for it.
    pub asked_by: Option<String>,
    /// Who approved it.
    pub approved_by: Option<String>,
    /// When.
    pub restored_at: Micros,
    /// What was taken back since, of which the old log does not tell enough: verbs, and how often. Empty where the old database told.
    pub untold: String,
}
