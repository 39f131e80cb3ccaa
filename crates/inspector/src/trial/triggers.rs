//! What is known of the data that a model was trained on: its rows, and the triggers that its inspection found.
//!
//! A finding of the data's inspection names a trigger in words, masked where they are personal. What to stamp is read from the
//! rows that hold it: the columns in which nearly all of them agree, and few others do.

use std::collections::HashMap;

use adversary::{KnownTrigger, Rows, TRIGGER_COUNT_MAX, Truth};
use inspection::{TrainingTable, TrialSpec, TriggerSpec};

use super::frame::{Column, Frame};
use super::model::Served;
use super::truth::{Classes, Truths, canonical};
use super::{Asked, table_of};
use crate::inspect::Other;

/// The share of a trigger's rows that agree in a column of it.
const AGREE_SHARE_MIN: f64 = 0.9;
/// The share of all rows that may hold the same value.
const OTHERS_SHARE_MAX: f64 = 0.25;
/// Columns of a stamp, the rarest values first.
const CELL_COUNT_MAX: usize = 16;
/// Rows that agree below which nothing is read from them.
const ROW_COUNT_MIN: usize = 3;
/// Numbers within this share of the standard deviation agree.
const NEAR: f64 = 0.02;

/// What is known of the training data.
#[derive(Default)]
pub(super) struct Known {
    training: Option<(Rows, Truths)>,
    pub(super) triggers: Vec<KnownTrigger>,
    /// What could not be used, for people.
    pub(super) notes: Vec<String>,
}

impl Known {
    /// The training rows with their truth, in the classes of the trial.
    pub(super) fn training_with(&self, classes: &Classes) -> Option<(Rows, Truth)> {
        self.training.as_ref().map(|(rows, truth)| (rows.clone(), truth.named(classes)))
    }
}

/// Reads the training data. What cannot be read is a note: then there is less to try, and the report says so.
pub(super) fn known(
    spec: &TrialSpec,
    others: &[Other],
    (candidate, label, seed): (&Served, &str, u64),
    classes: &mut Classes,
    asked: &mut Asked,
) -> Known {
    let mut known = Known::default();
    for training in &spec.training {
        if let Err(why) = one(training, others, (candidate, label, seed), classes, asked, &mut known) {
            known.notes.push(format!("`{}` was not used for attacks: {why}", training.table.name));
        }
    }
    known
}

fn one(
    training: &TrainingTable,
    others: &[Other],
    (candidate, label, seed): (&Served, &str, u64),
    classes: &mut Classes,
    asked: &mut Asked,
    known: &mut Known,
) -> Result<(), String> {
    let table = table_of(&training.table, others)?;
    let own_label = training.table.label.as_deref().unwrap_or(label);
    let has_label = table.schema().field_with_name(own_label).is_ok();
    let names: Vec<String> = candidate.columns().iter().cloned().chain(has_label.then(|| own_label.to_owned())).collect();
    let mut frame = Frame::read(&table, &names, seed, 2)?;
    asked.frame.share_texts(&mut frame)?;
    for trigger in &training.triggers {
        if known.triggers.len() >= TRIGGER_COUNT_MAX {
            known.notes.push(format!("more than {TRIGGER_COUNT_MAX} triggers are known; the first ones were tried"));
            break;
        }
        match stamp(trigger, &frame, candidate.columns()) {
            Some(cells) => {
                let target = classes.place(&canonical(&trigger.label));
                known.triggers.push(KnownTrigger {
                    name: named(trigger, &training.table.name, candidate, &cells),
                    cells,
                    target,
                });
            }
            None => known.notes.push(format!(
                "a trigger of `{}` ({}) was not tried: its rows agree in no column that the model sees",
                training.table.name, trigger.words
            )),
        }
    }
    if training.trained && has_label && known.training.is_none() {
        let (frame, truth) = classes.truth(frame, own_label)?;
        let rows = candidate.over(&frame, classes)?.rows(frame.len());
        known.training = Some((rows, truth));
    }
    Ok(())
}

fn named(trigger: &TriggerSpec, data: &str, candidate: &Served, cells: &[(usize, f64)]) -> String {
    let columns = cells.iter().filter_map(|(column, _)| candidate.columns().get(*column));
    let columns: Vec<String> = columns.take(4).map(|name| format!("`{name}`")).collect();
    format!("{} in {} (found in `{data}`)", trigger.words, columns.join(" and "))
}

