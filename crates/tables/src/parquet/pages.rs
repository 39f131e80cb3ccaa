//! The pages of column chunks, each checked against the limits before the decoder spends memory on it.

use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use bytes::Bytes;
use parquet::arrow::arrow_reader::RowGroups;
use parquet::basic::{Encoding, Type};
use parquet::column::page::{Page, PageIterator, PageMetadata, PageReader};
use parquet::errors::{ParquetError, Result};
use parquet::file::metadata::{ColumnChunkMetaData, ParquetMetaData, RowGroupMetaData};
use parquet::file::reader::{ChunkReader, Length};
use parquet::file::serialized_reader::SerializedPageReader;

use crate::limits::{NESTED_VALUE_COUNT_MAX, PAGE_BYTES_MAX, PAGE_HEADER_BYTES_MAX, PAGES_BYTES_MAX, READ_AHEAD_BYTES};
use crate::parquet::delta;
use crate::parquet::thrift::{PageHead, Refusal, page_head};
use crate::source::{Cursor, ReadAhead, ReadAt};

/// Bytes that the windows of all columns of a reader may hold together.
const WINDOWS_BYTES: usize = 16 * 1024 * 1024;

/// What the columns of one reader hold and have taken, together.
#[derive(Debug, Default)]
pub(crate) struct Budget {
    /// Bytes of the pages that are being decoded.
    held: AtomicU64,
    /// Bytes of the pages begun since the last batch: views may still point into them.
    batch: AtomicU64,
    /// Values of nested columns in those.
    nested: AtomicU64,
    /// The limit that was passed, if one was.
    passed: OnceLock<Passed>,
}

/// A limit that a file passes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Passed {
    pub what: &'static str,
    pub found: u64,
    pub max: u64,
}

impl Budget {
    /// A new batch begins.
    pub(crate) fn begin_batch(&self) {
        self.batch.store(0, Ordering::Relaxed);
        self.nested.store(0, Ordering::Relaxed);
    }

    /// The limit that was passed, if one was: the decoder's error would call it damage.
    pub(crate) fn passed(&self) -> Option<Passed> {
        self.passed.get().copied()
    }

    fn take(&self, counter: &AtomicU64, amount: u64, max: u64, what: &'static str) -> Result<()> {
        self.check(counter.fetch_add(amount, Ordering::Relaxed).saturating_add(amount), max, what)
    }

    fn check(&self, found: u64, max: u64, what: &'static str) -> Result<()> {
        if found <= max {
            return Ok(());
        }
        let passed = self.passed.get_or_init(|| Passed { what, found, max });
        Err(refused(format!("{} {}, at most {}", passed.found, passed.what, passed.max)))
    }
}

fn refused(reason: impl Into<String>) -> ParquetError {
    ParquetError::General(reason.into())
}

/// The bytes of one column chunk.
struct ChunkBytes {
    ahead: Mutex<ReadAhead>,
}

impl ChunkBytes {
    fn get(&self, offset: u64, length: usize) -> io::Result<Bytes> {
        self.ahead.lock().unwrap_or_else(PoisonError::into_inner).get(offset, length)
    }

    fn ahead(&self) -> ReadAhead {
        self.ahead.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Length for ChunkBytes {
    fn len(&self) -> u64 {
        self.ahead().end()
    }
}

impl ChunkReader for ChunkBytes {
    type T = Cursor;

    fn get_read(&self, start: u64) -> Result<Self::T> {
        Ok(Cursor::new(self.ahead(), start))
    }

    fn get_bytes(&self, start: u64, length: usize) -> Result<Bytes> {
        Ok(self.get(start, length)?)
    }
}

/// One row group, read through checked pages.
pub(crate) struct Group {
    pub metadata: Arc<ParquetMetaData>,
    pub index: usize,
    pub bytes: Arc<dyn ReadAt>,
    pub budget: Arc<Budget>,
    /// How many columns are read, for the size of their windows.
    pub columns: usize,
}

impl RowGroups for Group {
    fn num_rows(&self) -> usize {
        self.row_groups().next().and_then(|group| usize::try_from(group.num_rows()).ok()).unwrap_or(0)
    }

    fn column_chunks(&self, index: usize) -> Result<Box<dyn PageIterator>> {
        let group = self.row_groups().next().ok_or_else(|| refused("no such row group"))?;
        let chunk = group.columns().get(index).ok_or_else(|| refused("no such column"))?;
        let window = (WINDOWS_BYTES / self.columns.max(1)).clamp(4096, READ_AHEAD_BYTES);
        let pages = CheckedPages::new(Arc::clone(&self.bytes), chunk, window, Arc::clone(&self.budget))?;
        Ok(Box::new(Once(Some(Ok(Box::new(pages))))))
    }

    fn row_groups(&self) -> Box<dyn Iterator<Item = &RowGroupMetaData> + '_> {
        Box::new(self.metadata.row_groups().iter().skip(self.index).take(1))
    }

    fn metadata(&self) -> &ParquetMetaData {
        &self.metadata
    }
}

/// The page readers of one column: one, for its only row group.
struct Once(Option<Result<Box<dyn PageReader>>>);

impl Iterator for Once {
    type Item = Result<Box<dyn PageReader>>;

