//! `backups.list` and `backups.show`.

use gate::{Action, Operation, Permit, Target};
use kernel::Problem;

use crate::types::Run;
use crate::{Backup, store};

/// Runs of one answer.
const RUN_COUNT_MAX: i64 = 1_000;

/// Lists what was asked for, the newest first.
pub struct ListRuns {
    /// The room.
    pub room: Backup,
}

/// Shows one run.
pub struct ShowRun {
    /// The room.
    pub room: Backup,
    /// Its id.
    pub id: String,
}

impl Operation for ListRuns {
    const ACTION: Action = super::LIST;
    type Output = Vec<Run>;

    fn target(&self) -> Target {
        Target::Server
    }

    async fn run(self, permit: Permit<Self>) -> Result<Vec<Run>, Problem> {
        self.room.db().read(&permit, |reader| store::runs(reader, RUN_COUNT_MAX)).await
    }
}

impl Operation for ShowRun {
    const ACTION: Action = super::SHOW;
    type Output = Run;

    fn target(&self) -> Target {
        Target::Server
    }

    async fn run(self, permit: Permit<Self>) -> Result<Run, Problem> {
        let id = self.id;
        let found = self.room.db().read_point(&permit, move |reader| store::run(reader, &id)).await?;
        found.ok_or_else(|| Problem::not_found("there is no backup or drill of that id"))
    }
}
