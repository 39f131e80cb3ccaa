//! What vouches for a version.

use attest::evidence::{Evidence, State};
use attest::oms::{Bundle, FileDigest, FileList};
use attest::policy::{SignerPolicy, TrustedKey};
use attest::predicates::Outcome;
use inspection::{AttackView, RuleView, catalogue};
use kernel::{Kind, Micros, Problem};

use super::support::*;
use crate::Paper;
use crate::ops::{AddReceipts, MakePaper};

impl World {
    async fn paper(&self, paper: Paper) -> Result<Vec<u8>, Problem> {
        let ask = MakePaper { room: self.room.clone(), name: MODEL.to_owned(), version: "1".to_owned(), paper };
        Ok(self.call(ask).await?.bytes)
    }

    async fn trust(&self) -> SignerPolicy {
        let public_key = String::from_utf8(self.paper(Paper::Key).await.unwrap()).unwrap();
        SignerPolicy { keys: vec![TrustedKey { name: "server".to_owned(), public_key }], ..SignerPolicy::default() }
    }
}

fn files(of_model: &[u8]) -> Vec<FileDigest> {
    let file = |path: &str, bytes: &[u8]| FileDigest {
        path: path.to_owned(),
        size_bytes: bytes.len() as u64,
        sha256: kernel::sha256(bytes),
    };
    vec![file("MLmodel", b"flavors: {}"), file("model.skops", of_model)]
}

#[test]
fn the_signature_is_over_the_files_that_were_admitted_and_no_others() {
    on_both_engines(|world| async move {
        world.registered().await;
        refused(world.paper(Paper::Signature).await, Kind::Conflict, "quarantine");
        world.inspected().await;
        let bundle = world.paper(Paper::Signature).await.unwrap();
        Bundle::parse(&bundle).unwrap();
        let trust = world.trust().await.trust(None).unwrap();
        let verify = |files: &[FileDigest]| {
            attest::oms::verify(&bundle, &trust, Micros(0), &FileList(files), attest::oms::Coverage::Whole, None)
        };
        assert!(verify(&files(b"0123456789")).is_ok());
        assert!(verify(&files(b"0123456780")).is_err(), "a changed file");
        assert!(verify(&files(b"0123456789")[..1]).is_err(), "a missing file");
        world.put("model/model.skops", b"changed").await;
        refused(world.paper(Paper::Signature).await, Kind::Conflict, "not those that were inspected");
    });
}

#[test]
fn what_is_refused_has_papers_but_nothing_that_vouches() {
    on_both_engines(|world| async move {
        *world.worker.finds.lock() = vec![&catalogue::FILE_BLOCKED];
        world.registered().await;
        world.inspected().await;
        for paper in [Paper::Signature, Paper::Summary, Paper::Evidence] {
            refused(world.paper(paper).await, Kind::Conflict, "was refused");
        }
        let card = String::from_utf8(world.paper(Paper::Card).await.unwrap()).unwrap();
        assert!(card.contains(MODEL) && card.contains("refused"), "{card}");
    });
}

#[test]
fn the_record_of_evidence_names_all_that_is_in_it_and_each_part_gets_a_receipt() {
    on_both_engines(|world| async move {
        world.registered().await;
        world.inspected().await;
        let (name, version) = (MODEL.to_owned(), "1".to_owned());
        let ask = MakePaper { room: world.room.clone(), name: name.clone(), version: version.clone(), paper: Paper::Evidence };
        let made = world.call(ask).await.unwrap();
        let parts = Evidence::parse(&made.bytes).unwrap().parts();
        assert_eq!(parts.len(), 7, "a signature, three statements, three papers: {parts:?}");
        let records = world.gate.records.lock().join("\n");
        assert!(parts.iter().all(|(_, digest)| records.contains(digest)), "{records}");
        let entry = made.entry.clone();
        let with = world.call(AddReceipts { room: world.room.clone(), name, version, made }).await.unwrap();
        let text = String::from_utf8(with.bytes).unwrap();
        assert_eq!(text.matches(&format!("receipt of {entry}")).count(), parts.len(), "{text}");
    });
}

#[test]
fn the_evidence_is_whole_and_holds_offline() {
    on_both_engines(|world| async move {
        world.put("model/requirements.txt", b"scikit-learn==1.8.0\n").await;
        world.registered().await;
        world.inspected().await;
        let bom: serde_json::Value = serde_json::from_slice(&world.paper(Paper::Bom).await.unwrap()).unwrap();
        assert!(bom.to_string().contains("pkg:pypi/scikit-learn@1.8.0"), "{bom}");
        let evidence = world.paper(Paper::Evidence).await.unwrap();
        assert_eq!(Evidence::parse(&evidence).unwrap().files().unwrap().len(), 3);
        let report = attest::evidence::verify(&evidence, &world.trust().await.trust(None).unwrap(), Micros(0), None).unwrap();
        for claim in &report.claims {
            let expected = if claim.what.starts_with("receipt of") { State::Unchecked } else { State::Holds };
            assert_eq!(claim.state, expected, "{claim:?}");
        }
        let stranger = SignerPolicy::default().trust(None).unwrap();
        let report = attest::evidence::verify(&evidence, &stranger, Micros(0), None).unwrap();
        assert!(report.claims.iter().all(|claim| claim.state != State::Holds || claim.what == "list of files"), "{report}");
    });
}

#[test]
fn the_papers_tell_of_each_rule_and_each_attack_that_was_measured() {
    let rule = |holds: Option<bool>| RuleView { rule: "accuracy at least 0.8".to_owned(), holds, ..RuleView::default() };
    let told = crate::papers::tests(&[rule(Some(true)), rule(Some(false)), rule(None)]);
    let outcomes: Vec<Outcome> = told.iter().map(|one| one.outcome).collect();
    assert_eq!(outcomes, [Outcome::Passed, Outcome::Failed, Outcome::Warned]);
    let measure = serde_json::json!({ "name": "share", "value": 0.5, "interval": { "low": 0.4, "high": 0.6 } });
    let measured = serde_json::json!({ "measure": measure, "framework": { "atlas": ["AML.T0043"] } });
    let section = serde_json::json!({ "attacks": [{ "measure": null }, measured] });
    let shown = |attack: &str| AttackView { attack: attack.to_owned(), ..AttackView::default() };
    let told = crate::papers::attacks(&section, &[shown("membership"), shown("evasion")]);
    let [one] = told.as_slice() else { panic!("what was not run has no number: {told:?}") };
    assert_eq!((one.name.as_str(), one.value, one.interval, one.advice.as_ref()), ("evasion", 0.5, Some((0.4, 0.6)), None));
    assert_eq!(one.atlas, ["AML.T0043"]);
}
