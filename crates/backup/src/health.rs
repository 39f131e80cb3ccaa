//! How backups are: whether the last good one, and the last good drill, are younger than the schedule asks for.

use kernel::{Micros, Problem};
use vault::db::Reader;

use crate::config::BackupConfig;
use crate::store;
use crate::types::RunKind;

const HOUR_US: i64 = 3_600_000_000;

/// How backups are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct How {
    /// Whether something is to be done.
    pub is_degraded: bool,
    /// Why, or what is good.
    pub reasons: Vec<String>,
}

/// Judges by what was done, the schedule, and whether this database was restored. None where there are neither backups nor a place
/// for them.
///
/// # Errors
/// As the database's.
pub fn how(reader: &mut Reader<'_>, config: &BackupConfig, now: Micros) -> Result<Option<How>, Problem> {
    let mut how = How { is_degraded: false, reasons: Vec::new() };
    if let Some(restored) = store::restored(reader)? {
        let point = restored.point;
        if restored.state == "partly" {
            how.is_degraded = true;
            how.reasons.push(format!(
                "it was restored from backup {}, at record {point} of the log; what was revoked since is known from the old log, \
                 what was deleted of files and models is not",
                restored.sequence
            ));
        }
        if restored.state == "unreplayed" {
            how.is_degraded = true;
            how.reasons.push(format!(
                "it was restored from backup {}, at record {point} of the log, and what was revoked or erased since is not known: \
                 look through tokens, grants and erasures",
                restored.sequence
            ));
        }
    }
    let backups =
        [("backup", RunKind::Backup, config.every_hours), ("drill", RunKind::Drill, config.drill_every_days.saturating_mul(24))];
    for (word, kind, hours) in backups {
        let last = store::last_good(reader, kind)?.and_then(|run| run.ended_at);
        let age_hours = last.map(|at| now.0.saturating_sub(at.0) / HOUR_US);
        match age_hours {
            // Half a period more: one that is under way is not yet late.
            Some(age) if hours == 0 || age <= i64::from(hours) * 3 / 2 => {
                how.reasons.push(format!("the last good {word} is {age} hours old"));
            }
            Some(age) => {
                how.is_degraded = true;
                how.reasons.push(format!("the last good {word} is {age} hours old, and there is to be one every {hours} hours"));
            }
            None if hours > 0 => {
                how.is_degraded = true;
                how.reasons.push(format!("there is no good {word} yet, and there is to be one every {hours} hours"));
            }
            None => {}
        }
    }
    Ok(if how.reasons.is_empty() { None } else { Some(how) })
}
