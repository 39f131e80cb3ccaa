//! The least that can answer: a model of crate `runtime` behind axum, one route, no TLS, no caller, no limits, no record.
//! `cargo xtask bench serve` measures what the server's door and guard cost on top of it.
//!
//! `bare FOLDER PORT`

use std::collections::BTreeMap;
use std::process::ExitCode;
use std::sync::Arc;

use axum::Router;
use axum::body::Bytes;
use http::StatusCode;
use runtime::{Batch, Limits, Model, Tensor, Values};
use serde::{Deserialize, Serialize};
use serde_json::Value;

#[derive(Deserialize)]
struct Request {
    inputs: Vec<Input>,
}

#[derive(Deserialize)]
struct Input {
    name: String,
    shape: Vec<usize>,
    data: Vec<f64>,
}

#[derive(Serialize)]
struct Answer {
    model_name: &'static str,
    outputs: Vec<Output>,
}

#[derive(Serialize)]
struct Output {
    name: String,
    shape: Vec<usize>,
    datatype: &'static str,
    data: Value,
}

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(problem) => {
            eprintln!("{problem}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<(), String> {
    let mut words = std::env::args().skip(1);
    let folder = words.next().ok_or("which folder holds the model?")?;
    let port: u16 = words.next().and_then(|text| text.parse().ok()).ok_or("which port?")?;
    let model = Arc::new(load(&folder)?);
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().map_err(|error| error.to_string())?;
    runtime.block_on(async move {
        let listener = tokio::net::TcpListener::bind(("127.0.0.1", port)).await.map_err(|error| error.to_string())?;
        let router = Router::new().fallback(move |body: Bytes| {
            let model = Arc::clone(&model);
            async move { if body.is_empty() { (StatusCode::OK, Vec::new()) } else { answered(&model, &body) } }
        });
        axum::serve(listener, router).await.map_err(|error| error.to_string())
    })
}

fn load(folder: &str) -> Result<Model, String> {
    let mut files = BTreeMap::new();
    for entry in std::fs::read_dir(folder).map_err(|error| format!("cannot read `{folder}`: {error}"))? {
        let entry = entry.map_err(|error| error.to_string())?;
        if entry.path().is_file() {
            let bytes = std::fs::read(entry.path()).map_err(|error| error.to_string())?;
            files.insert(entry.file_name().to_string_lossy().into_owned(), bytes);
        }
    }
    Model::load(&files, &Limits::default()).map_err(|error| error.to_string())
}

fn answered(model: &Model, body: &[u8]) -> (StatusCode, Vec<u8>) {
    match predicted(model, body) {
        Ok(bytes) => (StatusCode::OK, bytes),
        Err(problem) => (StatusCode::BAD_REQUEST, problem.into_bytes()),
    }
}

fn predicted(model: &Model, body: &[u8]) -> Result<Vec<u8>, String> {
    let request: Request = serde_json::from_slice(body).map_err(|error| error.to_string())?;
    let mut tensors = Vec::new();
    for input in request.inputs {
        let tensor = Tensor::new(input.shape, Values::F64(input.data)).map_err(|error| error.to_string())?;
        tensors.push((input.name, tensor));
    }
    let batch = Batch::tensors(tensors).map_err(|error| error.to_string())?;
    let outputs = model.predict(&batch).map_err(|error| error.to_string())?;
    let outputs = outputs.all.into_iter().map(|output| {
        let values = output.tensor.values();
        Output {
            name: output.name,
            shape: output.tensor.shape().to_vec(),
            datatype: values.data_type().oip_name(),
            data: data(values),
        }
    });
    let answer = Answer { model_name: "bare", outputs: outputs.collect() };
    serde_json::to_vec(&answer).map_err(|error| error.to_string())
}

fn data(values: &Values) -> Value {
    match values {
        Values::F32(all) => Value::from(all.clone()),
        Values::F64(all) => Value::from(all.clone()),
        Values::I64(all) => Value::from(all.clone()),
        Values::Bool(all) => Value::from(all.clone()),
        Values::Text(all) => Value::from(all.clone()),
    }
}
