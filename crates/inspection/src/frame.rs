//! The frames that pass between server and worker over two pipes.
//!
//! A frame is a little-endian `u32` (how many bytes follow), one byte that says its kind, and the payload: JSON, but for
//! `Bytes`, whose payload is a little-endian `u32` id and raw bytes. Every kind has its own limit, checked before anything is
//! allocated. There is no frame for cancelling: a worker holds nothing worth finishing, so it is killed.

use serde::{Deserialize, Serialize};

use crate::finding::Finding;
use crate::job::{CleanCount, JobSpec};
use crate::query::{QUERY_ANSWER_BYTES_MAX, QueryJob, QueryReport};
use crate::reading::{ContractJob, ContractReading, READING_BYTES_MAX};
use crate::report::{Confinement, InspectionReport};

/// Bytes that one `Read` may ask for.
pub const READ_BYTES_MAX: u32 = 2 << 20;
/// Bytes of a report as JSON.
pub const REPORT_BYTES_MAX: u32 = 64 << 20;
/// Bytes of a job as JSON: a contract, a reference profile and guarded rows are in it.
pub const JOB_BYTES_MAX: u32 = 256 << 20;
/// Bytes of any other frame.
pub const SMALL_BYTES_MAX: u32 = 64 << 10;
/// Bytes of a frame's head: length and kind.
pub const HEAD_BYTES: usize = 5;

const JOB: u8 = 1;
const BYTES: u8 = 2;
const REFUSED: u8 = 3;
const QUERY: u8 = 4;
const CONTRACT: u8 = 5;
const READY: u8 = 16;
const READ: u8 = 17;
const PROGRESS: u8 = 18;
const FINDING: u8 = 19;
const DONE: u8 = 20;
const FAILED: u8 = 21;
const OUTPUT: u8 = 22;
const WRITE: u8 = 23;
const CLEANED: u8 = 24;
const ANSWERED: u8 = 25;
const CONTRACT_READ: u8 = 26;

/// A frame's head: which kind, and how many bytes of payload follow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Head {
    kind: u8,
    payload_bytes: u32,
}

/// What the server tells a worker.
#[derive(Debug)]
pub enum ToWorker {
    /// Do this. The first frame, once.
    Job(Box<JobSpec>),
    /// Ask this of tables. The first frame of the worker that runs queries, once.
    Query(Box<QueryJob>),
    /// Read this contract. The first frame, once.
    Contract(Box<ContractJob>),
    /// The bytes that read `id` asked for, all of them.
    Bytes {
        /// The read's id.
        id: u32,
        /// The bytes.
        data: Vec<u8>,
    },
    /// The bytes that read `id` asked for cannot be had.
    Refused {
        /// The read's id.
        id: u32,
    },
}

/// What a worker tells the server.
#[derive(Debug)]
pub enum FromWorker {
    /// It is confined and waits for its job. The first frame, once.
    Ready(Ready),
    /// It asks for bytes.
    Read(Read),
    /// Where it is.
    Progress(ProgressFrame),
    /// What it found just now: a foretaste, the report has it again.
    Finding(Box<Finding>),
    /// The report. The last frame.
    Done(Box<InspectionReport>),
    /// What queries gave. The last frame.
    Answered(Box<QueryReport>),
    /// What a contract says. The last frame.
    ContractRead(Box<ContractReading>),
    /// Where rows are left out: which file it goes on with.
    Output(Output),
    /// Bytes of the file that was begun; at most [`READ_BYTES_MAX`].
    Write(Vec<u8>),
    /// All files are written. The last frame, where rows are left out.
    Cleaned(CleanCount),
    /// It cannot go on; why, for people. The last frame.
    Failed(String),
}

/// A worker's first words.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Ready {
    /// The protocol it speaks: [`PROTOCOL`].
    pub protocol: u32,
    /// Its program's version.
    pub version: String,
    /// How it is confined.
    pub confinement: Confinement,
}

/// The protocol's version: server and worker must agree.
pub const PROTOCOL: u32 = 3;

/// A request for bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Read {
    /// Chosen by the worker; the answer carries it.
    pub id: u32,
    /// Index into the job's files.
    pub file: u32,
    /// First byte.
    pub offset: u64,
    /// How many, from 1 to [`READ_BYTES_MAX`], all within the file.
    pub length: u32,
}

/// What becomes of a file where rows are left out. Each file is named at most once, in their order; one that is not named is
/// not part of what comes of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Output {
    /// The file with this index stays as it is: the server copies it by itself.
    Keep(u32),
    /// The file with this index is written again; its bytes follow.
    Begin(u32),
    /// The file that was begun is whole.
    End,
}

