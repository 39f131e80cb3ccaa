//! A contract lowered to rules: each one check with one measured number and what it may be. Knows no data.

mod engines;
mod expectation;
mod library;
mod ours;
mod properties;
mod service;
mod shape;
pub(crate) mod target;

use serde_json::Value;

use crate::format::{IntegerFormat, TextFormat};
use crate::model::{Contract, LogicalType, SchemaObject};
use crate::quality::{Operator, Severity};
use crate::{ContractError, RULE_COUNT_MAX};

pub(crate) use expectation::expectation;
pub(crate) use shape::Shape;

/// One thing that must hold.
#[derive(Clone, Debug)]
pub(crate) struct Rule {
    /// Its way through the contract, which stays when rules are added elsewhere.
    pub(crate) id: String,
    /// One word for what it is, such as `minimum`.
    pub(crate) kind: &'static str,
    /// What its writer said about it.
    pub(crate) description: Option<String>,
    /// The columns it reads, by their stored names; a dot leads into an object.
    pub(crate) columns: Vec<String>,
    pub(crate) severity: Severity,
    pub(crate) check: Check,
    pub(crate) tolerance: Tolerance,
}

/// What is measured, and what it may be.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Tolerance {
    pub(crate) measured: Measured,
    /// All must hold.
    pub(crate) operators: Vec<Operator>,
}

/// What the operators compare.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Measured {
    /// Rows that violate the rule.
    Rows,
    /// Those, of a hundred rows.
    PercentOfRows,
    /// The share, from 0 to 1, of the values that are there and hold: Great Expectations' `mostly`.
    HoldingShare,
    /// The check's own number.
    Value,
}

/// What a rule looks at.
#[derive(Clone, Debug)]
pub(crate) enum Check {
    /// The column exists.
    Present,
    /// The table has these columns: in this order, and no others.
    Columns { ordered: bool, exact: bool },
    /// The table has so many columns.
    ColumnCount,
    /// The column has a type that fits.
    Type { logical: LogicalType, format: Option<String>, timezone: Option<bool> },
    /// The column's stored type fits this name.
    PhysicalType(String),
    /// What the column's arrays hold has types that fit.
    Items(Shape),
    /// Rows, one by one.
    Row(RowTest),
    /// Keys over the columns that occur more than once. A key with a null is none.
    Duplicates,
    /// Rows that repeat an earlier row in all of the columns, nulls included.
    RepeatedRows,
    /// Rows of the table.
    RowCount,
    /// Rows against those of the version before, as a change of the share.
    RowCountChange,
    /// Seconds from the newest (or the oldest) value to now.
    Age { oldest: bool },
    /// Rows whose key is not among the keys given under this name.
    Reference { keys: String },
    /// The share of rows that are among the rows given under this name.
    Leakage { keys: String },
    /// A number over the column.
    Aggregate(Aggregate),
    /// Values that must be among a column's distinct ones.
    Contains(Vec<Value>),
    /// The smallest class's share.
    LabelBalance,
    /// The most frequent value's share.
    TopShare,
    /// A query that gives one number.
    Sql(String),
    /// For people.
    Text,
    /// Cannot be run, and why.
    Impossible(String),
}

/// What one row is tested for. A null is never a violation, but for the first two.
#[derive(Clone, Debug)]
pub(crate) enum RowTest {
    NotNull,
    NotMissing(Vec<Value>),
    Null,
    OneOf(Vec<Value>),
    NoneOf(Vec<Value>),
    Matches {
        pattern: String,
        must: bool,
    },
    Range {
        low: Option<(Value, bool)>,
        high: Option<(Value, bool)>,
    },
    MultipleOf(f64),
    Length {
        least: Option<u64>,
        most: Option<u64>,
    },
    Text(TextFormat),
    Integer(IntegerFormat),
    Items {
        least: Option<u64>,
        most: Option<u64>,
        unique: bool,
    },
    /// The first column compared with the second.
    Compare(Pair),
    /// The columns add up to this.
    SumIs(f64),
    /// Every one of these.
    All(Vec<RowTest>),
}

/// How the first of two columns stands to the second.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Pair {
    Greater,
    GreaterOrEqual,
    Less,
    LessOrEqual,
    Equal,
    NotEqual,
}

/// A number over a column.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Aggregate {
    Mean,
    Sum,
    Minimum,
    Maximum,
    StandardDeviation,
    Quantile(f64),
    Distinct,
    DistinctShare,
    PresentShare,
}

impl Tolerance {
    pub(crate) fn none() -> Self {
        Self { measured: Measured::Rows, operators: vec![Operator::Be(0.0)] }
    }

    pub(crate) fn value(operators: Vec<Operator>) -> Self {
        Self { measured: Measured::Value, operators }
    }
}

impl Rule {
    fn new(id: String, kind: &'static str, columns: Vec<String>, check: Check) -> Self {
        Self { id, kind, description: None, columns, severity: Severity::Error, check, tolerance: Tolerance::none() }
    }

    fn impossible(id: String, kind: &'static str, columns: Vec<String>, reason: impl Into<String>) -> Self {
        Self::new(id, kind, columns, Check::Impossible(reason.into()))
    }
}

/// Every rule of a table.
///
/// # Errors
/// `TooBig` if there are too many.
pub(crate) fn rules(contract: &Contract, object: &SchemaObject) -> Result<Vec<Rule>, ContractError> {
    let mut rules = Vec::new();
    for property in &object.properties {
        properties::property(object, property, "", &mut rules);
    }
    properties::primary_key(object, &mut rules);
    for (index, quality) in object.quality.iter().enumerate() {
        rules.push(library::quality(object, None, quality, index));
    }
    properties::relationships(contract, object, &mut rules);
    service::levels(contract, object, &mut rules);
    if rules.len() > RULE_COUNT_MAX {
        return Err(ContractError::TooBig { what: "the number of rules", size: rules.len(), max: RULE_COUNT_MAX });
    }
    Ok(rules)
}

/// The name of the keys of some columns of a table.
pub(crate) fn keys_name(object: &str, columns: &[String]) -> String {
    format!("{object}({})", columns.join(","))
}
