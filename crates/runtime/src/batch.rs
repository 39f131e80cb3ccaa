//! What a model is asked: a matrix, or named columns and tensors.

use std::borrow::Cow;

use crate::link::Real;
use crate::{Limits, Port, PredictError, Signature, Tensor, Values, Written, written};

/// Rows to predict. INVARIANT: all tensors have the same number of rows.
#[derive(Clone, Debug, PartialEq)]
pub struct Batch {
    rows: usize,
    inputs: Vec<(String, Tensor)>,
    /// What has no types yet: [`Batch::typed`] makes inputs of it.
    written: Vec<Written>,
    has_params: bool,
}

impl Batch {
    /// One matrix, row-major, for a model that has one input.
    ///
    /// # Errors
    /// If `rows × columns` is not the number of values.
    pub fn matrix(rows: usize, columns: usize, values: Values) -> Result<Self, PredictError> {
        let inputs = vec![(String::new(), Tensor::new(vec![rows, columns], values)?)];
        Ok(Self { rows, inputs, written: Vec::new(), has_params: false })
    }

    /// Named columns of equal length.
    ///
    /// # Errors
    /// If there are none, lengths differ, or a name stands twice.
    pub fn columns(columns: Vec<(String, Values)>) -> Result<Self, PredictError> {
        Self::tensors(columns.into_iter().map(|(name, values)| (name, Tensor::column(values))).collect())
    }

    /// Named tensors whose first dimensions are equal.
    ///
    /// # Errors
    /// If there are none, their first dimensions differ, or a name stands twice.
    pub fn tensors(inputs: Vec<(String, Tensor)>) -> Result<Self, PredictError> {
        let Some((_, first)) = inputs.first() else { return Err(PredictError::input("there are no columns")) };
        let rows = first.row_count();
        let mut names = std::collections::BTreeSet::new();
        for (name, tensor) in &inputs {
            if tensor.row_count() != rows {
                return Err(PredictError::input(format!("`{name}` has {} rows, others {rows}", tensor.row_count())));
            }
            if !names.insert(name.as_str()) {
                return Err(PredictError::input(format!("`{name}` is given twice")));
            }
        }
        Ok(Self { rows, inputs, written: Vec::new(), has_params: false })
    }

    /// What was written without types. It is asked once it is [`Batch::typed`].
    ///
    /// # Errors
    /// As [`Batch::tensors`].
    pub fn written(written: Vec<Written>) -> Result<Self, PredictError> {
        Ok(Self { rows: written::rows(&written)?, inputs: Vec::new(), written, has_params: false })
    }

    /// The same without the written columns that a model does not name, as MLflow's scoring server drops them: a table's index, an id.
    /// Where the model names none of what was written, nothing is dropped.
    #[must_use]
    pub fn without_unknown(self, model: &Signature) -> Self {
        Self { written: written::without_unknown(self.written, model), ..self }
    }

    /// The same with the types that a model takes, where it had none.
    ///
    /// # Errors
    /// If a value is not of the type that is taken.
    pub fn typed(self, model: &Signature) -> Result<Self, PredictError> {
        if self.written.is_empty() {
            return Ok(self);
        }
        Ok(Self { inputs: written::typed(self.written, model)?, written: Vec::new(), ..self })
    }

    /// Whether a text is missing of what is not typed yet. Once it is typed, it is an empty one.
    #[must_use]
    pub fn misses_text(&self, model: &Signature) -> bool {
        written::misses_text(&self.written, model)
    }

    /// The same, with which parameters of the prediction itself came. What they are is not kept.
    #[must_use]
    pub fn with_params(self) -> Self {
        Self { has_params: true, ..self }
    }

    /// Whether parameters of the prediction itself came along.
    #[must_use]
    pub const fn has_params(&self) -> bool {
        self.has_params
    }

    /// How many rows there are.
    #[must_use]
    pub const fn rows(&self) -> usize {
        self.rows
    }

    /// What is given, with the names that it was given under; a matrix has an empty one.
    pub fn inputs(&self) -> impl Iterator<Item = (&str, &Tensor)> {
        self.inputs.iter().map(|(name, tensor)| (name.as_str(), tensor))
    }

    /// The only tensor, whatever its name.
    pub(crate) fn single(&self) -> Option<&Tensor> {
        if let [(_, tensor)] = self.inputs.as_slice() { Some(tensor) } else { None }
    }

