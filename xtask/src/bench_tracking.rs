//! Side by side with `mlflow server`: the same load generator, the same machine, the same minutes. Ours runs with TLS,
//! a token, policy, audit and encryption; the peer with what it has by default, which is none of these.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::bench::Row;
use crate::drill::value;
use crate::shell::{self, Service};
use crate::{demo, postgres, python};

const RUN_COUNT: &str = "5000";
const ARTIFACT_BYTES: &str = "200000000";
const SECONDS: &str = "5";
const PEER_START_MAX: Duration = Duration::from_secs(120);
/// A server is called idle when it has answered once and then been left alone for this long.
const IDLE_AFTER: Duration = Duration::from_secs(5);

/// One work: its name, its target ratio, whether less is better, and what limits ours.
struct Work {
    name: &'static str,
    unit: &'static str,
    target: f64,
    less_is_better: bool,
    limited_by: &'static str,
}

const WORKS: [Work; 8] = [
    Work {
        name: "log-metric",
        unit: "requests/s",
        target: 20.0,
        less_is_better: false,
        limited_by: "CPU shared with the load generator; two fsyncs per group of requests",
    },
    Work {
        name: "log-batch",
        unit: "metrics/s",
        target: 20.0,
        less_is_better: false,
        limited_by: "CPU: reading 1,000 metrics of JSON per request",
    },
    Work {
        name: "create-run",
        unit: "requests/s",
        target: 20.0,
        less_is_better: false,
        limited_by: "CPU shared with the load generator; two fsyncs per group of requests",
    },
    Work {
        name: "search-runs",
        unit: "ms",
        target: 20.0,
        less_is_better: true,
        limited_by: "CPU: one query and 100 runs of JSON; one fsync of the record before the answer",
    },
    Work {
        name: "artifact-upload",
        unit: "MB/s",
        target: 3.0,
        less_is_better: false,
        limited_by: "CPU: both ends of TLS, SHA-256 and AES-GCM of each byte share two cores",
    },
    Work {
        name: "artifact-download",
        unit: "MB/s",
        target: 3.0,
        less_is_better: false,
        limited_by: "CPU: the one client's end of TLS; the server waits for it",
    },
    Work {
        name: "cold-start",
        unit: "ms",
        target: 20.0,
        less_is_better: true,
        limited_by: "opening the database and checking the log",
    },
    Work {
        name: "idle-memory",
        unit: "MiB",
        target: 10.0,
        less_is_better: true,
        limited_by: "caches of the database and the policy engine",
    },
];

/// A server that can be measured.
struct Side {
    name: &'static str,
    url: String,
    arguments: Vec<String>,
    start: Box<dyn Fn() -> Command>,
    /// The experiment with many runs, and the artifact to download, once they exist.
    experiment: String,
    artifact: String,
}

/// Measures every work, or those that `--works` names.
///
/// # Errors
/// If a server does not start or a work cannot be done.
pub fn run(words: &[&str]) -> Result<Vec<Row>, String> {
    let rounds: usize = value(words, "--rounds").and_then(|text| text.parse().ok()).unwrap_or(3);
    let wanted: Option<Vec<&str>> = value(words, "--works").map(|list| list.split(',').collect());
    let works: Vec<&Work> = WORKS.iter().filter(|work| wanted.as_ref().is_none_or(|names| names.contains(&work.name))).collect();
    if !words.contains(&"--prebuilt") {
        shell::say("building the server and the load generator");
        let packages = ["--package", "strongroom", "--package", "loadgen"];
        shell::cargo(&[&["build", "--quiet", "--release"], packages.as_slice()].concat())?;
    }
    let peer_python = python::environment("peer", &shell::root().join("bench").join("peer-requirements.txt"))?;
    let folder = tempfile::Builder::new()
        .prefix("bench-")
        .tempdir_in(shell::work()?)
        .map_err(|error| format!("cannot make a folder: {error}"))?;
    let mut ours = our_side(folder.path())?;
    let mut peer = peer_side(folder.path(), &peer_python)?;
    shell::say(&format!("peer: mlflow {}, its default workers, SQLite", python::version(&peer_python, "mlflow")));

    let mut rows = Vec::new();
    rows.extend(rounds_at_rest(&works, &ours, &peer, rounds)?);
    if works.iter().any(|work| !at_rest(work)) {
        let running = (ours.serve()?, peer.serve()?);
        rows.extend(rounds_under_load(&works, &mut ours, &mut peer, rounds)?);
        drop(running);
    }
    rows.sort_by_key(|row| WORKS.iter().position(|work| work.name == row.work));
    Ok(rows)
}

