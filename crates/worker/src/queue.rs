//! The line before a program: one request at a time, together with those that wait and fit; a new program where the old one is gone.

use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use runtime::{Batch, Outputs, Signature};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::{Notify, mpsc, oneshot};
use tokio::time::{Instant, timeout, timeout_at};

use crate::frame::{self, Converted, Said};
use crate::merge;

/// A way to a program.
pub trait Link: AsyncRead + AsyncWrite + Unpin + Send {}

impl<T: AsyncRead + AsyncWrite + Unpin + Send> Link for T {}

/// A program that was started.
pub struct Started {
    /// The way to it.
    pub link: Box<dyn Link>,
    /// Ends it when this is dropped.
    pub life: Box<dyn Life>,
}

/// A program's life: it ends when this is dropped.
pub trait Life: Send {
    /// What it wrote last, for people who look for a fault. Nothing of it is told to callers.
    fn last_words(&self) -> String;
}

/// Starts programs.
pub trait Start: Send + Sync + 'static {
    /// Starts one.
    ///
    /// # Errors
    /// Why it cannot be started.
    fn start(&self) -> Pin<Box<dyn Future<Output = Result<Started, String>> + Send + '_>>;
}

/// What a program may use of others' patience.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// How long it may take to load its model.
    pub start_max: Duration,
    /// How long it may take to answer.
    pub answer_max: Duration,
    /// How long another one is not tried after one could not be started.
    pub rest: Duration,
    /// Rows that are asked together.
    pub rows_max: usize,
    /// How long a request waits for others to be asked with.
    pub delay_max: Duration,
    /// Requests that wait.
    pub waiting_max: usize,
    /// Bytes of one answer.
    pub answer_bytes_max: usize,
}

/// Why there is no answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WorkerError {
    /// The request does not fit the model.
    Refused(String),
    /// The model broke over this request.
    Failed(String),
    /// Too many wait.
    Busy,
    /// It did not answer in time, and was ended.
    TooSlow(Duration),
    /// It ended over this request, or talked nonsense.
    Broke(String),
    /// It cannot be started.
    Gone(String),
}

impl fmt::Display for WorkerError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused(why) => write!(out, "the request does not fit the model: {why}"),
            Self::Failed(why) => write!(out, "the model failed: {why}"),
            Self::Busy => out.write_str("too many requests wait for this model"),
            Self::TooSlow(limit) => write!(out, "the model took longer than {} s; its worker was replaced", limit.as_secs_f64()),
            Self::Broke(why) => write!(out, "the model's worker ended over this request and was replaced: {why}"),
            Self::Gone(why) => write!(out, "the model's worker cannot be started: {why}"),
        }
    }
}

impl std::error::Error for WorkerError {}

/// A model behind a program. Dropping it ends the program.
pub struct Worker {
    asks: mpsc::Sender<Ask>,
    rest: Arc<Notify>,
    kind: String,
    signature: Signature,
}

impl fmt::Debug for Worker {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Worker").field("kind", &self.kind).finish_non_exhaustive()
    }
}

struct Ask {
    batch: Arc<Batch>,
    answer: oneshot::Sender<Result<Outputs, WorkerError>>,
}

/// A program that has loaded a model and is not asked yet.
pub struct Begun {
    start: Arc<dyn Start>,
    files: BTreeMap<String, Vec<u8>>,
    limits: Limits,
    program: Started,
    kind: String,
    signature: Signature,
}

impl Begun {
    /// The model as ONNX, where the program can convert it. The program stays as it is, whatever it says.
    ///
    /// # Errors
    /// Why it cannot.
    pub async fn convert(&mut self) -> Result<Converted, String> {
        let ask = frame::convert()?;
        let hear = async {
            frame::send(&mut self.program.link, &ask).await.map_err(|error| format!("its connection broke: {error}"))?;
            frame::receive(&mut self.program.link, self.limits.answer_bytes_max).await?.read()
        };
        match timeout(self.limits.start_max, hear).await {
            Ok(Ok(Said::Converted(converted))) => Ok(converted),
            Ok(Ok(Said::Refused(why) | Said::Failed(why))) => Err(why),
            Ok(Ok(Said::Outputs(_) | Said::Ready { .. })) => Err("it answered what was not asked".to_owned()),
            Ok(Err(why)) => Err(why),
            Err(_) => Err(format!("it took longer than {} s", self.limits.start_max.as_secs_f64())),
        }
    }

