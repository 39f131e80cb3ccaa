//! The verbs.

mod begin;
mod cancel;
mod confirm;
mod end;
mod fetch;
mod prepare;
mod requests;
mod show;
mod snapshot;
mod submit;

use gate::{Action, Permit};
use kernel::Problem;

pub use begin::{BeginJob, Begun};
pub use cancel::CancelJob;
pub use confirm::{ConfirmOrigin, Confirmed};
pub use end::EndJob;
pub use fetch::FetchCode;
pub use prepare::Prepare;
pub use requests::{ListRequests, RequestPage};
pub use show::{JobPage, ListJobs, ReadLog, ShowJob};
pub use snapshot::SnapshotCode;
pub use submit::{AskToSubmit, SubmitJob, Wish};

use crate::limits::{PAGE_ROWS_DEFAULT, PAGE_ROWS_MAX};
use crate::types::{Job, no_job, no_version};

/// Shows what a job would take of how a version was made.
pub const PREPARE: Action = Action::read("retraining.prepare");
/// Looks at code among the artifacts of a run.
pub const SNAPSHOT: Action = Action::read("retraining.snapshot");
/// Asks for a version to be trained again.
pub const SUBMIT: Action = Action::write("retraining.submit");
/// Shows a job.
pub const SHOW: Action = Action::read("retraining.show");
/// Lists jobs.
pub const LIST: Action = Action::read("retraining.list");
/// Shows what a job wrote.
pub const LOGS: Action = Action::read("retraining.logs");
/// Stops a job.
pub const CANCEL: Action = Action::write("retraining.cancel");
/// Lists what is to be trained again.
pub const REQUESTS: Action = Action::read("retraining.requests");
/// The retrainer takes a job up.
pub const BEGIN: Action = Action::write("retraining.begin");
/// The retrainer takes a job's code.
pub const FETCH: Action = Action::write("retraining.fetch");
/// The retrainer writes down where a job's models come from.
pub const CONFIRM: Action = Action::write("retraining.confirm");
/// The retrainer ends a job.
pub const END: Action = Action::write("retraining.end");

/// The internal id and number of the version that the permit is for.
fn version_of<O: ?Sized>(permit: &Permit<O>) -> Result<(String, i64), Problem> {
    let facts = permit.facts();
    let id = facts.id.as_deref().filter(|_| facts.exists).ok_or_else(no_version)?;
    let (model, number) = id.rsplit_once('/').ok_or_else(no_version)?;
    Ok((model.to_owned(), number.parse().map_err(|_| no_version())?))
}

/// The internal id of the model that the permit is for.
fn model_of<O: ?Sized>(permit: &Permit<O>) -> Result<String, Problem> {
    let facts = permit.facts();
    facts.model.clone().filter(|_| facts.exists).ok_or_else(|| Problem::not_found("there is no such model"))
}

/// The job, if it is one of this model.
fn of_model(job: Option<Job>, model_id: &str) -> Result<Job, Problem> {
    job.filter(|job| job.model_id == model_id).ok_or_else(no_job)
}

fn page_rows(rows: Option<usize>) -> Result<usize, Problem> {
    match rows.unwrap_or(PAGE_ROWS_DEFAULT) {
        rows @ 1..=PAGE_ROWS_MAX => Ok(rows),
        _ => Err(Problem::invalid(format!("a page has 1 to {PAGE_ROWS_MAX} rows"))),
    }
}
