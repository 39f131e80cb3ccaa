//! The scanner of model files against picklescan, modelscan and fickling: malicious files of every known way around a scanner,
//! benign models as their users write them, and the time for large files. All are made at run time.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use serde_json::Value;

use crate::bench::Row;
use crate::{python, shell};

const PEERS: [&str; 3] = ["picklescan", "modelscan", "fickling"];
/// A torch archive of a gigabyte, judged in at most this time.
const ARCHIVE_MS_MAX: f64 = 50.0;
/// Raw pickles, judged at least this fast.
const PICKLE_MB_PER_SECOND_MIN: f64 = 200.0;
/// The best of this many runs counts: the rest is the machine's doing.
const RUNS: usize = 5;
/// The peers read only pickles of one protocol of the benign files: some take a second for each.
const PEER_PATTERN: &str = "*.p4.pkl";

/// How many files had which answer.
struct Answers {
    blocked: f64,
    clean: f64,
    files: f64,
    wrong: Vec<String>,
}

/// Measures everything.
///
/// # Errors
/// If a file cannot be made, or a peer or our own program cannot be run.
pub fn run() -> Result<Vec<Row>, String> {
    let maker = python::environment("scan", &script("requirements.txt"))?;
    let peers = python::environment("scan-peers", &script("peers-requirements.txt"))?;
    shell::say("building the scanner");
    shell::cargo(&["build", "--quiet", "--release", "-p", "scan"])?;
    let scanner = shell::target().join("release").join("strongroom-scan");
    let work = shell::work()?.join("scan-bench");
    let (bad, good, sizes) = (work.join("malicious"), work.join("benign"), work.join("sizes"));
    let (older_maker, older) = (python::environment("scan-older", &script("requirements-older.txt"))?, work.join("benign-older"));
    for (maker, name, folder) in
        [(&maker, "malicious.py", &bad), (&maker, "benign.py", &good), (&older_maker, "benign.py", &older)]
    {
        // Made afresh: what an older version of the script left is not measured.
        let _ = std::fs::remove_dir_all(folder);
        shell::say(&format!("making files: {name}"));
        shell::quiet(Command::new(maker).arg(script(name)).arg(folder))?;
    }
    shell::say("making files: sizes.py");
    shell::quiet(Command::new(&maker).arg(script("sizes.py")).arg(&sizes))?;
    let mut rows = verdicts(&scanner, &peers, &bad, &good)?;
    rows.push(older_row(&scanner, &older)?);
    rows.extend(times(&scanner, &peers, &sizes)?);
    std::fs::remove_dir_all(&sizes).map_err(|error| format!("cannot remove `{}`: {error}", sizes.display()))?;
    Ok(rows)
}

fn script(name: &str) -> PathBuf {
    shell::root().join("bench").join("scan").join(name)
}

fn verdicts(scanner: &Path, peers: &Path, bad: &Path, good: &Path) -> Result<Vec<Row>, String> {
    let (on_bad, on_good) = (ask(scanner, bad, "blocked")?, ask(scanner, good, "clean")?);
    // Files of this folder are not dangerous by themselves: they must only not be called clean.
    let unclear = ask(scanner, &bad.join("never-clean"), "unknown")?;
    let missed: Vec<&String> = on_bad.wrong.iter().filter(|path| !path.starts_with("never-clean/")).collect();
    for path in missed.iter().take(10) {
        shell::say(&format!("NOT BLOCKED: {path}"));
    }
    for path in on_good.wrong.iter().take(10) {
        shell::say(&format!("NOT PASSED: {path}"));
    }
    let must = on_bad.files - unclear.files;
    let blocked = (must - missed.len() as f64) / must.max(1.0);
    let (mut best_blocked, mut best_passed) = (0.0_f64, 0.0_f64);
    let (mut told_blocked, mut told_passed) = (Vec::new(), Vec::new());
    for peer in PEERS {
        shell::say(&format!("asking {peer}"));
        let flagged = ask_peer(peers, peer, bad, "*")?;
        let share = number(&flagged, "flagged") / number(&flagged, "files").max(1.0);
        told_blocked.push(format!("{peer} {share:.3} (clean {:.0})", number(&flagged, "clean")));
        best_blocked = best_blocked.max(share);
        let passed = ask_peer(peers, peer, good, PEER_PATTERN)?;
        let share = number(&passed, "clean") / number(&passed, "files").max(1.0);
        told_passed.push(format!("{peer} {share:.3}"));
        best_passed = best_passed.max(share);
    }
    let row = |work: &'static str, ours: f64, best: f64, text: String| Row {
        work: work.into(),
        ours,
        peer: Some(best),
        unit: "share",
        ratio: Some(ours / best.max(0.001)),
        limit: 1.0,
        of_limit: if ours >= 1.0 { ours / best.max(0.001) } else { ours.min(0.999) },
        limited_by: text.into(),
    };
    Ok(vec![
        row("malicious-blocked", blocked, best_blocked, format!("{must:.0} files; {}", told_blocked.join(", "))),
        row(
            "benign-passed",
            on_good.clean / on_good.files.max(1.0),
            best_passed,
            format!("{:.0} files; {}", on_good.files, told_passed.join(", ")),
        ),
        Row {
            work: "never-clean".into(),
            ours: unclear.clean,
            peer: None,
            unit: "files",
            ratio: None,
            limit: 0.0,
            of_limit: if unclear.clean == 0.0 { 1.0 } else { 0.0 },
            limited_by: format!("{:.0} files that nobody can judge, {:.0} blocked", unclear.files, unclear.blocked).into(),
        },
    ])
}

