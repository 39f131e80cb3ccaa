//! Signed notes (c2sp.org/signed-note): a text and who signed it. Ed25519, type 0x01, is the log's own signature;
//! 0x04 is a witness's cosignature (c2sp.org/tlog-cosignature).

use std::fmt;

use aws_lc_rs::signature::{ED25519, Ed25519KeyPair, KeyPair, UnparsedPublicKey};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use kernel::{Secret, Sha256Hasher, hex, parse_hex};

use crate::bytes::array_at;
use crate::error::AuditError;

/// A plain Ed25519 signature over the note's text.
pub const KIND_ED25519: u8 = 0x01;
/// A timestamped Ed25519 cosignature.
pub const KIND_COSIGNATURE: u8 = 0x04;
/// A note is refused beyond this; a checkpoint with its signatures is a few hundred bytes.
pub const NOTE_BYTES_MAX: usize = 64 * 1024;
/// Signature lines of one note.
pub const SIGNATURE_COUNT_MAX: usize = 64;

const SIGNATURE_BYTES: usize = 64;

/// Who signs and how: the public half of a key under a name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VerifierKey {
    /// The signer's name, such as a log's origin.
    pub name: String,
    /// The first 4 bytes of SHA-256 over name, newline, type and key.
    pub id: [u8; 4],
    /// The type of signature.
    pub kind: u8,
    /// The public key's 32 bytes.
    pub public: [u8; 32],
}

/// One line under a note.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signature {
    /// The signer's name.
    pub name: String,
    /// The key's id.
    pub key_id: [u8; 4],
    /// What follows the id: the signature, with a time before it in a cosignature.
    pub bytes: Vec<u8>,
}

/// A text and its signatures.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Note {
    /// The text; it ends with a newline.
    pub text: String,
    /// The signature lines.
    pub signatures: Vec<Signature>,
}

/// The private half of a key under a name.
pub struct NoteSigner {
    key: VerifierKey,
    pair: Ed25519KeyPair,
}

fn name_holds(name: &str) -> bool {
    !name.is_empty() && name.len() <= 255 && !name.chars().any(|c| c.is_whitespace() || c == '+' || c.is_control())
}

impl VerifierKey {
    fn new(name: &str, kind: u8, public: [u8; 32]) -> Self {
        let mut hasher = Sha256Hasher::new();
        hasher.update(name.as_bytes());
        hasher.update(b"\n");
        hasher.update(&[kind]);
        hasher.update(&public);
        let id = array_at(&hasher.finish(), 0).unwrap_or_default();
        Self { name: name.to_owned(), id, kind, public }
    }

    /// Reads `name+id+key`.
    ///
    /// # Errors
    /// `Malformed` if the text is not a key, or its id does not fit.
    pub fn parse(text: &str) -> Result<Self, AuditError> {
        let wrong = || AuditError::malformed(format!("`{text}` is not a verifier key of the form `name+id+key`"));
        let (name, rest) = text.split_once('+').ok_or_else(wrong)?;
        let (id, key) = rest.split_once('+').ok_or_else(wrong)?;
        let bytes = STANDARD.decode(key).map_err(|_| wrong())?;
        let (kind, public) = bytes.split_first().ok_or_else(wrong)?;
        let public: [u8; 32] = public.try_into().map_err(|_| wrong())?;
        if !matches!(*kind, KIND_ED25519 | KIND_COSIGNATURE) || !name_holds(name) {
            return Err(wrong());
        }
        let known = Self::new(name, *kind, public);
        if parse_hex(id).as_deref() != Some(&known.id) {
            return Err(wrong());
        }
        Ok(known)
    }

    /// Whether `signature` is this key's over `message`.
    #[must_use]
    pub fn holds(&self, message: &[u8], signature: &[u8]) -> bool {
        signature.len() == SIGNATURE_BYTES && UnparsedPublicKey::new(&ED25519, self.public).verify(message, signature).is_ok()
    }
}

impl fmt::Display for VerifierKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut bytes = vec![self.kind];
        bytes.extend_from_slice(&self.public);
        write!(f, "{}+{}+{}", self.name, hex(&self.id), STANDARD.encode(bytes))
    }
}

impl NoteSigner {
    /// The signer `name` with the key of `seed` (32 bytes).
    ///
    /// # Errors
    /// `Config` if the name or the seed cannot be used.
    pub fn new(name: &str, kind: u8, seed: &Secret) -> Result<Self, AuditError> {
        if !name_holds(name) {
            return Err(AuditError::Config(format!("`{name}` cannot name a signer: no spaces, no `+`, at most 255 bytes")));
        }
        let pair = Ed25519KeyPair::from_seed_unchecked(seed.expose())
            .map_err(|_| AuditError::Config("an Ed25519 seed has 32 bytes".to_owned()))?;
        let public = array_at(pair.public_key().as_ref(), 0)
            .ok_or_else(|| AuditError::Config("the Ed25519 key has no public half".to_owned()))?;
        Ok(Self { key: VerifierKey::new(name, kind, public), pair })
    }

