//! `admissions.vouch`, the check of it: whether a version's files, report, signatures and receipts hold, line by line, with the keys that this server
//! signs with. Whoever does not want to take the server's word has the same checked elsewhere, by `strongroom verify-bundle`.
//!
//! INVARIANT: what was not looked at is never said to hold. Held by `tests::verifying`.

use artifacts::{Manifest, StoredFile, files_below};
use attest::dsse::Envelope;
use attest::evidence::{self, Claim, LogCheck, State};
use attest::oms::SIGNATURE_NAME;
use attest::policy::{SignerPolicy, TrustedKey};
use attest::statement::AnyStatement;
use attest::{EcdsaSigner, Signer};
use gate::{Action, Operation, Outcome, Permit, Target};
use inspection::InspectionReport;
use kernel::{Kind, Micros, Problem, Sha256Hasher, hex, sha256};
use vault::db::Reader;
use vault::objects::StoredObject;

use super::paper::{digest_of, with_receipts};
use super::{MadePaper, subject_of};
use crate::Admission;
use crate::limits::{SIGNATURE_BYTES_MAX, VERIFY_BYTES_MAX, VERIFY_COUNT_MAX, VERIFY_READ_BYTES};
use crate::signers::{Signature, SignersSet};
use crate::store::{documents, inspections, signers, standings};
use crate::types::{DocumentKind, Inspection, Standing, conflict, no_version};

/// What the server's own key is called among what was checked.
const OWN_KEY: &str = "this server's key for models";

/// Checks a version.
pub struct VerifyVersion {
    /// The room.
    pub room: Admission,
    /// The model's name.
    pub name: String,
    /// The version.
    pub version: String,
    /// Evidence that was just made of it, or why there is none: only what is admitted has it.
    pub made: Result<MadePaper, String>,
}

/// What was checked, and with which keys.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verified {
    /// Line by line.
    pub claims: Vec<Claim>,
    /// Keys by name: what somebody compares with the copy that they hold.
    pub keys: Vec<(String, String)>,
}

impl Verified {
    /// Whether everything was checked and holds.
    #[must_use]
    pub fn holds(&self) -> bool {
        self.claims.iter().all(|claim| claim.state == State::Holds)
    }
}

/// What the database gave.
struct Found {
    standing: Standing,
    files: Vec<StoredFile>,
    inspection: Option<Inspection>,
    report: Option<StoredObject>,
    attestation: Option<StoredObject>,
    signers: Option<SignersSet>,
}

impl Operation for VerifyVersion {
    const ACTION: Action = super::VOUCH;
    type Output = Verified;

    fn target(&self) -> Target {
        Target::ModelVersion(self.name.clone(), self.version.clone())
    }

    async fn run(self, permit: Permit<Self>) -> Result<Verified, Problem> {
        let (subject, room, at) = (subject_of(&permit)?, self.room, permit.entry().at);
        let read = move |reader: &mut Reader<'_>| {
            let standing = standings::get(reader, &subject)?.ok_or_else(no_version)?;
            let place = standing.place.as_ref().ok_or_else(|| conflict("the version's files are not on this server"))?;
            Ok(Found {
                files: files_below(reader, place)?,
                inspection: inspections::last_done(reader, &subject)?,
                report: documents::last(reader, &subject, DocumentKind::Report)?,
                attestation: documents::last(reader, &subject, DocumentKind::Attestation)?,
                signers: signers::last(reader, &standing.workspace)?,
                standing,
            })
        };
        let busy = || Problem::new(Kind::TooMany, format!("{VERIFY_COUNT_MAX} versions are checked at once; try again soon"));
        let _slot = room.0.verifying.try_acquire().map_err(|_| busy())?;
        let found = room.db().read(&permit, read).await?;
        let own = room.signer().await?;
        let mut verified = Verified { claims: Vec::new(), keys: vec![(OWN_KEY.to_owned(), own.public_key().key_id())] };
        room.files(&permit, &found, &mut verified.claims).await?;
        room.report(&permit, &found, &own, &mut verified.claims).await?;
        room.makers(&permit, &found, at, &mut verified.claims).await?;
        match self.made {
            Ok(made) => room.evidence(made, &own, at, &mut verified).await?,
            Err(why) => verified.claims.push(claim("what this server vouches for", State::Unchecked, why)),
        }
        let broken = verified.claims.iter().filter(|claim| claim.state == State::Fails).count();
        permit.defer_outcome().settle(&Outcome::done().with("checked", verified.claims.len()).with("broken", broken));
        Ok(verified)
    }
}

