//! Triton's binary tensors: the JSON comes first, its length in a header, and behind it the tensors' raw bytes, little-endian and
//! row by row. Text is length (4 bytes) and bytes.
//! Source: triton-inference-server, docs/protocol/extension_binary_data.md.

use kernel::Problem;
use serving::{Values, half};

/// The header with the JSON's length.
pub(super) const HEADER_LENGTH: &str = "inference-header-content-length";

/// The values of `bytes`, which must be exactly `count` of OIP's type `data_type`.
pub(super) fn values(data_type: &str, count: usize, bytes: &[u8]) -> Result<Values, Problem> {
    Ok(match data_type {
        "FP64" => Values::F64(fixed(bytes, count, f64::from_le_bytes)?),
        "FP32" => Values::F32(fixed(bytes, count, f32::from_le_bytes)?),
        "FP16" => Values::F32(fixed(bytes, count, |raw| half::from_f16(u16::from_le_bytes(raw)))?),
        "BF16" => Values::F32(fixed(bytes, count, |raw| half::from_bf16(u16::from_le_bytes(raw)))?),
        "INT64" => Values::I64(fixed(bytes, count, i64::from_le_bytes)?),
        "INT32" => Values::I64(fixed(bytes, count, |raw| i64::from(i32::from_le_bytes(raw)))?),
        "INT16" => Values::I64(fixed(bytes, count, |raw| i64::from(i16::from_le_bytes(raw)))?),
        "INT8" => Values::I64(fixed(bytes, count, |raw| i64::from(i8::from_le_bytes(raw)))?),
        "UINT32" => Values::I64(fixed(bytes, count, |raw| i64::from(u32::from_le_bytes(raw)))?),
        "UINT16" => Values::I64(fixed(bytes, count, |raw| i64::from(u16::from_le_bytes(raw)))?),
        "UINT8" => Values::I64(fixed(bytes, count, |[raw]: [u8; 1]| i64::from(raw))?),
        "UINT64" => {
            let all = fixed(bytes, count, u64::from_le_bytes)?;
            let all: Result<Vec<i64>, _> = all.into_iter().map(i64::try_from).collect();
            Values::I64(all.map_err(|_| Problem::invalid("a value of a UINT64 tensor is beyond what models here compute with"))?)
        }
        "BOOL" => {
            let all = fixed(bytes, count, |[raw]: [u8; 1]| raw)?;
            if all.iter().any(|raw| *raw > 1) {
                return Err(Problem::invalid("a value of a BOOL tensor is neither 0 nor 1"));
            }
            Values::Bool(all.into_iter().map(|raw| raw == 1).collect())
        }
        "BYTES" => Values::Text(texts(bytes, count)?),
        other => return Err(super::request::unknown_type(other)),
    })
}

fn fixed<const N: usize, T>(bytes: &[u8], count: usize, read: impl Fn([u8; N]) -> T) -> Result<Vec<T>, Problem> {
    if count.checked_mul(N) != Some(bytes.len()) {
        let message = format!("a binary tensor of {count} values has {} bytes, not {}", bytes.len(), count.saturating_mul(N));
        return Err(Problem::invalid(message));
    }
    let (all, _) = bytes.as_chunks::<N>();
    Ok(all.iter().map(|raw| read(*raw)).collect())
}

fn texts(mut bytes: &[u8], count: usize) -> Result<Vec<String>, Problem> {
    let wrong =
        || Problem::invalid("a binary tensor of BYTES is lengths of 4 bytes, each with that many bytes of UTF-8 behind it");
    let mut all = Vec::with_capacity(count.min(bytes.len() / 4));
    for _ in 0..count {
        let (length, rest) = bytes.split_first_chunk::<4>().ok_or_else(wrong)?;
        let length = usize::try_from(u32::from_le_bytes(*length)).map_err(|_| wrong())?;
        let (text, rest) = rest.split_at_checked(length).ok_or_else(wrong)?;
        all.push(std::str::from_utf8(text).map_err(|_| wrong())?.to_owned());
        bytes = rest;
    }
    if bytes.is_empty() { Ok(all) } else { Err(wrong()) }
}

/// A tensor's raw bytes.
pub(super) fn bytes(values: &Values) -> Vec<u8> {
    match values {
        Values::F32(all) => all.iter().flat_map(|one| one.to_le_bytes()).collect(),
        Values::F64(all) => all.iter().flat_map(|one| one.to_le_bytes()).collect(),
        Values::I64(all) => all.iter().flat_map(|one| one.to_le_bytes()).collect(),
        Values::Bool(all) => all.iter().map(|one| u8::from(*one)).collect(),
        Values::Text(all) => {
            let mut out = Vec::new();
            for text in all {
                out.extend_from_slice(&u32::try_from(text.len()).unwrap_or(u32::MAX).to_le_bytes());
                out.extend_from_slice(text.as_bytes());
            }
            out
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_come_back_as_they_went() {
        let all = [
            ("FP64", Values::F64(vec![1.5, -0.0])),
            ("FP32", Values::F32(vec![1.5, f32::INFINITY])),
            ("INT64", Values::I64(vec![-7, i64::MAX])),
            ("BOOL", Values::Bool(vec![true, false])),
            ("BYTES", Values::Text(vec![String::new(), "ü".to_owned()])),
        ];
        for (word, given) in all {
            assert_eq!(values(word, 2, &bytes(&given)).unwrap(), given);
            assert!(values(word, 3, &bytes(&given)).is_err(), "{word}");
            assert!(values(word, 1, &bytes(&given)).is_err(), "{word}");
        }
        assert_eq!(values("UINT8", 2, &[1, 255]).unwrap(), Values::I64(vec![1, 255]));
        assert_eq!(values("FP16", 3, &[0, 0x3c, 0, 0xc0, 1, 0]).unwrap(), Values::F32(vec![1.0, -2.0, 2.0_f32.powi(-24)]));
        assert_eq!(values("BF16", 2, &[0x80, 0x3f, 0x20, 0xc0]).unwrap(), Values::F32(vec![1.0, -2.5]));
        assert!(values("UINT64", 1, &[255; 8]).is_err());
        assert!(values("BOOL", 1, &[2]).is_err());
        assert!(values("BYTES", 1, &[255, 255, 255, 255, 1]).is_err());
        assert!(values("COMPLEX", 1, &[0; 8]).is_err());
    }
}
