//! What a cleaned version lacks of its parent, and which guarded rows that accounts for.

use std::collections::BTreeSet;

use gate::Permit;
use inspection::{GuardedRow, InspectionReport};
use kernel::Problem;
use vault::db::{DbError, Reader};
use vault::objects::StoredObject;

use super::clean::Removed;
use crate::Data;
use crate::store::{cleanings, files};
use crate::types::{Cleaning, DocumentKind};

/// What a cleaned version lacks of its parent.
pub(super) struct LeftOut {
    pub(super) cleaning: Cleaning,
    /// The list of those rows.
    list: Option<StoredObject>,
    /// Where it is compared with another version than its parent: the parent's report.
    parent: Option<StoredObject>,
    is_compared_with_parent: bool,
}

impl LeftOut {
    /// What a version lacks that is compared with another one, if it was cleaned.
    pub(super) fn of(reader: &mut Reader<'_>, version_id: &str, reference_id: Option<&str>) -> Result<Option<Self>, DbError> {
        let Some((parent_id, cleaning)) = cleanings::get(reader, version_id)? else { return Ok(None) };
        let list = files::document(reader, version_id, DocumentKind::Removed)?;
        let is_compared_with_parent = reference_id == Some(parent_id.as_str());
        let parent = if is_compared_with_parent { None } else { files::document(reader, &parent_id, DocumentKind::Report)? };
        Ok(Some(Self { cleaning, list, parent, is_compared_with_parent }))
    }
}

impl Data {
    /// A report of an earlier inspection.
    pub(super) async fn earlier_report<O: ?Sized>(
        &self,
        permit: &Permit<O>,
        report: &StoredObject,
    ) -> Result<InspectionReport, Problem> {
        serde_json::from_slice(&self.whole(permit, report).await?)
            .map_err(|e| Problem::internal("the report of an earlier version cannot be read", e))
    }

    /// Takes those rows out of the guarded ones that somebody had left out by name: they were not changed unseen. The list has
    /// the parent's numbers, so where another version's rows are guarded, they are known by their cells.
    pub(super) async fn account_for<O: ?Sized>(
        &self,
        permit: &Permit<O>,
        left_out: &LeftOut,
        guarded: &mut Vec<GuardedRow>,
    ) -> Result<(), Problem> {
        let Some(list) = &left_out.list else { return Ok(()) };
        let removed: Removed = serde_json::from_slice(&self.whole(permit, list).await?)
            .map_err(|e| Problem::internal("the list of rows cannot be read", e))?;
        if left_out.is_compared_with_parent {
            guarded.retain(|row| !removed.holds(row.row));
            return Ok(());
        }
        let Some(report) = &left_out.parent else { return Ok(()) };
        let report = self.earlier_report(permit, report).await?;
        let own: Vec<GuardedRow> = report.guarded.and_then(|guarded| guarded.parse().ok()).unwrap_or_default();
        let gone = own.into_iter().filter(|row| removed.holds(row.row)).map(|row| row.features_digest);
        let gone: BTreeSet<String> = gone.collect();
        guarded.retain(|row| !gone.contains(&row.features_digest));
        Ok(())
    }
}
