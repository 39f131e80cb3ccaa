//! A step that batches go through, one after the other. While the next batch is there already its thread goes on with it: to wake one for each
//! batch would take longer than what is done to it. Where none is there no thread is held.

use std::sync::Arc;

use bytes::Bytes;
use kernel::Problem;
use parking_lot::Mutex;
use tokio::sync::Notify;

/// Pieces that are worked on together.
pub(super) type Batch = Arc<Vec<Bytes>>;
/// What is done to a batch, with what the step knows of those before.
type Work<S> = fn(S, &[Bytes]) -> Result<S, Problem>;

/// The step, as its one client has it.
pub(super) struct Step<S: Send + 'static> {
    shared: Arc<Shared<S>>,
    work: Work<S>,
}

struct Shared<S> {
    place: Mutex<Place<S>>,
    changed: Notify,
}

struct Place<S> {
    /// What the step knows; none while it works, and after it failed.
    rest: Option<S>,
    /// What it works on next.
    next: Option<Batch>,
    failed: Option<Problem>,
}

impl<S: Send + 'static> Step<S> {
    pub(super) fn new(first: S, work: Work<S>) -> Self {
        let place = Mutex::new(Place { rest: Some(first), next: None, failed: None });
        Self { shared: Arc::new(Shared { place, changed: Notify::new() }), work }
    }

    /// Whether a batch would be taken at once.
    pub(super) fn has_room(&self) -> bool {
        self.shared.place.lock().next.is_none()
    }

    /// Hands a batch over, once the one before it is being worked on.
    pub(super) async fn hand(&self, batch: &Batch) -> Result<(), Problem> {
        loop {
            {
                let mut place = self.shared.place.lock();
                if let Some(problem) = place.failed.take() {
                    return Err(problem);
                }
                if let Some(state) = place.rest.take() {
                    let (running, batch, work) = (Running::of(&self.shared), Arc::clone(batch), self.work);
                    tokio::task::spawn_blocking(move || running.go(state, batch, work));
                    return Ok(());
                }
                if place.next.is_none() {
                    place.next = Some(Arc::clone(batch));
                    return Ok(());
                }
            }
            self.shared.changed.notified().await;
        }
    }

    /// What the step knows once all that was handed over is done. What is put back with [`Step::put_back`] goes on.
    pub(super) async fn rest(&self) -> Result<S, Problem> {
        loop {
            {
                let mut place = self.shared.place.lock();
                if let Some(problem) = place.failed.take() {
                    return Err(problem);
                }
                if let Some(rest) = place.rest.take() {
                    return Ok(rest);
                }
            }
            self.shared.changed.notified().await;
        }
    }

    pub(super) fn put_back(&self, rest: S) {
        self.shared.place.lock().rest = Some(rest);
    }
}

/// A step at work. One that breaks off has failed.
struct Running<S: Send + 'static> {
    shared: Arc<Shared<S>>,
    is_over: bool,
}

impl<S: Send + 'static> Running<S> {
    fn of(shared: &Arc<Shared<S>>) -> Self {
        Self { shared: Arc::clone(shared), is_over: false }
    }

    fn go(mut self, state: S, batch: Batch, work: Work<S>) {
        let mut on = Some((state, batch));
        while let Some((state, batch)) = on {
            on = self.end(work(state, &batch));
        }
    }

    /// Leaves what a batch made of the step, unless the next one is there.
    fn end(&mut self, worked: Result<S, Problem>) -> Option<(S, Batch)> {
        let mut place = self.shared.place.lock();
        let next = match (worked, place.next.take()) {
            (Ok(after), Some(next)) => Some((after, next)),
            (Ok(after), None) => {
                place.rest = Some(after);
                None
            }
            (Err(problem), _) => {
                place.failed = Some(problem);
                None
            }
        };
        drop(place);
        self.is_over = next.is_none();
        self.shared.changed.notify_one();
        next
    }
}

impl<S: Send + 'static> Drop for Running<S> {
    fn drop(&mut self) {
        if !self.is_over {
            self.shared.place.lock().failed = Some(Problem::internal("storing an object broke off", "a step of it panicked"));
            self.shared.changed.notify_one();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn batch(bytes: &'static [u8]) -> Batch {
        Arc::new(vec![Bytes::from_static(bytes)])
    }

    /// Appends; `!` fails, `?` panics.
    fn append(mut all: Vec<u8>, batch: &[Bytes]) -> Result<Vec<u8>, Problem> {
        for bytes in batch {
            match bytes.as_ref() {
                b"!" => return Err(Problem::unavailable("the disk is full")),
                b"?" => panic!("a step breaks"),
                other => all.extend_from_slice(other),
            }
        }
        Ok(all)
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn batches_come_in_order_and_none_is_lost() {
        let step = Step::new(Vec::new(), append);
        for _ in 0..1_000 {
            step.hand(&batch(b"a")).await.unwrap();
            step.hand(&batch(b"b")).await.unwrap();
        }
        assert_eq!(step.rest().await.unwrap(), b"ab".repeat(1_000));
        assert!(step.has_room());
        step.put_back(b"c".to_vec());
        step.hand(&batch(b"d")).await.unwrap();
        assert_eq!(step.rest().await.unwrap(), b"cd");
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn what_fails_or_breaks_is_told_and_nobody_waits_for_it() {
        for (bad, word) in [(b"!".as_slice(), "the disk is full"), (b"?", "broke off")] {
            let step = Step::new(Vec::new(), append);
            step.hand(&batch(b"a")).await.unwrap();
            step.hand(&batch(bad)).await.unwrap();
            let problem = step.rest().await.unwrap_err();
            assert!(problem.message().contains(word), "{problem}");
            let step = Step::new(Vec::new(), append);
            let mut told = Ok(());
            while told.is_ok() {
                told = step.hand(&batch(bad)).await;
            }
            assert!(told.unwrap_err().message().contains(word));
        }
    }
}
