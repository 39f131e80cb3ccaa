//! Values with a shape, row-major.

use crate::PredictError;

/// A type of values.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum DataType {
    /// 32-bit floats.
    F32,
    /// 64-bit floats.
    F64,
    /// Integers of any width, held in 64 bits.
    I64,
    /// True or false.
    Bool,
    /// UTF-8 text.
    Text,
}

impl DataType {
    /// Its name in the Open Inference Protocol.
    #[must_use]
    pub const fn oip_name(self) -> &'static str {
        match self {
            Self::F32 => "FP32",
            Self::F64 => "FP64",
            Self::I64 => "INT64",
            Self::Bool => "BOOL",
            Self::Text => "BYTES",
        }
    }
}

/// Integers of fewer than 64 bits. They are held in 64 and kept within their own range.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Narrow {
    /// 8 bits with a sign.
    I8,
    /// 8 bits.
    U8,
    /// 16 bits with a sign.
    I16,
    /// 16 bits.
    U16,
    /// 32 bits with a sign.
    I32,
    /// 32 bits.
    U32,
}

impl Narrow {
    /// Its name in the Open Inference Protocol.
    #[must_use]
    pub const fn oip_name(self) -> &'static str {
        match self {
            Self::I8 => "INT8",
            Self::U8 => "UINT8",
            Self::I16 => "INT16",
            Self::U16 => "UINT16",
            Self::I32 => "INT32",
            Self::U32 => "UINT32",
        }
    }

    /// The lowest bits of a value, which is what arithmetic of this width leaves of it.
    pub(crate) fn wrapped(self, value: i64) -> i64 {
        match self {
            Self::I8 => i64::from(value as i8),
            Self::U8 => i64::from(value as u8),
            Self::I16 => i64::from(value as i16),
            Self::U16 => i64::from(value as u16),
            Self::I32 => i64::from(value as i32),
            Self::U32 => i64::from(value as u32),
        }
    }
}

/// Values of one type.
#[derive(Clone, Debug, PartialEq)]
pub enum Values {
    /// 32-bit floats; NaN is missing.
    F32(Vec<f32>),
    /// 64-bit floats; NaN is missing.
    F64(Vec<f64>),
    /// Integers.
    I64(Vec<i64>),
    /// True or false.
    Bool(Vec<bool>),
    /// Text.
    Text(Vec<String>),
}

/// Values and their shape. INVARIANT: the shape's product is the number of values; `new` is the only way to make one.
#[derive(Clone, Debug, PartialEq)]
pub struct Tensor {
    shape: Vec<usize>,
    values: Values,
}

impl Values {
    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        match self {
            Self::F32(values) => values.len(),
            Self::F64(values) => values.len(),
            Self::I64(values) => values.len(),
            Self::Bool(values) => values.len(),
            Self::Text(values) => values.len(),
        }
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Their type.
    #[must_use]
    pub const fn data_type(&self) -> DataType {
        match self {
            Self::F32(_) => DataType::F32,
            Self::F64(_) => DataType::F64,
            Self::I64(_) => DataType::I64,
            Self::Bool(_) => DataType::Bool,
            Self::Text(_) => DataType::Text,
        }
    }

    /// As 32-bit floats. Text is refused.
    pub(crate) fn to_f32(&self) -> Result<Vec<f32>, PredictError> {
        Ok(match self {
            Self::F32(values) => values.clone(),
            Self::F64(values) => values.iter().map(|value| *value as f32).collect(),
            Self::I64(values) => values.iter().map(|value| *value as f32).collect(),
            Self::Bool(values) => values.iter().map(|value| f32::from(u8::from(*value))).collect(),
            Self::Text(_) => return Err(PredictError::input("text where numbers are expected")),
        })
    }

    /// As 64-bit floats. Text is refused.
    pub(crate) fn to_f64(&self) -> Result<Vec<f64>, PredictError> {
        Ok(match self {
            Self::F32(values) => values.iter().map(|value| f64::from(*value)).collect(),
            Self::F64(values) => values.clone(),
            Self::I64(values) => values.iter().map(|value| *value as f64).collect(),
            Self::Bool(values) => values.iter().map(|value| f64::from(u8::from(*value))).collect(),
            Self::Text(_) => return Err(PredictError::input("text where numbers are expected")),
        })
    }
}

impl Tensor {
    /// Values with a shape.
    ///
    /// # Errors
    /// If the shape's product is not the number of values.
    pub fn new(shape: Vec<usize>, values: Values) -> Result<Self, PredictError> {
        match element_count(&shape) {
            Some(count) if count == values.len() => Ok(Self { shape, values }),
            _ => Err(PredictError::input(format!("the shape {shape:?} does not hold {} values", values.len()))),
        }
    }

