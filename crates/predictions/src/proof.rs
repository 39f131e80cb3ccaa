//! The proof of one prediction, which anybody can check without the server: its record lies in its batch's tree, the root of that
//! tree lies in the audit record of the batch's sealing, and that record lies in the signed log.

use admission::Receipt;
use audit::RecordView;
use audit::merkle::{Hash, NodeSource, inclusion_holds, inclusion_proof, root_of};
use audit::note::VerifierKey;
use audit::proof::TlogProof;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use kernel::{Problem, hex, parse_hex, sha256};
use serde::{Deserialize, Serialize};

use crate::record::{Record, digest};
use crate::values::Spoken;

/// What a proof's file says it is.
const KIND: &str = "strongroom-prediction-proof/1";

/// A proof, as its file holds it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Proof {
    kind: String,
    /// The prediction's record, byte for byte: the leaf.
    record: String,
    /// What was asked and said, in base64; none where it was not kept or is erased.
    values: Option<String>,
    /// Where in its batch it lies.
    index: u64,
    /// How many predictions its batch has.
    size: u64,
    /// From the leaf to the root, in hex, lowest first.
    path: Vec<String>,
    /// The root of the batch, in hex.
    root: String,
    /// The audit record of the batch's sealing, byte for byte.
    sealing: String,
    /// Its receipt (c2sp.org/tlog-proof@v1).
    receipt: String,
}

/// What a proof showed.
#[derive(Clone, Debug, PartialEq)]
pub struct Checked {
    /// The prediction's record.
    pub record: Record,
    /// What was asked and said, if the file holds it.
    pub spoken: Option<Spoken>,
    /// The root of its batch.
    pub root: String,
    /// The log that it is in.
    pub origin: String,
    /// The place of its batch's sealing in that log.
    pub log_index: u64,
    /// How many records that log had when it was signed.
    pub log_size: u64,
}

struct Leaves<'a>(&'a [Hash]);

impl NodeSource for Leaves<'_> {
    fn node(&mut self, height: u32, index: u64) -> Result<Hash, audit::AuditError> {
        let outside = || audit::AuditError::NoSuchRecord(index.to_string());
        let from = usize::try_from(index << height).map_err(|_| outside())?;
        let to = from.checked_add(1 << height).ok_or_else(outside)?;
        Ok(root_of(self.0.get(from..to).ok_or_else(outside)?))
    }
}

impl Proof {
    pub(crate) fn of(
        record: &[u8],
        values: Option<&[u8]>,
        leaves: &[Hash],
        index: usize,
        receipt: &Receipt,
    ) -> Result<Self, Problem> {
        let unreadable = |_| Problem::internal("a record cannot be put into a proof", "not UTF-8");
        let path = inclusion_proof(&mut Leaves(leaves), index as u64, leaves.len() as u64)?;
        Ok(Self {
            kind: KIND.to_owned(),
            record: std::str::from_utf8(record).map_err(unreadable)?.to_owned(),
            values: values.map(|values| STANDARD.encode(values)),
            index: index as u64,
            size: leaves.len() as u64,
            path: path.iter().map(|hash| hex(hash)).collect(),
            root: hex(&root_of(leaves)),
            sealing: std::str::from_utf8(&receipt.record).map_err(unreadable)?.to_owned(),
            receipt: receipt.proof.clone(),
        })
    }

    /// Reads a proof's file.
    ///
    /// # Errors
    /// `Invalid` if it is none.
    pub fn parse(text: &str) -> Result<Self, Problem> {
        let wrong = || Problem::invalid(format!("this is no proof of a prediction (`{KIND}`)"));
        let proof: Self = serde_json::from_str(text).map_err(|error| wrong().because(error))?;
        if proof.kind == KIND { Ok(proof) } else { Err(wrong()) }
    }

    /// Checks all of it, against the key of the log that is trusted.
    ///
    /// # Errors
    /// `Invalid`, saying what does not hold.
    pub fn check(&self, key: &VerifierKey) -> Result<Checked, Problem> {
        let wrong = |what: &str| Problem::invalid(format!("the proof does not hold: {what}"));
        let record = Record::parse(self.record.as_bytes()).ok_or_else(|| wrong("its record cannot be read"))?;
        let spoken = match &self.values {
            None => None,
            Some(values) => {
                let values = STANDARD.decode(values).map_err(|_| wrong("its values cannot be read"))?;
                if record.values_sha256.as_deref() != Some(hex(&sha256(&values)).as_str()) {
                    return Err(wrong("the values are not those that the record commits to"));
                }
                Some(Spoken::parse(&values).ok_or_else(|| wrong("its values cannot be read"))?)
            }
        };
        let root = hash(&self.root).ok_or_else(|| wrong("its root is no digest"))?;
        let path: Option<Vec<Hash>> = self.path.iter().map(|text| hash(text)).collect();
        let path = path.ok_or_else(|| wrong("its path is no list of digests"))?;
        if !inclusion_holds(&digest(self.record.as_bytes()), self.index, self.size, &path, &root) {
            return Err(wrong("the record is not in a batch with this root"));
        }
        let sealing =
            RecordView::parse(self.sealing.as_bytes()).ok_or_else(|| wrong("the record of the sealing cannot be read"))?;
        let detail = |name: &str| sealing.details.get(name);
        let is_sealing = sealing.action == "predictions.seal" && sealing.status.as_deref() == Some("done");
        let says_so = detail("root").and_then(|root| root.as_str()) == Some(self.root.as_str())
            && detail("requests").and_then(serde_json::Value::as_u64) == Some(self.size)
            && sealing.workspace.as_deref() == Some(record.workspace.as_str());
        if !is_sealing || !says_so {
            return Err(wrong("the audit record is not of the sealing of this batch"));
        }
        let receipt = TlogProof::parse(&self.receipt).map_err(|error| wrong(&error.to_string()))?;
        let checkpoint = receipt.check(self.sealing.as_bytes(), key).map_err(|error| wrong(&error.to_string()))?;
        Ok(Checked {
            spoken,
            root: self.root.clone(),
            origin: checkpoint.origin,
            log_index: receipt.index,
            log_size: checkpoint.size,
            record,
        })
    }
}

fn hash(text: &str) -> Option<Hash> {
    parse_hex(text)?.try_into().ok()
}
