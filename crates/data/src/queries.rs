//! The port to whoever runs SQL over files: the worker in another address space, or a stand-in in tests; and the SQL rules
//! of contracts, whose queries are run before the inspection that judges by them.

use std::sync::Arc;

use gate::{BoxFuture, Permit};
use inspection::{
    Ask, CsvDialect, InspectionError, JobSpec, Progress, QueryJob, QueryLimits, QueryReport, QueryTable, ReadRequest, SqlAnswers,
    Worker,
};
use vault::objects::StoredObject;

use crate::inspect::ReadBytes;
use crate::ops::file_specs;
use crate::runner::Watch;
use crate::{Data, DataConfig};

/// What the version that an inspection compares with is called in SQL rules.
pub const PREVIOUS_TABLE: &str = "previous";
/// A word that every contract with an SQL rule holds: it is a key of theirs.
const RULE_WORD: &str = "query";

/// Runs SQL over files.
pub trait Query: Send + Sync + 'static {
    /// Does a job. When `cancelled` is ready, or the future is dropped, it stops.
    ///
    /// # Errors
    /// If there is no whole answer, for whatever reason.
    fn query<'a>(
        &'a self,
        job: &'a QueryJob,
        read: &'a ReadBytes<'a>,
        progress: &'a (dyn Fn(Progress) + Send + Sync),
        cancelled: BoxFuture<'a, ()>,
    ) -> BoxFuture<'a, Result<QueryReport, InspectionError>>;
}

impl Query for Worker {
    fn query<'a>(
        &'a self,
        job: &'a QueryJob,
        read: &'a ReadBytes<'a>,
        progress: &'a (dyn Fn(Progress) + Send + Sync),
        cancelled: BoxFuture<'a, ()>,
    ) -> BoxFuture<'a, Result<QueryReport, InspectionError>> {
        Box::pin(self.query(job, read, progress, cancelled))
    }
}

/// Files of a version, by their paths.
pub(crate) type Files = Vec<(String, StoredObject)>;

/// A version's files as a table of queries.
#[derive(Clone, Copy)]
pub(crate) struct TableFiles<'a> {
    /// What queries call it.
    pub(crate) name: &'a str,
    pub(crate) files: &'a Files,
    pub(crate) csv: CsvDialect,
}

impl TableFiles<'_> {
    pub(crate) fn table(&self) -> QueryTable {
        QueryTable { name: self.name.to_owned(), files: file_specs(self.files), csv: self.csv, columns: Vec::new() }
    }
}

/// The limits of the configuration.
pub(crate) fn limits(config: &DataConfig, seconds_max: u64) -> QueryLimits {
    QueryLimits {
        query_seconds_max: seconds_max,
        wall_seconds_max: seconds_max,
        cpu_seconds_max: seconds_max.saturating_mul(2),
        memory_bytes_max: config.inspection_memory_bytes_max,
        ..QueryLimits::default()
    }
}

impl Data {
    /// Runs the queries of the SQL rules of the job's contract, over the first of `tables` and those of the others that it
    /// speaks of. What could not be run is said, so that the rules count as not run.
    ///
    /// # Errors
    /// `Cancelled`, or `Source` if the store is down: then there is no inspection at all.
    pub(crate) async fn sql_answers<O: ?Sized>(
        &self,
        permit: &Permit<O>,
        job: &JobSpec,
        tables: &[TableFiles<'_>],
        watch: &Arc<Watch>,
    ) -> Result<SqlAnswers, InspectionError> {
        let Some(contract_yaml) = job.contract_yaml.as_ref().filter(|yaml| yaml.contains(RULE_WORD)) else {
            return Ok(SqlAnswers::default());
        };
        let Some(worker) = &self.0.queries else {
            return Ok(SqlAnswers::not_run(format!("`{}` is not there", inspection::QUERY_WORKER_NAME)));
        };
        let named = tables.iter().enumerate().filter(|(place, table)| *place == 0 || contract_yaml.contains(table.name));
        let tables: Vec<TableFiles<'_>> = named.map(|(_, table)| *table).collect();
        let objects: Vec<StoredObject> =
            tables.iter().flat_map(|table| table.files.iter().map(|(_, object)| object.clone())).collect();
        let tables = tables.iter().map(TableFiles::table).collect();
        let config = &self.0.config;
        let ask = Ask::Rules { contract_yaml: contract_yaml.clone() };
        let asked = QueryJob { tables, ask, limits: limits(config, config.inspection_seconds_max) };
        let read = |request: ReadRequest| -> BoxFuture<'_, _> { Box::pin(self.bytes(permit, &objects, request)) };
        let news = |progress| watch.hear(progress);
        match worker.query(&asked, &read, &news, Box::pin(watch.cancelled())).await {
            Ok(report) => Ok(SqlAnswers { values: report.rules, fault: None }),
            Err(error @ (InspectionError::Cancelled | InspectionError::Source(_))) => Err(error),
            Err(error) => {
                tracing::warn!(%error, "the SQL rules of a contract were not run");
                Ok(SqlAnswers::not_run(error.to_string()))
            }
        }
    }
}
