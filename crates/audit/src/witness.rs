//! Witnesses (c2sp.org/tlog-witness, c2sp.org/tlog-cosignature): somebody else who has seen our checkpoints grow. Only a
//! witness can tell that a whole machine, log and database, was put back to an earlier state.
//!
//! [`Witness`] is the witness's side. The log's side keeps the cosignatures it is given.
//!
//! INVARIANT: what a witness has cosigned is on its disk before anybody sees the cosignature. Held by `tests/it/witness.rs`.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use kernel::{Clock, Secret, hex, sha256};
use parking_lot::Mutex;

use crate::bytes::array_at;
use crate::checkpoint::Checkpoint;
use crate::disk::Disk;
use crate::error::AuditError;
use crate::log::AuditLog;
use crate::merkle::{Hash, consistency_holds, consistency_proof};
use crate::note::{KIND_COSIGNATURE, NOTE_BYTES_MAX, Note, NoteSigner, Signature, VerifierKey};

/// Hashes in a consistency proof, as the protocol limits it.
const PROOF_LINE_COUNT_MAX: usize = 63;
/// Checkpoints whose cosignatures are kept. A newer one covers all that the older ones do.
const ANCHOR_COUNT_MAX: usize = 256;
/// Cosignatures that are kept for one checkpoint.
const COSIGNATURE_COUNT_MAX: usize = 16;

/// A witness of some logs.
pub struct Witness {
    dir: PathBuf,
    disk: Disk,
    signer: NoteSigner,
    logs: Vec<VerifierKey>,
    clock: Arc<dyn Clock>,
    /// One request at a time: look, check, persist and answer are one step.
    turn: Mutex<()>,
}

/// What a witness answers over HTTP.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WitnessAnswer {
    /// The HTTP status.
    pub status: u16,
    /// Its content type.
    pub content_type: &'static str,
    /// Its body.
    pub body: String,
}

impl WitnessAnswer {
    fn text(status: u16, body: impl Into<String>) -> Self {
        Self { status, content_type: "text/plain; charset=utf-8", body: body.into() }
    }

    fn known_size(size: u64) -> Self {
        Self { status: 409, content_type: "text/x.tlog.size", body: format!("{size}\n") }
    }
}

/// What a witness signs: the checkpoint's text under a time.
fn cosigned_message(at_s: u64, text: &str) -> Vec<u8> {
    format!("cosignature/v1\ntime {at_s}\n{text}").into_bytes()
}

/// When `key` cosigned `text`, in seconds since the epoch; `None` if `signature` is not its cosignature.
#[must_use]
pub fn cosigned_at(key: &VerifierKey, signature: &Signature, text: &str) -> Option<u64> {
    if key.kind != KIND_COSIGNATURE || signature.name != key.name || signature.key_id != key.id {
        return None;
    }
    let at_s = u64::from_be_bytes(array_at(&signature.bytes, 0)?);
    key.holds(&cosigned_message(at_s, text), signature.bytes.get(8..)?).then_some(at_s)
}

/// A request of `add-checkpoint`.
struct Request<'a> {
    old_size: u64,
    proof: Vec<Hash>,
    note: &'a str,
}

fn parse_request(body: &str) -> Option<Request<'_>> {
    let (head, note) = body.split_once("\n\n")?;
    let mut lines = head.split('\n');
    let number = lines.next()?.strip_prefix("old ")?;
    let old_size: u64 = number.parse().ok()?;
    if old_size.to_string() != number {
        return None;
    }
    let mut proof = Vec::new();
    for line in lines {
        proof.push(STANDARD.decode(line).ok()?.try_into().ok()?);
    }
    (proof.len() <= PROOF_LINE_COUNT_MAX).then_some(Request { old_size, proof, note })
}

impl Witness {
    /// The witness `name`, which keeps what it has seen in `dir` and knows these logs.
    ///
    /// # Errors
    /// `Config` if the name, the seed or a key cannot be used; `Io` if the folder cannot.
    pub fn open(dir: &Path, name: &str, seed: &Secret, log_keys: &[String], clock: Arc<dyn Clock>) -> Result<Self, AuditError> {
        let disk = Disk::new(None);
        disk.folder(dir)?;
        let logs = log_keys.iter().map(|key| VerifierKey::parse(key)).collect::<Result<Vec<_>, _>>()?;
        let signer = NoteSigner::new(name, KIND_COSIGNATURE, seed)?;
        Ok(Self { dir: dir.to_path_buf(), disk, signer, logs, clock, turn: Mutex::new(()) })
    }

