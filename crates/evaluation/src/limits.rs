//! This room's limits. Lengths are MLflow's, because its clients and their users know them.

/// Characters of a dataset's name.
pub const NAME_CHARS_MAX: usize = 255;
/// Characters of a tag's key.
pub const TAG_KEY_CHARS_MAX: usize = 255;
/// Characters of a tag's value.
pub const TAG_VALUE_CHARS_MAX: usize = 5_000;
/// Tags of one dataset.
pub const TAG_COUNT_MAX: usize = 1_000;
/// Experiments that one dataset may be joined to, and that one request may name.
pub const EXPERIMENT_COUNT_MAX: usize = 1_000;
/// Records in one request.
pub const RECORD_BATCH_COUNT_MAX: usize = 5_000;
/// Records of one dataset.
pub const RECORD_COUNT_MAX: i64 = 1_000_000;
/// The JSON text of one record, merged.
pub const RECORD_BYTES_MAX: usize = 1_048_576;
/// Characters of the id of what a record was made from.
pub const SOURCE_ID_CHARS_MAX: usize = 250;
/// Records in one page, and in a page that names no number.
pub const RECORD_PAGE_COUNT_MAX: i64 = 1_000;
/// The JSON text of one page of records. A page that would be larger ends before.
pub const RECORD_PAGE_BYTES_MAX: usize = 16 * 1_048_576;
/// The text that says which fields a dataset's records have.
pub const SCHEMA_BYTES_MAX: usize = 1_048_576;
/// Datasets in one page of a search.
pub const SEARCH_RESULT_COUNT_MAX: i64 = 50_000;
/// Datasets in one page of a search that names no number.
pub const SEARCH_RESULT_COUNT_DEFAULT: i64 = 1_000;
