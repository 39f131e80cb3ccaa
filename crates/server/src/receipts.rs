//! Receipts of the log, for the room that puts them into evidence.

use admission::{Receipt, Receipts};
use audit::Audit;
use audit::ops::{Proven, Which};
use gate::BoxFuture;
use kernel::Problem;

/// The log, asked for receipts.
pub struct LogReceipts(pub Audit);

impl Receipts for LogReceipts {
    fn receipt(&self, entry: String) -> BoxFuture<'_, Result<Receipt, Problem>> {
        Box::pin(async move {
            let Proven { record, proof, .. } = self.0.prove(Which::Entry(entry)).await?;
            Ok(Receipt { record, proof })
        })
    }
}
