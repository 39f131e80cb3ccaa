//! Leave to restore one backup: a signed document, made where the server still ran, checked where it does not.

use attest::dsse::Envelope;
use attest::keys::{EcdsaSigner, Signer};
use kernel::{Micros, Problem, hex};
use serde::{Deserialize, Serialize};

use crate::manifest::Signed;
use crate::trust::Trust;
use crate::types::Request;

/// How long it counts.
pub const APPROVAL_HOURS: i64 = 72;
const PAYLOAD_TYPE: &str = "application/vnd.strongroom.restore-approval+json";
/// The version of such a document. Those of version 1 may be of service accounts, behind which there may be one person alone.
const FORMAT: u64 = 2;

/// Leave to restore. Fields in the order of their names.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Approval {
    /// When it was given (microseconds).
    pub approved_at: i64,
    /// By whom: a principal's id.
    pub approved_by: String,
    /// When it was asked for.
    pub asked_at: i64,
    /// By whom.
    pub asked_by: String,
    /// Until when it counts.
    pub expires_at: i64,
    /// The version of the document: 2.
    pub format: u64,
    /// Which server: the origin of its log.
    pub instance: String,
    /// The manifest's digest, in hex.
    pub manifest_sha256: String,
    /// Why.
    pub reason: String,
    /// The request's id.
    pub request_id: String,
    /// The backup's number.
    pub sequence: u64,
}

impl Approval {
    /// That of a request.
    #[must_use]
    pub fn of(request: &Request, by: &str, at: Micros, until: Micros, instance: &str) -> Self {
        Self {
            approved_at: at.0,
            approved_by: by.to_owned(),
            asked_at: request.asked_at.0,
            asked_by: request.asked_by.clone(),
            expires_at: until.0,
            format: FORMAT,
            instance: instance.to_owned(),
            manifest_sha256: hex(&request.manifest_sha256),
            reason: request.reason.clone(),
            request_id: request.id.clone(),
            sequence: request.sequence,
        }
    }

    /// Signs it.
    ///
    /// # Errors
    /// `Internal` if it cannot be written or signed.
    pub fn sign(&self, signer: &EcdsaSigner) -> Result<Vec<u8>, Problem> {
        let failed = |why: String| Problem::internal("the approval could not be signed", why);
        let payload = serde_json::to_vec(self).map_err(|error| failed(error.to_string()))?;
        let envelope = Envelope::sign(signer, PAYLOAD_TYPE, &payload, &signer.public_key().key_id());
        let envelope = envelope.map_err(|error| failed(error.to_string()))?;
        serde_json::to_vec(&envelope).map_err(|error| failed(error.to_string()))
    }

    /// Reads one that gives leave to restore this backup now.
    ///
    /// # Errors
    /// `Forbidden`, saying why it does not.
    pub fn open(bytes: &[u8], trust: &Trust, of: &Signed, now: Micros) -> Result<Self, Problem> {
        let refused = |why: &str| Problem::forbidden(format!("the approval does not allow this restore: {why}"));
        let envelope = Envelope::parse(bytes).map_err(|error| refused(&error.to_string()))?;
        let (payload, _) = envelope.verify(PAYLOAD_TYPE, &[&trust.signer]).map_err(|error| refused(&error.to_string()))?;
        let approval: Self = serde_json::from_slice(&payload).map_err(|error| refused(&error.to_string()))?;
        if approval.format != FORMAT {
            return Err(refused(
                "it was given by another version of the server (older ones took service accounts for people); ask again",
            ));
        }
        if approval.instance != trust.instance {
            return Err(refused("it is of another server"));
        }
        if approval.manifest_sha256 != hex(&of.sha256) || approval.sequence != of.manifest.sequence {
            return Err(refused(&format!("it is for backup {}", approval.sequence)));
        }
        if approval.asked_by == approval.approved_by {
            return Err(refused("who asked for it also approved it"));
        }
        if approval.expires_at < now.0 {
            return Err(refused("its time is over; ask again"));
        }
        Ok(approval)
    }
}

#[cfg(test)]
mod tests {
    use audit::note::{KIND_ED25519, NoteSigner};
    use kernel::Secret;

    use super::*;
    use crate::manifest::tests::{sample, signer};

    fn trust() -> Trust {
        let log = NoteSigner::new("here", KIND_ED25519, &Secret::new(vec![3; 32])).unwrap().key().clone();
        Trust { key: Secret::new(vec![1; 32]), signer: signer(1).public_key().clone(), log, instance: "here".to_owned() }
    }

    fn request() -> Request {
        Request {
            id: "r1".to_owned(),
            target: "/a".to_owned(),
            sequence: 3,
            manifest_sha256: vec![5; 32],
            reason: "the disk died".to_owned(),
            asked_by: "u1".to_owned(),
            asked_by_name: None,
            asked_at: Micros(1),
            approved_by: None,
            approved_at: None,
            expires_at: None,
        }
    }

    #[test]
    fn leave_is_for_one_backup_of_one_server_for_a_while_by_another_person() {
        let of = Signed { manifest: sample(3), sha256: [5; 32] };
        let given = Approval::of(&request(), "u2", Micros(2), Micros(10), "here");
        let check = |approval: &Approval, by: u8, of: &Signed, now: i64| {
            Approval::open(&approval.sign(&signer(by)).unwrap(), &trust(), of, Micros(now))
        };
        assert_eq!(check(&given, 1, &of, 10).unwrap(), given);
        let refusals = [
            (check(&given, 2, &of, 5), "trusted"),
            (check(&given, 1, &of, 11), "over"),
            (check(&given, 1, &Signed { sha256: [6; 32], ..of.clone() }, 5), "backup 3"),
            (check(&Approval { approved_by: "u1".to_owned(), ..given.clone() }, 1, &of, 5), "also approved"),
            (check(&Approval { instance: "there".to_owned(), ..given.clone() }, 1, &of, 5), "another server"),
            (check(&Approval { format: 1, ..given.clone() }, 1, &of, 5), "another version"),
        ];
        for (refusal, word) in refusals {
            let problem = refusal.unwrap_err();
            assert!(problem.message().contains(word), "{problem}");
        }
        let mut bytes = given.sign(&signer(1)).unwrap();
        bytes.truncate(bytes.len() - 2);
        assert!(Approval::open(&bytes, &trust(), &of, Micros(5)).is_err());
    }
}
