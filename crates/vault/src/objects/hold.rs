//! Deletions wait while a backup copies what a snapshot of the database names, and while what they take away is being sent.

use std::collections::{HashMap, HashSet};
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
    /// What is being sent.
    sent: Arc<Mutex<Sent>>,
}

/// Objects that are being sent.
#[derive(Default)]
struct Sent {
    /// How often each.
    counts: HashMap<ObjectId, usize>,
    /// Those that are to go once nobody sends them.
    leaving: HashSet<ObjectId>,
}

impl Holds {
    /// The turn of one that takes something away; none while nothing may go.
    pub(super) fn try_turn(&self) -> Option<OwnedRwLockReadGuard<()>> {
        Arc::clone(&self.turn).try_read_owned().ok()
    }

    pub(super) fn wait(&self, ids: Vec<ObjectId>) {
        self.waiting.lock().extend(ids);
    }

    /// Those of them that may go now; the others go when they were sent.
    pub(super) fn unsent(&self, mut ids: Vec<ObjectId>) -> Vec<ObjectId> {
        let mut sent = self.sent.lock();
        let Sent { counts, leaving } = &mut *sent;
        if !counts.is_empty() {
            leaving.extend(ids.extract_if(.., |id| counts.contains_key(id)));
        }
        ids
    }

    pub(super) fn is_sent(&self, id: &str) -> bool {
        let sent = self.sent.lock();
        // Hardly any is: no id is made of a text that is none.
        !sent.counts.is_empty() && ObjectId::parse(id).is_ok_and(|id| sent.counts.contains_key(&id))
    }

    fn begin_sending(&self, ids: &[ObjectId]) {
        let mut sent = self.sent.lock();
        for id in ids {
            let count = sent.counts.entry(id.clone()).or_default();
            *count = count.saturating_add(1);
        }
    }

    /// Gives those that are to go.
    fn end_sending(&self, ids: &[ObjectId]) -> Vec<ObjectId> {
        let mut sent = self.sent.lock();
        let Sent { counts, leaving } = &mut *sent;
        let mut gone = Vec::new();
        for id in ids {
            let left = counts.get(id).map_or(0, |count| count.saturating_sub(1));
            if left > 0 {
                counts.insert(id.clone(), left);
                continue;
            }
            counts.remove(id);
            gone.extend(leaving.take(id));
        }
        gone
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

/// While it lives, these objects can be opened: who takes one away does so at its end.
///
/// What is to go when the process ends is named by no row any more: the next sweep takes it.
pub(super) struct Use {
    objects: Objects,
    ids: Vec<ObjectId>,
}

impl Drop for Use {
    fn drop(&mut self) {
        let leaving = self.objects.holds.end_sending(&self.ids);
        let (count, objects) = (leaving.len(), self.objects.clone());
        if count == 0 {
            return;
        }
        let Ok(runtime) = tokio::runtime::Handle::try_current() else { return };
        drop(runtime.spawn(async move {
            if let Err(problem) = objects.take_away(leaving).await {
                tracing::warn!(%problem, count, "objects that nothing names could not be taken away; the next sweep does it");
            }
        }));
    }
}

impl Objects {
    /// From now on until the use ends, these stay where they are.
    pub(super) fn using(&self, ids: Vec<ObjectId>) -> Use {
        self.holds.begin_sending(&ids);
        Use { objects: self.clone(), ids }
    }

    /// From now on until the hold ends, nothing is taken away. It waits for those that do so just now.
    pub async fn hold(&self) -> Hold {
        let turn = Arc::clone(&self.holds.turn).write_owned().await;
        Hold { objects: self.clone(), turn }
    }
}
