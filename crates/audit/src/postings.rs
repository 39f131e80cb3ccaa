//! What the search index keeps of one block of records: for each value of a field, in which of the block's records it stands.
//!
//! A value that many records share costs a bit for each record, one that few have two bytes for each of those: an inverted list, cut
//! into blocks so that it is written once and never touched again.

use std::collections::HashMap;

use crate::view::IndexedView;

/// Records of a block.
pub(crate) const BLOCK_COUNT: u64 = 4_096;
const WORD_COUNT: usize = 64;
/// From so many places on a value is kept as bits.
const LIST_COUNT_MAX: usize = 255;
const BITS_BYTES: usize = WORD_COUNT * 8;
/// Ids are sought by a hash: its lowest bits say in which row.
const BUCKET_COUNT: u64 = 64;
const ID_BYTES: usize = 6;

/// The fields that records are sought by. The numbers stand in the index's file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Field {
    Caller = 1,
    Action = 2,
    Kind = 3,
    Status = 4,
    Resource = 5,
    Workspace = 6,
}

/// The fields whose values are never shared by more than a few records.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum IdField {
    Entry = 7,
    Prediction = 8,
}

/// A set of a block's records.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Places([u64; WORD_COUNT]);

impl Places {
    pub(crate) const NONE: Self = Self([0; WORD_COUNT]);
    pub(crate) const ALL: Self = Self([u64::MAX; WORD_COUNT]);

    fn put(&mut self, place: u16) {
        if let Some(word) = self.0.get_mut(usize::from(place / 64)) {
            *word |= 1 << (place % 64);
        }
    }

    pub(crate) fn or(&mut self, other: &Self) {
        self.0.iter_mut().zip(other.0).for_each(|(word, other)| *word |= other);
    }

    pub(crate) fn and(&mut self, other: &Self) {
        self.0.iter_mut().zip(other.0).for_each(|(word, other)| *word &= other);
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.iter().all(|word| *word == 0)
    }

    /// From the highest to the lowest.
    pub(crate) fn descending(&self) -> impl Iterator<Item = u64> {
        (0..BLOCK_COUNT).rev().filter(|place| {
            let word = usize::try_from(place / 64).ok().and_then(|at| self.0.get(at));
            word.is_some_and(|word| (word >> (place % 64)) & 1 == 1)
        })
    }

    /// As a row holds them: nothing for all, else a list of 16-bit numbers or all bits.
    fn encode(list: &[u16]) -> Vec<u8> {
        if list.len() as u64 == BLOCK_COUNT {
            return Vec::new();
        }
        if list.len() <= LIST_COUNT_MAX {
            return list.iter().flat_map(|place| place.to_le_bytes()).collect();
        }
        let mut places = Self::NONE;
        list.iter().for_each(|place| places.put(*place));
        places.0.iter().flat_map(|word| word.to_le_bytes()).collect()
    }

    pub(crate) fn decode(bytes: &[u8]) -> Self {
        if bytes.is_empty() {
            return Self::ALL;
        }
        let mut places = Self::NONE;
        if bytes.len() == BITS_BYTES {
            for (word, bytes) in places.0.iter_mut().zip(bytes.as_chunks::<8>().0) {
                *word = u64::from_le_bytes(*bytes);
            }
            return places;
        }
        bytes.as_chunks::<2>().0.iter().for_each(|place| places.put(u16::from_le_bytes(*place)));
        places
    }
}

/// A block on its way into the index.
#[derive(Default)]
pub(crate) struct Block {
    values: HashMap<Field, HashMap<String, Vec<u16>>>,
    ids: [HashMap<u64, Vec<u8>>; 2],
    /// The times of its records: from, to (included).
    times: Option<(i64, i64)>,
}

