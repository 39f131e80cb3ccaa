//! Values in nested lists whose types are not known yet, read straight into one list.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error, SeqAccess, Visitor};
use serving::Cell;

use super::VALUE_COUNT_MAX;

/// How deeply lists may be nested.
const DEPTH_MAX: usize = 8;

/// Values and the lengths of the lists that they lie in, the outermost first.
#[derive(Debug, Default)]
pub(super) struct Nest {
    pub(super) shape: Vec<usize>,
    pub(super) cells: Vec<Cell>,
}

impl Nest {
    /// Says how many rows there were, whose values came one row at a time.
    pub(super) fn end_rows(&mut self, count: usize) -> Result<(), String> {
        self.end_list(0, count)
    }

    /// A list at this depth has ended after so many.
    fn end_list(&mut self, depth: usize, count: usize) -> Result<(), String> {
        match self.shape.get_mut(depth) {
            Some(known) if *known == count || *known == OPEN => *known = count,
            Some(_) => return Err(uneven()),
            None => self.shape.resize(depth + 1, OPEN),
        }
        if let Some(known) = self.shape.get_mut(depth) {
            *known = count;
        }
        Ok(())
    }
}

/// A list that has not ended yet.
const OPEN: usize = usize::MAX;

fn uneven() -> String {
    "all rows are lists of the same length".to_owned()
}

/// Reads on into a nest.
pub(super) struct NestSeed<'a> {
    pub(super) nest: &'a mut Nest,
    /// How many lists it lies in.
    pub(super) depth: usize,
}

/// The depth of a value that may lie in no list.
const ALONE: usize = usize::MAX;
/// The depth of one that may, or be a list itself.
const EITHER: usize = usize::MAX - 1;

impl<'a> NestSeed<'a> {
    /// A list.
    pub(super) const fn of(nest: &'a mut Nest) -> Self {
        Self { nest, depth: 0 }
    }

    /// A single value.
    pub(super) const fn one(nest: &'a mut Nest) -> Self {
        Self { nest, depth: ALONE }
    }

    /// A list, or a single value.
    pub(super) const fn either(nest: &'a mut Nest) -> Self {
        Self { nest, depth: EITHER }
    }

    fn take<E: Error>(self, cell: Cell) -> Result<(), E> {
        let Self { nest, depth } = self;
        if depth == 0 {
            return Err(E::custom("a list of values is expected"));
        }
        // All values lie in as many lists as the first one.
        if depth < EITHER && nest.cells.is_empty() {
            nest.shape.resize(depth.max(nest.shape.len()), OPEN);
        }
        if depth < EITHER && nest.shape.len() != depth {
            return Err(E::custom(uneven()));
        }
        if nest.cells.len() >= VALUE_COUNT_MAX {
            return Err(E::custom(super::too_many_values().message()));
        }
        nest.cells.push(cell);
        Ok(())
    }
}

impl<'de> DeserializeSeed<'de> for NestSeed<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for NestSeed<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.depth == ALONE { "a single value" } else { "values, or lists of them" })
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<(), E> {
        self.take(Cell::Bool(value))
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<(), E> {
        self.take(Cell::Integer(value))
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<(), E> {
        self.take(i64::try_from(value).map_or(Cell::Number(value as f64), Cell::Integer))
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<(), E> {
        self.take(Cell::Number(value))
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<(), E> {
        self.take(Cell::Text(value.to_owned()))
    }

    fn visit_unit<E: Error>(self) -> Result<(), E> {
        self.take(Cell::Missing)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<(), A::Error> {
        let Self { nest, depth } = self;
        if depth == ALONE {
            return Err(A::Error::custom("a column has a single value a row"));
        }
        let depth = if depth == EITHER { 0 } else { depth };
        if depth >= DEPTH_MAX {
            return Err(A::Error::custom(format_args!("lists are nested deeper than {DEPTH_MAX}")));
        }
        let mut count = 0;
        while list.next_element_seed(NestSeed { nest: &mut *nest, depth: depth + 1 })?.is_some() {
            count += 1;
        }
        nest.end_list(depth, count).map_err(A::Error::custom)
    }
}
