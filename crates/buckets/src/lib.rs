//! Buckets: objects by key, with versions, locks, tags and multipart uploads, as S3 has them. It speaks no protocol: `s3` does.
//!
//! It is not a file system: a key is a text in a row, and the bytes are objects of the vault under random names. It knows no grants:
//! a bucket is judged as its workspace, and what needs a right of its own ([`ops::lock`]) is a verb of its own.
//!
//! INVARIANT: a version's row names only objects that are whole and on disk, and that were what their client promised. Held by `tests`.
//! INVARIANT: what is under compliance retention or a legal hold is neither deleted nor shortened, by nobody: the rules are [`retention::lock`],
//! and triggers of the database hold what a forgotten check would let through. Held by `tests::locks`.
//! INVARIANT: retention is judged by the compliance clock ([`retention::clock`]), which no wall clock moves. Held by `tests::locks`.
//! INVARIANT: records hold sizes, digests, version ids and keyed hashes of keys, never a key. Held by `tests`.

mod code;
mod names;
pub mod ops;
mod store;
mod types;

#[cfg(test)]
mod tests;

use std::sync::Arc;

use gate::{Action, Operation, Permit};
use kernel::{Clock, Problem, Secret, hex};
use vault::db::{Db, Writer};
use vault::keys::keyed_hash;
use vault::objects::Objects;

pub use code::Code;
pub use names::{KEY_BYTES_MAX, check_bucket_name, check_key};
pub use retention::{Alarm, Bypassed, ClockState, ComplianceClock, clock, lock};
pub use store::buckets::locate;
pub use store::uploads::Upload;
pub use store::versions::{OBJECTS_BELOW_COUNT_MAX, objects_below, retained};
pub use types::*;

/// Every verb of this room.
pub const ACTIONS: &[Action] = &[
    ops::buckets::CreateBucket::ACTION,
    ops::buckets::ListBuckets::ACTION,
    ops::buckets::GetBucket::ACTION,
    ops::buckets::UpdateBucket::ACTION,
    ops::buckets::DeleteBucket::ACTION,
    ops::list::ListObjects::ACTION,
    ops::read::ReadObject::ACTION,
    ops::write::WriteObject::ACTION,
    ops::remove::RemoveObjects::ACTION,
    ops::tags::TagObject::ACTION,
    ops::lock::LockBucket::ACTION,
    ops::lock::MayRetain::ACTION,
    ops::lock::MayHold::ACTION,
    ops::lock::MayBypass::ACTION,
    ops::lock::TickClock::ACTION,
    ops::lock::ShowRetention::ACTION,
];

/// The server's secret that keys are hashed under before they go into records.
const RECORD_KEY_NAME: &str = "buckets/record-key/1";

/// The room. Cheap to clone.
#[derive(Clone)]
pub struct Buckets {
    db: Db,
    objects: Objects,
    clock: ComplianceClock,
    alarm: Option<Arc<dyn Alarm>>,
    object_bytes_max: u64,
}

/// The largest object, as S3 has it: 5 TiB.
pub const OBJECT_BYTES_MAX: u64 = 5 << 40;
/// The largest body of one request, as S3 has it: 5 GiB.
pub const PUT_BYTES_MAX: u64 = 5 << 30;

/// A bucket that the gate found.
#[derive(Clone)]
pub(crate) struct Home {
    pub(crate) id: String,
    pub(crate) workspace: String,
}

impl Buckets {
    /// The room over its storage. What is retained is so by the machine's clocks.
    #[must_use]
    pub fn new(db: Db, objects: Objects, clock: Arc<dyn Clock>) -> Self {
        Self::with_clock(db, objects, ComplianceClock::new(clock))
    }

    /// The same with a compliance clock of the caller's.
    #[must_use]
    pub fn with_clock(db: Db, objects: Objects, clock: ComplianceClock) -> Self {
        Self { db, objects, clock, alarm: None, object_bytes_max: PUT_BYTES_MAX }
    }

    /// The same, telling of each bypass.
    #[must_use]
    pub fn with_alarm(mut self, alarm: Arc<dyn Alarm>) -> Self {
        self.alarm = Some(alarm);
        self
    }

    fn tell(&self, writer: &mut Writer<'_>, bypassed: &Bypassed) -> Result<(), Problem> {
        self.alarm.as_ref().map_or(Ok(()), |alarm| alarm.bypassed(writer, bypassed))
    }

    /// The bucket behind the permit.
    pub(crate) fn home<O: ?Sized>(permit: &Permit<O>) -> Result<Home, Problem> {
        let facts = permit.facts();
        match (&facts.id, &facts.workspace) {
            (Some(id), Some(workspace)) if facts.exists => Ok(Home { id: id.clone(), workspace: workspace.clone() }),
            _ => Err(no_bucket()),
        }
    }

    /// What a record may hold of a key.
    pub(crate) async fn key_hash(&self, bucket_id: &str, key: &str) -> Result<String, Problem> {
        let secret = self.objects.keys().secret(RECORD_KEY_NAME).await?;
        Ok(hash_of(&secret, bucket_id, key))
    }

    /// The same of many.
    pub(crate) async fn key_hashes<'a>(
        &self,
        bucket_id: &str,
        keys: impl Iterator<Item = &'a str> + Send,
    ) -> Result<Vec<String>, Problem> {
        let secret = self.objects.keys().secret(RECORD_KEY_NAME).await?;
        Ok(keys.map(|key| hash_of(&secret, bucket_id, key)).collect())
    }
}

fn hash_of(secret: &Secret, bucket_id: &str, key: &str) -> String {
    let text = format!("{bucket_id}/{key}");
    hex(keyed_hash(secret, text.as_bytes()).get(..16).unwrap_or_default())
}

pub(crate) fn no_bucket() -> Problem {
    Code::NoSuchBucket.problem("The specified bucket does not exist")
}
