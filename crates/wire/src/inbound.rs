//! A request on its way in: its head as an [`Attempt`], its body as fields or a stream.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::Body;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use futures_util::Stream;
use gate::{Attempt, Credential, DEFAULT_WORKSPACE, Visitor};
use http::request::Parts;
use http::{HeaderMap, Method, header};
use kernel::{Problem, Secret};

use crate::certificate::PeerCertificate;
use crate::form::Form;
use crate::held::Watch;

/// The browser's session cookie. The prefix makes browsers insist on TLS, this host and the root path.
pub const SESSION_COOKIE: &str = "__Host-strongroom";
/// What a browser keeps in which somebody logged in.
pub const KNOWN_COOKIE: &str = "__Host-strongroom-known";
/// `Authorization: Certificate device`: an agent that comes with nothing but its device's certificate, and says so, for a browser that has one
/// too is still a stranger until its person logs in.
const CERTIFICATE_SCHEME: &str = "certificate";
/// An `Authorization` header longer than this is not one of ours.
const AUTHORIZATION_BYTES_MAX: usize = 1_024;
/// A workspace's name, as it may stand in a header.
const WORKSPACE_BYTES_MAX: usize = 64;
/// What a client may call itself, as far as it is kept.
const USER_AGENT_BYTES_MAX: usize = 256;
/// Parameters in one query string.
const QUERY_COUNT_MAX: usize = 2_048;
/// How long a streamed body may stand still.
const STREAM_IDLE_MAX: Duration = Duration::from_secs(60);

/// A request after its sender was identified and its body was read.
#[derive(Debug)]
pub struct Inbound {
    /// The method.
    pub method: Method,
    /// The headers.
    pub headers: HeaderMap,
    /// The host and port that the client used.
    pub authority: String,
    /// The body, where it is not a stream.
    pub body: Bytes,
    path: Vec<(String, String)>,
    query: String,
    workspace: String,
}

impl Inbound {
    pub(crate) fn new(parts: Parts, path: Vec<(String, String)>, body: Bytes) -> Self {
        Self {
            authority: authority_of(&parts).unwrap_or_default().to_owned(),
            query: parts.uri.query().unwrap_or_default().to_owned(),
            workspace: workspace_of(&parts),
            method: parts.method,
            headers: parts.headers,
            body,
            path,
        }
    }

    /// A parameter of the path pattern, decoded once.
    #[must_use]
    pub fn path(&self, name: &str) -> &str {
        self.path.iter().find(|(known, _)| known == name).map_or("", |(_, value)| value)
    }

    /// The query's parameters in order, decoded once.
    ///
    /// # Errors
    /// `Invalid` for too many of them, a broken encoding or a NUL.
    pub fn query(&self) -> Result<Vec<(String, String)>, Problem> {
        let mut all = Vec::new();
        for pair in self.query.split('&').filter(|pair| !pair.is_empty()) {
            if all.len() >= QUERY_COUNT_MAX {
                return Err(Problem::invalid(format!("the query has more than {QUERY_COUNT_MAX} parameters")));
            }
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            all.push((without_nul(decode(name)?)?, without_nul(decode(value)?)?));
        }
        Ok(all)
    }

    /// The same as a form's fields, each of which comes once.
    ///
    /// # Errors
    /// As [`Inbound::query`] and [`Form::read`].
    pub fn query_form(&self) -> Result<Form, Problem> {
        self.query()?;
        Form::read(self.query.as_bytes())
    }

    /// The workspace that the client named, or the default one.
    #[must_use]
    pub fn workspace(&self) -> &str {
        &self.workspace
    }

    /// The host that the client used, without its port.
    #[must_use]
    pub fn host(&self) -> &str {
        crate::passage::host_name(&self.authority)
    }

    /// Scheme, host and port that the client used.
    #[must_use]
    pub fn origin(&self) -> String {
        format!("https://{}", self.authority)
    }

    /// The value of the session cookie, if one came.
    #[must_use]
    pub fn session_cookie(&self) -> Option<String> {
        cookie_of(&self.headers).map(str::to_owned)
    }

    /// The value of a cookie.
    #[must_use]
    pub fn cookie(&self, name: &str) -> Option<&str> {
        cookie_named(&self.headers, name)
    }

    /// The body as a page's form.
    ///
    /// # Errors
    /// As [`Form::read`].
    pub fn form(&self) -> Result<Form, Problem> {
        Form::read(&self.body)
    }

    /// A header as text.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }
}

pub(crate) fn decode(text: &str) -> Result<String, Problem> {
    let spaced = text.replace('+', " ");
    percent_encoding::percent_decode_str(&spaced)
        .decode_utf8()
        .map(std::borrow::Cow::into_owned)
        .map_err(|_| Problem::invalid("the query is not valid UTF-8 once decoded"))
}

/// A parameter of an address, which is looked up as a text: PostgreSQL has none with a NUL.
pub(crate) fn without_nul(text: String) -> Result<String, Problem> {
    if text.contains('\0') {
        return Err(Problem::invalid(
            "a parameter of the address holds a NUL (`%00`), which nothing here has in its name; leave it out",
        ));
    }
    Ok(text)
}

