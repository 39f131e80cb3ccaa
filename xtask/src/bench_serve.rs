//! `cargo xtask bench serve`: one model behind our door beside the same model behind MLServer, `mlflow models serve`, Triton
//! and the least that can answer at all. Ours runs with TLS, a token, policy, guard and a durable record of each request; the
//! others with what they have by default, which is none of these.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::bench::Row;
use crate::drill::value;
use crate::shell::{self, Service};
use crate::{demo, postgres, python};

const SECONDS: &str = "5";
const CONNECTIONS: &str = "8";
const START_MAX: Duration = Duration::from_secs(120);
/// Requests that are sent before anything is measured: caches, pools and lazily built things are there then.
const WARM_UP_SECONDS: &str = "1";
/// Times that memory is looked at while one load runs, and the seconds between.
const MEMORY_LOOKS: usize = 20;

/// What the issue asks for.
const TIMES_MLSERVER: f64 = 25.0;
const CPU_MS_MAX: f64 = 0.06;
const TIMES_BARE_MAX: f64 = 1.5;
const P99_MS_MAX: f64 = 5.0;
const MEMORY_GROWTH_MAX: f64 = 1.1;
const HOSTILE_TIMES_MAX: f64 = 2.0;

/// A server, and how it is asked about one row and a hundred.
struct Side {
    name: &'static str,
    url: String,
    path: String,
    protocol: &'static str,
    arguments: Vec<String>,
    service: Service,
}

/// What one load showed.
#[derive(Clone, Copy, Debug, Default)]
struct Measured {
    per_second: f64,
    p99_ms: f64,
    cpu_ms: f64,
}

/// Measures all works.
///
/// # Errors
/// If ours, MLServer or the bare server does not start or answer.
pub fn run(words: &[&str]) -> Result<Vec<Row>, String> {
    let rounds: usize = value(words, "--rounds").and_then(|text| text.parse().ok()).unwrap_or(3);
    let minutes: u64 = value(words, "--minutes").and_then(|text| text.parse().ok()).unwrap_or(10);
    if !words.contains(&"--prebuilt") {
        shell::say("building the servers and the load generator");
        let packages = ["--package", "strongroom", "--package", "inspector", "--package", "loadgen", "--package", "bare"];
        shell::cargo(&[&["build", "--quiet", "--release"], packages.as_slice()].concat())?;
    }
    let folder = tempfile::Builder::new()
        .prefix("bench-serve-")
        .tempdir_in(shell::work()?)
        .map_err(|error| format!("cannot make a folder: {error}"))?;
    let bench = Bench::new(folder.path())?;
    let mut sides = vec![bench.ours()?, bench.bare()?, bench.mlserver()?];
    for optional in [bench.mlflow(), bench.triton()] {
        match optional {
            Ok(side) => sides.push(side),
            Err(why) => shell::say(&format!("left out: {}", why.lines().next().unwrap_or(""))),
        }
    }
    let mut rows = Vec::new();
    for count in [1, 100] {
        let measured = bench.measured(&sides, count, rounds)?;
        rows.extend(of_works(&sides, &measured, count));
    }
    rows.push(bench.hostile(&sides, rounds)?);
    rows.push(bench.memory(&sides, minutes)?);
    Ok(rows)
}

