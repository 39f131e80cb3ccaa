//! Python models: each in a jail of its own, asked by crate `worker`. The jail's one port leads to nobody but this.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use gate::BoxFuture;
use jail::{JailLimits, Status};
use kernel::{Kind, Problem};
use parking_lot::Mutex;
use retrain::JobLog;
use runtime::{Batch, Outputs, Signature};
use serving::{Compute, Engine, Model, PythonConfig};
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;
use worker::{Begun, Life, Limits, Start, Started, Worker, WorkerError};

use super::convert;
use super::turns::{Seat, Turns};
use crate::jailed::folder::JobFolder;
use crate::jailed::{Jailed, Jailer, Settings};

/// The folder of workers in the data folder.
const WORKERS_FOLDER: &str = "workers";
/// The program that answers.
const SCRIPT: &str = include_str!("worker.py");
const SCRIPT_FILE: &str = "answer.py";
/// What it knows of the rows that models were trained on.
const PROBE: &str = include_str!("probe.py");
/// A name that no model's own code has.
const PROBE_FILE: &str = "strongroom_probe.py";
/// Models that are loaded at the same time, and perhaps converted: beside those that answer.
const STARTING_COUNT_MAX: usize = 2;
/// Descriptors of each process.
const DESCRIPTOR_COUNT_MAX: u64 = 1_024;
/// The longest file that one may write: what it loads lies in memory.
const FILE_BYTES_MAX: u64 = 4 << 30;
/// How often it is looked at how much one has written.
const LOOK_EVERY: Duration = Duration::from_secs(2);
/// How long what could not be loaded is not tried again.
const REST: Duration = Duration::from_secs(20);
/// Failures that are remembered.
const FAILED_COUNT_MAX: usize = 1_000;
/// Requests that wait for one model.
const WAITING_COUNT_MAX: usize = 256;
/// Bytes of one answer.
const ANSWER_BYTES_MAX: usize = 64 << 20;
/// Variables that keep libraries from starting threads and from looking for a network.
const ENVIRONMENT: [(&str, &str); 9] = [
    ("OMP_NUM_THREADS", "1"),
    ("OPENBLAS_NUM_THREADS", "1"),
    ("MKL_NUM_THREADS", "1"),
    ("NUMEXPR_NUM_THREADS", "1"),
    ("MLFLOW_DISABLE_TELEMETRY", "true"),
    ("DO_NOT_TRACK", "1"),
    ("HF_HUB_OFFLINE", "1"),
    ("PYTHONDONTWRITEBYTECODE", "1"),
    ("PYTHONUNBUFFERED", "1"),
];

/// Makes workers.
pub(super) struct Pythons {
    jailer: Arc<Jailer>,
    limits: Limits,
    turns: Arc<Turns>,
    starting: Semaphore,
    workers_max: usize,
    /// What could not be loaded, since when, and why.
    failed: Mutex<HashMap<[u8; 32], (Instant, String)>>,
    made: Arc<AtomicU64>,
    folder_bytes_max: u64,
    convert: bool,
}

impl Pythons {
    pub(super) fn open(data: &Path, config: &PythonConfig, server: SocketAddr) -> Result<Self, Problem> {
        let settings = Settings {
            section: "serving.python",
            python: &config.python,
            readable: &config.readable,
            limits: JailLimits {
                cpu_seconds_max: config.cpu_seconds_max,
                memory_bytes_max: config.memory_bytes_max,
                file_bytes_max: FILE_BYTES_MAX,
                descriptor_count_max: DESCRIPTOR_COUNT_MAX,
                process_count_max: config.process_count_max,
            },
            // What is asked by strangers is locked in, or is not there.
            allow_insecure: false,
        };
        let limits = Limits {
            start_max: Duration::from_secs(config.load_seconds_max),
            answer_max: Duration::from_millis(config.answer_ms_max),
            rest: REST,
            rows_max: config.batch_rows_max,
            delay_max: Duration::from_micros(config.batch_delay_us_max),
            waiting_max: WAITING_COUNT_MAX,
            answer_bytes_max: ANSWER_BYTES_MAX,
        };
        Ok(Self {
            jailer: Arc::new(Jailer::open(data, WORKERS_FOLDER, &settings, server)?),
            limits,
            turns: Arc::new(Turns::new(config.workers_max)),
            starting: Semaphore::new(STARTING_COUNT_MAX),
            workers_max: config.workers_max,
            failed: Mutex::default(),
            made: Arc::default(),
            folder_bytes_max: config.folder_bytes_max,
            convert: config.convert,
        })
    }

