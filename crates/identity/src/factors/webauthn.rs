//! Passkeys: what an authenticator says when a key is made and when it signs (Web Authentication Level 3, sections 7.1 and 7.2). Pure.
//!
//! No attestation is asked for, so none is believed: a key is only what its holder shows again later. The holder must be verified (a PIN, a
//! finger) each time, and the key must be discoverable: whoever logs in names nobody, and strangers learn nobody's names.

use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_ASN1, ED25519, RSA_PKCS1_2048_8192_SHA256, RsaPublicKeyComponents, UnparsedPublicKey,
};
use kernel::sha256;
use serde::Deserialize;

use super::cbor::{Cbor, Key};

/// The parts of a response that a browser sends, each at most.
pub const PART_BYTES_MAX: usize = 16 * 1024;
/// Section 4: "Credential ID".
pub(crate) const CREDENTIAL_ID_BYTES_MAX: usize = 1_023;

/// Authenticator data flags (section 6.1).
const PRESENT: u8 = 0x01;
const VERIFIED: u8 = 0x04;
const BACKED_UP: u8 = 0x10;
const HAS_CREDENTIAL: u8 = 0x40;
/// RP id hash, flags, counter.
const HEAD_BYTES: usize = 32 + 1 + 4;

/// COSE algorithms (RFC 9053, RFC 8812), best first: what a browser is told that we take.
pub const ALGORITHMS: [i64; 3] = [EDDSA, ES256, RS256];
const ES256: i64 = -7;
const EDDSA: i64 = -8;
const RS256: i64 = -257;

/// What the browser must have been asked for, and where.
pub(crate) struct Asked<'a> {
    pub(crate) challenge: &'a str,
    /// Scheme, host and port.
    pub(crate) origin: &'a str,
    /// The host: the relying party's id.
    pub(crate) host: &'a str,
}

/// A key that was made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct MadeKey {
    pub(crate) credential_id: Vec<u8>,
    pub(crate) public_key: Vec<u8>,
    pub(crate) sign_count: u32,
    pub(crate) backed_up: bool,
}

/// What a good signature says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Signed {
    pub(crate) sign_count: u32,
    pub(crate) backed_up: bool,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ClientData {
    #[serde(rename = "type")]
    kind: String,
    challenge: String,
    origin: String,
    #[serde(default)]
    cross_origin: bool,
}

/// The key that was made, if all is as it was asked for (section 7.1).
pub(crate) fn made(asked: &Asked<'_>, client_data: &[u8], attestation_object: &[u8]) -> Option<MadeKey> {
    is_of(asked, "webauthn.create", client_data)?;
    let authenticator_data = data_of(attestation_object)?;
    let head = head_of(asked, authenticator_data)?;
    if head.flags & HAS_CREDENTIAL == 0 {
        return None;
    }
    let (_aaguid, rest) = authenticator_data.get(HEAD_BYTES..)?.split_at_checked(16)?;
    let (length, rest) = rest.split_at_checked(2)?;
    let length = length.iter().fold(0_usize, |length, byte| (length << 8) | usize::from(*byte));
    if length == 0 || length > CREDENTIAL_ID_BYTES_MAX {
        return None;
    }
    let (credential_id, rest) = rest.split_at_checked(length)?;
    let mut after = Cbor::new(rest);
    after.skip()?;
    let public_key = rest.get(..rest.len() - after.rest().len())?;
    CoseKey::read(public_key)?;
    Some(MadeKey {
        credential_id: credential_id.to_vec(),
        public_key: public_key.to_vec(),
        sign_count: head.sign_count,
        backed_up: head.flags & BACKED_UP != 0,
    })
}

/// What the key says, if it signed what was asked for (section 7.2).
pub(crate) fn signed(
    asked: &Asked<'_>,
    public_key: &[u8],
    client_data: &[u8],
    authenticator_data: &[u8],
    signature: &[u8],
) -> Option<Signed> {
    is_of(asked, "webauthn.get", client_data)?;
    let head = head_of(asked, authenticator_data)?;
    let message = [authenticator_data, &sha256(client_data)].concat();
    CoseKey::read(public_key)?.verify(&message, signature)?;
    Some(Signed { sign_count: head.sign_count, backed_up: head.flags & BACKED_UP != 0 })
}

fn is_of(asked: &Asked<'_>, kind: &str, client_data: &[u8]) -> Option<()> {
    if client_data.len() > PART_BYTES_MAX {
        return None;
    }
    let said: ClientData = serde_json::from_slice(client_data).ok()?;
    let same = said.kind == kind && said.challenge == asked.challenge && said.origin == asked.origin && !said.cross_origin;
    same.then_some(())
}

struct Head {
    flags: u8,
    sign_count: u32,
}

