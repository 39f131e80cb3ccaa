//! A PostgreSQL of our own, from Debian's binaries, for the length of a test run.

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::shell;

/// A running PostgreSQL. It is stopped and its data removed when this is dropped.
pub struct Postgres {
    programs: PathBuf,
    /// Holds the data; removed last.
    folder: tempfile::TempDir,
    port: u16,
}

impl Postgres {
    /// Starts one on a free port of the loopback.
    ///
    /// # Errors
    /// If no PostgreSQL is installed and none can be, or it does not start.
    pub fn start() -> Result<Self, String> {
        let programs = match programs() {
            Some(found) => found,
            None => {
                shell::need_package("postgresql", "tests run on PostgreSQL too")?;
                programs().ok_or("PostgreSQL was installed, but /usr/lib/postgresql has no programs")?
            }
        };
        let folder = tempfile::Builder::new()
            .prefix("strongroom-postgres-")
            .tempdir()
            .map_err(|error| format!("cannot make a folder for PostgreSQL: {error}"))?;
        let port = free_port()?;
        let postgres = Self { programs, folder, port };
        postgres.give_folder_away()?;
        let data = postgres.data();
        postgres.program("initdb", &["-D", &data, "-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync"])?;
        // The data does not outlive the tests, so it need not outlive a power cut.
        let options = format!(
            "-c listen_addresses=127.0.0.1 -c port={port} -c unix_socket_directories={} -c fsync=off -c max_connections=300",
            postgres.folder.path().display()
        );
        let log = postgres.folder.path().join("postgres.log").display().to_string();
        postgres.program("pg_ctl", &["-D", &data, "-o", &options, "-l", &log, "-w", "start"])?;
        shell::say(&format!("PostgreSQL {} runs on port {port}", postgres.version()));
        Ok(postgres)
    }

    /// The connection string.
    pub fn address(&self) -> String {
        format!("postgres://postgres@127.0.0.1:{}/postgres", self.port)
    }

    /// The path of `psql`.
    pub fn psql(&self) -> PathBuf {
        let own = self.programs.join("psql");
        if own.exists() { own } else { PathBuf::from("psql") }
    }

    fn data(&self) -> String {
        self.folder.path().join("data").display().to_string()
    }

    fn version(&self) -> String {
        let text = shell::quiet(Command::new(self.programs.join("postgres")).arg("--version")).unwrap_or_default();
        text.split_whitespace().nth(2).unwrap_or("?").to_owned()
    }

    /// PostgreSQL refuses to run as root; then its data belongs to the user that its package makes.
    fn give_folder_away(&self) -> Result<(), String> {
        if !shell::is_root() {
            return Ok(());
        }
        shell::quiet(Command::new("chown").arg("-R").arg("postgres").arg(self.folder.path())).map(|_| ())
    }

    fn program(&self, name: &str, arguments: &[&str]) -> Result<(), String> {
        let path = self.programs.join(name);
        let mut command = if shell::is_root() {
            let mut command = Command::new("runuser");
            command.args(["-u", "postgres", "--"]).arg(&path);
            command
        } else {
            Command::new(&path)
        };
        // Its output goes to files: a server that inherits a pipe would keep it open.
        let output = self.folder.path().join(format!("{name}.out"));
        let file = std::fs::File::create(&output).map_err(|error| format!("cannot write `{}`: {error}", output.display()))?;
        let errors = file.try_clone().map_err(|error| format!("cannot write `{}`: {error}", output.display()))?;
        let status = command
            .args(arguments)
            .current_dir(self.folder.path())
            .stdin(std::process::Stdio::null())
            .stdout(file)
            .stderr(errors)
            .status()
            .map_err(|error| format!("cannot run `{}`: {error}", path.display()))?;
        if status.success() {
            return Ok(());
        }
        Err(format!("`{}` failed: {status}\n{}", path.display(), std::fs::read_to_string(&output).unwrap_or_default()))
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        let data = self.data();
        if let Err(fault) = self.program("pg_ctl", &["-D", &data, "-m", "immediate", "-w", "stop"]) {
            shell::say(&format!("PostgreSQL could not be stopped: {fault}"));
        }
    }
}

/// `cargo xtask with-postgres COMMAND…`
///
/// # Errors
/// If PostgreSQL does not start or the command fails.
pub fn with(words: &[&str]) -> Result<(), String> {
    let (program, arguments) = words.split_first().ok_or("which command?")?;
    let postgres = Postgres::start()?;
    let mut command = Command::new(program);
    command.args(arguments).env("STRONGROOM_TEST_POSTGRES", postgres.address()).env("STRONGROOM_PSQL", postgres.psql());
    shell::run(&mut command)
}

/// The newest installed version's programs.
fn programs() -> Option<PathBuf> {
    let mut versions: Vec<(u32, PathBuf)> = std::fs::read_dir("/usr/lib/postgresql")
        .ok()?
        .flatten()
        .filter_map(|entry| Some((entry.file_name().to_str()?.parse().ok()?, entry.path().join("bin"))))
        .filter(|(_, folder): &(u32, PathBuf)| Path::new(folder).join("initdb").exists())
        .collect();
    versions.sort();
    versions.pop().map(|(_, folder)| folder)
}

/// A port that is free just now.
///
/// # Errors
/// If there is none.
pub fn free_port() -> Result<u16, String> {
    let listener = TcpListener::bind("127.0.0.1:0").map_err(|error| format!("no free port: {error}"))?;
    listener.local_addr().map(|address| address.port()).map_err(|error| format!("no free port: {error}"))
}
