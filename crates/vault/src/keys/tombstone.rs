//! What is left of a destroyed key: a note that says whose it was, who asked, who agreed and when, signed by a key of the server's own.
//!
//! A backup takes them along, and a restore replays them before anything is read: a destroyed key does not come back with an old copy
//! of the database.

use aws_lc_rs::signature::{ED25519, Ed25519KeyPair, KeyPair, UnparsedPublicKey};
use kernel::{Micros, Problem, Secret, hex, sha256};

use super::life_store as store;
use crate::db::{Reader, Writer};

/// The server's secret that tombstones are signed by.
pub(super) const SIGNING_SEED: &str = "vault/tombstone-seed/1";
const HEAD: &str = "strongroom-key-tombstone-1";
/// Bytes of a public key.
pub const TOMBSTONE_KEY_BYTES: usize = 32;

/// A destroyed key's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tombstone {
    /// The workspace whose key it was.
    pub workspace: String,
    /// When it was destroyed.
    pub destroyed_at: Micros,
    /// What was signed.
    pub note: String,
    /// By [`super::Keyring::tombstone_key`].
    pub signature: Vec<u8>,
}

/// What a tombstone's note says.
pub(super) struct Facts<'a> {
    pub(super) request: &'a str,
    pub(super) workspace: &'a str,
    pub(super) versions: &'a [i64],
    pub(super) requested_by: &'a str,
    pub(super) requested_at: Micros,
    pub(super) approved_by: &'a str,
    pub(super) approved_at: Micros,
    pub(super) destroyed_at: Micros,
    pub(super) reason: &'a str,
}

fn pair(seed: &Secret) -> Result<Ed25519KeyPair, Problem> {
    let pair = Ed25519KeyPair::from_seed_unchecked(seed.expose());
    pair.map_err(|_| Problem::internal("the key that signs tombstones cannot be made", "an Ed25519 seed has 32 bytes"))
}

/// The public half of the key of this seed.
pub(super) fn public_key(seed: &Secret) -> Result<[u8; TOMBSTONE_KEY_BYTES], Problem> {
    let pair = pair(seed)?;
    let public = pair.public_key().as_ref().try_into();
    public.map_err(|_| Problem::internal("the key that signs tombstones has no public half", "not 32 bytes"))
}

impl Tombstone {
    pub(super) fn sign(seed: &Secret, facts: &Facts<'_>) -> Result<Self, Problem> {
        let versions: Vec<String> = facts.versions.iter().map(ToString::to_string).collect();
        let note = format!(
            "{HEAD}\nrequest {}\nworkspace {}\nversions {}\nrequested {} {}\napproved {} {}\ndestroyed {}\nreason-sha256 {}\n",
            facts.request,
            facts.workspace,
            versions.join(","),
            facts.requested_by,
            facts.requested_at.rfc3339(),
            facts.approved_by,
            facts.approved_at.rfc3339(),
            facts.destroyed_at.rfc3339(),
            hex(&sha256(facts.reason.as_bytes())),
        );
        let signature = pair(seed)?.sign(note.as_bytes()).as_ref().to_vec();
        Ok(Self { workspace: facts.workspace.to_owned(), destroyed_at: facts.destroyed_at, note, signature })
    }

    /// Whether it was signed by this key and says what its row does. A restore trusts no other.
    #[must_use]
    pub fn holds(&self, public_key: &[u8; TOMBSTONE_KEY_BYTES]) -> bool {
        let has = |line: String| self.note.lines().any(|had| had == line);
        self.note.lines().next() == Some(HEAD)
            && has(format!("workspace {}", self.workspace))
            && has(format!("destroyed {}", self.destroyed_at.rfc3339()))
            && UnparsedPublicKey::new(&ED25519, public_key).verify(self.note.as_bytes(), &self.signature).is_ok()
    }
}

/// Every tombstone, for a backup and for a restore that is to replay what was destroyed since.
///
/// # Errors
/// `Unavailable` if the database is down.
pub fn tombstones(reader: &mut Reader<'_>) -> Result<Vec<Tombstone>, Problem> {
    store::tombstones(reader)
}

/// Destroys in this database what the tombstone says was destroyed: after a restore, before anything else. Gives how many versions of the
/// key there were. Replaying twice changes nothing.
///
/// # Errors
/// `Invalid` for a tombstone that this key did not sign; `Unavailable` if the database is down.
pub fn replay(writer: &mut Writer<'_>, tombstone: &Tombstone, public_key: &[u8; TOMBSTONE_KEY_BYTES]) -> Result<usize, Problem> {
    if !tombstone.holds(public_key) {
        return Err(Problem::invalid(format!("the tombstone of `{}` was not signed by this server", tombstone.workspace)));
    }
    bury(writer, tombstone)
}

/// The key's rows are overwritten and deleted, and the tombstone stands in their place.
pub(super) fn bury(writer: &mut Writer<'_>, tombstone: &Tombstone) -> Result<usize, Problem> {
    let versions = store::workspace_versions(writer, &tombstone.workspace)?;
    store::overwrite_and_delete(writer, &tombstone.workspace)?;
    store::insert_tombstone(writer, tombstone)?;
    Ok(versions.len())
}
