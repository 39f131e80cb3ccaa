//! `admissions.vouch` and `admissions.receipt`: what vouches for a version and describes it, with the log's word for it.
//!
//! A paper is made when it is asked for, and the record of that act names its digest. A receipt of this record can only be
//! had once it is written, so evidence takes a second verb that adds the receipts.

use artifacts::{StoredFile, files_below};
use attest::evidence::Evidence;
use attest::oms::FileDigest;
use attest::record::ModelRecord;
use futures_util::StreamExt;
use gate::{Action, Operation, Outcome, Permit, Target};
use inspection::InspectionReport;
use kernel::{Problem, hex, sha256};
use vault::db::Reader;
use vault::objects::StoredObject;

use super::subject_of;
use crate::Admission;
use crate::papers::{self, Basis, Paper};
use crate::receipts::Receipt;
use crate::store::{documents, record, standings};
use crate::types::{DocumentKind, conflict, no_version};

/// A file that names packages is read up to here.
const ENVIRONMENT_BYTES_MAX: u64 = 1024 * 1024;
/// The files that name packages, the better one first.
const ENVIRONMENT_NAMES: [&str; 2] = ["requirements.txt", "conda.yaml"];

/// Makes a paper about a version. What says that it was let in is made only while it is.
pub struct MakePaper {
    /// The room.
    pub room: Admission,
    /// The model's name.
    pub name: String,
    /// The version.
    pub version: String,
    /// Which paper.
    pub paper: Paper,
}

/// A paper that was made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MadePaper {
    /// Which.
    pub paper: Paper,
    /// Its bytes.
    pub bytes: Vec<u8>,
    /// The entry of the log whose record names the digests of what is in it.
    pub entry: String,
}

/// What the database gave.
struct Found {
    record: ModelRecord,
    files: Vec<StoredFile>,
    report: Option<StoredObject>,
    attestation: Option<StoredObject>,
}

impl Operation for MakePaper {
    const ACTION: Action = super::VOUCH;
    type Output = MadePaper;

    fn target(&self) -> Target {
        Target::ModelVersion(self.name.clone(), self.version.clone())
    }

    async fn run(self, permit: Permit<Self>) -> Result<MadePaper, Problem> {
        let (room, paper, at) = (self.room, self.paper, permit.entry().at);
        let (subject, looked_up) = (subject_of(&permit)?, room.clone());
        let read = move |reader: &mut Reader<'_>| {
            let standing = standings::get(reader, &subject)?.ok_or_else(no_version)?;
            let place = standing.place.as_ref().ok_or_else(|| conflict("the version's files are not on this server"))?;
            if paper.vouches() {
                looked_up.promotable(reader, &standing)?;
            }
            let files = files_below(reader, place)?;
            if files.is_empty() && paper != Paper::Key {
                return Err(conflict(
                    "the version has no files on this server, so nothing can vouch for it; log the model here and register that",
                ));
            }
            let digests: Vec<FileDigest> = files.iter().map(digest_of).collect();
            let mut about = papers::begin(at, &digests);
            let origin = lineage::origin_of_version(reader, &standing.workspace, &subject.model_id, subject.number)?;
            record::fill(reader, &standing, &origin, &mut about)?;
            let report = documents::last(reader, &subject, DocumentKind::Report)?;
            let attestation = documents::last(reader, &subject, DocumentKind::Attestation)?;
            Ok(Found { record: about, files, report, attestation })
        };
        let Found { mut record, files, report, attestation } = room.db().read(&permit, read).await?;
        if let Some(report) = &report {
            let bytes = room.whole(&permit, report).await?;
            let read: InspectionReport = serde_json::from_slice(&bytes)
                .map_err(|error| Problem::internal("the report of the inspection cannot be read", error))?;
            record.tests = papers::tests(&read.view.gates);
            let tried = read.attacks.and_then(|section| section.parse().ok()).unwrap_or_default();
            record.attacks = papers::attacks(&tried, &read.view.attacks);
            let section = read.scan.and_then(|section| section.parse().ok()).unwrap_or_default();
            record.scans = papers::scans(&section, kernel::Micros(read.ended_us));
        }
        let inspection = match &attestation {
            Some(attestation) => Some(room.whole(&permit, attestation).await?),
            None => None,
        };
        record.environment = room.environment(&permit, &files).await?;
        let signer = room.signer().await?;
        let files = files.iter().map(digest_of).collect();
        let policy_sha256 = room.0.verdict.digest().to_owned();
        let basis = Basis { record, files, signer, inspection, policy_sha256, at };
        let bytes = basis.make(paper)?;
        let mut outcome = Outcome::done().with("paper", paper.word()).with("paper_sha256", hex(&sha256(&bytes)));
        if paper == Paper::Evidence {
            let parts: Vec<String> = parsed(&bytes)?.parts().into_iter().map(|(_, digest)| digest).collect();
            outcome = outcome.with("parts_sha256", parts.join(" "));
        }
        let entry = permit.entry().id.clone();
        permit.defer_outcome().settle(&outcome);
        Ok(MadePaper { paper, bytes, entry })
    }
}

