//! The verbs, a family per file.

pub mod buckets;
pub mod list;
pub mod lock;
pub mod multipart;
pub mod read;
pub mod remove;
pub mod tags;
pub mod write;
