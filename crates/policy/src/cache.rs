//! Requests that were put together before, from the grants of the current generation only. What Cedar said of one is kept with it:
//! see [`Prepared`].

use std::collections::HashMap;
use std::sync::Arc;

use gate::{Caller, CallerKind};
use kernel::Micros;
use parking_lot::RwLock;

use crate::engine::Prepared;
use crate::place::Place;

/// Requests kept; when full, all are dropped, which costs each one rebuild.
const PREPARED_COUNT_MAX: usize = 4_096;

/// The requests of one caller, for the groups it then had.
struct Shelf {
    kind: CallerKind,
    groups: Vec<String>,
    by_verb: HashMap<String, HashMap<Place, Arc<Prepared>>>,
}

#[derive(Default)]
struct Shelves {
    count: usize,
    by_caller: HashMap<String, Shelf>,
}

/// The cache.
#[derive(Default)]
pub(crate) struct PreparedCache(RwLock<Shelves>);

impl PreparedCache {
    /// A request of this generation none of whose grants has expired.
    pub(crate) fn get(&self, caller: &Caller, verb: &str, place: &Place, generation: i64, now: Micros) -> Option<Arc<Prepared>> {
        let shelves = self.0.read();
        let shelf = shelves.by_caller.get(&caller.id)?;
        if shelf.kind != caller.kind || shelf.groups != caller.groups {
            return None;
        }
        let prepared = shelf.by_verb.get(verb)?.get(place)?;
        let fresh = prepared.generation == generation && prepared.valid_until.is_none_or(|end| now < end);
        fresh.then(|| Arc::clone(prepared))
    }

    /// Keeps a request.
    pub(crate) fn put(&self, caller: &Caller, verb: &str, place: Place, prepared: Arc<Prepared>) {
        let mut shelves = self.0.write();
        // Freed when nobody waits for them any more: thousands of them take milliseconds.
        let _forgotten = (shelves.count >= PREPARED_COUNT_MAX).then(|| std::mem::take(&mut *shelves));
        let shelf = shelves.by_caller.entry(caller.id.clone()).or_insert_with(|| Shelf::new(caller));
        if shelf.kind != caller.kind || shelf.groups != caller.groups {
            *shelf = Shelf::new(caller);
        }
        shelf.by_verb.entry(verb.to_owned()).or_default().insert(place, prepared);
        // Counts what was ever put since the last clearing: an upper bound of what is kept.
        shelves.count += 1;
        drop(shelves);
    }
}

impl Shelf {
    fn new(caller: &Caller) -> Self {
        Self { kind: caller.kind, groups: caller.groups.clone(), by_verb: HashMap::new() }
    }
}
