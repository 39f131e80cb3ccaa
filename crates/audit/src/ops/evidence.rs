//! A stretch of the log without a gap, for somebody who cannot ask the log any more.

use gate::{Action, Operation, Outcome, Permit, Target};
use kernel::{Kind, Problem};

use crate::merkle::{Hash, leaf_hash, stretch_holds, stretch_proof};
use crate::ops::blocking;
use crate::room::Audit;

/// Records of one stretch, at most.
pub const EVIDENCE_COUNT_MAX: u64 = 200_000;
/// Their bytes, at most.
const EVIDENCE_BYTES_MAX: usize = 64 * 1024 * 1024;

/// Gives the records `from..to`, with what shows that none is missing. The log keeps what report they were taken out for.
pub struct TakeEvidence {
    /// The room.
    pub room: Audit,
    /// The first record.
    pub from: u64,
    /// Behind the last.
    pub to: u64,
    /// SHA-256 of the report that they stand behind, in hex.
    pub report_sha256: String,
}

/// Such a stretch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stretch {
    /// The first record's place in the log.
    pub from: u64,
    /// The records' bytes.
    pub records: Vec<Vec<u8>>,
    /// The hashes of all that lies outside, left to right.
    pub outside: Vec<Hash>,
    /// The signed checkpoint that covers them.
    pub checkpoint: String,
    /// The key that checks it.
    pub verifier_key: String,
    /// The entry under which the log keeps that they were taken out.
    pub entry: String,
}

impl Operation for TakeEvidence {
    const ACTION: Action = Action::read("audit.evidence");
    type Output = Stretch;

    fn target(&self) -> Target {
        Target::AuditLog
    }

    async fn run(self, permit: Permit<Self>) -> Result<Stretch, Problem> {
        let Self { room, from, to, report_sha256 } = self;
        if kernel::parse_hex(&report_sha256).is_none_or(|digest| digest.len() != 32) {
            return Err(Problem::invalid("`report_sha256` is a SHA-256 in hex"));
        }
        if from >= to || to - from > EVIDENCE_COUNT_MAX {
            let message = format!("`from` and `to` name 1 to {EVIDENCE_COUNT_MAX} records; narrow the time");
            return Err(Problem::invalid(message));
        }
        let outcome = permit.defer_outcome();
        let entry = permit.entry().id.clone();
        let log = room.log;
        log.flush().await?;
        let stretch = blocking(move || {
            let (checkpoint, note, mut tiles) = log.tree()?;
            let outside = stretch_proof(&mut tiles, from, to, checkpoint.size)?;
            let (mut records, mut bytes) = (Vec::new(), 0_usize);
            tiles.each_entry(from, to, |_, record| {
                bytes = bytes.saturating_add(record.len());
                records.push(record.to_vec());
                bytes <= EVIDENCE_BYTES_MAX
            })?;
            if bytes > EVIDENCE_BYTES_MAX {
                let message = format!("these records have more than {EVIDENCE_BYTES_MAX} bytes; narrow the time");
                return Err(Problem::new(Kind::TooLarge, message));
            }
            let leaves: Vec<Hash> = records.iter().map(|record| leaf_hash(record)).collect();
            // What is handed out as evidence has been checked once.
            if !stretch_holds(&leaves, from, checkpoint.size, &outside, &checkpoint.root) {
                let broken =
                    crate::error::AuditError::Mismatch(format!("the records {from}..{to} are not what the checkpoint says"));
                return Err(broken.into());
            }
            Ok(Stretch { from, records, outside, checkpoint: note, verifier_key: log.verifier_key().to_string(), entry })
        })
        .await?;
        outcome.settle(
            &Outcome::done()
                .with("from", i64::try_from(from).unwrap_or(i64::MAX))
                .with("records", i64::try_from(stretch.records.len()).unwrap_or(i64::MAX))
                .with("report_sha256", report_sha256),
        );
        Ok(stretch)
    }
}
