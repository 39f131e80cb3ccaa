//! Personal data: what in columns and texts is about a person, of which kind and class it is, and why it is thought so.
//!
//! Three tiers: patterns with check digits and words nearby (`scan`), names of people, places and organisations (`names`),
//! and columns as a whole by their names, values and word lists (`columns`).
//!
//! It is not a policy: it says what was found, not what may be done with it. It changes no data, apart from [`mask`]. It
//! does no I/O and knows no server.
//!
//! INVARIANT: work is linear in the bytes scanned, whatever they are. Held by
//! `scan::tests::hostile_texts_cost_a_bounded_number_of_steps`.
//! INVARIANT: no report holds a value as it stands in the data; examples are masked. Held by
//! `columns::tests::no_value_stands_in_a_report`.
//! INVARIANT: a span of a hit is never empty and lies on borders of characters. Held by `tests::spans_are_sound`.

mod bytes;
mod checks;
mod columns;
mod context;
mod error;
mod hit;
mod kind;
mod mask;
mod names;
mod scan;
mod scanner;
#[cfg(test)]
mod tests;

pub use columns::{
    COLUMN_COUNT_MAX, ColumnOptions, ColumnReport, ColumnScanner, Evidence, KindReport, PersonalReport, SAMPLE_ROWS_FULL,
    SAMPLE_STRIDE,
};
pub use error::PersonalError;
pub use hit::{Hit, Reason, Why};
pub use kind::{Class, Identifier, Kind, SpecialCategory};
pub use mask::mask;
pub use scanner::{Scanner, ScannerOptions};
