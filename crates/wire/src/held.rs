//! A long answer goes out only as long as its caller may have it: a token that is revoked, a session that ends, a risk that is raised cuts a
//! download that runs (NIST SP 800-207, tenet 6).

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use axum::body::Body;
use bytes::Bytes;
use gate::Visitor;
use http_body::{Body as _, Frame, SizeHint};
use kernel::Problem;

use crate::outbound::Answer;

/// How often it is asked.
const ASK_EVERY: Duration = Duration::from_secs(2);
/// An answer that is no longer than this is out before anybody could be asked.
const SHORT_BYTES_MAX: u64 = 1024 * 1024;
/// How often in a row it may be that nobody can tell.
const UNTOLD_COUNT_MAX: u8 = 2;

/// The same answer, held to its caller's rights as long as it lasts.
pub(crate) fn held(answer: Answer, visitor: Arc<Visitor>) -> Answer {
    if answer.body().size_hint().upper().is_some_and(|bytes| bytes <= SHORT_BYTES_MAX) {
        return answer;
    }
    let (head, inner) = answer.into_parts();
    let held = Held { inner, visitor, asked_at: Instant::now(), asking: None, untold_count: 0 };
    Answer::from_parts(head, Body::new(held))
}

type Asking = Pin<Box<dyn Future<Output = Result<bool, Problem>> + Send>>;

struct Held {
    inner: Body,
    visitor: Arc<Visitor>,
    asked_at: Instant,
    asking: Option<Asking>,
    untold_count: u8,
}

impl Held {
    /// Whether the next bytes may go; asks first where that was not done for a while.
    fn may_go(&mut self, context: &mut Context<'_>) -> Poll<bool> {
        if self.asking.is_none() && self.asked_at.elapsed() >= ASK_EVERY {
            let visitor = Arc::clone(&self.visitor);
            self.asking = Some(Box::pin(async move { visitor.still_may().await }));
        }
        let Some(asking) = &mut self.asking else { return Poll::Ready(true) };
        let Poll::Ready(told) = asking.as_mut().poll(context) else { return Poll::Pending };
        self.asking = None;
        self.asked_at = Instant::now();
        self.untold_count = if told.is_err() { self.untold_count.saturating_add(1) } else { 0 };
        Poll::Ready(told.unwrap_or(self.untold_count <= UNTOLD_COUNT_MAX))
    }
}

impl http_body::Body for Held {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        match self.may_go(context) {
            Poll::Pending => Poll::Pending,
            Poll::Ready(true) => Pin::new(&mut self.inner).poll_frame(context),
            Poll::Ready(false) => {
                let problem = Problem::forbidden("the caller may not have the rest of this answer any more");
                Poll::Ready(Some(Err(axum::Error::new(problem))))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}
