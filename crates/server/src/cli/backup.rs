//! `strongroom backup …`: what is asked of a server. Restoring, which needs none, is in `backup_restore`.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::{Args, Subcommand};
use kernel::Problem;
use serde_json::{Value, json};

use super::backup_restore::{Inspect, Restore};
use super::client::{Client, Connection};
use super::init::write_new_private;
use super::output::{print_list, segment, show};

const PREFIX: &str = "/api/strongroom/v1";
/// How often a run is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(200);
const LIST: [&str; 9] = ["id", "kind", "state", "sequence", "objects", "bytes", "point_at", "took_ms", "problem"];
const RUN: [&str; 12] = [
    "id",
    "kind",
    "to",
    "state",
    "sequence",
    "manifest_sha256",
    "log_point",
    "objects",
    "bytes",
    "point_at",
    "took_ms",
    "asked_by",
];
const CHECKED: [&str; 7] = ["ok", "sequence", "objects", "files", "bytes", "log_point", "log_size"];
const REQUEST: [&str; 9] =
    ["id", "from", "sequence", "manifest_sha256", "reason", "asked_by", "approved_by", "approved_at", "expires_at"];

/// Make, list, verify, try and restore backups.
#[derive(Subcommand)]
#[command(
    after_help = "The place is `to` in the section `[backup]` of the configuration: a folder or s3://BUCKET/PREFIX. --to names \
another one that the configuration knows.

Examples:
  strongroom backup run
  strongroom backup key export --out backup.key        # once; keep it and DIR/keys apart from the backups
  strongroom backup verify
  strongroom backup drill
  strongroom backup restore-request --reason \"the disk died\"
  strongroom backup restore-approve REQUEST --out approval.json
  strongroom backup restore --from /mnt/backup --into ./data2 --keys ./keys --backup-key backup.key --approval approval.json"
)]
pub enum BackupVerb {
    /// Make a backup now. The server goes on answering meanwhile.
    Run(Place),
    /// List backups and drills, the newest first.
    List(Plain),
    /// Read a backup whole, and check it against its manifest, the manifests before it, and the running log.
    Verify(Verify),
    /// Try a whole restore in a sandbox, and say how long it took and which moment it reached.
    Drill(Place),
    /// Work with the backup key, without which backups open on this server alone.
    #[command(subcommand)]
    Key(Key),
    /// Ask for leave to restore a backup.
    RestoreRequest(Ask),
    /// Give leave that another person asked for.
    RestoreApprove(Approve),
    /// List who asked for leave, and who gave it.
    RestoreList(Plain),
    /// Restore a backup into a new folder. Needs no server.
    Restore(Restore),
    /// Check backups with the backup key alone. Needs no server.
    Inspect(Inspect),
}

/// Nothing but the connection.
#[derive(Args)]
pub struct Plain {
    #[command(flatten)]
    connection: Connection,
}

/// A place.
#[derive(Args)]
pub struct Place {
    /// Another place than the configured one: one that `[backup]` names in `also`.
    #[arg(long, value_name = "PLACE")]
    to: Option<String>,
    #[command(flatten)]
    connection: Connection,
}

/// Options of `backup verify`.
#[derive(Args)]
#[command(after_help = "Exit codes: 0 whole, 1 not.")]
pub struct Verify {
    /// The backup's number; the newest if none is given.
    sequence: Option<u64>,
    /// Another place than the configured one.
    #[arg(long, value_name = "PLACE")]
    to: Option<String>,
    #[command(flatten)]
    connection: Connection,
}

/// Work with the backup key.
#[derive(Subcommand)]
pub enum Key {
    /// Write the backup key into a new file (mode 0600). It is handed out once.
    Export(Export),
}

/// Options of `backup key export`.
#[derive(Args)]
#[command(
    after_help = "To restore, you need the backups, this file, and DIR/keys (or your key file). Keep the three in different places."
)]
pub struct Export {
    /// The new file.
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    #[command(flatten)]
    connection: Connection,
}

/// Options of `backup restore-request`.
#[derive(Args)]
pub struct Ask {
    /// Why.
    #[arg(long)]
    reason: String,
    /// The backup's number; the newest if none is given.
    #[arg(long, value_name = "NUMBER")]
    sequence: Option<u64>,
    /// Another place than the configured one.
    #[arg(long, value_name = "PLACE")]
    to: Option<String>,
    #[command(flatten)]
    connection: Connection,
}

/// Options of `backup restore-approve`.
#[derive(Args)]
pub struct Approve {
    /// The request's id.
    request: String,
    /// Where to write the signed approval.
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    #[command(flatten)]
    connection: Connection,
}

