//! Whether a model says the same in another format as where it came from.

use std::collections::BTreeMap;
use std::sync::Arc;

use runtime::{Batch, Limits, Outputs, Role, Values};
use serving::Model;
use worker::{Converted, Worker, WorkerError};

/// Rows of all magnitudes that both are asked.
const ROW_COUNT: usize = 1_024;
/// How much numbers may differ; of those above 1, which share.
const DIFFERENCE_MAX: f64 = 1e-5;
/// Values of all rows together: a model with more columns than this allows is not converted.
const VALUE_COUNT_MAX: usize = 1 << 22;
/// Rows that hold missing or infinite values.
const HOLED_ROW_COUNT: usize = 256;
/// Of their values, which share is missing: one in so many.
const HOLE_EVERY: u64 = 5;
/// Columns that are asked one by one whether they may lack a value.
const COLUMN_ASKED_COUNT_MAX: usize = 64;
/// Of more columns than that, so many.
const COLUMN_SAMPLE_COUNT: usize = 16;
/// Rows of such a question.
const COLUMN_ROW_COUNT: usize = 8;

/// The model in the other format, if the native runtime computes it and says what the worker says: to rows of all magnitudes, to those
/// that the worker knows to be like what it was trained on, and to rows that lack values, where it answers such.
pub(super) async fn compared(
    converted: Converted,
    ranges: Option<Vec<(f64, f64)>>,
    worker: &Worker,
) -> Result<Arc<Model>, String> {
    let Converted { model, rows: mut known, column_count } = converted;
    let files = BTreeMap::from([("model.onnx".to_owned(), model)]);
    let load = move || Model::load(&files, &Limits::default()).map_err(|error| error.to_string());
    let mut model = tokio::task::spawn_blocking(load).await.map_err(|error| error.to_string())??;
    let [port] = worker.signature().inputs.as_slice() else { return Err("it takes more than one matrix".to_owned()) };
    let width = port.shape.get(1).copied().flatten().filter(|width| width.saturating_mul(ROW_COUNT) <= VALUE_COUNT_MAX);
    let width = width.filter(|width| *width > 0).ok_or("it does not say how wide its matrix is, or it is too wide")?;
    let mut numbers = Numbers(0);
    if let Some(ranges) = ranges.filter(|ranges| ranges.len() == width) {
        known.extend(within(&ranges, &mut numbers));
    }
    if known.is_empty() || column_count != width || known.len() > 2 * VALUE_COUNT_MAX {
        return Err("nothing tells on what numbers it was trained: log it with an input example".to_owned());
    }
    let both = Both { model: &model, worker, width };
    both.agree(rows(width, &mut numbers), "rows of all magnitudes").await?;
    both.agree(known.clone(), "rows like those that it was trained on").await?;
    let (missing, infinite) = both.refused(&known, &mut numbers).await?;
    model.refuse(missing, infinite);
    // What the file cannot say the worker did: columns by name, and the classes.
    model.describe(port.columns.clone(), worker.signature().classes.clone());
    Ok(Arc::new(model))
}

/// Numbers that look random, always the same ones: SplitMix64 (Steele, Lea, Flood 2014).
struct Numbers(u64);

impl Numbers {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// From 0 to 1.
    fn share(&mut self) -> f64 {
        self.next() as f64 / u64::MAX as f64
    }
}

/// Rows of all magnitudes. They are 32-bit floats: both sides see the same numbers.
fn rows(width: usize, numbers: &mut Numbers) -> Vec<f64> {
    let mut value = |_| {
        let magnitude = 10_f64.powf(numbers.share().mul_add(7.0, -3.0));
        let signed = if numbers.share() < 0.5 { -magnitude } else { magnitude };
        f64::from(signed as f32)
    };
    (0..ROW_COUNT * width).map(&mut value).collect()
}

/// Rows within the ranges of what it was trained on.
fn within(ranges: &[(f64, f64)], numbers: &mut Numbers) -> Vec<f64> {
    let all = std::iter::repeat_n(ranges, ROW_COUNT).flatten();
    all.map(|(low, high)| numbers.share().mul_add(high - low, *low)).collect()
}

/// A model here and the one that it came from.
struct Both<'a> {
    model: &'a Model,
    worker: &'a Worker,
    width: usize,
}

