use kernel::Secret;
use serde_json::{Value, json};

use super::*;
use crate::keys::{EcdsaSigner, Ed25519Signer, Signer};
use crate::oms::sign_with_key;
use crate::policy::{SignerPolicy, Trust, TrustedKey};
use crate::predicates::{Attester, Outcome, Provenance, References, TestResult};
use crate::statement::{Resource, Statement};
use kernel::{Micros, sha256};

const PAPER: &[u8] = b"a model card";

fn signer(byte: u8) -> EcdsaSigner {
    EcdsaSigner::from_seed(&Secret::new(vec![byte; 32])).unwrap()
}

fn log_signer() -> Ed25519Signer {
    Ed25519Signer::from_seed(&Secret::new(vec![3; 32])).unwrap()
}

fn trust(signers: &[&dyn Signer]) -> Trust {
    let key = |signer: &&dyn Signer| TrustedKey { name: "server".to_owned(), public_key: signer.public_key().to_pem() };
    SignerPolicy { keys: signers.iter().map(key).collect(), ..SignerPolicy::default() }.trust(None).unwrap()
}

fn files() -> Vec<FileDigest> {
    let file = |path: &str| FileDigest { path: path.to_owned(), size_bytes: 4, sha256: sha256(path.as_bytes()) };
    vec![file("MLmodel"), file("model.pkl")]
}

/// A log of one record whose receipt is its signature.
fn receipt(record: &[u8]) -> String {
    STANDARD.encode(log_signer().sign(record).unwrap())
}

/// A record of an act whose outcome names parts.
fn record(action: &str, parts: &str) -> Vec<u8> {
    let details = json!({ "parts_sha256": parts });
    json!({ "action": action, "kind": "outcome", "status": "done", "details": details }).to_string().into_bytes()
}

fn log(receipt: &str, record: &[u8]) -> Result<String, String> {
    let signature = STANDARD.decode(receipt).unwrap();
    log_signer().public_key().verify(record, &signature).map(|()| "in the log".to_owned()).map_err(|error| error.to_string())
}

fn evidence() -> Evidence {
    let (ours, manifest) = (signer(1), Manifest::of_files("m", &files(), SIGNATURE_NAME).unwrap());
    let root = Resource::new("m", &manifest.root());
    let tests = TestResult::of(Vec::new(), [("fine".to_owned(), Outcome::Passed)]);
    let tests = Statement::new(vec![root.clone()], tests).sign(&ours).unwrap();
    let attester = Attester { id: "https://example.org".to_owned() };
    let mut evidence = Evidence::new("m", &files()).unwrap();
    let card = Resource { media_type: "text/markdown".to_owned(), ..Resource::new("card.md", &sha256(PAPER)) };
    let papers = References { attester, references: vec![card, evidence.list_of_files().unwrap()] };
    let papers = Statement::new(vec![root], papers).sign(&ours).unwrap();
    let bundle = sign_with_key(&manifest, &ours).unwrap().to_bytes().unwrap();
    evidence.add_signature(&bundle);
    evidence.add_attestation(&serde_json::to_vec(&tests).unwrap());
    evidence.add_attestation(&serde_json::to_vec(&papers).unwrap());
    evidence.add_document("card.md", "text/markdown", PAPER);
    let all: Vec<String> = evidence.parts().into_iter().map(|(_, digest)| digest).collect();
    let record = record("admissions.vouch", &all.join(" "));
    for (of, _) in evidence.parts() {
        evidence.add_receipt(of, &record, &receipt(&record));
    }
    evidence
}

/// What does not hold after `change`.
fn check(change: impl FnOnce(&mut Value)) -> Vec<String> {
    let mut value: Value = serde_json::from_slice(&evidence().to_bytes().unwrap()).unwrap();
    change(&mut value);
    match verify(value.to_string().as_bytes(), &trust(&[&signer(1)]), Micros(0), Some(&log)) {
        Ok(report) => report.claims.into_iter().filter(|claim| claim.state != State::Holds).map(|claim| claim.what).collect(),
        Err(error) => vec![error.to_string()],
    }
}

