//! `predictions.search`: which predictions there are, without what was asked and said.

use std::collections::{BTreeMap, BTreeSet};

use gate::{Action, Operation, Permit, Target};
use kernel::{Micros, Problem};
use serving::made_at;
use vault::db::Reader;

use crate::limits::{BATCH_COUNT_MAX, PAGE_ROWS_DEFAULT, PAGE_ROWS_MAX};
use crate::read::Content;
use crate::store::{self, Choice};
use crate::types::{Batch, Count, Found};
use crate::{Predictions, Record};

/// Which predictions.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Wish {
    /// Of this endpoint.
    pub endpoint: Option<String>,
    /// By one of these versions: the model's internal id and the number.
    pub versions: Option<Vec<String>>,
    /// From this moment on.
    pub since: Option<Micros>,
    /// Before this moment.
    pub until: Option<Micros>,
}

impl Wish {
    pub(crate) fn narrow(&self, choice: Choice) -> Choice {
        let Self { endpoint, versions, since, until } = self.clone();
        Choice { endpoint, versions, since, until, ..choice }
    }

    pub(crate) fn fits(&self, record: &Record) -> bool {
        self.since.is_none_or(|since| record.at >= since.0) && self.until.is_none_or(|until| record.at < until.0)
    }
}

/// Lists predictions, newest first.
pub struct SearchPredictions {
    /// The room.
    pub room: Predictions,
    /// Which.
    pub wish: Wish,
    /// Older than this one, by id.
    pub after: Option<String>,
    /// How many; as many as the default if nothing is said.
    pub rows: Option<usize>,
}

/// A page.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Page {
    /// The predictions.
    pub rows: Vec<Record>,
    /// The names of those who asked, by id, as they are now.
    pub names: BTreeMap<String, String>,
    /// Where the next page begins, if there is one.
    pub next: Option<String>,
}

impl Operation for SearchPredictions {
    const ACTION: Action = super::SEARCH;
    type Output = Page;

    fn target(&self) -> Target {
        Target::Workspace
    }

    async fn run(self, permit: Permit<Self>) -> Result<Page, Problem> {
        let Self { room, wish, after, rows } = self;
        let Some(choice) = room.choice(&permit)? else { return Ok(Page::default()) };
        room.settle().await?;
        let count = rows.unwrap_or(PAGE_ROWS_DEFAULT).clamp(1, PAGE_ROWS_MAX);
        let before = after.as_deref().map(|id| made_at(id).ok_or_else(no_prediction)).transpose()?;
        let mut choice = wish.narrow(choice);
        if let Some(before) = before {
            // Ids tell the millisecond; which of that millisecond are older is decided by the id.
            let end = Micros(before.0.saturating_add(1_000));
            choice.until = Some(choice.until.map_or(end, |until| until.min(end)));
        }
        let batches = room.db().read(&permit, move |reader| Ok(store::batches(reader, &choice, BATCH_COUNT_MAX)?)).await?;
        let mut found: Vec<Record> = Vec::new();
        for batch in &batches {
            // What is in this batch and those behind it is older than enough others.
            let enough = found.get(count).is_some_and(|last| last.at > batch.last_at.0);
            if enough {
                break;
            }
            let content = room.content(&permit, batch).await?;
            let fits = |record: &Record| wish.fits(record) && after.as_ref().is_none_or(|after| record.id < *after);
            found.extend(content.frames.iter().filter_map(|frame| Record::parse(&frame.record)).filter(fits));
            // Ids begin with the time, to the millisecond.
            found.sort_by(|one, other| other.id.cmp(&one.id));
            found.truncate(count.saturating_add(1));
        }
        let has_more = found.len() > count;
        found.truncate(count);
        let next = found.last().filter(|_| has_more).map(|last| last.id.clone());
        let callers: BTreeSet<String> = found.iter().map(|record| record.caller.clone()).collect();
        let names = move |reader: &mut Reader<'_>| Ok(store::principal_names(reader, callers)?);
        let names = room.db().read(&permit, names).await?;
        Ok(Page { rows: found, names, next })
    }
}

/// Counts predictions by endpoint and version.
pub struct CountPredictions {
    /// The room.
    pub room: Predictions,
    /// Which.
    pub wish: Wish,
}

impl Operation for CountPredictions {
    const ACTION: Action = super::SEARCH;
    type Output = Vec<Count>;

    fn target(&self) -> Target {
        Target::Workspace
    }

    async fn run(self, permit: Permit<Self>) -> Result<Vec<Count>, Problem> {
        let Some(choice) = self.room.choice(&permit)? else { return Ok(Vec::new()) };
        self.room.settle().await?;
        let choice = self.wish.narrow(choice);
        self.room.db().read(&permit, move |reader| Ok(store::counts(reader, &choice)?)).await
    }
}

/// Finds a prediction.
pub struct FindPrediction {
    /// The room.
    pub room: Predictions,
    /// Its id.
    pub id: String,
}

impl Operation for FindPrediction {
    const ACTION: Action = super::SEARCH;
    type Output = Found;

    fn target(&self) -> Target {
        Target::Workspace
    }

    async fn run(self, permit: Permit<Self>) -> Result<Found, Problem> {
        Ok(self.room.find(&permit, &self.id).await?.found)
    }
}

/// A prediction with its batch.
pub(crate) struct Place {
    pub(crate) found: Found,
    pub(crate) content: Content,
    /// Where in the batch it is.
    pub(crate) index: usize,
}

impl Predictions {
    /// The prediction of an id, among what the permit reaches.
    pub(crate) async fn find<O: ?Sized>(&self, permit: &Permit<O>, id: &str) -> Result<Place, Problem> {
        let at = made_at(id).ok_or_else(no_prediction)?;
        let choice = self.choice(permit)?.ok_or_else(no_prediction)?;
        self.settle().await?;
        let choice = Choice { since: Some(at), until: Some(Micros(at.0.saturating_add(1_000))), ..choice };
        let batches = self.db().read(permit, move |reader| Ok(store::batches(reader, &choice, BATCH_COUNT_MAX)?)).await?;
        for batch in batches {
            let content = self.content(permit, &batch).await?;
            let mut records = content.frames.iter().enumerate();
            let found = records.find_map(|(index, frame)| {
                let record = Record::parse(&frame.record).filter(|record| record.id == id)?;
                Some((index, record))
            });
            if let Some((index, record)) = found {
                return Ok(Place { found: self.named(permit, record, batch).await?, content, index });
            }
        }
        Err(no_prediction())
    }

    async fn named<O: ?Sized>(&self, permit: &Permit<O>, record: Record, batch: Batch) -> Result<Found, Problem> {
        let (model, caller) = (batch.model_id.clone(), record.caller.clone());
        let read =
            move |reader: &mut Reader<'_>| Ok((store::model_name(reader, &model)?, store::principal_name(reader, &caller)?));
        let (model, caller) = self.db().read_point(permit, read).await?;
        Ok(Found { record, batch, model, caller })
    }
}

pub(crate) fn no_prediction() -> Problem {
    Problem::not_found("there is no such prediction, its time is over, or you may not know of it")
}
