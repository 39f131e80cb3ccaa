//! `admissions.vouch`: what vouches for a version and describes it.

use artifacts::{StoredFile, files_below};
use attest::oms::FileDigest;
use attest::record::ModelRecord;
use futures_util::StreamExt;
use gate::{Action, Operation, Permit, Target};
use inspection::InspectionReport;
use kernel::Problem;
use vault::db::Reader;
use vault::objects::StoredObject;

use super::subject_of;
use crate::Admission;
use crate::papers::{self, Basis, Paper};
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

/// What the database gave.
struct Found {
    record: ModelRecord,
    files: Vec<StoredFile>,
    report: Option<StoredObject>,
    attestation: Option<StoredObject>,
}

impl Operation for MakePaper {
    const ACTION: Action = super::VOUCH;
    type Output = (Paper, Vec<u8>);

    fn target(&self) -> Target {
        Target::ModelVersion(self.name.clone(), self.version.clone())
    }

    async fn run(self, permit: Permit<Self>) -> Result<(Paper, Vec<u8>), Problem> {
        let (room, paper, at) = (self.room, self.paper, permit.entry().at);
        let (subject, looked_up) = (subject_of(&permit)?, room.clone());
        let read = move |reader: &mut Reader<'_>| {
            let standing = standings::get(reader, &subject)?.ok_or_else(no_version)?;
            let place = standing.place.as_ref().ok_or_else(|| conflict("the version's files are not on this server"))?;
            if paper.vouches() {
                looked_up.promotable(reader, &standing)?;
            }
            let files = files_below(reader, place)?;
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
        Ok((paper, basis.make(paper)?))
    }
}

fn digest_of(file: &StoredFile) -> FileDigest {
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
