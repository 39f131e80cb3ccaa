//! The outer part, and process 1 of the namespaces that it makes.

use std::fs;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};

use crate::kernel::{self, Forked};
use crate::{Confinement, JailSpec, job_line, relay};

/// Who the program is inside: no administrator of its own namespaces either.
const INSIDE_ID: u32 = 1_000;
/// The shared memory of its own.
const SHARED_MEMORY: &str = "/dev/shm";

/// Makes the namespaces and process 1, and waits for it.
pub(crate) fn outer(spec: JailSpec, inner: &[&str]) -> Result<ExitCode, String> {
    // Found before `/proc` is another one.
    let program = std::env::current_exe().map_err(|error| format!("this program does not know its own path: {error}"))?;
    let mut found = Confinement::default();
    match leave() {
        Ok(()) => found.namespaces = true,
        Err(why) if spec.allow_insecure => found.missing.push(why),
        Err(why) => return Err(why),
    }
    let failed = |error: std::io::Error| format!("a process cannot be made: {error}");
    match kernel::fork().map_err(failed)? {
        Forked::Child => {
            kernel::die_with_parent().map_err(|error| format!("it cannot be tied to its parent: {error}"))?;
            init(&spec, found, &program, inner)
        }
        Forked::Parent(child) => kernel::wait_for(child).map(ExitCode::from).map_err(failed),
    }
}

/// Leaves the namespaces that this process was started in.
fn leave() -> Result<(), String> {
    let (user, group) = kernel::user_and_group();
    let hint = "this kernel lets no unprivileged process make namespaces of its own (see `sysctl kernel.unprivileged_userns_clone`, \
                `user.max_user_namespaces`, `kernel.apparmor_restrict_unprivileged_userns`)";
    kernel::unshare().map_err(|error| format!("namespaces: {error}; {hint}"))?;
    let write = |file: &str, text: String| fs::write(file, text).map_err(|error| format!("namespaces: `{file}`: {error}"));
    write("/proc/self/setgroups", "deny".to_owned())?;
    write("/proc/self/uid_map", format!("{INSIDE_ID} {user} 1"))?;
    write("/proc/self/gid_map", format!("{INSIDE_ID} {group} 1"))
}

/// Process 1: what it ends with is what the program ended with.
fn init(spec: &JailSpec, mut found: Confinement, program: &Path, inner: &[&str]) -> Result<ExitCode, String> {
    if found.namespaces {
        kernel::keep_mounts_inside().map_err(|error| format!("mounts: {error}"))?;
        if let Err(error) = kernel::read_only_but(&spec.relay.folder) {
            let why = format!("mounts: they cannot be made read-only: {error}");
            if !spec.allow_insecure {
                return Err(why);
            }
            found.missing.push(why);
        }
        // Both are luxuries: without them the program has no `/proc` and no shared memory.
        found.own_proc = kernel::mount("proc", Path::new("/proc"), "").is_ok();
        let most = format!("size={}", spec.limits.memory_bytes_max);
        if Path::new(SHARED_MEMORY).is_dir() {
            drop(kernel::mount("tmpfs", Path::new(SHARED_MEMORY), &most));
        }
        kernel::loopback_up().map_err(|error| format!("the loopback cannot be switched on: {error}"))?;
    }
    let listener = listen(spec, found.namespaces)?;
    let line = job_line(spec, &found)?;
    let mut child = start(program, inner, &spec.folder)?;
    let mut input = child.stdin.take().ok_or("the inner part has no input")?;
    input.write_all(&line).map_err(|error| format!("the inner part takes no job: {error}"))?;
    drop(input);
    let thread = |name: &str, work: Box<dyn FnOnce() + Send>| {
        std::thread::Builder::new().name(name.to_owned()).spawn(work).map(drop).map_err(|error| format!("no thread: {error}"))
    };
    thread("watch", Box::new(watch))?;
    if let Some(listener) = listener {
        std::env::set_current_dir(&spec.relay.folder).map_err(|error| format!("the relay's folder: {error}"))?;
        let socket = PathBuf::from(&spec.relay.socket);
        thread("relay", Box::new(move || relay::serve(&listener, &socket)))?;
    }
    let id = i32::try_from(child.id()).map_err(|_| "a process has a number that is none")?;
    let code = kernel::wait_for(id).map_err(|error| format!("the program cannot be waited for: {error}"))?;
    Ok(ExitCode::from(code))
}

/// In the namespaces the relay has the port; outside of them the server itself does.
fn listen(spec: &JailSpec, namespaces: bool) -> Result<Option<TcpListener>, String> {
    if !namespaces {
        return Ok(None);
    }
    let bound = TcpListener::bind((Ipv4Addr::LOCALHOST, spec.relay.port));
    bound.map(Some).map_err(|error| format!("the relay cannot listen: {error}"))
}

fn start(program: &Path, inner: &[&str], folder: &Path) -> Result<std::process::Child, String> {
    let mut command = Command::new(program);
    command.args(inner).env_clear().current_dir(folder).stdin(Stdio::piped());
    command.spawn().map_err(|error| format!("the inner part cannot be started: {error}"))
}

/// Whoever started this holds the other end of the input: when it is gone, so is all of this.
fn watch() {
    let mut rest = [0_u8; 64];
    loop {
        match std::io::stdin().lock().read(&mut rest) {
            Ok(1..) => {}
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            Ok(0) | Err(_) => std::process::exit(i32::from(crate::REFUSED)),
        }
    }
}
