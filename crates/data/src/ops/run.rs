//! `inspections.begin` and `inspections.run`: what the inspector does, under its own narrow identity.
//!
//! INVARIANT: a version's state, its findings, the report and the record of the verdict are one commit. A process that dies
//! before it leaves the version in quarantine, and the inspection to be taken up again.

use std::sync::Arc;

use futures_util::{StreamExt, stream};
use gate::{Action, BoxFuture, DataClasses, DataState, Operation, Outcome, Permit, Target};
use inspection::{
    CsvDialect, FileSpec, Finding, InspectionError, InspectionReport, JobLimits, JobSpec, OtherTable, ReadRequest, Reference,
    Resource, Screen, catalogue,
};
use kernel::{Kind, Micros, Problem, hex, sha256};
use lineage::record::{self, Scene};
use vault::db::{Reader, Writer};
use vault::objects::{ObjectId, StoredObject};

use super::left_out::LeftOut;
use crate::described::described;
use crate::inspect::Inspect;
use crate::provenance::{self, Provenance};
use crate::queries::{Files, PREVIOUS_TABLE, TableFiles};
use crate::runner::Watch;
use crate::store::versions::Learnt;
use crate::store::{cleanings, files, inspections, sources, versions};
use crate::types::{
    Decision, DecisionKind, DocumentKind, FoundFinding, Inspection, InspectionState, OtherVersion, Verdict, Version, no_version,
};
use crate::{Data, VerdictPolicy, attest};

/// The largest report, page or attestation that is kept.
const DOCUMENT_BYTES_MAX: u64 = 256 * 1024 * 1024;
/// Everything random in an inspection comes of this, so that it can be repeated.
const SEED: u64 = 1;

/// Takes the next inspection up, if one waits or was left behind by a process that is gone.
pub struct BeginInspection {
    /// The room.
    pub room: Data,
    /// The process that takes it up.
    pub runner: String,
}

impl Operation for BeginInspection {
    const ACTION: Action = super::BEGIN;
    type Output = Option<Inspection>;

    fn target(&self) -> Target {
        Target::Server
    }

    async fn run(self, permit: Permit<Self>) -> Result<Option<Inspection>, Problem> {
        let (runner, at) = (self.runner, permit.entry().at);
        let begun = self.room.db().write(&permit, move |writer| {
            let Some(found) = inspections::next(writer, &runner)? else {
                return Ok((None, Outcome::done()));
            };
            let outcome = Outcome::done().resource(found.version_id.clone()).with("inspection", found.id.clone());
            if !inspections::begin(writer, &found, &runner, at)? {
                versions::set_state(writer, &found.version_id, &[DataState::Inspecting], DataState::Quarantined)?;
                return Ok((None, outcome.with("given_up", 1_i64)));
            }
            // What is admitted or refused stays so until there is another verdict.
            versions::set_state(writer, &found.version_id, &[DataState::Quarantined], DataState::Inspecting)?;
            let attempt = found.attempt_count.saturating_add(1);
            Ok((inspections::get(writer, &found.id)?, outcome.with("attempt", attempt)))
        });
        begun.await
    }
}

/// Does an inspection that was begun, to its verdict or its failure.
pub struct RunInspection {
    /// The room.
    pub room: Data,
    /// The data set.
    pub dataset: String,
    /// The inspection.
    pub inspection: Inspection,
    /// The process that does it.
    pub runner: String,
    /// Who looks into the files.
    pub inspector: Arc<dyn Inspect>,
    /// Where its progress goes, and who stops it.
    pub watch: Arc<Watch>,
}

/// How an inspection ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ended {
    /// With a report.
    Judged {
        /// What its findings mean.
        verdict: Verdict,
        /// The version's state now.
        state: DataState,
    },
    /// Rows were left out: the version has its number, and waits for its inspection.
    Cleaned {
        /// The number.
        number: i64,
    },
    /// Without one; the version stays in quarantine.
    Failed {
        /// Why.
        fault: String,
    },
    /// It was cancelled, or another process took it up.
    Stopped,
}

impl Operation for RunInspection {
    const ACTION: Action = super::RUN;
    type Output = Ended;

    fn target(&self) -> Target {
        Target::DatasetVersion(self.dataset.clone(), self.inspection.version_id.clone())
    }

