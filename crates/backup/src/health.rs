//! How backups are: whether the last good one, and the last good drill, are younger than the schedule asks for.

use kernel::{Micros, Problem};
use vault::db::Reader;

use crate::config::BackupConfig;
use crate::manifest::sequence_of;
use crate::store;
use crate::types::{RunKind, RunState};

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
            let rest = match restored.untold.as_str() {
                "" => "it names nothing else that was taken back".to_owned(),
                untold => format!("look through what it does not tell enough of, with how often it was done: {untold}"),
            };
            how.reasons.push(format!(
                "it was restored from backup {}, at record {point} of the log, without the old database; who was revoked since is known \
                 from the old log; {rest}",
                restored.sequence
            ));
        }
        if restored.state == "replayed" && !restored.untold.is_empty() {
            how.reasons.push(format!(
                "it was restored from backup {}, at record {point} of the log; what was done since and is not done again, with how often: {}",
                restored.sequence, restored.untold
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
    parts(reader, config, &mut how)?;
    let backups =
        [("backup", RunKind::Backup, config.every_hours), ("drill", RunKind::Drill, config.drill_every_days.saturating_mul(24))];
    for (word, kind, hours) in backups {
        if let Some(failed) = store::last_ended(reader, kind)?.filter(|run| run.state == RunState::Failed) {
            how.is_degraded = true;
            how.reasons.push(format!("the last {word} failed: {}", failed.problem.unwrap_or_default()));
        }
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

/// What was found missing or damaged in the places that the configuration names.
fn parts(reader: &mut Reader<'_>, config: &BackupConfig, how: &mut How) -> Result<(), Problem> {
    for place in config.to.iter().chain(&config.also) {
        let place = place.trim_end_matches('/');
        let (manifests, parts): (Vec<_>, Vec<_>) =
            store::faults(reader, place)?.into_iter().partition(|name| sequence_of(name).is_some());
        if !parts.is_empty() {
            how.is_degraded = true;
            let count = parts.len();
            how.reasons
                .push(format!("{count} parts in `{place}` are missing or damaged: the next backup copies anew what it needs"));
        }
        let mut numbers: Vec<_> = manifests.iter().filter_map(|name| sequence_of(name)).collect();
        if !numbers.is_empty() {
            numbers.sort_unstable();
            how.is_degraded = true;
            let numbers = numbers.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
            how.reasons.push(format!(
                "manifests in `{place}` are missing, damaged or were exchanged: of backup {numbers}; `strongroom backup verify` says what is \
                 wrong, and the next backup puts back those that this server has kept. Of any other a damaged file stays until you take it away"
            ));
        }
    }
    Ok(())
}
