//! `retention.seal`: what is locked is also held by what its bytes lie on (the immutable flag of files, the Object Lock of a store), and let
//! go again when its time is over by the compliance clock. It compares what is locked with what is sealed, so that a crash, a flag that is
//! switched on later, and objects that were locked before end alike.

use gate::{Action, Operation, Outcome, Permit, Target};
use kernel::{Micros, Problem};
use vault::db::{Reader, Writer};
use vault::objects::{Enforcement, ObjectId, Objects};

use crate::Keeping;
use crate::lock::Lock;
use crate::store::seals::{self, Wanted};

/// Rounds of one run: what is left comes next minute.
const ROUND_COUNT_MAX: usize = 100;

/// The job that keeps seals.
pub const SEALER: &str = "warden";

/// Seals what is locked, and lets go of what is not any more.
pub struct SealObjects {
    /// The room.
    pub room: Keeping,
}

/// What it did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sealed {
    /// Objects that are held now, or longer than before.
    pub sealed_count: usize,
    /// Objects that were let go.
    pub released_count: usize,
    /// Objects that could not be held; they are tried again.
    pub failed_count: usize,
}

impl Operation for SealObjects {
    const ACTION: Action = Action::write("retention.seal");
    type Output = Sealed;

    fn target(&self) -> Target {
        Target::Server
    }

    async fn run(self, permit: Permit<Self>) -> Result<Sealed, Problem> {
        let room = &self.room;
        let mut sealed = Sealed::default();
        let at = permit.entry().at;
        for _ in 0..ROUND_COUNT_MAX {
            let now = room.clock_now(&permit).await?;
            let (wanted, over) = room.open_work(&permit, now).await?;
            if wanted.is_empty() && over.is_empty() {
                break;
            }
            let mut done = Vec::new();
            for one in wanted {
                match room.objects.seal(&permit, &one.object, one.seal()).await {
                    Ok(_) => done.push(one),
                    Err(problem) => {
                        sealed.failed_count += 1;
                        tracing::warn!(%problem, object.id = one.object.as_str(), "an object could not be sealed");
                    }
                }
            }
            let mut released = Vec::new();
            for id in over {
                match room.objects.unseal(&permit, &id).await {
                    Ok(()) => released.push(id),
                    Err(problem) => {
                        sealed.failed_count += 1;
                        tracing::warn!(%problem, object.id = id.as_str(), "an object whose time is over could not be let go");
                    }
                }
            }
            sealed.sealed_count += done.len();
            sealed.released_count += released.len();
            let is_stuck = done.is_empty() && released.is_empty();
            room.note(done, released, at).await?;
            if is_stuck || sealed.failed_count > 0 {
                break;
            }
        }
        let outcome = Outcome::done()
            .with("sealed_count", sealed.sealed_count)
            .with("released_count", sealed.released_count)
            .with("failed_count", sealed.failed_count);
        permit.defer_outcome().settle(&outcome);
        Ok(sealed)
    }
}

/// Holds the bytes of what is about to be locked, before its row is: where a store holds them, nothing is acknowledged that it does not.
///
/// # Errors
/// `Unavailable` if the store does not hold one of them: then nothing may be locked.
pub async fn hold_first<O: ?Sized>(objects: &Objects, permit: &Permit<O>, ids: &[ObjectId], lock: Lock) -> Result<(), Problem> {
    if objects.enforcement() != Enforcement::Backend || !lock.is_some() {
        return Ok(());
    }
    for id in ids {
        objects.seal(permit, id, seals::seal_of(lock)).await?;
    }
    Ok(())
}

/// What is to be sealed by what can hold it here. Files hold only what nobody may take off before its time.
fn wanted(reader: &mut Reader<'_>, enforcement: Enforcement, now: Micros) -> Result<Vec<Wanted>, Problem> {
    match enforcement {
        Enforcement::Software => Ok(Vec::new()),
        Enforcement::Flag => seals::to_seal(reader, now, true),
        Enforcement::Backend => seals::to_seal(reader, now, false),
    }
}

impl Keeping {
    /// Whether anything is to be sealed or let go: asked each minute without a record, because nothing is done.
    ///
    /// # Errors
    /// Of the database.
    pub async fn is_seal_due(&self) -> Result<bool, Problem> {
        let enforcement = self.objects.enforcement();
        let look = move |reader: &mut Reader<'_>| {
            let now = crate::store::now(reader)?;
            if !seals::to_unseal(reader, now)?.is_empty() {
                return Ok(true);
            }
            Ok(!wanted(reader, enforcement, now)?.is_empty())
        };
        self.system.read(look).await
    }

    async fn clock_now<O: ?Sized>(&self, permit: &Permit<O>) -> Result<Micros, Problem> {
        self.db.read(permit, crate::store::now).await
    }

    async fn open_work<O: ?Sized>(&self, permit: &Permit<O>, now: Micros) -> Result<(Vec<Wanted>, Vec<ObjectId>), Problem> {
        let enforcement = self.objects.enforcement();
        let read = move |reader: &mut Reader<'_>| Ok((wanted(reader, enforcement, now)?, seals::to_unseal(reader, now)?));
        self.db.read(permit, read).await
    }

    /// Book-keeping of what was done: the records of the locks themselves are those of whoever locked.
    async fn note(&self, done: Vec<Wanted>, released: Vec<ObjectId>, at: Micros) -> Result<(), Problem> {
        let write = move |writer: &mut Writer<'_>| {
            for one in &done {
                seals::put(writer, one, at)?;
            }
            released.iter().try_for_each(|id| seals::forget(writer, id))
        };
        self.system.write(write).await
    }
}