/// Adds the log's receipts to evidence that [`MakePaper`] just made.
pub struct AddReceipts {
    /// The room.
    pub room: Admission,
    /// The model's name.
    pub name: String,
    /// The version.
    pub version: String,
    /// The evidence. Its entry is the server's own word, never a client's.
    pub made: MadePaper,
}

impl Operation for AddReceipts {
    const ACTION: Action = super::RECEIPT;
    type Output = MadePaper;

    fn target(&self) -> Target {
        Target::ModelVersion(self.name.clone(), self.version.clone())
    }

    async fn run(self, permit: Permit<Self>) -> Result<MadePaper, Problem> {
        subject_of(&permit)?;
        let Self { room, made, .. } = self;
        let receipt = room.0.receipts.receipt(made.entry.clone()).await?;
        Ok(MadePaper { bytes: with_receipts(&made.bytes, &receipt)?, ..made })
    }
}

/// Evidence with the receipt of the record that names its parts, for each of them.
pub(super) fn with_receipts(evidence: &[u8], receipt: &Receipt) -> Result<Vec<u8>, Problem> {
    let mut evidence = parsed(evidence)?;
    for (of, _) in evidence.parts() {
        evidence.add_receipt(of, &receipt.record, &receipt.proof);
    }
    evidence.to_bytes().map_err(|error| Problem::internal("the evidence cannot be written", error))
}

fn parsed(evidence: &[u8]) -> Result<Evidence, Problem> {
    Evidence::parse(evidence).map_err(|error| Problem::internal("the evidence cannot be read again", error))
}

pub(super) fn digest_of(file: &StoredFile) -> FileDigest {
    FileDigest { path: file.entry.path.clone(), size_bytes: file.entry.size_bytes, sha256: file.entry.sha256 }
}

impl Admission {
    /// A small object, whole.
    pub(crate) async fn whole<O: ?Sized>(&self, permit: &Permit<O>, object: &StoredObject) -> Result<Vec<u8>, Problem> {
        let mut body = self.0.objects.open(permit, object, 0..object.size_bytes).await?;
        let mut all = Vec::new();
        while let Some(bytes) = body.next().await {
            all.extend_from_slice(&bytes?);
        }
        Ok(all)
    }

    /// The packages that the model's own files name.
    async fn environment<O: ?Sized>(
        &self,
        permit: &Permit<O>,
        files: &[StoredFile],
    ) -> Result<Vec<attest::environment::Package>, Problem> {
        for name in ENVIRONMENT_NAMES {
            let Some(file) = files.iter().find(|file| file.entry.path == name && file.entry.size_bytes <= ENVIRONMENT_BYTES_MAX)
            else {
                continue;
            };
            let bytes = self.0.artifacts.bytes_of(permit, file, 0..file.entry.size_bytes).await?;
            let packages = papers::environment_of(name, &String::from_utf8_lossy(&bytes));
            if !packages.is_empty() {
                return Ok(packages);
            }
        }
        Ok(Vec::new())
    }
}
