//! Objects: read, written, tagged and removed.

use axum::body::Body;
use buckets::ops::lock::{MayHold, MayRetain};
use buckets::ops::read::{Found, Of, ReadConditions, ReadObject};
use buckets::ops::remove::{REMOVE_COUNT_MAX, Removal, RemoveObjects, Removed};
use buckets::ops::tags::TagObject;
use buckets::ops::write::{LockLeave, Wish, WriteObject, Written};
use buckets::{Attributes, Code, Tags, Version};
use gate::Visitor;
use http::{HeaderMap, StatusCode};
use kernel::Problem;
use serde::Deserialize;
use vault::objects::Wanted;
use wire::{Answer, BodyStream, Chosen};

use crate::copy::replaces;
use crate::error::entry;
use crate::headers::{self, put, put_checksum, put_encryption, put_etag, put_part_checksum, put_version, put_version_headers};
use crate::retention::leave_to_bypass;
use crate::route::Request;
use crate::tags::{self, parse_tags, tags_shown};
use crate::xml::{Document, Xml, parse};
use crate::{Shared, body, empty, harden_content, xml_answer};

/// What comes beside an object's bytes. What of it is a right of its own has no leave yet ([`with_leave`]).
pub fn wish_of(headers: &HeaderMap) -> Result<Wish, Problem> {
    Ok(Wish {
        attributes: headers::attributes(headers)?,
        tags: tags::tags(headers)?,
        lock: headers::lock(headers)?,
        leave: LockLeave::default(),
        when: headers::write_conditions(headers),
    })
}

/// The same with leave for what of it is a right of its own.
pub async fn with_leave(visitor: &Visitor, mut wish: Wish, headers: &HeaderMap, bucket: &str) -> Result<Wish, Problem> {
    if wish.lock.retention.is_some() {
        let may = MayRetain { bucket: bucket.to_owned(), reason: headers::reason(headers) };
        wish.leave.retain = Some(visitor.call(may).await?);
    }
    if wish.lock.hold {
        let may = MayHold { bucket: bucket.to_owned(), reason: headers::reason(headers) };
        wish.leave.hold = Some(visitor.call(may).await?);
    }
    Ok(wish)
}

/// The answer to a write.
pub fn put_written(headers: &mut HeaderMap, written: &Written) {
    put_etag(headers, &written.version.etag);
    put_version(headers, &written.version.version_id, written.is_versioned);
    put_encryption(headers, &written.version.attributes);
    put_checksum(headers, &written.version.attributes);
}

/// Writes an object.
pub fn put_object(shared: Shared, request: Request, stream: BodyStream) -> Result<Chosen, Problem> {
    let incoming = body::incoming(&request.headers, request.signature.as_ref(), stream, None)?;
    let wish = wish_of(&request.headers)?;
    Ok(Chosen::verbs(move |visitor| {
        Box::pin(async move {
            let wish = with_leave(visitor, wish, &request.headers, &request.bucket).await?;
            let verb = WriteObject { room: shared.buckets, bucket: request.bucket, key: request.key, incoming, wish };
            let written = visitor.call(verb).await?;
            let mut answer = empty(StatusCode::OK);
            put_written(answer.headers_mut(), &written);
            Ok(answer)
        })
    }))
}

/// Which bytes of an object are wanted.
pub fn wanted(request: &Request) -> Result<Of, Problem> {
    match (request.number("partNumber")?, headers::range(&request.headers)) {
        (None, range) => Ok(Of::Bytes(range)),
        (Some(number), Wanted::Whole) => Ok(Of::Part(number)),
        (Some(_), _) => Err(Code::InvalidRequest.problem("Cannot specify both Range header and partNumber query parameter")),
    }
}

