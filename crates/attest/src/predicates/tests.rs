use kernel::{Secret, sha256};
use serde_json::{Value, json};

use super::*;
use crate::keys::EcdsaSigner;
use crate::statement::{AnyStatement, Predicate, Resource, Statement};

/// A predicate is written as `expected` and read back the same.
fn check<P: Predicate + Clone + PartialEq + std::fmt::Debug>(predicate: P, expected: Value) {
    let signer = EcdsaSigner::from_seed(&Secret::new(vec![1; 32])).unwrap();
    let keys = [crate::Signer::public_key(&signer)];
    let envelope = Statement::new(vec![Resource::new("m", &sha256(b"m"))], predicate.clone()).sign(&signer).unwrap();
    assert_eq!(Statement::<P>::open(&envelope, &keys).unwrap().predicate, predicate);
    let (any, _) = AnyStatement::open(&envelope, &keys).unwrap();
    assert_eq!((any.predicate_type.as_str(), any.predicate), (P::TYPE, expected));
}

#[test]
fn provenance_has_slsas_fields() {
    let provenance = Provenance {
        build_definition: BuildDefinition {
            build_type: "https://example.org/training/v1".to_owned(),
            external_parameters: [("alpha".to_owned(), json!("0.1"))].into(),
            resolved_dependencies: vec![Resource::named("code").with_digest("gitCommit", "ab").at("git+https://example.org/x")],
            ..BuildDefinition::default()
        },
        run_details: RunDetails {
            builder: Builder { id: "https://example.org/builder/observed".to_owned(), ..Builder::default() },
            metadata: BuildMetadata { invocation_id: "run-1".to_owned(), ..BuildMetadata::default() },
            ..RunDetails::default()
        },
    };
    check(
        provenance,
        json!({
            "buildDefinition": {
                "buildType": "https://example.org/training/v1", "externalParameters": { "alpha": "0.1" },
                "resolvedDependencies": [{ "name": "code", "uri": "git+https://example.org/x", "digest": { "gitCommit": "ab" } }],
            },
            "runDetails": { "builder": { "id": "https://example.org/builder/observed" }, "metadata": { "invocationId": "run-1" } },
        }),
    );
}

#[test]
fn the_gravest_test_decides() {
    let tests = |outcomes: &[Outcome]| {
        let named = outcomes.iter().enumerate().map(|(at, outcome)| (format!("t{at}"), *outcome));
        TestResult::of(Vec::new(), named)
    };
    assert_eq!(tests(&[]).result, Outcome::Passed);
    assert_eq!(tests(&[Outcome::Passed, Outcome::Warned]).result, Outcome::Warned);
    let failed = tests(&[Outcome::Warned, Outcome::Failed, Outcome::Passed]);
    check(
        failed,
        json!({ "result": "FAILED", "configuration": [], "passedTests": ["t2"], "warnedTests": ["t0"], "failedTests": ["t1"] }),
    );
}

#[test]
fn a_decision_names_its_policy() {
    let summary = VerificationSummary {
        verifier: Verifier { id: "https://example.org/strongroom".to_owned(), ..Verifier::default() },
        time_verified: "2026-11-25T00:00:00Z".to_owned(),
        resource_uri: "models:/m/1".to_owned(),
        policy: Resource::new("gate.yaml", &[0; 32]),
        input_attestations: Vec::new(),
        verification_result: PolicyResult::Failed,
        verified_levels: Vec::new(),
        dependency_levels: [].into(),
        slsa_version: String::new(),
    };
    check(
        summary,
        json!({
            "verifier": { "id": "https://example.org/strongroom" }, "timeVerified": "2026-11-25T00:00:00Z",
            "resourceUri": "models:/m/1", "policy": { "name": "gate.yaml", "digest": { "sha256": "0".repeat(64) } },
            "verificationResult": "FAILED", "verifiedLevels": [],
        }),
    );
}

#[test]
fn a_scan_says_by_which_rules() {
    let file = Resource::new("model.pkl", &[0; 32]);
    let said = ScanAttribute::verdict(file, "blocked", "sha256:ab", &["calls os.system".to_owned()]);
    check(
        ScanReport { attributes: vec![said], producer: Resource::named("strongroom scan") },
        json!({
            "attributes": [{
                "attribute": "STRONGROOM_FILE_BLOCKED", "target": { "name": "model.pkl", "digest": { "sha256": "0".repeat(64) } },
                "conditions": { "rules": "sha256:ab", "reasons": ["calls os.system"] },
            }],
            "producer": { "name": "strongroom scan" },
        }),
    );
}
