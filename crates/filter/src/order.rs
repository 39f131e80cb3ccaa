//! Orders: `metrics.accuracy DESC`.

use kernel::Problem;
use serde_json::Value;

use crate::fields::{self, Purpose};
use crate::python::{echo, repr_list, repr_set};
use crate::{CLAUSE_COUNT_MAX, Entity, FILTER_BYTES_MAX, Field};

/// One key of an order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OrderBy {
    /// What to order by.
    pub field: Field,
    /// Smallest first.
    pub ascending: bool,
}

/// One key of an order of logged models. `dataset_*` narrow a metric to values that were measured on that dataset.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LoggedModelOrder {
    /// An attribute or a metric.
    pub field: Field,
    /// Smallest first.
    pub ascending: bool,
    /// Only values measured on a dataset of this name.
    pub dataset_name: Option<String>,
    /// Only values measured on a dataset of this digest.
    pub dataset_digest: Option<String>,
}

/// The keys of an order, most important first.
///
/// # Errors
/// `Invalid`, with MLflow's texts, for keys that `entity` cannot be ordered by, for duplicates, and over
/// [`CLAUSE_COUNT_MAX`].
pub fn parse_order_by(entity: Entity, clauses: &[impl AsRef<str>]) -> Result<Vec<OrderBy>, Problem> {
    if clauses.len() > CLAUSE_COUNT_MAX {
        return Err(Problem::invalid(format!(
            "`order_by` has {} fields, but at most {CLAUSE_COUNT_MAX} are allowed",
            clauses.len()
        )));
    }
    let mut all: Vec<OrderBy> = Vec::with_capacity(clauses.len());
    for clause in clauses {
        let order = one(entity, clause.as_ref())?;
        if all.iter().any(|earlier| earlier.field == order.field) {
            return Err(Problem::invalid(format!("`order_by` contains duplicate fields: {}", echo(&repr_list(clauses)))));
        }
        all.push(order);
    }
    Ok(all)
}

fn one(entity: Entity, clause: &str) -> Result<OrderBy, Problem> {
    let (key, ascending) = split(clause)?;
    if entity == Entity::RegisteredModel {
        let field = match key.as_str() {
            "name" => Field::Attribute("name"),
            "timestamp" | "last_updated_timestamp" => Field::Attribute("last_updated_timestamp"),
            other => {
                return Err(Problem::invalid(format!(
                    "Invalid order by key '{}' specified. Valid keys are '{}'",
                    echo(other),
                    repr_set(&["name", "timestamp"])
                )));
            }
        };
        return Ok(OrderBy { field, ascending });
    }
    let field = fields::field(entity, &key, Purpose::Order)?;
    match (&field, entity) {
        (Field::Dataset(_), Entity::Run) => Err(Problem::invalid("Invalid identifier type 'dataset'")),
        (Field::Tag(_), Entity::Experiment | Entity::ModelVersion | Entity::EvaluationDataset) => {
            Err(Problem::invalid("Invalid order_by entity: tag"))
        }
        _ => Ok(OrderBy { field, ascending }),
    }
}

/// Splits `key [ASC|DESC]`; a quoted part of a key may hold spaces.
pub(crate) fn split(clause: &str) -> Result<(String, bool), Problem> {
    let unparsable = || Problem::invalid(format!("Invalid order_by clause '{}'. Could not be parsed.", echo(clause)));
    if clause.len() > FILTER_BYTES_MAX {
        return Err(unparsable());
    }
    let mut words: Vec<String> = vec![String::new()];
    let mut quote: Option<char> = None;
    for letter in clause.trim().chars() {
        match quote {
            Some(open) if letter == open => quote = None,
            None if matches!(letter, '`' | '"' | '\'') => quote = Some(letter),
            None if letter.is_whitespace() => {
                if words.last().is_some_and(|word| !word.is_empty()) {
                    words.push(String::new());
                }
                continue;
            }
            None if matches!(letter, ';' | '(' | ')' | ',') => return Err(unparsable()),
            _ => {}
        }
        if !matches!(letter, '`' | '"' | '\'') || quote.is_some_and(|open| open != letter) {
            words.last_mut().ok_or_else(unparsable)?.push(letter);
        }
    }
    if quote.is_some() {
        return Err(unparsable());
    }
    match words.as_slice() {
        [key] if !key.is_empty() => Ok((key.clone(), true)),
        [key, order] if order.eq_ignore_ascii_case("asc") => Ok((key.clone(), true)),
        [key, order] if order.eq_ignore_ascii_case("desc") => Ok((key.clone(), false)),
        [_, _] => Err(Problem::invalid(format!("Invalid ordering key in order_by clause '{}'.", echo(clause)))),
        _ => Err(unparsable()),
    }
}

/// The keys of an order of logged models, from the JSON objects that clients send: `field_name`, `ascending`,
/// `dataset_name`, `dataset_digest`.
///
/// # Errors
/// `Invalid`, with MLflow's texts.
pub fn parse_logged_model_order_by(order_by: &[Value]) -> Result<Vec<LoggedModelOrder>, Problem> {
    if order_by.len() > CLAUSE_COUNT_MAX {
        return Err(Problem::invalid(format!(
            "`order_by` has {} fields, but at most {CLAUSE_COUNT_MAX} are allowed",
            order_by.len()
        )));
    }
    order_by.iter().map(logged_model_order).collect()
}

fn logged_model_order(value: &Value) -> Result<LoggedModelOrder, Problem> {
    let object = value.as_object().ok_or_else(|| Problem::invalid("`order_by` must be a list of dictionaries."))?;
    let text = |name: &str| object.get(name).and_then(Value::as_str).filter(|text| !text.is_empty()).map(str::to_owned);
    let name = text("field_name").ok_or_else(|| Problem::invalid("`field_name` in the `order_by` clause must be specified."))?;
    let field = match name.split_once('.') {
        Some(("metrics", key)) => Field::Metric(fields::unquote(key).to_owned()),
        Some(_) => {
            return Err(Problem::invalid(format!("Invalid order by field name: {}. Only metrics are supported.", echo(&name))));
        }
        None => fields::logged_model_attribute(name.trim())
            .map(Field::Attribute)
            .ok_or_else(|| Problem::invalid(format!("Invalid order by field name: {}", echo(&name))))?,
    };
    let ascending = match object.get("ascending") {
        None | Some(Value::Null) => true,
        Some(Value::Bool(ascending)) => *ascending,
        Some(_) => {
            return Err(Problem::invalid(format!(
                "Value of `ascending` in the `order_by` clause must be a boolean, for field {}.",
                echo(&name)
            )));
        }
    };
    let (dataset_name, dataset_digest) = (text("dataset_name"), text("dataset_digest"));
    if dataset_digest.is_some() && dataset_name.is_none() {
        return Err(Problem::invalid("`dataset_digest` can only be specified if `dataset_name` is also specified."));
    }
    Ok(LoggedModelOrder { field, ascending, dataset_name, dataset_digest })
}
