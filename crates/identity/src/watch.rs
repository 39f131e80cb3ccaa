//! Who judges log-ins, and what it is told of one. This room asks before it says yes, and tells when a session began.

use std::net::IpAddr;

use gate::{Attempt, BoxFuture, Method};
use kernel::{Micros, Problem, Secret};

/// A log-in whose credentials were right.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shown {
    /// The account's id.
    pub person: String,
    /// Its name.
    pub name: String,
    /// Where the connection came from.
    pub address: IpAddr,
    /// What the client calls itself.
    pub user_agent: Option<String>,
    /// What its browser brought, by which it may be known.
    pub known_browser: Option<Secret>,
    /// With what.
    pub method: Method,
    /// How strongly that shows who it is.
    pub assurance: u8,
    /// Whether the account has a passkey, with which more could be shown.
    pub has_passkey: bool,
    /// Whether it came from a device that is enrolled for the account.
    pub has_device: bool,
    /// Whether its password is on the operator's list of leaked ones.
    pub password_is_leaked: bool,
    /// When.
    pub at: Micros,
}

/// Judges log-ins. Implemented by `server` over the crate `risk`.
pub trait WatchLogIns: Send + Sync {
    /// Whether this log-in may go on with what was shown, and the risk that is held against what it begins: 0 where all was shown that was
    /// asked for.
    ///
    /// # Errors
    /// `Unauthenticated` if more must be shown than was; `Unavailable` if that cannot be told.
    fn judge<'a>(&'a self, shown: &'a Shown) -> BoxFuture<'a, Result<u8, Problem>>;

    /// A session began with it: from now on it is one of this person's log-ins. Gives what the browser shall keep, by which it is known again.
    fn began<'a>(&'a self, shown: &'a Shown, session: &'a str) -> BoxFuture<'a, Secret>;

    /// A session began with a token, or in place of a session, and nothing new was shown: it is no better than what it began with.
    fn succeeded<'a>(&'a self, session: &'a str, from: &'a str) -> BoxFuture<'a, ()>;

    /// Whether it came from a browser in which the account of this name logged in.
    fn knows_browser(&self, attempt: &Attempt, name: &str) -> bool;

    /// A credential was wrong. `account` is the name that was tried, whether there is such an account or not.
    fn failed(&self, address: IpAddr, account: &str, at: Micros);

    /// Whether a password is on the operator's list of leaked ones.
    ///
    /// # Errors
    /// `Invalid` for a list that cannot be used.
    fn is_leaked(&self, password: &Secret) -> Result<bool, Problem>;
}
