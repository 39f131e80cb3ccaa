//! What buckets and their objects are made of.

use std::collections::BTreeMap;

use bytes::Bytes;
use futures_util::stream;
use kernel::{Micros, Problem};
use serde::{Deserialize, Serialize};
use vault::objects::{Body, StoredObject};

use crate::Code;
use crate::lock::{DefaultRetention, Lock};

/// The version id of what is written while versioning is off or suspended.
pub const NULL_VERSION: &str = "null";
/// Names and values of the metadata of one object.
const METADATA_BYTES_MAX: usize = 2 * 1_024;
/// Tags of an object, and of a bucket.
pub const OBJECT_TAG_COUNT_MAX: usize = 10;
/// Tags of a bucket.
pub const BUCKET_TAG_COUNT_MAX: usize = 50;
/// Keys of tags that nobody sets: AWS's own begin so, in any letters.
const TAG_KEY_RESERVED: &str = "aws:";
const TAG_KEY_CHARS_MAX: usize = 128;
const TAG_VALUE_CHARS_MAX: usize = 256;

/// Whether writing a key keeps what was there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Versioning {
    /// It never did.
    Off,
    /// It does.
    Enabled,
    /// It did.
    Suspended,
}

impl Versioning {
    /// The word in rows.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Off => "off",
            Self::Enabled => "enabled",
            Self::Suspended => "suspended",
        }
    }

    pub(crate) fn parse(word: &str) -> Option<Self> {
        [Self::Off, Self::Enabled, Self::Suspended].into_iter().find(|one| one.word() == word)
    }
}

/// A bucket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bucket {
    /// Its id.
    pub id: String,
    /// Its name.
    pub name: String,
    /// The id of the workspace that it belongs to.
    pub workspace: String,
    /// Whether it keeps versions.
    pub versioning: Versioning,
    /// Whether versions can be locked.
    pub lock_enabled: bool,
    /// What new versions are locked with.
    pub default_retention: Option<DefaultRetention>,
    /// Its tags.
    pub tags: Tags,
    /// When it was made.
    pub created_at: Micros,
    /// Who made it.
    pub created_by: String,
}

impl Bucket {
    /// Whether clients are told which version they have: it keeps versions, or did. One from before is [`NULL_VERSION`].
    #[must_use]
    pub fn is_versioned(&self) -> bool {
        self.versioning != Versioning::Off
    }
}

/// Tags, in the order in which they came.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Tags(pub Vec<(String, String)>);

impl Tags {
    /// Checks number, lengths, that no key is there twice and none is reserved.
    ///
    /// # Errors
    /// `InvalidTag`.
    pub fn check(self, count_max: usize) -> Result<Self, Problem> {
        if self.0.len() > count_max {
            return Err(Code::InvalidTag.problem(format!("there are at most {count_max} tags")));
        }
        let mut seen = std::collections::BTreeSet::new();
        for (key, value) in &self.0 {
            if key.is_empty() || key.chars().count() > TAG_KEY_CHARS_MAX || value.chars().count() > TAG_VALUE_CHARS_MAX {
                return Err(Code::InvalidTag.problem(format!(
                    "a tag's key has 1 to {TAG_KEY_CHARS_MAX} characters, its value at most {TAG_VALUE_CHARS_MAX}"
                )));
            }
            if key.get(..TAG_KEY_RESERVED.len()).is_some_and(|start| start.eq_ignore_ascii_case(TAG_KEY_RESERVED)) {
                return Err(Code::InvalidTag.problem(format!(
                    "a tag's key does not begin with `{TAG_KEY_RESERVED}`, which is reserved: name it otherwise"
                )));
            }
            if !seen.insert(key) {
                return Err(Code::InvalidTag.problem("each tag's key is there once"));
            }
        }
        Ok(self)
    }

    pub(crate) fn to_text(&self) -> String {
        if self.0.is_empty() { String::new() } else { serde_json::to_string(self).unwrap_or_default() }
    }

    pub(crate) fn parse(text: &str) -> Option<Self> {
        if text.is_empty() { Some(Self::default()) } else { serde_json::from_str(text).ok() }
    }
}

/// A checksum that a client asked for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Checksum {
    /// S3's name of the algorithm, such as `CRC32C`.
    pub algorithm: String,
    /// Its value in base64; of a composite one with `-N` behind it. Empty while parts are still to come.
    pub value: String,
    /// Whether it is one of the parts' checksums (`COMPOSITE`), not of the bytes (`FULL_OBJECT`).
    pub is_composite: bool,
}

/// What a client said of an object, and gets back with it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Attributes {
    /// `Content-Type`
    #[serde(skip_serializing_if = "Option::is_none")]
    pub content_type: Option<String>,
    /// `Cache-Control`, `Content-Disposition`, `Content-Encoding`, `Content-Language`, `Expires`, by their lower-case names.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub headers: BTreeMap<String, String>,
    /// `x-amz-meta-…`, without the prefix.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub metadata: BTreeMap<String, String>,
    /// The checksum that was sent or asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub checksum: Option<Checksum>,
    /// The key of a workspace that it was asked to be encrypted under (SSE-KMS); none for what is always done (SSE-S3).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kms_key: Option<String>,
}

