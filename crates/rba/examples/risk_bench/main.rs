//! The bench of risk-based authentication: `risk_bench [--people N] [--seed N] [--csv FILE [--rows N]]`. Prints one JSON object;
//! `cargo xtask bench risk` makes rows and tables of it.
#![expect(clippy::print_stdout, reason = "it prints what it found")]

mod chance;
mod cost;
mod csv_file;
mod measure;
mod methods;
mod world;

use std::process::ExitCode;

use serde_json::json;

fn main() -> ExitCode {
    match run() {
        Ok(told) => {
            println!("{told}");
            ExitCode::SUCCESS
        }
        Err(problem) => {
            eprintln!("{problem}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<serde_json::Value, String> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let after = |name: &str| words.iter().position(|word| word == name).and_then(|at| words.get(at + 1));
    let number = |name: &str, default: u64| match after(name) {
        Some(text) => text.parse::<u64>().map_err(|_| format!("`{name}` takes a number")),
        None => Ok(default),
    };
    let seed = number("--seed", 7)?;
    let measured = match after("--csv") {
        Some(path) => measure::Measured::of(csv_file::steps(path, number("--rows", u64::MAX)?, seed)?.into_iter(), false),
        None => {
            let people = u32::try_from(number("--people", 3_000)?).map_err(|_| "`--people` is too many".to_owned())?;
            measure::Measured::of(world::steps(seed, people).into_iter(), true)
        }
    };
    let mut told = measured.told();
    if let Some(told) = told.as_object_mut() {
        told.insert("seed".to_owned(), json!(seed));
        told.insert("data".to_owned(), json!(if after("--csv").is_some() { "the CSV" } else { "generated" }));
        told.insert("cost".to_owned(), cost::told());
    }
    Ok(told)
}
