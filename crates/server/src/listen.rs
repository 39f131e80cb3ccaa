//! The listener: TCP, TLS, HTTP/1.1 and HTTP/2, each with named limits, and a stop that lets requests finish.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use http::{HeaderValue, StatusCode, header};
use hyper::body::Incoming;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use hyper_util::server::graceful::GracefulShutdown;
use kernel::Problem;
use parking_lot::Mutex;
use rustls::ServerConfig;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::AbortHandle;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use tower::Service;
use wire::{Answer, PeerAddress, PeerCertificate};

use crate::lingering::Lingering;

/// Connections open at once, of those whose handshake is done.
const CONNECTION_COUNT_MAX: usize = 4_096;
/// Handshakes open at once. One more, and the oldest has to go: who connects and says nothing keeps nobody else out.
const HANDSHAKE_COUNT_MAX: usize = 1_024;
/// How long a client may take for its TLS handshake.
const HANDSHAKE_MAX: Duration = Duration::from_secs(10);
/// How long a client may take to send a request's head.
const HEAD_READ_MAX: Duration = Duration::from_secs(30);
/// A request's head: line and headers.
const HEAD_BYTES_MAX: usize = 64 * 1024;
/// What HTTP/1.1 reads at once, of heads and of bodies: smaller pieces would slow uploads down, so that a head's own limit
/// is held apart from it. A head that does not fit here at all is answered 431 as well.
const READ_BYTES_MAX: usize = 256 * 1024;
/// Headers in one request.
const HEADER_COUNT_MAX: usize = 100;
/// HTTP/2 streams open at once on one connection.
const STREAM_COUNT_MAX: u32 = 128;
/// How long requests may go on after a stop was asked for.
const DRAIN_MAX: Duration = Duration::from_secs(10);
/// How long the listener rests when the system has no more file handles.
const ACCEPT_REST: Duration = Duration::from_millis(50);

/// Answers on `listener` until `stop` resolves, then lets open requests finish.
pub async fn serve(listener: TcpListener, tls: Arc<ServerConfig>, router: Router, stop: impl Future<Output = ()>) {
    let acceptor = TlsAcceptor::from(tls);
    let builder = Arc::new(http_builder());
    let turns = Arc::new(Semaphore::new(CONNECTION_COUNT_MAX));
    let handshakes = Arc::new(Handshakes::default());
    let graceful = GracefulShutdown::new();
    tokio::pin!(stop);
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = &mut stop => break,
        };
        let (stream, peer) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                tracing::warn!(%error, "a connection could not be accepted");
                tokio::time::sleep(ACCEPT_REST).await;
                continue;
            }
        };
        let (acceptor, builder, router, watcher) = (acceptor.clone(), Arc::clone(&builder), router.clone(), graceful.watcher());
        let (turns, own) = (Arc::clone(&turns), Handshake::new(&handshakes));
        let shaking = own.clone();
        let task = tokio::spawn(async move {
            // Small answers must not wait for more to fill a packet; failing to say so costs only time.
            drop(stream.set_nodelay(true));
            let secured = tokio::time::timeout(HANDSHAKE_MAX, acceptor.accept(stream)).await;
            shaking.end();
            let Ok(Ok(secured)) = secured else { return };
            let Ok(_turn) = turns.try_acquire_owned() else {
                tracing::debug!(limit = CONNECTION_COUNT_MAX, "too many connections; one was closed");
                return;
            };
            serve_connection(secured, peer, &builder, router, watcher).await;
        });
        own.begin(task.abort_handle());
    }
    drop(listener);
    if tokio::time::timeout(DRAIN_MAX, graceful.shutdown()).await.is_err() {
        tracing::warn!("some requests did not finish in time and were cut off");
    }
}

async fn serve_connection(
    secured: TlsStream<TcpStream>,
    peer: SocketAddr,
    builder: &Builder<TokioExecutor>,
    router: Router,
    watcher: hyper_util::server::graceful::Watcher,
) {
    let address = PeerAddress(peer.ip().to_canonical());
    let shown = secured.get_ref().1.peer_certificates().and_then(|chain| chain.first()).map(|leaf| PeerCertificate::of(leaf));
    let service = hyper::service::service_fn(move |request: hyper::Request<Incoming>| {
        let mut router = router.clone();
        async move {
            if head_bytes(&request) > HEAD_BYTES_MAX {
                return Ok::<_, Infallible>(head_too_large());
            }
            let mut request = Lingering::of(request).map(Body::new);
            request.extensions_mut().insert(address);
            if let Some(shown) = shown {
                request.extensions_mut().insert(shown);
            }
            Ok(router.call(request).await.unwrap_or_else(|never| match never {}))
        }
    });
    let connection = builder.serve_connection(TokioIo::new(secured), service);
    if let Err(error) = watcher.watch(connection.into_owned()).await {
        tracing::debug!(%error, "a connection ended early");
    }
}

