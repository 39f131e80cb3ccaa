//! Who is asking: people, service accounts, groups and workspaces; their passwords, tokens and sessions; and
//! [`IdentityPort`], which tells the gate who knocks.
//!
//! It does not decide what a caller may do (`policy`), nor judge how risky a knock is (`risk`): scopes are checked for their
//! form here, and enforced there.
//!
//! INVARIANT: a secret is stored as a hash only and shown once. Held by `tests::no_secret_is_in_the_database`.
//! INVARIANT: a refusal says the same whatever was wrong. Held by `tests::login::every_refusal_reads_the_same`.
//! INVARIANT: a token makes no token, and opens no session, that can do more or lives longer than itself. Held by
//! `tests::tokens::a_token_mints_nothing_wider_than_itself`.
//! INVARIANT: nobody but a job mints a token for another person, and only its owner for a service account. Held by
//! `tests::tokens::only_a_service_accounts_owner_mints_its_tokens`.
//! INVARIANT: a pass opens one thing, for as long as its holder may, and never more than they may. Held by `tests::passes`.
//! INVARIANT: an access key may do what its token may, and ends with it. Held by `tests::access_keys`.
//! INVARIANT: where an account has a second factor or a passkey, its password alone opens nothing. Held by
//! `tests::factors::a_password_alone_opens_nothing_any_more`.
//! INVARIANT: a one-time code, a recovery code and an answered challenge count once, whoever comes at the same moment. Held by
//! `tests::factors::what_counts_once_counts_once`.
//! INVARIANT: a command line's code counts once, with its verifier; shown again, it ends what it brought. Held by
//! `tests::command_line`.
//! INVARIANT: what is bound to a device is worth nothing from another. Held by `devices`' tests.
//! INVARIANT: a provisioner sees and changes what it made or was entrusted with, and nothing that holds an office. Held by
//! `tests::provisioning`.
//! INVARIANT: nobody puts themself, or a service account of theirs, into a group. Held by `tests::groups`.

mod access_key;
mod agreed;
mod config;
mod devices;
mod factors;
mod memory;
mod names;
mod offices;
pub mod ops;
mod pass;
mod password;
mod polls;
mod port;
mod secret_text;
mod store;
#[cfg(test)]
mod tests;
mod types;
mod watch;

use std::sync::{Arc, OnceLock};

use gate::{Action, Caller, Pass};
use kernel::{Clock, Micros, Problem, Secret, random_bytes};
use vault::db::{Db, PortDb};

pub use access_key::{AccessKey, SESSION_KEY_SECONDS};
pub use agreed::{DENIED, EXPIRED, PENDING, SLOW_DOWN, device_word};
pub use config::IdentityConfig;
pub use devices::{KnowDevices, KnownDevice, KnownLeave};
pub use factors::device::{DEVICE_SECONDS, new_device_secret, user_code};
pub use factors::loopback::{COMMAND_LINE_CLIENT, Challenge, LOOPBACK_PATH, Loopback, new_verifier};
pub use factors::{CEREMONY_SECONDS, Ceremony, PASSKEY_ALGORITHMS, RECOVERY_CODE_COUNT};
pub use names::{LABEL_LENGTH_MAX, NAME_BYTES_MAX, SCOPE_BYTES_MAX, SCOPE_COUNT_MAX, parse_label, parse_scopes};
pub use offices::{Distrust, Offices};
pub use pass::{PASS_SECONDS_MAX, Passes};
pub use password::PASSWORD_LENGTH_MAX;
pub use polls::{DEVICE_ASK, DEVICE_SLOWER};
pub use port::{Federate, IdentityPort, ShownThere, Vouched};
pub use secret_text::{SecretKind, is_secret_text, new_enrolment_secret, new_fleet_secret, new_node_secret, parse_secret_text};
pub use store::{
    NAMES_BY_IDS_COUNT_MAX, ProvisionedKey, grouped_services_of, principal_with_groups, principals_by_ids, workspace_by_name,
};
pub use types::*;
pub use watch::{Shown, WatchLogIns};

use crate::memory::Memory;
use crate::password::Passwords;

