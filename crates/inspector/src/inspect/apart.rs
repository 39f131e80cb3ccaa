//! Rows that stand in another table too, where a split keeps the two apart: what is measured on one was learnt from the other.

use arrow_schema::SchemaRef;
use contract::{Checker, Contract, Status};
use inspection::{Example, Finding, JobSpec, Screen, catalogue};
use serde_json::json;

use super::draft::Draft;
use super::others::Other;
use super::pass::Seen;
use super::validity::Promises;

/// The check that no row is shared, as a contract of this job's own; nothing if no table is to be kept apart. Columns that
/// identify a row, or that nothing may learn from, do not make two rows different.
pub(super) fn promises(job: &JobSpec, schema: &SchemaRef, others: &[Other], draft: &mut Draft<'_>) -> Option<Promises> {
    let apart: Vec<&Other> = others.iter().filter(|other| other.spec.apart).collect();
    if apart.is_empty() || !job.wants(Screen::Validity) {
        return None;
    }
    let counts = |name: &&String| job.roles.id.as_ref() != Some(*name) && !job.roles.ignored.contains(name);
    let columns: Vec<&String> = schema.fields().iter().map(|field| field.name()).filter(counts).collect();
    let rules: Vec<_> = apart
        .iter()
        .map(|other| {
            let check = json!({ "check": "leakage", "against": other.spec.version, "columns": columns });
            json!({ "type": "custom", "engine": contract::ENGINE, "implementation": check })
        })
        .collect();
    let text = json!({
        "apiVersion": contract::API_VERSION, "kind": "DataContract", "id": "split", "version": "1.0.0", "status": "active",
        "schema": [{ "name": job.dataset, "quality": rules }],
    });
    match Contract::from_yaml(&text.to_string()) {
        Ok(reading) => Some(Promises::of(job, reading.contract, (&[], others), draft)),
        Err(error) => {
            draft.find(Finding::new(&catalogue::RULE_NOT_RUN, format!("rows of a split cannot be compared: {error}")));
            None
        }
    }
}

/// Turns what is shared into findings.
pub(super) fn conclude(seen: Seen<Checker>, draft: &mut Draft<'_>) {
    let report = match seen {
        None => return,
        Some(Ok(checker)) => checker.finish(),
        Some(Err(error)) => {
            draft.find(Finding::new(&catalogue::RULE_NOT_RUN, format!("rows of a split cannot be compared: {error}")));
            return;
        }
    };
    for rule in report.rules {
        match rule.status {
            Status::Failed => {
                let detail = format!("against `{}`: {}", rule.expected, rule.message);
                let examples = rule.examples.iter().map(|example| Example { row: example.row, ..Example::default() });
                draft.find(Finding::new(&catalogue::SHARED_ROWS, detail).rows(rule.violations).examples(examples));
            }
            Status::NotRun => {
                draft.find(Finding::new(&catalogue::RULE_NOT_RUN, format!("rows of a split: {}", rule.message)));
            }
            Status::Passed | Status::Note => {}
        }
    }
}
