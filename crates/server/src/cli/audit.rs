//! `strongroom audit …` and `strongroom witness`.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Subcommand};
use kernel::Problem;
use serde_json::{Value, json};

use super::client::Connection;
use super::output::{list, segment};

const PREFIX: &str = "/api/strongroom/v1/audit";

/// Search, prove, verify and export the log.
#[derive(Subcommand)]
pub enum Audit {
    /// Check every record, tile and checkpoint against the signed root. Reads the files; needs no server and no token.
    Verify(Verify),
    /// Find records: by who, what, when, outcome.
    Search(Search),
    /// Give a proof (c2sp.org/tlog-proof) that a record is in the log.
    Prove(Prove),
    /// Print the newest signed checkpoint.
    Checkpoint(Plain),
    /// Print records as OCSF JSON lines, for a SIEM.
    Export(Export),
}

/// Nothing but the connection.
#[derive(Args)]
pub struct Plain {
    #[command(flatten)]
    connection: Connection,
}

/// Options of `audit verify`.
#[derive(Args)]
pub struct Verify {
    /// The data folder.
    #[arg(long, value_name = "DIR", env = "STRONGROOM_DATA")]
    data: PathBuf,
    /// The log's verifier key as you know it; without it, the one in the folder is used, which proves less.
    #[arg(long, value_name = "VKEY")]
    vkey: Option<String>,
    /// Check the log alone: neither the database's rows nor the stored objects are opened.
    #[arg(long)]
    log_only: bool,
    /// Print JSON, for scripts.
    #[arg(long)]
    json: bool,
}

/// What to search for.
#[derive(Args)]
pub struct Filter {
    /// A principal's id.
    #[arg(long)]
    who: Option<String>,
    /// An action or a pattern, such as `runs.*`.
    #[arg(long)]
    what: Option<String>,
    /// From this time on (RFC 3339).
    #[arg(long, value_name = "TIME")]
    since: Option<String>,
    /// Before this time (RFC 3339).
    #[arg(long, value_name = "TIME")]
    until: Option<String>,
    /// done, failed, aborted or refused.
    #[arg(long)]
    outcome: Option<String>,
    /// The id of a run, experiment, model …
    #[arg(long)]
    resource: Option<String>,
}

impl Filter {
    fn query(&self) -> String {
        let pairs = [
            ("who", &self.who),
            ("what", &self.what),
            ("since", &self.since),
            ("until", &self.until),
            ("outcome", &self.outcome),
            ("resource", &self.resource),
        ];
        let given = pairs.iter().filter_map(|(name, value)| value.as_ref().map(|value| format!("{name}={}", segment(value))));
        given.collect::<Vec<_>>().join("&")
    }
}

/// Options of `audit search`.
#[derive(Args)]
pub struct Search {
    #[command(flatten)]
    filter: Filter,
    /// At most this many, the newest first; 0 for all.
    #[arg(long, default_value_t = 50)]
    rows: usize,
    #[command(flatten)]
    connection: Connection,
}

/// Options of `audit export`.
#[derive(Args)]
pub struct Export {
    #[command(flatten)]
    filter: Filter,
    #[command(flatten)]
    connection: Connection,
}

/// Options of `audit prove`.
#[derive(Args)]
pub struct Prove {
    /// The record's index, or the id that an answer or a search showed.
    record: String,
    #[command(flatten)]
    connection: Connection,
}

impl Audit {
    pub(super) async fn run(self) -> Result<ExitCode, Problem> {
        match self {
            Self::Verify(verify) => return verify.run().await,
            Self::Search(search) => search.run().await?,
            Self::Prove(prove) => {
                let mut client = prove.connection.open().await?;
                crate::say!("{}", client.get_text(&format!("{PREFIX}/proof/{}", segment(&prove.record))).await?);
            }
            Self::Checkpoint(plain) => {
                let mut client = plain.connection.open().await?;
                crate::say!("{}", client.get_text(&format!("{PREFIX}/checkpoint")).await?);
            }
            Self::Export(export) => {
                let mut client = export.connection.open().await?;
                crate::say!("{}", client.get_text(&format!("{PREFIX}/export?{}", export.filter.query())).await?);
            }
        }
        Ok(ExitCode::SUCCESS)
    }
}

impl Search {
    async fn run(self) -> Result<(), Problem> {
        const COLUMNS: [&str; 7] = ["index", "at", "who", "action", "kind", "status", "resource"];
        let mut client = self.connection.open().await?;
        let path = format!("{PREFIX}/records?{}", self.filter.query());
        if self.rows == 0 {
            return list(&mut client, &path, "records", &COLUMNS).await;
        }
        let answer = client.get(&format!("{path}&rows={}", self.rows)).await?;
        let records = answer.get("records").and_then(Value::as_array).cloned().unwrap_or_default();
        if client.json {
            crate::say!("{}", json!(records));
        } else {
            crate::say!("{}", super::table::render(&records, &COLUMNS));
        }
        Ok(())
    }
}

/// Cosign the checkpoints of other servers' logs (C2SP tlog-witness). Nothing but `add-checkpoint` and what was cosigned is
/// answered; it holds no data of those servers.
#[derive(Args)]
#[command(after_help = "Example:\n  strongroom witness --dir ./witness --name witness.example --log \"$(cat vkey)\" --listen 127.0.0.1:9443")]
pub struct WitnessServer {
    /// Where it keeps its key and the newest checkpoint of each log.
    #[arg(long, value_name = "DIR")]
    dir: PathBuf,
    /// Its name in cosignatures.
    #[arg(long)]
    name: String,
    /// The verifier key of a log that it knows; may be repeated.
    #[arg(long = "log", value_name = "VKEY")]
    logs: Vec<String>,
    /// Address and port.
    #[arg(long, default_value = "127.0.0.1:9443")]
    listen: String,
}

impl WitnessServer {
    pub(super) async fn run(self) -> Result<(), Problem> {
        crate::witness::serve(&self.dir, &self.name, &self.logs, &self.listen).await
    }
}

impl Verify {
    async fn run(self) -> Result<ExitCode, Problem> {
        let (report, objects) = crate::verify::data_folder(&self.data, self.vkey.as_deref(), self.log_only, !self.json).await?;
        let ok = report.ok && objects.as_ref().is_none_or(|objects| objects.damaged_count == 0);
        if self.json {
            let objects = objects.map(|found| {
                json!({"checked_count": found.checked_count, "checked_bytes": found.checked_bytes,
                    "damaged_count": found.damaged_count, "damaged": found.damaged})
            });
            crate::say!("{}", json!({"ok": ok, "log": report, "objects": objects}));
        } else {
            crate::verify::print(&report, objects.as_ref());
        }
        Ok(if ok { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }
}