/// Reads an object, or only what is known of it.
pub fn get(shared: Shared, request: Request, has_body: bool) -> Result<Chosen, Problem> {
    let verb = ReadObject {
        room: shared.buckets,
        bucket: request.bucket.clone(),
        key: request.key.clone(),
        version_id: request.version_id()?,
        wanted: wanted(&request)?,
        has_body,
        when: headers::read_conditions(&request.headers, ""),
    };
    let overrides = request.signature.is_some();
    Ok(Chosen::verb(verb, move |found| {
        if found.is_unchanged {
            return Ok(unchanged(&found, request.is_presigned()));
        }
        let is_versioned = found.is_versioned();
        let Found { version, range, is_partial, parts, body, .. } = found;
        let mut answer = Answer::new(body.map_or_else(Body::empty, Body::from_stream));
        let length = range.end.saturating_sub(range.start);
        let headers_out = answer.headers_mut();
        put_version_headers(headers_out, &version, |name| request.value(name).filter(|_| overrides));
        put_version(headers_out, &version.version_id, is_versioned);
        put(headers_out, "content-length", &length.to_string());
        let wants_checksum =
            headers::text(&request.headers, "x-amz-checksum-mode").is_some_and(|mode| mode.eq_ignore_ascii_case("enabled"));
        let by_part = request.query("partNumber").is_some();
        if by_part && version.part_count > 0 {
            put(headers_out, "x-amz-mp-parts-count", &parts.len().to_string());
            let part = request.number("partNumber")?.and_then(|number| usize::try_from(number).ok());
            if let Some(part) = part.and_then(|number| parts.get(number.checked_sub(1)?)).filter(|_| wants_checksum) {
                put_part_checksum(headers_out, &version.attributes, &part.checksum);
            }
        } else if wants_checksum && (!is_partial || by_part) {
            put_checksum(headers_out, &version.attributes);
        }
        if is_partial {
            let last = range.end.saturating_sub(1);
            if length > 0 {
                put(headers_out, "content-range", &format!("bytes {}-{last}/{}", range.start, version.size_bytes));
            }
            *answer.status_mut() = StatusCode::PARTIAL_CONTENT;
        }
        harden_content(&mut answer, request.is_presigned());
        Ok(answer)
    }))
}

/// 304 with what a reader compares.
fn unchanged(found: &Found, is_presigned: bool) -> Answer {
    let mut answer = Answer::new(Body::empty());
    *answer.status_mut() = StatusCode::NOT_MODIFIED;
    let headers_out = answer.headers_mut();
    put_etag(headers_out, &found.version.etag);
    put(headers_out, "last-modified", &headers::http_date(found.version.created_at));
    put_version(headers_out, &found.version.version_id, found.is_versioned());
    harden_content(&mut answer, is_presigned);
    answer
}

/// What is known of a version beside its bytes.
pub fn get_beside(shared: Shared, request: &Request, name: &str) -> Result<Chosen, Problem> {
    let verb = ReadObject {
        room: shared.buckets,
        bucket: request.bucket.clone(),
        key: request.key.clone(),
        version_id: request.version_id()?,
        wanted: Of::Bytes(Wanted::Whole),
        has_body: false,
        when: ReadConditions::default(),
    };
    let asked = headers::text(&request.headers, "x-amz-object-attributes").unwrap_or_default().to_owned();
    let max_parts =
        request.headers.get("x-amz-max-parts").and_then(|value| value.to_str().ok()).and_then(|text| text.parse().ok());
    let after = headers::text(&request.headers, "x-amz-part-number-marker").and_then(|text| text.parse().ok()).unwrap_or(0);
    let name = name.to_owned();
    Ok(Chosen::verb(verb, move |found| {
        let mut answer = match name.as_str() {
            "acl" => acl_shown(&found.version.created_by),
            "attributes" => attributes_shown(&found, &asked, max_parts.unwrap_or(1_000), after)?,
            _ => tags_shown(&found.version.tags),
        };
        put_version(answer.headers_mut(), &found.version.version_id, found.is_versioned());
        if name == "attributes" {
            put(answer.headers_mut(), "last-modified", &headers::http_date(found.version.created_at));
        }
        Ok(answer)
    }))
}

