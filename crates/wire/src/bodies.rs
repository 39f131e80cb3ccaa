//! Bodies on their way. Whoever sends slowly waits in here, apart from the requests that are worked on, and keeps nobody else out: how many
//! bodies come in at once is bounded for each caller and address, a body that comes too slowly is given up, and what large ones hold in memory
//! is bounded for all of them together.

use std::collections::{BTreeMap, HashMap};
use std::hash::{BuildHasher, Hash, RandomState};
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::body::Body;
use bytes::{Bytes, BytesMut};
use http_body::Body as _;
use http_body_util::BodyExt;
use kernel::{Kind, Problem};
use tokio::sync::{Notify, Semaphore, SemaphorePermit};
use tokio::time::Instant;

/// How long a client may take to send a body.
const BODY_READ_MAX: Duration = Duration::from_secs(30);
/// How long a body may stand still at its beginning; from then on it must have come at [`BODY_RATE_MIN`].
const BODY_GRACE: Duration = Duration::from_secs(10);
/// How fast a body comes at least, in bytes a second.
const BODY_RATE_MIN: u32 = 1_024;
/// Bodies of identified callers that come in at once, and those of one of them.
const BODY_COUNT_MAX: usize = 4_096;
const CALLER_BODY_COUNT_MAX: usize = 512;
/// Bodies that hold a credential, so that nobody knows yet whose they are: at once, and from one address. One more, and the oldest has to go.
const STRANGER_BODY_COUNT_MAX: usize = 1_024;
const ADDRESS_BODY_COUNT_MAX: usize = 64;
/// A body that is not larger needs no room of its own.
const SMALL_BODY_BYTES_MAX: usize = 64 * 1024;
/// What larger bodies hold together; who comes when it is taken waits.
const BODIES_BYTES_MAX: usize = 256 * 1024 * 1024;
/// The unit in which room is given out.
const ROOM_BYTES: usize = 1_024;

/// All bodies on their way.
pub(crate) struct Bodies {
    hasher: RandomState,
    known: Mutex<Counted>,
    strangers: Mutex<Strangers>,
    room: Semaphore,
}

/// A whole body, and the room that it takes as long as it is held.
#[derive(Default)]
pub(crate) struct Held<'a> {
    pub(crate) bytes: Bytes,
    pub(crate) room: Option<SemaphorePermit<'a>>,
}

/// A body that holds its sender's credential, so that it is read before anybody is identified.
pub(crate) struct Unread<'a> {
    bodies: &'a Bodies,
    body: Body,
    /// Whose share of the places it takes; none for a proxy that many people come through.
    address: Option<IpAddr>,
}

/// How many come in, of whom.
#[derive(Default)]
struct Counted {
    total: usize,
    by_sender: HashMap<u64, usize>,
}

#[derive(Default)]
struct Strangers {
    next: u64,
    open: BTreeMap<u64, (Option<IpAddr>, Arc<Notify>)>,
}

impl Default for Bodies {
    fn default() -> Self {
        let room = Semaphore::new(BODIES_BYTES_MAX / ROOM_BYTES);
        Self { hasher: RandomState::new(), known: Mutex::default(), strangers: Mutex::default(), room }
    }
}

