//! The messages of `opentelemetry/proto/collector/trace/v1/trace_service.proto` and those inside it, field by field.

use kernel::{Kind, Problem, limits};
use serde_json::{Map, Value};
use traces::limits::{REQUEST_SPAN_COUNT_MAX, SPAN_PART_COUNT_MAX};
use traces::{NewSpan, SpanEvent, SpanStatus};

use super::{malformed, nanoseconds};
use crate::protobuf::{Field, fields};

/// All spans of an `ExportTraceServiceRequest`.
pub(super) fn spans(request: &[u8]) -> Result<Vec<NewSpan>, Problem> {
    let mut all = Vec::new();
    // Request → ResourceSpans (1) → ScopeSpans (2) → Span (2).
    fields(request, |number, resource| match number {
        1 => fields(resource.bytes()?, |number, scope| match number {
            2 => fields(scope.bytes()?, |number, field| match number {
                2 => {
                    if all.len() >= REQUEST_SPAN_COUNT_MAX {
                        return Err(too_many("spans at once", REQUEST_SPAN_COUNT_MAX));
                    }
                    all.push(span(field.bytes()?)?);
                    Ok(())
                }
                _ => Ok(()),
            }),
            _ => Ok(()),
        }),
        _ => Ok(()),
    })?;
    Ok(all)
}

fn too_many(what: &str, most: usize) -> Problem {
    Problem::new(Kind::TooLarge, format!("at most {most} {what} are taken"))
}

pub(super) fn id<const N: usize>(bytes: &[u8], what: &str) -> Result<[u8; N], Problem> {
    bytes.try_into().map_err(|_| Problem::invalid(format!("a span's {what} must have {N} bytes, got {}", bytes.len())))
}

fn span(message: &[u8]) -> Result<NewSpan, Problem> {
    let mut span = NewSpan::default();
    let (mut has_trace, mut has_span) = (false, false);
    fields(message, |number, field| {
        match number {
            1 => (span.trace_id, has_trace) = (id(field.bytes()?, "trace_id")?, true),
            2 => (span.span_id, has_span) = (id(field.bytes()?, "span_id")?, true),
            4 => span.parent_span_id = parent(field.bytes()?)?,
            5 => span.name = field.text()?,
            7 => span.start_time_ns = nanoseconds(field.fixed64()?)?,
            8 => span.end_time_ns = Some(nanoseconds(field.fixed64()?)?).filter(|end| *end > 0),
            9 => push(&mut span.attributes, key_value(field.bytes()?, 0)?)?,
            11 => push(&mut span.events, event(field.bytes()?)?)?,
            15 => (span.status, span.status_message) = status(field.bytes()?)?,
            _ => {}
        }
        Ok(())
    })?;
    if !(has_trace && has_span) {
        return Err(Problem::invalid("a span must have a trace_id and a span_id"));
    }
    Ok(span)
}

/// The parent's id; none where it is empty or zero, as some exporters write a root's.
pub(super) fn parent(bytes: &[u8]) -> Result<Option<[u8; 8]>, Problem> {
    if bytes.iter().all(|byte| *byte == 0) {
        return Ok(None);
    }
    id(bytes, "parent_span_id").map(Some)
}

pub(super) fn push<T>(list: &mut Vec<T>, item: T) -> Result<(), Problem> {
    if list.len() >= SPAN_PART_COUNT_MAX {
        return Err(too_many("attributes, and as many events, of one span", SPAN_PART_COUNT_MAX));
    }
    list.push(item);
    Ok(())
}

fn event(message: &[u8]) -> Result<SpanEvent, Problem> {
    let mut event = SpanEvent::default();
    fields(message, |number, field| {
        match number {
            1 => event.time_ns = nanoseconds(field.fixed64()?)?,
            2 => event.name = field.text()?,
            3 => push(&mut event.attributes, key_value(field.bytes()?, 0)?)?,
            _ => {}
        }
        Ok(())
    })?;
    Ok(event)
}

fn status(message: &[u8]) -> Result<(SpanStatus, String), Problem> {
    let (mut status, mut text) = (SpanStatus::Unset, String::new());
    fields(message, |number, field| {
        match number {
            2 => text = field.text()?,
            3 => status = status_of(field.varint()?),
            _ => {}
        }
        Ok(())
    })?;
    Ok((status, text))
}

pub(super) const fn status_of(code: u64) -> SpanStatus {
    match code {
        1 => SpanStatus::Ok,
        2 => SpanStatus::Error,
        _ => SpanStatus::Unset,
    }
}

fn key_value(message: &[u8], depth: usize) -> Result<(String, Value), Problem> {
    let (mut key, mut value) = (String::new(), Value::Null);
    fields(message, |number, field| {
        match number {
            1 => key = field.text()?,
            2 => value = any_value(field.bytes()?, depth + 1)?,
            _ => {}
        }
        Ok(())
    })?;
    Ok((key, value))
}

/// An `AnyValue` as JSON. Bytes become base64.
fn any_value(message: &[u8], depth: usize) -> Result<Value, Problem> {
    if depth > limits::JSON_DEPTH_MAX {
        return Err(too_deep());
    }
    let mut value = Value::Null;
    fields(message, |number, field| {
        value = match (number, field) {
            (1, field) => Value::String(field.text()?),
            (2, field) => Value::Bool(field.varint()? != 0),
            (3, field) => Value::from(field.varint()?.cast_signed()),
            (4, field) => float(f64::from_bits(field.fixed64()?)),
            (5, field) => list(field.bytes()?, depth)?,
            (6, field) => object(field.bytes()?, depth)?,
            (7, Field::Bytes(bytes)) => Value::String(crate::base64_text(bytes)),
            (7, _) => return Err(malformed()),
            _ => return Ok(()),
        };
        Ok(())
    })?;
    Ok(value)
}

