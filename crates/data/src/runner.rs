//! The inspector: takes queued inspections up, one after the other, under a job's narrow identity.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use gate::{Attempt, Gate, JobPass};
use inspection::Progress;
use kernel::{Problem, random_id};
use tokio::sync::{Notify, watch};

use crate::limits::PROGRESS_EVERY;
use crate::ops::{BeginInspection, Ended, RunCleaning, RunInspection};
use crate::store::inspections;
use crate::types::{Inspection, Task, no_version};
use crate::{Data, Inspect};

/// The job's name, which the policy knows.
pub const INSPECTOR: &str = "inspector";
/// How often the queue is looked at although nobody said that something was queued.
const LOOK_EVERY: Duration = Duration::from_secs(5);
/// How long to wait after a fault before the next try.
const FAULT_PAUSE: Duration = Duration::from_secs(2);

/// The progress of a running inspection, and whether it is to stop.
pub struct Watch {
    progress: watch::Sender<(String, u64, Option<u64>)>,
    cancelled: AtomicBool,
    stopping: Notify,
}

impl Watch {
    /// Of an inspection that begins.
    #[must_use]
    pub fn new() -> Arc<Self> {
        let (progress, _) = watch::channel((String::from("starting"), 0, None));
        Arc::new(Self { progress, cancelled: AtomicBool::new(false), stopping: Notify::new() })
    }

    /// Takes news in.
    pub(crate) fn hear(&self, progress: Progress) {
        if let Progress::Stage { stage, done, of } = progress {
            self.progress.send_replace((stage, done, of));
        }
    }

    /// Ready when the inspection is to stop.
    pub(crate) async fn cancelled(&self) {
        loop {
            let stopping = self.stopping.notified();
            if self.cancelled.load(Ordering::SeqCst) {
                return;
            }
            stopping.await;
        }
    }

    fn cancel(&self) {
        self.cancelled.store(true, Ordering::SeqCst);
        self.stopping.notify_waiters();
    }
}

/// Does inspections for one server process.
pub struct Runner {
    room: Data,
    gate: Gate,
    pass: JobPass,
    inspector: Arc<dyn Inspect>,
    /// This process among those that may share the database: what another one left behind is taken up again.
    id: String,
}

impl Runner {
    /// A runner. `pass` is that of the job [`INSPECTOR`].
    #[must_use]
    pub fn new(room: Data, gate: Gate, pass: JobPass, inspector: Arc<dyn Inspect>) -> Self {
        Self { room, gate, pass, inspector, id: random_id() }
    }

    /// Works until it is dropped.
    pub async fn run(self) {
        loop {
            match self.step().await {
                Ok(Some(ended)) => tracing::info!(?ended, "an inspection ended"),
                Ok(None) => {
                    // Whoever is told in between has stored a permit, so nothing is missed.
                    drop(tokio::time::timeout(LOOK_EVERY, self.room.0.queued.notified()).await);
                }
                Err(problem) => {
                    tracing::warn!(%problem, "an inspection could not be done");
                    tokio::time::sleep(FAULT_PAUSE).await;
                }
            }
        }
    }

    /// Does the next inspection, if there is one.
    ///
    /// # Errors
    /// If it could not be begun, or its end not be written down; then it is taken up again by the next process.
    pub async fn step(&self) -> Result<Option<Ended>, Problem> {
        let runner = self.id.clone();
        // Looked up without a record: an empty queue is no act.
        let next = self.room.0.system.read(move |reader| Ok(inspections::next(reader, &runner)?)).await?;
        if next.is_none() {
            return Ok(None);
        }
        let begin = BeginInspection { room: self.room.clone(), runner: self.id.clone() };
        let Some(inspection) = self.gate.call(Attempt::of_job(self.pass.clone()), begin).await? else {
            return Ok(None);
        };
        let watch = Watch::new();
        let noting = tokio::spawn(note(self.room.clone(), inspection.id.clone(), Arc::clone(&watch)));
        let id = inspection.id.clone();
        let ended = self.inspect(inspection, watch).await;
        noting.abort();
        if ended.is_err() {
            let runner = self.id.clone();
            self.room.0.system.write(move |writer| Ok(inspections::release(writer, &id, &runner)?)).await?;
        }
        ended.map(Some)
    }

    async fn inspect(&self, inspection: Inspection, watch: Arc<Watch>) -> Result<Ended, Problem> {
        let id = inspection.version_id.clone();
        let place = self.room.0.system.read(move |reader| Ok(inspections::place(reader, &id)?)).await?;
        let (workspace, dataset) = place.ok_or_else(no_version)?;
        let attempt = Attempt { workspace, ..Attempt::of_job(self.pass.clone()) };
        if inspection.task == Task::Clean {
            let run = RunCleaning {
                room: self.room.clone(),
                dataset,
                task: inspection,
                runner: self.id.clone(),
                inspector: Arc::clone(&self.inspector),
                watch,
            };
            return self.gate.call(attempt, run).await;
        }
        let run = RunInspection {
            room: self.room.clone(),
            dataset,
            inspection,
            runner: self.id.clone(),
            inspector: Arc::clone(&self.inspector),
            watch,
        };
        self.gate.call(attempt, run).await
    }
}

/// Writes the progress down now and then, and learns whether somebody wants it to stop.
async fn note(room: Data, inspection_id: String, watch: Arc<Watch>) {
    loop {
        tokio::time::sleep(PROGRESS_EVERY).await;
        let (stage, done, of) = watch.progress.borrow().clone();
        let id = inspection_id.clone();
        let signed = |count: u64| i64::try_from(count).unwrap_or(i64::MAX);
        let write = move |writer: &mut vault::db::Writer<'_>| {
            Ok(inspections::progress(writer, &id, &stage, signed(done), of.map(signed))?)
        };
        match room.0.system.write(write).await {
            Ok(true) => watch.cancel(),
            Ok(false) => {}
            Err(problem) => tracing::warn!(%problem, "an inspection's progress could not be written down"),
        }
    }
}
