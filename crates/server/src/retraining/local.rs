//! Runs jobs on this machine, each in a jail of its own: a folder, a relay to this server, and nothing else.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use gate::BoxFuture;
use jail::{JailLimits, JailSpec, RelaySpec, Status};
use kernel::Problem;
use retrain::{Errand, Execute, ExecuteError, Finished, JobLog, RetrainConfig};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::process::{Child, Command};
use tokio::sync::OnceCell;
use tokio::task::JoinHandle;

use super::folder::{JobFolder, SOCKET};
use super::{WORKER_COMMAND, folder, probe};
use crate::config::Config;
use crate::tls;

/// The folder of jobs in the data folder.
const JOBS_FOLDER: &str = "retrain";
/// The folder of the probe in it.
const PROBE_FOLDER: &str = "probe";
/// How long the probe may take.
const PROBE_SECONDS_MAX: u64 = 60;
/// How often it is looked at how much a job has written.
const LOOK_EVERY: Duration = Duration::from_secs(2);
/// How long output may still come once the program has ended.
const LAST_WORDS_MAX: Duration = Duration::from_secs(5);
/// Descriptors of each process.
const DESCRIPTOR_COUNT_MAX: u64 = 1_024;
const PIECE_BYTES: usize = 16 * 1024;

/// Jobs on this machine.
pub struct Local {
    python: PathBuf,
    readable: Vec<PathBuf>,
    jobs: PathBuf,
    ca: PathBuf,
    secret: PathBuf,
    server: SocketAddr,
    config: RetrainConfig,
    /// Set once the probe has found nothing.
    probed: OnceCell<()>,
}

/// How a program in a jail ended.
enum Over {
    Exited(i64),
    Stopped(ExecuteError),
    Failed(String),
}

impl Local {
    /// Jobs on this machine; none where no Python is named.
    ///
    /// # Errors
    /// `Invalid` where jobs could read the server's keys.
    pub fn open(data: &Path, config: &Config, server: SocketAddr) -> Result<Option<Self>, Problem> {
        let Some(python) = config.retrain.python.clone() else { return Ok(None) };
        let data = data.canonicalize().map_err(|e| Problem::internal("the data folder has no path", e))?;
        if config.tls.certificate.is_some() {
            return Err(Problem::invalid(
                "`retrain.python` cannot be used with `tls.certificate` yet: jobs find this server as 127.0.0.1, for which it must show \
                 a certificate of its own authority",
            ));
        }
        let mut readable = config.retrain.readable.clone();
        readable.extend(prefixes(&python)?);
        if let Some(open) = jail::readable_by_all(&readable).into_iter().find(|path| data.starts_with(path)) {
            return Err(Problem::invalid(format!(
                "jobs may read `{}`, and the data folder lies in it; move one of them, or name less in `retrain.readable`",
                open.display()
            )));
        }
        let jobs = data.join(JOBS_FOLDER);
        // What a process that is gone has left.
        if jobs.exists() {
            folder::clear(&jobs).map_err(|e| Problem::internal("what jobs had left cannot be taken away", e))?;
        }
        Ok(Some(Self {
            python,
            readable,
            jobs,
            ca: tls::ca_path(&data),
            secret: data.join("lock"),
            server,
            config: config.retrain.clone(),
            probed: OnceCell::new(),
        }))
    }

    fn spec(&self, folder: &JobFolder, arguments: Vec<String>, environment: BTreeMap<String, String>) -> JailSpec {
        let config = &self.config;
        let mut readable = self.readable.clone();
        readable.extend([folder.code(), folder.ca()]);
        JailSpec {
            program: self.python.clone(),
            arguments,
            environment: self.everyday(folder, environment),
            folder: folder.work(),
            readable,
            status: folder.status(),
            relay: RelaySpec { port: self.server.port(), folder: folder.path().to_owned(), socket: SOCKET.to_owned() },
            limits: JailLimits {
                cpu_seconds_max: config.cpu_seconds_max,
                memory_bytes_max: config.memory_bytes_max,
                file_bytes_max: config.file_bytes_max,
                descriptor_count_max: DESCRIPTOR_COUNT_MAX,
                process_count_max: config.process_count_max,
            },
            allow_insecure: config.allow_insecure_unsandboxed,
        }
    }

