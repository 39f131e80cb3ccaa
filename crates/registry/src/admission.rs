//! The port to what stands between a registered version and its use: another room, which the server plugs in.

use gate::BoxFuture;
use kernel::{Micros, Problem};
use vault::db::{Reader, Writer};

/// A version that is being registered.
#[derive(Clone, Copy, Debug)]
pub struct Registered<'a> {
    /// The workspace's id.
    pub workspace: &'a str,
    /// The model's internal id.
    pub model_id: &'a str,
    /// The version's number.
    pub number: i64,
    /// Where its files are.
    pub storage_location: &'a str,
    /// Who registers it, by id.
    pub submitter: &'a str,
    /// When.
    pub at: Micros,
}

/// Decides whether versions may be promoted and fetched.
pub trait Admission: Send + Sync + 'static {
    /// A version is registered: it goes into quarantine in the same transaction.
    ///
    /// # Errors
    /// Of the database; then nothing is registered.
    fn registered(&self, writer: &mut Writer<'_>, new: &Registered<'_>) -> Result<(), Problem>;

    /// That what [`Self::registered`] wrote is committed.
    fn wake(&self);

    /// Waits, not for ever, until no inspection of the version is on its way.
    ///
    /// # Errors
    /// Of the database.
    fn settled<'a>(&'a self, model_id: &'a str, number: i64) -> BoxFuture<'a, Result<(), Problem>>;

    /// Whether the version may carry an alias or an active stage, asked in the transaction that gives it one.
    ///
    /// # Errors
    /// `Conflict`, with what to do, if it may not.
    fn may_promote(&self, reader: &mut Reader<'_>, model_id: &str, number: i64) -> Result<(), Problem>;

    /// Whether the version's files may be fetched through the registry.
    ///
    /// # Errors
    /// `Forbidden`, with what to do, if they may not.
    fn may_fetch(&self, reader: &mut Reader<'_>, model_id: &str, number: i64) -> Result<(), Problem>;
}
