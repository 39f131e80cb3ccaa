//! The footer of an Arrow file, which other readers go by: it must say what the stream before it holds.

use arrow_ipc::{Block, root_as_footer};
use arrow_schema::Fields;

use crate::error::TableError;
use crate::ipc::Opening;
use crate::limits::IPC_METADATA_BYTES_MAX;
use crate::source::{DataFile, ReadAhead};

/// What a file begins with and ends in.
const MARK: &[u8] = b"ARROW1";
/// The footer's length, then the mark.
const TAIL_BYTES: usize = 4 + MARK.len();
/// What stands before a message's metadata.
const PREFIX_BYTES: u64 = 8;

/// What a footer says.
pub(crate) struct Footer {
    /// Where it begins.
    pub at: u64,
    fields: Fields,
    dictionaries: Vec<i64>,
    batches: Vec<i64>,
}

/// Reads the footer of a file.
pub(crate) fn read(file: &DataFile, ahead: &mut ReadAhead) -> Result<Footer, TableError> {
    let early = || TableError::damaged(&file.path, "it ends too early");
    let failed = |source| TableError::read(&file.path, source);
    let tail_at = ahead.end().checked_sub(TAIL_BYTES as u64).ok_or_else(early)?;
    let tail = ahead.get(tail_at, TAIL_BYTES).map_err(failed)?;
    let length = tail.first_chunk::<4>().map_or(0, |length| u32::from_le_bytes(*length));
    if tail.get(4..) != Some(MARK) {
        return Err(early());
    }
    let advice = "write it again with fewer columns, or larger record batches";
    TableError::limit(&file.path, "bytes of its footer", u64::from(length), IPC_METADATA_BYTES_MAX as u64, advice)?;
    let at = tail_at.checked_sub(u64::from(length)).ok_or_else(early)?;
    let bytes = ahead.get(at, usize::try_from(length).unwrap_or(usize::MAX)).map_err(failed)?;
    let footer = root_as_footer(&bytes).map_err(|error| TableError::damaged(&file.path, format!("its footer: {error}")))?;
    let schema = footer.schema().ok_or_else(|| TableError::damaged(&file.path, "a footer without a schema"))?;
    Ok(Footer {
        at,
        fields: arrow_ipc::convert::fb_to_schema(schema).fields,
        dictionaries: footer.dictionaries().into_iter().flatten().map(Block::offset).collect(),
        batches: footer.recordBatches().into_iter().flatten().map(Block::offset).collect(),
    })
}

impl Footer {
    /// Holds it against what was read from the beginning.
    pub(crate) fn check(&self, opening: &Opening) -> Result<(), TableError> {
        let damaged = |reason: String| Err(TableError::damaged(&opening.file.path, reason));
        let (listed, found) = (self.batches.len(), opening.batches.len());
        if listed != found {
            return damaged(format!("its footer lists {listed} record batches, and {found} are there"));
        }
        let start = |metadata_at: u64| i64::try_from(metadata_at.saturating_sub(PREFIX_BYTES)).unwrap_or(i64::MAX);
        let batches = opening.batches.iter().map(|(place, _)| start(place.metadata_at));
        let dictionaries = opening.dictionaries.iter().map(|place| start(place.metadata_at));
        if !batches.eq(self.batches.iter().copied()) || !dictionaries.eq(self.dictionaries.iter().copied()) {
            return damaged("its footer leads to other places than those of its record batches".to_owned());
        }
        if self.fields != opening.stored.fields {
            return damaged("its footer has another schema than its beginning".to_owned());
        }
        Ok(())
    }
}
