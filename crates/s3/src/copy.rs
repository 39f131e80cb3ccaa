//! Copies: the source is read by a verb of its own, so that whoever may write here copies only what they may read there.

use buckets::ops::multipart::{IncomingPart, StoredPart, WritePart};
use buckets::ops::read::{Found, Of, ReadObject};
use buckets::ops::write::WriteObject;
use buckets::{Code, Tags, Upload};
use gate::Visitor;
use http::HeaderMap;
use kernel::Problem;
use percent_encoding::percent_decode_str;
use vault::objects::Wanted;
use wire::Chosen;

use crate::error::not_implemented;
use crate::headers::{self, put, put_encryption, put_version, text, xml_date};
use crate::objects::{copied_attributes, wish_of, with_leave};
use crate::route::Request;
use crate::sums::{algorithm_of, parse_algorithm};
use crate::xml::Xml;
use crate::{Shared, body, datasets, multipart, xml_answer};

/// What `x-amz-copy-source` names.
struct Source {
    bucket: String,
    key: String,
    version_id: Option<String>,
}

impl Source {
    fn of(headers: &HeaderMap) -> Result<Self, Problem> {
        let broken =
            || Code::InvalidArgument.problem("Copy Source must mention the source bucket and key: sourcebucket/sourcekey");
        let header = text(headers, "x-amz-copy-source").ok_or_else(broken)?;
        let (path, version) = match header.rsplit_once("?versionId=") {
            Some((path, version)) => (path, Some(version.to_owned())),
            None => (header, None),
        };
        let path = percent_decode_str(path).decode_utf8().map_err(|_| broken())?;
        let (bucket, key) = path.strip_prefix('/').unwrap_or(&path).split_once('/').ok_or_else(broken)?;
        if bucket.is_empty() || key.is_empty() || path.contains('\0') || version.as_deref() == Some("") {
            return Err(broken());
        }
        if bucket == datasets::BUCKET {
            return Err(not_implemented("files of data sets are not copied here: download them, and upload what is wanted"));
        }
        Ok(Self { bucket: bucket.to_owned(), key: key.to_owned(), version_id: version })
    }

    async fn open(&self, visitor: &Visitor, shared: &Shared, headers: &HeaderMap, wanted: Wanted) -> Result<Found, Problem> {
        let verb = ReadObject {
            room: shared.buckets.clone(),
            bucket: self.bucket.clone(),
            key: self.key.clone(),
            version_id: self.version_id.clone(),
            wanted: Of::Bytes(wanted),
            has_body: true,
            when: headers::read_conditions(headers, "x-amz-copy-source-"),
        };
        let found = visitor.call(verb).await.map_err(|problem| match Code::of(&problem) {
            // A marker that is named is no source.
            Some(Code::MethodNotAllowed) => Code::InvalidRequest
                .problem("The source of a copy request may not specifically refer to a delete marker by version id."),
            _ => problem,
        })?;
        // A copy has no answer `304`.
        if found.is_unchanged {
            return Err(Code::PreconditionFailed.problem("At least one of the pre-conditions you specified did not hold"));
        }
        Ok(found)
    }
}

/// Copies an object.
pub fn object(shared: Shared, request: Request) -> Result<Chosen, Problem> {
    let source = Source::of(&request.headers)?;
    let is_itself = source.bucket == request.bucket && source.key == request.key;
    if !changes(&request.headers)? && source.version_id.is_none() && is_itself {
        return Err(Code::InvalidRequest.problem(
            "This copy request is illegal because it is trying to copy an object to itself without changing the object's metadata, storage class, website redirect location or encryption attributes.",
        ));
    }
    let wish = wish_of(&request.headers)?;
    Ok(Chosen::verbs(move |visitor| {
        Box::pin(async move {
            let mut wish = with_leave(visitor, wish, &request.headers, &request.bucket).await?;
            let found = source.open(visitor, &shared, &request.headers, Wanted::Whole).await?;
            wish.attributes = copied_attributes(&found.version.attributes, &request.headers)?;
            wish.tags = copied_tags(&found.version.tags, wish.tags, &request.headers)?;
            let algorithm = match text(&request.headers, "x-amz-checksum-algorithm") {
                Some(name) => Some(parse_algorithm(name)?),
                None => found.version.attributes.checksum.as_ref().map(|one| parse_algorithm(&one.algorithm)).transpose()?,
            };
            let (source_version, is_versioned) = (found.version.version_id.clone(), found.is_versioned());
            let size_bytes = found.version.size_bytes;
            let body = found.body.ok_or_else(|| Problem::internal("the source of a copy has no bytes", "none were asked for"))?;
            let incoming = body::of_source(body, size_bytes, algorithm)?;
            let verb = WriteObject { room: shared.buckets, bucket: request.bucket, key: request.key, incoming, wish };
            let written = visitor.call(verb).await?;
            let mut xml = Xml::new("CopyObjectResult");
            xml.text("LastModified", &xml_date(written.version.created_at));
            xml.text("ETag", &format!("\"{}\"", written.version.etag));
            if let Some(checksum) = &written.version.attributes.checksum {
                xml.text(&format!("Checksum{}", checksum.algorithm), &checksum.value);
                xml.text("ChecksumType", "FULL_OBJECT");
            }
            let mut answer = xml_answer(xml.finish());
            let headers_out = answer.headers_mut();
            put_version(headers_out, &written.version.version_id, written.is_versioned);
            put_encryption(headers_out, &written.version.attributes);
            if is_versioned {
                put(headers_out, "x-amz-copy-source-version-id", &source_version);
            }
            Ok(answer)
        })
    }))
}

