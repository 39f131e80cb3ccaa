//! The retrainer: takes jobs up, one after the other for each executor, under a narrow identity of its own. What it does to runs and
//! versions it does with a token of whoever asked, through the gate: so their rights decide, and the record names them.

use std::sync::Arc;
use std::time::Duration;

use gate::{Attempt, BoxFuture, Credential, Gate, JobPass};
use identity::Identity;
use identity::ops::tokens::{CreateTokenFor, RevokeAnyToken};
use kernel::{Clock, Problem, Secret, hex, random_id};
use registry::Registry;
use registry::ops::CreateVersion;
use tokio::sync::watch;
use tracking::Tracking;
use tracking::ops::{CreateRun, UpdateRun};
use tracking::{KeyValue, RunStatus};

use crate::execute::{Errand, Execute, ExecuteError, Finished};
use crate::limits::PROGRESS_EVERY;
use crate::log::JobLog;
use crate::ops::{BeginJob, Begun, ConfirmOrigin, EndJob, FetchCode};
use crate::store::{jobs, origin};
use crate::types::{Executor, Job, JobState, conflict};
use crate::{Retrain, entry, token};

/// How often the queue is looked at although nobody said that something was queued: data may have been admitted meanwhile.
const LOOK_EVERY: Duration = Duration::from_secs(2);
/// How long to wait after a fault before the next try.
const FAULT_PAUSE: Duration = Duration::from_secs(2);
/// What the gate's records call this client.
const USER_AGENT: &str = "strongroom-retrainer";

/// The other rooms that a job passes through.
#[derive(Clone)]
pub struct Rooms {
    /// Mints and revokes its tokens.
    pub identity: Identity,
    /// Makes its run.
    pub tracking: Tracking,
    /// Registers its model.
    pub registry: Registry,
}

/// Runs the jobs of one executor for one server process.
pub struct Runner {
    room: Retrain,
    rooms: Rooms,
    gate: Gate,
    pass: JobPass,
    clock: Arc<dyn Clock>,
    executor: Executor,
    execute: Arc<dyn Execute>,
    /// This process among those that may share the database: what another one left behind has failed.
    id: String,
}

/// How a job ended, before it is written down.
struct Ending {
    state: JobState,
    finished: Finished,
    made_version: Option<i64>,
}

impl Ending {
    fn failed(fault: impl Into<String>) -> Self {
        let finished = Finished { fault: Some(fault.into()), ..Finished::default() };
        Self { state: JobState::Failed, finished, made_version: None }
    }
}

/// A step on its way, which ends with whoever waits for it.
struct Step(tokio::task::JoinHandle<Result<bool, Problem>>);

impl Drop for Step {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Notes a job's progress until it is dropped.
struct Noting(tokio::task::JoinHandle<()>);

impl Drop for Noting {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// A token of a job, and what it may do.
struct Minted {
    id: String,
    secret: Secret,
}

impl Runner {
    /// A runner. `pass` is that of the job [`crate::RETRAINER`].
    #[must_use]
    pub fn new(
        room: Retrain,
        rooms: Rooms,
        (gate, pass): (Gate, JobPass),
        clock: Arc<dyn Clock>,
        (executor, execute): (Executor, Arc<dyn Execute>),
    ) -> Self {
        Self { room, rooms, gate, pass, clock, executor, execute, id: random_id() }
    }

    /// Works until it is dropped.
    pub async fn run(self) {
        let mut runner = Arc::new(self);
        loop {
            // Made before the look, so that what is queued in between is not missed.
            let queued = runner.room.0.queued.notified();
            let mut step = Step(tokio::spawn({
                let runner = Arc::clone(&runner);
                async move { runner.step().await }
            }));
            match (&mut step.0).await {
                Ok(Ok(true)) => {}
                Ok(Ok(false)) => drop(tokio::time::timeout(LOOK_EVERY, queued).await),
                failed => {
                    tracing::warn!(?failed, "a job to train again could not be done");
                    drop(queued);
                    // Under another name: then what it did not bring to an end counts as left behind, and is ended.
                    runner = Arc::new(runner.renamed());
                    tokio::time::sleep(FAULT_PAUSE).await;
                }
            }
        }
    }

