//! `buckets.read`: an object's bytes, whole or in part, and what is known of it.

use std::ops::Range;

use gate::{Action, Operation, Outcome, Permit, Target};
use kernel::{Micros, Problem};
use vault::db::Reader;
use vault::objects::{Body, Piece, Sending, Wanted, pieces_of};

use crate::store::{buckets, signed, versions};
use crate::types::{Bucket, NULL_VERSION, Part, Version};
use crate::{Buckets, Code, check_key};

/// What of an object is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Of {
    /// These bytes.
    Bytes(Wanted),
    /// Those of one part.
    Part(i64),
}

/// What must hold of the object for it to be read (RFC 9110 §13.1).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ReadConditions {
    /// `If-Match`
    pub if_match: Option<String>,
    /// `If-None-Match`
    pub if_none_match: Option<String>,
    /// `If-Modified-Since`
    pub if_modified_since: Option<Micros>,
    /// `If-Unmodified-Since`
    pub if_unmodified_since: Option<Micros>,
}

/// Reads an object.
pub struct ReadObject {
    /// The room.
    pub room: Buckets,
    /// The bucket.
    pub bucket: String,
    /// The object's key.
    pub key: String,
    /// The version; none for the newest.
    pub version_id: Option<String>,
    /// Which of its bytes.
    pub wanted: Of,
    /// Whether they come, or only what is known of them.
    pub has_body: bool,
    /// What must hold.
    pub when: ReadConditions,
}

/// An object that was found.
pub struct Found {
    /// The bucket that it is in, where only facts were asked for, or the version has no id of its own.
    pub bucket: Option<Bucket>,
    /// What is known of it.
    pub version: Version,
    /// Which of its bytes come.
    pub range: Range<u64>,
    /// Whether those are not all because a range or part was asked for.
    pub is_partial: bool,
    /// Whether the reader has it already, so that no bytes come.
    pub is_unchanged: bool,
    /// The parts that it was uploaded in.
    pub parts: Vec<Part>,
    /// The bytes. Each was checked before it is given out; none where none were asked for.
    pub body: Option<Body>,
}

impl Found {
    /// Whether a client is told which version it is ([`Bucket::is_versioned`]).
    #[must_use]
    pub fn is_versioned(&self) -> bool {
        self.version.version_id != NULL_VERSION || self.bucket.as_ref().is_some_and(Bucket::is_versioned)
    }
}

impl Operation for ReadObject {
    const ACTION: Action = Action::read("buckets.read");
    type Output = Found;

    fn target(&self) -> Target {
        Target::Bucket(self.bucket.clone())
    }

    async fn run(self, permit: Permit<Self>) -> Result<Found, Problem> {
        let home = Buckets::home(&permit)?;
        check_key(&self.key)?;
        let key_hash = self.room.key_hash(&home.id, &self.key).await?;
        let (key, version_id) = (self.key, self.version_id);
        let (is_named, is_asked) = (version_id.is_some(), !self.has_body);
        let found = self.room.db.read_point(&permit, move |reader| {
            // Whoever reads bytes does not ask about the bucket, but where the version does not say by its id that there are versions.
            let mut bucket = if is_asked { Some(buckets::of(reader, &home)?) } else { None };
            let version = there(reader, &home.id, &key, version_id.as_deref())?;
            if bucket.is_none() && version.version_id == NULL_VERSION {
                bucket = Some(buckets::of(reader, &home)?);
            }
            let parts = versions::parts(reader, &version)?;
            Ok((bucket, version, parts))
        });
        let (bucket, version, parts) = found.await?;
        if version.is_marker {
            return Err(marker_problem(is_named));
        }
        if parts.iter().fold(0_u64, |sum, part| sum.saturating_add(part.object.size_bytes)) != version.size_bytes {
            return Err(Problem::internal(
                "the object's row is not what its parts hold; restore it from a backup",
                "sizes differ",
            ));
        }
        if self.when.check(&version.etag, version.created_at)? {
            permit
                .defer_outcome()
                .settle(&Outcome::done().with("key_hash", key_hash).with("version_id", version.version_id.as_str()));
            return Ok(Found { bucket, version, range: 0..0, is_partial: false, is_unchanged: true, parts, body: None });
        }
        let (range, is_partial) = range_of(self.wanted, &version, &parts)?;
        let outcome = Outcome::done()
            .with("key_hash", key_hash)
            .with("version_id", version.version_id.as_str())
            .with("size_bytes", signed(version.size_bytes)?);
        if !self.has_body {
            permit.defer_outcome().settle(&outcome);
            return Ok(Found { bucket, version, range, is_partial, is_unchanged: false, parts, body: None });
        }
        let pieces = pieces_of(parts.iter().map(|part| part.object.clone()), &range).into_iter();
        let pieces = pieces.map(|(object, range)| Piece::Object { object: Box::new(object), range }).collect();
        let total_bytes = range.end.saturating_sub(range.start);
        let body = Sending::begin(permit, self.room.objects, pieces, total_bytes, outcome).await?;
        Ok(Found { bucket, version, range, is_partial, is_unchanged: false, parts, body: Some(body) })
    }
}

