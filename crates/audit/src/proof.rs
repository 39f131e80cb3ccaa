//! Receipts (c2sp.org/tlog-proof@v1): that one record is in the log, in a text that can be checked without the log.

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::checkpoint::Checkpoint;
use crate::error::AuditError;
use crate::merkle::{Hash, PROOF_HASH_COUNT_MAX, inclusion_holds, leaf_hash};
use crate::note::VerifierKey;

const HEAD: &str = "c2sp.org/tlog-proof@v1";

/// One receipt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlogProof {
    /// The record's place in the log.
    pub index: u64,
    /// The audit path, lowest first.
    pub path: Vec<Hash>,
    /// The signed checkpoint that covers it, as written.
    pub checkpoint: String,
}

impl TlogProof {
    /// Reads a receipt.
    ///
    /// # Errors
    /// `Malformed` if it is none.
    pub fn parse(text: &str) -> Result<Self, AuditError> {
        let wrong = || AuditError::malformed(format!("this is not a `{HEAD}` receipt"));
        let (head, checkpoint) = text.split_once("\n\n").ok_or_else(wrong)?;
        let mut lines = head.split('\n');
        if lines.next() != Some(HEAD) {
            return Err(wrong());
        }
        let mut line = lines.next().ok_or_else(wrong)?;
        if line.starts_with("extra ") {
            line = lines.next().ok_or_else(wrong)?;
        }
        let index = line.strip_prefix("index ").and_then(|number| number.parse().ok()).ok_or_else(wrong)?;
        let mut path = Vec::new();
        for line in lines {
            let bytes = STANDARD.decode(line).map_err(|_| wrong())?;
            path.push(bytes.try_into().map_err(|_| wrong())?);
        }
        if path.len() > PROOF_HASH_COUNT_MAX {
            return Err(wrong());
        }
        Ok(Self { index, path, checkpoint: checkpoint.to_owned() })
    }

    /// Checks that `record` is in the log of `key` where this receipt says; gives the checkpoint that shows it.
    ///
    /// # Errors
    /// `Malformed` if the checkpoint or the path does not hold.
    pub fn check(&self, record: &[u8], key: &VerifierKey) -> Result<Checkpoint, AuditError> {
        let (checkpoint, _) = Checkpoint::open(self.checkpoint.as_bytes(), key)?;
        if inclusion_holds(&leaf_hash(record), self.index, checkpoint.size, &self.path, &checkpoint.root) {
            return Ok(checkpoint);
        }
        Err(AuditError::malformed(format!("the receipt does not show this record at index {}", self.index)))
    }
}

impl fmt::Display for TlogProof {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{HEAD}\nindex {}", self.index)?;
        for hash in &self.path {
            writeln!(f, "{}", STANDARD.encode(hash))?;
        }
        write!(f, "\n{}", self.checkpoint)
    }
}
