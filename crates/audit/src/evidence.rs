//! Evidence bundles: a report, the whole stretch of the log that it was made from, and a receipt of the log for the report itself, in one file that is
//! checked without a server. The format is described in `docs/src/guides/forensics.md`.
//!
//! INVARIANT: a bundle that holds has every record of its stretch, and its report names every one of them that is the suspect's. Held by
//! `tests`.

use std::collections::BTreeSet;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use kernel::{Micros, hex, sha256};
use serde::{Deserialize, Serialize};

use crate::checkpoint::Checkpoint;
use crate::error::AuditError;
use crate::merkle::{Hash, PROOF_HASH_COUNT_MAX, leaf_hash, stretch_holds};
use crate::note::VerifierKey;
use crate::ops::Stretch;
use crate::proof::TlogProof;
use crate::view::RecordView;

/// What every bundle begins with.
const FORMAT: &str = "strongroom evidence v1";
/// The verb whose outcome keeps the report's digest.
const SEALED_BY: &str = "audit.evidence";

/// One bundle, as the file has it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Bundle {
    format: String,
    /// The key that the log said it signs with. Who checks it should know it from elsewhere.
    pub verifier_key: String,
    from: u64,
    /// The records' exact bytes.
    records: Vec<String>,
    outside: Vec<String>,
    checkpoint: String,
    /// The report's exact bytes.
    pub report: String,
    /// The record of the log that keeps the report's digest, and its receipt.
    seal_record: String,
    seal_proof: String,
}

/// A stretch of the log as the server answers it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Taken {
    /// The first record's place in the log.
    pub from: u64,
    /// The records' exact bytes, which are text.
    pub records: Vec<String>,
    /// The hashes of all that lies outside, in base64.
    pub outside: Vec<String>,
    /// The signed checkpoint.
    pub checkpoint: String,
    /// The key that checks it.
    pub verifier_key: String,
    /// The entry under which the log keeps that they were taken out.
    pub entry: String,
}

impl From<Stretch> for Taken {
    fn from(stretch: Stretch) -> Self {
        let Stretch { from, records, outside, checkpoint, verifier_key, entry } = stretch;
        let text = |record: Vec<u8>| String::from_utf8_lossy(&record).into_owned();
        let outside = outside.iter().map(|hash| STANDARD.encode(hash)).collect();
        Self { from, records: records.into_iter().map(text).collect(), outside, checkpoint, verifier_key, entry }
    }
}

/// What a report must say for the bundle to be checked.
#[derive(Debug, Deserialize)]
struct ReportView {
    who: String,
    since: Option<i64>,
    until: Option<i64>,
    /// The records that it names.
    indices: Vec<u64>,
}

/// What a bundle that holds shows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shown {
    /// The log.
    pub origin: String,
    /// Its records under the checkpoint.
    pub size: u64,
    /// The first record.
    pub from: u64,
    /// How many there are.
    pub count: u64,
    /// Whom the report is about, by id.
    pub who: String,
    /// How many of them are theirs.
    pub own_count: u64,
    /// When the first and the last of the records was made, in microseconds since the epoch.
    pub times: (i64, i64),
    /// The time that the report is about, likewise; none where it has no end on that side.
    pub since: Option<i64>,
    /// Before when.
    pub until: Option<i64>,
}

impl Shown {
    /// What of the time that the report is about the records do not reach. There the suspect may have more records, which nothing here shows.
    #[must_use]
    pub fn not_covered(&self) -> Vec<String> {
        let ((first, last), moment) = (self.times, |at: i64| Micros(at).rfc3339());
        let mut left = Vec::new();
        if self.from > 0 && self.since.is_none_or(|since| since < first) {
            let begin = self.since.map_or_else(|| "the beginning of the log".to_owned(), moment);
            left.push(format!("from {begin} to {}, which is before record {}", moment(first), self.from));
        }
        let end = self.from.saturating_add(self.count);
        if end < self.size && self.until.is_none_or(|until| until > last.saturating_add(1)) {
            let until = self.until.map_or_else(|| "the end of the log".to_owned(), moment);
            left.push(format!("from {} to {until}, which is behind record {}", moment(last), end.saturating_sub(1)));
        }
        left
    }
}

impl Bundle {
    /// The bundle of what was taken out, a report, and the log's record of that with its receipt.
    #[must_use]
    pub fn new(taken: Taken, report: String, (seal_record, seal_proof): (String, String)) -> Self {
        let Taken { from, records, outside, checkpoint, verifier_key, entry: _ } = taken;
        Self { format: FORMAT.to_owned(), verifier_key, from, records, outside, checkpoint, report, seal_record, seal_proof }
    }

