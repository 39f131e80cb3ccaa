//! Drills: what is acknowledged must survive a kill, a full disk and a failing fsync.

use std::path::Path;
use std::process::Command;

use crate::postgres::Postgres;
use crate::{python, shell};

/// `cargo xtask drill …`
///
/// # Errors
/// If something was lost, or the drill cannot run.
pub fn run(words: &[&str]) -> Result<(), String> {
    let release = words.contains(&"--release");
    let mut build = vec!["build", "--package", "strongroom", "--package", "inspector", "--package", "query"];
    if release {
        build.push("--release");
    }
    shell::cargo(&build)?;
    let python = environment()?;
    match words.split_first() {
        Some((which @ (&"kill" | &"data" | &"s3" | &"backup" | &"keys"), rest)) => {
            let (drill, usual): (Drill, u32) = match *which {
                "kill" => (kill, 200),
                "s3" => (s3, 100),
                "backup" => (backup, 100),
                "keys" => (keys, 100),
                _ => (data, 50),
            };
            let rounds = value(rest, "--rounds").and_then(|text| text.parse().ok()).unwrap_or(usual);
            match value(rest, "--engine").unwrap_or("sqlite") {
                "postgres" => drill(&python, rounds, "postgres", Some(&Postgres::start()?)),
                _ => drill(&python, rounds, "sqlite", None),
            }
        }
        Some((&"disk", _)) => disk(&python),
        _ => Err("which drill? `kill`, `data`, `s3`, `backup`, `keys` or `disk`".to_owned()),
    }
}

/// A drill of so many rounds on one engine.
type Drill = fn(&Path, u32, &str, Option<&Postgres>) -> Result<(), String>;

fn environment() -> Result<std::path::PathBuf, String> {
    python::environment("venv", &shell::root().join("tests").join("clients").join("requirements.txt"))
}

/// Kills the server at random moments under load.
///
/// # Errors
/// If an acknowledged change is lost, a record has no change, a change no record, or the log does not verify.
pub fn kill(python: &Path, rounds: u32, engine: &str, postgres: Option<&Postgres>) -> Result<(), String> {
    rounds_of("kill_drill.py", python, rounds, engine, postgres)
}

/// Kills the server at random moments while data sets are committed and inspected.
///
/// # Errors
/// If a committed version is lost or changed, one is admitted by accident, an inspection never ends, or the log does not verify.
pub fn data(python: &Path, rounds: u32, engine: &str, postgres: Option<&Postgres>) -> Result<(), String> {
    rounds_of("data_drill.py", python, rounds, engine, postgres)
}

/// Kills the server at random moments while objects are put and multipart uploads completed.
///
/// # Errors
/// If an acknowledged object is lost, one is there by half, an upload does not go on, or the log does not verify.
pub fn s3(python: &Path, rounds: u32, engine: &str, postgres: Option<&Postgres>) -> Result<(), String> {
    rounds_of("s3_drill.py", python, rounds, engine, postgres)
}

/// Kills the server at random moments while it makes backups, and restores of them.
///
/// # Errors
/// If a half backup verifies, one that was broken off is not gone on with, or what is restored is not one state.
pub fn backup(python: &Path, rounds: u32, engine: &str, postgres: Option<&Postgres>) -> Result<(), String> {
    rounds_of("backup_drill.py", python, rounds, engine, postgres)
}

/// Kills the server at random moments while keys are rotated and objects put, and rotations of the root key.
///
/// # Errors
/// If an acknowledged object is lost or cannot be read, or a rotation that was broken off does not come to its end.
pub fn keys(python: &Path, rounds: u32, engine: &str, postgres: Option<&Postgres>) -> Result<(), String> {
    rounds_of("keys_drill.py", python, rounds, engine, postgres)
}

fn rounds_of(name: &str, python: &Path, rounds: u32, engine: &str, postgres: Option<&Postgres>) -> Result<(), String> {
    let mut command = script(python, name);
    command.args(["--rounds", &rounds.to_string()]).env("STRONGROOM_TEST_ENGINE", engine);
    if let Some(postgres) = postgres {
        command.env("STRONGROOM_TEST_POSTGRES", postgres.address()).env("STRONGROOM_PSQL", postgres.psql());
    }
    shell::run(&mut command)
}

/// Fills the disk and breaks fsync, as the server sees them.
///
/// # Errors
/// If the server answers anything but a clear refusal, loses something, or does not recover.
pub fn disk(python: &Path) -> Result<(), String> {
    if !shell::has("cc") {
        shell::need_package("gcc", "the failing disk of the drills is a small C library")?;
    }
    shell::run(&mut script(python, "disk_drill.py"))
}

fn script(python: &Path, name: &str) -> Command {
    let mut command = Command::new(python);
    command
        .arg(shell::root().join("tests").join("drills").join(name))
        .env("STRONGROOM_BINARY", newest_binary())
        .env("PYTHONDONTWRITEBYTECODE", "1");
    command
}

/// The release build if it is the newer one.
pub fn newest_binary() -> std::path::PathBuf {
    let built = |profile: &str| shell::target().join(profile).join("strongroom");
    let time = |path: &Path| std::fs::metadata(path).and_then(|metadata| metadata.modified()).ok();
    let (debug, release) = (built("debug"), built("release"));
    if time(&release) > time(&debug) { release } else { debug }
}

/// The word after `name`.
pub fn value<'a>(words: &[&'a str], name: &str) -> Option<&'a str> {
    let position = words.iter().position(|word| *word == name)?;
    words.get(position + 1).copied()
}
