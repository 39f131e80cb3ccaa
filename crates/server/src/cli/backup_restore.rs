//! `strongroom backup restore` and `strongroom backup inspect`: with the backup key alone, where no server runs.

use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use ::backup::{BackupConfig, Chain, Drilled, Target, Trust, check};
use clap::Args;
use kernel::{Clock, Problem, Secret, SystemClock};
use serde_json::{Value, json};

use super::offline::read;
use crate::config::POSTGRES_SCHEMES;
use crate::restoring::{self, Leave, Report, Wish};

const KEY_BYTES_MAX: u64 = 64 * 1024;
const APPROVAL_BYTES_MAX: u64 = 1024 * 1024;
const ADDRESS_BYTES_MAX: u64 = 16 * 1024;

/// Where backups are, and what opens them.
#[derive(Args)]
pub struct From {
    /// Where the backups are: a folder or s3://BUCKET/PREFIX.
    #[arg(long, value_name = "PLACE")]
    from: String,
    /// The file of `backup key export`; `-` reads it from stdin.
    #[arg(long, value_name = "FILE")]
    backup_key: PathBuf,
    /// The bucket's region.
    #[arg(long, default_value = "us-east-1")]
    region: String,
    /// The address of a store that is not AWS.
    #[arg(long, value_name = "URL")]
    endpoint: Option<String>,
    /// The authority (PEM) that signed that store's certificate, if it is none that the system trusts.
    #[arg(long, value_name = "FILE")]
    ca: Option<PathBuf>,
    /// Let that address be plain HTTP.
    #[arg(long)]
    allow_insecure_http: bool,
    /// The backup's number; the newest if none is given.
    #[arg(long, value_name = "NUMBER")]
    sequence: Option<u64>,
    /// Print JSON, for scripts.
    #[arg(long)]
    json: bool,
}

/// Options of `backup restore`.
#[derive(Args)]
#[command(
    after_help = "The folder is new, or what an earlier try left: then it goes on. No server starts on it before it has proved \
itself: SQLite's check, foreign keys, every object opened under its key, the log verified. Nothing of the old folder is changed.

A backup of a PostgreSQL database goes into a fresh database: an empty one whose address --database-file holds, or one that is made beside \
the old one. Nothing of the old database is changed either.

With --instead-of, what was revoked, disabled and erased there since the backup is so in the new one as well, and what would be lost \
is shown. Without it, `strongroom health` says that this is not known. Everybody logs in again in any case.

Example:
  strongroom backup restore --from /mnt/backup --into ./data2 --keys ./keys --backup-key backup.key \\
    --approval approval.json --instead-of ./data"
)]
pub struct Restore {
    #[command(flatten)]
    from: From,
    /// The new folder.
    #[arg(long, value_name = "DIR")]
    into: PathBuf,
    /// The folder `keys` of the old data folder, or the root key's file. Not needed for a key at another place, or a mounted secret.
    #[arg(long, value_name = "PATH")]
    keys: Option<PathBuf>,
    /// The folder that the new one takes the place of, as far as it is still there.
    #[arg(long, value_name = "DIR")]
    instead_of: Option<PathBuf>,
    /// The file of `backup restore-approve`.
    #[arg(long, value_name = "FILE", required_unless_present_any = ["emergency", "drill"])]
    approval: Option<PathBuf>,
    /// Restore without leave, because no server runs any more that could give it. Why: it is the first thing in the log that goes on.
    #[arg(long, value_name = "REASON", conflicts_with = "approval")]
    emergency: Option<String>,
    /// A file with the address of an empty PostgreSQL database, for a backup of one. Without it, a database is made beside the one that
    /// the backup's configuration names, if that account may.
    #[arg(long, value_name = "FILE")]
    database_file: Option<PathBuf>,
    /// The folder of `pg_restore`, if it is not in PATH.
    #[arg(long, value_name = "DIR")]
    postgres_programs: Option<PathBuf>,
    /// Throw the result away: what `backup drill` does.
    #[arg(long, hide = true, conflicts_with_all = ["approval", "emergency", "instead_of"])]
    drill: bool,
}

