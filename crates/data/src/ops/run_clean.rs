//! `cleanings.run`: the inspector leaves rows out of a version, as somebody asked for. The worker writes the files, the server
//! keeps them: so that the new version is the other one without those rows is what the server itself saw.
//!
//! INVARIANT: the files, the seal, the edge and the inspection that follows are one commit. A process that dies before it leaves
//! an open version and orphans, and the job to be taken up again.

use std::sync::Arc;

use futures_util::StreamExt;
use gate::{Action, BoxFuture, Operation, Outcome, Permit, Target};
use inspection::{CleanCount, CleanSpec, InspectionError, JobSpec, ReadRequest, Taken};
use kernel::{Kind, Problem, hex};
use lineage::Trust;
use lineage::record::{Scene, data_version_name};
use tokio::sync::mpsc;
use vault::db::{Reader, Writer};
use vault::objects::{ObjectId, StoredObject};

use super::clean::Removed;
use super::commit::{Descent, Sealing};
use super::run::{Ended, file_specs};
use crate::inspect::Inspect;
use crate::limits::CONTRACT_BYTES_MAX;
use crate::runner::Watch;
use crate::store::retrain::{self, Asked};
use crate::store::{cleanings, files, inspections, versions};
use crate::types::{
    Cleaning, CommitWish, DocumentKind, Inspection, InspectionState, OtherVersion, Version, VersionName, no_version,
};
use crate::{Body, Data};

/// Pieces of a file that wait to be stored.
const WAITING_COUNT_MAX: usize = 4;

/// Leaves rows out. Of the job `inspector`.
pub struct RunCleaning {
    /// The room.
    pub room: Data,
    /// The data set.
    pub dataset: String,
    /// The task.
    pub task: Inspection,
    /// The process that does it.
    pub runner: String,
    /// Who writes the files.
    pub inspector: Arc<dyn Inspect>,
    /// Where its progress goes, and who stops it.
    pub watch: Arc<Watch>,
}

/// What is to be written.
struct Subject {
    version: Version,
    cleaning: Cleaning,
    parent: Version,
    files: Vec<(String, StoredObject)>,
    list: StoredObject,
    dataset_id: String,
    contract: Option<StoredObject>,
    others: Vec<OtherVersion>,
}

/// A file on its way into the store.
enum Item {
    Copy(usize),
    File(usize, mpsc::Receiver<Result<bytes::Bytes, Problem>>),
}

impl Operation for RunCleaning {
    const ACTION: Action = super::RUN_CLEANING;
    type Output = Ended;

    fn target(&self) -> Target {
        Target::DatasetVersion(self.dataset.clone(), self.task.version_id.clone())
    }

    async fn run(self, permit: Permit<Self>) -> Result<Ended, Problem> {
        let room = self.room.clone();
        let subject = room.cleaning_subject(&permit, &self.task).await?;
        let job = room.cleaning_job(&permit, &subject).await?;
        let workspace = permit.workspace()?.to_owned();
        let sources: Vec<StoredObject> = subject.files.iter().map(|(_, object)| object.clone()).collect();
        let read = |request: ReadRequest| -> BoxFuture<'_, Result<bytes::Bytes, Problem>> {
            Box::pin(room.bytes(&permit, &sources, request))
        };
        let watch = Arc::clone(&self.watch);
        let news = |progress| watch.hear(progress);
        let (items, waiting) = mpsc::channel(1);
        let taker = Taker::new(items);
        let take = |taken: Taken| -> BoxFuture<'_, Result<(), Problem>> { Box::pin(taker.take(taken)) };
        let work = async {
            let done = self.inspector.clean(&job, &read, &take, &news, Box::pin(watch.cancelled())).await;
            taker.close().await;
            done
        };
        let (done, stored) = tokio::join!(work, room.store_all(&permit, &workspace, &subject, waiting));
        let ids: Vec<ObjectId> = stored.kept.iter().map(|(_, object)| object.id.clone()).collect();
        let ended = match (done, stored.problem) {
            (_, Some(problem)) if !matches!(problem.kind(), Kind::Invalid | Kind::TooLarge) => Err(problem),
            (_, Some(problem)) => room.give_up_cleaning(&permit, &self.task, &problem.to_string(), false).await,
            (Err(InspectionError::Store(problem) | InspectionError::Source(problem)), None) => Err(problem),
            (Err(error), None) => {
                let cancelled = matches!(error, InspectionError::Cancelled);
                room.give_up_cleaning(&permit, &self.task, &error.to_string(), cancelled).await
            }
            (Ok(count), None) => {
                let ending = Ending { task: self.task, runner: self.runner, count, kept: stored.kept };
                room.seal_cleaned(&permit, &workspace, subject, ending).await
            }
        };
        if !matches!(ended, Ok(Ended::Cleaned { .. })) && !matches!(&ended, Err(problem) if problem.kind() == Kind::Unavailable) {
            room.objects().drop_unnamed(&permit, ids).await;
        }
        ended
    }
}