fn attributes_shown(found: &Found, asked: &str, max_parts: usize, after: i64) -> Result<Answer, Problem> {
    let wants = |name: &str| asked.split(',').any(|one| one.trim() == name);
    if asked.is_empty() {
        return Err(Code::InvalidArgument.problem("the header x-amz-object-attributes names what is wanted"));
    }
    let version: &Version = &found.version;
    let mut xml = Xml::new("GetObjectAttributesResponse");
    if wants("ETag") {
        xml.text("ETag", &version.etag);
    }
    let checksum = version.attributes.checksum.as_ref();
    if let Some(checksum) = checksum.filter(|_| wants("Checksum")) {
        xml.nest("Checksum", |xml| {
            xml.text(&format!("Checksum{}", checksum.algorithm), &checksum.value);
            xml.text("ChecksumType", if checksum.is_composite { "COMPOSITE" } else { "FULL_OBJECT" });
        });
    }
    if wants("ObjectParts") && version.part_count > 0 {
        xml.nest("ObjectParts", |xml| {
            let shown: Vec<_> = found.parts.iter().filter(|part| part.number > after).take(max_parts).collect();
            let last = shown.last().map_or(after, |part| part.number);
            let is_truncated = found.parts.iter().any(|part| part.number > last);
            xml.text("PartsCount", &version.part_count.to_string());
            xml.text("PartNumberMarker", &after.to_string());
            xml.text("NextPartNumberMarker", &last.to_string());
            xml.text("MaxParts", &max_parts.to_string());
            xml.text("IsTruncated", if is_truncated { "true" } else { "false" });
            for part in shown {
                xml.nest("Part", |xml| {
                    xml.text("PartNumber", &part.number.to_string());
                    xml.text("Size", &part.object.size_bytes.to_string());
                    if let Some(checksum) = checksum {
                        xml.text(&format!("Checksum{}", checksum.algorithm), &part.checksum);
                    }
                });
            }
        });
    }
    if wants("StorageClass") {
        xml.text("StorageClass", "STANDARD");
    }
    if wants("ObjectSize") {
        xml.text("ObjectSize", &version.size_bytes.to_string());
    }
    Ok(xml_answer(xml.finish()))
}

/// The only list of access that there is: whoever made it owns it, and grants say the rest.
pub fn acl_shown(owner: &str) -> Answer {
    let who = |xml: &mut Xml| {
        xml.text("ID", owner);
        xml.text("DisplayName", owner);
    };
    let mut xml = Xml::new("AccessControlPolicy");
    xml.nest("Owner", who);
    xml.nest("AccessControlList", |xml| {
        xml.nest("Grant", |xml| {
            xml.nest_with("Grantee", " xmlns:xsi=\"http://www.w3.org/2001/XMLSchema-instance\" xsi:type=\"CanonicalUser\"", who);
            xml.text("Permission", "FULL_CONTROL");
        });
    });
    xml_answer(xml.finish())
}

/// Replaces a version's tags.
pub fn tag(shared: Shared, request: Request, stream: BodyStream) -> Result<Chosen, Problem> {
    let version_id = request.version_id()?;
    Ok(Chosen::verbs(move |visitor| {
        Box::pin(async move {
            let bytes = body::asked::<TagObject>(visitor, &request.target(), request.sealed(), stream).await?;
            let tags = parse_tags(&bytes)?;
            let verb = TagObject { room: shared.buckets, bucket: request.bucket, key: request.key, version_id, tags };
            let tagged = visitor.call(verb).await?;
            let mut answer = empty(StatusCode::OK);
            put_version(answer.headers_mut(), &tagged.version.version_id, tagged.is_versioned);
            Ok(answer)
        })
    }))
}

/// Takes a version's tags away.
pub fn untag(shared: Shared, request: &Request) -> Result<Chosen, Problem> {
    let verb = TagObject {
        room: shared.buckets,
        bucket: request.bucket.clone(),
        key: request.key.clone(),
        version_id: request.version_id()?,
        tags: Tags::default(),
    };
    Ok(Chosen::verb(verb, |untagged| {
        let mut answer = empty(StatusCode::NO_CONTENT);
        put_version(answer.headers_mut(), &untagged.version.version_id, untagged.is_versioned);
        Ok(answer)
    }))
}

/// Removes an object, or one version of it.
pub fn remove(shared: Shared, request: &Request) -> Result<Chosen, Problem> {
    let number = |name: &str| headers::text(&request.headers, name).map(str::parse::<u64>).transpose();
    let removal = Removal {
        key: request.key.clone(),
        version_id: request.version_id()?,
        if_match: headers::text(&request.headers, "if-match").map(str::to_owned),
        if_modified_at: headers::text(&request.headers, "x-amz-if-match-last-modified-time").and_then(headers::parse_http_date),
        if_size: number("x-amz-if-match-size")
            .map_err(|_| Code::InvalidArgument.problem("x-amz-if-match-size is a number of bytes"))?,
    };
    let (bucket, head) = (request.bucket.clone(), request.headers.clone());
    Ok(Chosen::verbs(move |visitor| {
        Box::pin(async move {
            let bypass = leave_to_bypass(visitor, &head, &bucket).await?;
            let removed = visitor.call(RemoveObjects { room: shared.buckets, bucket, removals: vec![removal], bypass }).await?;
            let mut answer = empty(StatusCode::NO_CONTENT);
            for one in removed {
                let Removed { asked_version, marker, problem, .. } = one;
                if let Some(problem) = problem {
                    return Err(problem);
                }
                if marker.is_some() {
                    put(answer.headers_mut(), "x-amz-delete-marker", "true");
                }
                if let Some(version_id) = asked_version.or(marker) {
                    put(answer.headers_mut(), "x-amz-version-id", &version_id);
                }
            }
            Ok(answer)
        })
    }))
}

