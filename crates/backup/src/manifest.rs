//! The manifest: what a backup is, signed. Canonical JSON (sorted keys, no spaces) in a DSSE envelope. Each names the digest of the
//! one before it, so that none can be taken out or put in between unseen.

use attest::dsse::Envelope;
use attest::keys::{EcdsaSigner, PublicKey, Signer};
use audit::LogPoint;
use audit::checkpoint::Checkpoint;
use audit::note::VerifierKey;
use kernel::{Problem, hex, parse_hex, sha256};
use serde::{Deserialize, Serialize};

use crate::error::BackupError;
use crate::inventory::{Blob, is_id};
use crate::target::Stored;

/// The type of the payload.
pub const PAYLOAD_TYPE: &str = "application/vnd.strongroom.backup+json";
/// The version of all of this.
pub const FORMAT: u64 = 1;
/// A manifest is refused beyond this.
pub const MANIFEST_BYTES_MAX: usize = 4 * 1024 * 1024;

/// A blob, as the manifest writes it. Fields in the order of their names: that is what makes the JSON canonical.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Part {
    /// Its random name.
    pub blob: String,
    /// Its digest, in hex.
    pub sha256: String,
    /// Its size.
    pub size_bytes: u64,
}

impl Part {
    /// That of a blob.
    #[must_use]
    pub fn of(blob: &Blob) -> Self {
        Self { blob: blob.id.clone(), sha256: hex(&blob.stored.sha256), size_bytes: blob.stored.size_bytes }
    }

    /// The blob, if it can be one.
    #[must_use]
    pub fn blob(&self) -> Option<Blob> {
        let sha256 = parse_hex(&self.sha256)?.try_into().ok()?;
        is_id(&self.blob).then(|| Blob { id: self.blob.clone(), stored: Stored { size_bytes: self.size_bytes, sha256 } })
    }
}

/// The log's point, as the manifest writes it.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Log {
    /// The signed checkpoint at or behind the point.
    pub note: String,
    /// Records before the point: what the database's snapshot stands for.
    pub point: u64,
    /// The root over them, in hex.
    pub point_root: String,
    /// The proof from the point to the checkpoint, in hex.
    pub proof: Vec<String>,
}

/// What a backup is.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// The database's snapshot.
    pub database: Part,
    /// When it was whole (microseconds).
    pub ended_at: i64,
    /// The database's engine.
    pub engine: String,
    /// [`FORMAT`].
    pub format: u64,
    /// Who asked for it: a principal's id.
    pub initiator: String,
    /// Which server: the origin of its log.
    pub instance: String,
    /// The list of what it holds.
    pub inventory: Part,
    /// Where in the log it stands.
    pub log: Log,
    /// How many objects it holds.
    pub object_count: u64,
    /// The digest of the manifest before it, in hex.
    pub previous: Option<String>,
    /// The steps of the schema.
    pub schema: Vec<String>,
    /// Its number, from 1 on.
    pub sequence: u64,
    /// When it was begun (microseconds): the snapshot is not older.
    pub started_at: i64,
}

/// A manifest that was read, and its digest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signed {
    /// What it says.
    pub manifest: Manifest,
    /// SHA-256 of its payload.
    pub sha256: [u8; 32],
}

/// The name of a manifest.
#[must_use]
pub fn name_of(sequence: u64) -> String {
    format!("manifests/{sequence:010}.json")
}

/// The number in a manifest's name.
#[must_use]
pub fn sequence_of(name: &str) -> Option<u64> {
    let sequence = name.strip_prefix("manifests/")?.strip_suffix(".json")?.parse().ok()?;
    (name_of(sequence) == name).then_some(sequence)
}

impl Log {
    /// That of a point.
    #[must_use]
    pub fn of(point: &LogPoint) -> Self {
        Self {
            note: point.note.clone(),
            point: point.point,
            point_root: hex(&point.point_root),
            proof: point.proof.iter().map(|hash| hex(hash)).collect(),
        }
    }

    /// The point, if the log's key signed its checkpoint and the proof holds.
    ///
    /// # Errors
    /// `Log` if not.
    pub fn check(&self, key: &VerifierKey) -> Result<LogPoint, BackupError> {
        let (checkpoint, _) = Checkpoint::open(self.note.as_bytes(), key).map_err(|error| BackupError::Log(error.to_string()))?;
        let hash = |text: &str| parse_hex(text).and_then(|bytes| bytes.try_into().ok());
        let wrong = || BackupError::Log("a hash in the manifest is none".to_owned());
        let point = LogPoint {
            point: self.point,
            point_root: hash(&self.point_root).ok_or_else(wrong)?,
            checkpoint,
            note: self.note.clone(),
            proof: self.proof.iter().map(|text| hash(text)).collect::<Option<_>>().ok_or_else(wrong)?,
        };
        if !point.holds() {
            return Err(BackupError::Log(format!("record {} is not on the way to its checkpoint", self.point)));
        }
        Ok(point)
    }
}

