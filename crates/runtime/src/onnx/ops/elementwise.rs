//! Operators that act on each element, with NumPy's broadcasting.

use super::super::proto::{Element, element_of};
use super::{Inputs, Loaded, Request};
use crate::{DataType, LoadError, PredictError, Tensor, Values};

pub(super) fn load(request: &mut Request<'_>) -> Result<Option<Loaded>, LoadError> {
    if request.version < 7
        && matches!(request.op, "Add" | "Sub" | "Mul" | "Div" | "Pow" | "Less" | "Greater" | "Equal" | "And" | "Or")
    {
        return Err(LoadError::unsupported("broadcasting as ONNX had it before version 7"));
    }
    Ok(Some(match request.op {
        "Identity" => Loaded::one(|inputs| Ok(inputs.get(0)?.clone())).keeping(),
        "Relu" => signed(
            |value| if value < 0.0 { 0.0 } else { value },
            |value| if value < 0.0 { 0.0 } else { value },
            |value| value.max(0),
        ),
        "Sigmoid" => unary(super::post::logistic, crate::link::sigmoid).keeping(),
        "Tanh" => unary(f32::tanh, f64::tanh),
        "Sqrt" => unary(f32::sqrt, f64::sqrt),
        "Exp" => unary(f32::exp, f64::exp),
        "Log" => unary(f32::ln, f64::ln),
        "Floor" => unary(f32::floor, f64::floor),
        "Ceil" => unary(f32::ceil, f64::ceil),
        "Reciprocal" => unary(f32::recip, f64::recip),
        "Neg" => signed(|value| -value, |value| -value, i64::wrapping_neg),
        "Abs" => signed(f32::abs, f64::abs, i64::wrapping_abs),
        "Sign" => signed(sign_f32, sign_f64, i64::signum),
        "Not" => Loaded::one(|inputs| {
            let input = inputs.get(0)?;
            match input.values() {
                Values::Bool(list) => {
                    Tensor::new(input.shape().to_vec(), Values::Bool(list.iter().map(|value| !value).collect()))
                }
                _ => Err(PredictError::model("its input is not boolean")),
            }
        }),
        "IsNaN" => Loaded::one(|inputs| {
            let input = inputs.get(0)?;
            let missing = input.values().to_f64()?.into_iter().map(f64::is_nan).collect();
            Tensor::new(input.shape().to_vec(), Values::Bool(missing))
        }),
        "Add" | "Sum" => folded(|a, b| a + b, |a, b| a + b, |a, b| Some(a.wrapping_add(b))),
        "Sub" => folded(|a, b| a - b, |a, b| a - b, |a, b| Some(a.wrapping_sub(b))),
        "Mul" => folded(|a, b| a * b, |a, b| a * b, |a, b| Some(a.wrapping_mul(b))),
        "Div" => folded(|a, b| a / b, |a, b| a / b, i64::checked_div),
        "Max" => folded(greater_f32, greater_f64, |a, b| Some(a.max(b))),
        "Min" => folded(|a, b| -greater_f32(-a, -b), |a, b| -greater_f64(-a, -b), |a, b| Some(a.min(b))),
        "Pow" => Loaded::one(power),
        "Less" => compared(|a, b| a < b, |a, b| a < b),
        "LessOrEqual" => compared(|a, b| a <= b, |a, b| a <= b),
        "Greater" => compared(|a, b| a > b, |a, b| a > b),
        "GreaterOrEqual" => compared(|a, b| a >= b, |a, b| a >= b),
        "Equal" => Loaded::one(|inputs| {
            if let (Values::Text(left), Values::Text(right)) = (inputs.get(0)?.values(), inputs.get(1)?.values()) {
                let (shape, places) = Broadcast::of(inputs.get(0)?.shape(), inputs.get(1)?.shape(), inputs)?;
                let equal = places.pairs().map(|(a, b)| left.get(a) == right.get(b)).collect();
                return Tensor::new(shape, Values::Bool(equal));
            }
            compare(inputs, |a, b| a == b, |a, b| a == b)
        }),
        "And" => logical(|a, b| a && b),
        "Or" => logical(|a, b| a || b),
        "Xor" => logical(|a, b| a != b),
        "Where" => Loaded::one(choose),
        "Clip" => clip(request),
        "Cast" => {
            let to = request.attributes.integer("to", 0);
            request.attributes.skip("saturate");
            cast(to)?.keeping()
        }
        _ => return Ok(None),
    }))
}

fn unary(narrow: fn(f32) -> f32, wide: fn(f64) -> f64) -> Loaded {
    Loaded::one(move |inputs| {
        let input = inputs.get(0)?;
        let values = match input.values() {
            Values::F32(list) => Values::F32(list.iter().copied().map(narrow).collect()),
            Values::F64(list) => Values::F64(list.iter().copied().map(wide).collect()),
            _ => return Err(PredictError::model("its input is no float")),
        };
        Tensor::new(input.shape().to_vec(), values)
    })
}

