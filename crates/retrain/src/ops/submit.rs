//! `retraining.submit`: somebody asks for a version to be trained again.

use std::collections::BTreeMap;

use gate::{Action, CallerKind, Operation, Outcome, Permit, Target};
use kernel::{Kind, Problem, hex};
use vault::db::Writer;

use crate::limits::{PARAMETER_BYTES_MAX, PARAMETER_COUNT_MAX, PARAMETER_NAME_BYTES_MAX, PARAMETERS_BYTES_MAX};
use crate::store::jobs::{self, NewJob};
use crate::store::{origin, requests};
use crate::types::{DataSpec, Draft, Executor, Job, SPEC_FORMAT, Snapshot, Spec, conflict};
use crate::{Retrain, entry, token};

/// How ids of sessions begin; they are nobody's parent.
const SESSION_PREFIX: &str = "ses_";
/// The file by which code says what it needs.
const REQUIREMENTS_FILE: &str = "requirements.txt";

/// What somebody wants to run. Code and data were looked up for the same caller, each by its own verb.
#[derive(Clone, Debug)]
pub struct Wish {
    /// The code.
    pub snapshot: Snapshot,
    /// The data.
    pub data: DataSpec,
    /// How the code is started; what is known of the version's own run if none.
    pub entry: Option<String>,
    /// Parameters that differ from that run's.
    pub parameters: BTreeMap<String, String>,
    /// The experiment of the new run; that of the version's own run if none.
    pub experiment_id: Option<i64>,
    /// Where it runs; on this machine, or on the cluster where there is no Python here, if none.
    pub executor: Option<Executor>,
    /// The request that it answers.
    pub request: Option<String>,
}

/// Whether the caller may have a version trained again at all: asked before anything else is looked at. Gives what is known of how it
/// was made.
pub struct AskToSubmit {
    /// The room.
    pub room: Retrain,
    /// The model's name.
    pub name: String,
    /// The version.
    pub version: String,
}

impl Operation for AskToSubmit {
    const ACTION: Action = super::SUBMIT;
    type Output = Draft;

    fn target(&self) -> Target {
        Target::ModelVersion(self.name.clone(), self.version.clone())
    }

    async fn run(self, permit: Permit<Self>) -> Result<Draft, Problem> {
        super::prepare::draft(&self.room, &permit).await
    }
}

/// Asks for a version to be trained again.
pub struct SubmitJob {
    /// The room.
    pub room: Retrain,
    /// The model's name.
    pub name: String,
    /// The version.
    pub version: String,
    /// What shall run.
    pub wish: Wish,
}

impl Operation for SubmitJob {
    const ACTION: Action = super::SUBMIT;
    type Output = Job;

    fn target(&self) -> Target {
        Target::ModelVersion(self.name.clone(), self.version.clone())
    }

    async fn run(self, permit: Permit<Self>) -> Result<Job, Problem> {
        let (model_id, number) = super::version_of(&permit)?;
        let (workspace, caller, at) = (permit.workspace()?.to_owned(), permit.caller().clone(), permit.entry().at);
        if !matches!(caller.kind, CallerKind::User | CallerKind::Service) {
            return Err(Problem::forbidden("only an account has models trained: the job acts in its name"));
        }
        let executor = self.room.executor(self.wish.executor)?;
        let (room, wish) = (self.room.clone(), self.wish);
        let queued = self.room.db().write(&permit, move |writer| {
            let spec = room.spec(writer, (&workspace, &model_id, number), wish.clone(), executor)?;
            token::covered_by(&caller, &spec, &model_id)?;
            let asked_with = caller.token.as_ref().map(|token| token.id.as_str()).filter(|id| !id.starts_with(SESSION_PREFIX));
            if let Some(request) = &wish.request
                && !requests::take(writer, &workspace, request, &lineage::record::version_name(&model_id, number))?
            {
                return Err(conflict("there is no request of this id that waits and is about this version"));
            }
            let new = NewJob {
                workspace: &workspace,
                model_id: &model_id,
                spec: &spec,
                request: wish.request.as_deref(),
                asked_by: &caller.id,
                asked_with,
                at,
            };
            let job = jobs::insert(writer, &new)?;
            let outcome = Outcome::done()
                .resource(job.id.clone())
                .with("spec_sha256", hex(&job.spec_sha256))
                .with("code_sha256", spec.code.manifest_sha256.clone())
                .with("data_version", spec.data.version_id.clone())
                .with("executor", executor.word());
            Ok((job, outcome))
        });
        let job = queued.await?;
        self.room.0.queued.notify_waiters();
        Ok(job)
    }
}

