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
    /// The verifier key of the log.
    pub log_key: String,
}

/// Gives receipts.
pub trait Receipts: Send + Sync + 'static {
    /// The receipt of the newest record of an entry.
    ///
    /// # Errors
    /// `NotFound` if there is none; `Unavailable` if the log is.
    fn receipt(&self, entry: String) -> BoxFuture<'_, Result<Receipt, Problem>>;

    /// Whether a receipt shows its record in the log of `log_key`: says where, or why not. Whoever cannot tell says no.
    ///
    /// # Errors
    /// Why it does not.
    fn holds(&self, _proof: &str, _record: &[u8], _log_key: &str) -> Result<String, String> {
        Err("receipts are not checked here".to_owned())
    }
}