    pub(crate) fn named(&self, name: &str) -> Option<&Tensor> {
        self.inputs.iter().find(|(given, _)| given == name).map(|(_, tensor)| tensor)
    }

    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.inputs.iter().map(|(name, _)| name.as_str())
    }

    /// The rows as a matrix of the port's width: the one tensor as it is, or columns put together, by name where the port
    /// has names, in the given order where it has none.
    pub(crate) fn matrix_for<T: Real>(&self, port: &Port, limits: &Limits) -> Result<Cow<'_, [T]>, PredictError> {
        let width = port.shape.get(1).copied().flatten().unwrap_or(0);
        if self.rows.saturating_mul(width.max(1)) > limits.tensor_elements_max {
            return Err(PredictError::TooLarge { what: "the batch's values", limit: limits.tensor_elements_max as u64 });
        }
        if let Some(tensor) = self.single()
            && (width == 1 || tensor.rows_and_columns().1 != 1)
        {
            if tensor.rows_and_columns() != (self.rows, width) || tensor.shape().len() > 2 {
                return Err(PredictError::input(format!("{width} columns are expected, the shape is {:?}", tensor.shape())));
            }
            return match T::view(tensor.values()) {
                Some(view) => Ok(Cow::Borrowed(view)),
                None => T::convert(tensor.values()).map(Cow::Owned),
            };
        }
        self.gathered(port, width).map(Cow::Owned)
    }

    fn gathered<T: Real>(&self, port: &Port, width: usize) -> Result<Vec<T>, PredictError> {
        let mut chosen = Vec::with_capacity(width);
        if port.columns.is_empty() {
            chosen.extend(self.inputs.iter().map(|(_, tensor)| tensor));
        } else {
            for name in &port.columns {
                chosen.push(self.named(name).ok_or_else(|| PredictError::input(format!("the column `{name}` is missing")))?);
            }
            if let Some(name) = self.names().find(|name| !port.columns.iter().any(|known| known == name)) {
                return Err(PredictError::input(format!("the model knows no column `{name}`")));
            }
        }
        if chosen.len() != width {
            return Err(PredictError::input(format!("{width} columns are expected, there are {}", chosen.len())));
        }
        let mut matrix = vec![T::default(); self.rows * width];
        for (place, tensor) in chosen.into_iter().enumerate() {
            if tensor.rows_and_columns() != (self.rows, 1) {
                return Err(PredictError::input(format!("a column has the shape {:?}", tensor.shape())));
            }
            let converted;
            let values = match T::view(tensor.values()) {
                Some(view) => view,
                None => {
                    converted = T::convert(tensor.values())?;
                    &converted
                }
            };
            for (row, value) in matrix.chunks_exact_mut(width).zip(values) {
                if let Some(cell) = row.get_mut(place) {
                    *cell = *value;
                }
            }
        }
        Ok(matrix)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::DataType;

    fn port(columns: &[&str]) -> Port {
        let mut port = Port::matrix("input", DataType::F32, 2);
        port.columns = columns.iter().map(|name| (*name).to_owned()).collect();
        port
    }

    #[test]
    fn columns_find_their_places_by_name() {
        let columns = vec![("b".to_owned(), Values::F64(vec![1.0, 2.0])), ("a".to_owned(), Values::I64(vec![3, 4]))];
        let batch = Batch::columns(columns).unwrap();
        let limits = Limits::default();
        assert_eq!(*batch.matrix_for::<f32>(&port(&["a", "b"]), &limits).unwrap(), [3.0, 1.0, 4.0, 2.0]);
        assert_eq!(*batch.matrix_for::<f32>(&port(&[]), &limits).unwrap(), [1.0, 3.0, 2.0, 4.0]);
        assert!(batch.matrix_for::<f32>(&port(&["a", "c"]), &limits).is_err());
    }

    #[test]
    fn a_batch_that_does_not_fit_is_refused() {
        assert!(Batch::matrix(2, 2, Values::F32(vec![0.0; 3])).is_err());
        assert!(Batch::columns(vec![]).is_err());
        let uneven = vec![("a".to_owned(), Values::I64(vec![1])), ("b".to_owned(), Values::I64(vec![1, 2]))];
        assert!(Batch::columns(uneven).is_err());
        let twice = vec![("a".to_owned(), Values::I64(vec![1])), ("a".to_owned(), Values::I64(vec![1]))];
        assert!(Batch::columns(twice).is_err());
        let wide = Batch::matrix(1, 3, Values::F32(vec![0.0; 3])).unwrap();
        assert!(wide.matrix_for::<f32>(&port(&[]), &Limits::default()).is_err());
        let limits = Limits { tensor_elements_max: 3, ..Limits::default() };
        let batch = Batch::matrix(2, 2, Values::F32(vec![0.0; 4])).unwrap();
        assert!(matches!(batch.matrix_for::<f32>(&port(&[]), &limits), Err(PredictError::TooLarge { .. })));
    }
}
