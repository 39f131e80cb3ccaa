//! A model's files, wherever they lie.

use std::borrow::Cow;
use std::collections::BTreeMap;

/// A model's folder: names, relative and with `/`, and bytes.
pub trait Files {
    /// All names, with their sizes in bytes.
    fn list(&self) -> Vec<(String, u64)>;

    /// The bytes of a file.
    ///
    /// # Errors
    /// If there is no such file, or it cannot be read: the text says why.
    fn read(&self, name: &str) -> Result<Cow<'_, [u8]>, String>;
}

impl Files for BTreeMap<String, Vec<u8>> {
    fn list(&self) -> Vec<(String, u64)> {
        self.iter().map(|(name, bytes)| (name.clone(), bytes.len() as u64)).collect()
    }

    fn read(&self, name: &str) -> Result<Cow<'_, [u8]>, String> {
        self.get(name).map(|bytes| Cow::Borrowed(bytes.as_slice())).ok_or_else(|| format!("there is no file `{name}`"))
    }
}
