//! The works. Each is a loop of requests that a real client sends, and a number that a user feels.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use hyper::Method;
use serde_json::{Value, json};

use crate::connection::{Connection, Peer};
use crate::options::Options;
use crate::{guess, limits, objects};

const API: &str = "/api/2.0/mlflow";
const JSON: &str = "application/json";
const BATCH_METRIC_COUNT: usize = 1_000;
const BATCH_KEY_COUNT: usize = 50;
const FIRST_ANSWER_MAX: Duration = Duration::from_secs(120);
/// Errors beyond this are not shown one by one.
const SHOWN_ERROR_COUNT_MAX: usize = 3;

/// Which loop runs on every connection.
#[derive(Clone, Copy)]
enum Loop {
    LogMetric,
    LogBatch,
    CreateRun,
}

/// What one connection saw.
#[derive(Default)]
pub struct Seen {
    /// How long each took.
    pub latencies: Vec<Duration>,
    /// How many failed.
    pub errors: usize,
}

/// Does the work that the options name, and reports it.
///
/// # Errors
/// If it cannot be done at all.
pub async fn run(options: Options) -> Result<Value, String> {
    if options.work == "limits" {
        return limits::measure(&options);
    }
    match options.work.as_str() {
        "guess" => return guess::guess(options).await,
        "others" => return guess::others(options).await,
        _ => {}
    }
    let peer = Peer::of(&options)?;
    if options.work.starts_with("s3-") {
        return objects::run(&options, &peer).await;
    }
    match options.work.as_str() {
        "log-metric" => repeat(&options, &peer, Loop::LogMetric, 1.0, "requests/s").await,
        "log-batch" => repeat(&options, &peer, Loop::LogBatch, BATCH_METRIC_COUNT as f64, "metrics/s").await,
        "create-run" => repeat(&options, &peer, Loop::CreateRun, 1.0, "requests/s").await,
        "fill-runs" => fill_runs(&options, &peer).await,
        "search-runs" => search_runs(&options, &peer).await,
        "artifact-upload" => artifact(&options, &peer, true).await,
        "artifact-download" => artifact(&options, &peer, false).await,
        "predict" => predict(&options, &peer).await,
        "first-answer" => first_answer(&peer).await,
        other => Err(format!("`{other}` is not a work")),
    }
}

async fn repeat(options: &Options, peer: &Peer, what: Loop, each: f64, unit: &str) -> Result<Value, String> {
    let experiment = new_experiment(&mut peer.connection()).await?;
    let mut clients = Vec::new();
    for number in 0..options.connections {
        let mut connection = peer.connection();
        let run = new_run(&mut connection, &experiment, number).await?;
        clients.push((connection, run));
    }
    let start = Instant::now();
    let deadline = start + options.duration;
    let mut tasks = Vec::new();
    for (connection, run) in clients {
        tasks.push(tokio::spawn(client(what, connection, run, experiment.clone(), deadline)));
    }
    let mut all = Seen::default();
    for task in tasks {
        let seen = task.await.map_err(|error| format!("a client broke: {error}"))?;
        all.latencies.extend(seen.latencies);
        all.errors += seen.errors;
    }
    let rate = all.latencies.len() as f64 * each / start.elapsed().as_secs_f64();
    Ok(report(options, rate, unit, &mut all))
}

async fn client(what: Loop, mut connection: Connection, run: String, experiment: String, deadline: Instant) -> Seen {
    let mut seen = Seen::default();
    let mut step: u64 = 0;
    while Instant::now() < deadline {
        let (path, body) = match what {
            Loop::LogMetric => (
                "/runs/log-metric",
                json!({"run_id": run, "key": "loss", "value": 1.0 / (step + 1) as f64, "timestamp": now_ms(), "step": step}),
            ),
            Loop::LogBatch => ("/runs/log-batch", batch(&run, step)),
            Loop::CreateRun => ("/runs/create", run_body(&experiment, step as usize)),
        };
        step += 1;
        let start = Instant::now();
        match connection.post(&format!("{API}{path}"), &body).await {
            Ok(_) => seen.latencies.push(start.elapsed()),
            Err(problem) => seen.fail(&problem),
        }
    }
    seen
}

async fn fill_runs(options: &Options, peer: &Peer) -> Result<Value, String> {
    let experiment = new_experiment(&mut peer.connection()).await?;
    let start = Instant::now();
    let mut tasks = Vec::new();
    for worker in 0..options.connections {
        let (mut connection, experiment) = (peer.connection(), experiment.clone());
        let (first, step, count) = (worker, options.connections, options.count);
        tasks.push(tokio::spawn(async move {
            for number in (first..count).step_by(step) {
                let run = new_run(&mut connection, &experiment, number).await?;
                connection.post(&format!("{API}/runs/log-batch"), &run_contents(&run, number)).await?;
            }
            Ok::<(), String>(())
        }));
    }
    for task in tasks {
        task.await.map_err(|error| format!("a client broke: {error}"))??;
    }
    Ok(json!({"work": "fill-runs", "experiment": experiment, "seconds": start.elapsed().as_secs_f64()}))
}

