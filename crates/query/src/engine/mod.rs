//! The engine: tables in, one query at a time, a number or rows out, everything bounded.

mod answer;
mod error;
mod plan;
mod source;
mod statement;
#[cfg(test)]
mod tests;
mod whole_sums;

use std::sync::{Arc, mpsc};
use std::time::Duration;

use datafusion::common::TableReference;
use datafusion::execution::disk_manager::{DiskManagerBuilder, DiskManagerMode};
use datafusion::execution::memory_pool::GreedyMemoryPool;
use datafusion::execution::object_store::ObjectStoreUrl;
use datafusion::execution::runtime_env::RuntimeEnvBuilder;
use datafusion::execution::session_state::SessionStateBuilder;
use datafusion::execution::{SendableRecordBatchStream, SessionState, SessionStateDefaults};
use datafusion::logical_expr::LogicalPlan;
use datafusion::optimizer::Analyzer;
use datafusion::physical_plan::execute_stream;
use datafusion::prelude::{SessionConfig, SessionContext};
use inspection::{QueryLimits, QueryRows, QueryValue};
use tables::Table;
use tokio::runtime::Runtime;

pub(crate) use error::QueryError;
use source::FileTable;
pub(crate) use source::Meter;
use whole_sums::WholeSums;

/// Rows of a batch within the engine, and of those that it is given.
pub(crate) const BATCH_ROW_COUNT: usize = 8_192;
/// Functions that would make an answer differ from one run to the next.
const LEFT_OUT: [&str; 3] = ["random", "uuid", "uuidv7"];

/// A session over the tables of one job.
///
/// Queries run on a thread of their own, which is waited for only so long: a join can compute for minutes between two moments at
/// which it could be stopped. One that was given up goes on until the program ends, which is soon.
pub(crate) struct Engine {
    core: Arc<Core>,
    /// There until the engine is dropped, which waits for nobody.
    runtime: Option<Runtime>,
}

/// What a query needs.
struct Core {
    context: SessionContext,
    limits: QueryLimits,
    /// Whether names mean the same in any case, as in most databases: no table has two columns that differ only in case.
    any_case: bool,
    columns: Vec<String>,
}

impl Drop for Engine {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

impl Engine {
    /// A session over `tables`, each under its names.
    ///
    /// # Errors
    /// `Refused` for a name that is taken twice; `Run` if the engine cannot be set up.
    pub(crate) fn new(tables: Vec<(Vec<String>, Table)>, limits: QueryLimits, meter: &Arc<Meter>) -> Result<Self, QueryError> {
        let tables = tables.into_iter().map(|(names, table)| (names, table, Vec::new())).collect();
        Self::with_columns(tables, limits, meter)
    }

    /// The same, where each table also has columns of texts that its files may lack.
    ///
    /// # Errors
    /// As [`Engine::new`].
    pub(crate) fn with_columns(
        tables: Vec<(Vec<String>, Table, Vec<String>)>,
        limits: QueryLimits,
        meter: &Arc<Meter>,
    ) -> Result<Self, QueryError> {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .thread_name("query")
            .thread_stack_size(crate::STACK_BYTES)
            .build()
            .map_err(|error| QueryError::Run(format!("no runtime: {error}")))?;
        let context = SessionContext::new_with_state(session(&limits)?);
        let any_case = tables.iter().all(|(_, table, _)| !has_twins(table));
        let mut columns = Vec::new();
        for (names, table, more) in tables {
            columns.extend(table.schema().fields().iter().map(|field| field.name().clone()));
            let table = Arc::new(FileTable::new(table, any_case, &more, Arc::clone(meter)));
            let mut own: Vec<String> = names.iter().map(|name| name.to_lowercase()).chain(names.iter().cloned()).collect();
            own.sort();
            own.dedup();
            for name in own {
                let taken = context.table_exist(TableReference::bare(name.clone())).unwrap_or(true);
                if taken {
                    return Err(QueryError::Refused(format!("two tables are called `{name}`; give one another name")));
                }
                let table = Arc::clone(&table);
                context.register_table(TableReference::bare(name), table).map_err(|error| QueryError::planning(&error))?;
            }
        }
        Ok(Self { core: Arc::new(Core { context, limits, any_case, columns }), runtime: Some(runtime) })
    }

    /// The one value of a query, or how many rows it gives if it may give any number of them.
    pub(crate) fn value(&self, sql: &str) -> Result<f64, QueryError> {
        let (core, sql) = (Arc::clone(&self.core), sql.to_owned());
        self.in_time(async move { core.value(&sql).await })
    }

    /// The rows of a query, up to the limit.
    pub(crate) fn rows(&self, sql: &str) -> Result<QueryRows, QueryError> {
        let (core, sql) = (Arc::clone(&self.core), sql.to_owned());
        self.in_time(async move { core.rows(&sql).await })
    }

