//! `backups.verify`: a backup is read whole, and checked against its manifest, the manifests before it, and the running log.

use gate::{Action, Operation, Outcome, Permit, Target};
use kernel::Problem;

use crate::chain::Chain;
use crate::check::{Checked, check};
use crate::{Backup, store};

/// Verifies one backup.
pub struct VerifyBackup {
    /// The room.
    pub room: Backup,
    /// The place, as for a backup.
    pub to: Option<String>,
    /// Its number; the newest if none.
    pub sequence: Option<u64>,
}

impl Operation for VerifyBackup {
    const ACTION: Action = super::VERIFY;
    type Output = Checked;

    fn target(&self) -> Target {
        Target::Server
    }

    async fn run(self, permit: Permit<Self>) -> Result<Checked, Problem> {
        let room = &self.room;
        let place = room.0.config.place(self.to.as_deref())?;
        let target = room.target(&place)?;
        let trust = room.trust().await?;
        let mut chain = Chain::read(&target, &trust).await?;
        chain.compare(&room.known_manifests(&permit, &place).await?, room.0.config.keep);
        let of = chain.find_good(&target, self.sequence)?;
        let log = room.0.audit.log();
        log.flush().await?;
        let report = check(&target, &trust, &chain, of, Some(&|old| log.goes_on_from(old))).await?;
        room.note_faults(&place, &report).await?;
        let outcome = Outcome::done()
            .with("sequence", store::signed(report.sequence))
            .with("fault_count", store::signed(report.fault_count))
            .with("manifest_sha256", kernel::hex(&of.sha256));
        permit.defer_outcome().settle(&outcome);
        Ok(report)
    }
}
