//! An OIP request: which tensors, and which outputs are wanted how.

use kernel::Problem;
use serde::Deserialize;
use serde::de::DeserializeSeed;
use serde_json::value::RawValue;
use serving::{Batch, Tensor, Values};

use super::flat::Flat;
use super::{binary, count_of, nan};
use crate::Inbound;

/// Tensors of one request.
pub(super) const TENSOR_COUNT_MAX: usize = 10_000;
/// Dimensions of one tensor.
const DIMENSION_COUNT_MAX: usize = 8;
/// What a request may call itself.
const ID_BYTES_MAX: usize = 256;

#[derive(Deserialize)]
struct Body<'a> {
    #[serde(default)]
    id: Option<String>,
    #[serde(borrow)]
    inputs: Vec<Input<'a>>,
    outputs: Option<Vec<Output>>,
    parameters: Option<Parameters>,
}

#[derive(Deserialize)]
struct Input<'a> {
    name: String,
    shape: Vec<u64>,
    datatype: String,
    #[serde(default, borrow)]
    data: Option<&'a RawValue>,
    parameters: Option<Parameters>,
}

#[derive(Deserialize)]
struct Output {
    name: String,
    parameters: Option<Parameters>,
}

/// The parameters that mean something here; others are let pass.
#[derive(Deserialize)]
struct Parameters {
    binary_data_size: Option<usize>,
    binary_data: Option<bool>,
    binary_data_output: Option<bool>,
}

/// A request.
pub(super) struct Request {
    pub(super) id: Option<String>,
    pub(super) batch: Batch,
    pub(super) wanted: Wanted,
}

/// Which outputs are wanted, and which of them as raw bytes.
pub(super) struct Wanted {
    /// By name; none for all.
    named: Vec<(String, bool)>,
    binary: bool,
}

impl Wanted {
    /// Whether the output is wanted, and then whether as raw bytes.
    pub(super) fn output(&self, name: &str) -> Option<bool> {
        if self.named.is_empty() {
            return Some(self.binary);
        }
        self.named.iter().find(|(wanted, _)| wanted == name).map(|(_, binary)| *binary)
    }

    /// The outputs that are wanted by name.
    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.named.iter().map(|(name, _)| name.as_str())
    }
}

/// Reads a request.
pub(super) fn read(inbound: &Inbound) -> Result<Request, Problem> {
    let whole: &[u8] = &inbound.body;
    let (json, mut raw) = match inbound.header(binary::HEADER_LENGTH) {
        None => (whole, &[][..]),
        Some(text) => {
            let length = text.parse::<usize>().ok();
            let parts = length.and_then(|length| whole.split_at_checked(length));
            parts.ok_or_else(|| {
                Problem::invalid("`Inference-Header-Content-Length` is the length of the JSON before the tensors")
            })?
        }
    };
    let wrong = |error: serde_json::Error| Problem::invalid(format!("the request does not fit: {}", nan::why(json, &error)));
    let respelt;
    let body: Body<'_> = match serde_json::from_slice(json) {
        Ok(body) => body,
        Err(error) => {
            respelt = nan::as_null(json).ok_or_else(|| wrong(error))?;
            serde_json::from_slice(&respelt).map_err(wrong)?
        }
    };
    if body.id.as_ref().is_some_and(|id| id.len() > ID_BYTES_MAX) {
        return Err(Problem::invalid(format!("`id` has at most {ID_BYTES_MAX} bytes")));
    }
    if body.inputs.is_empty() || body.inputs.len() > TENSOR_COUNT_MAX {
        return Err(Problem::invalid(format!("`inputs` holds from 1 to {TENSOR_COUNT_MAX} tensors")));
    }
    let mut tensors = Vec::with_capacity(body.inputs.len());
    for input in body.inputs {
        tensors.push(tensor(input, &mut raw)?);
    }
    if !raw.is_empty() {
        return Err(Problem::invalid(format!("{} bytes behind the JSON belong to no tensor", raw.len())));
    }
    let by_default = body.parameters.and_then(|parameters| parameters.binary_data_output).unwrap_or(false);
    let named = body.outputs.into_iter().flatten().map(|output| {
        let is_binary = output.parameters.and_then(|parameters| parameters.binary_data);
        (output.name, is_binary.unwrap_or(by_default))
    });
    let wanted = Wanted { named: named.collect(), binary: by_default };
    let batch = Batch::tensors(tensors).map_err(|error| Problem::invalid(error.to_string()))?;
    Ok(Request { id: body.id, batch, wanted })
}

