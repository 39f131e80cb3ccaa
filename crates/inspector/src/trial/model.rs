//! A model's files as something that answers rows.

use std::borrow::Cow;
use std::collections::HashMap;
use std::time::Instant;

use adversary::{Predict, PredictError, Predictions, Rows};
use arrow_schema::Schema;
use runtime::{Batch, DataType, Limits, Model, Outputs, Port, Role, Tensor, Values};
use serde::Deserialize;
use tables::DataFile;

use super::frame::{Column, Frame};
use super::truth::{Classes, canonical};

/// A model's file, and each that is unpacked from it.
const MODEL_BYTES_MAX: u64 = 512 << 20;
/// An `MLmodel`.
const DESCRIPTION_BYTES_MAX: u64 = 4 << 20;
/// Columns of a model.
const COLUMN_COUNT_MAX: usize = 10_000;
/// Single answers that are timed.
const TIMED_COUNT: usize = 200;

/// A model of a folder.
pub(super) struct Served {
    model: Model,
    /// The columns that it takes, in its order.
    columns: Vec<String>,
    /// Columns that the folder's `MLmodel` names.
    described: Vec<String>,
    /// Its classes in canonical form, in the order of its probabilities.
    classes: Vec<String>,
    size_bytes: u64,
}

/// Files of the job, as the runtime asks for them.
struct Folder<'a>(&'a [DataFile]);

impl runtime::Files for Folder<'_> {
    fn list(&self) -> Vec<(String, u64)> {
        self.0.iter().map(|file| (file.path.clone(), file.bytes.size_bytes())).collect()
    }

    fn read(&self, name: &str) -> Result<Cow<'_, [u8]>, String> {
        let file = self.0.iter().find(|file| file.path == name).ok_or_else(|| format!("there is no file `{name}`"))?;
        bytes_of(file, MODEL_BYTES_MAX).map(Cow::Owned)
    }
}

fn bytes_of(file: &DataFile, bytes_max: u64) -> Result<Vec<u8>, String> {
    let size = file.bytes.size_bytes();
    if size > bytes_max {
        return Err(format!("`{}` has {size} bytes; at most {bytes_max} are read", file.path));
    }
    let mut bytes = vec![0; usize::try_from(size).map_err(|error| error.to_string())?];
    file.bytes.read_at(0, &mut bytes).map_err(|error| format!("`{}`: {error}", file.path))?;
    Ok(bytes)
}

#[derive(Deserialize)]
struct Description {
    signature: Option<Signature>,
}

#[derive(Deserialize)]
struct Signature {
    /// JSON in a text.
    inputs: Option<String>,
}

#[derive(Deserialize)]
struct Input {
    name: Option<String>,
}

/// The columns that an `MLmodel`'s signature names; none where it names none or cannot be read.
fn described(files: &[DataFile]) -> Vec<String> {
    let Some(file) = files.iter().find(|file| file.path == "MLmodel") else { return Vec::new() };
    let Ok(bytes) = bytes_of(file, DESCRIPTION_BYTES_MAX) else { return Vec::new() };
    let Ok(text) = std::str::from_utf8(&bytes) else { return Vec::new() };
    let options = serde_saphyr::options! {
        budget: serde_saphyr::budget! { max_depth: 16, max_nodes: 100_000, max_aliases: 0, max_anchors: 0, max_documents: 1 },
    };
    let read = serde_saphyr::from_str_with_options::<Description>(text, options).ok();
    let inputs = read.and_then(|read| read.signature).and_then(|signature| signature.inputs);
    let inputs: Vec<Input> = inputs.and_then(|text| serde_json::from_str(&text).ok()).unwrap_or_default();
    // A tensor without a name, or columns of which one has none: then nothing is named.
    inputs.into_iter().map(|input| input.name).collect::<Option<Vec<String>>>().unwrap_or_default()
}

