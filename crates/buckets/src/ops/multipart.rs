//! `buckets.write`, in parts: each part is an object of its own; completing joins them by rows, without writing a byte anew.

use gate::{Action, Operation, Outcome, Permit, Target};
use kernel::{Kind, Problem, random_id};
use vault::db::Reader;
use vault::objects::Enforcement;

use super::lock::with_lock;
use super::write::{New, Promise, Wish, WriteObject, Written, add, check_conditions, check_lock, lock_of};
use crate::store::{buckets, signed, uploads, versions};
use crate::types::{Checksum, Incoming, OBJECT_TAG_COUNT_MAX, Part, Version, WriteConditions};
use crate::{Buckets, Code, Home, OBJECT_BYTES_MAX, Upload, check_key};

/// Parts of one upload, as S3 has it.
pub const PART_COUNT_MAX: i64 = 10_000;
/// The smallest part but the last, as S3 has it.
const PART_BYTES_MIN: u64 = 5 << 20;

pub(crate) fn no_upload() -> Problem {
    Code::NoSuchUpload.problem(
        "The specified upload does not exist. The upload ID may be invalid, or the upload may have been aborted or completed.",
    )
}

/// Begins an upload.
pub struct CreateUpload {
    /// The room.
    pub room: Buckets,
    /// The bucket.
    pub bucket: String,
    /// The key of the object to be.
    pub key: String,
    /// What comes beside its bytes.
    pub wish: Wish,
}

impl Operation for CreateUpload {
    const ACTION: Action = WriteObject::ACTION;
    type Output = Upload;

    fn target(&self) -> Target {
        Target::Bucket(self.bucket.clone())
    }

    async fn run(self, permit: Permit<Self>) -> Result<Upload, Problem> {
        let home = Buckets::home(&permit)?;
        check_key(&self.key)?;
        self.wish.check(&home)?;
        let at = permit.entry().at;
        let upload = Upload {
            id: random_id(),
            key: self.key,
            attributes: self.wish.attributes.check()?,
            tags: self.wish.tags.check(OBJECT_TAG_COUNT_MAX)?,
            lock: self.wish.lock,
            created_at: at,
            created_by: permit.caller().id.clone(),
        };
        let key_hash = self.room.key_hash(&home.id, &upload.key).await?;
        self.room
            .db
            .write(&permit, move |writer| {
                let bucket = buckets::of(writer, &home)?;
                check_lock(&bucket, upload.lock, at)?;
                uploads::insert(writer, &bucket.id, &upload)?;
                let outcome = Outcome::done().resource(upload.id.clone()).with("key_hash", key_hash);
                Ok((upload, outcome))
            })
            .await
    }
}

/// The bytes of a part, once it is known of which upload, and so by which algorithm they are summed.
pub type IncomingPart = Box<dyn FnOnce(&Upload) -> Result<Incoming, Problem> + Send>;

/// Stores a part, instead of the one that had its number.
pub struct WritePart {
    /// The room.
    pub room: Buckets,
    /// The bucket.
    pub bucket: String,
    /// The key of the object to be.
    pub key: String,
    /// The upload.
    pub upload_id: String,
    /// Which part, from 1.
    pub number: i64,
    /// Its bytes.
    pub incoming: IncomingPart,
}

/// A part that was stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredPart {
    /// The part.
    pub part: Part,
    /// Its checksum, where its client or the upload asked for one.
    pub checksum: Option<Checksum>,
}

impl Operation for WritePart {
    const ACTION: Action = WriteObject::ACTION;
    type Output = StoredPart;

    fn target(&self) -> Target {
        Target::Bucket(self.bucket.clone())
    }

