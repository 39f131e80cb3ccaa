//! What the server asks of a worker.

use serde::{Deserialize, Serialize};

use crate::csv::CsvDialect;
use crate::finding::Screen;
use crate::query::SqlAnswers;
use crate::report::Section;

/// Files of one job.
pub const FILE_COUNT_MAX: usize = 1_000_000;

/// One inspection: which bytes, what they are said to be, and what to look for.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct JobSpec {
    /// What the files are.
    #[serde(default)]
    pub subject: SubjectKind,
    /// The data set's name, for the report.
    pub dataset: String,
    /// The version's name, for the report.
    pub version: String,
    /// Digest of the version's manifest: what the report and its attestation are about.
    pub manifest_sha256: String,
    /// The version's files, in the manifest's order. Rows are numbered over them in this order.
    pub files: Vec<FileSpec>,
    /// The format, where the committer named it (`parquet`, `csv`, `jsonl`, `arrow`, `npy`, `images`).
    #[serde(default)]
    pub format: Option<String>,
    /// How its CSV files are written, where the committer said so.
    #[serde(default)]
    pub csv: CsvDialect,
    /// What columns are for.
    #[serde(default)]
    pub roles: Roles,
    /// The data contract (ODCS YAML).
    #[serde(default)]
    pub contract_yaml: Option<String>,
    /// What the queries of the contract's SQL rules gave.
    #[serde(default)]
    pub sql: SqlAnswers,
    /// The version to compare with.
    #[serde(default)]
    pub reference: Option<Reference>,
    /// The parent version's most poisonable rows: a change to one of them is a finding.
    #[serde(default)]
    pub guarded: Vec<GuardedRow>,
    /// Other tables that rules of the contract speak of: keys that must exist there, rows that must not.
    #[serde(default)]
    pub others: Vec<OtherTable>,
    /// The rows to leave out: then the files are written again without them, and nothing is inspected.
    #[serde(default)]
    pub clean: Option<CleanSpec>,
    /// What a model is tried on, and by which gate file; nothing if it has none.
    #[serde(default)]
    pub trial: Option<TrialSpec>,
    /// What the guard of a model's endpoints compares queries with; nothing if no such data is known.
    #[serde(default)]
    pub guard: Option<GuardSpec>,
    /// The screens to run. The format screen always runs.
    pub screens: Vec<Screen>,
    /// Limits on work.
    #[serde(default)]
    pub limits: JobLimits,
    /// Seed of everything random, so that an inspection can be repeated. All versions of one data set need the same, for
    /// their profiles to be compared; a secret one keeps others from making data that fools sketches and samples.
    pub seed: u64,
    /// The server's time, microseconds since the Unix epoch.
    pub now_us: i64,
}

impl JobSpec {
    /// A job with the usual limits that runs every screen over `files`.
    #[must_use]
    pub fn new(dataset: impl Into<String>, version: impl Into<String>, files: Vec<FileSpec>, now_us: i64) -> Self {
        Self {
            subject: SubjectKind::Data,
            dataset: dataset.into(),
            version: version.into(),
            manifest_sha256: String::new(),
            files,
            format: None,
            csv: CsvDialect::default(),
            roles: Roles::default(),
            contract_yaml: None,
            sql: SqlAnswers::default(),
            reference: None,
            guarded: Vec::new(),
            others: Vec::new(),
            clean: None,
            trial: None,
            guard: None,
            screens: Screen::WORKER.to_vec(),
            limits: JobLimits::default(),
            seed: 1,
            now_us,
        }
    }

    /// The files that a worker may read, by their index: the version's, then those of each other table.
    pub fn readable(&self) -> impl Iterator<Item = &FileSpec> {
        self.files.iter().chain(self.others.iter().flat_map(|other| &other.files))
    }

    /// The file with this index among [`Self::readable`].
    #[must_use]
    pub fn readable_at(&self, index: usize) -> Option<&FileSpec> {
        let Some(mut left) = index.checked_sub(self.files.len()) else { return self.files.get(index) };
        for other in &self.others {
            match left.checked_sub(other.files.len()) {
                Some(rest) => left = rest,
                None => return other.files.get(left),
            }
        }
        None
    }

    /// Whether `screen` is asked for.
    #[must_use]
    pub fn wants(&self, screen: Screen) -> bool {
        self.screens.contains(&screen)
    }
}

/// What an inspection is about.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SubjectKind {
    /// A version of a data set: rows.
    #[default]
    Data,
    /// A version of a model: files that somebody will load.
    Model,
}

/// A version of another data set, or another one of the same, that rules speak of.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OtherTable {
    /// The name by which rules call it.
    pub name: String,
    /// The version, for people.
    pub version: String,
    /// Its files, in its manifest's order.
    pub files: Vec<FileSpec>,
    /// How its CSV files are written, where their committer said so.
    #[serde(default)]
    pub csv: CsvDialect,
    /// Whether no row may stand in both, as between training and test data.
    #[serde(default)]
    pub apart: bool,
}

