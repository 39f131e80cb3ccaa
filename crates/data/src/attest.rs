//! The signed statement about an inspection: an in-toto Statement in a DSSE envelope, signed by a key of the server's own.
//!
//! DSSE: <https://github.com/secure-systems-lab/dsse/blob/v1.0.2/protocol.md>. Ed25519 over the pre-authentication encoding.

use aws_lc_rs::signature::{ED25519, Ed25519KeyPair, KeyPair, UnparsedPublicKey};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use kernel::{Problem, Secret, hex, sha256};
use serde::{Deserialize, Serialize};

/// The server's secret that attestations are signed with.
pub(crate) const KEY_NAME: &str = "data/attestation-seed/1";
/// What an in-toto Statement is called in an envelope.
const PAYLOAD_TYPE: &str = "application/vnd.in-toto+json";

/// A DSSE envelope.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Envelope {
    /// The statement, in base64.
    pub payload: String,
    /// [`PAYLOAD_TYPE`].
    pub payload_type: String,
    /// By whom.
    pub signatures: Vec<Signature>,
}

/// One signature.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub struct Signature {
    /// SHA-256 of the public key, in hex.
    pub keyid: String,
    /// The signature, in base64.
    pub sig: String,
}

/// Signs `statement`.
pub(crate) fn sign(seed: &Secret, statement: &[u8]) -> Result<Envelope, Problem> {
    let pair = pair(seed)?;
    let signature = pair.sign(&encoded(PAYLOAD_TYPE, statement));
    Ok(Envelope {
        payload: STANDARD.encode(statement),
        payload_type: PAYLOAD_TYPE.to_owned(),
        signatures: vec![Signature { keyid: hex(&sha256(pair.public_key().as_ref())), sig: STANDARD.encode(signature.as_ref()) }],
    })
}

/// The public half of the key behind `seed`: 32 bytes.
pub(crate) fn public_key(seed: &Secret) -> Result<Vec<u8>, Problem> {
    Ok(pair(seed)?.public_key().as_ref().to_vec())
}

fn pair(seed: &Secret) -> Result<Ed25519KeyPair, Problem> {
    Ed25519KeyPair::from_seed_unchecked(seed.expose())
        .map_err(|_| Problem::internal("the attestation key is damaged", "no Ed25519 seed"))
}

/// The statement of an envelope that `public_key` signed; none if it did not.
#[must_use]
pub fn verify_envelope(envelope: &Envelope, public_key: &[u8]) -> Option<Vec<u8>> {
    let statement = STANDARD.decode(&envelope.payload).ok()?;
    let signed = encoded(&envelope.payload_type, &statement);
    let key = UnparsedPublicKey::new(&ED25519, public_key);
    let good =
        envelope.signatures.iter().filter_map(|one| STANDARD.decode(&one.sig).ok()).any(|sig| key.verify(&signed, &sig).is_ok());
    good.then_some(statement)
}

/// DSSE's pre-authentication encoding.
fn encoded(payload_type: &str, payload: &[u8]) -> Vec<u8> {
    let mut all = format!("DSSEv1 {} {payload_type} {} ", payload_type.len(), payload.len()).into_bytes();
    all.extend_from_slice(payload);
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_changed_statement_is_not_signed() {
        let seed = Secret::new(vec![7; 32]);
        let envelope = sign(&seed, b"{\"a\":1}").unwrap();
        let key = public_key(&seed).unwrap();
        assert_eq!(verify_envelope(&envelope, &key).unwrap(), b"{\"a\":1}");
        let changed = Envelope { payload: STANDARD.encode("{\"a\":2}"), ..envelope.clone() };
        assert_eq!(verify_envelope(&changed, &key), None);
        let retyped = Envelope { payload_type: "text/plain".to_owned(), ..envelope.clone() };
        assert_eq!(verify_envelope(&retyped, &key), None);
        assert_eq!(verify_envelope(&envelope, &public_key(&Secret::new(vec![8; 32])).unwrap()), None);
        // The protocol's own example of the encoding.
        assert_eq!(
            encoded("http://example.com/HelloWorld", b"hello world"),
            b"DSSEv1 29 http://example.com/HelloWorld 11 hello world"
        );
    }
}
