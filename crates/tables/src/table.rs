//! A table: files of one format and one schema, read in partitions.

use std::sync::{Arc, Mutex, PoisonError};

use arrow_array::RecordBatch;
use arrow_schema::SchemaRef;

use crate::detect::{Format, HEAD_BYTES, detect};
use crate::error::TableError;
use crate::limits::{BATCH_CELLS_MAX, BATCH_ROWS_MAX, FILE_COUNT_MAX};
use crate::notes::Notes;
use crate::source::DataFile;
use crate::without::{Cut, Out};
use crate::{csv, guard, images, ipc, json_lines, npy, parquet};

/// How to read.
#[derive(Clone, Debug)]
pub struct ReadOptions {
    /// Rows of a batch, at most. Wide tables get fewer.
    pub batch_rows_max: usize,
    /// For CSV: what is not given is found out.
    pub csv: CsvOptions,
    /// The side of the square that images are scaled to, in pixels.
    pub image_side: u32,
    /// Whether pixels have three channels (red, green, blue) or one (grey).
    pub image_colour: bool,
}

impl Default for ReadOptions {
    fn default() -> Self {
        Self { batch_rows_max: 16 * 1024, csv: CsvOptions::default(), image_side: 32, image_colour: true }
    }
}

impl ReadOptions {
    /// Rows of a batch of a table with so many columns.
    pub(crate) fn batch_rows(&self, columns: usize) -> usize {
        let by_cells = BATCH_CELLS_MAX / columns.max(1);
        self.batch_rows_max.min(by_cells).clamp(1, BATCH_ROWS_MAX)
    }
}

/// What a CSV looks like, where the user knows it.
#[derive(Clone, Copy, Debug, Default)]
pub struct CsvOptions {
    /// The byte between fields.
    pub delimiter: Option<u8>,
    /// The byte around fields that hold delimiters or line ends.
    pub quote: Option<u8>,
    /// Whether the first record names the columns.
    pub header: Option<bool>,
}

/// A part of a table that can be read by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Partition {
    /// The number of the file in which it begins.
    pub file: usize,
    /// The global number of its first row.
    pub first_row: u64,
    /// Its rows. Where the file claims them (Parquet), a read that finds another number ends with an error.
    pub rows: u64,
}

/// What one format's module makes of the files.
pub(crate) struct Opened {
    pub schema: SchemaRef,
    pub partitions: Vec<Partition>,
    pub reader: Box<dyn Reader>,
    pub notes: Notes,
}

/// The batches of one partition.
pub(crate) type Batches = Box<dyn Iterator<Item = Result<RecordBatch, TableError>> + Send>;

/// Notes that reads add to.
pub(crate) type SharedNotes = Arc<Mutex<Notes>>;

/// Reads partitions of one format.
pub(crate) trait Reader: Send + Sync {
    /// The batches of partition `index`, with the given columns in the given order.
    fn read(&self, index: usize, projection: &[usize], notes: &SharedNotes) -> Result<Batches, TableError>;

    /// Writes a file without some rows.
    fn write_without(&self, file: &DataFile, cut: &Cut<'_>, out: Out<'_>) -> Result<(), TableError>;
}

/// Files of one format and one schema.
pub struct Table {
    format: Format,
    files: Vec<DataFile>,
    schema: SchemaRef,
    partitions: Vec<Partition>,
    reader: Box<dyn Reader>,
    notes: SharedNotes,
}

impl std::fmt::Debug for Table {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "Table({}, {} files, {} partitions)", self.format, self.files.len(), self.partitions.len())
    }
}

impl Table {
    /// Opens `files`, in the order that numbers their rows.
    ///
    /// CSV and JSON lines are read once from end to end, because only then their types are known for sure; of the other
    /// formats the footers or headers are read, and columns of exact numbers, whose values settle their type.
    ///
    /// # Errors
    /// [`TableError`], which says which file, what is wrong, and what to do.
    pub fn open(files: Vec<DataFile>, options: &ReadOptions) -> Result<Self, TableError> {
        let Some(first) = files.first() else { return Err(TableError::NoFiles) };
        TableError::limit(
            &first.path,
            "files in one table",
            files.len() as u64,
            FILE_COUNT_MAX as u64,
            "pack them into fewer files",
        )?;
        let format = format_of(&files)?;
        let alone = if files.len() == 1 { first.path.as_str() } else { "one of the files" };
        let opened = guard::run(alone, || match format {
            Format::Parquet => parquet::open(&files, options),
            Format::Csv => csv::open(&files, options),
            Format::JsonLines => json_lines::open(&files, options),
            Format::ArrowIpc => ipc::open(&files, options),
            Format::Npy => npy::open(&files, options),
            Format::Images => images::open(&files, options),
        })?;
        Ok(Self {
            format,
            files,
            schema: opened.schema,
            partitions: opened.partitions,
            reader: opened.reader,
            notes: Arc::new(Mutex::new(opened.notes)),
        })
    }

