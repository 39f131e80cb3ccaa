//! Which values of a pickle something else refers to as well. Bytes that are looked at in the file are what a reader gets only
//! if nothing can have changed them in between: arrays can be made over bytes, and items put into arrays.

use std::collections::HashSet;

use crate::limits::SHARED_VALUES_MAX;

use super::value::{Letters, Value};

/// A value that can be told from all others.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Identity {
    /// Bytes, by where they stand in the stream.
    Bytes(u64),
    /// A tuple, or what was made of it.
    Tuple(u32),
    List(u32),
}

impl Identity {
    #[inline]
    fn of(value: Value) -> Option<Self> {
        Some(match value {
            Value::Text { letters: Letters::Utf8 | Letters::RawEscapes, .. } => return None,
            Value::Text { start, .. } => Self::Bytes(start),
            Value::Tuple { start, length } if length > 0 => Self::Tuple(start),
            Value::Object { arguments, length, .. } if length > 0 => Self::Tuple(arguments),
            Value::List(index) => Self::List(index),
            _ => return None,
        })
    }
}

#[derive(Debug, Default)]
pub(super) struct Sharing {
    shared: HashSet<Identity>,
    frozen: HashSet<Identity>,
    /// There are too many to know which.
    all: bool,
}

impl Sharing {
    pub fn clear(&mut self) {
        *self = Self::default();
    }

    /// There is a second reference to a value; whether it must have none.
    #[inline]
    pub fn share(&mut self, value: Value) -> bool {
        let Some(identity) = Identity::of(value) else { return false };
        if self.shared.len() >= SHARED_VALUES_MAX {
            self.all = true;
        } else {
            self.shared.insert(identity);
        }
        self.frozen.contains(&identity)
    }

    /// Whether there is, or may be, a second reference to a value.
    pub fn is_shared(&self, value: Value) -> bool {
        self.all || Identity::of(value).is_some_and(|identity| self.shared.contains(&identity))
    }

    /// From now on, there may be no second reference to a value.
    pub fn freeze(&mut self, value: Value) {
        self.frozen.extend(Identity::of(value));
    }
}