/// Options of `backup inspect`.
#[derive(Args)]
#[command(
    after_help = "What only the server knows is not checked: that none of its manifests was taken away at the end, and that its log \
goes on from the backup's. `backup verify` does.

Exit codes: 0 whole, 1 not.

Example:
  strongroom backup inspect --from /mnt/backup --backup-key backup.key"
)]
pub struct Inspect {
    #[command(flatten)]
    from: From,
}

impl From {
    fn reach(&self) -> BackupConfig {
        BackupConfig {
            region: self.region.clone(),
            endpoint: self.endpoint.clone(),
            ca: self.ca.clone(),
            allow_insecure_http: self.allow_insecure_http,
            ..BackupConfig::default()
        }
    }

    fn trust(&self) -> Result<Trust, Problem> {
        let is_stdin = self.backup_key == Path::new("-");
        let bytes = if is_stdin {
            let mut bytes = Vec::new();
            let unread = |error| Problem::invalid("the backup key cannot be read from stdin").because(error);
            std::io::stdin().take(KEY_BYTES_MAX).read_to_end(&mut bytes).map_err(unread)?;
            bytes
        } else {
            read(&self.backup_key, KEY_BYTES_MAX)?
        };
        let key = Secret::new(bytes);
        let named = if is_stdin { "stdin".to_owned() } else { format!("`{}`", self.backup_key.display()) };
        let wrong = |why: &str| {
            Problem::invalid(format!(
                "{named}, which --backup-key names, is no backup key: {why}; take the file that `strongroom backup key export` wrote, unchanged"
            ))
        };
        let text = key.expose_text().ok_or_else(|| wrong("it is not text in UTF-8"))?;
        Trust::parse(text).map_err(|problem| wrong(problem.message()))
    }
}

