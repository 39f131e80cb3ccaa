//! The server's end: starts a worker, hands it the bytes it asks for, and takes its report, or stops it.

use std::future::{Future, ready};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use bytes::Bytes;
use kernel::Problem;
use tokio::io::AsyncReadExt;
use tokio::process::{Child, ChildStderr, Command};
use tokio::time::{Instant, timeout, timeout_at};

use crate::confine::{ProcessLimits, confine_child};
use crate::error::InspectionError;
use crate::finding::Finding;
use crate::frame::{self, FromWorker, Ready};
use crate::job::{CleanCount, FILE_COUNT_MAX, JobSpec};
use crate::query::{QueryJob, QueryReport};
use crate::reading::{ContractJob, ContractReading};
use crate::report::{FINDING_COUNT_MAX, InspectionReport, REPORT_SCHEMA};
use crate::session::{Answer, Line, Ports, Progress, ReadRequest, Session, Taken};
use crate::task::Task;

/// Name of the worker's program, beside the server's own.
pub const WORKER_NAME: &str = "strongroom-inspect";
/// Name of the program that runs queries, beside the server's own.
pub const QUERY_WORKER_NAME: &str = "strongroom-query";
/// How long a worker may say nothing. It speaks every few seconds, also when it computes.
const SILENCE_SECONDS_MAX: u64 = 60;
/// How long a worker may take to end after its last frame.
const END_WAIT_MAX: Duration = Duration::from_secs(5);
/// How long a worker may take to say by which rules it judges.
const RULES_WAIT_MAX: Duration = Duration::from_secs(30);
/// Bytes of a worker's last words that are kept.
const LAST_WORDS_BYTES_MAX: u64 = 1_024;

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

    /// Where the program is.
    #[must_use]
    pub fn program(&self) -> &Path {
        &self.program
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
    pub async fn run<R, F>(
        &self,
        job: &JobSpec,
        read: R,
        progress: impl FnMut(Progress) + Send,
        cancelled: impl Future<Output = ()> + Send,
    ) -> Result<InspectionReport, InspectionError>
    where
        R: Fn(ReadRequest) -> F + Send + Sync,
        F: Future<Output = Result<Bytes, Problem>> + Send,
    {
        match self.whole(job, Ports { read, take: nothing, progress }, cancelled).await? {
            (Answer::Report(mut report), ready) => {
                take_over(&mut report, job, ready)?;
                Ok(*report)
            }
            _ => Err(not_asked()),
        }
    }

    /// Runs the queries of `job`, as [`Self::run`] does an inspection.
    ///
    /// # Errors
    /// If there is no answer, for whatever reason.
    pub async fn query<R, F>(
        &self,
        job: &QueryJob,
        read: R,
        progress: impl FnMut(Progress) + Send,
        cancelled: impl Future<Output = ()> + Send,
    ) -> Result<QueryReport, InspectionError>
    where
        R: Fn(ReadRequest) -> F + Send + Sync,
        F: Future<Output = Result<Bytes, Problem>> + Send,
    {
        match self.whole(job, Ports { read, take: nothing, progress }, cancelled).await? {
            (Answer::Queried(mut report), ready) => {
                if !report.is_bounded() {
                    return Err(InspectionError::Protocol("an answer beyond its limits".to_owned()));
                }
                report.worker_version = ready.version;
                report.confinement = ready.confinement;
                Ok(*report)
            }
            _ => Err(not_asked()),
        }
    }

    /// Reads a contract.
    ///
    /// # Errors
    /// If there is no answer, for whatever reason. What is wrong with the contract is in the answer.
    pub async fn contract(&self, job: &ContractJob) -> Result<ContractReading, InspectionError> {
        let no_files = |_: ReadRequest| ready(Err(Problem::internal("a contract has no files", "the worker asked for one")));
        match self.whole(job, Ports { read: no_files, take: nothing, progress: |_| {} }, std::future::pending()).await?.0 {
            Answer::ContractRead(reading) if reading.is_bounded() => Ok(*reading),
            Answer::ContractRead(_) => Err(InspectionError::Protocol("an answer beyond its limits".to_owned())),
            _ => Err(not_asked()),
        }
    }

    /// Writes a version's files again without the rows that `job.clean` names. `take` gets what comes of it, file by file;
    /// nothing of it counts unless this ends well.
    ///
    /// # Errors
    /// If not all of it was written, for whatever reason.
    pub async fn clean<R, F, T, G>(
        &self,
        job: &JobSpec,
        read: R,
        take: T,
        progress: impl FnMut(Progress) + Send,
        cancelled: impl Future<Output = ()> + Send,
    ) -> Result<CleanCount, InspectionError>
    where
        R: Fn(ReadRequest) -> F + Send + Sync,
        F: Future<Output = Result<Bytes, Problem>> + Send,
        T: FnMut(Taken) -> G + Send,
        G: Future<Output = Result<(), Problem>> + Send,
    {
        if job.clean.is_none() {
            return Err(InspectionError::Failed("no rows are named to be left out".to_owned()));
        }
        match self.whole(job, Ports { read, take, progress }, cancelled).await?.0 {
            Answer::Cleaned(count) => Ok(count),
            _ => Err(not_asked()),
        }
    }

    /// The digest of the rules by which it judges models' files.
    ///
    /// # Errors
    /// If it cannot be started or does not say.
    pub async fn scan_rules(&self) -> Result<String, InspectionError> {
        let mut command = Command::new(&self.program);
        command.arg("rules").env_clear().current_dir("/").kill_on_drop(true).stdin(Stdio::null()).stderr(Stdio::null());
        let said = timeout(RULES_WAIT_MAX, command.output()).await;
        let said = said.map_err(|_| InspectionError::Silent(RULES_WAIT_MAX.as_secs()))?;
        let said = said.map_err(|error| InspectionError::Start(format!("`{}`: {error}", self.program.display())))?;
        let digest = String::from_utf8_lossy(&said.stdout).trim().to_owned();
        let is_digest = digest.len() == 64 && digest.bytes().all(|byte| byte.is_ascii_hexdigit());
        if said.status.success() && is_digest {
            Ok(digest)
        } else {
            Err(InspectionError::Protocol("no digest of rules".to_owned()))
        }
    }

    async fn whole<R, F, T, G, P>(
        &self,
        task: &dyn Task,
        ports: Ports<R, T, P>,
        cancelled: impl Future<Output = ()> + Send,
    ) -> Result<(Answer, Ready), InspectionError>
    where
        R: Fn(ReadRequest) -> F + Send + Sync,
        F: Future<Output = Result<Bytes, Problem>> + Send,
        T: FnMut(Taken) -> G + Send,
        G: Future<Output = Result<(), Problem>> + Send,
        P: FnMut(Progress) + Send,
    {
        if task.file_count() > FILE_COUNT_MAX {
            return Err(InspectionError::Failed(format!("the files are more than {FILE_COUNT_MAX}; pack them")));
        }
        let limits = task.limits();
        let deadline = Instant::now().checked_add(Duration::from_secs(limits.wall_seconds_max));
        let deadline = deadline.ok_or_else(|| InspectionError::Start("`wall_seconds_max` is beyond all time".to_owned()))?;
        let mut child =
            self.start(ProcessLimits { cpu_seconds_max: limits.cpu_seconds_max, memory_bytes_max: limits.memory_bytes_max })?;
        let outcome = tokio::select! {
            biased;
            () = cancelled => Err(InspectionError::Cancelled),
            outcome = timeout_at(deadline, self.converse(&mut child, task, ports)) => {
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

    async fn converse<R, F, T, G, P>(
        &self,
        child: &mut Child,
        task: &dyn Task,
        ports: Ports<R, T, P>,
    ) -> Result<(Answer, Ready), InspectionError>
    where
        R: Fn(ReadRequest) -> F + Send + Sync,
        F: Future<Output = Result<Bytes, Problem>> + Send,
        T: FnMut(Taken) -> G + Send,
        G: Future<Output = Result<(), Problem>> + Send,
        P: FnMut(Progress) + Send,
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
        let hand_over = task.frame();
        line.say(&hand_over.map_err(|error| InspectionError::Failed(format!("the job cannot be handed over: {error}")))?).await?;
        let answer = Session::new(task, ports).attend(&mut line).await?;
        Ok((answer, ready))
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

/// Takes the files of a job that writes none.
fn nothing(_: Taken) -> std::future::Ready<Result<(), Problem>> {
    ready(Err(Problem::internal("this job writes no files", "the worker wrote one")))
}

fn not_asked() -> InspectionError {
    InspectionError::Protocol("it answered what it was not asked".to_owned())
}

/// Checks what a worker sent and sets what the server knows better.
fn take_over(report: &mut InspectionReport, job: &JobSpec, ready: Ready) -> Result<(), InspectionError> {
    if report.schema != REPORT_SCHEMA {
        return Err(InspectionError::Protocol("a report of another form".to_owned()));
    }
    if report.findings.len() > FINDING_COUNT_MAX || !report.findings.iter().all(Finding::is_bounded) {
        return Err(InspectionError::Protocol("a report with findings beyond their limits".to_owned()));
    }
    if let Some(screen) = job.screens.iter().find(|screen| !report.screens.contains_key(*screen)) {
        return Err(InspectionError::Protocol(format!("a report without the screen `{}`", screen.word())));
    }
    report.dataset.clone_from(&job.dataset);
    report.version.clone_from(&job.version);
    report.manifest_sha256.clone_from(&job.manifest_sha256);
    report.files.clone_from(&job.files);
    report.seed = job.seed;
    report.started_us = job.now_us;
    report.worker_version = ready.version;
    report.confinement = ready.confinement;
    report.reference = job.reference.as_ref().map(|reference| reference.name.clone());
    report.contract_sha256 = job.contract_yaml.as_ref().map(|yaml| kernel::hex(&kernel::sha256(yaml.as_bytes())));
    report.summary.size_bytes = job.files.iter().fold(0, |sum, file| sum.saturating_add(file.size_bytes));
    report.add_findings([]);
    Ok(())
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
        Some((_, Some(libc::SIGXCPU))) => "it used up its processor time; raise `inspection_seconds_max`".to_owned(),
        Some((_, Some(libc::SIGABRT))) => {
            "it gave up, most likely for lack of memory; raise `inspection_memory_bytes_max`".to_owned()
        }
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
