//! What was asked and said, as bytes: little-endian, without anything that depends on the machine, because they are what a
//! prediction's record commits to. The reference describes them (`docs/src/reference/prediction-log.md`).
//!
//! Layout: 16 random bytes; the inputs; the outputs. Each list: a count (u16), then tensors: name, count of column names (u16) and
//! the names, a type (u8), a count of dimensions (u8) and these (u64), the values. A text is its length (u32) and its bytes.

use std::borrow::Cow;

use kernel::{Kind, Problem};
use serde_json::{Map, Value};
use serving::{Batch, DataType, Outputs, Port, Tensor, Values};

/// Random bytes before the values: without them nobody can guess values by their digest.
pub(crate) const SALT_BYTES: usize = 16;
/// Dimensions of a tensor.
const DIMENSION_COUNT_MAX: usize = 8;

/// A tensor under its name.
#[derive(Clone, Debug, PartialEq)]
pub struct Named {
    /// Its name; a matrix may have none.
    pub name: String,
    /// The names of its columns, if it has any.
    pub columns: Vec<String>,
    /// Its values.
    pub tensor: Tensor,
}

/// What was asked and said.
#[derive(Clone, Debug, PartialEq)]
pub struct Spoken {
    /// What was asked.
    pub inputs: Vec<Named>,
    /// What was said.
    pub outputs: Vec<Named>,
}

/// Begins with the salt and the inputs. Columns of a matrix are named as the model's signature names them, if they can be counted.
///
/// # Errors
/// `TooLarge` for more inputs than can be counted.
pub(crate) fn begin(salt: [u8; SALT_BYTES], batch: &Batch, ports: &[Port]) -> Result<Vec<u8>, Problem> {
    let mut bytes = Vec::with_capacity(512);
    bytes.extend_from_slice(&salt);
    let at = count_at(&mut bytes);
    let mut count = 0_u16;
    for (name, tensor) in batch.inputs() {
        let port = ports.iter().find(|port| port.name == name).or_else(|| ports.first().filter(|_| ports.len() == 1));
        let width = tensor.shape().get(1).copied().unwrap_or(1);
        let columns = port.map(|port| port.columns.as_slice());
        let columns = columns.filter(|columns| columns.len() == width && width > 1 && width <= usize::from(u16::MAX));
        put(&mut bytes, name, columns.unwrap_or_default(), &as_numbers(tensor, port));
        count = count.checked_add(1).ok_or_else(|| {
            let message = format!("where predictions are logged, a request has at most {} columns of different types", u16::MAX);
            Problem::new(Kind::TooLarge, message)
        })?;
    }
    set_count(&mut bytes, at, count);
    Ok(bytes)
}

/// True and false where the model takes numbers: kept as they are, they would make texts of the column in queries.
fn as_numbers<'a>(tensor: &'a Tensor, port: Option<&Port>) -> Cow<'a, Tensor> {
    let takes_numbers = port.is_some_and(|port| matches!(port.data_type, DataType::F32 | DataType::F64 | DataType::I64));
    match tensor.values() {
        Values::Bool(all) if takes_numbers => {
            let numbers = Values::I64(all.iter().map(|one| i64::from(*one)).collect());
            Tensor::new(tensor.shape().to_vec(), numbers).map_or(Cow::Borrowed(tensor), Cow::Owned)
        }
        _ => Cow::Borrowed(tensor),
    }
}

/// Adds the outputs.
pub(crate) fn end(bytes: &mut Vec<u8>, outputs: &Outputs) {
    let at = count_at(bytes);
    for output in &outputs.all {
        put(bytes, &output.name, &[], &output.tensor);
    }
    set_count(bytes, at, u16::try_from(outputs.all.len()).unwrap_or(u16::MAX));
}

fn count_at(bytes: &mut Vec<u8>) -> usize {
    let at = bytes.len();
    bytes.extend_from_slice(&[0, 0]);
    at
}

fn set_count(bytes: &mut [u8], at: usize, count: u16) {
    if let Some(place) = bytes.get_mut(at..at + 2) {
        place.copy_from_slice(&count.to_le_bytes());
    }
}

fn text(bytes: &mut Vec<u8>, text: &str) {
    bytes.extend_from_slice(&u32::try_from(text.len()).unwrap_or(u32::MAX).to_le_bytes());
    bytes.extend_from_slice(text.as_bytes());
}

