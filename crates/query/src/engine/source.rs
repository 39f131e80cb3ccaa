//! Rows from crate `tables`, as the engine wants them: one ordered stream per scan, read ahead by a thread of its own.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use arrow_array::{RecordBatch, RecordBatchOptions, new_null_array};
use arrow_schema::{DataType, Field, Schema, SchemaRef};
use async_trait::async_trait;
use datafusion::catalog::{Session, TableProvider};
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::logical_expr::{Expr, TableType};
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::streaming::{PartitionStream, StreamingTableExec};
use tables::{Table, TableError};
use tokio::sync::mpsc;

/// Batches that wait between the thread that reads and the engine.
const AHEAD_COUNT: usize = 2;

/// Counts rows that were read, over all scans.
pub(crate) struct Meter {
    rows: AtomicU64,
    news: Box<dyn Fn(u64) + Send + Sync>,
}

impl Meter {
    /// Tells `news` how many rows were read so far.
    pub(crate) fn new(news: impl Fn(u64) + Send + Sync + 'static) -> Arc<Self> {
        Arc::new(Self { rows: AtomicU64::new(0), news: Box::new(news) })
    }

    fn count(&self, rows: usize) {
        let before = self.rows.fetch_add(rows as u64, Ordering::Relaxed);
        (self.news)(before.saturating_add(rows as u64));
    }
}

/// A table of the job.
pub(crate) struct FileTable {
    table: Arc<Table>,
    schema: SchemaRef,
    meter: Arc<Meter>,
}

impl fmt::Debug for FileTable {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{:?}", self.table)
    }
}

impl FileTable {
    /// A table. With `any_case` its columns have lower-case names. What it has of `more` already it has once.
    pub(crate) fn new(table: Table, any_case: bool, more: &[String], meter: Arc<Meter>) -> Self {
        let field = |field: &Arc<Field>| {
            let name = if any_case { field.name().to_lowercase() } else { field.name().clone() };
            Field::new(name, engine_type(field.data_type()), true)
        };
        let mut fields: Vec<Field> = table.schema().fields().iter().map(field).collect();
        for name in more {
            if !fields.iter().any(|field| field.name() == name) {
                fields.push(Field::new(name, DataType::Utf8, true));
            }
        }
        let schema = Arc::new(Schema::new(fields));
        Self { table: Arc::new(table), schema, meter }
    }
}

/// The type by which the engine knows a column. Views point into a dictionary's texts, so that none is written out: a
/// dictionary with one long text would else grow by its number of rows.
fn engine_type(stored: &DataType) -> DataType {
    match stored {
        DataType::Dictionary(_, _) => DataType::Utf8View,
        other => other.clone(),
    }
}

#[async_trait]
impl TableProvider for FileTable {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    async fn scan(
        &self,
        _state: &dyn Session,
        projection: Option<&Vec<usize>>,
        _filters: &[Expr],
        limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let projection = projection.cloned().unwrap_or_else(|| (0..self.schema.fields().len()).collect());
        let schema = Arc::new(self.schema.project(&projection)?);
        let scan =
            Scan { table: Arc::clone(&self.table), schema: Arc::clone(&schema), projection, meter: Arc::clone(&self.meter) };
        Ok(Arc::new(StreamingTableExec::try_new(schema, vec![Arc::new(scan)], None, [], false, limit)?))
    }
}

/// One read of a table, from its first row to its last.
#[derive(Clone)]
struct Scan {
    table: Arc<Table>,
    schema: SchemaRef,
    projection: Vec<usize>,
    meter: Arc<Meter>,
}

impl fmt::Debug for Scan {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Scan({:?}, columns {:?})", self.table, self.projection)
    }
}

impl PartitionStream for Scan {
    fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    fn execute(&self, _context: Arc<TaskContext>) -> SendableRecordBatchStream {
        let (sender, receiver) = mpsc::channel(AHEAD_COUNT);
        let scan = self.clone();
        let started = std::thread::Builder::new().name("read".to_owned()).spawn(move || scan.read(&sender));
        let first = started.err().map(|error| Err(DataFusionError::ResourcesExhausted(error.to_string())));
        let batches = futures_util::stream::unfold((first, receiver), |(first, mut receiver)| async move {
            match first {
                Some(failed) => Some((failed, (None, receiver))),
                None => receiver.recv().await.map(|batch| (batch, (None, receiver))),
            }
        });
        Box::pin(RecordBatchStreamAdapter::new(Arc::clone(&self.schema), batches))
    }
}

impl Scan {
    /// Hands on batches until the last one, an error, or until nobody wants them any more.
    fn read(&self, to: &mpsc::Sender<Result<RecordBatch>>) {
        // Without any column, rows are still counted as they are read: what a footer claims is not believed.
        let own: Vec<usize> = self.projection.iter().copied().filter(|place| self.is_stored(*place)).collect();
        let stored: &[usize] = if own.is_empty() { &[0] } else { &own };
        for partition in 0..self.table.partitions().len() {
            let batches = match self.table.read(partition, Some(stored)) {
                Ok(batches) => batches,
                Err(error) => return drop(to.blocking_send(Err(external(error)))),
            };
            for batch in batches {
                let batch = batch.map_err(external).and_then(|batch| self.fit(&batch));
                let failed = batch.is_err();
                if to.blocking_send(batch).is_err() || failed {
                    return;
                }
            }
        }
    }

    /// Whether a column lies in the files.
    fn is_stored(&self, place: usize) -> bool {
        place < self.table.schema().fields().len()
    }

    /// The batch with the types of the schema, and with the columns that no file has.
    fn fit(&self, batch: &RecordBatch) -> Result<RecordBatch> {
        self.meter.count(batch.num_rows());
        let mut stored = batch.columns().iter();
        let columns = self.schema.fields().iter().zip(&self.projection).map(|(field, place)| {
            let column = self.is_stored(*place).then(|| stored.next()).flatten();
            match column {
                None => Ok(new_null_array(field.data_type(), batch.num_rows())),
                Some(column) if column.data_type() == field.data_type() => Ok(Arc::clone(column)),
                Some(column) => arrow_cast::cast(column, field.data_type()),
            }
        });
        let columns = columns.collect::<Result<Vec<_>, _>>()?;
        let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
        Ok(RecordBatch::try_new_with_options(Arc::clone(&self.schema), columns, &options)?)
    }
}

fn external(error: TableError) -> DataFusionError {
    DataFusionError::External(Box::new(error))
}
