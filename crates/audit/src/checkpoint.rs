//! Checkpoints (c2sp.org/tlog-checkpoint): a tree's origin, size and root, as the text of a signed note.

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::error::AuditError;
use crate::merkle::Hash;
use crate::note::{Note, NoteSigner, VerifierKey};

/// One state of one log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checkpoint {
    /// Which log.
    pub origin: String,
    /// How many records.
    pub size: u64,
    /// The tree's root over them.
    pub root: Hash,
}

impl Checkpoint {
    /// Reads the text of a note. Extension lines are refused: this log writes none.
    ///
    /// # Errors
    /// `Malformed` if it is not a checkpoint in its one canonical form.
    pub fn parse(text: &str) -> Result<Self, AuditError> {
        let wrong = || AuditError::malformed("this is not a checkpoint: origin, size and root, a line each");
        let mut lines = text.split('\n');
        let (Some(origin), Some(size), Some(root)) = (lines.next(), lines.next(), lines.next()) else {
            return Err(wrong());
        };
        let root = STANDARD.decode(root).map_err(|_| wrong())?.try_into().map_err(|_| wrong())?;
        let checkpoint = Self { origin: origin.to_owned(), size: size.parse().map_err(|_| wrong())?, root };
        if origin.is_empty() || checkpoint.to_string() != text {
            return Err(wrong());
        }
        Ok(checkpoint)
    }

    /// Reads a note that `key` signed.
    ///
    /// # Errors
    /// `Malformed` if it is none, is of another origin, or the signature does not hold.
    pub fn open(note: &[u8], key: &VerifierKey) -> Result<(Self, Note), AuditError> {
        let note = Note::parse(note)?;
        if !note.is_signed_by(key) {
            return Err(AuditError::malformed(format!("the checkpoint is not signed by `{}`", key.name)));
        }
        let checkpoint = Self::parse(&note.text)?;
        if checkpoint.origin != key.name {
            return Err(AuditError::malformed(format!("the checkpoint is of `{}`, not of `{}`", checkpoint.origin, key.name)));
        }
        Ok((checkpoint, note))
    }

    /// The note with this log's signature.
    #[must_use]
    pub fn sign(&self, signer: &NoteSigner) -> Note {
        let text = self.to_string();
        let signature = signer.sign(&text);
        Note { text, signatures: vec![signature] }
    }
}

impl fmt::Display for Checkpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}\n{}\n{}\n", self.origin, self.size, STANDARD.encode(self.root))
    }
}
