//! `cargo xtask fuzz scan`: the differential test of `tests/clients/test_scan.py`, for as long as one wants.

use std::process::Command;

use crate::drill::value;
use crate::{python, shell};

/// An hour of one core.
const SECONDS: &str = "3600";

/// Runs it.
///
/// # Errors
/// If the words are wrong, or CPython imports something that the scanner does not report.
pub fn run(words: &[&str]) -> Result<(), String> {
    if words.first() != Some(&"scan") {
        return Err("which fuzz? `scan`".to_owned());
    }
    let clients = shell::root().join("tests").join("clients");
    let python = python::environment("venv", &clients.join("requirements.txt"))?;
    shell::say("building the scanner");
    shell::cargo(&["build", "--quiet", "--release", "-p", "scan"])?;
    shell::run(
        Command::new(python)
            .args(["-m", "pytest", "-q", "-s", "--noconftest", "-k", "cpython", "-c"])
            .arg(clients.join("pytest.ini"))
            .arg(clients.join("test_scan.py"))
            .env("STRONGROOM_SCAN_BINARY", shell::target().join("release").join("strongroom-scan"))
            .env("STRONGROOM_SCAN_FUZZ_SECONDS", value(words, "--seconds").unwrap_or(SECONDS))
            .env("STRONGROOM_SCAN_FUZZ_SEED", value(words, "--seed").unwrap_or("4")),
    )
}
