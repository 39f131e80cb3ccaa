//! The dialect of trace searches: attributes, tags, metadata, spans and assessments.

use kernel::{Kind as ProblemKind, Problem};

use crate::clause::{Written, list, number, quoted_text, written_clauses};
use crate::fields::{NUMERIC, trim_quotes, unquote};
use crate::lexer::{Kind, Token};
use crate::order::split;
use crate::python::{echo, repr_list, repr_set};
use crate::{CLAUSE_COUNT_MAX, Comparison, Entity, Literal};

const TEXT: &[Comparison] =
    &[Comparison::Ne, Comparison::Eq, Comparison::ILike, Comparison::In, Comparison::Like, Comparison::NotIn];
const KEYED: &[Comparison] =
    &[Comparison::Ne, Comparison::Eq, Comparison::ILike, Comparison::IsNotNull, Comparison::IsNull, Comparison::Like];
const EQUAL: &[Comparison] = &[Comparison::Eq];
const PATTERN: &[Comparison] = &[Comparison::ILike, Comparison::Like];

/// The tag behind the attribute `name`.
const NAME_TAG: &str = "mlflow.traceName";
/// What may stand before the dot.
const KINDS: [&str; 11] = [
    "attribute",
    "attributes",
    "expectation",
    "feedback",
    "issue",
    "metadata",
    "request_metadata",
    "span",
    "tag",
    "tags",
    "trace",
];
const FILTER_KEYS: [&str; 13] = [
    "client_request_id",
    "end_time",
    "end_time_ms",
    "execution_time",
    "execution_time_ms",
    "name",
    "prompt",
    "request_id",
    "run_id",
    "status",
    "text",
    "timestamp",
    "timestamp_ms",
];
const ORDER_KEYS: [&str; 11] = [
    "end_time",
    "end_time_ms",
    "execution_time",
    "execution_time_ms",
    "experiment_id",
    "name",
    "request_id",
    "run_id",
    "status",
    "timestamp",
    "timestamp_ms",
];

/// One field of a trace, its aliases resolved.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum TraceField {
    /// `request_id client_request_id status timestamp_ms execution_time_ms end_time_ms` (and `experiment_id` in orders).
    Attribute(&'static str),
    /// A tag.
    Tag(String),
    /// An entry of the metadata.
    Metadata(String),
    /// The run that it belongs to.
    Run,
    /// A prompt version that is linked to it, as `name/version`.
    Prompt,
    /// `name`, `type`, `status` or `content` of one of its spans. All such clauses of a filter mean the same span.
    Span(&'static str),
    /// An attribute of one of its spans.
    SpanAttribute(String),
    /// The value of its feedback of this name.
    Feedback(String),
    /// The value of its expectation of this name.
    Expectation(String),
    /// The id of an issue that it is noted for.
    Issue,
}

/// One comparison. All clauses of a filter must hold.
#[derive(Clone, Debug, PartialEq)]
pub struct TraceClause {
    /// What is compared.
    pub field: TraceField,
    /// How.
    pub comparison: Comparison,
    /// With what.
    pub literal: Literal,
}

/// One key of an order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TraceOrder {
    /// An attribute, a tag, an entry of the metadata, or the run.
    pub field: TraceField,
    /// Smallest first.
    pub ascending: bool,
}

/// The clauses of a filter of traces, all of which must hold. An empty filter has none.
///
/// # Errors
/// `Invalid`, with MLflow's texts, for what the grammar does not hold; `NotImplemented` for `RLIKE`.
pub fn parse_trace_filter(filter: &str) -> Result<Vec<TraceClause>, Problem> {
    written_clauses(Entity::Run, filter)?.iter().map(clause).collect()
}

