//! Data sets by S3: `datasets/NAME@VERSION/PATH` is a file of a committed version, to be read and nothing else. Each read is the same verb
//! as `strongroom data fetch` asks for: the same permits, the same observed edge.

use artifacts::{Download, Fetched, Wanted};
use axum::body::Body;
use buckets::{Code, opaque_etag};
use data::ops::{ReadFile, ShowManifest};
use gate::{Action, Operation};
use http::{Method, StatusCode};
use kernel::Problem;
use wire::{Answer, Chosen};

use crate::headers::{self, put};
use crate::listing::{self, Listed};
use crate::route::Request;
use crate::{Shared, empty};

/// The bucket that no workspace has.
pub const BUCKET: &str = "datasets";

/// The verb of a request.
pub fn action_of(method: &Method, has_key: bool) -> Action {
    if has_key && method == Method::GET { ReadFile::ACTION } else { ShowManifest::ACTION }
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

/// What a request asks for.
pub fn choose(shared: Shared, request: Request) -> Result<Chosen, Problem> {
    match (request.method.as_str(), request.key.is_empty()) {
        ("GET", true) => list(shared, &request),
        ("HEAD", true) => Ok(Chosen::verbs(|_| Box::pin(async { Ok(empty(StatusCode::OK)) }))),
        ("HEAD", false) => head(shared, &request),
        ("GET", false) => read(shared, request),
        _ => Err(Code::AccessDenied.problem("Access Denied: data sets are read here and committed by `strongroom data commit`")),
    }
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
    Ok(Chosen::verb(manifest_of(&shared, name, version), move |manifest| {
        let files = manifest.entries.iter().map(|entry| listing::File {
            key: format!("{root}{}", entry.path),
            size_bytes: entry.size_bytes,
            etag: opaque_etag(&entry.sha256, 1),
            modified_at: kernel::Micros(0),
            owner: String::new(),
            checksum: None,
        });
        listed.page_of(files)
    }))
}

fn head(shared: Shared, request: &Request) -> Result<Chosen, Problem> {
    let (name, version, path) = place(&request.key).filter(|(_, _, path)| !path.is_empty()).ok_or_else(no_key)?;
    let path = path.to_owned();
    let wants_checksum = wants_checksum(request);
    Ok(Chosen::verb(manifest_of(&shared, name, version), move |manifest| {
        let entry = manifest.entries.iter().find(|entry| entry.path == path).ok_or_else(no_key)?;
        let mut answer = empty(StatusCode::OK);
        describe(&mut answer, entry.size_bytes, &entry.sha256, wants_checksum);
        put(answer.headers_mut(), "content-length", &entry.size_bytes.to_string());
        Ok(answer)
    }))
}

fn wants_checksum(request: &Request) -> bool {
    headers::text(&request.headers, "x-amz-checksum-mode").is_some_and(|mode| mode.eq_ignore_ascii_case("enabled"))
}

fn describe(answer: &mut Answer, size_bytes: u64, sha256: &[u8; 32], wants_checksum: bool) {
    let out = answer.headers_mut();
    headers::put_etag(out, &opaque_etag(sha256, 1));
    put(out, "accept-ranges", "bytes");
    put(out, "content-type", "binary/octet-stream");
    put(out, "x-amz-server-side-encryption", "AES256");
    // A version never changes: it is as old as time for every condition on dates.
    put(out, "last-modified", &headers::http_date(kernel::Micros(0)));
    if wants_checksum && size_bytes > 0 {
        put(out, "x-amz-checksum-sha256", &wire::base64_text(sha256));
        put(out, "x-amz-checksum-type", "FULL_OBJECT");
    }
}

fn read(shared: Shared, request: Request) -> Result<Chosen, Problem> {
    let (name, version, path) = place(&request.key).filter(|(_, _, path)| !path.is_empty()).ok_or_else(no_key)?;
    let wanted = headers::range(&request.headers);
    let run = headers::text(&request.headers, "x-strongroom-run").map(str::to_owned);
    let verb =
        ReadFile { room: shared.data, dataset: name.to_owned(), version: version.to_owned(), path: path.to_owned(), wanted, run };
    let is_partial = wanted != Wanted::Whole;
    let wants_checksum = wants_checksum(&request) && !is_partial;
    Ok(Chosen::verb(verb, move |fetched| {
        let Fetched::File(Download { size_bytes, sha256, range, body }) = fetched else {
            return Err(Code::InvalidRange.problem("The requested range is not satisfiable"));
        };
        let mut answer = Answer::new(Body::from_stream(body));
        describe(&mut answer, size_bytes, &sha256, wants_checksum);
        let out = answer.headers_mut();
        put(out, "content-length", &range.end.saturating_sub(range.start).to_string());
        if is_partial {
            put(out, "content-range", &format!("bytes {}-{}/{size_bytes}", range.start, range.end.saturating_sub(1)));
            *answer.status_mut() = StatusCode::PARTIAL_CONTENT;
        }
        wire::harden(&mut answer);
        Ok(answer)
    }))
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
