//! A record as it is written: documents as JSON texts, and the digest of its inputs.

use kernel::{Problem, hex, sha256};
use serde_json::{Map, Value, json};

use crate::types::{NewRecord, Record, RecordSource};
use crate::{attribution, limits};

/// What a record may be made from.
const SOURCE_KINDS: [&str; 5] = ["UNSPECIFIED", "TRACE", "HUMAN", "DOCUMENT", "CODE"];

/// A record's documents, ready to be written.
pub(crate) struct Document {
    pub(crate) input_hash: String,
    pub(crate) inputs: String,
    /// `None` leaves it as it is; the inner `None` takes it away.
    pub(crate) outputs: Option<Option<String>>,
    pub(crate) expectations: Map<String, Value>,
    pub(crate) tags: Map<String, Value>,
    pub(crate) source: Option<Source>,
}

/// What it was made from.
pub(crate) struct Source {
    pub(crate) kind: String,
    pub(crate) id: Option<String>,
    pub(crate) text: String,
}

/// The documents that take the place of a record's.
pub(crate) struct Merged {
    pub(crate) outputs: Option<String>,
    pub(crate) expectations: Option<String>,
    pub(crate) tags: String,
}

impl Document {
    pub(crate) fn of(record: NewRecord, caller: &str) -> Result<Self, Problem> {
        let mut inputs = Value::Object(record.inputs);
        // The same inputs in another order are the same record.
        inputs.sort_all_objects();
        let inputs = inputs.to_string();
        let document = Self {
            input_hash: hex(&sha256(inputs.as_bytes())),
            inputs,
            outputs: record.outputs.map(|outputs| Some(outputs).filter(|value| !value.is_null()).map(|value| value.to_string())),
            expectations: record.expectations,
            tags: attribution::of_record_tags(record.tags, caller),
            source: record.source.map(source).transpose()?,
        };
        document.merged(None)?;
        Ok(document)
    }

    /// What stands after this one was merged into `old`, or by itself.
    pub(crate) fn merged(&self, old: Option<&Record>) -> Result<Merged, Problem> {
        let outputs = match (&self.outputs, old) {
            (Some(outputs), _) => outputs.clone(),
            (None, Some(old)) => old.outputs.clone(),
            // MLflow's clients read an answer that was never given as an empty one.
            (None, None) => Some("{}".to_owned()),
        };
        let expectations = united(old.and_then(|old| old.expectations.as_deref()), &self.expectations)?;
        let expectations = (!expectations.is_empty()).then(|| Value::Object(expectations).to_string());
        let tags = Value::Object(united(old.map(|old| old.tags.as_str()), &self.tags)?).to_string();
        let source = old.map_or_else(
            || self.source.as_ref().map_or(0, |source| source.text.len()),
            |old| old.source.as_ref().map_or(0, String::len),
        );
        let bytes = [self.inputs.len(), length(outputs.as_ref()), length(expectations.as_ref()), tags.len(), source]
            .iter()
            .sum::<usize>();
        if bytes > limits::RECORD_BYTES_MAX {
            return Err(Problem::invalid(format!(
                "a record has {bytes} bytes; the limit is {}. Keep large documents as artifacts and name them in the record",
                limits::RECORD_BYTES_MAX
            )));
        }
        Ok(Merged { outputs, expectations, tags })
    }
}

fn length(text: Option<&String>) -> usize {
    text.map_or(0, String::len)
}

fn united(old: Option<&str>, new: &Map<String, Value>) -> Result<Map<String, Value>, Problem> {
    let mut all: Map<String, Value> = match old {
        Some(text) => serde_json::from_str(text).map_err(|e| Problem::internal("a record that is kept cannot be read", e))?,
        None => Map::new(),
    };
    all.extend(new.iter().map(|(key, value)| (key.clone(), value.clone())));
    Ok(all)
}

fn source(source: RecordSource) -> Result<Source, Problem> {
    let kind = source.kind.to_uppercase();
    if !SOURCE_KINDS.contains(&kind.as_str()) {
        let shown: String = kind.chars().take(100).collect();
        let valid: Vec<String> = SOURCE_KINDS.iter().map(|kind| format!("'{kind}'")).collect();
        return Err(Problem::invalid(format!(
            "Invalid dataset record source type: {shown}. Valid source types: [{}]",
            valid.join(", ")
        )));
    }
    let key = if kind == "TRACE" { "trace_id" } else { "source_id" };
    let id = source.data.get(key).and_then(Value::as_str).map(str::to_owned);
    if let Some(id) = &id {
        crate::rules::within(key, limits::SOURCE_ID_CHARS_MAX, id)?;
    }
    let text = json!({"source_type": kind, "source_data": source.data}).to_string();
    Ok(Source { kind, id, text })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(inputs: &str) -> Document {
        let record = NewRecord { inputs: serde_json::from_str(inputs).unwrap(), ..NewRecord::default() };
        Document::of(record, "alice").unwrap()
    }

    #[test]
    fn the_order_of_keys_does_not_matter_and_numbers_keep_their_kind() {
        assert_eq!(of(r#"{"a": {"c": 1, "b": 2}, "x": 1}"#).input_hash, of(r#"{"x":1,"a":{"b":2,"c":1}}"#).input_hash);
        assert_ne!(of(r#"{"a": 1}"#).input_hash, of(r#"{"a": 1.0}"#).input_hash);
        assert_ne!(of(r#"{"a": [1, 2]}"#).input_hash, of(r#"{"a": [2, 1]}"#).input_hash);
    }
}