pub(super) fn too_deep() -> Problem {
    Problem::invalid(format!("an attribute is nested deeper than {} levels", limits::JSON_DEPTH_MAX))
}

/// JSON has no word for what is no finite number: it becomes a text.
pub(super) fn float(number: f64) -> Value {
    crate::mlflow::number::float_value(number)
}

fn list(message: &[u8], depth: usize) -> Result<Value, Problem> {
    let mut all = Vec::new();
    fields(message, |number, field| {
        if number == 1 {
            all.push(any_value(field.bytes()?, depth + 1)?);
        }
        Ok(())
    })?;
    Ok(Value::Array(all))
}

fn object(message: &[u8], depth: usize) -> Result<Value, Problem> {
    let mut all = Map::new();
    fields(message, |number, field| {
        if number == 1 {
            let (key, value) = key_value(field.bytes()?, depth)?;
            all.insert(key, value);
        }
        Ok(())
    })?;
    Ok(Value::Object(all))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_bytes_end_without_a_fault() {
        let mut seed = 7_u64;
        for _ in 0..2_000 {
            let next = |_| {
                seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                seed.to_le_bytes()[7]
            };
            drop(spans(&(0..40).map(next).collect::<Vec<u8>>()));
        }
    }

    fn message(number: u8, inside: &[u8]) -> Vec<u8> {
        let mut out = vec![number << 3 | 2];
        let mut length = inside.len();
        while length >= 0x80 {
            out.push(u8::try_from(length & 0x7f).unwrap() | 0x80);
            length >>= 7;
        }
        out.push(u8::try_from(length).unwrap());
        out.extend_from_slice(inside);
        out
    }

    fn fixed64(number: u8, value: u64) -> Vec<u8> {
        let mut out = vec![number << 3 | 1];
        out.extend_from_slice(&value.to_le_bytes());
        out
    }

    fn request(span: &[u8]) -> Vec<u8> {
        message(1, &message(2, &message(2, span)))
    }

    fn plain_span() -> Vec<u8> {
        [message(1, &[1; 16]), message(2, &[2; 8]), message(5, b"root"), fixed64(7, 10), fixed64(8, 20)].concat()
    }

    fn attribute(key: &[u8], value: &[u8]) -> Vec<u8> {
        message(9, &[message(1, key), message(2, value)].concat())
    }

    #[test]
    fn a_span_is_read_with_all_kinds_of_values() {
        let list = message(5, &[message(1, &[0x18, 5]), message(1, &[])].concat());
        let object = message(6, &message(1, &[message(1, b"k"), message(2, &[0x10, 1])].concat()));
        let body = [
            plain_span(),
            attribute(b"text", &message(1, b"x")),
            attribute(b"negative", &[0x18, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01]),
            attribute(b"float", &fixed64(4, 1.5_f64.to_bits())),
            attribute(b"nan", &fixed64(4, f64::NAN.to_bits())),
            attribute(b"list", &list),
            attribute(b"object", &object),
            attribute(b"bytes", &message(7, &[1, 2])),
            message(11, &[fixed64(1, 7), message(2, b"e")].concat()),
            message(15, &[message(2, b"why"), vec![0x18, 2]].concat()),
        ]
        .concat();
        let found = spans(&request(&body)).unwrap().remove(0);
        assert_eq!((found.name.as_str(), found.start_time_ns, found.end_time_ns), ("root", 10, Some(20)));
        assert_eq!((found.status, found.status_message.as_str()), (SpanStatus::Error, "why"));
        assert_eq!(found.events, [SpanEvent { name: "e".to_owned(), time_ns: 7, attributes: Vec::new() }]);
        let attributes: Map<String, Value> = found.attributes.into_iter().collect();
        let expected = serde_json::json!({
            "text": "x", "negative": -1, "float": 1.5, "nan": "NaN", "list": [5, null], "object": {"k": true}, "bytes": "AQI=",
        });
        assert_eq!(Value::Object(attributes), expected);
    }

    #[test]
    fn hostile_requests_are_refused() {
        let mut deep = message(1, b"x");
        for _ in 0..limits::JSON_DEPTH_MAX {
            deep = message(5, &message(1, &deep));
        }
        let many = vec![attribute(b"k", &[]); SPAN_PART_COUNT_MAX + 1].concat();
        for (bad, kind) in [
            ([plain_span(), attribute(b"deep", &deep)].concat(), Kind::Invalid),
            ([plain_span(), many].concat(), Kind::TooLarge),
            (message(1, &[1; 16]), Kind::Invalid),
            ([message(1, &[1; 15]), message(2, &[2; 8])].concat(), Kind::Invalid),
            ([plain_span(), message(5, &[0xff])].concat(), Kind::Invalid),
            ([plain_span(), fixed64(7, u64::MAX)].concat(), Kind::Invalid),
        ] {
            assert_eq!(spans(&request(&bad)).unwrap_err().kind(), kind);
        }
    }
}
