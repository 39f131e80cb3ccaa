//! Predicts for tests and benches: a line of JSON in, a line of JSON out.
//!
//! In: `{"folder": …, "inputs": [{"name": …, "type": "f32" | "f64" | "i64" | "text", "shape": […], "values": […]}], "repeat": 0}`.
//! Missing numbers are `null`. Out: `{"outputs": [{"name", "role", "shape", "values"}], "cpu_us": …}` or `{"error": …}`.
//! With `repeat`, the batch is predicted many times more, as often as that between two looks at the clock, and `cpu_us` is the
//! processor time of one.

use std::collections::BTreeMap;
use std::io::{BufRead, Write};

use runtime::{Batch, Limits, Model, Outputs, Tensor, Values};
use serde_json::{Value, json};

type Failure = Box<dyn std::error::Error>;

fn main() -> Result<(), Failure> {
    for line in std::io::stdin().lock().lines() {
        let answer = answer(&line?).unwrap_or_else(|error| json!({"error": error.to_string()}));
        writeln!(std::io::stdout(), "{answer}")?;
    }
    Ok(())
}

fn answer(line: &str) -> Result<Value, Failure> {
    let request: Value = serde_json::from_str(line)?;
    let folder = field(&request, "folder").as_str().ok_or("no folder")?;
    let mut files = BTreeMap::new();
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        if entry.file_type()?.is_file() {
            files.insert(entry.file_name().to_string_lossy().into_owned(), std::fs::read(entry.path())?);
        }
    }
    let model = Model::load(&files, &Limits::default())?;
    let mut inputs = Vec::new();
    for input in field(&request, "inputs").as_array().ok_or("no inputs")? {
        let name = field(input, "name").as_str().unwrap_or_default().to_owned();
        inputs.push((name, tensor(input)?));
    }
    let batch = Batch::tensors(inputs)?;
    let outputs = model.predict(&batch)?;
    let repeat = field(&request, "repeat").as_u64().unwrap_or(0);
    let cpu_us = if repeat > 0 { Some(best(&model, &batch, repeat)?) } else { None };
    Ok(json!({"outputs": rendered(&outputs), "classes": model.signature().classes, "cpu_us": cpu_us}))
}

fn field<'a>(value: &'a Value, name: &str) -> &'a Value {
    value.get(name).unwrap_or(&Value::Null)
}

/// The processor time of one prediction in µs: the best of three rounds, so that what else the machine does counts least.
/// A round is long, since the kernel's account moves in steps of some milliseconds.
fn best(model: &Model, batch: &Batch, repeat: u64) -> Result<f64, Failure> {
    const ROUND_SECONDS: f64 = 0.2;
    let mut best = f64::INFINITY;
    for _ in 0..3 {
        let start = processor_seconds()?;
        let (mut count, mut used) = (0, 0.0);
        while used < ROUND_SECONDS {
            for _ in 0..repeat {
                std::hint::black_box(model.predict(std::hint::black_box(batch))?);
            }
            count += repeat;
            used = processor_seconds()? - start;
        }
        best = best.min(used * 1e6 / count as f64);
    }
    Ok(best)
}

/// What this thread has used, by the kernel's account in nanoseconds.
fn processor_seconds() -> Result<f64, Failure> {
    let account = std::fs::read_to_string("/proc/thread-self/schedstat")?;
    let used: f64 = account.split(' ').next().ok_or("no account")?.parse()?;
    Ok(used / 1e9)
}

fn tensor(input: &Value) -> Result<Tensor, Failure> {
    let list = field(input, "values").as_array().ok_or("no values")?;
    let floats = || list.iter().map(|value| value.as_f64().unwrap_or(f64::NAN));
    let values = match field(input, "type").as_str() {
        Some("f32") => Values::F32(floats().map(|value| value as f32).collect()),
        Some("f64") => Values::F64(floats().collect()),
        Some("i64") => Values::I64(list.iter().map(|value| value.as_i64().unwrap_or_default()).collect()),
        Some("text") => Values::Text(list.iter().map(|value| value.as_str().unwrap_or_default().to_owned()).collect()),
        _ => return Err("a type that is not known".into()),
    };
    let shape: Option<Vec<usize>> =
        field(input, "shape").as_array().map(|shape| shape.iter().map(|size| size.as_u64().unwrap_or(0) as usize).collect());
    Ok(Tensor::new(shape.unwrap_or_else(|| vec![values.len()]), values)?)
}

fn rendered(outputs: &Outputs) -> Value {
    let output = |output: &runtime::Output| {
        let values = match output.tensor.values() {
            Values::F32(list) => json!(list),
            Values::F64(list) => json!(list),
            Values::I64(list) => json!(list),
            Values::Bool(list) => json!(list),
            Values::Text(list) => json!(list),
        };
        json!({"name": output.name, "role": format!("{:?}", output.role), "shape": output.tensor.shape(), "values": values})
    };
    outputs.all.iter().map(output).collect()
}
