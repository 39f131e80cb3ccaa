//! DSSE envelopes, version 1.0: a payload, its type, and who signed both.
//!
//! Source: the protocol and envelope texts of secure-systems-lab/dsse, version 1.0.2.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};

use crate::error::AttestError;
use crate::keys::{PublicKey, Signer};

/// An envelope is refused beyond this.
pub const ENVELOPE_BYTES_MAX: usize = 64 * 1024 * 1024;
/// Signatures of one envelope.
pub const SIGNATURE_COUNT_MAX: usize = 16;

/// A payload and its signatures.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Envelope {
    /// The payload, in base64.
    pub payload: String,
    /// What the payload is.
    pub payload_type: String,
    /// By whom.
    pub signatures: Vec<Signature>,
}

/// One signature.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Signature {
    /// The signature, in base64.
    pub sig: String,
    /// Which key, as a hint: it decides nothing.
    #[serde(default, deserialize_with = "text_or_null")]
    pub keyid: String,
}

fn text_or_null<'de, D: serde::Deserializer<'de>>(from: D) -> Result<String, D::Error> {
    Ok(Option::<String>::deserialize(from)?.unwrap_or_default())
}

/// DSSE's pre-authentication encoding: what is signed.
#[must_use]
pub fn pae(payload_type: &str, payload: &[u8]) -> Vec<u8> {
    let mut all = format!("DSSEv1 {} {payload_type} {} ", payload_type.len(), payload.len()).into_bytes();
    all.extend_from_slice(payload);
    all
}

impl Envelope {
    /// Signs `payload`; `keyid` as given.
    ///
    /// # Errors
    /// As the signer's.
    pub fn sign(signer: &dyn Signer, payload_type: &str, payload: &[u8], keyid: &str) -> Result<Self, AttestError> {
        let sig = STANDARD.encode(signer.sign(&pae(payload_type, payload))?);
        Ok(Self {
            payload: STANDARD.encode(payload),
            payload_type: payload_type.to_owned(),
            signatures: vec![Signature { sig, keyid: keyid.to_owned() }],
        })
    }

    /// Reads an envelope.
    ///
    /// # Errors
    /// `TooBig` or `Malformed`.
    pub fn parse(bytes: &[u8]) -> Result<Self, AttestError> {
        within("the envelope", bytes.len(), ENVELOPE_BYTES_MAX)?;
        let envelope: Self = serde_json::from_slice(bytes)
            .map_err(|error| AttestError::malformed(format!("this is not a DSSE envelope: {error}")))?;
        envelope.check_bounds()?;
        Ok(envelope)
    }

    pub(crate) fn check_bounds(&self) -> Result<(), AttestError> {
        within("the payload", self.payload.len(), ENVELOPE_BYTES_MAX)?;
        within("the number of signatures", self.signatures.len(), SIGNATURE_COUNT_MAX)?;
        if self.signatures.is_empty() {
            return Err(AttestError::BadSignature("the envelope has none".to_owned()));
        }
        Ok(())
    }

    /// The payload if at least one of `keys` signed it, and the place of that key in `keys`.
    ///
    /// # Errors
    /// `BadSignature` if none did.
    pub fn verify(&self, payload_type: &str, keys: &[&PublicKey]) -> Result<(Vec<u8>, usize), AttestError> {
        self.check_bounds()?;
        if self.payload_type != payload_type {
            let problem = format!("the payload is of type `{}`, not `{payload_type}`", self.payload_type);
            return Err(AttestError::malformed(problem));
        }
        let payload = self.payload_bytes()?;
        let signed = pae(&self.payload_type, &payload);
        for signature in &self.signatures {
            let Ok(bytes) = STANDARD.decode(&signature.sig) else { continue };
            if let Some(at) = keys.iter().position(|key| key.verify(&signed, &bytes).is_ok()) {
                return Ok((payload, at));
            }
        }
        Err(AttestError::BadSignature("none of the trusted keys made it".to_owned()))
    }

    pub(crate) fn payload_bytes(&self) -> Result<Vec<u8>, AttestError> {
        STANDARD.decode(&self.payload).map_err(|_| AttestError::malformed("the payload is not base64"))
    }
}

pub(crate) fn within(what: &'static str, size: usize, max: usize) -> Result<(), AttestError> {
    if size > max {
        return Err(AttestError::TooBig { what, size: size as u64, max: max as u64 });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use kernel::Secret;

    use super::*;
    use crate::keys::{EcdsaSigner, Ed25519Signer};

    fn signer(byte: u8) -> EcdsaSigner {
        EcdsaSigner::from_seed(&Secret::new(vec![byte; 32])).unwrap()
    }

    #[test]
    fn only_the_payload_as_signed_is_given_back() {
        let (ours, other) = (signer(1), Ed25519Signer::from_seed(&Secret::new(vec![2; 32])).unwrap());
        let envelope = Envelope::sign(&ours, "text/plain", b"hello", "").unwrap();
        let read = Envelope::parse(&serde_json::to_vec(&envelope).unwrap()).unwrap();
        let keys = [other.public_key(), ours.public_key()];
        assert_eq!(read.verify("text/plain", &keys).unwrap(), (b"hello".to_vec(), 1));
        assert!(read.verify("text/html", &keys).is_err());
        assert!(read.verify("text/plain", &keys[..1]).is_err());
        assert!(read.verify("text/plain", &[]).is_err());
        let retyped = Envelope { payload_type: "text/html".to_owned(), ..read.clone() };
        assert!(retyped.verify("text/html", &keys).is_err());
        let changed = Envelope { payload: STANDARD.encode("hellO"), ..read.clone() };
        assert!(changed.verify("text/plain", &keys).is_err());
        let unsigned = Envelope { signatures: Vec::new(), ..read };
        assert!(unsigned.verify("text/plain", &keys).is_err());
    }

    #[test]
    fn hostile_envelopes_are_refused() {
        let many = format!(
            "{{\"payload\":\"\",\"payloadType\":\"\",\"signatures\":[{}{{\"sig\":\"\"}}]}}",
            "{\"sig\":\"\"},".repeat(16)
        );
        let deep = "[".repeat(100_000);
        for bad in ["", "{}", "[]", &many, &deep, "{\"payload\":\"\",\"payloadType\":\"\",\"signatures\":[]}"] {
            assert!(Envelope::parse(bad.as_bytes()).is_err(), "{}", bad.get(..40).unwrap_or(bad));
        }
        let null = "{\"payload\":\"\",\"payloadType\":\"\",\"signatures\":[{\"sig\":\"\",\"keyid\":null}]}";
        assert!(Envelope::parse(null.as_bytes()).is_ok());
    }

    #[test]
    fn the_protocols_own_example_holds() {
        assert_eq!(
            pae("http://example.com/HelloWorld", b"hello world"),
            b"DSSEv1 29 http://example.com/HelloWorld 11 hello world"
        );
    }
}
