//! Were the parent's most poisonable rows changed? And which rows of this version are to be guarded from now on?

use std::collections::{BTreeMap, BTreeSet};
use std::convert::Infallible;

use arrow_array::RecordBatch;
use arrow_cast::display::{ArrayFormatter, FormatOptions};
use arrow_schema::SchemaRef;
use inspection::{Example, Finding, GuardedRow, JobSpec, Screen, catalogue};
use tables::Table;

use super::draft::Draft;
use super::pass::Seen;
use super::rows::RowBytes;

/// Labels remembered for one guarded row: equal rows may stand in the data several times.
const LABEL_COUNT_MAX: usize = 16;

/// Looks for guarded rows, wherever they stand now.
pub(super) struct Guard {
    label: Option<String>,
    wanted: BTreeMap<[u8; 32], usize>,
    /// Labels that the rows with each digest have now; nothing if no row has the digest.
    seen: BTreeMap<usize, BTreeSet<Option<String>>>,
    scratch: Vec<u8>,
}

impl Guard {
    /// For the job's guarded rows.
    pub(super) fn start(job: &JobSpec, schema: &SchemaRef) -> Result<Self, String> {
        let label = job.roles.label.clone().filter(|name| schema.field_with_name(name).is_ok());
        let mut wanted = BTreeMap::new();
        for (at, row) in job.guarded.iter().enumerate() {
            let digest: Option<[u8; 32]> = kernel::parse_hex(&row.features_digest).and_then(|bytes| bytes.try_into().ok());
            wanted.insert(digest.ok_or("a guarded row's digest is damaged")?, at);
        }
        Ok(Self { label, wanted, seen: BTreeMap::new(), scratch: Vec::new() })
    }

    /// Takes rows.
    pub(super) fn update(&mut self, batch: &RecordBatch) -> Result<(), String> {
        let rows = RowBytes::new(batch, self.label.as_deref())?;
        for row in 0..batch.num_rows() {
            let digest = rows.digest(row, &mut self.scratch);
            if let Some(at) = self.wanted.get(&digest) {
                let labels = self.seen.entry(*at).or_default();
                if labels.len() < LABEL_COUNT_MAX {
                    labels.insert(label_of(batch, self.label.as_deref(), row));
                }
            }
        }
        Ok(())
    }

    /// Joins what another part has seen.
    pub(super) fn merge(&mut self, other: Self) -> Result<(), Infallible> {
        for (at, labels) in other.seen {
            self.seen.entry(at).or_default().extend(labels);
        }
        Ok(())
    }
}

/// Turns what was seen into findings.
pub(super) fn conclude(seen: Seen<Guard>, job: &JobSpec, draft: &mut Draft<'_>) {
    if !job.wants(Screen::Guarded) {
        return;
    }
    let guard = match seen {
        None => return draft.skipped(Screen::Guarded, "the parent has no guarded rows"),
        Some(Err(error)) => return draft.failed(Screen::Guarded, &error),
        Some(Ok(guard)) => guard,
    };
    let (mut relabelled, mut gone) = (Vec::new(), Vec::new());
    for (at, row) in job.guarded.iter().enumerate() {
        match guard.seen.get(&at) {
            None => gone.push(row),
            Some(labels) if !labels.contains(&row.label) && guard.label.is_some() => relabelled.push(row),
            Some(_) => {}
        }
    }
    let examples =
        |rows: &[&GuardedRow]| rows.iter().map(|row| Example { row: Some(row.row), ..Example::default() }).collect::<Vec<_>>();
    let of = job.guarded.len();
    if !relabelled.is_empty() {
        let detail = format!(
            "{} of the parent's {of} guarded rows have another label now (row numbers are the parent's)",
            relabelled.len()
        );
        let finding =
            Finding::new(&catalogue::GUARDED_RELABELLED, detail).columns(guard.label.clone()).rows(relabelled.len() as u64);
        draft.find(finding.examples(examples(&relabelled)));
    }
    if !gone.is_empty() {
        let detail = format!(
            "{} of the parent's {of} guarded rows are not in this version as they were (row numbers are the parent's)",
            gone.len()
        );
        draft.find(Finding::new(&catalogue::GUARDED_CHANGED, detail).rows(gone.len() as u64).examples(examples(&gone)));
    }
    draft.ran(Screen::Guarded);
}

/// The rows to guard in later versions: `chosen` are row numbers and scores.
///
/// # Errors
/// If they cannot be read again.
pub(super) fn guard(table: &Table, label: Option<&str>, chosen: &[(u64, f64)]) -> Result<Vec<GuardedRow>, String> {
    let wanted: BTreeMap<u64, f64> = chosen.iter().copied().collect();
    let mut guarded = Vec::new();
    let mut scratch = Vec::new();
    for (index, partition) in table.partitions().iter().enumerate() {
        let end = partition.first_row.saturating_add(partition.rows);
        if wanted.range(partition.first_row..end).next().is_none() {
            continue;
        }
        let mut first_row = partition.first_row;
        for batch in table.read(index, None).map_err(|error| error.to_string())? {
            let batch = batch.map_err(|error| error.to_string())?;
            let after = first_row.saturating_add(batch.num_rows() as u64);
            let rows = RowBytes::new(&batch, label)?;
            for (row, score) in wanted.range(first_row..after) {
                let at = usize::try_from(row.saturating_sub(first_row)).map_err(|error| error.to_string())?;
                let features_digest = kernel::hex(&rows.digest(at, &mut scratch));
                guarded.push(GuardedRow { row: *row, features_digest, label: label_of(&batch, label, at), score: *score });
            }
            first_row = after;
        }
    }
    Ok(guarded)
}

fn label_of(batch: &RecordBatch, label: Option<&str>, row: usize) -> Option<String> {
    let array = batch.column_by_name(label?)?;
    let options = FormatOptions::new();
    let formatter = ArrayFormatter::try_new(array.as_ref(), &options).ok()?;
    if arrow_array::Array::is_null(array.as_ref(), row) {
        return None;
    }
    formatter.value(row).try_to_string().ok()
}
