//! `strongroom objects verify` and `sweep`: is every stored byte as it was written, and is nothing left over?

use clap::{Args, Subcommand};
use kernel::Problem;
use serde_json::{Value, json};

use super::client::Connection;
use super::output::show;

const PREFIX: &str = "/api/strongroom/v1/objects";

/// Check the stored bytes: those of artifacts, data sets and buckets.
#[derive(Subcommand)]
pub enum Objects {
    /// Read every stored object and compare it with what was written.
    Verify(Verify),
    /// Take away what a crash left behind, and what no row names.
    Sweep(Sweep),
}

/// Options of `objects verify`.
#[derive(Args)]
#[command(
    after_help = "It reads everything once, and ends with 1 if something is missing or was changed. What is damaged is restored from a \
backup.\n\nExample:\n  strongroom objects verify"
)]
pub struct Verify {
    #[command(flatten)]
    connection: Connection,
}

/// Options of `objects sweep`.
#[derive(Args)]
#[command(after_help = "The server does this by itself, too.\n\nExample:\n  strongroom objects sweep")]
pub struct Sweep {
    #[command(flatten)]
    connection: Connection,
}

impl Objects {
    pub(super) async fn run(self) -> Result<(), Problem> {
        match self {
            Self::Verify(verify) => verify.run().await,
            Self::Sweep(sweep) => sweep.run().await,
        }
    }
}

impl Verify {
    async fn run(self) -> Result<(), Problem> {
        let mut client = self.connection.open().await?;
        let answer = client.post(&format!("{PREFIX}/verify"), &json!({})).await?;
        show(&client, &answer, &["checked_count", "checked_bytes", "damaged_count", "damaged", "destroyed_count"])?;
        if answer.get("damaged_count").and_then(Value::as_u64) == Some(0) {
            return Ok(());
        }
        Err(Problem::internal("stored objects are missing or were changed", "the report above names the first of them"))
    }
}

impl Sweep {
    async fn run(self) -> Result<(), Problem> {
        let mut client = self.connection.open().await?;
        let answer = client.post(&format!("{PREFIX}/sweep"), &json!({})).await?;
        show(&client, &answer, &["unfinished_count", "orphan_count"])
    }
}
