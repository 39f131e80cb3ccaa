//! Runs a program of somebody else's that may compute, write its own folder, and talk to one server: nothing else.
//!
//! It is not the inspection's sandbox, which takes everything away from a program of ours: here a whole interpreter with its
//! libraries must run. What holds is, one beside the other:
//!
//! ```text
//! outer   makes namespaces of its own: users, network, processes, mounts, IPC, host name
//!   init    process 1 of them: brings the loopback up, relays one port to the server's socket, ends when its input does
//!     inner   limits itself, locks itself in (Landlock, seccomp), says what is in force, becomes the program
//! ```
//!
//! In a network of its own there is no other address than the loopback, and there nobody listens but the relay: so the
//! program reaches the server and nothing else, whatever it tries. Landlock opens the folders that it may read and the one
//! that it may write; every mount but that of its folder is read-only, as Landlock does not look at changes of modes, times
//! and attributes. seccomp refuses calls that reach round both, sockets of other kinds among them.
//!
//! INVARIANT: what cannot be enforced ends the job before the program's first instruction, unless `allow_insecure` says
//! otherwise; then [`Confinement`] says what is missing. Held by `tests/clients/test_retrain.py`.
//! INVARIANT: when init ends, the kernel ends everything below it. Held by the same.

mod calls;
mod init;
mod inner;
mod kernel;
mod paths;
mod relay;

use std::collections::BTreeMap;
use std::io::{BufRead, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use serde::{Deserialize, Serialize};

/// How a jail ends that could not be built. Programs end so too; the status file tells the two apart.
pub const REFUSED: u8 = 125;
/// The longest job in JSON.
const SPEC_BYTES_MAX: u64 = 1024 * 1024;

/// What to run, and what it may do.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct JailSpec {
    /// The program.
    pub program: PathBuf,
    /// Its arguments.
    pub arguments: Vec<String>,
    /// All of its environment.
    pub environment: BTreeMap<String, String>,
    /// The folder that it begins in, and the only one that it may write.
    pub folder: PathBuf,
    /// Files and folders that it may read, besides the system's programs and libraries.
    pub readable: Vec<PathBuf>,
    /// Where to say what is in force.
    pub status: PathBuf,
    /// The way to the server.
    pub relay: RelaySpec,
    /// What it may use.
    pub limits: JailLimits,
    /// Whether to go on where something cannot be enforced.
    pub allow_insecure: bool,
}

/// One port of the jail's loopback, which leads to a socket outside.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct RelaySpec {
    /// The port inside.
    pub port: u16,
    /// The folder of the socket: its path may be too long for an address.
    pub folder: PathBuf,
    /// The socket's name in it.
    pub socket: String,
}

/// Limits of each process of the jail; the number of processes is for all together.
#[derive(Clone, Copy, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct JailLimits {
    /// Processor time.
    pub cpu_seconds_max: u64,
    /// Private writable memory.
    pub memory_bytes_max: u64,
    /// The longest file.
    pub file_bytes_max: u64,
    /// Open descriptors.
    pub descriptor_count_max: u64,
    /// Processes and threads. The kernel exempts the system's own administrator (uid 0) from this one.
    pub process_count_max: u64,
}

/// What is in force.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Eq, Serialize)]
#[serde(default)]
pub struct Confinement {
    /// It sees no network but its own loopback, and no processes but its own.
    pub namespaces: bool,
    /// `/proc` is its own; else it has none.
    pub own_proc: bool,
    /// The version of Landlock's interface; 0 if there is none.
    pub landlock_abi: u32,
    /// Calls that reach round the rest are refused.
    pub seccomp: bool,
    /// Memory, time, files and descriptors are limited.
    pub limits: bool,
    /// What could not be enforced, in words.
    pub missing: Vec<String>,
}

/// What the status file says.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// The program was started like this.
    Started(Confinement),
    /// It was not started.
    Refused(String),
}

/// Which part of the jail this process is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// What the server starts.
    Outer,
    /// What becomes the program. Its arguments are those that make this program the inner part.
    Inner,
}

/// Reads the spec from the first line of the standard input and plays the part. `inner` are the arguments that start this
/// very program as [`Part::Inner`]. It must be called while this process has one thread.
#[must_use]
pub fn play(part: Part, inner: &[&str]) -> ExitCode {
    let (spec, found) = match read_job() {
        Ok(job) => job,
        Err(why) => {
            eprintln!("the job cannot be read: {why}");
            return ExitCode::from(REFUSED);
        }
    };
    let status = spec.status.clone();
    let ended = match part {
        Part::Outer => init::outer(spec, inner),
        Part::Inner => inner::become_program(&spec, found),
    };
    match ended {
        Ok(code) => code,
        Err(why) => {
            say(&status, &Status::Refused(why.clone()));
            eprintln!("the sandbox cannot be built: {why}");
            ExitCode::from(REFUSED)
        }
    }
}

/// A line of the standard input: the spec, and what was found to be in force so far.
#[derive(Deserialize, Serialize)]
struct Job {
    spec: JailSpec,
    #[serde(default)]
    found: Confinement,
}

/// The line that starts [`Part::Outer`].
///
/// # Errors
/// If the spec cannot be written as JSON, which a path that is not UTF-8 cannot.
pub fn first_line(spec: &JailSpec) -> Result<Vec<u8>, String> {
    job_line(spec, &Confinement::default())
}

fn job_line(spec: &JailSpec, found: &Confinement) -> Result<Vec<u8>, String> {
    let job = Job { spec: spec.clone(), found: found.clone() };
    let mut line = serde_json::to_vec(&job).map_err(|error| error.to_string())?;
    line.push(b'\n');
    Ok(line)
}

fn read_job() -> Result<(JailSpec, Confinement), String> {
    use std::io::Read;
    let mut line = Vec::new();
    // Byte by byte would be slow and a buffer may read too far; nothing but the end of input follows this line.
    let mut input = std::io::BufReader::new(std::io::stdin().lock()).take(SPEC_BYTES_MAX);
    input.read_until(b'\n', &mut line).map_err(|error| error.to_string())?;
    let job: Job = serde_json::from_slice(&line).map_err(|error| error.to_string())?;
    Ok((job.spec, job.found))
}

/// Writes the status file. Where that fails there is no status, which reads as a refusal.
fn say(path: &Path, status: &Status) {
    let Ok(bytes) = serde_json::to_vec(status) else { return };
    if let Ok(mut file) = std::fs::File::create(path) {
        drop(file.write_all(&bytes));
    }
}

/// What the status file of a jail says; a refusal where it says nothing.
#[must_use]
pub fn read_status(path: &Path) -> Status {
    let read = std::fs::read(path).ok().and_then(|bytes| serde_json::from_slice(&bytes).ok());
    read.unwrap_or_else(|| Status::Refused("it ended before it said what is in force".to_owned()))
}

/// Every path that a jail with these readable paths may read, whatever it is for.
#[must_use]
pub fn readable_by_all(readable: &[PathBuf]) -> Vec<PathBuf> {
    let mut all: Vec<PathBuf> = paths::SYSTEM.iter().map(PathBuf::from).collect();
    all.extend(readable.iter().cloned());
    // What is a link is read where it leads.
    let real: Vec<PathBuf> = all.iter().filter_map(|path| path.canonicalize().ok()).collect();
    all.extend(real);
    all
}

/// Ends a process group at once. For what a jail without namespaces leaves behind.
pub fn kill_group(leader: u32) {
    kernel::kill_group(leader);
}
