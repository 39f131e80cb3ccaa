//! Whether a model says the same in another format as where it came from.

use std::collections::BTreeMap;
use std::sync::Arc;

use runtime::{Batch, Limits, Outputs, Role, Values};
use serving::Model;
use worker::Worker;

/// Rows that both are asked.
const ROW_COUNT: usize = 1_024;
/// How much numbers may differ; of those above 1, which share.
const DIFFERENCE_MAX: f64 = 1e-5;
/// Values of all rows together: a model with more columns than this allows is not converted.
const VALUE_COUNT_MAX: usize = 1 << 22;

/// The model of these bytes, if the native runtime computes it and says what the worker says.
pub(super) async fn compared(bytes: Vec<u8>, worker: &Worker) -> Result<Arc<Model>, String> {
    let files = BTreeMap::from([("model.onnx".to_owned(), bytes)]);
    let load = move || Model::load(&files, &Limits::default()).map_err(|error| error.to_string());
    let mut model = tokio::task::spawn_blocking(load).await.map_err(|error| error.to_string())??;
    let [port] = worker.signature().inputs.as_slice() else { return Err("it takes more than one matrix".to_owned()) };
    let width = port.shape.get(1).copied().flatten().filter(|width| width.saturating_mul(ROW_COUNT) <= VALUE_COUNT_MAX);
    let rows = Arc::new(rows(width.ok_or("it does not say how wide its matrix is, or it is too wide")?)?);
    let theirs = worker.predict(Arc::clone(&rows)).await.map_err(|error| error.to_string())?;
    let ours = model.predict(&rows).map_err(|error| error.to_string())?;
    same(&theirs, &ours)?;
    // What the file cannot say the worker did: columns by name, and the classes.
    model.describe(port.columns.clone(), worker.signature().classes.clone());
    Ok(Arc::new(model))
}

/// Rows of all magnitudes, always the same ones. They are 32-bit floats: both sides see the same numbers.
fn rows(width: usize) -> Result<Batch, String> {
    let mut state = 0_u64;
    let mut next = || {
        // SplitMix64 (Steele, Lea, Flood 2014).
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = state;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) as f64 / u64::MAX as f64
    };
    let mut value = |_| {
        let magnitude = 10_f64.powf(next().mul_add(7.0, -3.0));
        let signed = if next() < 0.5 { -magnitude } else { magnitude };
        f64::from(signed as f32)
    };
    let values = (0..ROW_COUNT * width).map(&mut value).collect();
    Batch::matrix(ROW_COUNT, width, Values::F64(values)).map_err(|error| error.to_string())
}

fn same(theirs: &Outputs, ours: &Outputs) -> Result<(), String> {
    let ties = ties(theirs);
    for role in [Role::Label, Role::Probabilities, Role::Value] {
        let of = |outputs: &Outputs| {
            let found = outputs.all.iter().find(|output| output.role == role);
            found.map(|output| output.tensor.values().clone())
        };
        let differ = match (of(theirs), of(ours)) {
            (None, None) => continue,
            (Some(theirs), Some(ours)) if theirs.len() == ours.len() => differing(&theirs, &ours)?,
            _ => return Err("it gives other outputs as ONNX".to_owned()),
        };
        // Of two classes that are equally probable either may be named.
        let counted = |place: &&usize| role != Role::Label || !ties.get(**place).copied().unwrap_or(false);
        let count = differ.iter().filter(counted).count();
        if count > 0 {
            return Err(format!("{count} values ({role:?}) of {ROW_COUNT} rows are others as ONNX"));
        }
    }
    Ok(())
}

/// Row by row, whether the two most probable classes are equally probable.
fn ties(outputs: &Outputs) -> Vec<bool> {
    let Some(tensor) = outputs.probabilities() else { return Vec::new() };
    let width = tensor.shape().get(1).copied().unwrap_or(1).max(1);
    let is_tie = |row: &[f64]| {
        let mut sorted = row.to_vec();
        sorted.sort_by(|one, other| other.total_cmp(one));
        matches!(sorted.as_slice(), [first, second, ..] if first - second <= 2.0 * DIFFERENCE_MAX)
    };
    numbers(tensor.values()).unwrap_or_default().chunks(width).map(is_tie).collect()
}

/// The places at which values differ.
fn differing(theirs: &Values, ours: &Values) -> Result<Vec<usize>, String> {
    let places = |differs: &dyn Fn(usize) -> bool| (0..theirs.len()).filter(|place| differs(*place)).collect();
    if let (Values::Text(theirs), Values::Text(ours)) = (theirs, ours) {
        return Ok(places(&|place| theirs.get(place) != ours.get(place)));
    }
    let (Some(their), Some(our)) = (numbers(theirs), numbers(ours)) else {
        return Err("it gives values of another type as ONNX".to_owned());
    };
    Ok(places(&|place| match (their.get(place), our.get(place)) {
        (Some(their), Some(our)) => their.is_nan() != our.is_nan() || (their - our).abs() > DIFFERENCE_MAX * their.abs().max(1.0),
        _ => true,
    }))
}

fn numbers(values: &Values) -> Option<Vec<f64>> {
    Some(match values {
        Values::F32(all) => all.iter().map(|value| f64::from(*value)).collect(),
        Values::F64(all) => all.clone(),
        Values::I64(all) => all.iter().map(|value| *value as f64).collect(),
        Values::Bool(_) | Values::Text(_) => return None,
    })
}

#[cfg(test)]
mod tests {
    use runtime::{Output, Tensor};

    use super::*;

    fn outputs(label: Values, numbers: &[f64]) -> Outputs {
        let output = |role, values| Output { name: String::new(), role, tensor: Tensor::list(values) };
        Outputs { all: vec![output(Role::Label, label), output(Role::Probabilities, Values::F64(numbers.to_vec()))] }
    }

    #[test]
    fn what_differs_is_seen() {
        let text = |label: &str| Values::Text(vec![label.to_owned()]);
        let theirs = outputs(text("a"), &[0.5, 2_000.0]);
        let tie = |label: &str| {
            let tensor = Tensor::new(vec![1, 2], Values::F64(vec![0.5, 0.5])).unwrap();
            let mut both = outputs(text(label), &[]);
            both.all[1].tensor = tensor;
            both
        };
        assert!(same(&tie("a"), &tie("b")).is_ok(), "equally probable");
        assert!(same(&theirs, &outputs(text("a"), &[0.500_001, 2_000.01])).is_ok());
        for other in [
            outputs(text("b"), &[0.5, 2_000.0]),
            outputs(text("a"), &[0.5001, 2_000.0]),
            outputs(text("a"), &[f64::NAN, 2_000.0]),
            outputs(text("a"), &[0.5]),
            outputs(Values::I64(vec![0]), &[0.5, 2_000.0]),
            Outputs::default(),
        ] {
            assert!(same(&theirs, &other).is_err(), "{other:?}");
        }
    }

    #[test]
    fn the_rows_are_of_all_magnitudes() {
        let batch = rows(3).unwrap();
        let (_, tensor) = batch.inputs().next().unwrap();
        let Values::F64(values) = tensor.values() else { panic!() };
        for (low, high) in [(1e-3, 1e-1), (0.1, 10.0), (10.0, 1e4)] {
            let within = values.iter().filter(|value| (low..high).contains(&value.abs())).count();
            assert!(within > values.len() / 5, "{low}: {within}");
        }
        assert!(values.iter().any(|value| *value < 0.0) && values.iter().any(|value| *value > 0.0));
    }
}
