//! What an inspection leaves behind.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::finding::{Finding, Screen, Severity};
use crate::job::{FileSpec, JobSpec};
use crate::view::View;

/// The form of a report; a change that old readers would misread gets a new one.
pub const REPORT_SCHEMA: &str = "strongroom.inspection/1";
/// Findings of one report. More are dropped, mildest first, and counted.
pub const FINDING_COUNT_MAX: usize = 1_000;

/// The whole result of one inspection.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct InspectionReport {
    /// [`REPORT_SCHEMA`].
    pub schema: String,
    /// The data set's name.
    pub dataset: String,
    /// The version's name.
    pub version: String,
    /// Digest of the manifest that was inspected.
    pub manifest_sha256: String,
    /// The files that were inspected.
    pub files: Vec<FileSpec>,
    /// Version of the worker's program.
    pub worker_version: String,
    /// How the worker was confined.
    pub confinement: Confinement,
    /// Seed of everything random.
    pub seed: u64,
    /// Start, microseconds since the Unix epoch.
    pub started_us: i64,
    /// End, microseconds since the Unix epoch.
    pub ended_us: i64,
    /// Processor time of all threads of the worker.
    pub cpu_ms: u64,
    /// The most memory that the worker held.
    pub memory_peak_bytes: u64,
    /// Digest of the contract that was checked, hex.
    #[serde(default)]
    pub contract_sha256: Option<String>,
    /// Name of the version it was compared with.
    #[serde(default)]
    pub reference: Option<String>,
    /// What became of each screen.
    pub screens: BTreeMap<Screen, ScreenState>,
    /// What was found, gravest first.
    pub findings: Vec<Finding>,
    /// Counts over `findings`.
    pub summary: Summary,
    /// What the page shows.
    pub view: View,
    /// The schema, row and file counts, and notes of the reader.
    #[serde(default)]
    pub table: Option<Section>,
    /// The profile, as the crate `profile` writes it: a later inspection can take it as its reference.
    #[serde(default)]
    pub profile: Option<Section>,
    /// What became of each rule of the contract.
    #[serde(default)]
    pub contract: Option<Section>,
    /// A contract made from the data (ODCS YAML), for review.
    #[serde(default)]
    pub contract_proposal: Option<String>,
    /// The comparison with the reference.
    #[serde(default)]
    pub drift: Option<Section>,
    /// The segments that a drift goes with.
    #[serde(default)]
    pub segments: Option<Section>,
    /// Personal data by column.
    #[serde(default)]
    pub personal: Option<Section>,
    /// Suspect rows with scores and reasons.
    #[serde(default)]
    pub poisoning: Option<Section>,
    /// The most poisonable rows, to be guarded in later versions: a list of [`crate::GuardedRow`].
    #[serde(default)]
    pub guarded: Option<Section>,
    /// What became of each file of a model.
    #[serde(default)]
    pub scan: Option<Section>,
    /// What is known of where a model comes from.
    #[serde(default)]
    pub origin: Option<Section>,
    /// What became of each rule of a model's gate file.
    #[serde(default)]
    pub gates: Option<Section>,
    /// What simulated attacks on a model came to.
    #[serde(default)]
    pub attacks: Option<Section>,
    /// Who signed a model's files, and whether that holds.
    #[serde(default)]
    pub signature: Option<Section>,
    /// What the guard of a model's endpoints compares queries with, or why it has nothing to.
    #[serde(default)]
    pub guard: Option<Section>,
    /// That itself, as the crate `guard` writes it. The server takes it out and keeps it apart: it holds a secret.
    #[serde(default)]
    pub guard_reference: Option<Section>,
}

/// A part of a report that one engine wrote and the server only keeps: JSON that is checked to be JSON and not built up in
/// memory.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Section(Box<RawValue>);

impl Section {
    /// `value` as a section.
    ///
    /// # Errors
    /// If it cannot be written as JSON.
    pub fn of<T: Serialize>(value: &T) -> Result<Self, serde_json::Error> {
        serde_json::value::to_raw_value(value).map(Self)
    }

    /// Its JSON.
    #[must_use]
    pub fn as_str(&self) -> &str {
        self.0.get()
    }

    /// The section as a value.
    ///
    /// # Errors
    /// If it is not a `T`.
    pub fn parse<T: serde::de::DeserializeOwned>(&self) -> Result<T, serde_json::Error> {
        serde_json::from_str(self.as_str())
    }
}

