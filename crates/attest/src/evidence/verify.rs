//! The check.

use std::collections::BTreeSet;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use kernel::{Micros, hex, sha256};
use serde_json::Value;

use super::report::{Claim, Report, State};
use super::{Document, Evidence, Of};
use crate::dsse::Envelope;
use crate::error::AttestError;
use crate::keys::PublicKey;
use crate::oms::{self, Coverage, FileDigest, FileList, Manifest, SIGNATURE_NAME};
use crate::policy::Trust;
use crate::predicates::{Provenance, References};
use crate::statement::{AnyStatement, Predicate, Resource};

/// The verb by whose record a log names the parts of evidence. Other records hold digests that whoever acted has chosen.
const VOUCHING_ACTION: &str = "admissions.vouch";

/// Checks a receipt (its text) of a record (its bytes) against logs that are trusted; says which, or why it does not hold.
pub type LogCheck<'a> = &'a dyn Fn(&str, &[u8]) -> Result<String, String>;

/// Says what of the file `bytes` holds, by keys that are trusted, at `at` (for certificates). Receipts stay unchecked without `log`.
///
/// # Errors
/// `TooBig` or `Malformed` if it is no evidence file. What does not hold is in the report.
pub fn verify(bytes: &[u8], trust: &Trust, at: Micros, log: Option<LogCheck<'_>>) -> Result<Report, AttestError> {
    let evidence = Evidence::parse(bytes)?;
    let files = evidence.files()?;
    let mut report = Report { name: evidence.name.clone(), root_sha256: evidence.root_sha256.clone(), claims: Vec::new() };
    report.add("list of files", check_root(&evidence, &files).map_err(|error| error.to_string()));
    if evidence.signatures.is_empty() {
        report.add("signature", Err("there is none: nobody vouches for these files".to_owned()));
    }
    for (place, text) in evidence.signatures.iter().enumerate() {
        let said = check_signature(text, trust, at, &files).map_err(|error| error.to_string());
        report.add(format!("signature {place}"), said);
    }
    // A document counts if a statement that holds, about this model, names it as one.
    let mut vouched = Vec::new();
    let mut is_named = false;
    for (place, text) in evidence.attestations.iter().enumerate() {
        match check_attestation(text, trust, &evidence, &files) {
            Ok(Checked { said, documents, names_it }) => {
                vouched.extend(documents);
                is_named |= names_it;
                report.add(format!("attestation {place}"), Ok(said));
            }
            Err(error) => report.add(format!("attestation {place}"), Err(error.to_string())),
        }
    }
    let unnamed = "no statement that holds is about a model of this name";
    report.add("name", if is_named { Ok("in a signed statement".to_owned()) } else { Err(unnamed.to_owned()) });
    report.add("sizes of files", check_list(&evidence, &vouched));
    check_receipts(&evidence, log, &mut report);
    for document in &evidence.documents {
        report.add(format!("document `{}`", document.name), check_document(document, &vouched));
    }
    Ok(report)
}

/// Every part needs its receipt, and every part that the log names must be there.
fn check_receipts(evidence: &Evidence, log: Option<LogCheck<'_>>, report: &mut Report) {
    let parts = evidence.parts();
    let mut in_the_log = BTreeSet::new();
    for receipt in &evidence.receipts {
        let what = receipt_of(&receipt.of);
        let Some(log) = log else {
            let detail = "no key of the log was given".to_owned();
            report.claims.push(Claim { what, state: State::Unchecked, detail });
            continue;
        };
        let record = STANDARD.decode(&receipt.record).unwrap_or_default();
        let said = check_receipt(&parts, &receipt.of, &record, &receipt.receipt, log).map(|(said, named)| {
            in_the_log.extend(named);
            said
        });
        report.add(what, said);
    }
    for (of, _) in parts.iter().filter(|(of, _)| !evidence.receipts.iter().any(|receipt| receipt.of == *of)) {
        let detail = "there is none: nothing shows that it stands in the log".to_owned();
        // Without a key of the log a receipt would have shown nothing either.
        let state = if log.is_some() { State::Fails } else { State::Unchecked };
        report.claims.push(Claim { what: receipt_of(of), state, detail });
    }
    if !in_the_log.is_empty() {
        for (_, digest) in &parts {
            in_the_log.remove(digest);
        }
        let gone = in_the_log.len();
        let lost = format!("the log names {gone} parts that are not in the file: they were taken out or exchanged");
        report.add("all parts", if gone == 0 { Ok("what the log names is there".to_owned()) } else { Err(lost) });
    }
}

fn receipt_of(part: &Of) -> String {
    match part {
        Of::Signature(place) => format!("receipt of signature {place}"),
        Of::Attestation(place) => format!("receipt of attestation {place}"),
        Of::Document(name) => format!("receipt of `{name}`"),
    }
}

fn check_root(evidence: &Evidence, files: &[FileDigest]) -> Result<String, AttestError> {
    let manifest = Manifest::of_files(&evidence.name, files, SIGNATURE_NAME)?;
    if hex(&manifest.root()) != evidence.root_sha256 {
        return Err(AttestError::malformed("the root is not that of the files"));
    }
    Ok(format!("{} files", files.len()))
}