    fn next(&mut self) -> Option<Self::Item> {
        self.0.take()
    }
}

impl PageIterator for Once {}

/// The decoder's page reader behind a check of each page's header.
struct CheckedPages {
    pages: SerializedPageReader<ChunkBytes>,
    bytes: Arc<ChunkBytes>,
    budget: Arc<Budget>,
    offset: u64,
    end: u64,
    value_bytes: u64,
    has_repetition: bool,
    has_definition: bool,
    /// Of the budget's `held`: the current page, and the dictionary.
    page_bytes: u64,
    dictionary_bytes: u64,
}

impl CheckedPages {
    fn new(bytes: Arc<dyn ReadAt>, chunk: &ColumnChunkMetaData, window: usize, budget: Arc<Budget>) -> Result<Self> {
        let (start, length) = chunk.byte_range();
        let end = start.saturating_add(length);
        let bytes = Arc::new(ChunkBytes { ahead: Mutex::new(ReadAhead::within(bytes, end, window)) });
        let column = chunk.column_descr();
        // A value of the dictionary takes so many bytes at least.
        let value_bytes = match column.physical_type() {
            Type::BOOLEAN => 0,
            Type::INT32 | Type::FLOAT | Type::BYTE_ARRAY => 4,
            Type::INT64 | Type::DOUBLE => 8,
            Type::INT96 => 12,
            Type::FIXED_LEN_BYTE_ARRAY => u64::try_from(column.type_length()).unwrap_or(0),
        };
        Ok(Self {
            pages: SerializedPageReader::new(Arc::clone(&bytes), chunk, 0, None)?,
            bytes,
            budget,
            offset: start,
            end,
            value_bytes,
            has_repetition: column.max_rep_level() > 0,
            has_definition: column.max_def_level() > 0,
            page_bytes: 0,
            dictionary_bytes: 0,
        })
    }

    /// The head of the page at the current offset.
    fn head(&self) -> Result<PageHead> {
        let left = usize::try_from(self.end.saturating_sub(self.offset)).unwrap_or(usize::MAX);
        let mut length = left.min(1024);
        loop {
            let bytes = self.bytes.get(self.offset, length)?;
            match page_head(&bytes) {
                Ok(head) => return Ok(head),
                Err(Refusal::Short) if length < left.min(PAGE_HEADER_BYTES_MAX) => {
                    length = length.saturating_mul(8).min(left).min(PAGE_HEADER_BYTES_MAX);
                }
                Err(Refusal::Short) => return Err(refused("a page's header never ends")),
                Err(Refusal::Bad(reason)) => return Err(refused(format!("a page's header has {reason}"))),
            }
        }
    }

    /// Checks the header of the next page that will be decoded, and goes past it.
    fn check_next(&mut self) -> Result<()> {
        while self.offset < self.end {
            let head = self.head()?;
            let negative = || refused("a page's header has a negative size");
            let uncompressed = u64::try_from(head.uncompressed_bytes).map_err(|_| negative())?;
            let compressed = u64::try_from(head.compressed_bytes).map_err(|_| negative())?;
            let values = u64::try_from(head.value_count).map_err(|_| negative())?;
            let bytes = uncompressed.max(compressed);
            self.budget.check(bytes, PAGE_BYTES_MAX, "bytes in one page")?;
            self.offset = self.offset.saturating_add(head.length as u64).saturating_add(compressed);
            if self.offset > self.end {
                return Err(refused("a page is longer than its column"));
            }
            // Index pages are passed over, here as by the decoder.
            if head.kind != 1 {
                return self.admit(&head, bytes, values);
            }
        }
        Ok(())
    }

