//! The job that writes down what ended by itself.

use std::sync::Arc;
use std::time::Duration;

use gate::{Attempt, Gate, JobPass};
use kernel::Micros;
use parking_lot::Mutex;
use tokio::sync::Notify;

use crate::Serving;
use crate::load::EndpointPlace;
use crate::ops::HaltRollout;
use crate::rollout::Challenge;

/// The job's name.
pub const KEEPER: &str = "rollouts";
/// How long to wait after a fault before the next try.
const FAULT_PAUSE: Duration = Duration::from_secs(2);
/// Halts that wait to be written down. One beyond that is written down when it is seen again: the challenger stays out meanwhile.
const WAITING_COUNT_MAX: usize = 1_000;

/// Halts that are not written down yet.
#[derive(Default)]
pub(crate) struct Halts {
    waiting: Mutex<Vec<Halt>>,
    news: Notify,
}

#[derive(Clone, PartialEq, Eq)]
struct Halt {
    workspace: String,
    endpoint: String,
    rollout: String,
    at: Micros,
    why: String,
}

impl Serving {
    /// Looks whether the challenger has to go.
    pub(crate) fn judge(&self, challenge: &Arc<Challenge>, place: &EndpointPlace) {
        if challenge.rollout.halted.is_some() {
            return;
        }
        challenge.tally.judge(&challenge.rollout.stops, self.0.clock.now());
        let Some((at, why)) = challenge.tally.halted() else { return };
        let halt = Halt {
            workspace: place.workspace_name.clone(),
            endpoint: place.endpoint_name.clone(),
            rollout: challenge.rollout.id.clone(),
            at: *at,
            why: why.clone(),
        };
        let mut waiting = self.0.halts.waiting.lock();
        if waiting.len() < WAITING_COUNT_MAX && !waiting.contains(&halt) {
            waiting.push(halt);
            self.0.halts.news.notify_one();
        }
    }
}

/// Writes halts down for one server process.
pub struct Keeper {
    room: Serving,
    gate: Gate,
    pass: JobPass,
}

impl Keeper {
    /// A keeper. `pass` is that of the job [`KEEPER`].
    #[must_use]
    pub const fn new(room: Serving, gate: Gate, pass: JobPass) -> Self {
        Self { room, gate, pass }
    }

    /// Works until it is dropped.
    pub async fn run(self) {
        loop {
            self.room.0.halts.news.notified().await;
            while !self.step().await {
                tokio::time::sleep(FAULT_PAUSE).await;
            }
        }
    }

    /// Writes down what waits. False if something still does.
    pub async fn step(&self) -> bool {
        let waiting = self.room.0.halts.waiting.lock().clone();
        let mut is_done = true;
        for halt in waiting {
            let Halt { workspace, endpoint: name, rollout, at, why } = halt.clone();
            let attempt = Attempt { workspace, ..Attempt::of_job(self.pass.clone()) };
            let write = HaltRollout { room: self.room.clone(), name, rollout, at, why };
            match self.gate.call(attempt, write).await {
                Err(problem) if problem.kind() != kernel::Kind::NotFound => {
                    tracing::warn!(%problem, "the end of a rollout could not be written down");
                    is_done = false;
                }
                // An endpoint that is gone needs no word of its rollout.
                Ok(_) | Err(_) => self.room.0.halts.waiting.lock().retain(|other| *other != halt),
            }
        }
        is_done
    }
}
