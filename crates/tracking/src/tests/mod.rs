//! The verbs through an open gate, on SQLite and, where there is one, on PostgreSQL.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "tests")]

mod experiments;
mod logging;
mod metrics;
mod runs;
mod search;
mod support;
