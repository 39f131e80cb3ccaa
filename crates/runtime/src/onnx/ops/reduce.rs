//! Operators along axes: sums, means, extremes, `ArgMax`, `Softmax`.

use super::{Loaded, Request};
use crate::link::{Real, argmax, softmax};
use crate::tensor::element_count;
use crate::{LoadError, Narrow, PredictError, Tensor, Values};

pub(super) fn load(request: &mut Request<'_>) -> Result<Option<Loaded>, LoadError> {
    Ok(Some(match request.op {
        "ReduceSum" => reduce(request, |row, _| row.iter().sum(), Some(|row, _| Some(total(row) as i64))),
        "ReduceMean" => reduce(request, |row, round| round(row.iter().sum()) / row.len() as f64, Some(mean)),
        "ReduceMax" => reduce(request, |row, _| greatest(row), Some(|row, _| row.iter().copied().max())),
        "ReduceMin" => reduce(request, |row, _| least(row), Some(|row, _| row.iter().copied().min())),
        "ReduceSumSquare" => reduce(request, |row, _| squares(row), None),
        "ReduceL2" => reduce(request, |row, round| round(squares(row)).sqrt(), None),
        "ReduceL1" => reduce(request, |row, _| row.iter().map(|value| value.abs()).sum(), None),
        "ReduceLogSumExp" => {
            let act = |row: &[f64], _: Round| {
                let max = greatest(row);
                if max.is_finite() { max + row.iter().map(|value| (value - max).exp()).sum::<f64>().ln() } else { max }
            };
            reduce(request, act, None)
        }
        "ArgMax" => arg(request, argmax, argmax)?,
        "ArgMin" => arg(request, argmin, argmin)?,
        "Softmax" => {
            let soft = soft(request, false);
            // Along another axis than the classes' it is something else, such as attention; where the output is a matrix, 1 is the last.
            if matches!(soft.1, -1 | 1) { soft.0.probable() } else { soft.0 }
        }
        "LogSoftmax" => soft(request, true).0,
        _ => return Ok(None),
    }))
}

/// As ONNX Runtime has it: what is missing is passed over, unless it comes first.
fn greatest(row: &[f64]) -> f64 {
    let Some((first, rest)) = row.split_first() else { return f64::NEG_INFINITY };
    rest.iter().fold(*first, |best, value| if *value > best { *value } else { best })
}

fn least(row: &[f64]) -> f64 {
    let Some((first, rest)) = row.split_first() else { return f64::INFINITY };
    rest.iter().fold(*first, |best, value| if *value < best { *value } else { best })
}

fn squares(row: &[f64]) -> f64 {
    row.iter().map(|value| value * value).sum()
}

fn total(row: &[i64]) -> i128 {
    row.iter().map(|value| i128::from(*value)).sum()
}

/// The mean as integers have it: of a sum that is cut to their width.
fn mean(row: &[i64], narrow: Option<Narrow>) -> Option<i64> {
    let sum = total(row) as i64;
    narrow.map_or(sum, |narrow| narrow.wrapped(sum)).checked_div(i64::try_from(row.len()).ok()?)
}

fn argmin<T: PartialOrd>(row: &[T]) -> usize {
    let mut best = (0, row.first());
    for (place, value) in row.iter().enumerate().skip(1) {
        if best.1.is_some_and(|least| value < least) {
            best = (place, Some(value));
        }
    }
    best.0
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

    fn starts(&self) -> impl Iterator<Item = usize> + use<> {
        let (size, after) = (self.size, self.after);
        (0..self.before).flat_map(move |outer| (0..after).map(move |inner| outer * size * after + inner))
    }

    /// Calls `act` with each line.
    fn each<T: Copy>(&self, values: &[T], mut act: impl FnMut(&[T])) {
        let mut line = Vec::with_capacity(self.size);
        for start in self.starts() {
            line.clear();
            line.extend((0..self.size).filter_map(|place| values.get(start + place * self.after).copied()));
            act(&line);
        }
    }
}

type Round = fn(f64) -> f64;
type Floats = fn(&[f64], Round) -> f64;
type Whole = fn(&[i64], Option<Narrow>) -> Option<i64>;

