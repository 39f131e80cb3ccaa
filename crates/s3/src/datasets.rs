//! Data sets by S3: `datasets/NAME@VERSION/PATH` is a file of a committed version, to be read and nothing else. Each read is the same verb
//! as `strongroom data fetch` asks for: the same permits, the same observed edge.

use std::ops::Range;

use artifacts::{ArtifactPath, Download, Fetched, Wanted};
use axum::body::Body;
use buckets::ops::read::{Of, ReadConditions};
use buckets::{Code, NULL_VERSION, Tags, opaque_etag};
use data::Which;
use data::ops::{ReadFile, SearchDatasets, ShowManifest};
use gate::{Action, Operation, Visitor};
use http::{HeaderMap, Method, StatusCode};
use kernel::{Kind, Micros, Problem};
use wire::{Answer, Chosen};

use crate::headers::{self, put};
use crate::listing::{self, Listed};
use crate::objects;
use crate::route::Request;
use crate::tags::tags_shown;
use crate::xml::Xml;
use crate::{Shared, empty, harden_content, subresources, xml_answer};

/// The bucket that no workspace has.
pub const BUCKET: &str = "datasets";

/// The verb of a request.
pub fn action_of(method: &Method, has_key: bool) -> Action {
    match (method, has_key) {
        (&Method::GET, true) => ReadFile::ACTION,
        (&Method::HEAD, false) => SearchDatasets::ACTION,
        _ => ShowManifest::ACTION,
    }
}

/// `NAME@VERSION` and the path below it.
fn place(key: &str) -> Option<(&str, &str, &str)> {
    let (version, path) = key.split_once('/').unwrap_or((key, ""));
    let (name, version) = version.rsplit_once('@')?;
    (!name.is_empty() && !version.is_empty()).then_some((name, version, path))
}

fn no_key() -> Problem {
    Code::NoSuchKey.problem("The specified key does not exist: files of data sets are at NAME@VERSION/PATH")
}

/// What is not there, or may not be known of, is no such key: the bucket is always there.
fn missing(problem: Problem) -> Problem {
    if problem.kind() == Kind::NotFound && Code::of(&problem).is_none() { no_key() } else { problem }
}

/// What a request asks for.
pub fn choose(shared: Shared, request: Request) -> Result<Chosen, Problem> {
    match (request.method.as_str(), request.key.is_empty(), request.subresource()) {
        ("GET", true, None) => list(shared, &request),
        ("HEAD", true, _) => Ok(seen(shared, |region| {
            let mut answer = empty(StatusCode::OK);
            put(answer.headers_mut(), "x-amz-bucket-region", region);
            answer
        })),
        ("GET", true, Some("location")) => Ok(seen(shared, subresources::location_shown)),
        // A version of a data set is in its name, and none is ever changed.
        ("GET", true, Some("versioning")) => Ok(seen(shared, |_| xml_answer(Xml::new("VersioningConfiguration").finish()))),
        ("HEAD", false, _) => head(shared, request),
        ("GET", false, None) => read(shared, request),
        ("GET", false, Some("tagging")) => beside(shared, &request, |_, _| Ok(tags_shown(&Tags::default()))),
        ("GET", false, Some("attributes")) => beside(shared, &request, attributes_shown),
        ("GET", _, Some(other)) => Err(subresources::unknown(other)),
        _ => Err(Code::AccessDenied.problem("Access Denied: data sets are read here and committed by `strongroom data commit`")),
    }
}

/// What is told of the bucket itself, to whoever may list data sets.
fn seen(shared: Shared, render: fn(&str) -> Answer) -> Chosen {
    let region = std::sync::Arc::clone(&shared.region);
    let verb = SearchDatasets { room: shared.data, which: Which::default(), after: None, rows: Some(1) };
    Chosen::verb(verb, move |_| Ok(render(&region)))
}

fn manifest_of(shared: &Shared, name: &str, version: &str) -> ShowManifest {
    ShowManifest { room: shared.data.clone(), dataset: name.to_owned(), version: version.to_owned() }
}

fn list(shared: Shared, request: &Request) -> Result<Chosen, Problem> {
    let listed = Listed::of(request)?;
    let prefix = listed.prefix().to_owned();
    let Some((name, version, _)) = place(&prefix).filter(|_| prefix.contains('/')) else {
        return Err(Code::InvalidArgument.problem("name a version: a prefix such as NAME@VERSION/"));
    };
    let root = format!("{name}@{version}/");
    let verb = manifest_of(&shared, name, version);
    Ok(Chosen::verbs(move |visitor| {
        Box::pin(async move {
            let (entries, modified_at) = match visitor.call(verb).await {
                Ok(files) => (files.manifest.entries, modified_at(files.committed_at)),
                // Below a prefix that is none there is nothing.
                Err(problem) if problem.kind() == Kind::NotFound => (Vec::new(), Micros::default()),
                Err(problem) => return Err(problem),
            };
            let files = entries.iter().map(|entry| listing::File {
                key: format!("{root}{}", entry.path),
                size_bytes: entry.size_bytes,
                etag: opaque_etag(&entry.sha256, 1),
                modified_at,
                owner: String::new(),
                checksum: None,
            });
            listed.page_of(files)
        })
    }))
}

