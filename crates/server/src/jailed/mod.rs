//! Programs of somebody else's on this machine, each in a jail with a folder of its own: what they have in common, whatever they are for.

pub mod folder;
mod held;
mod probe;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use jail::{JailLimits, JailSpec, RelaySpec, Status};
use kernel::Problem;
use retrain::JobLog;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::process::{Child, ChildStdin, Command};
use tokio::sync::OnceCell;
use tokio::task::JoinHandle;

use self::folder::{JobFolder, SOCKET};
use crate::tls;

/// The hidden command by which this program becomes the outer part of a jail.
pub const WORKER_COMMAND: &str = "jail-worker";
/// The option by which it becomes the inner part.
pub const INNER_OPTION: &str = "--inner";
/// The folder of the probe among the others.
const PROBE_FOLDER: &str = "probe";
/// How long the probe may take.
const PROBE_WAIT_MAX: Duration = Duration::from_secs(60);
/// How long output may still come once the program has ended.
const LAST_WORDS_MAX: Duration = Duration::from_secs(5);
const PIECE_BYTES: usize = 16 * 1024;

/// What a section of the configuration says of jails.
#[derive(Clone, Debug)]
pub struct Settings<'a> {
    /// The section, for errors.
    pub section: &'static str,
    /// The Python that runs in them.
    pub python: &'a Path,
    /// What it may read besides the system's libraries and its own.
    pub readable: &'a [PathBuf],
    /// What each of its processes may use.
    pub limits: JailLimits,
    /// Whether to go on where the kernel cannot lock it in.
    pub allow_insecure: bool,
}

/// Makes jails for one Python.
pub struct Jailer {
    section: &'static str,
    python: PathBuf,
    readable: Vec<PathBuf>,
    limits: JailLimits,
    allow_insecure: bool,
    /// Where the folders lie.
    place: PathBuf,
    ca: PathBuf,
    secret: PathBuf,
    server: SocketAddr,
    /// Set once the probe has found nothing.
    probed: OnceCell<()>,
}

impl Jailer {
    /// Jails in the folder `place` of the data folder, which is emptied.
    ///
    /// # Errors
    /// `Invalid` where what runs in them could read the server's keys.
    pub fn open(data: &Path, place: &str, settings: &Settings<'_>, server: SocketAddr) -> Result<Self, Problem> {
        let data = data.canonicalize().map_err(|e| Problem::internal("the data folder has no path", e))?;
        let section = settings.section;
        let mut readable = settings.readable.to_vec();
        readable.extend(prefixes(section, settings.python)?);
        if let Some(open) = jail::readable_by_all(&readable).into_iter().find(|path| data.starts_with(path)) {
            return Err(Problem::invalid(format!(
                "jobs may read `{}`, and the data folder lies in it; move one of them, or name less in `{section}.readable`",
                open.display()
            )));
        }
        let place = data.join(place);
        // What a process that is gone has left.
        if place.exists() {
            folder::clear(&place).map_err(|e| Problem::internal("what jobs had left cannot be taken away", e))?;
        }
        Ok(Self {
            section,
            python: settings.python.to_owned(),
            readable,
            limits: settings.limits,
            allow_insecure: settings.allow_insecure,
            place,
            ca: tls::ca_path(&data),
            secret: data.join("lock"),
            server,
            probed: OnceCell::new(),
        })
    }

    /// A new folder with this code in it.
    ///
    /// # Errors
    /// What the file system says.
    pub async fn folder(&self, name: &str, code: Vec<(PathBuf, bytes::Bytes)>) -> std::io::Result<JobFolder> {
        let (path, ca) = (self.place.join(name), self.ca.clone());
        let made = tokio::task::spawn_blocking(move || JobFolder::make(path, &code, &ca)).await;
        made.map_err(std::io::Error::other)?
    }