    pub(super) async fn worker(
        &self,
        digest: [u8; 32],
        files: BTreeMap<String, Vec<u8>>,
        ranges: Option<Vec<(f64, f64)>>,
    ) -> Result<Engine, Problem> {
        let conflict = |why: &str| Problem::new(Kind::Conflict, format!("the model cannot be served in Python: {why}"));
        if let Some((at, why)) = self.failed.lock().get(&digest)
            && at.elapsed() < REST
        {
            return Err(conflict(why));
        }
        // What is converted needs no turn: whether this is, is known once it runs.
        let _starting = self.starting.acquire().await.map_err(|closed| conflict(&closed.to_string()))?;
        let (jailer, made) = (Arc::clone(&self.jailer), Arc::clone(&self.made));
        let start = PythonStart { jailer, made, folder_bytes_max: self.folder_bytes_max };
        match Worker::start(Arc::new(start), files, self.limits).await {
            Ok(begun) => match self.converted(begun, ranges).await {
                Ok(model) => Ok(Engine::Converted(model)),
                Err(worker) => {
                    let turn = self.turns.take().ok_or_else(|| conflict(&full(self.workers_max)))?;
                    let (seat, turns) = (self.turns.seat(worker, turn), Arc::clone(&self.turns));
                    Ok(Engine::Elsewhere(Arc::new(PythonModel { seat, turns, workers_max: self.workers_max })))
                }
            },
            Err(error) => {
                let why = match error {
                    WorkerError::Gone(why) => why,
                    other => other.to_string(),
                };
                tracing::warn!(why, "a Python model could not be loaded");
                let mut failed = self.failed.lock();
                if failed.len() >= FAILED_COUNT_MAX {
                    failed.clear();
                }
                failed.insert(digest, (Instant::now(), why.clone()));
                Err(conflict(&why))
            }
        }
    }
}

impl Pythons {
    /// The model as the native runtime computes it, where it can and says the same; else the worker as it is.
    async fn converted(&self, mut begun: Begun, ranges: Option<Vec<(f64, f64)>>) -> Result<Arc<Model>, Worker> {
        if !self.convert {
            return Err(begun.worker());
        }
        let converted = begun.convert().await;
        let worker = begun.worker();
        let compared = match converted {
            Ok(converted) => convert::compared(converted, ranges, &worker).await,
            Err(why) => Err(why),
        };
        compared.map_err(|why| {
            tracing::info!(why, "a Python model is not converted");
            worker
        })
    }
}

/// A model in a worker.
struct PythonModel {
    seat: Arc<Seat>,
    turns: Arc<Turns>,
    workers_max: usize,
}

fn full(workers_max: usize) -> String {
    format!("as many Python models answer as may (`serving.python.workers_max` is {workers_max}), and none of them is idle")
}

impl fmt::Debug for PythonModel {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("PythonModel").field("worker", &self.seat.worker).finish_non_exhaustive()
    }
}

impl Compute for PythonModel {
    fn signature(&self) -> &Signature {
        self.seat.worker.signature()
    }

    fn kind(&self) -> &str {
        self.seat.worker.kind()
    }

    fn predict(&self, batch: Arc<Batch>) -> BoxFuture<'_, Result<Outputs, Problem>> {
        Box::pin(async move {
            let Some(_asked) = self.turns.begin(&self.seat) else {
                return Err(Problem::unavailable(full(self.workers_max)).retry_after(Duration::from_secs(1)));
            };
            self.seat.worker.predict(batch).await.map_err(problem)
        })
    }
}

