//! Adds and changes records.

use gate::{Action, Operation, Outcome, Permit, Target};
use kernel::{Kind, Micros, Problem};
use vault::db::Writer;

use crate::document::Document;
use crate::store::records::{self, Author};
use crate::types::{NewRecord, Upserted, no_dataset};
use crate::{Evaluation, limits, rules, schema, store};

/// Adds records to a dataset. One whose inputs are there already is merged: expectations and tags are united, outputs replaced.
pub struct UpsertRecords {
    /// The room.
    pub room: Evaluation,
    /// The dataset.
    pub dataset_id: String,
    /// The records.
    pub records: Vec<NewRecord>,
}

impl Operation for UpsertRecords {
    const ACTION: Action = super::LOG;
    type Output = Upserted;

    fn target(&self) -> Target {
        Target::EvaluationDataset(self.dataset_id.clone())
    }

    async fn run(self, permit: Permit<Self>) -> Result<Upserted, Problem> {
        rules::record_batch(self.records.len())?;
        let row = super::dataset_row(&permit, &self.dataset_id)?;
        let name = permit.caller().name.clone();
        let at = permit.entry().at;
        let Self { room, dataset_id, records } = self;
        room.db
            .write(&permit, move |tx| {
                let done = upsert(tx, &dataset_id, row, records, Author { name: &name, at })?;
                let outcome = Outcome::done().resource(dataset_id).with("inserted", done.inserted).with("updated", done.updated);
                Ok((done, outcome))
            })
            .await
    }
}

fn upsert(
    tx: &mut Writer<'_>,
    dataset_id: &str,
    row: i64,
    records: Vec<NewRecord>,
    author: Author<'_>,
) -> Result<Upserted, Problem> {
    let known = store::head(tx, row)?.ok_or_else(|| no_dataset(dataset_id))?;
    let schema = schema::extended(known.schema.as_deref(), &records)?;
    let mut done = Upserted::default();
    for record in records {
        let document = Document::of(record, author.name)?;
        match records::by_inputs(tx, row, &document.input_hash)? {
            Some(old) => {
                records::update(tx, old.row, &document.merged(Some(&old))?, author)?;
                done.updated += 1;
            }
            None => {
                records::insert(tx, row, &document, author)?;
                done.inserted += 1;
            }
        }
    }
    let count = known.record_count.saturating_add(i64::try_from(done.inserted).unwrap_or(i64::MAX));
    if count > limits::RECORD_COUNT_MAX {
        let text = format!("an evaluation dataset holds at most {} records; begin another one", limits::RECORD_COUNT_MAX);
        return Err(Problem::new(Kind::TooLarge, text));
    }
    changed(tx, row, &known.name, count, schema.as_deref(), author.name, author.at)?;
    Ok(done)
}

/// The dataset's head after its records changed.
pub(super) fn changed(
    tx: &mut Writer<'_>,
    row: i64,
    name: &str,
    record_count: i64,
    schema: Option<&str>,
    by: &str,
    at: Micros,
) -> Result<(), Problem> {
    store::set_content(tx, row, &super::digest(name, at), record_count, schema)?;
    Ok(store::touch(tx, row, by, at)?)
}
