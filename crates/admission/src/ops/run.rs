//! `admissions.begin` and `admissions.run`: what the inspector does, under its own narrow identity.
//!
//! INVARIANT: a version's state, its findings, the report and the record of the verdict are one commit. A process that dies
//! before it leaves the version in quarantine, and the inspection to be taken up again.

use std::sync::Arc;

use artifacts::{Manifest, StoredFile, files_below};
use attest::Signer;
use attest::dsse::Envelope;
use attest::statement::PAYLOAD_TYPE;
use data::{Decision, DecisionKind, FoundFinding, INSPECTOR, Inspect, InspectionState, Verdict};
use futures_util::{StreamExt, stream};
use gate::{Action, BoxFuture, DataState, Operation, Outcome, Permit, Target};
use inspection::{
    Effect, FileSpec, Finding, InspectionError, InspectionReport, JobLimits, JobSpec, ReadRequest, Resource, Screen, ScreenState,
    Section, SubjectKind, catalogue,
};
use kernel::{Kind, Micros, Problem, hex, sha256};
use lineage::Origin;
use lineage::record::{self, Scene};
use vault::db::{Reader, Writer};
use vault::objects::{ObjectId, StoredObject};

use super::news::{News, note};
use crate::guarding::{self, Comparable};
use crate::limits::{DOCUMENT_BYTES_MAX, SIGNATURE_BYTES_MAX};
use crate::signers::Signature;
use crate::store::{documents, inspections, signers, standings};
use crate::trial::{self, Prepared, Readable};
use crate::types::{DocumentKind, Inspection, Standing, Subject, conflict, no_version};
use crate::{Admission, BUILT_IN_POLICY_NAME};
use crate::{origin, papers};

/// Everything random in an inspection comes of this, so that it can be repeated.
const SEED: u64 = 1;

/// Takes the next inspection up, if one waits or was left behind by a process that is gone.
pub struct BeginInspection {
    /// The room.
    pub room: Admission,
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
            let outcome = Outcome::done().resource(found.subject.id()).with("inspection", found.id.clone());
            if !inspections::begin(writer, &found, &runner, at)? {
                standings::set_state(writer, &found.subject, DataState::Inspecting, DataState::Quarantined)?;
                return Ok((None, outcome.with("given_up", 1_i64)));
            }
            // What is admitted or refused stays so until there is another verdict.
            standings::set_state(writer, &found.subject, DataState::Quarantined, DataState::Inspecting)?;
            let attempt = found.attempt_count.saturating_add(1);
            Ok((inspections::get(writer, &found.id)?, outcome.with("attempt", attempt)))
        });
        begun.await
    }
}

/// Does an inspection that was begun, to its verdict or its failure.
pub struct RunInspection {
    /// The room.
    pub room: Admission,
    /// The model's name.
    pub name: String,
    /// The inspection.
    pub inspection: Inspection,
    /// The process that does it.
    pub runner: String,
    /// Who looks into the files.
    pub inspector: Arc<dyn Inspect>,
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
        Target::ModelVersion(self.name.clone(), self.inspection.subject.number.to_string())
    }

    async fn run(self, permit: Permit<Self>) -> Result<Ended, Problem> {
        let (room, at) = (self.room.clone(), permit.entry().at);
        let mut under_look = room.look_up(&permit, &self.inspection.subject, at).await?;
        let mut prepared = room.prepare(&permit, under_look.trial.as_ref()).await?;
        let guard = std::mem::take(&mut under_look.comparable).prepare(&mut prepared);
        let job = JobSpec { guard, ..room.job(&under_look, &mut prepared, at) };
        let read = |request: ReadRequest| -> BoxFuture<'_, Result<bytes::Bytes, Problem>> {
            Box::pin(room.bytes(&permit, &under_look.files, &prepared.files, request))
        };
        let news = News::default();
        let hear = |progress| news.hear(progress);
        let noting = note(&room, &self.inspection.id, &news);
        let inspecting = self.inspector.inspect(&job, &read, &hear, Box::pin(news.cancelled()));
        let inspected = tokio::select! {
            inspected = inspecting => inspected,
            () = noting => Err(InspectionError::Cancelled),
        };
        let ending = Ending { inspection: self.inspection, runner: self.runner, at };
        match inspected {
            Ok(report) => room.judge(&permit, ending, (under_look, prepared), report).await,
            Err(error) => room.give_up(&permit, ending, &error).await,
        }
    }
}

