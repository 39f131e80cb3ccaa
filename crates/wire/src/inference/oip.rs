//! The Open Inference Protocol v2 over REST.
//! Source: kserve/open-inference-protocol, specification/protocol/inference_rest.md.

use axum::body::Body;
use http::{HeaderName, HeaderValue, Method, header};
use kernel::{Kind, Problem};
use serde_json::{Value, json};
use serving::ops::{GetEndpoint, Predict, Ready, SearchEndpoints};
use serving::{Port, Prediction, Serving};

use super::request::{self, Wanted};
use super::{binary, json_value, subject, word};
use crate::{Answer, Door, Inbound, outbound};

const MODEL: &str = "/v2/models/{endpoint}";
const VERSION: &str = "/v2/models/{endpoint}/versions/{version}";

/// Adds these routes.
pub(super) fn routes(door: &mut Door, room: &Serving) {
    let about = |_: &_| {
        outbound::json(&json!({
            "name": "strongroom", "version": env!("CARGO_PKG_VERSION"), "extensions": ["binary_tensor_data"],
        }))
    };
    // Whoever may ask for no model learns nothing of the server either: health is asked as a list of one.
    let one = |room: &Serving| {
        let room = room.clone();
        move |_: &Inbound| Ok(SearchEndpoints { room: room.clone(), after: None, rows: Some(1) })
    };
    door.route(Method::GET, "/v2", one(room), move |page| about(&page));
    door.route(Method::GET, "/v2/health/live", one(room), |_| outbound::json(&json!({ "live": true })));
    door.route(Method::GET, "/v2/health/ready", one(room), |_| outbound::json(&json!({ "ready": true })));
    for path in [MODEL, VERSION] {
        door.route_with(Method::GET, path, asked(room), metadata);
        door.route_with(Method::GET, &format!("{path}/ready"), asked(room), ready);
        let room = room.clone();
        let infer = move |inbound: &Inbound| {
            let request = request::read(inbound)?;
            let endpoint = inbound.path("endpoint").to_owned();
            let predict = Predict {
                room: room.clone(),
                endpoint: endpoint.clone(),
                version: version(inbound),
                routing_key: super::routing_key(inbound),
                batch: request.batch,
                subject: subject(inbound)?,
            };
            Ok((predict, Asked { endpoint, id: request.id, wanted: request.wanted }))
        };
        door.route_with(Method::POST, &format!("{path}/infer"), infer, answer);
    }
}

struct Asked {
    endpoint: String,
    id: Option<String>,
    wanted: Wanted,
}

fn version(inbound: &Inbound) -> Option<String> {
    Some(inbound.path("version").to_owned()).filter(|version| !version.is_empty())
}

fn asked(room: &Serving) -> impl Fn(&Inbound) -> Result<(GetEndpoint, Option<String>), Problem> + Send + Sync + 'static {
    let room = room.clone();
    move |inbound| Ok((GetEndpoint { room: room.clone(), name: inbound.path("endpoint").to_owned() }, version(inbound)))
}

/// The endpoint with the model that answers, if that is the version that was asked for.
pub(super) fn answering(found: &Ready, wanted: Option<&str>) -> Result<std::sync::Arc<serving::Loaded>, Problem> {
    let model = found.model.clone().ok_or_else(|| {
        let why = found.obstacle.clone().unwrap_or_default();
        Problem::new(Kind::Conflict, format!("`{}` is not ready: {why}", found.endpoint.name))
    })?;
    if wanted.is_some_and(|wanted| wanted != model.number.to_string()) {
        return Err(Problem::not_found(format!(
            "version {} answers here; ask without a version for whichever does",
            model.number
        )));
    }
    Ok(model)
}

fn ready(found: Ready, wanted: Option<String>) -> Result<Answer, Problem> {
    answering(&found, wanted.as_deref())?;
    outbound::json(&json!({ "name": found.endpoint.name, "ready": true }))
}

fn metadata(found: Ready, wanted: Option<String>) -> Result<Answer, Problem> {
    let model = answering(&found, wanted.as_deref())?;
    let port = |port: &Port| {
        let shape: Vec<i64> = port.shape.iter().map(|one| one.and_then(|one| i64::try_from(one).ok()).unwrap_or(-1)).collect();
        json!({ "name": port.name, "datatype": word(port.data_type), "shape": shape, "parameters": { "columns": port.columns } })
    };
    let signature = model.signature();
    outbound::json(&json!({
        "name": found.endpoint.name,
        "versions": [model.number.to_string()],
        "platform": format!("strongroom_{}", model.format()),
        "inputs": signature.inputs.iter().map(port).collect::<Vec<_>>(),
        "outputs": signature.outputs.iter().map(port).collect::<Vec<_>>(),
    }))
}

/// Refuses a wanted output that the model does not have.
pub(super) fn has_outputs<'a>(prediction: &Prediction, mut wanted: impl Iterator<Item = &'a str>) -> Result<(), Problem> {
    let known: Vec<&str> = prediction.outputs.all.iter().map(|output| output.name.as_str()).collect();
    let Some(unknown) = wanted.find(|name| !known.contains(name)) else { return Ok(()) };
    let shown: String = unknown.chars().take(100).collect();
    Err(Problem::invalid(format!("the model has no output `{shown}`; it has {}", known.join(", "))))
}

fn answer(prediction: Prediction, asked: Asked) -> Result<Answer, Problem> {
    has_outputs(&prediction, asked.wanted.names())?;
    let mut raw = Vec::new();
    let mut outputs = Vec::with_capacity(prediction.outputs.all.len());
    for output in &prediction.outputs.all {
        let Some(is_binary) = asked.wanted.output(&output.name) else { continue };
        let values = output.tensor.values();
        let mut one = json!({ "name": output.name, "shape": output.tensor.shape(), "datatype": word(values.data_type()) });
        let Some(fields) = one.as_object_mut() else { continue };
        if is_binary {
            let bytes = binary::bytes(values);
            fields.insert("parameters".to_owned(), json!({ "binary_data_size": bytes.len() }));
            raw.extend_from_slice(&bytes);
        } else {
            let data: Vec<Value> = (0..values.len()).map(|place| json_value(values, place)).collect();
            fields.insert("data".to_owned(), Value::Array(data));
        }
        outputs.push(one);
    }
    let mut head = json!({
        "model_name": asked.endpoint,
        "model_version": prediction.model.number.to_string(),
        "parameters": { "prediction_id": prediction.id },
        "outputs": outputs,
    });
    if let (Some(id), Some(fields)) = (asked.id, head.as_object_mut()) {
        fields.insert("id".to_owned(), Value::String(id));
    }
    if raw.is_empty() {
        return outbound::json(&head);
    }
    let mut bytes = serde_json::to_vec(&head).map_err(|e| Problem::internal("an answer could not be written", e))?;
    let length = bytes.len();
    bytes.extend_from_slice(&raw);
    let mut answer = Answer::new(Body::from(bytes));
    let headers = answer.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/octet-stream"));
    headers.insert(HeaderName::from_static(binary::HEADER_LENGTH), HeaderValue::from(length));
    outbound::harden(&mut answer);
    Ok(answer)
}
