//! What a client wrote without saying its types, as JSON and CSV are: it gets them from the model that is asked.

use crate::{DataType, Port, PredictError, Signature, Tensor, Values};

/// From here on not every integer is a 64-bit float.
const EXACT: f64 = 9_007_199_254_740_992.0;
/// What stands for a missing value in CSV, as pandas reads it (`pandas.read_csv`, `na_values`).
const MISSING: [&str; 18] = [
    "", "#N/A", "#N/A N/A", "#NA", "-1.#IND", "-1.#QNAN", "-NaN", "-nan", "1.#IND", "1.#QNAN", "<NA>", "N/A", "NA", "NULL",
    "NaN", "None", "n/a", "null",
];

/// One value as it was written.
#[derive(Clone, Debug, PartialEq)]
pub enum Cell {
    /// There is none.
    Missing,
    /// True or false.
    Bool(bool),
    /// An integer.
    Integer(i64),
    /// Any other number.
    Number(f64),
    /// Text.
    Text(String),
    /// A field of CSV: whether it is a number or a text is the model's to say.
    Field(String),
}

/// Values that were written under a name, row by row.
#[derive(Clone, Debug, PartialEq)]
pub struct Written {
    /// The name; a matrix has an empty one.
    pub name: String,
    /// The shape, rows first.
    pub shape: Vec<usize>,
    /// The values.
    pub cells: Vec<Cell>,
}

impl Written {
    /// Values that come row by row, as a column for each name.
    pub fn columns(names: Vec<String>, cells: impl IntoIterator<Item = Cell>) -> Vec<Self> {
        let width = names.len().max(1);
        let empty = |name| Self { name, shape: Vec::new(), cells: Vec::new() };
        let mut columns: Vec<Self> = names.into_iter().map(empty).collect();
        for (place, cell) in cells.into_iter().enumerate() {
            if let Some(column) = columns.get_mut(place % width) {
                column.cells.push(cell);
            }
        }
        columns.iter_mut().for_each(|column| column.shape = vec![column.cells.len(), 1]);
        columns
    }

    fn rows(&self) -> usize {
        self.shape.first().copied().unwrap_or(0)
    }

    fn width(&self) -> usize {
        self.shape.iter().skip(1).product()
    }

    fn tensor(self, data_type: DataType, port: Option<&Port>) -> Result<(String, Tensor), PredictError> {
        let is_list = self.width() == 1 && port.is_some_and(|port| port.shape.len() == 1);
        let shape = if is_list { vec![self.cells.len()] } else { self.shape };
        let values = values(self.cells, data_type).map_err(|why| match self.name.as_str() {
            "" => PredictError::input(why),
            name => PredictError::input(format!("`{}`: {why}", name.chars().take(100).collect::<String>())),
        })?;
        Ok((self.name, Tensor::new(shape, values)?))
    }
}

/// How many rows there are.
pub(crate) fn rows(written: &[Written]) -> Result<usize, PredictError> {
    let Some(first) = written.first() else { return Err(PredictError::input("there are no columns")) };
    let mut names = std::collections::HashSet::new();
    for one in written {
        if one.rows() != first.rows() {
            return Err(PredictError::input(format!("`{}` has {} rows, others {}", one.name, one.rows(), first.rows())));
        }
        if !names.insert(one.name.as_str()) {
            return Err(PredictError::input(format!("`{}` is given twice", one.name)));
        }
    }
    Ok(first.rows())
}

/// What was written without the columns that a model does not name, where it names others of them.
pub(crate) fn without_unknown(mut written: Vec<Written>, model: &Signature) -> Vec<Written> {
    let names: std::collections::HashSet<&str> = match model.inputs.as_slice() {
        [port] => port.columns.iter().map(String::as_str).collect(),
        ports => ports.iter().map(|port| port.name.as_str()).collect(),
    };
    if written.iter().any(|one| names.contains(one.name.as_str())) {
        written.retain(|one| names.contains(one.name.as_str()));
    }
    written
}

/// Gives what was written the types that a model takes.
pub(crate) fn typed(written: Vec<Written>, model: &Signature) -> Result<Vec<(String, Tensor)>, PredictError> {
    let only = if let [port] = model.inputs.as_slice() { Some(port) } else { None };
    let written = match (only, written.as_slice()) {
        // Columns of numbers are put side by side where they are read.
        (Some(port), [_, _, ..]) if !is_number(port.data_type) && port.columns.is_empty() => vec![side_by_side(written)?],
        (None, [matrix]) if matrix.name.is_empty() && matrix.shape.len() == 2 => apart(written, &model.inputs),
        _ => written,
    };
    let of = |one: Written| {
        let port = only.or_else(|| model.inputs.iter().find(|port| port.name == one.name));
        let data_type = port.map_or_else(|| guessed(&one.cells), |port| held_as(port.data_type));
        one.tensor(data_type, port)
    };
    written.into_iter().map(of).collect()
}

