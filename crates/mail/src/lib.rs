//! Notices that leave by mail.
//!
//! ```text
//! the log, alerts, log-ins → notices in the outbox (one row each, sealed) → the job `mailer`: one mail for all that waits for somebody
//!                                                                        → SMTP inside TLS, signed, encrypted where there is a key
//! ```
//!
//! It decides nothing: no log-in, no password and no right depends on whether mail arrives, and no mail opens an account.
//!
//! INVARIANT: nothing leaves outside TLS that was verified. Held by `tests/clients/test_mail.py`.
//! INVARIANT: what could not be sent waits, and what was given up is shown with its reason. Held by `tests`.
//! INVARIANT: of several servers over one database one sends a mail. Held by `tests`.
//! INVARIANT: addresses are sealed at rest, go with their account, and stand in no record, no log line and no list whole. Held by `tests`.

mod address;
mod compose;
mod config;
mod derive;
mod dkim;
pub mod limits;
mod mailer;
mod notice;
mod openpgp;
pub mod ops;
mod outbox;
mod smtp;
mod starttls;
mod store;

#[cfg(test)]
mod tests;

use std::sync::Arc;

use gate::Action;
use kernel::{Problem, Secret};
use vault::db::{Db, Reader, SystemDb};

pub use address::Address;
pub use config::{Content, DkimKey, MailConfig, MailTls};
pub use mailer::{Mailer, Records};
pub use notice::{Kind, Notice, Recipient};
pub use outbox::AddressSource;
pub use smtp::Carry;

use compose::Paper;

/// The job that reads the log for notices and sends mail.
pub const MAILER: &str = "mailer";

/// Every verb of this room.
pub const ACTIONS: &[Action] = &[ops::OWN, ops::SET_KEY, ops::SET_ADDRESS, ops::LIST, ops::TEST, ops::SEND];

/// What other rooms know of accounts.
pub trait Accounts: Send + Sync + 'static {
    /// The id of a person's account, by id or name.
    ///
    /// # Errors
    /// If it cannot be read.
    fn find(&self, reader: &mut Reader<'_>, id_or_name: &str) -> Result<Option<String>, Problem>;

    /// The address that the directory which looks after the account gave.
    ///
    /// # Errors
    /// If it cannot be read.
    fn directory_address(&self, reader: &mut Reader<'_>, account: &str) -> Result<Option<String>, Problem>;

    /// The accounts that administer the server.
    ///
    /// # Errors
    /// If they cannot be read.
    fn administrators(&self, reader: &mut Reader<'_>, at: kernel::Micros) -> Result<Vec<String>, Problem>;
}

/// The room. Cheap to clone.
#[derive(Clone)]
pub struct Mail(Arc<Inner>);

struct Inner {
    db: Db,
    /// For what is no change of its own: what waits, and who is at it.
    system: SystemDb,
    config: MailConfig,
    key: Secret,
    accounts: Arc<dyn Accounts>,
    way: Option<Way>,
    /// This process among those that may share the database.
    source: String,
}

/// How mail leaves, where a server is configured.
struct Way {
    paper: Paper,
    carry: Arc<dyn Carry>,
    administrators: Vec<Address>,
}

impl Mail {
    /// The room over its ground. `key` seals what is somebody's. Files that the configuration names are read now.
    ///
    /// # Errors
    /// `Invalid`, naming the key or file.
    pub fn open(ground: (Db, SystemDb), config: MailConfig, key: Secret, accounts: Arc<dyn Accounts>) -> Result<Self, Problem> {
        config.check()?;
        let carry: Option<Arc<dyn Carry>> = match (&config.server, &config.from) {
            (Some(server), Some(from)) => Some(Arc::new(smtp::Smtp::open(&config, server, &Address::parse(from)?)?)),
            _ => None,
        };
        Self::over(ground, config, key, accounts, carry)
    }

    /// The room, whose mail goes this way.
    fn over(
        (db, system): (Db, SystemDb),
        config: MailConfig,
        key: Secret,
        accounts: Arc<dyn Accounts>,
        carry: Option<Arc<dyn Carry>>,
    ) -> Result<Self, Problem> {
        let way = match (carry, &config.from) {
            (Some(carry), Some(from)) => Some(Way {
                paper: Paper {
                    from: Address::parse(from)?,
                    link: config.link.clone(),
                    content: config.content,
                    dkim: config.dkim.as_ref().map(dkim::open).transpose()?,
                },
                carry,
                administrators: config.administrators.iter().map(|one| Address::parse(one)).collect::<Result<_, _>>()?,
            }),
            _ => None,
        };
        let source = kernel::random_id();
        Ok(Self(Arc::new(Inner { db, system, config, key, accounts, way, source })))
    }

    /// Whether mail can leave at all.
    #[must_use]
    pub fn is_configured(&self) -> bool {
        self.0.way.is_some()
    }
}
