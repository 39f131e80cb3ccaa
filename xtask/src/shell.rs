//! Running other programs, and saying what goes on.

use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::sync::mpsc::RecvTimeoutError;
use std::time::{Duration, Instant};

/// How long a child may take to end by itself before it is killed.
const CHILD_STOP_MAX: Duration = Duration::from_secs(10);

/// No test takes this long.
const SILENCE_MAX: Duration = Duration::from_mins(15);

/// A line of progress, with the seconds since the start.
pub fn say(text: &str) {
    static START: OnceLock<Instant> = OnceLock::new();
    let seconds = START.get_or_init(Instant::now).elapsed().as_secs();
    eprintln!("[{:>3}:{:02}] {text}", seconds / 60, seconds % 60);
}

/// The project's folder. Cargo names it when it runs; the folder of the build would be another clone's when clones share a target folder.
pub fn root() -> PathBuf {
    let manifest =
        std::env::var_os("CARGO_MANIFEST_DIR").map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")), PathBuf::from);
    manifest.parent().unwrap_or(&manifest).to_path_buf()
}

/// The folder for everything that is made and may be thrown away.
///
/// # Errors
/// If it cannot be made.
pub fn work() -> Result<PathBuf, String> {
    let folder = root().join(".work");
    std::fs::create_dir_all(&folder).map_err(|error| format!("cannot make `{}`: {error}", folder.display()))?;
    Ok(folder)
}

/// Cargo's target folder.
pub fn target() -> PathBuf {
    std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), |folder| root().join(folder))
}

/// Runs cargo in the project's folder.
///
/// # Errors
/// If it cannot be started or fails.
pub fn cargo(arguments: &[&str]) -> Result<(), String> {
    run(Command::new(cargo_program()).args(arguments).current_dir(root()))
}

/// The cargo that runs this.
pub fn cargo_program() -> String {
    std::env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned())
}

/// Runs a program to its end, its output passed through.
///
/// # Errors
/// If it cannot be started or fails.
pub fn run(command: &mut Command) -> Result<(), String> {
    let shown = shown(command);
    let status = command.stdin(Stdio::null()).status().map_err(|error| format!("cannot run `{shown}`: {error}"))?;
    if status.success() { Ok(()) } else { Err(format!("`{shown}` failed: {status}")) }
}

/// Runs a program to its end without showing its output, which is in the error if it fails.
///
/// # Errors
/// If it cannot be started or fails.
pub fn quiet(command: &mut Command) -> Result<String, String> {
    let shown = shown(command);
    let output = command.stdin(Stdio::null()).output().map_err(|error| format!("cannot run `{shown}`: {error}"))?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    if output.status.success() {
        return Ok(text);
    }
    Err(format!("`{shown}` failed: {}\n{text}{}", output.status, String::from_utf8_lossy(&output.stderr)))
}

/// Runs a program and gives each line of its standard output to `each`. Says whether it succeeded. One that writes nothing for
/// [`SILENCE_MAX`] is ended with all that it started: it hangs.
///
/// # Errors
/// If it cannot be started or hangs.
pub fn lines(command: &mut Command, mut each: impl FnMut(&str)) -> Result<bool, String> {
    let shown = shown(command);
    let mut child =
        command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().map_err(|error| format!("cannot run `{shown}`: {error}"))?;
    let mut output = child.stdout.take().ok_or_else(|| format!("`{shown}` has no output"))?;
    let running = Service::new(child);
    let (told, heard) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        let mut piece = [0; 4096];
        // Parts of lines count too: pytest writes a dot for each test.
        while let Some(read) = output.read(&mut piece).ok().and_then(|length| piece.get(..length)).filter(|read| !read.is_empty())
        {
            if told.send(read.to_vec()).is_err() {
                break;
            }
        }
    });
    let mut begun = Vec::new();
    loop {
        match heard.recv_timeout(SILENCE_MAX) {
            Ok(piece) => {
                begun.extend(piece);
                while let Some(at) = begun.iter().position(|byte| *byte == b'\n') {
                    let line: Vec<u8> = begun.drain(..=at).collect();
                    each(String::from_utf8_lossy(&line).trim_end_matches('\n'));
                }
            }
            Err(RecvTimeoutError::Disconnected) => break,
            Err(RecvTimeoutError::Timeout) => {
                let (minutes, last) = (SILENCE_MAX.as_secs() / 60, String::from_utf8_lossy(&begun).into_owned());
                return Err(format!("FAILED: `{shown}` hangs: it wrote nothing for {minutes} minutes, and is ended\n{last}"));
            }
        }
    }
    if !begun.is_empty() {
        each(&String::from_utf8_lossy(&begun));
    }
    running.ended().map_err(|error| format!("cannot wait for `{shown}`: {error}"))
}