/// Whether a text is missing: there are models for which that is another text than an empty one.
pub(crate) fn misses_text(written: &[Written], model: &Signature) -> bool {
    let is_text = |one: &Written| match model.inputs.as_slice() {
        [port] => port.data_type == DataType::Text,
        ports => match ports.iter().find(|port| port.name == one.name) {
            Some(port) => port.data_type == DataType::Text,
            None => guessed(&one.cells) == DataType::Text,
        },
    };
    written.iter().filter(|one| one.cells.contains(&Cell::Missing)).any(is_text)
}

/// Columns as one matrix.
fn side_by_side(columns: Vec<Written>) -> Result<Written, PredictError> {
    if columns.iter().any(|column| column.width() != 1) {
        return Err(PredictError::input("a column has one value a row"));
    }
    let shape = vec![columns.first().map_or(0, Written::rows), columns.len()];
    let mut cells = Vec::with_capacity(shape.iter().product());
    let mut columns: Vec<_> = columns.into_iter().map(|column| column.cells.into_iter()).collect();
    while let Some(row) = columns.iter_mut().map(Iterator::next).collect::<Option<Vec<Cell>>>() {
        cells.extend(row);
    }
    Ok(Written { name: String::new(), shape, cells })
}

/// A matrix as columns, by place, for a model that takes each by itself.
fn apart(matrix: Vec<Written>, ports: &[Port]) -> Vec<Written> {
    let width = matrix.first().map_or(0, Written::width);
    let is_mixed = matrix.iter().flat_map(|one| &one.cells).any(|cell| matches!(cell, Cell::Text(_)));
    if width == 0 || (width != ports.len() && !is_mixed) {
        return matrix;
    }
    let name = |place: usize| match ports.get(place) {
        Some(port) if ports.len() == width => port.name.clone(),
        _ => place.to_string(),
    };
    Written::columns((0..width).map(name).collect(), matrix.into_iter().flat_map(|one| one.cells))
}

const fn is_number(data_type: DataType) -> bool {
    matches!(data_type, DataType::F32 | DataType::F64)
}

/// Numbers are kept as they were written, also for a model that computes with less.
const fn held_as(data_type: DataType) -> DataType {
    match data_type {
        DataType::F32 => DataType::F64,
        other => other,
    }
}

/// The type of what no model says the type of.
fn guessed(cells: &[Cell]) -> DataType {
    if cells.iter().any(|cell| matches!(cell, Cell::Text(_)) || matches!(cell, Cell::Field(text) if number(text).is_none())) {
        return DataType::Text;
    }
    let is_large = |cell: &Cell| matches!(cell, Cell::Integer(value) if value.unsigned_abs() >= EXACT as u64);
    let are_integers = cells.iter().all(|cell| matches!(cell, Cell::Integer(_)));
    if are_integers && cells.iter().any(is_large) { DataType::I64 } else { DataType::F64 }
}

fn values(cells: Vec<Cell>, data_type: DataType) -> Result<Values, String> {
    Ok(match data_type {
        DataType::F64 => Values::F64(all(cells, "a number", as_number)?),
        DataType::F32 => Values::F32(all(cells, "a number", |cell| as_number(cell).map(|value| value as f32))?),
        DataType::I64 => Values::I64(all(cells, "an integer", as_integer)?),
        DataType::Bool => Values::Bool(all(cells, "true or false", as_bool)?),
        DataType::Text => Values::Text(all(cells, "text", as_text)?),
    })
}

fn all<T>(cells: Vec<Cell>, wanted: &str, of: impl Fn(Cell) -> Option<T>) -> Result<Vec<T>, String> {
    let mut values = Vec::with_capacity(cells.len());
    for cell in cells {
        let what = what(&cell);
        values.push(of(cell).ok_or_else(|| format!("{what} where {wanted} is expected"))?);
    }
    Ok(values)
}

const fn what(cell: &Cell) -> &'static str {
    match cell {
        Cell::Missing => "a missing value",
        Cell::Bool(_) => "true or false",
        Cell::Integer(_) | Cell::Number(_) => "a number",
        Cell::Text(_) => "text",
        Cell::Field(_) => "a field",
    }
}

fn as_number(cell: Cell) -> Option<f64> {
    match cell {
        Cell::Missing => Some(f64::NAN),
        Cell::Bool(value) => Some(f64::from(u8::from(value))),
        Cell::Integer(value) => Some(value as f64),
        Cell::Number(value) => Some(value),
        Cell::Text(_) => None,
        Cell::Field(text) => number(&text),
    }
}

