//! `MatMul` of matrices and `Gemm`.

use super::{Inputs, Loaded, Request};
use crate::link::Real;
use crate::{LoadError, PredictError, Tensor, Values};

pub(super) fn load(request: &mut Request<'_>) -> Result<Option<Loaded>, LoadError> {
    Ok(Some(match request.op {
        "MatMul" => Loaded::one(|inputs| {
            let (left, right) = (inputs.get(0)?, inputs.get(1)?);
            let (rows, inner, columns, shape) = match (left.shape(), right.shape()) {
                ([rows, inner], [other, columns]) if inner == other => (*rows, *inner, *columns, vec![*rows, *columns]),
                ([inner], [other, columns]) if inner == other => (1, *inner, *columns, vec![*columns]),
                ([rows, inner], [other]) if inner == other => (*rows, *inner, 1, vec![*rows]),
                (a, b) => return Err(PredictError::model(format!("the shapes {a:?} and {b:?} cannot be multiplied"))),
            };
            inputs.room(rows, columns)?;
            let values = match (left.values(), right.values()) {
                (Values::F32(a), Values::F32(b)) => Values::F32(product(a, b, rows, inner, columns)),
                (Values::F64(a), Values::F64(b)) => Values::F64(product(a, b, rows, inner, columns)),
                _ => return Err(PredictError::model("only floats of one type are multiplied")),
            };
            Tensor::new(shape, values)
        }),
        "Gemm" => gemm(request)?,
        _ => return Ok(None),
    }))
}

/// Row by row, along the right matrix's rows, so that the inner loop runs over neighbours.
fn product<T: Real>(left: &[T], right: &[T], rows: usize, inner: usize, columns: usize) -> Vec<T> {
    let mut product = vec![T::default(); rows * columns];
    if inner == 0 || columns == 0 {
        return product;
    }
    for (row, sums) in left.chunks_exact(inner).zip(product.chunks_exact_mut(columns)) {
        for (factor, other) in row.iter().zip(right.chunks_exact(columns)) {
            for (sum, value) in sums.iter_mut().zip(other) {
                *sum += *factor * *value;
            }
        }
    }
    product
}

fn transposed(tensor: &Tensor) -> Result<(usize, usize, Vec<f32>), PredictError> {
    let ([rows, columns], Values::F32(values)) = (tensor.shape(), tensor.values()) else {
        return Err(PredictError::model("only matrices of 32-bit floats are supported"));
    };
    let mut turned = Vec::with_capacity(values.len());
    for column in 0..*columns {
        turned.extend(values.iter().skip(column).step_by(*columns));
    }
    Ok((*columns, *rows, turned))
}

fn straight(tensor: &Tensor) -> Result<(usize, usize, &[f32]), PredictError> {
    match (tensor.shape(), tensor.values()) {
        ([rows, columns], Values::F32(values)) => Ok((*rows, *columns, values)),
        _ => Err(PredictError::model("only matrices of 32-bit floats are supported")),
    }
}

fn gemm(request: &mut Request<'_>) -> Result<Loaded, LoadError> {
    if request.version < 7 {
        return Err(LoadError::unsupported("broadcasting as ONNX had it before version 7"));
    }
    let (alpha, beta) = (request.attributes.float("alpha", 1.0), request.attributes.float("beta", 1.0));
    let turn_left = request.attributes.integer("transA", 0) != 0;
    let turn_right = request.attributes.integer("transB", 0) != 0;
    // Weights are turned once, not at every request.
    let kept = match request.constants.get(1).copied().flatten() {
        Some(weights) if turn_right => Some(transposed(weights).map_err(|error| LoadError::unsupported(error.to_string()))?),
        _ => None,
    };
    Ok(Loaded::one(move |inputs| {
        let (left, right);
        let (rows, inner, a) = if turn_left {
            left = transposed(inputs.get(0)?)?;
            (left.0, left.1, left.2.as_slice())
        } else {
            straight(inputs.get(0)?)?
        };
        let (other, columns, b) = match &kept {
            Some((other, columns, values)) => (*other, *columns, values.as_slice()),
            None if turn_right => {
                right = transposed(inputs.get(1)?)?;
                (right.0, right.1, right.2.as_slice())
            }
            None => straight(inputs.get(1)?)?,
        };
        if inner != other {
            return Err(PredictError::model(format!("matrices of {inner} columns and {other} rows cannot be multiplied")));
        }
        inputs.room(rows, columns)?;
        let mut sums = product(a, b, rows, inner, columns);
        if alpha != 1.0 {
            sums.iter_mut().for_each(|sum| *sum *= alpha);
        }
        add(&mut sums, inputs, rows, columns, beta)?;
        Tensor::new(vec![rows, columns], Values::F32(sums))
    }))
}

/// Adds the third input, spread over rows or columns.
fn add(sums: &mut [f32], inputs: &Inputs<'_>, rows: usize, columns: usize, beta: f32) -> Result<(), PredictError> {
    let Some(bias) = inputs.optional(2).filter(|_| beta != 0.0) else { return Ok(()) };
    let Values::F32(values) = bias.values() else { return Err(PredictError::model("its bias is of another type")) };
    let (row_step, column_step) = match bias.shape() {
        [] => (0, 0),
        [1] | [1, 1] => (0, 0),
        [width] | [1, width] if *width == columns => (0, 1),
        [height, 1] if *height == rows => (1, 0),
        [height, width] if (*height, *width) == (rows, columns) => (columns, 1),
        other => return Err(PredictError::model(format!("a bias of the shape {other:?} does not fit"))),
    };
    for (row, sums) in sums.chunks_exact_mut(columns.max(1)).enumerate() {
        for (column, sum) in sums.iter_mut().enumerate() {
            *sum += beta * values.get(row * row_step + column * column_step).copied().unwrap_or(0.0);
        }
    }
    Ok(())
}
