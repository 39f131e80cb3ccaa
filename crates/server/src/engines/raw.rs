//! Values as the Open Inference Protocol sends them: in JSON, or as bytes behind it; and the types that have another name here.
//! Source: triton-inference-server, docs/protocol/extension_binary_data.md: floats of 16 bits are not sent as JSON.

use std::collections::BTreeMap;

use http::{HeaderMap, HeaderName};
use runtime::{DataType, Values, half};
use serde_json::Value;

/// The header with the length of the JSON, where bytes of tensors are behind it.
pub(super) const HEADER_LENGTH: HeaderName = HeaderName::from_static("inference-header-content-length");

/// How a type that the protocol names is held here where the name of that would not do.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Own {
    F16,
    Bf16,
    U64,
}

impl Own {
    pub(super) fn of(word: &str) -> Option<Self> {
        Some(match word {
            "FP16" => Self::F16,
            "BF16" => Self::Bf16,
            "UINT64" => Self::U64,
            _ => return None,
        })
    }

    pub(super) const fn word(self) -> &'static str {
        match self {
            Self::F16 => "FP16",
            Self::Bf16 => "BF16",
            Self::U64 => "UINT64",
        }
    }

    /// Whether its values are sent as bytes.
    pub(super) fn is_half(self) -> bool {
        self != Self::U64
    }

    /// Numbers as they are sent.
    pub(super) fn bytes(self, numbers: &[f64]) -> Option<Vec<u8>> {
        let narrow = if self == Self::F16 { half::to_f16 } else { half::to_bf16 };
        let mut bytes = Vec::with_capacity(2 * numbers.len());
        for number in numbers {
            bytes.extend_from_slice(&narrow(*number as f32)?.to_le_bytes());
        }
        Some(bytes)
    }

    /// Numbers as they come.
    pub(super) fn numbers(self, bytes: &[u8]) -> Option<Vec<f32>> {
        let wide = if self == Self::F16 { half::from_f16 } else { half::from_bf16 };
        let (all, rest) = bytes.as_chunks::<2>();
        rest.is_empty().then(|| all.iter().map(|raw| wide(u16::from_le_bytes(*raw))).collect())
    }
}

/// The tensors of a model whose types have another name there than here.
pub(super) struct Named {
    pub(super) inputs: BTreeMap<String, Own>,
    pub(super) outputs: BTreeMap<String, Own>,
}

/// An answer's JSON, and the bytes of tensors behind it.
pub(super) fn parts<'a>(headers: &HeaderMap, body: &'a [u8]) -> Result<(&'a [u8], &'a [u8]), String> {
    let Some(length) = headers.get(HEADER_LENGTH) else { return Ok((body, &[][..])) };
    let length = length.to_str().ok().and_then(|text| text.parse::<usize>().ok());
    length.and_then(|length| body.split_at_checked(length)).ok_or_else(|| "its JSON is not as long as it says".to_owned())
}

/// Values as JSON of a kind; none where JSON has no number for one, or it is no whole one.
pub(super) fn data(values: &Values, kind: DataType) -> Option<Vec<Value>> {
    let float = |value: f64| {
        if kind == DataType::I64 {
            let whole = value.fract() == 0.0 && value.abs() < 9_007_199_254_740_992.0;
            return whole.then(|| Value::from(value as i64));
        }
        serde_json::Number::from_f64(value).map(Value::Number)
    };
    match values {
        Values::F32(all) => all.iter().map(|value| float(f64::from(*value))).collect(),
        Values::F64(all) => all.iter().map(|value| float(*value)).collect(),
        Values::I64(all) => Some(all.iter().map(|value| Value::from(*value)).collect()),
        Values::Bool(all) => Some(all.iter().map(|value| Value::from(*value)).collect()),
        Values::Text(all) => Some(all.iter().map(|value| Value::from(value.as_str())).collect()),
    }
}

/// Data may be nested, row by row.
pub(super) fn flatten<'a>(data: &'a Value, depth: usize, flat: &mut Vec<&'a Value>) -> Result<(), String> {
    const DEPTH_MAX: usize = 8;
    match data {
        Value::Array(_) if depth > DEPTH_MAX => Err("its data is nested too deep".to_owned()),
        Value::Array(all) => all.iter().try_for_each(|one| flatten(one, depth + 1, flat)),
        one => {
            flat.push(one);
            Ok(())
        }
    }
}

/// Values of a kind out of JSON.
pub(super) fn values(flat: &[&Value], kind: DataType) -> Option<Values> {
    // What JSON has no number for came as null.
    let float = |one: &&Value| if one.is_null() { Some(f64::NAN) } else { one.as_f64() };
    Some(match kind {
        DataType::F32 => Values::F32(flat.iter().map(|one| float(one).map(|value| value as f32)).collect::<Option<_>>()?),
        DataType::F64 => Values::F64(flat.iter().map(float).collect::<Option<_>>()?),
        DataType::I64 => Values::I64(flat.iter().map(|one| one.as_i64()).collect::<Option<_>>()?),
        DataType::Bool => Values::Bool(flat.iter().map(|one| one.as_bool()).collect::<Option<_>>()?),
        DataType::Text => Values::Text(flat.iter().map(|one| one.as_str().map(str::to_owned)).collect::<Option<_>>()?),
    })
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    #[test]
    fn bytes_lie_behind_json_of_the_length_that_is_said() {
        let body = b"{}ab";
        let headers = |length: &'static str| HeaderMap::from_iter([(HEADER_LENGTH, HeaderValue::from_static(length))]);
        assert_eq!(parts(&HeaderMap::new(), body).unwrap(), (&body[..], &b""[..]));
        assert_eq!(parts(&headers("2"), body).unwrap(), (&b"{}"[..], &b"ab"[..]));
        for wrong in ["5", "-1", "two"] {
            assert!(parts(&headers(wrong), body).is_err(), "{wrong}");
        }
    }
}
