//! Rows of a request as the guard looks at them: the columns of the training data, in their order.
//!
//! INVARIANT: a value is looked at as that column as which the model reads it. Held by `columns_are_those_that_the_model_reads`.

use ::guard::{Cell, Column};
use runtime::{Batch, Signature, Tensor, Values};

/// Where each column of the training data stands in a request.
pub(super) struct Layout<'a> {
    columns: Vec<(&'a Tensor, usize, usize)>,
    row_count: usize,
}

/// A column as the model reads it: its name, where the model knows one, and where it stands.
type Read<'a> = (&'a str, (&'a Tensor, usize, usize));

impl<'a> Layout<'a> {
    /// Finds the columns as the model reads them: by the names that it knows, or by place where it knows none and the request has as many;
    /// nothing where it does not fit.
    pub(super) fn of(batch: &'a Batch, known: &[Column], model: &'a Signature) -> Option<Self> {
        let row_count = batch.rows();
        let read = read(batch, model)?;
        if row_count == 0 || read.len() != known.len() {
            return None;
        }
        // Mostly they stand in the order of the training data.
        let find = |(place, column): (usize, &Column)| {
            let is_it = |(name, _): &&Read<'a>| !name.is_empty() && *name == column.name;
            read.get(place).filter(is_it).or_else(|| read.iter().find(is_it)).map(|(_, stands)| *stands)
        };
        let named: Option<Vec<_>> = known.iter().enumerate().map(find).collect();
        let columns = named.unwrap_or_else(|| read.into_iter().map(|(_, stands)| stands).collect());
        Some(Self { columns, row_count })
    }

    pub(super) const fn row_count(&self) -> usize {
        self.row_count
    }

    /// Puts a row into `cells`, whose room is used again.
    pub(super) fn row(&self, row: usize, cells: &mut Vec<Cell<'a>>) {
        cells.clear();
        cells.extend(self.columns.iter().map(|(tensor, width, place)| cell(tensor.values(), row * width + place)));
    }
}

/// The columns in the order in which the model reads them.
fn read<'a>(batch: &'a Batch, model: &'a Signature) -> Option<Vec<Read<'a>>> {
    let given: Vec<(&str, &Tensor)> = batch.inputs().collect();
    let find = |wanted: &str| given.iter().find(|(name, _)| *name == wanted).map(|(_, tensor)| *tensor);
    let width = |tensor: &Tensor| tensor.values().len().checked_div(batch.rows()).unwrap_or(0);
    let mut read = Vec::new();
    let add = |read: &mut Vec<Read<'a>>, tensor: &'a Tensor, names: &'a [String]| {
        let width = width(tensor);
        let name = |place: usize| names.get(place).filter(|_| names.len() == width).map_or("", String::as_str);
        read.extend((0..width).map(|place| (name(place), (tensor, width, place))));
    };
    match (model.inputs.as_slice(), given.as_slice()) {
        // Nothing is known of the model: what a client calls its columns is all that there is.
        ([], _) => {
            for (name, tensor) in given.iter().copied() {
                let width = width(tensor);
                read.extend((0..width).map(|place| (if width == 1 { name } else { "" }, (tensor, width, place))));
            }
        }
        ([port], [(_, only)]) => add(&mut read, only, &port.columns),
        ([port], _) if port.columns.is_empty() => given.iter().for_each(|(_, tensor)| add(&mut read, tensor, &[])),
        ([port], _) => {
            for name in &port.columns {
                add(&mut read, find(name)?, std::slice::from_ref(name));
            }
        }
        (ports, _) => {
            for port in ports {
                add(&mut read, find(&port.name)?, std::slice::from_ref(&port.name));
            }
        }
    }
    Some(read)
}

fn cell(values: &Values, place: usize) -> Cell<'_> {
    let cell = match values {
        Values::F32(all) => all.get(place).map(|value| Cell::number(f64::from(*value))),
        Values::F64(all) => all.get(place).map(|value| Cell::number(*value)),
        Values::I64(all) => all.get(place).map(|value| Cell::number(*value as f64)),
        Values::Bool(all) => all.get(place).map(|value| Cell::number(f64::from(u8::from(*value)))),
        Values::Text(all) => all.get(place).map(|value| Cell::Text(value)),
    };
    cell.unwrap_or(Cell::Missing)
}

#[cfg(test)]
mod tests {
    use runtime::{DataType, Port, Role};

    use super::*;

    fn column(name: &str) -> Column {
        Column { name: name.to_owned(), categories: None, is_text: false }
    }

    fn port(name: &str, columns: &[&str]) -> Port {
        let columns = columns.iter().map(|name| (*name).to_owned()).collect();
        Port { name: name.to_owned(), data_type: DataType::F64, narrow: None, shape: Vec::new(), columns, role: Role::Value }
    }

    /// For a model of these inputs; those of one input are given as the names of its columns.
    fn check(batch: &Batch, known: &[&str], inputs: Vec<Port>, row: usize, expected: Option<&[Cell<'_>]>) {
        let known: Vec<Column> = known.iter().map(|name| column(name)).collect();
        let model = Signature { inputs, ..Signature::default() };
        let mut cells = Vec::new();
        let found = Layout::of(batch, &known, &model).map(|layout| layout.row(row, &mut cells));
        assert_eq!(found.map(|()| cells.as_slice()), expected);
    }

    #[test]
    fn columns_are_those_that_the_model_reads() {
        let named = Batch::columns(vec![
            ("b".to_owned(), Values::Text(vec!["x".to_owned(), "y".to_owned()])),
            ("a".to_owned(), Values::F64(vec![1.0, f64::NAN])),
        ])
        .unwrap();
        let by_name = || vec![port("input", &["a", "b"])];
        check(&named, &["a", "b"], by_name(), 0, Some(&[Cell::Number(1.0), Cell::Text("x")]));
        check(&named, &["a", "b"], by_name(), 1, Some(&[Cell::Missing, Cell::Text("y")]));
        check(&named, &["a", "b"], vec![port("b", &[]), port("a", &[])], 0, Some(&[Cell::Number(1.0), Cell::Text("x")]));
        check(&named, &["p", "q"], by_name(), 0, Some(&[Cell::Number(1.0), Cell::Text("x")]));
        check(&named, &["a", "b", "c"], by_name(), 0, None);
        check(&named, &["a", "b"], vec![port("input", &["a", "c"])], 0, None);
        // A model that knows no names goes by place, whatever a client calls its columns.
        check(&named, &["a", "b"], vec![port("input", &[])], 0, Some(&[Cell::Text("x"), Cell::Number(1.0)]));
        let matrix = Batch::matrix(2, 3, Values::I64(vec![1, 2, 3, 4, 5, 6])).unwrap();
        let plain = || vec![port("input", &[])];
        check(&matrix, &["a", "b", "c"], plain(), 1, Some(&[Cell::Number(4.0), Cell::Number(5.0), Cell::Number(6.0)]));
        let turned = vec![port("input", &["c", "b", "a"])];
        check(&matrix, &["a", "b", "c"], turned, 0, Some(&[Cell::Number(3.0), Cell::Number(2.0), Cell::Number(1.0)]));
        let single = Batch::matrix(1, 1, Values::Bool(vec![true])).unwrap();
        check(&single, &["a"], plain(), 0, Some(&[Cell::Number(1.0)]));
    }
}
