//! Data sets, versions, inspections and findings as JSON. What is not known is null, and named in `unknown`.

use data::ops::{Cleaned, Difference, Found, Shown, TrainedOn};
use data::{Cleaning, DatasetSummary, FoundFinding, Inspection, Trained, Verdict, Version};
use kernel::hex;
use serde_json::{Value, json};

use super::times::to_text;

pub(super) fn summary(dataset: &DatasetSummary) -> Value {
    json!({
        "name": dataset.name,
        "id": dataset.id,
        "created_at": to_text(dataset.created_at),
        "created_by": dataset.created_by,
        "latest": dataset.latest_number,
        "state": dataset.latest_state.map(gate::DataState::word),
        "admitted": dataset.admitted_number,
    })
}

pub(super) fn version(version: &Version) -> Value {
    let origin = [
        ("source", version.source_uri.is_none()),
        ("licence", version.licence.is_none()),
        ("owner", version.data_owner.is_none()),
        ("purpose", version.purpose.is_none()),
        ("run", version.run_id.is_none()),
    ];
    let unknown: Vec<&str> = origin.iter().filter(|(_, missing)| *missing).map(|(name, _)| *name).collect();
    json!({
        "dataset": version.dataset,
        "version": version.number,
        "id": version.id,
        "state": version.state.word(),
        "verdict": version.verdict.map(Verdict::word),
        "committer": version.committer,
        "opened_at": to_text(version.opened_at),
        "committed_at": version.committed_at.map(to_text),
        "manifest_sha256": version.manifest_sha256.map(|digest| hex(&digest)),
        "file_count": version.file_count,
        "size_bytes": version.size_bytes,
        "row_count": version.row_count,
        "column_count": version.column_count,
        "format": version.format,
        "csv": version.csv,
        "roles": version.roles,
        "source": version.source_uri,
        "trusted_source": version.source_id,
        "licence": version.licence,
        "owner": version.data_owner,
        "purpose": version.purpose,
        "run_id": version.run_id,
        "unknown": unknown,
        "classes": classes(version),
        "decision": version.decision.as_ref().map(|decision| json!({
            "by": decision.by, "how": decision.kind.word(), "at": to_text(decision.at), "why": decision.why,
        })),
        "waiver_until": version.waiver_until.map(to_text),
    })
}

fn classes(version: &Version) -> Vec<&'static str> {
    let classes = version.classes;
    let all = [
        ("personal", classes.personal),
        ("special_category", classes.special),
        ("health", classes.health),
        ("financial", classes.financial),
    ];
    all.iter().filter(|(_, is)| *is).map(|(name, _)| *name).collect()
}

pub(super) fn shown(shown: &Shown) -> Value {
    let mut value = version(&shown.version);
    if let Some(fields) = value.as_object_mut() {
        let parents = shown.parents.iter().map(|parent| {
            let mut value = json!({ "version": parent.number, "how": parent.how });
            if let (Some(cleaning), Some(fields)) = (&parent.cleaning, value.as_object_mut()) {
                fields.insert("removed".to_owned(), removed(cleaning));
            }
            value
        });
        fields.insert("parents".to_owned(), parents.collect());
        fields.insert("inspection".to_owned(), shown.inspection.as_ref().map_or(Value::Null, inspection));
    }
    value
}

/// What a version lacks of its parent.
fn removed(cleaning: &Cleaning) -> Value {
    json!({
        "row_count": cleaning.removed_count,
        "rows_sha256": hex(&cleaning.rows_sha256),
        "of_row_count": cleaning.parent_row_count,
        "findings": cleaning.findings,
        "why": cleaning.why,
        "retrain": cleaning.retrain,
    })
}

pub(super) fn cleaned(done: &Cleaned) -> Value {
    json!({
        "id": done.version_id,
        "task": done.task_id,
        "removed": { "row_count": done.removed_count, "rows_sha256": hex(&done.rows_sha256) },
    })
}

pub(super) fn trained(found: &TrainedOn) -> Value {
    let requests = found.requests.iter().map(|request| {
        json!({
            "id": request.id,
            "trained_on": at(&request.trained_on),
            "replaced_by": at(&request.replaced_by),
            "subject": thing(&request.subject),
            "state": request.state,
            "why": request.why,
            "asked_at": to_text(request.asked_at),
            "asked_by": request.asked_by,
        })
    });
    json!({
        "trained": found.things.iter().map(thing).collect::<Vec<_>>(),
        "truncated": found.truncated,
        "retrain_requests": requests.collect::<Vec<_>>(),
    })
}

fn thing(thing: &Trained) -> Value {
    json!({ "kind": thing.kind, "name": thing.name, "label": thing.label, "trust": thing.trust.word(), "data": at(&thing.data) })
}

/// `NAME/NUMBER` as people write it.
fn at(name: &str) -> String {
    name.rsplit_once('/').map_or(name.to_owned(), |(name, number)| format!("{name}@{number}"))
}

pub(super) fn inspection(inspection: &Inspection) -> Value {
    json!({
        "id": inspection.id,
        "task": inspection.task.word(),
        "state": inspection.state.word(),
        "queued_at": to_text(inspection.queued_at),
        "queued_by": inspection.queued_by,
        "started_at": inspection.started_at.map(to_text),
        "ended_at": inspection.ended_at.map(to_text),
        "attempts": inspection.attempt_count,
        "progress": { "stage": inspection.stage, "done": inspection.done_count, "of": inspection.total_count },
        "verdict": inspection.verdict.map(Verdict::word),
        "report_sha256": inspection.report_sha256.map(|digest| hex(&digest)),
        "fault": inspection.fault,
    })
}

pub(super) fn found(found: &Found) -> Value {
    json!({
        "inspection": found.inspection.as_ref().map(inspection),
        "last_inspection": found.last.as_ref().map(inspection),
        "findings": found.findings.iter().map(finding).collect::<Vec<_>>(),
    })
}

pub(super) fn finding(found: &FoundFinding) -> Value {
    let mut value = json!(found.finding);
    if let Some(fields) = value.as_object_mut() {
        fields.insert("effect".to_owned(), json!(found.effect.word()));
    }
    value
}

pub(super) fn difference(found: &Difference) -> Value {
    let [added, removed, changed, same] = found.counts;
    json!({
        "before": found.numbers.before,
        "after": found.numbers.after,
        "row_count": { "before": found.row_counts.before, "after": found.row_counts.after },
        "column_count": { "before": found.column_counts.before, "after": found.column_counts.after },
        "size_bytes": { "before": found.size_bytes.before, "after": found.size_bytes.after },
        "files": { "added": added, "removed": removed, "changed": changed, "same": same },
        "added": found.added,
        "removed": found.removed,
        "changed": found.changed,
        "drift": found.drift.iter().map(finding).collect::<Vec<_>>(),
    })
}
