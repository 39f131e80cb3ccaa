//! What this room asks of others about accounts: which of them hold an office, and whom to trust less.

use gate::BoxFuture;
use kernel::{Micros, Problem};
use vault::db::{Reader, Writer};

/// Knows who holds an office: a role that is about the server itself, not about the data in it. Implemented by `server` over `policy`.
pub trait Offices: Send + Sync {
    /// Whether one of these principals holds one. Groups above them are not looked for.
    ///
    /// # Errors
    /// `Unavailable` if it cannot be told.
    fn holds_office(&self, reader: &mut Reader<'_>, principals: &[String], at: Micros) -> Result<bool, Problem>;

    /// Whether anybody administers the server for good: a person who may come in, other than `without`, by a grant without an end, directly or
    /// by way of groups.
    ///
    /// # Errors
    /// `Unavailable` if it cannot be told.
    fn is_administered(&self, reader: &mut Reader<'_>, without: Option<&str>) -> Result<bool, Problem>;

    /// Holds whoever does, so that two who are taken away at the same moment wait for each other.
    ///
    /// # Errors
    /// `Unavailable` if it cannot be done.
    fn hold_administrators(&self, tx: &mut Writer<'_>, at: Micros) -> Result<(), Problem>;

    /// Until when one of these principals administers the server, by a grant of its own: `Micros(i64::MAX)` for one without an end, none
    /// where none does.
    ///
    /// # Errors
    /// `Unavailable` if it cannot be told.
    fn administer_until(&self, reader: &mut Reader<'_>, principals: &[String], at: Micros) -> Result<Option<Micros>, Problem>;

    /// The same, or may make itself administrator, alone.
    ///
    /// # Errors
    /// `Unavailable` if it cannot be told.
    fn may_administer_until(&self, reader: &mut Reader<'_>, principals: &[String], at: Micros)
    -> Result<Option<Micros>, Problem>;

    /// Until when the longest-lived role of one of these principals counts, of whatever kind, by a grant of its own: `Micros(i64::MAX)` for
    /// one without an end, none where they hold nothing.
    ///
    /// # Errors
    /// `Unavailable` if it cannot be told.
    fn held_until(&self, reader: &mut Reader<'_>, principals: &[String], at: Micros) -> Result<Option<Micros>, Problem>;

    /// Whether this person made themself administrator alone, which alarms, and is so by that now.
    ///
    /// # Errors
    /// `Unavailable` if it cannot be told.
    fn broke_glass(&self, reader: &mut Reader<'_>, principal: &str, at: Micros) -> Result<bool, Problem>;
}

/// Is told whom to trust less for a while. Implemented by `server` over `risk`.
pub trait Distrust: Send + Sync {
    /// So many points of 100, for this reason (a stable word), until then.
    fn distrust<'a>(&'a self, principal_id: &'a str, points: u8, reason: &'static str, until: Micros) -> BoxFuture<'a, ()>;
}
