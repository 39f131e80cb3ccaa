//! Whose signatures count: the signer policy of a workspace.

use std::collections::BTreeSet;

use kernel::hex;
use serde::{Deserialize, Serialize};
use sigstore_verify::trust_root::TrustedRoot;

use crate::certificate::{Authority, Leaf};
use crate::dsse::within;
use crate::error::AttestError;
use crate::keys::PublicKey;

/// Keys, authorities and identities of one policy.
pub const SIGNER_COUNT_MAX: usize = 200;
/// Sigstore's trusted root is refused beyond this.
pub const TRUSTED_ROOT_BYTES_MAX: usize = 1024 * 1024;

/// Whose signatures count. An empty policy trusts nobody.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct SignerPolicy {
    /// Keys.
    pub keys: Vec<TrustedKey>,
    /// Roots of certificates.
    pub authorities: Vec<TrustedAuthority>,
    /// Who may sign without a key of their own, by Sigstore.
    pub identities: Vec<TrustedIdentity>,
    /// SHA-256, in hex, of keys (of their DER) and certificates that no longer count.
    pub revoked: BTreeSet<String>,
}

/// A key whose signatures count.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct TrustedKey {
    /// What it is called in reports.
    pub name: String,
    /// The public key in PEM.
    pub public_key: String,
}

/// A root whose certificates' signatures count.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct TrustedAuthority {
    /// What it is called in reports.
    pub name: String,
    /// The root's certificate in PEM.
    pub certificate: String,
    /// Names (alternative ones, or the common name) of those who may sign; `*` for all.
    pub signers: Vec<String>,
}

/// Somebody who signs by Sigstore.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct TrustedIdentity {
    /// What it is called in reports.
    pub name: String,
    /// The certificate's alternative name, such as an address or a workflow, exactly.
    pub identity: String,
    /// Who vouches for it, exactly.
    pub issuer: String,
}

/// A policy, read and ready.
pub struct Trust {
    keys: Vec<(String, PublicKey)>,
    authorities: Vec<Authority>,
    identities: Vec<TrustedIdentity>,
    sigstore: Option<TrustedRoot>,
    revoked: BTreeSet<String>,
}

/// In which of the three ways somebody signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum SigningMethod {
    /// With a key.
    Key,
    /// With a certificate.
    Certificate,
    /// With a short-lived certificate, by Sigstore.
    Keyless,
}

/// Who signed, by the policy's words.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub struct SignedBy {
    /// How.
    pub method: SigningMethod,
    /// The policy's name for the key, the authority or the identity.
    pub trusted_as: String,
    /// The certificate's names; empty for a key.
    pub identities: Vec<String>,
    /// SHA-256 of the key (of its DER) or of the certificate, in hex; none for keyless signatures.
    pub fingerprint: Option<String>,
}

impl SignedBy {
    pub(crate) fn key(name: &str, key: &PublicKey) -> Self {
        let fingerprint = Some(key.key_id());
        Self { method: SigningMethod::Key, trusted_as: name.to_owned(), identities: Vec::new(), fingerprint }
    }

    pub(crate) fn certificate(leaf: &Leaf) -> Self {
        Self {
            method: SigningMethod::Certificate,
            trusted_as: leaf.authority.clone(),
            identities: leaf.names.clone(),
            fingerprint: Some(hex(&leaf.sha256)),
        }
    }
}

impl SignerPolicy {
    /// Reads the policy's keys and certificates. `trusted_root` is Sigstore's `trusted_root.json`, if keyless signatures may count.
    ///
    /// # Errors
    /// `Key` for a key or certificate that cannot be read; `TooBig`; `Malformed`.
    pub fn trust(&self, trusted_root: Option<&str>) -> Result<Trust, AttestError> {
        let count = self.keys.len() + self.authorities.len() + self.identities.len();
        within("the number of signers", count, SIGNER_COUNT_MAX)?;
        let keys = self.keys.iter().map(|key| Ok((key.name.clone(), PublicKey::from_pem(&key.public_key)?)));
        let authorities = self.authorities.iter().map(|one| Authority::from_pem(&one.name, &one.certificate, &one.signers));
        for one in &self.identities {
            if one.identity.is_empty() || one.issuer.is_empty() {
                return Err(AttestError::malformed(format!("the identity `{}` needs an identity and an issuer", one.name)));
            }
        }
        for digest in &self.revoked {
            if digest.len() != 64 || !digest.bytes().all(|letter| letter.is_ascii_digit() || (b'a'..=b'f').contains(&letter)) {
                return Err(AttestError::malformed(format!("`{digest}` is not a SHA-256 in lower-case hex")));
            }
        }
        let sigstore = trusted_root.map(read_trusted_root).transpose()?;
        Ok(Trust {
            keys: keys.collect::<Result<_, AttestError>>()?,
            authorities: authorities.collect::<Result<_, AttestError>>()?,
            identities: self.identities.clone(),
            sigstore,
            revoked: self.revoked.clone(),
        })
    }
}

fn read_trusted_root(text: &str) -> Result<TrustedRoot, AttestError> {
    within("Sigstore's trusted root", text.len(), TRUSTED_ROOT_BYTES_MAX)?;
    TrustedRoot::from_json(text).map_err(|error| AttestError::malformed(format!("this is not a Sigstore trusted root: {error}")))
}

impl Trust {
    /// The keys, by name.
    pub fn keys(&self) -> impl Iterator<Item = (&str, &PublicKey)> {
        self.keys.iter().map(|(name, key)| (name.as_str(), key))
    }

    pub(crate) fn authorities(&self) -> &[Authority] {
        &self.authorities
    }

    pub(crate) fn identities(&self) -> &[TrustedIdentity] {
        &self.identities
    }

    pub(crate) const fn sigstore(&self) -> Option<&TrustedRoot> {
        self.sigstore.as_ref()
    }

    pub(crate) fn check_not_revoked(&self, digest: &str) -> Result<(), AttestError> {
        if self.revoked.contains(digest) {
            return Err(AttestError::Untrusted(format!("the key or certificate {digest} was revoked; let it be signed again")));
        }
        Ok(())
    }
}
