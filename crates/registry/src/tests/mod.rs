//! Tests of the verbs, through an open gate whose facts are the room's own, on both engines.

mod logged_models;
mod models;
mod scope;
mod search;
mod support;
mod versions;