    async fn run(self, permit: Permit<Self>) -> Result<Ended, Problem> {
        let room = self.room.clone();
        let subject = room.subject(&permit, self.inspection.version_id.clone()).await?;
        let objects: Vec<StoredObject> = subject.all_files().map(|(_, object)| object.clone()).collect();
        let mut job = room.job(&permit, &subject).await?;
        let read = |request: ReadRequest| -> BoxFuture<'_, Result<bytes::Bytes, Problem>> {
            Box::pin(room.bytes(&permit, &objects, request))
        };
        let watch = Arc::clone(&self.watch);
        let ending = Ending { inspection: self.inspection, runner: self.runner, at: permit.entry().at };
        match room.sql_answers(&permit, &job, &subject.tables(), &watch).await {
            Ok(answers) => job.sql = answers,
            Err(error) => return room.give_up(&permit, ending, &error).await,
        }
        let news = |progress| watch.hear(progress);
        let inspected = self.inspector.inspect(&job, &read, &news, Box::pin(watch.cancelled())).await;
        match inspected {
            Ok(report) => room.judge(&permit, ending, subject, report).await,
            Err(error) => room.give_up(&permit, ending, &error).await,
        }
    }
}

/// What an inspection is about.
pub(super) struct Subject {
    pub(super) version: Version,
    files: Vec<(String, StoredObject)>,
    contract: Option<StoredObject>,
    /// The version to compare with, and its report.
    reference: Option<(Version, StoredObject)>,
    /// What it lacks of its parent.
    left_out: Option<LeftOut>,
    /// Other versions that it is checked against, with their files; the one to compare with among them.
    others: Vec<OtherFiles>,
}

/// Another version with its files.
struct OtherFiles {
    name: String,
    version: String,
    apart: bool,
    files: Files,
    csv: CsvDialect,
}

impl OtherFiles {
    fn spec(&self) -> OtherTable {
        let files = file_specs(&self.files);
        OtherTable { name: self.name.clone(), version: self.version.clone(), files, csv: self.csv, apart: self.apart }
    }
}

impl Subject {
    /// The tables that SQL rules may speak of: the version itself, those it refers to, and the one it is compared with.
    pub(super) fn tables(&self) -> Vec<TableFiles<'_>> {
        let others = self.others.iter().filter(|other| !other.apart).map(|other| {
            let name = if other.name.is_empty() { PREVIOUS_TABLE } else { &other.name };
            TableFiles { name, files: &other.files, csv: other.csv }
        });
        let own = TableFiles { name: &self.version.dataset, files: &self.files, csv: self.version.csv };
        std::iter::once(own).chain(others).collect()
    }

    /// All files that the worker may read, in the order of their indexes.
    pub(super) fn all_files(&self) -> impl Iterator<Item = &(String, StoredObject)> {
        self.files.iter().chain(self.others.iter().flat_map(|other| &other.files))
    }

    /// A cleaned version has its parent's rows but for those that were left out; anything else was not what was asked for.
    fn not_what_was_kept(&self, report: &InspectionReport) -> Option<Finding> {
        let cleaning = &self.left_out.as_ref()?.cleaning;
        let before = cleaning.parent_row_count?;
        let (expected, found) = (before.saturating_sub(cleaning.removed_count), report.summary.row_count);
        (expected != found).then(|| {
            let detail = format!("it has {found} rows, and {before} less {} are {expected}", cleaning.removed_count);
            Finding::new(&catalogue::CLEANED_DIFFERS, detail)
        })
    }
}

/// A version for people.
fn shown_name(version: &Version) -> String {
    version.number.map(|number| format!("{}@{number}", version.dataset)).unwrap_or_default()
}

/// Files as a job names them.
pub(crate) fn file_specs(files: &[(String, StoredObject)]) -> Vec<FileSpec> {
    let spec = |(path, object): &(String, StoredObject)| FileSpec {
        path: path.clone(),
        size_bytes: object.size_bytes,
        sha256: hex(&object.sha256),
    };
    files.iter().map(spec).collect()
}

/// Whose inspection ends.
struct Ending {
    inspection: Inspection,
    runner: String,
    at: Micros,
}

/// What a report means.
struct Judgement {
    findings: Vec<FoundFinding>,
    verdict: Verdict,
    classes: DataClasses,
    provenance: Provenance,
    documents: Vec<(DocumentKind, StoredObject)>,
    report_sha256: [u8; 32],
    report: InspectionReport,
}

