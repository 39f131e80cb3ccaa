//! What the machine knows of the values that a pickle makes: enough to tell names, shapes and classes, and no more.

use crate::limits::{
    DICTIONARIES_MAX, DICTIONARY_ENTRIES_MAX, ENTRIES_MAX, LIST_ITEMS_MAX, LISTS_MAX, STATE_ENTRIES_MAX, TUPLE_ITEMS_MAX,
    TUPLE_LENGTH_MAX,
};

use super::sharing::Sharing;

/// How the letters of a text stand in the stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Letters {
    /// UTF-8.
    Utf8,
    /// `UNICODE`: Latin-1 with `\uXXXX`.
    RawEscapes,
    /// `STRING`: as Python's `repr` writes it.
    ReprEscapes,
    /// Bytes of Python 2, which readers take for ASCII or Latin-1.
    OneByte,
    /// Bytes of Python 3: no text, never a name.
    Bytes,
    /// As `Bytes`, but items can be put into them.
    ByteArray,
}

impl Letters {
    /// Whether they are bytes as they stand in the stream.
    pub fn are_bytes(self) -> bool {
        matches!(self, Self::Bytes | Self::ByteArray)
    }
}

/// A value on the stack or in the memo. Small and copied: what it stands for is in the stream or on the [`Heap`].
#[derive(Clone, Copy, Debug)]
pub(super) enum Value {
    /// A number or another plain value that nothing depends on.
    Plain,
    /// `None`.
    None,
    /// An integer of at most 64 bits.
    Int(i64),
    /// An integer written as bytes in the stream.
    Long { length: u32, start: u64 },
    /// A text or bytes.
    Text { letters: Letters, length: u32, start: u64 },
    /// A tuple, remembered.
    Tuple { start: u32, length: u32 },
    /// A list, remembered.
    List(u32),
    /// A set, or a list or tuple that is not remembered.
    Collection,
    /// A dictionary, remembered.
    Dictionary(u32),
    /// A dictionary that is not remembered.
    PlainDictionary,
    /// An imported name.
    Global(u32),
    /// What an imported name made of these arguments.
    Object { global: u32, arguments: u32, length: u32 },
    /// A NumPy dtype.
    Dtype(u32),
    /// What only the reader knows: the result of a computed call, an object by persistent id.
    Computed,
}

/// What is known of a dictionary.
#[derive(Debug, Default)]
pub(super) struct Entries {
    pub pairs: Vec<(Value, Value)>,
    /// It has, or may have, entries that are not remembered.
    pub open: bool,
    /// A dtype is made of it: NumPy keeps the dictionary itself, so that later entries would change the dtype unseen.
    pub fixed: bool,
    /// It was a state: its entries are attributes of an object.
    pub attributes: bool,
}

/// What is known of a list.
#[derive(Debug, Default)]
struct Items {
    values: Vec<Value>,
    /// It has, or may have, items that are not remembered.
    open: bool,
}

/// What is known of a NumPy dtype.
#[derive(Clone, Copy, Debug)]
pub(super) struct DtypeFacts {
    pub kind: u8,
    pub item_bytes: Option<u64>,
    pub has_objects: Option<bool>,
    /// Nothing else refers to it: no array and no other dtype was made of it. Only then may its state be set.
    pub fresh: bool,
}

/// Tuples, lists, dictionaries and dtypes of one pickle, bounded: beyond the bound nothing is known of new ones.
#[derive(Debug, Default)]
pub(super) struct Heap {
    pub sharing: Sharing,
    items: Vec<Value>,
    lists: Vec<Items>,
    dictionaries: Vec<Entries>,
    dtypes: Vec<DtypeFacts>,
    /// Entries of all dictionaries.
    entries_count: usize,
}

impl Heap {
    pub fn clear(&mut self) {
        self.sharing.clear();
        self.items.clear();
        self.lists.clear();
        self.dictionaries.clear();
        self.dtypes.clear();
        self.entries_count = 0;
    }

    pub fn tuple(&mut self, items: &[Value]) -> Value {
        let room = self.items.len() + items.len() <= TUPLE_ITEMS_MAX && items.len() <= TUPLE_LENGTH_MAX;
        match (u32::try_from(self.items.len()), u32::try_from(items.len())) {
            (Ok(start), Ok(length)) if room => {
                self.items.extend_from_slice(items);
                Value::Tuple { start, length }
            }
            _ => Value::Collection,
        }
    }

    pub fn items(&self, start: u32, length: u32) -> &[Value] {
        self.items.get(start as usize..start as usize + length as usize).unwrap_or_default()
    }

    /// The items of a value that is a remembered tuple.
    pub fn items_of(&self, value: Value) -> Option<&[Value]> {
        match value {
            Value::Tuple { start, length } => Some(self.items(start, length)),
            _ => None,
        }
    }

    /// A list with these items.
    pub fn list(&mut self, items: &[Value]) -> Value {
        match u32::try_from(self.lists.len()) {
            Ok(index) if self.lists.len() < LISTS_MAX => {
                self.lists.push(Items::default());
                self.append(Value::List(index), items);
                Value::List(index)
            }
            _ => Value::Collection,
        }
    }

    /// Puts items at the end of what may be a list.
    pub fn append(&mut self, target: Value, items: &[Value]) {
        let Value::List(index) = target else { return };
        let Some(list) = self.lists.get_mut(index as usize) else { return };
        if list.open || list.values.len() + items.len() > LIST_ITEMS_MAX {
            list.open = true;
        } else {
            list.values.extend_from_slice(items);
        }
    }

