//! A thin HTTPS client: one request, one connection, one authority. It goes to addresses that the operator names, in the
//! configuration or on the command line; never to one that came in a request.

use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderMap, Request, StatusCode, header};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper::client::conn::http1::SendRequest;
use hyper_util::rt::TokioIo;
use kernel::Problem;
use parking_lot::Mutex;
use rustls::pki_types::ServerName;
use rustls::sign::SingleCertAndKey;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

/// A server elsewhere.
#[derive(Clone)]
pub struct Remote {
    host: String,
    port: u16,
    /// The path of its address, without a slash at its end.
    prefix: String,
    /// None for a server that is spoken to in plain HTTP, which the operator must have wanted.
    tls: Option<TlsConnector>,
}

/// A request's body that is sent as it is read.
pub type Sent = UnsyncBoxBody<Bytes, std::io::Error>;

/// An answer whose body is still to come. The connection lives as long as it does.
pub struct Arriving {
    /// The status.
    pub status: StatusCode,
    /// The headers.
    pub headers: HeaderMap,
    body: Incoming,
    _driver: Driver,
}

/// Drives a connection until it is dropped.
struct Driver(tokio::task::JoinHandle<Result<(), hyper::Error>>);

impl Drop for Driver {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Arriving {
    /// The next bytes of the body; none at its end.
    ///
    /// # Errors
    /// `Unavailable` if it breaks off.
    pub async fn next(&mut self) -> Result<Option<Bytes>, Problem> {
        while let Some(frame) = self.body.frame().await {
            let frame = frame.map_err(|e| Problem::unavailable("the answer broke off").because(e))?;
            if let Ok(bytes) = frame.into_data() {
                return Ok(Some(bytes));
            }
        }
        Ok(None)
    }

    /// The whole body, if it is at most `bytes_max`.
    ///
    /// # Errors
    /// `Unavailable` if it breaks off or is longer.
    pub async fn whole(self, bytes_max: usize) -> Result<Bytes, Problem> {
        let Self { body, _driver, .. } = self;
        whole_body(body, bytes_max).await
    }
}

/// What it answered.
pub struct RemoteAnswer {
    /// The status.
    pub status: StatusCode,
    /// The headers.
    pub headers: HeaderMap,
    /// The body, whole.
    pub body: Bytes,
}

impl Remote {
    /// The server at `url` whose certificate the authority in the file `ca` signed.
    ///
    /// # Errors
    /// `Invalid` for an address that is not `https://…`, or a file without certificates.
    pub fn new(url: &str, ca: &Path) -> Result<Self, Problem> {
        Self::of_device(url, ca, None)
    }

    /// The same, which is shown a device's certificate when it asks for one.
    ///
    /// # Errors
    /// As [`Remote::new`].
    pub fn of_device(url: &str, ca: &Path, device: Option<Arc<SingleCertAndKey>>) -> Result<Self, Problem> {
        let tls = TlsConnector::from(crate::trust::client_config(ca, None, device)?);
        Ok(Self { tls: Some(tls), ..Self::addressed(url, "https", 443)? })
    }

    /// The server at `url`, spoken to in plain HTTP: anybody on the way reads and changes what is said.
    ///
    /// # Errors
    /// `Invalid` for an address that is not `http://…`.
    pub fn new_insecure_http(url: &str) -> Result<Self, Problem> {
        Self::addressed(url, "http", 80)
    }

    fn addressed(url: &str, scheme: &str, usual_port: u16) -> Result<Self, Problem> {
        let bad = || Problem::invalid(format!("`{url}` is not an address such as {scheme}://host:8443"));
        let uri: http::Uri = url.parse().map_err(|_| bad())?;
        if uri.scheme_str() != Some(scheme) {
            return Err(bad());
        }
        let host = uri.host().ok_or_else(bad)?.to_owned();
        let prefix = uri.path().trim_end_matches('/').to_owned();
        Ok(Self { host, port: uri.port_u16().unwrap_or(usual_port), prefix, tls: None })
    }

    /// The same, which may also show the first certificate in `shown`, whatever name it bears.
    ///
    /// # Errors
    /// As [`Remote::new`].
    pub fn new_or_shown(url: &str, ca: &Path, shown: &Path, device: Option<Arc<SingleCertAndKey>>) -> Result<Self, Problem> {
        let tls = TlsConnector::from(crate::trust::client_config(ca, Some(shown), device)?);
        Ok(Self { tls: Some(tls), ..Self::new(url, ca)? })
    }

    /// Its address, without a slash at its end.
    #[must_use]
    pub fn url(&self) -> String {
        let scheme = if self.tls.is_some() { "https" } else { "http" };
        format!("{scheme}://{}:{}{}", self.host, self.port, self.prefix)
    }

    /// What a request calls it: its host, with the port where that is not the usual one.
    #[must_use]
    pub fn authority(&self) -> String {
        let usual_port = if self.tls.is_some() { 443 } else { 80 };
        if self.port == usual_port { self.host.clone() } else { format!("{}:{}", self.host, self.port) }
    }