impl Data {
    pub(super) async fn subject<O: ?Sized>(&self, permit: &Permit<O>, id: String) -> Result<Subject, Problem> {
        let read = move |reader: &mut Reader<'_>| {
            let version = versions::get(reader, &id)?.ok_or_else(no_version)?;
            let reference = match &version.reference_id {
                Some(other) => {
                    let report = files::document(reader, other, DocumentKind::Report)?;
                    versions::get(reader, other)?.zip(report)
                }
                None => None,
            };
            let contract = files::document(reader, &id, DocumentKind::Contract)?;
            let mut others = Vec::new();
            for OtherVersion { name, version_id, apart } in cleanings::others(reader, &id)? {
                let version = versions::get(reader, &version_id)?.ok_or_else(no_version)?;
                let files = files::all(reader, &version_id)?;
                others.push(OtherFiles { name, version: shown_name(&version), apart, files, csv: version.csv });
            }
            if let Some((other, _)) = &reference {
                let files = files::all(reader, &other.id)?;
                others.push(OtherFiles { name: String::new(), version: shown_name(other), apart: false, files, csv: other.csv });
            }
            let left_out = LeftOut::of(reader, &id, version.reference_id.as_deref())?;
            Ok(Subject { files: files::all(reader, &id)?, contract, reference, left_out, others, version })
        };
        self.db().read(permit, read).await
    }

    pub(super) async fn job<O: ?Sized>(&self, permit: &Permit<O>, subject: &Subject) -> Result<JobSpec, Problem> {
        let version = &subject.version;
        let number = version.number.map(|number| number.to_string()).unwrap_or_default();
        let mut job = JobSpec::new(&version.dataset, number, file_specs(&subject.files), permit.entry().at.0);
        job.others = subject.others.iter().map(OtherFiles::spec).collect();
        job.manifest_sha256 = version.manifest_sha256.map(|digest| hex(&digest)).unwrap_or_default();
        job.format.clone_from(&version.format);
        job.csv = version.csv;
        job.roles = version.roles.clone();
        job.seed = SEED;
        job.limits = self.job_limits();
        if let Some(contract) = &subject.contract {
            let bytes = self.whole(permit, contract).await?;
            let text = String::from_utf8(bytes).map_err(|e| Problem::invalid("the contract is not UTF-8").because(e))?;
            job.contract_yaml = Some(text);
        }
        if let Some((other, report)) = &subject.reference {
            let report = self.earlier_report(permit, report).await?;
            job.reference = report.profile.map(|profile| Reference { name: shown_name(other), profile });
            job.guarded = report.guarded.and_then(|guarded| guarded.parse().ok()).unwrap_or_default();
        }
        if let Some(left_out) = &subject.left_out {
            self.account_for(permit, left_out, &mut job.guarded).await?;
        }
        Ok(job)
    }

    /// The limits of a worker's job.
    pub(super) fn job_limits(&self) -> JobLimits {
        let config = &self.0.config;
        JobLimits {
            wall_seconds_max: config.inspection_seconds_max,
            cpu_seconds_max: config.inspection_seconds_max.saturating_mul(2),
            memory_bytes_max: config.inspection_memory_bytes_max,
            ..JobLimits::default()
        }
    }

    /// A small object, whole.
    pub(super) async fn whole<O: ?Sized>(&self, permit: &Permit<O>, object: &StoredObject) -> Result<Vec<u8>, Problem> {
        let mut body = self.objects().open(permit, object, 0..object.size_bytes).await?;
        let mut all = Vec::new();
        while let Some(bytes) = body.next().await {
            all.extend_from_slice(&bytes?);
        }
        Ok(all)
    }

    pub(crate) async fn bytes<O: ?Sized>(
        &self,
        permit: &Permit<O>,
        objects: &[StoredObject],
        request: ReadRequest,
    ) -> Result<bytes::Bytes, Problem> {
        let outside = || Problem::internal("the worker asked for bytes that are not there", "outside of the version");
        let object = objects.get(request.file).ok_or_else(outside)?;
        let end = request.offset.checked_add(u64::from(request.length)).ok_or_else(outside)?;
        let mut body = self.objects().open(permit, object, request.offset..end).await?;
        let mut all = bytes::BytesMut::with_capacity(request.length as usize);
        while let Some(bytes) = body.next().await {
            all.extend_from_slice(&bytes?);
        }
        Ok(all.freeze())
    }

    /// A whole report: its findings become a verdict, and the verdict the version's state.
    async fn judge(
        &self,
        permit: &Permit<RunInspection>,
        ending: Ending,
        subject: Subject,
        mut report: InspectionReport,
    ) -> Result<Ended, Problem> {
        let workspace = permit.workspace()?.to_owned();
        let (home, version_id) = (workspace.clone(), subject.version.id.clone());
        let read = move |reader: &mut Reader<'_>| Ok((sources::list(reader, &home)?, inspections::place(reader, &version_id)?));
        let (register, place) = self.db().read(permit, read).await?;
        let (workspace_name, _) = place.ok_or_else(no_version)?;
        let policy = self.0.verdicts.of(&workspace_name).clone();
        let provenance = provenance::look_up(&subject.version, &register);
        report.add_findings(provenance.findings.iter().cloned());
        report.add_findings(subject.not_what_was_kept(&report));
        report.screens.entry(Screen::Provenance).or_insert(inspection::ScreenState::Ran);
        let (findings, verdict) = policy.judge(&report.findings);
        let classes = classes_of(&report);
        let report_bytes = serde_json::to_vec(&report).map_err(|e| Problem::internal("the report cannot be written", e))?;
        let texts = self.documents(&subject.version, &report, report_bytes, &policy).await?;
        let report_sha256 = texts.first().map(|(_, bytes)| sha256(bytes)).unwrap_or_default();
        let mut documents = Vec::new();
        for (kind, bytes) in texts {
            let body = Box::pin(stream::iter([Ok(bytes::Bytes::from(bytes))]));
            documents.push((kind, self.objects().put(permit, &workspace, body, DOCUMENT_BYTES_MAX).await?));
        }
        let ids: Vec<ObjectId> = documents.iter().map(|(_, object)| object.id.clone()).collect();
        let judgement = Judgement { findings, verdict, classes, provenance, documents, report_sha256, report };
        let (scene, policy) = (Scene::of(permit)?, policy.digest().to_owned());
        let automatic = self.0.config.admit_automatically;
        let room = self.clone();
        let write = move |writer: &mut Writer<'_>| {
            let settled = settle(writer, &ending, &judgement, &scene, &policy, automatic)?;
            // More is known of it now than when it was committed: rules may ask for its classes.
            room.keep(writer, &ending.inspection.version_id, ending.at)?;
            Ok(settled)
        };
        match self.db().write(permit, write).await {
            Ok(Ended::Stopped) => {
                self.objects().drop_unnamed(permit, ids).await;
                Ok(Ended::Stopped)
            }
            Ok(ended) => Ok(ended),
            Err(problem) => {
                if problem.kind() != Kind::Unavailable {
                    self.objects().drop_unnamed(permit, ids).await;
                }
                Err(problem)
            }
        }
    }

    /// The report, its page, the signed statement that binds it to the manifest, and the version as Croissant.
    async fn documents(
        &self,
        version: &Version,
        report: &InspectionReport,
        report_bytes: Vec<u8>,
        policy: &VerdictPolicy,
    ) -> Result<Vec<(DocumentKind, Vec<u8>)>, Problem> {
        let policy = Resource { name: "data-verdict.toml".to_owned(), sha256: policy.digest().to_owned() };
        let statement = inspection::statement(report, &report_bytes, &[policy], None).to_string();
        let seed = self.objects().keys().secret(attest::KEY_NAME).await?;
        let envelope = attest::sign(&seed, statement.as_bytes())?;
        let envelope = serde_json::to_vec(&envelope).map_err(|e| Problem::internal("the attestation cannot be written", e))?;
        let page = inspection::html(report).into_bytes();
        Ok(vec![
            (DocumentKind::Report, report_bytes),
            (DocumentKind::Page, page),
            (DocumentKind::Attestation, envelope),
            (DocumentKind::Croissant, described(version, report)?),
        ])
    }

    /// No report: the inspection failed or was cancelled, and the version stays in quarantine.
    async fn give_up(&self, permit: &Permit<RunInspection>, ending: Ending, error: &InspectionError) -> Result<Ended, Problem> {
        let fault = error.to_string();
        let cancelled = matches!(error, InspectionError::Cancelled);
        tracing::warn!(inspection.id = ending.inspection.id, %fault, "an inspection left no report");
        let write = move |writer: &mut Writer<'_>| {
            let Ending { inspection, at, .. } = ending;
            let state = if cancelled { InspectionState::Cancelled } else { InspectionState::Failed };
            inspections::fail(writer, &inspection.id, state, &fault, at)?;
            versions::set_state(writer, &inspection.version_id, &[DataState::Inspecting], DataState::Quarantined)?;
            let kind = if cancelled { Kind::Conflict } else { Kind::Internal };
            let outcome = Outcome::failed(kind).resource(inspection.version_id).with("inspection", inspection.id);
            Ok((if cancelled { Ended::Stopped } else { Ended::Failed { fault } }, outcome))
        };
        self.db().write(permit, write).await
    }
}

