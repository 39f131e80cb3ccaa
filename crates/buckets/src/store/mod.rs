//! All SQL of buckets.

pub(crate) mod buckets;
pub(crate) mod listing;
pub(crate) mod uploads;
pub(crate) mod versions;

pub(crate) use vault::objects::{OBJECT_COLUMNS, signed, unsigned};
