//! Keys of another table, and rows of another version: what references and leakage are checked against.

use arrow_array::RecordBatch;

use super::hash::Seed;
use super::keys::KeyTable;
use super::values::{fetch, find};
use crate::ContractError;

/// Keys that exist, by their hashes. Made with the seed of the check that it is given to.
#[derive(Clone, Debug)]
pub struct KeySet {
    seed: Seed,
    table: KeyTable,
}

impl KeySet {
    /// An empty set.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self { seed: Seed::new(seed), table: KeyTable::new() }
    }

    /// Adds the keys over some columns of a batch, by their stored names; no names means all columns, in their order.
    ///
    /// # Errors
    /// `Schema` if a column is missing or cannot be hashed.
    pub fn add(&mut self, batch: &RecordBatch, columns: &[String]) -> Result<(), ContractError> {
        let schema = batch.schema();
        let arrays = if columns.is_empty() {
            batch.columns().to_vec()
        } else {
            let lacks = |name: &str| ContractError::Schema(format!("the table of the keys has no column `{name}`"));
            let one = |name: &String| find(&schema, name).and_then(|(path, _)| fetch(batch, &path)).ok_or_else(|| lacks(name));
            columns.iter().map(one).collect::<Result<_, _>>()?
        };
        for hash in self.seed.rows(&arrays).map_err(ContractError::Schema)? {
            self.table.add(hash, None);
        }
        Ok(())
    }

    /// Joins the keys of another part.
    ///
    /// # Errors
    /// `Unlike` if it was made with another seed.
    pub fn merge(&mut self, other: Self) -> Result<(), ContractError> {
        if self.seed != other.seed {
            return Err(ContractError::Unlike("seeds"));
        }
        self.table.merge(other.table, |_| {});
        Ok(())
    }

    /// Distinct keys, estimated past [`crate::UNIQUE_KEYS_MAX`].
    #[must_use]
    pub fn len(&self) -> u64 {
        self.table.len() as u64 * self.table.scale()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.table.len() == 0
    }

    /// Whether every key is remembered.
    #[must_use]
    pub fn is_exact(&self) -> bool {
        self.table.scale() == 1
    }

    pub(crate) fn fits(&self, seed: Seed) -> bool {
        self.seed == seed
    }

    /// Whether a key exists; `None` if it is outside of the sample.
    pub(crate) fn holds(&self, hash: u128) -> Option<bool> {
        self.table.contains(hash)
    }
}
