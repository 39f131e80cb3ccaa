//! Every limit of this crate, with its unit. A file over one of them gets [`crate::TableError::Limit`], which says what to do.

/// Files of one table.
pub const FILE_COUNT_MAX: usize = 1_000_000;
/// A file's name within the table.
pub const PATH_BYTES_MAX: usize = 1_024;
/// Columns of one table, nested ones counted after flattening.
pub const COLUMN_COUNT_MAX: usize = 16_384;
/// A column's name.
pub const COLUMN_NAME_BYTES_MAX: usize = 1_024;
/// One record of a text file (a CSV record with its quoted line ends, a line of JSON lines).
pub const RECORD_BYTES_MAX: usize = 16 * 1024 * 1024;
/// The texts and lists of one row, decoded.
pub const ROW_BYTES_MAX: usize = 64 * 1024 * 1024;
/// Bytes of the texts and lists in one batch; a batch with more is handed out in smaller ones.
pub const BATCH_TEXT_BYTES_MAX: usize = 64 * 1024 * 1024;
/// Rows of one batch, unless [`crate::ReadOptions`] asks for fewer.
pub const BATCH_ROWS_MAX: usize = 65_536;
/// Cells of one batch: wide tables get fewer rows in a batch.
pub const BATCH_CELLS_MAX: usize = 4 * 1024 * 1024;
/// Bytes of a text file after which a new partition begins.
pub const PARTITION_BYTES: u64 = 16 * 1024 * 1024;
/// Bytes of one look ahead in a sequential read.
pub const READ_AHEAD_BYTES: usize = 256 * 1024;
/// Records looked at to find a CSV's delimiter, quote and header.
pub const SAMPLE_RECORD_COUNT: usize = 100;
/// Bytes looked at for that.
pub const SAMPLE_BYTES: usize = 256 * 1024;
/// Bytes looked at for that where the first two records are longer.
pub const WIDE_SAMPLE_BYTES_MAX: usize = 2 * RECORD_BYTES_MAX + SAMPLE_BYTES;
/// Nesting of JSON lines and of Parquet and Arrow schemas.
pub const DEPTH_MAX: usize = 32;
/// The list of the columns' names that stands before the rows of a JSON table (`orient="split"`).
pub const COLUMN_NAMES_BYTES_MAX: usize = 1024 * 1024;
/// Keys of one JSON line, nested ones included.
pub const KEY_COUNT_MAX: usize = 65_536;
/// Numbers of one embedding (a list column whose rows are all equally long).
pub const EMBEDDING_LENGTH_MAX: usize = 1024 * 1024;
/// A Parquet footer.
pub const FOOTER_BYTES_MAX: usize = 16 * 1024 * 1024;
/// Items of all lists in a Parquet footer, which bound what it grows to in memory.
pub const FOOTER_ITEM_COUNT_MAX: u64 = 4_000_000;
/// Row groups of one Parquet file.
pub const ROW_GROUP_COUNT_MAX: usize = 100_000;
/// One Parquet page, decompressed.
pub const PAGE_BYTES_MAX: u64 = 256 * 1024 * 1024;
/// A Parquet page's header.
pub const PAGE_HEADER_BYTES_MAX: usize = 1024 * 1024;
/// Parquet pages of one reader held at the same time, decompressed.
pub const PAGES_BYTES_MAX: u64 = 512 * 1024 * 1024;
/// Values of nested Parquet columns loaded for one batch.
pub const NESTED_VALUE_COUNT_MAX: u64 = 32 * 1024 * 1024;
/// A value of a fixed-length binary type.
pub const FIXED_BYTES_MAX: i32 = 16 * 1024;
/// Compressed bytes of a Parquet dictionary up to which a text column stays a dictionary.
pub const DICTIONARY_BYTES_MAX: u64 = 64 * 1024;
/// The metadata of one Arrow IPC message.
pub const IPC_METADATA_BYTES_MAX: usize = 16 * 1024 * 1024;
/// The body of one Arrow IPC message, as stored and decompressed.
pub const IPC_BODY_BYTES_MAX: u64 = 512 * 1024 * 1024;
/// Messages of one Arrow IPC file.
pub const IPC_MESSAGE_COUNT_MAX: usize = 1_000_000;
/// A NumPy array's header.
pub const NPY_HEADER_BYTES_MAX: usize = 64 * 1024;
/// Dimensions of a NumPy array (NumPy's own limit).
pub const NPY_DIMENSION_COUNT_MAX: usize = 64;
/// Columns of a two-dimensional NumPy array that become columns each; a wider one becomes one column of lists.
pub const NPY_COLUMN_COUNT_MAX: usize = 32;
/// Members of one .npz archive.
pub const ZIP_MEMBER_COUNT_MAX: usize = 1_024;
/// The directory of one .npz archive.
pub const ZIP_DIRECTORY_BYTES_MAX: u64 = 4 * 1024 * 1024;
/// What all members of one .npz archive may grow to.
pub const ZIP_UNCOMPRESSED_BYTES_MAX: u64 = 64 * 1024 * 1024 * 1024;
/// How many times its stored size a member of an .npz archive may grow, beyond [`ZIP_RATIO_FREE_BYTES`].
pub const ZIP_RATIO_MAX: u64 = 250;
/// A member of up to this many bytes is not suspected for its ratio.
pub const ZIP_RATIO_FREE_BYTES: u64 = 64 * 1024 * 1024;
/// One image file.
pub const IMAGE_FILE_BYTES_MAX: u64 = 32 * 1024 * 1024;
/// Pixels of one image.
pub const IMAGE_PIXEL_COUNT_MAX: u64 = 32 * 1024 * 1024;
/// The side of the square that images are scaled to, at most.
pub const IMAGE_SIDE_MAX: u32 = 256;
/// Image files of one partition.
pub const IMAGE_PARTITION_FILE_COUNT: usize = 512;
/// Notes kept by kind, file and column; further ones are only counted.
pub const NOTE_COUNT_MAX: usize = 1_000;
/// Examples kept with one note.
pub const EXAMPLE_COUNT_MAX: usize = 5;
/// An example's text.
pub const EXAMPLE_BYTES_MAX: usize = 80;
/// Share of typed values from which a text column is reported as mixed: below it they are texts that happen to be numbers.
pub const MIXED_SHARE_PERCENT_MIN: u64 = 10;
