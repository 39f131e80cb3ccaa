//! Frictionless Table Schema, alone or inside a Data Package or Data Resource.

use serde_json::{Map, Value};

use super::{Draft, Imported, list, object, only, text, unique_together};
use crate::ContractError;
use crate::instant::TimeFormat;
use crate::model::{LogicalType, OneOrMany, Property, Relationship, SchemaObject};

/// What a field may say that is not read.
const UNREAD: &[&str] = &["bareNumber", "categories", "decimalChar", "delimiter", "groupChar", "itemType", "missingValues"];

/// Reads a table schema, a resource or a package as a contract. `table` names the table where the text does not.
///
/// # Errors
/// `Syntax` if it is none; `Invalid` if it refers to what it does not have; `TooBig` over a limit.
pub fn frictionless(descriptor: &str, table: &str) -> Result<Imported, ContractError> {
    let root = object(descriptor)?;
    let mut draft = Draft::new(text(&root, "name").unwrap_or(table));
    let resources = list(&root, "resources");
    let mut tables: Vec<(String, &Map<String, Value>)> = Vec::new();
    for (index, resource) in resources.iter().enumerate() {
        let name = resource.get("name").and_then(Value::as_str).map_or_else(|| format!("resource{index}"), str::to_owned);
        match resource.get("schema").and_then(Value::as_object) {
            Some(schema) => tables.push((name, schema)),
            None => draft.cannot(&name, "schema", "the resource has none here"),
        }
    }
    if tables.is_empty() {
        let schema = root.get("schema").and_then(Value::as_object).unwrap_or(&root);
        if !schema.get("fields").is_some_and(Value::is_array) {
            return Err(ContractError::Syntax("a table schema has a list of `fields`; this has none".to_owned()));
        }
        tables.push((table.to_owned(), schema));
    }
    for (name, schema) in &tables {
        let made = one(&mut draft, name, schema);
        draft.contract.schema.push(made);
    }
    draft.finish()
}

fn one(draft: &mut Draft, name: &str, schema: &Map<String, Value>) -> SchemaObject {
    let mut made = SchemaObject { name: name.to_owned(), logical_type: Some(LogicalType::Object), ..SchemaObject::default() };
    let keys = names(schema.get("primaryKey"));
    for field in list(schema, "fields").iter().filter_map(Value::as_object) {
        let mut property = field_of(draft, name, field);
        if let Some(position) = keys.iter().position(|key| *key == property.name) {
            property.primary_key = Some(true);
            property.primary_key_position = i64::try_from(position + 1).ok();
        }
        made.properties.push(property);
    }
    for key in list(schema, "foreignKeys") {
        reference(draft, &mut made, key);
    }
    for key in list(schema, "uniqueKeys") {
        unique(draft, &mut made, key);
    }
    for unread in ["missingValues", "fieldsMatch"] {
        if schema.get(unread).is_some_and(|value| *value != serde_json::json!([""])) {
            draft.cannot(name, unread, "it is about how the file is read, or has no equal: write it as a rule");
        }
    }
    made
}

/// Fields that no two rows have alike.
fn unique(draft: &mut Draft, made: &mut SchemaObject, key: &Value) {
    let fields = names(Some(key));
    if let [name] = fields.as_slice()
        && let Some(property) = made.properties.iter_mut().find(|property| property.name == *name)
    {
        property.unique = Some(true);
        return;
    }
    if fields.is_empty() || fields.iter().any(|name| !made.properties.iter().any(|property| property.name == *name)) {
        return draft.cannot(&made.name, "uniqueKeys", "it names a field that the schema does not have");
    }
    made.quality.push(unique_together(&fields));
}

fn names(value: Option<&Value>) -> Vec<&str> {
    match value {
        Some(Value::String(one)) => vec![one],
        Some(Value::Array(many)) => many.iter().filter_map(Value::as_str).collect(),
        _ => Vec::new(),
    }
}

fn reference(draft: &mut Draft, made: &mut SchemaObject, key: &Value) {
    let from = names(key.get("fields"));
    let to = key.get("reference").and_then(Value::as_object);
    let resource = to.and_then(|to| text(to, "resource")).unwrap_or_default();
    let there = to.map(|to| names(to.get("fields"))).unwrap_or_default();
    if from.is_empty() || from.len() != there.len() {
        return draft.cannot(&made.name, "foreignKeys", "its two lists of fields differ in length");
    }
    // An empty name means this table.
    let table = if resource.is_empty() { made.name.clone() } else { resource.to_owned() };
    let path = |table: &str, names: &[&str]| OneOrMany::Many(names.iter().map(|name| format!("{table}.{name}")).collect());
    made.relationships.push(Relationship {
        kind: Some("foreignKey".to_owned()),
        from: Some(path(&made.name, &from)),
        to: path(&table, &there),
        other: Default::default(),
    });
}