    /// The key that checks this witness's cosignatures.
    #[must_use]
    pub fn verifier_key(&self) -> &VerifierKey {
        self.signer.key()
    }

    /// `POST <prefix>/add-checkpoint`: cosigns a checkpoint that continues what it has seen. It writes a file: call it where
    /// blocking is allowed.
    #[must_use]
    pub fn add_checkpoint(&self, body: &[u8]) -> WitnessAnswer {
        let text = std::str::from_utf8(body).ok().filter(|body| body.len() <= NOTE_BYTES_MAX);
        let Some(request) = text.and_then(parse_request) else {
            return WitnessAnswer::text(400, "expected `old <size>`, a consistency proof, an empty line and a checkpoint\n");
        };
        let Ok(note) = Note::parse(request.note.as_bytes()) else {
            return WitnessAnswer::text(400, "what follows the empty line is not a signed note\n");
        };
        let origin = note.text.split('\n').next().unwrap_or_default();
        let Some(key) = self.logs.iter().find(|key| key.name == origin) else {
            return WitnessAnswer::text(404, "this witness does not know that log\n");
        };
        if !note.is_signed_by(key) {
            return WitnessAnswer::text(403, "the checkpoint is not signed by the log's key\n");
        }
        let Ok(checkpoint) = Checkpoint::parse(&note.text) else {
            return WitnessAnswer::text(400, "the note is not a checkpoint\n");
        };
        let _turn = self.turn.lock();
        self.judge(&request, &checkpoint, &note).unwrap_or_else(|error| {
            tracing::error!(%error, "the witness cannot keep what it has seen");
            WitnessAnswer::text(500, "the witness cannot keep what it has seen; try again later\n")
        })
    }

    fn judge(&self, request: &Request<'_>, new: &Checkpoint, note: &Note) -> Result<WitnessAnswer, AuditError> {
        let seen = self.seen(&new.origin)?;
        let seen_size = seen.as_ref().map_or(0, |seen| seen.size);
        if request.old_size > new.size {
            return Ok(WitnessAnswer::text(400, "the old size is greater than the checkpoint's\n"));
        }
        if request.old_size != seen_size {
            return Ok(WitnessAnswer::known_size(seen_size));
        }
        let old_root = seen.map_or_else(crate::merkle::empty_root, |seen| seen.root);
        if new.size == seen_size && new.root != old_root {
            return Ok(WitnessAnswer::known_size(seen_size));
        }
        if !consistency_holds(request.old_size, &old_root, new.size, &new.root, &request.proof) {
            return Ok(WitnessAnswer::text(422, "the proof does not show that the log only grew\n"));
        }
        let at_s = u64::try_from(self.clock.now().as_secs()).unwrap_or(0);
        let mut bytes = at_s.to_be_bytes().to_vec();
        bytes.extend_from_slice(&self.signer.sign_bytes(&cosigned_message(at_s, &note.text)));
        let key = self.signer.key();
        let line = Signature { name: key.name.clone(), key_id: key.id, bytes };
        // Only the log's signatures and ours are kept and served: anybody could have added others.
        let log_key = self.logs.iter().find(|log| log.name == new.origin);
        let kept = note.signatures.iter().filter(|s| log_key.is_some_and(|log| s.name == log.name && s.key_id == log.id));
        let kept = Note { text: note.text.clone(), signatures: kept.cloned().chain([line.clone()]).collect() };
        self.disk.replace(&self.path(&new.origin), kept.to_string().as_bytes())?;
        Ok(WitnessAnswer::text(200, line.to_string()))
    }

    /// `GET <monitoring prefix>/<hex of SHA-256 of the origin>/checkpoint`: the newest that it cosigned.
    #[must_use]
    pub fn checkpoint(&self, origin_hash: &str) -> WitnessAnswer {
        let known = self.logs.iter().find(|key| hex(&sha256(key.name.as_bytes())) == origin_hash);
        match known.map(|key| std::fs::read_to_string(self.path(&key.name))) {
            Some(Ok(note)) => WitnessAnswer::text(200, note),
            Some(Err(error)) if error.kind() != std::io::ErrorKind::NotFound => {
                WitnessAnswer::text(500, "the witness cannot read what it has seen\n")
            }
            _ => WitnessAnswer::text(404, "this witness has seen no checkpoint of that log\n"),
        }
    }

    fn path(&self, origin: &str) -> PathBuf {
        self.dir.join(format!("{}.checkpoint", hex(&sha256(origin.as_bytes()))))
    }

