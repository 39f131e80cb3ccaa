//! The way of a log-in through a browser on this machine (RFC 8252, section 7.3): a listener on a loopback address, to which the browser brings
//! a code. Whatever else knocks there ends nothing.

use std::convert::Infallible;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::process::Stdio;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderValue, Method, Request, Response, StatusCode, Uri, header};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use identity::{COMMAND_LINE_CLIENT, Challenge, LOOPBACK_PATH, Loopback, new_verifier};
use kernel::{Kind, Problem, Secret, random_text};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use wire::Form;
use wire::authorize::AUTHORIZE;

use super::output::segment;

/// Connections at once: a browser opens some that it never uses.
const CONNECTION_COUNT_MAX: usize = 16;
/// How long one may last.
const CONNECTION_MAX: Duration = Duration::from_secs(10);
const HEAD_BYTES_MAX: usize = 16 * 1024;
const STATE_LENGTH: usize = 32;
const AGREED: &str = "Agreed. The command line goes on by itself; you may close this page.";
const NOT_AGREED: &str = "Nobody was logged in. You may close this page.";
const NOTHING: &str = "There is nothing here. You may close this page.";

/// A log-in that waits for a browser.
pub(super) struct Waiting {
    listener: TcpListener,
    verifier: Secret,
    expected: Arc<Expected>,
}

/// What the browser must bring.
struct Expected {
    address: Loopback,
    state: Secret,
    /// The server that was asked, and no other (RFC 9207).
    issuer: String,
}

/// What the browser brought.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Came {
    Code(Secret),
    Refused(String),
}

/// What the browser brought, and what goes with it to the token endpoint.
pub(super) struct Brought {
    code: Secret,
    verifier: Secret,
    address: Loopback,
}

impl Brought {
    /// The form of the token endpoint (RFC 6749, section 4.1.3; RFC 7636, section 4.5).
    pub(super) fn form(&self) -> String {
        let text = |secret: &Secret| segment(secret.expose_text().unwrap_or_default());
        format!(
            "grant_type=authorization_code&client_id={COMMAND_LINE_CLIENT}&redirect_uri={}&code={}&code_verifier={}",
            segment(&self.address.to_string()),
            text(&self.code),
            text(&self.verifier)
        )
    }
}

impl Waiting {
    /// Listens for the answer of the server that calls itself `issuer`; none where this machine lets nobody listen.
    pub(super) async fn begin(issuer: String) -> Option<Self> {
        let at = |address: IpAddr| TcpListener::bind(SocketAddr::new(address, 0));
        let listener = match at(Ipv4Addr::LOCALHOST.into()).await {
            Ok(listener) => listener,
            Err(_) => at(Ipv6Addr::LOCALHOST.into()).await.ok()?,
        };
        let address = Loopback::at(listener.local_addr().ok()?)?;
        let state = Secret::from(random_text(STATE_LENGTH));
        Some(Self { listener, verifier: new_verifier(), expected: Arc::new(Expected { address, state, issuer }) })
    }

    /// The page where a person agrees, on the server at `url`; none if the verifier is none, which it never is.
    pub(super) fn page(&self, url: &str) -> Option<String> {
        let challenge = Challenge::of(&self.verifier)?;
        let (address, state) = (self.expected.address.to_string(), self.expected.state.expose_text()?);
        Some(format!(
            "{url}{AUTHORIZE}?response_type=code&client_id={COMMAND_LINE_CLIENT}&redirect_uri={}&code_challenge={challenge}\
             &code_challenge_method=S256&state={state}",
            segment(&address)
        ))
    }