impl Bodies {
    /// Reads an identified caller's body, of at most `bytes_max`.
    ///
    /// # Errors
    /// `TooLarge`, `TooMany` for a caller who sends too many at once, `Invalid` for one that breaks off or comes too slowly.
    pub(crate) async fn of_caller(&self, body: Body, caller: &str, bytes_max: usize) -> Result<Held<'_>, Problem> {
        let expected = body.size_hint().exact().map(|size| usize::try_from(size).unwrap_or(usize::MAX));
        if expected.is_some_and(|size| size > bytes_max) {
            return Err(too_large(bytes_max));
        }
        if body.is_end_stream() {
            return Ok(Held::default());
        }
        let _place = Place::take(self, caller)?;
        let mut incoming = Incoming::of(body, bytes_max);
        let wanted = expected.unwrap_or(bytes_max);
        incoming.read(SMALL_BODY_BYTES_MAX).await?;
        let mut room = None;
        if !incoming.is_whole {
            let units = u32::try_from(wanted.div_ceil(ROOM_BYTES)).unwrap_or(u32::MAX);
            let asked = Instant::now();
            let waiting = tokio::time::timeout(BODY_READ_MAX, self.room.acquire_many(units)).await;
            room = waiting.ok().and_then(Result::ok);
            if room.is_none() {
                return Err(Problem::unavailable("the server holds as many large bodies as it may; try again in a moment"));
            }
            // The sender did not have us wait.
            incoming.began += asked.elapsed();
            incoming.read(bytes_max).await?;
        }
        Ok(Held { bytes: incoming.taken(), room })
    }

    /// A body that is to be read before its sender is known.
    pub(crate) fn of_stranger(&self, body: Body, address: Option<IpAddr>) -> Unread<'_> {
        Unread { bodies: self, body, address }
    }
}

impl Unread<'_> {
    /// Reads it, of at most `bytes_max`.
    ///
    /// # Errors
    /// As [`Bodies::of_caller`]; `TooMany` also for the oldest of too many.
    pub(crate) async fn whole(self, bytes_max: usize) -> Result<Bytes, Problem> {
        let (number, pushed_out) = locked(&self.bodies.strangers).begin(self.address);
        let _place = StrangersPlace { bodies: self.bodies, number };
        let mut incoming = Incoming::of(self.body, bytes_max);
        tokio::select! {
            biased;
            read = incoming.read(bytes_max) => read?,
            () = pushed_out.notified() => {
                let message = "more requests whose senders are not known yet come in at once than may; try again in a moment";
                return Err(Problem::new(Kind::TooMany, message).retry_after(Duration::from_secs(1)));
            }
        }
        Ok(incoming.taken())
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn too_large(bytes_max: usize) -> Problem {
    Problem::new(Kind::TooLarge, format!("the body is larger than {bytes_max} bytes"))
}

/// A body as far as it came.
struct Incoming {
    body: Body,
    bytes_max: usize,
    began: Instant,
    first: Bytes,
    rest: BytesMut,
    is_whole: bool,
}

impl Incoming {
    fn of(body: Body, bytes_max: usize) -> Self {
        Self { body, bytes_max, began: Instant::now(), first: Bytes::new(), rest: BytesMut::new(), is_whole: false }
    }

    fn len(&self) -> usize {
        if self.rest.is_empty() { self.first.len() } else { self.rest.len() }
    }

    /// Reads on until it is whole, or more than `until` bytes are there.
    async fn read(&mut self, until: usize) -> Result<(), Problem> {
        while !self.body.is_end_stream() {
            if self.len() > until {
                return Ok(());
            }
            let earned = Duration::from_secs(self.len() as u64) / BODY_RATE_MIN;
            let patience = BODY_GRACE.saturating_add(earned).min(BODY_READ_MAX);
            let frame = tokio::time::timeout_at(self.began + patience, self.body.frame()).await.map_err(|_| too_slow())?;
            let Some(frame) = frame else { break };
            let broken = |error| Problem::invalid("the body broke off before its end").because(error);
            let Ok(data) = frame.map_err(broken)?.into_data() else { continue };
            if data.len() > self.bytes_max.saturating_sub(self.len()) {
                return Err(too_large(self.bytes_max));
            }
            self.add(data);
        }
        self.is_whole = true;
        Ok(())
    }

    /// Most bodies come in one piece, which is not copied.
    fn add(&mut self, data: Bytes) {
        if self.len() == 0 {
            self.first = data;
            return;
        }
        if self.rest.is_empty() {
            self.rest.extend_from_slice(&std::mem::take(&mut self.first));
        }
        self.rest.extend_from_slice(&data);
    }

    fn taken(self) -> Bytes {
        if self.rest.is_empty() { self.first } else { self.rest.freeze() }
    }
}

fn too_slow() -> Problem {
    Problem::invalid(format!(
        "the body came too slowly: it has {} s in all and, after {} s, comes at {BODY_RATE_MIN} bytes a second or more",
        BODY_READ_MAX.as_secs(),
        BODY_GRACE.as_secs()
    ))
}

/// A place among the bodies of identified callers.
struct Place<'a> {
    bodies: &'a Bodies,
    sender: u64,
}

