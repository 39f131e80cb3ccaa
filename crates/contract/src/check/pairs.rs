//! Tests over several columns of a row.

use arrow_array::cast::AsArray;
use arrow_array::{Array, ArrayRef};
use arrow_buffer::{BooleanBuffer, NullBuffer};
use arrow_cast::cast;
use arrow_schema::DataType;

use super::values::{floats, is_text, is_whole, plain, wholes};
use crate::instant::unit_ns;
use crate::rules::Pair;

/// How far a sum may be from what it must be, of the larger of it and 1.
const SUM_TOLERANCE: f64 = 1e-9;

impl Pair {
    fn holds<T: PartialOrd>(self, left: &T, right: &T) -> bool {
        match self {
            Self::Greater => left > right,
            Self::GreaterOrEqual => left >= right,
            Self::Less => left < right,
            Self::LessOrEqual => left <= right,
            Self::Equal => left == right,
            Self::NotEqual => left != right,
        }
    }
}

/// Whether two columns can be compared.
///
/// # Errors
/// In words, if they cannot.
pub(crate) fn comparable(left: &DataType, right: &DataType) -> Result<(), String> {
    let day = |kind: &DataType| matches!(kind, DataType::Time32(_) | DataType::Time64(_));
    let alike = (left.is_numeric() && right.is_numeric())
        || (is_text(left) && is_text(right))
        || (left == right && matches!(left, DataType::Boolean))
        || (unit_ns(left).is_some() && unit_ns(right).is_some() && day(left) == day(right));
    if alike { Ok(()) } else { Err(format!("{left} cannot be compared with {right}")) }
}

/// Rows whose two values do not stand to each other as they must. A row that lacks one of them is none.
pub(crate) fn compare(columns: &[ArrayRef], pair: Pair) -> Result<BooleanBuffer, String> {
    let [left, right] = columns else { return Err("a comparison needs two columns".to_owned()) };
    let (left, right) = (plain(left)?, plain(right)?);
    let marked = match (unit_ns(left.data_type()), unit_ns(right.data_type())) {
        (Some(left_unit), Some(right_unit)) => {
            let ticks = |array: &ArrayRef, unit: i128| -> Vec<i128> {
                wholes(array).unwrap_or_default().into_iter().map(|tick| tick * unit).collect()
            };
            each(&ticks(&left, left_unit), &ticks(&right, right_unit), pair)
        }
        _ if is_whole(left.data_type()) && is_whole(right.data_type()) => {
            each(&wholes(&left).unwrap_or_default(), &wholes(&right).unwrap_or_default(), pair)
        }
        _ if left.data_type().is_numeric() => each(&floats(&left).unwrap_or_default(), &floats(&right).unwrap_or_default(), pair),
        _ => {
            let text = |array: &ArrayRef| cast(array, &DataType::LargeUtf8).map_err(|error| error.to_string());
            let (left, right) = (text(&left)?, text(&right)?);
            let (left, right) = (left.as_string::<i64>(), right.as_string::<i64>());
            BooleanBuffer::collect_bool(left.len(), |row| row >= right.len() || !pair.holds(&left.value(row), &right.value(row)))
        }
    };
    Ok(with_all(marked, columns))
}

fn each<T: PartialOrd>(left: &[T], right: &[T], pair: Pair) -> BooleanBuffer {
    let mut both = left.iter().zip(right);
    BooleanBuffer::collect_bool(left.len(), |_| both.next().is_some_and(|(left, right)| !pair.holds(left, right)))
}

/// Rows whose values do not add up. A row that lacks one of them is none.
pub(crate) fn sum_is_not(columns: &[ArrayRef], total: f64) -> Result<BooleanBuffer, String> {
    let mut sums: Vec<f64> = Vec::new();
    for column in columns {
        let values = floats(&plain(column)?).ok_or("a sum needs numbers")?;
        sums.resize(values.len(), 0.0);
        for (sum, value) in sums.iter_mut().zip(values) {
            *sum += value;
        }
    }
    let near = SUM_TOLERANCE * total.abs().max(1.0);
    let mut each = sums.iter();
    let marked =
        BooleanBuffer::collect_bool(sums.len(), |_| each.next().is_some_and(|sum| (sum - total).abs() > near || sum.is_nan()));
    Ok(with_all(marked, columns))
}

/// A mask without the rows in which a column is null.
fn with_all(marked: BooleanBuffer, columns: &[ArrayRef]) -> BooleanBuffer {
    let all = columns
        .iter()
        .fold(None, |all: Option<NullBuffer>, column| NullBuffer::union(all.as_ref(), column.logical_nulls().as_ref()));
    match all {
        None => marked,
        Some(nulls) => &marked & nulls.inner(),
    }
}
