//! `cargo xtask test`: every test there is, and one line at the end.

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use crate::postgres::Postgres;
use crate::{browser, drill, python, shell};

/// Short drills in the test run; the long ones are `cargo xtask drill`.
const KILL_ROUNDS: u32 = 5;
/// Fewer, because each version that a round leaves is then inspected, one after the other.
const DATA_ROUNDS: u32 = 2;
const S3_ROUNDS: u32 = 3;
const BACKUP_ROUNDS: u32 = 2;
const KEYS_ROUNDS: u32 = 3;

/// The tests' Python environments, and where under `tests` the list of packages of each lies.
const ENVIRONMENTS: [(&str, &str); 7] = [
    ("venv", "clients/requirements.txt"),
    ("awscli", "clients/awscli-requirements.txt"),
    ("dvc", "clients/dvc-requirements.txt"),
    ("attest", "clients/attest-requirements.txt"),
    ("keys", "clients/keys-requirements.txt"),
    ("runtime", "runtime/requirements.txt"),
    ("ray", "clients/ray-requirements.txt"),
];

/// What passed and what did not.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    passed: u64,
    failed: u64,
}

impl Tally {
    fn add(&mut self, other: Self) {
        self.passed += other.passed;
        self.failed += other.failed;
    }

    /// One step that is a test in itself.
    fn step(&mut self, name: &str, step: impl FnOnce() -> Result<(), String>) {
        shell::say(name);
        match step() {
            Ok(()) => self.passed += 1,
            Err(problem) => {
                shell::say(&format!("FAILED: {name}\n{problem}"));
                self.failed += 1;
            }
        }
    }
}

