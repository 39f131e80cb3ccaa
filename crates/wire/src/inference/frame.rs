//! Rows as MLflow's scoring protocol sends them: `dataframe_split`, `dataframe_records`, `instances`, `inputs`, and CSV.
//! Source: mlflow docs, "Deploy MLflow Model as a Local Inference Server", Inference Server Specification.

use kernel::Problem;
use serde_json::{Map, Value};
use serving::{Batch, Tensor, Values};

use super::VALUE_COUNT_MAX;

/// Columns of one request.
const COLUMN_COUNT_MAX: usize = 100_000;

/// A body of JSON.
pub(super) fn of_json(bytes: &[u8]) -> Result<Batch, Problem> {
    let body: Map<String, Value> =
        serde_json::from_slice(bytes).map_err(|error| Problem::invalid(format!("the body is no JSON object: {error}")))?;
    let mut given = body.iter().filter(|(name, _)| name.as_str() != "params");
    let (Some((name, value)), None) = (given.next(), given.next()) else { return Err(one_of()) };
    match (name.as_str(), value) {
        ("dataframe_split", Value::Object(frame)) => split(frame),
        ("dataframe_records", Value::Array(rows)) => records(rows),
        ("instances", Value::Array(rows)) if rows.first().is_some_and(Value::is_object) => records(rows),
        ("instances" | "inputs", Value::Array(rows)) => matrix(rows),
        ("inputs", Value::Object(columns)) => named(columns),
        _ => Err(one_of()),
    }
}

fn one_of() -> Problem {
    Problem::invalid("the body has exactly one of `dataframe_split`, `dataframe_records`, `instances` and `inputs`")
}

fn split(frame: &Map<String, Value>) -> Result<Batch, Problem> {
    let rows = frame.get("data").and_then(Value::as_array);
    let rows = rows.ok_or_else(|| Problem::invalid("`dataframe_split` has `columns` and `data`, lists of names and of rows"))?;
    let Some(columns) = frame.get("columns").filter(|columns| !columns.is_null()) else { return matrix(rows) };
    let names = columns.as_array().ok_or_else(|| Problem::invalid("`columns` is a list of names"))?;
    let names: Vec<String> = names.iter().map(|name| name.as_str().map_or_else(|| name.to_string(), str::to_owned)).collect();
    let mut columns = columns_of(names)?;
    for row in rows {
        let row = row.as_array().filter(|row| row.len() == columns.len());
        let row = row.ok_or_else(|| Problem::invalid("each row of `data` is a list with a value for each of `columns`"))?;
        columns.iter_mut().zip(row).try_for_each(|(column, value)| column.push(value))?;
    }
    batch(columns)
}

fn records(rows: &[Value]) -> Result<Batch, Problem> {
    let first = rows.first().and_then(Value::as_object);
    let first =
        first.ok_or_else(|| Problem::invalid("rows are objects with a value for each column, and there is at least one"))?;
    let mut columns = columns_of(first.keys().cloned().collect())?;
    for row in rows {
        let row = row.as_object().filter(|row| row.len() == columns.len());
        let row = row.ok_or_else(|| Problem::invalid("each row has the columns of the first one"))?;
        for column in &mut columns {
            let value = row.get(&column.name).ok_or_else(|| Problem::invalid("each row has the columns of the first one"))?;
            column.push(value)?;
        }
    }
    batch(columns)
}

fn named(given: &Map<String, Value>) -> Result<Batch, Problem> {
    let mut columns = columns_of(given.keys().cloned().collect())?;
    for (column, values) in columns.iter_mut().zip(given.values()) {
        let values = values.as_array().ok_or_else(|| Problem::invalid("`inputs` has a list of values for each name"))?;
        for value in values {
            // A column may come as lists of one.
            match value {
                Value::Array(inner) if inner.len() == 1 => inner.iter().try_for_each(|value| column.push(value))?,
                value => column.push(value)?,
            }
        }
    }
    batch(columns)
}

/// Rows of numbers.
fn matrix(rows: &[Value]) -> Result<Batch, Problem> {
    let width = match rows.first() {
        Some(Value::Array(row)) => row.len(),
        Some(_) => 1,
        None => return Err(Problem::invalid("there are no rows")),
    };
    if rows.iter().any(|row| matches!(row, Value::Array(row) if row.iter().any(|value| value.is_string()))) {
        let mut columns = columns_of((0..width).map(|place| place.to_string()).collect())?;
        for row in rows {
            let row = row.as_array().filter(|row| row.len() == width).ok_or_else(uneven)?;
            columns.iter_mut().zip(row).try_for_each(|(column, value)| column.push(value))?;
        }
        return batch(columns);
    }
    let mut values = Vec::with_capacity(rows.len().saturating_mul(width).min(VALUE_COUNT_MAX));
    for row in rows {
        match row {
            Value::Array(row) if row.len() == width => {
                row.iter().try_for_each(|value| number(value).map(|number| values.push(number)))?;
            }
            Value::Array(_) => return Err(uneven()),
            value if width == 1 => values.push(number(value)?),
            _ => return Err(uneven()),
        }
        if values.len() > VALUE_COUNT_MAX {
            return Err(super::too_many_values());
        }
    }
    Batch::matrix(rows.len(), width, Values::F64(values)).map_err(|error| Problem::invalid(error.to_string()))
}

