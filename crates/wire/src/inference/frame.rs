//! Rows as MLflow's scoring protocol sends them: `dataframe_split`, `dataframe_records`, `instances`, `inputs`, and CSV. None of them
//! says types: those are the model's.
//! Source: mlflow docs, "Deploy MLflow Model as a Local Inference Server", Inference Server Specification.

use std::collections::BTreeMap;
use std::fmt;

use kernel::Problem;
use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serving::{Batch, Cell, Written};

use super::nest::{Nest, NestSeed};
use super::{VALUE_COUNT_MAX, nan};

/// Columns of one request.
const COLUMN_COUNT_MAX: usize = 100_000;

/// A body of JSON.
pub(super) fn of_json(bytes: &[u8]) -> Result<Batch, Problem> {
    let read = |bytes: &[u8]| {
        let mut json = serde_json::Deserializer::from_slice(bytes);
        json.deserialize_map(Body).and_then(|given| json.end().map(|()| given))
    };
    let wrong = |error| Problem::invalid(format!("the body cannot be read: {}", nan::why(bytes, &error)));
    let given = nan::read(bytes, read).map_err(wrong)?;
    let (given, has_params) = given;
    let written = match given.ok_or_else(one_of)? {
        Given::Columns(columns) => columns,
        Given::Nest(nest) => vec![matrix(nest)?],
    };
    let batch = batch(written)?;
    Ok(if has_params { batch.with_params() } else { batch })
}

fn one_of() -> Problem {
    Problem::invalid("the body has exactly one of `dataframe_split`, `dataframe_records`, `instances` and `inputs`")
}

/// What a body holds.
enum Given {
    Columns(Vec<Written>),
    /// Rows without names.
    Nest(Nest),
}

/// Rows of values, as one.
fn matrix(nest: Nest) -> Result<Written, Problem> {
    if nest.cells.is_empty() {
        return Err(Problem::invalid("there are no rows"));
    }
    Ok(named(String::new(), nest))
}

/// A list of values is a column.
fn named(name: String, nest: Nest) -> Written {
    let Nest { mut shape, cells } = nest;
    if shape.len() < 2 {
        shape = vec![cells.len(), 1];
    }
    Written { name, shape, cells }
}

fn batch(written: Vec<Written>) -> Result<Batch, Problem> {
    if written.is_empty() || written.len() > COLUMN_COUNT_MAX {
        return Err(Problem::invalid(format!("there are from 1 to {COLUMN_COUNT_MAX} columns")));
    }
    Batch::written(written).map_err(|error| Problem::invalid(error.to_string()))
}

struct Body;

impl<'de> Visitor<'de> for Body {
    /// None where there is not exactly one; and whether there are `params`.
    type Value = (Option<Given>, bool);

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON object with `dataframe_split`, `dataframe_records`, `instances` or `inputs`")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let (mut given, mut count, mut has_params) = (None, 0, false);
        while let Some(name) = map.next_key::<String>()? {
            if name == "params" {
                let params = map.next_value::<Option<BTreeMap<String, IgnoredAny>>>()?;
                has_params |= params.is_some_and(|params| !params.is_empty());
                continue;
            }
            count += 1;
            if count > 1 {
                map.next_value::<IgnoredAny>()?;
                continue;
            }
            given = match name.as_str() {
                "dataframe_split" => Some(map.next_value_seed(Split)?),
                "dataframe_records" => Some(map.next_value_seed(Rows { takes_lists: false })?),
                "instances" => Some(map.next_value_seed(Rows { takes_lists: true })?),
                "inputs" => Some(map.next_value_seed(Inputs)?),
                _ => map.next_value::<IgnoredAny>().map(|_| None)?,
            };
        }
        Ok((given.filter(|_| count == 1), has_params))
    }
}

/// `{"columns": […], "data": [[…], …]}`
struct Split;