/// What a candidate model is tried on. Files are those of the job's `others`, by their places there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TrialSpec {
    /// The gate file (YAML).
    pub gate_yaml: String,
    /// Which revision of it.
    pub revision: i64,
    /// The version that it is compared with; nothing if there is none yet.
    pub champion: Option<ChampionSpec>,
    /// The held-back data that it is judged on.
    pub held_back: Vec<TrialTable>,
    /// The golden rows.
    pub golden: Option<TrialTable>,
    /// What the model was trained on, as far as that is known, and other data whose triggers are tried.
    pub training: Vec<TrainingTable>,
    /// What the gate file names and cannot be had, each with what to do.
    pub missing: Vec<String>,
}

/// Data that queries to a model will be compared with.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GuardSpec {
    /// The tables, the best one first: one that the model can take is used.
    pub tables: Vec<TrialTable>,
    /// Whether the model was trained on them; else it is only judged on them.
    pub trained: bool,
    /// The column that the gate file calls the truth.
    pub label: Option<String>,
    /// Columns that the model does not see.
    pub leave_out: Vec<String>,
    /// The seed of the projection: a secret of this server.
    pub seed: u64,
}

/// The version that serves now.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ChampionSpec {
    /// The version, for people.
    pub version: String,
    /// Where its files stand among the job's `others`.
    pub place: usize,
}

/// A table of a trial.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TrialTable {
    /// The data version, as `NAME@NUMBER`.
    pub name: String,
    /// Where its files stand among the job's `others`.
    pub place: usize,
    /// The column that the data itself calls its label.
    pub label: Option<String>,
}

/// Data that a model was trained on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TrainingTable {
    /// The table.
    pub table: TrialTable,
    /// Whether the model is known to be trained on it; else only its triggers are of interest.
    pub trained: bool,
    /// The triggers that its inspection found.
    pub triggers: Vec<TriggerSpec>,
}

/// A trigger, as the inspection of the data found it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TriggerSpec {
    /// What it is made of, in words that may be shown.
    pub words: String,
    /// The label that its rows carry; masked where that is personal.
    pub label: String,
    /// The first of the rows that hold it.
    pub rows: Vec<u64>,
}

/// Triggers of one data version that are handed over, and rows of each.
pub const TRIGGER_COUNT_MAX: usize = 32;
/// See [`TRIGGER_COUNT_MAX`].
pub const TRIGGER_ROW_COUNT_MAX: usize = 500;

/// The rows to leave out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CleanSpec {
    /// Rising ranges that do not touch, each from its first row to its last.
    pub rows: Vec<(u64, u64)>,
}

/// What came of leaving rows out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CleanCount {
    /// Rows before.
    pub row_count: u64,
    /// Rows that were left out.
    pub removed_count: u64,
}

/// One file of the version.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FileSpec {
    /// Its path in the manifest.
    pub path: String,
    /// Its plain size.
    pub size_bytes: u64,
    /// SHA-256 of its plain bytes, lower-case hex.
    pub sha256: String,
}

/// What columns are for. A name that the table lacks is a finding, not an error.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Roles {
    /// The column that a model learns to predict.
    pub label: Option<String>,
    /// The column that says where a row came from.
    pub source: Option<String>,
    /// The column that says when a row came to be.
    pub time: Option<String>,
    /// The column that identifies a row.
    pub id: Option<String>,
    /// Columns of free text.
    pub texts: Vec<String>,
    /// Columns that hold out-of-sample class probabilities, in the order of the sorted labels.
    pub probabilities: Vec<String>,
    /// The column with an embedding of each row.
    pub embedding: Option<String>,
    /// Columns that no screen may learn from (ids, split names).
    pub ignored: Vec<String>,
}

/// The version to compare with.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Reference {
    /// Its name, for people.
    pub name: String,
    /// The `profile` section of its report, as it was.
    pub profile: Section,
}

/// A row that an attacker would gain most by changing, as an earlier report named it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GuardedRow {
    /// Where it stood in the parent.
    pub row: u64,
    /// Digest of all its cells but the label's, hex.
    pub features_digest: String,
    /// Its label then.
    pub label: Option<String>,
    /// How much an attacker gains by it, 0 to 1.
    pub score: f64,
}

/// Limits on one job. The server enforces bytes, wall time, processor time and memory; the worker the rest.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct JobLimits {
    /// Rows that are read; more is an error.
    pub row_count_max: u64,
    /// Columns that are read; more is an error.
    pub column_count_max: u64,
    /// Bytes that the worker may ask for in all, over all files: it may read a file more than once.
    pub read_bytes_max: u64,
    /// Bytes that the worker may write in all, where rows are left out.
    pub write_bytes_max: u64,
    /// Processor seconds of all threads.
    pub cpu_seconds_max: u64,
    /// Seconds from start to report.
    pub wall_seconds_max: u64,
    /// Private memory of the worker.
    pub memory_bytes_max: u64,
    /// Rows that the poisoning screens look at; of more, a seeded sample is taken and the report says so.
    pub poison_row_count_max: u64,
}

impl Default for JobLimits {
    fn default() -> Self {
        Self {
            row_count_max: 1_000_000_000,
            column_count_max: 4_096,
            read_bytes_max: 1 << 42,
            write_bytes_max: 1 << 42,
            cpu_seconds_max: 2 * 3_600,
            wall_seconds_max: 2 * 3_600,
            memory_bytes_max: 2 << 30,
            poison_row_count_max: 1_000_000,
        }
    }
}
