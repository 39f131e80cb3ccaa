//! Operators that move values and compute nothing.

use super::reduce::{axes_of, axis_of};
use super::{Inputs, Loaded, Request};
use crate::tensor::element_count;
use crate::{LoadError, PredictError, Tensor, Values};

pub(super) fn load(request: &mut Request<'_>) -> Result<Option<Loaded>, LoadError> {
    Ok(Some(match request.op {
        "Reshape" => {
            if request.attributes.integer("allowzero", 0) != 0 {
                return Err(LoadError::unsupported("ONNX's `allowzero`"));
            }
            Loaded::one(reshape).keeping()
        }
        "Flatten" => {
            let axis = request.attributes.integer("axis", 1);
            Loaded::one(move |inputs| {
                let input = inputs.get(0)?;
                let axis =
                    if axis == input.shape().len() as i64 { input.shape().len() } else { axis_of(axis, input.shape().len())? };
                let (before, after) = input.shape().split_at_checked(axis).unwrap_or((input.shape(), &[]));
                input.clone().reshaped(vec![before.iter().product(), after.iter().product()])
            })
            .keeping()
        }
        "Squeeze" => {
            let axes = request.attributes.integers("axes");
            Loaded::one(move |inputs| squeeze(inputs, &axes)).keeping()
        }
        "Unsqueeze" => {
            let axes = request.attributes.integers("axes");
            Loaded::one(move |inputs| unsqueeze(inputs, &axes))
        }
        "Shape" => Loaded::one(|inputs| {
            let shape = inputs.get(0)?.shape().iter().map(|size| *size as i64).collect();
            Ok(Tensor::list(Values::I64(shape)))
        }),
        "Concat" => {
            let axis = request.attributes.integer("axis", 1);
            Loaded::one(move |inputs| concat(inputs, axis))
        }
        "Transpose" => {
            let order = request.attributes.integers("perm");
            Loaded::one(move |inputs| transpose(inputs, &order))
        }
        "Gather" => {
            let axis = request.attributes.integer("axis", 0);
            Loaded::one(move |inputs| gather(inputs, axis))
        }
        _ => return Ok(None),
    }))
}

fn reshape(inputs: &Inputs<'_>) -> Result<Tensor, PredictError> {
    let input = inputs.get(0)?;
    let Some(wanted) = inputs.integers(1)? else { return Err(PredictError::model("no shape is asked for")) };
    let mut shape = Vec::with_capacity(wanted.len());
    let mut open = None;
    for (place, size) in wanted.iter().enumerate() {
        shape.push(match *size {
            -1 if open.is_none() => {
                open = Some(place);
                1
            }
            0 => input.shape().get(place).copied().unwrap_or(0),
            size => usize::try_from(size).map_err(|_| PredictError::model(format!("the shape {wanted:?}")))?,
        });
    }
    if let Some(size) = open.and_then(|place| shape.get(place).map(|_| place)) {
        let known = element_count(&shape).filter(|known| *known > 0);
        let rest = known.map(|known| input.values().len() / known).unwrap_or(0);
        if let Some(cell) = shape.get_mut(size) {
            *cell = rest;
        }
    }
    input.clone().reshaped(shape)
}

fn squeeze(inputs: &Inputs<'_>, axes: &[i64]) -> Result<Tensor, PredictError> {
    let input = inputs.get(0)?;
    let axes = axes_of(inputs.integers(1)?.unwrap_or(axes), input.shape().len())?;
    let kept = input.shape().iter().enumerate().filter(|(place, size)| {
        let named = axes.contains(place);
        if axes.is_empty() { **size != 1 } else { !named }
    });
    let shape = kept.map(|(_, size)| *size).collect();
    input.clone().reshaped(shape)
}

fn unsqueeze(inputs: &Inputs<'_>, axes: &[i64]) -> Result<Tensor, PredictError> {
    let input = inputs.get(0)?;
    let given = inputs.integers(1)?.unwrap_or(axes);
    if given.len() > 16 {
        return Err(PredictError::model("too many axes are added"));
    }
    let mut shape = input.shape().to_vec();
    for axis in axes_of(given, input.shape().len() + given.len())? {
        shape.insert(axis.min(shape.len()), 1);
    }
    input.clone().reshaped(shape)
}

