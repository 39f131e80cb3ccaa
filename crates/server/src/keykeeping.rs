//! The jobs of keys: `custodian` rotates what is older than the configuration wants and goes on with what was interrupted, `shredder`
//! destroys what two people agreed on and whose time has come.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use artifacts::{Artifacts, DestroyDue, GetKeysStatus, KeyGround, KeyPolicy, RewrapDue, RotateDue, Rotated};
use gate::{Attempt, Gate, JobKey, JobPass};
use kernel::{Micros, Problem};
use parking_lot::Mutex;
use tokio::task::JoinHandle;
use vault::db::Reader;
use vault::keys::Retained;

use crate::config::VaultConfig;

/// The job that may rotate keys, and nothing else.
pub const CUSTODIAN: &str = "custodian";
/// The job that may destroy them.
pub const SHREDDER: &str = "shredder";
/// After a start; what a crash interrupted goes on then.
const FIRST_ROUND_AFTER: Duration = Duration::from_secs(5);
const ROUND_EVERY: Duration = Duration::from_secs(600);
/// Folders of the data folder in which no key may lie unwrapped. The root key's own is not among them.
const SEARCHED: [&str; 4] = ["db", "audit", "predictions", "tls"];

/// What somebody must look after, as the last round saw it. Cheap to clone.
#[derive(Clone, Default)]
pub struct KeyWarnings(Arc<Mutex<Vec<String>>>);

impl KeyWarnings {
    /// In words.
    pub fn now(&self) -> Vec<String> {
        self.0.lock().clone()
    }
}

/// Locked versions of objects keep the key that they are read with: destroying it would be deleting them.
struct LockedObjects;

impl Retained for LockedObjects {
    fn retained(&self, reader: &mut Reader<'_>, workspace: &str) -> Result<Option<String>, Problem> {
        match buckets::retained(reader, workspace)? {
            Some(reason) => Ok(Some(reason)),
            None => retention::held_reason(reader, workspace),
        }
    }

    fn time(&self, reader: &mut Reader<'_>) -> Result<Option<Micros>, Problem> {
        retention::written_time(reader)
    }
}

/// What the verbs of keys stand on.
pub fn ground(data: &Path, config: &VaultConfig) -> KeyGround {
    let policy = KeyPolicy {
        rotate_workspace_days: config.rotate_workspace_keys_days,
        rotate_root_days: config.rotate_root_key_days,
        destroy_wait_days: config.destroy_wait_days,
    };
    let searched = SEARCHED.iter().map(|folder| data.join(folder)).collect();
    KeyGround { policy, retained: Arc::new(LockedObjects), searched }
}

/// Begins to look after keys. Only a server does: a command ends too soon.
pub fn begin(artifacts: &Artifacts, gate: &Gate, jobs: &JobKey, warnings: KeyWarnings) -> JoinHandle<()> {
    let keeper = Keeper {
        artifacts: artifacts.clone(),
        gate: gate.clone(),
        custodian: jobs.pass(CUSTODIAN),
        shredder: jobs.pass(SHREDDER),
    };
    tokio::spawn(async move {
        tokio::time::sleep(FIRST_ROUND_AFTER).await;
        loop {
            if let Err(problem) = keeper.rotate().await {
                tracing::warn!(%problem, "keys could not be rotated");
            }
            if let Err(problem) = keeper.destroy().await {
                tracing::warn!(%problem, "keys whose time has come could not be destroyed");
            }
            match keeper.look().await {
                Ok(found) => {
                    // Told when it begins, not each round.
                    for warning in found.iter().filter(|warning| !warnings.now().contains(warning)) {
                        tracing::warn!("keys: {warning}");
                    }
                    *warnings.0.lock() = found;
                }
                Err(problem) => tracing::warn!(%problem, "it could not be found out how keys stand"),
            }
            tokio::time::sleep(ROUND_EVERY).await;
        }
    })
}

struct Keeper {
    artifacts: Artifacts,
    gate: Gate,
    custodian: JobPass,
    shredder: JobPass,
}

impl Keeper {
    async fn rotate(&self) -> Result<(), Problem> {
        let attempt = || Attempt::of_job(self.custodian.clone());
        while let Some(rotated) = self.gate.call(attempt(), RotateDue { room: self.artifacts.clone() }).await? {
            match rotated {
                Rotated::Workspace(workspace, version) => tracing::info!(workspace, version, "a workspace's key was rotated"),
                Rotated::Root(version, count) => tracing::info!(version, count, "the root key was rotated"),
                Rotated::Finished(count) => tracing::info!(count, "an interrupted rotation of the root key was finished"),
            }
        }
        let mut all = 0_u64;
        loop {
            let count = self.gate.call(attempt(), RewrapDue { room: self.artifacts.clone() }).await?;
            if count == 0 {
                break;
            }
            all = all.saturating_add(count);
        }
        if all > 0 {
            tracing::info!(count = all, "object keys were wrapped by their workspaces' newest keys");
        }
        Ok(())
    }

    async fn look(&self) -> Result<Vec<String>, Problem> {
        let verb = GetKeysStatus { room: self.artifacts.clone() };
        Ok(self.gate.call(Attempt::of_job(self.custodian.clone()), verb).await?.warnings)
    }

    async fn destroy(&self) -> Result<(), Problem> {
        let mut passed_over = Vec::new();
        loop {
            let verb = DestroyDue { room: self.artifacts.clone(), passed_over: passed_over.clone() };
            let Some(next) = self.gate.call(Attempt::of_job(self.shredder.clone()), verb).await? else { return Ok(()) };
            match next.done {
                Ok(tombstone) => tracing::warn!(workspace = tombstone.workspace, "the key of a workspace was destroyed"),
                Err(problem) => {
                    tracing::warn!(request = next.request, %problem, "the key of a workspace could not be destroyed yet")
                }
            }
            passed_over.push(next.request);
        }
    }
}
