//! Folders of images: a row per file, the folder that holds it names its class.

pub(crate) mod decode;
mod file;

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError};

use arrow_array::builder::{StringBuilder, StringDictionaryBuilder};
use arrow_array::types::Int32Type;
use arrow_array::{Array as _, ArrayRef, FixedSizeListArray, Float32Array, Int64Array, RecordBatch};
use arrow_buffer::NullBuffer;
use arrow_schema::{DataType, Field, Schema, SchemaRef};
use sha2::{Digest as _, Sha256};

use crate::columns::{batch, project};
use crate::error::TableError;
use crate::images::decode::decode;
use crate::images::file::{Behind, Besides, besides, is_png};
use crate::limits::{BATCH_TEXT_BYTES_MAX, IMAGE_FILE_BYTES_MAX, IMAGE_PARTITION_FILE_COUNT, IMAGE_SIDE_MAX};
use crate::notes::{About, Example, NoteKind, Notes};
use crate::source::DataFile;
use crate::table::{Batches, Opened, Partition, ReadOptions, Reader, SharedNotes};
use crate::without::{Cut, Out};

/// The column of pixels is the only one for which an image must be decoded in full.
const PIXELS: usize = 6;

pub(crate) fn open(files: &[DataFile], options: &ReadOptions) -> Result<Opened, TableError> {
    let first = files.first().map_or("", |file| file.path.as_str());
    let side = u64::from(options.image_side);
    TableError::limit(first, "pixels on a side asked for", side, u64::from(IMAGE_SIDE_MAX), "ask for smaller pixels")?;
    let item = Arc::new(Field::new("item", DataType::Float32, true));
    let schema = Arc::new(Schema::new(vec![
        Field::new("path", DataType::Utf8, true),
        Field::new("class", DataType::Dictionary(Box::new(DataType::Int32), Box::new(DataType::Utf8)), true),
        Field::new("width", DataType::Int64, true),
        Field::new("height", DataType::Int64, true),
        Field::new("size_bytes", DataType::Int64, true),
        Field::new("sha256", DataType::Utf8, true),
        Field::new("pixels", DataType::FixedSizeList(item, length(options)), true),
        Field::new("problem", DataType::Utf8, true),
    ]));
    let mut partitions = Vec::new();
    for from in (0..files.len()).step_by(IMAGE_PARTITION_FILE_COUNT) {
        let rows = IMAGE_PARTITION_FILE_COUNT.min(files.len() - from) as u64;
        partitions.push(Partition { file: from, first_row: from as u64, rows });
    }
    let looked = files.iter().map(|_| AtomicBool::new(false)).collect();
    let reader = ImageReader { files: files.into(), looked, schema: Arc::clone(&schema), options: options.clone() };
    Ok(Opened { schema, partitions, reader: Box::new(reader), notes: Notes::default() })
}

/// Numbers in the pixels of one image.
fn length(options: &ReadOptions) -> i32 {
    let side = i32::try_from(options.image_side.clamp(1, IMAGE_SIDE_MAX)).unwrap_or(1);
    side * side * if options.image_colour { 3 } else { 1 }
}

struct ImageReader {
    files: Arc<[DataFile]>,
    /// Which files were looked through besides their pictures: once is enough, however often the table is read.
    looked: Arc<[AtomicBool]>,
    schema: SchemaRef,
    options: ReadOptions,
}

impl Reader for ImageReader {
    fn write_without(&self, file: &DataFile, _: &Cut<'_>, _: Out<'_>) -> Result<(), TableError> {
        Err(TableError::unsupported(&file.path, "one image", "leave the whole file out"))
    }

    fn read(&self, index: usize, projection: &[usize], notes: &SharedNotes) -> Result<Batches, TableError> {
        let from = index.saturating_mul(IMAGE_PARTITION_FILE_COUNT);
        let row_bytes = usize::try_from(length(&self.options)).unwrap_or(1) * 4;
        Ok(Box::new(PartRows {
            files: Arc::clone(&self.files),
            looked: Arc::clone(&self.looked),
            at: from,
            to: from.saturating_add(IMAGE_PARTITION_FILE_COUNT).min(self.files.len()),
            batch_rows: self.options.batch_rows(projection.len()).min(BATCH_TEXT_BYTES_MAX / row_bytes).max(1),
            schema: Arc::clone(&self.schema),
            projection: projection.to_vec(),
            options: self.options.clone(),
            notes: Arc::clone(notes),
        }))
    }
}

struct PartRows {
    files: Arc<[DataFile]>,
    looked: Arc<[AtomicBool]>,
    at: usize,
    to: usize,
    batch_rows: usize,
    schema: SchemaRef,
    projection: Vec<usize>,
    options: ReadOptions,
    notes: SharedNotes,
}

/// The columns of one batch as they grow.
#[derive(Default)]
struct Growing {
    path: StringBuilder,
    class: StringDictionaryBuilder<Int32Type>,
    width: Vec<Option<i64>>,
    height: Vec<Option<i64>>,
    size: Vec<i64>,
    sha: StringBuilder,
    pixels: Vec<f32>,
    decoded: Vec<bool>,
    problem: StringBuilder,
}

impl PartRows {
    fn next_batch(&mut self) -> Result<Option<RecordBatch>, TableError> {
        let to = self.at.saturating_add(self.batch_rows).min(self.to);
        let rows = to.saturating_sub(self.at);
        if rows == 0 {
            return Ok(None);
        }
        let mut growing = Growing::default();
        for index in self.at..to {
            if let Some(file) = self.files.get(index) {
                self.row(file, index as u64, &mut growing)?;
            }
        }
        self.at = to;
        let columns = growing.finish(length(&self.options))?;
        let columns = self.projection.iter().filter_map(|index| columns.get(*index).cloned()).collect();
        batch("images", &project(&self.schema, &self.projection), columns, rows).map(Some)
    }

