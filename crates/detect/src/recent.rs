//! A map that keeps what was used last, and never more than its bound.

use std::collections::HashMap;
use std::hash::Hash;

/// Two halves: what is used goes into the young one; when that is full it becomes the old one, and what nobody used since goes.
///
/// INVARIANT: it holds at most `count_max` values. Held by `tests`.
#[derive(Debug)]
pub(crate) struct Recent<K, V> {
    young: HashMap<K, V>,
    old: HashMap<K, V>,
    half: usize,
}

impl<K: Hash + Eq + Clone, V: Default> Recent<K, V> {
    pub(crate) fn new(count_max: usize) -> Self {
        Self { young: HashMap::new(), old: HashMap::new(), half: (count_max / 2).max(1) }
    }

    /// The value of a key, made if there is none.
    pub(crate) fn entry(&mut self, key: &K) -> &mut V {
        if !self.young.contains_key(key) {
            if self.young.len() >= self.half {
                self.old = std::mem::take(&mut self.young);
            }
            let value = self.old.remove(key).unwrap_or_default();
            self.young.insert(key.clone(), value);
        }
        self.young.entry(key.clone()).or_default()
    }

    /// The value of a key. Looking does not keep it.
    pub(crate) fn peek(&self, key: &K) -> Option<&V> {
        self.young.get(key).or_else(|| self.old.get(key))
    }

    /// The value of a key, to be changed, where there is one. It keeps it no longer than it would be kept.
    pub(crate) fn get_mut(&mut self, key: &K) -> Option<&mut V> {
        self.young.get_mut(key).or_else(|| self.old.get_mut(key))
    }

    /// Takes a value out.
    pub(crate) fn remove(&mut self, key: &K) -> Option<V> {
        self.young.remove(key).or_else(|| self.old.remove(key))
    }

    /// All that there is.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&K, &V)> {
        self.young.iter().chain(&self.old)
    }

    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.young.len() + self.old.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_stays_within_its_bound_and_keeps_what_is_used() {
        let mut recent: Recent<u64, u64> = Recent::new(100);
        *recent.entry(&7) = 77;
        for key in 1_000..10_000_u64 {
            *recent.entry(&key) += 1;
            assert_eq!(*recent.entry(&7), 77, "what is used stays");
            assert!(recent.len() <= 100, "{}", recent.len());
        }
        assert_eq!(recent.peek(&1_000), None, "what nobody uses goes");
        assert_eq!(recent.remove(&7), Some(77));
        assert_eq!(recent.iter().count(), recent.len());
    }
}
