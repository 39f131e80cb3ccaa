//! The search grammar of the MLflow API: `filter`, `order_by` and page tokens, as pure values.
//!
//! It is not a query: rooms turn clauses into their own SQL. It knows no SQL and no protocol.
//!
//! INVARIANT: every accepted clause names a field that its entity has, with a comparison and a literal that fit the field.
//! Held by the tables in `tests`.
//! INVARIANT: work is linear in the text, which is at most [`FILTER_BYTES_MAX`]; nothing recurses.

mod clause;
mod fields;
mod lexer;
mod like;
mod order;
mod page;
mod python;
#[cfg(test)]
mod tests;
mod trace;

pub use clause::parse_filter;
pub use like::like_matches;
pub use order::{LoggedModelOrder, OrderBy, parse_logged_model_order_by, parse_order_by};
pub use page::{
    LoggedModelPage, decode_logged_model_page_token, decode_page_token, encode_logged_model_page_token, encode_page_token,
};
pub use trace::{TraceClause, TraceField, TraceOrder, parse_trace_filter, parse_trace_order_by};

/// A filter's or an order's text.
pub const FILTER_BYTES_MAX: usize = 64 * 1024;
/// Clauses of one filter, and keys of one order.
pub const CLAUSE_COUNT_MAX: usize = 100;
/// Values of one `IN` list.
pub const LIST_COUNT_MAX: usize = 10_000;
/// A page token's text.
pub const PAGE_TOKEN_BYTES_MAX: usize = 128 * 1024;

/// What is searched.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Entity {
    /// Attributes `run_id run_name user_id status start_time end_time artifact_uri`, metrics, params, tags, datasets.
    Run,
    /// Attributes `name creation_time last_update_time` (and `experiment_id` in orders), tags.
    Experiment,
    /// Attribute `name` (and `last_updated_timestamp` in orders), tags.
    RegisteredModel,
    /// Attributes `name version_number run_id source_path` (and `creation_timestamp last_updated_timestamp` in orders), tags.
    ModelVersion,
    /// Attributes `name model_id model_type status source_run_id experiment_id artifact_location lifecycle_stage
    /// creation_timestamp last_updated_timestamp`, metrics, params, tags.
    LoggedModel,
    /// Attributes `name created_time last_update_time created_by last_updated_by`, tags.
    EvaluationDataset,
}

/// One field, its aliases resolved.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Field {
    /// A column of the entity, by its canonical name.
    Attribute(&'static str),
    /// The latest value of a metric.
    Metric(String),
    /// A param.
    Param(String),
    /// A tag.
    Tag(String),
    /// A property of a dataset that the run used: `name`, `digest` or `context`.
    Dataset(&'static str),
}

/// How a field is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Comparison {
    /// `=`
    Eq,
    /// `!=`
    Ne,
    /// `<`
    Lt,
    /// `<=`
    Le,
    /// `>`
    Gt,
    /// `>=`
    Ge,
    /// `LIKE`, with case
    Like,
    /// `ILIKE`, without case
    ILike,
    /// `IN`
    In,
    /// `NOT IN`
    NotIn,
    /// `IS NULL`: there is no such key
    IsNull,
    /// `IS NOT NULL`
    IsNotNull,
}

/// What a field is compared with.
#[derive(Clone, Debug, PartialEq)]
pub enum Literal {
    /// Nothing, for `IS NULL` and `IS NOT NULL`.
    None,
    /// For metrics and numeric attributes.
    Number(f64),
    /// For all other fields.
    Text(String),
    /// For `IN` and `NOT IN`. Never empty.
    List(Vec<String>),
}

/// One comparison. All clauses of a filter must hold.
#[derive(Clone, Debug, PartialEq)]
pub struct Clause {
    /// What is compared.
    pub field: Field,
    /// How.
    pub comparison: Comparison,
    /// With what.
    pub literal: Literal,
}

impl Comparison {
    /// The comparison behind an operator as written, in any case.
    pub(crate) fn parse(operator: &str) -> Option<Self> {
        Some(match operator.to_ascii_uppercase().as_str() {
            "=" => Self::Eq,
            "!=" => Self::Ne,
            "<" => Self::Lt,
            "<=" => Self::Le,
            ">" => Self::Gt,
            ">=" => Self::Ge,
            "LIKE" => Self::Like,
            "ILIKE" => Self::ILike,
            "IN" => Self::In,
            "NOT IN" => Self::NotIn,
            "IS NULL" => Self::IsNull,
            "IS NOT NULL" => Self::IsNotNull,
            _ => return None,
        })
    }

    /// The operator, as it is written in SQL and in filters.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Eq => "=",
            Self::Ne => "!=",
            Self::Lt => "<",
            Self::Le => "<=",
            Self::Gt => ">",
            Self::Ge => ">=",
            Self::Like => "LIKE",
            Self::ILike => "ILIKE",
            Self::In => "IN",
            Self::NotIn => "NOT IN",
            Self::IsNull => "IS NULL",
            Self::IsNotNull => "IS NOT NULL",
        }
    }
}
