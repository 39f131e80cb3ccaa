//! The sealer: turns the journal's segments into batches, under a job's narrow identity.

use std::collections::BTreeMap;
use std::time::Duration;

use gate::{Attempt, Gate, JobPass};
use kernel::{Problem, hex, sha256};

use crate::batch::{BatchWriter, Made};
use crate::journal::{Journal, Segment};
use crate::ops::SealBatch;
use crate::record::Record;
use crate::{Predictions, store};

/// The job's name, which the policy knows.
pub const SEALER: &str = "sealer";
/// How long to wait after a fault before the next try.
const FAULT_PAUSE: Duration = Duration::from_secs(2);

/// Seals for one server process.
pub struct Runner {
    room: Predictions,
    gate: Gate,
    pass: JobPass,
}

/// What a batch's predictions have in common: workspace, endpoint, version.
type Group = (String, String, String);

impl Runner {
    /// A runner. `pass` is that of the job [`SEALER`].
    #[must_use]
    pub const fn new(room: Predictions, gate: Gate, pass: JobPass) -> Self {
        Self { room, gate, pass }
    }

    /// Works until it is dropped.
    pub async fn run(self) {
        let every = Duration::from_secs(self.room.0.config.seal_seconds);
        loop {
            if let Err(problem) = self.step().await {
                tracing::warn!(%problem, "predictions could not be sealed");
                tokio::time::sleep(FAULT_PAUSE).await;
                continue;
            }
            // Whoever is told in between has stored a permit, so nothing is missed.
            drop(tokio::time::timeout(every, self.room.0.wake.notified()).await);
        }
    }

    /// Seals what waits. Gives how many batches that made.
    ///
    /// # Errors
    /// If some could not be sealed; then it waits for the next step.
    pub async fn step(&self) -> Result<usize, Problem> {
        self.room.0.rounds.send_modify(|(begun, _)| *begun = begun.saturating_add(1));
        let mut count = 0_usize;
        for segment in self.room.0.journal.rotate() {
            count = count.saturating_add(self.seal(segment).await?);
        }
        self.room.0.rounds.send_modify(|(begun, ended)| *ended = *begun);
        Ok(count)
    }

    async fn seal(&self, segment: Segment) -> Result<usize, Problem> {
        let journal = self.room.0.journal.clone();
        let from = segment.clone();
        let writing = tokio::task::spawn_blocking(move || batches(&journal, &from));
        let groups = writing.await.map_err(|broken| Problem::internal("writing batches broke off", broken))??;
        let count = groups.len();
        for ((workspace, endpoint_id, version), made) in groups {
            let id = batch_id(&segment, &workspace, &endpoint_id, &version);
            let (known, wanted) = (id.clone(), workspace.clone());
            // A crash may have come between two batches of one segment: what is sealed is not sealed again.
            let read = move |reader: &mut vault::db::Reader<'_>| {
                Ok((store::is_sealed(reader, &known)?, store::workspace_name(reader, &wanted)?))
            };
            let (is_sealed, name) = self.room.system().read(read).await?;
            if is_sealed {
                continue;
            }
            let gone = || Problem::internal("predictions of a workspace that is not there wait to be sealed", workspace.clone());
            let attempt = Attempt { workspace: name.ok_or_else(gone)?, ..Attempt::of_job(self.pass.clone()) };
            self.gate.call(attempt, SealBatch { room: self.room.clone(), id, made }).await?;
        }
        self.room.0.journal.remove(&segment)?;
        Ok(count)
    }
}

/// The same segment gives the same batches, whenever and however often it is sealed.
fn batch_id(segment: &Segment, workspace: &str, endpoint_id: &str, version: &str) -> String {
    let mut bytes = segment.id.to_vec();
    for part in [workspace, endpoint_id, version] {
        bytes.extend_from_slice(&(part.len() as u64).to_be_bytes());
        bytes.extend_from_slice(part.as_bytes());
    }
    let digest = sha256(&bytes);
    hex(digest.get(..16).unwrap_or(&digest))
}

/// Reads a segment and writes its batches, a slice at a time: a segment of 16 MiB takes little more than its batches in memory.
fn batches(journal: &Journal, segment: &Segment) -> Result<Vec<(Group, Made)>, Problem> {
    let mut groups: BTreeMap<Group, BatchWriter> = BTreeMap::new();
    journal.each(segment, |frame| {
        let unreadable = || Problem::internal("a prediction in the journal cannot be read", "another layout");
        let record = Record::parse(&frame.record).ok_or_else(unreadable)?;
        let group = (record.workspace.clone(), record.endpoint_id.clone(), record.version.clone());
        groups.entry(group).or_default().take(record, frame)
    })?;
    let made = groups.into_iter().map(|(group, writer)| Ok((group, writer.finish()?)));
    made.filter_map(|made| made.map(|(group, made)| Some((group, made?))).transpose()).collect()
}
