//! The verbs through an open gate, on SQLite and, where there is one, on PostgreSQL.

mod experiments;
mod logging;
mod metrics;
mod paging;
mod runs;
mod search;
mod support;
