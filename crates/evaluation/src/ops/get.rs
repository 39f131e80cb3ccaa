//! Reads a dataset and its records.

use gate::{Action, Operation, Permit, Target};
use kernel::Problem;

use crate::types::{Dataset, Page, Record, no_dataset};
use crate::{Evaluation, limits, rules, store};

/// Reads a dataset, without its records.
pub struct GetDataset {
    /// The room.
    pub room: Evaluation,
    /// Its id.
    pub dataset_id: String,
}

impl Operation for GetDataset {
    const ACTION: Action = super::GET;
    type Output = Dataset;

    fn target(&self) -> Target {
        Target::EvaluationDataset(self.dataset_id.clone())
    }

    async fn run(self, permit: Permit<Self>) -> Result<Dataset, Problem> {
        let row = super::dataset_row(&permit, &self.dataset_id)?;
        let found = self.room.db.read_point(&permit, move |reader| Ok(store::get(reader, row)?)).await?;
        found.ok_or_else(|| no_dataset(&self.dataset_id))
    }
}

/// Reads a page of a dataset's records, in the order in which they came.
pub struct GetRecords {
    /// The room.
    pub room: Evaluation,
    /// The dataset.
    pub dataset_id: String,
    /// How many at most; large records make a page shorter.
    pub max_results: i64,
    /// Where to go on.
    pub page_token: Option<String>,
}

impl Operation for GetRecords {
    const ACTION: Action = super::GET;
    type Output = Page<Record>;

    fn target(&self) -> Target {
        Target::EvaluationDataset(self.dataset_id.clone())
    }

    async fn run(self, permit: Permit<Self>) -> Result<Page<Record>, Problem> {
        let row = super::dataset_row(&permit, &self.dataset_id)?;
        // More than a page's worth is asked for by clients that page anyway.
        let limit = rules::page_count(self.max_results.min(limits::RECORD_PAGE_COUNT_MAX), limits::RECORD_PAGE_COUNT_MAX)?;
        let after = i64::try_from(filter::decode_page_token(self.page_token.as_deref())?).unwrap_or(i64::MAX);
        self.room
            .db
            .read(&permit, move |reader| {
                let (items, more) = store::records::page(reader, row, after, limit)?;
                let last = items.last().map_or(0, |record| u64::try_from(record.row).unwrap_or_default());
                let next_page_token = more.then(|| filter::encode_page_token(last));
                Ok(Page { items, next_page_token })
            })
            .await
    }
}
