//! Who holds an office: a role that is about the server itself and reaches no data, as an administrator's or an auditor's.

use kernel::{Micros, Problem};
use vault::db::{Reader, Writer};

use crate::elevation;
use crate::policy::Policy;
use crate::store;

impl Policy {
    /// Whether one of these principals holds an office by a grant of its own. A role that is not known here counts as one: unsure means so.
    ///
    /// # Errors
    /// `Unavailable` if it cannot be read.
    pub fn holds_office(&self, reader: &mut Reader<'_>, principals: &[String], at: Micros) -> Result<bool, Problem> {
        for principal in principals {
            let roles = store::roles_of(reader, principal, at)?;
            if roles.iter().any(|role| self.engine().roles.get(role).is_none_or(|role| !role.data)) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// The principals that administer the server by a grant of their own.
    ///
    /// # Errors
    /// `Unavailable` if it cannot be read.
    pub fn administrators(&self, reader: &mut Reader<'_>, at: Micros) -> Result<Vec<String>, Problem> {
        Ok(store::administrators(reader, at)?.into_iter().map(|(principal, _)| principal).collect())
    }

    /// Whether anybody administers the server for good: a person who may come in, other than `without`, by a grant without an end, directly or
    /// by way of groups.
    ///
    /// # Errors
    /// `Unavailable` if it cannot be read.
    pub fn is_administered(&self, reader: &mut Reader<'_>, without: Option<&str>) -> Result<bool, Problem> {
        Ok(store::is_administered(reader, without)?)
    }

    /// Holds whoever holds such a grant, so that two who are taken away at the same moment wait for each other.
    ///
    /// # Errors
    /// `Unavailable` if it cannot be written.
    pub fn hold_administrators(&self, tx: &mut Writer<'_>, at: Micros) -> Result<(), Problem> {
        Ok(store::hold_administrators(tx, at)?)
    }

    /// Until when one of these principals administers the server by a grant of its own: `Micros(i64::MAX)` for one without an end, none where
    /// none does.
    ///
    /// # Errors
    /// `Unavailable` if it cannot be read.
    pub fn administer_until(
        &self,
        reader: &mut Reader<'_>,
        principals: &[String],
        at: Micros,
    ) -> Result<Option<Micros>, Problem> {
        Ok(latest(store::administrators(reader, at)?, principals))
    }

    /// The same, or may make itself administrator by breaking the glass.
    ///
    /// # Errors
    /// `Unavailable` if it cannot be read.
    pub fn may_administer_until(
        &self,
        reader: &mut Reader<'_>,
        principals: &[String],
        at: Micros,
    ) -> Result<Option<Micros>, Problem> {
        Ok(latest(store::near_administrators(reader, at)?, principals))
    }

    /// Until when the longest-lived role of these principals counts, of whatever kind, each by a grant of its own: `Micros(i64::MAX)` for one
    /// without an end, none where they hold nothing.
    ///
    /// # Errors
    /// `Unavailable` if it cannot be read.
    pub fn held_until(&self, reader: &mut Reader<'_>, principals: &[String], at: Micros) -> Result<Option<Micros>, Problem> {
        let mut until: Option<Micros> = None;
        for principal in principals {
            until = until.max(store::held_until(reader, principal, at)?);
        }
        Ok(until)
    }

    /// Whether this person broke the glass, and administers by that now.
    ///
    /// # Errors
    /// `Unavailable` if it cannot be read.
    pub fn broke_glass(&self, reader: &mut Reader<'_>, principal: &str, at: Micros) -> Result<bool, Problem> {
        Ok(elevation::store::is_broken(reader, principal, at)?)
    }
}

/// The latest end of what these principals hold.
fn latest(all: Vec<(String, Option<Micros>)>, principals: &[String]) -> Option<Micros> {
    let own = all.into_iter().filter(|(principal, _)| principals.contains(principal));
    own.map(|(_, end)| end.unwrap_or(Micros(i64::MAX))).max()
}
