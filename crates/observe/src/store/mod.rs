//! All SQL of this room.

pub(crate) mod alerts;
pub(crate) mod minutes;
pub(crate) mod news;
pub(crate) mod places;
