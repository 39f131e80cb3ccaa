//! What vouches for a version and describes it: signature, statements, bill of materials, card, dossier, made when they are
//! asked for, from the record as it is then.
//!
//! INVARIANT: only what is admitted, with the files that were inspected, is signed. Held by `tests::papers`.

use attest::environment;
use attest::evidence::Evidence;
use attest::oms::{FileDigest, Manifest, sign_with_key};
use attest::predicates::{
    BuildDefinition, BuildMetadata, Builder, Outcome, PolicyResult, Provenance, RunDetails, VerificationSummary, Verifier,
};
use attest::record::{AttackFacts, DataFacts, FileFacts, Generator, ModelRecord, ScanFacts, TestFacts};
use attest::statement::{Resource, Statement};
use attest::{AttestError, EcdsaSigner, Signer, papers};
use inspection::{AttackView, InspectionReport, RuleView};
use kernel::{Micros, Problem, hex, parse_hex, sha256};
use serde_json::Value;

use crate::Admission;

/// The server's secret that models are signed with.
const KEY_NAME: &str = "admission/model-signing-seed/1";
/// What builds a model, for provenance: this server only recorded the run (levels as in SLSA's builder ids).
const BUILD_TYPE: &str = "https://strongroom.invalid/mlflow-run/v1";
const BUILDER: &str = "https://strongroom.invalid/recorded-run/v1";
const VERIFIER: &str = "https://strongroom.invalid/admission/v1";

/// Which paper.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Paper {
    /// The OpenSSF Model Signing bundle.
    Signature,
    /// The public key of the signature (PEM).
    Key,
    /// SLSA provenance, signed.
    Provenance,
    /// SLSA verification summary, signed.
    Summary,
    /// CycloneDX ML-BOM.
    Bom,
    /// Model card (Markdown).
    Card,
    /// EU AI Act Annex IV dossier (HTML).
    Dossier,
    /// All of it in one file that is checked offline.
    Evidence,
}

impl Paper {
    const ALL: [Self; 8] =
        [Self::Signature, Self::Key, Self::Provenance, Self::Summary, Self::Bom, Self::Card, Self::Dossier, Self::Evidence];

    /// Its name in addresses.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Signature => "model.sig",
            Self::Key => "signing-key.pem",
            Self::Provenance => "provenance.json",
            Self::Summary => "summary.json",
            Self::Bom => "bom.json",
            Self::Card => "card.md",
            Self::Dossier => "dossier.html",
            Self::Evidence => "evidence.json",
        }
    }

    /// What it is sent as.
    #[must_use]
    pub const fn media_type(self) -> &'static str {
        match self {
            Self::Key => "application/x-pem-file",
            Self::Signature | Self::Provenance | Self::Summary | Self::Evidence => "application/json",
            Self::Bom => "application/vnd.cyclonedx+json",
            Self::Card => "text/markdown; charset=utf-8",
            Self::Dossier => "text/html; charset=utf-8",
        }
    }

    /// The paper behind a word.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|paper| paper.word() == word)
    }

    /// Whether it says that the version was let in.
    pub(crate) const fn vouches(self) -> bool {
        matches!(self, Self::Signature | Self::Summary | Self::Evidence)
    }
}

/// What papers are made of.
pub(crate) struct Basis {
    pub(crate) record: ModelRecord,
    pub(crate) files: Vec<FileDigest>,
    pub(crate) signer: EcdsaSigner,
    /// The report's attestation, as it was signed when the inspection ended.
    pub(crate) inspection: Option<Vec<u8>>,
    /// Digest of the verdict's policy, hex.
    pub(crate) policy_sha256: String,
    pub(crate) at: Micros,
}

/// The record of a version before the database and the report have their say.
pub(crate) fn begin(at: Micros, files: &[FileDigest]) -> ModelRecord {
    ModelRecord {
        generator: Generator { name: "Strongroom".to_owned(), version: env!("CARGO_PKG_VERSION").to_owned(), uri: None },
        generated_at: at.0,
        // It does not depend on the name.
        root_sha256: Manifest::of_files("model", files, attest::oms::SIGNATURE_NAME).ok().map(|manifest| hex(&manifest.root())),
        files: files
            .iter()
            .map(|file| FileFacts { path: file.path.clone(), size_bytes: file.size_bytes, sha256: hex(&file.sha256) })
            .collect(),
        ..ModelRecord::default()
    }
}