/// Every verb of this room.
pub const ACTIONS: &[Action] = &[
    ops::accounts::USERS_CREATE,
    ops::accounts::USERS_LIST,
    ops::accounts::USERS_GET,
    ops::accounts::USERS_DISABLE,
    ops::accounts::USERS_ENABLE,
    ops::accounts::SERVICES_DISABLE,
    ops::accounts::SERVICES_ENABLE,
    ops::accounts::USERS_DELETE,
    ops::passwords::USERS_SET_PASSWORD,
    ops::groups::GROUPS_CREATE,
    ops::groups::GROUPS_LIST,
    ops::groups::GROUPS_DELETE,
    ops::groups::GROUPS_ADD_MEMBER,
    ops::groups::GROUPS_REMOVE_MEMBER,
    ops::accounts::SERVICES_CREATE,
    ops::accounts::SERVICES_LIST,
    ops::accounts::SERVICES_DELETE,
    ops::workspaces::WORKSPACES_CREATE,
    ops::workspaces::WORKSPACES_LIST,
    ops::workspaces::WORKSPACES_GET,
    ops::tokens::TOKENS_CREATE,
    ops::tokens::TOKENS_CREATE_FOR,
    ops::tokens::TOKENS_LIST,
    ops::tokens::TOKENS_REVOKE,
    ops::tokens::TOKENS_REVOKE_ANY,
    ops::access_keys::TOKENS_ACCESS_KEY,
    ops::access_keys::TOKENS_ASSUME,
    ops::sessions::SESSIONS_CREATE,
    ops::sessions::SESSIONS_DELETE,
    ops::sessions::SESSIONS_LIST,
    ops::passwords::ACCOUNT_PASSWORD,
    ops::account::ACCOUNT_ME,
    ops::factors::FACTORS_LIST,
    ops::factors::FACTORS_OFFER_TOTP,
    ops::factors::FACTORS_CONFIRM_TOTP,
    ops::factors::FACTORS_ADD_PASSKEY,
    ops::factors::FACTORS_REMOVE,
    ops::factors::FACTORS_RECOVERY_CODES,
    ops::factors::USERS_RESET_FACTORS,
    ops::federation::FEDERATION_SETTLE,
    ops::federation::USERS_LINK,
    ops::federation::TOKENS_EXCHANGE,
    ops::command_line::TOKENS_AGREE,
    ops::command_line::TOKENS_DENY,
    ops::provisioning::PROVISIONING_DESCRIBE,
    ops::provisioning::PROVISIONING_ENTRUST,
    ops::provisioning::PROVISIONING_GET_USER,
    ops::provisioning::PROVISIONING_LIST_USERS,
    ops::provisioning::PROVISIONING_CREATE_USER,
    ops::provisioning::PROVISIONING_CHANGE_USER,
    ops::provisioning::PROVISIONING_DELETE_USER,
    ops::provisioning::PROVISIONING_GET_GROUP,
    ops::provisioning::PROVISIONING_LIST_GROUPS,
    ops::provisioning::PROVISIONING_CREATE_GROUP,
    ops::provisioning::PROVISIONING_CHANGE_GROUP,
    ops::provisioning::PROVISIONING_DELETE_GROUP,
    ops::statements::SESSIONS_LOGGED_OUT,
    ops::statements::SIGNALS_RECEIVE,
];

/// The room's handle, which its verbs carry. Cheap to clone.
#[derive(Clone)]
pub struct Identity {
    db: Db,
    inner: Arc<Inner>,
}

struct Inner {
    config: IdentityConfig,
    passwords: Passwords,
    memory: Memory,
    polls: polls::Polls,
    passes: Passes,
    access_keys: access_key::AccessKeys,
    sealer: factors::Sealer,
    federate: OnceLock<Arc<dyn Federate>>,
    watch: OnceLock<Arc<dyn WatchLogIns>>,
    devices: OnceLock<Arc<dyn KnowDevices>>,
    offices: OnceLock<Arc<dyn Offices>>,
    distrust: OnceLock<Arc<dyn Distrust>>,
}

impl Inner {
    /// What is kept of an address that an issuer vouched for; none for what is no address. Hosts are written in either case, what stands before
    /// the `@` is the host's own affair (RFC 5321, section 2.4).
    fn address_mark(&self, issuer: &str, address: &str) -> Option<[u8; 32]> {
        let (mailbox, host) = address.rsplit_once('@').filter(|(mailbox, host)| !mailbox.is_empty() && !host.is_empty())?;
        let said = format!("{mailbox}@{}", host.to_ascii_lowercase());
        Some(self.sealer.mark(&format!("address at {issuer}"), said.as_bytes()))
    }