/// What an inspection is about.
struct UnderLook {
    standing: Standing,
    files: Vec<StoredFile>,
    manifest: Manifest,
    origin: Origin,
    trial: Option<trial::Found>,
    comparable: Comparable,
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
    documents: Vec<(DocumentKind, StoredObject)>,
    report_sha256: [u8; 32],
    /// The digest of the file scanner's rules.
    rules: Option<String>,
    manifest: Manifest,
    /// What it was tried on.
    tried: Prepared,
}

impl Admission {
    async fn look_up<O: ?Sized>(&self, permit: &Permit<O>, subject: &Subject, at: Micros) -> Result<UnderLook, Problem> {
        let subject = subject.clone();
        let read = move |reader: &mut Reader<'_>| {
            let standing = standings::get(reader, &subject)?.ok_or_else(no_version)?;
            let place = standing.place.as_ref().ok_or_else(|| conflict("the version's files are not on this server"))?;
            let files = files_below(reader, place)?;
            let manifest = Manifest::of(files.iter().map(|file| file.entry.clone()).collect());
            let origin = lineage::origin_of_version(reader, &standing.workspace, &subject.model_id, subject.number)?;
            let trial = trial::look_up(reader, &standing, &origin, at)?;
            let comparable = guarding::look_up(reader, &standing, &origin, at)?;
            Ok(UnderLook { standing, files, manifest, origin, trial, comparable })
        };
        self.db().read(permit, read).await
    }

    fn job(&self, under_look: &UnderLook, prepared: &mut Prepared, at: Micros) -> JobSpec {
        let specs = under_look.files.iter().map(|file| FileSpec {
            path: file.entry.path.clone(),
            size_bytes: file.entry.size_bytes,
            sha256: hex(&file.entry.sha256),
        });
        let standing = &under_look.standing;
        let mut job = JobSpec::new(&standing.name, standing.subject.number.to_string(), specs.collect(), at.0);
        job.subject = SubjectKind::Model;
        job.manifest_sha256 = hex(&under_look.manifest.digest);
        job.screens = vec![Screen::File];
        job.others = std::mem::take(&mut prepared.others);
        job.trial = prepared.spec.take();
        if job.trial.is_some() {
            job.screens.extend([Screen::Gate, Screen::Attack]);
        }
        job.seed = SEED;
        let config = &self.0.config;
        job.limits = JobLimits {
            wall_seconds_max: config.inspection_seconds_max,
            cpu_seconds_max: config.inspection_seconds_max.saturating_mul(2),
            memory_bytes_max: config.inspection_memory_bytes_max,
            ..JobLimits::default()
        };
        job
    }

    async fn bytes<O: ?Sized>(
        &self,
        permit: &Permit<O>,
        files: &[StoredFile],
        others: &[Readable],
        request: ReadRequest,
    ) -> Result<bytes::Bytes, Problem> {
        let outside = || Problem::internal("the worker asked for bytes that are not there", "outside of the version");
        let end = request.offset.checked_add(u64::from(request.length)).ok_or_else(outside)?;
        if let Some(file) = files.get(request.file) {
            return self.0.artifacts.bytes_of(permit, file, request.offset..end).await;
        }
        match request.file.checked_sub(files.len()).and_then(|place| others.get(place)).ok_or_else(outside)? {
            Readable::OfModel(file) => self.0.artifacts.bytes_of(permit, file, request.offset..end).await,
            Readable::OfData(object) => {
                let mut body = self.0.objects.open(permit, object, request.offset..end).await?;
                let mut all = bytes::BytesMut::with_capacity(request.length as usize);
                while let Some(bytes) = body.next().await {
                    all.extend_from_slice(&bytes?);
                }
                Ok(all.freeze())
            }
        }
    }

    /// The signature that lies among a version's files.
    async fn signature<O: ?Sized>(&self, permit: &Permit<O>, files: &[StoredFile]) -> Result<Option<bytes::Bytes>, Problem> {
        let Some(file) = files.iter().find(|file| file.entry.path == attest::oms::SIGNATURE_NAME) else { return Ok(None) };
        // One that is too long is cut, and so does not hold.
        let length = file.entry.size_bytes.min(SIGNATURE_BYTES_MAX);
        self.0.artifacts.bytes_of(permit, file, 0..length).await.map(Some)
    }

    /// A whole report: with what is known of the origin its findings become a verdict, and the verdict the version's state.
    async fn judge(
        &self,
        permit: &Permit<RunInspection>,
        ending: Ending,
        (under_look, tried): (UnderLook, Prepared),
        mut report: InspectionReport,
    ) -> Result<Ended, Problem> {
        let bundle = self.signature(permit, &under_look.files).await?;
        let UnderLook { standing, manifest, origin, .. } = under_look;
        let workspace = standing.workspace.clone();
        let (home, at) = (workspace.clone(), ending.at);
        let paths: Vec<String> = manifest.entries.iter().map(|entry| entry.path.clone()).collect();
        let read = move |reader: &mut Reader<'_>| {
            Ok((origin::look_up(reader, &home, &origin, &paths, at)?, signers::last(reader, &home)?))
        };
        let (known, set) = self.db().read(permit, read).await?;
        let signature = Signature::check(bundle.as_deref(), &papers::digests(&manifest), set.as_ref(), at);
        report.add_findings(known.findings().into_iter().chain(signature.finding()));
        if tried.revision.is_none() {
            report.add_findings([Finding::new(&catalogue::GATE_NONE, "its model has none")]);
        }
        report.origin = Section::of(&known).ok();
        report.signature = Section::of(&signature).ok();
        report.screens.extend([Screen::Origin, Screen::Signature].map(|screen| (screen, ScreenState::Ran)));
        let reference = guarding::taken_from(&mut report);
        let (findings, verdict) = self.0.verdict.judge(&report.findings);
        let rules = report.scan.as_ref().and_then(rules_of);
        let report_bytes = serde_json::to_vec(&report).map_err(|e| Problem::internal("the report cannot be written", e))?;
        let report_sha256 = sha256(&report_bytes);
        let texts = self.documents(&report, report_bytes, &manifest).await?;
        let mut documents = Vec::new();
        for (kind, bytes) in texts.into_iter().chain(reference) {
            let body = Box::pin(stream::iter([Ok(bytes::Bytes::from(bytes))]));
            documents.push((kind, self.0.objects.put(permit, &workspace, body, DOCUMENT_BYTES_MAX).await?));
        }
        let ids: Vec<ObjectId> = documents.iter().map(|(_, object)| object.id.clone()).collect();
        let judgement = Judgement { findings, verdict, documents, report_sha256, rules, manifest, tried };
        let scene = Scene::of(permit)?;
        let (policy, automatic) = (self.0.verdict.digest().to_owned(), self.0.config.admit_automatically);
        let room = self.clone();
        let settled = self
            .db()
            .write(permit, move |writer| {
                let settled = settle(writer, &ending, &judgement, &scene, (&policy, automatic))?;
                room.keep(writer, &ending.inspection.subject, ending.at)?;
                Ok(settled)
            })
            .await;
        // Unavailable: nobody knows whether it was committed, so the objects are left to the sweep.
        let unwanted = match &settled {
            Ok(Ended::Stopped) => true,
            Ok(_) => false,
            Err(problem) => problem.kind() != Kind::Unavailable,
        };
        if unwanted {
            self.0.objects.drop_unnamed(permit, ids).await;
        }
        settled
    }

    /// The report, its page, and the signed statement that binds it to the manifest.
    async fn documents(
        &self,
        report: &InspectionReport,
        report_bytes: Vec<u8>,
        manifest: &Manifest,
    ) -> Result<Vec<(DocumentKind, Vec<u8>)>, Problem> {
        let policy = Resource { name: BUILT_IN_POLICY_NAME.to_owned(), sha256: self.0.verdict.digest().to_owned() };
        let mut statement = inspection::statement(report, &report_bytes, &[policy], None);
        let signer = self.signer().await?;
        // Signatures and papers name a model by the root of its signed manifest: the statement speaks of that one too.
        let subjects = statement.get_mut("subject").and_then(serde_json::Value::as_array_mut);
        if let (Some(root), Some(subjects)) = (papers::root(report, manifest), subjects) {
            subjects.push(root);
        }
        let unwritable = |error: String| Problem::internal("the attestation cannot be written", error);
        let keyid = signer.public_key().key_id();
        let envelope = Envelope::sign(&signer, PAYLOAD_TYPE, statement.to_string().as_bytes(), &keyid);
        let envelope = envelope.map_err(|error| unwritable(error.to_string()))?;
        let envelope = serde_json::to_vec(&envelope).map_err(|error| unwritable(error.to_string()))?;
        let page = inspection::html(report).into_bytes();
        Ok(vec![(DocumentKind::Report, report_bytes), (DocumentKind::Page, page), (DocumentKind::Attestation, envelope)])
    }

    /// No report: the inspection failed or was cancelled, and the version stays in quarantine.
    async fn give_up(&self, permit: &Permit<RunInspection>, ending: Ending, error: &InspectionError) -> Result<Ended, Problem> {
        let fault = error.to_string();
        let cancelled = matches!(error, InspectionError::Cancelled);
        tracing::warn!(inspection.id = ending.inspection.id, %fault, "an inspection of a model left no report");
        let write = move |writer: &mut Writer<'_>| {
            let Ending { inspection, at, .. } = ending;
            let state = if cancelled { InspectionState::Cancelled } else { InspectionState::Failed };
            inspections::fail(writer, &inspection.id, state, &fault, at)?;
            standings::set_state(writer, &inspection.subject, DataState::Inspecting, DataState::Quarantined)?;
            let kind = if cancelled { Kind::Conflict } else { Kind::Internal };
            let outcome = Outcome::failed(kind).resource(inspection.subject.id()).with("inspection", inspection.id);
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
    (policy, automatic): (&str, bool),
) -> Result<(Ended, Outcome), Problem> {
    let Ending { inspection, runner, at } = ending;
    let Judgement { findings, verdict, documents, report_sha256, rules, manifest, tried } = judgement;
    let (id, subject) = (inspection.id.as_str(), &inspection.subject);
    let outcome = Outcome::done().resource(subject.id()).with("inspection", id);
    let before = inspections::last_done(writer, subject)?;
    let before = before.map(|last| inspections::findings(writer, &last.id)).transpose()?.unwrap_or_default();
    if !inspections::finish(writer, id, runner, *verdict, report_sha256, rules.as_deref(), *at)? {
        // Cancelled in the last moment, or another process took it up: its verdict counts, not this one.
        if inspections::stop_own(writer, id, runner, *at)? {
            standings::set_state(writer, subject, DataState::Inspecting, DataState::Quarantined)?;
        }
        return Ok((Ended::Stopped, outcome.with("stopped", 1_i64)));
    }
    inspections::put_findings(writer, id, findings)?;
    for (kind, object) in documents {
        documents::put(writer, subject, id, *kind, object)?;
    }
    let known = standings::get(writer, subject)?.and_then(|known| known.manifest_sha256);
    let same_files = known == Some(manifest.digest);
    standings::learn(writer, subject, *verdict, manifest, tried.revision)?;
    if tried.revision.is_some() {
        let data: Vec<(String, i64)> = tried.data.iter().map(|(name, number, _)| (name.clone(), *number)).collect();
        let inspected = (id, hex(report_sha256), verdict.word());
        record::model_tried(writer, scene, (&subject.model_id, subject.number), (inspected.0, &inspected.1, inspected.2), &data)?;
    }
    let standing = standings::get(writer, subject)?.ok_or_else(no_version)?;
    let state = if same_files && is_waived_already(&standing, *verdict, findings, &before) {
        DataState::Admitted
    } else {
        enter(writer, &standing, *verdict, (automatic, same_files), *at)?
    };
    let outcome = outcome
        .with("verdict", verdict.word())
        .with("state", state.word())
        .with("report_sha256", hex(report_sha256))
        .with("manifest_sha256", hex(&manifest.digest))
        .with("policy_sha256", policy)
        .with("finding_count", findings.len());
    let ids: Vec<&str> = tried.data.iter().map(|(_, _, id)| id.as_str()).collect();
    let outcome = match tried.revision {
        Some(revision) => outcome.with("gate_revision", revision).with("data_versions", ids.join(",")),
        None => outcome,
    };
    Ok((Ended::Judged { verdict: *verdict, state }, outcome))
}

