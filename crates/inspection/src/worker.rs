//! The server's end: starts a worker, hands it the bytes it asks for, and takes its report, or stops it.

use std::future::Future;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use bytes::Bytes;
use kernel::Problem;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::process::{Child, ChildStderr, Command};
use tokio::time::{Instant, timeout, timeout_at};

use crate::confine::{ProcessLimits, confine_child};
use crate::error::InspectionError;
use crate::finding::Finding;
use crate::frame::{self, FromWorker, HEAD_BYTES, READ_BYTES_MAX, Read, Ready, ToWorker};
use crate::job::FILE_COUNT_MAX;
use crate::report::FINDING_COUNT_MAX;
use crate::task::Task;

/// Name of the worker's program, beside the server's own.
pub const WORKER_NAME: &str = "strongroom-inspect";
/// Name of the program that runs queries, beside the server's own.
pub const QUERY_WORKER_NAME: &str = "strongroom-query";
/// How long a worker may say nothing. It speaks every few seconds, also when it computes.
const SILENCE_SECONDS_MAX: u64 = 60;
/// How long a worker may take to end after its last frame.
const END_WAIT_MAX: Duration = Duration::from_secs(5);
/// The shortest time between two reports of progress.
const PROGRESS_PAUSE: Duration = Duration::from_millis(100);
/// Bytes of a worker's last words that are kept.
const LAST_WORDS_BYTES_MAX: u64 = 1_024;

/// The bytes that a worker asks for. They lie within the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReadRequest {
    /// Index into the job's files.
    pub file: usize,
    /// First byte.
    pub offset: u64,
    /// How many; from 1 to [`READ_BYTES_MAX`].
    pub length: u32,
}

/// News of a running inspection.
#[derive(Clone, Debug, PartialEq)]
pub enum Progress {
    /// Where it is.
    Stage {
        /// What it does now.
        stage: String,
        /// How much is done, in the stage's own unit.
        done: u64,
        /// Of how much, where that is known.
        of: Option<u64>,
    },
    /// What it found just now; the report has it again.
    Found(Box<Finding>),
}

/// Where the worker's program is, and how it may run.
#[derive(Clone, Debug)]
pub struct Worker {
    program: PathBuf,
    allow_insecure_unsandboxed: bool,
    silence_max: Duration,
}

impl Worker {
    /// The worker at `program`.
    #[must_use]
    pub fn new(program: impl Into<PathBuf>) -> Self {
        Self { program: program.into(), allow_insecure_unsandboxed: false, silence_max: Duration::from_secs(SILENCE_SECONDS_MAX) }
    }

    /// The worker that lies beside the running program.
    ///
    /// # Errors
    /// If there is none.
    pub fn beside_this_program() -> Result<Self, InspectionError> {
        let own = std::env::current_exe()
            .map_err(|error| InspectionError::Start(format!("this program's own path is unknown: {error}")))?;
        let program = own.parent().unwrap_or(Path::new("/")).join(WORKER_NAME);
        if !program.is_file() {
            return Err(InspectionError::Start(format!("`{}` is not there; install it beside the server", program.display())));
        }
        Ok(Self::new(program))
    }

    /// Lets a worker run that cannot confine itself, on kernels without Landlock or seccomp. The report says so.
    #[must_use]
    pub const fn allow_insecure_unsandboxed(mut self, allow: bool) -> Self {
        self.allow_insecure_unsandboxed = allow;
        self
    }

    /// Sets how long the worker may say nothing.
    #[must_use]
    pub const fn silence_max(mut self, silence: Duration) -> Self {
        self.silence_max = silence;
        self
    }

    /// Runs `job`. `read` fetches decrypted bytes of one file; `progress` hears how it goes; when `cancelled` is ready, or
    /// this future is dropped, the worker is killed.
    ///
    /// # Errors
    /// If there is no whole report, for whatever reason: the version stays in quarantine.
    pub async fn run<T, R, F>(
        &self,
        job: &T,
        read: R,
        progress: impl FnMut(Progress) + Send,
        cancelled: impl Future<Output = ()> + Send,
    ) -> Result<T::Output, InspectionError>
    where
        T: Task,
        R: Fn(ReadRequest) -> F + Send + Sync,
        F: Future<Output = Result<Bytes, Problem>> + Send,
    {
        if job.file_count() > FILE_COUNT_MAX {
            return Err(InspectionError::Failed(format!("{} files are more than {FILE_COUNT_MAX}; pack them", job.file_count())));
        }
        let limits = job.limits();
        let deadline = Instant::now().checked_add(Duration::from_secs(limits.wall_seconds_max));
        let deadline = deadline.ok_or_else(|| InspectionError::Start("`wall_seconds_max` is beyond all time".to_owned()))?;
        let mut child =
            self.start(ProcessLimits { cpu_seconds_max: limits.cpu_seconds_max, memory_bytes_max: limits.memory_bytes_max })?;
        let outcome = tokio::select! {
            biased;
            () = cancelled => Err(InspectionError::Cancelled),
            outcome = timeout_at(deadline, self.converse(&mut child, job, read, progress)) => {
                outcome.unwrap_or(Err(InspectionError::TooLong(limits.wall_seconds_max)))
            }
        };
        match outcome {
            Err(InspectionError::Died(_)) => Err(InspectionError::Died(how_it_ended(&mut child).await)),
            other => {
                let patience = if other.is_ok() { END_WAIT_MAX } else { Duration::ZERO };
                end(&mut child, patience).await;
                other
            }
        }
    }

