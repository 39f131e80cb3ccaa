//! Everything that shows what a model version is, in one file: its list of files, the signatures over it, the signed statements
//! about it, the papers, and the receipts of the audit log. It is checked offline, with keys that the checker already trusts.
//!
//! The file is JSON. What was signed is kept in base64, byte by byte, so that no program that reformats JSON breaks it.
//!
//! INVARIANT: the file brings no keys: only the checker's count. Held by `tests`.
//! INVARIANT: each of its fields is under a signature or a receipt, or refused when it is changed. Held by `tests`.

mod report;
mod verify;

pub use report::{Claim, Report, State};
pub use verify::{LogCheck, verify};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use kernel::{hex, parse_hex, sha256};
use serde::{Deserialize, Serialize};

use crate::dsse::within;
use crate::error::AttestError;
use crate::oms::{FileDigest, Manifest, RESOURCE_COUNT_MAX, SIGNATURE_NAME};
use crate::statement::Resource;

/// What the file calls itself.
pub const EVIDENCE_SCHEMA: &str = "strongroom/evidence/v2";
/// What a signed statement calls the list of the files, whose sizes and left-out files no signature over the model covers.
const FILES_NAME: &str = "list of files";
/// A file is refused beyond this.
pub const EVIDENCE_BYTES_MAX: usize = 128 * 1024 * 1024;
/// Signatures, statements, documents, receipts: of each at most so many.
pub const PART_COUNT_MAX: usize = 1_000;

/// The file.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Evidence {
    schema: String,
    /// The model, such as `models:/churn/3`.
    pub name: String,
    /// SHA-256 of its list of files, in hex.
    pub root_sha256: String,
    files: Vec<File>,
    signatures: Vec<String>,
    attestations: Vec<String>,
    documents: Vec<Document>,
    receipts: Vec<Receipt>,
}

#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct File {
    path: String,
    size_bytes: u64,
    sha256: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct Document {
    name: String,
    media_type: String,
    content: String,
}

/// What a receipt is for.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Of {
    /// The signature at this place.
    Signature(usize),
    /// The statement at this place.
    Attestation(usize),
    /// The document of this name.
    Document(String),
}

#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct Receipt {
    of: Of,
    record: String,
    receipt: String,
}

impl Evidence {
    /// About the model `name` with these files.
    ///
    /// # Errors
    /// As [`Manifest::of_files`].
    pub fn new(name: &str, files: &[FileDigest]) -> Result<Self, AttestError> {
        let manifest = Manifest::of_files(name, files, SIGNATURE_NAME)?;
        let file = |one: &FileDigest| File { path: one.path.clone(), size_bytes: one.size_bytes, sha256: hex(&one.sha256) };
        Ok(Self {
            schema: EVIDENCE_SCHEMA.to_owned(),
            name: name.to_owned(),
            root_sha256: hex(&manifest.root()),
            files: files.iter().map(file).collect(),
            signatures: Vec::new(),
            attestations: Vec::new(),
            documents: Vec::new(),
            receipts: Vec::new(),
        })
    }

    /// Adds a model's signature, as its bundle's bytes; gives its place.
    pub fn add_signature(&mut self, bundle: &[u8]) -> usize {
        self.signatures.push(STANDARD.encode(bundle));
        self.signatures.len() - 1
    }

    /// Adds a signed statement, as its envelope's bytes; gives its place.
    pub fn add_attestation(&mut self, envelope: &[u8]) -> usize {
        self.attestations.push(STANDARD.encode(envelope));
        self.attestations.len() - 1
    }

    /// Adds a paper. It counts if a signed statement names it, with its media type and its digest.
    pub fn add_document(&mut self, name: &str, media_type: &str, content: &[u8]) {
        let content = STANDARD.encode(content);
        self.documents.push(Document { name: name.to_owned(), media_type: media_type.to_owned(), content });
    }

