//! The verification (section 8): signature, then signer, then files.

use kernel::{Micros, hex};

use super::bundle::{Bundle, Material};
use super::compare::{Coverage, ModelSource, compare};
use super::manifest::Manifest;
use crate::certificate;
use crate::error::AttestError;
use crate::keyless;
use crate::policy::{SignedBy, Trust};

/// A model whose signature and files hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verified {
    /// Who signed.
    pub signer: SignedBy,
    /// What was signed.
    pub manifest: Manifest,
    /// Files that are there unsigned, as [`Coverage::Specified`] allows.
    pub unsigned: Vec<String>,
}

/// Verifies that `bundle` is a trusted signer's over exactly the files of `source`. Certificates must be valid at `at`: now, or
/// a moment from a record that cannot be changed. `signature_name` is the signature's own file among them, `model.sig` if none.
///
/// # Errors
/// `Malformed`, `TooBig`, `Unsupported`, `BadSignature`, `Untrusted` or `Mismatch`: each refuses. `BadFile` and `Io` for files
/// that cannot be read.
pub fn verify(
    bundle: &[u8],
    trust: &Trust,
    at: Micros,
    source: &dyn ModelSource,
    coverage: Coverage,
    signature_name: Option<&str>,
) -> Result<Verified, AttestError> {
    let (manifest, signer) = verify_signature(bundle, trust, at)?;
    let unsigned = compare(&manifest, source, coverage, signature_name)?;
    Ok(Verified { signer, manifest, unsigned })
}

/// As [`verify`], without the files: what a trusted signer signed.
///
/// # Errors
/// As [`verify`].
pub fn verify_signature(bundle: &[u8], trust: &Trust, at: Micros) -> Result<(Manifest, SignedBy), AttestError> {
    let read = Bundle::parse(bundle)?;
    match read.material()? {
        Material::Key(hint) => by_key(&read, hint.as_deref(), trust),
        Material::Certificates(chain) => by_certificate(&read, &chain, trust, at),
        Material::Keyless => {
            let (payload, signer) = keyless::verify(bundle, read.envelope(), trust)?;
            Ok((Manifest::parse(&payload)?, signer))
        }
    }
}

fn by_key(bundle: &Bundle, hint: Option<&str>, trust: &Trust) -> Result<(Manifest, SignedBy), AttestError> {
    let mut wrong = None;
    for (name, key) in trust.keys() {
        if hint.is_some_and(|hint| hint != key.hint()) {
            continue;
        }
        match bundle.payload(key) {
            Ok(payload) => {
                trust.check_not_revoked(&key.key_id())?;
                return Ok((Manifest::parse(&payload)?, SignedBy::key(name, key)));
            }
            Err(problem) => wrong = Some(problem),
        }
    }
    Err(wrong.unwrap_or_else(|| {
        AttestError::untrusted("no trusted key has the fingerprint that the signature names; add the key to the signer policy")
    }))
}

fn by_certificate(bundle: &Bundle, chain: &[Vec<u8>], trust: &Trust, at: Micros) -> Result<(Manifest, SignedBy), AttestError> {
    let leaf = certificate::check(chain, trust.authorities(), at)?;
    trust.check_not_revoked(&hex(&leaf.sha256))?;
    trust.check_not_revoked(&leaf.key.key_id())?;
    let payload = bundle.payload(&leaf.key)?;
    Ok((Manifest::parse(&payload)?, SignedBy::certificate(&leaf)))
}
