//! Versions and locks of the bucket that objects lie in, which `object_store` does not speak: Object Lock of S3 (Amazon S3 API Reference,
//! `PutObjectRetention`, `PutObjectLegalHold`). What is asked for is read back and compared: a store that drops a lock silently is found at once.

use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use bytes::Bytes;
use futures_util::{Stream, TryStreamExt};
use http::{HeaderMap, Method, Request, StatusCode};
use kernel::{Micros, Problem};
use md5::Digest;
use object_store::ClientOptions;
use object_store::aws::{AwsAuthorizer, AwsCredentialProvider};
use object_store::client::{HttpClient, HttpConnector, HttpRequest, HttpRequestBody, ReqwestConnector};

use super::remote::S3Location;
use super::seal::{Seal, SealMode};
use super::xml;

/// An answer is a few lines; a list of the versions of one key, a few more.
const ANSWER_BYTES_MAX: usize = 1 << 20;
/// How much of what it says is repeated.
const SAID_CHARS_MAX: usize = 200;
/// Versions of one key that are taken away; there is one, unless somebody else writes there.
const ROUND_COUNT_MAX: usize = 16;

/// The bucket, spoken to directly. Cheap to clone.
#[derive(Clone)]
pub(super) struct Worm(Arc<Inner>);

struct Inner {
    http: HttpClient,
    credentials: AwsCredentialProvider,
    /// The bucket's address, without a slash at its end.
    url: String,
    region: String,
}

pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) body: String,
}

/// A version in the bucket.
pub(super) struct StoredVersion {
    pub(super) key: String,
    pub(super) id: String,
}

impl Worm {
    pub(super) fn new(
        options: &ClientOptions,
        credentials: AwsCredentialProvider,
        location: &S3Location,
    ) -> Result<Self, Problem> {
        let http = ReqwestConnector::default().connect(options);
        let http = http.map_err(|error| Problem::invalid("the object store's settings are not usable").because(error))?;
        let endpoint = match &location.endpoint {
            Some(endpoint) => endpoint.trim_end_matches('/').to_owned(),
            None => format!("https://s3.{}.amazonaws.com", location.region),
        };
        let url = format!("{endpoint}/{}", location.bucket);
        Ok(Self(Arc::new(Inner { http, credentials, url, region: location.region.clone() })))
    }

