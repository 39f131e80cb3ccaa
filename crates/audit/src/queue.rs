//! What waits for the disk: records in memory, and the acts that wait for them.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};
use tokio::sync::Notify;

use crate::config::{LAZY_DELAY, QUEUE_BYTES_MAX, QUEUE_COUNT_MAX};
use crate::merkle::{Hash, leaf_hash};

/// A batch of records that nobody waits for is written once it has grown to this.
const LAZY_BYTES_MAX: usize = 1024 * 1024;
/// Outcomes and outbox rows may fill the queue beyond what acts may: the acts they belong to have happened.
const SETTLED_FACTOR: usize = 4;

/// Where a record comes from, and so what a failed write means for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Origin {
    /// An act waits for it: if it cannot be written, the act does not happen.
    Waited,
    /// It tells of what has happened: it is kept until it can be written.
    Settled,
    /// As `Settled`, and its outbox row is deleted once it is written.
    Outbox(i64),
}

pub(crate) struct Item {
    pub payload: Vec<u8>,
    pub leaf: Hash,
    pub origin: Origin,
}

impl Item {
    pub(crate) fn new(payload: Vec<u8>, origin: Origin) -> Self {
        let leaf = leaf_hash(&payload);
        Self { payload, leaf, origin }
    }
}

const PENDING: u8 = 0;
const DURABLE: u8 = 1;
const FAILED: u8 = 2;

/// The acts whose intents share one write. One of these per write, not one per record.
#[derive(Default)]
pub(crate) struct Batch {
    state: AtomicU8,
    notify: Notify,
}

impl Batch {
    pub(crate) fn finish(&self, durable: bool) {
        self.state.store(if durable { DURABLE } else { FAILED }, Ordering::Release);
        self.notify.notify_waiters();
    }

    /// Waits for the write; `false` if it failed or took longer than `max`.
    pub(crate) async fn wait(&self, max: Duration) -> bool {
        let notified = self.notify.notified();
        let mut notified = std::pin::pin!(notified);
        // Listen first, look second: a write that ends in between is not missed.
        notified.as_mut().enable();
        if self.state.load(Ordering::Acquire) == PENDING {
            // Whether it ended in time is read from the state below.
            drop(tokio::time::timeout(max, notified).await);
        }
        self.state.load(Ordering::Acquire) == DURABLE
    }
}

/// Whether the log takes records.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Health {
    /// It does.
    Up,
    /// The disk is full: it lives on its reserve and takes only what helps to make room.
    Reserve,
    /// A write failed and no new segment could be begun yet.
    Down,
    /// Another server signs checkpoints for this log, or the database was rolled back under it.
    Fenced,
    /// It was closed.
    Closed,
}

impl Health {
    const ALL: [Self; 5] = [Self::Up, Self::Reserve, Self::Down, Self::Fenced, Self::Closed];
}

struct Waiting {
    items: Vec<Item>,
    size_bytes: usize,
    waited_count: usize,
    batch: Arc<Batch>,
    lazy_since: Option<Instant>,
    writer_sleeps: bool,
    stop: bool,
}

pub(crate) struct Queue {
    waiting: Mutex<Waiting>,
    wake: Condvar,
    health: AtomicU8,
    born: Instant,
    /// Milliseconds since `born` (plus one) at which the write under way began; 0 while there is none.
    writing_since_ms: AtomicU64,
}

/// Why a record was not taken.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Refused {
    Health(Health),
    Full,
    Stalled,
}

impl Queue {
    pub(crate) fn new() -> Self {
        Self {
            waiting: Mutex::new(Waiting {
                items: Vec::new(),
                size_bytes: 0,
                waited_count: 0,
                batch: Arc::default(),
                lazy_since: None,
                writer_sleeps: false,
                stop: false,
            }),
            wake: Condvar::new(),
            health: AtomicU8::new(0),
            born: Instant::now(),
            writing_since_ms: AtomicU64::new(0),
        }
    }

    pub(crate) fn health(&self) -> Health {
        Health::ALL.get(usize::from(self.health.load(Ordering::Acquire))).copied().unwrap_or(Health::Down)
    }

    /// Sets the health. Once fenced or closed it stays so.
    pub(crate) fn set_health(&self, health: Health) {
        let word = Health::ALL.iter().position(|known| *known == health).and_then(|at| u8::try_from(at).ok()).unwrap_or(2);
        let keep = |now: u8| (now < 3 || word > now).then_some(word);
        // An update that keeps what is there is no fault.
        let _ = self.health.fetch_update(Ordering::AcqRel, Ordering::Acquire, keep);
    }

