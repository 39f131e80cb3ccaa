//! All SQL of retention.

pub(crate) mod clock;
pub(crate) mod kept;
pub(crate) mod seals;

use kernel::{Micros, Problem};
use vault::db::Reader;

pub use kept::lock_from;

/// The compliance clock as it was last written down, which is never ahead.
///
/// # Errors
/// Of the database.
pub fn now(reader: &mut Reader<'_>) -> Result<Micros, Problem> {
    Ok(clock::get(reader)?.map_or(Micros(0), |row| row.at))
}