    fn row(&self, file: &DataFile, row: u64, growing: &mut Growing) -> Result<(), TableError> {
        let size = file.bytes.size_bytes();
        let mut parts = file.path.rsplit('/');
        growing.path.append_value(&file.path);
        growing.class.append_option(parts.nth(1));
        growing.size.push(i64::try_from(size).unwrap_or(i64::MAX));
        let wants_pixels = self.projection.iter().any(|index| *index >= PIXELS);
        let mut decoded = Err(format!("{size} bytes, at most {IMAGE_FILE_BYTES_MAX}"));
        if size <= IMAGE_FILE_BYTES_MAX {
            let mut bytes = vec![0_u8; usize::try_from(size).unwrap_or(0)];
            file.bytes.read_at(0, &mut bytes).map_err(|source| TableError::read(&file.path, source))?;
            growing.sha.append_value(Sha256::digest(&bytes).iter().map(|byte| format!("{byte:02x}")).collect::<String>());
            // One hostile image is one bad row, not the end of the table.
            let side = self.options.image_side.clamp(1, IMAGE_SIDE_MAX);
            decoded = crate::guard::run(&file.path, || Ok(decode(&bytes, side, self.options.image_colour, wants_pixels)))
                .unwrap_or_else(|error| Err(error.to_string()));
            let besides = besides(&bytes);
            if let (Ok(_), Behind::Hidden(what)) = (&decoded, besides.behind) {
                decoded = Err(format!("{what} stands behind the picture's end"));
            }
            if self.looked.get(usize::try_from(row).unwrap_or(usize::MAX)).is_some_and(|done| !done.swap(true, Ordering::Relaxed))
            {
                self.note(file, row, &bytes, &besides);
            }
        } else {
            growing.sha.append_null();
        }
        let numbers = usize::try_from(length(&self.options)).unwrap_or(0);
        match decoded {
            Ok(image) => {
                growing.width.push(Some(i64::from(image.width)));
                growing.height.push(Some(i64::from(image.height)));
                growing.decoded.push(image.pixels.len() == numbers);
                growing.pixels.extend(image.pixels.into_iter().chain(std::iter::repeat(0.0)).take(numbers));
                growing.problem.append_null();
            }
            Err(problem) => {
                growing.width.push(None);
                growing.height.push(None);
                growing.decoded.push(false);
                growing.pixels.extend(std::iter::repeat_n(0.0, numbers));
                growing.problem.append_value(&problem);
                let text = "images that do not decode have no pixels; each example says why";
                let about = About { kind: NoteKind::Undecodable, file: None, column: Some("pixels"), text };
                let example = Example { row, line: None, text: format!("{}: {problem}", file.path) };
                self.notes.lock().unwrap_or_else(PoisonError::into_inner).add(about, 1, Some(example));
            }
        }
        Ok(())
    }
}

impl PartRows {
    /// Notes what a file holds besides its picture.
    fn note(&self, file: &DataFile, row: u64, bytes: &[u8], besides: &Besides) {
        let mut notes = self.notes.lock().unwrap_or_else(PoisonError::into_inner);
        let mut add = |kind, text, detail: String| {
            let example = Example { row, line: None, text: detail };
            notes.add(About { kind, file: None, column: Some("path"), text }, 1, Some(example));
        };
        let ending = file.path.rsplit_once('.').map(|(_, ending)| ending.to_ascii_lowercase()).unwrap_or_default();
        let named_png = match ending.as_str() {
            "png" => Some(true),
            "jpg" | "jpeg" => Some(false),
            _ => None,
        };
        if named_png.is_some_and(|named_png| named_png != is_png(bytes)) {
            let found = if is_png(bytes) { "PNG" } else { "JPEG" };
            add(NoteKind::Misnamed, "images are named as another kind than they are", format!("{}: a {found} image", file.path));
        }
        if let Behind::Bytes(count) = besides.behind {
            let text = "bytes stand behind the end of pictures, where nobody looks";
            add(NoteKind::TrailingBytes, text, format!("{}: {count} bytes", file.path));
        }
        if besides.has_place {
            add(NoteKind::Place, "pictures say where they were taken: take GPS data out of their Exif", file.path.clone());
        }
    }
}

impl Growing {
    fn finish(mut self, length: i32) -> Result<Vec<ArrayRef>, TableError> {
        let item = Arc::new(Field::new("item", DataType::Float32, true));
        let pixels = Arc::new(Float32Array::from(self.pixels));
        let pixels = FixedSizeListArray::try_new(item, length, pixels, Some(NullBuffer::from(self.decoded)))
            .map_err(|error| TableError::damaged("images", error))?;
        let columns: Vec<ArrayRef> = vec![
            Arc::new(self.path.finish()),
            Arc::new(self.class.finish()),
            Arc::new(Int64Array::from(self.width)),
            Arc::new(Int64Array::from(self.height)),
            Arc::new(Int64Array::from(self.size)),
            Arc::new(self.sha.finish()),
            Arc::new(pixels),
            Arc::new(self.problem.finish()),
        ];
        debug_assert!(columns.iter().all(|column| column.len() == columns.first().map_or(0, |first| first.len())));
        Ok(columns)
    }
}

impl Iterator for PartRows {
    type Item = Result<RecordBatch, TableError>;

    fn next(&mut self) -> Option<Self::Item> {
        self.next_batch().transpose()
    }
}

#[cfg(test)]
mod tests;
