//! The record in pieces that both papers use.

use kernel::Micros;

use super::document::{Block, table};
use crate::predicates::Outcome;
use crate::record::{ModelRecord, Origin};

/// What the record does not know, by name, in the order of the papers.
#[must_use]
pub fn unknown(record: &ModelRecord) -> Vec<&'static str> {
    let (model, declared) = (&record.model, &record.declared);
    let known = [
        ("description", model.description.is_some()),
        ("licence", model.licence.is_some()),
        ("task", model.task.is_some()),
        ("architecture", model.architecture.is_some()),
        ("provider", declared.provider.is_some()),
        ("intended purpose", declared.intended_purpose.is_some()),
        ("out-of-scope uses", declared.out_of_scope.is_some()),
        ("limitations", declared.limitations.is_some()),
        ("ethical considerations", declared.ethics.is_some()),
        ("files", !record.files.is_empty()),
        ("run", record.run.is_some()),
        ("code", record.code.is_some()),
        ("parameters", !record.params.is_empty()),
        ("metrics", !record.metrics.is_empty()),
        ("environment", !record.environment.is_empty()),
        ("data", !record.data.is_empty()),
        ("file scan", !record.scans.is_empty()),
        ("tests", !record.tests.is_empty()),
        ("simulated attacks", !record.attacks.is_empty()),
        ("signatures", !record.signatures.is_empty()),
    ];
    known.into_iter().filter(|(_, known)| !known).map(|(name, _)| name).collect()
}

pub(super) fn instant(micros: i64) -> String {
    Micros(micros).rfc3339_seconds()
}

fn list(texts: &[String]) -> Option<String> {
    (!texts.is_empty()).then(|| texts.join(", "))
}

fn or_dash(text: Option<&String>) -> String {
    text.cloned().unwrap_or_else(|| "—".to_owned())
}

fn value(value: f64, interval: Option<(f64, f64)>) -> String {
    let interval = interval.map_or_else(String::new, |(low, high)| format!(" ({} to {})", number(low), number(high)));
    format!("{}{interval}", number(value))
}

