//! `cargo xtask demo`: a real training against a fresh server, and what the server knows of it afterwards.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use crate::demo_life::Life;
use crate::drill::value;
use crate::python;
use crate::shell::{self, Service};

const START_MAX: Duration = Duration::from_secs(20);

/// Everything that the demo makes.
pub struct Demo {
    binary: PathBuf,
    folder: PathBuf,
    data: PathBuf,
    token_file: PathBuf,
}

/// Runs the demo; `--keep` leaves the server running, `--data FILE --label COLUMN` does it with a table of the user's own.
///
/// # Errors
/// If a step fails; the message says which and what to do.
pub fn run(words: &[&str]) -> Result<(), String> {
    let keep = words.contains(&"--keep");
    match (value(words, "--data"), value(words, "--label")) {
        (None, None) => whole(keep),
        (Some(file), Some(label)) => with_own(Path::new(file), label, keep),
        _ => Err("`--data FILE` and `--label COLUMN` go together".to_owned()),
    }
}

fn whole(keep: bool) -> Result<(), String> {
    let python = build(16)?;
    let demo = prepare()?;
    shell::say(&format!("3/16 a fresh data folder: {}", demo.data.display()));
    demo.init()?;
    let (server, url) = demo.serve()?;
    shell::say(&format!("4/16 the server answers at {url}"));
    shell::say(&format!("5/16 a training with mlflow {}", python::version(&python, "mlflow")));
    shell::run(demo.client(&python, &url)?.arg(shell::root().join("examples").join("demo_training.py")))?;
    shell::say("6/16 data sets: one as it is, and copies that are poisoned, break their contract, and hold people");
    demo.data_sets(&python)?;
    shell::say("7/16 models: one whose file would run a command, one that was trained on the refused data");
    demo.models(&python, &url)?;
    shell::say("8/16 successors: a worse one, one that is worse in a region, one with a backdoor, a good one");
    demo.successors(&python, &url)?;
    shell::say("9/16 signatures: from now on an unsigned model is turned away");
    demo.signatures()?;
    shell::say("10/16 the first version answers, its good successor takes a share and takes over");
    let life = Life { demo: &demo, python: &python, url: &url, endpoint: "shop", training: "shop-training", own: None };
    life.callers()?;
    life.canary()?;
    shell::say("11/16 an application asks: 10,000 predictions, and nobody is bothered");
    life.honest_traffic()?;
    shell::say("12/16 the world changes: an alert with its cause, and a remedy that is run");
    let alert = life.drift()?;
    life.remedy(&alert)?;
    shell::say("13/16 somebody copies the model by small steps");
    life.extraction()?;
    shell::say("14/16 one prediction, traced back to its model, code, data and people");
    life.trace()?;
    shell::say("15/16 the log, checked by a program that shares no code with the server");
    life.foreign_verifier()?;
    shell::say("16/16 what the server recorded of it");
    demo.summary();
    demo.how_to_go_on(&url, keep);
    if keep {
        println!("The server keeps running as process {}. End it with: kill {}", server.id(), server.id());
        server.forget();
    }
    Ok(())
}