fn field_of(draft: &mut Draft, table: &str, field: &Map<String, Value>) -> Property {
    let mut property = Property {
        name: text(field, "name").unwrap_or_default().to_owned(),
        description: text(field, "description").map(str::to_owned),
        ..Property::default()
    };
    let at = format!("{table}.{}", property.name);
    let format = text(field, "format").filter(|format| *format != "default");
    property.logical_type = match text(field, "type").unwrap_or("any") {
        "string" => Some(LogicalType::String),
        "integer" | "year" => Some(LogicalType::Integer),
        "number" => Some(LogicalType::Number),
        "boolean" => Some(LogicalType::Boolean),
        "date" => Some(LogicalType::Date),
        "datetime" => Some(LogicalType::Timestamp),
        "time" => Some(LogicalType::Time),
        "array" | "list" => Some(LogicalType::Array),
        "object" | "geojson" => Some(LogicalType::Object),
        "any" => None,
        other => {
            draft.cannot(&at, other, "the type has no equal");
            None
        }
    };
    match (property.logical_type, format) {
        (_, None) => {}
        (Some(LogicalType::String), Some(word @ ("email" | "uri" | "uuid" | "binary"))) => {
            property.options_mut().format = Some(word.to_owned());
        }
        (Some(LogicalType::Date | LogicalType::Timestamp | LogicalType::Time), Some("any")) => {}
        (Some(LogicalType::Date | LogicalType::Timestamp | LogicalType::Time), Some(written)) => match jdk_format(written) {
            Some(format) => property.options_mut().format = Some(format),
            None => draft.cannot(&at, &format!("format {written}"), "the format has no equal: use `pattern`"),
        },
        (_, Some(other)) => draft.cannot(&at, &format!("format {other}"), "the format has no equal: use `pattern`"),
    }
    truth(draft, &mut property, &at, field);
    for unread in UNREAD {
        if field.contains_key(*unread) {
            draft.cannot(&at, unread, "it is about how the values are written, or has no equal: write it as a rule");
        }
    }
    if let Some(constraints) = field.get("constraints").and_then(Value::as_object) {
        for (name, value) in constraints {
            constraint(draft, &mut property, &at, name, value);
        }
    }
    property
}

/// A format of dates and times in the letters of `strptime(3)`, in the JDK's. There digits may lack their leading nought.
fn jdk_format(written: &str) -> Option<String> {
    let mut made = String::new();
    let mut letters = written.strip_prefix("fmt:").unwrap_or(written).chars();
    while let Some(letter) = letters.next() {
        match letter {
            '%' => made.push_str(match letters.next()? {
                'Y' => "yyyy",
                'y' => "yy",
                'm' => "M",
                'd' => "d",
                'b' => "MMM",
                'H' => "H",
                'I' => "h",
                'M' => "m",
                'S' => "s",
                'f' => "S",
                'p' => "a",
                'z' => "Z",
                '%' => "%",
                _ => return None,
            }),
            '\'' => return None,
            letter if letter.is_ascii_alphabetic() => made.push_str(&format!("'{letter}'")),
            other => made.push(other),
        }
    }
    TimeFormat::new(&made).is_ok().then_some(made)
}

/// Texts that stand for yes and no: here they are texts, and no others are allowed.
fn truth(draft: &mut Draft, property: &mut Property, at: &str, field: &Map<String, Value>) {
    let named = ["trueValues", "falseValues"].into_iter().find(|key| field.contains_key(*key));
    let Some(named) = named.filter(|_| property.logical_type == Some(LogicalType::Boolean)) else { return };
    let words = |key: &str, usual: &[&str]| match field.get(key) {
        Some(_) => list(field, key).iter().filter_map(Value::as_str).map(str::to_owned).collect(),
        None => usual.iter().map(|word| (*word).to_owned()).collect::<Vec<String>>(),
    };
    let mut all = words("trueValues", &["true", "True", "TRUE", "1"]);
    all.extend(words("falseValues", &["false", "False", "FALSE", "0"]));
    if all.iter().all(|word| matches!(word.as_str(), "true" | "True" | "TRUE" | "false" | "False" | "FALSE")) {
        return;
    }
    property.logical_type = None;
    property.quality.push(only(all.into_iter().map(Value::String).collect()));
    draft.cannot(at, named, "the values stay as they are written, and only these are allowed: nothing makes yes and no of them");
}

