//! The Sigstore bundle around the envelope (section 4): who signed, in one of three ways.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::manifest::Manifest;
use crate::certificate::{CHAIN_COUNT_MAX, leaf_key};
use crate::dsse::{Envelope, within};
use crate::error::AttestError;
use crate::keys::{PublicKey, Signer};
use crate::statement::PAYLOAD_TYPE;

/// The bundle's type.
pub const MEDIA_TYPE: &str = "application/vnd.dev.sigstore.bundle.v0.3+json";

/// A bundle is refused beyond this.
const BUNDLE_BYTES_MAX: usize = 64 * 1024 * 1024;
/// Log entries of a keyless bundle.
const LOG_ENTRY_COUNT_MAX: usize = 16;

/// A model's signature, as it is kept and sent.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Bundle {
    media_type: String,
    verification_material: RawMaterial,
    dsse_envelope: Envelope,
}

/// What says whose signature it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Material {
    /// A key: SHA-256 of its PEM text in hex, if the signer said so.
    Key(Option<String>),
    /// A certificate and those above it, in DER.
    Certificates(Vec<Vec<u8>>),
    /// A short-lived certificate and its entry in a public log.
    Keyless,
}

#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
struct RawMaterial {
    #[serde(skip_serializing_if = "Option::is_none")]
    public_key: Option<KeyHint>,
    #[serde(skip_serializing_if = "Option::is_none")]
    x509_certificate_chain: Option<RawChain>,
    #[serde(skip_serializing_if = "Option::is_none")]
    certificate: Option<RawCertificate>,
    // The official schema's test wants it, empty, although the text lets it be absent.
    #[serde(default)]
    tlog_entries: Vec<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    timestamp_verification_data: Option<Value>,
}

#[derive(Clone, Debug, Deserialize, Serialize)]
struct KeyHint {
    // Absent in bundles from before version 1.1 of the reference implementation.
    #[serde(default)]
    hint: Option<String>,
}

#[derive(Clone, Debug, Deserialize, Serialize)]
struct RawChain {
    certificates: Vec<RawCertificate>,
}

#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
struct RawCertificate {
    raw_bytes: String,
}

/// Signs `manifest` with a key.
///
/// # Errors
/// `Key` if the key cannot sign models or does not sign.
pub fn sign_with_key(manifest: &Manifest, signer: &dyn Signer) -> Result<Bundle, AttestError> {
    let public_key = Some(KeyHint { hint: Some(signer.public_key().hint()) });
    sign(manifest, signer, RawMaterial { public_key, ..RawMaterial::default() })
}

/// Signs `manifest` with the key of the first certificate of `chain` (DER, each below the next; the root may be left out).
///
/// # Errors
/// `Key` if the certificate is not the key's; as [`sign_with_key`].
pub fn sign_with_certificates(manifest: &Manifest, signer: &dyn Signer, chain: &[Vec<u8>]) -> Result<Bundle, AttestError> {
    within("the number of certificates", chain.len(), CHAIN_COUNT_MAX)?;
    let leaf = chain.first().ok_or_else(|| AttestError::key("no certificate was given to sign with"))?;
    if leaf_key(leaf)? != *signer.public_key() {
        return Err(AttestError::key("the certificate is not that of the key that signs"));
    }
    let certificates = chain.iter().map(|der| RawCertificate { raw_bytes: STANDARD.encode(der) }).collect();
    sign(manifest, signer, RawMaterial { x509_certificate_chain: Some(RawChain { certificates }), ..RawMaterial::default() })
}

fn sign(manifest: &Manifest, signer: &dyn Signer, verification_material: RawMaterial) -> Result<Bundle, AttestError> {
    if !signer.public_key().algorithm().may_sign_models() {
        return Err(AttestError::key("models are signed with ECDSA on P-256, P-384 or P-521; this key is of another kind"));
    }
    let dsse_envelope = Envelope::sign(signer, PAYLOAD_TYPE, &manifest.statement()?, "")?;
    Ok(Bundle { media_type: MEDIA_TYPE.to_owned(), verification_material, dsse_envelope })
}

impl Bundle {
    /// Reads a bundle. Nothing is verified yet.
    ///
    /// # Errors
    /// `TooBig` or `Malformed`.
    pub fn parse(bytes: &[u8]) -> Result<Self, AttestError> {
        within("the bundle", bytes.len(), BUNDLE_BYTES_MAX)?;
        let bundle: Self = serde_json::from_slice(bytes)
            .map_err(|error| AttestError::malformed(format!("this is not a model's signature in a Sigstore bundle: {error}")))?;
        if bundle.media_type != MEDIA_TYPE {
            return Err(AttestError::malformed(format!("the bundle is of type `{}`, not `{MEDIA_TYPE}`", bundle.media_type)));
        }
        if bundle.dsse_envelope.signatures.len() != 1 {
            return Err(AttestError::malformed("a model's bundle has one signature"));
        }
        within("the number of log entries", bundle.verification_material.tlog_entries.len(), LOG_ENTRY_COUNT_MAX)?;
        bundle.material()?;
        Ok(bundle)
    }

    /// The bundle as bytes, for a file.
    ///
    /// # Errors
    /// `Malformed` if it cannot be written.
    pub fn to_bytes(&self) -> Result<Vec<u8>, AttestError> {
        serde_json::to_vec(self).map_err(|error| AttestError::malformed(format!("the bundle cannot be written: {error}")))
    }

    /// Who signed, as the bundle says.
    ///
    /// # Errors
    /// `Malformed` if it says nothing, or more than one thing.
    pub fn material(&self) -> Result<Material, AttestError> {
        let raw = &self.verification_material;
        match (&raw.public_key, &raw.x509_certificate_chain, &raw.certificate) {
            (Some(key), None, None) => Ok(Material::Key(key.hint.clone().filter(|hint| !hint.is_empty()))),
            (None, Some(chain), None) => {
                within("the number of certificates", chain.certificates.len(), CHAIN_COUNT_MAX)?;
                let der = |one: &RawCertificate| STANDARD.decode(&one.raw_bytes);
                let chain: Result<Vec<Vec<u8>>, _> = chain.certificates.iter().map(der).collect();
                chain.map(Material::Certificates).map_err(|_| AttestError::malformed("a certificate of the bundle is not base64"))
            }
            (None, None, Some(_)) if raw.tlog_entries.is_empty() => {
                Err(AttestError::malformed("a keyless bundle has an entry of a public log; this one has none"))
            }
            (None, None, Some(_)) => Ok(Material::Keyless),
            _ => Err(AttestError::malformed("the bundle does not say in exactly one way who signed")),
        }
    }

    pub(super) fn payload(&self, key: &PublicKey) -> Result<Vec<u8>, AttestError> {
        self.dsse_envelope.verify(PAYLOAD_TYPE, &[key]).map(|(payload, _)| payload)
    }

    pub(super) const fn envelope(&self) -> &Envelope {
        &self.dsse_envelope
    }
}
