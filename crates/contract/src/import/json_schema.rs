//! JSON Schema (drafts 6 to 2020-12) of one row, as a contract over one table.

use serde_json::{Map, Value};

use super::{Draft, Imported, list, object, only, text};
use crate::ContractError;
use crate::model::{LogicalType, Property, SchemaObject};
use crate::quality::{Operator, Quality};

/// Objects inside objects.
const NESTING_MAX: usize = 16;

/// Keywords that need nothing to be done, or are read elsewhere.
const READ: &[&str] = &[
    "$schema",
    "$id",
    "$defs",
    "definitions",
    "$comment",
    "title",
    "description",
    "type",
    "properties",
    "required",
    "items",
    "enum",
    "const",
    "format",
    "pattern",
    "minimum",
    "maximum",
    "exclusiveMinimum",
    "exclusiveMaximum",
    "multipleOf",
    "minLength",
    "maxLength",
    "minItems",
    "maxItems",
    "uniqueItems",
    "examples",
    "default",
    "readOnly",
    "writeOnly",
    "deprecated",
    "$ref",
];

/// Reads a schema as a contract over a table.
///
/// # Errors
/// `Syntax` if it is no schema of an object (or of an array of objects); `TooBig` over a limit.
pub fn json_schema(schema: &str, table: &str) -> Result<Imported, ContractError> {
    let root = object(schema)?;
    let row = match text(&root, "type") {
        Some("array") => root.get("items").and_then(Value::as_object),
        _ => Some(&root),
    };
    // Generators write what a row is behind a reference.
    let row = match row {
        Some(row) if !row.contains_key("properties") => Some(resolved(&root, row).map_err(ContractError::Syntax)?),
        row => row,
    };
    let row = row.filter(|row| row.get("properties").is_some_and(Value::is_object));
    let row = row.ok_or_else(|| ContractError::Syntax("the schema describes no object with `properties`".to_owned()))?;
    let mut draft = Draft::new(text(&root, "$id").or_else(|| text(&root, "title")).unwrap_or(table));
    let mut made = SchemaObject {
        name: table.to_owned(),
        logical_type: Some(LogicalType::Object),
        description: text(&root, "description").map(str::to_owned),
        ..SchemaObject::default()
    };
    made.properties = properties(&mut draft, &root, row, "", 0);
    if row.get("additionalProperties") == Some(&Value::Bool(false)) {
        made.quality.push(Quality::custom(crate::ENGINE, serde_json::json!({"check": "noOtherColumns"})));
    }
    if text(&root, "type") == Some("array") {
        of_all_rows(&mut draft, &mut made, &root);
    }
    draft.contract.schema.push(made);
    draft.finish()
}

/// What a schema of an array says of its rows together.
fn of_all_rows(draft: &mut Draft, made: &mut SchemaObject, array: &Map<String, Value>) {
    unread(draft, array, "");
    let count = |name: &str| array.get(name).and_then(Value::as_f64);
    let least = count("minItems").map(Operator::GreaterOrEqual);
    let most = count("maxItems").map(Operator::LessOrEqual);
    made.quality.extend([least, most].into_iter().flatten().map(|operator| Quality::library("rowCount", operator)));
    if array.get("uniqueItems") == Some(&Value::Bool(true)) {
        made.quality.push(Quality::custom(crate::ENGINE, serde_json::json!({"check": "duplicateRows"})));
    }
}

fn properties(draft: &mut Draft, root: &Map<String, Value>, from: &Map<String, Value>, at: &str, depth: usize) -> Vec<Property> {
    unread(draft, from, at);
    let required: Vec<&str> = list(from, "required").iter().filter_map(Value::as_str).collect();
    let mut made = Vec::new();
    for (name, schema) in from.get("properties").and_then(Value::as_object).into_iter().flatten() {
        let at = if at.is_empty() { name.clone() } else { format!("{at}.{name}") };
        let mut property = Property { name: name.clone(), ..Property::default() };
        if required.contains(&name.as_str()) {
            property.required = Some(true);
        }
        match schema.as_object() {
            Some(schema) => fill(draft, root, &mut property, schema, &at, depth),
            None => draft.cannot(&at, &schema.to_string(), "a schema that is no object says nothing about a column"),
        }
        made.push(property);
    }
    made
}

