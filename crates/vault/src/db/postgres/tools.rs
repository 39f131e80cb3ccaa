//! PostgreSQL's own programs: found, asked for their version, and run with the address in their environment alone.
//!
//! INVARIANT: no password stands in an argument, a log or an error: a child is told it by its environment, which only this account
//! reads. Held by `tests::a_child_is_told_the_password_by_its_environment_alone`.

use std::ffi::OsString;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, ExitStatus, Stdio};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use ::postgres::config::{Host, TargetSessionAttrs};
use bytes::Bytes;
use futures_util::StreamExt;
use futures_util::stream;
use kernel::Problem;

use super::Address;
use crate::objects::Stored;

/// What our sessions are called, so that those that a killed process left can be told.
pub(super) const SESSION_NAME: &str = "strongroom-copy";
/// Read at once.
const PIECE_BYTES: usize = 1024 * 1024;
/// What a program may say on its standard error, for the message.
const WORDS_BYTES_MAX: usize = 2_000;
/// How long `pg_dump` waits for a table that is being changed.
const LOCK_WAIT: &str = "--lock-wait-timeout=60s";
/// How often a program that is waited for is looked at, and how often it is asked what it did.
const WAIT_PAUSE: Duration = Duration::from_millis(10);
const WATCH_PAUSE: Duration = Duration::from_millis(500);
/// A program that computed this long without reading anything further reads nothing ever: `pg_restore` takes microseconds for each
/// 4 KiB, and waits without computing for a server that is slow. A changed byte in a compressed row can have it loop for ever.
const COMPUTED_SINCE_READ_MAX: Duration = Duration::from_secs(5);
/// The kernel counts processor time in hundredths of a second (proc(5), `stat`).
const TICK: Duration = Duration::from_millis(10);

/// One of PostgreSQL's programs.
#[derive(Clone, Debug)]
pub(super) struct Tool {
    path: PathBuf,
    name: &'static str,
    /// Its major version.
    pub(super) version: u32,
}

impl Tool {
    /// Looks for a program in `folder`, or else in `PATH`, and asks for its version.
    ///
    /// # Errors
    /// `Unavailable`, saying what to do, if it is not there or cannot be run.
    pub(super) fn find(name: &'static str, folder: Option<&Path>) -> Result<Self, Problem> {
        let path = match folder {
            Some(folder) => Some(folder.join(name)).filter(|path| path.is_file()),
            None => std::env::var_os("PATH").and_then(|all| {
                std::env::split_paths(&all).map(|folder| folder.join(name)).find(|path| path.is_absolute() && path.is_file())
            }),
        };
        let place = folder.map_or_else(|| "`PATH`".to_owned(), |folder| format!("`{}`", folder.display()));
        let path = path.ok_or_else(|| {
            Problem::unavailable(format!(
                "`{name}` is not in {place}: install PostgreSQL's client programs on this machine, or name their folder in \
                 `backup.postgres_programs`"
            ))
        })?;
        let unusable = |why: String| {
            Problem::unavailable(format!("`{}` cannot be run: install PostgreSQL's client programs anew", path.display()))
                .because(why)
        };
        let asked = bare(&path).arg("--version").stdin(Stdio::null()).output().map_err(|error| unusable(error.to_string()))?;
        let said = String::from_utf8_lossy(&asked.stdout).into_owned();
        let version = version_of(&said).ok_or_else(|| unusable("it does not tell its version".to_owned()))?;
        Ok(Self { path, name, version })
    }

    /// Refuses a program that is older than the server: it does not know what the server may hold.
    ///
    /// # Errors
    /// `Unavailable`, saying what to do.
    pub(super) fn must_know(&self, server: u32) -> Result<(), Problem> {
        if self.version >= server {
            return Ok(());
        }
        let (name, own) = (self.name, self.version);
        Err(Problem::unavailable(format!(
            "`{name}` is of PostgreSQL {own}, and the database of {server}: install the client programs of {server} or newer, and \
             name their folder in `backup.postgres_programs`"
        )))
    }

    pub(super) fn command(&self, address: Option<&Address>) -> Command {
        let mut command = bare(&self.path);
        if let Some(address) = address {
            command.envs(address.environment());
        }
        command
    }

    /// A problem with what the program said of it.
    pub(super) fn failed(&self, what: &str, said: &str) -> Problem {
        Problem::unavailable(format!("{what}: `{}` failed", self.name)).because(said.to_owned())
    }
}