/// What the report's `scan` section says of each file.
pub(crate) fn scans(section: &Value, at: Micros) -> Vec<ScanFacts> {
    let text = |value: &Value, name: &str| value.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
    let rules =
        section.get("rules").map(|rules| format!("{} {}", text(rules, "version"), text(rules, "digest"))).unwrap_or_default();
    let files = section.get("files").and_then(Value::as_array).into_iter().flatten();
    files
        .map(|file| ScanFacts {
            path: text(file, "path"),
            verdict: text(file, "verdict"),
            reasons: file
                .get("findings")
                .and_then(Value::as_array)
                .into_iter()
                .flatten()
                .map(|found| format!("{}: {}", text(found, "rule"), text(found, "message")))
                .collect(),
            rules: rules.clone(),
            scanned_at: at.0,
        })
        .collect()
}

/// What became of the rules of the gate file.
pub(crate) fn tests(rules: &[RuleView]) -> Vec<TestFacts> {
    let fact = |rule: &RuleView| {
        let outcome = match rule.holds {
            Some(true) => Outcome::Passed,
            Some(false) => Outcome::Failed,
            // It was not run, and the detail says why.
            None => Outcome::Warned,
        };
        TestFacts { name: rule.rule.clone(), outcome, detail: rule.detail.clone() }
    };
    rules.iter().map(fact).collect()
}

/// What the report's `attacks` section measured; `shown` are the same attacks for people, in the same order.
pub(crate) fn attacks(section: &Value, shown: &[AttackView]) -> Vec<AttackFacts> {
    let tried = section.get("attacks").and_then(Value::as_array).into_iter().flatten();
    let fact = |(attack, shown): (&Value, &AttackView)| {
        let measure = attack.get("measure")?;
        let number = |pointer: &str| measure.pointer(pointer).and_then(Value::as_f64);
        let ids = attack.pointer("/framework/atlas").and_then(Value::as_array).into_iter().flatten();
        Some(AttackFacts {
            name: shown.attack.clone(),
            atlas: ids.filter_map(Value::as_str).map(str::to_owned).collect(),
            measure: measure.get("name").and_then(Value::as_str).unwrap_or_default().to_owned(),
            value: number("/value")?,
            interval: number("/interval/low").zip(number("/interval/high")),
            advice: Some(shown.advice.clone()).filter(|advice| !advice.is_empty()),
        })
    };
    tried.zip(shown).filter_map(fact).collect()
}

/// Adds the packages that a model's files name. A file that cannot be read names none: the papers say that nothing is known.
pub(crate) fn environment_of(name: &str, text: &str) -> Vec<environment::Package> {
    let read = match name {
        "requirements.txt" => environment::from_requirements(text),
        "conda.yaml" => environment::from_conda(text),
        _ => return Vec::new(),
    };
    read.unwrap_or_default()
}

/// The files of a manifest as signatures list them.
pub(crate) fn digests(files: &artifacts::Manifest) -> Vec<FileDigest> {
    let digest = |entry: &artifacts::ManifestEntry| FileDigest {
        path: entry.path.clone(),
        size_bytes: entry.size_bytes,
        sha256: entry.sha256,
    };
    files.entries.iter().map(digest).collect()
}

/// The version as a subject of statements: the root of its signed manifest. None for files that cannot be signed.
pub(crate) fn root(report: &InspectionReport, files: &artifacts::Manifest) -> Option<Value> {
    let manifest = Manifest::of_files(&report.dataset, &digests(files), attest::oms::SIGNATURE_NAME).ok()?;
    let name = format!("models:/{}/{}", report.dataset, report.version);
    Some(serde_json::json!({ "name": name, "digest": { "sha256": hex(&manifest.root()) } }))
}

impl Admission {
    /// The server's key for models.
    pub(crate) async fn signer(&self) -> Result<EcdsaSigner, Problem> {
        let seed = self.0.objects.keys().secret(KEY_NAME).await?;
        EcdsaSigner::from_seed(&seed).map_err(|error| Problem::internal("the key for models is damaged", error))
    }
}

impl Basis {
    /// The paper's bytes.
    pub(crate) fn make(&self, paper: Paper) -> Result<Vec<u8>, Problem> {
        self.written(paper).map_err(|error| Problem::internal("the paper cannot be written", error))
    }

    fn written(&self, paper: Paper) -> Result<Vec<u8>, AttestError> {
        match paper {
            Paper::Signature => sign_with_key(&self.manifest()?, &self.signer)?.to_bytes(),
            Paper::Key => Ok(self.signer.public_key().to_pem().into_bytes()),
            Paper::Provenance => self.signed(self.provenance(Vec::new())),
            Paper::Summary => self.signed(self.summary()),
            Paper::Bom => attest::bom::bom(&self.record),
            Paper::Card => Ok(papers::card_markdown(&self.record).into_bytes()),
            Paper::Dossier => Ok(papers::dossier_html(&self.record).into_bytes()),
            Paper::Evidence => self.evidence(),
        }
    }