fn unread(draft: &mut Draft, schema: &Map<String, Value>, at: &str) {
    for (keyword, value) in schema {
        let closed = keyword == "additionalProperties" && value.is_boolean();
        if !READ.contains(&keyword.as_str()) && !closed {
            draft.cannot(at, keyword, "the keyword has no equal: write it as an `sql` rule");
        }
    }
}

/// The schema that a local `$ref` names.
fn resolved<'a>(root: &'a Map<String, Value>, schema: &'a Map<String, Value>) -> Result<&'a Map<String, Value>, String> {
    let mut found = schema;
    for _ in 0..NESTING_MAX {
        let Some(reference) = text(found, "$ref") else { return Ok(found) };
        let path = reference.strip_prefix("#/").ok_or("only references inside of the schema are followed")?;
        let mut steps = path.split('/');
        let first = steps.next().and_then(|step| root.get(step));
        let target = steps.fold(first, |value, step| value.and_then(|value| value.get(step)));
        found = target.and_then(Value::as_object).ok_or("the reference names nothing")?;
    }
    Err("the references lead in a circle".to_owned())
}

/// A schema of which `anyOf` or `oneOf` says null or one other schema, with what that other one says: so generators write that a
/// value may be missing.
fn nullable(schema: &Map<String, Value>) -> Option<Map<String, Value>> {
    const SAY_NOTHING: [&str; 4] = ["title", "description", "default", "examples"];
    let keyword = ["anyOf", "oneOf"].into_iter().find(|keyword| schema.contains_key(*keyword))?;
    let [first, second] = schema.get(keyword)?.as_array()?.as_slice() else { return None };
    let is_null = |value: &Value| value.get("type").and_then(Value::as_str) == Some("null");
    let one = match (is_null(first), is_null(second)) {
        (false, true) => first,
        (true, false) => second,
        _ => return None,
    };
    let mut together = one.as_object()?.clone();
    for (name, value) in schema.iter().filter(|(name, _)| name.as_str() != keyword) {
        let same = together.entry(name.clone()).or_insert_with(|| value.clone()) == value;
        if !same && !SAY_NOTHING.contains(&name.as_str()) {
            return None;
        }
    }
    Some(together)
}

/// A schema with what the parts of its `allOf` say of the same value; none where two say the same keyword in other words, which cannot be
/// one rule.
fn merged(root: &Map<String, Value>, schema: &Map<String, Value>) -> Option<Map<String, Value>> {
    const SAY_NOTHING: [&str; 4] = ["title", "description", "default", "examples"];
    let mut together = schema.clone();
    let Some(Value::Array(parts)) = together.remove("allOf") else { return None };
    if parts.len() > NESTING_MAX {
        return None;
    }
    for part in &parts {
        let part = resolved(root, part.as_object()?).ok()?;
        if part.contains_key("allOf") {
            return None;
        }
        for (name, value) in part {
            let known = together.entry(name.clone()).or_insert_with(|| value.clone());
            match (name.as_str(), known.as_f64(), value.as_f64()) {
                _ if known == value => {}
                ("minimum" | "exclusiveMinimum" | "minLength" | "minItems", Some(one), Some(other)) if one < other => {
                    *known = value.clone();
                }
                ("maximum" | "exclusiveMaximum" | "maxLength" | "maxItems", Some(one), Some(other)) if one > other => {
                    *known = value.clone();
                }
                ("minimum" | "exclusiveMinimum" | "minLength" | "minItems", Some(_), Some(_))
                | ("maximum" | "exclusiveMaximum" | "maxLength" | "maxItems", Some(_), Some(_)) => {}
                (name, _, _) if SAY_NOTHING.contains(&name) => {}
                _ => return None,
            }
        }
    }
    Some(together)
}