    /// From now on it is asked.
    #[must_use]
    pub fn worker(self) -> Worker {
        let Self { start, files, limits, program, kind, signature } = self;
        let (asks, waiting) = mpsc::channel(limits.waiting_max);
        let rest = Arc::new(Notify::new());
        let line = Line {
            rest: Arc::clone(&rest),
            start,
            files,
            limits,
            signature: signature.clone(),
            program: Some(program),
            failed: None,
            left: VecDeque::new(),
        };
        tokio::spawn(line.run(waiting));
        Worker { asks, rest, kind, signature }
    }
}

impl Worker {
    /// Starts a program with a model's files, and waits until the model is loaded.
    ///
    /// # Errors
    /// `Gone` if it cannot be started, or cannot load the model.
    pub async fn start(start: Arc<dyn Start>, files: BTreeMap<String, Vec<u8>>, limits: Limits) -> Result<Begun, WorkerError> {
        let (program, kind, signature) = begin(&*start, &files, limits).await.map_err(WorkerError::Gone)?;
        Ok(Begun { start, files, limits, program, kind, signature })
    }

    /// What it takes and gives, as the program says.
    #[must_use]
    pub const fn signature(&self) -> &Signature {
        &self.signature
    }

    /// What kind of model it is, as the program says.
    #[must_use]
    pub fn kind(&self) -> &str {
        &self.kind
    }

    /// Ends the program once nobody is being answered; the next request starts another one.
    pub fn rest(&self) {
        self.rest.notify_one();
    }

    /// Asks about a batch.
    ///
    /// # Errors
    /// Why there is no answer.
    pub async fn predict(&self, batch: Arc<Batch>) -> Result<Outputs, WorkerError> {
        let (answer, said) = oneshot::channel();
        self.asks.try_send(Ask { batch, answer }).map_err(|_| WorkerError::Busy)?;
        said.await.unwrap_or_else(|_| Err(WorkerError::Gone("it is being ended".to_owned())))
    }
}

async fn begin(
    start: &dyn Start,
    files: &BTreeMap<String, Vec<u8>>,
    limits: Limits,
) -> Result<(Started, String, Signature), String> {
    let load = frame::load(files.iter().map(|(path, bytes)| (path.as_str(), bytes.as_slice())))?;
    let mut program = match timeout(limits.start_max, start.start()).await {
        Ok(started) => started?,
        Err(_) => return Err(format!("it did not start within {} s", limits.start_max.as_secs_f64())),
    };
    let hear = async {
        frame::send(&mut program.link, &load).await.map_err(|error| format!("it takes no model: {error}"))?;
        frame::receive(&mut program.link, limits.answer_bytes_max).await?.read()
    };
    match timeout(limits.start_max, hear).await {
        Ok(Ok(Said::Ready { kind, signature })) => Ok((program, kind, signature)),
        Ok(Ok(Said::Refused(why) | Said::Failed(why))) => Err(why),
        Ok(Ok(Said::Outputs(_) | Said::Converted(_))) => Err("it answered before it was asked".to_owned()),
        Ok(Err(why)) => Err(format!("{why}{}", after(&program))),
        Err(_) => Err(format!("it did not load the model within {} s", limits.start_max.as_secs_f64())),
    }
}

fn after(program: &Started) -> String {
    let words = program.life.last_words();
    let last = words.trim_end().lines().next_back().unwrap_or_default();
    if last.is_empty() { String::new() } else { format!(" (it wrote last: {})", last.chars().take(300).collect::<String>()) }
}

struct Line {
    rest: Arc<Notify>,
    start: Arc<dyn Start>,
    files: BTreeMap<String, Vec<u8>>,
    limits: Limits,
    signature: Signature,
    program: Option<Started>,
    /// When a program could not be started last, and why.
    failed: Option<(Instant, String)>,
    /// What was taken from the line and is not asked yet.
    left: VecDeque<Ask>,
}

impl Line {
    async fn run(mut self, mut waiting: mpsc::Receiver<Ask>) {
        while let Some(first) = self.next(&mut waiting).await {
            let group = self.gathered(first, &mut waiting).await;
            self.answer(group).await;
        }
    }

    async fn next(&mut self, waiting: &mut mpsc::Receiver<Ask>) -> Option<Ask> {
        loop {
            let ask = match self.left.pop_front() {
                Some(ask) => ask,
                None => {
                    tokio::select! {
                        biased;
                        ask = waiting.recv() => ask?,
                        () = self.rest.notified() => {
                            self.program = None;
                            continue;
                        }
                    }
                }
            };
            // Nobody waits for what its caller gave up.
            if !ask.answer.is_closed() {
                return Some(ask);
            }
        }
    }

