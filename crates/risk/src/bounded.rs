//! Maps that cannot grow past their limit.

use std::collections::HashMap;

use kernel::Micros;
use parking_lot::Mutex;

use crate::keys::Key;

const SHARD_COUNT: usize = 16;

/// A value that grows old.
pub(crate) trait Aging: Clone {
    /// Whether it says the same as no value at all.
    fn is_stale(&self, now: Micros) -> bool;
    /// What is given up first when there is no room: the smallest.
    fn age_mark(&self) -> Micros;
}

/// A map from keyed hashes. When it is full, the stale go first, then the older half.
pub(crate) struct Bounded<V> {
    shards: [Mutex<HashMap<Key, V>>; SHARD_COUNT],
    shard_count_max: usize,
}

impl<V: Aging> Bounded<V> {
    pub(crate) fn new(count_max: usize) -> Self {
        Self { shards: std::array::from_fn(|_| Mutex::default()), shard_count_max: (count_max / SHARD_COUNT).max(1) }
    }

    pub(crate) fn get(&self, key: &Key, now: Micros) -> Option<V> {
        self.shard(key).and_then(|shard| shard.lock().get(key).cloned()).filter(|value| !value.is_stale(now))
    }

    /// Replaces the value by what `change` makes of it; `None` removes it. Gives the value after that.
    pub(crate) fn change(&self, key: Key, now: Micros, change: impl FnOnce(Option<V>) -> Option<V>) -> Option<V> {
        let mut map = self.shard(&key)?.lock();
        let known = map.get(&key).cloned().filter(|value| !value.is_stale(now));
        let changed = change(known);
        match &changed {
            Some(value) => {
                if map.len() >= self.shard_count_max && !map.contains_key(&key) {
                    make_room(&mut map, self.shard_count_max, now);
                }
                map.insert(key, value.clone());
            }
            None => drop(map.remove(&key)),
        }
        changed
    }

    /// Forgets what is stale.
    pub(crate) fn sweep(&self, now: Micros) {
        for shard in &self.shards {
            shard.lock().retain(|_, value| !value.is_stale(now));
        }
    }

    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.shards.iter().map(|shard| shard.lock().len()).sum()
    }

    fn shard(&self, key: &Key) -> Option<&Mutex<HashMap<Key, V>>> {
        self.shards.get(usize::from(key.first()? % 16))
    }
}

fn make_room<V: Aging>(map: &mut HashMap<Key, V>, count_max: usize, now: Micros) {
    map.retain(|_, value| !value.is_stale(now));
    if map.len() < count_max {
        return;
    }
    let mut marks: Vec<Micros> = map.values().map(Aging::age_mark).collect();
    let middle = marks.len() / 2;
    let (_, oldest_kept, _) = marks.select_nth_unstable(middle);
    let oldest_kept = *oldest_kept;
    map.retain(|_, value| value.age_mark() > oldest_kept);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Clone, Copy)]
    struct At(Micros);

    impl Aging for At {
        fn is_stale(&self, now: Micros) -> bool {
            self.0.plus_secs(100) < now
        }

        fn age_mark(&self) -> Micros {
            self.0
        }
    }

    fn key(number: u32) -> Key {
        let mut key = [0_u8; 16];
        key[..4].copy_from_slice(&number.to_le_bytes());
        key
    }

    #[test]
    fn it_stays_within_its_limit_and_keeps_the_newest() {
        let map = Bounded::new(160);
        for number in 0..10_000_u32 {
            let now = Micros(i64::from(number));
            map.change(key(number), now, |_| Some(At(now)));
            assert!(map.len() <= 160);
        }
        assert!(map.get(&key(9_999), Micros(10_000)).is_some());
        assert!(map.get(&key(0), Micros(10_000)).is_none());
        map.sweep(Micros(200_000_000));
        assert_eq!(map.len(), 0);
    }

    #[test]
    fn what_is_stale_is_not_given_and_can_be_removed() {
        let map = Bounded::new(160);
        map.change(key(1), Micros(0), |_| Some(At(Micros(0))));
        assert!(map.get(&key(1), Micros(200_000_000)).is_none());
        map.change(key(1), Micros(1), |known| {
            assert!(known.is_some());
            None
        });
        assert_eq!(map.len(), 0);
    }
}