async fn search_runs(options: &Options, peer: &Peer) -> Result<Value, String> {
    let experiment = options.on.as_ref().ok_or("`search-runs` needs `--on EXPERIMENT`")?;
    let mut connection = peer.connection();
    let body = json!({
        "experiment_ids": [experiment],
        "filter": "metrics.score > 0.5 and params.kind = 'b'",
        "order_by": ["metrics.score DESC"],
        "max_results": 100,
    });
    let mut seen = Seen::default();
    // Plans and caches are warm after a few; a user's page asks again and again.
    for _ in 0..3 {
        connection.post(&format!("{API}/runs/search"), &body).await?;
    }
    let deadline = Instant::now() + options.duration;
    while Instant::now() < deadline {
        let start = Instant::now();
        let answer = connection.post(&format!("{API}/runs/search"), &body).await?;
        seen.latencies.push(start.elapsed());
        let answer: Value = serde_json::from_slice(&answer).map_err(|error| format!("no JSON: {error}"))?;
        let count = answer.get("runs").and_then(Value::as_array).map_or(0, Vec::len);
        if count != 100 {
            return Err(format!("a search over {} runs found {count}, not 100", options.count));
        }
    }
    seen.latencies.sort_unstable();
    let middle = milliseconds(percentile(&seen.latencies, 50));
    Ok(report(options, middle, "ms", &mut seen))
}

async fn artifact(options: &Options, peer: &Peer, upload: bool) -> Result<Value, String> {
    let mut connection = peer.connection();
    let run_uri = match &options.on {
        Some(path) => path.clone(),
        None => {
            let experiment = new_experiment(&mut connection).await?;
            let run = new_run(&mut connection, &experiment, 0).await?;
            format!("{experiment}/{run}/artifacts")
        }
    };
    let path = format!("/api/2.0/mlflow-artifacts/artifacts/{run_uri}/large.bin");
    let bytes = if upload { noise(options.bytes) } else { Bytes::new() };
    // A client keeps its connection: the handshake is no part of a transfer, on either side.
    connection.send(Method::GET, "/health", Bytes::new(), JSON).await?;
    let start = Instant::now();
    let (status, count) = if upload {
        let answer = connection.send(Method::PUT, &path, bytes, "application/octet-stream").await?;
        (answer.status, options.bytes)
    } else {
        connection.count(&path).await?
    };
    let taken = start.elapsed();
    if status >= 300 {
        return Err(format!("{path} answered {status}"));
    }
    if count != options.bytes {
        return Err(format!("{count} bytes came back, not {}", options.bytes));
    }
    let mut seen = Seen { latencies: vec![taken], errors: 0 };
    let mut result = report(options, options.bytes as f64 / 1e6 / taken.as_secs_f64(), "MB/s", &mut seen);
    if let Some(object) = result.as_object_mut() {
        object.insert("on".to_owned(), json!(run_uri));
    }
    Ok(result)
}

/// Posts one body to one path again and again, on every connection.
async fn predict(options: &Options, peer: &Peer) -> Result<Value, String> {
    let path = options.on.clone().ok_or("`predict` needs `--on PATH`")?;
    let file = options.body.as_ref().ok_or("`predict` needs `--body FILE`")?;
    let body = Bytes::from(std::fs::read(file).map_err(|error| format!("cannot read `{file}`: {error}"))?);
    let start = Instant::now();
    let deadline = start + options.duration;
    let mut tasks = Vec::new();
    for _ in 0..options.connections {
        let (mut connection, path, body, kind) = (peer.connection(), path.clone(), body.clone(), options.kind.clone());
        tasks.push(tokio::spawn(async move {
            let mut seen = Seen::default();
            while Instant::now() < deadline {
                let start = Instant::now();
                match connection.send(Method::POST, &path, body.clone(), &kind).await {
                    Ok(answer) if answer.status == 200 => seen.latencies.push(start.elapsed()),
                    Ok(answer) => seen.fail(&format!("{path} answered {}: {}", answer.status, shown(&answer.body))),
                    Err(problem) => seen.fail(&problem),
                }
            }
            seen
        }));
    }
    let mut all = Seen::default();
    for task in tasks {
        let seen = task.await.map_err(|error| format!("a client broke: {error}"))?;
        all.latencies.extend(seen.latencies);
        all.errors += seen.errors;
    }
    let rate = all.latencies.len() as f64 / start.elapsed().as_secs_f64();
    Ok(report(options, rate, "requests/s", &mut all))
}

/// The beginning of an answer, for a message.
pub fn shown(body: &[u8]) -> String {
    String::from_utf8_lossy(body).chars().take(300).collect()
}

