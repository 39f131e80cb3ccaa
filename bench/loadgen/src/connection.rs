//! One kept-alive connection.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use bytes::Bytes;
use http_body_util::BodyExt;
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper::{Method, Request, header};
use hyper_util::rt::TokioIo;
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, ServerName};
use tokio::net::{TcpSocket, TcpStream};
use tokio_rustls::TlsConnector;

use crate::content::Content;
use crate::options::Options;

/// An answer, its body read whole.
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// The body.
    pub body: Bytes,
}

/// Whom to talk to, and how.
#[derive(Clone)]
pub struct Peer {
    host: String,
    tls: Option<TlsConnector>,
    from: Option<IpAddr>,
    authorization: Option<String>,
}

/// A connection that is opened again if the server closed it.
pub struct Connection {
    peer: Peer,
    sender: Option<SendRequest<Content>>,
}

impl Peer {
    /// The peer that the options name.
    ///
    /// # Errors
    /// If the address or the certificate authority cannot be used.
    pub fn of(options: &Options) -> Result<Self, String> {
        let (scheme, host) = options.url.split_once("://").ok_or("the address needs a scheme")?;
        let tls = match scheme {
            "https" => Some(connector(options.ca.as_deref())?),
            _ => None,
        };
        let authorization = options.token.as_ref().map(|token| format!("Bearer {token}"));
        Ok(Self { host: host.to_owned(), tls, from: None, authorization })
    }

    /// The same, from this address of ours.
    #[must_use]
    pub fn from(self, address: IpAddr) -> Self {
        Self { from: Some(address), ..self }
    }

    /// The same, as a stranger.
    #[must_use]
    pub fn without_token(self) -> Self {
        Self { authorization: None, ..self }
    }

    /// The address's host and port.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// A connection, opened at its first request.
    pub fn connection(&self) -> Connection {
        Connection { peer: self.clone(), sender: None }
    }

    async fn open(&self) -> Result<SendRequest<Content>, String> {
        let stream = self.connected().await.map_err(|error| format!("cannot connect: {error}"))?;
        stream.set_nodelay(true).map_err(|error| format!("cannot set an option: {error}"))?;
        match &self.tls {
            None => self.shake(TokioIo::new(stream)).await,
            Some(connector) => {
                let name = self.host.rsplit_once(':').map_or(self.host.as_str(), |(name, _)| name);
                let name = ServerName::try_from(name.to_owned()).map_err(|error| format!("bad host: {error}"))?;
                let stream = connector.connect(name, stream).await.map_err(|error| format!("no TLS: {error}"))?;
                self.shake(TokioIo::new(stream)).await
            }
        }
    }

    async fn connected(&self) -> std::io::Result<TcpStream> {
        let Some(address) = self.from else { return TcpStream::connect(&self.host).await };
        let socket = TcpSocket::new_v4()?;
        socket.bind(SocketAddr::new(address, 0))?;
        let to = self.host.parse().map_err(std::io::Error::other)?;
        socket.connect(to).await
    }

    async fn shake<I>(&self, io: I) -> Result<SendRequest<Content>, String>
    where
        I: hyper::rt::Read + hyper::rt::Write + Unpin + Send + 'static,
    {
        let (sender, connection) = handshake(io).await.map_err(|error| format!("no HTTP: {error}"))?;
        tokio::spawn(async move {
            let _ended = connection.await;
        });
        Ok(sender)
    }
}

impl Connection {
    /// Sends a request and reads the answer whole.
    ///
    /// # Errors
    /// If there is no answer.
    pub async fn send(&mut self, method: Method, path: &str, body: Bytes, kind: &str) -> Result<Answer, String> {
        let (answer, sender) = self.begin(method, path, body, kind).await?;
        let status = answer.status().as_u16();
        let body = answer.into_body().collect().await.map_err(|error| format!("half an answer: {error}"))?.to_bytes();
        self.sender = Some(sender);
        Ok(Answer { status, body })
    }

    /// Sends a GET and counts the bytes of the answer without keeping them.
    ///
    /// # Errors
    /// If there is no answer, or only half of one.
    pub async fn count(&mut self, path: &str) -> Result<(u16, usize), String> {
        let (answer, sender) = self.begin(Method::GET, path, Bytes::new(), "").await?;
        let status = answer.status().as_u16();
        let mut body = answer.into_body();
        let mut count = 0;
        while let Some(frame) = body.frame().await {
            let frame = frame.map_err(|error| format!("half an answer: {error}"))?;
            count += frame.data_ref().map_or(0, Bytes::len);
        }
        self.sender = Some(sender);
        Ok((status, count))
    }

    async fn begin(
        &mut self,
        method: Method,
        path: &str,
        body: Bytes,
        kind: &str,
    ) -> Result<(hyper::Response<hyper::body::Incoming>, SendRequest<Content>), String> {
        let mut builder = Request::builder().method(method).uri(path).header(header::HOST, &self.peer.host);
        if !body.is_empty() {
            builder = builder.header(header::CONTENT_TYPE, kind);
        }
        if let Some(authorization) = &self.peer.authorization {
            builder = builder.header(header::AUTHORIZATION, authorization);
        }
        let request = builder.body(Content::whole(body)).map_err(|error| format!("bad request: {error}"))?;
        self.exchange(request).await
    }

    /// Sends a request as it is. The sender goes back with [`Connection::keep`] when the answer was read.
    ///
    /// # Errors
    /// If there is no answer.
    pub async fn exchange(
        &mut self,
        request: Request<Content>,
    ) -> Result<(hyper::Response<hyper::body::Incoming>, SendRequest<Content>), String> {
        let mut sender = match self.sender.take() {
            Some(sender) if !sender.is_closed() => sender,
            _ => self.peer.open().await?,
        };
        sender.ready().await.map_err(|error| format!("the connection broke: {error}"))?;
        let answer = sender.send_request(request).await.map_err(|error| format!("no answer: {error}"))?;
        Ok((answer, sender))
    }

    /// Takes back what a request went over.
    pub fn keep(&mut self, sender: SendRequest<Content>) {
        self.sender = Some(sender);
    }

    /// Sends JSON and expects success.
    ///
    /// # Errors
    /// If there is no answer, or one that is not a success.
    pub async fn post(&mut self, path: &str, json: &serde_json::Value) -> Result<Bytes, String> {
        let answer = self.send(Method::POST, path, Bytes::from(json.to_string()), "application/json").await?;
        match answer.status {
            200..=299 => Ok(answer.body),
            status => Err(format!("{path} answered {status}: {}", String::from_utf8_lossy(&answer.body))),
        }
    }
}

fn connector(ca: Option<&str>) -> Result<TlsConnector, String> {
    let path = ca.ok_or("https needs `--ca FILE`")?;
    let mut roots = rustls::RootCertStore::empty();
    let certificates = CertificateDer::pem_file_iter(path).map_err(|error| format!("cannot read `{path}`: {error}"))?;
    for certificate in certificates {
        let certificate = certificate.map_err(|error| format!("`{path}` holds no certificate: {error}"))?;
        roots.add(certificate).map_err(|error| format!("`{path}` cannot be trusted: {error}"))?;
    }
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| format!("no TLS: {error}"))?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(TlsConnector::from(Arc::new(config)))
}
