//! `retraining.begin`: the retrainer takes the next job up.

use gate::{Action, Operation, Outcome, Permit, Target};
use kernel::Problem;

use crate::limits::{DATA_FILE_COUNT_MAX, WAIT_DAYS_MAX};
use crate::store::jobs::{self, Due, End};
use crate::store::{origin, requests};
use crate::types::JobState;
use crate::{Executor, Job, Retrain};

/// Takes the next job of an executor up; ends one that cannot begin or was left behind.
pub struct BeginJob {
    /// The room.
    pub room: Retrain,
    /// Where it runs.
    pub executor: Executor,
    /// The process that takes it up.
    pub runner: String,
}

/// What was done.
#[derive(Clone, Debug, PartialEq)]
pub enum Begun {
    /// There was nothing to do.
    Nothing,
    /// A job has begun.
    Job {
        /// The job.
        job: Box<Job>,
        /// The workspace's name.
        workspace: String,
        /// The paths of its data's files; none where there are too many.
        data_files: Vec<String>,
    },
    /// A job that was left behind, or could not begin, has ended.
    Ended {
        /// The job.
        job: Box<Job>,
    },
}

impl Operation for BeginJob {
    const ACTION: Action = super::BEGIN;
    type Output = Begun;

    fn target(&self) -> Target {
        Target::Server
    }

    async fn run(self, permit: Permit<Self>) -> Result<Begun, Problem> {
        let (executor, runner, at) = (self.executor, self.runner, permit.entry().at);
        let begun = self.room.db().write(&permit, move |writer| {
            let Some((job, due)) = jobs::next(writer, executor, &runner, at)? else {
                return Ok((Begun::Nothing, Outcome::done()));
            };
            let outcome = Outcome::done().resource(job.id.clone());
            let place = jobs::place(writer, &job.model_id)?;
            let fault = match (due, &place) {
                (Due::Ready, Some(_)) => None,
                (Due::Ready, None) => Some("the model is not there any more".to_owned()),
                (Due::Refused, _) => Some("its data was refused, or is not there any more".to_owned()),
                (Due::Overdue, _) => Some(format!("its data was not admitted within {WAIT_DAYS_MAX} days")),
                (Due::LeftBehind, _) => Some("it was interrupted: the server ended while it ran; ask for it again".to_owned()),
            };
            if let (None, Some((workspace, _))) = (&fault, place) {
                if !jobs::begin(writer, &job.id, &runner, at)? {
                    return Ok((Begun::Nothing, outcome));
                }
                let mut data_files =
                    origin::data_files(writer, &job.spec.data.version_id, DATA_FILE_COUNT_MAX.saturating_add(1))?;
                if data_files.len() > DATA_FILE_COUNT_MAX {
                    data_files.clear();
                }
                return Ok((Begun::Job { job: Box::new(job), workspace, data_files }, outcome));
            }
            let fault = fault.unwrap_or_default();
            let confinement = job.confinement.clone();
            let end = End {
                state: JobState::Failed,
                exit_code: None,
                fault: Some(&fault),
                made_version: None,
                confinement: confinement.as_deref(),
                log: None,
            };
            jobs::end(writer, &job.id, &end, at)?;
            if let Some(request) = &job.request {
                requests::settle(writer, request, false)?;
            }
            Ok((Begun::Ended { job: Box::new(job) }, outcome.with("state", JobState::Failed.word())))
        });
        begun.await
    }
}
