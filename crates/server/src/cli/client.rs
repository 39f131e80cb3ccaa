//! How a command reaches the server: over TLS where one is running on the data folder (or `--url` names one), else by
//! opening the folder in this process. Either way the request passes the same routes, and so the same door.

use std::fs;
use std::path::PathBuf;
use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use clap::Args;
use http::{Method, Request, header};
use http_body_util::{BodyExt, Full};
use hyper_util::rt::TokioIo;
use kernel::{Problem, Secret};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use serde_json::Value;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tower::Service;
use wire::PeerAddress;

use crate::boot::{self, App};
use crate::{config, tls};

/// An answer longer than this is not read.
const ANSWER_BYTES_MAX: usize = 256 * 1024 * 1024;

/// Options of every command that talks to a server.
#[derive(Args, Clone, Debug)]
pub struct Connection {
    /// The data folder.
    #[arg(long, value_name = "DIR", env = "STRONGROOM_DATA", global = true)]
    pub data: Option<PathBuf>,
    /// A file with the token to act with; else the variable `STRONGROOM_TOKEN` or `MLFLOW_TRACKING_TOKEN`.
    #[arg(long, value_name = "FILE", env = "STRONGROOM_TOKEN_FILE", global = true)]
    pub token_file: Option<PathBuf>,
    /// A server elsewhere, such as `https://strongroom.example:8443`.
    #[arg(long, value_name = "URL", global = true)]
    pub url: Option<String>,
    /// The authority that signed that server's certificate (PEM).
    #[arg(long, value_name = "FILE", global = true)]
    pub ca: Option<PathBuf>,
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
    token: Secret,
    workspace: String,
    /// Whether answers are printed as JSON.
    pub json: bool,
}

enum Way {
    Remote { host: String, port: u16, tls: TlsConnector },
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
        let token = self.token()?;
        let way = match (&self.url, &self.ca) {
            (Some(url), ca) => {
                let ca = ca.clone().map_or_else(|| self.data().map(|data| tls::ca_path(&data)), Ok)?;
                remote(url, &ca)?
            }
            (None, _) => self.local().await?,
        };
        Ok(Client { way, token, workspace: self.workspace.clone(), json: self.json })
    }

    async fn local(&self) -> Result<Way, Problem> {
        let data = self.data()?;
        if let Some(url) = boot::running_at(&data) {
            return remote(&url, &tls::ca_path(&data));
        }
        let app = boot::open(&data, &config::load(&data, None)?).await?;
        Ok(Way::Here { router: app.router.clone(), _app: Box::new(app) })
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
            .map(Secret::from)
            .ok_or_else(|| Problem::invalid("name a token with --token-file FILE or STRONGROOM_TOKEN"))
    }
}

fn remote(url: &str, ca: &std::path::Path) -> Result<Way, Problem> {
    let bad = || Problem::invalid(format!("`{url}` is not an address such as https://host:8443"));
    let uri: http::Uri = url.parse().map_err(|_| bad())?;
    if uri.scheme_str() != Some("https") {
        return Err(bad());
    }
    let host = uri.host().ok_or_else(bad)?.to_owned();
    let port = uri.port_u16().unwrap_or(443);
    let mut roots = rustls::RootCertStore::empty();
    let certificates = CertificateDer::pem_file_iter(ca)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(|e| Problem::invalid(format!("`{}` is not a PEM certificate", ca.display())).because(e))?;
    for certificate in certificates {
        roots.add(certificate).map_err(|e| Problem::invalid(format!("`{}` cannot be used: {e}", ca.display())))?;
    }
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let client = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|e| Problem::internal("TLS could not be set up", e))?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(Way::Remote { host, port, tls: TlsConnector::from(Arc::new(client)) })
}

impl Client {
    /// A GET.
    ///
    /// # Errors
    /// The server's problem, or `Unavailable` if it cannot be reached.
    pub async fn get(&mut self, path: &str) -> Result<Value, Problem> {
        parse(&self.send(Method::GET, path, None).await?)
    }

    /// A POST of JSON.
    ///
    /// # Errors
    /// As [`Client::get`].
    pub async fn post(&mut self, path: &str, body: &Value) -> Result<Value, Problem> {
        parse(&self.send(Method::POST, path, Some(body)).await?)
    }

    /// A DELETE.
    ///
    /// # Errors
    /// As [`Client::get`].
    pub async fn delete(&mut self, path: &str) -> Result<Value, Problem> {
        parse(&self.send(Method::DELETE, path, None).await?)
    }