fn of_works(sides: &[Side], measured: &[Measured], count: usize) -> Vec<Row> {
    let mut rows = Vec::new();
    let of = |name: &str| sides.iter().zip(measured).find(|(side, _)| side.name == name).map(|(_, measured)| *measured);
    let ours = of("strongroom").unwrap_or_default();
    let works: [(&str, &str, f64); 3] = if count == 1 {
        [("predict-1-row", "mlserver", TIMES_MLSERVER), ("1-row/mlflow", "mlflow", 1.0), ("1-row/triton", "triton", 1.0)]
    } else {
        [("predict-100-rows", "mlserver", 1.0), ("100-rows/mlflow", "mlflow", 1.0), ("100-rows/triton", "triton", 1.0)]
    };
    for (work, peer, limit) in works {
        let Some(peer) = of(peer) else { continue };
        let ratio = ours.per_second / peer.per_second;
        rows.push(row(work, (ours.per_second, Some(peer.per_second)), "requests/s", Some(ratio), limit, ratio / limit));
    }
    let Some(bare) = of("bare") else { return rows };
    if count == 1 {
        let peer = of("mlserver").map(|peer| peer.cpu_ms);
        let ratio = peer.map(|peer| peer / ours.cpu_ms);
        rows.push(row("cpu-per-request", (ours.cpu_ms, peer), "ms", ratio, CPU_MS_MAX, CPU_MS_MAX / ours.cpu_ms));
        rows.push(row("p99-at-8-clients", (ours.p99_ms, None), "ms", None, P99_MS_MAX, P99_MS_MAX / ours.p99_ms));
    }
    let work = if count == 1 { "bare-runtime" } else { "bare-runtime-100" };
    let ratio = bare.cpu_ms / ours.cpu_ms;
    rows.push(row(work, (ours.cpu_ms, Some(bare.cpu_ms)), "ms CPU", Some(ratio), 1.0 / TIMES_BARE_MAX, ratio * TIMES_BARE_MAX));
    rows
}

fn row(work: &str, values: (f64, Option<f64>), unit: &'static str, ratio: Option<f64>, limit: f64, of_limit: f64) -> Row {
    let limited_by = match work {
        "p99-at-8-clients" => "the fsync of the record before the answer, and two cores shared with the load generator",
        "p99-beside-hostile-requests" => "what the attack itself computes on the same two cores",
        "memory-flat" => "what the store of predictions and the guard's trails hold at most",
        _ => "TLS and the durable record of each request; two cores shared with the load generator",
    };
    Row {
        work: work.to_owned().into(),
        ours: values.0,
        peer: values.1,
        unit,
        ratio,
        limit,
        of_limit,
        limited_by: limited_by.into(),
    }
}

/// Where everything of one run lies.
struct Bench {
    folder: PathBuf,
    python: PathBuf,
}

impl Bench {
    fn new(folder: &Path) -> Result<Self, String> {
        let python = python::environment("serve", &shell::root().join("bench").join("serve-requirements.txt"))?;
        shell::say("training the models");
        shell::quiet(script(&python, "models.py").arg(folder))?;
        Ok(Self { folder: folder.to_path_buf(), python })
    }

    fn ours(&self) -> Result<Side, String> {
        let binary = shell::target().join("release").join("strongroom");
        let (data, token) = (self.folder.join("data"), self.folder.join("admin.token"));
        shell::quiet(Command::new(&binary).arg("init").arg("--data").arg(&data).arg("--admin-token-file").arg(&token))?;
        // One caller of the bench sends what many would: its quota must not be what is measured.
        let config = self.folder.join("strongroom.toml");
        let text = "[serving]\nrequests_per_second = 1000000\nrequests_at_once = 1000000\nguard_rows_per_day = 1000000000000\n";
        std::fs::write(&config, text).map_err(|error| format!("cannot write the configuration: {error}"))?;
        let port = postgres::free_port()?;
        let mut command = Command::new(&binary);
        command.arg("serve").arg("--data").arg(&data).arg("--config").arg(&config);
        let service = self.start("strongroom", command.args(["--listen", &format!("127.0.0.1:{port}")]))?;
        let ca = data.join("tls").join("ca.pem");
        let url = format!("https://127.0.0.1:{port}");
        let arguments = vec!["--token-file".to_owned(), token.display().to_string(), "--ca".to_owned(), ca.display().to_string()];
        let side = Side { name: "strongroom", url, path: "/v2/models/lr/infer".into(), protocol: "oip", arguments, service };
        self.wait(&side)?;
        let program = |words: &[&str]| {
            let mut command = Command::new(&binary);
            command.args(words).arg("--data").arg(&data).arg("--token-file").arg(&token);
            shell::quiet(&mut command)
        };
        let table = self.folder.join("training.csv").display().to_string();
        // It listens a moment before its command line finds it.
        let start = Instant::now();
        while program(&["endpoint", "list"]).is_err() && start.elapsed() < START_MAX {
            std::thread::sleep(Duration::from_millis(50));
        }
        program(&["data", "source", "add", "bench", "--pattern", &table, "--owner", "bench", "--licence", "CC0-1.0"])?;
        let about = ["--label", "label", "--source", &table, "--owner", "bench", "--licence", "CC0-1.0", "--wait"];
        program(&[&["data", "commit", "bench", &table], about.as_slice()].concat())?;
        let secret = std::fs::read_to_string(&token).map_err(|error| format!("no administrator's token: {error}"))?;
        shell::quiet(
            script(&self.python, "ours.py")
                .arg(&self.folder)
                .env("MLFLOW_TRACKING_URI", &side.url)
                .env("MLFLOW_TRACKING_TOKEN", secret.trim())
                .env("MLFLOW_TRACKING_SERVER_CERT_PATH", &ca)
                .env("MLFLOW_DISABLE_TELEMETRY", "true"),
        )?;
        for name in ["lr", "forest"] {
            let model = format!("bench-{name}@champion");
            program(&["endpoint", "create", name, "--model", &model])?;
        }
        Ok(side)
    }

