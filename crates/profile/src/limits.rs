//! What one profile may hold, whatever the data is.

/// Columns of a profile, structures counted with all that is in them.
pub const COLUMN_COUNT_MAX: usize = 10_000;
/// How deep structures are looked into; deeper ones are counted as wholes.
pub const STRUCTURE_DEPTH_MAX: usize = 8;
/// Distinct values that are counted exactly before counting becomes a sketch.
pub const EXACT_VALUE_COUNT_MAX: usize = 512;
/// Counters of the sketch of frequent values.
pub const COUNTER_COUNT: usize = 1_024;
/// Bytes that are kept of a text value; its hash is over the whole.
pub const VALUE_BYTES_MAX: usize = 64;
/// Top values in a report.
pub const TOP_VALUE_COUNT_MAX: usize = 20;
/// Different patterns that are counted for a text column; all others are one.
pub const PATTERN_COUNT_MAX: usize = 64;
/// Bytes of a value that its pattern is made of.
pub const PATTERN_SOURCE_BYTES_MAX: usize = 64;
/// Bars of a histogram.
pub const HISTOGRAM_BAR_COUNT: usize = 20;
/// Dimensions of an embedding whose means are kept; further ones only count in the norm.
pub const DIMENSION_COUNT_MAX: usize = 4_096;
/// Periods of a time column's line, each as long as needed.
pub const PERIOD_COUNT_MAX: usize = 512;
/// Values up to which each one is offered to the quantile sketch and the patterns; beyond, one of 2, 4, 8, ….
pub const EVERY_VALUE_COUNT_MAX: u64 = 1 << 18;

/// How large a column's sketches are: fewer columns can have larger ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SketchSizes {
    /// Two to this power are the registers for distinct values.
    pub register_power: u8,
    /// The k of the quantile sketch (KLL).
    pub quantile_k: u16,
    /// Hashes in the sample that tells unique from repeated.
    pub sample_count: usize,
    /// Counters for frequent values, once exact counting has ended.
    pub counter_count: usize,
    /// Distinct values that are counted exactly.
    pub exact_value_count: usize,
}

impl SketchSizes {
    /// The sizes for a table of so many columns: about 60 KB, 15 KB or 4 KB a column.
    #[must_use]
    pub const fn for_columns(column_count: usize) -> Self {
        if column_count <= 256 {
            Self {
                register_power: 12,
                quantile_k: 512,
                sample_count: 256,
                counter_count: COUNTER_COUNT,
                exact_value_count: EXACT_VALUE_COUNT_MAX,
            }
        } else if column_count <= 2_048 {
            Self { register_power: 10, quantile_k: 200, sample_count: 128, counter_count: 256, exact_value_count: 128 }
        } else {
            Self { register_power: 9, quantile_k: 64, sample_count: 64, counter_count: 64, exact_value_count: 32 }
        }
    }
}

/// Two to this power are the registers for distinct rows.
pub const ROW_REGISTER_POWER: u8 = 14;
/// Row hashes in the sample that duplicates are counted in.
pub const ROW_SAMPLE_COUNT: usize = 2_048;
