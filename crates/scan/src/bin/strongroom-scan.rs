//! The scanner alone, without a server: `strongroom-scan PATH…`.

use std::process::ExitCode;

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let exit = scan::cli::run(&words, &mut std::io::stdout().lock(), &mut std::io::stderr().lock());
    ExitCode::from(exit as u8)
}