/// All reduced axes together are one line; without axes these are all, or for `noop_with_empty_axes` none.
fn reduce(request: &mut Request<'_>, act: Floats, whole: Option<Whole>) -> Loaded {
    let axes = request.attributes.integers("axes");
    let keep = request.attributes.integer("keepdims", 1) != 0;
    let none = request.attributes.integer("noop_with_empty_axes", 0) != 0;
    let narrow = request.narrow.first().copied().flatten();
    Loaded::one(move |inputs| {
        let input = inputs.get(0)?;
        let given = inputs.integers(1)?.unwrap_or(&axes);
        let rank = input.shape().len();
        let mut reduced = vec![given.is_empty() && !none; rank];
        for axis in given {
            if let Some(is_reduced) = reduced.get_mut(axis_of(*axis, rank)?) {
                *is_reduced = true;
            }
        }
        let folds = Folds::of(input.shape(), &reduced);
        let values = match input.values() {
            Values::F32(values) => {
                let wide: Vec<f64> = values.iter().map(|value| f64::from(*value)).collect();
                Values::F32(folds.each(&wide, |line| act(line, |value| f64::from(value as f32)) as f32))
            }
            Values::F64(values) => Values::F64(folds.each(values, |line| act(line, |value| value))),
            Values::I64(values) => {
                let whole = whole.ok_or_else(|| PredictError::model("its input is no float"))?;
                let list: Option<Vec<i64>> = folds.each(values, |line| whole(line, narrow)).into_iter().collect();
                Values::I64(list.ok_or_else(|| PredictError::model("nothing is reduced to an integer"))?)
            }
            _ => return Err(PredictError::model("its input is no number")),
        };
        let sizes = input.shape().iter().zip(&reduced);
        let shape = sizes.filter(|(_, reduced)| keep || !**reduced).map(|(size, reduced)| if *reduced { 1 } else { *size });
        Tensor::new(shape.collect(), values)
    })
}

/// Where the lines of several axes begin, and where their elements lie from there.
struct Folds {
    starts: Vec<usize>,
    places: Vec<usize>,
}

impl Folds {
    fn of(shape: &[usize], reduced: &[bool]) -> Self {
        let mut folds = Self { starts: vec![0], places: vec![0] };
        for (axis, (size, is_reduced)) in shape.iter().zip(reduced).enumerate() {
            let step = element_count(shape.get(axis + 1..).unwrap_or_default()).unwrap_or(0);
            let list = if *is_reduced { &mut folds.places } else { &mut folds.starts };
            *list = list.iter().flat_map(|base| (0..*size).map(move |place| base + place * step)).collect();
        }
        folds
    }

    fn each<T: Copy, U>(&self, values: &[T], mut act: impl FnMut(&[T]) -> U) -> Vec<U> {
        let mut line = Vec::with_capacity(self.places.len());
        let fold = |start: &usize| {
            line.clear();
            line.extend(self.places.iter().filter_map(|place| values.get(start + place).copied()));
            act(&line)
        };
        self.starts.iter().map(fold).collect()
    }
}