/// The version that is meant, a marker too.
pub(crate) fn there(reader: &mut Reader<'_>, bucket_id: &str, key: &str, version_id: Option<&str>) -> Result<Version, Problem> {
    match version_id {
        Some(id) => versions::get(reader, bucket_id, key, id)?.ok_or_else(no_version),
        None => versions::latest(reader, bucket_id, key)?.ok_or_else(no_key),
    }
}

/// A marker has no bytes: asked for by its id that is a wrong method, else the object is not there.
pub(crate) fn marker_problem(is_named: bool) -> Problem {
    if is_named {
        return Code::MethodNotAllowed
            .problem("The specified method is not allowed against this resource: it is a delete marker");
    }
    Code::NoSuchKeyDeleted.problem("The specified key does not exist.")
}

pub(crate) fn no_key() -> Problem {
    Code::NoSuchKey.problem("The specified key does not exist.")
}

pub(crate) fn no_version() -> Problem {
    Code::NoSuchVersion.problem("The specified version does not exist.")
}

/// Whether an entity tag is among those of a header, which may be in quotes.
pub(crate) fn names_etag(header: &str, etag: &str) -> bool {
    header.split(',').map(|one| one.trim().trim_start_matches("W/").trim_matches('"')).any(|one| one == "*" || one == etag)
}

impl ReadConditions {
    /// Checks them of what has this entity tag and was changed then, in the order of RFC 9110 §13.2.2. Gives whether the reader has it
    /// already.
    ///
    /// # Errors
    /// `PreconditionFailed`.
    pub fn check(&self, etag: &str, changed_at: Micros) -> Result<bool, Problem> {
        // Dates of HTTP have no parts of seconds.
        let changed_at = changed_at.as_secs();
        let failed = || Code::PreconditionFailed.problem("At least one of the pre-conditions you specified did not hold");
        match (&self.if_match, self.if_unmodified_since) {
            (Some(tags), _) if !names_etag(tags, etag) => return Err(failed()),
            (None, Some(since)) if changed_at > since.as_secs() => return Err(failed()),
            _ => {}
        }
        Ok(match (&self.if_none_match, self.if_modified_since) {
            (Some(tags), _) => names_etag(tags, etag),
            (None, Some(since)) => changed_at <= since.as_secs(),
            (None, None) => false,
        })
    }
}

/// Which bytes are wanted, and whether they are a part of all.
fn range_of(wanted: Of, version: &Version, parts: &[Part]) -> Result<(Range<u64>, bool), Problem> {
    match wanted {
        Of::Bytes(Wanted::Whole) => Ok((0..version.size_bytes, false)),
        Of::Bytes(wanted) => {
            let none = || Code::InvalidRange.problem("The requested range is not satisfiable");
            Ok((wanted.within(version.size_bytes).ok_or_else(none)?, true))
        }
        Of::Part(number) => Ok((range_of_part(number, version, parts)?, true)),
    }
}

/// The bytes of the N-th part. What came at once has one part.
fn range_of_part(number: i64, version: &Version, parts: &[Part]) -> Result<Range<u64>, Problem> {
    let none = || Code::InvalidPart.problem("The requested partnumber is not satisfiable");
    if version.part_count == 0 {
        return if number == 1 { Ok(0..version.size_bytes) } else { Err(none()) };
    }
    let mut start = 0_u64;
    for (index, part) in (1_i64..).zip(parts) {
        let end = start.saturating_add(part.object.size_bytes);
        if index == number {
            return Ok(start..end);
        }
        start = end;
    }
    Err(none())
}
