//! `backups.make` and `backups.try`: what the job does when it is a run's turn.

use std::sync::Arc;

use gate::{Action, Operation, Outcome, Permit, Target};
use kernel::{Micros, Problem};
use vault::db::Writer;

use crate::chain::Chain;
use crate::check::check;
use crate::runner::{Drill, Drilled};
use crate::types::{Run, RunState};
use crate::{Backup, make, store};

/// Makes a backup.
pub struct MakeBackup {
    /// The room.
    pub room: Backup,
    /// What was asked for.
    pub run: Run,
}

/// Tries a restore of the newest backup in a sandbox.
pub struct TryRestore {
    /// The room.
    pub room: Backup,
    /// What was asked for.
    pub run: Run,
    /// Does it.
    pub drill: Arc<dyn Drill>,
}

impl Operation for MakeBackup {
    const ACTION: Action = super::MAKE;
    type Output = Run;

    fn target(&self) -> Target {
        Target::Server
    }

    async fn run(self, permit: Permit<Self>) -> Result<Run, Problem> {
        let make::Made { run: ended, manifest, faulty, mended_count } = make::make(&self.room, &permit, &self.run).await?;
        let outcome = Outcome::done()
            .resource(ended.id.clone())
            .with("asked_by", ended.asked_by.clone())
            .with("sequence", store::signed(ended.sequence.unwrap_or(0)))
            .with("manifest_sha256", kernel::hex(ended.manifest_sha256.as_deref().unwrap_or_default()))
            .with("log_point", store::signed(ended.log_size.unwrap_or(0)))
            .with("object_count", store::signed(ended.object_count.unwrap_or(0)))
            .with("copied_bytes", store::signed(ended.copied_bytes.unwrap_or(0)))
            .with("mended_count", store::signed(mended_count))
            .with("faulty_manifest_count", faulty.len());
        let (row, room, at) = (ended.clone(), self.room.clone(), permit.entry().at);
        let write = move |writer: &mut Writer<'_>| {
            store::end_run(writer, &row)?;
            store::keep_manifest(writer, &row.id, &manifest)?;
            if let Some(sequence) = row.sequence {
                store::settle_faults(writer, &row.target, &faulty, sequence, at)?;
                room.keep(writer, &row.target, sequence, at)?;
            }
            Ok(((), outcome))
        };
        self.room.db().write(&permit, write).await?;
        Ok(ended)
    }
}

impl Operation for TryRestore {
    const ACTION: Action = super::TRY;
    type Output = Drilled;

    fn target(&self) -> Target {
        Target::Server
    }

    async fn run(self, permit: Permit<Self>) -> Result<Drilled, Problem> {
        let room = &self.room;
        let target = room.target(&self.run.target)?;
        let trust = room.trust().await?;
        let mut chain = Chain::read(&target, &trust).await?;
        chain.compare(&room.known_manifests(&permit, &self.run.target).await?, room.0.config.keep);
        let newest = chain.find(&target, None)?;
        room.progress(&self.run.id, "restoring", 0, 0).await?;
        let drilled = match self.drill.drill(&self.run.target, newest.manifest.sequence, trust.to_text()?).await {
            Ok(drilled) => drilled,
            Err(problem) => {
                // Which part it was, the drill does not say: all of them are read once more.
                let report = check(&target, &trust, &chain, newest, None).await?;
                room.note_faults(&self.run.target, &report).await?;
                return Err(problem);
            }
        };
        let ended = Run {
            state: RunState::Done,
            step: "done".to_owned(),
            sequence: Some(drilled.sequence),
            manifest_sha256: Some(newest.sha256.to_vec()),
            log_size: Some(newest.manifest.log.point),
            object_count: Some(drilled.object_count),
            copied_bytes: Some(drilled.restored_bytes),
            point_at: Some(Micros(newest.manifest.started_at)),
            took_ms: Some(drilled.took_ms),
            ended_at: Some(room.0.clock.now()),
            ..self.run.clone()
        };
        let outcome = Outcome::done()
            .resource(ended.id.clone())
            .with("asked_by", ended.asked_by.clone())
            .with("sequence", store::signed(drilled.sequence))
            .with("object_count", store::signed(drilled.object_count))
            .with("took_ms", store::signed(drilled.took_ms));
        room.db().write(&permit, move |writer| Ok((store::end_run(writer, &ended)?, outcome))).await?;
        Ok(drilled)
    }
}