fn at_rest(work: &Work) -> bool {
    matches!(work.name, "cold-start" | "idle-memory")
}

fn rounds_at_rest(works: &[&Work], ours: &Side, peer: &Side, rounds: usize) -> Result<Vec<Row>, String> {
    let wanted: Vec<&&Work> = works.iter().filter(|work| at_rest(work)).collect();
    if wanted.is_empty() {
        return Ok(Vec::new());
    }
    // The first start makes databases and certificates, and fills the page cache: it is not a cold start's time.
    for side in [ours, peer] {
        drop(side.serve()?);
    }
    let mut values: [Vec<(f64, f64)>; 2] = [Vec::new(), Vec::new()];
    for round in 0..rounds {
        for (side, measured) in [ours, peer].into_iter().zip(values.iter_mut()) {
            let start = Instant::now();
            let server = side.serve()?;
            let start_ms = start.elapsed().as_secs_f64() * 1_000.0;
            std::thread::sleep(IDLE_AFTER);
            let mebibytes = server.resident_bytes() as f64 / (1024.0 * 1024.0);
            shell::say(&format!("round {}: {} starts in {start_ms:.0} ms, idles at {mebibytes:.0} MiB", round + 1, side.name));
            measured.push((start_ms, mebibytes));
        }
    }
    let middle = |measured: &[(f64, f64)], memory: bool| {
        median(measured.iter().map(|(start, bytes)| if memory { *bytes } else { *start }).collect())
    };
    let rows = wanted.iter().map(|work| {
        let memory = work.name == "idle-memory";
        let [ours, peer] = &values;
        row(work, middle(ours, memory), middle(peer, memory))
    });
    Ok(rows.collect())
}

fn rounds_under_load(works: &[&Work], ours: &mut Side, peer: &mut Side, rounds: usize) -> Result<Vec<Row>, String> {
    let mut rows = Vec::new();
    for work in works.iter().filter(|work| !at_rest(work)) {
        for side in [&mut *ours, &mut *peer] {
            side.prepare(work.name)?;
        }
        let (mut our_values, mut peer_values) = (Vec::new(), Vec::new());
        for round in 0..rounds {
            our_values.push(ours.measure(work.name)?);
            peer_values.push(peer.measure(work.name)?);
            shell::say(&format!(
                "{} round {}: ours {:.2} {unit}, peer {:.2} {unit}",
                work.name,
                round + 1,
                our_values.last().copied().unwrap_or_default(),
                peer_values.last().copied().unwrap_or_default(),
                unit = work.unit
            ));
        }
        rows.push(row(work, median(our_values), median(peer_values)));
    }
    Ok(rows)
}

fn row(work: &Work, ours: f64, peer: f64) -> Row {
    let ratio = if work.less_is_better { peer / ours } else { ours / peer };
    Row {
        work: work.name.into(),
        ours,
        peer: Some(peer),
        unit: work.unit,
        ratio: Some(ratio),
        limit: work.target,
        of_limit: ratio / work.target,
        limited_by: work.limited_by.into(),
    }
}

fn our_side(folder: &Path) -> Result<Side, String> {
    let binary = shell::target().join("release").join("strongroom");
    let (data, token) = (folder.join("strongroom"), folder.join("admin.token"));
    shell::quiet(Command::new(&binary).arg("init").arg("--data").arg(&data).arg("--admin-token-file").arg(&token))?;
    let port = postgres::free_port()?;
    let ca = data.join("tls").join("ca.pem");
    let log = folder.join("strongroom.log");
    Ok(Side {
        name: "strongroom",
        url: format!("https://127.0.0.1:{port}"),
        arguments: vec!["--token-file".to_owned(), token.display().to_string(), "--ca".to_owned(), ca.display().to_string()],
        start: Box::new(move || {
            let mut command = Command::new(&binary);
            command.arg("serve").arg("--data").arg(&data).args(["--listen", &format!("127.0.0.1:{port}")]);
            with_log(&mut command, &log);
            command
        }),
        experiment: String::new(),
        artifact: String::new(),
    })
}