impl<'a> Place<'a> {
    fn take(bodies: &'a Bodies, caller: impl Hash) -> Result<Self, Problem> {
        let sender = bodies.hasher.hash_one(caller);
        let mut known = locked(&bodies.known);
        if known.total >= BODY_COUNT_MAX {
            return Err(Problem::unavailable(format!("{BODY_COUNT_MAX} bodies come in already; try again in a moment")));
        }
        let own = known.by_sender.entry(sender).or_default();
        if *own >= CALLER_BODY_COUNT_MAX {
            let message = format!("{CALLER_BODY_COUNT_MAX} bodies of yours come in already; send some of them first");
            return Err(Problem::new(Kind::TooMany, message).retry_after(Duration::from_secs(1)));
        }
        *own += 1;
        known.total += 1;
        drop(known);
        Ok(Self { bodies, sender })
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        let mut known = locked(&self.bodies.known);
        known.total = known.total.saturating_sub(1);
        if let Some(own) = known.by_sender.get_mut(&self.sender) {
            *own = own.saturating_sub(1);
            if *own == 0 {
                known.by_sender.remove(&self.sender);
            }
        }
    }
}

impl Strangers {
    /// Takes a place, if need be the oldest one's: of the same address if that has too many, else of all.
    fn begin(&mut self, address: Option<IpAddr>) -> (u64, Arc<Notify>) {
        let is_own = |place: &Option<IpAddr>| address.is_some() && *place == address;
        let own_count = self.open.values().filter(|(place, _)| is_own(place)).count();
        let oldest = if own_count >= ADDRESS_BODY_COUNT_MAX {
            self.open.iter().find(|(_, (place, _))| is_own(place)).map(|(number, _)| *number)
        } else if self.open.len() >= STRANGER_BODY_COUNT_MAX {
            self.open.keys().next().copied()
        } else {
            None
        };
        if let Some((_, pushed_out)) = oldest.and_then(|number| self.open.remove(&number)) {
            pushed_out.notify_one();
        }
        let (number, pushed_out) = (self.next, Arc::new(Notify::new()));
        self.next = self.next.wrapping_add(1);
        self.open.insert(number, (address, Arc::clone(&pushed_out)));
        (number, pushed_out)
    }
}

struct StrangersPlace<'a> {
    bodies: &'a Bodies,
    number: u64,
}

impl Drop for StrangersPlace<'_> {
    fn drop(&mut self) {
        locked(&self.bodies.strangers).open.remove(&self.number);
    }
}

#[cfg(test)]
mod tests {
    use std::pin::Pin;

    use futures_util::FutureExt;
    use futures_util::stream::{self, StreamExt};

    use super::*;

    /// A body of which nothing comes.
    fn silent() -> Body {
        Body::from_stream(stream::pending::<Result<Bytes, std::io::Error>>())
    }

    /// One that comes in pieces, so many seconds apart.
    fn dripping(pieces: usize, bytes: usize, seconds: u64) -> Body {
        Body::from_stream(stream::iter(0..pieces).then(move |_| async move {
            tokio::time::sleep(Duration::from_secs(seconds)).await;
            Ok::<_, std::io::Error>(Bytes::from(vec![b' '; bytes]))
        }))
    }