/// The host and port that a request is for.
#[must_use]
pub fn authority_of(parts: &Parts) -> Option<&str> {
    let host = || parts.headers.get(header::HOST).and_then(|value| value.to_str().ok());
    parts.uri.authority().map(http::uri::Authority::as_str).or_else(host)
}

/// What a request's head says of who sent it.
#[must_use]
pub fn attempt_from(parts: &Parts) -> Attempt {
    let text = |name: &str| parts.headers.get(name).and_then(|value| value.to_str().ok());
    Attempt {
        credential: credential_from(&parts.headers),
        address: crate::passage::peer_of(parts),
        user_agent: text("user-agent").map(|agent| agent.chars().take(USER_AGENT_BYTES_MAX).collect()),
        workspace: workspace_of(parts),
        client_certificate: parts.extensions.get::<PeerCertificate>().map(|shown| shown.0),
        known_browser: cookie_named(&parts.headers, KNOWN_COOKIE).map(|value| Secret::from(value.to_owned())),
    }
}

/// The workspace that a request names: in its header or, on the console's pages, whose links can send none, in its query.
fn workspace_of(parts: &Parts) -> String {
    workspace_in(&parts.headers, &parts.uri)
}

pub(crate) fn workspace_in(headers: &http::HeaderMap, uri: &http::Uri) -> String {
    let header = headers.get("x-mlflow-workspace").and_then(|value| value.to_str().ok()).map(|name| name.trim().to_owned());
    let named = header.filter(|name| !name.is_empty()).or_else(|| page_workspace(uri));
    named.as_deref().unwrap_or(DEFAULT_WORKSPACE).chars().take(WORKSPACE_BYTES_MAX).collect()
}

fn page_workspace(uri: &http::Uri) -> Option<String> {
    let is_page = uri.path() == "/" || uri.path() == "/console" || uri.path().starts_with("/console/");
    let pairs = uri.query().filter(|_| is_page)?.split('&').take(QUERY_COUNT_MAX);
    let value = pairs.filter_map(|pair| pair.split_once('=')).find(|(name, _)| *name == "workspace").map(|(_, value)| value)?;
    decode(value).ok().filter(|name| !name.is_empty())
}

fn credential_from(headers: &HeaderMap) -> Credential {
    let mut all = headers.get_all(header::AUTHORIZATION).iter();
    match (all.next(), all.next()) {
        (None, _) => session_from(headers),
        (Some(value), None) => value.to_str().map_or(Credential::Malformed, parse_authorization),
        (Some(_), Some(_)) => Credential::Malformed,
    }
}

fn parse_authorization(value: &str) -> Credential {
    let Some((scheme, rest)) = value.split_once(' ').filter(|_| value.len() <= AUTHORIZATION_BYTES_MAX) else {
        return Credential::Malformed;
    };
    if scheme.eq_ignore_ascii_case("bearer") {
        return Credential::Bearer(Secret::from(rest.trim().to_owned()));
    }
    if scheme.eq_ignore_ascii_case(CERTIFICATE_SCHEME) {
        return Credential::Certificate;
    }
    if scheme.eq_ignore_ascii_case("basic") {
        let pair = STANDARD.decode(rest.trim()).ok().and_then(|bytes| String::from_utf8(bytes).ok());
        return match pair.as_deref().and_then(|pair| pair.split_once(':')) {
            Some((username, password)) => {
                Credential::Basic { username: username.to_owned(), password: Secret::from(password.to_owned()) }
            }
            None => Credential::Malformed,
        };
    }
    Credential::Malformed
}

fn session_from(headers: &HeaderMap) -> Credential {
    cookie_of(headers).map_or(Credential::None, |value| Credential::Session(Secret::from(value.to_owned())))
}

fn cookie_of(headers: &HeaderMap) -> Option<&str> {
    cookie_named(headers, SESSION_COOKIE)
}

pub(crate) fn cookie_named<'a>(headers: &'a HeaderMap, wanted: &str) -> Option<&'a str> {
    for cookies in headers.get_all(header::COOKIE) {
        for cookie in cookies.to_str().unwrap_or_default().split(';') {
            if let Some((name, value)) = cookie.trim().split_once('=')
                && name == wanted
            {
                return Some(value);
            }
        }
    }
    None
}

/// A request's body as it arrives, as long as its sender may send it.
pub struct BodyStream {
    inner: Option<axum::body::BodyDataStream>,
    /// How long it may stand still; made when it first does.
    idle: Option<Pin<Box<tokio::time::Sleep>>>,
    /// Whether its sender may still do what it is for.
    watch: Option<Watch>,
    /// Whether its last byte came.
    is_read: bool,
}

impl BodyStream {
    pub(crate) fn new(body: Body) -> Self {
        Self { inner: Some(body.into_data_stream()), ..Self::empty() }
    }

