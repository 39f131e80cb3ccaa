//! Bombs, and the memory that they take: measured by an allocator that counts. One test, because the count is the process's.

#![expect(clippy::unwrap_used, reason = "a test says by panicking what failed")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::io::Write as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use arrow_array::{ArrayRef, Int64Array, ListArray, RecordBatch, StringArray};
use arrow_buffer::OffsetBuffer;
use arrow_ipc::CompressionType;
use arrow_ipc::writer::{IpcWriteOptions, StreamWriter};
use arrow_schema::{DataType, Field};
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::properties::WriterProperties;
use tables::{DataFile, ReadAt, ReadOptions, Table};

static HELD: AtomicUsize = AtomicUsize::new(0);
static MOST: AtomicUsize = AtomicUsize::new(0);

struct Counting;

fn count(bytes: usize) {
    let held = HELD.fetch_add(bytes, Ordering::Relaxed) + bytes;
    MOST.fetch_max(held, Ordering::Relaxed);
}

#[expect(unsafe_code, reason = "an allocator cannot be written without it; each call goes on to the system's")]
// SAFETY: every method hands its arguments unchanged to the system's allocator.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(layout.size());
        unsafe { System.alloc(layout) }
    }
    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        count(layout.size());
        unsafe { System.alloc_zeroed(layout) }
    }
    unsafe fn dealloc(&self, place: *mut u8, layout: Layout) {
        HELD.fetch_sub(layout.size(), Ordering::Relaxed);
        unsafe { System.dealloc(place, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Reads the file, and gives the error's text (empty if there was none) and the most bytes held beyond the file's own.
fn measure(file: DataFile) -> (String, usize) {
    let before = HELD.load(Ordering::Relaxed);
    MOST.store(before, Ordering::Relaxed);
    let result = Table::open(vec![file], &ReadOptions::default()).and_then(|table| {
        for partition in 0..table.partitions().len() {
            for batch in table.read(partition, None)? {
                batch?;
            }
        }
        Ok(())
    });
    (result.err().map_or(String::new(), |error| error.to_string()), MOST.load(Ordering::Relaxed) - before)
}

fn check(what: &str, file: DataFile, expected: &str, most_mib: usize) {
    let (error, most) = measure(file);
    assert!(if expected.is_empty() { error.is_empty() } else { error.contains(expected) }, "{what}: {error}");
    println!("{what}: {} MiB", most >> 20);
    assert!(most >> 20 <= most_mib, "{what}: {} MiB, at most {most_mib}", most >> 20);
}

/// A gigabyte of one letter after a header, made as it is read.
struct Endless(&'static [u8]);

impl ReadAt for Endless {
    fn size_bytes(&self) -> u64 {
        1 << 30
    }
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> std::io::Result<()> {
        for (at, byte) in (offset..).zip(buffer.iter_mut()) {
            *byte = usize::try_from(at).ok().and_then(|at| self.0.get(at)).copied().unwrap_or(b'x');
        }
        Ok(())
    }
}

fn endless(path: &str, head: &'static [u8]) -> DataFile {
    DataFile { path: path.to_owned(), bytes: Arc::new(Endless(head)) }
}

fn parquet(column: ArrayRef) -> DataFile {
    let batch = RecordBatch::try_from_iter([("x", column)]).unwrap();
    let properties = WriterProperties::builder().set_compression(Compression::ZSTD(ZstdLevel::default())).build();
    let mut bytes = Vec::new();
    let mut writer = ArrowWriter::try_new(&mut bytes, batch.schema(), Some(properties)).unwrap();
    writer.write(&batch).unwrap();
    writer.close().unwrap();
    DataFile::in_memory("a.parquet", bytes)
}

/// One list of forty million equal numbers.
fn nested_bomb() -> DataFile {
    let numbers = Arc::new(Int64Array::from(vec![1; 40_000_000]));
    let field = Arc::new(Field::new("item", DataType::Int64, true));
    parquet(Arc::new(ListArray::new(field, OffsetBuffer::from_lengths([40_000_000]), numbers, None)))
}

/// A gigabyte of one text.
fn dictionary_bomb() -> DataFile {
    let text = "x".repeat(256 * 1024);
    parquet(Arc::new(std::iter::repeat_n(Some(text.as_str()), 4_000).collect::<StringArray>()))
}

/// 400 MB of zeros that say that they are 100 bytes.
fn lz4_bomb() -> DataFile {
    let column = Arc::new(Int64Array::from(vec![0; 50_000_000])) as ArrayRef;
    let batch = RecordBatch::try_from_iter([("x", column)]).unwrap();
    let options = IpcWriteOptions::default().try_with_compression(Some(CompressionType::LZ4_FRAME)).unwrap();
    let mut bytes = Vec::new();
    let mut writer = StreamWriter::try_new_with_options(&mut bytes, &batch.schema(), options).unwrap();
    writer.write(&batch).unwrap();
    writer.finish().unwrap();
    drop(writer);
    let claimed = 400_000_000_u64.to_le_bytes();
    let at = bytes.windows(8).position(|window| window == claimed).unwrap();
    bytes.splice(at..at + 8, 100_u64.to_le_bytes());
    DataFile::in_memory("a.arrow", bytes)
}

/// 60 MB of zeros in an archive of 60 KB.
fn deflate_bomb() -> DataFile {
    let header = "{'descr': '|u1', 'fortran_order': False, 'shape': (60000000,), }";
    let mut array = b"\x93NUMPY\x01\x00".to_vec();
    array.extend(u16::try_from(header.len()).unwrap().to_le_bytes());
    array.extend(header.as_bytes());
    array.resize(array.len() + 60_000_000, 0);
    let mut sum = flate2::Crc::new();
    sum.update(&array);
    let mut encoder = flate2::write::DeflateEncoder::new(Vec::new(), flate2::Compression::best());
    encoder.write_all(&array).unwrap();
    let data = encoder.finish().unwrap();
    let mut common = vec![20, 0, 0, 0, 8, 0, 0, 0, 0, 0];
    common.extend(sum.sum().to_le_bytes());
    common.extend(u32::try_from(data.len()).unwrap().to_le_bytes());
    common.extend(u32::try_from(array.len()).unwrap().to_le_bytes());
    common.extend([5, 0, 0, 0]);
    let member = [b"PK\x03\x04", &common[..], b"x.npy", &data].concat();
    let entry = [b"PK\x01\x02\x14\x00", &common[..], &[0; 14], b"x.npy"].concat();
    let mut end = b"PK\x05\x06\0\0\0\0\x01\0\x01\0".to_vec();
    end.extend(u32::try_from(entry.len()).unwrap().to_le_bytes());
    end.extend(u32::try_from(member.len()).unwrap().to_le_bytes());
    end.extend([0, 0]);
    DataFile::in_memory("a.npz", [member, entry, end].concat())
}

#[test]
fn bombs_take_bounded_memory() {
    check("a line of a gigabyte", endless("a.csv", b"a,b\n"), "bytes or more in one record", 64);
    check("a quote of a gigabyte", endless("a.csv", b"a,b\n\""), "which opens a quote", 64);
    check("a JSON line of a gigabyte", endless("a.jsonl", b"{\"a\":\""), "bytes or more in one line", 64);
    check("nested Parquet values", nested_bomb(), "values of nested columns in one batch", 512);
    check("a Parquet dictionary", dictionary_bomb(), "", 160);
    check("a buffer that lies", lz4_bomb(), "of another length than it claims", 64);
    check("a deflated array", deflate_bomb(), "", 64);
}