    fn renamed(&self) -> Self {
        Self {
            room: self.room.clone(),
            rooms: self.rooms.clone(),
            gate: self.gate.clone(),
            pass: self.pass.clone(),
            clock: Arc::clone(&self.clock),
            executor: self.executor,
            execute: Arc::clone(&self.execute),
            id: random_id(),
        }
    }

    /// Does the next job, if there is one; gives whether there was.
    ///
    /// # Errors
    /// If it could not be begun, or its end not be written down; then the next process ends it.
    pub async fn step(&self) -> Result<bool, Problem> {
        let (runner, executor, now) = (self.id.clone(), self.executor, self.clock.now());
        // Looked up without a record: an empty queue is no act.
        let next = self.room.0.system.read(move |reader| Ok(jobs::next(reader, executor, &runner, now)?)).await?;
        if next.is_none() {
            return Ok(false);
        }
        let begin = BeginJob { room: self.room.clone(), executor, runner: self.id.clone() };
        match self.gate.call(Attempt::of_job(self.pass.clone()), begin).await? {
            Begun::Nothing => Ok(false),
            Begun::Ended { job } => {
                if let Some(token) = &job.token_id {
                    self.revoke(token).await;
                }
                self.execute.abandon(&job.id).await;
                Ok(true)
            }
            Begun::Job { job, workspace, data_files } => {
                self.whole(&job, &workspace, data_files).await?;
                Ok(true)
            }
        }
    }

    /// A job from its begin to its end.
    async fn whole(&self, job: &Job, workspace: &str, data_files: Vec<String>) -> Result<(), Problem> {
        let log = JobLog::default();
        let (stop, stopped) = watch::channel(false);
        let noting = Noting(tokio::spawn(note(self.room.clone(), job.id.clone(), log.clone(), stop)));
        let mut run_id = None;
        let ending = self.train(job, workspace, data_files, &log, stopped, &mut run_id).await;
        drop(noting);
        let ending = ending.unwrap_or_else(|problem| Ending::failed(problem.to_string()));
        tracing::info!(job.id, job.state = ending.state.word(), "a job to train again ended");
        let end = EndJob {
            room: self.room.clone(),
            job: job.clone(),
            run_id,
            state: ending.state,
            finished: ending.finished,
            made_version: ending.made_version,
            log: log.text().1,
        };
        self.as_job(workspace, end).await
    }

    async fn train(
        &self,
        job: &Job,
        workspace: &str,
        data_files: Vec<String>,
        log: &JobLog,
        stopped: watch::Receiver<bool>,
        run: &mut Option<String>,
    ) -> Result<Ending, Problem> {
        log.stage("takes the code");
        let code = self.as_job(workspace, FetchCode { room: self.room.clone(), job: job.clone() }).await?;
        let words: Result<Vec<String>, Problem> =
            job.spec.entry.iter().map(|word| entry::filled(word, &job.spec.parameters)).collect();
        let words = words?;
        let minted = self.mint(job, workspace, false).await?;
        log.hide(minted.secret.expose_text().unwrap_or_default());
        let made = self.begin_run(job, workspace, &minted).await;
        let run_id = match made {
            Ok(run_id) => run_id,
            Err(problem) => {
                self.revoke(&minted.id).await;
                return Err(problem);
            }
        };
        *run = Some(run_id.clone());
        let errand = Errand {
            job_id: job.id.clone(),
            code,
            words,
            parameters: job.spec.parameters.clone(),
            run_id: run_id.clone(),
            experiment_id: job.spec.experiment_id,
            workspace: workspace.to_owned(),
            data: (job.spec.data.dataset.clone(), job.spec.data.version),
            data_files,
            token: minted.secret,
            seconds_max: job.spec.seconds_max,
        };
        log.stage("runs");
        let executed = self.execute.execute(&errand, log, cancelled(stopped)).await;
        // Before anything is made of what it left: whatever still has the token can change nothing any more.
        self.revoke(&minted.id).await;
        let mut ending = match executed {
            Ok(finished) if finished.fault.is_none() => Ending { state: JobState::Succeeded, finished, made_version: None },
            Ok(finished) => Ending { state: JobState::Failed, finished, made_version: None },
            Err(ExecuteError::Cancelled) => Ending { state: JobState::Cancelled, ..Ending::failed("it was cancelled") },
            Err(ExecuteError::Refused(why)) => Ending::failed(why),
        };
        log.stage("registers");
        match self.settle(job, workspace, &run_id, &mut ending).await {
            Err(problem) if ending.state == JobState::Succeeded => {
                ending.state = JobState::Failed;
                ending.finished.fault = Some(problem.to_string());
            }
            // It did not end well anyway; only its run could not be ended, with the rights that the asker still has.
            Err(problem) => tracing::warn!(%problem, job.id, "the run of a job to train again could not be ended"),
            Ok(()) => {}
        }
        Ok(ending)
    }

