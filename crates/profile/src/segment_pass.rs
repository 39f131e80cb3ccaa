//! The second pass over a table, which counts segments from record batches.

use std::collections::HashMap;

use arrow_array::cast::AsArray as _;
use arrow_array::types::Float64Type;
use arrow_array::{Array as _, ArrayRef, RecordBatch};
use arrow_cast::cast;
use arrow_schema::DataType;

use crate::drift::segments::{Bins, SEGMENT_VALUE_COUNT_MAX, SegmentCounter, SegmentPlan};
use crate::error::ProfileError;

/// Counts segments of one table, or of one part of it.
#[derive(Debug)]
pub struct SegmentPass {
    counter: SegmentCounter,
}

impl SegmentPass {
    /// As this plan says.
    #[must_use]
    pub fn new(plan: SegmentPlan) -> Self {
        Self { counter: SegmentCounter::new(plan) }
    }

    /// Takes rows.
    ///
    /// # Errors
    /// [`ProfileError::OtherSchema`] if a column of the plan is missing or cannot be read as the plan says.
    pub fn update(&mut self, batch: &RecordBatch) -> Result<(), ProfileError> {
        let plan = self.counter.plan().clone();
        let keys = plan.by.iter().map(|name| keys_of(&array_of(batch, name)?)).collect::<Result<Vec<_>, _>>()?;
        for (at, target) in plan.targets.iter().enumerate() {
            let bins = bins_of(&array_of(batch, &target.column)?, &target.bins)?;
            let bin_count = target.bins.count() + 1;
            for (by, (texts, codes)) in keys.iter().enumerate() {
                let mut counts = vec![0_u64; texts.len() * bin_count];
                for (code, bin) in codes.iter().zip(&bins) {
                    if let Some(count) = counts.get_mut(code * bin_count + bin) {
                        *count += 1;
                    }
                }
                for (text, counts) in texts.iter().zip(counts.chunks(bin_count)) {
                    if counts.iter().any(|count| *count > 0) {
                        self.counter.add(at, by, text.as_deref(), counts);
                    }
                }
            }
        }
        Ok(())
    }

    /// Joins the pass over another part of the same table.
    pub fn merge(&mut self, other: &Self) {
        self.counter.merge(&other.counter);
    }

    /// The counts.
    #[must_use]
    pub fn finish(self) -> SegmentCounter {
        self.counter
    }
}

/// The column of this name, where `outer.inner` is inside of a structure.
fn array_of(batch: &RecordBatch, name: &str) -> Result<ArrayRef, ProfileError> {
    let missing = || ProfileError::OtherSchema { difference: format!("`{name}` is missing") };
    if let Some(array) = batch.column_by_name(name) {
        return Ok(array.clone());
    }
    let mut words = name.split('.');
    let first = words.next().and_then(|word| batch.column_by_name(word)).ok_or_else(missing)?;
    words.try_fold(first.clone(), |array, word| {
        array.as_struct_opt().and_then(|outer| outer.column_by_name(word)).cloned().ok_or_else(missing)
    })
}

fn read_as(array: &ArrayRef, data_type: &DataType) -> Result<ArrayRef, ProfileError> {
    cast(array, data_type).map_err(|error| ProfileError::OtherSchema { difference: error.to_string() })
}

/// The different texts of a column (the first stands for missing ones and all past the most), and which one each row has.
fn keys_of(array: &ArrayRef) -> Result<(Vec<Option<String>>, Vec<usize>), ProfileError> {
    let texts = read_as(array, &DataType::Utf8)?;
    let mut seen: HashMap<&str, usize> = HashMap::new();
    let mut keys = vec![None];
    let mut codes = Vec::with_capacity(texts.len());
    for text in texts.as_string::<i32>() {
        let Some(text) = text else {
            codes.push(0);
            continue;
        };
        let code = seen.get(text).copied().unwrap_or_else(|| {
            if keys.len() > SEGMENT_VALUE_COUNT_MAX {
                return 0;
            }
            keys.push(Some(text.to_owned()));
            seen.insert(text, keys.len() - 1);
            keys.len() - 1
        });
        codes.push(code);
    }
    Ok((keys, codes))
}

