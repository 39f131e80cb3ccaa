//! `buckets.write`: an object is written whole.

use gate::{Action, Operation, Outcome, Permit, Target};
use kernel::{Kind, Micros, Problem, random_id, timed_id};
use vault::db::{Reader, Writer};
use vault::objects::{Enforcement, ObjectId, StoredObject};

use super::lock::{HoldLeave, RetainLeave, with_lock};
use super::read::names_etag;
use crate::lock::{Lock, check_until};
use crate::store::{buckets, signed, versions};
use crate::types::{
    Attributes, Bucket, Incoming, NULL_VERSION, OBJECT_TAG_COUNT_MAX, Part, Tags, Told, Version, Versioning, WriteConditions,
};
use crate::{Buckets, Code, Home, check_key};

/// What of an object comes beside its bytes.
#[derive(Default)]
pub struct Wish {
    /// What its client says of it.
    pub attributes: Attributes,
    /// Its tags.
    pub tags: Tags,
    /// What it shall be locked with.
    pub lock: Lock,
    /// Leave to lock it so ([`super::lock::MayRetain`], [`super::lock::MayHold`]).
    pub leave: LockLeave,
    /// What must hold of what is there.
    pub when: WriteConditions,
}

/// Leave to lock what is written.
#[derive(Default)]
pub struct LockLeave {
    /// To retain it.
    pub retain: Option<RetainLeave>,
    /// To put it under a legal hold.
    pub hold: Option<HoldLeave>,
}

impl Wish {
    /// Checks all that can be checked before bytes come.
    pub(crate) fn check(&self, home: &Home) -> Result<(), Problem> {
        let retains = self.lock.retention.is_none() || self.leave.retain.as_ref().is_some_and(|leave| leave.is_for(&home.id));
        let holds = !self.lock.hold || self.leave.hold.as_ref().is_some_and(|leave| leave.is_for(&home.id));
        if retains && holds { Ok(()) } else { Err(Code::AccessDenied.problem("Access Denied")) }
    }
}

/// Writes an object.
pub struct WriteObject {
    /// The room.
    pub room: Buckets,
    /// The bucket.
    pub bucket: String,
    /// The object's key.
    pub key: String,
    /// Its bytes.
    pub incoming: Incoming,
    /// What comes beside them.
    pub wish: Wish,
}

/// An object that was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Written {
    /// The version.
    pub version: Version,
    /// Whether a client is told which one it is ([`Bucket::is_versioned`]).
    pub is_versioned: bool,
}

impl Operation for WriteObject {
    const ACTION: Action = Action::write("buckets.write");
    type Output = Written;

    fn target(&self) -> Target {
        Target::Bucket(self.bucket.clone())
    }

    async fn run(self, permit: Permit<Self>) -> Result<Written, Problem> {
        let home = Buckets::home(&permit)?;
        check_key(&self.key)?;
        let (room, key) = (self.room, self.key);
        let mut wish = self.wish;
        wish.check(&home)?;
        wish.tags = wish.tags.check(OBJECT_TAG_COUNT_MAX)?;
        wish.attributes = wish.attributes.check()?;
        let (at, lock) = (permit.entry().at, wish.lock);
        // What is refused anyway is refused before its bytes come. Small ones are here already, and are asked about once: with their row.
        if !self.incoming.size_bytes.is_some_and(|size_bytes| room.objects.is_small(size_bytes)) {
            let (here, wanted_key, when) = (home.clone(), key.clone(), wish.when.clone());
            room.db
                .read_point(&permit, move |reader| {
                    let bucket = buckets::of(reader, &here)?;
                    let there = versions::latest(reader, &bucket.id, &wanted_key)?;
                    check_lock(&bucket, lock, at)?;
                    check_conditions(&when, there.as_ref())
                })
                .await?;
        }
        let (object, told) = room.store(&permit, &home, self.incoming).await?;
        let stored_id = object.id.clone();
        let promised = match room.promise(&permit, &home, lock, vec![stored_id.clone()]).await {
            Ok(promised) => promised,
            Err(problem) => {
                room.objects.drop_unnamed(&permit, vec![stored_id]).await;
                return Err(problem);
            }
        };
        let key_hash = room.key_hash(&home.id, &key).await?;
        let by = permit.caller().id.clone();
        let clock = room.clock.clone();
        let commit = room.objects.commit(&room.db, &permit, vec![stored_id], move |writer| {
            // It may have gone while the bytes came, and another one come by its name.
            let bucket = buckets::of(writer, &home)?;
            let there = versions::latest(writer, &bucket.id, &key)?;
            check_conditions(&wish.when, there.as_ref())?;
            let lock = lock_of(writer, &clock, &bucket, wish.lock, (at, promised))?;
            let mut attributes = wish.attributes;
            let checksum = told.checksum.as_ref().map(|checksum| checksum.value.clone()).unwrap_or_default();
            attributes.checksum = told.checksum;
            let size_bytes = object.size_bytes;
            let outcome = Outcome::done()
                .with("key_hash", key_hash)
                .with("sha256", kernel::hex(&object.sha256))
                .with("size_bytes", signed(size_bytes)?);
            let part = Part { number: 1, object, etag: told.etag.clone(), checksum, stored_at: at };
            let new = New {
                key,
                size_bytes,
                etag: told.etag,
                attributes,
                tags: wish.tags,
                part_count: 0,
                lock,
                at,
                by,
                is_marker: false,
            };
            let (written, old) = add(writer, &clock, &bucket, there.as_ref(), new, None, &[part])?;
            let outcome = with_lock(outcome, lock).with("version_id", written.version.version_id.as_str());
            Ok(((written, old), outcome))
        });
        commit.await
    }
}