/// The life of a model of the user's own table: a logistic regression over its columns of numbers.
fn with_own(file: &Path, label: &str, keep: bool) -> Result<(), String> {
    let file = file.canonicalize().map_err(|error| format!("`{}` cannot be read: {error}", file.display()))?;
    let name = file.file_name().and_then(|name| name.to_str()).ok_or("the file has no name that can be shown")?.to_owned();
    let python = build(11)?;
    let demo = prepare()?;
    demo.init()?;
    let (server, url) = demo.serve()?;
    shell::say(&format!("3/11 the server answers at {url}"));
    shell::say("4/11 the table is inspected");
    let (token, path) = (demo.token(), file.display().to_string());
    // Who has a table of their own knows where it is from: that is said once, and what comes from there is trusted.
    let source = ["--pattern", &path, "--owner", "me", "--licence", "unknown", "--token-file", &token];
    demo.quiet(&[&["data", "source", "add", "own"], source.as_slice()].concat())?;
    let commit = ["data", "commit", "own", &path, "--label", label, "--owner", "me", "--licence", "unknown", "--source", &path];
    demo.show("it is committed", &[commit.as_slice(), &["--wait", "--token-file", &token]].concat());
    demo.show("what was found", &["data", "findings", "own", "--token-file", &token]);
    if let Err(why) = demo.check_state("data", "own@1", "admitted", &token) {
        println!(
            "\n   Nobody trains on this table until somebody else waives what was found, or a clean version comes in: {why}"
        );
        demo.how_to_go_on(&url, keep);
        return Ok(());
    }
    shell::say("5/11 a model learns from it, and is inspected");
    let train = shell::root().join("examples").join("demo_own.py");
    shell::run(demo.client(&python, &url)?.arg(train).args(["own", &name, label]))?;
    demo.check_state("model", "own@champion", "admitted", &token)?;
    let life = Life { demo: &demo, python: &python, url: &url, endpoint: "own", training: "own", own: Some((&file, label)) };
    life.callers()?;
    life.answers()?;
    shell::say("6/11 an application asks: 10,000 predictions, and nobody is bothered");
    life.honest_traffic()?;
    shell::say("7/11 a column moves: an alert");
    life.drift()?;
    shell::say("8/11 somebody copies the model by small steps");
    life.extraction()?;
    shell::say("9/11 one prediction, traced back");
    life.trace()?;
    shell::say("10/11 the log, checked by a program that shares no code with the server");
    life.foreign_verifier()?;
    shell::say("11/11 what the server recorded of it");
    demo.show("who did what (the newest records)", &["audit", "search", "--rows", "15", "--token-file", &token]);
    demo.how_to_go_on(&url, keep);
    if keep {
        println!("The server keeps running as process {}. End it with: kill {}", server.id(), server.id());
        server.forget();
    }
    Ok(())
}

/// Builds what the demo runs; gives the Python with its clients.
fn build(step_count: usize) -> Result<PathBuf, String> {
    if !shell::has("cc") {
        shell::need_package("gcc", "some libraries are compiled from C")?;
    }
    let requirements = shell::root().join("examples").join("requirements.txt");
    let environment = || python::environment("demo-venv", &requirements);
    shell::say(&format!("1/{step_count} building the server (the first time takes some minutes)"));
    // Not the query worker: no contract here has an SQL rule, and it takes as long to build as everything else together.
    std::thread::scope(|scope| {
        // It waits for the network while the compiler computes. What fails is tried again below.
        scope.spawn(environment);
        shell::cargo(&["build", "--profile", "demo", "--package", "strongroom", "--package", "inspector"])
    })?;
    shell::say(&format!("2/{step_count} the Python environment with the real MLflow client and scikit-learn"));
    environment()
}

fn prepare() -> Result<Demo, String> {
    let folder = shell::work()?.join("demo");
    if folder.exists() {
        std::fs::remove_dir_all(&folder).map_err(|error| format!("cannot clear `{}`: {error}", folder.display()))?;
    }
    std::fs::create_dir_all(&folder).map_err(|error| format!("cannot make `{}`: {error}", folder.display()))?;
    Ok(Demo {
        binary: shell::target().join("demo").join("strongroom"),
        data: folder.join("data"),
        token_file: folder.join("admin.token"),
        folder,
    })
}

impl Demo {
    fn program(&self, words: &[&str]) -> Command {
        let mut command = Command::new(&self.binary);
        command.args(words).arg("--data").arg(&self.data);
        command
    }

    fn init(&self) -> Result<(), String> {
        shell::quiet(self.program(&["init"]).arg("--admin-token-file").arg(&self.token_file))?;
        // Judged every two seconds instead of every minute: nobody waits long for the alert.
        let config = self.data.join("strongroom.toml");
        let mut text = std::fs::read_to_string(&config).unwrap_or_default();
        text.push_str("\n[observe]\nevery_s = 2\n");
        std::fs::write(&config, text).map_err(|error| format!("cannot write `{}`: {error}", config.display()))
    }

    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    pub(crate) fn binary(&self) -> &Path {
        &self.binary
    }

