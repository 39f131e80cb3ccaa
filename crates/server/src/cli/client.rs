//! How a command reaches the server: over TLS where one is running on the data folder (or `--url` names one), else by
//! opening the folder in this process. Either way the request passes the same routes, and so the same door.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use clap::Args;
use http::{HeaderMap, HeaderValue, Method, Request, header};
use http_body_util::BodyExt;
use kernel::{Problem, Secret};
use rustls::sign::SingleCertAndKey;
use serde_json::Value;
use tower::Service;
use wire::PeerAddress;

use crate::agent::state::{self, State};
use crate::boot::{self, App};
use crate::https::{Arriving, Remote, RemoteAnswer, Sent};
use crate::{config, folder, tls};

/// An answer longer than this is not read.
const ANSWER_BYTES_MAX: usize = 256 * 1024 * 1024;

/// The variable that names the file with a password.
const PASSWORD_FILE: &str = "STRONGROOM_PASSWORD_FILE";

/// Options of every command that talks to a server.
#[derive(Args, Clone, Debug)]
pub struct Connection {
    /// The data folder.
    #[arg(long, value_name = "DIR", env = "STRONGROOM_DATA", global = true)]
    pub data: Option<PathBuf>,
    /// A configuration file, instead of DIR/strongroom.toml; read only while no server runs on the folder.
    #[arg(long, value_name = "FILE", global = true)]
    pub config: Option<PathBuf>,
    /// A file with the token to act with; else the variable `STRONGROOM_TOKEN` or `MLFLOW_TRACKING_TOKEN`.
    #[arg(long, value_name = "FILE", env = "STRONGROOM_TOKEN_FILE", global = true)]
    pub token_file: Option<PathBuf>,
    /// Log in as this person with a password instead: from --password-file, else the variable `STRONGROOM_PASSWORD`.
    #[arg(long, value_name = "NAME", global = true)]
    pub user: Option<String>,
    /// A file with the password of --user.
    #[arg(long, value_name = "FILE", env = PASSWORD_FILE, global = true)]
    pub password_file: Option<PathBuf>,
    /// A server elsewhere, such as `https://strongroom.example:8443`.
    #[arg(long, value_name = "URL", global = true)]
    pub url: Option<String>,
    /// The authority that signed that server's certificate (PEM).
    #[arg(long, value_name = "FILE", global = true)]
    pub ca: Option<PathBuf>,
    /// Come from this enrolled device: the folder of its agent, `~/.config/strongroom/device` if none is named. Only a running server is shown it.
    #[arg(long, value_name = "DIR", env = "STRONGROOM_DEVICE", num_args = 0..=1, default_missing_value = "-", global = true)]
    pub device: Option<PathBuf>,
    /// The workspace to act in.
    #[arg(long, value_name = "NAME", default_value = gate::DEFAULT_WORKSPACE, global = true)]
    pub workspace: String,
    /// Print JSON, for scripts.
    #[arg(long, global = true)]
    pub json: bool,
}

/// A way to the server.
pub struct Client {
    way: Way,
    /// The value of the header `Authorization`.
    authorization: Secret,
    workspace: String,
    /// Whether answers are printed as JSON.
    pub json: bool,
}

enum Way {
    Remote(Remote),
    Here { router: Router, _app: Box<App> },
}

impl Connection {
    /// The data folder.
    ///
    /// # Errors
    /// `Invalid` if it was not named.
    pub fn data(&self) -> Result<PathBuf, Problem> {
        self.data.clone().ok_or_else(|| Problem::invalid("name the data folder with --data DIR or STRONGROOM_DATA"))
    }

    /// Opens the way.
    ///
    /// # Errors
    /// `Invalid` for a missing token, `Unavailable` if the server cannot be reached.
    pub async fn open(&self) -> Result<Client, Problem> {
        let authorization = self.authorization()?;
        let way = match (&self.url, &self.ca) {
            (Some(url), ca) => {
                let ca = ca.clone().map_or_else(|| self.data().map(|data| tls::ca_path(&data)), Ok)?;
                Way::Remote(Remote::of_device(url, &ca, shown_device(self.device.as_deref())?)?)
            }
            (None, _) => self.local().await?,
        };
        Ok(Client { way, authorization, workspace: self.workspace.clone(), json: self.json })
    }