fn peer_side(folder: &Path, python: &Path) -> Result<Side, String> {
    let port = postgres::free_port()?;
    let program = python.with_file_name("mlflow");
    let home: PathBuf = folder.join("mlflow");
    std::fs::create_dir_all(&home).map_err(|error| format!("cannot make `{}`: {error}", home.display()))?;
    let log = folder.join("mlflow.log");
    Ok(Side {
        name: "mlflow",
        url: format!("http://127.0.0.1:{port}"),
        arguments: Vec::new(),
        start: Box::new(move || {
            let mut command = Command::new(&program);
            command
                .args(["server", "--host", "127.0.0.1", "--port", &port.to_string()])
                .args(["--backend-store-uri", &format!("sqlite:///{}/mlflow.db", home.display())])
                .args(["--artifacts-destination", &home.join("artifacts").display().to_string()])
                .env("MLFLOW_DISABLE_TELEMETRY", "true")
                .current_dir(&home);
            with_log(&mut command, &log);
            command
        }),
        experiment: String::new(),
        artifact: String::new(),
    })
}

fn with_log(command: &mut Command, path: &Path) {
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
    if let Ok(log) = std::fs::OpenOptions::new().create(true).append(true).open(path) {
        command.stderr(log);
    }
}

impl Side {
    /// Starts the server and returns when it has answered.
    fn serve(&self) -> Result<Service, String> {
        let mut child = (self.start)().spawn().map_err(|error| format!("cannot start {}: {error}", self.name))?;
        if let Some(output) = child.stdout.take() {
            std::thread::spawn(move || demo::listening(output));
        }
        let server = Service::new(child);
        let start = Instant::now();
        self.loadgen(&["first-answer"]).map_err(|fault| {
            format!(
                "{} did not answer within {} s ({} s): {fault}",
                self.name,
                PEER_START_MAX.as_secs(),
                start.elapsed().as_secs()
            )
        })?;
        Ok(server)
    }

    /// What a work needs to find before it can be measured.
    fn prepare(&mut self, work: &str) -> Result<(), String> {
        if work == "search-runs" && self.experiment.is_empty() {
            shell::say(&format!("{}: making {RUN_COUNT} runs", self.name));
            let made = self.loadgen(&["fill-runs", "--count", RUN_COUNT])?;
            self.experiment = text(&made, "experiment")?;
        }
        if work == "artifact-download" && self.artifact.is_empty() {
            let made = self.loadgen(&["artifact-upload", "--bytes", ARTIFACT_BYTES])?;
            self.artifact = text(&made, "on")?;
        }
        Ok(())
    }

    fn measure(&self, work: &str) -> Result<f64, String> {
        let mut words = vec![work, "--seconds", SECONDS, "--connections", "16", "--bytes", ARTIFACT_BYTES];
        match work {
            "search-runs" => words.extend(["--on", &self.experiment]),
            "artifact-download" => words.extend(["--on", &self.artifact]),
            _ => {}
        }
        let report = self.loadgen(&words)?;
        let errors = report.get("errors").and_then(Value::as_u64).unwrap_or(0);
        if errors > 0 {
            shell::say(&format!("{}: {errors} requests of {work} failed", self.name));
        }
        report.get("value").and_then(Value::as_f64).ok_or_else(|| format!("no value in {report}"))
    }

    fn loadgen(&self, words: &[&str]) -> Result<Value, String> {
        let program = shell::target().join("release").join("loadgen");
        let mut command = Command::new(program);
        command.args(words).args(["--url", &self.url]).args(&self.arguments);
        let report = shell::quiet(&mut command)?;
        serde_json::from_str(&report).map_err(|error| format!("the load generator said `{report}`: {error}"))
    }
}

fn text(report: &Value, name: &str) -> Result<String, String> {
    report.get(name).and_then(Value::as_str).map(str::to_owned).ok_or_else(|| format!("no `{name}` in {report}"))
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or_default()
}