    /// One column.
    #[must_use]
    pub fn column(values: Values) -> Self {
        Self { shape: vec![values.len(), 1], values }
    }

    /// A plain list.
    #[must_use]
    pub fn list(values: Values) -> Self {
        Self { shape: vec![values.len()], values }
    }

    /// The shape.
    #[must_use]
    pub fn shape(&self) -> &[usize] {
        &self.shape
    }

    /// The values, row-major.
    #[must_use]
    pub const fn values(&self) -> &Values {
        &self.values
    }

    /// The values alone.
    #[must_use]
    pub fn into_values(self) -> Values {
        self.values
    }

    /// Its integers cut to the width; other values stay as they are.
    pub(crate) fn cut(mut self, to: Narrow) -> Self {
        if let Values::I64(values) = &mut self.values {
            values.iter_mut().for_each(|value| *value = to.wrapped(*value));
        }
        self
    }

    /// The same values in another shape.
    pub(crate) fn reshaped(self, shape: Vec<usize>) -> Result<Self, PredictError> {
        Self::new(shape, self.values)
    }

    /// Rows and columns: a list is one row, further dimensions are flattened into the columns.
    pub(crate) fn rows_and_columns(&self) -> (usize, usize) {
        match self.shape.as_slice() {
            [] => (1, 1),
            [columns] => (1, *columns),
            [rows, rest @ ..] => (*rows, rest.iter().product()),
        }
    }

    /// How many rows there are: the first dimension.
    pub(crate) fn row_count(&self) -> usize {
        self.shape.first().copied().unwrap_or(1)
    }

    /// The same values as another numeric type; text stays text.
    pub(crate) fn converted(&self, to: DataType) -> Result<Self, PredictError> {
        let values = match (to, &self.values) {
            (to, values) if values.data_type() == to => values.clone(),
            (DataType::F32, values) => Values::F32(values.to_f32()?),
            (DataType::F64, values) => Values::F64(values.to_f64()?),
            (DataType::I64, Values::Bool(values)) => Values::I64(values.iter().map(|value| i64::from(*value)).collect()),
            (DataType::I64, Values::F64(values)) => Values::I64(whole(values.iter().copied())?),
            (DataType::I64, Values::F32(values)) => Values::I64(whole(values.iter().map(|value| f64::from(*value)))?),
            (to, values) => {
                return Err(PredictError::input(format!("{:?} values where {to:?} is expected", values.data_type())));
            }
        };
        Ok(Self { shape: self.shape.clone(), values })
    }
}

/// Floats that are integers, as integers; a fraction is refused rather than cut.
fn whole(values: impl Iterator<Item = f64>) -> Result<Vec<i64>, PredictError> {
    const EXACT: f64 = 9_007_199_254_740_992.0;
    let exact = |value: f64| {
        if value.fract() == 0.0 && value.abs() < EXACT {
            Ok(value as i64)
        } else {
            Err(PredictError::input(format!("`{value}` where an integer is expected")))
        }
    };
    values.map(exact).collect()
}

/// A shape's product, unless it overflows.
pub(crate) fn element_count(shape: &[usize]) -> Option<usize> {
    shape.iter().try_fold(1_usize, |product, dimension| product.checked_mul(*dimension))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shape_must_hold_its_values() {
        assert!(Tensor::new(vec![2, 2], Values::F32(vec![0.0; 4])).is_ok());
        assert!(Tensor::new(vec![2, 3], Values::F32(vec![0.0; 4])).is_err());
        assert!(Tensor::new(vec![1 << 40, 1 << 40], Values::F32(vec![])).is_err());
    }

    #[test]
    fn fractions_are_not_cut_into_integers() {
        let tensor = Tensor::list(Values::F64(vec![1.0, 2.5]));
        assert!(tensor.converted(DataType::I64).is_err());
        let tensor = Tensor::list(Values::F64(vec![1.0, -2.0]));
        assert_eq!(tensor.converted(DataType::I64).unwrap().values(), &Values::I64(vec![1, -2]));
        let rounded = Tensor::list(Values::F64(vec![9_007_199_254_740_992.0]));
        assert!(rounded.converted(DataType::I64).is_err(), "it may have been another integer before it was a float");
        assert!(Tensor::list(Values::F64(vec![f64::NAN])).converted(DataType::I64).is_err());
    }

    #[test]
    fn text_is_no_number() {
        let tensor = Tensor::list(Values::Text(vec!["1".to_owned()]));
        assert!(tensor.converted(DataType::F32).is_err());
    }
}
