//! What the door does for people's pages beside what it does for all: where a page of a problem leads back to, and pages that are sent smaller.

use std::io::Write;

use axum::body::Body;
use axum::extract::Request;
use flate2::Compression;
use flate2::write::GzEncoder;
use http::{HeaderValue, Method, StatusCode, Uri, header};
use http_body::Body as _;

use crate::outbound::Answer;

/// Where the console's pages are.
const CONSOLE: &str = "/console";
/// A smaller answer is sent as it is.
const COMPRESSED_BYTES_MIN: u64 = 2 * 1024;
/// And so is a larger one, which would be held whole.
const COMPRESSED_BYTES_MAX: u64 = 16 * 1024 * 1024;

tokio::task_local! {
    /// The address of the page that is being made.
    pub(crate) static HERE: Option<String>;
}

/// The address of the page that is being made, with its parameters; none where no page is asked for.
#[must_use]
pub fn address_here() -> Option<String> {
    HERE.try_with(Clone::clone).ok().flatten()
}

/// The same of a request, if it is for a page.
pub(crate) fn page_of(uri: &Uri) -> Option<String> {
    (is_page(uri.path()) || uri.path() == "/").then(|| own_path(uri))
}

/// Where somebody was who met a problem.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Whence {
    /// The workspace that they were in.
    pub workspace: String,
    /// The page of ours that led here; empty if none did.
    pub back: String,
}

impl Whence {
    pub(crate) fn of(request: &Request) -> Self {
        let workspace = crate::inbound::workspace_in(request.headers(), request.uri());
        let back = referer(request).filter(|path| request.method() != Method::GET || *path != own_path(request.uri()));
        Self { workspace, back: back.unwrap_or_default() }
    }
}

/// An address on this server, with its parameters.
pub(crate) fn own_path(uri: &Uri) -> String {
    uri.path_and_query().map(ToString::to_string).unwrap_or_default()
}

/// The page that led here, if it is one of this server: browsers send a whole address to nobody else, as pages ask them to.
fn referer(request: &Request) -> Option<String> {
    let named: Uri = request.headers().get(header::REFERER)?.to_str().ok()?.parse().ok()?;
    let host = request.uri().authority().map(ToString::to_string);
    let host = host.or_else(|| request.headers().get(header::HOST)?.to_str().ok().map(str::to_owned))?;
    (named.authority()?.as_str() == host).then(|| own_path(&named)).filter(|path| crate::local_path(path).is_some())
}

/// Whether an address is one of the pages for people.
pub(crate) fn is_page(path: &str) -> bool {
    lies_under(path, CONSOLE) || lies_under(path, "/account")
}