    /// What every program expects to find.
    fn everyday(&self, folder: &JobFolder, mut environment: BTreeMap<String, String>) -> BTreeMap<String, String> {
        let work = folder.work();
        let shown = |path: &Path| path.display().to_string();
        let programs = self.python.parent().map(shown).unwrap_or_default();
        for (name, value) in [
            ("PATH", format!("{programs}:/usr/local/bin:/usr/bin:/bin")),
            ("HOME", shown(&work)),
            ("TMPDIR", shown(&work.join("tmp"))),
            ("PYTHONPATH", shown(&folder.code())),
            ("USER", "strongroom".to_owned()),
            ("LOGNAME", "strongroom".to_owned()),
            ("LANG", "C.UTF-8".to_owned()),
            ("GIT_PYTHON_REFRESH", "quiet".to_owned()),
        ] {
            environment.insert(name.to_owned(), value);
        }
        environment
    }

    /// Whether a jail holds here; tried once.
    async fn probe(&self) -> Result<(), String> {
        if self.config.allow_insecure_unsandboxed {
            return Ok(());
        }
        // What fails is tried again: it may have been the machine's bad moment.
        self.probed.get_or_try_init(|| self.probe_now()).await.copied()
    }

    async fn probe_now(&self) -> Result<(), String> {
        let failed = |error: std::io::Error| format!("the sandbox cannot be tried: {error}");
        let folder = JobFolder::make(self.jobs.join(PROBE_FOLDER), &[], &self.ca).map_err(failed)?;
        let outside = TcpListener::bind((std::net::Ipv4Addr::LOCALHOST, 0)).await.map_err(failed)?;
        let port = outside.local_addr().map_err(failed)?.port();
        let secret = self.secret.display().to_string();
        let arguments = ["-I", "-c", probe::SCRIPT, &secret, &port.to_string(), &self.server.port().to_string()];
        let spec = self.spec(&folder, arguments.iter().map(ToString::to_string).collect(), BTreeMap::new());
        let log = JobLog::default();
        let over = self.run(&folder, &spec, PROBE_SECONDS_MAX, &log, Box::pin(std::future::pending())).await;
        let hint = "jobs are refused; see `retrain` in the configuration's reference";
        match (jail::read_status(&folder.status()), over) {
            (Status::Refused(why), _) => Err(format!("the sandbox cannot be built: {why}; {hint}")),
            (Status::Started(_), Over::Failed(why)) => Err(format!("the sandbox cannot be tried: {why}; {hint}")),
            (Status::Started(_), _) => match probe::judge(&log.text().1) {
                None => Ok(()),
                Some(fault) => Err(format!("the sandbox does not hold here: {fault}; {hint}")),
            },
        }
    }

    async fn run(
        &self,
        folder: &JobFolder,
        spec: &JailSpec,
        seconds_max: u64,
        log: &JobLog,
        cancelled: BoxFuture<'_, ()>,
    ) -> Over {
        let _relay = match folder.relay(self.server) {
            Ok(relay) => relay,
            Err(error) => return Over::Failed(format!("the relay cannot listen: {error}")),
        };
        let mut child = match start(spec).await {
            Ok(child) => child,
            Err(why) => return Over::Failed(why),
        };
        // Kept open: when it closes, the jail ends itself.
        let input = child.stdin.take();
        let mut readers = [Reader::of(child.stdout.take(), log), Reader::of(child.stderr.take(), log)];
        let group = child.id();
        let ended = tokio::select! {
            ended = child.wait() => ended.map_err(|error| Over::Failed(format!("its end was not seen: {error}"))),
            () = cancelled => Err(Over::Stopped(ExecuteError::Cancelled)),
            () = tokio::time::sleep(Duration::from_secs(seconds_max)) => {
                Err(Over::Failed(format!("it ran longer than {seconds_max} s (`retrain.seconds_max`)")))
            }
            most = too_much(folder, self.config.folder_bytes_max) => {
                Err(Over::Failed(format!("it wrote more than {most} bytes (`retrain.folder_bytes_max`)")))
            }
        };
        drop(input);
        if let Some(group) = group {
            jail::kill_group(group);
        }
        drop(child.start_kill());
        drop(tokio::time::timeout(LAST_WORDS_MAX, child.wait()).await);
        for reader in &mut readers {
            reader.last_words().await;
        }
        match ended {
            Ok(status) => match status.code() {
                Some(code) => Over::Exited(i64::from(code)),
                None => Over::Failed(format!("its sandbox was ended from outside: {status}")),
            },
            Err(over) => over,
        }
    }
}

/// Keeps what comes out of a pipe, until it is dropped.
struct Reader(JoinHandle<()>);