/// The keys of an order of traces, most important first.
///
/// # Errors
/// `Invalid`, with MLflow's texts, for keys that traces cannot be ordered by, and for duplicates.
pub fn parse_trace_order_by(clauses: &[impl AsRef<str>]) -> Result<Vec<TraceOrder>, Problem> {
    if clauses.len() > CLAUSE_COUNT_MAX {
        let count = clauses.len();
        return Err(Problem::invalid(format!("`order_by` has {count} fields, but at most {CLAUSE_COUNT_MAX} are allowed")));
    }
    let mut all: Vec<TraceOrder> = Vec::with_capacity(clauses.len());
    for clause in clauses {
        let (key, ascending) = split(clause.as_ref())?;
        let field = field(&key, &ORDER_KEYS)?;
        if !matches!(field, TraceField::Attribute(_) | TraceField::Tag(_) | TraceField::Metadata(_) | TraceField::Run) {
            return Err(Problem::invalid(format!("Invalid identifier type '{}'", kind_word(&field))));
        }
        if all.iter().any(|earlier| earlier.field == field) {
            return Err(Problem::invalid(format!("`order_by` contains duplicate fields: {}", echo(&repr_list(clauses)))));
        }
        all.push(TraceOrder { field, ascending });
    }
    Ok(all)
}

fn clause(written: &Written<'_>) -> Result<TraceClause, Problem> {
    if written.left.kind != Kind::Name {
        return Err(Problem::invalid(format!(
            "Invalid comparison clause. Expected 'Identifier' found '{}'",
            echo(written.left.text)
        )));
    }
    let field = field(written.left.text, &FILTER_KEYS)?;
    let literal = match written.value {
        Some(value) => literal(&field, value)?,
        None => Literal::None,
    };
    let comparison = comparison(&field, &written.operator)?;
    let literal = match (comparison, literal) {
        (Comparison::In | Comparison::NotIn, Literal::Text(text)) => Literal::List(vec![text]),
        (Comparison::In | Comparison::NotIn, literal) => literal,
        (_, Literal::List(_)) => return Err(Problem::invalid("a list is compared with IN or NOT IN")),
        (_, literal) => literal,
    };
    Ok(TraceClause { field, comparison, literal })
}

