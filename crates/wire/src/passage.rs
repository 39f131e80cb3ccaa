//! A request's way through the door, always in the same order: may this host and origin ask → who is it → read the body, bounded → pass the
//! gate → answer. A request has a turn while it is worked on, not while it is on its way.

use std::net::IpAddr;
use std::sync::Arc;

use axum::body::Body;
use axum::extract::{RawPathParams, Request};
use axum::response::Response;
use gate::{Action, Attempt, Gate, StatementKind, Visitor};
use http::{Method, StatusCode, header, request::Parts};
use http_body::Body as _;
use kernel::{Kind, Problem, limits};
use tokio::sync::{Semaphore, SemaphorePermit};

use crate::bodies::{Bodies, Held, Unread};
use crate::door::{Chosen, DoorConfig, PeerAddress};
use crate::held::held;
use crate::inbound::{BodyStream, Inbound, attempt_from, authority_of, without_nul};
use crate::language::{Asked, Knock, Language};
use crate::outbound::{Answer, problem_answer};
use crate::pages::{self, Whence};

/// A form of a language that is a credential.
const FORM_BYTES_MAX: usize = 16 * 1024;
/// Where the Open Inference Protocol is spoken: its errors have a form of their own.
const OIP: &str = "/v2";
/// Where a session is ended.
const LOG_OUT: &str = "/logout";
/// Requests being worked on at once, and streams being taken in. Beyond it a client is told to come back.
const IN_FLIGHT_COUNT_MAX: usize = 1_024;
const STREAM_COUNT_MAX: usize = 1_024;
/// A body that is larger is taken apart on a thread of its own, a few at a time: others do not wait for it.
const LARGE_BODY_BYTES_MIN: usize = 256 * 1024;
const LARGE_PARSE_COUNT_MAX: usize = 2;
/// What a route that no room knows would do.
pub(crate) const UNROUTED: Action = Action::read("server.unrouted");

/// What all requests share.
pub(crate) struct Shared {
    gate: Gate,
    pub(crate) config: DoorConfig,
    in_flight: Semaphore,
    streams: Semaphore,
    parsing: Semaphore,
    bodies: Bodies,
}

/// What the body of a route is for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum BodyKind {
    Whole,
    Stream,
    Login,
    Callback,
    Exchange,
    Node,
    Statement(StatementKind),
}

impl Shared {
    pub(crate) fn new(gate: Gate, config: DoorConfig) -> Self {
        Self {
            gate,
            config,
            in_flight: Semaphore::new(IN_FLIGHT_COUNT_MAX),
            streams: Semaphore::new(STREAM_COUNT_MAX),
            parsing: Semaphore::new(LARGE_PARSE_COUNT_MAX),
            bodies: Bodies::default(),
        }
    }

    /// Answers a request of a route.
    pub(crate) async fn answer<P>(&self, request: Request, action: Action, kind: BodyKind, choose: &Arc<P>) -> Response
    where
        P: Fn(&Inbound, BodyStream) -> Result<Chosen, Problem> + Send + Sync + 'static,
    {
        let by_browser = is_browser(request.headers());
        let shows_page = is_navigation(request.headers());
        let speaks_oip = pages::lies_under(request.uri().path(), OIP);
        let speaks_scim = is_scim(request.uri().path());
        let speaks_grpc = is_grpc(request.headers());
        let is_login = matches!(kind, BodyKind::Login | BodyKind::Callback);
        // Only pages are led back from; programs, which ask far more often, pay nothing for it.
        let back_to = if is_login || shows_page { crate::login::back_to(&request, is_login) } else { String::new() };
        // Who sent a form is told that it was not done; who only wanted out is out.
        let was_sent = *request.method() != Method::GET && request.uri().path() != LOG_OUT;
        let whence = shows_page.then(|| Whence::of(&request));
        let has_session = crate::inbound::cookie_named(request.headers(), crate::SESSION_COOKIE).is_some();
        let may_compress = pages::may_compress(&request);
        let passed = self.pass(request, action, kind, choose).await;
        if let (Err(problem), BodyKind::Statement(kind)) = (&passed, kind) {
            return crate::statements::refused(problem, kind);
        }
        match passed {
            Ok(answer) if may_compress => pages::compressed(answer).await,
            Ok(answer) => answer,
            Err(problem) if kind == BodyKind::Exchange => crate::login::token_problem(&problem),
            Err(problem) if kind == BodyKind::Node => crate::node::refusal(&problem),
            Err(problem) if is_login => crate::login::to_page(&problem, "failed", &back_to),
            Err(problem) if shows_page && problem.kind() == Kind::Unauthenticated => {
                let why = if was_sent { "ended" } else { "" };
                let mut answer = crate::login::to_page(&problem, why, &back_to);
                if has_session {
                    // Else the form itself could not be asked for: what comes with a dead cookie is refused.
                    crate::login::end_cookie(&mut answer, crate::SESSION_COOKIE);
                }
                answer
            }
            Err(problem) if shows_page && problem.kind() == Kind::StepUp => crate::login::to_page(&problem, "again", &back_to),
            Err(problem) => {
                log_problem(action, &problem);
                if speaks_grpc {
                    return crate::inference::grpc_problem(&problem);
                }
                if let Some((page, whence)) = self.config.problem_page.zip(whence) {
                    return crate::outbound::as_page(page(&problem, &whence), &problem);
                }
                let answer = problem_answer(&problem, by_browser);
                if speaks_scim {
                    return crate::scim::in_form(answer, &problem);
                }
                if speaks_oip { crate::outbound::in_oip_form(answer, &problem) } else { answer }
            }
        }
    }

