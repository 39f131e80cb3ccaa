//! A conversation with a worker, after its job was handed over: its reads are served, its files taken, its news passed on.

use std::future::Future;
use std::time::Duration;

use bytes::Bytes;
use kernel::Problem;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::time::{Instant, timeout};

use crate::error::InspectionError;
use crate::finding::Finding;
use crate::frame::{self, FromWorker, HEAD_BYTES, Output, READ_BYTES_MAX, Read, ToWorker};
use crate::job::CleanCount;
use crate::query::QueryReport;
use crate::reading::ContractReading;
use crate::report::{FINDING_COUNT_MAX, InspectionReport};
use crate::task::Task;

/// The shortest time between two reports of progress.
const PROGRESS_PAUSE: Duration = Duration::from_millis(100);

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

/// What comes of leaving rows out, file by file, in the order of the job's files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Taken {
    /// This file stays as it is.
    Keep(usize),
    /// This file's new bytes follow.
    Begin(usize),
    /// Bytes of the file that was begun.
    Bytes(Bytes),
    /// The file that was begun is whole.
    End,
}

/// Whom a conversation serves.
pub(crate) struct Ports<R, T, P> {
    pub(crate) read: R,
    pub(crate) take: T,
    pub(crate) progress: P,
}

/// A worker's last word.
pub(crate) enum Answer {
    Report(Box<InspectionReport>),
    Cleaned(CleanCount),
    Queried(Box<QueryReport>),
    ContractRead(Box<ContractReading>),
}

/// One conversation's state.
pub(crate) struct Session<'a, R, T, P> {
    task: &'a dyn Task,
    ports: Ports<R, T, P>,
    read_bytes: u64,
    written_bytes: u64,
    /// The first file that may still be written, and whether the one before it is not whole yet.
    next_file: usize,
    is_writing: bool,
    finding_count: usize,
    spoke: Option<Instant>,
}