    /// The public half.
    #[must_use]
    pub const fn key(&self) -> &VerifierKey {
        &self.key
    }

    /// The bare signature over `message`.
    #[must_use]
    pub fn sign_bytes(&self, message: &[u8]) -> Vec<u8> {
        self.pair.sign(message).as_ref().to_vec()
    }

    /// The signature line over a note's `text`.
    #[must_use]
    pub fn sign(&self, text: &str) -> Signature {
        Signature { name: self.key.name.clone(), key_id: self.key.id, bytes: self.sign_bytes(text.as_bytes()) }
    }
}

impl fmt::Display for Signature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut bytes = self.key_id.to_vec();
        bytes.extend_from_slice(&self.bytes);
        writeln!(f, "— {} {}", self.name, STANDARD.encode(bytes))
    }
}

impl Signature {
    /// Reads one line, without its newline.
    ///
    /// # Errors
    /// `Malformed` if it is not a signature line.
    pub fn parse(line: &str) -> Result<Self, AuditError> {
        let wrong = || AuditError::malformed("a line under the note is not a signature");
        let (name, text) = line.strip_prefix("— ").and_then(|rest| rest.split_once(' ')).ok_or_else(wrong)?;
        let bytes = STANDARD.decode(text).map_err(|_| wrong())?;
        let key_id = array_at(&bytes, 0).ok_or_else(wrong)?;
        let rest = bytes.get(4..).filter(|rest| !rest.is_empty()).ok_or_else(wrong)?;
        if !name_holds(name) {
            return Err(wrong());
        }
        Ok(Self { name: name.to_owned(), key_id, bytes: rest.to_vec() })
    }
}

impl Note {
    /// Reads a note.
    ///
    /// # Errors
    /// `Malformed` if it is not one, is too large, or has control characters.
    pub fn parse(bytes: &[u8]) -> Result<Self, AuditError> {
        let wrong = |what: &str| AuditError::malformed(format!("this is not a signed note: {what}"));
        if bytes.len() > NOTE_BYTES_MAX {
            return Err(wrong("it is longer than 64 KiB"));
        }
        let all = std::str::from_utf8(bytes).map_err(|_| wrong("it is not UTF-8"))?;
        if all.chars().any(|c| c.is_control() && c != '\n') {
            return Err(wrong("it has control characters"));
        }
        let split = all.rfind("\n\n").ok_or_else(|| wrong("it has no signatures"))?;
        let (text, rest) = all.split_at(split + 1);
        let lines = rest.strip_prefix('\n').and_then(|rest| rest.strip_suffix('\n'));
        let lines = lines.ok_or_else(|| wrong("its last line has no end"))?;
        let signatures = lines.split('\n').map(Signature::parse).collect::<Result<Vec<_>, _>>()?;
        if signatures.len() > SIGNATURE_COUNT_MAX {
            return Err(wrong("it has more than 64 signatures"));
        }
        Ok(Self { text: text.to_owned(), signatures })
    }

    /// Whether `key` (of type 0x01) signed this.
    #[must_use]
    pub fn is_signed_by(&self, key: &VerifierKey) -> bool {
        let mut found = false;
        for signature in self.signatures.iter().filter(|s| s.name == key.name && s.key_id == key.id) {
            // A known key's bad signature spoils the note, as the specification asks.
            if key.kind != KIND_ED25519 || !key.holds(self.text.as_bytes(), &signature.bytes) {
                return false;
            }
            found = true;
        }
        found
    }
}

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.text)?;
        self.signatures.iter().try_for_each(|signature| write!(f, "{signature}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn signer() -> NoteSigner {
        NoteSigner::new("example.org/log", KIND_ED25519, &Secret::new(vec![7; 32])).unwrap()
    }

    #[test]
    fn a_note_goes_both_ways_and_no_byte_of_it_can_change() {
        let text = "example.org/log\n12\nAAAA\n";
        let note = Note { text: text.to_owned(), signatures: vec![signer().sign(text)] };
        let written = note.to_string();
        assert_eq!(Note::parse(written.as_bytes()).unwrap(), note);
        assert!(note.is_signed_by(signer().key()));
        for at in 0..written.len() {
            for bit in 0..8 {
                let mut bytes = written.clone().into_bytes();
                bytes[at] ^= 1 << bit;
                let held = Note::parse(&bytes).is_ok_and(|note| note.is_signed_by(signer().key()));
                assert!(!held, "bit {bit} of byte {at}");
            }
        }
    }

    #[test]
    fn a_verifier_key_goes_both_ways() {
        let key = signer().key().clone();
        assert_eq!(VerifierKey::parse(&key.to_string()).unwrap(), key);
        for bad in ["", "a+b", "a b+00000000+AAAA", &key.to_string().replace("log", "lok")] {
            assert!(VerifierKey::parse(bad).is_err(), "{bad}");
        }
    }
}
