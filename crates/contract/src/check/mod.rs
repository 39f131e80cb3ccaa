//! Checks a table against a contract, batch by batch: rules are made ready once for the table's schema, every batch is read
//! once by each rule, and the answers come at the end.

mod answer;
mod found;
pub(crate) mod hash;
mod items;
mod keys;
mod limits;
mod pairs;
mod ready;
mod references;
mod report;
mod row_test;
mod state;
#[cfg(test)]
mod tests;
mod types;
mod values;

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow_array::{ArrayRef, RecordBatch};
use arrow_schema::{FieldRef, Schema, SchemaRef};
use profile::Profile;

use self::hash::Seed;
use self::ready::Ready;
pub use self::references::KeySet;
pub use self::report::{ContractReport, Example, RuleReport, Status, Verdict};
use self::state::{Seen, State};
pub use self::types::Source;
use crate::rules::{self, Check};
use crate::{Contract, ContractError};

/// What a check is told besides the contract.
#[derive(Clone, Debug, Default)]
pub struct CheckOptions {
    /// How much the types of the file say.
    pub source: Source,
    /// Now, in microseconds since 1970, for freshness.
    pub now_micros: i64,
    /// A secret number, so that nobody can make keys look alike. Key sets and parts to merge need the same.
    pub seed: u64,
    /// Keys of other tables and rows of other versions, by the names that [`Contract::needed_keys`] gives.
    pub keys: BTreeMap<String, Arc<KeySet>>,
    /// Rows of the version before.
    pub previous_rows: Option<u64>,
}

/// A query whose one value a rule is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Query {
    /// The rule, as in the report.
    pub rule: String,
    /// The query, over the table that [`Checker::queries`] was told.
    pub sql: String,
}

/// What a query gave.
#[derive(Clone, Debug, PartialEq)]
pub enum SqlResult {
    /// A number; yes and no are 1 and 0.
    Value(f64),
    /// It could not be run, or gave something else.
    Failed(String),
}

/// What others found out about the same rows.
#[derive(Clone, Copy, Debug, Default)]
pub struct Evidence<'a> {
    /// The profile, for quantiles.
    pub profile: Option<&'a Profile>,
    /// Results of queries, by rule.
    pub sql: Option<&'a BTreeMap<String, SqlResult>>,
}

/// Keys that a check needs from elsewhere.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NeededKeys {
    /// The name under which [`CheckOptions::keys`] wants them.
    pub name: String,
    /// The stored names of the columns; none means all, in their order. For keys of another table these are its columns.
    pub columns: Vec<String>,
    /// Whether they are rows of another version, so that leakage is looked for, rather than keys that must exist.
    pub rows: bool,
}

impl NeededKeys {
    /// What the contract calls the table, or the version, that they are of.
    #[must_use]
    pub fn table(&self) -> &str {
        match self.external() {
            Some((table, _)) => table,
            None => self.name.split_once('(').map_or(self.name.as_str(), |(table, _)| table),
        }
    }

    /// Whether they are of the table of this contract that has the rule: what it refers to is in itself.
    #[must_use]
    pub fn is_of(&self, table: &str) -> bool {
        !self.rows && !self.name.contains('#') && self.table() == table
    }

    /// The stored names of the columns there; none if the reference does not tell them. Rows of another version are over all
    /// columns where the rule names none.
    #[must_use]
    pub fn columns_there(&self) -> Option<Vec<String>> {
        if let Some((_, column)) = self.external() {
            return Some(vec![column.to_owned()]);
        }
        (self.rows || !self.columns.is_empty()).then(|| self.columns.clone())
    }

    /// Table and column of a reference into another contract, as `other.yaml#customers.id` or
    /// `other.yaml#/schema/customers/properties/id`.
    fn external(&self) -> Option<(&str, &str)> {
        let (_, path) = self.name.split_once('#').filter(|_| !self.rows && !self.name.contains(','))?;
        let mut parts = path.split(['/', '.']).filter(|part| !matches!(*part, "" | "schema" | "properties"));
        match (parts.next(), parts.next(), parts.next()) {
            (Some(table), Some(column), None) => Some((table, column)),
            _ => None,
        }
    }
}

/// A check that is under way.
#[derive(Clone, Debug)]
pub struct Checker {
    contract: String,
    version: String,
    object: String,
    schema: SchemaRef,
    options: CheckOptions,
    seed: Seed,
    rules: Vec<Ready>,
    /// How many different lists of columns rules read; each has its hashes made at most once.
    group_count: usize,
    rows: u64,
}

impl Contract {
    /// The table that a data set of this name is: the one of this name, or the only one there is.
    #[must_use]
    pub fn table_of(&self, dataset: &str) -> Option<&str> {
        let named = |object: &&crate::SchemaObject| object.name == dataset || object.physical_name.as_deref() == Some(dataset);
        match (self.schema.iter().find(named), self.schema.as_slice()) {
            (Some(object), _) | (None, [object]) => Some(&object.name),
            _ => None,
        }
    }

