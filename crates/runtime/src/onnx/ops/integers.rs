//! Integers of fewer than 64 bits. They are computed in 64 and cut to their own width after each step: of sums, differences
//! and products the lowest bits are then what arithmetic of that width gives.

use super::Request;
use crate::{LoadError, Narrow};

/// The width of an operator's result, by the widths of what it takes.
pub(super) fn width(request: &Request<'_>) -> Result<Option<Narrow>, LoadError> {
    let of = |place: usize| request.narrow.get(place).copied().flatten();
    let first = of(0);
    Ok(match (request.domain, request.op) {
        ("ai.onnx.ml", "ArrayFeatureExtractor" | "Imputer") => first,
        ("ai.onnx.ml", _) => None,
        (_, "Identity" | "Neg" | "Abs" | "Sign" | "Relu" | "Reshape" | "Flatten" | "Squeeze" | "Unsqueeze" | "Transpose") => {
            first
        }
        (_, "Gather" | "Clip" | "ReduceSum" | "ReduceMean" | "ReduceMax" | "ReduceMin") => first,
        (_, "Add" | "Sum" | "Sub" | "Mul" | "Div" | "Max" | "Min" | "Concat") => same(request, 0)?,
        (_, "Less" | "LessOrEqual" | "Greater" | "GreaterOrEqual" | "Equal") => {
            same(request, 0)?;
            None
        }
        (_, "Where") => same(request, 1)?,
        _ => None,
    })
}

/// The one width of the inputs from `start` on.
fn same(request: &Request<'_>, start: usize) -> Result<Option<Narrow>, LoadError> {
    let widths = request.narrow.get(start..).unwrap_or_default();
    let first = widths.first().copied().flatten();
    if widths.iter().any(|width| *width != first) {
        return Err(LoadError::invalid(format!("ONNX: `{}` takes integers of several widths", request.op)));
    }
    Ok(first)
}