fn fill(
    draft: &mut Draft,
    root: &Map<String, Value>,
    property: &mut Property,
    schema: &Map<String, Value>,
    at: &str,
    depth: usize,
) {
    let schema = match resolved(root, schema) {
        Ok(schema) if depth < NESTING_MAX => schema,
        Ok(_) => return draft.cannot(at, "properties", "objects are nested too deeply"),
        Err(why) => return draft.cannot(at, "$ref", &why),
    };
    // What cannot be taken over is told with the keywords that are not read.
    let whole = merged(root, schema);
    let schema = whole.as_ref().unwrap_or(schema);
    let together = nullable(schema);
    if together.is_some() {
        property.required = None;
    }
    let schema = match together.as_ref().map_or(Ok(schema), |together| resolved(root, together)) {
        Ok(schema) => schema,
        Err(why) => return draft.cannot(at, "$ref", &why),
    };
    property.description = text(schema, "description").map(str::to_owned);
    let kind = kind(draft, property, schema, at);
    property.logical_type = kind;
    limits(property, schema);
    if let Some(values) = schema.get("enum").and_then(Value::as_array) {
        property.quality.push(only(values.clone()));
    } else if let Some(value) = schema.get("const") {
        property.quality.push(only(vec![value.clone()]));
    }
    match kind {
        Some(LogicalType::Object) => property.properties = properties(draft, root, schema, at, depth + 1),
        Some(LogicalType::Array) => {
            unread(draft, schema, at);
            if let Some(items) = schema.get("items").and_then(Value::as_object) {
                let mut inner = Property::default();
                fill(draft, root, &mut inner, items, &format!("{at}[]"), depth + 1);
                property.items = Some(Box::new(inner));
            }
        }
        _ => unread(draft, schema, at),
    }
}

/// The logical type, and whether null is allowed.
fn kind(draft: &mut Draft, property: &mut Property, schema: &Map<String, Value>, at: &str) -> Option<LogicalType> {
    let words: Vec<&str> = match schema.get("type") {
        Some(Value::String(word)) => vec![word],
        Some(Value::Array(words)) => words.iter().filter_map(Value::as_str).collect(),
        _ => Vec::new(),
    };
    if words.contains(&"null") {
        property.required = None;
    }
    let word = match words.iter().filter(|word| **word != "null").copied().collect::<Vec<_>>().as_slice() {
        [] => return None,
        [one] => *one,
        ["integer", "number"] | ["number", "integer"] => "number",
        _ => {
            draft.cannot(at, "type", "several types at once have no equal");
            return None;
        }
    };
    Some(match (word, text(schema, "format")) {
        ("string", Some("date")) => LogicalType::Date,
        ("string", Some("date-time")) => LogicalType::Timestamp,
        ("string", Some("time")) => LogicalType::Time,
        ("string", format) => {
            if let Some(format) = format {
                property.options_mut().format = Some(format.to_owned());
            }
            LogicalType::String
        }
        ("integer", _) => LogicalType::Integer,
        ("number", _) => LogicalType::Number,
        ("boolean", _) => LogicalType::Boolean,
        ("object", _) => LogicalType::Object,
        ("array", _) => LogicalType::Array,
        (other, _) => {
            draft.cannot(at, other, "the type is not known");
            return None;
        }
    })
}