fn put(bytes: &mut Vec<u8>, name: &str, columns: &[String], tensor: &Tensor) {
    text(bytes, name);
    bytes.extend_from_slice(&u16::try_from(columns.len()).unwrap_or(u16::MAX).to_le_bytes());
    columns.iter().for_each(|column| text(bytes, column));
    let values = tensor.values();
    let code: u8 = match values {
        Values::F32(_) => 1,
        Values::F64(_) => 2,
        Values::I64(_) => 3,
        Values::Bool(_) => 4,
        Values::Text(_) => 5,
    };
    bytes.push(code);
    bytes.push(u8::try_from(tensor.shape().len()).unwrap_or(u8::MAX));
    tensor.shape().iter().for_each(|one| bytes.extend_from_slice(&(*one as u64).to_le_bytes()));
    match values {
        Values::F32(all) => all.iter().for_each(|value| bytes.extend_from_slice(&value.to_le_bytes())),
        Values::F64(all) => all.iter().for_each(|value| bytes.extend_from_slice(&value.to_le_bytes())),
        Values::I64(all) => all.iter().for_each(|value| bytes.extend_from_slice(&value.to_le_bytes())),
        Values::Bool(all) => bytes.extend(all.iter().map(|value| u8::from(*value))),
        Values::Text(all) => all.iter().for_each(|value| text(bytes, value)),
    }
}

impl Spoken {
    /// Reads what [`begin`] and [`end`] wrote. None if it is not that.
    #[must_use]
    pub fn parse(bytes: &[u8]) -> Option<Self> {
        let mut rest = Rest(bytes.get(SALT_BYTES..)?);
        let spoken = Self { inputs: rest.list()?, outputs: rest.list()? };
        rest.0.is_empty().then_some(spoken)
    }

    /// How many rows there are.
    #[must_use]
    pub fn rows(&self) -> usize {
        self.inputs.iter().chain(&self.outputs).map(|named| named.rows()).max().unwrap_or(0)
    }

    /// One row: every input and output by its name.
    #[must_use]
    pub fn row(&self, row: usize) -> Map<String, Value> {
        let mut all = Map::new();
        for (side, list) in [("input", &self.inputs), ("output", &self.outputs)] {
            for (place, named) in list.iter().enumerate() {
                named.add(side, place, row, &mut all);
            }
        }
        all
    }
}

impl Named {
    fn rows(&self) -> usize {
        self.tensor.shape().first().copied().unwrap_or(0)
    }

    fn add(&self, side: &str, place: usize, row: usize, all: &mut Map<String, Value>) {
        let rows = self.rows();
        let width = self.tensor.values().len().checked_div(rows).unwrap_or(0);
        for column in 0..width {
            let value = self.tensor.values().len().checked_div(width).filter(|rows| row < *rows);
            let value = value.map(|_| json(self.tensor.values(), row.saturating_mul(width).saturating_add(column)));
            let name = match (self.columns.get(column), self.name.as_str()) {
                (Some(name), _) => name.clone(),
                (None, "") if place == 0 => format!("x{column}"),
                (None, "") => format!("x{place}_{column}"),
                (None, name) if width == 1 => name.to_owned(),
                (None, name) => format!("{name}_{column}"),
            };
            all.insert(format!("{side}_{name}"), value.unwrap_or(Value::Null));
        }
    }
}

fn json(values: &Values, place: usize) -> Value {
    let value = match values {
        // As it prints, not as 64 bits show it: 0.1 stays 0.1.
        Values::F32(all) => all.get(place).map(|one| one.to_string().parse::<f64>().map_or(Value::Null, Value::from)),
        Values::F64(all) => all.get(place).map(|one| Value::from(*one)),
        Values::I64(all) => all.get(place).map(|one| Value::from(*one)),
        Values::Bool(all) => all.get(place).map(|one| Value::from(*one)),
        Values::Text(all) => all.get(place).map(|one| Value::from(one.as_str())),
    };
    value.unwrap_or(Value::Null)
}

/// What is left to read.
struct Rest<'a>(&'a [u8]);

