//! `datasets.findings`: what the inspection of a version found, and the documents that it left.

use gate::{Action, Operation, Outcome, Permit, Target};
use kernel::{Problem, hex};
use vault::objects::{Piece, Sending};

use crate::store::{self, files, inspections};
use crate::{Body, Data, DocumentKind, FoundFinding, Inspection, rules};

/// Shows the findings of a version's last inspection that left a report.
pub struct Findings {
    /// The room.
    pub room: Data,
    /// The data set.
    pub dataset: String,
    /// The version.
    pub version: String,
}

/// Findings, and of which inspection.
#[derive(Clone, Debug, PartialEq)]
pub struct Found {
    /// The last inspection, whatever became of it.
    pub last: Option<Inspection>,
    /// The one whose findings these are.
    pub inspection: Option<Inspection>,
    /// The findings, the gravest first.
    pub findings: Vec<FoundFinding>,
}

impl Operation for Findings {
    const ACTION: Action = super::FINDINGS;
    type Output = Found;

    fn target(&self) -> Target {
        Target::DatasetVersion(self.dataset.clone(), self.version.clone())
    }

    async fn run(self, permit: Permit<Self>) -> Result<Found, Problem> {
        let id = rules::version_id(&permit)?;
        let read = move |reader: &mut vault::db::Reader<'_>| {
            let inspection = inspections::last_done(reader, &id)?;
            let findings = match &inspection {
                Some(done) => inspections::findings(reader, &done.id)?,
                None => Vec::new(),
            };
            Ok(Found { last: inspections::last(reader, &id)?, inspection, findings })
        };
        self.room.db().read(&permit, read).await
    }
}

/// Reads a document of a version: its contract, or the report, page or attestation of its last inspection.
pub struct ReadDocument {
    /// The room.
    pub room: Data,
    /// The data set.
    pub dataset: String,
    /// The version.
    pub version: String,
    /// Which document.
    pub kind: DocumentKind,
}

/// A document on its way.
pub struct Document {
    /// Which one.
    pub kind: DocumentKind,
    /// Its size.
    pub size_bytes: u64,
    /// SHA-256 of its bytes.
    pub sha256: [u8; 32],
    /// Its bytes.
    pub body: Body,
}

impl Operation for ReadDocument {
    const ACTION: Action = super::FINDINGS;
    type Output = Document;

    fn target(&self) -> Target {
        Target::DatasetVersion(self.dataset.clone(), self.version.clone())
    }

    async fn run(self, permit: Permit<Self>) -> Result<Document, Problem> {
        let id = rules::version_id(&permit)?;
        let kind = self.kind;
        let found = self.room.db().read_point(&permit, move |reader| Ok(files::document(reader, &id, kind)?)).await?;
        let Some(object) = found else {
            let message = format!("the version has no `{}`; was it inspected, or committed with a contract?", kind.word());
            return Err(Problem::not_found(message));
        };
        let outcome = Outcome::done().with("sha256", hex(&object.sha256)).with("size_bytes", store::signed(object.size_bytes)?);
        let (size_bytes, sha256) = (object.size_bytes, object.sha256);
        let pieces = vec![Piece::Object { range: 0..size_bytes, object: Box::new(object) }];
        let body = Sending::begin(permit, self.room.objects().clone(), pieces, size_bytes, outcome).await?;
        Ok(Document { kind, size_bytes, sha256, body })
    }
}
