//! Page tokens: base64 of a small JSON object.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use kernel::Problem;
use serde_json::{Value, json};

use crate::PAGE_TOKEN_BYTES_MAX;
use crate::python::echo;

/// The token of the page that starts at `offset`.
#[must_use]
pub fn encode_page_token(offset: u64) -> String {
    STANDARD.encode(format!("{{\"offset\": {offset}}}"))
}

/// The offset in a token; 0 for an absent or empty one.
///
/// # Errors
/// `Invalid`, with MLflow's texts, for a token that is none.
pub fn decode_page_token(token: Option<&str>) -> Result<u64, Problem> {
    let Some(token) = token.filter(|token| !token.is_empty()) else { return Ok(0) };
    let parsed = decode(token)?;
    match parsed.get("offset") {
        Some(Value::Number(number)) if number.as_u64().is_some_and(|offset| offset > 0) => Ok(number.as_u64().unwrap_or(0)),
        Some(Value::String(text)) if !text.is_empty() => {
            text.parse().map_err(|_| Problem::invalid(format!("Invalid page token, not stringable {}", echo(text))))
        }
        _ => Err(Problem::invalid(format!("Invalid page token, parsed value={}", echo(&parsed.to_string())))),
    }
}

fn decode(token: &str) -> Result<Value, Problem> {
    let no_base64 = || Problem::invalid("Invalid page token, could not base64-decode");
    if token.len() > PAGE_TOKEN_BYTES_MAX {
        return Err(no_base64());
    }
    let bytes = STANDARD.decode(token).map_err(|_| no_base64())?;
    serde_json::from_slice(&bytes)
        .map_err(|_| Problem::invalid(format!("Invalid page token, decoded value={}", echo(&String::from_utf8_lossy(&bytes)))))
}

/// What a page of logged models belongs to: its token is good for the same search only.
#[derive(Clone, Debug, PartialEq)]
pub struct LoggedModelPage<'a> {
    /// The experiments searched.
    pub experiment_ids: &'a [String],
    /// The filter.
    pub filter: Option<&'a str>,
    /// The order, as the client sent it.
    pub order_by: Option<&'a Value>,
}

/// The token of the page of this search that starts at `offset`.
#[must_use]
pub fn encode_logged_model_page_token(page: &LoggedModelPage<'_>, offset: u64) -> String {
    let body = json!({
        "experiment_ids": page.experiment_ids,
        "filter_string": page.filter,
        "order_by": page.order_by,
        "offset": offset,
    });
    STANDARD.encode(body.to_string())
}

/// The offset in a token of this search; 0 for an absent or empty one.
///
/// # Errors
/// `Invalid` for a token that is none, or that belongs to another search.
pub fn decode_logged_model_page_token(page: &LoggedModelPage<'_>, token: Option<&str>) -> Result<u64, Problem> {
    let Some(token) = token.filter(|token| !token.is_empty()) else { return Ok(0) };
    let parsed = decode(token).map_err(|_| Problem::invalid(format!("Invalid page token: {}.", echo(token))))?;
    let part = |name: &str| parsed.get(name).cloned().unwrap_or(Value::Null);
    let mismatch = |what: &str, noun: &str, expected: &Value, found: &Value| {
        Problem::invalid(format!(
            "{what} in the page token {} match the requested {noun}. Expected: {}. Found: {}",
            if noun == "experiment IDs" { "do not" } else { "does not" },
            echo(&expected.to_string()),
            echo(&found.to_string())
        ))
    };
    let checks = [
        ("Experiment IDs", "experiment IDs", json!(page.experiment_ids), part("experiment_ids")),
        ("Filter string", "filter string", json!(page.filter.filter(|f| !f.is_empty())), part("filter_string")),
        ("Order by", "order by", page.order_by.cloned().unwrap_or(Value::Null), part("order_by")),
    ];
    for (what, noun, expected, found) in checks {
        if expected != found {
            return Err(mismatch(what, noun, &expected, &found));
        }
    }
    Ok(parsed.get("offset").and_then(Value::as_u64).unwrap_or(0))
}