fn claim(what: impl Into<String>, state: State, detail: impl Into<String>) -> Claim {
    Claim { what: what.into(), state, detail: detail.into() }
}

fn settled(what: impl Into<String>, result: Result<String, String>) -> Claim {
    let state = if result.is_ok() { State::Holds } else { State::Fails };
    claim(what, state, result.unwrap_or_else(|why| why))
}

impl Admission {
    /// Whether the files are those that were inspected, and their bytes those that their digests say.
    async fn files(&self, permit: &Permit<VerifyVersion>, found: &Found, claims: &mut Vec<Claim>) -> Result<(), Problem> {
        let digest = Manifest::of(found.files.iter().map(|file| file.entry.clone()).collect()).digest;
        claims.push(match found.standing.manifest_sha256 {
            Some(inspected) => settled(
                "list of files",
                match inspected == digest {
                    true => {
                        Ok(format!("the {} files are those that were inspected, SHA-256 {}", found.files.len(), hex(&digest)))
                    }
                    false => Err("the files are not those that were inspected; have them inspected again".to_owned()),
                },
            ),
            None => claim("list of files", State::Unchecked, "the version was not inspected yet"),
        });
        let total = found.files.iter().fold(0_u64, |sum, file| sum.saturating_add(file.entry.size_bytes));
        if total > VERIFY_BYTES_MAX {
            let why = format!(
                "{total} bytes are more than the {VERIFY_BYTES_MAX} that are read again here; `strongroom audit verify` reads all"
            );
            claims.push(claim("bytes of the files", State::Unchecked, why));
            return Ok(());
        }
        let mut changed = Vec::new();
        for file in &found.files {
            match self.digest(permit, file).await {
                Ok(digest) if digest == file.entry.sha256 => {}
                Err(problem) if problem.kind() == Kind::Unavailable => return Err(problem),
                // What does not decrypt is damaged or was changed, which is what was asked.
                _ => changed.push(file.entry.path.clone()),
            }
        }
        claims.push(settled(
            "bytes of the files",
            match changed.first() {
                None => Ok(format!("{total} bytes were read again; each file has the SHA-256 that was taken when it came")),
                Some(first) => Err(format!("{} files have other bytes than when they came, `{first}` among them", changed.len())),
            },
        ));
        Ok(())
    }

    async fn digest(&self, permit: &Permit<VerifyVersion>, file: &StoredFile) -> Result<[u8; 32], Problem> {
        let (mut hasher, mut at) = (Sha256Hasher::new(), 0);
        while at < file.entry.size_bytes {
            let end = at.saturating_add(VERIFY_READ_BYTES).min(file.entry.size_bytes);
            hasher.update(&self.0.artifacts.bytes_of(permit, file, at..end).await?);
            at = end;
        }
        Ok(hasher.finish())
    }

