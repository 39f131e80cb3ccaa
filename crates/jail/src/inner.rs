//! The inner part: locks itself in and becomes the program.

use std::fs::File;
use std::io::Write;
use std::os::unix::process::CommandExt;
use std::process::{Command, ExitCode, Stdio};

use crate::{Confinement, JailSpec, Status, calls, kernel, paths};

/// Landlock's first interface that holds what it must: also shortening files is a write (Linux 6.2).
const LANDLOCK_ABI_MIN: u32 = 3;

/// Locks this process in, says what is in force, and becomes the program. It returns only where that fails.
pub(crate) fn become_program(spec: &JailSpec, mut found: Confinement) -> Result<ExitCode, String> {
    let broken = |what: &str, error: std::io::Error| format!("{what}: {error}");
    // Opened before the paths are gone, and closed with the exec.
    let mut status = File::create(&spec.status).map_err(|error| broken("the status file", error))?;
    let mut missing = Vec::new();
    match kernel::limit(&spec.limits) {
        Ok(()) => found.limits = true,
        Err(error) => missing.push(format!("limits: {error}")),
    }
    kernel::close_others_at_exec().map_err(|error| broken("descriptors", error))?;
    match paths::lock(spec, found.own_proc) {
        Ok(abi) if abi >= LANDLOCK_ABI_MIN => found.landlock_abi = abi,
        Ok(abi) => {
            found.landlock_abi = abi;
            missing.push(format!("Landlock: the kernel has interface {abi}, and {LANDLOCK_ABI_MIN} is needed (Linux 6.2)"));
        }
        Err(why) => missing.push(why),
    }
    match calls::lock() {
        Ok(()) => found.seccomp = true,
        Err(why) => missing.push(why),
    }
    if !missing.is_empty() && !spec.allow_insecure {
        let why = missing.join("; ");
        write(&mut status, &Status::Refused(why.clone()))?;
        eprintln!("the sandbox cannot be built: {why}");
        return Ok(ExitCode::from(crate::REFUSED));
    }
    found.missing.append(&mut missing);
    write(&mut status, &Status::Started(found))?;
    let mut command = Command::new(&spec.program);
    command.args(&spec.arguments).env_clear().envs(&spec.environment).current_dir(&spec.folder).stdin(Stdio::null());
    let error = command.exec();
    Err(format!("`{}` cannot be started: {error}", spec.program.display()))
}

fn write(file: &mut File, status: &Status) -> Result<(), String> {
    let bytes = serde_json::to_vec(status).map_err(|error| error.to_string())?;
    file.write_all(&bytes).and_then(|()| file.flush()).map_err(|error| format!("the status file: {error}"))
}