/// The one commit of a verdict.
fn settle(
    writer: &mut Writer<'_>,
    ending: &Ending,
    judgement: &Judgement,
    scene: &Scene,
    policy: &str,
    automatic: bool,
) -> Result<(Ended, Outcome), Problem> {
    let Ending { inspection, runner, at } = ending;
    let Judgement { findings, verdict, classes, provenance, documents, report_sha256, report } = judgement;
    let (id, version_id) = (inspection.id.as_str(), inspection.version_id.as_str());
    let outcome = Outcome::done().resource(version_id).with("inspection", id);
    if !inspections::finish(writer, id, runner, *verdict, report_sha256, *at)? {
        // Cancelled in the last moment, or another process took it up: its verdict counts, not this one.
        if inspections::stop_own(writer, id, runner, *at)? {
            versions::set_state(writer, version_id, &[DataState::Inspecting], DataState::Quarantined)?;
        }
        return Ok((Ended::Stopped, outcome.with("stopped", 1_i64)));
    }
    inspections::put_findings(writer, id, findings)?;
    for (kind, object) in documents {
        files::put_document(writer, version_id, id, *kind, object)?;
    }
    let count = |count: u64| i64::try_from(count).unwrap_or(i64::MAX);
    let source_id = provenance.source.as_deref();
    let (row_count, column_count) = (count(report.summary.row_count), count(report.summary.column_count));
    versions::learn(writer, version_id, &Learnt { verdict: *verdict, classes: *classes, row_count, column_count, source_id })?;
    let version = versions::get(writer, version_id)?.ok_or_else(no_version)?;
    let state = enter(writer, &version, *verdict, automatic, *at)?;
    if let Some(number) = version.number {
        record::data_inspected(writer, scene, (&version.dataset, number), id, &hex(report_sha256), verdict.word())?;
    }
    let outcome = outcome
        .with("verdict", verdict.word())
        .with("state", state.word())
        .with("report_sha256", hex(report_sha256))
        .with("manifest_sha256", report.manifest_sha256.clone())
        .with("policy_sha256", policy)
        .with("finding_count", findings.len());
    let described = documents.iter().find(|(kind, _)| *kind == DocumentKind::Croissant);
    let outcome = match described {
        Some((_, object)) => outcome.with("croissant_sha256", hex(&object.sha256)),
        None => outcome,
    };
    Ok((Ended::Judged { verdict: *verdict, state }, outcome))
}

