//! `datasets.clean`: an open version is sealed as another one without some rows.
//!
//! The rows are left out before the files come: the server parses none of them. So it is the client's word that nothing
//! else was changed; the inspection, which compares with the other version, shows whether that can be.

use gate::{Action, Operation, Outcome, Permit, Target};
use kernel::{Problem, sha256};
use lineage::Trust;

use super::commit::{Committed, Descent, committed_version, seal};
use crate::limits::CLEANED_RANGE_COUNT_MAX;
use crate::store::versions;
use crate::types::{Cleaned, CommitWish, no_version};
use crate::{Data, rules};

/// Commits a version that is another one without chosen rows. What was said of the other one's origin is taken over.
pub struct CleanVersion {
    /// The room.
    pub room: Data,
    /// The data set.
    pub dataset: String,
    /// The open version's id.
    pub version: String,
    /// What it lacks.
    pub cleaned: Cleaned,
}

impl Operation for CleanVersion {
    const ACTION: Action = super::CLEAN;
    type Output = Committed;

    fn target(&self) -> Target {
        Target::DatasetVersion(self.dataset.clone(), self.version.clone())
    }

    async fn run(self, permit: Permit<Self>) -> Result<Committed, Problem> {
        rules::reason(&self.cleaned.why)?;
        let row_count = row_count(&self.cleaned.rows)?;
        let id = rules::version_id(&permit)?;
        let from = self.cleaned.from.clone();
        let read = move |reader: &mut vault::db::Reader<'_>| {
            let dataset_id = versions::dataset_of(reader, &id)?.ok_or_else(no_version)?;
            committed_version(reader, &dataset_id, &from)
        };
        let parent = self.room.db().read(&permit, read).await?;
        let wish = CommitWish {
            source_uri: parent.source_uri,
            licence: parent.licence,
            data_owner: parent.data_owner,
            purpose: parent.purpose,
            format: parent.format,
            roles: parent.roles,
            parents: vec![self.cleaned.from.clone()],
            ..CommitWish::default()
        };
        let outcome = Outcome::done()
            .with("cleaned_from", parent.id)
            .with("removed_row_count", i64::try_from(row_count).unwrap_or(i64::MAX))
            .with("removed_rows_sha256", kernel::hex(&sha256(rows_text(&self.cleaned.rows).as_bytes())));
        seal(&self.room, &permit, wish, Descent { how: "cleaned", trust: Trust::Claimed }, outcome).await
    }
}

/// How many rows the ranges hold.
///
/// # Errors
/// `Invalid` unless they rise and do not touch.
fn row_count(rows: &[(u64, u64)]) -> Result<u64, Problem> {
    if rows.is_empty() || rows.len() > CLEANED_RANGE_COUNT_MAX {
        return Err(Problem::invalid(format!("name 1 to {CLEANED_RANGE_COUNT_MAX} ranges of rows")));
    }
    let mut count = 0_u64;
    let mut end = None;
    for (first, last) in rows {
        if last < first || end.is_some_and(|end| *first <= end) {
            return Err(Problem::invalid("ranges of rows rise, each from its first row to its last"));
        }
        end = Some(*last);
        count = count.saturating_add(last - first).saturating_add(1);
    }
    Ok(count)
}

fn rows_text(rows: &[(u64, u64)]) -> String {
    rows.iter().map(|(first, last)| format!("{first}-{last}\n")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_rise() {
        assert_eq!(row_count(&[(0, 0), (2, 4)]).unwrap(), 4);
        for bad in [&[][..], &[(1, 0)], &[(0, 2), (2, 3)], &[(5, 6), (1, 2)]] {
            assert!(row_count(bad).is_err(), "{bad:?}");
        }
    }
}
