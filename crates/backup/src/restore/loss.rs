//! What would be lost: what the old folder has, and the backup has not.

use std::collections::HashSet;
use std::path::Path;

use kernel::{Problem, hex};
use vault::db::{Location, Reader};

/// Things whose numbers people know, and the column that names each. Of an object in a bucket each version counts, and so does one that was
/// written over an older one.
const THINGS: [(&str, &str); 9] = [
    ("experiments", "SELECT CAST(experiment_id AS TEXT) FROM experiment"),
    ("runs", "SELECT run_id FROM run"),
    ("files", "SELECT id FROM artifact"),
    ("buckets", "SELECT id FROM bucket"),
    ("objects", "SELECT id FROM bucket_version WHERE is_marker = 0"),
    ("traces", "SELECT trace_id FROM trace"),
    ("model_versions", "SELECT model_id || '/' || version FROM model_version"),
    ("data_versions", "SELECT version_id FROM data_version"),
    ("accounts", "SELECT id FROM principal"),
];

/// What the old folder has beyond the backup.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Loss {
    /// Records of the log behind the backup's point, as far as the old log can be read.
    pub record_count: u64,
    /// The digest of the last of them: what the log ended with.
    pub last_record_sha256: Option<String>,
    /// Things by their kind; none if the old database cannot be read.
    pub things: Option<Vec<(&'static str, u64)>>,
}

impl Loss {
    /// Whether anything of the old folder could be read.
    #[must_use]
    pub const fn is_known(&self) -> bool {
        self.record_count > 0 || self.things.is_some()
    }
}

/// Compares the old folder, and the database that belongs to it, with a restored database, which stands at `point` of the log.
#[must_use]
pub fn loss((old, old_database): (&Path, &Location), into: &Location, point: u64) -> Loss {
    let mut found = Loss::default();
    let end = audit::records_after(&old.join("audit"), point, |_, record| {
        found.last_record_sha256 = Some(hex(&kernel::sha256(record)));
    });
    found.record_count = end.saturating_sub(point);
    found.things = things(old_database, into).ok();
    found
}

fn things(old: &Location, into: &Location) -> Result<Vec<(&'static str, u64)>, Problem> {
    let mut all = Vec::new();
    for (kind, sql) in THINGS {
        let names = |database: &Location| {
            database.read(|reader: &mut Reader<'_>| {
                Ok(reader.query(sql, &[], |row| row.text(0))?.into_iter().collect::<HashSet<String>>())
            })
        };
        let (before, now) = (names(old)?, names(into)?);
        all.push((kind, before.difference(&now).count() as u64));
    }
    Ok(all)
}
