//! MLflow's scoring protocol: `/invocations`, `/ping`, `/health` and `/version` below an endpoint's own address.
//! Source: mlflow 3.17, `mlflow/pyfunc/scoring_server`.

use http::{HeaderName, HeaderValue, Method};
use kernel::{Kind, Problem};
use serde_json::{Value, json};
use serving::ops::{GetEndpoint, Predict, Ready};
use serving::{Batch, Prediction, Serving, Tensor};

use super::{frame, json_value, subject};
use crate::{Answer, Door, Inbound, outbound};

const ENDPOINT: &str = "/endpoints/{endpoint}";
/// The version of MLflow whose protocol this is.
const PROTOCOL_VERSION: &str = "3.17.2";
/// The header with the prediction's id.
const PREDICTION: HeaderName = HeaderName::from_static("x-strongroom-prediction");

/// Adds these routes.
pub(super) fn routes(door: &mut Door, room: &Serving) {
    let asked = |room: &Serving| {
        let room = room.clone();
        move |inbound: &Inbound| Ok(GetEndpoint { room: room.clone(), name: inbound.path("endpoint").to_owned() })
    };
    for path in ["ping", "health"] {
        door.route(Method::GET, &format!("{ENDPOINT}/{path}"), asked(room), |found: Ready| match found.obstacle {
            None => outbound::json_text("{}"),
            Some(why) => Err(Problem::new(Kind::Conflict, format!("`{}` is not ready: {why}", found.endpoint.name))),
        });
    }
    door.route(Method::GET, &format!("{ENDPOINT}/version"), asked(room), |_| outbound::json(&json!(PROTOCOL_VERSION)));
    let room = room.clone();
    let invoke = move |inbound: &Inbound| {
        let batch = batch(inbound)?;
        let (endpoint, routing_key) = (inbound.path("endpoint").to_owned(), super::routing_key(inbound));
        Ok(Predict { room: room.clone(), endpoint, version: None, routing_key, batch, subject: subject(inbound)? })
    };
    door.route(Method::POST, &format!("{ENDPOINT}/invocations"), invoke, answer);
}

fn batch(inbound: &Inbound) -> Result<Batch, Problem> {
    let kind = inbound.header("content-type").unwrap_or("application/json");
    match kind.split(';').next().unwrap_or_default().trim().to_ascii_lowercase().as_str() {
        "application/json" => frame::of_json(&inbound.body),
        "text/csv" => frame::of_csv(&inbound.body),
        _ => Err(Problem::invalid("the content type is `application/json` or `text/csv`")),
    }
}

/// What `predict` of the model's library gives: labels where it has them, else values.
fn answer(prediction: Prediction) -> Result<Answer, Problem> {
    let outputs = &prediction.outputs;
    let predictions = match (outputs.labels(), outputs.value().or_else(|| outputs.probabilities())) {
        (Some(labels), _) => Value::Array((0..labels.len()).map(|place| json_value(labels, place)).collect()),
        (None, Some(tensor)) => rows_of(tensor),
        (None, None) => return Err(Problem::internal("the model gave nothing that can be sent", "no labels and no values")),
    };
    let mut answer = outbound::json(&json!({ "predictions": predictions }))?;
    if let Ok(id) = HeaderValue::from_str(&prediction.id) {
        answer.headers_mut().insert(PREDICTION, id);
    }
    Ok(answer)
}

fn rows_of(tensor: &Tensor) -> Value {
    let values = tensor.values();
    let row_count = tensor.shape().first().copied().unwrap_or(1).max(1);
    let width = values.len() / row_count;
    if width <= 1 {
        return Value::Array((0..values.len()).map(|place| json_value(values, place)).collect());
    }
    let row = |row: usize| Value::Array((row * width..(row + 1) * width).map(|place| json_value(values, place)).collect());
    Value::Array((0..row_count).map(row).collect())
}
