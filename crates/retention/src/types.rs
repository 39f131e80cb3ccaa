//! What can be retained as a whole.

use kernel::{Micros, Problem};

use crate::lock::Lock;

/// What a thing is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A version of a data set.
    Dataset,
    /// A version of a registered model.
    Model,
    /// A backup.
    Backup,
}

impl Kind {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Dataset, Self::Model, Self::Backup];

    /// The word in rows, rules and commands.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Dataset => "dataset",
            Self::Model => "model",
            Self::Backup => "backup",
        }
    }

    /// What people call one.
    #[must_use]
    pub const fn noun(self) -> &'static str {
        match self {
            Self::Dataset => "version of a data set",
            Self::Model => "version of a model",
            Self::Backup => "backup",
        }
    }

    /// Reads the word.
    ///
    /// # Errors
    /// `Invalid` for another one.
    pub fn parse(word: &str) -> Result<Self, Problem> {
        Self::ALL.into_iter().find(|kind| kind.word() == word).ok_or_else(|| {
            let shown: String = word.chars().take(32).collect();
            Problem::invalid(format!("`{shown}` is nothing that is retained as a whole: say dataset, model or backup"))
        })
    }
}

/// A thing that a rule may fit.
#[derive(Clone, Debug)]
pub struct Subject<'a> {
    /// What it is.
    pub kind: Kind,
    /// Its id: of a data set's version; `model id/number`; `place#number`.
    pub id: &'a str,
    /// What rules match: the name of the data set or model, or the backup's place.
    pub name: &'a str,
    /// What people call it: `NAME@3`, `NAME/3`, `PLACE#3`.
    pub shown: &'a str,
    /// The workspace's id; empty for what is the server's.
    pub workspace: &'a str,
    /// What is known to be in it: `personal`, `special`, `health`, `financial`.
    pub classes: &'a [&'a str],
    /// The objects that it is made of, where no row of its own kind says so.
    pub objects: &'a [String],
}

/// A thing that can be held though no rule retains it, as its own room knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// Its id, as [`Subject::id`].
    pub id: String,
    /// What people call it now, as [`Subject::shown`].
    pub shown: String,
    /// The objects that it is made of now, where no row of its own kind says so.
    pub objects: Vec<String>,
}

/// A thing that is retained, or was.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kept {
    /// The row.
    pub id: String,
    /// What it is.
    pub kind: Kind,
    /// Its id.
    pub subject: String,
    /// What people call it.
    pub name: String,
    /// The workspace's id; empty for what is the server's.
    pub workspace: String,
    /// The rule that it is retained by; empty for what somebody put under a legal hold and no rule retains.
    pub rule: String,
    /// What holds it.
    pub lock: Lock,
    /// Since when.
    pub created_at: Micros,
    /// How many objects of files are held with it, where its own kind has no rows that name them: none of a model whose files are elsewhere.
    pub object_count: i64,
}