    async fn local(&self) -> Result<Way, Problem> {
        let data = self.data()?;
        if let Some(url) = folder::running_at(&data) {
            let (ca, shown) = (tls::ca_path(&data), tls::shown_path(&data));
            let device = shown_device(self.device.as_deref())?;
            let remote = if shown.is_file() {
                Remote::new_or_shown(&url, &ca, &shown, device)
            } else {
                Remote::of_device(&url, &ca, device)
            };
            return Ok(Way::Remote(remote?));
        }
        let app = boot::open(&data, &config::load(&data, self.config.as_deref())?).await?;
        Ok(Way::Here { router: app.router.clone(), _app: Box::new(app) })
    }

    fn authorization(&self) -> Result<Secret, Problem> {
        let Some(user) = &self.user else {
            self.check_no_password()?;
            let token = self.token()?;
            return Ok(Secret::from(format!("Bearer {}", token.expose_text().unwrap_or_default())));
        };
        let password = self.password()?.ok_or_else(|| {
            Problem::invalid("give the password of --user in --password-file FILE or the variable STRONGROOM_PASSWORD")
        })?;
        if user.contains(':') {
            return Err(Problem::invalid("a name has no `:`"));
        }
        let pair = Secret::from(format!("{user}:{}", password.expose_text().unwrap_or_default()));
        Ok(Secret::from(format!("Basic {}", STANDARD.encode(pair.expose()))))
    }

    /// A file that was named on the command line is meant for something; the variable may stand in the environment for other commands.
    fn check_no_password(&self) -> Result<(), Problem> {
        let is_of_variable = |file: &PathBuf| std::env::var_os(PASSWORD_FILE).is_some_and(|of| Path::new(&of) == file.as_path());
        if self.password_file.as_ref().is_none_or(is_of_variable) {
            return Ok(());
        }
        Err(Problem::invalid(
            "--password-file holds the password to log in with as --user NAME, and nobody is named; a password that is to be set comes on stdin",
        ))
    }

    /// The password from its file or variable, if there is one.
    ///
    /// # Errors
    /// `Invalid` if the file cannot be read.
    pub fn password(&self) -> Result<Option<Secret>, Problem> {
        match &self.password_file {
            Some(path) => first_line(path, "password").map(Some),
            None => Ok(std::env::var("STRONGROOM_PASSWORD").ok().map(Secret::from)),
        }
    }

    fn token(&self) -> Result<Secret, Problem> {
        if let Some(path) = &self.token_file {
            let text = fs::read_to_string(path)
                .map_err(|error| Problem::invalid(format!("cannot read the token file `{}`: {error}", path.display())))?;
            return Ok(Secret::from(text.trim().to_owned()));
        }
        ["STRONGROOM_TOKEN", "MLFLOW_TRACKING_TOKEN"]
            .iter()
            .find_map(|name| std::env::var(name).ok())
            .or_else(|| fs::read_to_string(super::login::token_path()?).ok().map(|text| text.trim().to_owned()))
            .map(Secret::from)
            .ok_or_else(|| {
                Problem::invalid("name a token with --token-file FILE or STRONGROOM_TOKEN, log in with `strongroom login`, or with --user NAME")
            })
    }
}

/// What TLS shows of the device whose agent keeps its files in this folder; in the usual one if it has no name.
///
/// # Errors
/// `Invalid` if no device was enrolled there.
pub fn shown_device(folder: Option<&Path>) -> Result<Option<Arc<SingleCertAndKey>>, Problem> {
    let Some(folder) = folder else { return Ok(None) };
    State::open(&state::folder(Some(folder))?)?.shown().map(Some)
}

/// The first line of a file that holds a secret. Spaces count: they may be part of a password.
fn first_line(path: &Path, what: &str) -> Result<Secret, Problem> {
    let text = fs::read_to_string(path)
        .map_err(|error| Problem::invalid(format!("cannot read the {what} file `{}`: {error}", path.display())))?;
    let line = text.lines().next().unwrap_or_default();
    if line.is_empty() {
        return Err(Problem::invalid(format!("the {what} file `{}` begins with an empty line", path.display())));
    }
    Ok(Secret::from(line.to_owned()))
}