/// A task that ends well.
struct Ending {
    task: Inspection,
    runner: String,
    count: CleanCount,
    kept: Vec<(usize, StoredObject)>,
}

/// Hands on what the worker writes.
struct Taker(tokio::sync::Mutex<Taking>);

struct Taking {
    /// Where files go; none once nothing more comes.
    items: Option<mpsc::Sender<Item>>,
    /// Where the bytes of the file go that was begun.
    now: Option<mpsc::Sender<Result<bytes::Bytes, Problem>>>,
}

impl Taker {
    fn new(items: mpsc::Sender<Item>) -> Self {
        Self(tokio::sync::Mutex::new(Taking { items: Some(items), now: None }))
    }

    async fn take(&self, taken: Taken) -> Result<(), Problem> {
        let gone = || Problem::unavailable("the file could not be stored");
        let mut taking = self.0.lock().await;
        let item = match taken {
            Taken::Bytes(bytes) => {
                let sender = taking.now.as_ref().ok_or_else(gone)?;
                return sender.send(Ok(bytes)).await.map_err(|_| gone());
            }
            Taken::End => {
                taking.now = None;
                return Ok(());
            }
            Taken::Keep(file) => Item::Copy(file),
            Taken::Begin(file) => {
                let (sender, receiver) = mpsc::channel(WAITING_COUNT_MAX);
                taking.now = Some(sender);
                Item::File(file, receiver)
            }
        };
        taking.items.as_ref().ok_or_else(gone)?.send(item).await.map_err(|_| gone())
    }

    /// Nothing more comes. A file that was begun and not ended is broken off.
    async fn close(&self) {
        let mut taking = self.0.lock().await;
        if let Some(sender) = taking.now.take() {
            drop(sender.send(Err(Problem::new(Kind::Invalid, "the worker broke off a file"))).await);
        }
        taking.items = None;
    }
}

/// What was stored, and what went wrong.
#[derive(Default)]
struct Stored {
    kept: Vec<(usize, StoredObject)>,
    problem: Option<Problem>,
}