impl Buckets {
    /// Stores bytes and asks whether they were what was promised. What was not is taken away again.
    pub(crate) async fn store<O: ?Sized>(
        &self,
        permit: &Permit<O>,
        home: &Home,
        incoming: Incoming,
    ) -> Result<(StoredObject, Told), Problem> {
        let limit = self.object_bytes_max;
        if let Some(size_bytes) = incoming.size_bytes.filter(|size_bytes| *size_bytes > limit) {
            let message = format!("Your proposed upload exceeds the maximum allowed size: {size_bytes} bytes of {limit}");
            return Err(Code::EntityTooLarge.problem(message));
        }
        let object = self.objects.put(permit, &home.workspace, incoming.body, limit).await?;
        let is_whole = incoming.size_bytes.is_none_or(|size_bytes| size_bytes == object.size_bytes);
        let told = if is_whole {
            (incoming.finish)(object.size_bytes, &object.sha256)
        } else {
            Err(Code::IncompleteBody
                .problem("You did not provide the number of bytes specified by the Content-Length HTTP header"))
        };
        match told {
            Ok(told) => Ok((object, told)),
            Err(problem) => {
                self.objects.drop_unnamed(permit, vec![object.id]).await;
                Err(problem)
            }
        }
    }
}

/// A lock can be wished for where the bucket has them, and until a day to come.
pub(crate) fn check_lock(bucket: &Bucket, wish: Lock, at: Micros) -> Result<(), Problem> {
    if wish.is_some() && !bucket.lock_enabled {
        return Err(Code::InvalidRequest.problem("Bucket is missing Object Lock Configuration"));
    }
    wish.retention.map_or(Ok(()), |retention| check_until(retention.until, at))
}

/// A lock that the store of the objects holds already, before the row of its version is there.
pub(crate) struct Promise {
    /// What holds.
    pub(crate) lock: Lock,
    /// By which time it was counted.
    now: Micros,
    /// The objects that it holds.
    pub(crate) ids: Vec<ObjectId>,
}

impl Buckets {
    /// Where the store of the objects holds locks itself: has it hold these. None where it does not, or there is nothing to hold.
    pub(crate) async fn promise<O: ?Sized>(
        &self,
        permit: &Permit<O>,
        home: &Home,
        wish: Lock,
        ids: Vec<ObjectId>,
    ) -> Result<Option<Promise>, Problem> {
        if self.objects.enforcement() != Enforcement::Backend {
            return Ok(None);
        }
        let (home, at) = (home.clone(), permit.entry().at);
        let read = move |reader: &mut Reader<'_>| {
            let bucket = buckets::of(reader, &home)?;
            check_lock(&bucket, wish, at)?;
            let now = retention::store::now(reader)?.max(at);
            Ok((lock_at(&bucket, wish, now), now))
        };
        let (lock, now) = self.db.read_point(permit, read).await?;
        if !lock.is_some() {
            return Ok(None);
        }
        retention::seal::hold_first(&self.objects, permit, &ids, lock).await?;
        Ok(Some(Promise { lock, now, ids }))
    }
}