fn head_of(asked: &Asked<'_>, authenticator_data: &[u8]) -> Option<Head> {
    let head = authenticator_data.get(..HEAD_BYTES).filter(|_| authenticator_data.len() <= PART_BYTES_MAX)?;
    let (host, rest) = head.split_at_checked(32)?;
    let (flags, count) = rest.split_first()?;
    let seen = flags & (PRESENT | VERIFIED) == PRESENT | VERIFIED;
    let same = host == sha256(asked.host.as_bytes());
    let sign_count = count.iter().fold(0_u32, |count, byte| (count << 8) | u32::from(*byte));
    (seen && same).then_some(Head { flags: *flags, sign_count })
}

/// `authData` of an attestation object (section 6.5.4).
fn data_of(attestation_object: &[u8]) -> Option<&[u8]> {
    if attestation_object.len() > PART_BYTES_MAX {
        return None;
    }
    let mut cbor = Cbor::new(attestation_object);
    let mut found = None;
    for _ in 0..cbor.map()? {
        match cbor.key()? {
            Key::Text("authData") if found.is_none() => found = Some(cbor.bytes()?),
            Key::Text("authData") | Key::Number(_) => return None,
            Key::Text(_) => cbor.skip()?,
        }
    }
    found.filter(|_| cbor.rest().is_empty())
}

/// A public key (RFC 9053, section 7; RFC 8230 for RSA).
enum CoseKey<'a> {
    P256 { x: &'a [u8], y: &'a [u8] },
    Ed25519 { x: &'a [u8] },
    Rsa { n: &'a [u8], e: &'a [u8] },
}

impl<'a> CoseKey<'a> {
    fn read(bytes: &'a [u8]) -> Option<Self> {
        let mut cbor = Cbor::new(bytes);
        let (mut kind, mut algorithm, mut curve) = (None, None, None);
        // -1 is a curve, or RSA's modulus; -2 and -3 are what they are for the kind.
        let (mut first, mut second, mut third) = (None, None, None);
        for _ in 0..cbor.map()? {
            match cbor.key()? {
                Key::Number(1) => kind = Some(cbor.number()?),
                Key::Number(3) => algorithm = Some(cbor.number()?),
                Key::Number(-1) if kind == Some(3) => first = Some(cbor.bytes()?),
                Key::Number(-1) => curve = Some(cbor.number()?),
                Key::Number(-2) => second = Some(cbor.bytes()?),
                Key::Number(-3) => third = Some(cbor.bytes()?),
                _ => cbor.skip()?,
            }
        }
        if !cbor.rest().is_empty() {
            return None;
        }
        match (kind?, algorithm?, curve) {
            (2, ES256, Some(1)) => {
                let (x, y) = (second.filter(|x| x.len() == 32)?, third.filter(|y| y.len() == 32)?);
                Some(Self::P256 { x, y })
            }
            (1, EDDSA, Some(6)) => Some(Self::Ed25519 { x: second.filter(|x| x.len() == 32)? }),
            (3, RS256, None) => Some(Self::Rsa { n: first?, e: second? }),
            _ => None,
        }
    }

    fn verify(&self, message: &[u8], signature: &[u8]) -> Option<()> {
        let verdict = match self {
            Self::P256 { x, y } => {
                let point = [[4].as_slice(), x, y].concat();
                UnparsedPublicKey::new(&ECDSA_P256_SHA256_ASN1, point).verify(message, signature)
            }
            Self::Ed25519 { x } => UnparsedPublicKey::new(&ED25519, x).verify(message, signature),
            Self::Rsa { n, e } => RsaPublicKeyComponents { n, e }.verify(&RSA_PKCS1_2048_8192_SHA256, message, signature),
        };
        verdict.ok()
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use aws_lc_rs::rand::SystemRandom;
    use aws_lc_rs::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, KeyPair};

    /// An authenticator in software, as far as a test needs one.
    pub(crate) struct SoftKey {
        pub(crate) pair: EcdsaKeyPair,
        pub(crate) id: Vec<u8>,
        pub(crate) host: String,
        pub(crate) flags: u8,
        pub(crate) count: u32,
    }

    impl SoftKey {
        pub(crate) fn new(id: &[u8], host: &str) -> Self {
            let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_ASN1_SIGNING).unwrap();
            Self { pair, id: id.to_vec(), host: host.to_owned(), flags: PRESENT | VERIFIED, count: 1 }
        }

