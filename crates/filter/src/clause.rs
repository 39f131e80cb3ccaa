//! Turns a filter's text into clauses.

use kernel::Problem;

use crate::fields::{self, KEYED, NUMERIC, PLAIN, Purpose, STRING};
use crate::lexer::{Kind, Token, tokens};
use crate::python::{echo, repr, repr_set};
use crate::{CLAUSE_COUNT_MAX, Clause, Comparison, Entity, FILTER_BYTES_MAX, Field, LIST_COUNT_MAX, Literal};

/// One comparison as written, before its field is known. Without `value` it is `IS NULL` or `IS NOT NULL`.
pub(crate) struct Written<'a> {
    pub(crate) left: Token<'a>,
    pub(crate) operator: String,
    pub(crate) value: Option<Token<'a>>,
}

/// The clauses of `filter`, all of which must hold. An empty filter has none.
///
/// # Errors
/// `Invalid`, with MLflow's texts, for what the grammar of `entity` does not hold, and for filters over
/// [`FILTER_BYTES_MAX`] or [`CLAUSE_COUNT_MAX`].
pub fn parse_filter(entity: Entity, filter: &str) -> Result<Vec<Clause>, Problem> {
    written_clauses(entity, filter)?.iter().map(|one| clause(entity, one)).collect()
}

/// The comparisons of a filter as they are written.
pub(crate) fn written_clauses(entity: Entity, filter: &str) -> Result<Vec<Written<'_>>, Problem> {
    if filter.is_empty() {
        return Ok(Vec::new());
    }
    if filter.len() > FILTER_BYTES_MAX {
        return Err(Problem::invalid(format!(
            "Invalid filter string: it has {} bytes, but at most {FILTER_BYTES_MAX} are allowed",
            filter.len()
        )));
    }
    let tokens = single_statement(entity, filter)?;
    let (written, strays) = group(&tokens);
    if !strays.is_empty() {
        return Err(stray_problem(entity, filter, &strays));
    }
    if written.len() > CLAUSE_COUNT_MAX {
        return Err(Problem::invalid(format!(
            "Invalid filter string: it has {} clauses, but at most {CLAUSE_COUNT_MAX} are allowed",
            written.len()
        )));
    }
    Ok(written)
}

fn single_statement<'a>(entity: Entity, filter: &'a str) -> Result<Vec<Token<'a>>, Problem> {
    let mut all = tokens(filter);
    if all.is_empty() {
        return Err(Problem::invalid(format!("Invalid filter '{}'. Could not be parsed.", echo(filter))));
    }
    let end = all.iter().position(|token| token.kind == Kind::End);
    let Some(end) = end else { return Ok(all) };
    if end + 1 < all.len() {
        return Err(Problem::invalid(match entity {
            Entity::LoggedModel => {
                format!("Invalid filter string: {}. Expected a single SQL expression.", repr(&echo(filter)))
            }
            _ => format!("Search filter contained multiple expression {}. Provide AND-ed expression list.", repr(&echo(filter))),
        }));
    }
    // A lone `;` at the end stays, as a stray clause.
    if let Some(last) = all.last_mut() {
        last.kind = Kind::Other;
    }
    Ok(all)
}

fn stray_problem(entity: Entity, filter: &str, strays: &[Token<'_>]) -> Problem {
    if entity == Entity::LoggedModel {
        return Problem::invalid(format!(
            "Invalid filter string: {}. Expected a list of comparisons separated by 'AND' \
             (e.g. 'metrics.loss > 0.1 AND params.lr = 0.01').",
            repr(&echo(filter))
        ));
    }
    let quote = if entity == Entity::Run { "'" } else { "" };
    let list: Vec<String> = strays.iter().map(|token| format!("{quote}{}{quote}", token.text)).collect();
    Problem::invalid(format!("Invalid clause(s) in filter string: {}", echo(&list.join(", "))))
}

/// Groups tokens into comparisons. What belongs to none, and is no `AND`, is a stray.
fn group<'a>(tokens: &[Token<'a>]) -> (Vec<Written<'a>>, Vec<Token<'a>>) {
    let mut written = Vec::new();
    let mut strays = Vec::new();
    let mut rest = tokens;
    while let Some((first, after)) = rest.split_first() {
        if first.kind == Kind::And {
            rest = after;
        } else if let Some((one, used)) = comparison(*first, after) {
            written.push(one);
            rest = after.get(used..).unwrap_or_default();
        } else {
            strays.push(*first);
            rest = after;
        }
    }
    (written, strays)
}

