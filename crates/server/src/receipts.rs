//! Receipts of the log, for the room that puts them into evidence.

use admission::{Receipt, Receipts};
use audit::Audit;
use audit::note::VerifierKey;
use audit::ops::{Proven, Which};
use audit::proof::TlogProof;
use gate::BoxFuture;
use kernel::Problem;

/// The log, asked for receipts.
pub struct LogReceipts(pub Audit);

impl Receipts for LogReceipts {
    fn receipt(&self, entry: String) -> BoxFuture<'_, Result<Receipt, Problem>> {
        Box::pin(async move {
            let Proven { record, proof, verifier_key: log_key, .. } = self.0.prove(Which::Entry(entry)).await?;
            Ok(Receipt { record, proof, log_key })
        })
    }

    fn holds(&self, proof: &str, record: &[u8], log_key: &str) -> Result<String, String> {
        let key = VerifierKey::parse(log_key).map_err(|error| error.to_string())?;
        in_a_log(&[key], proof, record)
    }
}

/// Whether a receipt shows its record in a log whose key is among these; says in which, or why not.
///
/// # Errors
/// Why not.
pub fn in_a_log(keys: &[VerifierKey], receipt: &str, record: &[u8]) -> Result<String, String> {
    let proof = TlogProof::parse(receipt).map_err(|error| error.to_string())?;
    let mut why = String::new();
    for key in keys {
        match proof.check(record, key) {
            Ok(checkpoint) => {
                return Ok(format!("record {} of {} in the log `{}`", proof.index, checkpoint.size, checkpoint.origin));
            }
            Err(error) => why = error.to_string(),
        }
    }
    Err(why)
}
