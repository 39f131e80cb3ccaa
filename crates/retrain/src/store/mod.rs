//! All SQL of this room.

pub(crate) mod jobs;
pub(crate) mod origin;
pub(crate) mod requests;