/// Where a worker is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProgressFrame {
    /// What it does now.
    pub stage: String,
    /// How much is done, in the stage's own unit (rows, steps).
    pub done: u64,
    /// Of how much, where that is known.
    pub of: Option<u64>,
}

/// Why a frame is not one.
#[derive(Debug, PartialEq, Eq)]
pub enum FrameError {
    /// No frame of this kind goes this way.
    Kind(u8),
    /// Longer than its kind may be: bytes, limit.
    TooLong(u32, u32),
    /// Shorter than a frame can be.
    TooShort,
    /// The payload is not what the kind says.
    Payload(String),
}

impl std::fmt::Display for FrameError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Kind(kind) => write!(f, "a frame of unknown kind {kind}"),
            Self::TooLong(bytes, limit) => write!(f, "a frame of {bytes} bytes, over its limit of {limit}"),
            Self::TooShort => f.write_str("a frame without a kind"),
            Self::Payload(why) => write!(f, "a frame that cannot be read: {why}"),
        }
    }
}

impl std::error::Error for FrameError {}

impl Head {
    /// How many bytes of payload follow.
    #[must_use]
    pub const fn payload_bytes(self) -> usize {
        self.payload_bytes as usize
    }

    fn parse(bytes: [u8; HEAD_BYTES], limit: fn(u8) -> Option<u32>) -> Result<Self, FrameError> {
        let [a, b, c, d, kind] = bytes;
        let payload_bytes = u32::from_le_bytes([a, b, c, d]).checked_sub(1).ok_or(FrameError::TooShort)?;
        let bytes_max = limit(kind).ok_or(FrameError::Kind(kind))?;
        if payload_bytes > bytes_max {
            return Err(FrameError::TooLong(payload_bytes, bytes_max));
        }
        Ok(Self { kind, payload_bytes })
    }
}

impl ToWorker {
    /// Reads a frame's head.
    ///
    /// # Errors
    /// If no frame of this kind and length goes to a worker.
    pub fn head(bytes: [u8; HEAD_BYTES]) -> Result<Head, FrameError> {
        Head::parse(bytes, |kind| match kind {
            JOB | QUERY | CONTRACT => Some(JOB_BYTES_MAX),
            BYTES => Some(READ_BYTES_MAX.saturating_add(4)),
            REFUSED => Some(4),
            _ => None,
        })
    }

    /// Reads a frame's payload.
    ///
    /// # Errors
    /// If it is not what its kind says.
    pub fn read(head: Head, mut payload: Vec<u8>) -> Result<Self, FrameError> {
        match head.kind {
            JOB => parse(&payload).map(|job| Self::Job(Box::new(job))),
            QUERY => parse(&payload).map(|job| Self::Query(Box::new(job))),
            CONTRACT => parse(&payload).map(|job| Self::Contract(Box::new(job))),
            BYTES | REFUSED => {
                let Some(id) = payload.first_chunk::<4>().copied().map(u32::from_le_bytes) else {
                    return Err(FrameError::Payload("bytes without an id".to_owned()));
                };
                if head.kind == REFUSED {
                    return Ok(Self::Refused { id });
                }
                payload.drain(..4);
                Ok(Self::Bytes { id, data: payload })
            }
            other => Err(FrameError::Kind(other)),
        }
    }

    /// The frame's bytes.
    ///
    /// # Errors
    /// If it is longer than its kind may be, or cannot be written as JSON.
    pub fn encode(&self) -> Result<Vec<u8>, FrameError> {
        match self {
            Self::Job(job) => job_frame(job),
            Self::Query(job) => query_frame(job),
            Self::Contract(job) => contract_frame(job),
            Self::Bytes { id, data } => bytes_frame(*id, data),
            Self::Refused { id } => framed(REFUSED, &id.to_le_bytes(), 4),
        }
    }
}

/// The frame that hands over `job`.
///
/// # Errors
/// If it is longer than a job may be.
pub fn job_frame(job: &JobSpec) -> Result<Vec<u8>, FrameError> {
    framed(JOB, &json(job)?, JOB_BYTES_MAX)
}

/// The frame that hands over queries.
///
/// # Errors
/// If it is longer than a job may be.
pub fn query_frame(job: &QueryJob) -> Result<Vec<u8>, FrameError> {
    framed(QUERY, &json(job)?, JOB_BYTES_MAX)
}