    fn in_time<T: Send + 'static>(
        &self,
        work: impl Future<Output = Result<T, QueryError>> + Send + 'static,
    ) -> Result<T, QueryError> {
        let seconds = self.core.limits.query_seconds_max;
        let (sender, receiver) = mpsc::channel();
        let work = async move {
            // Nobody listens any more once the time is over.
            drop(sender.send(work.await));
        };
        if let Some(runtime) = &self.runtime {
            drop(runtime.spawn(work));
        }
        match receiver.recv_timeout(Duration::from_secs(seconds)) {
            Ok(answer) => answer,
            Err(mpsc::RecvTimeoutError::Timeout) => Err(QueryError::Time(seconds)),
            Err(mpsc::RecvTimeoutError::Disconnected) => {
                Err(QueryError::Run("the query engine met a fault of its own; write the query differently".to_owned()))
            }
        }
    }
}

impl Core {
    async fn value(&self, sql: &str) -> Result<f64, QueryError> {
        let state = self.context.state();
        let plan = self.plan(&state, sql).await?;
        let is_single = plan::gives_one_row(&plan);
        let rows = self.execute(&state, &plan).await?;
        self.answered(answer::value(rows, is_single).await)
    }

    async fn rows(&self, sql: &str) -> Result<QueryRows, QueryError> {
        let state = self.context.state();
        let plan = self.plan(&state, sql).await?;
        let rows = self.execute(&state, &plan).await?;
        let mut rows = self.answered(answer::rows(rows, self.limits.row_count_max).await)?;
        for column in &mut rows.columns {
            // A name that was made lower-case is shown as the table has it.
            let own = self.columns.iter().find(|own| own.to_lowercase() == column.name);
            if let Some(own) = own {
                column.name.clone_from(own);
            }
        }
        Ok(rows)
    }

    async fn plan(&self, state: &SessionState, sql: &str) -> Result<LogicalPlan, QueryError> {
        let statement = statement::single_select(sql, self.any_case)?;
        let planned = state.statement_to_plan(statement).await.map_err(|error| QueryError::planning(&error))?;
        plan::check(&planned)?;
        Ok(planned)
    }

    async fn execute(&self, state: &SessionState, plan: &LogicalPlan) -> Result<SendableRecordBatchStream, QueryError> {
        let plan = state.create_physical_plan(plan).await.map_err(|error| QueryError::planning(&error))?;
        execute_stream(plan, state.task_ctx()).map_err(|error| self.failed(&error))
    }

    fn answered<T>(&self, given: Result<T, answer::Unanswered>) -> Result<T, QueryError> {
        given.map_err(|why| match why {
            answer::Unanswered::Engine(error) => self.failed(&error),
            answer::Unanswered::Shape(why) => QueryError::Refused(why),
        })
    }

    fn failed(&self, error: &datafusion::error::DataFusionError) -> QueryError {
        QueryError::running(error, pool_bytes(&self.limits))
    }
}

/// What a rule's query gave, fit for a report.
pub(crate) fn for_report(given: Result<f64, QueryError>) -> QueryValue {
    match given {
        Ok(value) if value.is_finite() => QueryValue::Value(value),
        Ok(_) => QueryValue::Failed("the query gave a number that is not finite".to_owned()),
        Err(error) => QueryValue::Failed(error.without_values()),
    }
}

/// What queries may hold: the other half of the memory is for reading and for what is on its way.
fn pool_bytes(limits: &QueryLimits) -> u64 {
    limits.memory_bytes_max / 2
}

/// Functions and rules of the engine, and nothing by which it could reach a file or an address.
fn session(limits: &QueryLimits) -> Result<SessionState, QueryError> {
    let pool = usize::try_from(pool_bytes(limits)).unwrap_or(usize::MAX);
    let environment = RuntimeEnvBuilder::new()
        .with_memory_pool(Arc::new(GreedyMemoryPool::new(pool)))
        .with_disk_manager_builder(DiskManagerBuilder::default().with_mode(DiskManagerMode::Disabled))
        .build_arc()
        .map_err(|error| QueryError::planning(&error))?;
    // The only store that there is by default; the sandbox has none for it either.
    let files = ObjectStoreUrl::local_filesystem();
    environment.deregister_object_store(files.as_ref()).map_err(|error| QueryError::planning(&error))?;
    // One partition: the same data give the same answer, in sums of fractions too.
    let config = SessionConfig::new()
        .with_target_partitions(1)
        .with_batch_size(BATCH_ROW_COUNT)
        .with_information_schema(false)
        .with_collect_statistics(false);
    let mut scalar = SessionStateDefaults::default_scalar_functions();
    scalar.retain(|function| !LEFT_OUT.contains(&function.name()));
    let mut rules = Analyzer::new().rules;
    rules.insert(0, Arc::new(WholeSums));
    // Neither table functions nor file formats nor table factories.
    Ok(SessionStateBuilder::new()
        .with_config(config)
        .with_runtime_env(environment)
        .with_expr_planners(SessionStateDefaults::default_expr_planners())
        .with_scalar_functions(scalar)
        .with_aggregate_functions(SessionStateDefaults::default_aggregate_functions())
        .with_window_functions(SessionStateDefaults::default_window_functions())
        .with_analyzer_rules(rules)
        .build())
}

/// Whether two columns of a table differ only in case.
fn has_twins(table: &Table) -> bool {
    let mut names: Vec<String> = table.schema().fields().iter().map(|field| field.name().to_lowercase()).collect();
    let count = names.len();
    names.sort();
    names.dedup();
    names.len() != count
}
