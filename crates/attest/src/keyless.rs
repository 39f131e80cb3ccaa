//! Sigstore's keyless signatures, checked without network against a trusted root that is given.
//!
//! Certificate, transparency log and time stamps are checked by `sigstore-verify`, the Sigstore project's own crate; here the
//! identity is held against the policy, and the model's root against the one digest that was signed.

use sigstore_verify::types::{Artifact, Bundle, Sha256Hash, SignatureContent};
use sigstore_verify::{IdentityMatcher, VerificationPolicy, Verifier};

use crate::dsse::Envelope;
use crate::error::AttestError;
use crate::oms::Manifest;
use crate::policy::{SignedBy, SigningMethod, Trust};
use crate::statement::PAYLOAD_TYPE;

/// The statement of a keyless `bundle` whose envelope, as read here, is `envelope`.
pub(crate) fn verify(bundle: &[u8], envelope: &Envelope, trust: &Trust) -> Result<(Vec<u8>, SignedBy), AttestError> {
    let Some(root) = trust.sigstore() else {
        return Err(AttestError::untrusted("keyless signatures count only with a Sigstore trusted root; give the policy one"));
    };
    if trust.identities().is_empty() {
        return Err(AttestError::untrusted("the signer policy names nobody who may sign by Sigstore"));
    }
    let text = std::str::from_utf8(bundle).map_err(|_| AttestError::malformed("the bundle is not UTF-8"))?;
    let read =
        Bundle::from_json(text).map_err(|error| AttestError::malformed(format!("the keyless bundle is wrong: {error}")))?;
    let payload = envelope.payload_bytes()?;
    // INVARIANT: what is used is what was verified: both readers must have seen the same payload.
    let same = match &read.content {
        SignatureContent::DsseEnvelope(other) => other.payload_type == PAYLOAD_TYPE && other.payload.as_bytes() == payload,
        _ => false,
    };
    if !same {
        return Err(AttestError::malformed("the keyless bundle can be read in two ways"));
    }
    let manifest = Manifest::parse(&payload)?;
    let verifier = Verifier::new(root).map_err(|error| AttestError::malformed(format!("the trusted root is wrong: {error}")))?;
    let mut problem = String::new();
    for trusted in trust.identities() {
        let policy = VerificationPolicy::new(IdentityMatcher::Exact(trusted.identity.clone()), trusted.issuer.clone());
        match verifier.verify(Artifact::from(Sha256Hash::new(manifest.root())), &read, &policy) {
            Ok(_) => {
                let signer = SignedBy {
                    method: SigningMethod::Keyless,
                    trusted_as: trusted.name.clone(),
                    identities: vec![trusted.identity.clone()],
                    fingerprint: None,
                };
                return Ok((payload, signer));
            }
            Err(error) => problem = error.to_string(),
        }
    }
    Err(AttestError::Untrusted(format!("the keyless signature does not hold for anybody in the signer policy: {problem}")))
}
