//! A span as it is kept: one JSON object of MLflow's form, whose attributes are JSON texts themselves, and what is taken out
//! of it into columns.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use kernel::{Kind, Problem, hex};
use serde_json::Value;

use crate::types::{NewSpan, SpanEvent, SpanStatus};
use crate::{limits, rules};

/// The attribute that names the trace in MLflow's own words.
const TRACE_ID: &str = "mlflow.traceRequestId";
const KIND: &str = "mlflow.spanType";
const INPUTS: &str = "mlflow.spanInputs";
const OUTPUTS: &str = "mlflow.spanOutputs";
const MODEL: &str = "mlflow.llm.model";
const PROVIDER: &str = "mlflow.llm.provider";
const TOKENS: &str = "mlflow.chat.tokenUsage";
const COST: &str = "mlflow.llm.cost";
const SESSION: &str = "session.id";
const USER: &str = "user.id";

/// Numbers of tokens, as MLflow names them.
pub(crate) const TOKEN_KEYS: [&str; 5] =
    ["input_tokens", "output_tokens", "total_tokens", "cache_read_input_tokens", "cache_creation_input_tokens"];
/// Costs in US dollars, as MLflow names them.
pub(crate) const COST_KEYS: [&str; 3] = ["input_cost", "output_cost", "total_cost"];

/// A span, ready for its row.
pub(crate) struct SpanRow {
    /// MLflow's id of its trace.
    pub(crate) trace_id: String,
    pub(crate) span_id: String,
    pub(crate) parent_span_id: Option<String>,
    pub(crate) name: String,
    pub(crate) kind: String,
    pub(crate) status: SpanStatus,
    pub(crate) start_time_ns: i64,
    pub(crate) end_time_ns: Option<i64>,
    pub(crate) model: Option<String>,
    pub(crate) provider: Option<String>,
    pub(crate) session: Option<String>,
    pub(crate) user: Option<String>,
    /// Tokens and cost.
    pub(crate) metrics: Vec<(&'static str, f64)>,
    /// The beginning of what a root span was asked, and of what it answered.
    pub(crate) previews: (Option<String>, Option<String>),
    pub(crate) content: String,
}

/// Reads a span.
///
/// # Errors
/// `Invalid` for names that cannot be kept, `TooLarge` beyond [`limits::SPAN_BYTES_MAX`].
pub(crate) fn row_of(span: &NewSpan) -> Result<SpanRow, Problem> {
    check(span)?;
    let text = |key: &str| {
        attribute(span, key).and_then(Value::as_str).map(|text| rules::cut(text.replace('\0', " "), limits::VALUE_CHARS_MAX))
    };
    let trace_id = text(TRACE_ID).unwrap_or_else(|| format!("tr-{}", hex(&span.trace_id)));
    rules::trace_id(&trace_id)?;
    let content = content(span, &trace_id);
    if content.len() > limits::SPAN_BYTES_MAX {
        let message = format!("a span has {} bytes; at most {} are kept of one", content.len(), limits::SPAN_BYTES_MAX);
        return Err(Problem::new(Kind::TooLarge, message));
    }
    let is_root = span.parent_span_id.is_none();
    let preview = |key: &str| attribute(span, key).filter(|value| is_root && !value.is_null()).map(preview_of);
    Ok(SpanRow {
        span_id: hex(&span.span_id),
        parent_span_id: span.parent_span_id.map(|id| hex(&id)),
        name: span.name.clone(),
        kind: rules::cut(text(KIND).unwrap_or_else(|| "UNKNOWN".to_owned()), limits::KEY_CHARS_MAX),
        status: span.status,
        start_time_ns: span.start_time_ns,
        end_time_ns: span.end_time_ns,
        model: text(MODEL),
        provider: text(PROVIDER),
        session: text(SESSION),
        user: text(USER),
        metrics: numbers(span, TOKENS, &TOKEN_KEYS).chain(numbers(span, COST, &COST_KEYS)).collect(),
        previews: (preview(INPUTS), preview(OUTPUTS)),
        trace_id,
        content,
    })
}

fn check(span: &NewSpan) -> Result<(), Problem> {
    if span.span_id == [0; 8] || span.trace_id == [0; 16] {
        return Err(Problem::invalid("a span's ids must not be all zero"));
    }
    if span.start_time_ns < 0 || span.end_time_ns.is_some_and(|end| end < 0) {
        return Err(Problem::invalid("a span's times must not be beyond the year 2262"));
    }
    rules::no_nul("a span's name", &span.name)?;
    if span.name.chars().count() > limits::SPAN_NAME_CHARS_MAX {
        return Err(Problem::invalid(format!("a span's name has at most {} characters", limits::SPAN_NAME_CHARS_MAX)));
    }
    let counts =
        [span.attributes.len(), span.events.len()].into_iter().chain(span.events.iter().map(|event| event.attributes.len()));
    if counts.max().unwrap_or(0) > limits::SPAN_PART_COUNT_MAX {
        let most = limits::SPAN_PART_COUNT_MAX;
        return Err(Problem::new(Kind::TooLarge, format!("a span has at most {most} attributes and {most} events")));
    }
    Ok(())
}

/// The last attribute of a name, which is the one that counts.
fn attribute<'a>(span: &'a NewSpan, key: &str) -> Option<&'a Value> {
    span.attributes.iter().rev().find(|(name, _)| name == key).map(|(_, value)| value)
}

