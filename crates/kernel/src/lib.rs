//! What every room shares: ids, the clock, randomness, secrets, limits and [`Problem`].
//!
//! It is not a place for helpers of one room. It does no I/O and knows no async.
//!
//! INVARIANT: time and randomness enter the system only through [`Clock`] and [`random_bytes`].

mod allowance;
mod calendar;
mod clock;
mod cursor;
mod id;
mod letters;
pub mod limits;
mod problem;
mod secret;

pub use allowance::Allowance;
pub use calendar::Civil;
pub use clock::{Clock, FakeClock, Micros, SystemClock};
pub use cursor::Cursor;
pub use id::{Sha256Hasher, hex, parse_hex, random_bytes, random_bytes_for_id, random_id, random_text, sha256, timed_id};
pub use letters::letters;
pub use problem::{Kind, Problem, StepUp};
pub use secret::Secret;
