//! safetensors: a JSON header of names, types, shapes and places, then the tensors without a gap.

use std::collections::HashSet;
use std::fmt;
use std::io;

use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};

use crate::context::Context;
use crate::limits::SAFETENSORS_HEADER_BYTES_MAX;
use crate::report::shown;
use crate::rules;
use crate::source::Window;

#[derive(Debug, serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Tensor {
    dtype: String,
    shape: Vec<u64>,
    data_offsets: (u64, u64),
}

/// Whether the file begins with a length and a header of this length.
pub(super) fn is_safetensors(head: &[u8], size: u64) -> bool {
    let length = crate::container::zip::u64_at(head, 0);
    head.len() > 9 && length >= 2 && length <= size.saturating_sub(8) && head.get(8) == Some(&b'{')
}

pub(super) fn look(context: &mut Context<'_>, window: Window<'_>) -> io::Result<()> {
    let length = crate::container::zip::u64_at(&window.bytes(0, 8)?, 0);
    if length > SAFETENSORS_HEADER_BYTES_MAX {
        context.find(rules::FORMAT_MALFORMED, 0, format!("the header is said to have {length} bytes"));
        return Ok(());
    }
    let text = window.bytes(8, length)?;
    let tensors = match serde_json::from_slice::<Header>(&text) {
        Ok(header) => header.0,
        Err(error) => {
            context.find(
                rules::FORMAT_MALFORMED,
                8,
                format!("the header is no safetensors header: {}", shown(&error.to_string())),
            );
            return Ok(());
        }
    };
    if let Err(problem) = check(tensors, window.size() - 8 - length) {
        context.find(rules::FORMAT_MALFORMED, 8, problem);
    }
    Ok(())
}

fn check(mut tensors: Vec<(String, Tensor)>, data_bytes: u64) -> Result<(), String> {
    tensors.sort_by_key(|(_, tensor)| tensor.data_offsets);
    let mut expected = 0;
    for (name, tensor) in &tensors {
        let (start, end) = tensor.data_offsets;
        let name = shown(name);
        if start != expected {
            return Err(format!("`{name}` begins at {start} instead of {expected}: tensors overlap or leave a gap"));
        }
        let bits =
            item_bits(&tensor.dtype).ok_or_else(|| format!("`{name}` is of an unknown type `{}`", shown(&tensor.dtype)))?;
        let bits = tensor.shape.iter().try_fold(bits, |bits, length| bits.checked_mul(*length));
        if bits.filter(|bits| bits % 8 == 0).map(|bits| bits / 8) != end.checked_sub(start) {
            return Err(format!("`{name}` has another number of bytes than its shape and type take"));
        }
        expected = end;
    }
    if expected == data_bytes { Ok(()) } else { Err(format!("the tensors end at {expected}, the file at {data_bytes}")) }
}

fn item_bits(dtype: &str) -> Option<u64> {
    Some(match dtype {
        "F4" => 4,
        "F6_E2M3" | "F6_E3M2" => 6,
        "BOOL" | "U8" | "I8" | "F8_E5M2" | "F8_E4M3" | "F8_E8M0" | "F8_E5M2FNUZ" | "F8_E4M3FNUZ" => 8,
        "I16" | "U16" | "F16" | "BF16" => 16,
        "I32" | "U32" | "F32" => 32,
        "I64" | "U64" | "F64" | "C64" => 64,
        _ => return None,
    })
}

/// The header, each name once.
struct Header(Vec<(String, Tensor)>);

impl<'de> Deserialize<'de> for Header {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Names;
        impl<'de> Visitor<'de> for Names {
            type Value = Header;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("an object of tensors")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Header, A::Error> {
                let mut seen = HashSet::new();
                let mut tensors = Vec::new();
                while let Some(name) = map.next_key::<String>()? {
                    if !seen.insert(name.clone()) {
                        return Err(serde::de::Error::custom("a name stands in it twice"));
                    }
                    if name == "__metadata__" {
                        map.next_value::<std::collections::HashMap<String, String>>()?;
                    } else {
                        tensors.push((name, map.next_value()?));
                    }
                }
                Ok(Header(tensors))
            }
        }
        deserializer.deserialize_map(Names)
    }
}