impl<'de> DeserializeSeed<'de> for Split {
    type Value = Given;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Given, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Split {
    type Value = Given;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("`columns` and `data`, lists of names and of rows")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Given, A::Error> {
        let (mut columns, mut data) = (None, None);
        while let Some(name) = map.next_key::<String>()? {
            match name.as_str() {
                "columns" if columns.is_some() => return Err(A::Error::duplicate_field("columns")),
                "data" if data.is_some() => return Err(A::Error::duplicate_field("data")),
                "columns" => columns = map.next_value::<Option<Vec<Name>>>()?,
                "data" => {
                    let mut nest = Nest::default();
                    map.next_value_seed(NestSeed::of(&mut nest))?;
                    data = Some(nest);
                }
                _ => {
                    map.next_value::<IgnoredAny>()?;
                }
            }
        }
        let data = data.ok_or_else(|| A::Error::missing_field("data"))?;
        let Some(columns) = columns else { return Ok(Given::Nest(data)) };
        let fits = data.cells.is_empty() || matches!(data.shape.as_slice(), [_, width] if *width == columns.len());
        if !fits || columns.is_empty() {
            return Err(A::Error::custom("each row of `data` is a list with a value for each of `columns`"));
        }
        Ok(Given::Columns(Written::columns(columns.into_iter().map(|Name(name)| name).collect(), data.cells)))
    }
}

/// A column's name: pandas has numbers for those that were not named.
struct Name(String);

impl<'de> serde::Deserialize<'de> for Name {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let value = serde_json::Value::deserialize(deserializer)?;
        Ok(Self(value.as_str().map_or_else(|| value.to_string(), str::to_owned)))
    }
}

/// A column of which nothing is known yet.
const fn column(name: String) -> Written {
    Written { name, shape: Vec::new(), cells: Vec::new() }
}

fn ended(mut columns: Vec<Written>) -> Vec<Written> {
    columns.iter_mut().for_each(|column| column.shape = vec![column.cells.len(), 1]);
    columns
}

/// A list of rows: objects, or lists where these are taken.
#[derive(Clone, Copy)]
struct Rows {
    takes_lists: bool,
}

impl<'de> DeserializeSeed<'de> for Rows {
    type Value = Given;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Given, D::Error> {
        deserializer.deserialize_seq(self)
    }
}

impl<'de> Visitor<'de> for Rows {
    type Value = Given;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.takes_lists {
            "a list of rows"
        } else {
            "a list of rows, each an object with a value for each column"
        })
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Given, A::Error> {
        let (mut columns, mut nest) = (Vec::new(), Nest::default());
        let mut count = 0;
        while list.next_element_seed(Row { rows: self, columns: &mut columns, nest: &mut nest, count })?.is_some() {
            count += 1;
        }
        if columns.is_empty() && !self.takes_lists {
            return Err(A::Error::custom("rows are objects with a value for each column, and there is at least one"));
        }
        if columns.is_empty() {
            nest.end_rows(count).map_err(A::Error::custom)?;
            return Ok(Given::Nest(nest));
        }
        Ok(Given::Columns(ended(columns)))
    }
}

/// One of them.
struct Row<'a> {
    rows: Rows,
    columns: &'a mut Vec<Written>,
    nest: &'a mut Nest,
    /// How many there were before it.
    count: usize,
}

impl<'de> DeserializeSeed<'de> for Row<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'a> Row<'a> {
    /// What it is where it is no object.
    fn value<E: Error>(self) -> Result<NestSeed<'a>, E> {
        if !self.rows.takes_lists || !self.columns.is_empty() {
            return Err(E::custom("rows are objects with a value for each column"));
        }
        Ok(NestSeed { nest: self.nest, depth: 1 })
    }
}

