//! `datasets.clean`: a version is to be made that is another one without some rows.
//!
//! The server parses nothing: the rows are left out by the worker, as a job of the inspector's (`run_clean`). What is kept of
//! it (which rows, how many, from which findings, why) is written down now, and the version is whole when the job has ended.
//!
//! INVARIANT: nobody gets by this what they could not read: it takes a version that is admitted or their own (the policy),
//! and the new one has its parent's classes from the first moment. Held by `tests::clean`.

use futures_util::{StreamExt, stream};
use gate::{Action, Operation, Outcome, Permit, Target};
use inspection::{InspectionReport, Section};
use kernel::{Kind, Problem, hex};
use serde::{Deserialize, Serialize};
use vault::objects::StoredObject;

use crate::limits::{CLEANED_RANGE_COUNT_MAX, FINDING_ID_COUNT_MAX, REMOVED_BYTES_MAX};
use crate::store::{cleanings, files, inspections, versions};
use crate::types::{Cleaning, DocumentKind, Task, no_version};
use crate::{Data, rules};

/// Which rows to leave out.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RowsWish {
    /// Ranges, each from its first row to its last, in any order.
    pub ranges: Vec<(u64, u64)>,
    /// Findings of the last inspection, by id, whose rows are left out too.
    pub findings: Vec<String>,
}

/// Has a version made without chosen rows of another one. What was said of the other one's origin is taken over, and so are its
/// contract and the tables that it is checked against.
pub struct CleanVersion {
    /// The room.
    pub room: Data,
    /// The data set.
    pub dataset: String,
    /// The version whose rows are left out.
    pub version: String,
    /// Which.
    pub rows: RowsWish,
    /// Why.
    pub why: String,
    /// Whether what was trained on it is to be trained again.
    pub retrain: bool,
}

/// A version that is being made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cleaned {
    /// Its id. It gets its number when the rows are left out.
    pub version_id: String,
    /// The job that leaves them out, by id.
    pub task_id: String,
    /// How many rows are left out.
    pub removed_count: u64,
    /// The digest of their list.
    pub rows_sha256: [u8; 32],
}

/// The list of the rows, as it is kept.
#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Removed {
    /// The parent's manifest: what the numbers are about.
    pub(super) manifest_sha256: String,
    /// Rising ranges that do not touch.
    pub(super) rows: Vec<(u64, u64)>,
}

impl Removed {
    /// Whether it names the row.
    pub(super) fn holds(&self, row: u64) -> bool {
        self.rows.iter().any(|(first, last)| (*first..=*last).contains(&row))
    }
}

impl Operation for CleanVersion {
    const ACTION: Action = super::CLEAN;
    type Output = Cleaned;

    fn target(&self) -> Target {
        Target::DatasetVersion(self.dataset.clone(), self.version.clone())
    }

    async fn run(self, permit: Permit<Self>) -> Result<Cleaned, Problem> {
        rules::reason(&self.why)?;
        if self.rows.findings.len() > FINDING_ID_COUNT_MAX {
            return Err(Problem::invalid(format!("name at most {FINDING_ID_COUNT_MAX} findings")));
        }
        let room = self.room;
        let parent_id = rules::version_id(&permit)?;
        let wanted = parent_id.clone();
        let read = move |reader: &mut vault::db::Reader<'_>| {
            let version = versions::get(reader, &wanted)?.ok_or_else(no_version)?;
            rules::committed(&version)?;
            let dataset_id = versions::dataset_of(reader, &wanted)?.ok_or_else(no_version)?;
            Ok((version, dataset_id, files::document(reader, &wanted, DocumentKind::Report)?))
        };
        let (parent, dataset_id, report) = room.db().read(&permit, read).await?;
        let mut ranges = self.rows.ranges;
        if !self.rows.findings.is_empty() {
            ranges.extend(room.rows_of(&permit, report, &self.rows.findings).await?);
        }
        let rows = joined(ranges)?;
        let (last, count) =
            (rows.last().map_or(0, |(_, last)| *last), parent.row_count.and_then(|count| u64::try_from(count).ok()));
        if let Some(count) = count.filter(|count| last >= *count) {
            let message = format!("there is no row {last}: the version has {count} rows, which are numbered from 0");
            return Err(Problem::invalid(message));
        }
        let removed_count = rows.iter().fold(0_u64, |sum, (first, last)| sum.saturating_add(last - first).saturating_add(1));
        let manifest_sha256 = parent.manifest_sha256.map(|digest| hex(&digest)).unwrap_or_default();
        let text = serde_json::to_vec(&Removed { manifest_sha256, rows })
            .map_err(|error| Problem::internal("the list of rows cannot be written", error))?;
        let workspace = permit.workspace()?.to_owned();
        let body = Box::pin(stream::iter([Ok(bytes::Bytes::from(text))]));
        let list = room.objects().put(&permit, &workspace, body, REMOVED_BYTES_MAX).await?;
        let (list_id, rows_sha256) = (list.id.clone(), list.sha256);
        let cleaning = Cleaning {
            removed_count,
            rows_sha256,
            parent_row_count: None,
            findings: self.rows.findings,
            why: self.why,
            retrain: self.retrain,
        };
        let (at, caller) = (permit.entry().at, permit.caller().id.clone());
        let written = room.objects().commit(room.db(), &permit, vec![list_id], move |writer| {
            if cleanings::is_under_way(writer, &parent.id, &cleaning)? {
                let message = "the same rows are being left out of this version just now; wait for the version that comes of it";
                return Err(Problem::new(Kind::Conflict, message));
            }
            let version_id = versions::open(writer, &dataset_id, &workspace, &caller, at)?;
            cleanings::inherit_classes(writer, &version_id, &parent)?;
            cleanings::put(writer, &version_id, &parent.id, &cleaning)?;
            files::put_document(writer, &version_id, "", DocumentKind::Removed, &list)?;
            let task = inspections::queue_task(writer, Task::Clean, (&version_id, &workspace), &caller, at)?;
            let outcome = Outcome::done()
                .resource(version_id.clone())
                .with("cleaned_from", parent.id)
                .with("removed_row_count", i64::try_from(removed_count).unwrap_or(i64::MAX))
                .with("removed_rows_sha256", hex(&rows_sha256))
                .with("task", task.id.clone());
            let cleaned = Cleaned { version_id, task_id: task.id, removed_count, rows_sha256 };
            Ok(((cleaned, Vec::new()), outcome))
        });
        let cleaned = written.await?;
        room.0.queued.notify_one();
        Ok(cleaned)
    }
}