    /// Ends the run and, if the program ended well, registers what came of it; each as whoever asked.
    async fn settle(&self, job: &Job, workspace: &str, run_id: &str, ending: &mut Ending) -> Result<(), Problem> {
        let registrar = self.mint(job, workspace, true).await?;
        let settled = self.settle_with(job, workspace, run_id, ending, &registrar).await;
        self.revoke(&registrar.id).await;
        settled
    }

    async fn settle_with(
        &self,
        job: &Job,
        workspace: &str,
        run_id: &str,
        ending: &mut Ending,
        registrar: &Minted,
    ) -> Result<(), Problem> {
        let (status, good) = match ending.state {
            JobState::Succeeded => (RunStatus::Finished, true),
            JobState::Cancelled => (RunStatus::Killed, false),
            _ => (RunStatus::Failed, false),
        };
        let end_run = UpdateRun {
            room: self.rooms.tracking.clone(),
            run_id: run_id.to_owned(),
            status: Some(status),
            end_time_ms: Some(self.clock.now().0.div_euclid(1_000)),
            run_name: None,
        };
        self.as_asker(workspace, registrar, end_run).await?;
        if !good {
            return Ok(());
        }
        let confirm = ConfirmOrigin { room: self.room.clone(), job: job.clone(), run_id: run_id.to_owned() };
        let confirmed = self.as_job(workspace, confirm).await?;
        // A version that somebody else made of this run meanwhile is theirs, whatever they say it came out of.
        let create = CreateVersion {
            room: self.rooms.registry.clone(),
            name: job.spec.model.clone(),
            source: format!("models:/{}", confirmed.logged_model),
            run_id: Some(run_id.to_owned()),
            run_link: None,
            description: None,
            tags: Vec::new(),
            logged_model_id: Some(confirmed.logged_model),
        };
        ending.made_version = Some(self.as_asker(workspace, registrar, create).await?.version);
        Ok(())
    }

