//! Restores a backup into a fresh folder, without a server. Nothing that is there is written over; what was begun is gone on with.
//!
//! The folder is no data folder of a server until the caller takes the mark away, after it was proved.

mod logged;
mod loss;
mod replay;
mod unpack;

pub use logged::{Logged, replay_log};
pub use loss::{Loss, loss};
pub use replay::{Old, Replayed, replay};
pub use unpack::{MARK, Unpacked, finish, unpack};

use std::path::Path;

use kernel::Problem;
use vault::db::snapshot;

use crate::store;
use crate::types::Restored;

/// Where the database lies in a folder.
pub const DATABASE: &str = "db/strongroom.db";

/// Writes down what a database was restored from; everybody logs in again, and what the snapshot was in the middle of is over.
///
/// # Errors
/// `Invalid` if the database cannot be changed.
pub fn mark_restored(into: &Path, restored: &Restored) -> Result<(), Problem> {
    let restored = restored.clone();
    snapshot::change_file(&into.join(DATABASE), move |writer| {
        store::add_restored(writer, &restored)?;
        store::end_open_runs(writer)?;
        replay::end_sessions(writer)
    })
}