    /// Sends one signed request. `target` is what stands behind the bucket's address.
    pub(super) async fn ask(
        &self,
        method: Method,
        target: &str,
        headers: &[(&'static str, &str)],
        body: impl Into<Bytes>,
    ) -> Result<Answer, Problem> {
        let body: Bytes = body.into();
        let unusable = |error: http::Error| Problem::internal("a request to the object store could not be made", error);
        // What a HEAD is answered says how long the object is, not how long the answer.
        let has_body = method != Method::HEAD;
        let mut request = Request::builder().method(method).uri(format!("{}{target}", self.0.url));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        if !body.is_empty() {
            // Stores take nothing that has to do with locks without a checksum, and some of them no other than this one.
            request = request.header("content-md5", BASE64.encode(md5::Md5::digest(&body)));
        }
        let mut request: HttpRequest = request.body(HttpRequestBody::from(body)).map_err(unusable)?;
        let unavailable = |error| Problem::unavailable("the object store's credentials cannot be had").because(error);
        let credential = self.0.credentials.get_credential().await.map_err(unavailable)?;
        AwsAuthorizer::new(&credential, "s3", &self.0.region)
            .try_authorize(&mut request, None)
            .map_err(|error| Problem::internal("a request to the object store could not be signed", error))?;
        let sent = self.0.http.execute(request).await;
        let answer = sent.map_err(|error| Problem::unavailable("the object store does not answer").because(error))?;
        let (head, body) = answer.into_parts();
        let length = head.headers.get(http::header::CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse::<usize>().ok());
        if has_body && length.is_some_and(|length| length > ANSWER_BYTES_MAX) {
            return Err(too_long());
        }
        // The length may be missing, or a lie.
        let body =
            body.bytes_stream().map_err(|error| Problem::unavailable("the object store's answer broke off").because(error));
        let body = bounded(body).await?;
        Ok(Answer { status: head.status, headers: head.headers, body: String::from_utf8_lossy(&body).into_owned() })
    }

    async fn done(
        &self,
        method: Method,
        target: &str,
        headers: &[(&'static str, &str)],
        body: impl Into<Bytes>,
    ) -> Result<Answer, Problem> {
        let answer = self.ask(method, target, headers, body).await?;
        if answer.status.is_success() { Ok(answer) } else { Err(answer.refused()) }
    }

    /// Locks the newest version of `key`, and reads back that it is locked so. A lock that is there already, and stricter, stays.
    pub(super) async fn lock(&self, key: &str, seal: Seal) -> Result<(), Problem> {
        let head = self.done(Method::HEAD, &format!("/{key}"), &[], "").await?;
        let version =
            head.version().ok_or_else(|| Problem::unavailable("the object store names no version of what it stored"))?;
        let there = self.retention(key, &version).await?;
        if let Some(wanted) = seal.retention.map(|(mode, until)| (mode, whole_second(until)))
            && !there.is_some_and(|there| covers(there, wanted))
        {
            self.retain(key, &version, wanted, false).await?;
            let kept = self.retention(key, &version).await?;
            if !kept.is_some_and(|kept| covers(kept, wanted)) {
                return Err(not_kept("a retention"));
            }
        }
        if self.hold(key, &version).await? != seal.hold {
            self.set_hold(key, &version, seal.hold).await?;
            if self.hold(key, &version).await? != seal.hold {
                return Err(not_kept("a legal hold"));
            }
        }
        Ok(())
    }

    /// The retention of a version; none if it has none.
    pub(super) async fn retention(&self, key: &str, version: &str) -> Result<Option<(SealMode, Micros)>, Problem> {
        let answer = self.ask(Method::GET, &format!("/{key}?retention&versionId={version}"), &[], "").await?;
        if answer.status == StatusCode::NOT_FOUND {
            return Ok(None);
        }
        if !answer.status.is_success() {
            return Err(answer.refused());
        }
        let mode = match xml::text(&answer.body, "Mode") {
            None => return Ok(None),
            Some("COMPLIANCE") => SealMode::Compliance,
            Some("GOVERNANCE") => SealMode::Governance,
            Some(_) => return Err(not_kept("a mode")),
        };
        let until = xml::text(&answer.body, "RetainUntilDate").and_then(xml::moment).ok_or_else(|| not_kept("a date"))?;
        Ok(Some((mode, until)))
    }

    pub(super) async fn retain(
        &self,
        key: &str,
        version: &str,
        (mode, until): (SealMode, Micros),
        bypass: bool,
    ) -> Result<(), Problem> {
        let body = format!(
            "<Retention xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"><Mode>{}</Mode><RetainUntilDate>{}</RetainUntilDate></Retention>",
            mode.word(),
            until.rfc3339_seconds()
        );
        let headers: &[(&str, &str)] = if bypass { &[("x-amz-bypass-governance-retention", "true")] } else { &[] };
        self.done(Method::PUT, &format!("/{key}?retention&versionId={version}"), headers, body).await.map(drop)
    }

    async fn hold(&self, key: &str, version: &str) -> Result<bool, Problem> {
        let answer = self.ask(Method::GET, &format!("/{key}?legal-hold&versionId={version}"), &[], "").await?;
        match answer.status {
            StatusCode::NOT_FOUND => Ok(false),
            status if status.is_success() => Ok(xml::text(&answer.body, "Status") == Some("ON")),
            _ => Err(answer.refused()),
        }
    }

    async fn set_hold(&self, key: &str, version: &str, hold: bool) -> Result<(), Problem> {
        let word = if hold { "ON" } else { "OFF" };
        let body = format!("<LegalHold xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"><Status>{word}</Status></LegalHold>");
        self.done(Method::PUT, &format!("/{key}?legal-hold&versionId={version}"), &[], body).await.map(drop)
    }

    /// Takes every version of `key` away for good. Gives whether none is left: what the bucket holds is.
    pub(super) async fn delete(&self, key: &str) -> Result<bool, Problem> {
        for _ in 0..ROUND_COUNT_MAX {
            let found: Vec<_> = self.versions(key).await?.into_iter().filter(|version| version.key == key).collect();
            if found.is_empty() {
                return Ok(true);
            }
            for version in found {
                if !self.delete_version(key, &version.id, false).await? && !self.delete_version(key, &version.id, true).await? {
                    return Ok(false);
                }
            }
        }
        Ok(false)
    }

    /// Takes one version away. Gives whether it went: one that is locked does not.
    pub(super) async fn delete_version(&self, key: &str, version: &str, bypass: bool) -> Result<bool, Problem> {
        let headers: &[(&str, &str)] = if bypass { &[("x-amz-bypass-governance-retention", "true")] } else { &[] };
        let answer = self.ask(Method::DELETE, &format!("/{key}?versionId={version}"), headers, "").await?;
        match answer.status {
            StatusCode::FORBIDDEN => Ok(false),
            StatusCode::NOT_FOUND => Ok(true),
            status if status.is_success() => Ok(true),
            _ => Err(answer.refused()),
        }
    }

    /// The first versions and markers whose keys begin with `prefix`.
    pub(super) async fn versions(&self, prefix: &str) -> Result<Vec<StoredVersion>, Problem> {
        let prefix = prefix.replace('/', "%2F");
        let answer = self.done(Method::GET, &format!("/?versions&max-keys=100&prefix={prefix}"), &[], "").await?;
        let elements = xml::elements(&answer.body, "Version").chain(xml::elements(&answer.body, "DeleteMarker"));
        let read = |element: &str| {
            let (key, id) = (xml::text(element, "Key")?, xml::text(element, "VersionId")?);
            xml::is_plain(id).then(|| StoredVersion { key: key.to_owned(), id: id.to_owned() })
        };
        elements.map(read).collect::<Option<Vec<_>>>().ok_or_else(|| Problem::unavailable("the object store's list is not one"))
    }
}

impl Answer {
    /// The version that it speaks of.
    pub(super) fn version(&self) -> Option<String> {
        let id = self.headers.get("x-amz-version-id")?.to_str().ok()?;
        (id != "null" && xml::is_plain(id)).then(|| id.to_owned())
    }

    pub(super) fn refused(&self) -> Problem {
        let said = xml::text(&self.body, "Code").unwrap_or("no code");
        let said: String = said.chars().take(SAID_CHARS_MAX).collect();
        Problem::unavailable(format!("the object store refused a lock or a version ({}, {said})", self.status.as_u16()))
    }
}

/// An answer as its pieces come, given up at the first that is beyond the bound.
async fn bounded(mut pieces: impl Stream<Item = Result<Bytes, Problem>> + Unpin) -> Result<Vec<u8>, Problem> {
    let mut read = Vec::new();
    while let Some(piece) = pieces.try_next().await? {
        if piece.len() > ANSWER_BYTES_MAX.saturating_sub(read.len()) {
            return Err(too_long());
        }
        read.extend_from_slice(&piece);
    }
    Ok(read)
}

fn too_long() -> Problem {
    Problem::unavailable("the object store's answer is too long")
}

/// Whether what is there is at least what is wanted.
fn covers(there: (SealMode, Micros), wanted: (SealMode, Micros)) -> bool {
    there.1 >= wanted.1 && (there.0 == wanted.0 || there.0 == SealMode::Compliance)
}

/// A store counts in seconds: the next one, so that nothing is held less long than was said.
fn whole_second(at: Micros) -> Micros {
    Micros(at.0.div_euclid(1_000_000).saturating_mul(1_000_000)).plus_secs(i64::from(at.0.rem_euclid(1_000_000) > 0))
}

fn not_kept(what: &str) -> Problem {
    Problem::unavailable(format!(
        "the object store did not keep {what} as it was asked to: nothing is stored there that must be held"
    ))
}

#[cfg(test)]
mod tests {
    use std::io::{ErrorKind, Read, Write};
    use std::net::TcpListener;
    use std::thread::JoinHandle;

    use object_store::StaticCredentialProvider;
    use object_store::aws::AwsCredential;

    use super::*;

    const PIECE_BYTES: usize = 64 << 10;

    /// A store that says no length and answers one request with `bytes`. Gives its address, and how much was taken of it.
    fn lengthless(bytes: usize) -> (String, JoinHandle<usize>) {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("its address");
        let serving = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().expect("a connection");
            let mut asked = Vec::new();
            let mut byte = [0];
            while !asked.ends_with(b"\r\n\r\n") && stream.read(&mut byte).expect("a request") > 0 {
                asked.push(byte[0]);
            }
            stream.write_all(b"HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n").expect("a head");
            let mut written = 0;
            while written < bytes {
                match stream.write(&[b'x'; PIECE_BYTES][..PIECE_BYTES.min(bytes - written)]) {
                    Ok(count) => written += count,
                    Err(error) if matches!(error.kind(), ErrorKind::ConnectionReset | ErrorKind::BrokenPipe) => break,
                    Err(error) => panic!("{error}"),
                }
            }
            written
        });
        (format!("http://{address}"), serving)
    }

    async fn asked(endpoint: String) -> Result<Answer, Problem> {
        let location = S3Location {
            bucket: "held".to_owned(),
            region: "eu-central-1".to_owned(),
            endpoint: Some(endpoint),
            credentials: None,
            prefix: String::new(),
            allow_insecure_http: true,
            ca: None,
        };
        let credential = AwsCredential { key_id: "id".to_owned(), secret_key: "key".to_owned(), token: None };
        let credentials = Arc::new(StaticCredentialProvider::new(credential));
        let worm = Worm::new(&ClientOptions::new().with_allow_http(true), credentials, &location)?;
        worm.ask(Method::GET, "/key?retention", &[], "").await
    }

    /// Waits aside: a connection is closed by the runtime that this test runs on.
    async fn served(serving: JoinHandle<usize>) -> usize {
        tokio::task::spawn_blocking(|| serving.join().expect("served")).await.expect("waited")
    }

    #[tokio::test]
    async fn an_answer_without_a_length_is_read_up_to_the_bound_and_not_beyond() {
        let (endpoint, serving) = lengthless(ANSWER_BYTES_MAX);
        let answer = asked(endpoint).await.expect("an answer within the bound");
        assert_eq!((answer.body.len(), served(serving).await), (ANSWER_BYTES_MAX, ANSWER_BYTES_MAX));

        // More than what a connection's buffers hold: the store notices that nobody reads on.
        let endless = 256 << 20;
        let (endpoint, serving) = lengthless(endless);
        let problem = asked(endpoint).await.err().expect("an answer beyond the bound is refused");
        assert!(problem.to_string().contains("too long"), "{problem}");
        let taken = served(serving).await;
        assert!(taken < endless / 4, "{taken} bytes were taken");
    }
}