#[test]
fn a_whole_file_holds_in_all_its_parts() {
    let report = verify(&evidence().to_bytes().unwrap(), &trust(&[&signer(1)]), Micros(0), Some(&log)).unwrap();
    assert!(report.holds(), "{report}");
    assert_eq!(report.claims.len(), 12);
    assert_eq!(evidence().document("card.md").unwrap(), ("text/markdown", PAPER.to_vec()));
    assert_eq!(evidence().document("none"), None);
}

#[test]
fn what_was_changed_is_named() {
    let other = STANDARD.encode("another card");
    let exchanged = ["receipt of `card.md`", "all parts", "document `card.md`"];
    assert_eq!(check(|e| e["documents"][0]["content"] = other.into()), exchanged);
    assert_eq!(check(|e| e["documents"][0]["media_type"] = "text/html".into()), ["document `card.md`"]);
    assert_eq!(check(|e| e["files"][0]["size_bytes"] = 5.into()), ["sizes of files"]);
    let all_files = ["list of files", "signature 0", "sizes of files"];
    assert_eq!(check(|e| e["files"][0]["sha256"] = "00".repeat(32).into()), all_files);
    assert_eq!(check(|e| e["files"].as_array_mut().unwrap().truncate(1)), all_files);
    let of_root = ["list of files", "attestation 0", "attestation 1", "name", "sizes of files", "document `card.md`"];
    assert_eq!(check(|e| e["root_sha256"] = "00".repeat(32).into()), of_root);
    assert_eq!(check(|e| e["signatures"] = json!([])), ["signature", "receipt of signature 0", "all parts"]);
    assert_eq!(check(|e| e["receipts"][0]["record"] = "".into()), ["receipt of signature 0"]);
    assert_eq!(check(|e| e["receipts"][0]["of"] = json!({ "attestation": 0 })), ["receipt of signature 0"]);
    let moved = check(|e| e["receipts"][0]["of"] = json!({ "attestation": 7 }));
    assert_eq!(moved, ["receipt of attestation 7", "receipt of signature 0"]);
    let receipts = ["receipt of signature 0", "receipt of attestation 0", "receipt of attestation 1", "receipt of `card.md`"];
    assert_eq!(check(|e| e["receipts"] = json!([])), receipts);
    assert_eq!(check(|e| e["receipts"].as_array_mut().unwrap().truncate(3)), ["receipt of `card.md`"]);
    assert_eq!(check(|e| e["name"] = "another".into()), ["name"]);
    let swapped = check(|e| {
        let papers = e["attestations"][1].clone();
        e["attestations"] = json!([e["signatures"][0], papers]);
    });
    assert_eq!(swapped, ["attestation 0", "all parts"]);
}

#[test]
fn what_was_taken_out_with_its_receipt_is_missed() {
    let without_a_card = |e: &mut Value| {
        e["documents"] = json!([]);
        e["receipts"].as_array_mut().unwrap().truncate(3);
    };
    assert_eq!(check(without_a_card), ["all parts"]);
    let without_tests = |e: &mut Value| {
        e["attestations"].as_array_mut().unwrap().remove(0);
        e["receipts"].as_array_mut().unwrap().remove(2);
    };
    assert_eq!(check(without_tests), ["all parts"]);
}

#[test]
fn a_file_that_the_signature_leaves_out_is_in_the_signed_list() {
    let beside = json!({ "path": ".gitattributes", "size_bytes": 1, "sha256": "00".repeat(32) });
    assert_eq!(check(|e| e["files"].as_array_mut().unwrap().push(beside)), ["sizes of files"]);
}

