//! What `cargo xtask bench pii` runs: makes the seeded corpus, and scans a corpus as the server's worker would.
//!
//! Corpora are JSON lists of `{"full_text", "masked", "spans": [{"entity_type", "start_position", "end_position"}]}`, the format
//! of presidio-research; places count characters.

#[path = "bench_pii/corpus.rs"]
mod corpus;

use std::process::ExitCode;

use personal::{Scanner, ScannerOptions};
use serde_json::{Value, json};

/// The scanner runs for so long at least when its throughput is measured.
const SECONDS_MIN: f64 = 3.0;

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let done = match words.as_slice() {
        ["corpus", seed, count, out] => make(seed, count, out),
        ["find", corpus, out] => find(corpus, out),
        ["scan", corpus, out] => scan(corpus, out),
        _ => Err("bench_pii corpus SEED COUNT OUT | bench_pii find CORPUS OUT | bench_pii scan CORPUS OUT".to_owned()),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(problem) => {
            eprintln!("{problem}");
            ExitCode::FAILURE
        }
    }
}

fn make(seed: &str, count: &str, out: &str) -> Result<(), String> {
    let (Ok(seed), Ok(count)) = (seed.parse(), count.parse()) else { return Err("SEED and COUNT are numbers".to_owned()) };
    write(out, &Value::Array(corpus::samples(seed, count)))
}

fn read(corpus: &str) -> Result<Vec<String>, String> {
    let text = std::fs::read_to_string(corpus).map_err(|error| format!("cannot read `{corpus}`: {error}"))?;
    let samples: Vec<Value> = serde_json::from_str(&text).map_err(|error| format!("`{corpus}` is not a corpus: {error}"))?;
    Ok(samples.iter().filter_map(|sample| sample.get("full_text").and_then(Value::as_str).map(str::to_owned)).collect())
}

/// What is found, without measuring how fast.
fn find(corpus: &str, out: &str) -> Result<(), String> {
    let scanner = Scanner::new(ScannerOptions::default()).map_err(|error| error.to_string())?;
    let hits: Vec<Value> = read(corpus)?.iter().map(|text| found(&scanner, text)).collect();
    write(out, &json!({"hits": hits}))
}

fn scan(corpus: &str, out: &str) -> Result<(), String> {
    let texts = read(corpus)?;
    let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
    let start = cpu_seconds();
    let scanner = Scanner::new(ScannerOptions::default()).map_err(|error| error.to_string())?;
    let ready_seconds = cpu_seconds() - start;
    let hits: Vec<Value> = texts.iter().map(|text| found(&scanner, text)).collect();
    let all = throughput(&texts, |text| scanner.scan(text).len());
    let patterns = throughput(&texts, |text| scanner.patterns_in(text).len());
    let whole = texts.join("\n");
    let joined = throughput(&[whole.as_str()], |text| scanner.patterns_in(text).len());
    // Prose without a number in it: what most texts are made of.
    let prose: String = whole.chars().filter(|letter| !letter.is_ascii_digit() && *letter != '@').collect();
    let prose = throughput(&[prose.as_str()], |text| scanner.patterns_in(text).len());
    write(
        out,
        &json!({"hits": hits, "ready_seconds": ready_seconds, "megabytes_per_second": all, "patterns_megabytes_per_second": patterns,
            "patterns_joined_megabytes_per_second": joined, "patterns_prose_megabytes_per_second": prose}),
    )
}

fn found(scanner: &Scanner, text: &str) -> Value {
    let characters = |bytes: usize| text.get(..bytes).map_or(0, |head| head.chars().count());
    let hits = scanner.scan(text);
    hits.iter().map(|hit| json!([hit.kind, characters(hit.start), characters(hit.end), hit.score])).collect()
}

/// Megabytes per second of CPU time of this process, so that other programs do not count.
fn throughput(texts: &[&str], run: impl Fn(&str) -> usize) -> f64 {
    let (start, mut bytes, mut hits) = (cpu_seconds(), 0, 0);
    while cpu_seconds() - start < SECONDS_MIN {
        for text in texts {
            hits += run(text);
            bytes += text.len();
        }
    }
    let seconds = cpu_seconds() - start;
    std::hint::black_box(hits);
    bytes as f64 / seconds / 1e6
}

/// The first number of `schedstat` is the time on a CPU, in nanoseconds.
fn cpu_seconds() -> f64 {
    let text = std::fs::read_to_string("/proc/self/schedstat").unwrap_or_default();
    text.split(' ').next().and_then(|number| number.parse::<f64>().ok()).unwrap_or(f64::NAN) / 1e9
}

fn write(path: &str, value: &Value) -> Result<(), String> {
    std::fs::write(path, value.to_string()).map_err(|error| format!("cannot write `{path}`: {error}"))
}