/// The handshakes that are open, in the order in which they began.
#[derive(Default)]
struct Handshakes(Mutex<(u64, BTreeMap<u64, AbortHandle>)>);

/// One of them.
#[derive(Clone)]
struct Handshake {
    all: Arc<Handshakes>,
    number: u64,
    is_over: Arc<AtomicBool>,
}

impl Handshake {
    fn new(all: &Arc<Handshakes>) -> Self {
        let mut open = all.0.lock();
        open.0 = open.0.wrapping_add(1);
        Self { all: Arc::clone(all), number: open.0, is_over: Arc::default() }
    }

    /// It goes on until it ends, or until it is the oldest of too many.
    fn begin(&self, task: AbortHandle) {
        let mut open = self.all.0.lock();
        if self.is_over.load(Ordering::SeqCst) {
            return;
        }
        open.1.insert(self.number, task);
        if open.1.len() > HANDSHAKE_COUNT_MAX
            && let Some((_, oldest)) = open.1.pop_first()
        {
            oldest.abort();
        }
    }

    /// It ended, well or not: from now on nothing ends the connection.
    fn end(&self) {
        self.is_over.store(true, Ordering::SeqCst);
        self.all.0.lock().1.remove(&self.number);
    }
}

/// How long the request's head is as HTTP/1.1 writes it.
fn head_bytes<B>(request: &hyper::Request<B>) -> usize {
    let target = request.uri().path_and_query().map_or(1, |target| target.as_str().len());
    let line = request.method().as_str().len().saturating_add(target).saturating_add(" HTTP/1.1\r\n ".len());
    // A name, a colon, a blank, the value, a line's end.
    let headers = request.headers().iter().map(|(name, value)| name.as_str().len().saturating_add(value.len()).saturating_add(4));
    headers.fold(line, usize::saturating_add)
}

fn head_too_large() -> Answer {
    let message = format!("the request's line and headers are larger than {HEAD_BYTES_MAX} bytes; send less in them");
    let body = serde_json::json!({"error_code": "INVALID_PARAMETER_VALUE", "message": message}).to_string();
    let mut answer = Answer::new(Body::from(body));
    *answer.status_mut() = StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE;
    answer.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    wire::harden(&mut answer);
    answer
}

fn http_builder() -> Builder<TokioExecutor> {
    let mut builder = Builder::new(TokioExecutor::new());
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_READ_MAX)
        .max_buf_size(READ_BYTES_MAX)
        .max_headers(HEADER_COUNT_MAX);
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(STREAM_COUNT_MAX)
        .max_header_list_size(u32::try_from(HEAD_BYTES_MAX).unwrap_or(u32::MAX))
        .initial_stream_window_size(1024 * 1024)
        .initial_connection_window_size(4 * 1024 * 1024)
        .keep_alive_interval(Duration::from_secs(30));
    builder
}

/// Binds the address.
///
/// # Errors
/// `Unavailable`, with what to change.
pub async fn bind(address: &str) -> Result<TcpListener, Problem> {
    TcpListener::bind(address).await.map_err(|error| {
        Problem::unavailable(format!("cannot listen on `{address}`: {error}; choose another with --listen")).because(error)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_oldest_handshake_goes_and_one_that_is_over_stays() {
        let all = Arc::new(Handshakes::default());
        let tasks: Vec<_> = (0..HANDSHAKE_COUNT_MAX + 2)
            .map(|number| {
                let own = Handshake::new(&all);
                let task = tokio::spawn(std::future::pending::<()>());
                if number == 1 {
                    own.end();
                }
                own.begin(task.abort_handle());
                task
            })
            .collect();
        assert_eq!(all.0.lock().1.len(), HANDSHAKE_COUNT_MAX);
        let mut tasks = tasks.into_iter();
        assert!(tasks.next().unwrap().await.unwrap_err().is_cancelled(), "the oldest");
        assert!(!tasks.next().unwrap().is_finished(), "its handshake was over before it could be put down");
        assert!(tasks.all(|task| !task.is_finished()));
    }
}
