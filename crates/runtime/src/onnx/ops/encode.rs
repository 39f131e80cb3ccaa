//! `OneHotEncoder`, `LabelEncoder`, `CategoryMapper`, `FeatureVectorizer`, `ArrayFeatureExtractor`, and `ZipMap` as the tensor it is given.

use std::collections::HashMap;

use super::{Inputs, Loaded, Request};
use crate::{LoadError, PredictError, Tensor, Values};

pub(super) fn load(request: &mut Request<'_>) -> Result<Loaded, LoadError> {
    match request.op {
        "OneHotEncoder" => one_hot(request),
        "LabelEncoder" if request.version == 1 => old_labels(request),
        "LabelEncoder" => labels(request),
        "CategoryMapper" => mapper(request),
        "FeatureVectorizer" => {
            request.attributes.skip("inputdimensions");
            Ok(Loaded::one(vectorize))
        }
        "ArrayFeatureExtractor" => Ok(Loaded::one(extract)),
        _ => {
            request.attributes.skip("classlabels_strings");
            request.attributes.skip("classlabels_int64s");
            Ok(Loaded::one(|inputs| Ok(inputs.get(0)?.clone())).keeping())
        }
    }
}

/// A value as a key: floats by their bits, with one NaN and one zero.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Key {
    Text(String),
    Integer(i64),
    Bits(u64),
}

fn float_key(value: f64) -> Key {
    Key::Bits(if value.is_nan() { f64::NAN.to_bits() } else { (value + 0.0).to_bits() })
}

fn keys(values: &Values) -> Vec<Key> {
    match values {
        Values::Text(values) => values.iter().cloned().map(Key::Text).collect(),
        Values::I64(values) => values.iter().copied().map(Key::Integer).collect(),
        Values::Bool(values) => values.iter().map(|value| Key::Integer(i64::from(*value))).collect(),
        Values::F32(values) => values.iter().map(|value| float_key(f64::from(*value))).collect(),
        Values::F64(values) => values.iter().copied().map(float_key).collect(),
    }
}

fn one_hot(request: &mut Request<'_>) -> Result<Loaded, LoadError> {
    let zeros = request.attributes.integer("zeros", 1) != 0;
    let categories = request.attributes.labels("cats_strings", "cats_int64s")?;
    let text = matches!(categories, Values::Text(_));
    let width = categories.len();
    let places: HashMap<Key, usize> = keys(&categories).into_iter().enumerate().map(|(place, key)| (key, place)).collect();
    Ok(Loaded::one(move |inputs| {
        let input = inputs.get(0)?;
        let given = match input.values() {
            Values::Text(values) if text => keys(&Values::Text(values.clone())),
            Values::Text(_) => return Err(PredictError::model("text where numbers are encoded")),
            _ if text => return Err(PredictError::model("numbers where text is encoded")),
            // A float is cut to an integer first, as the specification asks.
            other => other.to_f64()?.into_iter().map(|value| Key::Integer(value as i64)).collect(),
        };
        let mut encoded = vec![0.0_f32; inputs.room(given.len(), width)?];
        for (key, row) in given.iter().zip(encoded.chunks_exact_mut(width)) {
            match places.get(key).and_then(|place| row.get_mut(*place)) {
                Some(cell) => *cell = 1.0,
                None if zeros => {}
                None => return Err(PredictError::input("a category that the model does not know")),
            }
        }
        let mut shape = input.shape().to_vec();
        shape.push(width);
        Tensor::new(shape, Values::F32(encoded))
    }))
}

/// The one list that is given under one of the names.
fn one_of(request: &mut Request<'_>, word: &str) -> Result<Values, LoadError> {
    let texts = request.attributes.texts(&format!("{word}_strings"))?;
    let integers = request.attributes.integers(&format!("{word}_int64s"));
    let floats = request.attributes.floats(&format!("{word}_floats"));
    let tensor = request.attributes.tensor(&format!("{word}_tensor"));
    match (texts.is_empty(), integers.is_empty(), floats.is_empty(), tensor) {
        (false, true, true, None) => Ok(Values::Text(texts)),
        (true, false, true, None) => Ok(Values::I64(integers)),
        (true, true, false, None) => Ok(Values::F32(floats)),
        (true, true, true, Some(tensor)) => Ok(tensor.into_values()),
        _ => Err(LoadError::invalid(format!("ONNX: a label encoder needs one list of {word}"))),
    }
}

fn labels(request: &mut Request<'_>) -> Result<Loaded, LoadError> {
    let (from, to) = (one_of(request, "keys")?, one_of(request, "values")?);
    let text = request.attributes.text("default_string", "_Unused")?;
    let integer = request.attributes.integer("default_int64", -1);
    let float = request.attributes.float("default_float", -0.0);
    let default = match (request.attributes.tensor("default_tensor").map(Tensor::into_values), &to) {
        (Some(default), to) if default.len() == 1 && default.data_type() == to.data_type() => default,
        (Some(_), _) => return Err(LoadError::invalid("ONNX: a label encoder's default is of another type")),
        (None, Values::Text(_)) => Values::Text(vec![text]),
        (None, Values::I64(_)) => Values::I64(vec![integer]),
        (None, Values::F32(_)) => Values::F32(vec![float]),
        (None, Values::F64(_)) => Values::F64(vec![f64::from(float)]),
        (None, Values::Bool(_)) => return Err(LoadError::unsupported("an ONNX label encoder to booleans")),
    };
    // Before version 4 nothing equals a missing number.
    mapping(&from, to, default, request.version >= 4)
}

fn old_labels(request: &mut Request<'_>) -> Result<Loaded, LoadError> {
    let classes = request.attributes.texts("classes_strings")?;
    let text = request.attributes.text("default_string", "_Unused")?;
    let integer = request.attributes.integer("default_int64", -1);
    both_ways(classes.clone(), (0..classes.len() as i64).collect(), text, integer)
}