impl Block {
    /// Takes the record at `place`.
    pub(crate) fn take(&mut self, place: u16, view: &IndexedView<'_>) {
        let (from, to) = self.times.unwrap_or((view.at, view.at));
        self.times = Some((from.min(view.at), to.max(view.at)));
        let values = [
            (Field::Caller, Some(view.caller.id.as_ref())),
            (Field::Action, Some(view.action.as_ref())),
            (Field::Kind, Some(view.kind.as_ref())),
            (Field::Status, view.status.as_deref()),
            (Field::Resource, view.resource.as_deref()),
            (Field::Workspace, view.workspace.as_deref()),
        ];
        for (field, value) in values {
            let Some(value) = value else { continue };
            let known = self.values.entry(field).or_default();
            match known.get_mut(value) {
                Some(places) => places.push(place),
                None => drop(known.insert(value.to_owned(), vec![place])),
            }
        }
        let [entries, predictions] = &mut self.ids;
        put_id(entries, &view.id, place);
        if let Some(prediction) = view.prediction() {
            put_id(predictions, prediction, place);
        }
    }

    /// The times of its records: from, to (included). None if no record could be read.
    pub(crate) const fn times(&self) -> Option<(i64, i64)> {
        self.times
    }

    /// Field, value, places.
    pub(crate) fn values(&self) -> impl Iterator<Item = (Field, &str, Vec<u8>)> {
        let all = self.values.iter();
        all.flat_map(|(field, values)| values.iter().map(|(value, list)| (*field, value.as_str(), Places::encode(list))))
    }

    /// Field, bucket, pairs of hash and place.
    pub(crate) fn ids(&self) -> impl Iterator<Item = (IdField, u64, &[u8])> {
        let [entries, predictions] = &self.ids;
        let entries = entries.iter().map(|(bucket, rows)| (IdField::Entry, *bucket, rows.as_slice()));
        entries.chain(predictions.iter().map(|(bucket, rows)| (IdField::Prediction, *bucket, rows.as_slice())))
    }
}

fn put_id(ids: &mut HashMap<u64, Vec<u8>>, id: &str, place: u16) {
    let hash = hash_of(id);
    let rows = ids.entry(bucket_of(hash)).or_default();
    rows.extend_from_slice(&short(hash));
    rows.extend_from_slice(&place.to_le_bytes());
}

/// In which row an id stands.
pub(crate) fn bucket(id: &str) -> u64 {
    bucket_of(hash_of(id))
}

/// Where in a row of its bucket an id may stand. Another one may have the same hash: the record is asked.
pub(crate) fn places_of_id(rows: &[u8], id: &str) -> Places {
    let wanted = short(hash_of(id));
    let mut places = Places::NONE;
    for [a, b, c, d, place @ ..] in rows.as_chunks::<ID_BYTES>().0 {
        if [*a, *b, *c, *d] == wanted {
            places.put(u16::from_le_bytes(*place));
        }
    }
    places
}

const fn bucket_of(hash: u64) -> u64 {
    hash % BUCKET_COUNT
}

fn short(hash: u64) -> [u8; 4] {
    let [_, _, _, a, b, c, d, _] = hash.to_le_bytes();
    [a, b, c, d]
}

/// FNV-1a, 64 bits. Source: Fowler, Noll, Vo; `draft-eastlake-fnv`.
fn hash_of(id: &str) -> u64 {
    id.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(list: &[u16], bytes: usize) {
        let encoded = Places::encode(list);
        assert_eq!(encoded.len(), bytes);
        let mut found: Vec<u16> = Places::decode(&encoded).descending().map(|place| u16::try_from(place).unwrap()).collect();
        found.reverse();
        assert_eq!(found, list);
    }

    #[test]
    fn places_are_read_back_whatever_their_form() {
        check(&[7], 2);
        check(&[0, 63, 64, 4_095], 8);
        check(&(0..255).map(|place| place * 16).collect::<Vec<_>>(), 510);
        check(&(0..256).map(|place| place * 16).collect::<Vec<_>>(), 512);
        check(&(0..4_095).collect::<Vec<_>>(), 512);
        check(&(0..4_096).collect::<Vec<_>>(), 0);
    }

    #[test]
    fn an_id_is_found_where_it_stands() {
        let mut ids = HashMap::new();
        for place in 0..4_096_u16 {
            put_id(&mut ids, &format!("id-{}", place / 2), place);
        }
        assert_eq!(ids.len(), 64);
        let places = places_of_id(&ids[&bucket("id-700")], "id-700");
        assert!(places.descending().any(|place| place == 1_400) && places.descending().any(|place| place == 1_401));
        assert!(places.descending().count() < 5);
    }
}