    async fn pass<P>(&self, request: Request, action: Action, kind: BodyKind, choose: &Arc<P>) -> Result<Answer, Problem>
    where
        P: Fn(&Inbound, BodyStream) -> Result<Chosen, Problem> + Send + Sync + 'static,
    {
        let (mut parts, body) = request.into_parts();
        self.check_surroundings(&parts)?;
        crate::certificate::take(&mut parts, &self.config.trusted_proxies)?;
        let mut attempt = attempt_from(&parts);
        let body = self.take_credential(kind, &parts, body, &mut attempt).await?;
        // Taken before anybody can be refused: a stream that nobody reads throws a bounded part away, so that a client who
        // is still sending can read its answer.
        let (mut stream, body) =
            if kind == BodyKind::Stream { (BodyStream::new(body), Body::empty()) } else { (BodyStream::empty(), body) };
        let visitor = {
            let _turn = self.turn()?;
            Arc::new(self.gate.identify(attempt, action).await?)
        };
        stream.hold_to(&visitor);
        // Nobody has a turn while a body is on its way: who sends slowly waits apart from the work.
        let (inbound, room) = match self.read(parts, body, kind, &visitor).await {
            Ok(read) => read,
            Err(problem) => return Err(refuse_unread(&visitor, action, problem).await),
        };
        let _turn = if kind == BodyKind::Stream { self.stream_turn()? } else { self.turn()? };
        let chosen = if inbound.body.len() > LARGE_BODY_BYTES_MIN {
            self.choose_apart(choose, inbound).await
        } else {
            choose(&inbound, stream)
        };
        drop(room);
        match chosen {
            Ok(chosen) => worked(chosen, visitor, action).await,
            Err(problem) => Err(refuse_unread(&visitor, action, problem).await),
        }
    }

