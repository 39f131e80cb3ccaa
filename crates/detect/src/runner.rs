//! The detector's job: reads what is new in the log, has the engine look at it, and writes down what it found, under a narrow identity of
//! its own. Looking leaves no record, or each look would be the next one's news; what was found does.

use std::sync::Arc;
use std::time::Duration;

use gate::{Attempt, Gate, JobPass};
use kernel::{Clock, Kind, Problem};

use crate::ops::Batch;
use crate::ops::{Raise, Raised, Respond};
use crate::respond::{Ladder, Rung, Suspect};
use crate::types::Detection;
use crate::uses::Uses;
use crate::{Detect, Engine, Whereabouts, store, uses};

/// Records of one batch.
const BATCH_COUNT: u64 = 20_000;
/// Findings of one batch: what comes behind is looked at in the next.
const FINDING_COUNT_MAX: usize = 200;
/// Records that are read again at start, so that windows are whole.
const WARM_COUNT: u64 = 200_000;
/// So many of them at a time, with a pause behind each.
const WARM_SLICE_COUNT: u64 = 2_000;
const WARM_PAUSE: Duration = Duration::from_millis(20);
/// Where the log was never looked at, so much of it is.
const FIRST_COUNT: u64 = 200_000;
/// Responses of one round.
const RESPONSE_COUNT_MAX: i64 = 100;
/// States that nothing changed for so long go.
const STATE_DAYS: i64 = 400;
/// Detections that somebody was on go after so long.
const DETECTION_DAYS: i64 = 400;
const SWEEP_ROUNDS: u64 = 3_600;

/// The log, for reading. It is asked where blocking is allowed.
pub trait Source: Send + Sync + 'static {
    /// The log's name.
    fn origin(&self) -> String;
    /// How many records it has.
    ///
    /// # Errors
    /// If that cannot be told.
    fn size(&self) -> Result<u64, Problem>;
    /// Calls `each` with the records `from..to`, in order, until it says no.
    ///
    /// # Errors
    /// If they cannot be read.
    fn read(&self, from: u64, to: u64, each: &mut dyn FnMut(u64, &[u8]) -> bool) -> Result<(), Problem>;
}

/// Looks for one server process.
pub struct Runner {
    room: Detect,
    gate: Gate,
    detector: JobPass,
    responder: JobPass,
    source: Arc<dyn Source>,
    ladder: Arc<dyn Ladder>,
    whereabouts: Arc<dyn Whereabouts>,
    clock: Arc<dyn Clock>,
    engine: Option<Engine>,
    uses: Uses,
    position: Option<u64>,
    /// What was read and could not be written down yet.
    waiting: Option<Batch>,
}

/// What a round read.
struct Look {
    engine: Engine,
    uses: Uses,
    findings: Vec<crate::Finding>,
    next: u64,
}

impl Runner {
    /// A runner. The passes are those of the jobs [`crate::DETECTOR`] and [`crate::RESPONDER`].
    #[must_use]
    pub fn new(
        room: Detect,
        gate: Gate,
        (detector, responder): (JobPass, JobPass),
        (source, ladder, whereabouts): (Arc<dyn Source>, Arc<dyn Ladder>, Arc<dyn Whereabouts>),
        clock: Arc<dyn Clock>,
    ) -> Self {
        let (engine, uses, position, waiting) = (None, Uses::default(), None, None);
        Self { room, gate, detector, responder, source, ladder, whereabouts, clock, engine, uses, position, waiting }
    }

    /// Works until it is dropped.
    pub async fn run(mut self) {
        let every = Duration::from_secs(self.room.config.every_s);
        let mut round = 0_u64;
        loop {
            tokio::time::sleep(every).await;
            if let Err(problem) = self.round().await {
                tracing::warn!(%problem, "the log could not be looked at for detections");
            }
            if round.is_multiple_of(SWEEP_ROUNDS)
                && let Err(problem) = self.sweep().await
            {
                tracing::warn!(%problem, "old detections could not be swept");
            }
            round = round.saturating_add(1);
        }
    }