    /// Refuses a password that everybody can look up.
    fn check_leaked(&self, password: &Secret) -> Result<(), Problem> {
        if self.watch.get().map_or(Ok(false), |watch| watch.is_leaked(password))? {
            return Err(Problem::invalid(
                "this password was leaked somewhere and stands on lists; choose one that nobody else has",
            ));
        }
        Ok(())
    }
}

impl Identity {
    /// The room over a database. It makes no passes.
    ///
    /// # Errors
    /// `Invalid` for a configuration under which the room's promises would not hold.
    pub fn new(db: Db, config: IdentityConfig) -> Result<Self, Problem> {
        Self::with_passes(db, config, Passes::new(&Secret::new(random_bytes::<32>().to_vec()), &[]))
    }

    /// The room over a database, with what it may make passes for.
    ///
    /// # Errors
    /// As [`Identity::new`].
    pub fn with_passes(db: Db, config: IdentityConfig, passes: Passes) -> Result<Self, Problem> {
        config.check()?;
        let (passwords, memory) = (Passwords::new(&config), Memory::new(&config));
        let (access_keys, sealer) = (passes.access_keys(), passes.sealer()?);
        Ok(Self {
            db,
            inner: Arc::new(Inner {
                config,
                passwords,
                memory,
                polls: polls::Polls::default(),
                passes,
                access_keys,
                sealer,
                federate: OnceLock::new(),
                watch: OnceLock::new(),
                devices: OnceLock::new(),
                offices: OnceLock::new(),
                distrust: OnceLock::new(),
            }),
        })
    }

    /// A pass for one errand of this caller, which lasts for [`PASS_SECONDS_MAX`] and not longer than what the caller came
    /// with. None for a caller without a token or password, or for a verb that no passes are made for.
    #[must_use]
    pub fn pass(&self, caller: &Caller, pass: &Pass, at: Micros) -> Option<Secret> {
        self.inner.passes.seal(caller, pass, at)
    }

    /// Begins the ceremony in which somebody may log in with a passkey. Nothing is kept of it.
    ///
    /// # Errors
    /// `Internal` if it cannot be sealed.
    pub fn begin_log_in(&self, at: Micros) -> Result<Ceremony, Problem> {
        self.inner.sealer.begin(factors::Purpose::LogIn, "", at)
    }

    /// Says who vouches for people and programs of elsewhere. The first one stays.
    pub fn set_federate(&self, federate: Arc<dyn Federate>) {
        drop(self.inner.federate.set(federate));
    }

    /// Says who judges log-ins. The first one stays.
    pub fn set_watch(&self, watch: Arc<dyn WatchLogIns>) {
        drop(self.inner.watch.set(watch));
    }

    /// Says who knows the devices that people come from. The first one stays.
    pub fn set_devices(&self, devices: Arc<dyn KnowDevices>) {
        drop(self.inner.devices.set(devices));
    }

    /// Says who knows which accounts hold an office. The first one stays.
    pub fn set_offices(&self, offices: Arc<dyn Offices>) {
        drop(self.inner.offices.set(offices));
    }

    /// Says who is told whom to trust less. The first one stays.
    pub fn set_distrust(&self, distrust: Arc<dyn Distrust>) {
        drop(self.inner.distrust.set(distrust));
    }

    /// Who knows which accounts hold an office.
    ///
    /// # Errors
    /// `Unavailable` where nobody does: unsure means refuse.
    pub(crate) fn offices(&self) -> Result<Arc<dyn Offices>, Problem> {
        let known = self.inner.offices.get().map(Arc::clone);
        known.ok_or_else(|| Problem::unavailable("nobody here knows which accounts hold an office"))
    }

    /// The gate's port to this room. It must share the room's memory, so that what the room revokes ends at once.
    #[must_use]
    pub fn port(&self, db: PortDb, clock: Arc<dyn Clock>) -> IdentityPort {
        IdentityPort::new(db, clock, Arc::clone(&self.inner))
    }

    /// How many passwords were hashed or verified since the start: what logins cost.
    #[must_use]
    pub fn password_hash_count(&self) -> u64 {
        self.inner.passwords.done_count()
    }
}