/// Whether a path is this one, or below it.
#[must_use]
pub fn lies_under(path: &str, above: &str) -> bool {
    path.strip_prefix(above).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// Whether an answer to this may be compressed. The length of what is compressed together tells of what is alike in it (BREACH), so nothing is that
/// holds a secret beside something which another site can choose: a page of the account is not, which shows secrets, and no page of an address with
/// parameters, which stand on it. What is left holds only what is stored here, what its path names, and what its visitor typed into a form of ours: forms
/// of other sites come without the session, and are refused for their origin beside.
pub(crate) fn may_compress(request: &Request) -> bool {
    let is_console = lies_under(request.uri().path(), CONSOLE);
    let is_plain = request.uri().query().is_none_or(|query| query.starts_with("workspace=") && !query.contains('&'));
    let takes_it = |value: &HeaderValue| {
        value.to_str().is_ok_and(|text| text.split(',').any(|one| matches!(one.trim(), "gzip" | "gzip;q=1" | "gzip;q=1.0")))
    };
    let accepts = request.headers().get_all(header::ACCEPT_ENCODING).iter().any(takes_it);
    matches!(*request.method(), Method::GET | Method::POST) && is_console && is_plain && accepts
}

/// The same answer, smaller, if it is a page or a style or script of one.
pub(crate) async fn compressed(answer: Answer) -> Answer {
    let kind = answer.headers().get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let is_text = ["text/html", "text/css", "text/javascript"].iter().any(|text| kind.starts_with(text));
    let size = answer.body().size_hint().exact();
    let fits = size.is_some_and(|size| (COMPRESSED_BYTES_MIN..=COMPRESSED_BYTES_MAX).contains(&size));
    if answer.status() != StatusCode::OK || !is_text || !fits || answer.headers().contains_key(header::CONTENT_ENCODING) {
        return answer;
    }
    let (mut parts, body) = answer.into_parts();
    let Ok(whole) = axum::body::to_bytes(body, usize::try_from(COMPRESSED_BYTES_MAX).unwrap_or(usize::MAX)).await else {
        return crate::problem_answer(
            &kernel::Problem::internal("a page could not be read to be sent", "its body broke off"),
            true,
        );
    };
    match gzip(&whole) {
        Ok(smaller) => {
            parts.headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
            parts.headers.append(header::VARY, HeaderValue::from_static("accept-encoding"));
            parts.headers.remove(header::CONTENT_LENGTH);
            Answer::from_parts(parts, Body::from(smaller))
        }
        Err(_) => Answer::from_parts(parts, Body::from(whole)),
    }
}

fn gzip(bytes: &[u8]) -> std::io::Result<Vec<u8>> {
    let mut encoder = GzEncoder::new(Vec::with_capacity(bytes.len() / 4), Compression::fast());
    encoder.write_all(bytes)?;
    encoder.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(method: Method, uri: &str, headers: &[(&str, &str)]) -> Request {
        let mut request = http::Request::builder().method(method).uri(uri).header("host", "here:8443");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        request.body(Body::empty()).unwrap()
    }

    #[test]
    fn a_problem_leads_back_to_a_page_of_ours_and_to_nothing_else() {
        let back = |method, uri, referer| Whence::of(&request(method, uri, &[("referer", referer)])).back;
        assert_eq!(back(Method::POST, "/console/data/a/1", "https://here:8443/console/data/a/1"), "/console/data/a/1");
        assert_eq!(back(Method::GET, "/console/data/b", "https://here:8443/console/data?state=x"), "/console/data?state=x");
        assert_eq!(back(Method::GET, "/console/data", "https://here:8443/console/data"), "", "a reloaded page leads nowhere");
        assert_eq!(back(Method::GET, "/console/data", "https://elsewhere/console/data"), "");
        assert_eq!(Whence::of(&request(Method::GET, "/console/data?workspace=churn", &[])).workspace, "churn");
    }

    #[test]
    fn no_secret_is_compressed_beside_what_another_site_chooses() {
        let may = |method, uri, encoding| may_compress(&request(method, uri, &[("accept-encoding", encoding)]));
        assert!(may(Method::GET, "/console/runs/a", "gzip, br") && may(Method::GET, "/console?workspace=churn", "gzip"));
        assert!(may(Method::POST, "/console/data/a/contract", "gzip"));
        for (method, uri, encoding) in [
            (Method::GET, "/console/audit?text=a", "gzip"),
            (Method::GET, "/console?workspace=churn&text=a", "gzip"),
            (Method::GET, "/account", "gzip"),
            (Method::GET, "/consoles", "gzip"),
            (Method::POST, "/console/data/a/contract?text=a", "gzip"),
            (Method::POST, "/account/tokens", "gzip"),
            (Method::GET, "/console", "br"),
            (Method::GET, "/console", "gzip;q=0"),
        ] {
            assert!(!may(method, uri, encoding), "{uri} {encoding}");
        }
    }

    #[tokio::test]
    async fn a_page_is_sent_smaller_and_reads_the_same() {
        use std::io::Read;
        let page = "<p>a page</p>".repeat(1_000);
        let mut answer = Answer::new(Body::from(page.clone()));
        answer.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8"));
        let sent = compressed(answer).await;
        assert_eq!(sent.headers().get(header::CONTENT_ENCODING).unwrap(), "gzip");
        let bytes = axum::body::to_bytes(sent.into_body(), usize::MAX).await.unwrap();
        let mut read = String::new();
        flate2::read::GzDecoder::new(&bytes[..]).read_to_string(&mut read).unwrap();
        assert!(bytes.len() < page.len() / 10 && read == page);
        let plain = compressed(Answer::new(Body::from(page))).await;
        assert!(!plain.headers().contains_key(header::CONTENT_ENCODING), "only pages");
    }
}