/// The frame that hands over a contract.
///
/// # Errors
/// If it is longer than a job may be.
pub fn contract_frame(job: &ContractJob) -> Result<Vec<u8>, FrameError> {
    framed(CONTRACT, &json(job)?, JOB_BYTES_MAX)
}

/// The frame that answers read `id` with `data`.
///
/// # Errors
/// If `data` is longer than a read may ask for.
pub fn bytes_frame(id: u32, data: &[u8]) -> Result<Vec<u8>, FrameError> {
    let mut payload = Vec::with_capacity(data.len().saturating_add(4));
    payload.extend_from_slice(&id.to_le_bytes());
    payload.extend_from_slice(data);
    framed(BYTES, &payload, READ_BYTES_MAX.saturating_add(4))
}

impl FromWorker {
    /// Reads a frame's head.
    ///
    /// # Errors
    /// If no frame of this kind and length comes from a worker.
    pub fn head(bytes: [u8; HEAD_BYTES]) -> Result<Head, FrameError> {
        Head::parse(bytes, |kind| match kind {
            DONE => Some(REPORT_BYTES_MAX),
            ANSWERED => Some(QUERY_ANSWER_BYTES_MAX),
            CONTRACT_READ => Some(READING_BYTES_MAX),
            WRITE => Some(READ_BYTES_MAX),
            READY | READ | PROGRESS | FINDING | FAILED | OUTPUT | CLEANED => Some(SMALL_BYTES_MAX),
            _ => None,
        })
    }

    /// Reads a frame's payload.
    ///
    /// # Errors
    /// If it is not what its kind says.
    pub fn read(head: Head, payload: &[u8]) -> Result<Self, FrameError> {
        match head.kind {
            READY => parse(payload).map(Self::Ready),
            READ => parse(payload).map(Self::Read),
            PROGRESS => parse(payload).map(Self::Progress),
            FINDING => parse(payload).map(|finding| Self::Finding(Box::new(finding))),
            DONE => parse(payload).map(|report| Self::Done(Box::new(report))),
            ANSWERED => parse(payload).map(|report| Self::Answered(Box::new(report))),
            CONTRACT_READ => parse(payload).map(|reading| Self::ContractRead(Box::new(reading))),
            FAILED => parse(payload).map(Self::Failed),
            OUTPUT => parse(payload).map(Self::Output),
            WRITE => Ok(Self::Write(payload.to_vec())),
            CLEANED => parse(payload).map(Self::Cleaned),
            other => Err(FrameError::Kind(other)),
        }
    }

    /// The frame's bytes.
    ///
    /// # Errors
    /// If it is longer than its kind may be, or cannot be written as JSON.
    pub fn encode(&self) -> Result<Vec<u8>, FrameError> {
        match self {
            Self::Ready(ready) => framed(READY, &json(ready)?, SMALL_BYTES_MAX),
            Self::Read(read) => framed(READ, &json(read)?, SMALL_BYTES_MAX),
            Self::Progress(progress) => framed(PROGRESS, &json(progress)?, SMALL_BYTES_MAX),
            Self::Finding(finding) => framed(FINDING, &json(finding)?, SMALL_BYTES_MAX),
            Self::Done(report) => framed(DONE, &json(report)?, REPORT_BYTES_MAX),
            Self::Answered(report) => framed(ANSWERED, &json(report)?, QUERY_ANSWER_BYTES_MAX),
            Self::ContractRead(reading) => framed(CONTRACT_READ, &json(reading)?, READING_BYTES_MAX),
            Self::Failed(why) => framed(FAILED, &json(why)?, SMALL_BYTES_MAX),
            Self::Output(output) => framed(OUTPUT, &json(output)?, SMALL_BYTES_MAX),
            Self::Write(bytes) => framed(WRITE, bytes, READ_BYTES_MAX),
            Self::Cleaned(count) => framed(CLEANED, &json(count)?, SMALL_BYTES_MAX),
        }
    }
}

fn parse<'a, T: Deserialize<'a>>(payload: &'a [u8]) -> Result<T, FrameError> {
    serde_json::from_slice(payload).map_err(|error| FrameError::Payload(error.to_string()))
}

fn json<T: Serialize>(value: &T) -> Result<Vec<u8>, FrameError> {
    serde_json::to_vec(value).map_err(|error| FrameError::Payload(error.to_string()))
}