    /// What it cosigned last. Its own file is checked: a damaged memory must not cosign anything.
    fn seen(&self, origin: &str) -> Result<Option<Checkpoint>, AuditError> {
        let path = self.path(origin);
        let bytes = match std::fs::read(&path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(AuditError::Io(path, error)),
        };
        let note = Note::parse(&bytes)?;
        if !note.signatures.iter().any(|line| cosigned_at(self.signer.key(), line, &note.text).is_some()) {
            return Err(AuditError::Mismatch(format!("`{}` does not carry this witness's own cosignature", path.display())));
        }
        Checkpoint::parse(&note.text).map(Some)
    }
}

impl AuditLog {
    /// The body of an `add-checkpoint` request for the newest checkpoint, to a witness that has seen `old_size`.
    ///
    /// # Errors
    /// `NoSuchRecord` if the log was never that large; `Io` or `Mismatch` if the tree cannot be read.
    pub fn witness_request(&self, old_size: u64) -> Result<String, AuditError> {
        let (checkpoint, note, mut tiles) = self.tree()?;
        let proof = consistency_proof(&mut tiles, old_size, checkpoint.size)?;
        let lines: String = proof.iter().map(|hash| STANDARD.encode(hash) + "\n").collect();
        Ok(format!("old {old_size}\n{lines}\n{note}"))
    }

    /// Keeps the cosignature lines that a witness answered for `note`, a checkpoint of this log. Lines of unknown
    /// witnesses, and any that do not hold, are refused.
    ///
    /// # Errors
    /// `Malformed` if a line is not a known witness's over that checkpoint; `Io` if it cannot be kept.
    pub fn add_cosignatures(&self, note: &str, lines: &str) -> Result<usize, AuditError> {
        let (checkpoint, mut kept) = Checkpoint::open(note.as_bytes(), self.verifier_key())?;
        let key = self.verifier_key();
        kept.signatures.retain(|s| s.name == key.name && s.key_id == key.id);
        let path = anchor_path(&self.folders().anchors, checkpoint.size);
        if let Some(before) = std::fs::read(&path).ok().and_then(|bytes| Note::parse(&bytes).ok())
            && before.text == kept.text
        {
            kept.signatures = before.signatures;
        }
        let mut count = 0;
        for line in lines.lines() {
            let signature = Signature::parse(line)?;
            let known = self.witness_keys().iter().any(|key| cosigned_at(key, &signature, &kept.text).is_some());
            if !known {
                return Err(AuditError::malformed(format!(
                    "`{}` is not a witness of this log, or did not cosign this",
                    signature.name
                )));
            }
            kept.signatures.retain(|old| old.key_id != signature.key_id || old.name != signature.name);
            if kept.signatures.len() < COSIGNATURE_COUNT_MAX {
                kept.signatures.push(signature);
                count += 1;
            }
        }
        self.disk().replace(&path, kept.to_string().as_bytes())?;
        drop_oldest(&self.folders().anchors);
        Ok(count)
    }
}

/// Takes away what is beyond the limit. What cannot be taken away now is taken away with the next.
fn drop_oldest(anchors: &Path) {
    let Ok(entries) = std::fs::read_dir(anchors) else { return };
    let size_of = |path: &Path| path.file_stem()?.to_str()?.parse::<u64>().ok();
    let mut sizes: Vec<u64> = entries.flatten().filter_map(|entry| size_of(&entry.path())).collect();
    sizes.sort_unstable();
    sizes.dedup();
    let surplus = sizes.len().saturating_sub(ANCHOR_COUNT_MAX);
    for size in sizes.into_iter().take(surplus) {
        drop(std::fs::remove_file(anchor_path(anchors, size)));
    }
}

pub(crate) fn anchor_path(anchors: &Path, size: u64) -> PathBuf {
    anchors.join(format!("{size}.cosig"))
}

/// The note with the cosignatures that are known for it.
pub(crate) fn with_cosignatures(anchors: &Path, size: u64, note: String) -> String {
    let anchored = std::fs::read_to_string(anchor_path(anchors, size)).ok();
    let text = |note: &str| Note::parse(note.as_bytes()).map(|note| note.text).ok();
    anchored.filter(|anchored| text(anchored) == text(&note)).unwrap_or(note)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_newest_cosigned_checkpoints_are_kept() {
        let dir = tempfile::tempdir().unwrap();
        for size in 0..ANCHOR_COUNT_MAX as u64 + 5 {
            std::fs::write(anchor_path(dir.path(), size * 7), "x").unwrap();
        }
        drop_oldest(dir.path());
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), ANCHOR_COUNT_MAX);
        assert!(!anchor_path(dir.path(), 28).exists() && anchor_path(dir.path(), 35).exists());
    }
}