/// Whether a program of this name can be started.
pub fn has(program: &str) -> bool {
    let Some(path) = std::env::var_os("PATH") else {
        return false;
    };
    std::env::split_paths(&path).any(|folder| folder.join(program).is_file())
}

/// Whether this runs as root.
pub fn is_root() -> bool {
    quiet(Command::new("id").arg("-u")).is_ok_and(|text| text.trim() == "0")
}

/// Installs a Debian package where that is allowed; else says which is missing.
///
/// # Errors
/// If it is missing and cannot be installed.
pub fn need_package(package: &str, why: &str) -> Result<(), String> {
    let by_hand = format!("`{package}` is missing ({why}); install it with: apt-get install {package}");
    if !is_root() || !has("apt-get") {
        return Err(by_hand);
    }
    say(&format!("installing the system package `{package}`: {why}"));
    let install = || {
        quiet(
            Command::new("apt-get")
                .args(["install", "-y", "-q", "--no-install-recommends", package])
                .env("DEBIAN_FRONTEND", "noninteractive"),
        )
    };
    if install().is_ok() {
        return Ok(());
    }
    quiet(Command::new("apt-get").args(["update", "-q"]))?;
    install().map(|_| ()).map_err(|fault| format!("{by_hand}\n{fault}"))
}

/// A child that does not outlive this program.
pub struct Service {
    child: Child,
}

impl Service {
    /// Takes over a started child.
    pub const fn new(child: Child) -> Self {
        Self { child }
    }

    /// Its process id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// The resident memory of it and all its descendants, in bytes; what they share is counted once.
    pub fn resident_bytes(&self) -> u64 {
        family(self.child.id()).into_iter().map(resident_bytes_of).sum()
    }

    /// What it and all its descendants have computed.
    pub fn cpu(&self) -> Duration {
        family(self.child.id()).into_iter().map(cpu_of).sum()
    }

    /// Waits for its end. Says whether it succeeded.
    ///
    /// # Errors
    /// If it cannot be waited for.
    pub fn ended(mut self) -> std::io::Result<bool> {
        let status = self.child.wait();
        // There is nothing left to end.
        self.forget();
        status.map(|status| status.success())
    }

    /// Leaves it running.
    pub fn forget(self) {
        std::mem::forget(self);
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        // Descendants first: a supervisor's workers must not be left behind.
        let family = family(self.child.id());
        for id in &family {
            let _gone_already = Command::new("kill").args(["-TERM", &id.to_string()]).stderr(Stdio::null()).status();
        }
        let deadline = Instant::now() + CHILD_STOP_MAX;
        while Instant::now() < deadline {
            if matches!(self.child.try_wait(), Ok(Some(_)) | Err(_)) {
                break;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        for id in family {
            if Path::new(&format!("/proc/{id}")).exists() {
                let _gone_already = Command::new("kill").args(["-KILL", &id.to_string()]).stderr(Stdio::null()).status();
            }
        }
        let _reaped = self.child.wait();
    }
}

/// A process and its descendants.
fn family(id: u32) -> Vec<u32> {
    let mut members = vec![id];
    let mut next = 0;
    while let Some(&member) = members.get(next) {
        next += 1;
        let Ok(threads) = std::fs::read_dir(format!("/proc/{member}/task")) else {
            continue;
        };
        for thread in threads.flatten() {
            let children = std::fs::read_to_string(thread.path().join("children")).unwrap_or_default();
            members.extend(children.split_whitespace().filter_map(|word| word.parse::<u32>().ok()));
        }
    }
    members
}

fn resident_bytes_of(id: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{id}/smaps_rollup")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("Pss:"));
    line.and_then(|rest| rest.split_whitespace().next()?.parse::<u64>().ok()).unwrap_or(0) * 1024
}

/// User and system time of a process, in the kernel's ticks of a hundredth of a second (proc(5), fields 14 and 15 of `stat`).
fn cpu_of(id: u32) -> Duration {
    let stat = std::fs::read_to_string(format!("/proc/{id}/stat")).unwrap_or_default();
    let fields = stat.rsplit_once(')').map_or("", |(_, rest)| rest);
    let ticks: u64 = fields.split_whitespace().skip(11).take(2).filter_map(|word| word.parse::<u64>().ok()).sum();
    Duration::from_millis(ticks * 10)
}

fn shown(command: &Command) -> String {
    let mut words = vec![command.get_program().to_string_lossy().into_owned()];
    words.extend(command.get_args().map(|word| word.to_string_lossy().into_owned()));
    words.join(" ")
}
