//! The end of a body that nobody reads any further.
//!
//! A client that is answered while it still sends would see a broken connection instead of the answer (RFC 9112, section 9.6): some of
//! what it sends is read and thrown away.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::header;
use http_body_util::BodyExt;
use hyper::Request;
use hyper::body::{Body, Frame, Incoming, SizeHint};

/// How much is read and thrown away, and for how long.
const DRAIN_BYTES_MAX: usize = 16 * 1024 * 1024;
const DRAIN_TIME_MAX: Duration = Duration::from_secs(5);

/// A request's body, whose rest is read even if its reader goes away.
pub(crate) struct Lingering<B: Body<Data = Bytes> + Send + Unpin + 'static = Incoming> {
    /// None once it ended or broke off.
    inner: Option<B>,
    /// The client sends nothing before it is asked to, and reading asks it to (`Expect: 100-continue`).
    is_held_back: bool,
}

impl<B: Body<Data = Bytes> + Send + Unpin + 'static> Lingering<B> {
    /// The request with such a body.
    pub(crate) fn of(request: Request<B>) -> Request<Self> {
        let is_held_back = request.headers().contains_key(header::EXPECT);
        request.map(|inner| Self { inner: Some(inner), is_held_back })
    }
}

impl<B: Body<Data = Bytes> + Send + Unpin + 'static> Body for Lingering<B> {
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        self.is_held_back = false;
        let Some(inner) = self.inner.as_mut() else { return Poll::Ready(None) };
        let polled = Pin::new(inner).poll_frame(context);
        if let Poll::Ready(None | Some(Err(_))) = polled {
            self.inner = None;
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.inner.as_ref().is_none_or(Body::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.as_ref().map_or_else(|| SizeHint::with_exact(0), Body::size_hint)
    }
}

impl<B: Body<Data = Bytes> + Send + Unpin + 'static> Drop for Lingering<B> {
    fn drop(&mut self) {
        let Some(rest) = self.inner.take().filter(|rest| !rest.is_end_stream() && !self.is_held_back) else { return };
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            runtime.spawn(tokio::time::timeout(DRAIN_TIME_MAX, drain(rest)));
        }
    }
}

async fn drain<B: Body<Data = Bytes> + Unpin>(mut rest: B) {
    let mut left = DRAIN_BYTES_MAX;
    while let Some(Ok(frame)) = rest.frame().await {
        left = left.saturating_sub(frame.data_ref().map_or(0, Bytes::len));
        if left == 0 {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    /// A body of as many pieces of a kilobyte as are left, which says how many were taken.
    struct Pieces {
        left: usize,
        taken: Arc<AtomicUsize>,
    }

    impl Body for Pieces {
        type Data = Bytes;
        type Error = std::convert::Infallible;

        fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
            let Some(left) = self.left.checked_sub(1) else { return Poll::Ready(None) };
            self.left = left;
            self.taken.fetch_add(1, Ordering::SeqCst);
            Poll::Ready(Some(Ok(Frame::data(Bytes::from_static(&[0; 1024])))))
        }
    }

    /// How many pieces of so many are taken if the reader takes so many and goes.
    async fn taken(pieces: usize, read: usize, expects: bool) -> usize {
        let taken = Arc::new(AtomicUsize::new(0));
        let mut request = Request::builder();
        if expects {
            request = request.header(header::EXPECT, "100-continue");
        }
        let body = Pieces { left: pieces, taken: Arc::clone(&taken) };
        let mut body = Lingering::of(request.body(body).unwrap()).into_body();
        for _ in 0..read {
            body.frame().await.unwrap().unwrap();
        }
        drop(body);
        for _ in 0..100 {
            tokio::task::yield_now().await;
        }
        taken.load(Ordering::SeqCst)
    }

    #[tokio::test]
    async fn the_rest_is_read_up_to_a_bound_and_never_asked_for() {
        assert_eq!(taken(300, 0, false).await, 300);
        assert_eq!(taken(300, 256, false).await, 300);
        assert_eq!(taken(300, 300, false).await, 300);
        assert_eq!(taken(100_000, 1, false).await, 1 + DRAIN_BYTES_MAX / 1024, "no further");
        assert_eq!(taken(300, 0, true).await, 0, "the client was never asked to send it");
        assert_eq!(taken(300, 1, true).await, 300);
    }
}