    fn name(&self) -> String {
        format!("models:/{}/{}", self.record.model.name, self.record.model.version)
    }

    fn manifest(&self) -> Result<Manifest, AttestError> {
        Manifest::of_files(&self.record.model.name, &self.files, attest::oms::SIGNATURE_NAME)
    }

    fn signed<P: attest::statement::Predicate>(&self, predicate: P) -> Result<Vec<u8>, AttestError> {
        let subject = vec![Resource::new(self.name(), &self.manifest()?.root())];
        let envelope = Statement::new(subject, predicate).sign(&self.signer)?;
        serde_json::to_vec(&envelope).map_err(|error| AttestError::malformed(error.to_string()))
    }

    /// `byproducts` are the papers that go along, and the list of the files: their digests under this signature are what makes them count.
    fn provenance(&self, byproducts: Vec<Resource>) -> Provenance {
        let record = &self.record;
        let data = record.data.iter().map(resource_of);
        let code = record.code.iter().filter_map(|code| {
            let commit = code.commit.as_ref()?;
            Some(Resource::named("code").with_digest("gitCommit", commit.clone()).with("trust", code.origin.word()))
        });
        let run = record.run.as_ref();
        Provenance {
            build_definition: BuildDefinition {
                build_type: BUILD_TYPE.to_owned(),
                external_parameters: record.params.iter().map(|(key, value)| (key.clone(), Value::from(value.clone()))).collect(),
                resolved_dependencies: data.chain(code).collect(),
                ..BuildDefinition::default()
            },
            run_details: RunDetails {
                byproducts,
                builder: Builder { id: BUILDER.to_owned(), ..Builder::default() },
                metadata: BuildMetadata {
                    invocation_id: run.map(|run| run.id.clone()).unwrap_or_default(),
                    started_on: moment(run.and_then(|run| run.started_at)),
                    finished_on: moment(run.and_then(|run| run.ended_at)),
                },
            },
        }
    }

    fn summary(&self) -> VerificationSummary {
        let policy = parse_hex(&self.policy_sha256).and_then(|bytes| <[u8; 32]>::try_from(bytes).ok()).unwrap_or_default();
        VerificationSummary {
            verifier: Verifier { id: VERIFIER.to_owned(), ..Verifier::default() },
            time_verified: self.at.rfc3339_seconds(),
            resource_uri: self.name(),
            policy: Resource::new(crate::BUILT_IN_POLICY_NAME, &policy),
            input_attestations: Vec::new(),
            verification_result: PolicyResult::Passed,
            verified_levels: vec!["STRONGROOM_ADMITTED".to_owned()],
            dependency_levels: std::collections::BTreeMap::new(),
            slsa_version: "1.0".to_owned(),
        }
    }

    fn evidence(&self) -> Result<Vec<u8>, AttestError> {
        let mut evidence = Evidence::new(&self.name(), &self.files)?;
        evidence.add_signature(&self.written(Paper::Signature)?);
        let mut papers = Vec::new();
        for paper in [Paper::Bom, Paper::Card, Paper::Dossier] {
            papers.push((paper, self.written(paper)?));
        }
        let named = |(paper, bytes): &(Paper, Vec<u8>)| Resource {
            media_type: paper.media_type().to_owned(),
            ..Resource::new(paper.word(), &sha256(bytes))
        };
        let mut byproducts: Vec<Resource> = papers.iter().map(named).collect();
        byproducts.push(evidence.list_of_files()?);
        evidence.add_attestation(&self.signed(self.provenance(byproducts))?);
        evidence.add_attestation(&self.written(Paper::Summary)?);
        if let Some(envelope) = &self.inspection {
            evidence.add_attestation(envelope);
        }
        for (paper, bytes) in &papers {
            evidence.add_document(paper.word(), paper.media_type(), bytes);
        }
        evidence.to_bytes()
    }
}

/// A moment in RFC 3339; nothing if it is not known.
fn moment(at: Option<i64>) -> String {
    at.map(|at| Micros(at).rfc3339_seconds()).unwrap_or_default()
}

fn resource_of(data: &DataFacts) -> Resource {
    let resource = Resource::named(format!("{}@{}", data.name, data.version)).with("trust", data.origin.word());
    match &data.sha256 {
        Some(digest) => resource.with_digest("sha256", digest.clone()),
        None => resource,
    }
}