/// A program that inherits nothing but where programs are. Its messages are in English.
fn bare(path: &Path) -> Command {
    let mut command = Command::new(path);
    command.env_clear().env("LC_ALL", "C");
    if let Some(path) = std::env::var_os("PATH") {
        command.env("PATH", path);
    }
    command
}

/// `pg_dump (PostgreSQL) 15.18 (Debian …)`, `… 17beta1`, `… 9.6.24`
fn version_of(said: &str) -> Option<u32> {
    let (_, rest) = said.split_once("(PostgreSQL) ")?;
    rest.split(|letter: char| !letter.is_ascii_digit()).next()?.parse().ok()
}

impl Address {
    /// The address as PostgreSQL's programs take it from their environment.
    fn environment(&self) -> Vec<(&'static str, OsString)> {
        let config = &self.config;
        let joined = |words: Vec<String>| OsString::from(words.join(","));
        let mut all: Vec<(&'static str, OsString)> =
            vec![("PGAPPNAME", SESSION_NAME.into()), ("PGCONNECT_TIMEOUT", "30".into()), ("PGCLIENTENCODING", "UTF8".into())];
        let hosts = config.get_hosts().iter().map(|host| match host {
            Host::Tcp(name) => name.clone(),
            Host::Unix(path) => path.display().to_string(),
        });
        all.push(("PGHOST", joined(hosts.collect())));
        if !config.get_hostaddrs().is_empty() {
            all.push(("PGHOSTADDR", joined(config.get_hostaddrs().iter().map(ToString::to_string).collect())));
        }
        if !config.get_ports().is_empty() {
            all.push(("PGPORT", joined(config.get_ports().iter().map(ToString::to_string).collect())));
        }
        let words = [("PGUSER", config.get_user()), ("PGDATABASE", config.get_dbname()), ("PGOPTIONS", config.get_options())];
        all.extend(words.into_iter().filter_map(|(name, value)| value.map(|value| (name, value.into()))));
        if let Some(password) = config.get_password() {
            use std::os::unix::ffi::OsStringExt;
            all.push(("PGPASSWORD", OsString::from_vec(password.to_vec())));
        }
        if config.get_target_session_attrs() == TargetSessionAttrs::ReadWrite {
            all.push(("PGTARGETSESSIONATTRS", "read-write".into()));
        }
        match &self.ca {
            // As this process speaks to it: checked against that authority, and by its name.
            Some(ca) => all.extend([("PGSSLMODE", "verify-full".into()), ("PGSSLROOTCERT", ca.into())]),
            None => all.push(("PGSSLMODE", "disable".into())),
        }
        all
    }
}

/// Has `pg_dump` write what a snapshot holds of one schema, and gives that piece by piece. It ends well only if the program did.
pub(super) fn dump(tool: &Tool, address: &Address, snapshot: &str, schema: &str) -> Result<Stored, Problem> {
    let mut command = tool.command(Some(address));
    command.args(["--format=custom", "--compress=1", "--no-password", "--no-owner", "--no-privileges", "--no-tablespaces"]);
    command.args(["--no-publications", "--no-subscriptions", "--no-security-labels", LOCK_WAIT]);
    command.arg(format!("--snapshot={snapshot}")).arg(format!("--schema=\"{}\"", schema.replace('"', "\"\"")));
    let running = Running::start(tool.clone(), command)?;
    let pieces = stream::unfold(Some(running), |state| async move {
        let running = state?;
        let read = tokio::task::spawn_blocking(move || running.piece()).await;
        match read.unwrap_or_else(|broken| Err(Problem::internal("copying the database broke off", broken))) {
            Ok((_, piece)) if piece.is_empty() => None,
            Ok((running, piece)) => Some((Ok(Bytes::from(piece)), Some(running))),
            Err(problem) => Some((Err(problem), None)),
        }
    });
    Ok(pieces.boxed())
}

/// A program that writes to us. It is ended with this.
struct Running {
    tool: Tool,
    child: Child,
    output: ChildStdout,
    words: Option<JoinHandle<String>>,
}

impl Running {
    fn start(tool: Tool, mut command: Command) -> Result<Self, Problem> {
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let lost = |why: String| tool.failed("the database cannot be copied", &why);
        let mut child = command.spawn().map_err(|error| lost(error.to_string()))?;
        let (output, errors) = (child.stdout.take(), child.stderr.take());
        let output = output.ok_or_else(|| lost("it has no output".to_owned()))?;
        Ok(Self { words: errors.map(listen), tool, child, output })
    }

