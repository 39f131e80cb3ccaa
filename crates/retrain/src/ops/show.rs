//! `retraining.show`, `retraining.list` and `retraining.logs`.

use gate::{Action, Operation, Permit, Target};
use kernel::{Cursor, Problem};
use vault::db::Reader;

use super::{model_of, of_model, page_rows};
use crate::store::jobs;
use crate::{Job, Retrain};

/// Shows a job.
pub struct ShowJob {
    /// The room.
    pub room: Retrain,
    /// The model's name.
    pub name: String,
    /// The job's id.
    pub job: String,
}

impl Operation for ShowJob {
    const ACTION: Action = super::SHOW;
    type Output = Job;

    fn target(&self) -> Target {
        Target::RegisteredModel(self.name.clone())
    }

    async fn run(self, permit: Permit<Self>) -> Result<Job, Problem> {
        let (model_id, id) = (model_of(&permit)?, self.job);
        self.room.db().read(&permit, move |reader: &mut Reader<'_>| of_model(jobs::get(reader, &id)?, &model_id)).await
    }
}

/// Shows what a job wrote.
pub struct ReadLog {
    /// The room.
    pub room: Retrain,
    /// The model's name.
    pub name: String,
    /// The job's id.
    pub job: String,
}

impl Operation for ReadLog {
    const ACTION: Action = super::LOGS;
    type Output = String;

    fn target(&self) -> Target {
        Target::RegisteredModel(self.name.clone())
    }

    async fn run(self, permit: Permit<Self>) -> Result<String, Problem> {
        let (model_id, id) = (model_of(&permit)?, self.job);
        let read = move |reader: &mut Reader<'_>| {
            let job = of_model(jobs::get(reader, &id)?, &model_id)?;
            Ok(jobs::log(reader, &job.id)?.unwrap_or_default())
        };
        self.room.db().read(&permit, read).await
    }
}

/// Lists the jobs of a workspace, the newest first.
pub struct ListJobs {
    /// The room.
    pub room: Retrain,
    /// What the page before gave as `next`.
    pub after: Option<String>,
    /// Rows of a page.
    pub rows: Option<usize>,
}

/// A page of jobs.
#[derive(Clone, Debug, PartialEq)]
pub struct JobPage {
    /// The jobs.
    pub rows: Vec<Job>,
    /// What the next page is asked with; none at the end.
    pub next: Option<String>,
}

impl Operation for ListJobs {
    const ACTION: Action = super::LIST;
    type Output = JobPage;

    fn target(&self) -> Target {
        Target::Workspace
    }

    async fn run(self, permit: Permit<Self>) -> Result<JobPage, Problem> {
        let (rows, after) = (page_rows(self.rows)?, self.after.as_deref().map(Cursor::read).transpose()?);
        let (workspace, scope) = (permit.workspace()?.to_owned(), permit.scope().clone());
        let read =
            move |reader: &mut Reader<'_>| Ok(jobs::list(reader, &workspace, &scope, after.as_ref(), rows.saturating_add(1))?);
        let mut found = self.room.db().read(&permit, read).await?;
        let more = found.len() > rows;
        found.truncate(rows);
        let next = found.last().filter(|_| more).map(|last| Cursor { at: last.asked_at, id: last.id.clone() }.to_string());
        Ok(JobPage { rows: found, next })
    }
}
