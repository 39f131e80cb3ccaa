//! A tensor's `data`: values, flat or in nested lists, read straight into one list without building the JSON up in memory.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error, SeqAccess, Visitor};

/// How deeply lists may be nested.
const DEPTH_MAX: usize = 8;

/// One kind of value.
pub(super) trait Item: Sized {
    const WHAT: &'static str;

    fn of_f64(value: f64) -> Option<Self> {
        let _ = value;
        None
    }
    fn of_i64(value: i64) -> Option<Self> {
        let _ = value;
        None
    }
    fn of_bool(value: bool) -> Option<Self> {
        let _ = value;
        None
    }
    fn of_text(value: &str) -> Option<Self> {
        let _ = value;
        None
    }
    fn of_null() -> Option<Self> {
        None
    }
}

impl Item for f64 {
    const WHAT: &'static str = "a number";

    fn of_f64(value: f64) -> Option<Self> {
        Some(value)
    }
    fn of_i64(value: i64) -> Option<Self> {
        Some(value as Self)
    }
    fn of_null() -> Option<Self> {
        Some(Self::NAN)
    }
}

impl Item for i64 {
    const WHAT: &'static str = "an integer";

    fn of_i64(value: i64) -> Option<Self> {
        Some(value)
    }
    fn of_f64(value: f64) -> Option<Self> {
        (value.fract() == 0.0 && value.abs() < 9_007_199_254_740_992.0).then_some(value as Self)
    }
}

impl Item for bool {
    const WHAT: &'static str = "true or false";

    fn of_bool(value: bool) -> Option<Self> {
        Some(value)
    }
    fn of_i64(value: i64) -> Option<Self> {
        matches!(value, 0 | 1).then_some(value == 1)
    }
}

impl Item for String {
    const WHAT: &'static str = "text";

    fn of_text(value: &str) -> Option<Self> {
        Some(value.to_owned())
    }
}

/// Reads JSON into `into`, which holds at most `count_max` values then.
pub(super) struct Flat<'a, T> {
    pub(super) into: &'a mut Vec<T>,
    pub(super) count_max: usize,
    pub(super) depth: usize,
}

impl<'a, T> Flat<'a, T> {
    pub(super) const fn new(into: &'a mut Vec<T>, count_max: usize) -> Self {
        Self { into, count_max, depth: 0 }
    }
}

impl<'de, T: Item> DeserializeSeed<'de> for Flat<'_, T> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<T: Item> Flat<'_, T> {
    fn take<E: Error>(self, item: Option<T>) -> Result<(), E> {
        let item = item.ok_or_else(|| E::custom(format_args!("`data` holds something that is not {}", T::WHAT)))?;
        if self.into.len() >= self.count_max {
            return Err(E::custom("`data` holds more values than `shape` says"));
        }
        self.into.push(item);
        Ok(())
    }
}

impl<'de, T: Item> Visitor<'de> for Flat<'_, T> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}, or lists of that", T::WHAT)
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<(), E> {
        self.take(T::of_f64(value))
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<(), E> {
        self.take(T::of_i64(value))
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<(), E> {
        let item = i64::try_from(value).map_or_else(|_| T::of_f64(value as f64), T::of_i64);
        self.take(item)
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<(), E> {
        self.take(T::of_bool(value))
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<(), E> {
        self.take(T::of_text(value))
    }

    fn visit_unit<E: Error>(self) -> Result<(), E> {
        self.take(T::of_null())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<(), A::Error> {
        if self.depth >= DEPTH_MAX {
            return Err(A::Error::custom(format_args!("`data` is nested deeper than {DEPTH_MAX}")));
        }
        let (into, count_max, depth) = (self.into, self.count_max, self.depth + 1);
        while list.next_element_seed(Flat { into: &mut *into, count_max, depth })?.is_some() {}
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read<T: Item>(text: &str, count_max: usize) -> Result<Vec<T>, String> {
        let mut all = Vec::new();
        let mut json = serde_json::Deserializer::from_str(text);
        Flat::new(&mut all, count_max).deserialize(&mut json).map_err(|error| error.to_string())?;
        Ok(all)
    }

    #[test]
    fn lists_become_flat() {
        assert_eq!(read::<f64>("[[1, 2.5], [3, 4]]", 4), Ok(vec![1.0, 2.5, 3.0, 4.0]));
        assert_eq!(read::<i64>("[1, 2.0]", 4), Ok(vec![1, 2]));
        assert_eq!(read::<bool>("[true, 0]", 4), Ok(vec![true, false]));
        assert_eq!(read::<String>("[[\"a\"], \"b\"]", 4), Ok(vec!["a".to_owned(), "b".to_owned()]));
        assert!(read::<f64>("[null]", 1).unwrap()[0].is_nan());
    }

    #[test]
    fn other_values_too_many_and_too_deep_are_refused() {
        assert!(read::<i64>("[1.5]", 4).is_err());
        assert!(read::<f64>("[\"1\"]", 4).is_err());
        assert!(read::<f64>("[{}]", 4).is_err());
        assert!(read::<f64>("[1, 2, 3]", 2).unwrap_err().contains("more values"));
        assert!(read::<f64>(&format!("{}1{}", "[".repeat(9), "]".repeat(9)), 2).unwrap_err().contains("nested"));
    }
}
