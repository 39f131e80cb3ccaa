//! What comes out: one number, or rows as JSON, never more than asked for.

use arrow_array::cast::AsArray;
use arrow_array::types::{Float32Type, Float64Type, Int64Type};
use arrow_array::{Array, RecordBatch};
use arrow_cast::display::{ArrayFormatter, FormatOptions};
use arrow_schema::{ArrowError, DataType};
use datafusion::error::DataFusionError;
use datafusion::execution::SendableRecordBatchStream;
use futures_util::StreamExt;
use inspection::{QUERY_ROW_COUNT_MAX, QueryColumn, QueryRows, Section};
use serde_json::Value;

/// Bytes of an answer's rows as JSON; half of what a frame may hold.
const ROWS_BYTES_MAX: usize = 16 << 20;

/// Why rows are no answer.
#[derive(Debug)]
pub(crate) enum Unanswered {
    /// The engine failed.
    Engine(DataFusionError),
    /// The rows are not what was asked for; in words without values.
    Shape(String),
}

impl From<DataFusionError> for Unanswered {
    fn from(error: DataFusionError) -> Self {
        Self::Engine(error)
    }
}

impl From<ArrowError> for Unanswered {
    fn from(error: ArrowError) -> Self {
        Self::Engine(error.into())
    }
}

/// The number that a rule is about. A query that gives one row by its very form (an aggregate without `GROUP BY`, a `LIMIT 1`)
/// gives that row's one value; any other query gives the number of its rows. So the form decides, never the data.
///
/// # Errors
/// `Shape` if the one row is not there, has several columns, or holds no number.
pub(crate) async fn value(mut rows: SendableRecordBatchStream, is_single: bool) -> Result<f64, Unanswered> {
    let shape = |why: &str| Unanswered::Shape(why.to_owned());
    let columns = rows.schema().fields().len();
    if is_single && columns != 1 {
        return Err(Unanswered::Shape(format!("the query gives {columns} columns; a rule is about one value")));
    }
    let mut count = 0_u64;
    let mut single = None;
    while let Some(batch) = rows.next().await {
        let batch = batch?;
        count = count.saturating_add(batch.num_rows() as u64);
        if is_single && batch.num_rows() == 1 {
            single = Some(number(&batch)?);
        }
    }
    match (is_single, single) {
        #[expect(clippy::cast_precision_loss, reason = "a count of rows")]
        (false, _) => Ok(count as f64),
        (true, Some(Some(value))) => Ok(value),
        (true, Some(None)) => Err(shape("the query gave NULL; use COALESCE to say what that means")),
        (true, None) => Err(shape("the query gave no row")),
    }
}

/// The value in the first row and column, if there is one.
fn number(batch: &RecordBatch) -> Result<Option<f64>, Unanswered> {
    let Some(column) = batch.columns().first() else { return Ok(None) };
    let data_type = column.data_type();
    if !(data_type.is_numeric() || matches!(data_type, DataType::Boolean | DataType::Null)) {
        return Err(Unanswered::Shape(format!("the query gives {data_type}; a rule is about a number, or yes and no")));
    }
    let numbers = arrow_cast::cast(column, &DataType::Float64)?;
    Ok(numbers.as_primitive_opt::<Float64Type>().filter(|numbers| numbers.is_valid(0)).map(|numbers| numbers.value(0)))
}

/// At most `row_count_max` rows.
///
/// # Errors
/// `Engine` if it fails before.
pub(crate) async fn rows(mut rows: SendableRecordBatchStream, row_count_max: u64) -> Result<QueryRows, Unanswered> {
    let schema = rows.schema();
    let columns = schema.fields().iter();
    let columns =
        columns.map(|field| QueryColumn { name: field.name().clone(), data_type: field.data_type().to_string() }).collect();
    let row_count_max = row_count_max.min(QUERY_ROW_COUNT_MAX);
    let mut text = String::from("[");
    let (mut row_count, mut truncated) = (0, false);
    'all: while let Some(batch) = rows.next().await {
        let batch = batch?;
        let cells = batch.columns().iter().map(|column| Cells::of(column.as_ref())).collect::<Result<Vec<_>, _>>()?;
        for row in 0..batch.num_rows() {
            if row_count >= row_count_max || text.len() > ROWS_BYTES_MAX {
                truncated = true;
                break 'all;
            }
            let values: Vec<Value> = cells.iter().map(|cells| cells.value(row)).collect();
            if row_count > 0 {
                text.push(',');
            }
            text.push_str(&Value::Array(values).to_string());
            row_count = row_count.saturating_add(1);
        }
    }
    text.push(']');
    let rows = serde_json::from_str::<Section>(&text)
        .map_err(|error| Unanswered::Shape(format!("the rows cannot be written as JSON: {error}")))?;
    Ok(QueryRows { columns, row_count, truncated, rows })
}

/// The cells of a column, by how JSON has them: what it has no word for becomes text.
enum Cells<'a> {
    Boolean(&'a arrow_array::BooleanArray),
    Integer(&'a arrow_array::Int64Array),
    Single(&'a arrow_array::Float32Array),
    Number(&'a arrow_array::Float64Array),
    Other(&'a dyn Array, ArrayFormatter<'a>),
    /// Nothing but NULL.
    Nothing,
}

/// Without seconds' fractions that nobody wrote, and with nulls told apart before.
const FORMAT: FormatOptions<'static> = FormatOptions::new().with_display_error(true);

impl<'a> Cells<'a> {
    fn of(array: &'a dyn Array) -> Result<Self, ArrowError> {
        let known = match array.data_type() {
            DataType::Null => Some(Self::Nothing),
            DataType::Boolean => array.as_boolean_opt().map(Self::Boolean),
            DataType::Int64 => array.as_primitive_opt::<Int64Type>().map(Self::Integer),
            DataType::Float32 => array.as_primitive_opt::<Float32Type>().map(Self::Single),
            DataType::Float64 => array.as_primitive_opt::<Float64Type>().map(Self::Number),
            _ => None,
        };
        known.map_or_else(|| Ok(Self::Other(array, ArrayFormatter::try_new(array, &FORMAT)?)), Ok)
    }

    fn value(&self, row: usize) -> Value {
        match self {
            Self::Boolean(array) if array.is_valid(row) => Value::from(array.value(row)),
            Self::Integer(array) if array.is_valid(row) => Value::from(array.value(row)),
            Self::Single(array) if array.is_valid(row) => fraction(f64::from(array.value(row))),
            Self::Number(array) if array.is_valid(row) => fraction(array.value(row)),
            Self::Other(array, formatter) if array.is_valid(row) => {
                let text = formatter.value(row).to_string();
                // Counts and sums of whole numbers are of other types; they are numbers all the same.
                let whole = array.data_type().is_integer() || matches!(array.data_type(), DataType::Decimal128(_, 0));
                match text.parse::<i64>() {
                    Ok(number) if whole => Value::from(number),
                    _ => Value::from(text),
                }
            }
            _ => Value::Null,
        }
    }
}

/// A number; one that JSON lacks (infinite, not a number) as text.
fn fraction(value: f64) -> Value {
    serde_json::Number::from_f64(value).map_or_else(|| Value::from(value.to_string()), Value::Number)
}
