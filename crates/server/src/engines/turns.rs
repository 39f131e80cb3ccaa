//! How many Python models answer at the same time. Who was asked the longest ago gives its turn to who is asked now: its process
//! ends, and the next request starts another one.

use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use worker::Worker;

/// How long a model is not asked before it may lose its turn.
const IDLE_MIN: Duration = Duration::from_secs(2);

/// The turns of all Python models of this server.
pub(super) struct Turns {
    free: Arc<Semaphore>,
    seats: Mutex<Vec<Weak<Seat>>>,
}

/// A model in Python, which has a turn or rests.
#[derive(Debug)]
pub(super) struct Seat {
    pub(super) worker: Worker,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    turn: Option<OwnedSemaphorePermit>,
    /// Requests that are being answered.
    answering: usize,
    used: Instant,
}

/// A request that is being answered: meanwhile the turn stays.
pub(super) struct Asked<'a>(&'a Seat);

impl Turns {
    pub(super) fn new(count_max: usize) -> Self {
        Self { free: Arc::new(Semaphore::new(count_max)), seats: Mutex::default() }
    }

    /// A turn: a free one, or that of the model that was asked the longest ago.
    pub(super) fn take(&self) -> Option<OwnedSemaphorePermit> {
        if let Ok(turn) = Arc::clone(&self.free).try_acquire_owned() {
            return Some(turn);
        }
        let mut seats = self.seats.lock();
        seats.retain(|seat| seat.strong_count() > 0);
        let held: Vec<Arc<Seat>> = seats.iter().filter_map(Weak::upgrade).collect();
        let idle = held.iter().filter_map(|seat| Some((seat.idle_since()?, seat)));
        let (_, oldest) = idle.min_by_key(|(since, _)| *since)?;
        oldest.give_up()
    }

    /// A place for a model that has a turn.
    pub(super) fn seat(&self, worker: Worker, turn: OwnedSemaphorePermit) -> Arc<Seat> {
        let state = State { turn: Some(turn), answering: 0, used: Instant::now() };
        let seat = Arc::new(Seat { worker, state: Mutex::new(state) });
        self.seats.lock().push(Arc::downgrade(&seat));
        seat
    }

    /// Begins a request: a model that rests needs a turn again, which may not be there.
    pub(super) fn begin<'a>(&self, seat: &'a Seat) -> Option<Asked<'a>> {
        let asked = seat.asked();
        if seat.state.lock().turn.is_some() {
            return Some(asked);
        }
        // Not under the lock: looking for a turn looks at all seats.
        let turn = self.take()?;
        let mut state = seat.state.lock();
        if state.turn.is_none() {
            state.turn = Some(turn);
        }
        drop(state);
        Some(asked)
    }
}

impl Seat {
    fn asked(&self) -> Asked<'_> {
        self.state.lock().answering += 1;
        Asked(self)
    }

    /// Since when it is not asked, if it has a turn and that is long enough ago.
    fn idle_since(&self) -> Option<Instant> {
        let state = self.state.lock();
        let is_idle = state.turn.is_some() && state.answering == 0 && state.used.elapsed() >= IDLE_MIN;
        is_idle.then_some(state.used)
    }

    fn give_up(&self) -> Option<OwnedSemaphorePermit> {
        let mut state = self.state.lock();
        if state.answering > 0 {
            return None;
        }
        self.worker.rest();
        state.turn.take()
    }
}

impl Drop for Asked<'_> {
    fn drop(&mut self) {
        let mut state = self.0.state.lock();
        state.answering = state.answering.saturating_sub(1);
        state.used = Instant::now();
    }
}