fn signed(narrow: fn(f32) -> f32, wide: fn(f64) -> f64, whole: fn(i64) -> i64) -> Loaded {
    let floats = unary(narrow, wide);
    Loaded::new(move |inputs| match inputs.get(0)?.values() {
        Values::I64(list) => {
            let values = Values::I64(list.iter().copied().map(whole).collect());
            Ok(vec![Tensor::new(inputs.get(0)?.shape().to_vec(), values)?])
        }
        _ => (floats.run)(inputs),
    })
}

fn sign_f32(value: f32) -> f32 {
    if value == 0.0 || value.is_nan() { value } else { value.signum() }
}

fn sign_f64(value: f64) -> f64 {
    if value == 0.0 || value.is_nan() { value } else { value.signum() }
}

/// The greater one; what is not a number stays.
fn greater_f32(left: f32, right: f32) -> f32 {
    if left.is_nan() || left > right { left } else { right }
}

fn greater_f64(left: f64, right: f64) -> f64 {
    if left.is_nan() || left > right { left } else { right }
}

/// For each element of the common shape, the elements of two inputs.
struct Broadcast {
    count: usize,
    /// (size, step on the left, step on the right), the last dimension first.
    dimensions: Vec<(usize, usize, usize)>,
}

impl Broadcast {
    fn of(left: &[usize], right: &[usize], inputs: &Inputs<'_>) -> Result<(Vec<usize>, Self), PredictError> {
        let rank = left.len().max(right.len());
        let (mut shape, mut dimensions) = (Vec::with_capacity(rank), Vec::with_capacity(rank));
        let (mut left_step, mut right_step, mut count) = (1, 1, 1_usize);
        for place in 0..rank {
            let size =
                |shape: &[usize]| shape.len().checked_sub(place + 1).and_then(|place| shape.get(place)).copied().unwrap_or(1);
            let (a, b) = (size(left), size(right));
            let both = match (a, b) {
                (a, b) if a == b => a,
                (1, b) => b,
                (a, 1) => a,
                _ => return Err(PredictError::model(format!("the shapes {left:?} and {right:?} do not fit"))),
            };
            count = inputs.room(count, both)?;
            dimensions.push((both, if a == 1 { 0 } else { left_step }, if b == 1 { 0 } else { right_step }));
            left_step *= a;
            right_step *= b;
            shape.push(both);
        }
        shape.reverse();
        Ok((shape, Self { count, dimensions }))
    }

    /// Both elements' places, for each element of the common shape.
    fn pairs(&self) -> impl Iterator<Item = (usize, usize)> + '_ {
        let mut index = vec![0_usize; self.dimensions.len()];
        let (mut left, mut right) = (0, 0);
        (0..self.count).map(move |_| {
            let now = (left, right);
            for (index, (size, left_step, right_step)) in index.iter_mut().zip(&self.dimensions) {
                *index += 1;
                left += left_step;
                right += right_step;
                if *index < *size {
                    break;
                }
                left -= left_step * size;
                right -= right_step * size;
                *index = 0;
            }
            now
        })
    }
}

fn zip<T: Copy, U>(left: &[T], right: &[T], places: &Broadcast, act: impl Fn(T, T) -> U) -> Vec<U> {
    if left.len() == places.count && right.len() == places.count {
        return left.iter().zip(right).map(|(a, b)| act(*a, *b)).collect();
    }
    if let ([only], true) = (right, left.len() == places.count) {
        return left.iter().map(|a| act(*a, *only)).collect();
    }
    places.pairs().filter_map(|(a, b)| Some(act(*left.get(a)?, *right.get(b)?))).collect()
}

type Whole = fn(i64, i64) -> Option<i64>;

/// Two inputs, or for some operators any number of them.
fn folded(narrow: fn(f32, f32) -> f32, wide: fn(f64, f64) -> f64, whole: Whole) -> Loaded {
    let pair = move |left: &Tensor, right: &Tensor, inputs: &Inputs<'_>| -> Result<Tensor, PredictError> {
        let (shape, places) = Broadcast::of(left.shape(), right.shape(), inputs)?;
        let values = match (left.values(), right.values()) {
            (Values::F32(left), Values::F32(right)) => Values::F32(zip(left, right, &places, narrow)),
            (Values::F64(left), Values::F64(right)) => Values::F64(zip(left, right, &places, wide)),
            (Values::I64(left), Values::I64(right)) => {
                let list: Option<Vec<i64>> = zip(left, right, &places, whole).into_iter().collect();
                Values::I64(list.ok_or_else(|| PredictError::model("an integer is divided by zero"))?)
            }
            _ => return Err(PredictError::model("its inputs are of different types")),
        };
        Tensor::new(shape, values)
    };
    Loaded::one(move |inputs| {
        let Some(right) = inputs.optional(1) else { return Ok(inputs.get(0)?.clone()) };
        let mut result = pair(inputs.get(0)?, right, inputs)?;
        for place in 2..inputs.list.len() {
            result = pair(&result, inputs.get(place)?, inputs)?;
        }
        Ok(result)
    })
}