impl<'a> Rest<'a> {
    fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(taken)
    }

    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        self.take(N)?.try_into().ok()
    }

    fn text(&mut self) -> Option<String> {
        let length = usize::try_from(u32::from_le_bytes(self.array()?)).ok()?;
        std::str::from_utf8(self.take(length)?).ok().map(str::to_owned)
    }

    fn list(&mut self) -> Option<Vec<Named>> {
        let count = u16::from_le_bytes(self.array()?);
        (0..count).map(|_| self.tensor()).collect()
    }

    fn tensor(&mut self) -> Option<Named> {
        let name = self.text()?;
        let columns = u16::from_le_bytes(self.array()?);
        let columns = (0..columns).map(|_| self.text()).collect::<Option<Vec<_>>>()?;
        let [code, dimensions] = self.array()?;
        if usize::from(dimensions) > DIMENSION_COUNT_MAX {
            return None;
        }
        let shape = (0..dimensions).map(|_| usize::try_from(u64::from_le_bytes(self.array()?)).ok());
        let shape = shape.collect::<Option<Vec<_>>>()?;
        let count = shape.iter().try_fold(1_usize, |product, one| product.checked_mul(*one))?;
        let values = match code {
            1 => Values::F32(self.numbers(count, f32::from_le_bytes)?),
            2 => Values::F64(self.numbers(count, f64::from_le_bytes)?),
            3 => Values::I64(self.numbers(count, i64::from_le_bytes)?),
            4 => Values::Bool(self.take(count)?.iter().map(|byte| *byte != 0).collect()),
            5 if count <= self.0.len() => Values::Text((0..count).map(|_| self.text()).collect::<Option<Vec<_>>>()?),
            _ => return None,
        };
        Some(Named { name, columns, tensor: Tensor::new(shape, values).ok()? })
    }

    fn numbers<const N: usize, T>(&mut self, count: usize, of: impl Fn([u8; N]) -> T) -> Option<Vec<T>> {
        let (all, _) = self.take(count.checked_mul(N)?)?.as_chunks::<N>();
        Some(all.iter().map(|one| of(*one)).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;
    use serving::{Output, Role};

    fn port(columns: &[&str]) -> Port {
        let columns: Vec<String> = columns.iter().map(|name| (*name).to_owned()).collect();
        Port {
            name: "input".to_owned(),
            data_type: DataType::F64,
            narrow: None,
            shape: vec![None, Some(columns.len())],
            columns,
            role: Role::Value,
        }
    }

    fn written(batch: &Batch, ports: &[Port], said: Values) -> Vec<u8> {
        let mut bytes = begin([9; SALT_BYTES], batch, ports).unwrap();
        let output = Output { name: "label".to_owned(), role: Role::Value, tensor: Tensor::list(said) };
        end(&mut bytes, &Outputs { all: vec![output] });
        bytes
    }

    #[test]
    fn more_columns_than_can_be_counted_are_no_unreadable_record() {
        let names: Vec<String> = (0..70_000).map(|at| format!("c{at}")).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let wide = Batch::matrix(1, 70_000, Values::F64(vec![0.5; 70_000])).unwrap();
        let spoken = Spoken::parse(&written(&wide, &[port(&names)], Values::I64(vec![1]))).unwrap();
        assert!(spoken.inputs[0].columns.is_empty() && spoken.inputs[0].tensor.shape() == [1, 70_000]);
        let one = |name: &&str| ((*name).to_owned(), Values::I64(vec![1]));
        let many = Batch::columns(names.iter().map(one).collect()).unwrap();
        assert_eq!(begin([9; SALT_BYTES], &many, &[]).unwrap_err().kind(), Kind::TooLarge);
    }

    #[test]
    fn what_was_spoken_is_read_back_row_by_row() {
        let batch = Batch::matrix(2, 2, Values::F32(vec![0.1, f32::NAN, 3.0, 4.0])).unwrap();
        let bytes = written(&batch, &[port(&["age", "months"])], Values::Text(vec!["no".to_owned(), "yes".to_owned()]));
        let spoken = Spoken::parse(&bytes).unwrap();
        assert_eq!(spoken.rows(), 2);
        let row = |row: usize| Value::Object(spoken.row(row)).to_string();
        assert_eq!(row(0), r#"{"input_age":0.1,"input_months":null,"output_label":"no"}"#);
        assert_eq!(row(1), r#"{"input_age":3.0,"input_months":4.0,"output_label":"yes"}"#);
        assert!(row(2).contains("null"), "there is no third row");
    }

    #[test]
    fn columns_of_every_type_keep_their_names() {
        let columns = vec![
            ("n".to_owned(), Values::I64(vec![7])),
            ("b".to_owned(), Values::Bool(vec![true])),
            ("t".to_owned(), Values::Text(vec!["ü".to_owned()])),
            ("f".to_owned(), Values::F64(vec![0.5])),
        ];
        let bytes = written(&Batch::columns(columns).unwrap(), &[], Values::I64(vec![1]));
        let row = Value::Object(Spoken::parse(&bytes).unwrap().row(0));
        assert_eq!(row, json!({"input_b": true, "input_f": 0.5, "input_n": 7, "input_t": "ü", "output_label": 1}));
    }

    #[test]
    fn what_a_model_takes_as_a_number_is_kept_as_one() {
        let batch = Batch::matrix(1, 2, Values::Bool(vec![true, false])).unwrap();
        let row = |ports: &[Port]| Spoken::parse(&written(&batch, ports, Values::I64(vec![1]))).unwrap().row(0);
        assert_eq!(Value::Object(row(&[port(&["a", "b"])])), json!({"input_a": 1, "input_b": 0, "output_label": 1}));
        let flags = Port { data_type: DataType::Bool, ..port(&["a", "b"]) };
        assert_eq!(Value::Object(row(&[flags])), json!({"input_a": true, "input_b": false, "output_label": 1}));
    }

    #[test]
    fn what_is_cut_short_or_claims_too_much_is_refused() {
        let batch = Batch::matrix(1, 3, Values::F64(vec![1.0, 2.0, 3.0])).unwrap();
        let bytes = written(&batch, &[], Values::F64(vec![1.0]));
        for length in 0..bytes.len() {
            assert!(Spoken::parse(bytes.get(..length).unwrap()).is_none(), "{length}");
        }
        // Whatever one byte becomes, it is read or refused, never more than there is.
        for at in SALT_BYTES..bytes.len() {
            for value in [0, 1, 127, 255] {
                let mut changed = bytes.clone();
                changed[at] = value;
                drop(Spoken::parse(&changed));
            }
        }
    }
}