        pub(crate) fn client_data(kind: &str, challenge: &str, origin: &str) -> Vec<u8> {
            format!(r#"{{"type":"{kind}","challenge":"{challenge}","origin":"{origin}","crossOrigin":false}}"#).into_bytes()
        }

        fn head(&self, flags: u8) -> Vec<u8> {
            [sha256(self.host.as_bytes()).as_slice(), &[flags], &self.count.to_be_bytes()].concat()
        }

        pub(crate) fn attestation_object(&self) -> Vec<u8> {
            let point = self.pair.public_key().as_ref();
            let (x, y) = (&point[1..33], &point[33..65]);
            let cose = [&[0xa5, 1, 2, 3, 0x26, 0x20, 1, 0x21, 0x58, 32], x, &[0x22, 0x58, 32], y].concat();
            let id_length = u16::try_from(self.id.len()).unwrap().to_be_bytes();
            let data = [self.head(self.flags | HAS_CREDENTIAL), vec![0; 16], id_length.to_vec(), self.id.clone(), cose].concat();
            let data_length = u16::try_from(data.len()).unwrap().to_be_bytes();
            [b"\xa3\x63fmt\x64none\x67attStmt\xa0\x68authData\x59".as_slice(), &data_length, &data].concat()
        }

        /// Authenticator data and the signature.
        pub(crate) fn sign(&self, client_data: &[u8]) -> (Vec<u8>, Vec<u8>) {
            let data = self.head(self.flags);
            let message = [data.as_slice(), &sha256(client_data)].concat();
            let signature = self.pair.sign(&SystemRandom::new(), &message).unwrap();
            (data, signature.as_ref().to_vec())
        }
    }

    const ASKED: Asked<'_> = Asked { challenge: "Y2hhbGxlbmdl", origin: "https://a.example:8443", host: "a.example" };

    #[test]
    fn a_key_is_made_and_signs() {
        let key = SoftKey::new(b"key one", "a.example");
        let made_data = SoftKey::client_data("webauthn.create", ASKED.challenge, ASKED.origin);
        let held = made(&ASKED, &made_data, &key.attestation_object()).unwrap();
        assert_eq!((held.credential_id.as_slice(), held.sign_count, held.backed_up), (b"key one".as_slice(), 1, false));
        let client_data = SoftKey::client_data("webauthn.get", ASKED.challenge, ASKED.origin);
        let (data, signature) = key.sign(&client_data);
        let said = signed(&ASKED, &held.public_key, &client_data, &data, &signature).unwrap();
        assert_eq!(said, Signed { sign_count: 1, backed_up: false });
        assert!(signed(&ASKED, &held.public_key, &made_data, &data, &signature).is_none(), "of another kind");
        for at in 0..data.len() {
            let mut wrong = data.clone();
            wrong[at] ^= 1;
            assert!(signed(&ASKED, &held.public_key, &client_data, &wrong, &signature).is_none(), "byte {at}");
        }
        let other = SoftKey::new(b"key one", "a.example");
        let (data, signature) = other.sign(&client_data);
        assert!(signed(&ASKED, &held.public_key, &client_data, &data, &signature).is_none(), "another key");
    }

    #[test]
    fn what_was_not_asked_for_is_refused() {
        let key = SoftKey::new(b"key one", "a.example");
        let good = SoftKey::client_data("webauthn.create", ASKED.challenge, ASKED.origin);
        assert!(made(&ASKED, &good, &key.attestation_object()).is_some());
        for (challenge, origin) in [
            ("b3RoZXI", ASKED.origin),
            (ASKED.challenge, "https://a.example"),
            (ASKED.challenge, "http://a.example:8443"),
            (ASKED.challenge, "https://evil.example:8443"),
        ] {
            let client_data = SoftKey::client_data("webauthn.create", challenge, origin);
            assert!(made(&ASKED, &client_data, &key.attestation_object()).is_none(), "{challenge} {origin}");
        }
        let framed = String::from_utf8(good.clone()).unwrap().replace("false", "true");
        assert!(made(&ASKED, framed.as_bytes(), &key.attestation_object()).is_none(), "in a frame of another page");
        for flags in [0, PRESENT, VERIFIED] {
            let unseen = SoftKey { flags, ..SoftKey::new(b"key one", "a.example") };
            assert!(made(&ASKED, &good, &unseen.attestation_object()).is_none(), "flags {flags}");
        }
        assert!(made(&ASKED, &good, &SoftKey::new(b"key one", "evil.example").attestation_object()).is_none());
    }

    #[test]
    fn no_cut_or_changed_attestation_breaks_the_reader() {
        let key = SoftKey::new(b"key one", "a.example");
        let client_data = SoftKey::client_data("webauthn.create", ASKED.challenge, ASKED.origin);
        let whole = key.attestation_object();
        for at in 0..whole.len() {
            assert!(made(&ASKED, &client_data, &whole[..at]).is_none(), "cut at {at}");
            let mut wrong = whole.clone();
            wrong[at] ^= 0x80;
            drop(made(&ASKED, &client_data, &wrong));
        }
    }
}
