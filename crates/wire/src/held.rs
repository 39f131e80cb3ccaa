//! A long answer goes out, and a long body comes in, only as long as its caller may: a token that is revoked, a session that ends, a risk that
//! is raised cuts a download that runs, and nothing of an upload that runs is committed (NIST SP 800-207, tenet 6).

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::body::Body;
use bytes::Bytes;
use gate::Visitor;
use http_body::{Body as _, Frame, SizeHint};
use kernel::Problem;
use tokio::time::{Instant, Sleep, sleep_until};

use crate::outbound::Answer;

/// How often it is asked. What takes no longer is out, or in, before anybody could be asked.
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
    let watch = Watch::new(visitor);
    let due = Box::pin(sleep_until(watch.due_at()));
    Answer::from_parts(head, Body::new(Held { inner, watch, due }))
}

type Asking = Pin<Box<dyn Future<Output = Result<bool, Problem>> + Send>>;

/// Asks, while something takes long, whether its caller may still do it.
pub(crate) struct Watch {
    visitor: Arc<Visitor>,
    began_at: Instant,
    asked_at: Instant,
    asking: Option<Asking>,
    untold_count: u8,
    is_ending: bool,
}

impl Watch {
    pub(crate) fn new(visitor: Arc<Visitor>) -> Self {
        let now = Instant::now();
        Self { visitor, began_at: now, asked_at: now, asking: None, untold_count: 0, is_ending: false }
    }

    /// Whether it may go on; asks first where that was not done for a while.
    pub(crate) fn may_go(&mut self, context: &mut Context<'_>) -> Poll<bool> {
        if self.asking.is_none() && self.asked_at.elapsed() >= ASK_EVERY {
            self.ask();
        }
        self.told(context)
    }

    /// Whether it may end as it was meant to: what took long is asked about once more.
    pub(crate) fn may_end(&mut self, context: &mut Context<'_>) -> Poll<bool> {
        if !self.is_ending && self.began_at.elapsed() >= ASK_EVERY {
            self.is_ending = true;
            self.ask();
        }
        self.told(context)
    }

    /// When it is to be asked again.
    fn due_at(&self) -> Instant {
        self.asked_at + ASK_EVERY
    }

    fn ask(&mut self) {
        let visitor = Arc::clone(&self.visitor);
        self.asking = Some(Box::pin(async move { visitor.still_may().await }));
    }

    fn told(&mut self, context: &mut Context<'_>) -> Poll<bool> {
        let Some(asking) = &mut self.asking else { return Poll::Ready(true) };
        let Poll::Ready(told) = asking.as_mut().poll(context) else { return Poll::Pending };
        self.asking = None;
        self.asked_at = Instant::now();
        self.untold_count = if told.is_err() { self.untold_count.saturating_add(1) } else { 0 };
        Poll::Ready(told.unwrap_or(self.untold_count <= UNTOLD_COUNT_MAX))
    }
}

struct Held {
    inner: Body,
    watch: Watch,
    /// Wakes it while nothing comes: what tells seldom is cut as soon as what tells much.
    due: Pin<Box<Sleep>>,
}

impl http_body::Body for Held {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        loop {
            if !ready!(self.watch.may_go(context)) {
                let problem = Problem::forbidden("the caller may not have the rest of this answer any more");
                return Poll::Ready(Some(Err(axum::Error::new(problem))));
            }
            if let Poll::Ready(frame) = Pin::new(&mut self.inner).poll_frame(context) {
                return Poll::Ready(frame);
            }
            let due_at = self.watch.due_at();
            if self.due.deadline() != due_at {
                self.due.as_mut().reset(due_at);
            }
            ready!(self.due.as_mut().poll(context));
        }
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use futures_util::{StreamExt, stream};
    use gate::Action;
    use http_body_util::BodyExt;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn what_is_silent_is_cut_too() {
        let gate = testkit::open_gate();
        let visitor = Arc::new(gate.gate.identify(gate.attempt(), Action::read("test.watch")).await.unwrap());
        let told = stream::once(async { Ok::<_, Problem>(Bytes::from_static(b"news")) }).chain(stream::pending());
        let mut body = held(Answer::new(Body::from_stream(told)), visitor).into_body();
        assert_eq!(body.frame().await.unwrap().unwrap().into_data().unwrap(), "news");
        let waits = tokio::time::timeout(10 * ASK_EVERY, body.frame()).await;
        assert!(waits.is_err(), "nothing comes, and it may go on");
        gate.turn_everybody_away();
        let began_at = Instant::now();
        let cut = tokio::time::timeout(10 * ASK_EVERY, body.frame()).await.unwrap();
        assert!(cut.unwrap().is_err());
        assert!(began_at.elapsed() <= 2 * ASK_EVERY, "{:?}", began_at.elapsed());
    }
}