    fn turn(&self) -> Result<SemaphorePermit<'_>, Problem> {
        let busy = |_| Problem::unavailable(format!("{IN_FLIGHT_COUNT_MAX} requests are being worked on already"));
        self.in_flight.try_acquire().map_err(busy)
    }

    /// Uploads have turns of their own: they last as long as their senders take.
    fn stream_turn(&self) -> Result<SemaphorePermit<'_>, Problem> {
        let busy = |_| Problem::unavailable(format!("{STREAM_COUNT_MAX} uploads are being taken in already"));
        self.streams.try_acquire().map_err(busy)
    }

    /// A body that is to be read before its sender is known.
    fn unread(&self, parts: &Parts, body: Body) -> Unread<'_> {
        let address = peer_of(parts);
        let is_one = !self.config.trusted_proxies.contains(&address);
        self.bodies.of_stranger(body, is_one.then_some(address))
    }

    /// Takes the credential out of what it comes in, where that is not the head; gives what is left of the body.
    async fn take_credential(&self, kind: BodyKind, parts: &Parts, body: Body, attempt: &mut Attempt) -> Result<Body, Problem> {
        let origin = || format!("https://{}", authority_of(parts).unwrap_or_default());
        let unread = |body| self.unread(parts, body);
        match kind {
            BodyKind::Login => attempt.credential = crate::login::credential(unread(body), origin()).await?,
            BodyKind::Callback => attempt.credential = crate::login::returned(parts, &origin()),
            BodyKind::Exchange => {
                let (credential, scope) = crate::login::subject_token(unread(body)).await?;
                attempt.credential = credential;
                return Ok(scope);
            }
            BodyKind::Node => {
                let (credential, body) = crate::node::credential(unread(body)).await?;
                attempt.credential = credential;
                return Ok(body);
            }
            BodyKind::Statement(kind) => {
                attempt.credential = crate::statements::credential(parts, unread(body), kind).await?;
            }
            BodyKind::Whole | BodyKind::Stream => return Ok(body),
        }
        Ok(Body::empty())
    }

    /// The request with its body, where that is read before its verb is known, and the room that the body takes.
    async fn read(
        &self,
        mut parts: Parts,
        body: Body,
        kind: BodyKind,
        visitor: &Visitor,
    ) -> Result<(Inbound, Option<SemaphorePermit<'_>>), Problem> {
        if parts.headers.get(header::CONTENT_ENCODING).is_some_and(|encoding| encoding != "identity") {
            return Err(Problem::invalid("compressed request bodies are not accepted; send it without Content-Encoding"));
        }
        let params = path_params(&mut parts).await?;
        let is_stranger = visitor.caller().kind == gate::CallerKind::Anonymous;
        let held = match kind {
            BodyKind::Whole | BodyKind::Node | BodyKind::Exchange if body.is_end_stream() => Held::default(),
            // What strangers may ask is asked without a body: theirs is not read.
            BodyKind::Whole if is_stranger && parts.method.is_safe() => Held::default(),
            BodyKind::Whole if is_stranger => return Err(stranger()),
            BodyKind::Whole | BodyKind::Node | BodyKind::Exchange => {
                self.bodies.of_caller(body, &visitor.caller().id, limits::JSON_BODY_BYTES_MAX).await?
            }
            BodyKind::Stream | BodyKind::Login | BodyKind::Callback | BodyKind::Statement(_) => Held::default(),
        };
        Ok((Inbound::new(parts, params, held.bytes), held.room))
    }

    /// Takes a large body apart where nobody else waits for it.
    async fn choose_apart<P>(&self, choose: &Arc<P>, inbound: Inbound) -> Result<Chosen, Problem>
    where
        P: Fn(&Inbound, BodyStream) -> Result<Chosen, Problem> + Send + Sync + 'static,
    {
        let closed = |closed| Problem::internal("no body is taken apart any more", closed);
        let _turn = self.parsing.acquire().await.map_err(closed)?;
        let choose = Arc::clone(choose);
        let reading = tokio::task::spawn_blocking(move || choose(&inbound, BodyStream::empty()));
        reading.await.map_err(|broken| Problem::internal("the server failed on this request", broken))?
    }

    /// A request in a language: its verb, and what became of it.
    pub(crate) async fn hear(&self, request: Request, language: &dyn Language) -> (Action, Result<Answer, Problem>) {
        let (mut parts, body) = request.into_parts();
        let seen = self.check_surroundings(&parts);
        if let Err(problem) = seen.and_then(|()| crate::certificate::take(&mut parts, &self.config.trusted_proxies)) {
            return (UNROUTED, Err(problem));
        }
        let knock = language.knock(&mut parts);
        let action = knock.action;
        (action, self.hear_knock(knock, parts, body, language).await)
    }

    async fn hear_knock(&self, knock: Knock, parts: Parts, body: Body, language: &dyn Language) -> Result<Answer, Problem> {
        let Knock { mut attempt, action, is_form, refused } = knock;
        let is_upload = !is_form && !body.is_end_stream();
        let mut asked = if is_form {
            let form = self.unread(&parts, body).whole(FORM_BYTES_MAX).await?;
            attempt.credential = language.form_credential(&form);
            Asked::Form(form)
        } else {
            Asked::Body(BodyStream::new(body))
        };
        let identified = {
            let _turn = self.turn()?;
            self.gate.identify(attempt, action).await
        };
        let visitor = match (identified, refused) {
            // Who signed in a wrong form is told so, unless it is a flood.
            (Ok(visitor), Some(refused)) => return Err(visitor.refuse(action, refused).await),
            (identified, _) => Arc::new(identified?),
        };
        if let Asked::Body(stream) = &mut asked {
            stream.hold_to(&visitor);
        }
        let _turn = if is_upload { self.stream_turn()? } else { self.turn()? };
        match language.choose(parts, asked) {
            Ok(chosen) => worked(chosen, visitor, action).await,
            Err(problem) => Err(refuse_unread(&visitor, action, problem).await),
        }
    }

    /// Answers what no route knows.
    pub(crate) async fn answer_unknown(&self, request: Request) -> Response {
        let by_browser = is_browser(request.headers());
        // Whoever looks for a page gets a page.
        let shows_page = is_navigation(request.headers()) && pages::is_page(request.uri().path());
        let (whence, back_to) = (Whence::of(&request), crate::login::back_to(&request, false));
        let (mut parts, _) = request.into_parts();
        let path = parts.uri.path().chars().take(200).collect::<String>();
        let seen = self.check_surroundings(&parts);
        let problem = match seen.and_then(|()| crate::certificate::take(&mut parts, &self.config.trusted_proxies)) {
            Ok(()) => match self.gate.identify(attempt_from(&parts), UNROUTED).await {
                Ok(visitor) if shows_page => refuse_unread(&visitor, UNROUTED, page_not_found(&path)).await,
                Ok(visitor) => refuse_unread(&visitor, UNROUTED, endpoint_not_found(&parts.method, &path)).await,
                Err(problem) => problem,
            },
            Err(problem) => problem,
        };
        if shows_page && problem.kind() == Kind::Unauthenticated {
            return crate::login::to_page(&problem, "", &back_to);
        }
        if let Some(page) = self.config.problem_page.filter(|_| shows_page) {
            return crate::outbound::as_page(page(&problem, &whence), &problem);
        }
        if is_grpc(&parts.headers) {
            return crate::inference::grpc_problem(&as_no_call(problem));
        }
        let mut answer = problem_answer(&problem, by_browser);
        if problem.kind() == Kind::NotFound {
            answer = crate::outbound::error_answer(StatusCode::NOT_FOUND, "ENDPOINT_NOT_FOUND", problem.message());
        }
        if is_scim(parts.uri.path()) {
            answer = crate::scim::in_form(answer, &problem);
        }
        if pages::lies_under(parts.uri.path(), OIP) {
            answer = crate::outbound::in_oip_form(answer, &problem);
        }
        answer
    }

    /// A foreign host name (DNS rebinding) and a foreign origin (CSRF) are refused before anything else.
    fn check_surroundings(&self, parts: &Parts) -> Result<(), Problem> {
        if parts.headers.get_all(header::HOST).iter().nth(1).is_some() {
            return Err(Problem::invalid("the request names more than one host"));
        }
        let host = authority_of(parts).ok_or_else(|| Problem::invalid("the request names no host"))?;
        let name = host_name(host);
        if !self.config.allowed_hosts.iter().any(|allowed| allowed.eq_ignore_ascii_case(name)) {
            return Err(Problem::forbidden(format!(
                "the host name `{}` is not one of this server's; add it to `server.allowed_hosts` in its configuration",
                name.chars().take(100).collect::<String>()
            )));
        }
        if let Some(origin) = parts.headers.get(header::ORIGIN) {
            let same = origin.to_str().is_ok_and(|origin| origin.eq_ignore_ascii_case(&format!("https://{host}")));
            if !same {
                return Err(Problem::forbidden("requests from pages of another origin are refused"));
            }
        }
        if parts.headers.get("sec-fetch-site").is_some_and(|site| site == "cross-site" || site == "same-site")
            && parts.method != Method::GET
        {
            return Err(Problem::forbidden("requests from pages of another site are refused"));
        }
        Ok(())
    }
}

