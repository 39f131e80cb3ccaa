//! `backups.escrow`: the backup key, handed out once, to be kept apart from the backups. Without it they open on this server alone.

use gate::{Action, Operation, Outcome, Permit, Target};
use kernel::{Kind, Problem, Secret};

use crate::{Backup, KEY_NAME, store};

/// Hands out the backup key, with what manifests and the log are checked by.
pub struct ExportKey {
    /// The room.
    pub room: Backup,
}

impl Operation for ExportKey {
    const ACTION: Action = super::ESCROW;
    /// The text to be kept.
    type Output = Secret;

    fn target(&self) -> Target {
        Target::Server
    }

    async fn run(self, permit: Permit<Self>) -> Result<Secret, Problem> {
        let trust = self.room.trust().await?;
        let text = trust.to_text()?;
        let (by, at) = (permit.entry().caller.id.clone(), permit.entry().at);
        let outcome = Outcome::done().with("signer", trust.signer.key_id());
        let write = move |writer: &mut vault::db::Writer<'_>| {
            if store::add_escrow(writer, KEY_NAME, &by, at)? {
                return Ok(((), outcome));
            }
            let message = "the backup key was handed out before, and is handed out once: look for the file that was made then. \
                           `strongroom audit search --what backups.escrow` says when, and by whom";
            Err(Problem::new(Kind::Conflict, message))
        };
        self.room.db().write(&permit, write).await?;
        Ok(text)
    }
}
