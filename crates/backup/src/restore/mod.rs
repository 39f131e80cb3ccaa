//! Restores a backup into a fresh folder and, on PostgreSQL, a fresh database, without a server. Nothing that is there is written over;
//! what was begun is gone on with.
//!
//! The folder is no data folder of a server until the caller takes the mark away, after it was proved.

mod factors;
mod held;
mod locks;
mod logged;
mod loss;
mod mail;
mod replay;
mod settled;
#[cfg(test)]
mod testing;
mod told;
mod unpack;
mod verbs;

pub use logged::Logged;
pub use loss::{Loss, loss};
pub use replay::{Old, Replayed, replay};
pub use told::replay_log;
pub use unpack::{MARK, Unpacked, finish, place_checkpoint, unpack};
pub use verbs::{Tells, tells};

use kernel::Problem;
use vault::db::Location;

use crate::store;
use crate::types::Restored;

/// Where a SQLite database lies in a folder.
pub const DATABASE: &str = "db/strongroom.db";
/// Where the dump of a PostgreSQL database lies in a folder until it was put into a fresh one.
pub const DUMP: &str = "db/strongroom.dump";

/// Writes down what a database was restored from; everybody logs in again, and what the snapshot was in the middle of is over.
///
/// # Errors
/// `Invalid` if the database cannot be changed.
pub fn mark_restored(into: &Location, restored: &Restored) -> Result<(), Problem> {
    let restored = restored.clone();
    into.change(move |writer| {
        store::add_restored(writer, &restored)?;
        store::end_open_runs(writer)?;
        replay::end_sessions(writer)
    })
}