fn tensor(input: Input<'_>, raw: &mut &[u8]) -> Result<(String, Tensor), Problem> {
    let Input { name, shape, datatype, data, parameters } = input;
    let binary_data_size = parameters.and_then(|parameters| parameters.binary_data_size);
    shaped(name, &shape, |count| match (data, binary_data_size) {
        (Some(data), None) => from_json(&datatype, count, data),
        (None, Some(size)) => {
            let (own, rest) = raw
                .split_at_checked(size)
                .ok_or_else(|| Problem::invalid("`binary_data_size` is more than there are bytes behind the JSON"))?;
            *raw = rest;
            binary::values(&datatype, count, own)
        }
        _ => Err(Problem::invalid("a tensor has either `data` or, in bytes behind the JSON, a `binary_data_size`")),
    })
}

/// A tensor of this shape, whose values `read` gives once their count is known to be bounded. Problems name the tensor.
pub(super) fn shaped(
    name: String,
    shape: &[u64],
    read: impl FnOnce(usize) -> Result<Values, Problem>,
) -> Result<(String, Tensor), Problem> {
    let shown: String = name.chars().take(100).collect();
    let within = |problem: Problem| Problem::new(problem.kind(), format!("input `{shown}`: {}", problem.message()));
    if shape.is_empty() || shape.len() > DIMENSION_COUNT_MAX {
        return Err(within(Problem::invalid(format!("`shape` has from 1 to {DIMENSION_COUNT_MAX} dimensions"))));
    }
    let values = count_of(shape).and_then(read).map_err(within)?;
    let shape = shape.iter().map(|one| usize::try_from(*one).unwrap_or(usize::MAX)).collect();
    let tensor = Tensor::new(shape, values).map_err(|error| within(Problem::invalid(error.to_string())))?;
    Ok((name, tensor))
}

fn from_json(datatype: &str, count: usize, data: &RawValue) -> Result<Values, Problem> {
    Ok(match datatype {
        "FP64" => Values::F64(flat(data, count)?),
        "FP32" | "FP16" | "BF16" => Values::F32(flat::<f64>(data, count)?.into_iter().map(|value| value as f32).collect()),
        "INT8" | "INT16" | "INT32" | "INT64" | "UINT8" | "UINT16" | "UINT32" | "UINT64" => {
            Values::I64(within(datatype, flat(data, count)?)?)
        }
        "BOOL" => Values::Bool(flat(data, count)?),
        "BYTES" => Values::Text(flat(data, count)?),
        other => return Err(unknown_type(other)),
    })
}

/// The same integers, if all of them are of this type.
pub(super) fn within(datatype: &str, all: Vec<i64>) -> Result<Vec<i64>, Problem> {
    let range = match datatype {
        "INT8" => i64::from(i8::MIN)..=i64::from(i8::MAX),
        "INT16" => i64::from(i16::MIN)..=i64::from(i16::MAX),
        "INT32" => i64::from(i32::MIN)..=i64::from(i32::MAX),
        "UINT8" => 0..=i64::from(u8::MAX),
        "UINT16" => 0..=i64::from(u16::MAX),
        "UINT32" => 0..=i64::from(u32::MAX),
        "UINT64" => 0..=i64::MAX,
        _ => i64::MIN..=i64::MAX,
    };
    match all.iter().find(|value| !range.contains(value)) {
        None => Ok(all),
        Some(outside) => Err(Problem::invalid(format!("{outside} is outside of {datatype}"))),
    }
}

fn flat<T: super::flat::Item>(data: &RawValue, count: usize) -> Result<Vec<T>, Problem> {
    // A list grows as values come: a shape alone allocates nothing.
    let mut all = Vec::with_capacity(count.min(data.get().len()));
    let mut json = serde_json::Deserializer::from_str(data.get());
    Flat::new(&mut all, count).deserialize(&mut json).map_err(|error| Problem::invalid(error.to_string()))?;
    if all.len() != count {
        return Err(Problem::invalid(format!("`data` holds {} values, and `shape` says {count}", all.len())));
    }
    Ok(all)
}

pub(super) fn unknown_type(word: &str) -> Problem {
    let shown: String = word.chars().take(40).collect();
    let known = "BOOL, UINT8 to UINT64, INT8 to INT64, FP16, BF16, FP32, FP64 and BYTES";
    Problem::invalid(format!("`{shown}` is no type; there are {known}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_null_is_as_if_it_were_left_out() {
        let tensor = r#"{"name": "a", "shape": [1, 1], "datatype": "FP64", "data": [1], "parameters": null}"#;
        for more in ["", r#", "outputs": null, "parameters": null, "id": null"#, r#", "parameters": {"own": {"a": [1]}}"#] {
            let text = format!(r#"{{"inputs": [{tensor}]{more}}}"#);
            let body: Body<'_> = serde_json::from_str(&text).unwrap();
            assert!(body.outputs.is_none() && body.inputs.len() == 1, "{more}");
        }
        assert!(within("UINT8", vec![0, 255]).is_ok() && within("INT8", vec![-128]).is_ok());
        assert!(within("UINT8", vec![256]).is_err() && within("INT16", vec![-40_000]).is_err());
    }
}