impl Data {
    async fn cleaning_subject<O: ?Sized>(&self, permit: &Permit<O>, task: &Inspection) -> Result<Subject, Problem> {
        let id = task.version_id.clone();
        let read = move |reader: &mut Reader<'_>| {
            let version = versions::get(reader, &id)?.ok_or_else(no_version)?;
            let (parent_id, cleaning) = cleanings::get(reader, &id)?.ok_or_else(no_version)?;
            let parent = versions::get(reader, &parent_id)?.ok_or_else(no_version)?;
            let list = files::document(reader, &id, DocumentKind::Removed)?;
            let list = list.ok_or_else(|| Problem::internal("the list of rows is not there", "no document"))?;
            let contract = files::document(reader, &parent_id, DocumentKind::Contract)?;
            let others = cleanings::others(reader, &parent_id)?;
            let dataset_id = versions::dataset_of(reader, &id)?.ok_or_else(no_version)?;
            Ok(Subject { files: files::all(reader, &parent_id)?, version, cleaning, parent, list, dataset_id, contract, others })
        };
        self.db().read(permit, read).await
    }

    async fn cleaning_job<O: ?Sized>(&self, permit: &Permit<O>, subject: &Subject) -> Result<JobSpec, Problem> {
        let list = self.whole(permit, &subject.list).await?;
        let removed: Removed =
            serde_json::from_slice(&list).map_err(|error| Problem::internal("the list of rows cannot be read", error))?;
        let parent = &subject.parent;
        if parent.manifest_sha256.map(|digest| hex(&digest)) != Some(removed.manifest_sha256) {
            return Err(Problem::internal("the list of rows is about another version", "the manifests differ"));
        }
        let number = parent.number.map(|number| number.to_string()).unwrap_or_default();
        let mut job = JobSpec::new(&parent.dataset, number, file_specs(&subject.files), permit.entry().at.0);
        job.format.clone_from(&parent.format);
        job.csv = parent.csv;
        job.limits = self.job_limits();
        // What is left out makes files smaller; another writer of the same format may pack less tightly.
        let before = subject.files.iter().fold(0_u64, |sum, (_, object)| sum.saturating_add(object.size_bytes));
        job.limits.write_bytes_max = before.saturating_mul(4).saturating_add(64 << 20);
        job.clean = Some(CleanSpec { rows: removed.rows });
        Ok(job)
    }

    /// Stores what comes until no more does. After a fault nothing more is taken, so that whoever sends finds out.
    async fn store_all<O: ?Sized>(
        &self,
        permit: &Permit<O>,
        workspace: &str,
        subject: &Subject,
        mut waiting: mpsc::Receiver<Item>,
    ) -> Stored {
        let mut stored = Stored::default();
        while let Some(item) = waiting.recv().await {
            let (file, body) = match item {
                Item::Copy(file) => (file, self.copy_of(permit, subject, file).await),
                Item::File(file, receiver) => (file, Ok(body_of(receiver))),
            };
            let put = match body {
                Ok(body) => self.objects().put_apart(permit, workspace, body, self.0.config.file_bytes_max).await,
                Err(problem) => Err(problem),
            };
            match put {
                Ok(object) => stored.kept.push((file, object)),
                Err(problem) => {
                    stored.problem = Some(problem);
                    break;
                }
            }
        }
        stored
    }

    async fn copy_of<O: ?Sized>(&self, permit: &Permit<O>, subject: &Subject, file: usize) -> Result<Body, Problem> {
        let (_, object) = subject.files.get(file).ok_or_else(no_version)?;
        self.objects().open(permit, object, 0..object.size_bytes).await
    }

    /// The files are there: the version is sealed, and its inspection queued.
    async fn seal_cleaned(
        &self,
        permit: &Permit<RunCleaning>,
        workspace: &str,
        subject: Subject,
        ending: Ending,
    ) -> Result<Ended, Problem> {
        let own = self.contract_for(permit, &subject.dataset_id, None).await?;
        let text = match (own, &subject.contract) {
            (Some(text), _) => Some(text),
            (None, Some(object)) => String::from_utf8(self.whole(permit, object).await?).ok(),
            (None, None) => None,
        };
        let contract = match text {
            Some(text) => {
                let body = Box::pin(futures_util::stream::iter([Ok(bytes::Bytes::from(text))]));
                Some(self.objects().put(permit, workspace, body, CONTRACT_BYTES_MAX as u64).await?)
            }
            None => None,
        };
        let contract_id = contract.as_ref().map(|object| object.id.clone());
        let committer = subject.version.committer.clone();
        let scene = Scene::of(permit)?.asked_by(&committer);
        let sealing = Sealing {
            room: self.clone(),
            id: subject.version.id.clone(),
            caller: committer,
            workspace: workspace.to_owned(),
            at: permit.entry().at,
            wish: wish(&subject),
            contract,
            descent: Descent { how: "cleaned", trust: Trust::Observed },
            scene,
        };
        let written = self.db().write(permit, move |writer| settle(writer, sealing, &subject, &ending)).await;
        if matches!(written, Ok(Ended::Cleaned { .. })) {
            self.0.queued.notify_one();
        } else if !matches!(&written, Err(problem) if problem.kind() == Kind::Unavailable) {
            self.objects().drop_unnamed(permit, contract_id.into_iter().collect()).await;
        }
        written
    }

    /// The rows cannot be left out: the version stays open until it is swept.
    async fn give_up_cleaning(
        &self,
        permit: &Permit<RunCleaning>,
        task: &Inspection,
        fault: &str,
        cancelled: bool,
    ) -> Result<Ended, Problem> {
        tracing::warn!(task.id = task.id, %fault, "rows could not be left out of a version");
        let (id, version_id, at, fault) = (task.id.clone(), task.version_id.clone(), permit.entry().at, fault.to_owned());
        let write = move |writer: &mut Writer<'_>| {
            let state = if cancelled { InspectionState::Cancelled } else { InspectionState::Failed };
            inspections::fail(writer, &id, state, &fault, at)?;
            let kind = if cancelled { Kind::Conflict } else { Kind::Invalid };
            let outcome = Outcome::failed(kind).resource(version_id).with("task", id);
            Ok((if cancelled { Ended::Stopped } else { Ended::Failed { fault } }, outcome))
        };
        self.db().write(permit, write).await
    }
}