impl Attributes {
    /// Checks how long they are.
    ///
    /// # Errors
    /// `MetadataTooLarge`.
    pub fn check(self) -> Result<Self, Problem> {
        let length: usize = self.metadata.iter().map(|(name, value)| name.len() + value.len()).sum();
        if length > METADATA_BYTES_MAX {
            return Err(
                Code::MetadataTooLarge.problem(format!("the metadata of an object has at most {METADATA_BYTES_MAX} bytes"))
            );
        }
        Ok(self)
    }
}

/// A version of an object, or a delete marker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Version {
    /// Its row.
    pub(crate) row: String,
    /// The object's key.
    pub key: String,
    /// Where it stands among the key's versions: the smallest is the newest.
    pub(crate) rank: i64,
    /// Its id, or [`NULL_VERSION`].
    pub version_id: String,
    /// Whether it is the newest.
    pub is_latest: bool,
    /// Whether it says that the object was deleted.
    pub is_marker: bool,
    /// Its size.
    pub size_bytes: u64,
    /// Its entity tag, without quotes.
    pub etag: String,
    /// What its client said of it.
    pub attributes: Attributes,
    /// Its tags.
    pub tags: Tags,
    /// How many parts it was uploaded in; 0 for what came at once.
    pub part_count: i64,
    /// What holds it.
    pub lock: Lock,
    /// When it was written.
    pub created_at: Micros,
    /// By whom.
    pub created_by: String,
}

/// A part of a version, or of an upload.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part {
    /// Its number.
    pub number: i64,
    /// Its bytes.
    pub object: StoredObject,
    /// Its entity tag.
    pub etag: String,
    /// Its checksum in base64; empty if none was asked for.
    pub checksum: String,
    /// When it was stored.
    pub stored_at: Micros,
}

/// What must hold of the object that is there, for a write (RFC 9110 §13.1).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct WriteConditions {
    /// `If-Match`: there is one with this entity tag (`*`: there is one).
    pub if_match: Option<String>,
    /// `If-None-Match`: there is none with this entity tag (`*`: there is none).
    pub if_none_match: Option<String>,
}

/// What became of bytes on their way in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Told {
    /// The entity tag that they get.
    pub etag: String,
    /// Their checksum, where one was asked for.
    pub checksum: Option<Checksum>,
}

/// Is asked once all bytes are stored, before anybody can see them: were they what the client promised?
pub type Finish = Box<dyn FnOnce(u64, &[u8; 32]) -> Result<Told, Problem> + Send>;

/// Bytes on their way in.
pub struct Incoming {
    /// The bytes.
    pub body: Body,
    /// How many the client says there are.
    pub size_bytes: Option<u64>,
    /// Whether they were what it promised.
    pub finish: Finish,
}

impl Incoming {
    /// Bytes that are at hand, for tests and for what the server itself writes.
    #[must_use]
    pub fn of(bytes: Bytes) -> Self {
        let size_bytes = Some(bytes.len() as u64);
        let body: Body = Box::pin(stream::iter([Ok(bytes)]));
        let finish: Finish = Box::new(|_, sha256| Ok(Told { etag: opaque_etag(sha256, 1), checksum: None }));
        Self { body, size_bytes, finish }
    }
}

/// An entity tag that is no MD5, of what came in so many parts: the number behind it tells clients so.
#[must_use]
pub fn opaque_etag(sha256: &[u8; 32], part_count: usize) -> String {
    format!("{}-{part_count}", kernel::hex(sha256.get(..16).unwrap_or_default()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_are_bounded_and_single() {
        let tags = |pairs: &[(&str, &str)]| Tags(pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect());
        assert!(tags(&[("a", "1"), ("b", "")]).check(2).is_ok());
        let (key, value) = ("k".repeat(129), "v".repeat(257));
        for bad in [tags(&[("a", "1"), ("a", "2")]), tags(&[("", "1")]), tags(&[(&key, "")]), tags(&[("a", &value)])] {
            assert!(bad.check(10).is_err());
        }
        for reserved in ["aws:", "aws:cloudformation:stack-id", "AWS:a"] {
            assert!(tags(&[(reserved, "1")]).check(10).is_err(), "{reserved}");
        }
        assert!(tags(&[("aws", "1"), ("xaws:a", "2"), ("äws:", "3")]).check(10).is_ok());
        assert!(tags(&[("a", "1"), ("b", "2")]).check(1).is_err());
        let kept = tags(&[("z", "ä"), ("a", "")]);
        assert_eq!(Tags::parse(&kept.to_text()), Some(kept));
        assert_eq!(Tags::parse(""), Some(Tags::default()));
    }
}