    /// How this Python is started in a folder.
    #[must_use]
    pub fn spec(&self, folder: &JobFolder, arguments: Vec<String>, environment: BTreeMap<String, String>) -> JailSpec {
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
            limits: self.limits,
            allow_insecure: self.allow_insecure,
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
    ///
    /// # Errors
    /// Why it does not.
    pub async fn probe(&self) -> Result<(), String> {
        if self.allow_insecure {
            return Ok(());
        }
        // What fails is tried again: it may have been the machine's bad moment.
        self.probed.get_or_try_init(|| self.probe_now()).await.copied()
    }

    async fn probe_now(&self) -> Result<(), String> {
        let failed = |error: std::io::Error| format!("the sandbox cannot be tried: {error}");
        let folder = self.folder(PROBE_FOLDER, Vec::new()).await.map_err(failed)?;
        let outside = TcpListener::bind((std::net::Ipv4Addr::LOCALHOST, 0)).await.map_err(failed)?;
        let port = outside.local_addr().map_err(failed)?.port();
        let secret = self.secret.display().to_string();
        let arguments = ["-I", "-c", probe::SCRIPT, &secret, &port.to_string(), &self.server.port().to_string()];
        let spec = self.spec(&folder, arguments.iter().map(ToString::to_string).collect(), BTreeMap::new());
        let _relay = folder.relay(self.server).map_err(|error| format!("the relay cannot listen: {error}"))?;
        let said = JobLog::default();
        let mut jailed = Jailed::start(&spec, &said).await?;
        let over = tokio::time::timeout(PROBE_WAIT_MAX, jailed.ended()).await;
        jailed.end().await;
        let hint = format!("jobs are refused; see `{}` in the configuration's reference", self.section);
        match (jail::read_status(&folder.status()), over) {
            (Status::Refused(why), _) => Err(format!("the sandbox cannot be built: {why}; {hint}")),
            (Status::Started(_), Err(_)) => {
                Err(format!("the sandbox cannot be tried: it took longer than {} s; {hint}", PROBE_WAIT_MAX.as_secs()))
            }
            (Status::Started(_), Ok(Err(why))) => Err(format!("the sandbox cannot be tried: {why}; {hint}")),
            (Status::Started(_), Ok(Ok(_))) => match probe::judge(&said.text().1) {
                None => Ok(()),
                Some(fault) => Err(format!("the sandbox does not hold here: {fault}; {hint}")),
            },
        }
    }
}

/// A program in a jail. Dropping it ends the program and everything that it has started.
pub struct Jailed {
    child: Child,
    /// Kept open: when it closes, the jail ends itself.
    input: Option<ChildStdin>,
    readers: [Reader; 2],
    group: Option<u32>,
}

impl Jailed {
    /// Starts it.
    ///
    /// # Errors
    /// Why it cannot be started.
    pub async fn start(spec: &JailSpec, log: &JobLog) -> Result<Self, String> {
        let mut child = start(spec).await?;
        let input = child.stdin.take();
        let readers = [Reader::of(child.stdout.take(), log), Reader::of(child.stderr.take(), log)];
        let group = child.id();
        Ok(Self { child, input, readers, group })
    }

    /// Waits for its end; gives the code that it ended with.
    ///
    /// # Errors
    /// If it was ended from outside.
    pub async fn ended(&mut self) -> Result<i64, String> {
        let status = self.child.wait().await.map_err(|error| format!("its end was not seen: {error}"))?;
        status.code().map(i64::from).ok_or_else(|| format!("its sandbox was ended from outside: {status}"))
    }

    /// Its outermost process, as long as it may be there.
    pub const fn process(&self) -> Option<u32> {
        self.group
    }

    /// Ends it if it has not ended, and waits for its last words.
    pub async fn end(mut self) {
        self.kill();
        drop(tokio::time::timeout(LAST_WORDS_MAX, self.child.wait()).await);
        for reader in &mut self.readers {
            reader.last_words().await;
        }
    }

    fn kill(&mut self) {
        drop(self.input.take());
        if let Some(group) = self.group.take() {
            jail::kill_group(group);
        }
        drop(self.child.start_kill());
    }
}

impl Drop for Jailed {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Keeps what comes out of a pipe, until it is dropped.
struct Reader(JoinHandle<()>);

impl Reader {
    fn of(from: Option<impl AsyncRead + Unpin + Send + 'static>, log: &JobLog) -> Self {
        let log = log.clone();
        Self(tokio::spawn(async move {
            let Some(mut from) = from else { return };
            let mut piece = vec![0_u8; PIECE_BYTES];
            while let Ok(count @ 1..) = from.read(&mut piece).await {
                log.add(piece.get(..count).unwrap_or_default());
            }
        }))
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
fn prefixes(section: &str, python: &Path) -> Result<Vec<PathBuf>, Problem> {
    let real = python.canonicalize().map_err(|error| {
        Problem::invalid(format!("`{section}.python` is `{}`, which is not there: {error}", python.display()))
    })?;
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
