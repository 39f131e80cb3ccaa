//! Which fields a dataset's records have: the kind of each field's first value, in MLflow's words.

use kernel::Problem;
use serde_json::{Map, Value, json};

use crate::limits;
use crate::types::NewRecord;

/// The schema with the fields of `records` added.
pub(crate) fn extended(known: Option<&str>, records: &[NewRecord]) -> Result<Option<String>, Problem> {
    if records.is_empty() {
        return Ok(known.map(str::to_owned));
    }
    let mut schema: Map<String, Value> = match known {
        Some(text) => serde_json::from_str(text).map_err(|e| Problem::internal("a schema that is kept cannot be read", e))?,
        None => Map::from_iter([
            ("inputs".to_owned(), json!({})),
            ("outputs".to_owned(), json!({})),
            ("expectations".to_owned(), json!({})),
            ("version".to_owned(), json!("1.0")),
        ]),
    };
    for record in records {
        add(&mut schema, "inputs", &record.inputs);
        match &record.outputs {
            Some(Value::Object(outputs)) => add(&mut schema, "outputs", outputs),
            Some(Value::Null) | None => {}
            Some(other) if schema.get("outputs").is_none_or(|known| known.as_object().is_some_and(Map::is_empty)) => {
                schema.insert("outputs".to_owned(), Value::from(kind(other)));
            }
            Some(_) => {}
        }
        add(&mut schema, "expectations", &record.expectations);
    }
    let text = Value::Object(schema).to_string();
    if text.len() > limits::SCHEMA_BYTES_MAX {
        return Err(Problem::invalid(format!(
            "the records of one dataset have too many different fields: their list has {} bytes, the limit is {}",
            text.len(),
            limits::SCHEMA_BYTES_MAX
        )));
    }
    Ok(Some(text))
}

fn add(schema: &mut Map<String, Value>, part: &str, document: &Map<String, Value>) {
    // A part that is no list of fields is the kind of an answer that is one value: it stays.
    if let Some(Value::Object(fields)) = schema.get_mut(part) {
        for (key, value) in document {
            if !fields.contains_key(key) {
                fields.insert(key.clone(), Value::from(kind(value)));
            }
        }
    }
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(number) if number.is_f64() => "float",
        Value::Number(_) => "integer",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(text: &str) -> NewRecord {
        let Value::Object(mut all) = serde_json::from_str::<Value>(text).unwrap() else { panic!("an object") };
        let inputs = serde_json::from_value(all.remove("inputs").unwrap_or_else(|| json!({}))).unwrap();
        NewRecord { inputs, outputs: all.remove("outputs"), ..NewRecord::default() }
    }

    #[test]
    fn the_first_kind_of_a_field_stays() {
        let first = extended(
            None,
            &[record(r#"{"inputs": {"a": 1, "b": 1.5, "c": null, "d": [], "e": {}, "f": true}, "outputs": "x"}"#)],
        );
        let first = first.unwrap().unwrap();
        let second =
            extended(Some(&first), &[record(r#"{"inputs": {"a": "text", "g": "x"}, "outputs": {"k": 1}}"#)]).unwrap().unwrap();
        let found: Value = serde_json::from_str(&second).unwrap();
        assert_eq!(
            found,
            json!({
                "inputs": {"a": "integer", "b": "float", "c": "null", "d": "array", "e": "object", "f": "boolean", "g": "string"},
                "outputs": "string", "expectations": {}, "version": "1.0"
            })
        );
        assert_eq!(extended(None, &[]).unwrap(), None);
    }
}