    #[tokio::test]
    async fn a_body_comes_whole_or_is_too_large() {
        let bodies = Bodies::default();
        for (pieces, bytes) in [(1, 10), (3, 10), (3, 40_000)] {
            let held = bodies.of_caller(dripping(pieces, bytes, 0), "a", 1 << 20).await.unwrap();
            assert_eq!((held.bytes.len(), held.room.is_some()), (pieces * bytes, pieces * bytes > SMALL_BODY_BYTES_MAX));
        }
        for body in [Body::from(vec![0; 101]), dripping(3, 40, 0)] {
            assert_eq!(bodies.of_caller(body, "a", 100).await.err().unwrap().kind(), Kind::TooLarge);
        }
        assert_eq!(bodies.of_stranger(Body::from("form"), None).whole(4).await.unwrap(), "form");
        assert_eq!(bodies.of_stranger(Body::from("forms"), None).whole(4).await.unwrap_err().kind(), Kind::TooLarge);
        assert!(locked(&bodies.known).by_sender.is_empty() && locked(&bodies.strangers).open.is_empty());
        assert_eq!(bodies.room.available_permits(), BODIES_BYTES_MAX / ROOM_BYTES);
    }

    #[tokio::test(start_paused = true)]
    async fn who_sends_slowly_is_given_up_and_who_sends_on_is_not() {
        let bodies = Bodies::default();
        let began = Instant::now();
        assert!(bodies.of_caller(silent(), "a", 1_000).await.is_err());
        assert!(bodies.of_caller(dripping(100, 1, 1), "a", 1_000).await.is_err());
        assert!(began.elapsed() < Duration::from_secs(22));
        assert_eq!(bodies.of_caller(dripping(20, 2_048, 1), "a", 1 << 20).await.unwrap().bytes.len(), 40_960);
        assert!(bodies.of_caller(dripping(40, 2_048, 1), "a", 1 << 20).await.is_err(), "it has 30 s");
    }

    #[tokio::test]
    async fn a_caller_who_sends_too_many_keeps_nobody_else_out() {
        let bodies = Bodies::default();
        let mut waiting: Vec<Pin<Box<dyn Future<Output = _>>>> = Vec::new();
        for _ in 0..CALLER_BODY_COUNT_MAX {
            let mut reading = Box::pin(bodies.of_caller(silent(), "a", 100));
            assert!((&mut reading).now_or_never().is_none());
            waiting.push(reading);
        }
        assert_eq!(bodies.of_caller(silent(), "a", 100).await.err().unwrap().kind(), Kind::TooMany);
        assert_eq!(bodies.of_caller(Body::from("x"), "b", 100).await.unwrap().bytes, "x");
        drop(waiting);
        assert_eq!(bodies.of_caller(Body::from("x"), "a", 100).await.unwrap().bytes, "x");
    }

    #[tokio::test]
    async fn strangers_push_out_their_own_oldest_body() {
        let bodies = Bodies::default();
        let (ours, theirs) = (Some(IpAddr::from([10, 0, 0, 1])), Some(IpAddr::from([10, 0, 0, 2])));
        let mut other = Box::pin(bodies.of_stranger(silent(), theirs).whole(100));
        assert!((&mut other).now_or_never().is_none());
        let mut waiting = Vec::new();
        for _ in 0..=ADDRESS_BODY_COUNT_MAX {
            let mut reading = Box::pin(bodies.of_stranger(silent(), ours).whole(100));
            assert!((&mut reading).now_or_never().is_none());
            waiting.push(reading);
        }
        let first = (&mut waiting[0]).now_or_never().expect("the oldest is told to go");
        assert_eq!(first.unwrap_err().kind(), Kind::TooMany);
        assert!((&mut waiting[1]).now_or_never().is_none() && (&mut other).now_or_never().is_none());
        assert_eq!(bodies.of_stranger(Body::from("form"), ours).whole(100).await.unwrap(), "form");
    }
}