impl Inspect {
    pub(super) async fn run(self) -> Result<ExitCode, Problem> {
        let from = &self.from;
        let (target, trust) = (Target::open(&from.from, &from.reach())?, from.trust()?);
        let chain = Chain::read(&target, &trust).await?;
        let of = chain.find_good(&target, from.sequence)?;
        let report = check(&target, &trust, &chain, of, None).await?;
        if from.json {
            crate::say!(
                "{}",
                json!({"ok": report.is_good(), "sequence": report.sequence, "objects": report.object_count, "files": report.file_count,
                    "bytes": report.read_bytes, "log_point": report.point, "faults": report.faults})
            );
        } else {
            crate::say!("backup      {} of {}", report.sequence, chain.iter().count());
            crate::say!("read        {} objects, {} files, {} bytes", report.object_count, report.file_count, report.read_bytes);
            crate::say!("log         {} records before its point", report.point);
            for fault in &report.faults {
                crate::say!("FAULT       {fault}");
            }
            crate::say!("{}", if report.is_good() { "whole: nothing was changed" } else { "NOT WHOLE" });
        }
        Ok(if report.is_good() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }
}

impl Restore {
    pub(super) async fn run(self) -> Result<(), Problem> {
        let leave = match (&self.approval, self.emergency) {
            (Some(path), _) => Leave::Approved(read(path, APPROVAL_BYTES_MAX)?),
            (None, Some(reason)) if reason.trim().is_empty() => {
                return Err(Problem::invalid("--emergency says why, in words that others will read"));
            }
            (None, Some(reason)) => Leave::Emergency(reason),
            (None, None) => Leave::Drill,
        };
        let (place, into, is_json, is_drill) = (self.from.from.clone(), self.into.clone(), self.from.json, self.drill);
        let wish = Wish {
            reach: self.from.reach(),
            sequence: self.from.sequence,
            trust: self.from.trust()?,
            place,
            keys: self.keys,
            into: self.into,
            instead_of: self.instead_of,
            database: self.database_file.as_deref().map(address_in).transpose()?,
            programs: self.postgres_programs,
            leave,
        };
        let report = restoring::restore(wish).await?;
        if is_drill {
            let drilled = Drilled {
                sequence: report.signed.manifest.sequence,
                object_count: report.object_count,
                restored_bytes: report.unpacked.restored_bytes,
                log_size: report.log_size,
                took_ms: report.took_ms,
            };
            let text = serde_json::to_string(&drilled).map_err(|e| Problem::internal("the report cannot be written", e))?;
            crate::say!("{text}");
        } else if is_json {
            crate::say!("{}", to_json(&report));
        } else {
            print(&report, &into);
        }
        Ok(())
    }
}

/// The address of a database in a file: it may hold a password, and so is no argument.
fn address_in(path: &Path) -> Result<Secret, Problem> {
    let wrong = || Problem::invalid(format!("`{}` does not hold a `postgres://` address", path.display()));
    let text = String::from_utf8(read(path, ADDRESS_BYTES_MAX)?).map_err(|_| wrong())?;
    let address = text.trim();
    let is_one = POSTGRES_SCHEMES.iter().any(|scheme| address.starts_with(scheme));
    if is_one { Ok(Secret::from(address.to_owned())) } else { Err(wrong()) }
}

fn to_json(report: &Report) -> Value {
    let manifest = &report.signed.manifest;
    json!({
        "sequence": manifest.sequence,
        "manifest_sha256": kernel::hex(&report.signed.sha256),
        "log_point": manifest.log.point,
        "log_size": report.log_size,
        "database": report.database,
        "objects": report.object_count,
        "bytes": report.unpacked.restored_bytes,
        "took_ms": report.took_ms,
        "point_age_s": age_s(report),
        "lost": report.loss.as_ref().map(|loss| json!({
            "records": loss.is_known().then_some(loss.record_count),
            "things": loss.things.as_ref().map(|things| things.iter().map(|(kind, count)| ((*kind).to_owned(), json!(count)))
                .collect::<serde_json::Map<_, _>>()),
        })),
        "replayed": report.replayed.map(|done| json!({
            "tokens": done.token_count, "devices": done.device_count, "grants": done.grant_count, "accounts": done.account_count, "keys": done.key_count,
            "erased": done.erased_count,
        })),
        "unreplayed": report.unreplayed,
        "untold": report.untold,
        "chain_faults": report.chain_faults,
    })
}

/// How old the moment is that was reached.
fn age_s(report: &Report) -> i64 {
    SystemClock.now().0.saturating_sub(report.signed.manifest.started_at) / 1_000_000
}

fn print(report: &Report, into: &Path) {
    let manifest = &report.signed.manifest;
    let shown = into.display();
    crate::say!("restored    backup {} into `{shown}`, in {} ms", manifest.sequence, report.took_ms);
    if let Some(database) = &report.database {
        crate::say!("database    `{database}`, which the restored configuration names");
    }
    crate::say!("point       {} s ago, record {} of the log", age_s(report), manifest.log.point);
    crate::say!("proved      {} objects opened, {} records of the log verified", report.object_count, report.log_size);
    if let Some(loss) = &report.loss {
        if loss.is_known() {
            crate::say!("lost        {} records of the log behind the point", loss.record_count);
        } else {
            crate::say!("lost        not known: the old log cannot be read");
        }
        match &loss.things {
            Some(things) => {
                for (kind, count) in things.iter().filter(|(_, count)| *count > 0) {
                    crate::say!("            {count} {}", kind.replace('_', " "));
                }
            }
            None => crate::say!("            the old database cannot be read: what else is lost is not known"),
        }
    }
    if let Some(done) = &report.replayed {
        crate::say!(
            "taken back  {} tokens, {} devices, {} grants, {} accounts and members, {} keys, {} things that were erased since",
            done.token_count,
            done.device_count,
            done.grant_count,
            done.account_count,
            done.key_count,
            done.erased_count
        );
    }
    for fault in &report.chain_faults {
        crate::say!("WARNING     of the other backups in this place: {fault}");
    }
    match (&report.unreplayed, &report.replayed) {
        (Some(why), Some(_)) => {
            crate::say!("WARNING     what was revoked since is known from the old log alone ({why})");
        }
        (Some(why), None) => crate::say!(
            "WARNING     what was revoked or erased since is not known ({why}): look through tokens, grants and erasures"
        ),
        (None, _) => {}
    }
    if !report.untold.is_empty() {
        crate::say!("WARNING     this was done since and is not done again, with how often; look through it: {}", report.untold);
    }
    crate::say!("next: strongroom serve --data {shown}");
}
