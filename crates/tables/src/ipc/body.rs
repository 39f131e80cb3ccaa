//! Checks of a message's body before it is decoded.

use std::io::{Read as _, copy, sink};

use arrow_ipc::{CompressionType, RecordBatch};

use crate::error::TableError;
use crate::limits::IPC_BODY_BYTES_MAX;

/// Checks that the batch's buffers lie in `body`, that what they grow to is within the limit, and that its rows can be in them.
pub(crate) fn check(file: &str, batch: &RecordBatch<'_>, body: &[u8]) -> Result<(), TableError> {
    let damaged = |reason: &str| TableError::damaged(file, reason);
    let codec = batch.compression().map(|compression| compression.codec());
    let mut total = 0_u64;
    for buffer in batch.buffers().into_iter().flatten() {
        let from = usize::try_from(buffer.offset()).map_err(|_| damaged("a buffer outside of its message"))?;
        let length = usize::try_from(buffer.length()).map_err(|_| damaged("a buffer outside of its message"))?;
        let bytes = from
            .checked_add(length)
            .and_then(|to| body.get(from..to))
            .ok_or_else(|| damaged("a buffer outside of its message"))?;
        let grown = match codec {
            Some(codec) if !bytes.is_empty() => decompressed(bytes, codec).map_err(damaged)?,
            _ => bytes.len() as u64,
        };
        total = total.saturating_add(grown);
    }
    let advice = "write record batches of at most 65536 rows";
    TableError::limit(file, "bytes in one record batch, decompressed", total, IPC_BODY_BYTES_MAX, advice)?;
    let rows = u64::try_from(batch.length()).map_err(|_| damaged("a record batch with a negative length"))?;
    for node in batch.nodes().into_iter().flatten() {
        if u64::try_from(node.length()).is_ok_and(|length| length > total.saturating_mul(8).max(rows)) {
            return Err(damaged("a column with more values than bits"));
        }
    }
    // A truth value takes a bit, so that more rows than bits are a lie; a batch of nulls alone is allowed a little.
    if rows > total.saturating_mul(8).max(1 << 20) {
        return Err(damaged("a record batch with more rows than bits"));
    }
    Ok(())
}

/// What a compressed buffer grows to: as claimed, and, where the decoder does not stop there by itself, as measured.
fn decompressed(bytes: &[u8], codec: CompressionType) -> Result<u64, &'static str> {
    let (prefix, compressed) = bytes.split_first_chunk::<8>().ok_or("a compressed buffer that is too short")?;
    let claimed = match i64::from_le_bytes(*prefix) {
        -1 => return Ok(compressed.len() as u64),
        claimed => u64::try_from(claimed).map_err(|_| "a buffer with a negative length")?,
    };
    if claimed <= IPC_BODY_BYTES_MAX && codec == CompressionType::LZ4_FRAME {
        let mut limited = lz4_flex::frame::FrameDecoder::new(compressed).take(claimed.saturating_add(1));
        let measured = copy(&mut limited, &mut sink()).map_err(|_| "a compressed buffer that does not decompress")?;
        if measured != claimed {
            return Err("a compressed buffer of another length than it claims");
        }
    }
    Ok(claimed)
}
