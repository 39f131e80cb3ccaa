//! The room's verbs.

mod checkpoint;
mod evidence;
mod export;
mod prove;
mod search;
mod tile;
mod verify;

pub use checkpoint::ReadCheckpoint;
pub use evidence::{EVIDENCE_COUNT_MAX, Stretch, TakeEvidence};
pub use export::{Export, Exported};
pub use prove::{Prove, Proven, Which};
pub use search::Search;
pub use tile::ReadTile;
pub use verify::Verify;

use kernel::Problem;

/// Reading the log is reading files: it runs where blocking is allowed.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T, Problem> + Send + 'static) -> Result<T, Problem> {
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result,
        Err(broken) => Err(Problem::internal("the audit log could not be read; this is a fault of the server", broken)),
    }
}