impl Reader {
    fn of(from: Option<impl AsyncRead + Unpin + Send + 'static>, log: &JobLog) -> Self {
        let log = log.clone();
        Self(tokio::spawn(async move { keep(from, &log).await }))
    }

    /// Waits for what is still in the pipe.
    async fn last_words(&mut self) {
        drop(tokio::time::timeout(LAST_WORDS_MAX, &mut self.0).await);
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Ends when a job has written too much.
async fn too_much(folder: &JobFolder, most: u64) -> u64 {
    loop {
        tokio::time::sleep(LOOK_EVERY).await;
        if folder.written_bytes() > most {
            return most;
        }
    }
}

async fn keep(from: Option<impl AsyncRead + Unpin>, log: &JobLog) {
    let Some(mut from) = from else { return };
    let mut piece = vec![0_u8; PIECE_BYTES];
    while let Ok(count @ 1..) = from.read(&mut piece).await {
        log.add(piece.get(..count).unwrap_or_default());
    }
}

async fn start(spec: &JailSpec) -> Result<Child, String> {
    let failed = |error: std::io::Error| format!("the sandbox cannot be started: {error}");
    let line = jail::first_line(spec)?;
    let mut command = Command::new(std::env::current_exe().map_err(failed)?);
    command.arg(WORKER_COMMAND).env_clear().process_group(0).kill_on_drop(true);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().map_err(failed)?;
    let input = child.stdin.as_mut().ok_or("the sandbox has no input")?;
    input.write_all(&line).await.map_err(failed)?;
    input.flush().await.map_err(failed)?;
    Ok(child)
}

/// The folders in which a Python and its packages lie.
fn prefixes(python: &Path) -> Result<Vec<PathBuf>, Problem> {
    let real = python
        .canonicalize()
        .map_err(|error| Problem::invalid(format!("`retrain.python` is `{}`, which is not there: {error}", python.display())))?;
    let mut found = Vec::new();
    for program in [python, real.as_path()] {
        let prefix = program.parent().and_then(Path::parent).filter(|prefix| prefix.parent().is_some());
        let prefix = prefix.ok_or_else(|| {
            Problem::invalid(format!("`{}` lies so high that jobs could read everything below it", program.display()))
        })?;
        found.push(prefix.to_owned());
    }
    Ok(found)
}

impl Execute for Local {
    fn execute<'a>(
        &'a self,
        errand: &'a Errand,
        log: &'a JobLog,
        cancelled: BoxFuture<'a, ()>,
    ) -> BoxFuture<'a, Result<Finished, ExecuteError>> {
        Box::pin(async move {
            self.probe().await.map_err(ExecuteError::Refused)?;
            let failed = |error: std::io::Error| ExecuteError::Refused(format!("its folder cannot be made: {error}"));
            let (path, code, ca) = (self.jobs.join(&errand.job_id), errand.code.clone(), self.ca.clone());
            let made = tokio::task::spawn_blocking(move || JobFolder::make(path, &code, &ca)).await;
            let folder = made.map_err(|error| failed(std::io::Error::other(error)))?.map_err(failed)?;
            let url = format!("https://127.0.0.1:{}", self.server.port());
            let environment = retrain::environment(errand, &url, &folder.ca().display().to_string());
            let mut arguments = errand.words.clone();
            if let Some(script) = arguments.first_mut() {
                *script = folder.code().join(&*script).display().to_string();
            }
            let spec = self.spec(&folder, arguments, environment);
            let over = self.run(&folder, &spec, errand.seconds_max, log, cancelled).await;
            let confinement = match jail::read_status(&folder.status()) {
                Status::Refused(why) => return Err(ExecuteError::Refused(format!("the sandbox cannot be built: {why}"))),
                Status::Started(confinement) => serde_json::to_string(&confinement).ok(),
            };
            match over {
                Over::Exited(0) => Ok(Finished { exit_code: Some(0), fault: None, confinement }),
                Over::Exited(code) => {
                    let fault = format!("its program ended with {code}; `strongroom retrain logs` shows what it wrote");
                    Ok(Finished { exit_code: Some(code), fault: Some(fault), confinement })
                }
                Over::Failed(why) => Ok(Finished { exit_code: None, fault: Some(why), confinement }),
                Over::Stopped(error) => Err(error),
            }
        })
    }

    /// Nothing is left of a job here: its jail ended with the process that had begun it.
    fn abandon<'a>(&'a self, _job_id: &'a str) -> BoxFuture<'a, ()> {
        Box::pin(std::future::ready(()))
    }
}