fn mapper(request: &mut Request<'_>) -> Result<Loaded, LoadError> {
    let (texts, integers) = (request.attributes.texts("cats_strings")?, request.attributes.integers("cats_int64s"));
    let text = request.attributes.text("default_string", "_Unused")?;
    let integer = request.attributes.integer("default_int64", -1);
    both_ways(texts, integers, text, integer)
}

/// Text to integers or back, by the input's type.
fn both_ways(texts: Vec<String>, integers: Vec<i64>, text: String, integer: i64) -> Result<Loaded, LoadError> {
    let (texts, integers) = (Values::Text(texts), Values::I64(integers));
    let there = mapping(&texts, integers.clone(), Values::I64(vec![integer]), true)?;
    let back = mapping(&integers, texts, Values::Text(vec![text]), true)?;
    Ok(Loaded::new(move |inputs| match inputs.get(0)?.values() {
        Values::Text(_) => (there.run)(inputs),
        _ => (back.run)(inputs),
    }))
}

fn mapping(from: &Values, to: Values, default: Values, missing_counts: bool) -> Result<Loaded, LoadError> {
    if from.len() != to.len() {
        return Err(LoadError::invalid("ONNX: a label encoder's lists have different lengths"));
    }
    let mut places = HashMap::with_capacity(from.len());
    for (place, key) in keys(from).into_iter().enumerate() {
        // The first of equal keys counts.
        if missing_counts || key != float_key(f64::NAN) {
            places.entry(key).or_insert(place);
        }
    }
    let kind = from.data_type();
    Ok(Loaded::one(move |inputs| {
        let input = inputs.get(0)?;
        if input.values().data_type() != kind {
            return Err(PredictError::model(format!("it maps {kind:?} values, not {:?}", input.values().data_type())));
        }
        let found: Vec<Option<usize>> = keys(input.values()).iter().map(|key| places.get(key).copied()).collect();
        Tensor::new(input.shape().to_vec(), picked(&to, &default, &found))
    }))
}

/// The values at the places, or the default.
fn picked(values: &Values, default: &Values, places: &[Option<usize>]) -> Values {
    fn pick<T: Clone>(values: &[T], default: &[T], places: &[Option<usize>]) -> Vec<T> {
        let one = |place: &Option<usize>| place.and_then(|place| values.get(place)).or_else(|| default.first()).cloned();
        places.iter().filter_map(one).collect()
    }
    match (values, default) {
        (Values::Text(values), Values::Text(default)) => Values::Text(pick(values, default, places)),
        (Values::I64(values), Values::I64(default)) => Values::I64(pick(values, default, places)),
        (Values::F32(values), Values::F32(default)) => Values::F32(pick(values, default, places)),
        (Values::F64(values), Values::F64(default)) => Values::F64(pick(values, default, places)),
        // Not made by `labels`; an empty list is refused by the tensor's shape.
        _ => Values::F32(Vec::new()),
    }
}

/// Inputs side by side, as floats.
fn vectorize(inputs: &Inputs<'_>) -> Result<Tensor, PredictError> {
    let mut parts = Vec::with_capacity(inputs.list.len());
    for place in 0..inputs.list.len() {
        let tensor = inputs.get(place)?;
        parts.push((tensor.rows_and_columns(), tensor.values().to_f32()?));
    }
    let Some(((rows, _), _)) = parts.first() else { return Err(PredictError::model("there is nothing to put together")) };
    let rows = *rows;
    if parts.iter().any(|((other, _), _)| *other != rows) {
        return Err(PredictError::model("inputs have different numbers of rows"));
    }
    let width = parts.iter().map(|((_, columns), _)| columns).sum();
    let mut joined = Vec::with_capacity(inputs.room(rows, width)?);
    for row in 0..rows {
        for ((_, columns), values) in &parts {
            joined.extend_from_slice(values.get(row * columns..(row + 1) * columns).unwrap_or_default());
        }
    }
    Tensor::new(vec![rows, width], Values::F32(joined))
}

/// Columns by their numbers.
fn extract(inputs: &Inputs<'_>) -> Result<Tensor, PredictError> {
    let input = inputs.get(0)?;
    let Some(chosen) = inputs.integers(1)? else { return Err(PredictError::model("no columns are asked for")) };
    let width = input.shape().last().copied().unwrap_or(1);
    let columns: Option<Vec<usize>> =
        chosen.iter().map(|column| usize::try_from(*column).ok().filter(|column| *column < width)).collect();
    let columns = columns.ok_or_else(|| PredictError::model(format!("a column of {width} that does not exist is asked for")))?;
    let rows = input.values().len().checked_div(width).unwrap_or(0);
    inputs.room(rows, columns.len())?;
    fn gather<T: Clone>(values: &[T], width: usize, columns: &[usize]) -> Vec<T> {
        values.chunks_exact(width.max(1)).flat_map(|row| columns.iter().filter_map(|column| row.get(*column).cloned())).collect()
    }
    let values = match input.values() {
        Values::F32(values) => Values::F32(gather(values, width, &columns)),
        Values::F64(values) => Values::F64(gather(values, width, &columns)),
        Values::I64(values) => Values::I64(gather(values, width, &columns)),
        Values::Bool(values) => Values::Bool(gather(values, width, &columns)),
        Values::Text(values) => Values::Text(gather(values, width, &columns)),
    };
    let mut shape = input.shape().to_vec();
    match shape.len() {
        0 | 1 => shape = vec![1, columns.len()],
        _ => {
            if let Some(last) = shape.last_mut() {
                *last = columns.len();
            }
        }
    }
    Tensor::new(shape, values)
}