impl Manifest {
    /// Signs it: the envelope's bytes, and the payload's digest.
    ///
    /// # Errors
    /// `Internal` if it cannot be written or signed.
    pub fn sign(&self, signer: &EcdsaSigner) -> Result<(Vec<u8>, [u8; 32]), Problem> {
        let failed = |error: &dyn std::fmt::Display| Problem::internal("the manifest could not be signed", error.to_string());
        let payload = serde_json::to_vec(self).map_err(|error| failed(&error))?;
        let envelope =
            Envelope::sign(signer, PAYLOAD_TYPE, &payload, &signer.public_key().key_id()).map_err(|error| failed(&error))?;
        let bytes = serde_json::to_vec(&envelope).map_err(|error| failed(&error))?;
        Ok((bytes, sha256(&payload)))
    }
}

/// Reads the manifest of that number, if the trusted key signed it.
///
/// # Errors
/// `Malformed` or `Signer` if it is not one, is of another number, or is signed by another key.
pub fn open(sequence: u64, bytes: &[u8], trusted: &PublicKey) -> Result<Signed, BackupError> {
    let malformed = |why: String| BackupError::Malformed(sequence, why);
    let envelope = Envelope::parse(bytes).map_err(|error| malformed(error.to_string()))?;
    let (payload, _) = envelope.verify(PAYLOAD_TYPE, &[trusted]).map_err(|error| match error {
        attest::AttestError::BadSignature(_) => BackupError::Signer(sequence),
        other => malformed(other.to_string()),
    })?;
    let manifest: Manifest = serde_json::from_slice(&payload).map_err(|error| malformed(error.to_string()))?;
    if manifest.format != FORMAT {
        return Err(malformed(format!("it is of format {}, and this program reads {FORMAT}", manifest.format)));
    }
    if manifest.sequence != sequence {
        return Err(BackupError::Chain(sequence, format!("its manifest is that of backup {}", manifest.sequence)));
    }
    Ok(Signed { manifest, sha256: sha256(&payload) })
}

#[cfg(test)]
pub(crate) mod tests {
    use kernel::Secret;

    use super::*;

    pub(crate) fn signer(byte: u8) -> EcdsaSigner {
        EcdsaSigner::from_seed(&Secret::new(vec![byte; 32])).unwrap()
    }

    pub(crate) fn sample(sequence: u64) -> Manifest {
        let part = Part { blob: "a".repeat(32), sha256: hex(&[1; 32]), size_bytes: 5 };
        Manifest {
            database: part.clone(),
            ended_at: 2,
            engine: "sqlite".to_owned(),
            format: FORMAT,
            initiator: "u1".to_owned(),
            instance: "here".to_owned(),
            inventory: part,
            log: Log { note: String::new(), point: 0, point_root: String::new(), proof: Vec::new() },
            object_count: 0,
            previous: None,
            schema: vec!["0001_core".to_owned()],
            sequence,
            started_at: 1,
        }
    }

    #[test]
    fn a_manifest_is_that_of_its_signer_and_number() {
        let (bytes, digest) = sample(3).sign(&signer(1)).unwrap();
        let trusted = signer(1);
        let read = open(3, &bytes, trusted.public_key()).unwrap();
        assert_eq!((read.manifest, read.sha256), (sample(3), digest));
        assert!(matches!(open(3, &bytes, signer(2).public_key()), Err(BackupError::Signer(3))));
        assert!(matches!(open(4, &bytes, trusted.public_key()), Err(BackupError::Chain(4, _))));
        for cut in [0, 1, bytes.len() / 2, bytes.len() - 1] {
            assert!(matches!(open(3, &bytes[..cut], trusted.public_key()), Err(BackupError::Malformed(3, _))), "{cut}");
        }
        let newer = Manifest { format: 2, ..sample(3) };
        let (bytes, _) = newer.sign(&trusted).unwrap();
        assert!(matches!(open(3, &bytes, trusted.public_key()), Err(BackupError::Malformed(3, _))));
    }

    #[test]
    fn the_payload_has_its_keys_in_order() {
        let text = serde_json::to_string(&sample(1)).unwrap();
        let value: std::collections::BTreeMap<String, serde_json::Value> = serde_json::from_str(&text).unwrap();
        assert_eq!(serde_json::to_string(&value).unwrap(), text, "what is sorted already stays as it is");
    }

    #[test]
    fn names_and_numbers_go_both_ways() {
        assert_eq!(sequence_of(&name_of(12)), Some(12));
        for bad in ["manifests/12.json", "manifests/00000000x2.json", "manifests/+000000012.json", "blobs/0000000012.json"] {
            assert_eq!(sequence_of(bad), None, "{bad}");
        }
    }
}
