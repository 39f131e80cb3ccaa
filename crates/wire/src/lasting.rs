//! Work that ends even if nobody waits for it any more: a client who hangs up does not stop a verb between intent and outcome.
//!
//! It runs where it is waited for, so that most requests cost no task of their own and no other thread is woken for them; only what is
//! left behind becomes one.

use std::any::Any;
use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::task::{Context, Poll};

use futures_util::FutureExt as _;
use tokio::runtime::Handle;

type Panicked = Box<dyn Any + Send>;
type Work<T> = Pin<Box<dyn Future<Output = Result<T, Panicked>> + Send>>;

/// Some work; gives an error with the panic's words if it panicked.
pub(crate) struct Lasting<T: Send + 'static>(Option<Work<T>>);

impl<T: Send + 'static> Lasting<T> {
    /// Boxed, so that its kilobytes are not moved from one place to the next.
    pub(crate) fn new(work: impl Future<Output = T> + Send + 'static) -> Self {
        // What it had in hand when it panicked is dropped with it, and nothing else of the request is used again.
        Self(Some(Box::pin(AssertUnwindSafe(work).catch_unwind())))
    }
}

impl<T: Send + 'static> Future for Lasting<T> {
    type Output = Result<T, String>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let Some(work) = &mut self.0 else { return Poll::Ready(Err("it was asked again after its end".to_owned())) };
        let Poll::Ready(ended) = work.as_mut().poll(context) else { return Poll::Pending };
        self.0 = None;
        Poll::Ready(ended.map_err(|panicked| words_of(&*panicked)))
    }
}

impl<T: Send + 'static> Drop for Lasting<T> {
    fn drop(&mut self) {
        // Without a runtime the whole process ends, and the log says at the next start what was under way.
        if let (Some(work), Ok(runtime)) = (self.0.take(), Handle::try_current()) {
            drop(runtime.spawn(work));
        }
    }
}

fn words_of(panicked: &(dyn Any + Send)) -> String {
    let text = panicked.downcast_ref::<String>().map(String::as_str).or_else(|| panicked.downcast_ref::<&str>().copied());
    format!("it panicked: {}", text.unwrap_or("without words"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;
    use tokio::sync::oneshot;

    #[tokio::test]
    async fn what_nobody_waits_for_ends_all_the_same() {
        let (go, gone) = oneshot::channel::<()>();
        let (told, tells) = oneshot::channel();
        let mut work = Lasting::new(async move {
            gone.await.unwrap();
            told.send(7).unwrap();
        });
        assert!(tokio::time::timeout(Duration::from_millis(10), &mut work).await.is_err());
        drop(work);
        go.send(()).unwrap();
        assert_eq!(tells.await.unwrap(), 7);
    }

    #[tokio::test]
    async fn what_was_never_begun_is_done_too() {
        let (told, tells) = oneshot::channel();
        drop(Lasting::new(async move { told.send(()).unwrap() }));
        tells.await.unwrap();
    }

    #[tokio::test]
    async fn a_panic_is_an_error_and_an_end_is_none() {
        assert_eq!(Lasting::new(async { 3 }).await, Ok(3));
        let broken = Lasting::new(async { assert!(std::hint::black_box(false), "on purpose") }).await.unwrap_err();
        assert_eq!(broken, "it panicked: on purpose");
    }
}