impl Seen {
    /// Counts an error, and shows the first ones.
    pub fn fail(&mut self, problem: &str) {
        if self.errors < SHOWN_ERROR_COUNT_MAX {
            eprintln!("{problem}");
        }
        self.errors += 1;
    }
}

/// Polls until the server answers anything at all at `/health`.
async fn first_answer(peer: &Peer) -> Result<Value, String> {
    let start = Instant::now();
    while start.elapsed() < FIRST_ANSWER_MAX {
        let answer = peer.connection().send(Method::GET, "/health", Bytes::new(), JSON).await;
        if answer.is_ok_and(|answer| answer.status == 200) {
            return Ok(json!({"work": "first-answer", "waited_ms": milliseconds(start.elapsed())}));
        }
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    Err("no answer at /health".to_owned())
}

async fn new_experiment(connection: &mut Connection) -> Result<String, String> {
    let name = format!("bench-{}-{}", std::process::id(), now_ms());
    let answer = connection.post(&format!("{API}/experiments/create"), &json!({"name": name})).await?;
    text_at(&answer, "/experiment_id")
}

async fn new_run(connection: &mut Connection, experiment: &str, number: usize) -> Result<String, String> {
    let answer = connection.post(&format!("{API}/runs/create"), &run_body(experiment, number)).await?;
    text_at(&answer, "/run/info/run_id")
}

fn run_body(experiment: &str, number: usize) -> Value {
    json!({
        "experiment_id": experiment,
        "start_time": now_ms(),
        "run_name": format!("run-{number}"),
        "tags": [
            {"key": "mlflow.source.name", "value": "train.py"},
            {"key": "mlflow.source.type", "value": "LOCAL"},
            {"key": "mlflow.user", "value": "bench"},
        ],
    })
}

fn run_contents(run: &str, number: usize) -> Value {
    let at = now_ms();
    let score = ((number * 7_919) % 10_007) as f64 / 10_007.0;
    let metric = |key: &str, value: f64| json!({"key": key, "value": value, "timestamp": at, "step": 0});
    let kind = ["a", "b"].get(number % 2).copied().unwrap_or("a");
    json!({
        "run_id": run,
        "metrics": [
            metric("score", score), metric("loss", 1.0 - score), metric("recall", score / 2.0),
            metric("precision", score / 3.0), metric("seconds", number as f64),
        ],
        "params": [
            {"key": "kind", "value": kind}, {"key": "seed", "value": number.to_string()},
            {"key": "depth", "value": (number % 12).to_string()}, {"key": "rate", "value": "0.01"},
            {"key": "optimizer", "value": "adam"},
        ],
        "tags": [{"key": "team", "value": "blue"}, {"key": "phase", "value": "sweep"}],
    })
}

fn batch(run: &str, number: u64) -> Value {
    let at = now_ms();
    let steps = BATCH_METRIC_COUNT / BATCH_KEY_COUNT;
    let points = (0..BATCH_METRIC_COUNT).map(|point| {
        let step = number * steps as u64 + (point / BATCH_KEY_COUNT) as u64;
        let key = format!("layer_{}/norm", point % BATCH_KEY_COUNT);
        json!({"key": key, "value": (point as f64).sin(), "timestamp": at, "step": step})
    });
    json!({"run_id": run, "metrics": points.collect::<Vec<_>>()})
}

/// Bytes that do not compress, made fast.
pub fn noise(count: usize) -> Bytes {
    let mut state: u64 = 0x9E37_79B9_7F4A_7C15;
    let mut bytes = Vec::with_capacity(count + 8);
    while bytes.len() < count {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        bytes.extend_from_slice(&state.to_le_bytes());
    }
    bytes.truncate(count);
    Bytes::from(bytes)
}

/// What a work prints.
pub fn report(options: &Options, value: f64, unit: &str, seen: &mut Seen) -> Value {
    seen.latencies.sort_unstable();
    json!({
        "work": options.work,
        "value": value,
        "unit": unit,
        "p50_ms": milliseconds(percentile(&seen.latencies, 50)),
        "p99_ms": milliseconds(percentile(&seen.latencies, 99)),
        "requests": seen.latencies.len(),
        "errors": seen.errors,
    })
}

/// The value that so many per cent are below.
pub fn percentile(sorted: &[Duration], percent: usize) -> Duration {
    let index = (sorted.len() * percent / 100).min(sorted.len().saturating_sub(1));
    sorted.get(index).copied().unwrap_or_default()
}

/// As a number.
pub fn milliseconds(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1_000.0
}

fn text_at(body: &[u8], pointer: &str) -> Result<String, String> {
    let value: Value = serde_json::from_slice(body).map_err(|error| format!("no JSON: {error}"))?;
    value.pointer(pointer).and_then(Value::as_str).map(str::to_owned).ok_or_else(|| format!("the answer has no `{pointer}`"))
}

fn now_ms() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |age| age.as_millis() as u64)
}
