//! `predictions.subject`, `predictions.erase` and `predictions.erasures`: what is kept of a subject, that it opens no more, and when that was done.

use admission::Receipt;
use gate::{Action, Operation, Outcome, Permit, Target};
use kernel::{Cursor, Micros, Problem};
use vault::db::{Reader, Writer};

use crate::limits::{HELD_ROWS_MAX, PAGE_ROWS_DEFAULT, PAGE_ROWS_MAX, SUBJECT_BYTES_MAX};
use crate::types::{Count, Erasure};
use crate::{Predictions, store};

fn check(subject: &str) -> Result<(), Problem> {
    if (1..=SUBJECT_BYTES_MAX).contains(&subject.len()) {
        return Ok(());
    }
    Err(Problem::invalid(format!(
        "a subject has from 1 to {SUBJECT_BYTES_MAX} letters, as clients named it in `Strongroom-Subject`"
    )))
}

fn unknown() -> Problem {
    Problem::not_found("nothing is kept under the key of such a subject in this workspace")
}

/// Tells what is kept of a subject, and so what an erasure would take.
pub struct FindSubject {
    /// The room.
    pub room: Predictions,
    /// The subject, as clients name it.
    pub subject: String,
}

/// What is kept of a subject.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Held {
    /// The random id that stands for it in predictions.
    pub subject_id: String,
    /// When a request first named it.
    pub since: Micros,
    /// In how many predictions it stands, as far as that was counted.
    pub request_count: i64,
    /// The same by endpoint and version, with when their batches begin and end.
    pub counts: Vec<Count>,
    /// Batches of the workspace that were sealed before subjects were counted: it may stand in those too.
    pub uncounted_batch_count: i64,
}

impl Operation for FindSubject {
    const ACTION: Action = super::SUBJECT;
    type Output = Held;

    fn target(&self) -> Target {
        Target::Workspace
    }

    async fn run(self, permit: Permit<Self>) -> Result<Held, Problem> {
        check(&self.subject)?;
        let workspace = permit.workspace()?.to_owned();
        let tag = self.room.0.subjects.tag(&workspace, &self.subject);
        self.room.settle().await?;
        let read = move |reader: &mut Reader<'_>| {
            let row = store::subject_by_tag(reader, &workspace, &tag)?.ok_or_else(unknown)?;
            Ok(Held {
                since: row.since,
                request_count: store::request_count_about(reader, &row.id)?,
                counts: store::held(reader, &row.id, HELD_ROWS_MAX)?,
                uncounted_batch_count: store::uncounted_batches(reader, &workspace)?,
                subject_id: row.id,
            })
        };
        let held = self.room.db().read(&permit, read).await?;
        permit.defer_outcome().settle(&Outcome::done().resource(held.subject_id.clone()));
        Ok(held)
    }
}

/// Erases what was kept of a subject: its key goes, and with it what was sealed under it, wherever that lies.
pub struct EraseSubject {
    /// The room.
    pub room: Predictions,
    /// The subject, as clients name it.
    pub subject: String,
}

impl Operation for EraseSubject {
    const ACTION: Action = super::ERASE;
    type Output = Erasure;

    fn target(&self) -> Target {
        Target::Workspace
    }

    async fn run(self, permit: Permit<Self>) -> Result<Erasure, Problem> {
        check(&self.subject)?;
        let workspace = permit.workspace()?.to_owned();
        let tag = self.room.0.subjects.tag(&workspace, &self.subject);
        let (entry, at, caller) = (permit.entry().id.clone(), permit.entry().at, permit.caller());
        let (by, by_name) = (caller.id.clone(), Some(caller.name.clone()));
        // What was answered a moment ago is counted too.
        self.room.settle().await?;
        // Before and after: a request that runs meanwhile reads the row, or finds that it is gone.
        self.room.0.subjects.forget(&tag);
        let write = move |writer: &mut Writer<'_>| {
            let subject_id = store::subject_by_tag(writer, &workspace, &tag)?.ok_or_else(unknown)?.id;
            let request_count = store::request_count_about(writer, &subject_id)?;
            let erasure = Erasure { entry, at, by, by_name, subject_id, request_count };
            store::delete_subject(writer, &erasure.subject_id)?;
            store::insert_erasure(writer, &workspace, &erasure)?;
            let outcome = Outcome::done().resource(erasure.subject_id.clone()).with("requests", request_count);
            Ok((erasure, outcome))
        };
        let erased = self.room.db().write(&permit, write).await;
        self.room.0.subjects.forget(&tag);
        erased
    }
}

/// Lists the erasures of a workspace, the newest first.
pub struct ListErasures {
    /// The room.
    pub room: Predictions,
    /// What the page before gave as `next`.
    pub after: Option<String>,
    /// How many; as many as the default if nothing is said.
    pub rows: Option<usize>,
}

/// A page.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ErasurePage {
    /// The erasures.
    pub rows: Vec<Erasure>,
    /// Where the next page begins, if there is one.
    pub next: Option<String>,
}

impl Operation for ListErasures {
    const ACTION: Action = super::ERASURES;
    type Output = ErasurePage;

    fn target(&self) -> Target {
        Target::Workspace
    }

    async fn run(self, permit: Permit<Self>) -> Result<ErasurePage, Problem> {
        let count = self.rows.unwrap_or(PAGE_ROWS_DEFAULT).clamp(1, PAGE_ROWS_MAX);
        let before = self.after.as_deref().map(Cursor::read).transpose()?;
        let workspace = permit.workspace()?.to_owned();
        let limit = i64::try_from(count.saturating_add(1)).unwrap_or(i64::MAX);
        let read = move |reader: &mut Reader<'_>| Ok(store::erasures(reader, &workspace, before.as_ref(), limit)?);
        let mut rows = self.room.db().read(&permit, read).await?;
        let has_more = rows.len() > count;
        rows.truncate(count);
        let next = rows.last().filter(|_| has_more).map(|last| Cursor { at: last.at, id: last.entry.clone() }.to_string());
        Ok(ErasurePage { rows, next })
    }
}

/// Gives an erasure with the receipt of its record.
pub struct ProveErasure {
    /// The room.
    pub room: Predictions,
    /// Its audit entry.
    pub entry: String,
}

impl Operation for ProveErasure {
    const ACTION: Action = super::ERASURES;
    type Output = (Erasure, Receipt);

    fn target(&self) -> Target {
        Target::Workspace
    }

    async fn run(self, permit: Permit<Self>) -> Result<(Erasure, Receipt), Problem> {
        let (workspace, entry) = (permit.workspace()?.to_owned(), self.entry);
        let read = move |reader: &mut Reader<'_>| Ok(store::erasure(reader, &workspace, &entry)?);
        let found = self.room.db().read_point(&permit, read).await?;
        let erasure = found.ok_or_else(|| Problem::not_found("there is no such erasure in this workspace"))?;
        let receipt = self.room.receipt_of(&erasure.entry).await?;
        Ok((erasure, receipt))
    }
}
