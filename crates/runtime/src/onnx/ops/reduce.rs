//! Operators along an axis: sums, means, extremes, `ArgMax`, `Softmax`.

use super::{Loaded, Request};
use crate::link::{Real, argmax, softmax};
use crate::{LoadError, PredictError, Tensor, Values};

pub(super) fn load(request: &mut Request<'_>) -> Result<Option<Loaded>, LoadError> {
    Ok(Some(match request.op {
        "ReduceSum" => reduce(request, |row| row.iter().sum()),
        "ReduceMean" => reduce(request, |row| row.iter().sum::<f64>() / row.len() as f64),
        "ReduceMax" => reduce(request, |row| row.iter().copied().fold(f64::NEG_INFINITY, f64::max)),
        "ReduceMin" => reduce(request, |row| row.iter().copied().fold(f64::INFINITY, f64::min)),
        "ReduceSumSquare" => reduce(request, |row| row.iter().map(|value| value * value).sum()),
        "ReduceL2" => reduce(request, |row| row.iter().map(|value| value * value).sum::<f64>().sqrt()),
        "ReduceL1" => reduce(request, |row| row.iter().map(|value| value.abs()).sum()),
        "ReduceLogSumExp" => reduce(request, |row| {
            let max = row.iter().copied().fold(f64::NEG_INFINITY, f64::max);
            if max.is_infinite() { max } else { max + row.iter().map(|value| (value - max).exp()).sum::<f64>().ln() }
        }),
        "ArgMax" => arg(request, argmax)?,
        "ArgMin" => arg(request, |row| argmax(&row.iter().map(|value| -value).collect::<Vec<_>>()))?,
        "Softmax" => soft(request, false).keeping(),
        "LogSoftmax" => soft(request, true),
        _ => return Ok(None),
    }))
}

/// An axis of a shape, counted from the end when negative.
pub(super) fn axis_of(axis: i64, rank: usize) -> Result<usize, PredictError> {
    let found = if axis < 0 { axis.checked_add(rank as i64) } else { Some(axis) };
    found
        .and_then(|axis| usize::try_from(axis).ok())
        .filter(|axis| *axis < rank)
        .ok_or_else(|| PredictError::model(format!("there is no axis {axis} of {rank}")))
}

/// The elements along `axis`, one list after the other: (before, size, after) of the shape, and an index for each.
struct Lines {
    before: usize,
    size: usize,
    after: usize,
}

impl Lines {
    fn of(shape: &[usize], axis: usize) -> Self {
        let (before, rest) = shape.split_at_checked(axis).unwrap_or((shape, &[]));
        let (size, after) = rest.split_first().map_or((1, rest), |(size, after)| (*size, after));
        Self { before: before.iter().product(), size, after: after.iter().product() }
    }

    /// Calls `act` with each line.
    fn each<T: Copy>(&self, values: &[T], mut act: impl FnMut(&[T])) {
        let mut line = Vec::with_capacity(self.size);
        for outer in 0..self.before {
            for inner in 0..self.after {
                line.clear();
                let start = outer * self.size * self.after + inner;
                line.extend((0..self.size).filter_map(|place| values.get(start + place * self.after).copied()));
                act(&line);
            }
        }
    }
}

