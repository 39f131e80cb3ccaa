//! Where things are kept: [`db`] (SQLite or PostgreSQL), objects (local or S3) and keys (envelope encryption).
//!
//! It is not a room with verbs: it decides nothing about who may do what. Every function that touches data takes a
//! `gate::Permit`.
//!
//! INVARIANT: a write commits only together with its audit outcome. Held by `db::tests`.

pub mod db;
pub mod keys;
pub mod objects;
