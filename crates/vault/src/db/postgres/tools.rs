//! PostgreSQL's own programs: found, asked for their version, and run with the address in their environment alone.
//!
//! INVARIANT: no password stands in an argument, a log or an error: a child is told it by its environment, which only this account
//! reads. Held by `tests::a_child_is_told_the_password_by_its_environment_alone`.

use std::ffi::OsString;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::thread::JoinHandle;

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
            if !status.as_ref().is_ok_and(std::process::ExitStatus::success) {
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

/// Reads what a program says to its end; the first words are kept.
pub(super) fn listen(mut from: impl Read + Send + 'static) -> JoinHandle<String> {
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