/// An answer whose body is still to come.
enum Begun {
    Remote(Arriving),
    Here(http::Response<Body>),
}

/// An answer as it came.
pub struct Text {
    /// The body.
    pub body: String,
    headers: HeaderMap,
}

impl Text {
    /// A header, if it is there.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&[u8]> {
        self.headers.get(name).map(HeaderValue::as_bytes)
    }
}

impl Client {
    /// A GET.
    ///
    /// # Errors
    /// The server's problem, or `Unavailable` if it cannot be reached.
    pub async fn get(&mut self, path: &str) -> Result<Value, Problem> {
        parse(&self.send(Method::GET, path, None).await?.body)
    }

    /// A POST of JSON.
    ///
    /// # Errors
    /// As [`Client::get`].
    pub async fn post(&mut self, path: &str, body: &Value) -> Result<Value, Problem> {
        parse(&self.send(Method::POST, path, Some(body)).await?.body)
    }

    /// A DELETE.
    ///
    /// # Errors
    /// As [`Client::get`].
    pub async fn delete(&mut self, path: &str) -> Result<Value, Problem> {
        parse(&self.send(Method::DELETE, path, None).await?.body)
    }

    /// A GET of text, with its headers.
    ///
    /// # Errors
    /// As [`Client::get`].
    pub async fn get_text(&mut self, path: &str) -> Result<Text, Problem> {
        let RemoteAnswer { headers, body, .. } = self.send(Method::GET, path, None).await?;
        let body = String::from_utf8(body.to_vec()).map_err(|e| Problem::internal("the server's answer is not UTF-8", e))?;
        Ok(Text { body, headers })
    }

    /// A PUT of a body of any length, sent as it is read.
    ///
    /// # Errors
    /// As [`Client::get`].
    pub async fn put(&mut self, path: &str, body: Sent, size_bytes: u64) -> Result<Value, Problem> {
        let head = self.head(Method::PUT).header(header::CONTENT_LENGTH, size_bytes);
        let (status, bytes) = match self.begin(head, path, body).await? {
            Begun::Remote(arriving) => (arriving.status, arriving.whole(ANSWER_BYTES_MAX).await?),
            Begun::Here(answer) => {
                let (head, body) = answer.into_parts();
                let bytes = axum::body::to_bytes(body, ANSWER_BYTES_MAX).await;
                (head.status, bytes.map_err(|e| Problem::internal("the answer broke off", e))?)
            }
        };
        if status.is_success() { parse(&bytes) } else { Err(problem_of(status, &bytes)) }
    }