/// Whether a copy is told to be other than its source. A storage class counts where it is named, also the one that it has already.
fn changes(headers: &HeaderMap) -> Result<bool, Problem> {
    let by_name = [
        "x-amz-storage-class",
        "x-amz-server-side-encryption",
        "x-amz-object-lock-mode",
        "x-amz-object-lock-legal-hold",
        "x-amz-checksum-algorithm",
    ];
    let (metadata, tags) = (replaces(headers, "x-amz-metadata-directive")?, replaces(headers, "x-amz-tagging-directive")?);
    Ok(metadata || tags || by_name.iter().any(|name| headers.contains_key(*name)))
}

/// What a directive says of the source's metadata or tags.
pub fn replaces(headers: &HeaderMap, directive: &str) -> Result<bool, Problem> {
    match headers.get(directive).map(http::HeaderValue::as_bytes) {
        None | Some(b"COPY") => Ok(false),
        Some(b"REPLACE") => Ok(true),
        Some(_) => Err(Code::InvalidArgument.problem(format!("Unknown directive: {directive} is COPY or REPLACE"))),
    }
}

fn copied_tags(source: &Tags, own: Tags, headers: &HeaderMap) -> Result<Tags, Problem> {
    Ok(if replaces(headers, "x-amz-tagging-directive")? { own } else { source.clone() })
}

/// Copies bytes of an object into a part.
pub fn part(shared: Shared, request: &Request) -> Result<Chosen, Problem> {
    let source = Source::of(&request.headers)?;
    let wanted = match text(&request.headers, "x-amz-copy-source-range") {
        None => Wanted::Whole,
        Some(range) => match Wanted::parse(Some(range)) {
            wanted @ Wanted::Between(..) => wanted,
            _ => return Err(Code::InvalidArgument.problem("The x-amz-copy-source-range value must be of the form bytes=first-last where first and last are the zero-based offsets of the first and last bytes to copy")),
        },
    };
    let (bucket, key, head) = (request.bucket.clone(), request.key.clone(), request.headers.clone());
    let (upload_id, number) = (request.value("uploadId").unwrap_or_default(), multipart::part_number(request)?);
    Ok(Chosen::verbs(move |visitor| {
        Box::pin(async move {
            let found = source.open(visitor, &shared, &head, wanted).await?;
            if let Wanted::Between(_, last) = wanted
                && last >= found.version.size_bytes
            {
                return Err(Code::InvalidRange
                    .problem(format!("Range specified is not valid for source object of size: {}", found.version.size_bytes)));
            }
            let (source_version, is_versioned) = (found.version.version_id.clone(), found.is_versioned());
            let size_bytes = found.range.end.saturating_sub(found.range.start);
            let body = found.body.ok_or_else(|| Problem::internal("the source of a copy has no bytes", "none were asked for"))?;
            let incoming: IncomingPart =
                Box::new(move |upload: &Upload| body::of_source(body, size_bytes, algorithm_of(upload)?));
            let write = WritePart { room: shared.buckets, bucket, key, upload_id, number, incoming };
            let StoredPart { part, checksum } = visitor.call(write).await?;
            let mut xml = Xml::new("CopyPartResult");
            xml.text("LastModified", &xml_date(part.stored_at));
            xml.text("ETag", &format!("\"{}\"", part.etag));
            if let Some(checksum) = checksum {
                xml.text(&format!("Checksum{}", checksum.algorithm), &checksum.value);
            }
            let mut answer = xml_answer(xml.finish());
            if is_versioned {
                put(answer.headers_mut(), "x-amz-copy-source-version-id", &source_version);
            }
            Ok(answer)
        })
    }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    #[test]
    fn a_copy_is_another_one_where_its_head_says_so() {
        let with = |name: &'static str, value: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert(name, HeaderValue::from_static(value));
            changes(&headers).ok()
        };
        for name in ["x-amz-metadata-directive", "x-amz-tagging-directive"] {
            assert_eq!([with(name, "COPY"), with(name, "REPLACE")], [Some(false), Some(true)], "{name}");
            assert_eq!([with(name, "replace"), with(name, "")], [None, None], "{name}");
        }
        assert_eq!(with("x-amz-storage-class", "STANDARD"), Some(true));
        assert_eq!(with("x-amz-meta-a", "COPY itself says nothing of it"), Some(false));
    }
}