    /// Sends a request to `path` below the address; reads at most `answer_bytes_max` of the answer.
    ///
    /// # Errors
    /// `Unavailable` if it cannot be reached, is not who it should be, or breaks off.
    pub async fn send(
        &self,
        request: http::request::Builder,
        path: &str,
        body: Bytes,
        answer_bytes_max: usize,
    ) -> Result<RemoteAnswer, Problem> {
        let body = Full::from(body).map_err(|never| match never {}).boxed_unsync();
        let arriving = self.begin(request, path, body).await?;
        let (status, headers) = (arriving.status, arriving.headers.clone());
        let body = arriving.whole(answer_bytes_max).await?;
        Ok(RemoteAnswer { status, headers, body })
    }

    /// Sends a request whose body may be of any length, and gives the answer when its head is there.
    ///
    /// # Errors
    /// As [`Remote::send`].
    pub async fn begin(&self, request: http::request::Builder, path: &str, body: Sent) -> Result<Arriving, Problem> {
        let request = self.addressed_request(request, path, body)?;
        let (mut sender, driver) = self.open().await?;
        let answer = sender.send_request(request).await.map_err(broken)?;
        let (head, body) = answer.into_parts();
        Ok(Arriving { status: head.status, headers: head.headers, body, _driver: driver })
    }

    fn addressed_request(&self, request: http::request::Builder, path: &str, body: Sent) -> Result<Request<Sent>, Problem> {
        let request = request.uri(format!("{}{path}", self.prefix)).header(header::HOST, self.authority()).body(body);
        request.map_err(|e| Problem::internal("the request could not be made", e))
    }

    /// A new connection.
    async fn open(&self) -> Result<(SendRequest<Sent>, Driver), Problem> {
        let (host, port) = (&self.host, self.port);
        let unreachable = |error: std::io::Error| {
            Problem::unavailable(format!("the server at {host}:{port} cannot be reached: {error}")).because(error)
        };
        let bare = host.trim_start_matches('[').trim_end_matches(']').to_owned();
        let stream = TcpStream::connect((bare.as_str(), port)).await.map_err(unreachable)?;
        stream.set_nodelay(true).map_err(unreachable)?;
        let Some(tls) = &self.tls else { return shake(TokioIo::new(stream)).await };
        let name = ServerName::try_from(bare).map_err(|e| Problem::invalid(format!("`{host}` is not a host name: {e}")))?;
        let secured = tls.connect(name, stream).await.map_err(unreachable)?;
        shake(TokioIo::new(secured)).await
    }
}

/// A server elsewhere whose connections are kept for the next request.
pub struct Kept {
    remote: Remote,
    idle: Mutex<Vec<(SendRequest<Sent>, Driver)>>,
}

/// Connections that are kept.
const IDLE_COUNT_MAX: usize = 32;

impl Kept {
    /// Connections to this server.
    #[must_use]
    pub const fn new(remote: Remote) -> Self {
        Self { remote, idle: Mutex::new(Vec::new()) }
    }

    /// As [`Remote::send`].
    ///
    /// # Errors
    /// As [`Remote::send`]. A connection that the other side closed meanwhile is found out, and a request is never sent twice.
    pub async fn send(
        &self,
        request: http::request::Builder,
        path: &str,
        body: Bytes,
        answer_bytes_max: usize,
    ) -> Result<RemoteAnswer, Problem> {
        let body = Full::from(body).map_err(|never| match never {}).boxed_unsync();
        let request = self.remote.addressed_request(request, path, body)?;
        let (mut sender, driver) = match self.ready().await {
            Some(kept) => kept,
            None => self.remote.open().await?,
        };
        let answer = sender.send_request(request).await.map_err(broken)?;
        let (head, body) = answer.into_parts();
        let body = whole_body(body, answer_bytes_max).await?;
        let mut idle = self.idle.lock();
        if idle.len() < IDLE_COUNT_MAX && !sender.is_closed() {
            idle.push((sender, driver));
        }
        Ok(RemoteAnswer { status: head.status, headers: head.headers, body })
    }

    async fn ready(&self) -> Option<(SendRequest<Sent>, Driver)> {
        loop {
            let (mut sender, driver) = self.idle.lock().pop()?;
            if sender.ready().await.is_ok() {
                return Some((sender, driver));
            }
        }
    }
}

async fn whole_body(body: Incoming, bytes_max: usize) -> Result<Bytes, Problem> {
    let bytes = Limited::new(body, bytes_max).collect().await;
    Ok(bytes.map_err(|e| Problem::unavailable("the answer broke off").because(e))?.to_bytes())
}

fn broken(error: hyper::Error) -> Problem {
    Problem::unavailable("the connection to the server broke off").because(error)
}

async fn shake<S>(stream: S) -> Result<(SendRequest<Sent>, Driver), Problem>
where
    S: hyper::rt::Read + hyper::rt::Write + Unpin + Send + 'static,
{
    let (sender, connection) = hyper::client::conn::http1::handshake(stream).await.map_err(broken)?;
    Ok((sender, Driver(tokio::spawn(connection))))
}