fn body_of(receiver: mpsc::Receiver<Result<bytes::Bytes, Problem>>) -> Body {
    let pieces =
        futures_util::stream::unfold(
            receiver,
            |mut receiver| async move { receiver.recv().await.map(|piece| (piece, receiver)) },
        );
    pieces.boxed()
}

/// What is said of the new version is what was said of the other one.
fn wish(subject: &Subject) -> CommitWish {
    let parent = &subject.parent;
    CommitWish {
        source_uri: parent.source_uri.clone(),
        licence: parent.licence.clone(),
        data_owner: parent.data_owner.clone(),
        purpose: parent.purpose.clone(),
        format: parent.format.clone(),
        csv: parent.csv,
        roles: parent.roles.clone(),
        parents: vec![VersionName::Id(parent.id.clone())],
        others: subject.others.clone(),
        ..CommitWish::default()
    }
}

fn settle(writer: &mut Writer<'_>, sealing: Sealing, subject: &Subject, ending: &Ending) -> Result<(Ended, Outcome), Problem> {
    let Ending { task, runner, count, kept } = ending;
    let outcome = Outcome::done().with("task", task.id.clone()).with("cleaned_from", subject.parent.id.clone());
    if !inspections::complete(writer, &task.id, runner, sealing.at)? {
        inspections::stop_own(writer, &task.id, runner, sealing.at)?;
        return Ok((Ended::Stopped, outcome.resource(task.version_id.clone()).with("stopped", 1_i64)));
    }
    for (file, object) in kept {
        let (path, _) = subject.files.get(*file).ok_or_else(no_version)?;
        files::put(writer, &task.version_id, path, object)?;
    }
    cleanings::counted(writer, &task.version_id, count.row_count)?;
    let (scene_workspace, at, caller) = (sealing.workspace.clone(), sealing.at, sealing.caller.clone());
    let ((committed, _), mut outcome) = sealing.write(writer, outcome)?;
    let mut retrain_count = 0;
    if subject.cleaning.retrain
        && let Some(number) = subject.parent.number
    {
        let dataset = &subject.parent.dataset;
        let (before, after) = (data_version_name(dataset, number), data_version_name(dataset, committed.number));
        let onward = lineage::onward(writer, &scene_workspace, dataset, number)?;
        let trained: Vec<_> = onward.things.into_iter().filter(super::trained::is_trained).collect();
        let asked = Asked {
            workspace: &scene_workspace,
            trained_on: &before,
            replaced_by: &after,
            why: &subject.cleaning.why,
            at,
            by: &caller,
        };
        retrain_count = retrain::queue(writer, &asked, &trained)?;
    }
    let signed = |count: u64| i64::try_from(count).unwrap_or(i64::MAX);
    outcome = outcome
        .with("removed_row_count", signed(count.removed_count))
        .with("removed_rows_sha256", hex(&subject.cleaning.rows_sha256))
        .with("retrain_count", signed(retrain_count));
    Ok((Ended::Cleaned { number: committed.number }, outcome))
}
