//! What this room has to ask about principals. `server` answers it from `identity`.

use vault::db::{DbError, Reader};

use crate::types::Principal;

/// Knows principals.
pub trait Directory: Send + Sync + 'static {
    /// The principal of that id or name, with its groups of all levels.
    ///
    /// # Errors
    /// [`DbError`] of the engine.
    fn find(&self, reader: &mut Reader<'_>, id_or_name: &str) -> Result<Option<Principal>, DbError>;

    /// The ids of the service accounts that `owner` made and that are in some group.
    ///
    /// # Errors
    /// [`DbError`] of the engine.
    fn services_of(&self, reader: &mut Reader<'_>, owner: &str) -> Result<Vec<String>, DbError>;

    /// The same accounts, with their groups.
    ///
    /// # Errors
    /// [`DbError`] of the engine.
    fn find_services(&self, reader: &mut Reader<'_>, owner: &str) -> Result<Vec<Principal>, DbError> {
        let mut services = Vec::new();
        for id in self.services_of(reader, owner)? {
            services.extend(self.find(reader, &id)?);
        }
        Ok(services)
    }
}

/// Knows nobody. For a server without accounts, and for tests.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoDirectory;

impl Directory for NoDirectory {
    fn find(&self, _: &mut Reader<'_>, _: &str) -> Result<Option<Principal>, DbError> {
        Ok(None)
    }

    fn services_of(&self, _: &mut Reader<'_>, _: &str) -> Result<Vec<String>, DbError> {
        Ok(Vec::new())
    }
}