fn check_signature(text: &str, trust: &Trust, at: Micros, files: &[FileDigest]) -> Result<String, AttestError> {
    let bundle = STANDARD.decode(text).map_err(|_| AttestError::malformed("it is not base64"))?;
    let verified = oms::verify(&bundle, trust, at, &FileList(files), Coverage::Specified, None)?;
    let signer = &verified.signer;
    let names = if signer.identities.is_empty() { String::new() } else { format!(" ({})", signer.identities.join(", ")) };
    let left_out = match verified.unsigned.len() {
        0 => String::new(),
        count => format!("; {count} files that the specification leaves out are not signed"),
    };
    Ok(format!("signed by `{}`{names}{left_out}", signer.trusted_as))
}

/// A document as a statement names it.
struct Named {
    name: String,
    sha256: String,
    media_type: String,
}

/// A statement that holds.
struct Checked {
    said: String,
    /// The documents that it names.
    documents: Vec<Named>,
    /// Whether it is about the model by the name that the file has.
    names_it: bool,
}

fn check_attestation(text: &str, trust: &Trust, evidence: &Evidence, files: &[FileDigest]) -> Result<Checked, AttestError> {
    let envelope = STANDARD.decode(text).map_err(|_| AttestError::malformed("it is not base64"))?;
    let envelope = Envelope::parse(&envelope)?;
    let (names, keys): (Vec<&str>, Vec<&PublicKey>) = trust.keys().unzip();
    let (statement, place) = AnyStatement::open(&envelope, &keys)?;
    let (name, key) = match (names.get(place), keys.get(place)) {
        (Some(name), Some(key)) => (*name, *key),
        _ => return Err(AttestError::malformed("the key is none of those that are trusted")),
    };
    trust.check_not_revoked(&key.key_id())?;
    let about = |digest: &String| *digest == evidence.root_sha256 || files.iter().any(|file| hex(&file.sha256) == *digest);
    if !statement.subject.iter().any(|subject| subject.digest.get("sha256").is_some_and(about)) {
        return Err(AttestError::malformed("it is about another model: neither the root nor a file of this one is its subject"));
    }
    let is_root = |subject: &Resource| subject.digest.get("sha256").is_some_and(|digest| *digest == evidence.root_sha256);
    let documents = if statement.subject.iter().any(is_root) { documents_of(&statement) } else { Vec::new() };
    Ok(Checked {
        said: format!("`{}`, signed by `{name}`", statement.predicate_type),
        documents,
        names_it: statement.subject.iter().any(|subject| subject.name == evidence.name && is_root(subject)),
    })
}

/// What a statement names as documents that belong to its subject. Its other texts, such as a run's parameters, are not its signer's choice:
/// a digest among them names nothing.
fn documents_of(statement: &AnyStatement) -> Vec<Named> {
    let kind = statement.predicate_type.as_str();
    let list = if kind == Provenance::TYPE {
        statement.predicate.pointer("/runDetails/byproducts")
    } else if kind == References::TYPE {
        statement.predicate.get("references")
    } else {
        None
    };
    let documents = list.and_then(Value::as_array).into_iter().flatten();
    let text = |one: &Value, pointer: &str| one.pointer(pointer).and_then(Value::as_str).map(str::to_owned);
    let named = |one: &Value| {
        let (name, sha256) = (text(one, "/name")?, text(one, "/digest/sha256")?);
        Some(Named { name, sha256, media_type: text(one, "/mediaType").unwrap_or_default() })
    };
    documents.filter_map(named).collect()
}

/// What the log says of a part, and the digests of all parts that the same record names.
fn check_receipt(
    parts: &[(Of, String)],
    of: &Of,
    record: &[u8],
    receipt: &str,
    log: LogCheck<'_>,
) -> Result<(String, Vec<String>), String> {
    let (_, digest) = parts.iter().find(|(part, _)| part == of).ok_or("it is for something that is not in the file")?;
    let said = log(receipt, record)?;
    let named = parts_of(record);
    if !named.contains(digest) {
        return Err("the record of the log does not name its SHA-256".to_owned());
    }
    Ok((said, named))
}

/// The signature over a model leaves sizes out, and some files: a statement names the whole list.
fn check_list(evidence: &Evidence, vouched: &[Named]) -> Result<String, String> {
    let list = evidence.list_of_files().map_err(|error| error.to_string())?;
    let digest = list.digest.get("sha256");
    if vouched.iter().any(|known| known.name == list.name && Some(&known.sha256) == digest) {
        return Ok("named by a signed statement that holds".to_owned());
    }
    let doubt = "a size may be another, or a file that the signature leaves out";
    Err(format!("no signed statement that holds names this list of files: {doubt}"))
}

fn check_document(document: &Document, vouched: &[Named]) -> Result<String, String> {
    let bytes = STANDARD.decode(&document.content).map_err(|_| "it is not base64")?;
    let digest = hex(&sha256(&bytes));
    let is_it = |known: &&Named| known.name == document.name && known.sha256 == digest;
    let mut named = vouched.iter().filter(is_it).peekable();
    if named.peek().is_none() {
        return Err("no signed statement that holds names it with this SHA-256".to_owned());
    }
    if !named.any(|known| known.media_type == document.media_type) {
        return Err("the signed statement that names it gives it another media type".to_owned());
    }
    Ok("named by a signed statement that holds".to_owned())
}

/// The digests that a record of the log names as parts, if it is that of making evidence.
fn parts_of(record: &[u8]) -> Vec<String> {
    let Ok(record) = serde_json::from_slice::<Value>(record) else { return Vec::new() };
    let text = |pointer: &str| record.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
    if text("/action") != VOUCHING_ACTION || text("/kind") != "outcome" || text("/status") != "done" {
        return Vec::new();
    }
    text("/details/parts_sha256").split(' ').filter(|part| !part.is_empty()).map(str::to_owned).collect()
}
