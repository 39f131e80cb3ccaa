//! A small model with everything that can be said about it, written into a folder.

use std::collections::BTreeMap;
use std::error::Error;
use std::path::Path;

use attest::bom::bom;
use attest::environment::from_requirements;
use attest::evidence::Evidence;
use attest::oms::{FileDigest, Manifest, SIGNATURE_NAME, sign_with_key};
use attest::papers::{card_json, card_markdown, dossier_html};
use attest::predicates::{
    Attester, BuildDefinition, BuildMetadata, Builder, Outcome, PolicyResult, Provenance, References, RunDetails, ScanAttribute,
    ScanReport, TestResult, VerificationSummary, Verifier,
};
use attest::record::{
    AttackFacts, BaseModelFacts, CodeFacts, DataFacts, DataRole, Declared, FileFacts, Generator, MetricFacts, ModelFacts,
    ModelRecord, Origin, RunFacts, ScanFacts, TestFacts,
};
use attest::statement::{Predicate, Resource, Statement};
use attest::{EcdsaSigner, Signer};
use inspection::croissant::{Column, ColumnKind, DataFile, DatasetRecord, Table, croissant};
use kernel::{Secret, hex, sha256};

const AT: i64 = 1_796_083_200_000_000;
const SERVER: &str = "https://strongroom.example.org";
const MODEL: [(&str, &[u8]); 3] =
    [("MLmodel", b"flavors: {}\n"), ("model.pkl", b"weights"), ("requirements.txt", b"scikit-learn==1.5.0\n")];
const TABLE: &[u8] = b"age,income,city,left\n31,1000.5,Bern,true\n45,2000.25,\"Z\xc3\xbcrich, ZH\",false\n";

type Done = Result<(), Box<dyn Error>>;

pub fn write(folder: &Path) -> Done {
    let signer = EcdsaSigner::from_seed(&Secret::new(vec![1; 32]))?;
    let files: Vec<FileDigest> = MODEL
        .iter()
        .map(|(path, bytes)| FileDigest { path: (*path).to_owned(), size_bytes: bytes.len() as u64, sha256: sha256(bytes) })
        .collect();
    std::fs::create_dir_all(folder.join("model"))?;
    for (path, bytes) in MODEL {
        std::fs::write(folder.join("model").join(path), bytes)?;
    }
    let manifest = Manifest::of_files("model", &files, SIGNATURE_NAME)?;
    let bundle = sign_with_key(&manifest, &signer)?.to_bytes()?;
    std::fs::write(folder.join("model").join(SIGNATURE_NAME), &bundle)?;
    std::fs::write(folder.join("public.pem"), signer.public_key().to_pem())?;
    let record = record(&manifest, &files)?;
    let mut evidence = Evidence::new("models:/churn/3", &files)?;
    evidence.add_signature(&bundle);
    let mut references = vec![evidence.list_of_files()?];
    for (name, media_type, bytes) in [
        ("bom.json", "application/vnd.cyclonedx+json", bom(&record)?),
        ("card.md", "text/markdown", card_markdown(&record).into_bytes()),
        ("card.json", "application/json", card_json(&record)?),
        ("dossier.html", "text/html", dossier_html(&record).into_bytes()),
    ] {
        std::fs::write(folder.join(name), &bytes)?;
        evidence.add_document(name, media_type, &bytes);
        references.push(Resource { media_type: media_type.to_owned(), ..Resource::new(name, &sha256(&bytes)) });
    }
    std::fs::write(folder.join("bare-bom.json"), bom(&bare(&record))?)?;
    for (name, envelope) in statements(&manifest, &files, references, &signer)? {
        std::fs::write(folder.join(name), &envelope)?;
        evidence.add_attestation(&envelope);
    }
    std::fs::write(folder.join("evidence.json"), evidence.to_bytes()?)?;
    dataset(folder)
}