    /// Whether the report is the one that the inspection left, and the signed statement speaks of it and of these files.
    async fn report(
        &self,
        permit: &Permit<VerifyVersion>,
        found: &Found,
        own: &EcdsaSigner,
        claims: &mut Vec<Claim>,
    ) -> Result<(), Problem> {
        let (Some(report), Some(attestation)) = (&found.report, &found.attestation) else {
            claims.push(claim("report of the inspection", State::Unchecked, "no inspection left one"));
            return Ok(());
        };
        let bytes = self.whole(permit, report).await?;
        let digest = sha256(&bytes);
        let kept = found.inspection.as_ref().and_then(|inspection| inspection.report_sha256);
        claims.push(settled(
            "report of the inspection",
            match kept == Some(digest) {
                true => Ok(format!("it is the one that the verdict rests on, SHA-256 {}", hex(&digest))),
                false => Err("its bytes are not those that the verdict rests on".to_owned()),
            },
        ));
        let envelope = self.whole(permit, attestation).await?;
        let manifest = serde_json::from_slice::<InspectionReport>(&bytes).map(|read| read.manifest_sha256).unwrap_or_default();
        claims.push(settled("statement about the inspection", check_statement(&envelope, own, &hex(&digest), &manifest)));
        Ok(())
    }

    /// Whether the signature that its maker put beside the files holds, by the signers that count now.
    async fn makers(
        &self,
        permit: &Permit<VerifyVersion>,
        found: &Found,
        at: Micros,
        claims: &mut Vec<Claim>,
    ) -> Result<(), Problem> {
        let signature = found.files.iter().find(|file| file.entry.path == SIGNATURE_NAME);
        let bundle = match signature {
            Some(file) if file.entry.size_bytes > SIGNATURE_BYTES_MAX => Some(Vec::new()),
            Some(file) => Some(self.0.artifacts.bytes_of(permit, file, 0..file.entry.size_bytes).await?.to_vec()),
            None => None,
        };
        let files: Vec<_> = found.files.iter().map(digest_of).collect();
        claims.extend(Signature::check(bundle.as_deref(), &files, found.signers.as_ref(), at).claim());
        Ok(())
    }

    /// Whether all that the server says of it holds, with the receipts of the log.
    async fn evidence(&self, made: MadePaper, own: &EcdsaSigner, at: Micros, verified: &mut Verified) -> Result<(), Problem> {
        let receipt = self.0.receipts.receipt(made.entry.clone()).await?;
        let bytes = with_receipts(&made.bytes, &receipt)?;
        let key = TrustedKey { name: OWN_KEY.to_owned(), public_key: own.public_key().to_pem() };
        let broken = |error: attest::AttestError| Problem::internal("the evidence cannot be checked", error);
        let trust = SignerPolicy { keys: vec![key], ..SignerPolicy::default() }.trust(None).map_err(broken)?;
        let in_the_log = |proof: &str, record: &[u8]| self.0.receipts.holds(proof, record, &receipt.log_key);
        let log: LogCheck<'_> = &in_the_log;
        let report = evidence::verify(&bytes, &trust, at, Some(log)).map_err(broken)?;
        verified.keys.push(("the log's key".to_owned(), receipt.log_key.clone()));
        // The list of files was looked at already, and more closely.
        verified.claims.extend(report.claims.into_iter().filter(|claim| claim.what != "list of files"));
        Ok(())
    }
}

/// Whether a signed statement is this server's, about a manifest, and names a report.
fn check_statement(envelope: &[u8], own: &EcdsaSigner, report: &str, manifest: &str) -> Result<String, String> {
    let envelope = Envelope::parse(envelope).map_err(|error| error.to_string())?;
    let (statement, _) = AnyStatement::open(&envelope, &[own.public_key()]).map_err(|error| error.to_string())?;
    if !statement.subject.iter().any(|subject| subject.digest.get("sha256").is_some_and(|digest| digest == manifest)) {
        return Err("it is about other files than the report".to_owned());
    }
    // Nobody can make another report with a digest that is in there.
    if !statement.predicate.to_string().contains(report) {
        return Err("it does not name the report's SHA-256".to_owned());
    }
    Ok(format!("`{}`, signed by `{OWN_KEY}`, names the report", statement.predicate_type))
}