impl Retrain {
    /// Where it runs, if it can run there.
    fn executor(&self, wanted: Option<Executor>) -> Result<Executor, Problem> {
        let config = &self.0.config;
        let (here, cluster) = (config.python.is_some(), config.ray.is_some());
        let none = "this server trains nothing: its operator has named no `retrain.python` and no `[retrain.ray]`";
        match wanted {
            None if here => Ok(Executor::Local),
            None if cluster => Ok(Executor::Ray),
            Some(Executor::Local) if here => Ok(Executor::Local),
            Some(Executor::Ray) if cluster => Ok(Executor::Ray),
            None => Err(conflict(none)),
            Some(Executor::Local) => Err(conflict("this server trains nothing on its own machine: `retrain.python` is not set")),
            Some(Executor::Ray) => Err(conflict("this server knows no cluster: there is no `[retrain.ray]`")),
        }
    }

    fn spec(
        &self,
        writer: &mut Writer<'_>,
        (workspace, model_id, number): (&str, &str, i64),
        wish: Wish,
        executor: Executor,
    ) -> Result<Spec, Problem> {
        let (draft, source) = origin::draft(writer, workspace, model_id, number)?;
        let Snapshot { code, project } = wish.snapshot;
        let mut parameters = project.as_ref().map(|project| project.parameters.clone()).unwrap_or_default();
        parameters.extend(draft.parameters);
        parameters.extend(wish.parameters);
        bounded(&parameters)?;
        let known = || draft.entry.or_else(|| project.map(|project| project.command));
        let text = wish.entry.or_else(known).or_else(|| entry::usual(source.as_deref(), &code.files));
        let text = text.ok_or_else(|| {
            Problem::invalid("it is not known how the code is started; say so with --entry, such as `train.py --depth {depth}`")
        })?;
        let experiment_id = wish.experiment_id.or(draft.experiment_id).ok_or_else(|| {
            Problem::invalid("no run is known to have made this version; name the experiment of the new run with --experiment")
        })?;
        let requirements = code.files.iter().find(|file| file.path == REQUIREMENTS_FILE).map(|file| file.sha256.clone());
        Ok(Spec {
            format: SPEC_FORMAT.to_owned(),
            model: draft.model,
            version: number,
            origin_run: draft.origin_run,
            experiment_id,
            entry: entry::resolve(&text, &code.files, &parameters)?,
            code,
            parameters,
            data: wish.data,
            requirements_sha256: requirements,
            executor,
            seconds_max: self.0.config.seconds_max,
        })
    }
}

fn bounded(parameters: &BTreeMap<String, String>) -> Result<(), Problem> {
    let total: usize = parameters.iter().map(|(name, value)| name.len().saturating_add(value.len())).sum();
    if parameters.len() > PARAMETER_COUNT_MAX || total > PARAMETERS_BYTES_MAX {
        let message = format!("a job has at most {PARAMETER_COUNT_MAX} parameters of {PARAMETERS_BYTES_MAX} bytes together");
        return Err(Problem::new(Kind::TooLarge, message));
    }
    let bad = |(name, value): (&String, &String)| {
        name.is_empty()
            || name.len() > PARAMETER_NAME_BYTES_MAX
            || value.len() > PARAMETER_BYTES_MAX
            || name.contains(['\0', '{', '}'])
            || value.contains('\0')
    };
    match parameters.iter().find(|pair| bad(*pair)) {
        Some((name, _)) => Err(Problem::invalid(format!(
            "the parameter `{}` is empty, too long ({PARAMETER_BYTES_MAX} bytes), or has characters that cannot be passed on",
            entry::shown(name)
        ))),
        None => Ok(()),
    }
}
