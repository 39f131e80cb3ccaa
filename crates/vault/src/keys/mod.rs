//! Envelope encryption: a root key that a [`KeyService`] keeps, workspace keys that the root key wraps, object keys that
//! the workspace key wraps. Rotation wraps anew; it never rewrites data.
//!
//! It is not a store of users' secrets, and it does not decide who may rotate what.
//!
//! INVARIANT: no key is ever written unwrapped, but for the root key in its own file (0600). Held by
//! `keys::ring::tests::nothing_on_disk_holds_an_unwrapped_key`.
//! INVARIANT: a wrapped key opens only under the name, version and object it was wrapped for. Held by
//! `keys::ring::tests::a_wrapped_key_opens_only_in_its_own_place`.

mod destroy;
mod file;
mod frames;
mod life_store;
mod passphrase;
mod ring;
mod state;
mod store;
mod tombstone;
mod wrap;

use std::sync::Arc;

use gate::BoxFuture;
use kernel::{Problem, Secret};

pub use destroy::{DestroyRequest, DestroyState, NothingRetained, Retained};
pub use file::KeyFile;
pub use frames::{FRAME_SALT_BYTES, FRAME_TAG_BYTES, FrameKey, open, seal};
pub use passphrase::PassphraseKey;
pub use ring::{KeyAt, Keyring, ObjectKey};
pub use state::{KeyFacts, KeysChecked, RootFacts};
pub use tombstone::{TOMBSTONE_KEY_BYTES, Tombstone, replay, tombstones};
pub use wrap::keyed_hash;
pub(crate) use wrap::{derive, join};

/// Bytes of every symmetric key here.
pub const KEY_BYTES: usize = 32;

/// Who keeps the root key. A hardware module or a cloud's key service wraps and unwraps without ever giving it out.
pub trait KeyService: Send + Sync {
    /// Which service, for rows, logs and messages: `file`, `passphrase`, `pkcs11`, `transit`, `kms`.
    fn name(&self) -> &'static str;

    /// The version that wraps from now on.
    fn version(&self) -> i64;

    /// Wraps `key` for the place that `aad` names, under the current version.
    ///
    /// # Errors
    /// `Unavailable` if the service cannot do it now.
    fn wrap<'a>(&'a self, key: &'a Secret, aad: &'a [u8]) -> BoxFuture<'a, Result<Vec<u8>, Problem>>;

    /// Unwraps what `version` wrapped for the place that `aad` names.
    ///
    /// # Errors
    /// `Internal` if it was wrapped by another key, for another place, or was changed; `Unavailable` if the service cannot
    /// do it now.
    fn unwrap<'a>(&'a self, version: i64, wrapped: &'a [u8], aad: &'a [u8]) -> BoxFuture<'a, Result<Secret, Problem>>;

    /// The versions that it can unwrap by, rising, as the service says now. One that is not to be reached says so here.
    ///
    /// # Errors
    /// `Unavailable` if the service cannot do it now.
    fn versions(&self) -> BoxFuture<'_, Result<Vec<i64>, Problem>>;

    /// Whether [`KeyService::renewed`] can do something.
    fn renews(&self) -> bool;

    /// The same service with a new version that wraps from now on, while the old ones still unwrap. None where that is no act of
    /// a running server: a file's or a passphrase's old version belongs to the backups made under it, and only people can put it there.
    ///
    /// # Errors
    /// `Unavailable` if the service cannot do it now.
    fn renewed(&self) -> BoxFuture<'_, Result<Option<Arc<dyn KeyService>>, Problem>>;
}