fn limits(property: &mut Property, schema: &Map<String, Value>) {
    let number = |name: &str| schema.get(name).filter(|value| value.is_number()).cloned();
    let count = |name: &str| schema.get(name).and_then(Value::as_u64);
    let made = crate::model::Options {
        minimum: number("minimum"),
        maximum: number("maximum"),
        exclusive_minimum: number("exclusiveMinimum"),
        exclusive_maximum: number("exclusiveMaximum"),
        multiple_of: schema.get("multipleOf").and_then(Value::as_f64),
        min_length: count("minLength"),
        max_length: count("maxLength"),
        pattern: text(schema, "pattern").map(str::to_owned),
        min_items: count("minItems"),
        max_items: count("maxItems"),
        unique_items: schema.get("uniqueItems").and_then(Value::as_bool),
        format: property.logical_type_options.take().and_then(|options| options.format),
        ..crate::model::Options::default()
    };
    if made != crate::model::Options::default() {
        property.logical_type_options = Some(made);
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_schema_becomes_a_contract() {
        let schema = json!({
            "$id": "urn:people", "type": "object", "additionalProperties": false, "required": ["id", "born", "nick", "maybe"],
            "properties": {
                "id": {"type": "integer", "minimum": 1},
                "born": {"type": "string", "format": "date"},
                "mail": {"type": "string", "format": "email", "maxLength": 100, "pattern": "@"},
                "nick": {"type": ["string", "null"]},
                "sex": {"enum": ["f", "m", null]},
                "address": {"$ref": "#/$defs/address"},
                "tags": {"type": "array", "minItems": 1, "items": {"type": "string"}},
                "odd": {"anyOf": [{"type": "string"}, {"type": "integer"}]},
                "both": {"anyOf": [{"type": "string", "maxLength": 3}, {"type": "null"}], "maxLength": 2},
                "maybe": {"anyOf": [{"type": "string", "maxLength": 5}, {"type": "null"}], "default": null, "title": "Maybe"},
                "home": {"oneOf": [{"type": "null"}, {"$ref": "#/$defs/address"}]},
                "loop": {"$ref": "#/$defs/loop"}
            },
            "$defs": {
                "address": {"type": "object", "properties": {"street": {"type": "string"}}, "required": ["street"]},
                "loop": {"$ref": "#/$defs/loop"}
            }
        });
        let imported = json_schema(&schema.to_string(), "people").unwrap();
        let table = &imported.contract.schema[0];
        let column = |name: &str| table.property(name).unwrap();
        assert_eq!((column("id").required, column("id").logical_type), (Some(true), Some(LogicalType::Integer)));
        assert_eq!(column("born").logical_type, Some(LogicalType::Date));
        assert_eq!(column("nick").required, None);
        assert_eq!(column("mail").logical_type_options.as_ref().unwrap().format.as_deref(), Some("email"));
        assert_eq!(column("sex").quality[0].arguments["validValues"], json!(["f", "m"]));
        assert_eq!(column("address").properties[0].required, Some(true));
        assert_eq!(column("tags").items.as_ref().unwrap().logical_type, Some(LogicalType::String));
        let maybe = column("maybe");
        assert_eq!((maybe.required, maybe.logical_type), (None, Some(LogicalType::String)));
        assert_eq!(maybe.logical_type_options.as_ref().unwrap().max_length, Some(5));
        assert_eq!(column("home").properties[0].name, "street");
        let named: Vec<(&str, &str)> = imported.unsupported.iter().map(|one| (one.at.as_str(), one.what.as_str())).collect();
        assert_eq!(named, [("both", "anyOf"), ("loop", "$ref"), ("odd", "anyOf")]);
    }

    #[test]
    fn what_several_schemas_say_of_one_column_is_put_together() {
        let schema = json!({
            "type": "object",
            "properties": {
                "age": {"allOf": [{"$ref": "#/$defs/Count"}, {"maximum": 130, "minimum": 18}], "description": "years"},
                "code": {"allOf": [{"type": "string", "pattern": "^a"}, {"pattern": "z$"}]}
            },
            "$defs": {"Count": {"type": "integer", "minimum": 0, "maximum": 200}}
        });
        let imported = json_schema(&schema.to_string(), "people").unwrap();
        let age = imported.contract.schema[0].property("age").unwrap();
        let options = age.logical_type_options.as_ref().unwrap();
        assert_eq!((age.logical_type, age.description.as_deref()), (Some(LogicalType::Integer), Some("years")));
        assert_eq!((options.minimum.clone(), options.maximum.clone()), (Some(json!(18)), Some(json!(130))));
        // Two patterns are no one pattern.
        let named: Vec<(&str, &str)> = imported.unsupported.iter().map(|one| (one.at.as_str(), one.what.as_str())).collect();
        assert_eq!(named, [("code", "allOf")]);
    }

    #[test]
    fn rows_behind_a_reference_and_what_is_said_of_all_of_them_are_read() {
        let schema = json!({
            "type": "array", "minItems": 2, "maxItems": 9, "uniqueItems": true, "contains": {}, "items": {"$ref": "#/$defs/Row"},
            "$defs": {"Row": {"type": "object", "properties": {"id": {"type": "integer"}}, "required": ["id"]}}
        });
        let imported = json_schema(&schema.to_string(), "rows").unwrap();
        let table = &imported.contract.schema[0];
        assert_eq!(table.property("id").unwrap().required, Some(true));
        let counts: Vec<Vec<Operator>> = table.quality.iter().take(2).map(|rule| rule.operators().unwrap()).collect();
        assert_eq!(counts, [[Operator::GreaterOrEqual(2.0)], [Operator::LessOrEqual(9.0)]]);
        assert_eq!(table.quality.len(), 3);
        assert_eq!(imported.unsupported.iter().map(|one| one.what.as_str()).collect::<Vec<_>>(), ["contains"]);
    }

    #[test]
    fn what_describes_no_row_is_refused() {
        for text in ["true", "{\"type\": \"string\"}", "{\"type\": \"array\"}"] {
            assert!(json_schema(text, "t").is_err(), "{text}");
        }
    }
}