/// What older versions of the libraries wrote.
fn older_row(scanner: &Path, folder: &Path) -> Result<Row, String> {
    let answers = ask(scanner, folder, "clean")?;
    for path in answers.wrong.iter().take(10) {
        shell::say(&format!("NOT PASSED: {path}"));
    }
    let share = answers.clean / answers.files.max(1.0);
    Ok(Row {
        work: "benign-older-passed".into(),
        ours: share,
        peer: None,
        unit: "share",
        ratio: None,
        limit: 1.0,
        of_limit: share,
        limited_by: format!("{:.0} files of scikit-learn 1.3 and its time", answers.files).into(),
    })
}

fn times(scanner: &Path, peers: &Path, sizes: &Path) -> Result<Vec<Row>, String> {
    let large = sizes.join("large.pt");
    let ours = seconds(scanner, &large)? * 1_000.0;
    let mut best = f64::MAX;
    let mut told = Vec::new();
    for peer in ["picklescan", "modelscan"] {
        let time = number(&ask_peer(peers, peer, &large, "*")?, "seconds") * 1_000.0;
        told.push(format!("{peer} {time:.0} ms"));
        best = best.min(time);
    }
    let mut rows = vec![Row {
        work: "torch-1gb".into(),
        ours,
        peer: Some(best),
        unit: "ms",
        ratio: Some(best / ours),
        limit: ARCHIVE_MS_MAX,
        of_limit: ARCHIVE_MS_MAX / ours,
        limited_by: format!("with the start of the process; {} without", told.join(", ")).into(),
    }];
    for name in ["bytes", "numbers"] {
        let path = sizes.join(format!("{name}.pkl"));
        let bytes = std::fs::metadata(&path).map_err(|error| format!("cannot read `{}`: {error}", path.display()))?.len();
        let speed = bytes as f64 / 1e6 / seconds(scanner, &path)?;
        let text = if name == "bytes" { "long values are passed over" } else { "an instruction every six bytes, one core" };
        rows.push(Row {
            work: format!("pickle-{name}").into(),
            ours: speed,
            peer: None,
            unit: "MB/s",
            ratio: None,
            limit: PICKLE_MB_PER_SECOND_MIN,
            of_limit: speed / PICKLE_MB_PER_SECOND_MIN,
            limited_by: text.into(),
        });
    }
    Ok(rows)
}

/// Our verdicts on the files of a folder; `wrong` are those that have another than is wanted.
fn ask(scanner: &Path, folder: &Path, wanted: &str) -> Result<Answers, String> {
    let done = Command::new(scanner).arg(folder).arg("--json").output();
    let done = done.map_err(|error| format!("cannot run `{}`: {error}", scanner.display()))?;
    let report: Value = serde_json::from_slice(&done.stdout).map_err(|error| {
        format!("the scanner gave no report on `{}`: {error}: {}", folder.display(), String::from_utf8_lossy(&done.stderr))
    })?;
    let files = report.get("files").and_then(Value::as_array).cloned().unwrap_or_default();
    let of = |file: &Value, key: &str| file.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
    let count = |verdict: &str| files.iter().filter(|file| of(file, "verdict") == verdict).count() as f64;
    let wrong = files.iter().filter(|file| of(file, "verdict") != wanted).map(|file| of(file, "path")).collect();
    Ok(Answers { blocked: count("blocked"), clean: count("clean"), files: files.len() as f64, wrong })
}

fn ask_peer(python: &Path, peer: &str, path: &Path, pattern: &str) -> Result<Value, String> {
    let told = shell::quiet(Command::new(python).arg(script("peers.py")).arg(peer).arg(path).arg(pattern))?;
    let last = told.lines().last().unwrap_or_default();
    serde_json::from_str(last).map_err(|error| format!("`{peer}` was judged as `{last}`: {error}"))
}

fn number(value: &Value, key: &str) -> f64 {
    value.get(key).and_then(Value::as_f64).unwrap_or_default()
}

/// The best time of some runs of our program on a file, its start included. The file must be clean.
fn seconds(scanner: &Path, path: &Path) -> Result<f64, String> {
    let mut best = f64::MAX;
    for _ in 0..RUNS {
        let start = Instant::now();
        shell::quiet(Command::new(scanner).arg(path))?;
        best = best.min(start.elapsed().as_secs_f64());
    }
    Ok(best)
}