    async fn run(self, permit: Permit<Self>) -> Result<StoredPart, Problem> {
        let home = Buckets::home(&permit)?;
        let (room, key, upload_id, number) = (self.room, self.key, self.upload_id, self.number);
        if !(1..=PART_COUNT_MAX).contains(&number) {
            return Err(Code::InvalidArgument
                .problem(format!("Part number must be an integer between 1 and {PART_COUNT_MAX}, inclusive")));
        }
        let (bucket_id, wanted_key, wanted_id) = (home.id.clone(), key.clone(), upload_id.clone());
        let known = move |reader: &mut vault::db::Reader<'_>| {
            uploads::get(reader, &bucket_id, &wanted_key, &wanted_id)?.ok_or_else(no_upload)
        };
        let upload = room.db.read_point(&permit, known).await?;
        let (object, told) = room.store(&permit, &home, (self.incoming)(&upload)?).await?;
        let stored_id = object.id.clone();
        let checksum = told.checksum.as_ref().map(|checksum| checksum.value.clone()).unwrap_or_default();
        let part = Part { number, object, etag: told.etag, checksum, stored_at: permit.entry().at };
        let outcome = Outcome::done()
            .resource(upload_id.clone())
            .with("part_number", number)
            .with("sha256", kernel::hex(&part.object.sha256))
            .with("size_bytes", signed(part.object.size_bytes)?);
        let commit = room.objects.commit(&room.db, &permit, vec![stored_id], move |writer| {
            // It may have been completed or aborted while the bytes came.
            uploads::get(writer, &home.id, &key, &upload_id)?.ok_or_else(no_upload)?;
            let old = uploads::put_part(writer, &upload_id, &part)?;
            Ok(((StoredPart { part, checksum: told.checksum }, old.into_iter().collect()), outcome))
        });
        commit.await
    }
}

/// A part as its client names it when it completes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SentPart {
    /// Its number.
    pub number: i64,
    /// Its entity tag, without quotes.
    pub etag: String,
    /// Its checksums in base64 behind S3's names of their algorithms, where the client names any.
    pub checksums: Vec<(&'static str, String)>,
}

/// What the whole is told to be, out of its parts: entity tag and checksum.
pub type Join = Box<dyn FnOnce(&Upload, &[Part]) -> Result<(String, Option<Checksum>), Problem> + Send>;

/// Joins parts to an object.
pub struct CompleteUpload {
    /// The room.
    pub room: Buckets,
    /// The bucket.
    pub bucket: String,
    /// The key of the object to be.
    pub key: String,
    /// The upload.
    pub upload_id: String,
    /// Its parts, by rising number.
    pub parts: Vec<SentPart>,
    /// What must hold of what is there.
    pub when: WriteConditions,
    /// How many bytes the client says there are.
    pub size_bytes: Option<u64>,
    /// What the whole is told to be.
    pub join: Join,
}

impl Operation for CompleteUpload {
    const ACTION: Action = WriteObject::ACTION;
    type Output = Written;

    fn target(&self) -> Target {
        Target::Bucket(self.bucket.clone())
    }

