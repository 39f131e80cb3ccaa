//! Tests of the verbs, through an open gate whose facts are the room's own, on both engines.
#![expect(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

mod logged_models;
mod models;
mod scope;
mod search;
mod support;
mod versions;
