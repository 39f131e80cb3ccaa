//! The nouns of this room.

use kernel::{Micros, Problem};
use serde::{Deserialize, Serialize};
use watch::{Cause, ColumnState};

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// Worth knowing.
    Info,
    /// Somebody should look in working hours.
    Warning,
    /// Somebody should look now.
    Critical,
}

impl Severity {
    /// The word for rows and answers.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Info => "info",
            Self::Warning => "warning",
            Self::Critical => "critical",
        }
    }

    /// All of them, the gravest first.
    pub(crate) const GRAVEST_FIRST: [Self; 3] = [Self::Critical, Self::Warning, Self::Info];

    pub(crate) fn parse(word: &str) -> Option<Self> {
        Self::GRAVEST_FIRST.into_iter().find(|one| one.word() == word)
    }
}

/// How far an alert has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AlertState {
    /// Nobody has looked.
    Open,
    /// Somebody is on it.
    Acknowledged,
    /// It is over.
    Resolved,
}

impl AlertState {
    /// The word for rows and answers.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Acknowledged => "acknowledged",
            Self::Resolved => "resolved",
        }
    }

    /// Reads a word.
    ///
    /// # Errors
    /// `Invalid`, naming the words.
    pub fn parse(word: &str) -> Result<Self, Problem> {
        let all = [Self::Open, Self::Acknowledged, Self::Resolved];
        let found = all.into_iter().find(|one| one.word() == word);
        found.ok_or_else(|| Problem::invalid("an alert is `open`, `acknowledged` or `resolved`"))
    }
}

/// What is known of an alert beyond its row.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Detail {
    /// What it is about, as people name it.
    pub subject: String,
    /// Likely causes, the likeliest first.
    pub causes: Vec<Cause>,
    /// Columns that drifted.
    pub columns: Vec<ColumnState>,
    /// Where it leads back to: commands that show the origin.
    pub origin: Vec<String>,
    /// The numbers behind it.
    pub numbers: std::collections::BTreeMap<String, f64>,
}

/// An alert.
#[derive(Clone, Debug, PartialEq)]
pub struct Alert {
    /// Its id.
    pub id: String,
    /// The workspace's id; empty for the server's own.
    pub workspace: String,
    /// The endpoint's id, if it is about one.
    pub endpoint: Option<String>,
    /// The model's id, if it is about one.
    pub model: Option<String>,
    /// What kind of fault.
    pub kind: String,
    /// How bad.
    pub severity: Severity,
    /// How far it has come.
    pub state: AlertState,
    /// What, in a sentence.
    pub headline: String,
    /// Since when.
    pub began_at: Micros,
    /// When it was opened.
    pub opened_at: Micros,
    /// When it was last seen.
    pub seen_at: Micros,
    /// When a limit will be crossed.
    pub crosses_at: Option<Micros>,
    /// How sure that is.
    pub certainty: Option<f64>,
    /// The rest.
    pub detail: Detail,
    /// Who is on it, since when.
    pub acknowledged: Option<(Micros, String)>,
    /// Who closed it, and when.
    pub resolved: Option<(Micros, String)>,
}

/// What can be done, as another room's verb.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "act")]
pub enum Act {
    /// Lets an endpoint answer with another version: `endpoints.update`.
    RollBack {
        /// The endpoint's name.
        endpoint: String,
        /// The version that is to answer.
        version: String,
    },
    /// Keeps a version of a data set out: `datasets.refuse`.
    RefuseData {
        /// The data set.
        dataset: String,
        /// The version.
        version: String,
    },
    /// Keeps a version of a model out: `admissions.refuse`.
    RefuseModel {
        /// The model's name.
        model: String,
        /// The version.
        version: String,
    },
    /// Trains a version again: `retraining.submit`.
    Retrain {
        /// The model's name.
        model: String,
        /// The version.
        version: String,
    },
    /// Slows a caller of an endpoint down for an hour: `endpoints.throttle`.
    Throttle {
        /// The endpoint's name.
        endpoint: String,
        /// The caller's id.
        caller: String,
    },
    /// Only a person can: the command says what.
    ByHand,
}