    /// The items of a list, if all of them are known.
    pub fn list_items(&self, value: Value) -> Option<&[Value]> {
        let Value::List(index) = value else { return None };
        self.lists.get(index as usize).filter(|list| !list.open).map(|list| list.values.as_slice())
    }

    pub fn dictionary(&mut self) -> Value {
        match u32::try_from(self.dictionaries.len()) {
            Ok(index) if self.dictionaries.len() < DICTIONARIES_MAX => {
                self.dictionaries.push(Entries::default());
                Value::Dictionary(index)
            }
            _ => Value::PlainDictionary,
        }
    }

    /// Sets an entry of a remembered dictionary; `false` if it may not be changed any more.
    pub fn set(&mut self, target: Value, key: Value, value: Value) -> bool {
        if let Value::List(index) = target
            && let Some(list) = self.lists.get_mut(index as usize)
        {
            list.open = true;
        }
        let Value::Dictionary(index) = target else { return true };
        let Some(entries) = self.dictionaries.get_mut(index as usize) else { return true };
        if entries.pairs.len() >= DICTIONARY_ENTRIES_MAX || self.entries_count >= ENTRIES_MAX {
            entries.open = true;
        } else {
            entries.pairs.push((key, value));
            self.entries_count += 1;
        }
        !entries.fixed
    }

    /// From now on, the dictionary may not be changed.
    pub fn fix(&mut self, value: Value) {
        if let Value::Dictionary(index) = value
            && let Some(entries) = self.dictionaries.get_mut(index as usize)
        {
            entries.fixed = true;
        }
    }

    /// The dictionary is the state of an object.
    pub fn becomes_attributes(&mut self, value: Value) {
        if let Value::Dictionary(index) = value
            && let Some(entries) = self.dictionaries.get_mut(index as usize)
        {
            entries.attributes = true;
        }
    }

    /// There is a second reference to the value; whether it must have none.
    #[inline]
    pub fn shared(&mut self, value: Value) -> bool {
        if let Value::Dtype(index) = value
            && let Some(facts) = self.dtypes.get_mut(index as usize)
        {
            facts.fresh = false;
        }
        self.sharing.share(value)
    }

    pub fn entries(&self, value: Value) -> Option<&Entries> {
        match value {
            Value::Dictionary(index) => self.dictionaries.get(index as usize),
            _ => None,
        }
    }

    /// The entries of a state, if all of them are known and they are not too many to be looked at again and again.
    pub fn state(&self, value: Value) -> Option<&[(Value, Value)]> {
        let entries = self.entries(value)?;
        (!entries.open && entries.pairs.len() <= STATE_ENTRIES_MAX).then_some(entries.pairs.as_slice())
    }

    pub fn dtype(&mut self, facts: DtypeFacts) -> Value {
        match u32::try_from(self.dtypes.len()) {
            Ok(index) if self.dtypes.len() < DICTIONARIES_MAX => {
                self.dtypes.push(facts);
                Value::Dtype(index)
            }
            _ => Value::Collection,
        }
    }

    pub fn dtype_facts(&self, value: Value) -> Option<DtypeFacts> {
        match value {
            Value::Dtype(index) => self.dtypes.get(index as usize).copied(),
            _ => None,
        }
    }

    pub fn set_dtype_facts(&mut self, value: Value, facts: DtypeFacts) {
        if let Value::Dtype(index) = value
            && let Some(slot) = self.dtypes.get_mut(index as usize)
        {
            *slot = facts;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_small() {
        assert_eq!(size_of::<Value>(), 16);
    }

    #[test]
    fn beyond_the_bounds_nothing_is_known() {
        let mut heap = Heap::default();
        assert!(heap.items_of(heap.items_of(Value::None).map_or(Value::None, |_| Value::Plain)).is_none());
        assert!(matches!(heap.tuple(&[Value::None; TUPLE_LENGTH_MAX + 1]), Value::Collection));
        let dictionary = heap.dictionary();
        for _ in 0..=DICTIONARY_ENTRIES_MAX {
            heap.set(dictionary, Value::None, Value::None);
        }
        let entries = heap.entries(dictionary).unwrap();
        assert!(entries.open && entries.pairs.len() == DICTIONARY_ENTRIES_MAX);
        for _ in 0..=TUPLE_ITEMS_MAX / TUPLE_LENGTH_MAX {
            heap.tuple(&[Value::None; TUPLE_LENGTH_MAX]);
        }
        for _ in 0..TUPLE_LENGTH_MAX {
            heap.tuple(&[Value::None]);
        }
        assert!(matches!(heap.tuple(&[Value::None]), Value::Collection));
        let list = heap.list(&[Value::None; LIST_ITEMS_MAX]);
        assert_eq!(heap.list_items(list).unwrap().len(), LIST_ITEMS_MAX);
        heap.append(list, &[Value::None]);
        assert!(heap.list_items(list).is_none());
        for _ in 0..LISTS_MAX {
            heap.list(&[]);
        }
        assert!(matches!(heap.list(&[]), Value::Collection));
    }

    #[test]
    fn a_list_whose_items_are_changed_is_not_known() {
        let mut heap = Heap::default();
        let list = heap.list(&[Value::None]);
        heap.set(list, Value::Int(0), Value::Plain);
        assert!(heap.list_items(list).is_none());
    }
}