    fn piece(mut self) -> Result<(Self, Vec<u8>), Problem> {
        let mut piece = Vec::new();
        let read = self.output.by_ref().take(PIECE_BYTES as u64).read_to_end(&mut piece);
        read.map_err(|error| self.tool.failed("the database cannot be copied", &error.to_string()))?;
        if piece.is_empty() {
            let status = self.child.wait();
            if !status.as_ref().is_ok_and(ExitStatus::success) {
                let said = self.words.take().and_then(|words| words.join().ok()).unwrap_or_default();
                return Err(self.tool.failed("the database cannot be copied", &format!("{said} ({status:?})")));
            }
        }
        Ok((self, piece))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// Runs a program to its end, fed with `input`, and gives what it wrote, up to `output_bytes_max`. Of one that failed, or that will never
/// end, the error is what there is to say.
pub(super) fn run_to_end(mut command: Command, input: Option<File>, output_bytes_max: usize) -> Result<Vec<u8>, String> {
    let from = if input.is_some() { Stdio::piped() } else { Stdio::null() };
    let mut child =
        command.stdin(from).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().map_err(|error| error.to_string())?;
    let words = child.stderr.take().map(listen);
    let (stdin, stdout) = (child.stdin.take(), child.stdout.take());
    let (output, status) = std::thread::scope(|scope| {
        // A program that ends early closes its end: what could not be written then is of no interest.
        let feeding = stdin.zip(input).map(|(mut to, mut from)| scope.spawn(move || drop(std::io::copy(&mut from, &mut to))));
        let reading = scope.spawn(move || {
            let mut output = Vec::new();
            let read = stdout.map(|from| from.take(output_bytes_max as u64 + 1).read_to_end(&mut output));
            (read.is_none_or(|read| read.is_ok()) && output.len() <= output_bytes_max).then_some(output)
        });
        let status = wait_watched(&mut child);
        drop(feeding.map(std::thread::ScopedJoinHandle::join));
        (reading.join().ok().flatten(), status)
    });
    let said = words.and_then(|words| words.join().ok()).unwrap_or_default();
    match (status, output) {
        (Ok(status), Some(output)) if status.success() => Ok(output),
        (Ok(status), Some(_)) => Err(format!("{said} ({status})")),
        (Ok(_), None) => Err(format!("{said} (it writes more than {output_bytes_max} bytes)")),
        (Err(why), _) => Err(format!("{said} ({why})")),
    }
}

/// Waits for a program, and ends one that goes round in circles.
fn wait_watched(child: &mut Child) -> Result<ExitStatus, String> {
    let (mut watch, mut watched_at) = (Watch::default(), Instant::now());
    loop {
        if let Some(status) = child.try_wait().map_err(|error| error.to_string())? {
            return Ok(status);
        }
        if watched_at.elapsed() >= WATCH_PAUSE {
            watched_at = Instant::now();
            if watch.is_stuck(child.id()) {
                drop(child.kill());
                drop(child.wait());
                return Err("it computed without reading any further, and was ended: the file is damaged".to_owned());
            }
        }
        std::thread::sleep(WAIT_PAUSE);
    }
}

/// What a program had read and computed when it last read something.
#[derive(Default)]
struct Watch {
    read_bytes: u64,
    computed: Duration,
}

impl Watch {
    /// Whether the program has computed for long and read nothing meanwhile. One that the kernel tells nothing of is never stuck.
    fn is_stuck(&mut self, id: u32) -> bool {
        let Some((read_bytes, computed)) = read_and_computed(id) else { return false };
        if read_bytes != self.read_bytes {
            *self = Self { read_bytes, computed };
        }
        computed.saturating_sub(self.computed) > COMPUTED_SINCE_READ_MAX
    }
}

/// proc(5): `rchar` of `io`, and `utime` and `stime` of `stat`, which stand 12th and 13th behind the name in brackets.
fn read_and_computed(id: u32) -> Option<(u64, Duration)> {
    let io = std::fs::read_to_string(format!("/proc/{id}/io")).ok()?;
    let read_bytes = io.lines().find_map(|line| line.strip_prefix("rchar: "))?.trim().parse().ok()?;
    let stat = std::fs::read_to_string(format!("/proc/{id}/stat")).ok()?;
    let mut fields = stat.rsplit_once(')')?.1.split_whitespace().skip(11);
    let mut ticks = || fields.next()?.parse::<u32>().ok();
    let (user, system) = (ticks()?, ticks()?);
    Some((read_bytes, TICK * user.saturating_add(system)))
}

/// Reads what a program says to its end; the first words are kept.
fn listen(mut from: impl Read + Send + 'static) -> JoinHandle<String> {
    std::thread::spawn(move || {
        let mut words = Vec::new();
        drop(from.by_ref().take(WORDS_BYTES_MAX as u64).read_to_end(&mut words));
        drop(std::io::copy(&mut from, &mut std::io::sink()));
        String::from_utf8_lossy(&words).trim().to_owned()
    })
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use kernel::Secret;

    use super::*;

    fn program(folder: &Path, name: &str, text: &str) {
        let path = folder.join(name);
        std::fs::write(&path, format!("#!/bin/sh\n{text}\n")).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
    }

    #[test]
    fn versions_are_read_as_they_are_told() {
        let told = ["pg_dump (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)\n", "pg_dump (PostgreSQL) 17beta1\n", "pg_dump 3"];
        assert_eq!(told.map(version_of), [Some(15), Some(17), None]);
    }

    #[test]
    fn a_program_that_is_missing_or_old_says_what_to_do() {
        let folder = tempfile::tempdir().unwrap();
        let missing = Tool::find("pg_dump", Some(folder.path())).unwrap_err();
        assert!(missing.message().contains("install") && missing.message().contains("postgres_programs"), "{missing}");
        program(folder.path(), "pg_dump", "echo 'pg_dump (PostgreSQL) 9.6.24'");
        let old = Tool::find("pg_dump", Some(folder.path())).unwrap();
        old.must_know(9).unwrap();
        let refused = old.must_know(15).unwrap_err();
        assert!(refused.message().contains("PostgreSQL 9") && refused.message().contains("of 15 or newer"), "{refused}");
        program(folder.path(), "pg_dump", "exit 1");
        assert!(Tool::find("pg_dump", Some(folder.path())).is_err());
    }

    #[test]
    fn a_program_that_computes_without_reading_is_ended_and_one_that_waits_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let run = |text: &str, output_bytes_max: usize| {
            program(folder.path(), "tool", text);
            let input = File::open(folder.path().join("tool")).unwrap();
            run_to_end(Command::new(folder.path().join("tool")), Some(input), output_bytes_max)
        };
        let stuck = run("while :; do :; done", 10).unwrap_err();
        assert!(stuck.contains("was ended"), "{stuck}");
        assert_eq!(run("sleep 7; echo done", 10).unwrap(), b"done\n", "it computed nothing");
        assert_eq!(run("cat", 1_000).unwrap(), b"#!/bin/sh\ncat\n");
        let failed = run("echo 'no such file' >&2; exit 3", 10).unwrap_err();
        assert!(failed.contains("no such file") && failed.contains('3'), "{failed}");
        assert!(run("cat; cat /dev/zero", 10).unwrap_err().contains("more than 10 bytes"));
    }

    #[test]
    fn a_child_is_told_the_password_by_its_environment_alone() {
        let folder = tempfile::tempdir().unwrap();
        let said = "echo \"$@\" > \"$(dirname $0)/words\"; env > \"$(dirname $0)/told\"; echo 'pg_dump (PostgreSQL) 99.1'; \
                    echo 'connection failed' >&2; exit 1";
        program(folder.path(), "pg_dump", "echo 'pg_dump (PostgreSQL) 99.1'");
        let tool = Tool::find("pg_dump", Some(folder.path())).unwrap();
        program(folder.path(), "pg_dump", said);
        let url = Secret::from("postgres://u:hunter%402@127.0.0.1:7777/x%20y?options=-csearch_path%3Ds".to_owned());
        let address = Address::parse(&url, None).unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let problem = runtime.block_on(async {
            let mut pieces = dump(&tool, &address, "1-1", "public").unwrap();
            loop {
                match pieces.next().await {
                    Some(Ok(_)) => {}
                    Some(Err(problem)) => return problem,
                    None => panic!("it must not end well"),
                }
            }
        });
        let text = format!("{problem} {problem:?} {}", std::error::Error::source(&problem).unwrap());
        assert!(text.contains("connection failed") && !text.contains("hunter"), "{text}");
        let words = std::fs::read_to_string(folder.path().join("words")).unwrap();
        assert!(words.contains("--snapshot=1-1") && !words.contains("hunter"), "{words}");
        let told = std::fs::read_to_string(folder.path().join("told")).unwrap();
        for line in ["PGPASSWORD=hunter@2", "PGHOST=127.0.0.1", "PGPORT=7777", "PGUSER=u", "PGDATABASE=x y", "PGSSLMODE=disable"]
        {
            assert!(told.lines().any(|told| told == line), "{line} in {told}");
        }
        assert!(told.contains("PGOPTIONS=-csearch_path=s") && !told.contains("HOME="), "{told}");
    }
}