    /// Looks at everything that is new, and does what is due.
    ///
    /// # Errors
    /// If something could not be read or written; it is tried again in the next round.
    pub async fn round(&mut self) -> Result<(), Problem> {
        self.begin().await?;
        while self.step().await? {}
        self.respond().await
    }

    /// Makes the engine at first, and where there are other rules: with what was learnt, and with the last records read again.
    async fn begin(&mut self) -> Result<(), Problem> {
        let rules = self.room.current().await?;
        let is_current = self.engine.as_ref().is_some_and(|engine| Arc::ptr_eq(engine.rules(), &rules));
        // What was found by the rules before is written down first.
        if is_current || (self.engine.is_some() && self.waiting.is_some()) {
            return Ok(());
        }
        let origin = self.source.origin();
        let asked = origin.clone();
        let read = move |reader: &mut vault::db::Reader<'_>| Ok((store::position(reader, &asked)?, store::states(reader)?));
        let (position, states) = self.room.system.read(read).await?;
        let engine = Engine::new(rules, &origin, &self.room.config.canaries);
        let mut engine = engine.asking(Arc::clone(&self.whereabouts));
        for (subject, kept) in states {
            engine.recall(&subject, kept);
        }
        let source = Arc::clone(&self.source);
        let size = blocking(move || source.size()).await?;
        // A log that is shorter than what was read of it is another one, or was restored.
        let start = position.map_or(size.saturating_sub(FIRST_COUNT), |position| position.min(size));
        let engine = self.warmed(engine, start).await?;
        if position != Some(start) {
            let write = move |writer: &mut vault::db::Writer<'_>| store::move_on(writer, &origin, position, start);
            if !self.room.system.write(write).await? {
                return Err(Problem::new(Kind::Conflict, "another process reads this log too; one is enough"));
            }
        }
        self.position = Some(start);
        self.engine = Some(engine);
        Ok(())
    }

    /// The engine once it has read again what lies before `start`. In slices: a server that has just begun is asked much, and owes this to nobody.
    async fn warmed(&self, mut engine: Engine, start: u64) -> Result<Engine, Problem> {
        let mut from = start.saturating_sub(WARM_COUNT);
        while from < start {
            let (source, to) = (Arc::clone(&self.source), start.min(from.saturating_add(WARM_SLICE_COUNT)));
            engine = blocking(move || {
                source.read(from, to, &mut |index, record| {
                    engine.warm(index, record);
                    true
                })?;
                Ok(engine)
            })
            .await?;
            from = to;
            tokio::time::sleep(WARM_PAUSE).await;
        }
        Ok(engine)
    }

    /// One batch; whether there may be more.
    async fn step(&mut self) -> Result<bool, Problem> {
        let mut more = false;
        if self.waiting.is_none() {
            let Some(from) = self.position else { return Ok(false) };
            let Some(engine) = self.engine.take() else { return Ok(false) };
            let (source, uses) = (Arc::clone(&self.source), std::mem::take(&mut self.uses));
            let look = blocking(move || look(&*source, engine, uses, from)).await;
            // An engine that is lost on the way is made anew from what was written down.
            let (look, size) = look?;
            more = look.next < size;
            let Look { mut engine, mut uses, findings, next } = look;
            if next == from {
                (self.engine, self.uses) = (Some(engine), uses);
                return Ok(false);
            }
            let (states, waiting) = (engine.take_changed(), uses.take_all());
            let rules = Arc::clone(engine.rules());
            self.waiting = Some(Batch { findings, rules, states, uses: waiting, before: Some(from), next });
            (self.engine, self.uses) = (Some(engine), uses);
        }
        self.write().await?;
        Ok(more)
    }

