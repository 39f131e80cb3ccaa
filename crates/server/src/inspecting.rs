//! The inspector's job: finds the worker's program and does the inspections that are queued.

use std::path::PathBuf;
use std::sync::Arc;

use admission::{Admission, AdmissionConfig, Ground};
use data::{Data, DataConfig, Inspect, Query, Runner, VerdictPolicy, Verdicts};
use gate::{Gate, JobKey};
use kernel::Problem;
use vault::db::Opened;
use vault::objects::Objects;

/// The worker's program, beside the server's own.
const INSPECTOR_PROGRAM: &str = "strongroom-inspect";

/// The room of data sets, with the verdict's policy that the configuration names.
///
/// # Errors
/// `Invalid` if that cannot be read.
pub fn open_data(config: &DataConfig, opened: &Opened, objects: Objects) -> Result<Data, Problem> {
    let verdicts = Verdicts::open(config)?;
    let data = Data::new(opened.db.clone(), opened.system.clone(), objects, config.clone(), verdicts, queries(config));
    Ok(data.with_inspector(inspector(config)))
}

/// The room of models between quarantine and use, with the verdict's policy that the configuration names.
///
/// # Errors
/// `Invalid` if that cannot be read.
pub fn open_admission(config: &AdmissionConfig, ground: Ground) -> Result<Admission, Problem> {
    let verdict = match &config.verdict {
        Some(file) => VerdictPolicy::open(Some(file))?,
        None => VerdictPolicy::parse(admission::BUILT_IN_POLICY)?,
    };
    Ok(Admission::new(ground, config.clone(), verdict))
}

/// Begins to inspect. Only a server does: a command ends too soon.
pub fn job(data: &Data, admission: &Admission, config: &DataConfig, gate: &Gate, jobs: &JobKey) -> tokio::task::JoinHandle<()> {
    if queries(config).is_none() {
        tracing::warn!(
            "`strongroom-query` is not there: SQL rules of contracts are not run; install it, or name it in `data.query`"
        );
    }
    if !inspector_program(config).is_file() {
        let shown = inspector_program(config);
        tracing::warn!(
            "`{}` is not there: data sets stay in quarantine; install it, or name it in `data.inspector`",
            shown.display()
        );
    }
    let inspector = inspector(config);
    let of_data = Runner::new(data.clone(), gate.clone(), jobs.pass(data::INSPECTOR), Arc::clone(&inspector));
    let of_models = admission::Runner::new(admission.clone(), gate.clone(), jobs.pass(data::INSPECTOR), inspector);
    // One task for both: whoever aborts it stops both. Each is taken up again by the next process.
    tokio::spawn(async move {
        tokio::join!(of_data.run(), of_models.run());
    })
}

/// The worker that runs SQL over data. Where there is none, SQL rules of contracts are not run, which needs a waiver.
pub fn queries(config: &DataConfig) -> Option<Arc<dyn Query>> {
    let program = config.query.clone().or_else(|| beside_this_program(inspection::QUERY_WORKER_NAME))?;
    if !program.is_file() {
        return None;
    }
    Some(Arc::new(inspection::Worker::new(program).allow_insecure_unsandboxed(config.allow_insecure_unsandboxed)))
}

pub(crate) fn beside_this_program(name: &str) -> Option<PathBuf> {
    let own = std::env::current_exe().ok()?;
    Some(own.parent()?.join(name))
}

/// The worker that looks into data. Where there is none, inspections fail and nothing is admitted: that is said at once.
fn inspector(config: &DataConfig) -> Arc<dyn Inspect> {
    let program = inspector_program(config);
    Arc::new(inspection::Worker::new(program).allow_insecure_unsandboxed(config.allow_insecure_unsandboxed))
}

fn inspector_program(config: &DataConfig) -> PathBuf {
    let program = config.inspector.clone().or_else(|| beside_this_program(INSPECTOR_PROGRAM));
    program.unwrap_or_else(|| PathBuf::from(INSPECTOR_PROGRAM))
}