    /// Waits for the browser. It does not hang on who else connects, or how.
    ///
    /// # Errors
    /// `Unauthenticated` if nobody agreed; `Unavailable` if nobody can be listened to any more.
    pub(super) async fn brought(self) -> Result<Brought, Problem> {
        let mut open = JoinSet::new();
        loop {
            let came = tokio::select! {
                accepted = self.listener.accept(), if open.len() < CONNECTION_COUNT_MAX => {
                    let (stream, _) = accepted.map_err(|e| Problem::unavailable("this machine lets nobody listen any more").because(e))?;
                    open.spawn(tokio::time::timeout(CONNECTION_MAX, answer(stream, Arc::clone(&self.expected))));
                    continue;
                }
                Some(ended) = open.join_next() => ended.ok().and_then(Result::ok).flatten(),
            };
            match came {
                Some(Came::Code(code)) => {
                    return Ok(Brought { code, verifier: self.verifier, address: self.expected.address });
                }
                Some(Came::Refused(fault)) => {
                    return Err(Problem::new(Kind::Unauthenticated, format!("the log-in was refused: {fault}")));
                }
                None => {}
            }
        }
    }
}

/// Answers one connection, to its end; gives what was waited for, if it came.
async fn answer(stream: TcpStream, expected: Arc<Expected>) -> Option<Came> {
    let came = Arc::new(OnceLock::new());
    let noted = Arc::clone(&came);
    let service = service_fn(move |request: Request<Incoming>| {
        let (status, text, what) = judge(&expected, request.method(), request.uri());
        if let Some(what) = what {
            drop(noted.set(what));
        }
        std::future::ready(Ok::<_, Infallible>(shown(status, text)))
    });
    let serving =
        http1::Builder::new().keep_alive(false).max_buf_size(HEAD_BYTES_MAX).serve_connection(TokioIo::new(stream), service);
    if let Err(error) = serving.await {
        tracing::debug!(%error, "a connection to the loopback address broke off");
    }
    came.get().cloned()
}

/// What a request is answered, and what it brought. Only who knows the state brings anything: other pages and programs reach this address too.
fn judge(expected: &Expected, method: &Method, uri: &Uri) -> (StatusCode, &'static str, Option<Came>) {
    let is_ours = method == Method::GET && uri.path() == LOOPBACK_PATH;
    let form = Form::read(uri.query().unwrap_or_default().as_bytes()).ok();
    let knows = |form: &Form| form.get("state").is_some_and(|state| Secret::from(state.to_owned()) == expected.state);
    let Some(form) = form.filter(|form| is_ours && knows(form)) else { return (StatusCode::NOT_FOUND, NOTHING, None) };
    if !form.get("iss").is_some_and(|issuer| issuer.eq_ignore_ascii_case(&expected.issuer)) {
        let fault = format!("the answer is not from `{}`", expected.issuer);
        return (StatusCode::BAD_REQUEST, NOT_AGREED, Some(Came::Refused(fault)));
    }
    match (form.get("code"), form.get("error")) {
        (Some(code), None) => (StatusCode::OK, AGREED, Some(Came::Code(Secret::from(code.to_owned())))),
        (_, error) => {
            let word: String =
                error.unwrap_or("no code").chars().filter(|c| c.is_ascii_lowercase() || "_ ".contains(*c)).collect();
            (StatusCode::OK, NOT_AGREED, Some(Came::Refused(word)))
        }
    }
}