impl BackupVerb {
    pub(super) async fn run(self) -> Result<ExitCode, Problem> {
        match self {
            Self::Run(place) => return place.make("/backups").await,
            Self::Drill(place) => return place.make("/backups/drill").await,
            Self::List(plain) => plain.list("/backups", "backups", &LIST).await?,
            Self::RestoreList(plain) => plain.list("/restores", "restores", &REQUEST).await?,
            Self::Verify(verb) => return verb.run().await,
            Self::Key(Key::Export(verb)) => verb.run().await?,
            Self::RestoreRequest(verb) => verb.run().await?,
            Self::RestoreApprove(verb) => verb.run().await?,
            Self::Restore(verb) => verb.run().await?,
            Self::Inspect(verb) => return verb.run().await,
        }
        Ok(ExitCode::SUCCESS)
    }
}

impl Plain {
    async fn list(self, path: &str, plural: &str, columns: &[&str]) -> Result<(), Problem> {
        let mut client = self.connection.open().await?;
        let answer = client.get(&format!("{PREFIX}{path}")).await?;
        let rows = answer.get(plural).and_then(Value::as_array).cloned().unwrap_or_default();
        print_list(&client, &rows, columns);
        Ok(())
    }
}

impl Place {
    async fn make(self, path: &str) -> Result<ExitCode, Problem> {
        let mut client = self.connection.open().await?;
        let begun = client.post(&format!("{PREFIX}{path}"), &json!({ "to": self.to })).await?;
        let ended = wait(&mut client, &begun).await?;
        show(&client, &ended, &RUN)?;
        let state = text(&ended, "state");
        if state == "done" {
            return Ok(ExitCode::SUCCESS);
        }
        eprintln!("strongroom: it failed: {}", text(&ended, "problem"));
        Ok(ExitCode::FAILURE)
    }
}

/// Looks at a run until it has ended. What it does is told on stderr.
async fn wait(client: &mut Client, begun: &Value) -> Result<Value, Problem> {
    let path = format!("{PREFIX}/backups/{}", segment(&text(begun, "id")));
    let mut told = String::new();
    loop {
        let run = client.get(&path).await?;
        if matches!(text(&run, "state").as_str(), "done" | "failed") {
            return Ok(run);
        }
        let step = format!(
            "{} {} of {}",
            text(&run, "step"),
            run.get("done").unwrap_or(&Value::Null),
            run.get("total").unwrap_or(&Value::Null)
        );
        if !client.json && step != told {
            eprintln!("{step}");
            told = step;
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

fn text(value: &Value, name: &str) -> String {
    value.get(name).and_then(Value::as_str).unwrap_or_default().to_owned()
}

impl Verify {
    async fn run(self) -> Result<ExitCode, Problem> {
        let mut client = self.connection.open().await?;
        let report = client.post(&format!("{PREFIX}/backups/verify"), &json!({"to": self.to, "sequence": self.sequence})).await?;
        show(&client, &report, &CHECKED)?;
        if !client.json {
            for fault in report.get("faults").and_then(Value::as_array).into_iter().flatten() {
                crate::say!("FAULT       {}", fault.as_str().unwrap_or_default());
            }
        }
        let is_good = report.get("ok") == Some(&Value::Bool(true));
        Ok(if is_good { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }
}

impl Export {
    async fn run(self) -> Result<(), Problem> {
        // It is handed out once: a file that cannot be written must be found before.
        if self.out.exists() {
            return Err(Problem::invalid(format!("`{}` exists; name a new file", self.out.display())));
        }
        write_new_private(&self.out, "")?;
        std::fs::remove_file(&self.out).map_err(|error| crate::tls::file_problem(&self.out, error))?;
        let mut client = self.connection.open().await?;
        let answer = client.post(&format!("{PREFIX}/backups/key"), &json!({})).await?;
        write_new_private(&self.out, &text(&answer, "key"))?;
        if client.json {
            crate::say!("{}", json!({"file": self.out}));
        } else {
            crate::say!("wrote {}: keep it apart from the backups and from the root key", self.out.display());
        }
        Ok(())
    }
}

impl Ask {
    async fn run(self) -> Result<(), Problem> {
        let mut client = self.connection.open().await?;
        let wish = json!({"to": self.to, "sequence": self.sequence, "reason": self.reason});
        let made = client.post(&format!("{PREFIX}/restores"), &wish).await?;
        show(&client, &made, &REQUEST)
    }
}

impl Approve {
    async fn run(self) -> Result<(), Problem> {
        let mut client = self.connection.open().await?;
        let path = format!("{PREFIX}/restores/{}/approve", segment(&self.request));
        let answer = client.post(&path, &json!({})).await?;
        write_new_private(&self.out, &text(&answer, "approval"))?;
        if client.json {
            crate::say!("{}", json!({"file": self.out}));
        } else {
            crate::say!(
                "wrote {}: `backup restore --approval` reads it, for {} hours",
                self.out.display(),
                ::backup::APPROVAL_HOURS
            );
        }
        Ok(())
    }
}