fn as_integer(cell: Cell) -> Option<i64> {
    let whole = |value: f64| (value.fract() == 0.0 && value.abs() < EXACT).then_some(value as i64);
    match cell {
        Cell::Missing | Cell::Text(_) => None,
        Cell::Bool(value) => Some(i64::from(value)),
        Cell::Integer(value) => Some(value),
        Cell::Number(value) => whole(value),
        Cell::Field(text) => text.trim().parse().ok().or_else(|| whole(number(&text)?)),
    }
}

fn as_bool(cell: Cell) -> Option<bool> {
    match cell {
        Cell::Bool(value) => Some(value),
        Cell::Integer(value @ (0 | 1)) => Some(value == 1),
        Cell::Number(value) if value == 0.0 || value == 1.0 => Some(value == 1.0),
        Cell::Field(text) => match text.trim() {
            "true" | "True" | "TRUE" | "1" => Some(true),
            "false" | "False" | "FALSE" | "0" => Some(false),
            _ => None,
        },
        Cell::Missing | Cell::Integer(_) | Cell::Number(_) | Cell::Text(_) => None,
    }
}

/// A missing text is an empty one.
fn as_text(cell: Cell) -> Option<String> {
    match cell {
        Cell::Missing => Some(String::new()),
        Cell::Text(text) | Cell::Field(text) => Some(text),
        Cell::Bool(_) | Cell::Integer(_) | Cell::Number(_) => None,
    }
}

