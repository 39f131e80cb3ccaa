//! Containers: archives and compressed streams. They are taken only if every reader must see the same in them.

pub(crate) mod compressed;
pub(crate) mod member;
pub(crate) mod names;
pub(crate) mod tar;
pub(crate) mod zip;