/// A comparison that starts with `left`, and how many tokens after `left` it takes.
fn comparison<'a>(left: Token<'a>, after: &[Token<'a>]) -> Option<(Written<'a>, usize)> {
    let operand = |token: &Token<'_>| matches!(token.kind, Kind::Name | Kind::Text | Kind::Number | Kind::Operation);
    if !operand(&left) && left.kind != Kind::List {
        return None;
    }
    let is = |at: usize, word: &str| after.get(at).is_some_and(|token| token.text.eq_ignore_ascii_case(word));
    let made = |operator: &str, value: Option<Token<'a>>| Written { left, operator: operator.to_owned(), value };
    let list = |at: usize| after.get(at).filter(|token| token.kind == Kind::List).copied();
    if left.kind == Kind::Name {
        if is(0, "IN")
            && let Some(value) = list(1)
        {
            return Some((made("IN", Some(value)), 2));
        }
        if is(0, "NOT")
            && is(1, "IN")
            && let Some(value) = list(2)
        {
            return Some((made("NOT IN", Some(value)), 3));
        }
        if is(0, "IS") && is(1, "NULL") {
            return Some((made("IS NULL", None), 2));
        }
        if is(0, "IS") && is(1, "NOT") && is(2, "NULL") {
            return Some((made("IS NOT NULL", None), 3));
        }
    }
    let negated = usize::from(is(0, "NOT"));
    let operator = after.get(negated).filter(|token| token.kind == Kind::Operator)?;
    let value = after.get(negated + 1).filter(|token| operand(token) || token.kind == Kind::List)?;
    let word = if negated == 1 { format!("NOT {}", operator.text) } else { operator.text.to_owned() };
    Some((made(&word, Some(*value)), negated + 2))
}

fn clause(entity: Entity, written: &Written<'_>) -> Result<Clause, Problem> {
    if entity == Entity::LoggedModel {
        return logged_model_clause(written);
    }
    if written.left.kind != Kind::Name {
        return Err(Problem::invalid(format!(
            "Invalid comparison clause. Expected 'Identifier' found '{}'",
            echo(written.left.text)
        )));
    }
    let Some(value) = written.value else {
        return null_clause(entity, written);
    };
    let field = fields::field(entity, written.left.text, Purpose::Filter)?;
    let literal = literal(entity, &field, written.left.text, value)?;
    let comparison = comparison_for(entity, &field, &written.operator)?;
    let literal = match (comparison, literal) {
        (Comparison::In | Comparison::NotIn, Literal::Text(text)) => Literal::List(vec![text]),
        (_, literal) => literal,
    };
    Ok(Clause { field, comparison, literal })
}

fn null_clause(entity: Entity, written: &Written<'_>) -> Result<Clause, Problem> {
    if matches!(entity, Entity::RegisteredModel | Entity::ModelVersion | Entity::EvaluationDataset) {
        return Err(Problem::invalid("Invalid comparison clause. Expected 3 tokens found 2"));
    }
    let field = fields::field(entity, written.left.text, Purpose::Filter)?;
    let comparison = if written.operator == "IS NULL" { Comparison::IsNull } else { Comparison::IsNotNull };
    let refused = match (&field, entity) {
        (Field::Tag(_) | Field::Param(_), _) => return Ok(Clause { field, comparison, literal: Literal::None }),
        (Field::Attribute(key), Entity::Experiment) => {
            format!("IS NULL / IS NOT NULL is only supported for tags, not for attribute '{key}'")
        }
        _ => {
            let (kind, key) = kind_and_key(&field);
            format!("IS NULL / IS NOT NULL is only supported for tags and params, not for '{kind}' '{}'", echo(key))
        }
    };
    Err(Problem::invalid(refused))
}

fn kind_and_key(field: &Field) -> (&'static str, &str) {
    match field {
        Field::Attribute(key) => ("attribute", key),
        Field::Metric(key) => ("metric", key),
        Field::Param(key) => ("parameter", key),
        Field::Tag(key) => ("tag", key),
        Field::Dataset(key) => ("dataset", key),
    }
}

