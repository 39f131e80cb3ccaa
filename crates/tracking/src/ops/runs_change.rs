//! Changes a run's status, end or name; puts it aside, takes it back.

use gate::{Action, Operation, Outcome, Permit, Target};
use kernel::Problem;

use crate::attribution::RUN_NAME;
use crate::store::runs;
use crate::types::{KeyValue, RunInfo, RunStatus, no_run};
use crate::{Tracking, rules};

/// Changes what is given of a run that is in use.
pub struct UpdateRun {
    /// The room.
    pub room: Tracking,
    /// Its id.
    pub run_id: String,
    /// How far it is.
    pub status: Option<RunStatus>,
    /// When it ended, in the client's words.
    pub end_time_ms: Option<i64>,
    /// Its name; an empty one changes nothing.
    pub run_name: Option<String>,
}

impl Operation for UpdateRun {
    const ACTION: Action = super::RUNS_UPDATE;
    type Output = RunInfo;

    fn target(&self) -> Target {
        Target::Run(self.run_id.clone())
    }

    async fn run(self, permit: Permit<Self>) -> Result<RunInfo, Problem> {
        let name = self.run_name.filter(|name| !name.is_empty());
        if let Some(name) = &name {
            rules::run_name(name)?;
            rules::no_nul("run_name", name)?;
        }
        let row = super::run_row(&permit, &self.run_id)?;
        let (run_id, status, end_time_ms) = (self.run_id, self.status, self.end_time_ms);
        self.room
            .db
            .write(&permit, move |tx| {
                super::active_run_user(tx, row, &run_id)?;
                runs::update(tx, row, status.map(RunStatus::word), end_time_ms, name.as_deref())?;
                if let Some(name) = name {
                    runs::put_tags(tx, row, &[KeyValue::new(RUN_NAME, name)])?;
                }
                let info = runs::info(tx, row)?.ok_or_else(|| no_run(&run_id))?;
                let outcome = Outcome::done().resource(run_id).with("status", info.status.as_str());
                Ok((info, outcome))
            })
            .await
    }
}

/// Puts a run aside.
pub struct DeleteRun {
    /// The room.
    pub room: Tracking,
    /// Its id.
    pub run_id: String,
}

impl Operation for DeleteRun {
    const ACTION: Action = super::RUNS_DELETE;
    type Output = ();

    fn target(&self) -> Target {
        Target::Run(self.run_id.clone())
    }

    async fn run(self, permit: Permit<Self>) -> Result<(), Problem> {
        set_deleted(&self.room, permit, &self.run_id, true).await
    }
}

/// Takes a run back into use.
pub struct RestoreRun {
    /// The room.
    pub room: Tracking,
    /// Its id.
    pub run_id: String,
}

impl Operation for RestoreRun {
    const ACTION: Action = super::RUNS_RESTORE;
    type Output = ();

    fn target(&self) -> Target {
        Target::Run(self.run_id.clone())
    }

    async fn run(self, permit: Permit<Self>) -> Result<(), Problem> {
        set_deleted(&self.room, permit, &self.run_id, false).await
    }
}

async fn set_deleted<O: Operation>(room: &Tracking, permit: Permit<O>, run_id: &str, deleted: bool) -> Result<(), Problem> {
    let row = super::run_row(&permit, run_id)?;
    let (run_id, at) = (run_id.to_owned(), permit.entry().at);
    room.db
        .write(&permit, move |tx| {
            runs::set_deleted(tx, row, deleted, at)?;
            Ok(((), Outcome::done().resource(run_id)))
        })
        .await
}