    async fn run(self, permit: Permit<Self>) -> Result<Written, Problem> {
        let home = Buckets::home(&permit)?;
        let (room, key, upload_id) = (self.room, self.key, self.upload_id);
        let sent = in_order(self.parts)?;
        let key_hash = room.key_hash(&home.id, &key).await?;
        let (at, by, clock) = (permit.entry().at, permit.caller().id.clone(), room.clock.clone());
        let (when, join, size_bytes_said) = (self.when, self.join, self.size_bytes);
        let promised = room.promise_upload(&permit, &home, (&key, &upload_id), &sent).await?;
        let commit = room.objects.commit(&room.db, &permit, Vec::new(), move |writer| {
            let bucket = buckets::of(writer, &home)?;
            let Some(upload) = uploads::get(writer, &bucket.id, &key, &upload_id)? else {
                // A client whose first answer was lost asks again.
                let done = versions::of_upload(writer, &bucket.id, &key, &upload_id)?.ok_or_else(no_upload)?;
                check_again(writer, &done, &upload_id, (&sent, size_bytes_said, join))?;
                let outcome = Outcome::done().resource(upload_id).with("version_id", done.version_id.as_str());
                return Ok(((Written { version: done, is_versioned: bucket.is_versioned() }, Vec::new()), outcome));
            };
            let there = versions::latest(writer, &bucket.id, &key)?;
            check_conditions(&when, there.as_ref())?;
            let stored = uploads::parts(writer, &upload_id, 0, PART_COUNT_MAX + 1)?;
            let algorithm = upload.attributes.checksum.as_ref().map(|checksum| checksum.algorithm.as_str());
            let parts = choose(stored, &sent, algorithm)?;
            let size_bytes = parts.iter().fold(0_u64, |sum, part| sum.saturating_add(part.object.size_bytes));
            check_sizes(&parts, size_bytes, size_bytes_said)?;
            let (etag, checksum) = join(&upload, &parts)?;
            let mut old = uploads::delete(writer, &upload_id)?;
            old.retain(|id| !parts.iter().any(|part| part.object.id == *id));
            if let Some(promised) = &promised
                && parts.iter().any(|part| !promised.ids.contains(&part.object.id))
            {
                return Err(Problem::new(Kind::Conflict, "a part of the upload was sent again meanwhile; try again"));
            }
            let lock = lock_of(writer, &clock, &bucket, upload.lock, (at, promised))?;
            let mut attributes = upload.attributes;
            attributes.checksum = checksum;
            let part_count = i64::try_from(parts.len()).unwrap_or(i64::MAX);
            let new = New { key, size_bytes, etag, attributes, tags: upload.tags, part_count, lock, at, by, is_marker: false };
            let (written, replaced) = add(writer, &clock, &bucket, there.as_ref(), new, Some(&upload_id), &parts)?;
            old.extend(replaced);
            let outcome = with_lock(Outcome::done(), lock)
                .resource(upload_id)
                .with("key_hash", key_hash)
                .with("part_count", part_count)
                .with("size_bytes", signed(size_bytes)?)
                .with("version_id", written.version.version_id.as_str());
            Ok(((written, old), outcome))
        });
        commit.await
    }
}

impl Buckets {
    /// As [`Buckets::promise`], for the parts that an upload is about to become.
    async fn promise_upload<O: ?Sized>(
        &self,
        permit: &Permit<O>,
        home: &Home,
        (key, upload_id): (&str, &str),
        sent: &[SentPart],
    ) -> Result<Option<Promise>, Problem> {
        if self.objects.enforcement() != Enforcement::Backend {
            return Ok(None);
        }
        let (bucket_id, key, upload_id, sent) = (home.id.clone(), key.to_owned(), upload_id.to_owned(), sent.to_vec());
        let read = move |reader: &mut Reader<'_>| {
            let Some(upload) = uploads::get(reader, &bucket_id, &key, &upload_id)? else { return Ok(None) };
            let algorithm = upload.attributes.checksum.as_ref().map(|checksum| checksum.algorithm.as_str());
            let parts = choose(uploads::parts(reader, &upload_id, 0, PART_COUNT_MAX + 1)?, &sent, algorithm)?;
            Ok(Some((upload.lock, parts.into_iter().map(|part| part.object.id).collect())))
        };
        match self.db.read_point(permit, read).await? {
            Some((lock, ids)) => self.promise(permit, home, lock, ids).await,
            None => Ok(None),
        }
    }
}

/// The parts by rising number. One that is named twice in a row was sent twice: the last mention counts, as ceph/s3-tests wants it.
fn in_order(sent: Vec<SentPart>) -> Result<Vec<SentPart>, Problem> {
    if sent.is_empty() {
        return Err(Code::MalformedXML.problem("name at least one part"));
    }
    let mut all: Vec<SentPart> = Vec::with_capacity(sent.len());
    for part in sent {
        if part.number < 1 {
            return Err(Code::InvalidArgument.problem("PartNumber must be >= 1"));
        }
        let last = all.last().map_or(0, |last| last.number);
        if part.number == last {
            all.pop();
        }
        if part.number < last {
            return Err(Code::InvalidPartOrder.problem(
                "The list of parts was not in ascending order. The parts list must be specified in order by part number.",
            ));
        }
        all.push(part);
    }
    Ok(all)
}

