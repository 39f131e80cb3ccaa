//! The verbs through an open gate, on SQLite and, where there is one, on PostgreSQL, with a stand-in for the worker.

mod admission;
mod broken_off;
mod checking;
mod clean;
mod provenance;
mod queries;
mod read;
mod support;
mod versions;