    fn bare(&self) -> Result<Side, String> {
        let port = postgres::free_port()?;
        let mut command = Command::new(shell::target().join("release").join("bare"));
        let service = self.start("bare", command.arg(self.folder.join("lr").join("onnx")).arg(port.to_string()))?;
        self.ready("bare", port, "/", "oip", service)
    }

    fn mlserver(&self) -> Result<Side, String> {
        let python = python::environment("serve-mlserver", &shell::root().join("bench").join("serve-mlserver-requirements.txt"))?;
        let (port, grpc, metrics) = (postgres::free_port()?, postgres::free_port()?, postgres::free_port()?);
        // Without a pool of processes is its fastest way with small models.
        let settings = format!(
            r#"{{"host": "127.0.0.1", "http_port": {port}, "grpc_port": {grpc}, "metrics_port": {metrics}, "parallel_workers": 0, "debug": false}}"#
        );
        let file = self.folder.join("settings.json");
        std::fs::write(&file, settings).map_err(|error| format!("cannot write `{}`: {error}", file.display()))?;
        let mut command = Command::new(python.with_file_name("mlserver"));
        let service = self.start("mlserver", command.arg("start").arg(&self.folder))?;
        self.ready("mlserver", port, "/v2/models/lr/infer", "oip", service)
    }

    fn mlflow(&self) -> Result<Side, String> {
        let port = postgres::free_port()?;
        let mut command = Command::new(self.python.with_file_name("mlflow"));
        command.args(["models", "serve", "--env-manager", "local", "--host", "127.0.0.1", "--port", &port.to_string(), "-m"]);
        let path = std::env::var("PATH").unwrap_or_default();
        let programs = self.python.parent().unwrap_or(&self.python).display().to_string();
        command.env("PATH", format!("{programs}:{path}")).env("MLFLOW_DISABLE_TELEMETRY", "true");
        let service = self.start("mlflow", command.arg(self.folder.join("mlflow-lr")))?;
        self.ready("mlflow", port, "/invocations", "mlflow", service)
    }

    fn triton(&self) -> Result<Side, String> {
        // Its stub is linked against the system's libpython.
        let list = shell::root().join("bench").join("serve-triton-requirements.txt");
        let python = python::environment_of(Path::new("/usr/bin/python3"), "serve-triton", &list)?;
        let ports = [postgres::free_port()?, postgres::free_port()?, postgres::free_port()?];
        let mut command = script(&python, "triton.py");
        let service = self.start("triton", command.arg(&self.folder).args(ports.map(|port| port.to_string())))?;
        let [port, ..] = ports;
        self.ready("triton", port, "/v2/models/lr/infer", "oip", service)
    }

