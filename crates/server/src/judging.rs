//! How log-ins are judged: the room's wiring, and what keeps it in step with the database.

use std::sync::Arc;
use std::time::Duration;

use kernel::{Clock, Problem, Secret};
use risk::{Ground, LogIns, RiskConfig};
use vault::db::{DbError, Opened, Reader};
use vault::keys::Keyring;

/// How often whoever was deleted is looked for.
const SWEEP_EVERY: Duration = Duration::from_secs(60);

/// Opens the room. Only a server lets anybody in, so only it reads what log-ins are judged by.
///
/// # Errors
/// `Invalid` for a list of the configuration that cannot be used; `Unavailable` if the database is down.
pub(crate) async fn open(
    opened: &Opened,
    keyring: &Keyring,
    clock: &Arc<dyn Clock>,
    (config, is_server): (&RiskConfig, bool),
) -> Result<LogIns, Problem> {
    let ground = Ground {
        db: opened.db.clone(),
        system: opened.system.clone(),
        clock: Arc::clone(clock),
        secret: Secret::clone(&*keyring.secret("risk/log-ins").await?),
        find_person,
    };
    let log_ins = LogIns::open(ground, &config.log_ins)?;
    if is_server {
        log_ins.load().await?;
    }
    Ok(log_ins)
}

fn find_person(reader: &mut Reader<'_>, who: &str) -> Result<Option<String>, DbError> {
    Ok(identity::principal_with_groups(reader, who)?.map(|(principal, _)| principal.id))
}

/// Forgets whoever was deleted, minute by minute.
pub(crate) async fn keep(log_ins: LogIns) {
    let mut ticks = tokio::time::interval(SWEEP_EVERY);
    loop {
        ticks.tick().await;
        if let Err(problem) = log_ins.sweep().await {
            tracing::warn!(%problem, "whoever was deleted could not be forgotten");
        }
    }
}
