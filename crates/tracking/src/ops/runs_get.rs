//! Reads a run.

use gate::{Action, Operation, Permit, Target};
use kernel::Problem;

use crate::Tracking;
use crate::store::runs;
use crate::types::{Run, no_run};

/// Reads a run with the latest point of each metric and all else that was logged.
pub struct GetRun {
    /// The room.
    pub room: Tracking,
    /// Its id.
    pub run_id: String,
}

impl Operation for GetRun {
    const ACTION: Action = super::RUNS_GET;
    type Output = Run;

    fn target(&self) -> Target {
        Target::Run(self.run_id.clone())
    }

    async fn run(self, permit: Permit<Self>) -> Result<Run, Problem> {
        let row = super::run_row(&permit, &self.run_id)?;
        let found = self.room.db.read_point(&permit, move |reader| runs::full(reader, row)).await?;
        found.ok_or_else(|| no_run(&self.run_id))
    }
}