    /// Adds the receipt of a log's `record`, which names the SHA-256 of what the receipt is for in hex.
    pub fn add_receipt(&mut self, of: Of, record: &[u8], receipt: &str) {
        self.receipts.push(Receipt { of, record: STANDARD.encode(record), receipt: receipt.to_owned() });
    }

    /// Everything that a receipt can be for, with its SHA-256 in hex.
    #[must_use]
    pub fn parts(&self) -> Vec<(Of, String)> {
        let digest = |text: &String| hex(&sha256(&STANDARD.decode(text).unwrap_or_default()));
        let signatures = self.signatures.iter().enumerate().map(|(place, text)| (Of::Signature(place), digest(text)));
        let attestations = self.attestations.iter().enumerate().map(|(place, text)| (Of::Attestation(place), digest(text)));
        let documents = self.documents.iter().map(|one| (Of::Document(one.name.clone()), digest(&one.content)));
        signatures.chain(attestations).chain(documents).collect()
    }

    /// The list of its files, as a signed statement must name it among its documents.
    ///
    /// # Errors
    /// `Malformed` if it cannot be written.
    pub fn list_of_files(&self) -> Result<Resource, AttestError> {
        let list = serde_json::to_vec(&self.files)
            .map_err(|error| AttestError::malformed(format!("the list of files cannot be written: {error}")))?;
        Ok(Resource::new(FILES_NAME, &sha256(&list)))
    }

    /// The file.
    ///
    /// # Errors
    /// `Malformed` if it cannot be written.
    pub fn to_bytes(&self) -> Result<Vec<u8>, AttestError> {
        serde_json::to_vec(self).map_err(|error| AttestError::malformed(format!("the evidence cannot be written: {error}")))
    }

    /// Reads a file. Nothing is verified yet.
    ///
    /// # Errors
    /// `TooBig` or `Malformed`.
    pub fn parse(bytes: &[u8]) -> Result<Self, AttestError> {
        within("the evidence file", bytes.len(), EVIDENCE_BYTES_MAX)?;
        let read: Self = serde_json::from_slice(bytes)
            .map_err(|error| AttestError::malformed(format!("this is not an evidence file: {error}")))?;
        if read.schema != EVIDENCE_SCHEMA {
            return Err(AttestError::malformed(format!("the file is of type `{}`, not `{EVIDENCE_SCHEMA}`", read.schema)));
        }
        within("the number of files", read.files.len(), RESOURCE_COUNT_MAX)?;
        for (what, count) in [
            ("the number of signatures", read.signatures.len()),
            ("the number of statements", read.attestations.len()),
            ("the number of documents", read.documents.len()),
            ("the number of receipts", read.receipts.len()),
        ] {
            within(what, count, PART_COUNT_MAX)?;
        }
        Ok(read)
    }

    /// The files that the evidence is about.
    ///
    /// # Errors
    /// `Malformed` if a digest is none.
    pub fn files(&self) -> Result<Vec<FileDigest>, AttestError> {
        let file = |one: &File| {
            let sha256 = parse_hex(&one.sha256).and_then(|bytes| bytes.try_into().ok());
            let sha256 = sha256.ok_or_else(|| AttestError::malformed(format!("`{}` has no SHA-256", one.path)))?;
            Ok(FileDigest { path: one.path.clone(), size_bytes: one.size_bytes, sha256 })
        };
        self.files.iter().map(file).collect()
    }

    /// The bundle of a model's signature by its place.
    #[must_use]
    pub fn signature(&self, place: usize) -> Option<Vec<u8>> {
        STANDARD.decode(self.signatures.get(place)?).ok()
    }

    /// A paper by name: its media type and content.
    #[must_use]
    pub fn document(&self, name: &str) -> Option<(&str, Vec<u8>)> {
        let document = self.documents.iter().find(|one| one.name == name)?;
        Some((&document.media_type, STANDARD.decode(&document.content).ok()?))
    }
}

#[cfg(test)]
mod tests;
