//! `retraining.cancel`: a job is stopped.

use gate::{Action, Operation, Outcome, Permit, Target};
use kernel::Problem;

use super::{model_of, of_model};
use crate::store::{jobs, requests};
use crate::types::conflict;
use crate::{Job, Retrain};

/// Stops a job: one that waits at once, one that runs within seconds.
pub struct CancelJob {
    /// The room.
    pub room: Retrain,
    /// The model's name.
    pub name: String,
    /// The job's id.
    pub job: String,
}

impl Operation for CancelJob {
    const ACTION: Action = super::CANCEL;
    type Output = Job;

    fn target(&self) -> Target {
        Target::RegisteredModel(self.name.clone())
    }

    async fn run(self, permit: Permit<Self>) -> Result<Job, Problem> {
        let (model_id, id, at) = (model_of(&permit)?, self.job, permit.entry().at);
        let cancelled = self.room.db().write(&permit, move |writer| {
            let job = of_model(jobs::get(writer, &id)?, &model_id)?;
            let Some(state) = jobs::cancel(writer, &job.id, at)? else {
                return Err(conflict(format!("the job is over: it has {}", job.state.word())));
            };
            if let (true, Some(request)) = (state.is_over(), &job.request) {
                requests::settle(writer, request, false)?;
            }
            let outcome = Outcome::done().resource(job.id.clone()).with("state", state.word());
            Ok((of_model(jobs::get(writer, &job.id)?, &model_id)?, outcome))
        });
        cancelled.await
    }
}
