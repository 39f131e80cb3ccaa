//! What was used of late, at most so many.

use std::collections::HashMap;

/// A bounded map that drops what was not used for the longest time.
pub(super) struct Recent<T> {
    kept: HashMap<String, Kept<T>>,
    count_max: usize,
    /// Counts uses.
    now: u64,
}

struct Kept<T> {
    value: T,
    used_at: u64,
}

impl<T: Clone> Recent<T> {
    pub(super) fn new(count_max: usize) -> Self {
        Self { kept: HashMap::new(), count_max, now: 0 }
    }

    pub(super) fn get(&mut self, key: &str) -> Option<T> {
        let kept = self.kept.get_mut(key)?;
        self.now = self.now.saturating_add(1);
        kept.used_at = self.now;
        Some(kept.value.clone())
    }

    pub(super) fn put(&mut self, key: &str, value: T) {
        if !self.kept.contains_key(key) && self.kept.len() >= self.count_max {
            self.drop_oldest();
        }
        self.now = self.now.saturating_add(1);
        self.kept.insert(key.to_owned(), Kept { value, used_at: self.now });
    }

    pub(super) fn clear(&mut self) {
        self.kept.clear();
    }

    /// Looks at all of them, which costs nothing beside the round trip that every `put` comes from.
    fn drop_oldest(&mut self) {
        let oldest = self.kept.iter().min_by_key(|(_, kept)| kept.used_at).map(|(key, _)| key.clone());
        if let Some(oldest) = oldest {
            self.kept.remove(&oldest);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Puts and gets the letters of `uses` in turn, and gives those that are there afterwards.
    fn check(count_max: usize, uses: &str, left: &str) {
        let mut recent = Recent::new(count_max);
        for letter in uses.chars().map(String::from) {
            match recent.get(&letter) {
                Some(value) => assert_eq!(value, letter),
                None => recent.put(&letter, letter.clone()),
            }
            assert!(recent.kept.len() <= count_max, "{uses}");
        }
        let mut there: Vec<&str> = recent.kept.keys().map(String::as_str).collect();
        there.sort_unstable();
        assert_eq!(there.concat(), left, "{uses}");
    }

    #[test]
    fn what_was_not_used_for_longest_is_dropped() {
        check(3, "abc", "abc");
        check(3, "abcd", "bcd");
        check(3, "abcad", "acd");
        check(3, "abcabdbe", "bde");
        check(1, "aab", "b");
    }

    #[test]
    fn a_key_that_is_put_again_takes_no_second_place() {
        let mut recent = Recent::new(2);
        for (key, value) in [("a", 1), ("b", 2), ("a", 3)] {
            recent.put(key, value);
        }
        assert_eq!((recent.get("a"), recent.get("b")), (Some(3), Some(2)));
    }

    #[test]
    fn nothing_is_left_once_cleared() {
        let mut recent = Recent::new(2);
        recent.put("a", 1);
        recent.clear();
        assert_eq!(recent.get("a"), None);
    }
}