impl Both<'_> {
    fn batch(&self, values: Vec<f64>) -> Result<Arc<Batch>, String> {
        let rows = values.len() / self.width;
        Batch::matrix(rows, self.width, Values::F64(values)).map(Arc::new).map_err(|error| error.to_string())
    }

    async fn agree(&self, values: Vec<f64>, what: &str) -> Result<(), String> {
        let batch = self.batch(values)?;
        let theirs = self.worker.predict(Arc::clone(&batch)).await.map_err(|error| error.to_string())?;
        self.agrees(&theirs, &batch, what)
    }

    fn agrees(&self, theirs: &Outputs, batch: &Batch, what: &str) -> Result<(), String> {
        let ours = self.model.predict(batch).map_err(|error| error.to_string())?;
        same(theirs, &ours, batch.rows()).map_err(|why| format!("{why}: {what}"))
    }

    /// The worker's answer; nothing where it answers no such values.
    async fn answer(&self, batch: &Arc<Batch>) -> Result<Option<Outputs>, String> {
        match self.worker.predict(Arc::clone(batch)).await {
            Ok(outputs) => Ok(Some(outputs)),
            Err(WorkerError::Refused(_) | WorkerError::Failed(_)) => Ok(None),
            Err(other) => Err(other.to_string()),
        }
    }

    /// In which columns a missing value is to be refused, because the worker fails over it, and whether infinite ones are. Where
    /// it answers, both must say the same.
    async fn refused(&self, known: &[f64], numbers: &mut Numbers) -> Result<(Vec<bool>, bool), String> {
        let some: Vec<f64> = known.iter().take(HOLED_ROW_COUNT * self.width).copied().collect();
        let mut missing = vec![false; self.width];
        let holed = self.batch(self.holed(&some, &missing, f64::NAN, numbers))?;
        if let Some(theirs) = self.answer(&holed).await? {
            self.agrees(&theirs, &holed, "rows that lack values")?;
        } else {
            missing = self.refused_missing(&some).await?;
            self.agree(self.holed(&some, &missing, f64::NAN, numbers), "rows that lack values").await?;
        }
        let infinite = self.batch(self.holed(&some, &vec![false; self.width], f64::INFINITY, numbers))?;
        match self.answer(&infinite).await? {
            Some(theirs) => self.agrees(&theirs, &infinite, "rows with infinite values").map(|()| (missing, false)),
            None => Ok((missing, true)),
        }
    }

    async fn refused_missing(&self, some: &[f64]) -> Result<Vec<bool>, String> {
        let is_wide = self.width > COLUMN_ASKED_COUNT_MAX;
        let step = if is_wide { self.width / COLUMN_SAMPLE_COUNT } else { 1 };
        let mut missing = vec![true; self.width];
        for column in (0..self.width).step_by(step) {
            let mut few: Vec<f64> = some.iter().take(COLUMN_ROW_COUNT * self.width).copied().collect();
            few.iter_mut().skip(column).step_by(self.width).for_each(|value| *value = f64::NAN);
            if self.answer(&self.batch(few)?).await?.is_none() {
                continue;
            }
            if is_wide {
                return Err("some of its many columns may lack a value and some may not".to_owned());
            }
            if let Some(is_refused) = missing.get_mut(column) {
                *is_refused = false;
            }
        }
        Ok(missing)
    }

    /// The rows with holes in the columns that are not left out.
    fn holed(&self, some: &[f64], left_out: &[bool], hole: f64, numbers: &mut Numbers) -> Vec<f64> {
        let value = |(value, is_left_out): (&f64, &bool)| {
            if numbers.next().is_multiple_of(HOLE_EVERY) && !is_left_out { hole } else { *value }
        };
        some.iter().zip(left_out.iter().cycle()).map(value).collect()
    }
}

fn same(theirs: &Outputs, ours: &Outputs, rows: usize) -> Result<(), String> {
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
            return Err(format!("{count} values ({role:?}) of {rows} rows are others as ONNX"));
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
        (Some(their), Some(our)) if their.is_finite() && our.is_finite() => {
            (their - our).abs() > DIFFERENCE_MAX * their.abs().max(1.0)
        }
        (Some(their), Some(our)) => their.is_nan() != our.is_nan() || (!their.is_nan() && their != our),
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
        assert!(same(&tie("a"), &tie("b"), 1).is_ok(), "equally probable");
        assert!(same(&theirs, &outputs(text("a"), &[0.500_001, 2_000.01]), 1).is_ok());
        for other in [
            outputs(text("b"), &[0.5, 2_000.0]),
            outputs(text("a"), &[0.5001, 2_000.0]),
            outputs(text("a"), &[f64::NAN, 2_000.0]),
            outputs(text("a"), &[0.5]),
            outputs(Values::I64(vec![0]), &[0.5, 2_000.0]),
            Outputs::default(),
        ] {
            assert!(same(&theirs, &other, 1).is_err(), "{other:?}");
        }
    }

    #[test]
    fn rows_lie_within_what_it_was_trained_on() {
        let values = within(&[(1.7e9, 1.7e9 + 3_600.0), (-1.0, 0.0)], &mut Numbers(0));
        assert_eq!(values.len(), 2 * ROW_COUNT);
        assert!(values.iter().step_by(2).all(|value| (1.7e9..=1.7e9 + 3_600.0).contains(value)));
        assert!(values.iter().any(|value| f64::from(*value as f32) != *value), "64-bit numbers");
    }

    #[test]
    fn the_rows_are_of_all_magnitudes() {
        let values = rows(3, &mut Numbers(0));
        for (low, high) in [(1e-3, 1e-1), (0.1, 10.0), (10.0, 1e4)] {
            let within = values.iter().filter(|value| (low..high).contains(&value.abs())).count();
            assert!(within > values.len() / 5, "{low}: {within}");
        }
        assert!(values.iter().any(|value| *value < 0.0) && values.iter().any(|value| *value > 0.0));
    }
}