type Envelopes = Vec<(&'static str, Vec<u8>)>;

fn statements(
    manifest: &Manifest,
    files: &[FileDigest],
    references: Vec<Resource>,
    signer: &dyn Signer,
) -> Result<Envelopes, Box<dyn Error>> {
    let model = || Resource::new("models:/churn/3", &manifest.root());
    let provenance = Provenance {
        build_definition: BuildDefinition {
            build_type: format!("{SERVER}/training/v1"),
            external_parameters: BTreeMap::from([("alpha".to_owned(), "0.1".into())]),
            internal_parameters: BTreeMap::new(),
            resolved_dependencies: vec![
                Resource::named("code").at("git+https://git.example.org/churn").with_digest("gitCommit", "0".repeat(40)),
                Resource::new("customers@3", &sha256(b"customers")).with("role", "training"),
            ],
        },
        run_details: RunDetails {
            builder: Builder { id: format!("{SERVER}/builder/claimed"), version: BTreeMap::new() },
            metadata: BuildMetadata {
                invocation_id: "run-1".to_owned(),
                started_on: "2026-11-30T23:59:00Z".to_owned(),
                finished_on: "2026-12-01T00:00:00Z".to_owned(),
            },
            byproducts: Vec::new(),
        },
    };
    let gate = Resource::new("gate.yaml", &sha256(b"gate"));
    let tests = TestResult::of(vec![gate.clone()], [("accuracy-not-worse".to_owned(), Outcome::Passed)]);
    let summary = VerificationSummary {
        verifier: Verifier { id: SERVER.to_owned(), version: BTreeMap::from([("strongroom".to_owned(), "0.1.0".to_owned())]) },
        time_verified: "2026-12-01T00:00:00Z".to_owned(),
        resource_uri: "models:/churn/3".to_owned(),
        policy: gate,
        input_attestations: Vec::new(),
        verification_result: PolicyResult::Passed,
        verified_levels: vec!["SLSA_BUILD_LEVEL_1".to_owned()],
        dependency_levels: BTreeMap::new(),
        slsa_version: "1.0".to_owned(),
    };
    let verdict = |file: &FileDigest| ScanAttribute::verdict(Resource::new(&file.path, &file.sha256), "clean", "2026-11", &[]);
    let scan = ScanReport { attributes: files.iter().map(verdict).collect(), producer: Resource::named("strongroom scan") };
    let papers = References { attester: Attester { id: SERVER.to_owned() }, references };
    Ok(vec![
        ("provenance.dsse.json", signed(model(), provenance, signer)?),
        ("test-result.dsse.json", signed(model(), tests, signer)?),
        ("summary.dsse.json", signed(model(), summary, signer)?),
        ("scan.dsse.json", signed(model(), scan, signer)?),
        ("papers.dsse.json", signed(model(), papers, signer)?),
    ])
}

fn signed<P: Predicate>(subject: Resource, predicate: P, signer: &dyn Signer) -> Result<Vec<u8>, Box<dyn Error>> {
    Ok(serde_json::to_vec(&Statement::new(vec![subject], predicate).sign(signer)?)?)
}

fn text(text: &str) -> Option<String> {
    Some(text.to_owned())
}

fn bare(full: &ModelRecord) -> ModelRecord {
    let model = ModelFacts {
        name: "churn".to_owned(),
        version: "3".to_owned(),
        state: "quarantined".to_owned(),
        ..ModelFacts::default()
    };
    ModelRecord { generator: full.generator.clone(), generated_at: AT, model, ..ModelRecord::default() }
}

fn record(manifest: &Manifest, files: &[FileDigest]) -> Result<ModelRecord, Box<dyn Error>> {
    let file = |one: &FileDigest| FileFacts { path: one.path.clone(), size_bytes: one.size_bytes, sha256: hex(&one.sha256) };
    let data = |role| DataFacts {
        name: "customers".to_owned(),
        version: "3".to_owned(),
        role,
        sha256: Some(hex(&sha256(b"customers"))),
        row_count: Some(7043),
        admission: text("admitted"),
        personal_data: Some(vec!["email".to_owned()]),
        origin: Origin::Observed,
        ..DataFacts::default()
    };
    let scan = |one: &FileDigest| ScanFacts {
        path: one.path.clone(),
        verdict: "clean".to_owned(),
        rules: "2026-11".to_owned(),
        scanned_at: AT,
        ..ScanFacts::default()
    };
    Ok(ModelRecord {
        generator: Generator { name: "strongroom".to_owned(), version: "0.1.0".to_owned(), uri: text(SERVER) },
        generated_at: AT,
        model: ModelFacts {
            workspace: "default".to_owned(),
            name: "churn".to_owned(),
            version: "3".to_owned(),
            description: text("Who will leave within a month. <b>Bold</b> & \"quoted\"."),
            state: "admitted".to_owned(),
            licence: text("Apache-2.0"),
            task: text("classification"),
            architecture: text("logistic regression"),
            inputs: vec!["age: double".to_owned()],
            outputs: vec!["left: boolean".to_owned()],
            ..ModelFacts::default()
        },
        root_sha256: Some(hex(&manifest.root())),
        files: files.iter().map(file).collect(),
        run: Some(RunFacts { id: "run-1".to_owned(), experiment: "churn".to_owned(), ..RunFacts::default() }),
        code: Some(CodeFacts { commit: Some("0".repeat(40)), ..CodeFacts::default() }),
        params: BTreeMap::from([("alpha".to_owned(), "0.1".to_owned())]),
        metrics: vec![MetricFacts {
            name: "accuracy".to_owned(),
            value: 0.91,
            interval: Some((0.9, 0.92)),
            ..MetricFacts::default()
        }],
        environment: from_requirements("scikit-learn==1.5.0\nnumpy>=1\n")?,
        data: vec![data(DataRole::Training), data(DataRole::Test)],
        base_models: vec![BaseModelFacts { name: "encoder".to_owned(), ..BaseModelFacts::default() }],
        scans: files.iter().map(scan).collect(),
        tests: vec![TestFacts { name: "accuracy-not-worse".to_owned(), outcome: Outcome::Passed, detail: String::new() }],
        attacks: vec![AttackFacts {
            name: "HopSkipJump".to_owned(),
            measure: "success rate".to_owned(),
            value: 0.4,
            ..AttackFacts::default()
        }],
        declared: Declared { intended_purpose: text("Offers."), ethics: text("None for those who stay."), ..Declared::default() },
        ..ModelRecord::default()
    })
}

fn dataset(folder: &Path) -> Done {
    let column = |name: &str, kind| Column { name: name.to_owned(), kind, description: None };
    let table = Table {
        path: "data/customers.csv".to_owned(),
        columns: vec![
            column("age", ColumnKind::Integer),
            column("income", ColumnKind::Float),
            column("city", ColumnKind::Text),
            column("left", ColumnKind::Boolean),
        ],
    };
    let file =
        DataFile { path: table.path.clone(), size_bytes: TABLE.len() as u64, sha256: hex(&sha256(TABLE)), media_type: None };
    let record = DatasetRecord {
        name: "customers".to_owned(),
        version: "3".to_owned(),
        description: text("Customers of one country."),
        licence: text("https://creativecommons.org/licenses/by/4.0/"),
        url: text(SERVER),
        creator: text("Example Ltd"),
        created_at: AT,
        keywords: vec!["churn".to_owned()],
        files: vec![file],
        tables: vec![table],
        personal_data: Some(vec!["email".to_owned()]),
        ..DatasetRecord::default()
    };
    std::fs::create_dir_all(folder.join("data"))?;
    std::fs::write(folder.join("data/customers.csv"), TABLE)?;
    std::fs::write(folder.join("croissant.json"), croissant(&record)?)?;
    let bare = DatasetRecord { description: None, licence: None, url: None, creator: None, personal_data: None, ..record };
    Ok(std::fs::write(folder.join("bare-croissant.json"), croissant(&bare)?)?)
}
