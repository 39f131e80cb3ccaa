//! The same messages in OTLP's JSON: names in camel case, ids in hex, 64-bit numbers as texts or numbers.

use kernel::{Kind, Problem, limits, parse_hex};
use serde_json::{Map, Value};
use traces::limits::REQUEST_SPAN_COUNT_MAX;
use traces::{NewSpan, SpanEvent, SpanStatus};

use super::message::{float, id, parent, push, status_of, too_deep};
use super::{malformed, nanoseconds};

/// All spans of a request.
pub(super) fn spans(body: &[u8]) -> Result<Vec<NewSpan>, Problem> {
    // The parser itself stops at a depth of 128.
    let request: Value = serde_json::from_slice(body).map_err(|_| malformed())?;
    let mut all = Vec::new();
    for resource in list(&request, "resourceSpans")? {
        for scope in list(resource, "scopeSpans")? {
            for one in list(scope, "spans")? {
                if all.len() >= REQUEST_SPAN_COUNT_MAX {
                    return Err(Problem::new(
                        Kind::TooLarge,
                        format!("at most {REQUEST_SPAN_COUNT_MAX} spans at once are taken"),
                    ));
                }
                all.push(span(one)?);
            }
        }
    }
    Ok(all)
}

fn get<'a>(object: &'a Value, name: &str) -> Option<&'a Value> {
    object.get(name).filter(|value| !value.is_null())
}

fn list<'a>(object: &'a Value, name: &str) -> Result<&'a [Value], Problem> {
    match get(object, name) {
        None => Ok(&[]),
        Some(Value::Array(items)) => Ok(items),
        Some(_) => Err(malformed()),
    }
}

fn text(object: &Value, name: &str) -> Result<String, Problem> {
    match get(object, name) {
        None => Ok(String::new()),
        Some(Value::String(text)) => Ok(text.clone()),
        Some(_) => Err(malformed()),
    }
}

fn bytes(object: &Value, name: &str) -> Result<Vec<u8>, Problem> {
    parse_hex(&text(object, name)?).ok_or_else(malformed)
}

fn time(object: &Value, name: &str) -> Result<i64, Problem> {
    let number = match get(object, name) {
        None => Some(0),
        Some(Value::String(text)) => text.parse().ok(),
        Some(value) => value.as_u64(),
    };
    nanoseconds(number.ok_or_else(malformed)?)
}

fn span(one: &Value) -> Result<NewSpan, Problem> {
    let (status, status_message) = match get(one, "status") {
        Some(status) => (status_code(status)?, text(status, "message")?),
        None => (SpanStatus::Unset, String::new()),
    };
    let mut span = NewSpan {
        trace_id: id(&bytes(one, "traceId")?, "trace_id")?,
        span_id: id(&bytes(one, "spanId")?, "span_id")?,
        parent_span_id: parent(&bytes(one, "parentSpanId")?)?,
        name: text(one, "name")?,
        start_time_ns: time(one, "startTimeUnixNano")?,
        end_time_ns: Some(time(one, "endTimeUnixNano")?).filter(|end| *end > 0),
        status,
        status_message,
        attributes: attributes(one)?,
        events: Vec::new(),
    };
    for event in list(one, "events")? {
        let event =
            SpanEvent { name: text(event, "name")?, time_ns: time(event, "timeUnixNano")?, attributes: attributes(event)? };
        push(&mut span.events, event)?;
    }
    Ok(span)
}

fn status_code(status: &Value) -> Result<SpanStatus, Problem> {
    match get(status, "code") {
        None => Ok(SpanStatus::Unset),
        Some(Value::String(word)) => {
            let all = [SpanStatus::Unset, SpanStatus::Ok, SpanStatus::Error];
            all.into_iter().find(|status| status.code() == word).ok_or_else(malformed)
        }
        Some(code) => code.as_u64().map(status_of).ok_or_else(malformed),
    }
}

fn attributes(object: &Value) -> Result<Vec<(String, Value)>, Problem> {
    let mut all = Vec::new();
    for one in list(object, "attributes")? {
        push(&mut all, key_value(one, 0)?)?;
    }
    Ok(all)
}

fn key_value(one: &Value, depth: usize) -> Result<(String, Value), Problem> {
    let value = get(one, "value").map_or(Ok(Value::Null), |value| any_value(value, depth + 1))?;
    Ok((text(one, "key")?, value))
}

fn any_value(value: &Value, depth: usize) -> Result<Value, Problem> {
    if depth > limits::JSON_DEPTH_MAX {
        return Err(too_deep());
    }
    let Some((kind, inside)) = value.as_object().and_then(|object| object.iter().find(|(_, inside)| !inside.is_null())) else {
        return Ok(Value::Null);
    };
    Ok(match (kind.as_str(), inside) {
        ("stringValue" | "bytesValue", Value::String(text)) => Value::String(text.clone()),
        ("boolValue", Value::Bool(flag)) => Value::Bool(*flag),
        ("intValue", Value::String(text)) => Value::from(text.parse::<i64>().map_err(|_| malformed())?),
        ("intValue", Value::Number(number)) if number.is_i64() => inside.clone(),
        ("doubleValue", Value::Number(number)) => float(number.as_f64().ok_or_else(malformed)?),
        ("doubleValue", Value::String(text)) => Value::String(text.clone()),
        ("arrayValue", inside) => {
            Value::Array(list(inside, "values")?.iter().map(|item| any_value(item, depth + 1)).collect::<Result<_, _>>()?)
        }
        ("kvlistValue", inside) => {
            let pairs = list(inside, "values")?.iter().map(|pair| key_value(pair, depth));
            Value::Object(pairs.collect::<Result<Map<_, _>, _>>()?)
        }
        _ => return Err(malformed()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn request(span: &Value) -> Vec<u8> {
        json!({"resourceSpans": [{"scopeSpans": [{"spans": [span]}]}]}).to_string().into_bytes()
    }

    #[test]
    fn a_span_is_read() {
        let span = json!({
            "traceId": "0102030405060708090a0b0c0d0e0f10", "spanId": "0102030405060708", "parentSpanId": "", "name": "root",
            "startTimeUnixNano": "10", "endTimeUnixNano": 20, "status": {"code": 2, "message": "why"},
            "attributes": [{"key": "a", "value": {"kvlistValue": {"values": [{"key": "b", "value": {"intValue": "-5"}}]}}}],
            "events": [{"name": "e", "timeUnixNano": "7"}],
        });
        let found = spans(&request(&span)).unwrap().remove(0);
        assert_eq!((found.span_id, found.parent_span_id), ([1, 2, 3, 4, 5, 6, 7, 8], None));
        assert_eq!((found.status, found.end_time_ns), (SpanStatus::Error, Some(20)));
        assert_eq!(found.attributes, [("a".to_owned(), json!({"b": -5}))]);
        assert_eq!(found.events.len(), 1);
    }

    #[test]
    fn anything_else_is_refused() {
        for bad in [
            json!({}),
            json!({"traceId": "xx", "spanId": "0102030405060708"}),
            json!({"traceId": "AQIDBAUGBwgJCgsMDQ4PEA==", "spanId": "0102030405060708"}),
            json!({"traceId": "0102030405060708090a0b0c0d0e0f10", "spanId": "0102030405060708", "startTimeUnixNano": -1}),
            json!({"traceId": "0102030405060708090a0b0c0d0e0f10", "spanId": "0102030405060708", "attributes": [{"key": "a", "value": {"intValue": "x"}}]}),
        ] {
            assert!(spans(&request(&bad)).is_err(), "{bad}");
        }
        assert!(spans(b"{broken").is_err());
    }
}