/// Does what was chosen. What was wrong before any verb was asked for is recorded under `action`, as what could not be read at all.
async fn worked(chosen: Chosen, visitor: Arc<Visitor>, action: Action) -> Result<Answer, Problem> {
    let Chosen(work) = chosen;
    match work(&visitor).await {
        Ok(answer) => Ok(finished(answer, visitor)),
        Err(problem) if visitor.is_recorded() => Err(problem),
        Err(problem) => Err(refuse_unread(&visitor, action, problem).await),
    }
}

/// An answer on its way out.
fn finished(mut answer: Answer, visitor: Arc<Visitor>) -> Answer {
    if let Some(allowance) = visitor.allowance() {
        crate::outbound::tell_allowance(&mut answer, &allowance);
    }
    held(answer, visitor)
}

/// A stranger is told to log in, whatever else was wrong with the request.
async fn refuse_unread(visitor: &Visitor, action: Action, problem: Problem) -> Problem {
    if visitor.caller().kind == gate::CallerKind::Anonymous {
        return visitor.refuse(action, stranger()).await;
    }
    visitor.refuse(action, problem).await
}

fn stranger() -> Problem {
    Problem::new(Kind::Unauthenticated, "You are not authenticated.")
}

async fn path_params(parts: &mut Parts) -> Result<Vec<(String, String)>, Problem> {
    use axum::extract::FromRequestParts;
    match RawPathParams::from_request_parts(parts, &()).await {
        Ok(params) => params.iter().map(|(name, value)| Ok((name.to_owned(), without_nul(value.to_owned())?))).collect(),
        Err(_) => Err(Problem::invalid("the path is not valid UTF-8 once decoded")),
    }
}