fn literal(entity: Entity, field: &Field, written_key: &str, value: Token<'_>) -> Result<Literal, Problem> {
    let shown = || echo(value.text);
    let is_text = matches!(value.kind, Kind::Text | Kind::Name);
    match field {
        Field::Metric(_) if value.kind == Kind::Number => number(value.text),
        Field::Metric(_) => Err(Problem::invalid(format!("Expected numeric value type for metric. Found {}", shown()))),
        Field::Param(_) | Field::Tag(_) if is_text => quoted_text(value.text),
        Field::Param(_) | Field::Tag(_) => Err(Problem::invalid(format!(
            "Expected a quoted string value for {} (e.g. 'my-value'). Got value {}",
            kind_and_key(field).0,
            shown()
        ))),
        Field::Attribute("version_number") => version_literal(value),
        Field::Attribute(key) if fields::is_numeric(entity, key) => match value.kind {
            Kind::Number => number(value.text),
            _ => Err(Problem::invalid(format!(
                "Expected numeric value type for numeric attribute: {}. Found {}",
                fields::unquote(written_key.rsplit('.').next().unwrap_or(written_key)),
                shown()
            ))),
        },
        Field::Attribute(_) | Field::Dataset(_) if is_text => quoted_text(value.text),
        Field::Attribute(key) if value.kind == Kind::List => match *key {
            "run_id" => list(value.text),
            _ => Err(Problem::invalid("Only the 'run_id' attribute supports comparison with a list of quoted string values.")),
        },
        Field::Dataset(_) if value.kind == Kind::List => list(value.text),
        Field::Dataset(_) => {
            Err(Problem::invalid(format!("Expected a quoted string value for dataset attributes. Got value {}", shown())))
        }
        Field::Attribute(_) => Err(Problem::invalid(match (entity, value.kind) {
            (Entity::ModelVersion, Kind::Number) => {
                "Only the '{'version_number'}' attributes support comparison with numeric values.".to_owned()
            }
            (Entity::ModelVersion | Entity::RegisteredModel, _) => {
                format!("Expected a quoted string value or a list of quoted string values for attributes. Got value {}", shown())
            }
            _ => format!("Expected a quoted string value for attributes. Got value {}", shown()),
        })),
    }
}

fn version_literal(value: Token<'_>) -> Result<Literal, Problem> {
    match value.kind {
        Kind::Number => number(value.text),
        Kind::Text | Kind::Name => match quoted_text(value.text)? {
            Literal::Text(text) => number(&text),
            other => Ok(other),
        },
        Kind::List => {
            Err(Problem::invalid("Only the 'run_id' attribute supports comparison with a list of quoted string values."))
        }
        _ => Err(Problem::invalid(format!(
            "Expected a quoted string value or a list of quoted string values for attributes. Got value {}",
            echo(value.text)
        ))),
    }
}

pub(crate) fn number(text: &str) -> Result<Literal, Problem> {
    match text.parse::<f64>() {
        Ok(number) if number.is_finite() => Ok(Literal::Number(number)),
        _ => Err(Problem::invalid(format!("Expected a number, but got {}", echo(text)))),
    }
}

pub(crate) fn quoted_text(text: &str) -> Result<Literal, Problem> {
    let inside = fields::trim_quotes(text, &['\'', '"']);
    if inside.len() == text.len() {
        return Err(Problem::invalid(format!(
            "Parameter value is either not quoted or unidentified quote types used for string value {}. \
             Use either single or double quotes.",
            echo(text)
        )));
    }
    Ok(Literal::Text(inside.to_owned()))
}

/// The texts of `('a', 'b')`.
pub(crate) fn list(text: &str) -> Result<Literal, Problem> {
    let ill_formed = || {
        Problem::invalid(
            "While parsing a list in the query, expected a non-empty list of string values, but got ill-formed list.",
        )
    };
    let inside = text.strip_prefix('(').and_then(|text| text.strip_suffix(')')).ok_or_else(ill_formed)?;
    let mut values = Vec::new();
    let mut expects_value = true;
    for token in tokens(inside) {
        match token.kind {
            Kind::Text | Kind::Name if expects_value => match quoted_text(token.text) {
                Ok(Literal::Text(value)) => values.push(value),
                _ => return Err(ill_formed()),
            },
            Kind::Number if expects_value => {
                return Err(Problem::invalid(format!(
                    "While parsing a list in the query, expected string value, punctuation, or whitespace, \
                     but got different type in list: {}",
                    echo(text)
                )));
            }
            Kind::Other if token.text == "," && !expects_value => {}
            _ => return Err(ill_formed()),
        }
        expects_value = !expects_value;
    }
    if values.is_empty() {
        return Err(Problem::invalid(
            "While parsing a list in the query, expected a non-empty list of string values, but got empty list",
        ));
    }
    if values.len() > LIST_COUNT_MAX {
        return Err(Problem::invalid(format!("a list in a filter may have at most {LIST_COUNT_MAX} values")));
    }
    Ok(Literal::List(values))
}

