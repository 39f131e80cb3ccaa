//! `strongroom audit verify`: the log from its files, its rows in the database, and every stored object, without asking a
//! server.

use std::path::Path;
use std::sync::Arc;

use artifacts::{VerifyObjects, VerifyReport};
use audit::note::VerifierKey;
use audit::verify::{DatabaseRows, Policy, Report, verify_directory};
use gate::Attempt;
use kernel::{Clock, Problem, SystemClock};
use vault::db::Opening;
use vault::keys::Keyring;

use crate::{boot, config, folder, locks_told};

/// The job under which objects are read and checked.
const VERIFIER: &str = "verifier";
/// Where the log's verifier key is written down for people to copy.
const VERIFIER_KEY_FILE: &str = "audit.vkey";

/// Verifies a data folder, by its own configuration or the one in `file`. The database cannot be changed by it. Locks of versions and the objects are looked at only if the log is whole and no server has the folder open (a server
/// checks each of them when it is read, and `POST /objects/verify` checks all).
///
/// # Errors
/// `Invalid` without a verifier key; `Unavailable` if the folder cannot be read at all.
pub async fn data_folder(
    data: &Path,
    file: Option<&Path>,
    verifier_key: Option<&str>,
    log_only: bool,
    shows_progress: bool,
) -> Result<(Report, Option<VerifyReport>), Problem> {
    let (mut policy, rows) = if log_only { (None, None) } else { from_database(data, file).await? };
    if let Some(key) = verifier_key {
        let known = Policy::of_key(key)?;
        policy = Some(match policy.take() {
            Some(Policy { install_key, witnesses, .. }) => Policy { install_key, witnesses, ..known },
            None => known,
        });
    }
    let policy = match policy {
        Some(policy) => policy,
        None => Policy::of_key(&written_key(data)?)?,
    };
    let folder = data.join("audit");
    let report = tokio::task::spawn_blocking(move || {
        let mut shown = 0;
        verify_directory(&folder, &policy, rows.as_ref(), &mut |done, all| {
            if shows_progress && done >= shown {
                eprintln!("checked {done} of {all} records");
                shown = done.saturating_add(1_000_000);
            }
        })
    });
    let mut report = report.await.map_err(|broken| Problem::internal("the verification broke off", broken))??;
    if !report.ok || log_only || !folder::is_free(data) {
        return Ok((report, None));
    }
    for fault in locks_told::faults(data, &config::load(data, file)?).await? {
        report.ok = false;
        report.fault_count = report.fault_count.saturating_add(1);
        report.faults.push(fault);
    }
    let objects = objects(data, file).await?;
    Ok((report, Some(objects)))
}

async fn from_database(data: &Path, file: Option<&Path>) -> Result<(Option<Policy>, Option<DatabaseRows>), Problem> {
    folder::check_folder(data)?;
    let settings = config::load(data, file)?;
    let opened = boot::open_database(data, &settings, Opening::ReadOnly)?;
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let keyring = Keyring::open(opened.system.clone(), boot::root_key(data, &settings).await?, clock).await?;
    let log_settings = boot::log_settings(data, &settings, &keyring).await?;
    let witnesses = settings.audit.witness_keys.iter().map(|key| VerifierKey::parse(key)).collect::<Result<Vec<_>, _>>()?;
    let policy = Policy {
        install_key: Some(log_settings.install_key.clone()),
        witnesses,
        ..Policy::of_key(&log_settings.verifier_key()?)?
    };
    let rows = tokio::task::spawn_blocking(move || audit::database_rows(&opened.system)).await;
    let rows = rows.map_err(|broken| Problem::internal("the database could not be read", broken))??;
    Ok((Some(policy), Some(rows)))
}

async fn objects(data: &Path, file: Option<&Path>) -> Result<VerifyReport, Problem> {
    let app = boot::open(data, &config::load(data, file)?).await?;
    let verb = VerifyObjects { room: app.rooms.artifacts.clone() };
    let report = app.gate.call(Attempt::of_job(app.jobs.pass(VERIFIER)), verb).await;
    app.close().await;
    report
}

/// Writes the log's verifier key where people find it: whoever keeps a copy elsewhere can tell a replaced log.
///
/// # Errors
/// `Internal` if it cannot be written.
pub fn write_key(data: &Path, verifier_key: &str) -> Result<(), Problem> {
    let path = data.join(VERIFIER_KEY_FILE);
    if std::fs::read_to_string(&path).is_ok_and(|had| had.trim() == verifier_key) {
        return Ok(());
    }
    crate::tls::write_private(&path, &format!("{verifier_key}\n"))
}

pub(crate) fn written_key(data: &Path) -> Result<String, Problem> {
    let path = data.join(VERIFIER_KEY_FILE);
    let text = std::fs::read_to_string(&path)
        .map_err(|error| Problem::invalid(format!("name the log's verifier key with --vkey (`{}`: {error})", path.display())))?;
    Ok(text.trim().to_owned())
}

/// Prints what was found.
pub fn print(report: &Report, objects: Option<&VerifyReport>) {
    crate::say!("log         {}", report.origin);
    crate::say!("checkpoint  {} records, root {}", report.size, report.root);
    crate::say!(
        "checked     {} records in tiles, {} in segments, {} ms",
        report.entry_count,
        report.segment_record_count,
        report.elapsed_ms
    );
    crate::say!("unsigned    {} records since the checkpoint", report.unsigned_count);
    if report.cosignature_count > 0 {
        crate::say!("witnessed   {} cosignatures", report.cosignature_count);
    }
    for note in &report.notes {
        crate::say!("note        {note}");
    }
    for fault in &report.faults {
        let index = fault.index.map(|index| format!(" (record {index})")).unwrap_or_default();
        crate::say!("FAULT       {}{index}: {}", fault.place, fault.what);
    }
    match objects {
        Some(found) => crate::say!(
            "objects     {} checked, {} bytes, {} damaged",
            found.checked_count,
            found.checked_bytes,
            found.damaged_count
        ),
        None => crate::say!("objects     not checked (a server has the folder open, or only the log was asked for)"),
    }
    let whole = report.ok && objects.is_none_or(|found| found.damaged_count == 0);
    crate::say!("{}", if whole { "verified: nothing was changed" } else { "NOT VERIFIED" });
}