#[derive(Deserialize)]
struct DeleteXml {
    #[serde(rename = "Object", default)]
    objects: Vec<DeleteOneXml>,
    #[serde(rename = "Quiet", default)]
    quiet: Option<String>,
}

impl Document for DeleteXml {
    const ROOT: &'static str = "Delete";
    const ELEMENTS: &'static [&'static str] =
        &["Object", "Object/Key", "Object/VersionId", "Object/ETag", "Object/LastModifiedTime", "Object/Size", "Quiet"];
}

#[derive(Deserialize)]
struct DeleteOneXml {
    #[serde(rename = "Key")]
    key: String,
    #[serde(rename = "VersionId")]
    version_id: Option<String>,
    #[serde(rename = "ETag")]
    etag: Option<String>,
    #[serde(rename = "LastModifiedTime")]
    last_modified: Option<String>,
    #[serde(rename = "Size")]
    size: Option<u64>,
}

/// Keys of one request, as S3 has it.
const DELETE_COUNT_MAX: usize = 1_000;

/// Removes many objects; each by itself.
pub fn remove_many(shared: Shared, request: Request, stream: BodyStream) -> Result<Chosen, Problem> {
    Ok(Chosen::verbs(move |visitor| {
        Box::pin(async move {
            let bytes = body::asked::<RemoveObjects>(visitor, &request.target(), request.sealed(), stream).await?;
            let read: DeleteXml = parse(&bytes)?;
            if read.objects.is_empty() || read.objects.len() > DELETE_COUNT_MAX {
                return Err(Code::MalformedXML.problem(format!("name 1 to {DELETE_COUNT_MAX} objects")));
            }
            let is_quiet = read.quiet.as_deref() == Some("true");
            let mut removals = read.objects.into_iter().map(removal_of).collect::<Result<Vec<_>, _>>()?;
            let bypass = leave_to_bypass(visitor, &request.headers, &request.bucket).await?;
            let mut xml = Xml::new("DeleteResult");
            while !removals.is_empty() {
                let rest = removals.split_off(removals.len().min(REMOVE_COUNT_MAX));
                let (room, bucket) = (shared.buckets.clone(), request.bucket.clone());
                let removed = visitor.call(RemoveObjects { room, bucket, removals, bypass: bypass.clone() }).await?;
                removed.iter().for_each(|one| removed_line(&mut xml, one, is_quiet));
                removals = rest;
            }
            Ok(xml_answer(xml.finish()))
        })
    }))
}

fn removal_of(one: DeleteOneXml) -> Result<Removal, Problem> {
    let at = one.last_modified.as_deref();
    let parsed = at.map(|text| headers::parse_http_date(text).map_or_else(|| wire::parse_time("LastModifiedTime", text), Ok));
    if one.version_id.as_deref() == Some("") {
        return Err(Code::InvalidArgument.problem("Version id cannot be the empty string"));
    }
    Ok(Removal {
        key: one.key,
        version_id: one.version_id,
        if_match: one.etag,
        if_modified_at: parsed.transpose()?,
        if_size: one.size,
    })
}

fn removed_line(xml: &mut Xml, one: &Removed, is_quiet: bool) {
    if let Some(problem) = &one.problem {
        let (code, message) = entry(problem);
        xml.nest("Error", |xml| {
            xml.text("Key", &one.key);
            xml.opt("VersionId", one.asked_version.as_deref());
            xml.text("Code", code);
            xml.text("Message", &message);
        });
        return;
    }
    if is_quiet {
        return;
    }
    xml.nest("Deleted", |xml| {
        xml.text("Key", &one.key);
        xml.opt("VersionId", one.asked_version.as_deref());
        if let Some(marker) = &one.marker {
            xml.text("DeleteMarker", "true");
            xml.text("DeleteMarkerVersionId", marker);
        }
    });
}

/// What an object that was copied is told to be.
pub fn copied_attributes(source: &Attributes, headers_in: &HeaderMap) -> Result<Attributes, Problem> {
    let own = headers::attributes(headers_in)?;
    if replaces(headers_in, "x-amz-metadata-directive")? {
        return Ok(own);
    }
    Ok(Attributes { checksum: None, kms_key: own.kms_key, ..source.clone() })
}
