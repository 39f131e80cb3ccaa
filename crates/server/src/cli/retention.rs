//! `strongroom retention`.

use clap::{Args, Subcommand};
use kernel::Problem;

use super::client::Connection;
use super::output::show;

/// Look at what is retained.
#[derive(Subcommand)]
pub enum Retention {
    /// Show by which time versions are retained in the workspace, how many are, and how many are under a legal hold.
    Status(Plain),
}

/// Nothing but the connection.
#[derive(Args)]
#[command(
    after_help = "A lag says that the wall clock is ahead of the compliance clock: it was set forward, or the server was down for long. \
Retention waits for the compliance clock.\n\nExample:\n  strongroom retention status --json"
)]
pub struct Plain {
    #[command(flatten)]
    connection: Connection,
}

impl Retention {
    pub(super) async fn run(self) -> Result<(), Problem> {
        let Self::Status(plain) = self;
        let mut client = plain.connection.open().await?;
        let state = client.get("/api/strongroom/v1/retention").await?;
        show(
            &client,
            &state,
            &["compliance_at", "wall_at", "lag_s", "clock_is_followed", "held_count", "retained_count", "enforced_by"],
        )
    }
}
