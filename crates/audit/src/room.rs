//! The room's handle.

use std::sync::Arc;

use tokio::sync::Semaphore;
use vault::db::SystemDb;

use crate::blocking::block_on;
use crate::error::AuditError;
use crate::log::AuditLog;
use crate::verify::{DatabaseRows, Policy, Progress, Report, verify_directory};
use crate::{outbox, store};

/// The room, for its verbs. Cheap to clone.
#[derive(Clone)]
pub struct Audit {
    pub(crate) log: Arc<AuditLog>,
    pub(crate) verifying: Arc<Semaphore>,
}

impl Audit {
    /// The room over an open log.
    #[must_use]
    pub fn new(log: Arc<AuditLog>) -> Self {
        Self { log, verifying: Arc::new(Semaphore::new(1)) }
    }

    /// The log.
    #[must_use]
    pub const fn log(&self) -> &Arc<AuditLog> {
        &self.log
    }
}

/// The log's rows in the database, for [`verify_directory`]. It waits for the database: call it where blocking is
/// allowed.
///
/// # Errors
/// `Database` if it cannot be reached.
pub fn database_rows(system: &SystemDb) -> Result<DatabaseRows, AuditError> {
    let checkpoints = block_on(system.read(|reader| Ok(store::read_checkpoints(reader)?))).map_err(AuditError::Database)?;
    Ok(DatabaseRows { checkpoints, outbox: outbox::read_all(system)? })
}

/// The newest checkpoint of a log that a database knows.
///
/// # Errors
/// As the database's.
pub fn known_checkpoint(
    reader: &mut vault::db::Reader<'_>,
    origin: &str,
) -> Result<Option<crate::CheckpointRow>, kernel::Problem> {
    Ok(store::read_checkpoint(reader, origin)?)
}

impl AuditLog {
    /// Verifies the whole log from its files and the database's rows. It takes a while: call it where blocking is allowed.
    ///
    /// # Errors
    /// `Io` or `Database` if they cannot be read at all.
    pub fn verify(&self, progress: Progress<'_>) -> Result<Report, AuditError> {
        let rows = database_rows(self.system())?;
        let policy = Policy {
            log: self.verifier_key().clone(),
            witnesses: self.witness_keys().to_vec(),
            install_key: Some(self.config().install_key.clone()),
        };
        verify_directory(&self.config().dir, &policy, Some(&rows), progress)
    }
}