/// The digest of the rules in the scanner's section of a report.
fn rules_of(scan: &Section) -> Option<String> {
    let scan: serde_json::Value = scan.parse().ok()?;
    scan.pointer("/rules/digest").and_then(serde_json::Value::as_str).map(str::to_owned)
}

/// Whether a reviewer's waiver holds on for the same files: it was for these very findings, with the same effect, which another
/// inspection found again.
fn is_waived_already(standing: &Standing, verdict: Verdict, now: &[FoundFinding], before: &[FoundFinding]) -> bool {
    let known = |found: &FoundFinding| {
        let same = |old: &FoundFinding| old.finding.id == found.finding.id && old.finding.detail == found.finding.detail;
        before.iter().any(|old| old.effect == found.effect && same(old))
    };
    standing.state == DataState::Admitted
        && standing.waiver_until.is_some()
        && verdict == Verdict::Waiver
        && now.iter().filter(|found| found.effect != Effect::Inform).all(known)
}

/// What a verdict makes of a version's state. A person's refusal stands; a waiver does not: it was for other findings or files.
/// Nor does a reviewer's word on files that have changed since. What a person refused is not let in by being registered again.
fn enter(
    writer: &mut Writer<'_>,
    standing: &Standing,
    verdict: Verdict,
    (automatic, same_files): (bool, bool),
    at: Micros,
) -> Result<DataState, Problem> {
    let refused = standings::refused_before(writer, &standing.subject)?;
    let automatic = automatic && refused.is_none();
    let by_a_person = standing.decision.as_ref().is_some_and(|decision| decision.kind != DecisionKind::Inspection);
    let to = match (verdict, standing.state) {
        (_, DataState::Refused) if by_a_person => return Ok(DataState::Refused),
        (Verdict::Refuse, _) => DataState::Refused,
        (Verdict::Pass, DataState::Admitted) if same_files && standing.waiver_until.is_none() => return Ok(DataState::Admitted),
        (Verdict::Pass, _) if automatic => DataState::Admitted,
        (Verdict::Pass | Verdict::Waiver, _) => DataState::Quarantined,
    };
    let why = match (verdict, refused) {
        (Verdict::Pass, _) if to == DataState::Admitted => "nothing that the policy objects to was found".to_owned(),
        (Verdict::Pass, Some(why)) => format!("the same files were refused before ({why}); a reviewer admits them"),
        (Verdict::Pass, None) => "nothing that the policy objects to was found; a reviewer admits it".to_owned(),
        (Verdict::Waiver, _) => "a reviewer must waive findings".to_owned(),
        (Verdict::Refuse, _) => "findings that the policy refuses".to_owned(),
    };
    let decision = Decision { kind: DecisionKind::Inspection, by: INSPECTOR.to_owned(), at, why };
    standings::decide(writer, &standing.subject, to, &decision, None)?;
    Ok(to)
}