fn framed(kind: u8, payload: &[u8], bytes_max: u32) -> Result<Vec<u8>, FrameError> {
    let payload_bytes = u32::try_from(payload.len()).unwrap_or(u32::MAX);
    if payload_bytes > bytes_max {
        return Err(FrameError::TooLong(payload_bytes, bytes_max));
    }
    let mut frame = Vec::with_capacity(payload.len().saturating_add(HEAD_BYTES));
    frame.extend_from_slice(&payload_bytes.saturating_add(1).to_le_bytes());
    frame.push(kind);
    frame.extend_from_slice(payload);
    Ok(frame)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::query::{Ask, QueryLimits};

    fn split(frame: &[u8]) -> ([u8; HEAD_BYTES], Vec<u8>) {
        (*frame.first_chunk().unwrap(), frame[HEAD_BYTES..].to_vec())
    }

    fn check_from(sent: &FromWorker) {
        let (head, payload) = split(&sent.encode().unwrap());
        let head = FromWorker::head(head).unwrap();
        assert_eq!(head.payload_bytes(), payload.len());
        let got = FromWorker::read(head, &payload).unwrap();
        assert_eq!(format!("{got:?}"), format!("{sent:?}"));
    }

    fn check_to(sent: &ToWorker) {
        let (head, payload) = split(&sent.encode().unwrap());
        let got = ToWorker::read(ToWorker::head(head).unwrap(), payload).unwrap();
        assert_eq!(format!("{got:?}"), format!("{sent:?}"));
    }

    #[test]
    fn frames_come_back_as_they_went() {
        check_from(&FromWorker::Ready(Ready { protocol: PROTOCOL, version: "1".into(), confinement: Confinement::default() }));
        check_from(&FromWorker::Read(Read { id: 7, file: 1, offset: 1 << 40, length: 9 }));
        check_from(&FromWorker::Progress(ProgressFrame { stage: "profile".into(), done: 3, of: None }));
        check_from(&FromWorker::Failed("no".into()));
        check_from(&FromWorker::Answered(Box::default()));
        check_from(&FromWorker::ContractRead(Box::default()));
        check_to(&ToWorker::Contract(Box::new(ContractJob { contract_yaml: "id: a".into(), in_force: None })));
        [Output::Keep(0), Output::Begin(7), Output::End].into_iter().for_each(|output| check_from(&FromWorker::Output(output)));
        check_from(&FromWorker::Write(vec![0, 1, 255]));
        check_from(&FromWorker::Cleaned(CleanCount { row_count: 9, removed_count: 2 }));
        check_to(&ToWorker::Job(Box::new(JobSpec::new("d", "1", Vec::new(), 5))));
        let ask = Ask::Rows { sql: "SELECT 1".into() };
        check_to(&ToWorker::Query(Box::new(QueryJob { tables: Vec::new(), ask, limits: QueryLimits::default() })));
        check_to(&ToWorker::Bytes { id: 7, data: vec![0, 1, 255] });
        check_to(&ToWorker::Refused { id: 7 });
    }

    #[test]
    fn a_length_is_refused_before_anything_is_allocated() {
        let head = |payload_bytes: u32, kind: u8| {
            let [a, b, c, d] = payload_bytes.wrapping_add(1).to_le_bytes();
            FromWorker::head([a, b, c, d, kind])
        };
        assert!(head(REPORT_BYTES_MAX, DONE).is_ok());
        assert_eq!(head(REPORT_BYTES_MAX + 1, DONE), Err(FrameError::TooLong(REPORT_BYTES_MAX + 1, REPORT_BYTES_MAX)));
        assert_eq!(head(u32::MAX - 1, READ), Err(FrameError::TooLong(u32::MAX - 1, SMALL_BYTES_MAX)));
        assert_eq!(head(u32::MAX, READ), Err(FrameError::TooShort));
        assert_eq!(head(1, JOB), Err(FrameError::Kind(JOB)));
        assert_eq!(head(1, 0), Err(FrameError::Kind(0)));
    }

    #[test]
    fn a_payload_that_lies_is_refused() {
        for (kind, payload) in
            [(READ, "{}"), (READ, "{\"id\":1,\"file\":0,\"offset\":-1,\"length\":1}"), (DONE, "[]"), (FAILED, "\u{0}")]
        {
            let head = Head { kind, payload_bytes: 2 };
            assert!(matches!(FromWorker::read(head, payload.as_bytes()), Err(FrameError::Payload(_))), "{kind} {payload}");
        }
        let deep = format!("{{\"schema\":{}", "[".repeat(100_000));
        assert!(FromWorker::read(Head { kind: DONE, payload_bytes: 1 }, deep.as_bytes()).is_err());
        assert!(ToWorker::read(Head { kind: BYTES, payload_bytes: 2 }, vec![1, 2]).is_err());
    }
}
