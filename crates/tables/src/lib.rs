//! Data files of many formats, read as Arrow record batches within named limits.
//!
//! Files are untrusted: anybody may have written them, to break the reader or to be misread. This crate gives their rows, or an
//! error that says which file, what is wrong and what to do. It knows nothing of data sets, servers or disks: bytes come
//! through [`ReadAt`].
//!
//! | format | what is read | partitions |
//! |---|---|---|
//! | Parquet | flat and nested columns; Snappy, gzip, zstd, LZ4, Brotli | row groups |
//! | CSV | any delimiter and quote; types from all values | runs of about 16 MiB |
//! | JSON lines | objects; nested ones flattened to `outer.inner` | runs of about 16 MiB |
//! | Arrow IPC | files and streams; LZ4, zstd | runs of record batches |
//! | NumPy | .npy, and .npz stored or deflated; no pickles | runs of about 16 MiB; a deflated archive is one |
//! | images | PNG and JPEG; the folder names the class | 512 files |
//!
//! Batches hold few types: `Boolean`, `Int64`, `Float64`, `Utf8`, `Dictionary(Int32, Utf8)`, `Binary`, `Date32`,
//! `Timestamp(Microsecond)` without a zone or in UTC, and `FixedSizeList` of `Float32` or `Float64` for embeddings and pixels;
//! of exact numbers that none of these holds, `UInt64`, `Decimal128` or `Decimal256`.
//! Structs are flattened, other lists and maps become JSON texts. All columns are nullable. A dictionary may hold values that no
//! row of its batch uses.
//!
//! INVARIANT: memory is bounded by [`limits`], whatever the input: claims are checked before they are believed, and enforced
//! while they are read. Held by the hostile tests of each format.
//! INVARIANT: no input makes this crate panic; a decoder of others that panics is caught in one place (`guard`) and becomes
//! [`TableError::Decoder`]. Held by the seeded damage tests and by `fuzz/`.
//! INVARIANT: no row is lost in silence: a record that is no row is counted in [`Notes`], with its line and the reason, and a
//! file with other rows than it claims ends in [`TableError::RowCount`].
//! INVARIANT: row numbers are global over the files in their order, from 0 on, the same however partitions are read.

mod columns;
mod csv;
mod detect;
mod error;
mod guard;
mod images;
mod ipc;
mod json_lines;
pub mod limits;
mod normalise;
mod notes;
mod npy;
mod parquet;
mod source;
mod table;
#[cfg(test)]
mod testing;
mod values;
mod without;

pub use detect::{Format, HEAD_BYTES, detect};
pub use error::TableError;
pub use notes::{Example, Note, NoteKind, Notes};
pub use source::{DataFile, LocalFile, Memory, ReadAhead, ReadAt};
pub use table::{CsvOptions, Partition, ReadOptions, Rows, Table};
pub use without::{Out, RowRanges};

/// The parsers that are ours, for fuzzing them by themselves. Not for anybody else.
#[doc(hidden)]
pub mod parsers {
    pub use crate::csv::dialect::{Dialect, find_dialect};
    pub use crate::csv::splitter::{Record, SplitError, Splitter};
    pub use crate::images::decode::{Image, decode};
    pub use crate::json_lines::flatten::flatten;
    pub use crate::npy::header::{header_length, parse_header};
    pub use crate::npy::zip::{Member, members};
}
