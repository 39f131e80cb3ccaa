//! One pass over a table: counts, moments and mergeable sketches of each column; and what changed between two such
//! profiles.
//!
//! [`Profiler`] takes Arrow record batches and gives a [`Profile`]; [`drift::compare`] takes two profiles and no
//! data. It reads no files and knows no server; who may see a value in a report is not its affair, but
//! [`ColumnProfile::mask`] takes them out.
//!
//! INVARIANT: memory depends on the number of columns alone, never on rows or values: `limits` names every bound; held by
//! `tests/memory.rs`.
//! INVARIANT: the profile of a table's parts, merged in any partition, is that of the whole: exactly for counts, extremes,
//! distinct values and values that are counted exactly, within the sketches' bounds for the rest; held by
//! `profiler::tests::parts_merge_to_the_whole`.
//! INVARIANT: the same rows in the same parts give the same bytes; held by `profiler::tests::a_profile_can_be_repeated`.

mod column;
pub mod drift;
mod error;
mod finite;
mod hash;
mod kind;
pub mod limits;
mod moments;
mod profiler;
mod report;
mod segment_pass;
mod sketch;
mod value;

pub use column::{Header, Numbers, header_of, iso, pattern_of};
pub use error::ProfileError;
pub use kind::Kind;
pub use profiler::{Options, Profiler};
pub use report::{
    ColumnProfile, FORMAT, Gap, Histogram, ImageReport, NumberReport, Pattern, Profile, Quantile, TextReport, TimeReport,
    TopValue, VectorReport,
};
pub use segment_pass::SegmentPass;
pub use value::Value;