fn lock_at(bucket: &Bucket, wish: Lock, now: Micros) -> Lock {
    let default = bucket.default_retention.filter(|_| bucket.lock_enabled);
    Lock { retention: wish.retention.or_else(|| default.map(|default| default.from(now))), hold: wish.hold }
}

/// The lock that a new version gets: its own, or the bucket's default as of now; the one that its store holds already, where it does.
pub(crate) fn lock_of(
    writer: &mut Writer<'_>,
    clock: &crate::ComplianceClock,
    bucket: &Bucket,
    wish: Lock,
    (at, promised): (Micros, Option<Promise>),
) -> Result<Lock, Problem> {
    check_lock(bucket, wish, at)?;
    if !lock_at(bucket, wish, at).is_some() {
        return Ok(Lock::default());
    }
    // Whichever clock is ahead: a version is retained for as long as was promised by either.
    let now = promised.as_ref().map_or(clock.tick(writer)?.at.max(at), |promised| promised.now);
    let lock = lock_at(bucket, wish, now);
    match promised {
        Some(promised) if promised.lock != lock => {
            Err(Problem::new(Kind::Conflict, "the bucket's default retention was changed meanwhile; try again"))
        }
        _ => Ok(lock),
    }
}

pub(crate) fn check_conditions(when: &WriteConditions, there: Option<&Version>) -> Result<(), Problem> {
    let there = there.filter(|version| !version.is_marker);
    let failed = || Code::PreconditionFailed.problem("At least one of the pre-conditions you specified did not hold");
    match (&when.if_match, there) {
        (Some(_), None) => return Err(super::read::no_key()),
        (Some(tags), Some(version)) if !names_etag(tags, &version.etag) => return Err(failed()),
        _ => {}
    }
    match (&when.if_none_match, there) {
        (Some(tags), Some(version)) if names_etag(tags, &version.etag) => Err(failed()),
        _ => Ok(()),
    }
}

/// A version to be.
pub(crate) struct New {
    pub(crate) key: String,
    pub(crate) size_bytes: u64,
    pub(crate) etag: String,
    pub(crate) attributes: Attributes,
    pub(crate) tags: Tags,
    pub(crate) part_count: i64,
    pub(crate) lock: Lock,
    pub(crate) at: Micros,
    pub(crate) by: String,
    pub(crate) is_marker: bool,
}

/// Adds a version or marker as a key's newest, before `there`, which was that until now: without one, nothing of the key is looked for. Where
/// the bucket keeps none, it takes the place of the one without an id, whose objects are given back.
pub(crate) fn add(
    writer: &mut Writer<'_>,
    clock: &crate::ComplianceClock,
    bucket: &Bucket,
    there: Option<&Version>,
    new: New,
    upload_id: Option<&str>,
    parts: &[Part],
) -> Result<(Written, Vec<ObjectId>), Problem> {
    let keeps_versions = bucket.versioning == Versioning::Enabled;
    let rank = versions::next_rank(there, new.at);
    let mut old = Vec::new();
    if !keeps_versions
        && there.is_some()
        && let Some(there) = versions::get(writer, &bucket.id, &new.key, NULL_VERSION)?
    {
        // A bucket with locks always keeps versions; should one not, its locked versions stay all the same.
        if there.lock.is_some() {
            there.lock.may_delete(clock.tick(writer)?.at, false)?;
        }
        versions::guard(writer, &there.row)?;
        old = versions::delete(writer, &there.row)?;
    }
    if there.is_some() {
        versions::outdate(writer, &bucket.id, &new.key)?;
    }
    let version = Version {
        row: timed_id(new.at),
        key: new.key,
        rank,
        version_id: if keeps_versions { random_id() } else { NULL_VERSION.to_owned() },
        is_latest: true,
        is_marker: new.is_marker,
        size_bytes: new.size_bytes,
        etag: new.etag,
        attributes: new.attributes,
        tags: new.tags,
        part_count: new.part_count,
        lock: new.lock,
        created_at: new.at,
        created_by: new.by,
    };
    versions::insert(writer, &bucket.id, &version, upload_id, parts)?;
    Ok((Written { version, is_versioned: bucket.is_versioned() }, old))
}