    fn start(&self, name: &str, command: &mut Command) -> Result<Service, String> {
        let log = std::fs::File::create(self.folder.join(format!("{name}.log"))).map_err(|error| error.to_string())?;
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(log).current_dir(&self.folder);
        let mut child = command.spawn().map_err(|error| format!("cannot start {name}: {error}"))?;
        if let Some(output) = child.stdout.take() {
            std::thread::spawn(move || demo::listening(output));
        }
        Ok(Service::new(child))
    }

    fn ready(&self, name: &'static str, port: u16, path: &str, protocol: &'static str, service: Service) -> Result<Side, String> {
        let url = format!("http://127.0.0.1:{port}");
        let side = Side { name, url, path: path.to_owned(), protocol, arguments: Vec::new(), service };
        self.wait(&side)?;
        // It listens before it can answer.
        let start = Instant::now();
        loop {
            match self.load(&side, 1, "0") {
                Ok(_) => return Ok(side),
                Err(why) if start.elapsed() > START_MAX => return Err(format!("{name} does not answer: {why}")),
                Err(_) => std::thread::sleep(Duration::from_millis(500)),
            }
        }
    }

    fn wait(&self, side: &Side) -> Result<(), String> {
        let start = Instant::now();
        let address = side.url.rsplit("//").next().unwrap_or_default().to_owned();
        while start.elapsed() < START_MAX {
            if std::net::TcpStream::connect(&address).is_ok() {
                return Ok(());
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        let log = std::fs::read_to_string(self.folder.join(format!("{}.log", side.name))).unwrap_or_default();
        let end: Vec<&str> = log.lines().rev().take(5).collect();
        Err(format!("{} does not listen within {} s: {}", side.name, START_MAX.as_secs(), end.join(" | ")))
    }

    /// The sides one after the other, round by round; the middle of each side's rounds.
    fn measured(&self, sides: &[Side], count: usize, rounds: usize) -> Result<Vec<Measured>, String> {
        let mut all = vec![Vec::new(); sides.len()];
        for side in sides {
            self.load(side, count, WARM_UP_SECONDS)?;
        }
        for round in 1..=rounds {
            for (side, seen) in sides.iter().zip(&mut all) {
                let one = self.load(side, count, SECONDS)?;
                shell::say(&format!(
                    "{count} row(s), round {round}: {} {:.0} requests/s, p99 {:.1} ms, {:.4} ms CPU each",
                    side.name, one.per_second, one.p99_ms, one.cpu_ms
                ));
                seen.push(one);
            }
        }
        let middle = |seen: &[Measured], of: fn(&Measured) -> f64| {
            let mut values: Vec<f64> = seen.iter().map(of).collect();
            values.sort_by(f64::total_cmp);
            values.get(values.len() / 2).copied().unwrap_or_default()
        };
        let middles = all.iter().map(|seen| Measured {
            per_second: middle(seen, |one| one.per_second),
            p99_ms: middle(seen, |one| one.p99_ms),
            cpu_ms: middle(seen, |one| one.cpu_ms),
        });
        Ok(middles.collect())
    }

    /// Sends one load, and counts what the server's processes computed meanwhile.
    fn load(&self, side: &Side, count: usize, seconds: &str) -> Result<Measured, String> {
        let body = self.folder.join(format!("{}-{count}.json", side.protocol));
        let before = side.service.cpu();
        let mut command = Command::new(shell::target().join("release").join("loadgen"));
        command.args(["predict", "--seconds", seconds, "--connections", CONNECTIONS, "--url", &side.url, "--on", &side.path]);
        let report = shell::quiet(command.arg("--body").arg(&body).args(&side.arguments))?;
        let spent = side.service.cpu().saturating_sub(before);
        let report: Value =
            serde_json::from_str(&report).map_err(|error| format!("the load generator said `{report}`: {error}"))?;
        let number = |name: &str| report.get(name).and_then(Value::as_f64).unwrap_or_default();
        if number("errors") > 0.0 || (number("requests") < 1.0 && seconds != "0") {
            return Err(format!("{}: {} requests of {} failed", side.name, number("errors"), number("requests")));
        }
        let cpu_ms = spent.as_secs_f64() * 1_000.0 / number("requests").max(1.0);
        Ok(Measured { per_second: number("value"), p99_ms: number("p99_ms"), cpu_ms })
    }

    /// The 99th percentile of ordinary requests while somebody else floods the server, over that of calm times.
    fn hostile(&self, sides: &[Side], rounds: usize) -> Result<Row, String> {
        let ours = sides.first().ok_or("there is no server")?;
        let ca = self.folder.join("data").join("tls").join("ca.pem");
        let token = self.folder.join("admin.token");
        let mut ratios = Vec::with_capacity(rounds);
        for round in 1..=rounds {
            let calm = self.load(ours, 1, SECONDS)?;
            let mut command = script(&self.python, "hostile.py");
            command.arg(&ours.url).arg(&ca).arg(&token).arg(&ours.path).stdin(Stdio::piped()).stdout(Stdio::piped());
            let mut child = command.spawn().map_err(|error| format!("cannot start the attack: {error}"))?;
            let output = child.stdout.take().ok_or("the attack has no output")?;
            let attack = Service::new(child);
            let mut line = String::new();
            std::io::BufRead::read_line(&mut std::io::BufReader::new(output), &mut line).map_err(|error| error.to_string())?;
            let count = line.trim().strip_prefix("ready ").ok_or("the attack did not begin")?.to_owned();
            let beside = self.load(ours, 1, SECONDS);
            drop(attack);
            let beside = beside?;
            shell::say(&format!(
                "hostile requests and {count} idle connections, round {round}: p99 {:.1} ms, {:.1} ms in calm times",
                beside.p99_ms, calm.p99_ms
            ));
            ratios.push((beside.p99_ms / calm.p99_ms, beside.p99_ms, calm.p99_ms));
        }
        ratios.sort_by(|one, other| one.0.total_cmp(&other.0));
        let (ratio, beside, calm) = ratios.get(ratios.len() / 2).copied().ok_or("there was no round")?;
        let values = (beside, Some(calm));
        Ok(row("p99-beside-hostile-requests", values, "ms", Some(1.0 / ratio), HOSTILE_TIMES_MAX, HOSTILE_TIMES_MAX / ratio))
    }

    /// Ours under load for minutes: the memory at the end over that of the first quarter.
    fn memory(&self, sides: &[Side], minutes: u64) -> Result<Row, String> {
        let ours = sides.first().ok_or("there is no server")?;
        let seconds = (minutes * 60 / MEMORY_LOOKS as u64).max(1).to_string();
        let mut seen = Vec::with_capacity(MEMORY_LOOKS);
        for _ in 0..MEMORY_LOOKS {
            self.load(ours, 1, &seconds)?;
            seen.push(ours.service.resident_bytes() as f64 / (1024.0 * 1024.0));
        }
        let shown: Vec<String> = seen.iter().map(|mebibytes| format!("{mebibytes:.0}")).collect();
        shell::say(&format!("memory over {minutes} minutes of load, MiB: {}", shown.join(" ")));
        let early = seen.iter().take(MEMORY_LOOKS / 4).copied().fold(0.0, f64::max);
        let late = seen.iter().rev().take(MEMORY_LOOKS / 4).copied().fold(0.0, f64::max);
        let growth = late / early.max(1.0);
        Ok(row(
            "memory-flat",
            (late, Some(early)),
            "MiB",
            Some(early / late.max(1.0)),
            MEMORY_GROWTH_MAX,
            MEMORY_GROWTH_MAX / growth,
        ))
    }
}

fn script(python: &Path, name: &str) -> Command {
    let mut command = Command::new(python);
    command.arg(shell::root().join("bench").join("serve").join(name)).env("PYTHONDONTWRITEBYTECODE", "1");
    command
}