/// `host:port` → `host`, `[::1]:port` → `[::1]`.
pub(crate) fn host_name(host: &str) -> &str {
    if host.starts_with('[') {
        return host.find(']').and_then(|end| host.get(..=end)).unwrap_or(host);
    }
    host.split(':').next().unwrap_or(host)
}

/// Whether it is asked for in SCIM, whose errors have a form of their own.
fn is_scim(path: &str) -> bool {
    pages::lies_under(path, crate::scim::PREFIX)
}

/// Whether the caller speaks gRPC, whose answers have a form of their own.
fn is_grpc(headers: &http::HeaderMap) -> bool {
    headers.get(header::CONTENT_TYPE).is_some_and(|kind| kind.as_bytes().starts_with(b"application/grpc"))
}

/// Whether a browser is on its way to a page. Those that do not say so ask for HTML first; programs do not.
fn is_navigation(headers: &http::HeaderMap) -> bool {
    match headers.get("sec-fetch-mode") {
        Some(mode) => mode == "navigate",
        None => headers.get(header::ACCEPT).is_some_and(|wanted| wanted.as_bytes().starts_with(b"text/html")),
    }
}

fn is_browser(headers: &http::HeaderMap) -> bool {
    headers.contains_key("sec-fetch-mode")
}

fn endpoint_not_found(method: &Method, path: &str) -> Problem {
    Problem::not_found(format!("{method} {path} is not an endpoint of this server; docs/src/reference lists those that are"))
}

/// gRPC has a status of its own for a call that a server does not know.
fn as_no_call(problem: Problem) -> Problem {
    if problem.kind() == Kind::NotFound { Problem::new(Kind::NotImplemented, problem.message().to_owned()) } else { problem }
}

fn page_not_found(path: &str) -> Problem {
    Problem::not_found(format!("there is no page at {path}; the links above lead to those that there are"))
}

pub(crate) fn log_problem(action: Action, problem: &Problem) {
    if matches!(problem.kind(), Kind::Internal | Kind::Unavailable) {
        let source = std::error::Error::source(problem).map(ToString::to_string);
        tracing::error!(action = action.name, kind = problem.kind().word(), source, "{problem}");
    }
}

/// The knock behind a request's head.
pub(crate) fn peer_of(parts: &Parts) -> IpAddr {
    parts.extensions.get::<PeerAddress>().map_or(IpAddr::from([0, 0, 0, 0]), |peer| peer.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_is_cut_from_its_port() {
        for (host, name) in [("a.example:8443", "a.example"), ("[::1]:1", "[::1]"), ("[::1]", "[::1]"), ("x", "x")] {
            assert_eq!(host_name(host), name);
        }
    }
}