    /// A GET of text.
    ///
    /// # Errors
    /// As [`Client::get`].
    pub async fn get_text(&mut self, path: &str) -> Result<String, Problem> {
        String::from_utf8(self.send(Method::GET, path, None).await?)
            .map_err(|e| Problem::internal("the server's answer is not UTF-8", e))
    }

    /// The workspace to act in.
    #[must_use]
    pub fn workspace(&self) -> &str {
        &self.workspace
    }

    async fn send(&mut self, method: Method, path: &str, body: Option<&Value>) -> Result<Vec<u8>, Problem> {
        let bytes = body.map(ToString::to_string).unwrap_or_default();
        let request = Request::builder()
            .method(method)
            .header(header::AUTHORIZATION, format!("Bearer {}", self.token.expose_text().unwrap_or_default()))
            .header(header::CONTENT_TYPE, "application/json")
            .header("x-mlflow-workspace", &self.workspace);
        let (status, bytes) = match &mut self.way {
            Way::Remote { host, port, tls } => {
                let request = request.uri(path).header(header::HOST, format!("{host}:{port}")).body(Full::from(bytes));
                send_remote(host, *port, tls, request.map_err(unbuildable)?).await?
            }
            Way::Here { router, .. } => {
                let request = request.uri(path).header(header::HOST, "localhost").body(Body::from(bytes));
                send_here(router, request.map_err(unbuildable)?).await?
            }
        };
        if status.is_success() { Ok(bytes) } else { Err(problem_of(status, &bytes)) }
    }
}

fn unbuildable(error: http::Error) -> Problem {
    Problem::internal("the request could not be made", error)
}

fn parse(bytes: &[u8]) -> Result<Value, Problem> {
    serde_json::from_slice(bytes).map_err(|e| Problem::internal("the server's answer is not JSON", e))
}

async fn send_here(router: &mut Router, mut request: Request<Body>) -> Result<(http::StatusCode, Vec<u8>), Problem> {
    request.extensions_mut().insert(PeerAddress([127, 0, 0, 1].into()));
    let answer = router.call(request).await.unwrap_or_else(|never| match never {});
    let status = answer.status();
    let bytes = axum::body::to_bytes(answer.into_body(), ANSWER_BYTES_MAX)
        .await
        .map_err(|e| Problem::internal("the answer broke off", e))?;
    Ok((status, bytes.to_vec()))
}

async fn send_remote(
    host: &str,
    port: u16,
    tls: &TlsConnector,
    request: Request<Full<bytes::Bytes>>,
) -> Result<(http::StatusCode, Vec<u8>), Problem> {
    let unreachable = |error: std::io::Error| {
        Problem::unavailable(format!("the server at https://{host}:{port} cannot be reached: {error}")).because(error)
    };
    let bare = host.trim_start_matches('[').trim_end_matches(']').to_owned();
    let stream = TcpStream::connect((bare.as_str(), port)).await.map_err(unreachable)?;
    let name = ServerName::try_from(bare).map_err(|e| Problem::invalid(format!("`{host}` is not a host name: {e}")))?;
    let secured = tls.connect(name, stream).await.map_err(unreachable)?;
    let broken = |error: hyper::Error| Problem::unavailable("the connection to the server broke off").because(error);
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(secured)).await.map_err(broken)?;
    let driver = tokio::spawn(connection);
    let answer = sender.send_request(request).await.map_err(broken)?;
    let status = answer.status();
    let limited = http_body_util::Limited::new(answer.into_body(), ANSWER_BYTES_MAX);
    let bytes = limited.collect().await.map_err(|e| Problem::unavailable("the answer broke off").because(e))?.to_bytes();
    driver.abort();
    Ok((status, bytes.to_vec()))
}

/// The server's error as a problem of ours.
fn problem_of(status: http::StatusCode, bytes: &[u8]) -> Problem {
    let body: Value = serde_json::from_slice(bytes).unwrap_or(Value::Null);
    let message = body.get("message").and_then(Value::as_str).map_or_else(|| format!("the server answered {status}"), str::to_owned);
    let kind = match status.as_u16() {
        401 => kernel::Kind::Unauthenticated,
        403 => kernel::Kind::Forbidden,
        404 => kernel::Kind::NotFound,
        409 => kernel::Kind::Conflict,
        429 => kernel::Kind::TooMany,
        501 => kernel::Kind::NotImplemented,
        503 => kernel::Kind::Unavailable,
        500 => kernel::Kind::Internal,
        _ => kernel::Kind::Invalid,
    };
    Problem::new(kind, message)
}