fn uneven() -> Problem {
    Problem::invalid("all rows are lists of the same length")
}

fn number(value: &Value) -> Result<f64, Problem> {
    match value {
        Value::Null => Ok(f64::NAN),
        Value::Bool(value) => Ok(f64::from(u8::from(*value))),
        value => value.as_f64().ok_or_else(|| Problem::invalid("a value is neither a number nor `null`")),
    }
}

/// Text with a header of names, and commas between fields.
pub(super) fn of_csv(bytes: &[u8]) -> Result<Batch, Problem> {
    let wrong = |error: csv::Error| Problem::invalid(format!("the body cannot be read as CSV: {error}"));
    let mut reader = csv::ReaderBuilder::new().from_reader(bytes);
    let names = reader.headers().map_err(wrong)?.iter().map(str::to_owned).collect();
    let mut columns = columns_of(names)?;
    for row in reader.records() {
        let row = row.map_err(wrong)?;
        columns.iter_mut().zip(&row).try_for_each(|(column, field)| column.push_text(field))?;
    }
    batch(columns)
}

/// A column as it grows. It is numbers until something else comes.
struct Column {
    name: String,
    numbers: Vec<f64>,
    texts: Option<Vec<String>>,
}

fn columns_of(names: Vec<String>) -> Result<Vec<Column>, Problem> {
    if names.is_empty() || names.len() > COLUMN_COUNT_MAX {
        return Err(Problem::invalid(format!("there are from 1 to {COLUMN_COUNT_MAX} columns")));
    }
    Ok(names.into_iter().map(|name| Column { name, numbers: Vec::new(), texts: None }).collect())
}

impl Column {
    fn push(&mut self, value: &Value) -> Result<(), Problem> {
        if self.numbers.len() >= VALUE_COUNT_MAX {
            return Err(super::too_many_values());
        }
        match (value, &mut self.texts) {
            (Value::String(text), None) if self.numbers.is_empty() => self.texts = Some(vec![text.clone()]),
            (Value::String(text), Some(texts)) => texts.push(text.clone()),
            (Value::Array(_) | Value::Object(_), _) | (Value::String(_), None) | (_, Some(_)) => return Err(self.mixed()),
            (value, None) => self.numbers.push(number(value)?),
        }
        Ok(())
    }

    fn push_text(&mut self, field: &str) -> Result<(), Problem> {
        let field = field.trim();
        let value = match field {
            "" if self.texts.is_none() => Value::Null,
            "true" | "True" if self.texts.is_none() => Value::Bool(true),
            "false" | "False" if self.texts.is_none() => Value::Bool(false),
            field => match field.parse::<f64>() {
                Ok(number) if self.texts.is_none() => {
                    self.numbers.push(number);
                    return Ok(());
                }
                _ => Value::from(field),
            },
        };
        self.push(&value)
    }

    fn mixed(&self) -> Problem {
        let shown: String = self.name.chars().take(100).collect();
        Problem::invalid(format!("the column `{shown}` holds text and other values; a column is one or the other"))
    }
}

fn batch(columns: Vec<Column>) -> Result<Batch, Problem> {
    let tensors = columns.into_iter().map(|column| {
        let values = column.texts.map_or(Values::F64(column.numbers), Values::Text);
        (column.name, Tensor::column(values))
    });
    Batch::tensors(tensors.collect()).map_err(|error| Problem::invalid(error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_forms_say_the_same() {
        let forms = [
            r#"{"dataframe_split": {"columns": ["a", "b"], "data": [[1, "x"], [null, "y"]]}}"#,
            r#"{"dataframe_records": [{"a": 1, "b": "x"}, {"a": null, "b": "y"}], "params": {}}"#,
            r#"{"instances": [{"a": 1, "b": "x"}, {"a": null, "b": "y"}]}"#,
            r#"{"inputs": {"a": [1, null], "b": [["x"], ["y"]]}}"#,
        ];
        let shown: Vec<String> = forms.iter().map(|form| format!("{:?}", of_json(form.as_bytes()).unwrap())).collect();
        let csv = format!("{:?}", of_csv(b"a,b\n1,x\n,y\n").unwrap());
        assert!(shown.iter().all(|one| *one == csv), "{shown:#?}\n{csv}");
        assert_eq!(of_json(br#"{"inputs": [[1, 2], [3, 4]]}"#).unwrap().rows(), 2);
        assert_eq!(of_json(br#"{"instances": [1, 2, 3]}"#).unwrap().rows(), 3);
    }

    #[test]
    fn what_does_not_fit_is_said() {
        for (text, part) in [
            ("[]", "no JSON object"),
            ("{}", "exactly one of"),
            (r#"{"inputs": [[1]], "instances": [[1]]}"#, "exactly one of"),
            (r#"{"inputs": [[1, 2], [3]]}"#, "same length"),
            (r#"{"inputs": []}"#, "no rows"),
            (r#"{"dataframe_records": [{"a": 1}, {"b": 1}]}"#, "columns of the first"),
            (r#"{"dataframe_split": {"columns": ["a"], "data": [[1], ["x"]]}}"#, "text and other values"),
            (r#"{"dataframe_split": {"columns": ["a", "a"], "data": [[1, 2]]}}"#, "twice"),
        ] {
            let problem = of_json(text.as_bytes()).unwrap_err();
            assert!(problem.message().contains(part), "{text}: {problem}");
        }
    }
}
