//! Signatures that others put on a model before it came here: whose count, and what they say of its files.
//!
//! A signature lies among the files as `model.sig` (OpenSSF Model Signing). It is checked against the digests that were taken
//! while the files were stored, so no file is read again. It is not the server's own counter-signature, which is a paper.
//!
//! INVARIANT: a signature that is there and does not hold is never taken for none. Held by `tests::signatures`.

use std::collections::BTreeSet;

use attest::evidence::{Claim, State as ClaimState};
use attest::oms::{self, Coverage, FileDigest, FileList, SIGNATURE_NAME};
use attest::policy::{SignedBy, SignerPolicy, Trust, TrustedAuthority, TrustedIdentity, TrustedKey};
use inspection::{Finding, catalogue};
use kernel::{Micros, Problem};
use serde::{Deserialize, Serialize};

/// Whose signatures count in a workspace. Unless it is set nobody's does, and none is needed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Signers {
    /// Whether a version without a signature that counts is refused.
    pub required: bool,
    /// Keys.
    pub keys: Vec<TrustedKey>,
    /// Roots of certificates.
    pub authorities: Vec<TrustedAuthority>,
    /// Who may sign by Sigstore; needs `sigstore_root`.
    pub identities: Vec<TrustedIdentity>,
    /// SHA-256, in hex, of keys (of their DER) and certificates that no longer count.
    pub revoked: BTreeSet<String>,
    /// Sigstore's `trusted_root.json`, by which keyless signatures are checked without asking anybody.
    pub sigstore_root: Option<String>,
}

/// Signers as they were set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignersSet {
    /// Which change of the workspace's signers it is, from 1.
    pub number: i64,
    /// Whose signatures count.
    pub signers: Signers,
    /// SHA-256 of the document.
    pub sha256: [u8; 32],
    /// When.
    pub set_at: Micros,
    /// By whom.
    pub set_by: String,
}

impl Signers {
    /// Ready to verify with.
    ///
    /// # Errors
    /// `Invalid` for a key, certificate or root that cannot be read, and for signers that could never sign.
    pub fn trust(&self) -> Result<Trust, Problem> {
        let Self { required, keys, authorities, identities, revoked, sigstore_root } = self.clone();
        if identities.is_empty() != sigstore_root.is_none() {
            return Err(Problem::invalid("`identities` and `sigstore_root` (Sigstore's trusted_root.json) go together"));
        }
        if required && keys.is_empty() && authorities.is_empty() && identities.is_empty() {
            return Err(Problem::invalid("a signature is required, but nobody's counts: name keys, authorities or identities"));
        }
        let policy = SignerPolicy { keys, authorities, identities, revoked };
        policy.trust(sigstore_root.as_deref()).map_err(|error| Problem::invalid(error.to_string()))
    }
}

/// Whether a signature holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum State {
    /// There is none.
    None,
    /// It holds, and its signer counts.
    Holds,
    /// Nobody's signature counts here, so it was not checked.
    Unsure,
    /// It does not hold, or its signer does not count.
    Refused,
}

/// What a report says of a version's signature.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Signature {
    /// Whether the workspace asks for one.
    required: bool,
    /// Which change of the workspace's signers it was checked by; none if they were never set.
    signers: Option<i64>,
    /// Whether it holds.
    state: State,
    /// Who signed.
    signer: Option<SignedBy>,
    /// Why it does not hold.
    why: Option<String>,
}

impl Signature {
    /// Checks `bundle`, the bytes of `model.sig`, against the files that lie beside it.
    pub(crate) fn check(bundle: Option<&[u8]>, files: &[FileDigest], set: Option<&SignersSet>, at: Micros) -> Self {
        let required = set.is_some_and(|set| set.signers.required);
        let found = |state, signer, why| Self { required, signers: set.map(|set| set.number), state, signer, why };
        let Some(bundle) = bundle else { return found(State::None, None, None) };
        let Some(set) = set else {
            let why = "the workspace has no signers; set them with `strongroom model signers set`";
            return found(State::Unsure, None, Some(why.to_owned()));
        };
        let beside: Vec<FileDigest> = files.iter().filter(|file| file.path != SIGNATURE_NAME).cloned().collect();
        let verified = set.signers.trust().map_err(|problem| problem.message().to_owned()).and_then(|trust| {
            oms::verify(bundle, &trust, at, &FileList(&beside), Coverage::Whole, None).map_err(|error| error.to_string())
        });
        match verified {
            Ok(verified) => found(State::Holds, Some(verified.signer), None),
            Err(why) => found(State::Refused, None, Some(why)),
        }
    }

    /// What a check of the version says of it; nothing where there is none and none is needed.
    pub(crate) fn claim(&self) -> Option<Claim> {
        let why = || self.why.clone().unwrap_or_default();
        let (state, detail) = match (self.state, &self.signer, self.required) {
            (State::Holds, Some(signer), _) => {
                let names =
                    if signer.identities.is_empty() { String::new() } else { format!(" ({})", signer.identities.join(", ")) };
                let digest = signer.fingerprint.as_ref().map(|digest| format!(", SHA-256 {digest}")).unwrap_or_default();
                let change = self.signers.unwrap_or_default();
                (
                    ClaimState::Holds,
                    format!("signed by `{}`{names}{digest}; the workspace's signers as of change {change}", signer.trusted_as),
                )
            }
            (State::Holds | State::Unsure, _, _) => (ClaimState::Unchecked, why()),
            (State::Refused, _, _) => (ClaimState::Fails, why()),
            (State::None, _, true) => {
                (ClaimState::Fails, format!("there is no `{SIGNATURE_NAME}` beside its files, and the workspace asks for one"))
            }
            (State::None, _, false) => return None,
        };
        Some(Claim { what: "signature of its maker".to_owned(), state, detail })
    }

    /// What a policy can weigh.
    pub(crate) fn finding(&self) -> Option<Finding> {
        let why = || self.why.clone().unwrap_or_default();
        let unsigned = || format!("there is no `{SIGNATURE_NAME}` beside its files");
        match (self.state, self.required) {
            (State::Holds, _) => None,
            (State::Refused, _) => Some(Finding::new(&catalogue::SIGNATURE_INVALID, why())),
            (State::Unsure, _) => Some(Finding::new(&catalogue::SIGNER_UNKNOWN, why())),
            (State::None, true) => Some(Finding::new(&catalogue::SIGNATURE_MISSING, unsigned())),
            (State::None, false) => Some(Finding::new(&catalogue::UNSIGNED, unsigned())),
        }
    }
}
