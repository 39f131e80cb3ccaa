//! The log for other systems, as OCSF JSON lines.

use gate::{Action, Operation, Permit, Target};
use kernel::Problem;

use crate::error::AuditError;
use crate::ocsf;
use crate::ops::blocking;
use crate::room::Audit;
use crate::search::{Filter, SCAN_COUNT_MAX};

/// Records of one call, at most.
pub const EXPORT_COUNT_MAX: u64 = 10_000;

/// Exports records from an index on, oldest first.
pub struct Export {
    /// The room.
    pub room: Audit,
    /// Which of them.
    pub filter: Filter,
    /// The first record.
    pub from: u64,
    /// Where to stop; the end of the log if not given.
    pub to: Option<u64>,
    /// How many, at most [`EXPORT_COUNT_MAX`].
    pub limit_count: u64,
}

/// A stretch of the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exported {
    /// One OCSF event in JSON per line.
    pub lines: String,
    /// How many.
    pub count: u64,
    /// Where to go on, if there is more.
    pub next: Option<u64>,
    /// How many records the log has under its newest checkpoint.
    pub size: u64,
}

impl Operation for Export {
    const ACTION: Action = Action::read("audit.export");
    type Output = Exported;

    fn target(&self) -> Target {
        Target::AuditLog
    }

    async fn run(self, _permit: Permit<Self>) -> Result<Exported, Problem> {
        self.filter.check()?;
        let log = self.room.log;
        log.flush().await?;
        blocking(move || {
            let (checkpoint, _, tiles) = log.tree()?;
            let end = self.to.unwrap_or(checkpoint.size).min(checkpoint.size);
            let to = end.min(self.from.saturating_add(SCAN_COUNT_MAX));
            let limit_count = self.limit_count.clamp(1, EXPORT_COUNT_MAX);
            let all = self.filter == Filter::default();
            let mut lines = String::new();
            let (mut count, mut next) = (0, to);
            let mut bad = None;
            tiles.each_entry(self.from, to, |index, record| {
                if !all && !self.filter.fits(record) {
                    return true;
                }
                if count == limit_count {
                    next = index;
                    return false;
                }
                let Some(line) = ocsf::line(index, record, &checkpoint.origin) else {
                    bad = Some(index);
                    return false;
                };
                lines.push_str(&line);
                lines.push('\n');
                count += 1;
                true
            })?;
            if let Some(index) = bad {
                return Err(AuditError::Mismatch(format!("record {index} cannot be read")).into());
            }
            Ok(Exported { lines, count, next: (next < end).then_some(next), size: checkpoint.size })
        })
        .await
    }
}