fn comparison_for(entity: Entity, field: &Field, operator: &str) -> Result<Comparison, Problem> {
    let upper = operator.to_ascii_uppercase();
    let allowed = allowed_for(entity, field);
    if let Some(comparison) = Comparison::parse(&upper).filter(|comparison| allowed.contains(comparison)) {
        return Ok(comparison);
    }
    let words: Vec<&str> = allowed.iter().map(|comparison| comparison.word()).collect();
    Err(Problem::invalid(match (entity, field) {
        (Entity::RegisteredModel | Entity::ModelVersion, Field::Attribute("version_number")) => {
            format!("Invalid comparator for attribute version_number: {}", echo(&upper))
        }
        (Entity::RegisteredModel | Entity::ModelVersion, Field::Attribute(_)) => {
            format!("Invalid comparator for attribute: {}", echo(&upper))
        }
        (Entity::RegisteredModel | Entity::ModelVersion, _) | (Entity::Experiment | Entity::EvaluationDataset, Field::Tag(_)) => {
            format!("Invalid comparator for tag: {}", echo(&upper))
        }
        _ => format!("Invalid comparator '{}' not one of '{}'", echo(&upper), repr_set(&words)),
    }))
}

fn allowed_for(entity: Entity, field: &Field) -> &'static [Comparison] {
    const VERSION_STRING: &[Comparison] = &[Comparison::Ne, Comparison::Eq, Comparison::ILike, Comparison::In, Comparison::Like];
    match (entity, field) {
        (_, Field::Metric(_)) => NUMERIC,
        (_, Field::Attribute(key)) if fields::is_numeric(entity, key) => NUMERIC,
        (Entity::RegisteredModel | Entity::Experiment, Field::Attribute(_)) | (Entity::EvaluationDataset, _) => PLAIN,
        (Entity::ModelVersion, Field::Attribute("run_id")) => VERSION_STRING,
        (Entity::ModelVersion, Field::Attribute(_)) => PLAIN,
        (Entity::RegisteredModel | Entity::ModelVersion, _) => PLAIN,
        (_, Field::Attribute(_) | Field::Dataset(_)) => STRING,
        (_, Field::Param(_) | Field::Tag(_)) => KEYED,
    }
}

/// Logged models have their own dialect: values need no quotes, and every text field takes `IN`.
fn logged_model_clause(written: &Written<'_>) -> Result<Clause, Problem> {
    let Some(value) = written.value else {
        return Err(Problem::invalid(format!(
            "Invalid comparison: {} {}. Expected a comparison with 3 tokens.",
            echo(written.left.text),
            written.operator
        )));
    };
    let field = fields::field(Entity::LoggedModel, written.left.text, Purpose::Filter)?;
    let numeric = match &field {
        Field::Metric(_) => true,
        Field::Attribute(key) => fields::is_numeric(Entity::LoggedModel, key),
        _ => false,
    };
    let allowed = if numeric { NUMERIC } else { STRING };
    let operator = written.operator.to_ascii_uppercase();
    let Some(comparison) = Comparison::parse(&operator).filter(|comparison| allowed.contains(comparison)) else {
        let (kind, key) = kind_and_key(&field);
        let kind = if kind == "parameter" { "param" } else { kind };
        return Err(Problem::invalid(format!(
            "Invalid comparison operator for {kind}s.{}: {}. Expected one of \
             ('=', '!=', 'LIKE', 'ILIKE', 'IN', 'NOT IN').",
            echo(key),
            repr(&echo(&operator))
        )));
    };
    let literal = match (numeric, value.kind) {
        (true, Kind::List) | (false, Kind::Operation) => {
            return Err(Problem::invalid(format!("Invalid comparison value: {}", echo(value.text))));
        }
        (true, _) => number(fields::trim_quotes(value.text, &['\'', '"']))?,
        (false, Kind::List) => list(value.text)?,
        (false, _) => Literal::Text(fields::trim_quotes(value.text, &['\'', '"']).to_owned()),
    };
    let literal = match (comparison, literal) {
        (Comparison::In | Comparison::NotIn, Literal::Text(text)) => Literal::List(vec![text]),
        (Comparison::In | Comparison::NotIn, literal) => literal,
        (_, Literal::List(_)) => {
            return Err(Problem::invalid(format!("Invalid comparison value: {}", echo(value.text))));
        }
        (_, literal) => literal,
    };
    Ok(Clause { field, comparison, literal })
}
