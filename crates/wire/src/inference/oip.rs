//! The Open Inference Protocol v2 over REST.
//! Source: kserve/open-inference-protocol, specification/protocol/inference_rest.md.

use axum::body::Body;
use http::{HeaderName, HeaderValue, Method, header};
use kernel::{Kind, Problem};
use serde::Serialize;
use serde_json::json;
use serving::ops::{GetEndpoint, Predict, Ready, SearchEndpoints};
use serving::{Port, Prediction, Serving};

use super::request::{self, Wanted};
use super::{JsonValues, binary, openapi, subject};
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
        move |_: &Inbound| Ok(SearchEndpoints { room: room.clone(), model: None, after: None, rows: Some(1) })
    };
    door.route(Method::GET, "/v2", one(room), move |page| about(&page));
    door.route(Method::GET, "/v2/health/live", one(room), |_| outbound::json(&json!({ "live": true })));
    door.route(Method::GET, "/v2/health/ready", one(room), |_| outbound::json(&json!({ "ready": true })));
    for path in [MODEL, VERSION] {
        door.route_with(Method::GET, path, asked(room), metadata);
        door.route_with(Method::GET, &format!("{path}/ready"), asked(room), ready);
        door.route_with(Method::GET, &format!("{path}/openapi.json"), asked(room), openapi::document);
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
        json!({ "name": port.name, "datatype": port.oip_name(), "shape": shape, "parameters": { "columns": port.columns } })
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

/// An answer's JSON. Its fields are in the order of their names, as everywhere.
#[derive(Serialize)]
struct Head<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<&'a str>,
    model_name: &'a str,
    model_version: String,
    outputs: Vec<Said<'a>>,
    parameters: Whole<'a>,
}

#[derive(Serialize)]
struct Whole<'a> {
    prediction_id: &'a str,
}

/// One output: its values as JSON, or how many bytes of them follow.
#[derive(Serialize)]
struct Said<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    data: Option<JsonValues<'a>>,
    datatype: &'static str,
    name: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    parameters: Option<Raw>,
    shape: &'a [usize],
}

#[derive(Serialize)]
struct Raw {
    binary_data_size: usize,
}

fn answer(prediction: Prediction, asked: Asked) -> Result<Answer, Problem> {
    has_outputs(&prediction, asked.wanted.names())?;
    let mut raw = Vec::new();
    let mut outputs = Vec::with_capacity(prediction.outputs.all.len());
    for output in &prediction.outputs.all {
        let Some(is_binary) = asked.wanted.output(&output.name) else { continue };
        let values = output.tensor.values();
        let (datatype, shape) = (values.data_type().oip_name(), output.tensor.shape());
        let (data, parameters) = if is_binary {
            let bytes = binary::bytes(values);
            raw.extend_from_slice(&bytes);
            (None, Some(Raw { binary_data_size: bytes.len() }))
        } else {
            (Some(JsonValues(values)), None)
        };
        outputs.push(Said { data, datatype, name: &output.name, parameters, shape });
    }
    let head = Head {
        id: asked.id.as_deref(),
        model_name: &asked.endpoint,
        model_version: prediction.model.number.to_string(),
        outputs,
        parameters: Whole { prediction_id: &prediction.id },
    };
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

#[cfg(test)]
mod tests {
    use serde_json::Value;
    use serving::{Tensor, Values};

    use super::*;

    fn check(values: Values, data: &Value) {
        let tensor = Tensor::list(values);
        let said = Said {
            data: Some(JsonValues(tensor.values())),
            datatype: tensor.values().data_type().oip_name(),
            name: "out",
            parameters: None,
            shape: tensor.shape(),
        };
        let text = serde_json::to_string(&said).unwrap();
        let expected = json!({ "name": "out", "shape": tensor.shape(), "datatype": said.datatype, "data": data });
        assert_eq!(serde_json::from_str::<Value>(&text).unwrap(), expected);
        assert!(text.contains(&format!("\"data\":{data}")), "{text}");
    }

    #[test]
    fn values_of_every_type_are_json() {
        check(Values::F64(vec![0.1, f64::NAN, f64::INFINITY, -0.0]), &json!([0.1, null, null, -0.0]));
        check(Values::F32(vec![0.1, f32::NAN]), &json!([f64::from(0.1_f32), null]));
        check(Values::I64(vec![i64::MIN]), &json!([i64::MIN]));
        check(Values::Bool(vec![true]), &json!([true]));
        check(Values::Text(vec!["a\"b".to_owned()]), &json!(["a\"b"]));
    }

    #[test]
    fn fields_stand_in_the_order_of_their_names() {
        let output =
            Said { data: None, datatype: "FP32", name: "out", parameters: Some(Raw { binary_data_size: 4 }), shape: &[1] };
        let head = Head {
            id: Some("own"),
            model_name: "lr",
            model_version: "3".to_owned(),
            outputs: vec![output],
            parameters: Whole { prediction_id: "p" },
        };
        let text = serde_json::to_string(&head).unwrap();
        let value: Value = serde_json::from_str(&text).unwrap();
        assert_eq!(value.to_string(), text);
        assert!(text.contains(r#""parameters":{"binary_data_size":4}"#), "{text}");
    }
}