    /// The requests that are asked with `first`.
    async fn gathered(&mut self, first: Ask, waiting: &mut mpsc::Receiver<Ask>) -> Vec<Ask> {
        let until = Instant::now() + self.limits.delay_max;
        let mut rows = first.batch.rows();
        let mut group = vec![first];
        while rows < self.limits.rows_max {
            let next = match self.left.pop_front() {
                Some(ask) => Some(ask),
                None if self.limits.delay_max.is_zero() => waiting.try_recv().ok(),
                None => timeout_at(until, waiting.recv()).await.ok().flatten(),
            };
            let Some(next) = next else { break };
            let fits = group.first().is_some_and(|first| merge::fits(&first.batch, &next.batch));
            if !fits || rows.saturating_add(next.batch.rows()) > self.limits.rows_max {
                self.left.push_front(next);
                break;
            }
            rows = rows.saturating_add(next.batch.rows());
            group.push(next);
        }
        group
    }

    async fn answer(&mut self, group: Vec<Ask>) {
        let counts: Vec<usize> = group.iter().map(|ask| ask.batch.rows()).collect();
        let batches: Vec<&Batch> = group.iter().map(|ask| &*ask.batch).collect();
        let whole = match batches.as_slice() {
            [one] => Ok((*one).clone()),
            several => merge::merged(several),
        };
        let said = match whole {
            Ok(whole) => self.said(&whole, &counts).await,
            Err(error) => Err(WorkerError::Refused(error.to_string())),
        };
        match said {
            Ok(parts) => group.into_iter().zip(parts).for_each(|(ask, part)| tell(ask, Ok(part))),
            Err(WorkerError::Gone(why)) => group.into_iter().for_each(|ask| tell(ask, Err(WorkerError::Gone(why.clone())))),
            Err(error) if counts.len() == 1 => group.into_iter().for_each(|ask| tell(ask, Err(error.clone()))),
            // One of them did it, and the others must not pay: each is asked alone.
            Err(_) => {
                for ask in group {
                    let alone = self.said(&ask.batch, &[ask.batch.rows()]).await;
                    let alone = alone.and_then(|parts| {
                        parts.into_iter().next().ok_or_else(|| WorkerError::Broke("it gave no answer".to_owned()))
                    });
                    tell(ask, alone);
                }
            }
        }
    }

    /// The program's answer to the batches that `whole` was put together from.
    async fn said(&mut self, whole: &Batch, counts: &[usize]) -> Result<Vec<Outputs>, WorkerError> {
        let (limit, bytes_max) = (self.limits.answer_max, self.limits.answer_bytes_max);
        let ask = frame::predict(whole).map_err(WorkerError::Refused)?;
        let program = self.program().await?;
        let hear = async {
            frame::send(&mut program.link, &ask).await.map_err(|error| format!("its connection broke: {error}"))?;
            frame::receive(&mut program.link, bytes_max).await?.read()
        };
        let heard = timeout(limit, hear).await;
        let broke = match heard {
            Ok(Ok(Said::Outputs(outputs))) => match merge::split(outputs, counts) {
                Some(parts) => return Ok(parts),
                None => "it did not answer as many rows as were asked".to_owned(),
            },
            Ok(Ok(Said::Refused(why))) => return Err(WorkerError::Refused(why)),
            Ok(Ok(Said::Failed(why))) => return Err(WorkerError::Failed(why)),
            Ok(Ok(Said::Ready { .. } | Said::Converted(_))) => "it answered what was not asked".to_owned(),
            Ok(Err(why)) => format!("{why}{}", after(program)),
            Err(_) => {
                self.program = None;
                return Err(WorkerError::TooSlow(limit));
            }
        };
        self.program = None;
        Err(WorkerError::Broke(broke))
    }

    /// The program, a new one where the old one is gone.
    async fn program(&mut self) -> Result<&mut Started, WorkerError> {
        if self.program.is_none() {
            if let Some((at, why)) = &self.failed
                && at.elapsed() < self.limits.rest
            {
                return Err(WorkerError::Gone(why.clone()));
            }
            let begun = begin(&*self.start, &self.files, self.limits).await.and_then(|(program, _, signature)| {
                if signature == self.signature { Ok(program) } else { Err("it loaded another model than before".to_owned()) }
            });
            match begun {
                Ok(program) => (self.program, self.failed) = (Some(program), None),
                Err(why) => {
                    self.failed = Some((Instant::now(), why.clone()));
                    return Err(WorkerError::Gone(why));
                }
            }
        }
        self.program.as_mut().ok_or_else(|| WorkerError::Gone("it is being ended".to_owned()))
    }
}

/// A caller that is gone needs no answer.
fn tell(ask: Ask, said: Result<Outputs, WorkerError>) {
    drop(ask.answer.send(said));
}