/// The numbers of an attribute that is an object, or a text that holds one.
fn numbers(span: &NewSpan, key: &str, names: &'static [&'static str]) -> impl Iterator<Item = (&'static str, f64)> {
    let object = match attribute(span, key) {
        Some(Value::String(text)) => serde_json::from_str::<Value>(text).ok(),
        other => other.cloned(),
    };
    names.iter().filter_map(move |name| {
        let number = object.as_ref()?.get(*name)?.as_f64()?;
        number.is_finite().then_some((*name, number))
    })
}

fn preview_of(value: &Value) -> String {
    let text = match value {
        Value::String(text) => text.clone(),
        other => json(other),
    };
    let text = text.replace('\0', " ");
    if text.chars().count() <= limits::MADE_PREVIEW_CHARS_MAX {
        return text;
    }
    format!("{}...", rules::cut(text, limits::MADE_PREVIEW_CHARS_MAX - 3))
}

fn content(span: &NewSpan, trace_id: &str) -> String {
    let mut out = String::with_capacity(512);
    out.push_str("{\"trace_id\": ");
    push_text(&mut out, &STANDARD.encode(span.trace_id));
    out.push_str(", \"span_id\": ");
    push_text(&mut out, &STANDARD.encode(span.span_id));
    out.push_str(", \"parent_span_id\": ");
    match &span.parent_span_id {
        Some(id) => push_text(&mut out, &STANDARD.encode(id)),
        None => out.push_str("null"),
    }
    out.push_str(", \"name\": ");
    push_text(&mut out, &span.name);
    let end = span.end_time_ns.map_or_else(|| "null".to_owned(), |end| end.to_string());
    out.push_str(&format!(", \"start_time_unix_nano\": {}, \"end_time_unix_nano\": {end}, \"events\": ", span.start_time_ns));
    push_list(&mut out, '[', ']', &span.events, push_event);
    out.push_str(&format!(", \"status\": {{\"code\": \"{}\", \"message\": ", span.status.code()));
    push_text(&mut out, &span.status_message);
    out.push_str("}, \"attributes\": ");
    // An attribute that comes twice stands once, as in any JSON object.
    let mut attributes: Vec<(&str, String)> = vec![(TRACE_ID, json(&Value::String(trace_id.to_owned())))];
    for (key, value) in &span.attributes {
        match attributes.iter_mut().find(|(known, _)| known == key) {
            Some((_, text)) => *text = json(value),
            None => attributes.push((key, json(value))),
        }
    }
    push_list(&mut out, '{', '}', &attributes, |out, (key, text)| {
        push_text(out, key);
        out.push_str(": ");
        push_text(out, text);
    });
    out.push('}');
    out
}

fn push_event(out: &mut String, event: &SpanEvent) {
    out.push_str("{\"name\": ");
    push_text(out, &event.name);
    out.push_str(&format!(", \"time_unix_nano\": {}, \"attributes\": ", event.time_ns));
    push_list(out, '{', '}', &event.attributes, |out, (key, value)| {
        push_text(out, key);
        out.push_str(": ");
        push_json(out, value);
    });
    out.push('}');
}