/// What a field means as a number; NaN where it stands for a missing one.
fn number(field: &str) -> Option<f64> {
    match field.trim() {
        "true" | "True" => Some(1.0),
        "false" | "False" => Some(0.0),
        text if MISSING.contains(&text) => Some(f64::NAN),
        text => text.parse().ok(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Role;

    fn texts(all: &[&str]) -> Values {
        Values::Text(all.iter().map(|one| (*one).to_owned()).collect())
    }

    fn check(cells: Vec<Cell>, data_type: DataType, expected: Result<Values, &str>) {
        match (values(cells.clone(), data_type), expected) {
            (Ok(found), Ok(expected)) => assert_eq!(found, expected, "{cells:?}"),
            (Err(why), Err(part)) => assert!(why.contains(part), "{cells:?}: {why}"),
            (found, _) => panic!("{cells:?}: {found:?}"),
        }
    }

    #[test]
    fn a_value_is_of_the_type_that_the_model_takes() {
        let field = |text: &str| Cell::Field(text.to_owned());
        let text = |text: &str| Cell::Text(text.to_owned());
        let csv = || vec![field(" Bern"), field("1010"), field("NA"), field("")];
        check(csv(), DataType::Text, Ok(texts(&[" Bern", "1010", "NA", ""])));
        check(csv(), DataType::F64, Err("a field where a number is expected"));
        check(vec![field(" 1.5 "), field("1e3"), field("true")], DataType::F64, Ok(Values::F64(vec![1.5, 1e3, 1.0])));
        check(vec![field("0x10")], DataType::F64, Err("a field where a number is expected"));
        let large = vec![field("9007199254740993"), field("1.0")];
        check(large, DataType::I64, Ok(Values::I64(vec![9_007_199_254_740_993, 1])));
        check(vec![Cell::Integer(i64::MIN), Cell::Number(2.0)], DataType::I64, Ok(Values::I64(vec![i64::MIN, 2])));
        check(vec![Cell::Number(1.5)], DataType::I64, Err("a number where an integer"));
        check(vec![Cell::Number(EXACT)], DataType::I64, Err("a number where an integer"));
        check(vec![Cell::Missing], DataType::I64, Err("a missing value where an integer"));
        check(vec![text("1")], DataType::F64, Err("text where a number"));
        let flags = vec![Cell::Bool(true), Cell::Integer(0), field("False")];
        check(flags, DataType::Bool, Ok(Values::Bool(vec![true, false, false])));
        check(vec![Cell::Integer(2)], DataType::Bool, Err("a number where true or false"));
        check(vec![text("x"), Cell::Missing], DataType::Text, Ok(texts(&["x", ""])));
        check(vec![Cell::Integer(1)], DataType::Text, Err("a number where text"));
        for word in MISSING {
            assert!(number(word).is_some_and(f64::is_nan), "{word}");
        }
    }

    fn written(name: &str, width: usize, cells: &[i64]) -> Written {
        let shape = vec![cells.len() / width, width];
        Written { name: name.to_owned(), shape, cells: cells.iter().map(|value| Cell::Integer(*value)).collect() }
    }

    fn shaped(given: Vec<Written>, ports: &[(&str, DataType, usize)], expected: &[(&str, &[usize], Values)]) {
        let port = |(name, data_type, dimensions): &(&str, DataType, usize)| Port {
            name: (*name).to_owned(),
            data_type: *data_type,
            narrow: None,
            shape: vec![None; *dimensions],
            columns: Vec::new(),
            role: Role::Value,
        };
        let model = Signature { inputs: ports.iter().map(port).collect(), ..Signature::default() };
        let tensor = |(name, shape, values): &(&str, &[usize], Values)| {
            ((*name).to_owned(), Tensor::new(shape.to_vec(), values.clone()).unwrap())
        };
        assert_eq!(typed(given, &model).unwrap(), expected.iter().map(tensor).collect::<Vec<_>>());
    }

    #[test]
    fn what_was_written_has_the_shape_that_the_model_takes() {
        let floats = |all: &[f64]| Values::F64(all.to_vec());
        let integers = |all: &[i64]| Values::I64(all.to_vec());
        let pair = || vec![written("a", 1, &[1, 2]), written("b", 1, &[3, 4])];
        shaped(vec![written("", 2, &[1, 2, 3, 4])], &[("x", DataType::F32, 2)], &[("", &[2, 2], floats(&[1.0, 2.0, 3.0, 4.0]))]);
        shaped(vec![written("", 2, &[1, 2, 3, 4])], &[("x", DataType::I64, 2)], &[("", &[2, 2], integers(&[1, 2, 3, 4]))]);
        shaped(vec![written("x", 1, &[1, 2])], &[("x", DataType::I64, 1)], &[("x", &[2], integers(&[1, 2]))]);
        shaped(pair(), &[("x", DataType::F32, 2)], &[("a", &[2, 1], floats(&[1.0, 2.0])), ("b", &[2, 1], floats(&[3.0, 4.0]))]);
        shaped(pair(), &[("x", DataType::I64, 2)], &[("", &[2, 2], integers(&[1, 3, 2, 4]))]);
        let both = [("b", DataType::I64, 2), ("a", DataType::F64, 2)];
        shaped(pair(), &both, &[("a", &[2, 1], floats(&[1.0, 2.0])), ("b", &[2, 1], integers(&[3, 4]))]);
        let by_place = [("b", &[2, 1][..], integers(&[1, 3])), ("a", &[2, 1], floats(&[2.0, 4.0]))];
        shaped(vec![written("", 2, &[1, 2, 3, 4])], &both, &by_place);
        // Of what nothing is known, only integers that no float holds stay integers.
        shaped(pair(), &[], &[("a", &[2, 1], floats(&[1.0, 2.0])), ("b", &[2, 1], floats(&[3.0, 4.0]))]);
        shaped(vec![written("a", 1, &[i64::MAX])], &[], &[("a", &[1, 1], integers(&[i64::MAX]))]);
    }

    #[test]
    fn columns_that_the_model_does_not_name_are_dropped() {
        let port = |name: &str, columns: &[&str]| Port {
            name: name.to_owned(),
            data_type: DataType::F64,
            narrow: None,
            shape: vec![None, None],
            columns: columns.iter().map(|one| (*one).to_owned()).collect(),
            role: Role::Value,
        };
        let kept = |inputs: Vec<Port>, names: &[&str]| {
            let given = names.iter().map(|name| written(name, 1, &[1])).collect();
            let kept = without_unknown(given, &Signature { inputs, ..Signature::default() });
            kept.into_iter().map(|one| one.name).collect::<Vec<_>>()
        };
        let index = &["index", "b", "a"];
        assert_eq!(kept(vec![port("x", &["a", "b"])], index), ["b", "a"]);
        assert_eq!(kept(vec![port("a", &[]), port("b", &[])], index), ["b", "a"]);
        // A model that names no columns takes them by their place, and one of which nothing fits is told what it lacks.
        assert_eq!(kept(vec![port("a", &[])], index), ["index", "b", "a"]);
        assert_eq!(kept(vec![port("x", &["c"])], index), ["index", "b", "a"]);
        assert_eq!(kept(vec![port("a", &[]), port("b", &[])], &[""]), [""]);
    }

    #[test]
    fn columns_are_of_one_length_and_have_names_of_their_own() {
        assert_eq!(rows(&[written("a", 1, &[1, 2]), written("b", 2, &[1, 2, 3, 4])]).unwrap(), 2);
        assert!(rows(&[]).is_err());
        assert!(rows(&[written("a", 1, &[1]), written("b", 1, &[1, 2])]).is_err());
        assert!(rows(&[written("a", 1, &[1]), written("a", 1, &[2])]).is_err());
    }
}