    /// Writes down what waits. Where nothing was found it is no act, only how far the log was read.
    async fn write(&mut self) -> Result<(), Problem> {
        let Some(batch) = self.waiting.clone() else { return Ok(()) };
        let (next, origin) = (batch.next, self.source.origin());
        if batch.findings.is_empty() {
            let at = self.clock.now();
            let write = move |writer: &mut vault::db::Writer<'_>| {
                if !store::move_on(writer, &origin, batch.before, batch.next)? {
                    return Err(Problem::new(Kind::Conflict, "another process reads this log too; one is enough"));
                }
                store::keep_states(writer, &batch.states, at)?;
                uses::write(writer, &batch.uses)
            };
            self.room.system.write(write).await?;
        } else {
            let raise = Raise { room: self.room.clone(), origin, batch };
            let Raised { new_count, again_count } = self.gate.call(Attempt::of_job(self.detector.clone()), raise).await?;
            tracing::info!(new_count, again_count, "something was found in the log");
        }
        self.waiting = None;
        self.position = Some(next);
        Ok(())
    }

    /// Does what is due, rung by rung.
    async fn respond(&self) -> Result<(), Problem> {
        let due = self.room.system.read(|reader| Ok(store::due(reader, RESPONSE_COUNT_MAX)?)).await?;
        for one in due {
            let state = match self.answer(&one).await {
                Ok(state) => state,
                Err(problem) if problem.kind() == Kind::Unavailable => return Err(problem),
                Err(problem) => format!("not done: {problem}"),
            };
            let respond = Respond { room: self.room.clone(), id: one.id, rung: one.response.word(), state };
            self.gate.call(Attempt::of_job(self.responder.clone()), respond).await?;
        }
        Ok(())
    }

    async fn answer(&self, one: &Detection) -> Result<String, Problem> {
        let Some((caller, kind)) = one.caller.clone() else { return Ok("not done: no account is behind it".to_owned()) };
        let at = self.clock.now();
        let until = at.plus_secs(i64::from(self.room.config.respond_minutes) * 60);
        let (token, rule, level) = (one.token.clone(), one.rule.clone(), one.level);
        let suspect = Suspect { caller, kind, token, rule, level, at: one.last_at, until };
        match one.response {
            Rung::Note => Ok("noted".to_owned()),
            Rung::RaiseRisk => self.ladder.raise_risk(&suspect).await.map(|()| format!("risk raised until {}", until.rfc3339())),
            Rung::Throttle => self.ladder.throttle(&suspect).await.map(|()| format!("slowed down until {}", until.rfc3339())),
            Rung::SuspendSession => self.ladder.suspend_session(&suspect).await.map(|()| "token or session ended".to_owned()),
            // Whoever bars accounts leaves the last administrator alone.
            Rung::SuspendAccount => self.ladder.suspend_account(&suspect).await.map(|()| "account barred".to_owned()),
        }
    }

    async fn sweep(&self) -> Result<(), Problem> {
        let now = self.clock.now();
        let (states, detections) = (now.plus_secs(-STATE_DAYS * 86_400), now.plus_secs(-DETECTION_DAYS * 86_400));
        self.room.system.write(move |writer| Ok(store::sweep(writer, states, detections)?)).await
    }
}

/// Reads a batch.
fn look(source: &dyn Source, mut engine: Engine, mut uses: Uses, from: u64) -> Result<(Look, u64), Problem> {
    let size = source.size()?;
    let to = size.min(from.saturating_add(BATCH_COUNT));
    let (mut findings, mut next) = (Vec::new(), from);
    if from < to {
        source.read(from, to, &mut |index, record| {
            findings.extend(engine.take(index, record));
            uses.take(record);
            next = index.saturating_add(1);
            findings.len() < FINDING_COUNT_MAX && !uses.is_full()
        })?;
    }
    Ok((Look { engine, uses, findings, next }, size))
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T, Problem> + Send + 'static) -> Result<T, Problem> {
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result,
        Err(broken) => Err(Problem::internal("the log could not be looked at; this is a fault of the server", broken)),
    }
}
