//! `predictions.read` by SQL: the rows of one query, which the worker runs over the predictions that the caller may see.

use bytes::Bytes;
use gate::{Action, BoxFuture, Operation, Outcome, Permit, Target};
use inspection::{
    Ask, CsvDialect, FileSpec, InspectionError, QUERY_ROW_COUNT_MAX, QUERY_TEXT_BYTES_MAX, QueryJob, QueryLimits, QueryRows,
    QueryTable, ReadRequest,
};
use kernel::{Kind, Micros, Problem, hex, sha256};
use serde_json::{Map, Value, json};

use super::search::Wish;
use crate::limits::{BATCH_COUNT_MAX, QUERY_COUNT_MAX, QUERY_ROW_BYTES_MAX, QUERY_ROW_VALUE_COUNT_MAX};
use crate::read::{Kept, piece};
use crate::values::Spoken;
use crate::{Predictions, Record, store};

/// What the predictions are called in a query.
pub const TABLE_NAME: &str = "predictions";
/// What not every prediction has, and a query may ask for anyway.
const SPARSE_COLUMNS: [&str; 3] = ["subject", "inputs_hmac", "outputs_hmac"];
/// What `kept` says of a row whose values are too many for a query; the prediction itself shows them.
const TOO_LARGE: &str = "too_large";

/// Runs one `SELECT` over the predictions that the caller may read: a row for each row that was asked.
pub struct QueryPredictions {
    /// The room.
    pub room: Predictions,
    /// Over which of them.
    pub wish: Wish,
    /// The query.
    pub sql: String,
    /// How many rows to give.
    pub row_count_max: u64,
}

impl Operation for QueryPredictions {
    const ACTION: Action = super::READ;
    type Output = QueryRows;

    fn target(&self) -> Target {
        Target::Workspace
    }

    async fn run(self, permit: Permit<Self>) -> Result<QueryRows, Problem> {
        let Self { room, wish, sql, row_count_max } = self;
        if sql.len() > QUERY_TEXT_BYTES_MAX {
            return Err(Problem::new(Kind::TooLarge, format!("a query has at most {QUERY_TEXT_BYTES_MAX} bytes")));
        }
        if row_count_max == 0 || row_count_max > QUERY_ROW_COUNT_MAX {
            return Err(Problem::invalid(format!("an answer has 1 to {QUERY_ROW_COUNT_MAX} rows")));
        }
        let missing = "queries are not run here: `strongroom-query` is not there; install it, or name it in `data.query`";
        let worker = room.0.ground.queries.clone().ok_or_else(|| Problem::unavailable(missing))?;
        let busy = || Problem::new(Kind::TooMany, format!("{QUERY_COUNT_MAX} queries are run at once; try again soon"));
        let _slot = room.0.query_slots.try_acquire().map_err(|_| busy())?;
        let lines = room.lines(&permit, &wish).await?;
        let (seconds, memory_bytes_max) = room.0.ground.query_limits;
        let limits = QueryLimits {
            row_count_max,
            query_seconds_max: seconds,
            wall_seconds_max: seconds,
            cpu_seconds_max: seconds.saturating_mul(2),
            memory_bytes_max,
            ..QueryLimits::default()
        };
        let file = FileSpec { path: format!("{TABLE_NAME}.jsonl"), size_bytes: lines.len() as u64, sha256: hex(&sha256(&lines)) };
        let columns = Vec::from(SPARSE_COLUMNS.map(str::to_owned));
        let table = QueryTable { name: TABLE_NAME.to_owned(), files: vec![file], csv: CsvDialect::default(), columns };
        let job = QueryJob { tables: vec![table], ask: Ask::Rows { sql: sql.clone() }, limits };
        let read = |request: ReadRequest| -> BoxFuture<'_, _> {
            let bytes = piece(&lines, request.offset, request.length);
            Box::pin(std::future::ready(bytes))
        };
        let answer = worker.query(&job, &read, &|_| {}, Box::pin(std::future::pending())).await;
        let report = answer.map_err(InspectionError::of_query)?;
        let rows = report.rows.ok_or_else(|| Problem::internal("the query left no rows", "an answer of another kind"))?;
        let outcome = Outcome::done()
            .with("query_sha256", hex(&sha256(sql.as_bytes())))
            .with("row_count", i64::try_from(rows.row_count).unwrap_or(i64::MAX));
        permit.defer_outcome().settle(&outcome);
        Ok(rows)
    }
}

impl Predictions {
    /// What the caller may read of the predictions, a line of JSON for each row that was asked.
    async fn lines<O: ?Sized>(&self, permit: &Permit<O>, wish: &Wish) -> Result<Bytes, Problem> {
        let none =
            || Problem::not_found("there are no predictions that you may read here, or none that the query's limits leave");
        let choice = wish.narrow(self.choice(permit)?.ok_or_else(none)?);
        self.settle().await?;
        let batches =
            self.db().read(permit, move |reader| Ok(store::batches(reader, &choice, BATCH_COUNT_MAX.saturating_add(1))?));
        let batches = batches.await?;
        if batches.len() > BATCH_COUNT_MAX {
            return Err(too_much(&format!("{BATCH_COUNT_MAX} batches")));
        }
        let bytes_max = usize::try_from(self.0.config.query_bytes_max).unwrap_or(usize::MAX);
        let mut lines = Vec::new();
        for batch in batches {
            let content = self.content(permit, &batch).await?;
            let rows = content.frames.into_iter().filter_map(|frame| Some((Record::parse(&frame.record)?, frame)));
            let rows: Vec<_> = rows.filter(|(record, _)| wish.fits(record)).collect();
            let kept = self.opened(permit, &rows).await?;
            for ((record, _), kept) in rows.iter().zip(&kept) {
                write(&mut lines, record, kept)?;
                if lines.len() > bytes_max {
                    return Err(too_much(&format!("{bytes_max} bytes")));
                }
            }
        }
        if lines.is_empty() { Err(none()) } else { Ok(Bytes::from(lines)) }
    }
}

