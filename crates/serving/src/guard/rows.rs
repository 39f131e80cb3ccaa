//! Rows of a request as the guard looks at them: the columns of the training data, in their order.

use ::guard::{Cell, Column};
use runtime::{Batch, Tensor, Values};

/// Where each column of the training data stands in a request.
pub(super) struct Layout<'a> {
    columns: Vec<(&'a Tensor, usize, usize)>,
    row_count: usize,
}

impl<'a> Layout<'a> {
    /// Finds the columns by name, or by place where the request has as many; nothing where it does not fit.
    pub(super) fn of(batch: &'a Batch, known: &[Column]) -> Option<Self> {
        let row_count = batch.rows();
        let inputs: Vec<(&str, &Tensor)> = batch.inputs().collect();
        let width = |tensor: &Tensor| tensor.values().len().checked_div(row_count).unwrap_or(0);
        let total: usize = inputs.iter().map(|(_, tensor)| width(tensor)).sum();
        if row_count == 0 || total != known.len() {
            return None;
        }
        let is_named = inputs.len() == known.len()
            && known.iter().all(|column| inputs.iter().any(|(name, _)| !name.is_empty() && *name == column.name));
        let mut columns = Vec::with_capacity(total);
        if is_named {
            for column in known {
                let (_, tensor) = inputs.iter().find(|(name, _)| *name == column.name)?;
                columns.push((*tensor, 1, 0));
            }
        } else {
            for (_, tensor) in inputs {
                let width = width(tensor);
                columns.extend((0..width).map(|place| (tensor, width, place)));
            }
        }
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
    use super::*;

    fn column(name: &str) -> Column {
        Column { name: name.to_owned(), categories: None, is_text: false }
    }

    fn check(batch: &Batch, known: &[&str], row: usize, expected: Option<&[Cell<'_>]>) {
        let known: Vec<Column> = known.iter().map(|name| column(name)).collect();
        let mut cells = Vec::new();
        let found = Layout::of(batch, &known).map(|layout| layout.row(row, &mut cells));
        assert_eq!(found.map(|()| cells.as_slice()), expected);
    }

    #[test]
    fn columns_are_found_by_name_or_by_place() {
        let named = Batch::columns(vec![
            ("b".to_owned(), Values::Text(vec!["x".to_owned(), "y".to_owned()])),
            ("a".to_owned(), Values::F64(vec![1.0, f64::NAN])),
        ])
        .unwrap();
        check(&named, &["a", "b"], 0, Some(&[Cell::Number(1.0), Cell::Text("x")]));
        check(&named, &["a", "b"], 1, Some(&[Cell::Missing, Cell::Text("y")]));
        check(&named, &["p", "q"], 0, Some(&[Cell::Text("x"), Cell::Number(1.0)]));
        check(&named, &["a", "b", "c"], 0, None);
        let matrix = Batch::matrix(2, 3, Values::I64(vec![1, 2, 3, 4, 5, 6])).unwrap();
        check(&matrix, &["a", "b", "c"], 1, Some(&[Cell::Number(4.0), Cell::Number(5.0), Cell::Number(6.0)]));
        let single = Batch::matrix(1, 1, Values::Bool(vec![true])).unwrap();
        check(&single, &["a"], 0, Some(&[Cell::Number(1.0)]));
    }
}