    fn start(&self, limits: ProcessLimits) -> Result<Child, InspectionError> {
        let mut command = Command::new(&self.program);
        command.arg("worker").env_clear().current_dir("/").kill_on_drop(true);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        if self.allow_insecure_unsandboxed {
            command.arg("--allow-insecure-unsandboxed");
        }
        confine_child(&mut command, limits);
        command.spawn().map_err(|error| InspectionError::Start(format!("`{}`: {error}", self.program.display())))
    }

    async fn converse<T, R, F>(
        &self,
        child: &mut Child,
        job: &T,
        read: R,
        progress: impl FnMut(Progress) + Send,
    ) -> Result<T::Output, InspectionError>
    where
        T: Task,
        R: Fn(ReadRequest) -> F + Send + Sync,
        F: Future<Output = Result<Bytes, Problem>> + Send,
    {
        let (Some(to), Some(from)) = (child.stdin.take(), child.stdout.take()) else {
            return Err(InspectionError::Start("its pipes were not made".to_owned()));
        };
        let mut line = Line { to, from, silence_max: self.silence_max };
        let ready = match line.hear().await? {
            FromWorker::Ready(ready) => ready,
            FromWorker::Failed(why) => return Err(InspectionError::Unconfined(why)),
            _ => return Err(InspectionError::Protocol("its first frame was not its readiness".to_owned())),
        };
        self.accept(&ready)?;
        let hand_over = job.frame();
        line.say(&hand_over.map_err(|error| InspectionError::Failed(format!("the job cannot be handed over: {error}")))?).await?;
        let session = Session { job, read, progress, read_bytes: 0, finding_count: 0, spoke: None };
        let last = session.attend(&mut line).await?;
        job.conclude(last, ready)
    }

    fn accept(&self, ready: &Ready) -> Result<(), InspectionError> {
        if ready.protocol != frame::PROTOCOL {
            let (theirs, ours) = (ready.protocol, frame::PROTOCOL);
            return Err(InspectionError::Start(format!(
                "it speaks protocol {theirs}, not {ours}; install the worker of this release"
            )));
        }
        if !ready.confinement.is_complete() && !self.allow_insecure_unsandboxed {
            return Err(InspectionError::Unconfined(format!("{:?}", ready.confinement)));
        }
        Ok(())
    }
}

/// One conversation's state.
struct Session<'a, T, R, P> {
    job: &'a T,
    read: R,
    progress: P,
    read_bytes: u64,
    finding_count: usize,
    spoke: Option<Instant>,
}

impl<T, R, F, P> Session<'_, T, R, P>
where
    T: Task,
    R: Fn(ReadRequest) -> F + Send + Sync,
    F: Future<Output = Result<Bytes, Problem>> + Send,
    P: FnMut(Progress) + Send,
{
    /// Serves the worker until its last frame.
    async fn attend<W: AsyncWrite + Unpin, A: AsyncRead + Unpin>(
        mut self,
        line: &mut Line<W, A>,
    ) -> Result<FromWorker, InspectionError> {
        loop {
            match line.hear().await? {
                FromWorker::Read(read) => self.serve(line, read).await?,
                FromWorker::Progress(frame) => {
                    let due = self.spoke.is_none_or(|at| at.elapsed() >= PROGRESS_PAUSE);
                    if due {
                        self.spoke = Some(Instant::now());
                        (self.progress)(Progress::Stage { stage: frame.stage, done: frame.done, of: frame.of });
                    }
                }
                FromWorker::Finding(finding) => {
                    self.finding_count = self.finding_count.saturating_add(1);
                    if self.finding_count > FINDING_COUNT_MAX || !finding.is_bounded() {
                        return Err(InspectionError::Protocol("findings beyond their limits".to_owned()));
                    }
                    (self.progress)(Progress::Found(finding));
                }
                last @ (FromWorker::Done(_) | FromWorker::Answered(_)) => return Ok(last),
                FromWorker::Failed(why) => return Err(InspectionError::Failed(why)),
                FromWorker::Ready(_) => return Err(InspectionError::Protocol("it was ready twice".to_owned())),
            }
        }
    }

    async fn serve<W: AsyncWrite + Unpin, A: AsyncRead + Unpin>(
        &mut self,
        line: &mut Line<W, A>,
        read: Read,
    ) -> Result<(), InspectionError> {
        let file = read.file as usize;
        let size_bytes = self.job.file(file).map(|file| file.size_bytes);
        let end = read.offset.checked_add(u64::from(read.length));
        let inside = matches!((size_bytes, end), (Some(size), Some(end)) if end <= size);
        if !inside || read.length == 0 || read.length > READ_BYTES_MAX {
            let Read { file, offset, length, .. } = read;
            return Err(InspectionError::Protocol(format!(
                "it asked for {length} bytes at {offset} of file {file}, which are not there"
            )));
        }
        self.read_bytes = self.read_bytes.saturating_add(u64::from(read.length));
        let limit = self.job.limits().read_bytes_max;
        if self.read_bytes > limit {
            return Err(InspectionError::Failed(format!("more than {limit} bytes had to be read; raise `read_bytes_max`")));
        }
        let request = ReadRequest { file, offset: read.offset, length: read.length };
        match (self.read)(request).await {
            Ok(data) if data.len() == read.length as usize => {
                let answer = frame::bytes_frame(read.id, &data).map_err(|error| InspectionError::Protocol(error.to_string()))?;
                line.say(&answer).await
            }
            Ok(data) => {
                let (got, wanted) = (data.len(), read.length);
                Err(InspectionError::Source(Problem::internal(
                    "a stored file is shorter than its row says",
                    format!("{got} of {wanted} bytes"),
                )))
            }
            Err(problem) => {
                // The worker need not learn why; it is killed in any case.
                if let Ok(refusal) = (ToWorker::Refused { id: read.id }).encode() {
                    line.say(&refusal).await.ok();
                }
                Err(InspectionError::Source(problem))
            }
        }
    }
}

