//! `strongroom audit recover`: the last resort for a log that does not fit together.

use std::path::PathBuf;

use audit::{AuditError, OnMismatch};
use clap::Args;
use kernel::{Kind, Problem};

use crate::{boot, config};

/// Options of `audit recover`.
#[derive(Args)]
#[command(
    after_help = "Copy the folder and the database away first, and look at `strongroom audit verify`. What is given up cannot be proved \
any more: a checkpoint kept elsewhere will not fit the log that goes on.\n\nExample:\n  strongroom audit recover --data ./data --accept"
)]
pub struct Recover {
    /// The data folder. No server may run on it.
    #[arg(long, value_name = "DIR", env = "STRONGROOM_DATA")]
    data: PathBuf,
    /// A configuration file, instead of DIR/strongroom.toml.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Go on from what is there. Without it nothing is done.
    #[arg(long)]
    accept: bool,
}

impl Recover {
    pub(super) async fn run(self) -> Result<(), Problem> {
        if !self.accept {
            return Err(Problem::invalid(
                "`audit recover` goes on from a log that does not verify, and records that it did. Run `audit verify` first, try \
                 to restore folder and database from one backup, and say --accept when there is no other way",
            ));
        }
        let config = config::load(&self.data, self.config.as_deref())?;
        let what = match boot::open(&self.data, &config).await {
            Ok(app) => {
                let size = app.rooms.audit.log().status().size;
                app.close().await;
                crate::say!("the log fits together ({size} records): there is nothing to accept");
                return Ok(());
            }
            Err(problem) => mismatch_of(problem)?,
        };
        crate::say!("mismatch    {what}");
        let way = boot::Way { on_mismatch: OnMismatch::Accept, ..boot::Way::default() };
        let app = boot::open_as(&self.data, &config, way).await.map_err(|problem| {
            let message = "the log is damaged where it cannot be gone on from; restore folder and database from one backup";
            Problem::new(Kind::Internal, message).because(problem)
        })?;
        let log = std::sync::Arc::clone(app.rooms.audit.log());
        // Two signatures: the record of this is covered by the checkpoint that is shown.
        let flushed = log.flush().await;
        let shown = log.checkpoint();
        app.close().await;
        flushed?;
        let (checkpoint, _) = shown?;
        crate::say!("accepted    the record `audit.accepted` holds a digest of the line above");
        crate::say!("checkpoint  {} records, root {}", checkpoint.size, kernel::hex(&checkpoint.root));
        crate::say!("next: strongroom audit verify --data {}", self.data.display());
        Ok(())
    }
}

/// What does not fit together; any other problem stays one.
fn mismatch_of(problem: Problem) -> Result<String, Problem> {
    let source = std::error::Error::source(&problem).and_then(|source| source.downcast_ref::<AuditError>());
    match source {
        Some(AuditError::Mismatch(what)) => Ok(what.clone()),
        _ => Err(problem),
    }
}