#[test]
fn a_digest_that_somebody_chose_vouches_for_nothing() {
    let forged = b"another card";
    let digest = hex(&sha256(forged));
    // Among the parameters of a run, which stand in its provenance, and in the record of an upload.
    let mut provenance = Provenance::default();
    provenance.build_definition.external_parameters.insert("note".to_owned(), digest.clone().into());
    let root = Resource::new("m", &Manifest::of_files("m", &files(), SIGNATURE_NAME).unwrap().root());
    let provenance = Statement::new(vec![root], provenance).sign(&signer(1)).unwrap();
    let provenance = STANDARD.encode(serde_json::to_vec(&provenance).unwrap());
    let uploaded = json!({ "action": "artifacts.write", "kind": "outcome", "status": "done", "details": { "sha256": digest } });
    let vouched = record("admissions.vouch", &digest);
    for record in [uploaded.to_string().into_bytes(), record("artifacts.write", &digest), vouched] {
        let failed = check(|e| {
            e["documents"][0]["content"] = STANDARD.encode(forged).into();
            e["attestations"].as_array_mut().unwrap().push(provenance.clone().into());
            let receipt =
                json!({ "of": { "document": "card.md" }, "record": STANDARD.encode(&record), "receipt": receipt(&record) });
            e["receipts"].as_array_mut().unwrap().push(receipt);
        });
        assert!(failed.contains(&"document `card.md`".to_owned()), "{failed:?}");
    }
    let upload = record("artifacts.write", &evidence().parts()[0].1);
    let uploaded = check(|e| {
        e["receipts"][0]["record"] = STANDARD.encode(&upload).into();
        e["receipts"][0]["receipt"] = receipt(&upload).into();
    });
    assert_eq!(uploaded, ["receipt of signature 0"]);
    // What is named as one document is no other.
    let renamed = check(|e| e["documents"][0]["name"] = "dossier.html".into());
    assert_eq!(renamed, ["receipt of `card.md`", "receipt of `dossier.html`", "document `dossier.html`"]);
}

#[test]
fn only_the_checkers_own_keys_count() {
    let bytes = evidence().to_bytes().unwrap();
    let report = verify(&bytes, &trust(&[&signer(2)]), Micros(0), Some(&log)).unwrap();
    let failed = |what: &str| report.claims.iter().any(|claim| claim.what == what && claim.state == State::Fails);
    for what in ["signature 0", "attestation 0", "attestation 1", "document `card.md`"] {
        assert!(failed(what), "{report}");
    }
    let report = verify(&bytes, &trust(&[&signer(1)]), Micros(0), None).unwrap();
    assert!(!report.holds() && report.to_string().contains("unchecked  receipt of signature 0"), "{report}");
    let mut bare: Value = serde_json::from_slice(&bytes).unwrap();
    bare["receipts"] = json!([]);
    let report = verify(bare.to_string().as_bytes(), &trust(&[&signer(1)]), Micros(0), None).unwrap();
    assert!(!report.holds() && report.to_string().contains("unchecked  receipt of `card.md`"), "{report}");
    let stranger: LogCheck<'_> = &|_, _| Err("another log".to_owned());
    assert!(!verify(&bytes, &trust(&[&signer(1)]), Micros(0), Some(stranger)).unwrap().holds());
}

#[test]
fn a_statement_about_another_model_does_not_count() {
    let tests = TestResult::of(Vec::new(), [("fine".to_owned(), Outcome::Passed)]);
    let other = Statement::new(vec![Resource::new("m", &[7; 32])], tests).sign(&signer(1)).unwrap();
    let text = STANDARD.encode(serde_json::to_vec(&other).unwrap());
    assert_eq!(check(|e| e["attestations"][0] = text.into()), ["attestation 0", "receipt of attestation 0", "all parts"]);
}

#[test]
fn hostile_files_are_refused() {
    let changes: [fn(&mut Value); 6] = [
        |e| e["schema"] = "x".into(),
        |e| e["keys"] = json!([]),
        |e| e["more"] = 1.into(),
        |e| e["files"][0]["sha256"] = "x".into(),
        |e| e["signatures"] = json!(vec![""; PART_COUNT_MAX + 1]),
        |e| e["receipts"][0]["of"] = json!({ "other": 0 }),
    ];
    for change in changes {
        let mut value: Value = serde_json::from_slice(&evidence().to_bytes().unwrap()).unwrap();
        change(&mut value);
        assert!(verify(value.to_string().as_bytes(), &trust(&[]), Micros(0), None).is_err());
    }
    let mut value: Value = serde_json::from_slice(&evidence().to_bytes().unwrap()).unwrap();
    value["name"] = "\u{1b}[2J\u{202e}".into();
    let shown = verify(value.to_string().as_bytes(), &trust(&[&signer(1)]), Micros(0), None).unwrap().to_string();
    assert!(!shown.contains(['\u{1b}', '\u{202e}']));
}
