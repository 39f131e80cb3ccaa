//! Multipart uploads.

use buckets::ops::multipart::{AbortUpload, CompleteUpload, CreateUpload, IncomingPart, Join, SentPart, StoredPart, WritePart};
use buckets::{Attributes, Checksum, Code, Part, Upload, opaque_etag};
use http::{HeaderMap, StatusCode};
use kernel::{Problem, sha256};
use serde::Deserialize;
use sigv4::{Algorithm, checksum};
use wire::{BodyStream, Chosen};

use crate::headers::{self, put_checksum, put_encryption, put_etag, put_version, text};
use crate::listing::url_encoded;
use crate::objects::{wish_of, with_leave};
use crate::route::Request;
use crate::sums::{algorithm_of, parse_algorithm};
use crate::xml::{Document, Xml, parse};
use crate::{Shared, body, empty, xml_answer};

#[derive(Deserialize)]
struct CompleteXml {
    #[serde(rename = "Part", default)]
    parts: Vec<PartXml>,
}

#[derive(Deserialize)]
struct PartXml {
    #[serde(rename = "PartNumber")]
    number: i64,
    #[serde(rename = "ETag")]
    etag: String,
    #[serde(rename = "ChecksumCRC32")]
    crc32: Option<String>,
    #[serde(rename = "ChecksumCRC32C")]
    crc32c: Option<String>,
    #[serde(rename = "ChecksumCRC64NVME")]
    crc64nvme: Option<String>,
    #[serde(rename = "ChecksumSHA1")]
    sha1: Option<String>,
    #[serde(rename = "ChecksumSHA256")]
    sha256: Option<String>,
}

impl Document for CompleteXml {
    const ROOT: &'static str = "CompleteMultipartUpload";
    const ELEMENTS: &'static [&'static str] = &[
        "Part",
        "Part/PartNumber",
        "Part/ETag",
        "Part/ChecksumCRC32",
        "Part/ChecksumCRC32C",
        "Part/ChecksumCRC64NVME",
        "Part/ChecksumSHA1",
        "Part/ChecksumSHA256",
    ];
}

/// The checksum that an upload asks of its parts, and whether the whole has one of theirs.
fn upload_checksum(request: &Request) -> Result<Option<Checksum>, Problem> {
    let kind = text(&request.headers, "x-amz-checksum-type");
    let Some(name) = text(&request.headers, "x-amz-checksum-algorithm") else {
        return match kind {
            Some(_) => Err(Code::InvalidRequest
                .problem("The x-amz-checksum-type header can only be used with the x-amz-checksum-algorithm header.")),
            None => Ok(None),
        };
    };
    let algorithm = parse_algorithm(name)?;
    let is_sha = matches!(algorithm, Algorithm::Sha1 | Algorithm::Sha256);
    let is_composite = match kind {
        None => algorithm != Algorithm::Crc64Nvme,
        Some("COMPOSITE") if algorithm != Algorithm::Crc64Nvme => true,
        Some("FULL_OBJECT") if !is_sha => false,
        Some(other) => {
            let message = format!(
                "The {other} checksum type cannot be used with the {} checksum algorithm.",
                algorithm.name().to_lowercase()
            );
            return Err(Code::InvalidRequest.problem(message));
        }
    };
    Ok(Some(Checksum { algorithm: algorithm.name().to_owned(), value: String::new(), is_composite }))
}

/// Begins an upload.
pub fn create(shared: Shared, request: &Request) -> Result<Chosen, Problem> {
    let (checksum, mut wish) = (upload_checksum(request)?, wish_of(&request.headers)?);
    wish.attributes.checksum.clone_from(&checksum);
    let (bucket, key, headers) = (request.bucket.clone(), request.key.clone(), request.headers.clone());
    Ok(Chosen::verbs(move |visitor| {
        Box::pin(async move {
            let wish = with_leave(visitor, wish, &headers, &bucket).await?;
            let upload = visitor.call(CreateUpload { room: shared.buckets, bucket: bucket.clone(), key, wish }).await?;
            let mut xml = Xml::new("InitiateMultipartUploadResult");
            xml.text("Bucket", &bucket);
            xml.text("Key", &upload.key);
            xml.text("UploadId", &upload.id);
            let mut answer = xml_answer(xml.finish());
            put_encryption(answer.headers_mut(), &upload.attributes);
            if let Some(checksum) = checksum {
                let kind = if checksum.is_composite { "COMPOSITE" } else { "FULL_OBJECT" };
                headers::put(answer.headers_mut(), "x-amz-checksum-algorithm", &checksum.algorithm);
                headers::put(answer.headers_mut(), "x-amz-checksum-type", kind);
            }
            Ok(answer)
        })
    }))
}

