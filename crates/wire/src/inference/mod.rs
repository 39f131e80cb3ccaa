//! Predictions in the languages that clients speak: the Open Inference Protocol v2 (KServe's, over REST, with Triton's binary
//! tensors: [`oip`]; over gRPC: [`grpc`]) and MLflow's scoring protocol ([`scoring`]).
//!
//! An endpoint is an OIP model: `/v2/models/{endpoint}`. MLflow's scoring clients get a base address of their own:
//! `/endpoints/{endpoint}`.

mod binary;
mod flat;
mod frame;
mod grpc;
mod nan;
mod nest;
mod oip;
mod openapi;
mod request;
mod scoring;

pub(crate) use grpc::problem_answer as grpc_problem;
use kernel::Problem;
use predictions::limits::SUBJECT_BYTES_MAX;
use serde::{Serialize, Serializer};
use serving::{Serving, Values};

use crate::{Door, Inbound};

/// Adds these routes.
pub fn routes(door: &mut Door, room: &Serving) {
    oip::routes(door, room);
    grpc::routes(door, room);
    scoring::routes(door, room);
}

/// The header that keeps a client's requests with one version while a rollout runs.
const ROUTING_KEY: &str = "strongroom-routing-key";

fn routing_key(inbound: &Inbound) -> Option<String> {
    inbound.header(ROUTING_KEY).map(str::to_owned)
}

/// Names whom a request concerns; over gRPC it is metadata.
const SUBJECT: &str = "strongroom-subject";

/// Whom a request concerns, if the client says so.
fn subject(inbound: &Inbound) -> Result<Option<String>, Problem> {
    let mut named = inbound.headers.get_all(SUBJECT).iter();
    let Some(value) = named.next() else { return Ok(None) };
    if named.next().is_some() {
        return Err(Problem::invalid("`Strongroom-Subject` is given twice; a request concerns one subject"));
    }
    let text = value.to_str().ok().map(str::trim).filter(|text| !text.is_empty() && text.len() <= SUBJECT_BYTES_MAX);
    let wrong = || Problem::invalid(format!("`Strongroom-Subject` has from 1 to {SUBJECT_BYTES_MAX} letters of ASCII"));
    text.map(|text| Some(text.to_owned())).ok_or_else(wrong)
}

fn too_many_values() -> Problem {
    Problem::invalid(format!("a tensor holds at most {VALUE_COUNT_MAX} values"))
}

/// Values of one tensor of a request.
const VALUE_COUNT_MAX: usize = 1 << 24;

/// How many values a shape holds.
fn count_of(shape: &[u64]) -> Result<usize, Problem> {
    let product = shape.iter().try_fold(1_u64, |product, one| product.checked_mul(*one));
    let count = product.and_then(|product| usize::try_from(product).ok()).filter(|count| *count <= VALUE_COUNT_MAX);
    count.ok_or_else(too_many_values)
}

/// Values as a list of JSON, written without being built up in memory. What JSON has no number for is `null`.
struct JsonValues<'a>(&'a Values);

impl Serialize for JsonValues<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            Values::F32(all) => serializer.collect_seq(all.iter().map(|one| f64::from(*one))),
            Values::F64(all) => serializer.collect_seq(all),
            Values::I64(all) => serializer.collect_seq(all),
            Values::Bool(all) => serializer.collect_seq(all),
            Values::Text(all) => serializer.collect_seq(all),
        }
    }
}

/// One value as JSON. What JSON has no number for is `null`.
fn json_value(values: &Values, place: usize) -> serde_json::Value {
    use serde_json::Value;
    let value = match values {
        Values::F32(all) => {
            all.get(place).map(|one| serde_json::Number::from_f64(f64::from(*one)).map_or(Value::Null, Value::Number))
        }
        Values::F64(all) => all.get(place).map(|one| Value::from(*one)),
        Values::I64(all) => all.get(place).map(|one| Value::from(*one)),
        Values::Bool(all) => all.get(place).map(|one| Value::from(*one)),
        Values::Text(all) => all.get(place).map(|one| Value::from(one.as_str())),
    };
    value.unwrap_or(Value::Null)
}