    /// Reads one.
    ///
    /// # Errors
    /// `Malformed` if it is none.
    pub fn parse(bytes: &[u8]) -> Result<Self, AuditError> {
        let bundle: Self = serde_json::from_slice(bytes)
            .map_err(|error| AuditError::malformed(format!("this is no evidence bundle: {error}")))?;
        if bundle.format != FORMAT {
            return Err(AuditError::malformed(format!("this is no `{FORMAT}` bundle")));
        }
        Ok(bundle)
    }

    /// Checks all of it against the log's key: the checkpoint's signature, that no record of the stretch is missing or changed, that the log keeps
    /// the report's digest, and that the report names each of the suspect's records in its time and no other.
    ///
    /// # Errors
    /// `Malformed`, saying what does not hold.
    pub fn check(&self, key: &VerifierKey) -> Result<Shown, AuditError> {
        let (checkpoint, _) = Checkpoint::open(self.checkpoint.as_bytes(), key)?;
        let leaves: Vec<Hash> = self.records.iter().map(|record| leaf_hash(record.as_bytes())).collect();
        if !stretch_holds(&leaves, self.from, checkpoint.size, &self.outside()?, &checkpoint.root) {
            return Err(AuditError::malformed("the records are not the log's: one is missing, added or changed"));
        }
        self.check_seal(key)?;
        let report: ReportView = serde_json::from_str(&self.report)
            .map_err(|error| AuditError::malformed(format!("the report cannot be read: {error}")))?;
        let own = self.own(&report)?;
        let at = |record: Option<&String>| {
            let view = record.and_then(|record| RecordView::parse(record.as_bytes()));
            view.map(|view| view.at).ok_or_else(|| AuditError::malformed("there is no record, or none that can be read"))
        };
        let named: BTreeSet<u64> = report.indices.iter().copied().collect();
        if let Some(index) = own.difference(&named).next() {
            return Err(AuditError::malformed(format!("the report leaves out record {index}, which is of `{}`", report.who)));
        }
        if let Some(index) = named.difference(&own).next() {
            return Err(AuditError::malformed(format!("the report names record {index}, which is not of `{}`", report.who)));
        }
        Ok(Shown {
            origin: checkpoint.origin,
            size: checkpoint.size,
            from: self.from,
            count: self.records.len() as u64,
            own_count: own.len() as u64,
            times: (at(self.records.first())?, at(self.records.last())?),
            since: report.since,
            until: report.until,
            who: report.who,
        })
    }

    fn outside(&self) -> Result<Vec<Hash>, AuditError> {
        if self.outside.len() > 2 * PROOF_HASH_COUNT_MAX {
            return Err(AuditError::malformed("there are more hashes than a proof has"));
        }
        let hash = |text: &String| STANDARD.decode(text).ok().and_then(|bytes| bytes.try_into().ok());
        self.outside.iter().map(|text| hash(text).ok_or_else(|| AuditError::malformed("a hash cannot be read"))).collect()
    }

    /// That the log keeps the report's digest, in the outcome of an act that took this stretch out.
    fn check_seal(&self, key: &VerifierKey) -> Result<(), AuditError> {
        TlogProof::parse(&self.seal_proof)?.check(self.seal_record.as_bytes(), key)?;
        let wrong = || AuditError::malformed("the log keeps another report than this one");
        let view = RecordView::parse(self.seal_record.as_bytes()).ok_or_else(wrong)?;
        let digest = hex(&sha256(self.report.as_bytes()));
        let kept = view.details.get("report_sha256").and_then(serde_json::Value::as_str);
        let from = view.details.get("from").and_then(serde_json::Value::as_u64);
        let is_it = view.action == SEALED_BY && view.kind == "outcome" && kept == Some(&digest) && from == Some(self.from);
        if is_it { Ok(()) } else { Err(wrong()) }
    }

    /// The records of the one whom the report is about, in its time.
    fn own(&self, report: &ReportView) -> Result<BTreeSet<u64>, AuditError> {
        let mut own = BTreeSet::new();
        for (index, record) in (self.from..).zip(&self.records) {
            let view = RecordView::parse(record.as_bytes())
                .ok_or_else(|| AuditError::malformed(format!("record {index} cannot be read")))?;
            let in_time = report.since.is_none_or(|since| view.at >= since) && report.until.is_none_or(|until| view.at < until);
            if in_time && view.caller.id == report.who {
                own.insert(index);
            }
        }
        Ok(own)
    }
}