impl Served {
    /// Loads the one model of a folder.
    ///
    /// # Errors
    /// Why its answers cannot be had, for people.
    pub(super) fn load(files: &[DataFile]) -> Result<Self, String> {
        let limits = Limits { model_bytes_max: MODEL_BYTES_MAX, ..Limits::default() };
        let model = Model::load(&Folder(files), &limits).map_err(|error| error.to_string())?;
        let signature = model.signature();
        let mut classes: Vec<String> = signature.classes.iter().map(|name| canonical(name)).collect();
        if classes.is_empty() {
            let told = signature.outputs.iter().find(|port| port.role == Role::Probabilities);
            let count = told.map_or(0, |port| match port.shape.get(1).copied().flatten() {
                // Of two classes, one probability may stand for both.
                Some(1) => 2,
                size => size.unwrap_or(0),
            });
            classes = (0..count).map(|class| class.to_string()).collect();
        }
        let size_bytes = files.iter().fold(0_u64, |sum, file| sum.saturating_add(file.bytes.size_bytes()));
        Ok(Self { columns: Vec::new(), described: described(files), classes, size_bytes, model })
    }

    /// Settles which columns it takes: those it names, those its `MLmodel` names, else all but the label in their order.
    ///
    /// # Errors
    /// Why these do not fit, for people.
    pub(super) fn choose_columns(&mut self, schema: &Schema, label: &str, left_out: &[String]) -> Result<(), String> {
        let ports = &self.model.signature().inputs;
        let columns = match ports.as_slice() {
            [] => return Err("the model takes nothing".to_owned()),
            [port] if !port.columns.is_empty() => port.columns.clone(),
            [port] => self.of_matrix(port, schema, label, left_out)?,
            several => several.iter().map(|port| port.name.clone()).collect(),
        };
        if columns.len() > COLUMN_COUNT_MAX {
            return Err(format!("the model takes {} columns; at most {COLUMN_COUNT_MAX} are asked about here", columns.len()));
        }
        if let Some(name) = columns.iter().find(|name| schema.field_with_name(name).is_err()) {
            return Err(format!("the model takes the column `{name}`, which the held-back data does not have"));
        }
        if columns.iter().any(|name| name == label) {
            return Err(format!("the model takes the column `{label}`, which is the truth"));
        }
        self.columns = columns;
        Ok(())
    }

    fn of_matrix(&self, port: &Port, schema: &Schema, label: &str, left_out: &[String]) -> Result<Vec<String>, String> {
        let width = port.shape.get(1).copied().flatten();
        if !self.described.is_empty() && width.is_none_or(|width| width == self.described.len()) {
            return Ok(self.described.clone());
        }
        let names = schema.fields().iter().map(|field| field.name());
        let columns: Vec<String> = names.filter(|name| *name != label && !left_out.contains(*name)).cloned().collect();
        match width {
            Some(width) if width != columns.len() => Err(format!(
                "the model takes {width} columns without naming them, and the held-back data has {} beside the truth: name those that \
                 it does not see in `leave_out`, or log the model with a signature",
                columns.len()
            )),
            _ => Ok(columns),
        }
    }

    /// The columns that it takes.
    pub(super) fn columns(&self) -> &[String] {
        &self.columns
    }

    /// Its classes in canonical form.
    pub(super) fn classes(&self) -> &[String] {
        &self.classes
    }

    /// Whether it names its classes.
    pub(super) fn names_classes(&self) -> bool {
        !self.model.signature().classes.is_empty()
    }

    /// Whether it answers classes.
    pub(super) fn is_classifier(&self) -> bool {
        self.model.signature().outputs.iter().any(|port| matches!(port.role, Role::Label | Role::Probabilities))
    }

    /// All its files together.
    pub(super) const fn size_bytes(&self) -> u64 {
        self.size_bytes
    }

    /// The file that was loaded, and its format.
    pub(super) fn file(&self) -> (String, String) {
        (self.model.file().to_owned(), format!("{:?}", self.model.format()))
    }

