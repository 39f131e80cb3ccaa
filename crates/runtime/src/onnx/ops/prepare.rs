//! `Scaler`, `Imputer`, `Normalizer` and `Binarizer`.

use super::{Loaded, Request};
use crate::{LoadError, PredictError, Tensor, Values};

pub(super) fn load(request: &mut Request<'_>) -> Result<Loaded, LoadError> {
    match request.op {
        "Scaler" => scaler(request),
        "Imputer" => imputer(request),
        "Normalizer" => normalizer(request),
        _ => {
            let threshold = request.attributes.float("threshold", 0.0);
            Ok(Loaded::one(move |inputs| {
                let input = inputs.get(0)?;
                let values = input.values().to_f32()?;
                let ones = values.into_iter().map(|value| if value > threshold { 1.0 } else { 0.0 });
                Tensor::new(input.shape().to_vec(), Values::F32(ones.collect()))
            }))
        }
    }
}

/// The setting of each column: one for all, or one for each.
fn cycle(list: &[f32], width: usize) -> Result<impl Iterator<Item = f32> + Clone + '_, PredictError> {
    if list.len() != 1 && list.len() != width {
        return Err(PredictError::model(format!("it is made for {} columns, there are {width}", list.len())));
    }
    Ok(list.iter().copied().cycle())
}

fn scaler(request: &mut Request<'_>) -> Result<Loaded, LoadError> {
    let (offset, scale) = (request.attributes.floats("offset"), request.attributes.floats("scale"));
    if offset.is_empty() || scale.is_empty() {
        return Err(LoadError::invalid("ONNX: a scaler without offset or scale"));
    }
    Ok(Loaded::one(move |inputs| {
        let input = inputs.get(0)?;
        let (_, width) = input.rows_and_columns();
        let settings = cycle(&offset, width)?.zip(cycle(&scale, width)?);
        let scaled = match input.values() {
            Values::F64(values) => {
                let scaled = values
                    .iter()
                    .zip(settings)
                    .map(|(value, (offset, scale))| ((value - f64::from(offset)) * f64::from(scale)) as f32);
                scaled.collect()
            }
            Values::F32(values) => values.iter().zip(settings).map(|(value, (offset, scale))| (value - offset) * scale).collect(),
            other => {
                let values = other.to_f32()?;
                values.into_iter().zip(settings).map(|(value, (offset, scale))| (value - offset) * scale).collect()
            }
        };
        Tensor::new(input.shape().to_vec(), Values::F32(scaled))
    }))
}

fn imputer(request: &mut Request<'_>) -> Result<Loaded, LoadError> {
    let floats = request.attributes.floats("imputed_value_floats");
    let integers = request.attributes.integers("imputed_value_int64s");
    let replaced_float = request.attributes.float("replaced_value_float", 0.0);
    let replaced_integer = request.attributes.integer("replaced_value_int64", 0);
    if floats.is_empty() == integers.is_empty() {
        return Err(LoadError::invalid("ONNX: an imputer needs values of one type"));
    }
    Ok(Loaded::one(move |inputs| {
        let input = inputs.get(0)?;
        let (_, width) = input.rows_and_columns();
        let missing = |value: f64| if replaced_float.is_nan() { value.is_nan() } else { value == f64::from(replaced_float) };
        let values = match input.values() {
            Values::F32(values) if !floats.is_empty() => {
                let settings = cycle(&floats, width)?;
                let imputed =
                    values.iter().zip(settings).map(|(value, other)| if missing(f64::from(*value)) { other } else { *value });
                Values::F32(imputed.collect())
            }
            Values::F64(values) if !floats.is_empty() => {
                let settings = cycle(&floats, width)?;
                let imputed =
                    values.iter().zip(settings).map(|(value, other)| if missing(*value) { f64::from(other) } else { *value });
                Values::F64(imputed.collect())
            }
            Values::I64(values) if integers.len() == 1 || integers.len() == width => {
                let settings = integers.iter().cycle();
                let imputed =
                    values.iter().zip(settings).map(|(value, other)| if *value == replaced_integer { *other } else { *value });
                Values::I64(imputed.collect())
            }
            _ => return Err(PredictError::model("the imputer is made for another type of values")),
        };
        Tensor::new(input.shape().to_vec(), values)
    }))
}

/// Each number's square as a share of all squares, and the root of that: as ONNX Runtime rounds it.
fn by_squares() -> Loaded {
    Loaded::one(|inputs| {
        let input = inputs.get(0)?;
        let (_, width) = input.rows_and_columns();
        let mut values = input.values().to_f32()?;
        for row in values.chunks_exact_mut(width.max(1)) {
            let sum: f32 = row.iter().map(|value| value * value).sum();
            if sum != 0.0 {
                row.iter_mut().for_each(|value| *value = (*value * *value / sum).sqrt().copysign(*value));
            }
        }
        Tensor::new(input.shape().to_vec(), Values::F32(values))
    })
    .keeping()
}

fn normalizer(request: &mut Request<'_>) -> Result<Loaded, LoadError> {
    let norm: fn(&[f32]) -> f32 = match request.attributes.text("norm", "MAX")?.as_str() {
        "L1" => |row| row.iter().map(|value| value.abs()).sum(),
        "L2" => return Ok(by_squares()),
        "MAX" => |row| row.iter().copied().fold(f32::MIN, f32::max),
        other => return Err(LoadError::unsupported(format!("the ONNX norm `{}`", other.escape_default()))),
    };
    Ok(Loaded::one(move |inputs| {
        let input = inputs.get(0)?;
        let (_, width) = input.rows_and_columns();
        let mut values = input.values().to_f32()?;
        for row in values.chunks_exact_mut(width.max(1)) {
            let norm = norm(row);
            if norm != 0.0 {
                row.iter_mut().for_each(|value| *value /= norm);
            }
        }
        Tensor::new(input.shape().to_vec(), Values::F32(values))
    })
    .keeping())
}
