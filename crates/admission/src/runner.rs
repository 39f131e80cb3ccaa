//! The inspector of models: takes queued inspections up, one after the other, under a job's narrow identity.

use std::sync::Arc;
use std::time::Duration;

use data::Inspect;
use gate::{Attempt, Gate, JobPass};
use kernel::{Problem, random_id};

use crate::limits::RESCAN_COUNT;
use crate::ops::{BeginInspection, Ended, QueueRescans, RunInspection};
use crate::store::inspections;
use crate::types::no_version;
use crate::{Admission, Inspection};

/// How often the queue is looked at although nobody said that something was queued.
const LOOK_EVERY: Duration = Duration::from_secs(5);
/// How long to wait after a fault before the next try.
const FAULT_PAUSE: Duration = Duration::from_secs(2);

/// Does inspections for one server process.
pub struct Runner {
    room: Admission,
    gate: Gate,
    pass: JobPass,
    inspector: Arc<dyn Inspect>,
    /// This process among those that may share the database: what another one left behind is taken up again.
    id: String,
}

impl Runner {
    /// A runner. `pass` is that of the job [`data::INSPECTOR`].
    #[must_use]
    pub fn new(room: Admission, gate: Gate, pass: JobPass, inspector: Arc<dyn Inspect>) -> Self {
        Self { room, gate, pass, inspector, id: random_id() }
    }

    /// Works until it is dropped.
    pub async fn run(self) {
        if let Err(problem) = self.rescan().await {
            tracing::warn!(%problem, "what other rules judged could not be queued to be judged again; the next start tries again");
        }
        loop {
            match self.step().await {
                Ok(Some(ended)) => tracing::info!(?ended, "an inspection of a model ended"),
                Ok(None) => drop(tokio::time::timeout(LOOK_EVERY, self.room.0.queued.notified()).await),
                Err(problem) => {
                    tracing::warn!(%problem, "an inspection of a model could not be done");
                    tokio::time::sleep(FAULT_PAUSE).await;
                }
            }
        }
    }

    /// Queues what was judged by other rules of the file scanner than the worker's. Gives how many.
    ///
    /// # Errors
    /// If the worker does not say its rules, or nothing could be queued.
    pub async fn rescan(&self) -> Result<usize, Problem> {
        let unsaid = |error| Problem::internal("the inspection's worker does not say by which rules it judges", error);
        let Some(rules) = self.inspector.rules().await.map_err(unsaid)? else { return Ok(0) };
        let mut all = 0_usize;
        loop {
            let queue = QueueRescans { room: self.room.clone(), rules: rules.clone() };
            let count = self.gate.call(Attempt::of_job(self.pass.clone()), queue).await?;
            all = all.saturating_add(count);
            if count < RESCAN_COUNT {
                return Ok(all);
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
        let id = inspection.id.clone();
        let ended = self.inspect(inspection).await;
        if ended.is_err() {
            let runner = self.id.clone();
            self.room.0.system.write(move |writer| Ok(inspections::release(writer, &id, &runner)?)).await?;
        }
        self.room.0.ended.notify_waiters();
        ended.map(Some)
    }

    async fn inspect(&self, inspection: Inspection) -> Result<Ended, Problem> {
        let subject = inspection.subject.clone();
        let place = self.room.0.system.read(move |reader| Ok(inspections::place(reader, &subject)?)).await?;
        let (workspace, name) = place.ok_or_else(no_version)?;
        let attempt = Attempt { workspace, ..Attempt::of_job(self.pass.clone()) };
        let (room, runner, inspector) = (self.room.clone(), self.id.clone(), Arc::clone(&self.inspector));
        self.gate.call(attempt, RunInspection { room, name, inspection, runner, inspector }).await
    }
}
