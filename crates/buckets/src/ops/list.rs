//! `buckets.list`: pages of objects, versions, uploads and parts.

use gate::{Action, Operation, Permit, Target};
use kernel::Problem;

use super::multipart::no_upload;
use crate::store::listing::{self, From, Line, Lines, Wish};
use crate::store::{uploads, versions};
use crate::types::{Part, Version};
use crate::{Buckets, Upload};

/// The largest page, as S3 has it.
pub const PAGE_COUNT_MAX: usize = 1_000;

/// What is listed.
#[derive(Clone, Debug)]
pub enum Wanted {
    /// The newest versions, from behind this key or common prefix on.
    Objects {
        /// The key or common prefix.
        after: String,
    },
    /// All versions and markers, from behind this version of this key on.
    Versions {
        /// The key or common prefix.
        after: String,
        /// The version; empty for all of the key's.
        after_version: String,
    },
    /// Uploads that were not completed, from behind this one on.
    Uploads {
        /// The key.
        after: String,
        /// The upload; empty for all of the key's.
        after_upload: String,
    },
    /// The parts of an upload, from behind this number on.
    Parts {
        /// The object's key.
        key: String,
        /// The upload.
        upload_id: String,
        /// The number.
        after: i64,
    },
}

/// Lists what is in a bucket.
pub struct ListObjects {
    /// The room.
    pub room: Buckets,
    /// The bucket.
    pub bucket: String,
    /// What is listed.
    pub wanted: Wanted,
    /// Only keys that begin so.
    pub prefix: String,
    /// Keys that are equal up to this text are one line; empty for none.
    pub delimiter: String,
    /// How many lines, at most [`PAGE_COUNT_MAX`].
    pub count: usize,
}

/// A page.
#[derive(Debug, Default)]
pub struct Page {
    /// Versions, by key.
    pub versions: Vec<Version>,
    /// Uploads, by key.
    pub uploads: Vec<Upload>,
    /// The upload whose parts are listed.
    pub upload: Option<Upload>,
    /// Its parts.
    pub parts: Vec<Part>,
    /// Common prefixes.
    pub prefixes: Vec<String>,
    /// Whether there is more.
    pub is_truncated: bool,
    /// The last key or common prefix.
    pub last: Option<String>,
    /// Where the page behind the last version begins, for [`Wanted::Versions`]: its id and its rank, so that it need not be there still.
    pub last_version: Option<String>,
}

impl Operation for ListObjects {
    const ACTION: Action = Action::read("buckets.list");
    type Output = Page;

    fn target(&self) -> Target {
        Target::Bucket(self.bucket.clone())
    }

    async fn run(self, permit: Permit<Self>) -> Result<Page, Problem> {
        let home = Buckets::home(&permit)?;
        let count = self.count.min(PAGE_COUNT_MAX);
        let wish = Wish { prefix: self.prefix, delimiter: self.delimiter, count };
        if count == 0 {
            return Ok(Page::default());
        }
        let wanted = self.wanted;
        self.room
            .db
            .read(&permit, move |reader| match wanted {
                Wanted::Objects { after } => {
                    let from = match after.as_str() {
                        "" => None,
                        marker => match From::behind(&wish, marker) {
                            Some(from) => Some(from),
                            None => return Ok(Page::default()),
                        },
                    };
                    Ok(page_of(listing::objects(reader, &home.id, &wish, from)?))
                }
                Wanted::Versions { after, after_version } => {
                    let from = match (after.as_str(), after_version.as_str()) {
                        ("", _) => None,
                        (key, "") => match From::behind(&wish, key) {
                            Some(from) => Some(from),
                            None => return Ok(Page::default()),
                        },
                        (key, marker) => {
                            let rank = match marker.rsplit_once('.').and_then(|(_, rank)| rank.parse().ok()) {
                                Some(rank) => Some(rank),
                                None => versions::get(reader, &home.id, key, marker)?.map(|version| version.rank),
                            };
                            // Behind one that is named by its id alone and is gone, the key begins anew: none is left out.
                            Some(From { key: key.to_owned(), is_exclusive: false, rank })
                        }
                    };
                    Ok(page_of(listing::versions(reader, &home.id, &wish, from)?))
                }
                Wanted::Uploads { after, after_upload } => list_uploads(reader, &home.id, &wish, &after, &after_upload),
                Wanted::Parts { key, upload_id, after } => {
                    let upload = uploads::get(reader, &home.id, &key, &upload_id)?.ok_or_else(no_upload)?;
                    let limit = i64::try_from(count.saturating_add(1)).unwrap_or(i64::MAX);
                    let mut parts = uploads::parts(reader, &upload_id, after, limit)?;
                    let is_truncated = parts.len() > count;
                    parts.truncate(count);
                    Ok(Page { parts, upload: Some(upload), is_truncated, ..Page::default() })
                }
            })
            .await
    }
}

fn page_of(lines: Lines<Version>) -> Page {
    let mut page = Page { is_truncated: lines.is_truncated, ..Page::default() };
    for line in lines.lines {
        match line {
            Line::One(version) => {
                page.last = Some(version.key.clone());
                page.last_version = Some(format!("{}.{}", version.version_id, version.rank));
                page.versions.push(version);
            }
            Line::Prefix(prefix) => {
                page.last = Some(prefix.clone());
                page.last_version = None;
                page.prefixes.push(prefix);
            }
        }
    }
    page
}

/// Uploads are few: common prefixes are made of what a page looks at.
fn list_uploads(
    reader: &mut vault::db::Reader<'_>,
    bucket_id: &str,
    wish: &Wish,
    after: &str,
    after_upload: &str,
) -> Result<Page, Problem> {
    let mut page = Page::default();
    let (mut key, mut id) = (after.to_owned(), after_upload.to_owned());
    loop {
        let rows = uploads::list(reader, bucket_id, &wish.prefix, (&key, &id), 1_000)?;
        let is_last = rows.len() < 1_000;
        for upload in rows {
            key.clone_from(&upload.key);
            id.clone_from(&upload.id);
            let rest = upload.key.get(wish.prefix.len()..).unwrap_or_default();
            let cut = if wish.delimiter.is_empty() { None } else { rest.find(&wish.delimiter) };
            let prefix = cut.and_then(|at| upload.key.get(..wish.prefix.len() + at + wish.delimiter.len()));
            // A common prefix is given out once, also where the page before ended with it.
            if let Some(prefix) = prefix
                && (prefix == after || page.prefixes.last().is_some_and(|last| last == prefix))
            {
                continue;
            }
            if page.uploads.len() + page.prefixes.len() >= wish.count {
                page.is_truncated = true;
                return Ok(page);
            }
            page.last = Some(prefix.unwrap_or(&upload.key).to_owned());
            match prefix {
                Some(prefix) => page.prefixes.push(prefix.to_owned()),
                None => page.uploads.push(upload),
            }
        }
        if is_last {
            return Ok(page);
        }
    }
}