/// The number of a part.
pub fn part_number(request: &Request) -> Result<i64, Problem> {
    request.number("partNumber")?.ok_or_else(|| Code::InvalidArgument.problem("the part has no partNumber"))
}

/// Stores a part.
pub fn part(shared: Shared, request: Request, stream: BodyStream) -> Result<Chosen, Problem> {
    let (number, upload_id) = (part_number(&request)?, request.value("uploadId").unwrap_or_default());
    let (bucket, key) = (request.bucket.clone(), request.key.clone());
    // A part is summed as its upload asks, also where its client says nothing of it.
    let incoming: IncomingPart = Box::new(move |upload: &Upload| {
        body::incoming(&request.headers, request.signature.as_ref(), stream, algorithm_of(upload)?)
    });
    let verb = WritePart { room: shared.buckets, bucket, key, upload_id, number, incoming };
    Ok(Chosen::verb(verb, move |StoredPart { part, checksum }| {
        let mut answer = empty(StatusCode::OK);
        put_etag(answer.headers_mut(), &part.etag);
        put_encryption(answer.headers_mut(), &Attributes::default());
        if let Some(checksum) = checksum {
            headers::put(answer.headers_mut(), parse_algorithm(&checksum.algorithm)?.header(), &checksum.value);
        }
        Ok(answer)
    }))
}

/// Joins parts.
pub fn complete(shared: Shared, request: Request, stream: BodyStream) -> Result<Chosen, Problem> {
    let upload_id = request.value("uploadId").unwrap_or_default();
    let size_bytes = text(&request.headers, "x-amz-mp-object-size").map(str::parse).transpose();
    let size_bytes = size_bytes.map_err(|_| Code::InvalidRequest.problem("x-amz-mp-object-size is a number of bytes"))?;
    let said = Said::of(&request.headers);
    let host = text(&request.headers, "host").unwrap_or_default().to_owned();
    // The checksum in the head is the whole's, not that of this request's own body.
    let mut own = request.headers.clone();
    for algorithm in Algorithm::ALL {
        own.remove(algorithm.header());
    }
    own.remove("x-amz-checksum-type");
    Ok(Chosen::verbs(move |visitor| {
        Box::pin(async move {
            let sealed = (&own, request.signature.as_ref());
            let bytes = body::asked::<CompleteUpload>(visitor, &request.target(), sealed, stream).await?;
            let read: CompleteXml = parse(&bytes)?;
            let (bucket, key) = (request.bucket.clone(), request.key.clone());
            let verb = CompleteUpload {
                room: shared.buckets,
                bucket: bucket.clone(),
                key: key.clone(),
                upload_id,
                parts: read.parts.into_iter().map(sent_part).collect(),
                when: headers::write_conditions(&request.headers),
                size_bytes,
                join: join(said),
            };
            let written = visitor.call(verb).await?;
            let mut xml = Xml::new("CompleteMultipartUploadResult");
            xml.text("Location", &format!("https://{host}/{bucket}/{}", url_encoded(&key)));
            xml.text("Bucket", &bucket);
            xml.text("Key", &key);
            xml.text("ETag", &format!("\"{}\"", written.version.etag));
            if let Some(checksum) = written.version.attributes.checksum.as_ref().filter(|checksum| !checksum.value.is_empty()) {
                xml.text(&format!("Checksum{}", checksum.algorithm), &checksum.value);
                xml.text("ChecksumType", if checksum.is_composite { "COMPOSITE" } else { "FULL_OBJECT" });
            }
            let mut answer = xml_answer(xml.finish());
            put_version(answer.headers_mut(), &written.version.version_id, written.is_versioned);
            put_encryption(answer.headers_mut(), &written.version.attributes);
            put_checksum(answer.headers_mut(), &written.version.attributes);
            Ok(answer)
        })
    }))
}

