//! The verbs.

mod experiments_change;
mod experiments_create;
mod experiments_get;
mod experiments_search;
mod experiments_tag;
mod metrics_read;
mod runs_change;
mod runs_create;
mod runs_get;
mod runs_log;
mod runs_log_model;
mod runs_search;
mod runs_tag;

use gate::{Action, Permit};
use kernel::Problem;
use vault::db::Reader;

use crate::store;
use crate::types::{Stage, no_experiment, no_run};

pub use experiments_change::{DeleteExperiment, RenameExperiment, RestoreExperiment};
pub use experiments_create::{CreateExperiment, EnsureDefaultExperiment};
pub use experiments_get::{GetExperiment, GetExperimentByName};
pub use experiments_search::SearchExperiments;
pub use experiments_tag::{DeleteExperimentTag, SetExperimentTag};
pub use metrics_read::{GetMetricCurve, GetMetricHistory, GetMetricHistoryBulk, GetMetricHistoryBulkInterval, MetricCurve};
pub use runs_change::{DeleteRun, RestoreRun, UpdateRun};
pub use runs_create::CreateRun;
pub use runs_get::GetRun;
pub use runs_log::{LogBatch, LogMetric, LogParam};
pub use runs_log_model::{LogInputs, LogModel, LogOutputs};
pub use runs_search::{SearchDatasets, SearchRuns};
pub use runs_tag::{DeleteTag, SetTag};

/// Makes an experiment.
pub const EXPERIMENTS_CREATE: Action = Action::write("experiments.create");
/// Reads an experiment.
pub const EXPERIMENTS_GET: Action = Action::read("experiments.get");
/// Lists experiments.
pub const EXPERIMENTS_SEARCH: Action = Action::read("experiments.search");
/// Renames an experiment.
pub const EXPERIMENTS_UPDATE: Action = Action::write("experiments.update");
/// Puts an experiment and its runs aside.
pub const EXPERIMENTS_DELETE: Action = Action::write("experiments.delete");
/// Takes an experiment and its runs back into use.
pub const EXPERIMENTS_RESTORE: Action = Action::write("experiments.restore");
/// Sets or removes an experiment's tags.
pub const EXPERIMENTS_TAG: Action = Action::write("experiments.tag");
/// Begins a run.
pub const RUNS_CREATE: Action = Action::write("runs.create");
/// Reads a run.
pub const RUNS_GET: Action = Action::read("runs.get");
/// Lists runs, or the datasets that they used.
pub const RUNS_SEARCH: Action = Action::read("runs.search");
/// Changes a run's status, end or name.
pub const RUNS_UPDATE: Action = Action::write("runs.update");
/// Puts a run aside.
pub const RUNS_DELETE: Action = Action::write("runs.delete");
/// Takes a run back into use.
pub const RUNS_RESTORE: Action = Action::write("runs.restore");
/// Logs metrics, parameters, inputs and outputs to a run.
pub const RUNS_LOG: Action = Action::write("runs.log");
/// Sets or removes a run's tags.
pub const RUNS_TAG: Action = Action::write("runs.tag");
/// Reads metrics' histories.
pub const METRICS_READ: Action = Action::read("metrics.read");

/// The run's row that the gate found.
fn run_row<O>(permit: &Permit<O>, run_id: &str) -> Result<i64, Problem> {
    permit.facts().row.filter(|_| permit.facts().exists).ok_or_else(|| no_run(run_id))
}

/// The experiment that the gate found.
fn experiment_row<O>(permit: &Permit<O>, experiment_id: &str) -> Result<i64, Problem> {
    permit.facts().experiment.filter(|_| permit.facts().exists).ok_or_else(|| no_experiment(experiment_id))
}

fn run_must_be_active(run_id: &str, stage: Stage) -> Result<(), Problem> {
    match stage {
        Stage::Active => Ok(()),
        Stage::Deleted => {
            Err(Problem::invalid(format!("The run {run_id} must be in the 'active' state. Current state is {}.", stage.word())))
        }
    }
}

fn experiment_must_be_active(experiment_id: i64, stage: Stage) -> Result<(), Problem> {
    match stage {
        Stage::Active => Ok(()),
        Stage::Deleted => Err(Problem::invalid(format!(
            "The experiment {experiment_id} must be in the 'active' state. Current state is {}.",
            stage.word()
        ))),
    }
}

/// That the run is in use, and its user's name, in the same transaction as the change that follows.
fn active_run_user(reader: &mut Reader<'_>, row: i64, run_id: &str) -> Result<String, Problem> {
    let (stage, user) = store::runs::stage_and_user(reader, row)?.ok_or_else(|| no_run(run_id))?;
    run_must_be_active(run_id, stage)?;
    Ok(user)
}

/// That the experiment is in use, in the same transaction as the change that follows.
fn active_experiment(reader: &mut Reader<'_>, experiment_id: i64) -> Result<(), Problem> {
    let stage = store::experiments::stage(reader, experiment_id)?.ok_or_else(|| no_experiment(&experiment_id.to_string()))?;
    experiment_must_be_active(experiment_id, stage)
}

/// The offset in a page's token, as SQL takes it.
fn offset(token: Option<&str>) -> Result<i64, Problem> {
    let offset = filter::decode_page_token(token.filter(|text| !text.is_empty()))?;
    i64::try_from(offset).map_err(|_| Problem::invalid("the page token is beyond the end of any list; begin again without it"))
}