/// Six digits say enough; other programs keep the rest.
fn number(value: f64) -> String {
    let text = format!("{value:.6}");
    if !value.is_finite() || !text.contains('.') {
        return value.to_string();
    }
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

pub(super) fn model(record: &ModelRecord) -> Block {
    let model = &record.model;
    Block::Facts(vec![
        ("Name", Some(model.name.clone())),
        ("Version", Some(model.version.clone())),
        ("Workspace", Some(model.workspace.clone()).filter(|name| !name.is_empty())),
        ("State", Some(model.state.clone())),
        ("Aliases", list(&model.aliases)),
        ("Registered", (model.created_at != 0).then(|| instant(model.created_at))),
        ("Registered by", model.created_by.clone()),
        ("Provider", record.declared.provider.clone()),
        ("Licence", model.licence.clone()),
        ("Kind", list(&model.flavors)),
        ("Task", model.task.clone()),
        ("Architecture", model.architecture.clone()),
        ("Inputs", list(&model.inputs)),
        ("Outputs", list(&model.outputs)),
        ("Root of its files (SHA-256)", record.root_sha256.clone()),
    ])
}

pub(super) fn run(record: &ModelRecord) -> Block {
    let Some(run) = &record.run else {
        return Block::Missing("The run that made this model is not known.".to_owned());
    };
    Block::Facts(vec![
        ("Run", Some(run.id.clone())),
        ("Experiment", Some(run.experiment.clone())),
        ("By", run.user.clone()),
        ("Started", run.started_at.map(instant)),
        ("Ended", run.ended_at.map(instant)),
        ("Executed", Some(if run.origin == Origin::Observed { "by this server" } else { "elsewhere" }.to_owned())),
    ])
}

pub(super) fn code(record: &ModelRecord) -> Block {
    let Some(code) = &record.code else {
        return Block::Missing("The code that was run is not known.".to_owned());
    };
    Block::Facts(vec![
        ("Repository", code.repository.clone()),
        ("Commit", code.commit.clone()),
        ("Snapshot (SHA-256)", code.sha256.clone()),
        ("Entry point", code.entry_point.clone()),
        ("Known because it was", Some(code.origin.word().to_owned())),
    ])
}

pub(super) fn params(record: &ModelRecord) -> Block {
    let rows = record.params.iter().map(|(name, value)| vec![name.clone(), value.clone()]).collect();
    table(vec!["Parameter", "Value"], rows, "No parameters were recorded.")
}

pub(super) fn metrics(record: &ModelRecord) -> Block {
    let row = |one: &crate::record::MetricFacts| {
        vec![
            one.name.clone(),
            value(one.value, one.interval),
            or_dash(one.data.as_ref()),
            or_dash(one.slice.as_ref()),
            one.origin.word().to_owned(),
        ]
    };
    let head = vec!["Metric", "Value (95 % interval)", "On", "Slice", "Known as"];
    table(head, record.metrics.iter().map(row).collect(), "No metrics were recorded.")
}

pub(super) fn data(record: &ModelRecord) -> Block {
    let row = |one: &crate::record::DataFacts| {
        let personal = match &one.personal_data {
            None => "not inspected".to_owned(),
            Some(classes) if classes.is_empty() => "none found".to_owned(),
            Some(classes) => classes.join(", "),
        };
        vec![
            format!("{}@{}", one.name, one.version),
            one.role.word().to_owned(),
            one.row_count.map_or_else(|| "—".to_owned(), |count| count.to_string()),
            one.admission.clone().unwrap_or_else(|| "not held by this server".to_owned()),
            personal,
            or_dash(one.source.as_ref()),
            or_dash(one.licence.as_ref()),
            or_dash(one.sha256.as_ref()),
            one.origin.word().to_owned(),
        ]
    };
    let head = vec!["Data", "For", "Rows", "Admission", "Personal data", "Source", "Licence", "SHA-256", "Known as"];
    table(head, record.data.iter().map(row).collect(), "The data that this model learnt from is not known.")
}

pub(super) fn base_models(record: &ModelRecord) -> Block {
    let row = |one: &crate::record::BaseModelFacts| {
        vec![one.name.clone(), or_dash(one.version.as_ref()), or_dash(one.sha256.as_ref()), one.origin.word().to_owned()]
    };
    let rows = record.base_models.iter().map(row).collect();
    table(vec!["Base model", "Version", "SHA-256", "Known as"], rows, "No base model is recorded; one may have been used unseen.")
}

pub(super) fn environment(record: &ModelRecord) -> Block {
    let row = |one: &crate::environment::Package| {
        vec![one.name.clone(), one.version.clone().unwrap_or_else(|| "not fixed".to_owned()), one.purl()]
    };
    let rows = record.environment.iter().map(row).collect();
    table(vec!["Package", "Version", "Package URL"], rows, "The packages of its environment are not known.")
}

pub(super) fn files(record: &ModelRecord) -> Block {
    let row = |one: &crate::record::FileFacts| vec![one.path.clone(), one.size_bytes.to_string(), one.sha256.clone()];
    table(vec!["File", "Bytes", "SHA-256"], record.files.iter().map(row).collect(), "Its files are not known.")
}

pub(super) fn scans(record: &ModelRecord) -> Block {
    let row = |one: &crate::record::ScanFacts| {
        vec![
            one.path.clone(),
            one.verdict.clone(),
            list(&one.reasons).unwrap_or_else(|| "—".to_owned()),
            one.rules.clone(),
            instant(one.scanned_at),
        ]
    };
    let rows = record.scans.iter().map(row).collect();
    table(vec!["File", "Verdict", "Why", "Rules", "When"], rows, "No file scan is recorded.")
}

pub(super) fn tests(record: &ModelRecord) -> Block {
    let row = |one: &crate::record::TestFacts| {
        let outcome = match one.outcome {
            Outcome::Passed => "passed",
            Outcome::Warned => "warned",
            Outcome::Failed => "failed",
        };
        vec![one.name.clone(), outcome.to_owned(), one.detail.clone()]
    };
    table(vec!["Test", "Result", "Detail"], record.tests.iter().map(row).collect(), "No tests are recorded.")
}

pub(super) fn attacks(record: &ModelRecord) -> Block {
    let row = |one: &crate::record::AttackFacts| {
        let measured = format!("{}: {}", one.measure, value(one.value, one.interval));
        vec![one.name.clone(), one.atlas.join(", "), measured, or_dash(one.advice.as_ref())]
    };
    let rows = record.attacks.iter().map(row).collect();
    table(
        vec!["Simulated attack", "MITRE ATLAS", "Result (95 % interval)", "What to do"],
        rows,
        "No simulated attack is recorded.",
    )
}

pub(super) fn signatures(record: &ModelRecord) -> Block {
    let row = |one: &crate::record::SignatureFacts| {
        vec![
            one.signer.trusted_as.clone(),
            list(&one.signer.identities).unwrap_or_else(|| "—".to_owned()),
            or_dash(one.signer.fingerprint.as_ref()),
            instant(one.verified_at),
        ]
    };
    let rows = record.signatures.iter().map(row).collect();
    table(vec!["Signed as", "Identity", "Fingerprint", "Verified"], rows, "No signature over its files is recorded.")
}

pub(super) fn approvals(record: &ModelRecord) -> Block {
    let row = |one: &crate::record::ApprovalFacts| {
        vec![
            one.person.clone(),
            one.act.clone(),
            or_dash(one.reason.as_ref()),
            instant(one.at),
            one.expires_at.map_or_else(|| "—".to_owned(), instant),
        ]
    };
    let rows = record.approvals.iter().map(row).collect();
    table(vec!["Person (pseudonym)", "Act", "Reason", "When", "Until"], rows, "No decision of a person is recorded.")
}