    /// The keys that the check of a table needs from elsewhere.
    ///
    /// # Errors
    /// `NoSuchObject` and `TooBig`, as [`Checker::new`].
    pub fn needed_keys(&self, object: Option<&str>) -> Result<Vec<NeededKeys>, ContractError> {
        let rules = rules::rules(self, self.object(object)?)?;
        let mut needed: Vec<NeededKeys> = Vec::new();
        for rule in rules {
            let one = match rule.check {
                Check::Reference { keys } => {
                    let columns =
                        keys.split_once('(').map(|(_, list)| list.trim_end_matches(')').split(',').map(str::to_owned).collect());
                    NeededKeys { name: keys, columns: columns.unwrap_or_default(), rows: false }
                }
                Check::Leakage { keys } => {
                    NeededKeys { name: leakage_name(&keys, &rule.columns), columns: rule.columns, rows: true }
                }
                _ => continue,
            };
            if !needed.contains(&one) {
                needed.push(one);
            }
        }
        Ok(needed)
    }
}

/// The name of another version's rows over some columns.
pub(crate) fn leakage_name(version: &str, columns: &[String]) -> String {
    format!("{version}({})", columns.join(","))
}

/// Whether two schemas have the same columns; a dictionary is as good as what it holds.
fn alike(one: &Schema, two: &Schema) -> bool {
    let same = |(one, two): (&FieldRef, &FieldRef)| {
        one.name() == two.name() && values::plain_type(one.data_type()) == values::plain_type(two.data_type())
    };
    one.fields().len() == two.fields().len() && one.fields().iter().zip(two.fields()).all(same)
}

impl Checker {
    /// Makes the rules of a table ready for data with this schema. `object` may be left out if there is one table.
    ///
    /// # Errors
    /// `NoSuchObject` if the contract does not have the table; `TooBig` if it has too many rules.
    pub fn new(
        contract: &Contract,
        object: Option<&str>,
        schema: &SchemaRef,
        options: CheckOptions,
    ) -> Result<Self, ContractError> {
        let object = contract.object(object)?;
        let lowered = rules::rules(contract, object)?;
        let seed = Seed::new(options.seed);
        let mut groups = Vec::new();
        let rules = lowered.into_iter().map(|rule| Ready::new(rule, schema, &options, seed, &mut groups)).collect();
        Ok(Self {
            contract: contract.id.clone(),
            version: contract.version.clone(),
            object: object.name.clone(),
            schema: schema.clone(),
            options,
            seed,
            rules,
            group_count: groups.len(),
            rows: 0,
        })
    }

    /// Reads a batch whose first row has this number, from 0 over all files in their order.
    ///
    /// # Errors
    /// `Schema` if the batch has another schema than the check was made for.
    pub fn update(&mut self, batch: &RecordBatch, first_row: u64) -> Result<(), ContractError> {
        if !alike(batch.schema_ref(), &self.schema) {
            return Err(ContractError::Schema(
                "a batch has another schema than the first: check each schema by itself".to_owned(),
            ));
        }
        self.rows += batch.num_rows() as u64;
        if batch.num_rows() == 0 {
            return Ok(());
        }
        let mut hashes = vec![None; self.group_count];
        for ready in &mut self.rules {
            let columns: Option<Vec<ArrayRef>> = ready.paths.iter().map(|path| values::fetch(batch, path)).collect();
            let (Some(columns), Some(hashes)) = (columns, hashes.get_mut(ready.group)) else { continue };
            let seen = Seen { columns: &columns, first_row, seed: self.seed, hashes };
            if let Err(problem) = ready.state.update(seen) {
                ready.state = State::NotRun(problem);
            }
        }
        Ok(())
    }

    /// Joins what another part of the same check has seen.
    ///
    /// # Errors
    /// `Unlike` if the other is a check of something else.
    pub fn merge(&mut self, other: Self) -> Result<(), ContractError> {
        if self.seed != other.seed {
            return Err(ContractError::Unlike("seeds"));
        }
        let alike = self.rules.len() == other.rules.len()
            && alike(&self.schema, &other.schema)
            && self.rules.iter().zip(&other.rules).all(|(one, two)| one.rule.id == two.rule.id);
        if !alike {
            return Err(ContractError::Unlike("rules"));
        }
        self.rows += other.rows;
        for (ready, more) in self.rules.iter_mut().zip(other.rules) {
            ready.state.merge(more.state, self.seed);
        }
        Ok(())
    }

    /// Rows that were read.
    #[must_use]
    pub const fn rows(&self) -> u64 {
        self.rows
    }

    /// The queries of `sql` rules, with the table's name in place of `{object}`.
    #[must_use]
    pub fn queries(&self, table: &str) -> Vec<Query> {
        let of = |ready: &Ready| match &ready.rule.check {
            Check::Sql(query) => Some(Query {
                rule: ready.rule.id.clone(),
                sql: answer::filled_in(query, table, ready.rule.columns.first().map(String::as_str)),
            }),
            _ => None,
        };
        self.rules.iter().filter_map(of).collect()
    }

    /// The answers. Queries and quantiles are not run without [`Self::finish_with`].
    #[must_use]
    pub fn finish(self) -> ContractReport {
        self.finish_with(&Evidence::default())
    }

    /// The answers, with what others found out.
    #[must_use]
    pub fn finish_with(self, evidence: &Evidence<'_>) -> ContractReport {
        let table = answer::Table { rows: self.rows, columns: self.schema.fields().len(), options: &self.options, evidence };
        let rules = self.rules.into_iter().map(|ready| table.answer(ready)).collect();
        let report = ContractReport {
            contract: self.contract,
            version: self.version,
            object: self.object,
            rows: self.rows,
            verdict: Verdict::Incomplete,
            passed: 0,
            failed: 0,
            warned: 0,
            not_run: 0,
            rules,
        };
        report.sum_up()
    }
}
