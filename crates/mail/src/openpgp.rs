//! Encryption to the keys that recipients gave: OpenPGP keys of version 4, messages as every reader opens them (SEIPD of version 1, AES-256).

use kernel::{Micros, Problem};
use pgp::composed::{ArmorOptions, Deserializable, MessageBuilder, SignedPublicKey, SignedPublicSubKey};
use pgp::crypto::sym::SymmetricKeyAlgorithm;
use pgp::packet::{Signature, SignatureType};
use pgp::ser::Serialize;
use pgp::types::{KeyDetails, KeyVersion, Timestamp};
use rand_core::OsRng;

use crate::limits::KEY_BYTES_MAX;

/// A public key that mail can be encrypted to.
pub(crate) struct RecipientKey(SignedPublicKey);

impl RecipientKey {
    /// Reads a key, armoured or not, and refuses one that could not be used now.
    ///
    /// # Errors
    /// `Invalid`, saying why.
    pub(crate) fn parse(bytes: &[u8], at: Micros) -> Result<Self, Problem> {
        let wrong = |why: &str| Problem::invalid(format!("this is no OpenPGP key that mail can be encrypted to: {why}"));
        if bytes.len() > KEY_BYTES_MAX {
            return Err(wrong(
                "it has more than 65536 bytes; export it with `gpg --export-options export-minimal --armor --export`",
            ));
        }
        let unread = |error: pgp::errors::Error| wrong("it cannot be read as one public key").because(error.to_string());
        let mut key = if bytes.trim_ascii_start().starts_with(b"-----BEGIN") {
            SignedPublicKey::from_armor_single(bytes).map_err(unread)?.0
        } else {
            SignedPublicKey::from_bytes(bytes).map_err(unread)?
        };
        if key.primary_key.version() != KeyVersion::V4 {
            return Err(wrong("it is not of version 4"));
        }
        let_go_of_others(&mut key);
        key.verify_bindings().map_err(|error| wrong("its own signatures do not hold").because(error.to_string()))?;
        if !key.details.revocation_signatures.is_empty() {
            return Err(wrong("it was revoked"));
        }
        let key = Self(key);
        if key.is_over(at) {
            return Err(wrong("it has expired"));
        }
        match key.for_encryption(at) {
            Some(_) => Ok(key),
            None => Err(wrong("none of its subkeys is for encryption now")),
        }
    }

    /// Hexadecimal, in capitals.
    pub(crate) fn fingerprint(&self) -> String {
        kernel::hex(self.0.primary_key.fingerprint().as_bytes()).to_ascii_uppercase()
    }

    /// As it is kept.
    ///
    /// # Errors
    /// `Internal` if it cannot be written.
    pub(crate) fn to_bytes(&self) -> Result<Vec<u8>, Problem> {
        self.0.to_bytes().map_err(|error| Problem::internal("an OpenPGP key could not be written", error.to_string()))
    }

    /// Encrypts, armoured.
    ///
    /// # Errors
    /// `Internal` if the key cannot be used after all; then nothing is sent in the open instead.
    pub(crate) fn encrypt(&self, plain: &[u8], at: Micros) -> Result<String, Problem> {
        let failed = |error: pgp::errors::Error| Problem::internal("mail could not be encrypted", error.to_string());
        let subkey = self.for_encryption(at);
        let subkey = subkey.ok_or_else(|| Problem::internal("mail could not be encrypted", "the recipient's key has expired"))?;
        let mut builder = MessageBuilder::from_bytes("", plain.to_vec()).seipd_v1(OsRng, SymmetricKeyAlgorithm::AES256);
        builder.encrypt_to_key(OsRng, subkey).map_err(failed)?;
        builder.to_armored_string(OsRng, ArmorOptions::default()).map_err(failed)
    }

    /// The newest subkey that is for encryption, as its own signature says, and neither expired nor revoked.
    fn for_encryption(&self, at: Micros) -> Option<&SignedPublicSubKey> {
        let fits = |one: &&SignedPublicSubKey| {
            let binding = newest(one.signatures.iter().filter(|signature| signature.typ() == Some(SignatureType::SubkeyBinding)));
            let is_revoked = one.signatures.iter().any(|signature| signature.typ() == Some(SignatureType::SubkeyRevocation));
            let is_for = |signature: &Signature| {
                let flags = signature.key_flags();
                flags.encrypt_comms() || flags.encrypt_storage()
            };
            one.key.algorithm().can_encrypt()
                && !is_revoked
                && binding.is_some_and(|binding| is_for(binding) && !is_over(one.key.created_at(), binding, at))
        };
        self.0.public_subkeys.iter().filter(fits).max_by_key(|one| seconds(one.key.created_at()))
    }

    fn is_over(&self, at: Micros) -> bool {
        let details = &self.0.details;
        // That a name was taken back says nothing of how long the key lasts.
        let is_for_a_name = |signature: &&Signature| signature.typ() != Some(SignatureType::CertRevocation);
        let names = details.users.iter().flat_map(|user| &user.signatures).filter(is_for_a_name);
        let signatures = names.chain(&details.direct_signatures);
        newest(signatures).is_none_or(|signature| is_over(self.0.primary_key.created_at(), signature, at))
    }
}

/// Forgets what others signed of a key: it could not be checked, and says nothing of what its holder wants.
fn let_go_of_others(key: &mut SignedPublicKey) {
    let (own_id, own_fingerprint) = (key.primary_key.legacy_key_id(), key.primary_key.fingerprint());
    let is_own = |signature: &Signature| {
        signature.issuer_key_id().into_iter().all(|id| *id == own_id)
            && signature.issuer_fingerprint().into_iter().all(|fingerprint| *fingerprint == own_fingerprint)
    };
    for user in &mut key.details.users {
        user.signatures.retain(is_own);
    }
    for attribute in &mut key.details.user_attributes {
        attribute.signatures.retain(is_own);
    }
    key.details.users.retain(|user| !user.signatures.is_empty());
    key.details.user_attributes.retain(|attribute| !attribute.signatures.is_empty());
}

fn newest<'a>(signatures: impl Iterator<Item = &'a Signature>) -> Option<&'a Signature> {
    signatures.max_by_key(|signature| signature.created().map_or(0, seconds))
}

fn is_over(made: Timestamp, by: &Signature, at: Micros) -> bool {
    let lifetime = by.key_expiration_time().map(std::time::Duration::from).filter(|lifetime| !lifetime.is_zero());
    let is_after = |lifetime: std::time::Duration| {
        at.as_secs() >= seconds(made).saturating_add(i64::try_from(lifetime.as_secs()).unwrap_or(i64::MAX))
    };
    seconds(made) > at.as_secs() || lifetime.is_some_and(is_after)
}

fn seconds(time: Timestamp) -> i64 {
    let since = std::time::SystemTime::from(time).duration_since(std::time::UNIX_EPOCH);
    since.ok().and_then(|since| i64::try_from(since.as_secs()).ok()).unwrap_or(0)
}