/// Elements by their places.
fn taken(values: &Values, places: impl Iterator<Item = usize>) -> Values {
    fn take<T: Clone>(values: &[T], places: impl Iterator<Item = usize>) -> Vec<T> {
        places.filter_map(|place| values.get(place).cloned()).collect()
    }
    match values {
        Values::F32(values) => Values::F32(take(values, places)),
        Values::F64(values) => Values::F64(take(values, places)),
        Values::I64(values) => Values::I64(take(values, places)),
        Values::Bool(values) => Values::Bool(take(values, places)),
        Values::Text(values) => Values::Text(take(values, places)),
    }
}

fn concat(inputs: &Inputs<'_>, axis: i64) -> Result<Tensor, PredictError> {
    let first = inputs.get(0)?;
    let axis = axis_of(axis, first.shape().len())?;
    let outer: usize = first.shape().iter().take(axis).product();
    let mut shape = first.shape().to_vec();
    let (mut total, mut parts) = (0, Vec::with_capacity(inputs.list.len()));
    for place in 0..inputs.list.len() {
        let part = inputs.get(place)?;
        let others = |shape: &[usize]| {
            shape.iter().enumerate().filter(|(place, _)| *place != axis).map(|(_, size)| *size).collect::<Vec<_>>()
        };
        if others(part.shape()) != others(first.shape()) || part.values().data_type() != first.values().data_type() {
            return Err(PredictError::model(format!("{:?} does not fit {:?}", part.shape(), first.shape())));
        }
        total += part.shape().get(axis).copied().unwrap_or(0);
        parts.push((part.shape().iter().skip(axis).product::<usize>(), part.values()));
    }
    if let Some(size) = shape.get_mut(axis) {
        *size = total;
    }
    let count = element_count(&shape).unwrap_or(usize::MAX);
    inputs.room(count, 1)?;
    fn join<T: Clone>(parts: &[(usize, &[T])], outer: usize, count: usize) -> Vec<T> {
        let mut joined = Vec::with_capacity(count);
        for row in 0..outer {
            for (width, values) in parts {
                joined.extend_from_slice(values.get(row * width..(row + 1) * width).unwrap_or_default());
            }
        }
        joined
    }
    macro_rules! joined {
        ($type:ident) => {{
            let slices = parts.iter().filter_map(|(width, values)| match values {
                Values::$type(values) => Some((*width, values.as_slice())),
                _ => None,
            });
            Values::$type(join(&slices.collect::<Vec<_>>(), outer, count))
        }};
    }
    let values = match first.values() {
        Values::F32(_) => joined!(F32),
        Values::F64(_) => joined!(F64),
        Values::I64(_) => joined!(I64),
        Values::Bool(_) => joined!(Bool),
        Values::Text(_) => joined!(Text),
    };
    Tensor::new(shape, values)
}

fn transpose(inputs: &Inputs<'_>, order: &[i64]) -> Result<Tensor, PredictError> {
    let input = inputs.get(0)?;
    let [rows, columns] = input.shape() else {
        return Err(PredictError::model("only matrices are transposed"));
    };
    match order {
        [] | [1, 0] => {}
        [0, 1] => return Ok(input.clone()),
        _ => return Err(PredictError::model("an order of axes that does not fit a matrix")),
    }
    let places = (0..*columns).flat_map(|column| (0..*rows).map(move |row| row * columns + column));
    Tensor::new(vec![*columns, *rows], taken(input.values(), places))
}

fn gather(inputs: &Inputs<'_>, axis: i64) -> Result<Tensor, PredictError> {
    let (input, indices) = (inputs.get(0)?, inputs.get(1)?);
    let axis = axis_of(axis, input.shape().len())?;
    let Values::I64(list) = indices.values() else { return Err(PredictError::model("its indices are no integers")) };
    let size = input.shape().get(axis).copied().unwrap_or(0);
    let list: Vec<usize> = list.iter().map(|index| axis_of(*index, size)).collect::<Result<_, _>>()?;
    let before: usize = input.shape().iter().take(axis).product();
    let after: usize = input.shape().iter().skip(axis + 1).product();
    inputs.room(inputs.room(before, list.len())?, after)?;
    let places = (0..before)
        .flat_map(|outer| list.iter().flat_map(move |index| (0..after).map(move |inner| (outer * size + index) * after + inner)));
    let values = taken(input.values(), places);
    let mut shape: Vec<usize> = input.shape().iter().take(axis).copied().collect();
    shape.extend_from_slice(indices.shape());
    shape.extend(input.shape().iter().skip(axis + 1));
    Tensor::new(shape, values)
}