/// How long a remedy slows a caller down.
pub const THROTTLE_MINUTES: u64 = 60;

impl Act {
    /// The command that does the same.
    #[must_use]
    pub fn command(&self) -> String {
        match self {
            Self::RollBack { endpoint, version } => format!("strongroom endpoint update {endpoint} --model MODEL/{version}"),
            Self::RefuseData { dataset, version } => {
                format!("strongroom data refuse {dataset}@{version} --reason 'named by an alert'")
            }
            Self::RefuseModel { model, version } => {
                format!("strongroom model refuse {model}/{version} --reason 'named by an alert'")
            }
            Self::Retrain { model, version } => format!("strongroom model retrain {model}/{version} --wait"),
            Self::Throttle { endpoint, caller } => {
                format!("strongroom endpoint throttle {endpoint} {caller} --level slower --minutes {THROTTLE_MINUTES}")
            }
            Self::ByHand => String::new(),
        }
    }
}

/// Something that can be done about an alert.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Remedy {
    /// Its id.
    pub id: String,
    /// The alert's.
    pub alert: String,
    /// What it does, in words.
    pub words: String,
    /// The command that does the same.
    pub command: String,
    /// The act.
    pub act: Act,
    /// Who ran it, when, and what came of it.
    pub run: Option<(Micros, String, String)>,
}

/// How the result of a remedy that failed begins.
pub const FAILED: &str = "failed: ";
/// The result of a remedy that was taken up and has no other yet.
pub(crate) const BEGUN: &str = "begun";

impl Remedy {
    /// Why it is not run now: it has done what it does, or is doing it. What failed may be tried again, and so may what was begun long
    /// ago by a server that stopped.
    pub(crate) fn taken(&self, now: Micros) -> Option<String> {
        let (at, _, result) = self.run.as_ref()?;
        let age_us = now.0.saturating_sub(at.0);
        if result.starts_with(FAILED) || (result == BEGUN && age_us > crate::limits::REMEDY_BEGUN_US_MAX) {
            return None;
        }
        Some(if result == BEGUN {
            "somebody is running this remedy now; look at the alert for what came of it".to_owned()
        } else {
            format!("this remedy was run already: {result}; run its command if that is wanted once more: {}", self.command)
        })
    }
}

/// The true outcome of a row of a prediction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Label {
    /// The prediction's id.
    pub prediction: String,
    /// Which of its rows; the first is 0.
    pub row: i64,
    /// What came true.
    pub truth: String,
}

/// What receivers outside are told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum News {
    /// An alert was opened.
    Firing,
    /// It is over.
    Resolved,
}

impl News {
    /// The word for rows and messages.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Firing => "firing",
            Self::Resolved => "resolved",
        }
    }

    pub(crate) fn parse(word: &str) -> Option<Self> {
        [Self::Firing, Self::Resolved].into_iter().find(|one| one.word() == word)
    }
}

/// How something is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum HealthState {
    /// Nothing is known against it.
    Healthy,
    /// Nothing was seen of it.
    Unknown,
    /// It works, and something is wrong.
    Degraded,
    /// It does not do what it is for.
    Failing,
}

impl HealthState {
    /// The word for answers and metrics.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Healthy => "healthy",
            Self::Unknown => "unknown",
            Self::Degraded => "degraded",
            Self::Failing => "failing",
        }
    }
}

/// How one thing is, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HealthOf {
    /// `server`, `log`, `backup`, `endpoint` or `dataset`.
    pub kind: &'static str,
    /// Its name.
    pub name: String,
    /// How it is.
    pub state: HealthState,
    /// Why.
    pub reasons: Vec<String>,
}

/// A text from outside, bounded, on one line.
pub(crate) fn bounded(text: &str) -> String {
    let mut kept = String::new();
    for letter in text.chars().map(|letter| if letter.is_control() { ' ' } else { letter }) {
        if kept.len() + letter.len_utf8() > crate::limits::TEXT_BYTES_MAX {
            break;
        }
        kept.push(letter);
    }
    kept
}