    pub(crate) fn file(&self, index: usize) -> Option<&DataFile> {
        self.files.get(index)
    }

    pub(crate) fn reader(&self) -> &dyn Reader {
        self.reader.as_ref()
    }

    /// The files' format.
    #[must_use]
    pub const fn format(&self) -> Format {
        self.format
    }

    /// The columns of every batch. All are nullable; see the crate's documentation for the types.
    #[must_use]
    pub const fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    /// The parts, in row order.
    #[must_use]
    pub fn partitions(&self) -> &[Partition] {
        &self.partitions
    }

    /// Rows of all partitions.
    #[must_use]
    pub fn row_count(&self) -> u64 {
        self.partitions.iter().fold(0, |sum, partition| sum.saturating_add(partition.rows))
    }

    /// What was noticed so far. Images are judged as they are read: ask again when all is read.
    #[must_use]
    pub fn notes(&self) -> Notes {
        self.notes.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The rows of partition `partition`: all columns, or those of `projection` in its order.
    ///
    /// # Errors
    /// `NoSuchPart` if there is no such partition or column; else as the format's.
    pub fn read(&self, partition: usize, projection: Option<&[usize]>) -> Result<Rows, TableError> {
        let Some(part) = self.partitions.get(partition) else {
            return Err(TableError::NoSuchPart { what: "partition", index: partition });
        };
        let all: Vec<usize>;
        let projection = if let Some(projection) = projection {
            projection
        } else {
            all = (0..self.schema.fields().len()).collect();
            &all
        };
        if let Some(index) = projection.iter().find(|index| **index >= self.schema.fields().len()) {
            return Err(TableError::NoSuchPart { what: "column", index: *index });
        }
        let file = self.files.get(part.file).map(|file| file.path.clone()).unwrap_or_default();
        let batches = guard::run(&file, || self.reader.read(partition, projection, &self.notes))?;
        Ok(Rows { batches: Some(batches), file, claimed: part.rows, found: 0 })
    }
}

fn format_of(files: &[DataFile]) -> Result<Format, TableError> {
    let mut first: Option<(&DataFile, Format)> = None;
    for file in files {
        file.check_path()?;
        let length = usize::try_from(file.bytes.size_bytes()).unwrap_or(HEAD_BYTES).min(HEAD_BYTES);
        let mut head = vec![0_u8; length];
        file.bytes.read_at(0, &mut head).map_err(|source| TableError::read(&file.path, source))?;
        let format = detect(&file.path, &head)?;
        match first {
            None => first = Some((file, format)),
            Some((first, first_format)) if first_format != format => {
                return Err(TableError::MixedFormats {
                    first: first.path.clone(),
                    first_format,
                    file: file.path.clone(),
                    format,
                });
            }
            Some(_) => {}
        }
    }
    first.map(|(_, format)| format).ok_or(TableError::NoFiles)
}

/// The batches of one partition. Ends after the first error.
pub struct Rows {
    batches: Option<Batches>,
    file: String,
    claimed: u64,
    found: u64,
}

impl std::fmt::Debug for Rows {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "Rows({}, {} of {})", self.file, self.found, self.claimed)
    }
}

impl Iterator for Rows {
    type Item = Result<RecordBatch, TableError>;

    fn next(&mut self) -> Option<Self::Item> {
        let batches = self.batches.as_mut()?;
        let mut next = guard::run(&self.file, || batches.next().transpose());
        if let Ok(Some(batch)) = &next {
            self.found = self.found.saturating_add(batch.num_rows() as u64);
        }
        let too_many = self.found > self.claimed;
        let too_few = matches!(next, Ok(None)) && self.found < self.claimed;
        if too_many || too_few {
            next = Err(TableError::RowCount { file: self.file.clone(), claimed: self.claimed, found: self.found });
        }
        if !matches!(next, Ok(Some(_))) {
            self.batches = None;
        }
        next.transpose()
    }
}