fn sent_part(part: PartXml) -> SentPart {
    let all = [
        (Algorithm::Crc32, part.crc32),
        (Algorithm::Crc32c, part.crc32c),
        (Algorithm::Crc64Nvme, part.crc64nvme),
        (Algorithm::Sha1, part.sha1),
        (Algorithm::Sha256, part.sha256),
    ];
    let checksums = all.into_iter().filter_map(|(algorithm, value)| Some((algorithm.name(), value?))).collect();
    SentPart { number: part.number, etag: part.etag.trim_matches('"').to_owned(), checksums }
}

/// The entity tag and the checksum of the whole.
fn join(said: Said) -> Join {
    Box::new(move |upload: &Upload, parts: &[Part]| Ok((joined_etag(parts), joined_checksum(upload, parts, &said)?)))
}

/// The MD5 of the parts' MD5s, where every part has one.
fn joined_etag(parts: &[Part]) -> String {
    let md5s: Option<Vec<[u8; 16]>> = parts.iter().map(|part| kernel::parse_hex(&part.etag)?.try_into().ok()).collect();
    match md5s {
        Some(md5s) => checksum::multipart_etag(&md5s),
        None => {
            let all: String = parts.iter().map(|part| part.etag.as_str()).collect();
            opaque_etag(&sha256(all.as_bytes()), parts.len())
        }
    }
}

fn joined_checksum(upload: &Upload, parts: &[Part], said: &Said) -> Result<Option<Checksum>, Problem> {
    let Some(wanted) = &upload.attributes.checksum else {
        // A promise that nobody can check is not taken.
        return if said.is_nothing() {
            Ok(None)
        } else {
            Err(Code::InvalidRequest.problem(
                "The upload was created without a checksum algorithm, so the checksum of the whole cannot be checked: name one when it is created.",
            ))
        };
    };
    said.check_kind(wanted)?;
    let algorithm = parse_algorithm(&wanted.algorithm)?;
    let value = if wanted.is_composite {
        let values: Vec<&str> = parts.iter().map(|part| part.checksum.as_str()).collect();
        checksum::composite(algorithm, &values)
    } else {
        let values: Vec<(&str, u64)> = parts.iter().map(|part| (part.checksum.as_str(), part.object.size_bytes)).collect();
        checksum::combine(algorithm, &values)
    };
    let value = value.ok_or_else(|| {
        Code::InvalidRequest.problem(format!(
            "The upload was created using a {} checksum. The complete request must include the checksum for each part.",
            algorithm.name().to_lowercase()
        ))
    })?;
    let differs =
        |(by, said): &(Algorithm, String)| *by != algorithm || (*said != value && !value.starts_with(&format!("{said}-")));
    if let Some((by, _)) = said.checksums.iter().find(|one| differs(one)) {
        return Err(Code::BadDigest.problem(format!("The {} you specified did not match the calculated checksum.", by.name())));
    }
    Ok(Some(Checksum { value, ..wanted.clone() }))
}

/// What the whole is said to be.
struct Said {
    /// Its checksums: of a composite one with the number of parts behind it.
    checksums: Vec<(Algorithm, String)>,
    /// Of which kind they are.
    kind: Option<String>,
}

impl Said {
    fn of(headers: &HeaderMap) -> Self {
        let named = |algorithm: Algorithm| Some((algorithm, text(headers, algorithm.header())?.to_owned()));
        let kind = text(headers, "x-amz-checksum-type").map(str::to_owned);
        Self { checksums: Algorithm::ALL.into_iter().filter_map(named).collect(), kind }
    }

    fn is_nothing(&self) -> bool {
        self.checksums.is_empty() && self.kind.is_none()
    }

    fn check_kind(&self, wanted: &Checksum) -> Result<(), Problem> {
        let own = if wanted.is_composite { "COMPOSITE" } else { "FULL_OBJECT" };
        if self.kind.as_deref().is_none_or(|kind| kind == own) {
            return Ok(());
        }
        Err(Code::InvalidRequest.problem(format!(
            "The upload was created using the {own} checksum mode. The complete request must use the same checksum mode."
        )))
    }
}

/// Forgets an upload.
pub fn abort(shared: Shared, request: &Request) -> Result<Chosen, Problem> {
    let verb = AbortUpload {
        room: shared.buckets,
        bucket: request.bucket.clone(),
        key: request.key.clone(),
        upload_id: request.value("uploadId").unwrap_or_default(),
    };
    Ok(Chosen::verb(verb, |()| Ok(empty(StatusCode::NO_CONTENT))))
}
