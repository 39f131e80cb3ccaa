//! Which rows a drift comes from: a second pass over this table and the one it is compared with, where columns drifted.

use inspection::{JobSpec, SegmentView, VIEW_ROW_COUNT_MAX};
use profile::drift::DriftReport;
use profile::drift::segments::{Segment, SegmentCounter, SegmentPlan, explain as compare};
use profile::{Profile, SegmentPass, Value};
use tables::Table;

use super::draft::Draft;
use super::mask::may_show;
use super::others::{self, Other};

/// A drift, and the profile that it was measured against.
pub(super) type Drifted = Option<(Profile, DriftReport)>;

/// Explains what drifted by the segments that it goes with. It is an explanation only: what it lacks is said, and no more.
pub(super) fn explain(
    drifted: Drifted,
    profile: Option<&Profile>,
    table: &Table,
    others: &[Other],
    job: &JobSpec,
    draft: &mut Draft<'_>,
) {
    let (Some((before, report)), Some(profile), Some(reference)) = (drifted, profile, &job.reference) else { return };
    let mut plan = SegmentPlan::of(&before, profile, &report);
    // Values of personal columns make no segments: they would stand in the report.
    plan.by.retain(|column| may_show(column, draft.personal_columns.as_ref()));
    if plan.is_empty() {
        return;
    }
    let Some(other) = others.iter().find(|other| other.spec.version == reference.name) else { return };
    draft.news.progress("explain", 0, None);
    let counted = others::open(other).and_then(|before| Ok((count(&before, &plan)?, count(table, &plan)?)));
    match counted {
        Ok((was, is)) => {
            let segments = compare(&was, &is);
            draft.view().segments = segments.iter().take(VIEW_ROW_COUNT_MAX).map(picture).collect();
            draft.explain_drift(&segments);
        }
        Err(error) => draft.view().notes.push(format!("the drift is not explained by segments: {error}")),
    }
}

fn count(table: &Table, plan: &SegmentPlan) -> Result<SegmentCounter, String> {
    let mut pass = SegmentPass::new(plan.clone());
    let mut wanted: Vec<usize> = Vec::new();
    for name in plan.targets.iter().map(|target| &target.column).chain(&plan.by) {
        wanted.push(table.schema().index_of(name).map_err(|_| format!("the other version has no column `{name}`"))?);
    }
    wanted.sort_unstable();
    wanted.dedup();
    for index in 0..table.partitions().len() {
        for batch in table.read(index, Some(&wanted)).map_err(|error| error.to_string())? {
            pass.update(&batch.map_err(|error| error.to_string())?).map_err(|error| error.to_string())?;
        }
    }
    Ok(pass.finish())
}

fn picture(segment: &Segment) -> SegmentView {
    SegmentView {
        column: segment.target.clone(),
        segment: format!("{} = {}", segment.column, shown(&segment.value)),
        explained_share: segment.explained_share,
        detail: segment.sentence.clone(),
    }
}

fn shown(value: &Value) -> String {
    value.to_string()
}