/// One file of a version, as its manifest has it.
struct Place {
    manifest: ShowManifest,
    path: String,
}

impl Place {
    fn of(shared: &Shared, request: &Request) -> Result<Self, Problem> {
        // A version of a data set is in its name: a file has none beside it.
        if request.version_id()?.is_some_and(|id| id != NULL_VERSION) {
            return Err(Code::NoSuchVersion.problem("The specified version does not exist: that of a data set is in its name"));
        }
        let (name, version, path) = place(&request.key).ok_or_else(no_key)?;
        // What can be no path of a file is none.
        let path = ArtifactPath::parse(path).map_err(|_| no_key())?;
        Ok(Self { manifest: manifest_of(shared, name, version), path: path.as_str().to_owned() })
    }

    /// What is known of it.
    async fn find(self, visitor: &Visitor) -> Result<Content, Problem> {
        let files = visitor.call(self.manifest).await.map_err(missing)?;
        let entry = files.manifest.entries.iter().find(|entry| entry.path == self.path).ok_or_else(no_key)?;
        let modified_at = modified_at(files.committed_at);
        Ok(Content { size_bytes: entry.size_bytes, sha256: entry.sha256, modified_at })
    }
}

/// What is known of a file.
#[derive(Clone, Copy)]
struct Content {
    size_bytes: u64,
    sha256: [u8; 32],
    modified_at: Micros,
}

/// A version never changes, but `latest` and `admitted` name another one from time to time: a file is as old as its version.
fn modified_at(committed_at: Option<Micros>) -> Micros {
    committed_at.unwrap_or_default()
}

fn beside(
    shared: Shared,
    request: &Request,
    render: fn(&HeaderMap, Content) -> Result<Answer, Problem>,
) -> Result<Chosen, Problem> {
    let (place, headers) = (Place::of(&shared, request)?, request.headers.clone());
    Ok(Chosen::verbs(move |visitor| Box::pin(async move { render(&headers, place.find(visitor).await?) })))
}

fn attributes_shown(headers: &HeaderMap, content: Content) -> Result<Answer, Problem> {
    let Content { size_bytes, sha256, modified_at } = content;
    let asked = headers::text(headers, "x-amz-object-attributes")
        .ok_or_else(|| Code::InvalidArgument.problem("the header x-amz-object-attributes names what is wanted"))?;
    let wants = |name: &str| asked.split(',').any(|one| one.trim() == name);
    let mut xml = Xml::new("GetObjectAttributesResponse");
    if wants("ETag") {
        xml.text("ETag", &opaque_etag(&sha256, 1));
    }
    if wants("Checksum") {
        xml.nest("Checksum", |xml| {
            xml.text("ChecksumSHA256", &wire::base64_text(&sha256));
            xml.text("ChecksumType", "FULL_OBJECT");
        });
    }
    if wants("StorageClass") {
        xml.text("StorageClass", "STANDARD");
    }
    if wants("ObjectSize") {
        xml.text("ObjectSize", &size_bytes.to_string());
    }
    let mut answer = xml_answer(xml.finish());
    put(answer.headers_mut(), "last-modified", &headers::http_date(modified_at));
    Ok(answer)
}

/// 304, where the reader has it already.
fn unchanged(when: &ReadConditions, content: Content, is_presigned: bool) -> Result<Option<Answer>, Problem> {
    let etag = opaque_etag(&content.sha256, 1);
    if !when.check(&etag, content.modified_at)? {
        return Ok(None);
    }
    let mut answer = Answer::new(Body::empty());
    *answer.status_mut() = StatusCode::NOT_MODIFIED;
    headers::put_etag(answer.headers_mut(), &etag);
    put(answer.headers_mut(), "last-modified", &headers::http_date(content.modified_at));
    harden_content(&mut answer, is_presigned);
    Ok(Some(answer))
}

/// Which bytes of a file are wanted, and whether they are told as a part of it: a file is its own only part.
fn wanted(request: &Request) -> Result<(Wanted, bool), Problem> {
    match objects::wanted(request)? {
        Of::Bytes(wanted) => Ok((wanted, wanted != Wanted::Whole)),
        Of::Part(1) => Ok((Wanted::Whole, true)),
        Of::Part(_) => Err(Code::InvalidPart.problem("The requested partnumber is not satisfiable")),
    }
}

