//! MLflow's scoring protocol: `/invocations`, `/ping`, `/health` and `/version` below an endpoint's own address.
//! Source: mlflow 3.17, `mlflow/pyfunc/scoring_server`.

use http::{HeaderName, HeaderValue, Method};
use kernel::{Kind, Problem};
use serde_json::{Value, json};
use serving::ops::{GetEndpoint, Predict, Ready};
use serving::{Batch, Outputs, Prediction, Predicts, Serving, Tensor};

use super::{frame, json_value, subject};
use crate::{Answer, Door, Inbound, outbound};

const ENDPOINT: &str = "/endpoints/{endpoint}";
/// The version of MLflow whose protocol this is.
const PROTOCOL_VERSION: &str = "3.17.2";
/// The header with the prediction's id.
const PREDICTION: HeaderName = HeaderName::from_static("x-strongroom-prediction");
/// The only output of what gives a list and no table.
const LIST: &str = "prediction";

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

fn answer(prediction: Prediction) -> Result<Answer, Problem> {
    let predictions = predictions(prediction.model.predicts(), &prediction.outputs)
        .ok_or_else(|| Problem::internal("the model gave nothing that can be sent", "no labels and no values"))?;
    let mut answer = outbound::json(&json!({ "predictions": predictions }))?;
    if let Ok(id) = HeaderValue::from_str(&prediction.id) {
        answer.headers_mut().insert(PREDICTION, id);
    }
    Ok(answer)
}

/// What `predict` of the model's library gives: labels where it has them, else values; of several outputs each by its name.
fn predictions(predicts: Predicts, outputs: &Outputs) -> Option<Value> {
    match (predicts, outputs.labels(), outputs.probabilities()) {
        (Predicts::SecondChance, _, Some(chances)) => Some(second_of(chances)),
        (Predicts::Chances, _, Some(chances)) => Some(rows_of(chances)),
        (Predicts::Rows, ..) if !matches!(outputs.all.as_slice(), [only] if only.name == LIST) => records_of(outputs),
        (_, Some(labels), _) => Some(Value::Array((0..labels.len()).map(|place| json_value(labels, place)).collect())),
        (_, None, _) => match outputs.all.as_slice() {
            [] => None,
            [only] => Some(rows_of(&only.tensor)),
            several => {
                let named = several.iter().map(|output| (output.name.clone(), rows_of(&output.tensor)));
                Some(Value::Object(named.collect()))
            }
        },
    }
}

/// A table as MLflow writes it: an object for each row.
fn records_of(outputs: &Outputs) -> Option<Value> {
    let columns = || outputs.all.iter().map(|output| (output.name.as_str(), output.tensor.values()));
    let row_count = columns().map(|(_, values)| values.len()).max()?;
    let record = |row| Value::Object(columns().map(|(name, values)| (name.to_owned(), json_value(values, row))).collect());
    Some(Value::Array((0..row_count).map(record).collect()))
}

/// The second of each row's two numbers.
fn second_of(tensor: &Tensor) -> Value {
    let values = tensor.values();
    Value::Array((0..values.len()).skip(1).step_by(2).map(|place| json_value(values, place)).collect())
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

#[cfg(test)]
mod tests {
    use serving::{Output, Role, Values};

    use super::*;

    fn output(name: &str, role: Role, width: usize, values: Values) -> Output {
        let shape = values.len().checked_div(width).map_or_else(|| vec![values.len()], |rows| vec![rows, width]);
        Output { name: name.to_owned(), role, tensor: Tensor::new(shape, values).unwrap() }
    }

    #[test]
    fn the_answer_is_what_the_library_predicts() {
        let labels = || output("label", Role::Label, 0, Values::I64(vec![0, 1]));
        let chances = || output("probabilities", Role::Probabilities, 2, Values::F64(vec![0.75, 0.25, 0.5, 0.5]));
        let logits = || output("z", Role::Value, 2, Values::F64(vec![1.0, 2.0, 3.0, 4.0]));
        for (predicts, all, expected) in [
            (Predicts::Labels, vec![labels(), chances()], json!([0, 1])),
            (Predicts::SecondChance, vec![labels(), chances()], json!([0.25, 0.5])),
            (Predicts::Chances, vec![labels(), chances()], json!([[0.75, 0.25], [0.5, 0.5]])),
            (Predicts::Labels, vec![logits()], json!([[1.0, 2.0], [3.0, 4.0]])),
            (Predicts::Labels, vec![chances()], json!([[0.75, 0.25], [0.5, 0.5]])),
            (Predicts::Rows, vec![output("prediction", Role::Value, 0, Values::F64(vec![1.5]))], json!([1.5])),
            (Predicts::Rows, vec![output("y", Role::Value, 0, Values::F64(vec![1.5]))], json!([{ "y": 1.5 }])),
            (
                Predicts::Rows,
                vec![
                    output("y", Role::Value, 0, Values::F64(vec![1.5, f64::NAN])),
                    output("s", Role::Value, 0, Values::Text(vec!["a".to_owned(), "b".to_owned()])),
                ],
                json!([{ "y": 1.5, "s": "a" }, { "y": null, "s": "b" }]),
            ),
            (
                Predicts::Labels,
                vec![logits(), chances()],
                json!({ "probabilities": [[0.75, 0.25], [0.5, 0.5]], "z": [[1.0, 2.0], [3.0, 4.0]] }),
            ),
        ] {
            assert_eq!(predictions(predicts, &Outputs { all }), Some(expected));
        }
        assert_eq!(predictions(Predicts::Labels, &Outputs::default()), None);
    }
}