/// A power; the result has the base's type.
fn power(inputs: &Inputs<'_>) -> Result<Tensor, PredictError> {
    let (base, exponent) = (inputs.get(0)?, inputs.get(1)?);
    let (shape, places) = Broadcast::of(base.shape(), exponent.shape(), inputs)?;
    let values = match base.values() {
        Values::F32(base) => Values::F32(zip(base, &exponent.values().to_f32()?, &places, f32::powf)),
        Values::F64(base) => Values::F64(zip(base, &exponent.values().to_f64()?, &places, f64::powf)),
        _ => return Err(PredictError::model("a power of integers")),
    };
    Tensor::new(shape, values)
}

fn compare(inputs: &Inputs<'_>, floats: fn(f64, f64) -> bool, whole: fn(i64, i64) -> bool) -> Result<Tensor, PredictError> {
    let (left, right) = (inputs.get(0)?, inputs.get(1)?);
    let (shape, places) = Broadcast::of(left.shape(), right.shape(), inputs)?;
    let values = match (left.values(), right.values()) {
        (Values::I64(left), Values::I64(right)) => zip(left, right, &places, whole),
        (left, right) if left.data_type() == right.data_type() => zip(&left.to_f64()?, &right.to_f64()?, &places, floats),
        _ => return Err(PredictError::model("its inputs are of different types")),
    };
    Tensor::new(shape, Values::Bool(values))
}

fn compared(floats: fn(f64, f64) -> bool, whole: fn(i64, i64) -> bool) -> Loaded {
    Loaded::one(move |inputs| compare(inputs, floats, whole))
}

fn logical(act: fn(bool, bool) -> bool) -> Loaded {
    Loaded::one(move |inputs| {
        let (left, right) = (inputs.get(0)?, inputs.get(1)?);
        let (Values::Bool(a), Values::Bool(b)) = (left.values(), right.values()) else {
            return Err(PredictError::model("its inputs are not boolean"));
        };
        let (shape, places) = Broadcast::of(left.shape(), right.shape(), inputs)?;
        Tensor::new(shape, Values::Bool(zip(a, b, &places, act)))
    })
}

fn choose(inputs: &Inputs<'_>) -> Result<Tensor, PredictError> {
    let (condition, left, right) = (inputs.get(0)?, inputs.get(1)?, inputs.get(2)?);
    let Values::Bool(truths) = condition.values() else { return Err(PredictError::model("its condition is not boolean")) };
    let (both, pairs) = Broadcast::of(left.shape(), right.shape(), inputs)?;
    let (shape, places) = Broadcast::of(condition.shape(), &both, inputs)?;
    let pairs: Vec<(usize, usize)> = pairs.pairs().collect();
    fn pick<T: Clone>(truths: &[bool], left: &[T], right: &[T], pairs: &[(usize, usize)], places: &Broadcast) -> Vec<T> {
        let one = |(truth, pair): (usize, usize)| {
            let (a, b) = pairs.get(pair)?;
            if *truths.get(truth)? { left.get(*a).cloned() } else { right.get(*b).cloned() }
        };
        places.pairs().filter_map(one).collect()
    }
    let values = match (left.values(), right.values()) {
        (Values::F32(left), Values::F32(right)) => Values::F32(pick(truths, left, right, &pairs, &places)),
        (Values::F64(left), Values::F64(right)) => Values::F64(pick(truths, left, right, &pairs, &places)),
        (Values::I64(left), Values::I64(right)) => Values::I64(pick(truths, left, right, &pairs, &places)),
        (Values::Text(left), Values::Text(right)) => Values::Text(pick(truths, left, right, &pairs, &places)),
        (Values::Bool(left), Values::Bool(right)) => Values::Bool(pick(truths, left, right, &pairs, &places)),
        _ => return Err(PredictError::model("its inputs are of different types")),
    };
    Tensor::new(shape, values)
}

/// The bounds of `Clip`: attributes before version 11, inputs since. What is not bounded stays within the type's own range.
struct Bounds<'a> {
    low: Option<&'a Values>,
    high: Option<&'a Values>,
}

