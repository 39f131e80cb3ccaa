//! The job: reads what is new in the log, puts notices into the outbox, and has due mail sent, each mail as an act of its own. Reading leaves no
//! record, or each look would be the next one's news.

use std::sync::Arc;
use std::time::Duration;

use gate::{Attempt, Gate, JobPass};
use kernel::{Clock, Micros, Problem};
use vault::db::{Reader, Writer};

use crate::derive::{Told, told};
use crate::limits::{MADE_COUNT_MAX, READ_COUNT, SHOWN_DAYS};
use crate::ops::SendMail;
use crate::outbox::Seed;
use crate::{Mail, store};

/// How often it is looked.
const EVERY: Duration = Duration::from_secs(2);
/// How often old rows are swept.
const SWEEP_ROUNDS: u64 = 1_800;

/// The log, for reading. It is asked where blocking is allowed.
pub trait Records: Send + Sync + 'static {
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

/// Sends for one server process.
pub struct Mailer {
    room: Mail,
    gate: Gate,
    pass: JobPass,
    records: Arc<dyn Records>,
    clock: Arc<dyn Clock>,
}

impl Mailer {
    /// A mailer. `pass` is that of the job [`crate::MAILER`].
    #[must_use]
    pub fn new(room: Mail, (gate, pass): (Gate, JobPass), records: Arc<dyn Records>, clock: Arc<dyn Clock>) -> Self {
        Self { room, gate, pass, records, clock }
    }

    /// Works until it is dropped.
    pub async fn run(self) {
        let mut round = 0_u64;
        loop {
            // At once at first: where a log was never read, what happens from now on is told.
            if let Err(problem) = self.round().await {
                tracing::warn!(%problem, "notices could not be gathered or sent");
            }
            if round.is_multiple_of(SWEEP_ROUNDS)
                && let Err(problem) = self.sweep().await
            {
                tracing::warn!(%problem, "old notices could not be swept");
            }
            round = round.saturating_add(1);
            tokio::time::sleep(EVERY).await;
        }
    }

    /// Reads everything that is new, and sends what is due.
    ///
    /// # Errors
    /// If something could not be read or written; it is tried again in the next round. Mail that could not be sent is no error here.
    pub async fn round(&self) -> Result<(), Problem> {
        while self.gather().await? {}
        self.send().await
    }

    /// One step of the log; whether there may be more.
    async fn gather(&self) -> Result<bool, Problem> {
        let origin = self.records.origin();
        let asked = origin.clone();
        let before = self.room.0.system.read(move |reader: &mut Reader<'_>| Ok(store::position(reader, &asked)?)).await?;
        let records = Arc::clone(&self.records);
        let read = tokio::task::spawn_blocking(move || look(&*records, before)).await;
        let look = read.map_err(|broken| Problem::internal("the log could not be read for notices", broken))??;
        if before == Some(look.next) {
            return Ok(false);
        }
        let oldest = self.clock.now().plus_secs(-i64::from(self.room.0.config.give_up_hours) * 3_600);
        let (room, next, more) = (self.room.clone(), look.next, look.more);
        let write = move |writer: &mut Writer<'_>| {
            if !store::move_on(writer, &origin, before, next)? {
                return Ok(false);
            }
            // Where mail was not configured for a while, nobody is told now of what happened then.
            for (index, told) in look.told.iter().filter(|(_, told)| told.at >= oldest) {
                let of = format!("{origin} {index}");
                let seed = Seed { of: &of, kind: told.kind, event: &told.event, at: told.at, detail: &told.detail };
                room.put_for(writer, &told.to, &seed)?;
            }
            Ok(true)
        };
        let is_moved = self.room.0.system.write(write).await?;
        Ok(is_moved && more)
    }

    /// Sends to everybody whose time has come. Behind a failure the others wait for the next round: mostly it is the server that is down.
    async fn send(&self) -> Result<(), Problem> {
        let now = self.clock.now();
        let due = self.room.0.system.read(move |reader: &mut Reader<'_>| Ok(store::due(reader, now)?)).await?;
        for recipient in due {
            let send = SendMail { room: self.room.clone(), recipient };
            let sent = self.gate.call(Attempt::of_job(self.pass.clone()), send).await?;
            if let Some(fault) = sent.fault {
                tracing::warn!(fault, notice_count = sent.notice_count, "mail could not be sent; it is kept and tried again");
                break;
            }
        }
        Ok(())
    }

    async fn sweep(&self) -> Result<(), Problem> {
        let before: Micros = self.clock.now().plus_secs(-SHOWN_DAYS * 86_400);
        self.room.0.system.write(move |writer| Ok(store::sweep(writer, before)?)).await
    }
}

struct Look {
    told: Vec<(u64, Told)>,
    next: i64,
    more: bool,
}

/// Reads a step. Where a log was never read, nothing of it is told: it begins now.
fn look(records: &dyn Records, before: Option<i64>) -> Result<Look, Problem> {
    let size = records.size()?;
    let number = |index: u64| i64::try_from(index).map_err(|_| Problem::invalid("the log is full"));
    // A log that is shorter than what was read of it was restored.
    let from = before.and_then(|before| u64::try_from(before).ok()).map_or(size, |before| before.min(size));
    let to = size.min(from.saturating_add(READ_COUNT));
    let (mut found, mut next) = (Vec::new(), from);
    if from < to {
        records.read(from, to, &mut |index, record| {
            found.extend(told(record).map(|told| (index, told)));
            next = index.saturating_add(1);
            found.len() < MADE_COUNT_MAX
        })?;
    }
    Ok(Look { told: found, next: number(next)?, more: next < size })
}