fn shown(status: StatusCode, text: &'static str) -> Response<Full<Bytes>> {
    let page =
        format!("<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><title>Strongroom</title><p>{text}</p></html>\n");
    let mut answer = Response::new(Full::new(Bytes::from(page)));
    *answer.status_mut() = status;
    for (name, value) in [
        (header::CONTENT_TYPE, "text/html; charset=utf-8"),
        (header::CONTENT_SECURITY_POLICY, "default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'"),
        (header::CACHE_CONTROL, "no-store"),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    ] {
        answer.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    answer
}

/// Whether somebody sits at this machine: who comes over SSH has the browser elsewhere.
pub(super) fn has_display() -> bool {
    let is_set = |name: &str| std::env::var_os(name).is_some_and(|value| !value.is_empty());
    !is_set("SSH_CONNECTION") && !is_set("SSH_TTY") && (is_set("DISPLAY") || is_set("WAYLAND_DISPLAY"))
}

/// Opens a page in the person's browser. Ends only if that could not be done.
///
/// # Errors
/// Whatever kept it from being opened.
pub(super) async fn open_browser(page: &str) -> std::io::Result<Infallible> {
    let mut opener = tokio::process::Command::new("xdg-open");
    let ended = opener.arg(page).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).status().await?;
    if ended.success() { std::future::pending().await } else { Err(std::io::Error::other(ended.to_string())) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn expected() -> Expected {
        let address = Loopback::parse("http://127.0.0.1:50123/callback").unwrap();
        Expected { address, state: Secret::from("abc".to_owned()), issuer: "https://a.example".to_owned() }
    }

    #[test]
    fn only_who_knows_the_state_brings_anything() {
        let judged = |method: Method, uri: &str| judge(&expected(), &method, &uri.parse().unwrap());
        let iss = "iss=https%3A%2F%2Fa.example";
        let (status, text, came) = judged(Method::GET, &format!("/callback?code=c&state=abc&{iss}"));
        assert_eq!((status, text, came), (StatusCode::OK, AGREED, Some(Came::Code(Secret::from("c".to_owned())))));
        for nothing in
            ["/callback", "/callback?code=c", "/callback?code=c&state=abd", "/callback?state=abc&state=abc", "/favicon.ico", "/"]
        {
            assert_eq!(judged(Method::GET, nothing), (StatusCode::NOT_FOUND, NOTHING, None), "{nothing}");
        }
        assert_eq!(judged(Method::POST, &format!("/callback?code=c&state=abc&{iss}")).2, None);
        for (refused, why) in [
            ("code=c&state=abc", "the answer is not from `https://a.example`"),
            ("code=c&state=abc&iss=https%3A%2F%2Fb.example", "the answer is not from `https://a.example`"),
            (&format!("error=access_denied&state=abc&{iss}"), "access_denied"),
            (&format!("error=%1b%5bx&state=abc&{iss}"), "x"),
            (&format!("state=abc&{iss}"), "no code"),
        ] {
            let (_, text, came) = judged(Method::GET, &format!("/callback?{refused}"));
            assert_eq!((text, came), (NOT_AGREED, Some(Came::Refused(why.to_owned()))), "{refused}");
        }
    }

    #[test]
    fn what_is_shown_holds_nothing_of_what_came() {
        let page = shown(StatusCode::OK, AGREED);
        assert_eq!(page.headers().get(header::CACHE_CONTROL).unwrap(), "no-store");
        assert_eq!(page.headers().get(header::REFERRER_POLICY).unwrap(), "no-referrer");
        assert!(page.headers().get(header::CONTENT_SECURITY_POLICY).unwrap().to_str().unwrap().starts_with("default-src 'none'"));
    }

    #[tokio::test]
    async fn a_connection_that_says_nothing_keeps_nobody_waiting() {
        use tokio::io::{AsyncReadExt, AsyncWriteExt};
        let waiting = Waiting::begin("https://a.example".to_owned()).await.unwrap();
        let port = waiting.listener.local_addr().unwrap();
        let state = waiting.expected.state.expose_text().unwrap().to_owned();
        let page = waiting.page("https://a.example").unwrap();
        assert!(
            page.starts_with("https://a.example/oauth/authorize?response_type=code&client_id=strongroom-cli&redirect_uri=http")
        );
        let browser = tokio::spawn(async move {
            let silent = TcpStream::connect(port).await.unwrap();
            let mut stream = TcpStream::connect(port).await.unwrap();
            let head = format!("GET /callback?code=c&state={state}&iss=https%3A%2F%2Fa.example HTTP/1.1\r\nHost: x\r\n\r\n");
            stream.write_all(head.as_bytes()).await.unwrap();
            let mut answer = String::new();
            stream.read_to_string(&mut answer).await.unwrap();
            drop(silent);
            answer
        });
        let brought = waiting.brought().await.unwrap();
        assert!(
            brought
                .form()
                .starts_with("grant_type=authorization_code&client_id=strongroom-cli&redirect_uri=http%3A%2F%2F127%2E0%2E0%2E1")
        );
        let answer = browser.await.unwrap();
        assert!(answer.starts_with("HTTP/1.1 200") && answer.contains(AGREED) && !answer.contains("code=c"), "{answer}");
    }
}