/// JSON with a blank behind each comma and colon, as MLflow's clients write it: a filter that was made for their texts finds
/// the same here.
pub(crate) fn json(value: &Value) -> String {
    let mut out = String::new();
    push_json(&mut out, value);
    out
}

fn push_json(out: &mut String, value: &Value) {
    match value {
        Value::String(text) => push_text(out, text),
        Value::Array(items) => push_list(out, '[', ']', items, push_json),
        Value::Object(fields) => push_list(out, '{', '}', fields, |out, (key, value)| {
            push_text(out, key);
            out.push_str(": ");
            push_json(out, value);
        }),
        plain => out.push_str(&plain.to_string()),
    }
}

fn push_list<T>(
    out: &mut String,
    open: char,
    close: char,
    items: impl IntoIterator<Item = T>,
    mut each: impl FnMut(&mut String, T),
) {
    out.push(open);
    for (index, item) in items.into_iter().enumerate() {
        if index > 0 {
            out.push_str(", ");
        }
        each(out, item);
    }
    out.push(close);
}

fn push_text(out: &mut String, text: &str) {
    out.push_str(&Value::String(text.to_owned()).to_string());
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json as value;

    fn span() -> NewSpan {
        NewSpan {
            trace_id: [1; 16],
            span_id: [2; 8],
            name: "root".to_owned(),
            start_time_ns: 5,
            attributes: vec![
                ("a".to_owned(), value!({"b": [1, 2.5, null]})),
                ("a".to_owned(), value!("x\0\"y")),
                (TOKENS.to_owned(), value!({"input_tokens": 3, "other": 4})),
                (COST.to_owned(), value!("{\"total_cost\": 0.5}")),
            ],
            events: vec![SpanEvent { name: "e".to_owned(), time_ns: 7, attributes: vec![("k".to_owned(), value!(1))] }],
            ..NewSpan::default()
        }
    }

    #[test]
    fn a_span_is_kept_in_mlflows_form() {
        let row = row_of(&span()).unwrap();
        let read: Value = serde_json::from_str(&row.content).unwrap();
        assert_eq!(
            read,
            value!({
                "trace_id": "AQEBAQEBAQEBAQEBAQEBAQ==", "span_id": "AgICAgICAgI=", "parent_span_id": null, "name": "root",
                "start_time_unix_nano": 5, "end_time_unix_nano": null,
                "events": [{"name": "e", "time_unix_nano": 7, "attributes": {"k": 1}}],
                "status": {"code": "STATUS_CODE_UNSET", "message": ""},
                "attributes": {
                    "mlflow.traceRequestId": "\"tr-01010101010101010101010101010101\"",
                    "a": "\"x\\u0000\\\"y\"",
                    "mlflow.chat.tokenUsage": "{\"input_tokens\": 3, \"other\": 4}",
                    "mlflow.llm.cost": "\"{\\\"total_cost\\\": 0.5}\"",
                },
            })
        );
        assert!(!row.content.contains('\0'), "no engine is given a NUL");
        assert_eq!(row.metrics, [("input_tokens", 3.0), ("total_cost", 0.5)]);
    }

    #[test]
    fn what_is_too_large_or_unfit_is_refused() {
        let large = NewSpan { attributes: vec![("a".to_owned(), Value::String("x".repeat(limits::SPAN_BYTES_MAX)))], ..span() };
        assert_eq!(row_of(&large).err().map(|problem| problem.kind()), Some(Kind::TooLarge));
        let many = NewSpan { attributes: vec![("a".to_owned(), Value::Null); limits::SPAN_PART_COUNT_MAX + 1], ..span() };
        assert_eq!(row_of(&many).err().map(|problem| problem.kind()), Some(Kind::TooLarge));
        for bad in [
            NewSpan { span_id: [0; 8], ..span() },
            NewSpan { name: "a\0b".to_owned(), ..span() },
            NewSpan { start_time_ns: -1, ..span() },
            NewSpan { attributes: vec![(TRACE_ID.to_owned(), value!("../x"))], ..span() },
        ] {
            assert_eq!(row_of(&bad).err().map(|problem| problem.kind()), Some(Kind::Invalid));
        }
    }
}