    /// The file of the administrator's token.
    pub(crate) fn token(&self) -> String {
        self.token_file.display().to_string()
    }

    pub(crate) fn authority(&self) -> PathBuf {
        self.data.join("tls").join("ca.pem")
    }

    /// The key by which anybody checks the log.
    pub(crate) fn verifier_key(&self) -> Result<String, String> {
        std::fs::read_to_string(self.data.join("audit.vkey")).map_err(|error| format!("no verifier's key: {error}"))
    }

    /// Runs a command whose output is not shown.
    pub(crate) fn quiet(&self, words: &[&str]) -> Result<String, String> {
        shell::quiet(&mut self.program(words))
    }

    fn serve(&self) -> Result<(Service, String), String> {
        let log_path = self.folder.join("server.log");
        let log = std::fs::File::create(&log_path).map_err(|error| format!("cannot write the server's log: {error}"))?;
        let mut child = self
            .program(&["serve", "--listen", "127.0.0.1:0"])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(log)
            .spawn()
            .map_err(|error| format!("cannot start the server: {error}"))?;
        let output = child.stdout.take().ok_or("the server has no output")?;
        let server = Service::new(child);
        let url = listening(output).map_err(|problem| format!("{problem}; see {}", log_path.display()))?;
        Ok((server, url))
    }

    pub(crate) fn client(&self, python: &Path, url: &str) -> Result<Command, String> {
        let token = std::fs::read_to_string(&self.token_file).map_err(|error| format!("no administrator's token: {error}"))?;
        let mut command = Command::new(python);
        command
            .env("MLFLOW_TRACKING_URI", url)
            .env("MLFLOW_TRACKING_TOKEN", token.trim())
            .env("MLFLOW_TRACKING_SERVER_CERT_PATH", self.data.join("tls").join("ca.pem"))
            .env("MLFLOW_DISABLE_TELEMETRY", "true")
            .env("MPLBACKEND", "Agg")
            .env("PYTHONDONTWRITEBYTECODE", "1")
            .current_dir(&self.folder);
        Ok(command)
    }

    /// Four versions of one data set go through inspection; the verdicts are checked, so that a demo that lets one in fails.
    fn data_sets(&self, python: &Path) -> Result<(), String> {
        let files = self.folder.join("data-sets");
        let make = shell::root().join("examples").join("demo_data.py");
        shell::quiet(Command::new(python).arg(make).arg(&files).env("PYTHONDONTWRITEBYTECODE", "1"))?;
        let token = self.token_file.display().to_string();
        let source = ["--pattern", "https://archive.ics.uci.edu/*", "--owner", "UCI", "--licence", "CC-BY-4.0"];
        let add = [&["data", "source", "add", "uci"], source.as_slice(), &["--token-file", &token]].concat();
        shell::quiet(&mut self.program(&add))?;
        for (name, wanted) in [("clean", "admitted"), ("poisoned", "refused"), ("broken", "refused"), ("people", "quarantined")] {
            let file = files.join(format!("{name}.csv")).display().to_string();
            let contract = files.join("contract.yaml").display().to_string();
            let set = format!("cells-{name}");
            let mut words =
                vec!["data", "commit", &set, &file, "--label", "diagnosed", "--owner", "UCI", "--licence", "CC-BY-4.0"];
            words.extend(["--source", "https://archive.ics.uci.edu/dataset/17", "--contract", &contract]);
            words.extend(["--wait", "--token-file", &token]);
            self.show(&format!("{name}.csv is committed: it should be {wanted}"), &words);
            if name != "clean" {
                self.show("why", &["data", "findings", &set, "--token-file", &token]);
            }
            self.check_state("data", &format!("{set}@1"), wanted, &token)?;
        }
        Ok(())
    }

