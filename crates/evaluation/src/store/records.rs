//! SQL of records.

use kernel::{Micros, random_id};
use vault::db::{DbError, Reader, Row, Writer};

use crate::document::{Document, Merged};
use crate::limits;
use crate::types::Record;

const COLUMNS: &str = "record_row, record_id, inputs, outputs, expectations, tags, source, source_id, source_type, created_by, \
                       updated_by, created_at, updated_at";
/// Records read at once, so that a page is never much larger than its limit.
const CHUNK_COUNT: i64 = 16;

/// Who changes records, and when.
#[derive(Clone, Copy)]
pub(crate) struct Author<'a> {
    pub(crate) name: &'a str,
    pub(crate) at: Micros,
}

fn record_of(row: &Row<'_>) -> Result<Record, DbError> {
    Ok(Record {
        row: row.int(0)?,
        record_id: row.text(1)?,
        inputs: row.text(2)?,
        outputs: row.opt_text(3)?,
        expectations: row.opt_text(4)?,
        tags: row.text(5)?,
        source: row.opt_text(6)?,
        source_id: row.opt_text(7)?,
        source_type: row.opt_text(8)?,
        created_by: row.text(9)?,
        updated_by: row.text(10)?,
        created_ms: Micros(row.int(11)?).as_millis(),
        updated_ms: Micros(row.int(12)?).as_millis(),
    })
}

fn size_bytes(record: &Record) -> usize {
    let optional = [&record.outputs, &record.expectations, &record.source];
    record.inputs.len() + record.tags.len() + optional.iter().map(|text| text.as_ref().map_or(0, String::len)).sum::<usize>()
}

/// The records after one of them, and whether there are more.
pub(crate) fn page(reader: &mut Reader<'_>, dataset_row: i64, after: i64, limit: i64) -> Result<(Vec<Record>, bool), DbError> {
    let sql = format!(
        "SELECT {COLUMNS} FROM evaluation_record WHERE dataset_row = $1 AND record_row > $2 ORDER BY record_row LIMIT $3"
    );
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    let (mut found, mut bytes, mut last): (Vec<Record>, usize, i64) = (Vec::new(), 0, after);
    loop {
        let chunk = reader.query(&sql, &[dataset_row.into(), last.into(), CHUNK_COUNT.into()], record_of)?;
        let whole = i64::try_from(chunk.len()).unwrap_or(i64::MAX) == CHUNK_COUNT;
        for record in chunk {
            let size = size_bytes(&record);
            let full = found.len() >= limit || bytes.saturating_add(size) > limits::RECORD_PAGE_BYTES_MAX;
            if full && !found.is_empty() {
                return Ok((found, true));
            }
            bytes = bytes.saturating_add(size);
            last = record.row;
            found.push(record);
        }
        if !whole {
            return Ok((found, false));
        }
    }
}

pub(crate) fn by_inputs(reader: &mut Reader<'_>, dataset_row: i64, input_hash: &str) -> Result<Option<Record>, DbError> {
    let sql = format!("SELECT {COLUMNS} FROM evaluation_record WHERE dataset_row = $1 AND input_hash = $2");
    reader.query_one(&sql, &[dataset_row.into(), input_hash.into()], record_of)
}

pub(crate) fn insert(
    writer: &mut Writer<'_>,
    dataset_row: i64,
    document: &Document,
    author: Author<'_>,
) -> Result<(), kernel::Problem> {
    let new = document.merged(None)?;
    let record_id = format!("dr-{}", random_id());
    let source = document.source.as_ref();
    let (name, at) = (author.name.into(), author.at.0.into());
    writer.execute(
        "INSERT INTO evaluation_record (record_id, dataset_row, input_hash, inputs, outputs, expectations, tags, source, source_id, \
         source_type, created_by, updated_by, created_at, updated_at) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)",
        &[
            (&record_id).into(),
            dataset_row.into(),
            (&document.input_hash).into(),
            (&document.inputs).into(),
            (&new.outputs).into(),
            (&new.expectations).into(),
            (&new.tags).into(),
            source.map(|source| source.text.as_str()).into(),
            source.and_then(|source| source.id.as_deref()).into(),
            source.map(|source| source.kind.as_str()).into(),
            name,
            name,
            at,
            at,
        ],
    )?;
    Ok(())
}

pub(crate) fn update(writer: &mut Writer<'_>, record_row: i64, merged: &Merged, author: Author<'_>) -> Result<(), DbError> {
    writer.execute(
        "UPDATE evaluation_record SET outputs = $1, expectations = $2, tags = $3, updated_by = $4, updated_at = $5 \
         WHERE record_row = $6",
        &[
            (&merged.outputs).into(),
            (&merged.expectations).into(),
            (&merged.tags).into(),
            author.name.into(),
            author.at.0.into(),
            record_row.into(),
        ],
    )?;
    Ok(())
}

/// Gives how many there were.
pub(crate) fn delete(writer: &mut Writer<'_>, dataset_row: i64, record_ids: &[String]) -> Result<i64, DbError> {
    let mut count = 0;
    // A NUL cannot be in a PostgreSQL text, so no id holds one.
    for record_id in record_ids.iter().filter(|id| !id.contains('\0')) {
        let sql = "DELETE FROM evaluation_record WHERE dataset_row = $1 AND record_id = $2";
        count += super::signed(writer.execute(sql, &[dataset_row.into(), record_id.into()])?);
    }
    Ok(count)
}
