//! The job: does what was asked for, one after the other, and asks by itself when the schedule says so.

use std::sync::Arc;
use std::time::Duration;

use gate::{Attempt, Gate, JobPass};
use kernel::{Problem, Secret};
use serde::{Deserialize, Serialize};

use crate::ops::{DrillBackup, MakeBackup, RunBackup, TryRestore};
use crate::types::{Run, RunKind, RunState};
use crate::{Backup, Future, prune, store};

/// How often the schedule is looked at.
const LOOK_EVERY: Duration = Duration::from_secs(60);
const HOUR_US: i64 = 3_600_000_000;

/// What a drill did.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub struct Drilled {
    /// The backup's number.
    pub sequence: u64,
    /// Objects that were restored, and opened.
    pub object_count: u64,
    /// Bytes that were restored.
    pub restored_bytes: u64,
    /// Records of the log that were restored and verified.
    pub log_size: u64,
    /// How long the restore took, until a server could have been started on it.
    pub took_ms: u64,
}

/// Restores a backup in a sandbox.
pub trait Drill: Send + Sync {
    /// Restores that backup and takes the result away again. `trust` is what [`crate::Trust::parse`] reads.
    ///
    /// # Errors
    /// Why the backup could not be restored.
    fn drill<'a>(&'a self, place: &'a str, sequence: u64, trust: Secret) -> Future<'a, Drilled>;
}

/// Works for one server process.
pub struct Runner {
    room: Backup,
    gate: Gate,
    pass: JobPass,
    drill: Arc<dyn Drill>,
}

impl Runner {
    /// A runner. `pass` is that of the job [`crate::BACKUP`].
    #[must_use]
    pub fn new(room: Backup, gate: Gate, pass: JobPass, drill: Arc<dyn Drill>) -> Self {
        Self { room, gate, pass, drill }
    }

    /// Works until it is dropped. `by_schedule`: asks for backups and drills by itself too.
    pub async fn run(self, by_schedule: bool) {
        loop {
            if by_schedule && let Err(problem) = self.ask_by_schedule().await {
                tracing::warn!(%problem, "the schedule of backups could not be kept");
            }
            match self.step().await {
                Ok(true) => continue,
                Ok(false) => {}
                Err(problem) => tracing::warn!(%problem, "backups cannot be looked after"),
            }
            drop(tokio::time::timeout(LOOK_EVERY, self.room.0.wake.notified()).await);
        }
    }

    /// Does what waits longest, if anything waits.
    ///
    /// # Errors
    /// `Unavailable` if the database cannot be asked. That a run failed is no error here: its row says so.
    pub async fn step(&self) -> Result<bool, Problem> {
        let next = self.room.0.system.read(store::next_run).await?;
        let Some(run) = next else { return Ok(false) };
        let attempt = || Attempt::of_job(self.pass.clone());
        let done = match run.kind {
            RunKind::Backup => {
                self.gate.call(attempt(), MakeBackup { room: self.room.clone(), run: run.clone() }).await.map(drop)
            }
            RunKind::Drill => {
                let verb = TryRestore { room: self.room.clone(), run: run.clone(), drill: Arc::clone(&self.drill) };
                self.gate.call(attempt(), verb).await.map(drop)
            }
        };
        match done {
            Ok(()) if run.kind == RunKind::Backup => {
                if let Err(problem) = prune::prune(&self.room, &run.target).await {
                    tracing::warn!(%problem, "old backups could not be taken away");
                }
            }
            Ok(()) => {}
            Err(problem) => self.fail(run, &problem).await?,
        }
        Ok(true)
    }

    async fn fail(&self, run: Run, problem: &Problem) -> Result<(), Problem> {
        tracing::error!(%problem, id = run.id, kind = run.kind.word(), "a backup or drill failed");
        let cause = std::error::Error::source(problem).map_or_else(String::new, |cause| format!(" ({cause})"));
        let ended = Run {
            state: RunState::Failed,
            step: "failed".to_owned(),
            problem: Some(format!("{problem}{cause}")),
            ended_at: Some(self.room.0.clock.now()),
            ..run
        };
        self.room.0.system.write(move |writer| store::end_run(writer, &ended)).await
    }

    /// Asks for what is due by the schedule.
    ///
    /// # Errors
    /// `Unavailable` if the database cannot be asked.
    pub(crate) async fn ask_by_schedule(&self) -> Result<(), Problem> {
        let config = &self.room.0.config;
        for (kind, hours) in [(RunKind::Backup, config.every_hours), (RunKind::Drill, config.drill_every_days.saturating_mul(24))]
        {
            if hours == 0 || !self.is_due(kind, i64::from(hours)).await? {
                continue;
            }
            let attempt = Attempt::of_job(self.pass.clone());
            let room = self.room.clone();
            match kind {
                RunKind::Backup => self.gate.call(attempt, RunBackup { room, to: None }).await.map(drop)?,
                RunKind::Drill => self.gate.call(attempt, DrillBackup { room, to: None }).await.map(drop)?,
            }
        }
        Ok(())
    }

    /// Whether none was asked for within so many hours, and for a drill, whether there is a backup to try.
    async fn is_due(&self, kind: RunKind, hours: i64) -> Result<bool, Problem> {
        let since = self.room.0.clock.now().0.saturating_sub(hours.saturating_mul(HOUR_US));
        let read = move |reader: &mut vault::db::Reader<'_>| {
            let newest = store::runs(reader, 1_000)?.into_iter().find(|run| run.kind == kind);
            let has_backup = store::last_good(reader, RunKind::Backup)?.is_some();
            Ok(newest.is_none_or(|run| run.asked_at.0 <= since) && (kind == RunKind::Backup || has_backup))
        };
        self.room.0.system.read(read).await
    }
}
