//! The inspection as an in-toto Statement with the test-result predicate, for whoever checks admissions with other tools.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::finding::{Screen, Severity};
use crate::report::{InspectionReport, ScreenState};

/// Type of an in-toto Statement, version 1.
pub const STATEMENT_TYPE: &str = "https://in-toto.io/Statement/v1";
/// Type of the test-result predicate, version 0.1.
pub const PREDICATE_TYPE: &str = "https://in-toto.io/attestation/test-result/v0.1";

/// A thing with a name and a SHA-256: a subject, a contract, a policy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resource {
    /// Its name.
    pub name: String,
    /// Its digest, lower-case hex.
    pub sha256: String,
}

impl Resource {
    fn json(&self) -> Value {
        json!({ "name": self.name, "digest": { "sha256": self.sha256 } })
    }
}

/// The statement about `report`, unsigned. `configuration` names what else decided (the policy file); `report_bytes` are the
/// report as it is stored, so that the statement pins it.
#[must_use]
pub fn statement(report: &InspectionReport, report_bytes: &[u8], configuration: &[Resource], url: Option<&str>) -> Value {
    let mut configured: Vec<Value> = configuration.iter().map(Resource::json).collect();
    if let Some(sha256) = &report.contract_sha256 {
        configured.push(Resource { name: "contract.odcs.yaml".to_owned(), sha256: sha256.clone() }.json());
    }
    configured.push(json!({ "name": "strongroom-inspect", "annotations": {
        "version": report.worker_version, "seed": report.seed, "confined": report.confinement.is_complete(),
    }}));
    let mut predicate = json!({
        "result": result(report),
        "configuration": configured,
        "passedTests": tests(report, |worst| worst.is_none_or(|severity| severity == Severity::Info)),
        "warnedTests": tests(report, |worst| worst == Some(Severity::Warning)),
        "failedTests": tests(report, |worst| worst >= Some(Severity::Error)),
        // Beyond the predicate's own fields, which readers skip as in-toto's parsing rules ask.
        "report": { "name": "report.json", "digest": { "sha256": kernel::hex(&kernel::sha256(report_bytes)) } },
    });
    if let (Some(url), Some(fields)) = (url, predicate.as_object_mut()) {
        fields.insert("url".to_owned(), Value::from(url));
    }
    let name = format!("{}@{}", report.dataset, report.version);
    json!({
        "_type": STATEMENT_TYPE,
        "subject": [Resource { name, sha256: report.manifest_sha256.clone() }.json()],
        "predicateType": PREDICATE_TYPE,
        "predicate": predicate,
    })
}

fn result(report: &InspectionReport) -> &'static str {
    match report.worst() {
        Some(Severity::Error | Severity::Critical) => "FAILED",
        Some(Severity::Warning) => "WARNED",
        Some(Severity::Info) | None => "PASSED",
    }
}

/// A test's name is its screen's, followed by the id of the gravest finding if there is one to tell.
fn tests(report: &InspectionReport, belongs: fn(Option<Severity>) -> bool) -> Vec<String> {
    let mut worst: BTreeMap<Screen, Option<Severity>> = BTreeMap::new();
    for (screen, state) in &report.screens {
        if !matches!(state, ScreenState::Skipped(_)) {
            worst.insert(*screen, None);
        }
    }
    for finding in &report.findings {
        let entry = worst.entry(finding.screen).or_default();
        *entry = (*entry).max(Some(finding.severity));
    }
    let mut names = Vec::new();
    for (screen, severity) in worst {
        if !belongs(severity) {
            continue;
        }
        let found: Vec<&str> = report
            .findings
            .iter()
            .filter(|finding| finding.screen == screen && Some(finding.severity) == severity && finding.severity > Severity::Info)
            .map(|finding| finding.id.as_str())
            .collect();
        if found.is_empty() {
            names.push(screen.word().to_owned());
        }
        names.extend(found.into_iter().map(ToOwned::to_owned));
    }
    names.dedup();
    names
}
