//! `buckets.tag`: tags of a version.

use gate::{Action, Operation, Outcome, Permit, Target};
use kernel::Problem;

use super::read::{no_key, no_version};
use super::write::Written;
use crate::store::{buckets, versions};
use crate::types::{OBJECT_TAG_COUNT_MAX, Tags, Version};
use crate::{Buckets, Code};

/// Replaces the tags of a version.
pub struct TagObject {
    /// The room.
    pub room: Buckets,
    /// The bucket.
    pub bucket: String,
    /// The object's key.
    pub key: String,
    /// The version; none for the newest.
    pub version_id: Option<String>,
    /// Its tags from now on.
    pub tags: Tags,
}

impl Operation for TagObject {
    const ACTION: Action = Action::write("buckets.tag");
    type Output = Written;

    fn target(&self) -> Target {
        Target::Bucket(self.bucket.clone())
    }

    async fn run(self, permit: Permit<Self>) -> Result<Written, Problem> {
        let home = Buckets::home(&permit)?;
        let tags = self.tags.check(OBJECT_TAG_COUNT_MAX)?;
        let key_hash = self.room.key_hash(&home.id, &self.key).await?;
        let (key, version_id) = (self.key, self.version_id);
        self.room
            .db
            .write(&permit, move |writer| {
                let bucket = buckets::of(writer, &home)?;
                let version = find(writer, &bucket.id, &key, version_id.as_deref())?;
                versions::set_tags(writer, &version.row, &tags)?;
                let outcome = Outcome::done().with("key_hash", key_hash).with("tag_count", tags.0.len());
                Ok((Written { version, is_versioned: bucket.is_versioned() }, outcome))
            })
            .await
    }
}

/// The version that is meant, if it is one with bytes.
pub(crate) fn find(
    reader: &mut vault::db::Reader<'_>,
    bucket_id: &str,
    key: &str,
    version_id: Option<&str>,
) -> Result<Version, Problem> {
    let version = match version_id {
        Some(id) => versions::get(reader, bucket_id, key, id)?.ok_or_else(no_version)?,
        None => versions::latest(reader, bucket_id, key)?.filter(|version| !version.is_marker).ok_or_else(no_key)?,
    };
    if version.is_marker {
        return Err(
            Code::MethodNotAllowed.problem("The specified method is not allowed against this resource: it is a delete marker")
        );
    }
    Ok(version)
}