    /// The champion of the training was admitted; the other models are refused, and no alias can be set on them.
    fn models(&self, python: &Path, url: &str) -> Result<(), String> {
        let script = shell::root().join("examples").join("demo_models.py");
        shell::run(self.client(python, url)?.arg(script).arg("cells-poisoned"))?;
        let token = self.token_file.display().to_string();
        self.check_state("model", "breast-cancer@champion", "admitted", &token)?;
        for name in ["cells-pickled", "cells-mistrained"] {
            let version = format!("{name}/1");
            shell::quiet(&mut self.program(&["model", "inspect", &version, "--wait", "--token-file", &token])).ok();
            self.show(&format!("{name} must not come into use"), &["model", "findings", &version, "--token-file", &token]);
            self.show("so it cannot be promoted", &["model", "promote", &version, "--token-file", &token]);
            self.check_state("model", &version, "refused", &token)?;
        }
        Ok(())
    }

    /// A gate file lets the good successor in and none of the others, each for its own reason.
    fn successors(&self, python: &Path, url: &str) -> Result<(), String> {
        let files = self.folder.join("successors");
        let script = shell::root().join("examples").join("demo_gates.py");
        shell::quiet(Command::new(python).arg(&script).arg("data").arg(&files).env("PYTHONDONTWRITEBYTECODE", "1"))?;
        let token = self.token_file.display().to_string();
        for (name, wanted) in [("held", "admitted"), ("training", "admitted"), ("stamped", "refused")] {
            let (set, file) = (format!("shop-{name}"), files.join(format!("{name}.csv")).display().to_string());
            let mut words = vec!["data", "commit", &set, &file, "--label", "returns", "--owner", "UCI", "--licence", "CC-BY-4.0"];
            words.extend(["--source", "https://archive.ics.uci.edu/dataset/0", "--wait", "--token-file", &token]);
            self.show(&format!("{name}.csv is committed: it should be {wanted}"), &words);
            self.check_state("data", &format!("{set}@1"), wanted, &token)?;
        }
        self.model_named(python, url, "shop")?;
        let gate = files.join("gate.yaml").display().to_string();
        let set = ["model", "gate", "set", "shop", &gate, "--reason", "agreed with the owner", "--token-file", &token];
        self.show("what every version of `shop` must hold to", &set);
        shell::run(self.client(python, url)?.arg(&script).arg("models"))?;
        for (number, wanted) in [(2, "gate.regressed"), (3, "gate.slice"), (4, "attack.trigger")] {
            let version = format!("shop/{number}");
            shell::quiet(&mut self.program(&["model", "inspect", &version, "--wait", "--token-file", &token])).ok();
            let findings = ["model", "findings", &version, "--details", "--token-file", &token];
            self.show(&format!("version {number} must not come into use: {wanted}"), &findings);
            self.show("so it cannot be promoted", &["model", "promote", &version, "--token-file", &token]);
            self.check_state("model", &version, "refused", &token)?;
            let found = shell::quiet(&mut self.program(&["model", "findings", &version, "--json", "--token-file", &token]))?;
            if !found.contains(wanted) {
                return Err(format!("`{version}` was not refused for `{wanted}`: the gate did not do its work"));
            }
        }
        self.show("the good successor takes over", &["model", "promote", "shop/5", "--token-file", &token]);
        self.check_state("model", "shop@champion", "admitted", &token)
    }

    /// A model comes out with its signature and comes in again: with it, and without.
    fn signatures(&self) -> Result<(), String> {
        let token = self.token_file.display().to_string();
        let out = self.folder.join("exported");
        let (folder, to) = (out.join("model").display().to_string(), out.display().to_string());
        self.show("the good successor comes out", &["model", "export", "shop@champion", "--to", &to, "--token-file", &token]);
        let key = format!("us={}", out.join("signing-key.pem").display());
        self.show(
            "our signatures count, and one is needed",
            &["model", "signers", "set", "--required", "--key", &key, "--token-file", &token],
        );
        let submit = ["model", "submit", &folder, "--name", "brought", "--wait", "--token-file", &token];
        self.show("it comes back without its signature: it should be refused", &submit);
        self.show("why", &["model", "findings", "brought/1", "--token-file", &token]);
        self.check_state("model", "brought/1", "refused", &token)?;
        let copied = std::fs::copy(out.join("model.sig"), out.join("model").join("model.sig"));
        copied.map_err(|error| format!("the signature cannot be put beside the files: {error}"))?;
        self.show("and with it", &submit);
        self.check_state("model", "brought/2", "admitted", &token)?;
        let nobody = self.folder.join("signers.toml");
        std::fs::write(&nobody, "required = false\n").map_err(|error| format!("cannot write `{}`: {error}", nobody.display()))?;
        let nobody = nobody.display().to_string();
        shell::quiet(&mut self.program(&["model", "signers", "set", &nobody, "--token-file", &token])).map(drop)
    }

