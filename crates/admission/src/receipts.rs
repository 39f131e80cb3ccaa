//! The port to whoever gives receipts of the audit log: this room hands out those of what its own verbs recorded.

use gate::BoxFuture;
use kernel::Problem;

/// A record and its receipt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Receipt {
    /// The record's bytes.
    pub record: Vec<u8>,
    /// The receipt (c2sp.org/tlog-proof@v1).
    pub proof: String,
}

/// Gives receipts.
pub trait Receipts: Send + Sync + 'static {
    /// The receipt of the newest record of an entry.
    ///
    /// # Errors
    /// `NotFound` if there is none; `Unavailable` if the log is.
    fn receipt(&self, entry: String) -> BoxFuture<'_, Result<Receipt, Problem>>;
}
