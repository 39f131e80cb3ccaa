//! The log from outside: through a gate, on real files, with both engines where PostgreSQL is given.
#![expect(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

mod common;
mod crash;
mod evidence;
mod faults;
mod flips;
mod mismatch;
mod operations;
mod outbox;
mod witness;