    /// A registered model without versions.
    fn model_named(&self, python: &Path, url: &str, name: &str) -> Result<(), String> {
        let make = format!("import mlflow; mlflow.MlflowClient().create_registered_model('{name}')");
        shell::run(self.client(python, url)?.arg("-c").arg(make))
    }

    fn check_state(&self, kind: &str, version: &str, wanted: &str, token: &str) -> Result<(), String> {
        let shown = shell::quiet(&mut self.program(&[kind, "show", version, "--json", "--token-file", token]))?;
        let shown: serde_json::Value =
            serde_json::from_str(&shown).map_err(|error| format!("no JSON of `{version}`: {error}"))?;
        match shown.get("state").and_then(serde_json::Value::as_str) {
            Some(state) if state == wanted => Ok(()),
            state => Err(format!("`{version}` is {state:?}, not {wanted}: the inspection did not do its work")),
        }
    }

    /// What the program of the server says: nothing is read behind its back.
    fn summary(&self) {
        let token = self.token_file.display().to_string();
        self.show("who did what (the newest records)", &["audit", "search", "--rows", "15", "--token-file", &token]);
        self.show(
            "the way back from the model to its code, data and author",
            &["lineage", "show", "breast-cancer@champion", "--token-file", &token],
        );
        self.show("the audit log's latest signed checkpoint", &["audit", "checkpoint", "--token-file", &token]);
        self.show("its verification, from the files alone", &["audit", "verify"]);
    }

    pub(crate) fn show(&self, title: &str, words: &[&str]) {
        println!("\n── {title}\n   $ strongroom {} --data {}", words.join(" "), self.data.display());
        match self.program(words).stdin(Stdio::null()).output() {
            Ok(output) => {
                let text = String::from_utf8_lossy(&output.stdout);
                text.lines().for_each(|line| println!("   {line}"));
                if !output.status.success() {
                    println!("   (it failed: {}) {}", output.status, String::from_utf8_lossy(&output.stderr).trim());
                }
            }
            Err(error) => println!("   (cannot run it: {error})"),
        }
    }

    fn how_to_go_on(&self, url: &str, keep: bool) {
        println!("\n── how to go on");
        let address = if keep { url.to_owned() } else { "https://127.0.0.1:8443".to_owned() };
        if !keep {
            println!("   {} serve --data {} --listen 127.0.0.1:8443", self.binary.display(), self.data.display());
        }
        println!("   export MLFLOW_TRACKING_URI={address}");
        println!("   export MLFLOW_TRACKING_TOKEN=$(cat {})", self.token_file.display());
        println!("   export MLFLOW_TRACKING_SERVER_CERT_PATH={}", self.data.join("tls").join("ca.pem").display());
        println!("   then use mlflow as ever: no code needs to change.\n");
    }
}

/// Waits for the line `listening URL`, and reads on so that the server never blocks on its output.
///
/// # Errors
/// If it does not come in time.
pub fn listening(output: impl std::io::Read + Send + 'static) -> Result<String, String> {
    let (sender, receiver) = mpsc::channel();
    std::thread::spawn(move || {
        for line in BufReader::new(output).lines().map_while(Result::ok) {
            if let Some(url) = line.strip_prefix("listening ") {
                let _nobody_waits = sender.send(url.trim().to_owned());
            }
        }
    });
    let start = Instant::now();
    receiver
        .recv_timeout(START_MAX)
        .map_err(|_| format!("the server did not say `listening` within {} s", start.elapsed().as_secs().max(1)))
}
