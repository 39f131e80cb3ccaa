//! `backups.run` and `backups.drill`: something waits to be done by the job.

use gate::{Action, Operation, Outcome, Permit, Target};
use kernel::{Kind, Problem};

use crate::types::{Run, RunKind};
use crate::{Backup, store};

/// Asks for a backup.
pub struct RunBackup {
    /// The room.
    pub room: Backup,
    /// The place, if not the configured one: one of those that the configuration names.
    pub to: Option<String>,
}

/// Asks for a drill.
pub struct DrillBackup {
    /// The room.
    pub room: Backup,
    /// The place, as for a backup.
    pub to: Option<String>,
}

impl Operation for RunBackup {
    const ACTION: Action = super::RUN;
    type Output = Run;

    fn target(&self) -> Target {
        Target::Server
    }

    async fn run(self, permit: Permit<Self>) -> Result<Run, Problem> {
        ask(&self.room, &permit, RunKind::Backup, self.to.as_deref()).await
    }
}

impl Operation for DrillBackup {
    const ACTION: Action = super::DRILL;
    type Output = Run;

    fn target(&self) -> Target {
        Target::Server
    }

    async fn run(self, permit: Permit<Self>) -> Result<Run, Problem> {
        ask(&self.room, &permit, RunKind::Drill, self.to.as_deref()).await
    }
}

async fn ask<O: ?Sized>(room: &Backup, permit: &Permit<O>, kind: RunKind, to: Option<&str>) -> Result<Run, Problem> {
    let place = room.0.config.place(to)?;
    // A place that cannot be used is told at once, and not by a job later.
    drop(room.target(&place)?);
    let entry = permit.entry();
    let run = Run::new(kind, &place, &entry.caller.id, entry.at);
    let made = run.clone();
    let write = move |writer: &mut vault::db::Writer<'_>| {
        if let Some(open) = store::open_run(writer, kind)? {
            let message = format!("a {} is {} already ({}); wait for it", kind.word(), open.state.word(), open.id);
            return Err(Problem::new(Kind::Conflict, message));
        }
        store::add_run(writer, &run)?;
        Ok(((), Outcome::done().resource(run.id.clone())))
    };
    room.db().write(permit, write).await?;
    room.0.wake.notify_one();
    Ok(made)
}
