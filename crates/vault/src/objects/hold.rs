//! Deletions wait while a backup copies what a snapshot of the database names.

use std::sync::Arc;

use gate::Permit;
use kernel::Problem;
use parking_lot::Mutex;
use tokio::sync::{OwnedRwLockReadGuard, OwnedRwLockWriteGuard, RwLock};

use super::{ObjectId, Objects};

/// Shared by all clones of the objects.
#[derive(Clone, Default)]
pub(super) struct Holds {
    /// Held for reading by whoever takes something away, for writing while nothing may go.
    turn: Arc<RwLock<()>>,
    /// What is to go once that is over.
    waiting: Arc<Mutex<Vec<ObjectId>>>,
}

impl Holds {
    /// The turn of one that takes something away; none while nothing may go.
    pub(super) fn try_turn(&self) -> Option<OwnedRwLockReadGuard<()>> {
        Arc::clone(&self.turn).try_read_owned().ok()
    }

    pub(super) fn wait(&self, ids: Vec<ObjectId>) {
        self.waiting.lock().extend(ids);
    }
}

/// While it lives, no object is taken away: deletions wait for its end, sweeps do nothing.
///
/// What waits when the process ends is named by no row any more: the next sweep takes it.
pub struct Hold {
    objects: Objects,
    turn: OwnedRwLockWriteGuard<()>,
}

impl Hold {
    /// Lets go, and takes away what was to go meanwhile.
    ///
    /// # Errors
    /// `Unavailable` if the store cannot do it now; the rest is left to the next sweep.
    pub async fn release<O: ?Sized>(self, permit: &Permit<O>) -> Result<(), Problem> {
        let Self { objects, turn } = self;
        let waiting = std::mem::take(&mut *objects.holds.waiting.lock());
        drop(turn);
        if waiting.is_empty() { Ok(()) } else { objects.delete(permit, waiting).await }
    }
}

impl Objects {
    /// From now on until the hold ends, nothing is taken away. It waits for those that do so just now.
    pub async fn hold(&self) -> Hold {
        let turn = Arc::clone(&self.holds.turn).write_owned().await;
        Hold { objects: self.clone(), turn }
    }
}