/// How a worker is confined. What is false or zero is not in force.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Confinement {
    /// Version of the kernel's Landlock interface by which all files, and from 4 on TCP, are out of reach; 0: none.
    pub landlock_abi: u32,
    /// Only the system calls that computing needs are allowed; any other kills the worker.
    pub seccomp: bool,
    /// No new privileges can be gained.
    pub no_new_privs: bool,
    /// No core dump, no tracing by others.
    pub not_dumpable: bool,
    /// Limits on memory, processor time and descriptors.
    pub rlimits: bool,
}

impl Confinement {
    /// Whether all of it is in force.
    #[must_use]
    pub const fn is_complete(&self) -> bool {
        self.landlock_abi > 0 && self.seccomp && self.no_new_privs && self.not_dumpable && self.rlimits
    }
}

/// What became of a screen.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "state", content = "why")]
pub enum ScreenState {
    /// It saw all it should.
    Ran,
    /// It saw a part; why.
    Partial(String),
    /// It was not asked for, or had nothing to look at; why.
    Skipped(String),
    /// It could not finish; why. There is a finding about it.
    Failed(String),
}

/// Counts of findings.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Summary {
    /// Critical findings.
    pub critical_count: u64,
    /// Errors.
    pub error_count: u64,
    /// Warnings.
    pub warning_count: u64,
    /// Findings that only inform.
    pub info_count: u64,
    /// Findings beyond [`FINDING_COUNT_MAX`], which are not in the report.
    pub dropped_count: u64,
    /// Rows, over all files.
    pub row_count: u64,
    /// Columns.
    pub column_count: u64,
    /// Bytes, over all files.
    pub size_bytes: u64,
    /// Classes of personal data: `personal`, `special_category`, `health`, `financial`, `credential`, `location`.
    pub classes: Vec<String>,
    /// Rows that are suspect of poisoning.
    pub suspect_row_count: u64,
}

impl InspectionReport {
    /// The report of a job that found nothing yet.
    #[must_use]
    pub fn of_job(job: &JobSpec, worker_version: &str) -> Self {
        Self {
            schema: REPORT_SCHEMA.to_owned(),
            dataset: job.dataset.clone(),
            version: job.version.clone(),
            manifest_sha256: job.manifest_sha256.clone(),
            files: job.files.clone(),
            worker_version: worker_version.to_owned(),
            confinement: Confinement::default(),
            seed: job.seed,
            started_us: job.now_us,
            ended_us: job.now_us,
            cpu_ms: 0,
            memory_peak_bytes: 0,
            contract_sha256: None,
            reference: job.reference.as_ref().map(|reference| reference.name.clone()),
            screens: BTreeMap::new(),
            findings: Vec::new(),
            summary: Summary::default(),
            view: View::default(),
            table: None,
            profile: None,
            contract: None,
            contract_proposal: None,
            drift: None,
            segments: None,
            personal: None,
            poisoning: None,
            guarded: None,
            scan: None,
            origin: None,
            gates: None,
            attacks: None,
            signature: None,
            guard: None,
            guard_reference: None,
        }
    }

    /// Adds findings (the room's about provenance, say), gravest first, and counts again.
    pub fn add_findings(&mut self, findings: impl IntoIterator<Item = Finding>) {
        self.findings.extend(findings);
        self.findings
            .sort_by(|a, b| b.severity.cmp(&a.severity).then_with(|| a.screen.cmp(&b.screen)).then_with(|| a.id.cmp(&b.id)));
        let dropped = self.findings.len().saturating_sub(FINDING_COUNT_MAX);
        self.findings.truncate(FINDING_COUNT_MAX);
        self.summary.dropped_count = self.summary.dropped_count.saturating_add(dropped as u64);
        self.summary.critical_count = self.count(Severity::Critical);
        self.summary.error_count = self.count(Severity::Error);
        self.summary.warning_count = self.count(Severity::Warning);
        self.summary.info_count = self.count(Severity::Info);
    }

    /// The gravest finding's severity.
    #[must_use]
    pub fn worst(&self) -> Option<Severity> {
        self.findings.iter().map(|finding| finding.severity).max()
    }

    fn count(&self, severity: Severity) -> u64 {
        self.findings.iter().filter(|finding| finding.severity == severity).count() as u64
    }
}