/// Both pipes.
struct Line<W, A> {
    to: W,
    from: A,
    silence_max: Duration,
}

impl<W: AsyncWrite + Unpin, A: AsyncRead + Unpin> Line<W, A> {
    async fn say(&mut self, bytes: &[u8]) -> Result<(), InspectionError> {
        let said = timeout(self.silence_max, async {
            self.to.write_all(bytes).await?;
            self.to.flush().await
        });
        match said.await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) => Err(InspectionError::Died(String::new())),
            Err(_) => Err(InspectionError::Silent(self.silence_max.as_secs())),
        }
    }

    async fn hear(&mut self) -> Result<FromWorker, InspectionError> {
        let heard = timeout(self.silence_max, async {
            let mut bytes = [0; HEAD_BYTES];
            self.from.read_exact(&mut bytes).await.map_err(|_| InspectionError::Died(String::new()))?;
            let head = FromWorker::head(bytes).map_err(|error| InspectionError::Protocol(error.to_string()))?;
            // `take` grows the buffer as bytes come: a length alone allocates nothing.
            let mut payload = Vec::new();
            let length = head.payload_bytes();
            let count = (&mut self.from).take(length as u64).read_to_end(&mut payload).await;
            if count.ok() != Some(length) {
                return Err(InspectionError::Died(String::new()));
            }
            FromWorker::read(head, &payload).map_err(|error| InspectionError::Protocol(error.to_string()))
        });
        heard.await.unwrap_or(Err(InspectionError::Silent(self.silence_max.as_secs())))
    }
}

/// Waits at most `patience` for the worker to end by itself, then kills it.
async fn end(child: &mut Child, patience: Duration) -> Option<ExitStatus> {
    if let Ok(Ok(status)) = timeout(patience, child.wait()).await {
        return Some(status);
    }
    child.kill().await.ok();
    child.wait().await.ok()
}

async fn how_it_ended(child: &mut Child) -> String {
    let stderr = child.stderr.take();
    let status = end(child, END_WAIT_MAX).await;
    let words = match stderr {
        Some(stderr) => last_words(stderr).await,
        None => String::new(),
    };
    let how = match status.map(|status| (status.code(), status.signal())) {
        Some((_, Some(libc::SIGSYS))) => "it made a system call that its sandbox forbids".to_owned(),
        Some((_, Some(libc::SIGXCPU))) => "it used up its processor time; raise `cpu_seconds_max`".to_owned(),
        Some((_, Some(libc::SIGABRT))) => "it gave up, most likely for lack of memory; raise `memory_bytes_max`".to_owned(),
        Some((_, Some(signal))) => format!("it was ended by signal {signal}"),
        Some((Some(code), None)) => format!("it ended with code {code}"),
        _ => "nobody knows how".to_owned(),
    };
    if words.is_empty() { how } else { format!("{how} (`{words}`)") }
}

async fn last_words(stderr: ChildStderr) -> String {
    let mut bytes = Vec::new();
    let read = timeout(END_WAIT_MAX, stderr.take(LAST_WORDS_BYTES_MAX).read_to_end(&mut bytes)).await;
    if !matches!(read, Ok(Ok(_))) {
        return String::new();
    }
    String::from_utf8_lossy(&bytes)
        .chars()
        .map(|letter| if letter.is_control() { ' ' } else { letter })
        .collect::<String>()
        .trim()
        .to_owned()
}