    fn admit(&mut self, head: &PageHead, bytes: u64, values: u64) -> Result<()> {
        let is_dictionary = head.kind == 2;
        if is_dictionary && values.saturating_mul(self.value_bytes.max(1)) > bytes {
            return Err(refused("a dictionary with more values than bytes"));
        }
        if self.has_repetition && !is_dictionary {
            self.budget.take(&self.budget.nested, values, NESTED_VALUE_COUNT_MAX, "values of nested columns in one batch")?;
        }
        self.budget.take(&self.budget.batch, bytes, PAGES_BYTES_MAX, "bytes of pages in one batch")?;
        let held = if is_dictionary { &mut self.dictionary_bytes } else { &mut self.page_bytes };
        self.budget.held.fetch_sub(*held, Ordering::Relaxed);
        *held = bytes;
        self.budget.take(&self.budget.held, bytes, PAGES_BYTES_MAX, "bytes of pages at the same time")
    }

    /// Checks values whose encoding has claims of its own.
    fn check_values(&self, page: &Page) -> Result<()> {
        let encoding = page.encoding();
        if !matches!(encoding, Encoding::DELTA_LENGTH_BYTE_ARRAY | Encoding::DELTA_BYTE_ARRAY) {
            return Ok(());
        }
        let bytes = page.buffer();
        let from = match page {
            Page::DataPageV2 { def_levels_byte_len, rep_levels_byte_len, .. } => {
                u64::from(*def_levels_byte_len) + u64::from(*rep_levels_byte_len)
            }
            Page::DataPage { def_level_encoding, rep_level_encoding, .. } => {
                let mut from = 0;
                for (present, encoding) in [(self.has_repetition, rep_level_encoding), (self.has_definition, def_level_encoding)]
                {
                    if present {
                        if *encoding != Encoding::RLE {
                            return Err(refused("delta encoding after levels that are not run-length encoded"));
                        }
                        from += 4 + level_bytes(bytes, from).ok_or_else(|| refused("levels that end too early"))?;
                    }
                }
                from
            }
            Page::DictionaryPage { .. } => return Err(refused("a dictionary in delta encoding")),
        };
        let values = usize::try_from(from).ok().and_then(|from| bytes.get(from..)).unwrap_or_default();
        let count = u64::from(page.num_values());
        let checked = if encoding == Encoding::DELTA_BYTE_ARRAY {
            delta::check_shared_prefixes(values, count, PAGE_BYTES_MAX)
        } else {
            delta::claimed_count(values)
                .and_then(|claimed| if claimed > count { Err("more values than its page has") } else { Ok(()) })
        };
        checked.map_err(|reason| refused(format!("delta encoding with {reason}")))
    }
}

/// The length that stands before run-length encoded levels at `from`.
fn level_bytes(bytes: &Bytes, from: u64) -> Option<u64> {
    let length: [u8; 4] = bytes.get(usize::try_from(from).ok()?..)?.first_chunk().copied()?;
    Some(u64::from(u32::from_le_bytes(length)))
}

impl Iterator for CheckedPages {
    type Item = Result<Page>;

    fn next(&mut self) -> Option<Self::Item> {
        self.get_next_page().transpose()
    }
}

impl PageReader for CheckedPages {
    fn get_next_page(&mut self) -> Result<Option<Page>> {
        self.check_next()?;
        let page = self.pages.get_next_page()?;
        if let Some(page) = &page {
            self.check_values(page)?;
        }
        Ok(page)
    }

    fn peek_next_page(&mut self) -> Result<Option<PageMetadata>> {
        // The decoder is to see no header that was not checked.
        if self.offset < self.end {
            self.head()?;
        }
        self.pages.peek_next_page()
    }

    fn skip_next_page(&mut self) -> Result<()> {
        // Never asked for without a selection of rows; reading is a safe way to skip.
        self.get_next_page().map(|_| ())
    }

    fn at_record_boundary(&mut self) -> Result<bool> {
        if self.offset < self.end {
            self.head()?;
        }
        self.pages.at_record_boundary()
    }
}
