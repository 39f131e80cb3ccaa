//! Contracts from other languages. What has no equal here is named, never silently left out.

mod dbt;
mod frictionless;
mod great_expectations;
mod json_schema;

use serde_json::{Map, Value};

pub use self::dbt::dbt;
pub use self::frictionless::frictionless;
pub use self::great_expectations::great_expectations;
pub use self::json_schema::json_schema;
use crate::model::{Contract, Property, SchemaObject};
use crate::quality::{Operator, Quality};
use crate::yaml::bounded;
use crate::{ContractError, validate};

/// A contract that was made from another language.
#[derive(Clone, Debug, PartialEq)]
pub struct Imported {
    /// The contract: a draft, to be reviewed.
    pub contract: Contract,
    /// What it does not say, although the original did.
    pub unsupported: Vec<Unsupported>,
}

/// Something that has no equal.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Unsupported {
    /// Where it stood.
    pub at: String,
    /// Its name in the original's language.
    pub what: String,
    /// Why, and what to do.
    pub why: String,
}

/// Collects the contract and what it cannot say.
struct Draft {
    contract: Contract,
    unsupported: Vec<Unsupported>,
}

impl Draft {
    fn new(id: &str) -> Self {
        Self { contract: Contract::new(id, "0.1.0", "draft"), unsupported: Vec::new() }
    }

    fn cannot(&mut self, at: &str, what: &str, why: &str) {
        self.unsupported.push(Unsupported { at: at.to_owned(), what: what.to_owned(), why: why.to_owned() });
    }

    fn finish(mut self) -> Result<Imported, ContractError> {
        validate::validate(&self.contract)?;
        self.unsupported.sort();
        self.unsupported.dedup();
        Ok(Imported { contract: self.contract, unsupported: self.unsupported })
    }
}

/// The text as an object.
fn object(text: &str) -> Result<Map<String, Value>, ContractError> {
    match bounded(text)? {
        Value::Object(map) => Ok(map),
        _ => Err(ContractError::Syntax("it is no object".to_owned())),
    }
}

fn text<'a>(map: &'a Map<String, Value>, name: &str) -> Option<&'a str> {
    map.get(name).and_then(Value::as_str)
}

fn list<'a>(map: &'a Map<String, Value>, name: &str) -> &'a [Value] {
    map.get(name).and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default()
}

/// Changes the column of that name, which is made if there is none.
fn with_column(object: &mut SchemaObject, name: &str, change: impl FnOnce(&mut Property)) {
    if let Some(known) = object.properties.iter_mut().find(|property| property.name == name) {
        return change(known);
    }
    let mut made = Property { name: name.to_owned(), ..Property::default() };
    change(&mut made);
    object.properties.push(made);
}

/// Only these values.
pub(crate) fn only(values: Vec<Value>) -> Quality {
    let mut rule = Quality::library("invalidValues", Operator::Be(0.0));
    rule.arguments.insert("validValues".to_owned(), Value::Array(values.into_iter().filter(|value| !value.is_null()).collect()));
    rule
}

/// No two rows have the same values in these columns.
fn unique_together(names: &[&str]) -> Quality {
    let mut rule = Quality::library("duplicateValues", Operator::Be(0.0));
    rule.arguments.insert("properties".to_owned(), names.iter().copied().map(Value::from).collect());
    rule
}