/// Runs everything. `fast` leaves out the lint, the format check and the drills.
pub fn run(fast: bool) -> ExitCode {
    let mut tally = Tally::default();
    // Kept to the end: dropping it stops the database.
    let postgres = match Postgres::start() {
        Ok(postgres) => Some(postgres),
        Err(problem) => {
            shell::say(&format!("FAILED: PostgreSQL does not start: {problem}"));
            tally.failed += 1;
            None
        }
    };
    if !fast {
        tally.step("format check", || shell::cargo(&["fmt", "--all", "--check"]));
    }
    shell::say("compiling the tests, and beside it making the environments of those that are not Rust");
    // What is compiled says nothing on the standard output for long, and what hangs there is not a test.
    let compiled = std::thread::scope(|scope| {
        scope.spawn(make_environments);
        shell::cargo(&["test", "--workspace", "--no-run", "--quiet"])
    });
    let clients = shell::root().join("tests").join("clients");
    let python = environment("venv");
    match compiled {
        Ok(()) => tally.add(rust_tests(postgres.as_ref(), python.as_deref().ok())),
        Err(problem) => {
            shell::say(&format!("FAILED: the tests do not compile: {problem}"));
            tally.failed += 1;
        }
    }
    if !fast {
        tally.step("clippy, warnings as errors", lint);
    }
    let mut built = false;
    tally.step("the server's program, its workers and the scanner build", || {
        // With the tests, so that libraries have the features that the tests were just built with: nothing is compiled twice.
        shell::cargo(&["build", "--workspace", "--bins", "--tests"])?;
        built = true;
        Ok(())
    });
    match python {
        Ok(python) if built => after_build(&mut tally, (&python, &clients), postgres.as_ref(), fast),
        Ok(_) => {}
        Err(problem) => {
            shell::say(&format!("FAILED: no Python clients: {problem}"));
            tally.failed += 1;
        }
    }
    drop(postgres);
    println!("{} passed, {} failed", tally.passed, tally.failed);
    if tally.failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn after_build(tally: &mut Tally, (python, clients): (&Path, &Path), postgres: Option<&Postgres>, fast: bool) {
    shell::say(&format!("clients: mlflow {}", python::version(python, "mlflow")));
    tally.add(client_tests(python, clients, postgres));
    tally.add(attest_tests(clients));
    tally.add(key_tests(clients));
    tally.add(runtime_tests());
    tally.add(risk_tests(python));
    if fast {
        return;
    }
    // Beside each other: they wait for servers that start, and for disks, more than they compute.
    std::thread::scope(|scope| {
        let others = postgres.map(|postgres| scope.spawn(|| drills(python, "postgres", Some(postgres))));
        tally.add(drills(python, "sqlite", None));
        if let Some(others) = others {
            tally.add(others.join().unwrap_or(Tally { passed: 0, failed: 1 }));
        }
    });
    tally.step("drill: full disk and failing fsync", || drill::disk(python));
}

/// One drill: so many rounds on this engine.
type Drill = fn(&Path, u32, &str, Option<&Postgres>) -> Result<(), String>;

fn drills(python: &Path, engine: &str, postgres: Option<&Postgres>) -> Tally {
    let all: [(&str, Drill, u32); 5] = [
        ("under load", drill::kill, KILL_ROUNDS),
        ("during commits and inspections", drill::data, DATA_ROUNDS),
        ("while objects are put by S3", drill::s3, S3_ROUNDS),
        ("during backups and restores", drill::backup, BACKUP_ROUNDS),
        ("while keys are rotated", drill::keys, KEYS_ROUNDS),
    ];
    let mut tally = Tally::default();
    for (what, drill, rounds) in all {
        tally.step(&format!("drill: kill -9 {what}, on {engine}"), || drill(python, rounds, engine, postgres));
    }
    tally
}

/// One of the tests' environments, made if it is not there.
fn environment(name: &str) -> Result<PathBuf, String> {
    let list = ENVIRONMENTS.iter().find(|(one, _)| *one == name).map(|(_, list)| shell::root().join("tests").join(list));
    python::environment(name, &list.ok_or_else(|| format!("no environment is called {name}"))?)
}

fn node_modules() -> Result<PathBuf, String> {
    browser::node_modules("node", &shell::root().join("tests").join("clients").join("package.json"))
}

/// Fetches what tests need that are not Rust. What fails here is tried again, and told, by those that need it.
fn make_environments() {
    for (name, _) in ENVIRONMENTS {
        let _later = environment(name);
    }
    let _later = browser::ready();
    let _later = node_modules();
}

/// Clippy over everything, warnings as errors.
///
/// # Errors
/// If there is one.
pub fn lint() -> Result<(), String> {
    shell::cargo(&["clippy", "--quiet", "--workspace", "--all-targets", "--", "-D", "warnings"])
}

fn rust_tests(postgres: Option<&Postgres>, python: Option<&Path>) -> Tally {
    shell::say("cargo test");
    let mut command = Command::new(shell::cargo_program());
    command.args(["test", "--workspace", "--no-fail-fast"]).current_dir(shell::root());
    if let Some(postgres) = postgres {
        command.env("STRONGROOM_TEST_POSTGRES", postgres.address()).env("STRONGROOM_PSQL", postgres.psql());
    }
    // Rust tests that ask a solver find it in there.
    if let Some(python) = python {
        command.env("STRONGROOM_CVC5_PYTHON", python);
    }
    let mut tally = Tally::default();
    let ended_well = shell::lines(&mut command, |line| {
        if let Some(result) = cargo_result(line) {
            tally.add(result);
        } else if !line.is_empty() && !line.starts_with("running ") && !line.ends_with("... ok") {
            eprintln!("{line}");
        }
    });
    match ended_well {
        Ok(true) => {}
        // What does not compile has no result line, but it has failed.
        Ok(false) => tally.failed = tally.failed.max(1),
        Err(problem) => {
            shell::say(&problem);
            tally.failed += 1;
        }
    }
    shell::say(&format!("cargo test: {} passed, {} failed", tally.passed, tally.failed));
    tally
}

/// The clients against a server on each engine, beside each other: they wait more than they compute.
fn client_tests(python: &Path, folder: &Path, postgres: Option<&Postgres>) -> Tally {
    shell::say("Python clients against servers on SQLite and on PostgreSQL");
    // Whatever has to be fetched is fetched once.
    let mut commands: Vec<Command> = ["sqlite", "postgres"].map(|engine| client_command(python, folder, engine)).into();
    match (postgres, commands.get_mut(1)) {
        (Some(postgres), Some(command)) => {
            command.env("STRONGROOM_TEST_POSTGRES", postgres.address()).env("STRONGROOM_PSQL", postgres.psql());
        }
        _ => commands.truncate(1),
    }
    let mut tally = Tally::default();
    std::thread::scope(|scope| {
        let run = |(number, mut command): (usize, Command)| {
            scope.spawn(move || {
                let mut later = Vec::new();
                // What one says while another runs is kept, so that both can be read.
                let found =
                    pytest_tally(
                        &mut command,
                        |line| if number == 0 { eprintln!("{line}") } else { later.push(line.to_owned()) },
                    );
                (found, later)
            })
        };
        let running: Vec<_> = commands.into_iter().enumerate().map(run).collect();
        for (one, engine) in running.into_iter().zip(["SQLite", "PostgreSQL"]) {
            let (found, later) = one.join().unwrap_or((Tally { passed: 0, failed: 1 }, Vec::new()));
            later.iter().for_each(|line| eprintln!("{line}"));
            shell::say(&format!("Python clients on {engine}: {} passed, {} failed", found.passed, found.failed));
            tally.add(found);
        }
    });
    tally
}

fn client_command(python: &Path, folder: &Path, engine: &str) -> Command {
    let mut command = pytest(python, folder);
    command
        .arg(folder)
        // It runs in an environment of its own.
        .arg("--ignore")
        .arg(folder.join("test_attest.py"))
        .arg("--ignore")
        .arg(folder.join("test_croissant.py"))
        .arg("--ignore")
        .arg(folder.join("test_key_services.py"))
        .arg("--ignore")
        .arg(folder.join("test_keys.py"))
        .arg("--ignore")
        .arg(folder.join("test_object_lock_probe.py"))
        .env("STRONGROOM_BINARY", shell::target().join("debug").join("strongroom"))
        .env("STRONGROOM_TEST_ENGINE", engine);
    // A Ray cluster for the tests of training; where it cannot be installed, its test says so and is left out.
    let ray = environment("ray").ok();
    for (name, variable) in [("awscli", "STRONGROOM_AWS_CLI_PYTHON"), ("dvc", "STRONGROOM_DVC_PYTHON")] {
        match environment(name) {
            Ok(program) => drop(command.env(variable, program)),
            Err(problem) => shell::say(&format!("no {name}: {problem}")),
        }
    }
    // Without them the tests of pages fail, and say what is missing.
    if let Err(problem) = browser::ready() {
        shell::say(&problem);
    }
    match node_modules() {
        Ok(modules) => drop(command.env("STRONGROOM_NODE_MODULES", modules)),
        Err(problem) => shell::say(&problem),
    }
    if let Some(venv) = ray.as_deref().and_then(Path::parent).and_then(Path::parent) {
        command.env("STRONGROOM_TEST_RAY_VENV", venv);
    }
    command
}

/// Other implementations of signatures and papers, in an environment of their own: their requirements fit no other.
fn attest_tests(folder: &Path) -> Tally {
    shell::say("signatures and papers of models against other implementations");
    let python = shell::cargo(&["build", "--quiet", "--package", "attest", "--example", "make_fixture"])
        .and_then(|()| environment("attest"));
    tests_with(python, folder, |command| {
        command
            .arg(folder.join("test_attest.py"))
            .arg(folder.join("test_croissant.py"))
            .env("STRONGROOM_ATTEST", example("make_fixture"))
            .env("STRONGROOM_BINARY", shell::target().join("debug").join("strongroom"));
    })
}

/// Keys and their services, with Tink and moto, in an environment of their own: moto brings versions that fit no other.
fn key_tests(folder: &Path) -> Tally {
    shell::say("keys: SoftHSM2, a transit engine, KMS and Tink; and a store that does not lock");
    tests_with(environment("keys"), folder, |command| {
        command
            .arg(folder.join("test_key_services.py"))
            .arg(folder.join("test_keys.py"))
            .arg(folder.join("test_object_lock_probe.py"))
            .env("STRONGROOM_BINARY", shell::target().join("debug").join("strongroom"));
    })
}

/// The native runtime against the libraries whose models it reads.
fn runtime_tests() -> Tally {
    shell::say("the native runtime against scikit-learn, XGBoost, LightGBM and ONNX Runtime");
    let folder = shell::root().join("tests").join("runtime");
    let python =
        shell::cargo(&["build", "--quiet", "--package", "runtime", "--example", "predict"]).and_then(|()| environment("runtime"));
    tests_with(python, &folder, |command| {
        command.arg(&folder).env("STRONGROOM_RUNTIME_PREDICT", example("predict")).env("OMP_NUM_THREADS", "1");
    })
}

/// The risk score against a second implementation of what was published.
fn risk_tests(python: &Path) -> Tally {
    shell::say("the risk score against the published formula");
    let folder = shell::root().join("tests").join("risk");
    let built = shell::cargo(&["build", "--quiet", "--package", "rba", "--example", "score_log_ins"]);
    tests_with(built.map(|()| python.to_path_buf()), &folder, |command| {
        command.arg(&folder).env("STRONGROOM_SCORE_LOG_INS", example("score_log_ins"));
    })
}

fn example(name: &str) -> PathBuf {
    shell::target().join("debug").join("examples").join(name)
}

/// Tests with a Python of their own; where it cannot be made, they count as one failure.
fn tests_with(python: Result<PathBuf, String>, folder: &Path, fill: impl FnOnce(&mut Command)) -> Tally {
    match python {
        Ok(python) => {
            let mut command = pytest(&python, folder);
            fill(&mut command);
            pytest_tally(&mut command, |line| eprintln!("{line}"))
        }
        Err(problem) => {
            shell::say(&format!("FAILED: {problem}"));
            Tally { passed: 0, failed: 1 }
        }
    }
}

fn pytest(python: &Path, folder: &Path) -> Command {
    let mut command = Command::new(python);
    command
        .args(["-m", "pytest", "-q", "-ra", "--tb=short", "--color=no", "-c"])
        .arg(folder.join("pytest.ini"))
        .current_dir(folder)
        .env("PYTHONDONTWRITEBYTECODE", "1");
    command
}

/// What passed; `tell` is given each line.
fn pytest_tally(command: &mut Command, mut tell: impl FnMut(&str)) -> Tally {
    let mut tally = Tally::default();
    let ended_well = shell::lines(command, |line| {
        tell(line);
        if let Some(result) = pytest_result(line) {
            tally = result;
        }
    });
    if let Err(problem) = &ended_well {
        shell::say(problem);
    }
    if !matches!(ended_well, Ok(true)) {
        tally.failed = tally.failed.max(1);
    }
    tally
}

/// `test result: ok. 5 passed; 1 failed; 0 ignored; …`
fn cargo_result(line: &str) -> Option<Tally> {
    let counts = line.strip_prefix("test result: ")?;
    Some(Tally { passed: count_before(counts, "passed"), failed: count_before(counts, "failed") })
}

/// `2 failed, 35 passed, 1 error in 45.94s`
fn pytest_result(line: &str) -> Option<Tally> {
    let counts = line.trim_matches(|letter| letter == '=' || letter == ' ');
    let (counts, time) = counts.rsplit_once(" in ")?;
    if !time.split(' ').next()?.trim_end_matches('s').parse::<f64>().is_ok_and(f64::is_finite) {
        return None;
    }
    let failed = count_before(counts, "failed") + count_before(counts, "error") + count_before(counts, "errors");
    Some(Tally { passed: count_before(counts, "passed"), failed })
}

fn count_before(text: &str, word: &str) -> u64 {
    let mut before = "";
    for part in text.split([' ', ',', ';']).filter(|part| !part.is_empty()) {
        if part == word {
            return before.parse().unwrap_or(0);
        }
        before = part;
    }
    0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn result_lines_are_counted() {
        let line = "test result: FAILED. 12 passed; 3 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.01s";
        assert_eq!(cargo_result(line), Some(Tally { passed: 12, failed: 3 }));
        assert_eq!(cargo_result("running 5 tests"), None);
    }

    #[test]
    fn errors_of_pytest_count_as_failures() {
        assert_eq!(pytest_result("1 failed, 35 passed, 2 errors in 45.94s"), Some(Tally { passed: 35, failed: 3 }));
        assert_eq!(pytest_result("=== 4 passed in 75.94s (0:01:15) ==="), Some(Tally { passed: 4, failed: 0 }));
        assert_eq!(pytest_result("no tests ran in any form"), None);
    }
}