    pub(crate) const fn empty() -> Self {
        Self { inner: None, idle: None, watch: None, is_read: false }
    }

    /// From now on it breaks off when this visitor may not do any more what they were allowed last. What takes no longer than others need
    /// to be shut out is not asked about.
    pub(crate) fn hold_to(&mut self, visitor: &Arc<Visitor>) {
        if self.inner.is_some() {
            self.watch = Some(Watch::new(Arc::clone(visitor)));
        }
    }

    fn broken(&mut self, problem: Problem) -> Poll<Option<Result<Bytes, Problem>>> {
        self.inner = None;
        Poll::Ready(Some(Err(problem)))
    }

    fn poll_bytes(&mut self, context: &mut Context<'_>) -> Poll<Option<Result<Bytes, Problem>>> {
        let Some(inner) = self.inner.as_mut() else { return Poll::Ready(None) };
        match Pin::new(inner).poll_next(context) {
            Poll::Ready(Some(Ok(bytes))) => {
                if let Some(idle) = &mut self.idle {
                    idle.as_mut().reset(tokio::time::Instant::now() + STREAM_IDLE_MAX);
                }
                Poll::Ready(Some(Ok(bytes)))
            }
            Poll::Ready(Some(Err(broken))) => self.broken(Problem::invalid("the body broke off before its end").because(broken)),
            Poll::Ready(None) => Poll::Ready(None),
            Poll::Pending => {
                let idle = self.idle.get_or_insert_with(|| Box::pin(tokio::time::sleep(STREAM_IDLE_MAX)));
                if idle.as_mut().poll(context).is_pending() {
                    return Poll::Pending;
                }
                self.broken(Problem::invalid(format!("the body stood still for {} s", STREAM_IDLE_MAX.as_secs())))
            }
        }
    }
}

impl Stream for BodyStream {
    type Item = Result<Bytes, Problem>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = &mut *self;
        if this.inner.is_none() {
            return Poll::Ready(None);
        }
        if !this.is_read {
            match this.watch.as_mut().map_or(Poll::Ready(true), |watch| watch.may_go(context)) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(false) => return this.broken(not_any_more()),
                Poll::Ready(true) => {}
            }
            match this.poll_bytes(context) {
                Poll::Ready(None) => this.is_read = true,
                other => return other,
            }
        }
        // Nothing of it is committed yet.
        match this.watch.as_mut().map_or(Poll::Ready(true), |watch| watch.may_end(context)) {
            Poll::Pending => Poll::Pending,
            Poll::Ready(false) => this.broken(not_any_more()),
            Poll::Ready(true) => {
                this.inner = None;
                Poll::Ready(None)
            }
        }
    }
}

fn not_any_more() -> Problem {
    Problem::forbidden("the caller may not do this any more; nothing of the body was kept")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_names_its_workspace_in_its_address_and_nothing_else_does() {
        let named = |uri: &str, header: Option<&str>| {
            let mut request = http::Request::builder().uri(uri);
            if let Some(header) = header {
                request = request.header("x-mlflow-workspace", header);
            }
            workspace_of(&request.body(()).unwrap().into_parts().0)
        };
        for (uri, header, workspace) in [
            ("/console/data?after=a&workspace=churn", None, "churn"),
            ("/console?workspace=a%20b", None, "a b"),
            ("/console?workspace=", None, "default"),
            ("/console?workspace=%ff", None, "default"),
            ("/console?workspace=churn", Some("fraud"), "fraud"),
            ("/consoles?workspace=churn", None, "default"),
            ("/api/2.0/mlflow/runs/get?workspace=churn", None, "default"),
        ] {
            assert_eq!(named(uri, header), workspace, "{uri}");
        }
    }

    #[test]
    fn no_parameter_holds_a_nul() {
        let inbound = |query: &str| {
            let request = http::Request::builder().uri(format!("/console/models?{query}")).body(()).unwrap();
            Inbound::new(request.into_parts().0, Vec::new(), Bytes::new())
        };
        for nul in ["model=a%00", "%00=a", "a=1&after=%00", "a=%2B%00%2B"] {
            let refused = inbound(nul).query().unwrap_err();
            assert!(refused.message().contains("NUL"), "{nul}: {refused}");
            assert!(inbound(nul).query_form().is_err(), "{nul}");
        }
        assert_eq!(
            inbound("a=%2500&b=0").query().unwrap(),
            [("a".to_owned(), "%00".to_owned()), ("b".to_owned(), "0".to_owned())]
        );
    }

    #[test]
    fn credentials_are_read_or_refused_never_ignored() {
        assert!(matches!(parse_authorization("Bearer abc"), Credential::Bearer(_)));
        assert!(matches!(parse_authorization("basic YTpi"), Credential::Basic { username, .. } if username == "a"));
        for bad in ["", "Bearer", "Digest x", "Basic ???", "Basic YWI="] {
            assert!(matches!(parse_authorization(bad), Credential::Malformed), "{bad}");
        }
    }
}
