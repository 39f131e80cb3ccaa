//! What an endpoint takes and gives as an OpenAPI document, for tools that make clients or forms of it.
//! Source: OpenAPI Specification 3.0.3.

use kernel::Problem;
use serde_json::{Map, Value, json};
use serving::ops::Ready;
use serving::{Port, Signature};

use super::oip::answering;
use crate::{Answer, outbound};

/// Documents the version that answers, if that is the one that was asked for.
pub(super) fn document(found: Ready, wanted: Option<String>) -> Result<Answer, Problem> {
    let model = answering(&found, wanted.as_deref())?;
    outbound::json(&of(&found.endpoint.name, &model.number.to_string(), model.signature()))
}

fn of(name: &str, version: &str, signature: &Signature) -> Value {
    let base = format!("/v2/models/{name}");
    let mut paths = Map::new();
    let infer = operation("infer", "Asks the model", Some(("InferRequest", false)), "InferResponse");
    paths.insert(format!("{base}/infer"), json!({ "post": infer }));
    paths.insert(base.clone(), json!({ "get": operation("metadata", "What it takes and gives", None, "Metadata") }));
    paths.insert(format!("{base}/ready"), json!({ "get": operation("ready", "Whether it answers", None, "Ready") }));
    let invoke =
        operation("invocations", "Asks the model as MLflow's scoring server is asked", Some(("Rows", true)), "Predictions");
    paths.insert(format!("/endpoints/{name}/invocations"), json!({ "post": invoke }));
    json!({
        "openapi": "3.0.3",
        "info": { "title": name, "version": version },
        "security": [{ "bearer": [] }, { "basic": [] }],
        "paths": paths,
        "components": {
            "securitySchemes": {
                "bearer": { "type": "http", "scheme": "bearer" },
                "basic": { "type": "http", "scheme": "basic" },
            },
            "schemas": schemas(signature),
        },
    })
}

/// One call: its body, where it has one, and whether that may be CSV; and its answer.
fn operation(id: &str, summary: &str, body: Option<(&str, bool)>, answer: &str) -> Value {
    let as_json = |schema: &str| json!({ "schema": { "$ref": format!("#/components/schemas/{schema}") } });
    let refused = |what: &str| json!({ "description": what });
    let mut operation = json!({
        "operationId": id,
        "summary": summary,
        "responses": {
            "200": { "description": "The answer", "content": { "application/json": as_json(answer) } },
            "400": refused("It does not fit"),
            "401": refused("Nobody is known behind it"),
            "403": refused("It is not allowed"),
            "404": refused("There is no such endpoint or version"),
            "409": refused("The endpoint is not ready"),
            "429": refused("Too much was asked; `Retry-After` says when to come back"),
        },
    });
    if let (Some((schema, is_csv)), Some(fields)) = (body, operation.as_object_mut()) {
        let mut content = json!({ "application/json": as_json(schema) });
        if let Some(content) = content.as_object_mut().filter(|_| is_csv) {
            content.insert("text/csv".to_owned(), json!({ "schema": { "type": "string" } }));
        }
        fields.insert("requestBody".to_owned(), json!({ "required": true, "content": content }));
    }
    operation
}

