//! `retraining.end`: a job is over.

use gate::{Action, Operation, Outcome, Permit, Target};
use kernel::Problem;
use lineage::record::{self, Scene};

use crate::store::jobs::{self, End};
use crate::store::requests;
use crate::types::JobState;
use crate::{Finished, Job, Retrain};

/// Ends a job.
pub struct EndJob {
    /// The room.
    pub room: Retrain,
    /// The job.
    pub job: Job,
    /// Its run, if it got one.
    pub run_id: Option<String>,
    /// How it ended.
    pub state: JobState,
    /// How its program ended.
    pub finished: Finished,
    /// The version that was registered.
    pub made_version: Option<i64>,
    /// What it wrote.
    pub log: String,
}

impl Operation for EndJob {
    const ACTION: Action = super::END;
    type Output = ();

    fn target(&self) -> Target {
        Target::ModelVersion(self.job.spec.model.clone(), self.job.spec.version.to_string())
    }

    async fn run(self, permit: Permit<Self>) -> Result<(), Problem> {
        let at = permit.entry().at;
        let scene = Scene::of(&permit)?.asked_by(&self.job.asked_by);
        let Self { room, job, run_id, state, finished, made_version, log } = self;
        let ended = room.db().write(&permit, move |writer| {
            let end = End {
                state,
                exit_code: finished.exit_code,
                fault: finished.fault.as_deref(),
                made_version,
                confinement: finished.confinement.as_deref(),
                log: Some(&log),
            };
            let was_open = jobs::end(writer, &job.id, &end, at)?;
            if let (Some(run_id), Some(number)) = (&run_id, made_version) {
                record::version_executed(writer, &scene, &job.model_id, number, run_id)?;
            }
            if let Some(request) = job.request.as_deref().filter(|_| was_open) {
                requests::settle(writer, request, state == JobState::Succeeded)?;
            }
            let mut outcome = Outcome::done().resource(job.id.clone()).with("state", state.word());
            if let Some(number) = made_version {
                outcome = outcome.with("version", number);
            }
            if let Some(code) = finished.exit_code {
                outcome = outcome.with("exit_code", code);
            }
            Ok(((), outcome))
        });
        ended.await
    }
}
