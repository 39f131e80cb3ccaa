//! The project's own commands: `cargo xtask test|demo|bench|drill|fuzz|fmt|lint`. It runs the compiler, a PostgreSQL, real
//! Python clients and the server's own program; it holds no logic of the server.
//!
//! Nothing is installed outside the project folder, system packages aside.

mod bench;
mod bench_adversary;
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

use std::process::ExitCode;

const USAGE: &str = "cargo xtask COMMAND

  test [--fast]                 every test: Rust, SQLite and PostgreSQL, real Python clients, short drills
                                (--fast leaves out the lint, the format check and the drills)
  demo [--keep] [--data FILE --label COLUMN]
                                a model's whole life against a fresh server, or one of your own table (CSV); --keep leaves
                                the server running
  bench tracking [--json] [--rounds N] [--works a,b] [--prebuilt]
                                side by side with `mlflow server`
  bench pii [--json] [--corpus FOLDER]
                                personal data in texts beside Presidio; FOLDER has presidio-research's synth_dataset_v2.json
  bench poison [--json] [--works a,b] [--sets FOLDER] [--minutes N]
                                planted flips, triggers, floods and outliers, against cleanlab, ART and scikit-learn
  bench profile [--json] [--rounds N] [--works a,b] [--rows N] [--prebuilt]
                                a table's profile beside DuckDB, Polars and whylogs; 30 rules beside Great Expectations
  bench contract [--json]       data contracts: the same verdicts as `datacontract-cli`, and it reads what is written
  bench drift [--json]          changes in streams, beside Evidently and NannyML; forecasts of limits that will be crossed
  bench sign [--json]           a signed model's verification beside `model_signing`, and against what SHA-256 allows
  bench scan [--json]           model files that must be blocked or passed, beside picklescan, modelscan and fickling; speed
  bench serve [--json] [--rounds N] [--minutes N] [--prebuilt]
                                predictions beside MLServer, `mlflow models serve` and Triton; minutes of load for memory
  bench objects [--json] [--rounds N] [--works a,b] [--peer-store bluestore|memstore|none] [--prebuilt]
                                S3 beside Ceph's gateway and beside what disk, hashes and ciphers allow; a million objects listed
  bench recovery [--json] [--gigabytes N] [--prebuilt]
                                a whole restore of N gigabytes (10) in the drill, beside `cp` of the same files
  bench risk [--json] [--people N] [--csv FILE [--rows N]]
                                attackers stopped and people bothered by four ways of judging log-ins; FILE is rba-dataset.csv
  bench sign-in [--json] [--rounds N] [--prebuilt]
                                others, the owner and memory while ten thousand guesses a second are made at log-ins
  bench adversary [--json]      simulated attacks beside the adversarial robustness toolbox
  bench audit [--json]          durably audited operations per second, and verification
  bench policy [--json]         decisions per second
  with-postgres COMMAND…        runs a command with STRONGROOM_TEST_POSTGRES set to a fresh PostgreSQL
  fuzz scan [--seconds N] [--seed N]
                                the model file scanner against CPython's unpicklers (an hour of CPU without a word)
  fuzz parsers [--seconds N] [--seed N] [--targets a,b] [--corpus FOLDER]
                                every reader of ours with changed examples, in children with limits of memory and time
  drill kill [--rounds N] [--engine sqlite|postgres]
                                kill -9 under load, and look for anything lost
  drill data|s3|backup|keys [--rounds N] [--engine sqlite|postgres]
                                kill -9 during commits and inspections, S3 uploads, backups and restores, rotations of keys
  drill disk                    a full disk and a failing fsync
  fmt                           formats the code
  lint                          the compiler's and clippy's warnings as errors";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let done = match words.split_first() {
        Some((&"test", rest)) => return suite::run(rest.contains(&"--fast")),
        Some((&"demo", rest)) => demo::run(rest),
        Some((&"bench", rest)) => bench::run(rest),
        Some((&"drill", rest)) => drill::run(rest),
        Some((&"fuzz", rest)) => fuzz::run(rest),
        Some((&"with-postgres", rest)) => postgres::with(rest),
        Some((&"fmt", _)) => shell::cargo(&["fmt", "--all"]),
        Some((&"lint", _)) => suite::lint(),
        _ => Err(USAGE.to_owned()),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(problem) => {
            eprintln!("{problem}");
            ExitCode::FAILURE
        }
    }
}