    /// The run is made by the server, with what is known of it beforehand; it is whoever asked's.
    async fn begin_run(&self, job: &Job, workspace: &str, minted: &Minted) -> Result<String, Problem> {
        let (id, token) = (job.id.clone(), minted.id.clone());
        self.room.0.system.write(move |writer| Ok(jobs::attach(writer, &id, Some(&token), None)?)).await?;
        let mut tags = vec![
            KeyValue::new("mlflow.source.type", "JOB"),
            KeyValue::new("mlflow.source.name", job.spec.entry.first().map(String::as_str).unwrap_or_default()),
            KeyValue::new("strongroom.code.sha256", job.spec.code.manifest_sha256.as_str()),
            KeyValue::new("strongroom.retrain.job", job.id.as_str()),
            KeyValue::new("strongroom.retrain.spec_sha256", hex(&job.spec_sha256)),
        ];
        if let Some(origin) = &job.spec.origin_run {
            tags.push(KeyValue::new("strongroom.retrain.of", origin.as_str()));
        }
        let create = CreateRun {
            room: self.rooms.tracking.clone(),
            experiment_id: job.spec.experiment_id.to_string(),
            user_id: None,
            run_name: Some(format!("{} again", job.spec.model)),
            start_time_ms: self.clock.now().0.div_euclid(1_000),
            tags,
        };
        let run_id = self.as_asker(workspace, minted, create).await?.info.run_id;
        let (id, run) = (job.id.clone(), run_id.clone());
        let attached = self.room.0.system.write(move |writer| {
            jobs::attach(writer, &id, None, Some(&run))?;
            // From now on only the program writes there; until now nobody has.
            if origin::is_filled(writer, &run)? {
                return Err(conflict("somebody wrote into its run before its program did; ask for the job again"));
            }
            Ok(())
        });
        attached.await?;
        Ok(run_id)
    }

    async fn mint(&self, job: &Job, workspace: &str, registrar: bool) -> Result<Minted, Problem> {
        let scopes = if registrar { token::of_registrar(&job.spec, &job.model_id) } else { token::of_program(&job.spec) };
        let label = format!("retraining {}", job.id);
        let create = CreateTokenFor {
            room: self.rooms.identity.clone(),
            principal: job.asked_by.clone(),
            parent: job.asked_with.clone(),
            wish: token::wish(label, &scopes, workspace, registrar)?,
        };
        let made = self.gate.call(Attempt::of_job(self.pass.clone()), create).await?;
        Ok(Minted { id: made.token.id, secret: made.secret })
    }

    /// Takes a token back. Where that fails it ends by itself within the hour.
    async fn revoke(&self, token: &str) {
        let revoke = RevokeAnyToken { room: self.rooms.identity.clone(), token: token.to_owned() };
        if let Err(problem) = self.gate.call(Attempt::of_job(self.pass.clone()), revoke).await {
            tracing::warn!(%problem, token, "a job's token could not be revoked; it ends within the hour");
        }
    }

    async fn as_job<O: gate::Operation>(&self, workspace: &str, operation: O) -> Result<O::Output, Problem> {
        let attempt = Attempt { workspace: workspace.to_owned(), ..Attempt::of_job(self.pass.clone()) };
        self.gate.call(attempt, operation).await
    }

    async fn as_asker<O: gate::Operation>(&self, workspace: &str, minted: &Minted, operation: O) -> Result<O::Output, Problem> {
        let attempt = Attempt {
            credential: Credential::Bearer(minted.secret.clone()),
            workspace: workspace.to_owned(),
            user_agent: Some(USER_AGENT.to_owned()),
            ..Attempt::of_job(self.pass.clone())
        };
        self.gate.call(attempt, operation).await
    }
}

fn cancelled<'a>(mut stopped: watch::Receiver<bool>) -> BoxFuture<'a, ()> {
    Box::pin(async move {
        // Whoever would say so is gone: then nobody wants it to stop.
        if stopped.wait_for(|stop| *stop).await.is_err() {
            std::future::pending::<()>().await;
        }
    })
}

/// Writes log and stage down now and then; learns whether somebody wants the job to stop. Never ends by itself.
async fn note(room: Retrain, id: String, log: JobLog, stop: watch::Sender<bool>) {
    loop {
        tokio::time::sleep(PROGRESS_EVERY).await;
        let (job, (stage, text)) = (id.clone(), log.text());
        let written = room.0.system.write(move |writer| Ok(jobs::progress(writer, &job, &stage, &text)?)).await;
        match written {
            Ok(true) => drop(stop.send(true)),
            Ok(false) => {}
            Err(problem) => tracing::warn!(%problem, "a job's progress could not be written down"),
        }
    }
}