fn schemas(signature: &Signature) -> Value {
    let metadata = json!({
        "type": "object",
        "properties": {
            "name": { "type": "string" },
            "versions": { "type": "array", "items": { "type": "string" } },
            "platform": { "type": "string" },
            "inputs": { "type": "array", "items": { "type": "object" } },
            "outputs": { "type": "array", "items": { "type": "object" } },
        },
    });
    let rows = json!({ "type": "array", "items": {} });
    json!({
        "InferRequest": {
            "type": "object",
            "required": ["inputs"],
            "properties": {
                "id": { "type": "string" },
                "inputs": tensors(&signature.inputs),
                "outputs": {
                    "type": "array",
                    "items": { "type": "object", "required": ["name"], "properties": { "name": names(&signature.outputs) } },
                },
                "parameters": { "type": "object" },
            },
        },
        "InferResponse": {
            "type": "object",
            "required": ["model_name", "outputs"],
            "properties": {
                "id": { "type": "string" },
                "model_name": { "type": "string" },
                "model_version": { "type": "string" },
                "outputs": tensors(&signature.outputs),
                "parameters": { "type": "object", "properties": { "prediction_id": { "type": "string" } } },
            },
        },
        "Metadata": metadata,
        "Ready": { "type": "object", "properties": { "name": { "type": "string" }, "ready": { "type": "boolean" } } },
        "Rows": {
            "type": "object",
            "description": "Exactly one of these",
            "minProperties": 1,
            "properties": {
                "dataframe_split": { "type": "object", "required": ["data"], "properties": { "columns": rows, "data": rows } },
                "dataframe_records": { "type": "array", "items": { "type": "object" } },
                "instances": rows,
                "inputs": {},
                "params": { "type": "object" },
            },
        },
        "Predictions": { "type": "object", "required": ["predictions"], "properties": { "predictions": {} } },
    })
}

fn names(ports: &[Port]) -> Value {
    json!({ "type": "string", "enum": ports.iter().map(|port| &port.name).collect::<Vec<_>>() })
}

/// Tensors, each as its port says. An input may come in another type that can be turned into its own.
fn tensors(ports: &[Port]) -> Value {
    let tensor = |port: &Port| {
        let shape: Vec<i64> =
            port.shape.iter().map(|size| size.and_then(|size| i64::try_from(size).ok()).unwrap_or(-1)).collect();
        let mut described = json!({
            "type": "object",
            "required": ["name", "shape", "datatype"],
            "properties": {
                "name": { "type": "string", "enum": [port.name] },
                "shape": { "type": "array", "items": { "type": "integer" }, "example": shape },
                "datatype": { "type": "string", "example": port.oip_name() },
                "data": { "type": "array", "items": {} },
                "parameters": { "type": "object" },
            },
        });
        if let Some(fields) = described.as_object_mut().filter(|_| !port.columns.is_empty()) {
            fields.insert("description".to_owned(), json!(format!("Columns: {}", port.columns.join(", "))));
        }
        described
    };
    json!({ "type": "array", "items": { "anyOf": ports.iter().map(tensor).collect::<Vec<_>>() } })
}

#[cfg(test)]
mod tests {
    use serving::{DataType, Role};

    use super::*;

    /// Every reference in a document.
    fn references<'a>(value: &'a Value, found: &mut Vec<&'a str>) {
        match value {
            Value::Object(fields) => {
                found.extend(fields.get("$ref").and_then(Value::as_str));
                fields.values().for_each(|value| references(value, found));
            }
            Value::Array(all) => all.iter().for_each(|value| references(value, found)),
            _ => {}
        }
    }

    #[test]
    fn a_document_names_what_it_says_and_refers_to_nothing_else() {
        let port = Port {
            name: "input".to_owned(),
            data_type: DataType::F64,
            narrow: None,
            shape: vec![None, Some(2)],
            columns: vec!["age".to_owned(), "income".to_owned()],
            role: Role::Value,
        };
        let signature = Signature { inputs: vec![port.clone()], outputs: vec![port], ..Signature::default() };
        let document = of("churn", "3", &signature);
        assert_eq!((&document["openapi"], &document["info"]["version"]), (&json!("3.0.3"), &json!("3")));
        assert!(document["paths"]["/v2/models/churn/infer"]["post"]["requestBody"]["required"] == json!(true));
        let input = &document["components"]["schemas"]["InferRequest"]["properties"]["inputs"]["items"]["anyOf"][0];
        assert_eq!(input["properties"]["shape"]["example"], json!([-1, 2]));
        assert_eq!(input["description"], json!("Columns: age, income"));
        let mut found = Vec::new();
        references(&document, &mut found);
        assert!(found.len() >= 6);
        for reference in found {
            let place = reference.strip_prefix('#').unwrap();
            assert!(document.pointer(place).is_some(), "{reference}");
        }
    }
}