impl Bounds<'_> {
    fn floats(&self, lowest: f64, highest: f64) -> Result<(f64, f64), PredictError> {
        let bound = |values: Option<&Values>, default: f64| match values {
            Some(values) => values.to_f64()?.first().copied().ok_or_else(|| PredictError::model("a bound without a value")),
            None => Ok(default),
        };
        Ok((bound(self.low, lowest)?, bound(self.high, highest)?))
    }

    fn integers(&self) -> Result<(i64, i64), PredictError> {
        let bound = |values: Option<&Values>, default: i64| match values {
            Some(Values::I64(values)) => values.first().copied().ok_or_else(|| PredictError::model("a bound without a value")),
            Some(_) => Err(PredictError::model("a bound of another type")),
            None => Ok(default),
        };
        Ok((bound(self.low, i64::MIN)?, bound(self.high, i64::MAX)?))
    }
}

/// Where the bounds cross, the upper one holds.
fn between<T: PartialOrd>(value: T, (low, high): (T, T)) -> T {
    let raised = if value < low { low } else { value };
    if raised > high { high } else { raised }
}

fn clip(request: &mut Request<'_>) -> Loaded {
    let old = ["min", "max"].map(|name| request.attributes.optional_float(name).map(|bound| Values::F32(vec![bound])));
    let inputs_bound = request.version >= 11;
    Loaded::one(move |inputs| {
        let input = inputs.get(0)?;
        let given = |place: usize| inputs.optional(place).map(Tensor::values);
        let [low, high] = &old;
        let bounds = if inputs_bound {
            Bounds { low: given(1), high: given(2) }
        } else {
            Bounds { low: low.as_ref(), high: high.as_ref() }
        };
        let values = match input.values() {
            Values::F32(list) => {
                let both = bounds.floats(f64::from(f32::MIN), f64::from(f32::MAX))?;
                Values::F32(list.iter().map(|value| between(f64::from(*value), both) as f32).collect())
            }
            Values::F64(list) => {
                let both = bounds.floats(f64::MIN, f64::MAX)?;
                Values::F64(list.iter().map(|value| between(*value, both)).collect())
            }
            Values::I64(list) => {
                let both = bounds.integers()?;
                Values::I64(list.iter().map(|value| between(*value, both)).collect())
            }
            _ => return Err(PredictError::model("only numbers are clipped")),
        };
        Tensor::new(input.shape().to_vec(), values)
    })
}

fn cast(code: i64) -> Result<Loaded, LoadError> {
    let Element { data_type: to, narrow } = element_of(code)?;
    // What a float becomes that does not fit these depends on the machine.
    if to == DataType::I64 && !matches!(code, 6 | 7) {
        return Err(LoadError::unsupported(format!("a cast to the ONNX element type {code}")));
    }
    let whole = if narrow.is_some() { int32 } else { int64 };
    let loaded = Loaded::one(move |inputs| {
        let input = inputs.get(0)?;
        let values = match (to, input.values()) {
            (to, values) if to == values.data_type() => values.clone(),
            (_, Values::Text(_)) => return Err(PredictError::model("text is not read as numbers")),
            (DataType::F32, values) => Values::F32(values.to_f32()?),
            (DataType::F64, values) => Values::F64(values.to_f64()?),
            (DataType::I64, values) => Values::I64(values.to_f64()?.into_iter().map(whole).collect()),
            (DataType::Bool, values) => Values::Bool(values.to_f64()?.into_iter().map(|value| value != 0.0).collect()),
            (DataType::Text, Values::I64(list)) => Values::Text(list.iter().map(ToString::to_string).collect()),
            (DataType::Text, _) => return Err(PredictError::model("floats are not written as text")),
        };
        Tensor::new(input.shape().to_vec(), values)
    });
    Ok(loaded.narrowed(narrow))
}

/// As processors do it: what does not fit becomes the lowest number.
fn int64(value: f64) -> i64 {
    let cut = value.trunc();
    if (-9_223_372_036_854_775_808.0..9_223_372_036_854_775_808.0).contains(&cut) { cut as i64 } else { i64::MIN }
}

fn int32(value: f64) -> i64 {
    let cut = value.trunc();
    if (f64::from(i32::MIN)..=f64::from(i32::MAX)).contains(&cut) { cut as i64 } else { i64::from(i32::MIN) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_fits_no_integer_becomes_the_lowest() {
        assert_eq!([1.9, -1.9, 3e9, f64::NAN].map(int32), [1, -1, -2_147_483_648, -2_147_483_648]);
        assert_eq!([-1.9, f64::INFINITY, f64::NAN, 3e9].map(int64), [-1, i64::MIN, i64::MIN, 3_000_000_000]);
    }

    #[test]
    fn the_upper_bound_holds_where_bounds_cross() {
        assert_eq!([5.0, -5.0, 0.5].map(|value| between(value, (-1.0, 1.0))), [1.0, -1.0, 0.5]);
        assert_eq!(between(0, (2, -1)), -1);
        assert!(between(f64::NAN, (0.0, 1.0)).is_nan());
    }
}