impl<'de> Visitor<'de> for Row<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.rows.expecting(f)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let Self { columns, nest, count, .. } = self;
        let uneven = || A::Error::custom("each row has the columns of the first one");
        if !nest.cells.is_empty() {
            return Err(A::Error::custom("all rows are objects, or none is"));
        }
        // One for all values of the row: it is empty again once its value was taken.
        let mut own = Nest::default();
        let mut place = 0;
        while let Some(name) = map.next_key::<String>()? {
            // Mostly they stand in the order of the first row.
            let at = match columns.get(place).filter(|column| column.name == name) {
                Some(_) => place,
                None if count == 0 => columns.len(),
                None => columns.iter().position(|column| column.name == name).ok_or_else(uneven)?,
            };
            if at == columns.len() {
                if columns.len() >= COLUMN_COUNT_MAX {
                    return Err(A::Error::custom(format_args!("there are from 1 to {COLUMN_COUNT_MAX} columns")));
                }
                columns.push(column(name));
            }
            map.next_value_seed(NestSeed::one(&mut own))?;
            if let (Some(column), Some(cell)) = (columns.get_mut(at), own.cells.pop()) {
                column.cells.push(cell);
                if column.cells.len() != count + 1 {
                    return Err(uneven());
                }
            }
            place += 1;
        }
        if place != columns.len() || place == 0 {
            return Err(uneven());
        }
        if place.saturating_mul(count) > VALUE_COUNT_MAX {
            return Err(A::Error::custom(super::too_many_values().message()));
        }
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, list: A) -> Result<(), A::Error> {
        self.value::<A::Error>()?.visit_seq(list)
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<(), E> {
        self.value::<E>()?.visit_bool(value)
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<(), E> {
        self.value::<E>()?.visit_i64(value)
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<(), E> {
        self.value::<E>()?.visit_u64(value)
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<(), E> {
        self.value::<E>()?.visit_f64(value)
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<(), E> {
        self.value::<E>()?.visit_str(value)
    }

    fn visit_unit<E: Error>(self) -> Result<(), E> {
        self.value::<E>()?.visit_unit()
    }
}

/// A list of rows, or lists by name.
struct Inputs;

impl<'de> DeserializeSeed<'de> for Inputs {
    type Value = Given;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Given, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Inputs {
    type Value = Given;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of rows, or a list of values for each name")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, list: A) -> Result<Given, A::Error> {
        Rows { takes_lists: true }.visit_seq(list)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Given, A::Error> {
        let mut columns = Vec::new();
        while let Some(name) = map.next_key::<String>()? {
            // A single value is that of a single row.
            let mut nest = Nest::default();
            map.next_value_seed(NestSeed::either(&mut nest))?;
            columns.push(named(name, nest));
        }
        Ok(Given::Columns(columns))
    }
}

/// Text with a header of names, and commas between fields.
pub(super) fn of_csv(bytes: &[u8]) -> Result<Batch, Problem> {
    let wrong = |error: csv::Error| Problem::invalid(format!("the body cannot be read as CSV: {error}"));
    let mut reader = csv::ReaderBuilder::new().from_reader(bytes);
    let mut columns: Vec<Written> = reader.headers().map_err(wrong)?.iter().map(|name| column(name.to_owned())).collect();
    let mut row = csv::StringRecord::new();
    let mut count = 0;
    while reader.read_record(&mut row).map_err(wrong)? {
        count += row.len();
        if count > VALUE_COUNT_MAX {
            return Err(super::too_many_values());
        }
        for (column, field) in columns.iter_mut().zip(&row) {
            column.cells.push(Cell::Field(field.to_owned()));
        }
    }
    batch(ended(columns))
}

#[cfg(test)]
mod tests {
    use serving::{DataType, Port, Role, Signature};

    use super::*;

    /// For a model with an input for each of these.
    fn model(ports: &[(&str, DataType)]) -> Signature {
        let port = |(name, data_type): &(&str, DataType)| Port {
            name: (*name).to_owned(),
            data_type: *data_type,
            narrow: None,
            shape: vec![None, None],
            columns: Vec::new(),
            role: Role::Value,
        };
        Signature { inputs: ports.iter().map(port).collect(), ..Signature::default() }
    }

    fn shown(batch: Result<Batch, Problem>, ports: &[(&str, DataType)]) -> String {
        let batch = batch.and_then(|batch| batch.typed(&model(ports)).map_err(|error| Problem::invalid(error.to_string())));
        batch.map_or_else(|problem| problem.message().to_owned(), |batch| format!("{:?}", batch.inputs().collect::<Vec<_>>()))
    }

    #[test]
    fn all_forms_say_the_same() {
        let forms = [
            r#"{"dataframe_split": {"columns": ["b", "a"], "data": [["x", 1], ["y", null]]}}"#,
            r#"{"dataframe_split": {"data": [["x", 1], ["y", NaN]], "index": [0, 1], "columns": ["b", "a"]}}"#,
            r#"{"dataframe_records": [{"b": "x", "a": 1}, {"a": null, "b": "y"}], "params": {}}"#,
            r#"{"instances": [{"b": "x", "a": 1}, {"b": "y", "a": null}]}"#,
            r#"{"inputs": {"b": [["x"], ["y"]], "a": [1, NaN]}}"#,
        ];
        let ports = [("a", DataType::F64), ("b", DataType::Text)];
        let csv = shown(of_csv(b"b,a\nx,1\ny,NA\n"), &ports);
        assert!(csv.starts_with("[(\"b\"") && csv.contains("NaN"), "{csv}");
        for form in forms {
            assert_eq!(shown(of_json(form.as_bytes()), &ports), csv, "{form}");
        }
        let single = |form: &str| shown(of_json(form.as_bytes()), &ports);
        assert_eq!(single(r#"{"inputs": {"b": "x", "a": 1}}"#), single(r#"{"inputs": {"b": ["x"], "a": [1]}}"#));
        assert_eq!(of_json(br#"{"inputs": [[1, 2], [3, 4]]}"#).unwrap().rows(), 2);
        assert_eq!(of_json(br#"{"instances": [1, 2, 3]}"#).unwrap().rows(), 3);
        assert_eq!(of_json(br#"{"dataframe_split": {"columns": ["a"], "data": []}}"#).unwrap().rows(), 0);
    }

    #[test]
    fn params_are_noticed_where_there_are_any() {
        for (params, has_params) in [("null", false), ("{}", false), (r#"{"k": [1, {"a": null}]}"#, true)] {
            let form = format!(r#"{{"params": {params}, "inputs": [[1]]}}"#);
            assert_eq!(of_json(form.as_bytes()).unwrap().has_params(), has_params, "{params}");
        }
        assert!(of_json(br#"{"inputs": [[1]], "params": 3}"#).is_err());
    }

    #[test]
    fn types_and_shapes_are_the_models() {
        let large = br#"{"dataframe_split": {"columns": ["x"], "data": [[9007199254740993], [1]]}}"#;
        assert!(shown(of_json(large), &[("x", DataType::I64)]).contains("I64([9007199254740993, 1])"));
        let both = br#"{"inputs": {"x": [[1.0, 2.0]], "b": [true]}}"#;
        let told = shown(of_json(both), &[("x", DataType::F32), ("b", DataType::Bool)]);
        assert!(told.contains("[1, 2]") && told.contains("Bool([true])"), "{told}");
        let deep = br#"{"instances": [[[1, 2], [3, 4]], [[5, 6], [7, 8]]]}"#;
        assert!(shown(of_json(deep), &[("x", DataType::F32)]).contains("[2, 2, 2]"));
        let places = shown(of_csv(b"zip,town\n1010, Bern\n,\"Aarau\"\n"), &[("zip", DataType::Text), ("town", DataType::Text)]);
        assert!(places.contains(r#"Text(["1010", ""])"#) && places.contains(r#"Text([" Bern", "Aarau"])"#), "{places}");
    }

    #[test]
    fn what_does_not_fit_is_said() {
        for (text, part) in [
            ("[]", "a JSON object"),
            ("{}", "exactly one of"),
            ("{\"inputs\": [[1]]} x", "cannot be read"),
            (r#"{"inputs": [[1]], "instances": [[1]]}"#, "exactly one of"),
            (r#"{"input": [[1]]}"#, "exactly one of"),
            (r#"{"inputs": [[1, 2], [3]]}"#, "same length"),
            (r#"{"inputs": [[1], 2]}"#, "same length"),
            (r#"{"inputs": []}"#, "no rows"),
            (r#"{"inputs": {}}"#, "columns"),
            (r#"{"inputs": 3}"#, "a list of rows"),
            (r#"{"inputs": [{"a": {"b": 1}}]}"#, "a single value"),
            (r#"{"dataframe_records": []}"#, "at least one"),
            (r#"{"dataframe_records": [[1]]}"#, "objects"),
            (r#"{"dataframe_records": [{"a": 1}, {"b": 1}]}"#, "columns of the first"),
            (r#"{"dataframe_records": [{"a": 1, "b": 2}, {"b": 1}]}"#, "columns of the first"),
            (r#"{"dataframe_records": [{"a": 1}, {"a": 1, "a": 2}]}"#, "columns of the first"),
            (r#"{"dataframe_split": {"columns": ["a"], "data": [[1, 2]]}}"#, "for each of `columns`"),
            (r#"{"dataframe_split": {"columns": ["a", "a"], "data": [[1, 2]]}}"#, "twice"),
            (r#"{"dataframe_split": {"columns": ["a"], "data": [[1]], "data": [[2]]}}"#, "duplicate field `data`"),
            (r#"{"dataframe_split": {"columns": ["a"], "columns": ["b"], "data": [[1]]}}"#, "duplicate field `columns`"),
        ] {
            let problem = of_json(text.as_bytes()).unwrap_err();
            assert!(problem.message().contains(part), "{text}: {problem}");
        }
        let mixed = of_json(br#"{"dataframe_split": {"columns": ["a"], "data": [[1], ["x"]]}}"#);
        assert!(shown(mixed, &[("a", DataType::F64)]).contains("text where a number is expected"));
        let deep = format!("{{\"inputs\": {}1{}}}", "[".repeat(20), "]".repeat(20));
        assert!(of_json(deep.as_bytes()).unwrap_err().message().contains("nested"));
    }
}