fn out_of_range() -> Problem {
    Code::InvalidRange.problem("The requested range is not satisfiable")
}

fn head(shared: Shared, request: Request) -> Result<Chosen, Problem> {
    let (place, (wanted, is_partial)) = (Place::of(&shared, &request)?, wanted(&request)?);
    let wants_checksum = wants_checksum(&request) && wanted == Wanted::Whole;
    Ok(Chosen::verbs(move |visitor| {
        Box::pin(async move {
            let content = place.find(visitor).await?;
            let is_presigned = request.is_presigned();
            if let Some(answer) = unchanged(&headers::read_conditions(&request.headers, ""), content, is_presigned)? {
                return Ok(answer);
            }
            let range = wanted.within(content.size_bytes).ok_or_else(out_of_range)?;
            let mut answer = Answer::new(Body::empty());
            describe(&mut answer, content, wants_checksum);
            bound(&mut answer, content.size_bytes, &range, is_partial);
            harden_content(&mut answer, is_presigned);
            Ok(answer)
        })
    }))
}

fn wants_checksum(request: &Request) -> bool {
    headers::text(&request.headers, "x-amz-checksum-mode").is_some_and(|mode| mode.eq_ignore_ascii_case("enabled"))
}

fn describe(answer: &mut Answer, content: Content, wants_checksum: bool) {
    let Content { size_bytes, sha256, modified_at } = content;
    let out = answer.headers_mut();
    headers::put_etag(out, &opaque_etag(&sha256, 1));
    put(out, "accept-ranges", "bytes");
    put(out, "content-type", "binary/octet-stream");
    put(out, "x-amz-server-side-encryption", "AES256");
    put(out, "last-modified", &headers::http_date(modified_at));
    if wants_checksum && size_bytes > 0 {
        put(out, "x-amz-checksum-sha256", &wire::base64_text(&sha256));
        put(out, "x-amz-checksum-type", "FULL_OBJECT");
    }
}

fn read(shared: Shared, request: Request) -> Result<Chosen, Problem> {
    let place = Place::of(&shared, &request)?;
    let ((wanted, is_partial), when) = (wanted(&request)?, headers::read_conditions(&request.headers, ""));
    let run = headers::text(&request.headers, "x-strongroom-run").map(str::to_owned);
    let ShowManifest { room, dataset, version } = &place.manifest;
    let (room, dataset, version, path) = (room.clone(), dataset.clone(), version.clone(), place.path.clone());
    let verb = ReadFile { room, dataset, version, path, wanted, run };
    let (wants_checksum, is_presigned) = (wants_checksum(&request) && wanted == Wanted::Whole, request.is_presigned());
    Ok(Chosen::verbs(move |visitor| {
        Box::pin(async move {
            // What is not wanted after all is not read, and leaves no edge.
            if when != ReadConditions::default()
                && let Some(answer) = unchanged(&when, place.find(visitor).await?, is_presigned)?
            {
                return Ok(answer);
            }
            let Fetched::File(file) = visitor.call(verb).await.map_err(missing)? else {
                return Err(out_of_range());
            };
            let mut answer = sent(file, is_partial, wants_checksum);
            harden_content(&mut answer, is_presigned);
            Ok(answer)
        })
    }))
}

fn sent(file: Download, is_partial: bool, wants_checksum: bool) -> Answer {
    let Download { size_bytes, sha256, committed_at, range, body } = file;
    let mut answer = Answer::new(Body::from_stream(body));
    describe(&mut answer, Content { size_bytes, sha256, modified_at: modified_at(committed_at) }, wants_checksum);
    bound(&mut answer, size_bytes, &range, is_partial);
    answer
}

/// Which bytes of a file an answer has.
fn bound(answer: &mut Answer, size_bytes: u64, range: &Range<u64>, is_partial: bool) {
    let length = range.end.saturating_sub(range.start);
    let out = answer.headers_mut();
    put(out, "content-length", &length.to_string());
    if !is_partial {
        return;
    }
    if length > 0 {
        put(out, "content-range", &format!("bytes {}-{}/{size_bytes}", range.start, range.end.saturating_sub(1)));
    }
    *answer.status_mut() = StatusCode::PARTIAL_CONTENT;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_names_a_version_and_a_path() {
        assert_eq!(place("churn@3/a/b.csv"), Some(("churn", "3", "a/b.csv")));
        assert_eq!(place("churn@3"), Some(("churn", "3", "")));
        for none in ["churn", "churn/3", "@3/a", "churn@/a", ""] {
            assert_eq!(place(none), None, "{none}");
        }
    }
}