fn field(identifier: &str, known: &[&'static str]) -> Result<TraceField, Problem> {
    let (kind, key) = identifier.split_once('.').unwrap_or(("attribute", identifier));
    let kind = trim_quotes(kind, &['`']);
    let key = unquote(key);
    Ok(match kind {
        "tag" | "tags" => TraceField::Tag(key.to_owned()),
        "request_metadata" | "metadata" => TraceField::Metadata(key.to_owned()),
        "attribute" | "attributes" | "trace" => return attribute(key, known),
        "span" => return span(key),
        "feedback" | "expectation" if key.is_empty() => return Err(Problem::invalid("Assessment field name cannot be empty")),
        "feedback" => TraceField::Feedback(key.to_owned()),
        "expectation" => TraceField::Expectation(key.to_owned()),
        "issue" if key == "id" => TraceField::Issue,
        "issue" => return Err(Problem::invalid(format!("Invalid issue attribute '{}'. Supported attributes: id", echo(key)))),
        other => {
            return Err(Problem::invalid(format!(
                "Invalid entity type '{}'. Valid values are {}",
                echo(other),
                repr_set(&KINDS)
            )));
        }
    })
}

fn attribute(key: &str, known: &[&'static str]) -> Result<TraceField, Problem> {
    let Some(name) = known.iter().find(|name| **name == key) else {
        let keys = repr_set(known);
        return Err(Problem::invalid(format!("Invalid attribute key '{}' specified. Valid keys are '{keys}'", echo(key))));
    };
    Ok(match *name {
        "name" => TraceField::Tag(NAME_TAG.to_owned()),
        "run_id" => TraceField::Run,
        "prompt" => TraceField::Prompt,
        "text" => TraceField::Span("content"),
        "timestamp" => TraceField::Attribute("timestamp_ms"),
        "execution_time" => TraceField::Attribute("execution_time_ms"),
        "end_time" => TraceField::Attribute("end_time_ms"),
        other => TraceField::Attribute(other),
    })
}

fn span(key: &str) -> Result<TraceField, Problem> {
    if let Some(name) = key.strip_prefix("attributes.") {
        let name = trim_quotes(name, &['`']);
        if name.is_empty() {
            return Err(Problem::invalid("Span attribute name cannot be empty after 'attributes.'"));
        }
        return Ok(TraceField::SpanAttribute(name.to_owned()));
    }
    let found = ["name", "type", "status", "content"].into_iter().find(|name| *name == key);
    found.map(TraceField::Span).ok_or_else(|| {
        Problem::invalid(format!(
            "Invalid span attribute '{}'. Supported attributes: name, status, type, attributes.<attribute_name>.",
            echo(key)
        ))
    })
}

const fn kind_word(field: &TraceField) -> &'static str {
    match field {
        TraceField::Attribute(_) => "attribute",
        TraceField::Tag(_) | TraceField::Prompt => "tag",
        TraceField::Metadata(_) | TraceField::Run => "request_metadata",
        TraceField::Span(_) | TraceField::SpanAttribute(_) => "span",
        TraceField::Feedback(_) => "feedback",
        TraceField::Expectation(_) => "expectation",
        TraceField::Issue => "issue",
    }
}

fn is_numeric(field: &TraceField) -> bool {
    matches!(field, TraceField::Attribute("timestamp_ms" | "execution_time_ms" | "end_time_ms"))
}

fn literal(field: &TraceField, value: Token<'_>) -> Result<Literal, Problem> {
    let lists = matches!(
        field,
        TraceField::Attribute("status" | "request_id" | "client_request_id") | TraceField::Span(_) | TraceField::SpanAttribute(_)
    );
    match value.kind {
        Kind::Number if is_numeric(field) => number(value.text),
        Kind::Text | Kind::Name if is_numeric(field) => match quoted_text(value.text)? {
            Literal::Text(text) => number(&text),
            other => Ok(other),
        },
        Kind::Text | Kind::Name => quoted_text(value.text),
        Kind::List if lists => list(value.text),
        Kind::Number if matches!(field, TraceField::Attribute(_)) => {
            let keys = repr_set(&["end_time", "end_time_ms", "execution_time", "execution_time_ms", "timestamp", "timestamp_ms"]);
            Err(Problem::invalid(format!("Only the '{keys}' attributes support comparison with numeric values.")))
        }
        _ => Err(Problem::invalid(format!(
            "Expected a quoted string value for {} (e.g. 'my-value'). Got value {}",
            kind_word(field),
            echo(value.text)
        ))),
    }
}

fn comparison(field: &TraceField, operator: &str) -> Result<Comparison, Problem> {
    let upper = operator.to_ascii_uppercase();
    if upper == "RLIKE" {
        let text = "RLIKE is not supported: the databases disagree on regular expressions; use LIKE or ILIKE";
        return Err(Problem::new(ProblemKind::NotImplemented, text));
    }
    let allowed = match field {
        field if is_numeric(field) => NUMERIC,
        TraceField::Attribute(_) | TraceField::Span("name" | "type" | "status") | TraceField::SpanAttribute(_) => TEXT,
        TraceField::Span(_) => PATTERN,
        TraceField::Prompt | TraceField::Issue => EQUAL,
        _ => KEYED,
    };
    if let Some(comparison) = Comparison::parse(&upper).filter(|comparison| allowed.contains(comparison)) {
        return Ok(comparison);
    }
    let words: Vec<&str> = allowed.iter().map(|comparison| comparison.word()).collect();
    Err(Problem::invalid(format!("Invalid comparator '{}' not one of '{}'", echo(&upper), repr_set(&words))))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(filter: &str) -> TraceClause {
        parse_trace_filter(filter).unwrap().remove(0)
    }

    #[test]
    fn fields_and_their_aliases_are_known() {
        for (filter, field, comparison) in [
            ("status = 'OK'", TraceField::Attribute("status"), Comparison::Eq),
            ("trace.status IN ('OK')", TraceField::Attribute("status"), Comparison::In),
            ("timestamp > 5", TraceField::Attribute("timestamp_ms"), Comparison::Gt),
            ("attributes.execution_time <= 5", TraceField::Attribute("execution_time_ms"), Comparison::Le),
            ("name LIKE 'a%'", TraceField::Tag(NAME_TAG.to_owned()), Comparison::Like),
            ("tags.`a b` IS NULL", TraceField::Tag("a b".to_owned()), Comparison::IsNull),
            ("metadata.`mlflow.user` != 'x'", TraceField::Metadata("mlflow.user".to_owned()), Comparison::Ne),
            ("attribute.run_id = 'r'", TraceField::Run, Comparison::Eq),
            ("trace.text ILIKE '%x%'", TraceField::Span("content"), Comparison::ILike),
            ("span.name IN ('a', 'b')", TraceField::Span("name"), Comparison::In),
            ("span.attributes.model = 'm'", TraceField::SpanAttribute("model".to_owned()), Comparison::Eq),
            ("feedback.good = 'true'", TraceField::Feedback("good".to_owned()), Comparison::Eq),
            ("expectation.`a.b` IS NOT NULL", TraceField::Expectation("a.b".to_owned()), Comparison::IsNotNull),
            ("issue.id = 'i'", TraceField::Issue, Comparison::Eq),
            ("prompt = 'p/1'", TraceField::Prompt, Comparison::Eq),
        ] {
            let clause = one(filter);
            assert_eq!((clause.field, clause.comparison), (field, comparison), "{filter}");
        }
    }

    #[test]
    fn what_is_no_filter_is_refused() {
        for (filter, part) in [
            ("invalid.filter = 'x'", "Invalid entity type 'invalid'"),
            ("nothing = 'x'", "Invalid attribute key 'nothing' specified."),
            ("status > 'x'", "Invalid comparator '>' not one of"),
            ("status IS NULL", "Invalid comparator 'IS NULL' not one of"),
            ("status = 5", "attributes support comparison with numeric values."),
            ("status = ('OK')", "compared with IN or NOT IN"),
            ("timestamp > 'x'", "Expected a number"),
            ("tags.a IN ('x')", "Expected a quoted string value for tag"),
            ("name RLIKE 'a.*'", "RLIKE is not supported"),
            ("span.foo = 'x'", "Invalid span attribute 'foo'."),
            ("span.content = 'x'", "Invalid comparator '=' not one of"),
            ("issue.name = 'x'", "Invalid issue attribute 'name'."),
            ("prompt LIKE 'x'", "Invalid comparator 'LIKE' not one of"),
            ("status = 'OK' OR status = 'ERROR'", "Invalid clause(s) in filter string: 'OR'"),
        ] {
            let problem = parse_trace_filter(filter).unwrap_err();
            assert!(problem.message().contains(part), "{filter}: {problem}");
        }
    }

    #[test]
    fn orders_are_read() {
        let order = parse_trace_order_by(&["timestamp ASC", "tags.a DESC", "name"]).unwrap();
        assert_eq!(order.first().map(|key| (&key.field, key.ascending)), Some((&TraceField::Attribute("timestamp_ms"), true)));
        assert_eq!(order.len(), 3);
        for (clause, part) in
            [("text", "Invalid attribute key"), ("span.name", "Invalid identifier type 'span'"), ("feedback.a", "'feedback'")]
        {
            assert!(parse_trace_order_by(&[clause]).unwrap_err().message().contains(part), "{clause}");
        }
        assert!(parse_trace_order_by(&["timestamp", "timestamp_ms"]).is_err(), "twice");
    }
}
