//! The room of backups: its wiring, and drills, which restore in a child of this very program.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;

use backup::{Backup, BackupConfig, Drill, Drilled, Ground, Runner};
use gate::{BoxFuture, Gate, JobKey};
use kernel::{Clock, Micros, Problem, Secret};
use observe::{HealthOf, HealthState, MoreHealth};
use tokio::io::AsyncWriteExt;
use tokio::process::Command;
use tokio::task::JoinHandle;
use vault::db::{Opened, Reader};
use vault::keys::Keyring;
use vault::objects::Objects;

use crate::boot;
use crate::config::Config;

/// What a drill may say on its standard error, for the message.
const WORDS_BYTES_MAX: usize = 2_000;

/// Opens the room.
pub fn open(
    data: &Path,
    config: &Config,
    opened: &Opened,
    (objects, keys, audit): (&Objects, &Keyring, &audit::Audit),
    clock: &Arc<dyn Clock>,
    rules: &retention::Rules,
) -> Backup {
    Backup::new(Ground {
        db: opened.db.clone(),
        system: opened.system.clone(),
        objects: objects.clone(),
        keys: keys.clone(),
        audit: audit.clone(),
        clock: Arc::clone(clock),
        data: data.to_path_buf(),
        config: config.backup.clone(),
        wake: tokio::sync::Notify::new(),
        retention: Some(rules.clone()),
    })
}

/// Begins to do what is asked for; `by_schedule` where a server runs. In commands too: `backup run` works without a server.
pub fn begin(room: &Backup, data: &Path, config: &Config, (gate, jobs): (&Gate, &JobKey), by_schedule: bool) -> JoinHandle<()> {
    let keys = boot::root_key_path(data, &config.vault.root_key).unwrap_or_else(|| data.join("keys"));
    let drill = Arc::new(InChild { data: data.to_path_buf(), keys, config: config.backup.clone() });
    tokio::spawn(Runner::new(room.clone(), gate.clone(), jobs.pass(backup::BACKUP), drill).run(by_schedule))
}

/// How backups are, for `health.show`.
pub fn health(config: &BackupConfig) -> MoreHealth {
    let config = config.clone();
    Arc::new(move |reader: &mut Reader<'_>, now: Micros| {
        let Some(how) = backup::how(reader, &config, now)? else { return Ok(Vec::new()) };
        let state = if how.is_degraded { HealthState::Degraded } else { HealthState::Healthy };
        Ok(vec![HealthOf { kind: "backup", name: "backup".to_owned(), state, reasons: how.reasons }])
    })
}

/// Restores in a child, into a folder below the data folder that goes afterwards.
struct InChild {
    data: PathBuf,
    keys: PathBuf,
    config: BackupConfig,
}

impl Drill for InChild {
    fn drill<'a>(&'a self, place: &'a str, sequence: u64, trust: Secret) -> BoxFuture<'a, Result<Drilled, Problem>> {
        Box::pin(async move {
            let into = self.data.join("backup").join("drill");
            clear(&into)?;
            let done = self.restore(place, sequence, &trust, &into).await;
            clear(&into)?;
            done
        })
    }
}

impl InChild {
    async fn restore(&self, place: &str, sequence: u64, trust: &Secret, into: &Path) -> Result<Drilled, Problem> {
        let failed = |error: std::io::Error| Problem::unavailable("a drill could not be begun").because(error);
        let own = std::env::current_exe().map_err(failed)?;
        let mut command = Command::new(own);
        command.args([
            "backup",
            "restore",
            "--drill",
            "--json",
            "--backup-key",
            "-",
            "--from",
            place,
            "--region",
            &self.config.region,
        ]);
        command.arg("--sequence").arg(sequence.to_string()).arg("--into").arg(into).arg("--keys").arg(&self.keys);
        if let Some(endpoint) = &self.config.endpoint {
            command.args(["--endpoint", endpoint]);
        }
        if let Some(ca) = &self.config.ca {
            command.arg("--ca").arg(ca);
        }
        if let Some(programs) = &self.config.postgres_programs {
            command.arg("--postgres-programs").arg(programs);
        }
        if self.config.allow_insecure_http {
            command.arg("--allow-insecure-http");
        }
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
        let mut child = command.spawn().map_err(failed)?;
        if let Some(mut stdin) = child.stdin.take() {
            stdin.write_all(trust.expose()).await.map_err(failed)?;
            stdin.shutdown().await.map_err(failed)?;
        }
        let ended = child.wait_with_output().await.map_err(failed)?;
        if !ended.status.success() {
            let words = String::from_utf8_lossy(&ended.stderr).trim().chars().take(WORDS_BYTES_MAX).collect::<String>();
            return Err(Problem::internal(format!("the backup could not be restored: {words}"), ended.status.to_string()));
        }
        serde_json::from_slice(&ended.stdout).map_err(|error| Problem::internal("the drill's report cannot be read", error))
    }
}

fn clear(folder: &Path) -> Result<(), Problem> {
    match std::fs::remove_dir_all(folder) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(Problem::unavailable(format!("`{}` cannot be taken away", folder.display())).because(error))
        }
        _ => Ok(()),
    }
}
