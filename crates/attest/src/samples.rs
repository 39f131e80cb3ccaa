//! Records for the tests: one that knows everything, one that knows nothing.

use std::collections::BTreeMap;

use kernel::{hex, sha256};

use crate::environment::from_requirements;
use crate::policy::{SignedBy, SigningMethod};
use crate::predicates::Outcome;
use crate::record::{
    ApprovalFacts, AttackFacts, BaseModelFacts, CodeFacts, DataFacts, DataRole, Declared, FileFacts, Generator, MetricFacts,
    ModelFacts, ModelRecord, Origin, RunFacts, ScanFacts, SignatureFacts, TestFacts,
};

const AT: i64 = 1_796_083_200_000_000;

/// Texts that must stay texts.
pub const HOSTILE: &str = "<script>alert('&\"')</script>|`*_[x](javascript:y)\n# h";

pub fn bare() -> ModelRecord {
    ModelRecord {
        generator: Generator { name: "strongroom".to_owned(), version: "0.1.0".to_owned(), uri: None },
        generated_at: AT,
        model: ModelFacts {
            name: "churn".to_owned(),
            version: "3".to_owned(),
            state: "quarantined".to_owned(),
            ..ModelFacts::default()
        },
        ..ModelRecord::default()
    }
}

fn text(text: &str) -> Option<String> {
    Some(text.to_owned())
}

fn model() -> ModelFacts {
    ModelFacts {
        workspace: "default".to_owned(),
        description: text("Who will leave within a month."),
        state: "admitted".to_owned(),
        aliases: vec!["champion".to_owned()],
        created_at: AT,
        created_by: text("u-7f3a"),
        licence: text("Apache-2.0"),
        flavors: vec!["sklearn".to_owned()],
        task: text("classification"),
        architecture: text("logistic regression"),
        inputs: vec!["age: double".to_owned()],
        outputs: vec!["churn: long".to_owned()],
        ..bare().model
    }
}

fn data(name: &str, role: DataRole) -> DataFacts {
    DataFacts {
        name: name.to_owned(),
        version: "3".to_owned(),
        role,
        sha256: Some(hex(&sha256(name.as_bytes()))),
        row_count: Some(7043),
        source: text("s3://lake/customers"),
        licence: text("CC-BY-4.0"),
        admission: text("admitted"),
        personal_data: Some(vec!["email".to_owned()]),
        origin: Origin::Observed,
    }
}

pub fn full() -> ModelRecord {
    let signer = SignedBy {
        method: SigningMethod::Key,
        trusted_as: "release".to_owned(),
        identities: Vec::new(),
        fingerprint: text("ab"),
    };
    ModelRecord {
        generator: Generator { uri: text("https://strongroom.example.org"), ..bare().generator },
        model: model(),
        root_sha256: Some(hex(&sha256(b"root"))),
        files: vec![FileFacts { path: "model.pkl".to_owned(), size_bytes: 7, sha256: hex(&sha256(b"weights")) }],
        run: Some(RunFacts {
            id: "run-1".to_owned(),
            experiment: "churn".to_owned(),
            user: text("u-7f3a"),
            started_at: Some(AT - 60_000_000),
            ended_at: Some(AT),
            origin: Origin::Claimed,
        }),
        code: Some(CodeFacts {
            repository: text("https://git.example.org/churn"),
            commit: text("0123456789abcdef0123456789abcdef01234567"),
            sha256: Some(hex(&sha256(b"code"))),
            entry_point: text("train.py"),
            origin: Origin::Claimed,
        }),
        params: BTreeMap::from([("alpha".to_owned(), "0.1".to_owned())]),
        metrics: vec![MetricFacts {
            name: "accuracy".to_owned(),
            value: 0.91,
            interval: Some((0.9, 0.92)),
            data: text("customers@3"),
            slice: text("age > 60"),
            origin: Origin::Observed,
        }],
        environment: from_requirements("scikit_learn==1.5.0\nnumpy>=1").unwrap(),
        data: vec![data("customers", DataRole::Training), data("customers", DataRole::Test)],
        base_models: vec![BaseModelFacts { name: "encoder".to_owned(), version: text("1"), ..BaseModelFacts::default() }],
        scans: vec![ScanFacts {
            path: "model.pkl".to_owned(),
            verdict: "clean".to_owned(),
            rules: "2026-11".to_owned(),
            scanned_at: AT,
            ..ScanFacts::default()
        }],
        tests: vec![TestFacts {
            name: "accuracy-not-worse".to_owned(),
            outcome: Outcome::Passed,
            detail: "0.91 against 0.90".to_owned(),
        }],
        attacks: vec![AttackFacts {
            name: "HopSkipJump".to_owned(),
            atlas: vec!["AML.T0043".to_owned()],
            measure: "success rate".to_owned(),
            value: 0.4,
            interval: Some((0.3, 0.5)),
            advice: text("Round the scores."),
        }],
        signatures: vec![SignatureFacts { signer, verified_at: AT }],
        approvals: vec![ApprovalFacts {
            person: "u-99".to_owned(),
            act: "promote".to_owned(),
            reason: text("better"),
            at: AT,
            expires_at: None,
        }],
        declared: Declared {
            intended_purpose: text("Offers for customers who may leave."),
            limitations: text("One country."),
            ..Declared::default()
        },
        ..bare()
    }
}

/// A full record with hostile texts in every place that a user can fill.
pub fn hostile() -> ModelRecord {
    let mut record = full();
    let model = &mut record.model;
    for place in [&mut model.description, &mut model.licence, &mut model.task, &mut model.architecture] {
        *place = text(HOSTILE);
    }
    model.name = HOSTILE.to_owned();
    model.aliases = vec![HOSTILE.to_owned()];
    record.params.insert(HOSTILE.to_owned(), HOSTILE.to_owned());
    record.files[0].path = HOSTILE.to_owned();
    record.metrics[0].name = HOSTILE.to_owned();
    record.data[0].name = HOSTILE.to_owned();
    record.data[0].source = text(HOSTILE);
    record.declared = Declared { intended_purpose: text(HOSTILE), ethics: text(HOSTILE), ..Declared::default() };
    record.approvals[0].reason = text(HOSTILE);
    record.attacks[0].advice = text(HOSTILE);
    record
}
