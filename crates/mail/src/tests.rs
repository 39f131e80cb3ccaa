//! The room over a fresh database of each engine, behind an open gate, with a carrier that keeps what it is handed.

mod outbox;
mod support;