fn arg(request: &mut Request<'_>, act: fn(&[f64]) -> usize, whole: fn(&[i64]) -> usize) -> Result<Loaded, LoadError> {
    let axis = request.attributes.integer("axis", 0);
    let keep = request.attributes.integer("keepdims", 1) != 0;
    if request.attributes.integer("select_last_index", 0) != 0 {
        return Err(LoadError::unsupported("ONNX's `select_last_index`"));
    }
    Ok(Loaded::one(move |inputs| {
        let input = inputs.get(0)?;
        let axis = axis_of(axis, input.shape().len())?;
        let mut places = Vec::new();
        let lines = Lines::of(input.shape(), axis);
        match input.values() {
            Values::I64(values) => lines.each(values, |line| places.push(whole(line) as i64)),
            other => lines.each(&other.to_f64()?, |line| places.push(act(line) as i64)),
        }
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

/// Softmax or its logarithm, and the axis that it is along.
fn soft(request: &mut Request<'_>, logarithm: bool) -> (Loaded, i64) {
    let old = request.version < 13;
    let axis = request.attributes.integer("axis", if old { 1 } else { -1 });
    let loaded = Loaded::one(move |inputs| {
        let input = inputs.get(0)?;
        let shape = input.shape();
        let mut lines = Lines::of(shape, axis_of(axis, shape.len())?);
        if old {
            // Before version 13 all that follows the axis is one line.
            lines = Lines { size: lines.size * lines.after, after: 1, ..lines };
        }
        let values = match input.values() {
            Values::F32(values) => Values::F32(softened(values, &lines, logarithm)),
            Values::F64(values) => Values::F64(softened(values, &lines, logarithm)),
            _ => return Err(PredictError::model("its input is no float")),
        };
        Tensor::new(shape.to_vec(), values)
    });
    (loaded, axis)
}

fn softened<T: Real>(values: &[T], lines: &Lines, logarithm: bool) -> Vec<T> {
    let act: fn(&mut [T]) = if logarithm { log_softmax } else { softmax };
    let mut values = values.to_vec();
    if lines.after == 1 {
        values.chunks_exact_mut(lines.size.max(1)).for_each(act);
        return values;
    }
    let mut line = Vec::with_capacity(lines.size);
    for start in lines.starts() {
        let places = (0..lines.size).map(|place| start + place * lines.after);
        line.clear();
        line.extend(places.clone().filter_map(|place| values.get(place).copied()));
        act(&mut line);
        for (place, value) in places.zip(&line) {
            if let Some(cell) = values.get_mut(place) {
                *cell = *value;
            }
        }
    }
    values
}

/// Without the way over probabilities, which are 0 where their logarithms still are numbers.
fn log_softmax<T: Real>(row: &mut [T]) {
    let max = greatest(&row.iter().map(|value| value.wide()).collect::<Vec<_>>());
    let sum = row.iter().map(|value| (value.wide() - max).exp()).sum::<f64>().ln();
    row.iter_mut().for_each(|value| *value = T::of(value.wide() - max - sum));
}

/// Used by operators that take lists of axes.
pub(super) fn axes_of(given: &[i64], rank: usize) -> Result<Vec<usize>, PredictError> {
    let mut axes: Vec<usize> = given.iter().map(|axis| axis_of(*axis, rank)).collect::<Result<_, _>>()?;
    axes.sort_unstable();
    if axes.is_sorted_by(|left, right| left < right) { Ok(axes) } else { Err(PredictError::model("an axis is named twice")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folded(shape: &[usize], reduced: &[bool], act: Floats) -> Vec<f64> {
        let values: Vec<f64> = (0..shape.iter().product()).map(|value| value as f64).collect();
        Folds::of(shape, reduced).each(&values, |line| act(line, |value| value))
    }

    #[test]
    fn several_axes_are_one_line() {
        assert_eq!(folded(&[2, 3], &[true, true], |row, _| squares(row)), [55.0]);
        assert_eq!(folded(&[2, 3, 2], &[true, false, true], |row, _| row.iter().sum()), [14.0, 22.0, 30.0]);
        assert_eq!(folded(&[2, 2], &[false, false], |row, _| squares(row)), [0.0, 1.0, 4.0, 9.0]);
        assert_eq!(folded(&[0, 2], &[false, true], |row, _| row.iter().sum()), Vec::<f64>::new());
    }

    #[test]
    fn what_comes_first_is_kept_though_missing() {
        assert!(greatest(&[f64::NAN, 1.0, 3.0]).is_nan() && least(&[f64::NAN, 1.0]).is_nan());
        assert_eq!((greatest(&[1.0, f64::NAN, 3.0]), least(&[1.0, f64::NAN, 3.0])), (3.0, 1.0));
        assert_eq!(mean(&[i64::from(i32::MAX), 3], Some(Narrow::I32)), Some(-1_073_741_823));
        assert_eq!((argmin(&[2, 1, 1]), argmax(&[1_i64 << 62, (1 << 62) + 1])), (1, 1));
    }

    #[test]
    fn logarithms_reach_where_probabilities_are_zero() {
        let mut row = [0.0_f32, -121.9, 3.0];
        log_softmax(&mut row);
        assert!((row[1] + 124.948_59).abs() < 1e-3, "{row:?}");
        let lines = Lines::of(&[2, 2], 0);
        assert_eq!(softened(&[1.0_f64, 5.0, 1.0, 5.0], &lines, false), [0.5; 4]);
    }
}