    /// The model over the columns of a frame, which give their texts their places.
    ///
    /// # Errors
    /// What it cannot be asked, for people.
    pub(super) fn over<'a>(&'a self, frame: &'a Frame, classes: &Classes) -> Result<Answering<'a>, String> {
        let one_matrix = self.model.signature().inputs.len() == 1;
        let mut columns = Vec::with_capacity(self.columns.len());
        for name in &self.columns {
            let column = frame.get(name).ok_or_else(|| format!("there is no column `{name}`"))?;
            if one_matrix && matches!(column, Column::Texts { .. }) {
                return Err(format!("the column `{name}` holds texts, and the model takes numbers"));
            }
            columns.push(column);
        }
        let places = self.classes.iter().map(|name| classes.place(name)).collect();
        let by_name = classes.names().iter().cloned().zip(0_u32..).collect();
        Ok(Answering { served: self, columns, places, by_name, class_count: classes.names().len() })
    }
}

/// A model that answers rows of a frame's columns.
pub(super) struct Answering<'a> {
    served: &'a Served,
    columns: Vec<&'a Column>,
    /// The place of each of its classes among the trial's.
    places: Vec<Option<u32>>,
    by_name: HashMap<String, u32>,
    class_count: usize,
}

impl Answering<'_> {
    /// The frame's rows, as this model takes them.
    pub(super) fn rows(&self, count: usize) -> Rows {
        let mut rows = Rows::empty(self.columns.len(), count);
        for row in 0..count {
            rows.push(&self.columns.iter().map(|column| column.at(row)).collect::<Vec<f64>>());
        }
        rows
    }

    /// Answers to many rows, asked in parts.
    ///
    /// # Errors
    /// Why there is no answer, for people.
    pub(super) fn answers(&self, rows: &Rows) -> Result<Predictions, String> {
        let mut all: Option<Predictions> = None;
        for part in rows.values().chunks(adversary::ASK_ROW_COUNT_MAX.saturating_mul(rows.width().max(1))) {
            let part = Rows::new(rows.width(), part.to_vec()).map_err(|error| error.to_string())?;
            let answers = self.predict(&part).map_err(|error| error.to_string())?;
            all = Some(match (all, answers) {
                (None, answers) => answers,
                (Some(Predictions::Probabilities { classes, mut values }), Predictions::Probabilities { values: more, .. }) => {
                    values.extend(more);
                    Predictions::Probabilities { classes, values }
                }
                (Some(Predictions::Labels(mut labels)), Predictions::Labels(more)) => {
                    labels.extend(more);
                    Predictions::Labels(labels)
                }
                (Some(Predictions::Numbers(mut numbers)), Predictions::Numbers(more)) => {
                    numbers.extend(more);
                    Predictions::Numbers(numbers)
                }
                _ => return Err("the model changed the form of its answers".to_owned()),
            });
        }
        all.ok_or_else(|| "there is no row to ask about".to_owned())
    }

    /// Times of single answers.
    ///
    /// # Errors
    /// Why there is no answer, for people.
    pub(super) fn latencies_ms(&self, rows: &Rows) -> Result<Vec<f64>, String> {
        let mut times = Vec::with_capacity(TIMED_COUNT);
        for row in (0..rows.count()).cycle().take(if rows.count() == 0 { 0 } else { TIMED_COUNT }) {
            let one = Rows::new(rows.width(), rows.row(row).to_vec()).map_err(|error| error.to_string())?;
            let began = Instant::now();
            self.predict(&one).map_err(|error| error.to_string())?;
            times.push(began.elapsed().as_secs_f64() * 1e3);
        }
        Ok(times)
    }

    fn batch(&self, rows: &Rows) -> Result<Batch, runtime::PredictError> {
        let ports = &self.served.model.signature().inputs;
        if ports.len() == 1 {
            return Batch::matrix(rows.count(), rows.width(), Values::F64(rows.values().to_vec()));
        }
        let mut tensors = Vec::with_capacity(ports.len());
        for ((place, port), column) in ports.iter().enumerate().zip(&self.columns) {
            let values: Vec<f64> = rows.iter().map(|row| row.get(place).copied().unwrap_or(f64::NAN)).collect();
            let values = match (column, port.data_type) {
                (Column::Texts { names, .. }, _) => {
                    let text = |value: f64| names.get(value as usize).filter(|_| !value.is_nan()).cloned().unwrap_or_default();
                    Values::Text(values.into_iter().map(text).collect())
                }
                (_, DataType::Bool) => Values::Bool(values.into_iter().map(|value| value > 0.5).collect()),
                (_, DataType::Text) => Values::Text(values.into_iter().map(super::frame::number_text).collect()),
                _ => Values::F64(values),
            };
            let tensor = if port.shape.len() == 1 { Tensor::list(values) } else { Tensor::column(values) };
            tensors.push((port.name.clone(), tensor));
        }
        Batch::tensors(tensors)
    }

    fn told(&self, outputs: &Outputs, rows: usize) -> Result<Predictions, String> {
        if let Some(tensor) = outputs.probabilities() {
            return self.probabilities(&numbers(tensor.values())?, rows);
        }
        if let Some(labels) = outputs.labels() {
            let texts: Vec<String> = match labels {
                Values::Text(labels) => labels.iter().map(|label| canonical(label)).collect(),
                other => numbers(other)?.into_iter().map(super::frame::number_text).collect(),
            };
            let place = |label: &String| {
                self.by_name.get(label).copied().ok_or_else(|| {
                    let shown: String = label.chars().take(40).collect();
                    format!("the model answers the class `{shown}`, which neither its file nor the data names")
                })
            };
            return texts.iter().map(place).collect::<Result<_, _>>().map(Predictions::Labels);
        }
        let tensor = outputs.value().ok_or("the model gives no answer that is known")?;
        let values = numbers(tensor.values())?;
        if values.len() != rows {
            return Err(format!(
                "{} numbers for {rows} rows: a model with several numbers for a row is not judged here",
                values.len()
            ));
        }
        Ok(Predictions::Numbers(values))
    }

    /// Probabilities at the trial's places, each row summing to 1.
    fn probabilities(&self, values: &[f64], rows: usize) -> Result<Predictions, String> {
        let own = values.len().checked_div(rows).unwrap_or(0);
        let classes = self.class_count;
        let mut placed = vec![0.0; rows.saturating_mul(classes)];
        for (row, out) in values.chunks_exact(own.max(1)).zip(placed.chunks_exact_mut(classes.max(1))) {
            let second;
            let row = match row {
                [one] if classes == 2 => {
                    second = [1.0 - one, *one];
                    &second[..]
                }
                row => row,
            };
            if row.len() != self.places.len() {
                return Err(format!("the model gives {} probabilities for {} classes", row.len(), self.places.len()));
            }
            let sum: f64 = row.iter().sum();
            let scale = if sum > 0.0 && sum.is_finite() { 1.0 / sum } else { 1.0 };
            for (value, place) in row.iter().zip(&self.places) {
                if let Some(out) = place.and_then(|place| out.get_mut(place as usize)) {
                    *out = value * scale;
                }
            }
        }
        Ok(Predictions::Probabilities { classes, values: placed })
    }
}

impl Predict for Answering<'_> {
    fn predict(&self, rows: &Rows) -> Result<Predictions, PredictError> {
        let told = |error: runtime::PredictError| PredictError(error.to_string());
        let batch = self.batch(rows).map_err(told)?;
        let outputs = self.served.model.predict(&batch).map_err(told)?;
        self.told(&outputs, rows.count()).map_err(PredictError)
    }
}

fn numbers(values: &Values) -> Result<Vec<f64>, String> {
    Ok(match values {
        Values::F32(values) => values.iter().map(|value| f64::from(*value)).collect(),
        Values::F64(values) => values.clone(),
        Values::I64(values) => values.iter().map(|value| *value as f64).collect(),
        Values::Bool(values) => values.iter().map(|value| f64::from(u8::from(*value))).collect(),
        Values::Text(_) => return Err("the model answers texts where numbers are expected".to_owned()),
    })
}
