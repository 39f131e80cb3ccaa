//! `strongroom retention`.

use clap::{Args, Subcommand};
use kernel::Problem;
use serde_json::json;

use super::client::Connection;
use super::output::{list, show};

const PREFIX: &str = "/api/strongroom/v1/retention";
const KEPT: [&str; 9] = ["kind", "name", "rule", "mode", "until", "legal_hold", "in_force", "files", "enforced_by"];
const CHANGED: [&str; 6] = ["kind", "name", "rule", "mode", "until", "legal_hold"];

/// Look at what is retained, and change it.
#[derive(Subcommand)]
#[command(
    after_help = "Objects of buckets are locked through S3. Versions of data sets and models, and backups, are retained as a whole by the rules \
in the file that `retention.rules` of the configuration names, or by a legal hold, which needs no rule.

Examples:
  strongroom retention list
  strongroom retention extend dataset churn@3 --mode COMPLIANCE --until 2035-01-01T00:00:00Z
  strongroom retention hold model churn/3
  strongroom retention bypass dataset trial@1 --reason \"collected without consent\""
)]
pub enum Retention {
    /// Show by which time versions are retained in the workspace, how many are, and how many are under a legal hold.
    Status(Plain),
    /// List what is retained: until when, by which rule, whether by a legal hold, and enforced by what.
    List(List),
    /// Retain something longer, or more strictly.
    Extend(Extend),
    /// Put something under a legal hold, which has no end of its own, whether a rule retains it or not.
    Hold(Which),
    /// Lift a legal hold. A retention stays.
    Lift(Which),
    /// Shorten or end the retention of something under GOVERNANCE. It opens a critical alert; nobody can do it under COMPLIANCE.
    Bypass(Bypass),
}

/// Nothing but the connection.
#[derive(Args)]
#[command(
    after_help = "A lag says that the wall clock is ahead of the compliance clock: it was set forward, or the server was down for long; a lag below nought, \
that it was set back, or that somebody changed the clock in the database (`strongroom audit verify` with the server stopped tells). \
Retention waits for the compliance clock.\n\nExample:\n  strongroom retention status --json"
)]
pub struct Plain {
    #[command(flatten)]
    connection: Connection,
}

/// What is listed.
#[derive(Args)]
#[command(after_help = "Examples:\n  strongroom retention list\n  strongroom retention list --server --json")]
pub struct List {
    /// What is the server's own: backups. Else what is in the workspace.
    #[arg(long)]
    server: bool,
    #[command(flatten)]
    connection: Connection,
}

/// One thing.
#[derive(Args)]
#[command(after_help = "Example:\n  strongroom retention hold model churn/3")]
pub struct Which {
    /// What it is: dataset, model or backup.
    kind: String,
    /// Its name (NAME@3, NAME/3, PLACE#3), or the id that `retention list --json` shows.
    name: String,
    #[command(flatten)]
    connection: Connection,
}

/// Longer, or more strictly.
#[derive(Args)]
#[command(after_help = "Example:\n  strongroom retention extend dataset churn@3 --mode COMPLIANCE --until 2035-01-01T00:00:00Z")]
pub struct Extend {
    #[command(flatten)]
    which: Which,
    /// GOVERNANCE or COMPLIANCE.
    #[arg(long, value_parser = ["GOVERNANCE", "COMPLIANCE"], ignore_case = true, hide_possible_values = true)]
    mode: String,
    /// Until when (RFC 3339).
    #[arg(long)]
    until: String,
}

/// Shorter.
#[derive(Args)]
#[command(after_help = "Example:\n  strongroom retention bypass dataset trial@1 --reason \"collected without consent\"")]
pub struct Bypass {
    #[command(flatten)]
    which: Which,
    /// Until when it is retained from now on (RFC 3339); without it no more.
    #[arg(long)]
    until: Option<String>,
    /// Why. It stands in the log and in the alert.
    #[arg(long)]
    reason: String,
}

impl Retention {
    pub(super) async fn run(self) -> Result<(), Problem> {
        match self {
            Self::Status(plain) => status(plain).await,
            Self::List(wanted) => {
                let mut client = wanted.connection.open().await?;
                let path = format!("{PREFIX}/{}", if wanted.server { "server" } else { "kept" });
                list(&mut client, &path, "kept", &KEPT).await
            }
            Self::Extend(Extend { which, mode, until }) => {
                let body = json!({ "kind": which.kind, "name": which.name, "mode": mode.to_ascii_uppercase(), "until": until });
                change(which.connection, "extend", &body).await
            }
            Self::Hold(which) => hold(which, true).await,
            Self::Lift(which) => hold(which, false).await,
            Self::Bypass(Bypass { which, until, reason }) => {
                let body = json!({ "kind": which.kind, "name": which.name, "until": until, "reason": reason });
                change(which.connection, "bypass", &body).await
            }
        }
    }
}

async fn status(plain: Plain) -> Result<(), Problem> {
    let mut client = plain.connection.open().await?;
    let state = client.get(PREFIX).await?;
    let fields = ["compliance_at", "wall_at", "lag_s", "clock_is_followed", "held_count", "retained_count", "enforced_by"];
    show(&client, &state, &fields)
}

async fn hold(which: Which, hold: bool) -> Result<(), Problem> {
    let body = json!({ "kind": which.kind, "name": which.name, "hold": hold });
    change(which.connection, "hold", &body).await
}

async fn change(connection: Connection, end: &str, body: &serde_json::Value) -> Result<(), Problem> {
    let mut client = connection.open().await?;
    let changed = client.post(&format!("{PREFIX}/{end}"), body).await?;
    show(&client, &changed, &CHANGED)
}