fn constraint(draft: &mut Draft, property: &mut Property, at: &str, name: &str, value: &Value) {
    let yes = value.as_bool() == Some(true);
    match name {
        "required" if yes => property.required = Some(true),
        "unique" if yes => property.unique = Some(true),
        "required" | "unique" => {}
        // A limit of nothing limits nothing; written, it would not be read again.
        _ if value.is_null() => {}
        "minimum" => property.options_mut().minimum = Some(value.clone()),
        "maximum" => property.options_mut().maximum = Some(value.clone()),
        "exclusiveMinimum" => property.options_mut().exclusive_minimum = Some(value.clone()),
        "exclusiveMaximum" => property.options_mut().exclusive_maximum = Some(value.clone()),
        "minLength" | "maxLength" => {
            let items = property.logical_type == Some(LogicalType::Array);
            let options = property.options_mut();
            let to = match (name, items) {
                ("minLength", false) => &mut options.min_length,
                ("minLength", true) => &mut options.min_items,
                (_, false) => &mut options.max_length,
                (_, true) => &mut options.max_items,
            };
            *to = value.as_u64();
        }
        // There a pattern must match the whole value, here it must occur.
        "pattern" => property.options_mut().pattern = value.as_str().map(|text| format!("^(?:{text})$")),
        "enum" => property.quality.push(only(value.as_array().cloned().unwrap_or_default())),
        other => draft.cannot(at, other, "the constraint has no equal: write it as an `sql` rule"),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_package_becomes_a_contract() {
        let package = json!({"name": "shop", "resources": [
            {"name": "orders", "schema": {
                "fields": [
                    {"name": "id", "type": "integer", "constraints": {"required": true, "minimum": 1}},
                    {"name": "line", "type": "integer"},
                    {"name": "customer", "type": "string", "constraints": {"pattern": "C[0-9]+", "enum": ["C1", "C2"]}},
                    {"name": "place", "type": "geopoint"},
                    {"name": "mail", "type": "string", "format": "email"}
                ],
                "primaryKey": ["id", "line"],
                "foreignKeys": [{"fields": "customer", "reference": {"resource": "customers", "fields": "id"}}],
                "uniqueKeys": [["customer", "line"], ["mail"], ["nosuch"]],
                "missingValues": ["", "n/a"]
            }},
            {"name": "customers", "schema": {"fields": [{"name": "id", "type": "string", "constraints": {"unique": true}}]}}
        ]});
        let imported = frictionless(&package.to_string(), "t").unwrap();
        let orders = imported.contract.object(Some("orders")).unwrap();
        assert_eq!(orders.property("line").unwrap().primary_key_position, Some(2));
        let customer = orders.property("customer").unwrap();
        assert_eq!(customer.logical_type_options.as_ref().unwrap().pattern.as_deref(), Some("^(?:C[0-9]+)$"));
        assert_eq!(orders.relationships[0].to.list(), ["customers.id"]);
        assert_eq!(orders.property("mail").unwrap().logical_type_options.as_ref().unwrap().format.as_deref(), Some("email"));
        let named: Vec<&str> = imported.unsupported.iter().map(|one| one.what.as_str()).collect();
        assert_eq!(named, ["missingValues", "uniqueKeys", "geopoint"]);
        assert_eq!(orders.property("mail").unwrap().unique, Some(true));
        assert_eq!((orders.property("line").unwrap().unique, orders.quality.len()), (None, 1));
        assert_eq!(orders.quality[0].metric(), Some("duplicateValues"));
        assert_eq!(orders.quality[0].arguments["properties"], json!(["customer", "line"]));
    }

    #[test]
    fn ways_to_write_dates_and_truth_are_kept() {
        let fields = json!({"fields": [
            {"name": "day", "type": "date", "format": "%d.%m.%Y"},
            {"name": "at", "type": "datetime", "format": "%Y-%m-%dT%H:%M:%S"},
            {"name": "odd", "type": "date", "format": "%A"},
            {"name": "yes", "type": "boolean", "trueValues": ["yes"], "falseValues": ["no"]},
            {"name": "plain", "type": "boolean", "trueValues": ["true"], "falseValues": ["false"]},
            {"name": "price", "type": "number", "decimalChar": ","}
        ]});
        let imported = frictionless(&fields.to_string(), "t").unwrap();
        let column = |name: &str| imported.contract.schema[0].property(name).unwrap();
        let format = |name: &str| column(name).logical_type_options.clone().and_then(|options| options.format);
        assert_eq!(format("day").as_deref(), Some("d.M.yyyy"));
        assert_eq!(format("at").as_deref(), Some("yyyy-M-d'T'H:m:s"));
        assert_eq!(format("odd"), None);
        let day = TimeFormat::new("d.M.yyyy").unwrap();
        assert!(day.fits("31.01.2024") && day.fits("1.2.2024") && !day.fits("2024-01-31") && !day.fits("31.13.2024"));
        assert_eq!(column("yes").quality[0].arguments["validValues"], json!(["yes", "no"]));
        assert_eq!((column("yes").logical_type, column("plain").logical_type), (None, Some(LogicalType::Boolean)));
        let named: Vec<&str> = imported.unsupported.iter().map(|one| one.what.as_str()).collect();
        assert_eq!(named, ["format %A", "decimalChar", "trueValues"]);
    }

    #[test]
    fn what_is_none_is_refused() {
        assert!(frictionless("{}", "t").is_err());
        let lost =
            json!({"fields": [{"name": "a"}], "foreignKeys": [{"fields": "a", "reference": {"resource": "x", "fields": "b"}}]});
        assert!(matches!(frictionless(&lost.to_string(), "t"), Err(ContractError::Invalid(_))));
    }

    #[test]
    fn a_limit_of_nothing_is_none() {
        let text = json!({"fields": [{"name": "a", "type": "integer", "constraints": {"minimum": null, "maximum": 3}}]});
        let made = frictionless(&text.to_string(), "t").unwrap().contract;
        assert_eq!(crate::Contract::from_yaml(&made.to_yaml().unwrap()).unwrap().contract, made);
    }
}
