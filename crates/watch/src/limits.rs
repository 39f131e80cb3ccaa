//! Every bound of this crate.

/// Columns of a model that are watched; further ones are not.
pub const COLUMN_COUNT_MAX: usize = 256;
/// Cells that numbers fall into, missing values left out.
pub const NUMBER_CELL_COUNT: usize = 16;
/// Values of a category that have a cell of their own.
pub const CATEGORY_COUNT_MAX: usize = 30;
/// Rows that a baseline is made of where no training profile is known.
pub const BASELINE_ROWS: usize = 2_000;
/// Callers that a minute's tally tells apart; the others are one.
pub const CALLER_COUNT_MAX: usize = 32;
/// Classes that are told apart; the others are one.
pub const CLASS_COUNT_MAX: usize = 64;
/// Bytes of a class's or category's name that are kept.
pub const NAME_BYTES_MAX: usize = 128;
/// Rows that are kept as cells, to explain a change.
pub const ROW_LOG_COUNT: usize = 8_192;
/// What all that is one is called.
pub const OTHERS: &str = "(others)";