impl<'a, R, F, T, G, P> Session<'a, R, T, P>
where
    R: Fn(ReadRequest) -> F + Send + Sync,
    F: Future<Output = Result<Bytes, Problem>> + Send,
    T: FnMut(Taken) -> G + Send,
    G: Future<Output = Result<(), Problem>> + Send,
    P: FnMut(Progress) + Send,
{
    pub(crate) const fn new(task: &'a dyn Task, ports: Ports<R, T, P>) -> Self {
        Self { task, ports, read_bytes: 0, written_bytes: 0, next_file: 0, is_writing: false, finding_count: 0, spoke: None }
    }

    pub(crate) async fn attend<W: AsyncWrite + Unpin, A: AsyncRead + Unpin>(
        mut self,
        line: &mut Line<W, A>,
    ) -> Result<Answer, InspectionError> {
        loop {
            match line.hear().await? {
                FromWorker::Read(read) => self.serve(line, read).await?,
                FromWorker::Progress(frame) => {
                    let due = self.spoke.is_none_or(|at| at.elapsed() >= PROGRESS_PAUSE);
                    if due {
                        self.spoke = Some(Instant::now());
                        (self.ports.progress)(Progress::Stage { stage: frame.stage, done: frame.done, of: frame.of });
                    }
                }
                FromWorker::Finding(finding) => {
                    self.finding_count = self.finding_count.saturating_add(1);
                    if self.finding_count > FINDING_COUNT_MAX || !finding.is_bounded() {
                        return Err(InspectionError::Protocol("findings beyond their limits".to_owned()));
                    }
                    (self.ports.progress)(Progress::Found(finding));
                }
                FromWorker::Done(report) => return Ok(Answer::Report(report)),
                FromWorker::Output(output) => self.output(output).await?,
                FromWorker::Write(bytes) => self.write(bytes).await?,
                FromWorker::Cleaned(count) => return self.cleaned(count),
                FromWorker::Answered(report) => return Ok(Answer::Queried(report)),
                FromWorker::ContractRead(reading) => return Ok(Answer::ContractRead(reading)),
                FromWorker::Failed(why) => return Err(InspectionError::Failed(why)),
                FromWorker::Ready(_) => return Err(InspectionError::Protocol("it was ready twice".to_owned())),
            }
        }
    }

    /// A file is kept, begun or whole. Files come once each, in their order.
    async fn output(&mut self, output: Output) -> Result<(), InspectionError> {
        let taken = match output {
            Output::End if self.is_writing => {
                self.is_writing = false;
                Taken::End
            }
            Output::Keep(file) | Output::Begin(file) if !self.is_writing => {
                let file = file as usize;
                let file_count = self.task.written().map_or(0, |(count, _)| count);
                if file < self.next_file || file >= file_count {
                    return Err(InspectionError::Protocol(format!("it wrote file {file}, which is not next")));
                }
                self.next_file = file.saturating_add(1);
                self.is_writing = matches!(output, Output::Begin(_));
                if self.is_writing { Taken::Begin(file) } else { Taken::Keep(file) }
            }
            _ => return Err(InspectionError::Protocol("it wrote files out of order".to_owned())),
        };
        (self.ports.take)(taken).await.map_err(InspectionError::Store)
    }

    async fn write(&mut self, bytes: Vec<u8>) -> Result<(), InspectionError> {
        if !self.is_writing {
            return Err(InspectionError::Protocol("it wrote bytes of no file".to_owned()));
        }
        self.written_bytes = self.written_bytes.saturating_add(bytes.len() as u64);
        let limit = self.task.limits().write_bytes_max;
        if self.written_bytes > limit {
            return Err(InspectionError::Failed(format!("more than {limit} bytes would have been written")));
        }
        (self.ports.take)(Taken::Bytes(bytes.into())).await.map_err(InspectionError::Store)
    }

    fn cleaned(&self, count: CleanCount) -> Result<Answer, InspectionError> {
        let ranges = self.task.written().map(|(_, rows)| rows).unwrap_or_default();
        let asked =
            ranges.iter().fold(0_u64, |sum, (first, last)| sum.saturating_add(last.saturating_sub(*first)).saturating_add(1));
        if self.is_writing || ranges.is_empty() || count.removed_count != asked || count.removed_count > count.row_count {
            return Err(InspectionError::Protocol("it left out other rows than it was asked to".to_owned()));
        }
        Ok(Answer::Cleaned(count))
    }

    async fn serve<W: AsyncWrite + Unpin, A: AsyncRead + Unpin>(
        &mut self,
        line: &mut Line<W, A>,
        read: Read,
    ) -> Result<(), InspectionError> {
        let file = read.file as usize;
        let size_bytes = self.task.file(file).map(|file| file.size_bytes);
        let end = read.offset.checked_add(u64::from(read.length));
        let inside = matches!((size_bytes, end), (Some(size), Some(end)) if end <= size);
        if !inside || read.length == 0 || read.length > READ_BYTES_MAX {
            let Read { file, offset, length, .. } = read;
            return Err(InspectionError::Protocol(format!(
                "it asked for {length} bytes at {offset} of file {file}, which are not there"
            )));
        }
        self.read_bytes = self.read_bytes.saturating_add(u64::from(read.length));
        let limit = self.task.limits().read_bytes_max;
        if self.read_bytes > limit {
            return Err(InspectionError::Failed(format!("more than {limit} bytes had to be read; split the data")));
        }
        let request = ReadRequest { file, offset: read.offset, length: read.length };
        match (self.ports.read)(request).await {
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
pub(crate) struct Line<W, A> {
    pub(crate) to: W,
    pub(crate) from: A,
    pub(crate) silence_max: Duration,
}

impl<W: AsyncWrite + Unpin, A: AsyncRead + Unpin> Line<W, A> {
    pub(crate) async fn say(&mut self, bytes: &[u8]) -> Result<(), InspectionError> {
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

    pub(crate) async fn hear(&mut self) -> Result<FromWorker, InspectionError> {
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