/// What a caller is told. What a model wrote stays in this server's log: it may hold anything.
fn problem(error: WorkerError) -> Problem {
    match error {
        WorkerError::Refused(_) => Problem::invalid(error.to_string()),
        WorkerError::Busy => Problem::new(Kind::TooMany, error.to_string()).retry_after(Duration::from_secs(1)),
        WorkerError::Failed(why) => Problem::internal("the model failed over this request; the server's log says how", why),
        WorkerError::TooSlow(_) => {
            tracing::warn!("a Python model took too long, and was replaced");
            Problem::unavailable(error.to_string())
        }
        WorkerError::Broke(why) => {
            tracing::warn!(why, "a Python model's process ended over a request, and is replaced");
            Problem::unavailable("the model's process ended over this request; it is replaced").retry_after(REST)
        }
        WorkerError::Gone(why) => {
            tracing::warn!(why, "a Python model's process cannot be started");
            Problem::unavailable("the model's process cannot be started; the server's log says why").retry_after(REST)
        }
    }
}

struct PythonStart {
    jailer: Arc<Jailer>,
    made: Arc<AtomicU64>,
    folder_bytes_max: u64,
}

impl Start for PythonStart {
    fn start(&self) -> Pin<Box<dyn Future<Output = Result<Started, String>> + Send + '_>> {
        Box::pin(async {
            self.jailer.probe().await?;
            let failed = |error: std::io::Error| format!("its folder cannot be made: {error}");
            let name = format!("worker-{}", self.made.fetch_add(1, Ordering::Relaxed));
            let code = [(SCRIPT_FILE, SCRIPT), (PROBE_FILE, PROBE)];
            let code = code.map(|(name, text)| (PathBuf::from(name), Bytes::from_static(text.as_bytes()))).into();
            let folder = Arc::new(self.jailer.folder(&name, code).await.map_err(failed)?);
            let listener = folder.listen().map_err(failed)?;
            let environment = ENVIRONMENT.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
            let mut spec = self.jailer.spec(&folder, Vec::new(), environment);
            spec.arguments = vec![folder.code().join(SCRIPT_FILE).display().to_string(), spec.relay.port.to_string()];
            let log = JobLog::default();
            let mut jailed = Jailed::start(&spec, &log).await?;
            let watch = Watch::over(&folder, jailed.process(), self.folder_bytes_max, &log);
            let link = tokio::select! {
                accepted = listener.accept() => accepted.map_err(failed)?.0,
                ended = jailed.ended() => {
                    if let Status::Refused(why) = jail::read_status(&folder.status()) {
                        return Err(format!("its sandbox cannot be built: {why}"));
                    }
                    jailed.end().await;
                    let how = ended.map_or_else(|why| why, |code| format!("it ended with {code}"));
                    return Err(format!("{how}: {}", log.text().1.trim_end().lines().next_back().unwrap_or_default()));
                }
            };
            Ok(Started {
                link: Box::new(link),
                life: Box::new(PythonLife { _watch: watch, _jailed: jailed, log, _folder: folder }),
            })
        })
    }
}

/// Fields are dropped in this order: the process ends before its folder goes.
struct PythonLife {
    _watch: Watch,
    _jailed: Jailed,
    log: JobLog,
    _folder: Arc<JobFolder>,
}

/// Ends a worker that writes too much in all, until it is dropped: the kernel holds each file to a length, not all of them together.
struct Watch(JoinHandle<()>);

impl Watch {
    fn over(folder: &Arc<JobFolder>, outer: Option<u32>, most: u64, log: &JobLog) -> Self {
        let (folder, log) = (Arc::clone(folder), log.clone());
        Self(tokio::spawn(async move {
            loop {
                tokio::time::sleep(LOOK_EVERY).await;
                let looked_at = Arc::clone(&folder);
                let counted = tokio::task::spawn_blocking(move || looked_at.written_bytes(outer)).await;
                let (Ok(written), Some(group)) = (counted, outer) else { return };
                if written > most {
                    let why = format!("\nit wrote more than {most} bytes (`serving.python.folder_bytes_max`)\n");
                    log.add(why.as_bytes());
                    jail::kill_group(group);
                    return;
                }
            }
        }))
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Life for PythonLife {
    fn last_words(&self) -> String {
        self.log.text().1
    }
}