    /// A GET whose answer may be of any length: its bytes are handed to `take` as they come.
    ///
    /// # Errors
    /// As [`Client::get`], and what `take` gives.
    pub async fn download(
        &mut self,
        path: &str,
        headers: &[(&'static str, String)],
        mut take: impl FnMut(&[u8]) -> Result<(), Problem>,
    ) -> Result<HeaderMap, Problem> {
        let head = headers.iter().fold(self.head(Method::GET), |head, (name, value)| head.header(*name, value));
        let empty = http_body_util::Empty::new().map_err(|never| match never {}).boxed_unsync();
        match self.begin(head, path, empty).await? {
            Begun::Remote(mut arriving) if arriving.status.is_success() => {
                while let Some(bytes) = arriving.next().await? {
                    take(&bytes)?;
                }
                Ok(arriving.headers)
            }
            Begun::Remote(arriving) => {
                let status = arriving.status;
                Err(problem_of(status, &arriving.whole(ANSWER_BYTES_MAX).await?))
            }
            Begun::Here(answer) => {
                let (head, mut body) = answer.into_parts();
                let mut refusal = Vec::new();
                while let Some(frame) = body.frame().await {
                    let frame = frame.map_err(|e| Problem::internal("the answer broke off", e))?;
                    let Ok(bytes) = frame.into_data() else { continue };
                    if head.status.is_success() { take(&bytes)? } else { refusal.extend_from_slice(&bytes) }
                }
                if head.status.is_success() { Ok(head.headers) } else { Err(problem_of(head.status, &refusal)) }
            }
        }
    }

    /// The server's address; none where this process answers.
    #[must_use]
    pub fn base_url(&self) -> Option<String> {
        match &self.way {
            Way::Remote(remote) => Some(remote.url()),
            Way::Here { .. } => None,
        }
    }

    /// Whether a server answers, which also does what is queued; else it is this process.
    #[must_use]
    pub const fn is_served(&self) -> bool {
        matches!(self.way, Way::Remote(_))
    }

    fn head(&self, method: Method) -> http::request::Builder {
        Request::builder()
            .method(method)
            .header(header::AUTHORIZATION, self.authorization.expose_text().unwrap_or_default())
            .header("x-mlflow-workspace", &self.workspace)
    }

    async fn begin(&mut self, head: http::request::Builder, path: &str, body: Sent) -> Result<Begun, Problem> {
        match &mut self.way {
            Way::Remote(remote) => remote.begin(head, path, body).await.map(Begun::Remote),
            Way::Here { router, .. } => {
                let request = head.uri(path).header(header::HOST, "localhost").body(Body::new(body));
                let mut request = request.map_err(|e| Problem::internal("the request could not be made", e))?;
                request.extensions_mut().insert(PeerAddress([127, 0, 0, 1].into()));
                Ok(Begun::Here(router.call(request).await.unwrap_or_else(|never| match never {})))
            }
        }
    }

    /// Acts in another workspace from now on.
    pub fn enter(&mut self, workspace: &str) {
        workspace.clone_into(&mut self.workspace);
    }

    /// The workspace to act in.
    #[must_use]
    pub fn workspace(&self) -> &str {
        &self.workspace
    }

    async fn send(&mut self, method: Method, path: &str, body: Option<&Value>) -> Result<RemoteAnswer, Problem> {
        let bytes = Bytes::from(body.map(ToString::to_string).unwrap_or_default());
        let head = self.head(method).header(header::CONTENT_TYPE, "application/json");
        let answer = match &mut self.way {
            Way::Remote(remote) => remote.send(head, path, bytes, ANSWER_BYTES_MAX).await?,
            Way::Here { router, .. } => {
                let request = head.uri(path).header(header::HOST, "localhost").body(Body::from(bytes));
                send_here(router, request.map_err(|e| Problem::internal("the request could not be made", e))?).await?
            }
        };
        if answer.status.is_success() { Ok(answer) } else { Err(problem_of(answer.status, &answer.body)) }
    }
}

fn parse(bytes: &[u8]) -> Result<Value, Problem> {
    serde_json::from_slice(bytes).map_err(|e| Problem::internal("the server's answer is not JSON", e))
}

async fn send_here(router: &mut Router, mut request: Request<Body>) -> Result<RemoteAnswer, Problem> {
    request.extensions_mut().insert(PeerAddress([127, 0, 0, 1].into()));
    let answer = router.call(request).await.unwrap_or_else(|never| match never {});
    let (head, body) = answer.into_parts();
    let body = axum::body::to_bytes(body, ANSWER_BYTES_MAX).await.map_err(|e| Problem::internal("the answer broke off", e))?;
    Ok(RemoteAnswer { status: head.status, headers: head.headers, body })
}

/// The server's error as a problem of ours.
pub(super) fn problem_of(status: http::StatusCode, bytes: &[u8]) -> Problem {
    let body: Value = serde_json::from_slice(bytes).unwrap_or(Value::Null);
    let message =
        body.get("message").and_then(Value::as_str).map_or_else(|| format!("the server answered {status}"), str::to_owned);
    let kind = match status.as_u16() {
        401 => kernel::Kind::Unauthenticated,
        403 => kernel::Kind::Forbidden,
        404 => kernel::Kind::NotFound,
        409 => kernel::Kind::Conflict,
        410 => kernel::Kind::Gone,
        429 => kernel::Kind::TooMany,
        501 => kernel::Kind::NotImplemented,
        503 => kernel::Kind::Unavailable,
        500 => kernel::Kind::Internal,
        _ => kernel::Kind::Invalid,
    };
    Problem::new(kind, message)
}