/// What a verdict makes of a version's state. A person's refusal stands; a waiver does not: it was for other findings.
fn enter(
    writer: &mut Writer<'_>,
    version: &Version,
    verdict: Verdict,
    automatic: bool,
    at: Micros,
) -> Result<DataState, Problem> {
    let by_a_person = version.decision.as_ref().is_some_and(|decision| decision.kind != DecisionKind::Inspection);
    let to = match (verdict, version.state) {
        (_, DataState::Refused) if by_a_person => return Ok(DataState::Refused),
        (Verdict::Refuse, _) => DataState::Refused,
        (Verdict::Pass, DataState::Admitted) if version.waiver_until.is_none() => return Ok(DataState::Admitted),
        (Verdict::Pass, _) if automatic => DataState::Admitted,
        (Verdict::Pass | Verdict::Waiver, _) => DataState::Quarantined,
    };
    let why = match verdict {
        Verdict::Pass if to == DataState::Admitted => "nothing that the policy objects to was found",
        Verdict::Pass => "nothing that the policy objects to was found; a reviewer admits it",
        Verdict::Waiver => "a reviewer must waive findings",
        Verdict::Refuse => "findings that the policy refuses",
    };
    let decision = Decision { kind: DecisionKind::Inspection, by: crate::INSPECTOR.to_owned(), at, why: why.to_owned() };
    let from = [DataState::Quarantined, DataState::Inspecting, DataState::Admitted, DataState::Refused];
    versions::decide(writer, &version.id, &from, to, &decision, None)?;
    Ok(to)
}

/// Whom and what the data concerns, by the classes of the report.
fn classes_of(report: &InspectionReport) -> DataClasses {
    let has = |name: &str| report.summary.classes.iter().any(|class| class == name);
    let special = has("special_category");
    let (health, financial) = (has("health"), has("financial"));
    DataClasses { personal: has("personal") || special || health, special, health, financial }
}
