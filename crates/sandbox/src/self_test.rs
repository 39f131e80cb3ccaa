//! Locks this process in and then tries to break out: what a test, or an operator who doubts a kernel, can run.
//!
//! Ends with 0 if the attempt was refused, with 1 if it worked. Where the kernel kills the process, the signal says it.

use std::fs::File;
use std::net::{TcpListener, TcpStream};
use std::process::{Command, ExitCode};

use inspection::{ProcessLimits, limit_this_process};

use crate::{locks, system};

/// Attempts after both locks, and after Landlock alone (`paths-…`).
#[must_use]
pub fn run(what: &str) -> ExitCode {
    let limits = ProcessLimits { cpu_seconds_max: 60, memory_bytes_max: 1 << 30 };
    if let Err(error) = limit_this_process(limits, false) {
        eprintln!("limits: {error}");
        return ExitCode::from(2);
    }
    let (locked, attempt) = match what.strip_prefix("paths-") {
        Some(attempt) => (locks::lock_paths().map(drop), attempt),
        None => (locks::confine(false).map(drop), what),
    };
    if let Err(error) = locked {
        eprintln!("{error}");
        return ExitCode::from(2);
    }
    let worked = match attempt {
        "nothing" => return ExitCode::SUCCESS,
        "open" => File::open("/etc/passwd").is_ok(),
        "create" => File::create("/tmp/strongroom-self-test").is_ok(),
        "list" => std::fs::read_dir("/").is_ok(),
        "connect" => {
            TcpStream::connect(("127.0.0.1", 9)).is_err_and(|error| error.kind() != std::io::ErrorKind::PermissionDenied)
        }
        "listen" => TcpListener::bind(("127.0.0.1", 0)).is_ok(),
        "exec" => Command::new("/bin/true").status().is_ok(),
        "fork" => system::fork(),
        "kill-parent" => system::signal_parent(),
        "run-memory" => system::map_runnable_memory(),
        "thread" => return thread(),
        "memory" => vec![1_u8; 2 << 30].iter().any(|byte| *byte == 0),
        other => {
            eprintln!("`{other}` is not an attempt");
            return ExitCode::from(2);
        }
    };
    ExitCode::from(u8::from(worked))
}

/// A thread made after the locks: it must work, and be locked in too.
fn thread() -> ExitCode {
    let inside = std::thread::spawn(|| File::open("/etc/passwd").is_err()).join();
    ExitCode::from(u8::from(!matches!(inside, Ok(true))))
}