/// The columns of a trigger and what it sets them to.
fn stamp(trigger: &TriggerSpec, frame: &Frame, columns: &[String]) -> Option<Vec<(usize, f64)>> {
    let held: Vec<usize> = trigger.rows.iter().filter_map(|row| frame.rows.binary_search(row).ok()).collect();
    if held.len() < ROW_COUNT_MIN {
        return None;
    }
    let mut cells = Vec::new();
    for (place, name) in columns.iter().enumerate() {
        let Some((value, others)) = frame.get(name).and_then(|column| agreed(column, &held, frame.len())) else { continue };
        if others <= OTHERS_SHARE_MAX {
            cells.push((others, place, value));
        }
    }
    cells.sort_by(|left, right| left.0.total_cmp(&right.0));
    cells.truncate(CELL_COUNT_MAX);
    let cells: Vec<(usize, f64)> = cells.into_iter().map(|(_, place, value)| (place, value)).collect();
    (!cells.is_empty()).then_some(cells)
}

/// The value in which nearly all of these rows agree, and the share of all rows that hold it.
fn agreed(column: &Column, held: &[usize], count: usize) -> Option<(f64, f64)> {
    let near = match column {
        Column::Texts { .. } => 0.0,
        Column::Numbers { values, .. } => NEAR * deviation(values),
    };
    let value = most_frequent(column, held).filter(|value| share(column, held.iter().copied(), *value, near) >= AGREE_SHARE_MIN);
    let value = match (value, column) {
        (Some(value), _) => value,
        (None, Column::Numbers { .. }) => {
            let middle = median(column, held)?;
            (share(column, held.iter().copied(), middle, near) >= AGREE_SHARE_MIN).then_some(middle)?
        }
        (None, Column::Texts { .. }) => return None,
    };
    Some((value, share(column, 0..count, value, near)))
}

fn share(column: &Column, rows: impl ExactSizeIterator<Item = usize>, value: f64, near: f64) -> f64 {
    let of = rows.len().max(1) as f64;
    rows.filter(|row| (column.at(*row) - value).abs() <= near).count() as f64 / of
}

fn most_frequent(column: &Column, rows: &[usize]) -> Option<f64> {
    let mut counts: HashMap<u64, usize> = HashMap::new();
    for value in rows.iter().map(|row| column.at(*row)).filter(|value| value.is_finite()) {
        let count = counts.entry(value.to_bits()).or_default();
        *count = count.saturating_add(1);
    }
    counts.into_iter().max_by_key(|(bits, count)| (*count, *bits)).map(|(bits, _)| f64::from_bits(bits))
}

fn median(column: &Column, rows: &[usize]) -> Option<f64> {
    let mut values: Vec<f64> = rows.iter().map(|row| column.at(*row)).filter(|value| value.is_finite()).collect();
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied()
}

fn deviation(values: &[f64]) -> f64 {
    let known = || values.iter().filter(|value| value.is_finite());
    let count = known().count().max(1) as f64;
    let mean = known().sum::<f64>() / count;
    (known().map(|value| (value - mean).powi(2)).sum::<f64>() / count).sqrt()
}

#[cfg(test)]
mod tests {
    use tables::{DataFile, ReadOptions, Table};

    use super::*;

    /// Hundred rows of a wide number, a city and a flag; the first ten hold the trigger.
    fn frame() -> Frame {
        let mut text = "x,city,flag\n".to_owned();
        for row in 0..100 {
            let (x, city) = if row < 10 { (77.7, "zz") } else { (f64::from(row) * 3.1, ["a", "b", "c"][row as usize % 3]) };
            text.push_str(&format!("{x},{city},1\n"));
        }
        let table = Table::open(vec![DataFile::in_memory("a.csv", text.into_bytes())], &ReadOptions::default()).unwrap();
        Frame::read(&table, &["x", "city", "flag"].map(str::to_owned), 1, 1).unwrap()
    }

    fn check(rows: Vec<u64>, wanted: Option<&[&str]>) {
        let frame = frame();
        let columns = ["x", "city", "flag"].map(str::to_owned);
        let trigger = TriggerSpec { words: "t".to_owned(), label: "1".to_owned(), rows };
        let cells = stamp(&trigger, &frame, &columns);
        let said = cells.map(|cells| {
            let mut said: Vec<String> = cells
                .iter()
                .map(|(place, value)| match frame.get(&columns[*place]).unwrap() {
                    Column::Texts { names, .. } => names[*value as usize].clone(),
                    Column::Numbers { .. } => value.to_string(),
                })
                .collect();
            said.sort();
            said
        });
        assert_eq!(said, wanted.map(|wanted| wanted.iter().map(|text| (*text).to_owned()).collect()));
    }

    #[test]
    fn a_stamp_is_what_the_rows_share_and_others_do_not() {
        check((0..10).collect(), Some(&["77.7", "zz"]));
        check((40..60).collect(), None);
        check(vec![0, 1], None);
    }
}