/// An upload that was completed already must have become of these very parts, and be what it is said to be.
fn check_again(
    reader: &mut Reader<'_>,
    done: &Version,
    upload_id: &str,
    (sent, size_bytes_said, join): (&[SentPart], Option<u64>, Join),
) -> Result<(), Problem> {
    let algorithm = done.attributes.checksum.as_ref().map(|checksum| checksum.algorithm.as_str());
    let parts = versions::parts(reader, done)?;
    let (stored_count, parts) = (parts.len(), choose(parts, sent, algorithm)?);
    if parts.len() != stored_count {
        return Err(Code::InvalidPart.problem("The upload was completed already, with other parts than these"));
    }
    check_sizes(&parts, done.size_bytes, size_bytes_said)?;
    let upload = Upload {
        id: upload_id.to_owned(),
        key: done.key.clone(),
        attributes: done.attributes.clone(),
        tags: done.tags.clone(),
        lock: done.lock,
        created_at: done.created_at,
        created_by: done.created_by.clone(),
    };
    join(&upload, &parts).map(drop)
}

/// The parts that are named. A checksum that is named must be the part's, by the upload's algorithm where it has one.
fn choose(stored: Vec<Part>, sent: &[SentPart], algorithm: Option<&str>) -> Result<Vec<Part>, Problem> {
    let mut stored = stored.into_iter().peekable();
    let mut chosen = Vec::with_capacity(sent.len());
    for wanted in sent {
        while stored.next_if(|part| part.number < wanted.number).is_some() {}
        let fits = |part: &Part| {
            part.number == wanted.number
                && part.etag == wanted.etag
                && wanted.checksums.iter().all(|(by, value)| *value == part.checksum && algorithm.is_none_or(|own| own == *by))
        };
        let part = stored.next_if(fits).ok_or_else(|| {
            Code::InvalidPart.problem(format!(
                "One or more of the specified parts could not be found. Part {} may not have been uploaded, or its entity tag or checksum differs.",
                wanted.number
            ))
        })?;
        chosen.push(part);
    }
    Ok(chosen)
}

fn check_sizes(parts: &[Part], size_bytes: u64, said: Option<u64>) -> Result<(), Problem> {
    if parts.split_last().is_some_and(|(_, before)| before.iter().any(|part| part.object.size_bytes < PART_BYTES_MIN)) {
        return Err(Code::EntityTooSmall.problem("Your proposed upload is smaller than the minimum allowed size"));
    }
    if size_bytes > OBJECT_BYTES_MAX {
        return Err(Code::EntityTooLarge.problem("Your proposed upload exceeds the maximum allowed size"));
    }
    match said {
        Some(said) if said != size_bytes => {
            Err(Code::InvalidRequest.problem(format!("the parts have {size_bytes} bytes, not {said} as the request said")))
        }
        _ => Ok(()),
    }
}

/// Forgets an upload and its parts.
pub struct AbortUpload {
    /// The room.
    pub room: Buckets,
    /// The bucket.
    pub bucket: String,
    /// The key of the object that was to be.
    pub key: String,
    /// The upload.
    pub upload_id: String,
}

impl Operation for AbortUpload {
    const ACTION: Action = WriteObject::ACTION;
    type Output = ();

    fn target(&self) -> Target {
        Target::Bucket(self.bucket.clone())
    }

    async fn run(self, permit: Permit<Self>) -> Result<(), Problem> {
        let home = Buckets::home(&permit)?;
        let (key, upload_id) = (self.key, self.upload_id);
        let aborted = self.room.objects.commit(&self.room.db, &permit, Vec::new(), move |writer| {
            uploads::get(writer, &home.id, &key, &upload_id)?.ok_or_else(no_upload)?;
            let objects = uploads::delete(writer, &upload_id)?;
            let outcome = Outcome::done().resource(upload_id).with("deleted_count", objects.len());
            Ok((((), objects), outcome))
        });
        aborted.await
    }
}
