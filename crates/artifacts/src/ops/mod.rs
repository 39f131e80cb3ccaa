//! One verb, or one closely knit family, per file.

pub(crate) mod delete;
pub(crate) mod key_life;
pub(crate) mod key_state;
pub(crate) mod keys;
pub(crate) mod list;
pub(crate) mod read;
pub(crate) mod upkeep;
pub(crate) mod upload;
pub(crate) mod write;
