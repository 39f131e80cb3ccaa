//! Sends the same MLflow requests to any MLflow server and measures it: HTTP/1.1 with keep-alive, with TLS where the
//! address says `https`. It knows nothing of either server under test.
//!
//! `s3-put|s3-fill|s3-get|s3-clear|s3-list|s3-walk` do the same to any S3 server, and `limits` measures what bounds one on this machine.
//!
//! `guess` sends wrong passwords from many addresses, and `others` asks meanwhile with a token.
//!
//! `loadgen WORK --url URL [--token-file FILE] [--ca FILE] [--connections N] [--seconds N] [--count N] [--bytes N] [--on PATH] [--body FILE]`
//! prints one JSON object: `{"work", "value", "unit", "p50_ms", "p99_ms", "requests", "errors"}`.

mod connection;
mod content;
mod guess;
mod limits;
mod objects;
mod options;
mod works;

use std::process::ExitCode;

fn main() -> ExitCode {
    let options = match options::parse(std::env::args().skip(1)) {
        Ok(options) => options,
        Err(problem) => {
            eprintln!("{problem}");
            return ExitCode::FAILURE;
        }
    };
    // One thread: the server under test needs the other core, and a single one sends more than a server of two takes.
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("no runtime: {error}");
            return ExitCode::FAILURE;
        }
    };
    match runtime.block_on(works::run(options)) {
        Ok(report) => {
            println!("{report}");
            ExitCode::SUCCESS
        }
        Err(problem) => {
            eprintln!("{problem}");
            ExitCode::FAILURE
        }
    }
}