fn reduce(request: &mut Request<'_>, act: fn(&[f64]) -> f64) -> Loaded {
    let axes = request.attributes.integers("axes");
    let keep = request.attributes.integer("keepdims", 1) != 0;
    let none = request.attributes.integer("noop_with_empty_axes", 0) != 0;
    Loaded::one(move |inputs| {
        let input = inputs.get(0)?;
        let given = inputs.integers(1)?.unwrap_or(&axes);
        if given.is_empty() && none {
            return Ok(input.clone());
        }
        let rank = input.shape().len();
        let mut wanted: Vec<usize> = given.iter().map(|axis| axis_of(*axis, rank)).collect::<Result<_, _>>()?;
        if wanted.is_empty() {
            wanted = (0..rank).collect();
        }
        wanted.sort_unstable();
        wanted.dedup();
        let (mut shape, mut values) = (input.shape().to_vec(), input.values().to_f64()?);
        // From the last axis, so that the places of the others stay.
        for axis in wanted.into_iter().rev() {
            let mut reduced = Vec::new();
            Lines::of(&shape, axis).each(&values, |line| reduced.push(act(line)));
            values = reduced;
            if keep {
                if let Some(size) = shape.get_mut(axis) {
                    *size = 1;
                }
            } else {
                shape.remove(axis);
            }
        }
        Tensor::new(shape, as_before(values, input)?)
    })
}

/// Back to the input's type.
fn as_before(values: Vec<f64>, input: &Tensor) -> Result<Values, PredictError> {
    Ok(match input.values() {
        Values::F32(_) => Values::F32(values.into_iter().map(|value| value as f32).collect()),
        Values::F64(_) => Values::F64(values),
        Values::I64(_) => Values::I64(values.into_iter().map(|value| value as i64).collect()),
        _ => return Err(PredictError::model("its input is no number")),
    })
}

fn arg(request: &mut Request<'_>, act: fn(&[f64]) -> usize) -> Result<Loaded, LoadError> {
    let axis = request.attributes.integer("axis", 0);
    let keep = request.attributes.integer("keepdims", 1) != 0;
    if request.attributes.integer("select_last_index", 0) != 0 {
        return Err(LoadError::unsupported("ONNX's `select_last_index`"));
    }
    Ok(Loaded::one(move |inputs| {
        let input = inputs.get(0)?;
        let axis = axis_of(axis, input.shape().len())?;
        let mut places = Vec::new();
        Lines::of(input.shape(), axis).each(&input.values().to_f64()?, |line| places.push(act(line) as i64));
        let mut shape = input.shape().to_vec();
        if keep {
            if let Some(size) = shape.get_mut(axis) {
                *size = 1;
            }
        } else {
            shape.remove(axis);
        }
        Tensor::new(shape, Values::I64(places))
    }))
}

fn soft(request: &mut Request<'_>, logarithm: bool) -> Loaded {
    let old = request.version < 13;
    let axis = request.attributes.integer("axis", if old { 1 } else { -1 });
    Loaded::one(move |inputs| {
        let input = inputs.get(0)?;
        let shape = input.shape();
        let axis = axis_of(axis, shape.len())?;
        // Before version 13 all that follows the axis is one line; at the last axis both say the same.
        if axis + 1 != shape.len() {
            return Err(PredictError::model("a softmax along another axis than the last"));
        }
        let width = shape.last().copied().unwrap_or(1).max(1);
        let values = match input.values() {
            Values::F32(values) => Values::F32(softened(values, width, logarithm, f32::ln)),
            Values::F64(values) => Values::F64(softened(values, width, logarithm, f64::ln)),
            _ => return Err(PredictError::model("its input is no float")),
        };
        Tensor::new(shape.to_vec(), values)
    })
}

fn softened<T: Real>(values: &[T], width: usize, logarithm: bool, ln: fn(T) -> T) -> Vec<T> {
    let mut values = values.to_vec();
    for row in values.chunks_exact_mut(width) {
        softmax(row);
        if logarithm {
            row.iter_mut().for_each(|value| *value = ln(*value));
        }
    }
    values
}

/// Used by operators that take lists of axes.
pub(super) fn axes_of(given: &[i64], rank: usize) -> Result<Vec<usize>, PredictError> {
    let mut axes: Vec<usize> = given.iter().map(|axis| axis_of(*axis, rank)).collect::<Result<_, _>>()?;
    axes.sort_unstable();
    if axes.is_sorted_by(|left, right| left < right) { Ok(axes) } else { Err(PredictError::model("an axis is named twice")) }
}