fn too_much(limit: &str) -> Problem {
    let message = format!(
        "a query looks through at most {limit} of predictions; narrow it by endpoint or time, or raise `predictions.query_bytes_max`"
    );
    Problem::new(Kind::TooLarge, message)
}

fn write(lines: &mut Vec<u8>, record: &Record, kept: &Kept) -> Result<(), Problem> {
    let unreadable = || Problem::internal("a prediction's values cannot be read", "another layout");
    let spoken = match kept {
        Kept::Values(values) => Some(Spoken::parse(values).ok_or_else(unreadable)?),
        Kept::Hashes | Kept::Erased => None,
    };
    let word = match kept {
        Kept::Values(_) => "values",
        Kept::Hashes => "hashes",
        Kept::Erased => "erased",
    };
    let rows = usize::try_from(record.rows).unwrap_or(usize::MAX);
    let count = spoken.as_ref().map_or(1, |spoken| spoken.rows().min(rows).max(1));
    let own = |row: usize, word: &str| {
        json!({
            "id": record.id, "row_index": row, "made_at": Micros(record.at).rfc3339(), "made_at_us": record.at,
            "endpoint": record.endpoint, "version": record.version, "manifest_sha256": record.manifest_sha256,
            "caller": record.caller, "subject": record.subject, "latency_us": record.latency_us, "row_count": record.rows,
            "verdicts": record.verdicts.join(","), "kept": word, "inputs_hmac": record.inputs_hmac,
            "outputs_hmac": record.outputs_hmac, "entry": record.entry,
        })
    };
    for row in 0..count {
        let begin = lines.len();
        let said = spoken.as_ref().map(|spoken| spoken.row(row)).unwrap_or_default();
        let is_wide = said.len() > QUERY_ROW_VALUE_COUNT_MAX;
        put(lines, if is_wide { Map::new() } else { said }, own(row, if is_wide { TOO_LARGE } else { word }))?;
        // One of these would keep the worker from reading any other.
        if lines.len().saturating_sub(begin) > QUERY_ROW_BYTES_MAX {
            lines.truncate(begin);
            put(lines, Map::new(), own(row, TOO_LARGE))?;
        }
    }
    Ok(())
}

/// A line of what was asked and said, and of what the record says.
fn put(lines: &mut Vec<u8>, mut line: Map<String, Value>, own: Value) -> Result<(), Problem> {
    if let Value::Object(own) = own {
        line.extend(own);
    }
    serde_json::to_writer(&mut *lines, &line).map_err(|error| Problem::internal("a row could not be written", error))?;
    lines.push(b'\n');
    Ok(())
}

#[cfg(test)]
mod tests {
    use serving::{Batch, Outputs, Tensor, Values};

    use super::*;
    use crate::values::{self, SALT_BYTES};

    fn row_of(batch: &Batch) -> (usize, Value) {
        let record = Record::parse(
            br#"{"at":1,"caller":"c","endpoint":"e","endpoint_id":"i","entry":"n","id":"p","latency_us":1,"log":"values",
                "manifest_sha256":"m","rows":1,"v":1,"verdicts":[],"version":"v/1","workspace":"w"}"#,
        );
        let mut bytes = values::begin([1; SALT_BYTES], batch, &[]).unwrap();
        values::end(&mut bytes, &Outputs::default());
        let mut lines = Vec::new();
        write(&mut lines, &record.unwrap(), &Kept::Values(bytes)).unwrap();
        (lines.len(), serde_json::from_slice(&lines).unwrap())
    }

    fn text(length: usize) -> Batch {
        // Six times as long in JSON.
        let tensor = Tensor::new(vec![1], Values::Text(vec!["\u{1}".repeat(length)])).unwrap();
        Batch::tensors(vec![("code".to_owned(), tensor)]).unwrap()
    }

    #[test]
    fn no_row_is_too_large_for_the_others_to_be_read() {
        let (_, usual) = row_of(&text(9));
        assert!(usual["kept"] == "values" && usual["input_code"].is_string());
        let wide =
            Batch::matrix(1, QUERY_ROW_VALUE_COUNT_MAX + 1, Values::F64(vec![0.5; QUERY_ROW_VALUE_COUNT_MAX + 1])).unwrap();
        for batch in [text(QUERY_ROW_BYTES_MAX / 4), wide] {
            let (length, row) = row_of(&batch);
            assert!(length < 1_000 && row["kept"] == TOO_LARGE && row["id"] == "p", "{row}");
            assert_eq!(row.as_object().unwrap().keys().filter(|name| name.starts_with("input_")).count(), 0);
        }
    }
}