/// The bin of each row; the last one holds missing values.
fn bins_of(array: &ArrayRef, bins: &Bins) -> Result<Vec<usize>, ProfileError> {
    let missing = bins.count();
    match bins {
        Bins::Edges(_) => {
            let numbers = read_as(array, &DataType::Float64)?;
            let numbers = numbers.as_primitive::<Float64Type>();
            Ok(numbers.iter().map(|number| number.map_or(missing, |number| bins.of_number(number))).collect())
        }
        Bins::Values(_) => {
            let texts = read_as(array, &DataType::Utf8)?;
            Ok(texts.as_string::<i32>().iter().map(|text| text.map_or(missing, |text| bins.of_text(text))).collect())
        }
        Bins::Missing => Ok((0..array.len()).map(|at| usize::from(array.is_null(at)) * missing).collect()),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow_array::{Float64Array, StringArray};

    use super::*;
    use crate::drift::segments::explain;
    use crate::drift::{DriftOptions, compare};
    use crate::{Options, Profile, Profiler, Value};

    /// Ten countries; in the changed table one of them earns twice as much, or is missing more often.
    fn table(changed: &str, factor: f64, missing: usize) -> RecordBatch {
        let countries = ["AT", "BE", "CH", "DE", "ES", "FR", "GB", "HU", "IT", "JP"];
        let country: Vec<&str> = (0..20_000).map(|at| countries[at * 7 % 10]).collect();
        let income = country.iter().enumerate().map(|(at, country)| {
            let income = 1_000.0 + (at * 7_919 % 2_003) as f64;
            let changed = *country == changed;
            (!changed || at * 31 % 100 >= missing).then_some(if changed { income * factor } else { income })
        });
        let columns: [(&str, ArrayRef); 2] =
            [("income", Arc::new(income.collect::<Float64Array>())), ("country", Arc::new(StringArray::from(country.clone())))];
        RecordBatch::try_from_iter(columns).unwrap()
    }

    fn profile_of(batch: &RecordBatch) -> Profile {
        let mut profiler = Profiler::new(&batch.schema(), &Options::default()).unwrap();
        profiler.update(batch).unwrap();
        profiler.finish()
    }

    #[track_caller]
    fn check(is: &RecordBatch, wanted: &str) {
        let was = table("", 1.0, 0);
        let (before, after) = (profile_of(&was), profile_of(is));
        let report = compare(&before, &after, &DriftOptions::default());
        let plan = SegmentPlan::of(&before, &after, &report);
        assert_eq!((plan.targets.len(), plan.by.as_slice()), (1, &["country".to_owned()][..]));
        let counted = |batch: &RecordBatch| {
            let mut whole = SegmentPass::new(plan.clone());
            for at in (0..batch.num_rows()).step_by(3_000) {
                let mut part = SegmentPass::new(plan.clone());
                part.update(&batch.slice(at, 3_000.min(batch.num_rows() - at))).unwrap();
                whole.merge(&part);
            }
            whole.finish()
        };
        let segments = explain(&counted(&was), &counted(is));
        assert_eq!(segments.first().map(|segment| &segment.value), Some(&Value::Text(wanted.to_owned())), "{segments:?}");
        assert!(segments[0].explained_share > 0.9, "{segments:?}");
    }

    #[test]
    fn the_country_that_changed_is_found() {
        check(&table("DE", 2.0, 0), "DE");
        check(&table("JP", 1.0, 80), "JP");
    }

    #[test]
    fn a_batch_of_another_table_is_refused() {
        let plan = SegmentPlan { targets: Vec::new(), by: vec!["other".to_owned()] };
        assert!(SegmentPass::new(plan).update(&table("", 1.0, 0)).is_err());
    }
}