/// The part of a report that lists suspect rows with the reasons why.
#[derive(Deserialize)]
struct Suspects {
    suspects: Vec<Suspect>,
}

#[derive(Deserialize)]
struct Suspect {
    row: u64,
    reasons: Vec<Reason>,
}

#[derive(Deserialize)]
struct Reason {
    reason: String,
}

impl Data {
    /// The rows that findings are about, from the last report.
    async fn rows_of<O: ?Sized>(
        &self,
        permit: &Permit<O>,
        report: Option<StoredObject>,
        findings: &[String],
    ) -> Result<Vec<(u64, u64)>, Problem> {
        let report = report.ok_or_else(|| {
            Problem::new(Kind::Conflict, "no inspection of this version left a report; have it inspected, or name rows")
        })?;
        let mut body = self.objects().open(permit, &report, 0..report.size_bytes).await?;
        let mut bytes = Vec::new();
        while let Some(piece) = body.next().await {
            bytes.extend_from_slice(&piece?);
        }
        let report: InspectionReport =
            serde_json::from_slice(&bytes).map_err(|error| Problem::internal("the report cannot be read", error))?;
        let suspects: Vec<Suspect> = match report.poisoning.as_ref().map(Section::parse::<Suspects>) {
            Some(Ok(section)) => section.suspects,
            Some(Err(error)) => return Err(Problem::internal("the report's suspect rows cannot be read", error)),
            None => Vec::new(),
        };
        let mut rows = Vec::new();
        for id in findings {
            let found = report.findings.iter().find(|finding| finding.id == *id);
            let found = found.ok_or_else(|| {
                Problem::invalid(format!("the last inspection did not find `{}`; see `strongroom data findings`", shortened(id)))
            })?;
            let own: Vec<(u64, u64)> = match reason_of(id) {
                Some(word) => {
                    let fits = |suspect: &&Suspect| suspect.reasons.iter().any(|reason| reason.reason == word);
                    suspects.iter().filter(fits).map(|suspect| (suspect.row, suspect.row)).collect()
                }
                // The examples of another finding are all its rows only if it says so.
                None => found.examples.iter().filter_map(|example| example.row.map(|row| (row, row))).collect(),
            };
            let complete = reason_of(id).is_some() || found.row_count == Some(own.len() as u64);
            if own.is_empty() || !complete {
                let message = format!("the report does not list all rows of `{}`; name them with `rows`", shortened(id));
                return Err(Problem::new(Kind::Conflict, message));
            }
            rows.extend(own);
        }
        Ok(rows)
    }
}

/// The reason by which the report marks rows of a finding.
fn reason_of(finding: &str) -> Option<&'static str> {
    match finding {
        "poisoning.label_flips" => Some("label"),
        "poisoning.trigger" | "poisoning.trigger_suspected" => Some("trigger"),
        "poisoning.outliers" | "poisoning.injected" => Some("outlier"),
        "poisoning.contradictions" => Some("contradiction"),
        _ => None,
    }
}

fn shortened(text: &str) -> String {
    text.chars().take(64).collect()
}

/// The ranges as rising ones that do not touch.
///
/// # Errors
/// `Invalid` if there are none, too many, or one that ends before it begins.
fn joined(mut ranges: Vec<(u64, u64)>) -> Result<Vec<(u64, u64)>, Problem> {
    if ranges.is_empty() || ranges.len() > CLEANED_RANGE_COUNT_MAX {
        return Err(Problem::invalid(format!("name 1 to {CLEANED_RANGE_COUNT_MAX} ranges of rows, or findings")));
    }
    if ranges.iter().any(|(first, last)| last < first || *last == u64::MAX) {
        return Err(Problem::invalid("a range of rows goes from its first row to its last"));
    }
    ranges.sort_unstable();
    let mut all: Vec<(u64, u64)> = Vec::new();
    for (first, last) in ranges {
        match all.last_mut() {
            Some((_, end)) if first <= end.saturating_add(1) => *end = (*end).max(last),
            _ => all.push((first, last)),
        }
    }
    Ok(all)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_joined() {
        assert_eq!(joined(vec![(5, 6), (0, 0), (1, 2), (6, 9)]).unwrap(), [(0, 2), (5, 9)]);
        for bad in [vec![], vec![(1, 0)], vec![(0, u64::MAX)]] {
            assert!(joined(bad.clone()).is_err(), "{bad:?}");
        }
    }
}
