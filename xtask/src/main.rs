//! The project's own commands: `cargo xtask test|demo|bench|drill|fuzz|fmt|lint`. It runs the compiler, a PostgreSQL, real
//! Python clients and the server's own program; it holds no logic of the server.
//!
//! Nothing is installed outside the project folder, system packages aside.

mod bench;
mod bench_adversary;
mod bench_console;
mod bench_contract;
mod bench_drift;
mod bench_guard;
mod bench_lineage;
mod bench_objects;
mod bench_pii;
mod bench_poison;
mod bench_poison_rows;
mod bench_profile;
mod bench_recovery;
mod bench_risk;
mod bench_runtime;
mod bench_scan;
mod bench_serve;
mod bench_sign;
mod bench_sign_in;
mod bench_tracking;
mod browser;
mod ceph;
mod demo;
mod demo_life;
mod drill;
mod fuzz;
mod objects_limits;
mod objects_list;
mod postgres;
mod python;
mod shell;
mod suite;
mod usage;

use std::process::ExitCode;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    if let Some(told) = usage::asked(&words) {
        println!("{told}");
        return ExitCode::SUCCESS;
    }
    let done = match words.split_first() {
        Some((&"test", rest)) => return suite::run(rest.contains(&"--fast")),
        Some((&"demo", rest)) => demo::run(rest),
        Some((&"bench", rest)) => bench::run(rest),
        Some((&"drill", rest)) => drill::run(rest),
        Some((&"fuzz", rest)) => fuzz::run(rest),
        Some((&"with-postgres", rest)) => postgres::with(rest),
        Some((&"fmt", _)) => shell::cargo(&["fmt", "--all"]),
        Some((&"lint", _)) => suite::lint(),
        _ => Err(usage::of(&words)),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(problem) => {
            eprintln!("{problem}");
            ExitCode::FAILURE
        }
    }
}
