//! `datasets.read` by SQL: the rows of one query over a version, which the worker runs.

use gate::{Action, BoxFuture, Operation, Outcome, Permit, Target};
use inspection::{Ask, InspectionError, QUERY_ROW_COUNT_MAX, QUERY_TEXT_BYTES_MAX, QueryJob, QueryRows, ReadRequest};
use kernel::{Kind, Problem, hex, sha256};
use vault::objects::StoredObject;

use crate::limits::QUERY_COUNT_MAX;
use crate::queries::TableFiles;
use crate::store::{files, versions};
use crate::types::no_version;
use crate::{Data, queries, rules};

/// What the version is called in a query, besides its data set's name.
pub const TABLE_NAME: &str = "data";

/// Runs one `SELECT` over a version. It reads the version: who may not read its files may not ask either.
pub struct QueryVersion {
    /// The room.
    pub room: Data,
    /// The data set.
    pub dataset: String,
    /// The version.
    pub version: String,
    /// The query.
    pub sql: String,
    /// How many rows to give.
    pub row_count_max: u64,
}

impl Operation for QueryVersion {
    const ACTION: Action = super::READ;
    type Output = QueryRows;

    fn target(&self) -> Target {
        Target::DatasetVersion(self.dataset.clone(), self.version.clone())
    }

    async fn run(self, permit: Permit<Self>) -> Result<QueryRows, Problem> {
        let id = rules::version_id(&permit)?;
        if self.sql.len() > QUERY_TEXT_BYTES_MAX {
            return Err(Problem::new(Kind::TooLarge, format!("a query has at most {QUERY_TEXT_BYTES_MAX} bytes")));
        }
        if self.row_count_max == 0 || self.row_count_max > QUERY_ROW_COUNT_MAX {
            return Err(Problem::invalid(format!("an answer has 1 to {QUERY_ROW_COUNT_MAX} rows")));
        }
        let missing = "queries are not run here: `strongroom-query` is not there; install it, or name it in `data.query`";
        let worker = self.room.0.queries.clone().ok_or_else(|| Problem::unavailable(missing))?;
        let busy = || Problem::new(Kind::TooMany, format!("{QUERY_COUNT_MAX} queries are run at once; try again soon"));
        let _slot = self.room.0.query_slots.try_acquire().map_err(|_| busy())?;
        let version_id = id.clone();
        let found = self.room.db().read(&permit, move |reader| {
            let version = versions::get(reader, &version_id)?.ok_or_else(no_version)?;
            Ok((version, files::all(reader, &version_id)?))
        });
        let (version, all) = found.await?;
        let number = rules::committed(&version)?;
        self.room.observe(&permit, &version.dataset, number, None).await?;
        let objects: Vec<StoredObject> = all.iter().map(|(_, object)| object.clone()).collect();
        let mut limits = queries::limits(&self.room.0.config, self.room.0.config.query_seconds_max);
        limits.row_count_max = self.row_count_max;
        let ask = Ask::Rows { sql: self.sql.clone() };
        let job = QueryJob { tables: vec![TableFiles { name: TABLE_NAME, files: &all, csv: version.csv }.table()], ask, limits };
        let read = |request: ReadRequest| -> BoxFuture<'_, _> { Box::pin(self.room.bytes(&permit, &objects, request)) };
        let answer = worker.query(&job, &read, &|_| {}, Box::pin(std::future::pending())).await;
        let report = answer.map_err(InspectionError::of_query)?;
        let rows = report.rows.ok_or_else(|| Problem::internal("the query left no rows", "an answer of another kind"))?;
        let outcome = Outcome::done()
            .resource(id)
            .with("query_sha256", hex(&sha256(self.sql.as_bytes())))
            .with("row_count", i64::try_from(rows.row_count).unwrap_or(i64::MAX));
        permit.defer_outcome().settle(&outcome);
        Ok(rows)
    }
}