    fn stalled(&self, max: Duration) -> bool {
        let since = self.writing_since_ms.load(Ordering::Relaxed);
        since != 0 && self.now_ms().saturating_sub(since) > u64::try_from(max.as_millis()).unwrap_or(u64::MAX)
    }

    fn now_ms(&self) -> u64 {
        u64::try_from(self.born.elapsed().as_millis()).unwrap_or(u64::MAX).saturating_add(1)
    }

    pub(crate) fn writing(&self, begins: bool) {
        self.writing_since_ms.store(if begins { self.now_ms() } else { 0 }, Ordering::Relaxed);
    }

    /// Takes a record that an act waits for.
    pub(crate) fn submit_waited(&self, payload: Vec<u8>, passes_on_reserve: bool, max: Duration) -> Result<Arc<Batch>, Refused> {
        match self.health() {
            Health::Up => {}
            Health::Reserve if passes_on_reserve => {}
            other => return Err(Refused::Health(other)),
        }
        if self.stalled(max) {
            return Err(Refused::Stalled);
        }
        let item = Item::new(payload, Origin::Waited);
        let mut waiting = self.waiting.lock();
        if waiting.stop {
            return Err(Refused::Health(Health::Closed));
        }
        if waiting.items.len() >= QUEUE_COUNT_MAX || waiting.size_bytes >= QUEUE_BYTES_MAX {
            return Err(Refused::Full);
        }
        waiting.size_bytes = waiting.size_bytes.saturating_add(item.payload.len());
        waiting.waited_count = waiting.waited_count.saturating_add(1);
        waiting.items.push(item);
        let batch = Arc::clone(&waiting.batch);
        let wake = waiting.writer_sleeps && waiting.waited_count == 1;
        drop(waiting);
        if wake {
            self.wake.notify_one();
        }
        Ok(batch)
    }

    /// Takes a record of what has happened. `false` if even for those there is no room.
    pub(crate) fn submit_settled(&self, item: Item) -> bool {
        let mut waiting = self.waiting.lock();
        if waiting.items.len() >= QUEUE_COUNT_MAX.saturating_mul(SETTLED_FACTOR)
            || waiting.size_bytes >= QUEUE_BYTES_MAX.saturating_mul(SETTLED_FACTOR)
            || waiting.stop
        {
            return false;
        }
        waiting.size_bytes = waiting.size_bytes.saturating_add(item.payload.len());
        waiting.items.push(item);
        let first = waiting.lazy_since.is_none();
        if first {
            waiting.lazy_since = Some(Instant::now());
        }
        let wake = waiting.writer_sleeps && (first || waiting.size_bytes >= LAZY_BYTES_MAX);
        drop(waiting);
        if wake {
            self.wake.notify_one();
        }
        true
    }

    /// What is to be written next; waits for it. `None` once the queue is closed and empty.
    pub(crate) fn take(&self) -> Option<(Vec<Item>, Arc<Batch>)> {
        let mut waiting = self.waiting.lock();
        loop {
            let left = waiting.lazy_since.map(|since| LAZY_DELAY.saturating_sub(since.elapsed()));
            let due = left.is_some_and(|left| left.is_zero());
            let ready = waiting.waited_count > 0 || due || waiting.stop || waiting.size_bytes >= LAZY_BYTES_MAX;
            if ready && !waiting.items.is_empty() {
                return Some(waiting.take());
            }
            if waiting.stop {
                return None;
            }
            waiting.writer_sleeps = true;
            match left {
                Some(left) => {
                    let _ = self.wake.wait_for(&mut waiting, left);
                }
                None => self.wake.wait(&mut waiting),
            }
            waiting.writer_sleeps = false;
        }
    }

    /// What waits now, or nothing.
    pub(crate) fn take_now(&self) -> (Vec<Item>, Arc<Batch>) {
        self.waiting.lock().take()
    }

    /// No more records; what waits is still written.
    pub(crate) fn stop(&self) {
        self.waiting.lock().stop = true;
        self.wake.notify_all();
    }

    pub(crate) fn is_stopped(&self) -> bool {
        self.waiting.lock().stop
    }
}

impl Waiting {
    fn take(&mut self) -> (Vec<Item>, Arc<Batch>) {
        self.size_bytes = 0;
        self.waited_count = 0;
        self.lazy_since = None;
        let capacity = self.items.len().min(4_096);
        (std::mem::replace(&mut self.items, Vec::with_capacity(capacity)), std::mem::take(&mut self.batch))
    }
}
