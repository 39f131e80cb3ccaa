//! `retention.list`, `retention.extend`, `retention.hold` and `retention.bypass`: what is retained as a whole, and changes of it. The last is a
//! right of its own, wants a reason, and opens a critical alert in the same commit.

use gate::{Action, Operation, Outcome, Permit, Scope, Target};
use kernel::{Micros, Problem, random_id};
use vault::db::{Reader, Writer};
use vault::objects::Enforcement;

use crate::clock::ClockState;
use crate::lock::{Lock, Mode, Retention};
use crate::store::{kept as store, seals};
use crate::types::{Found, Kept, Kind};
use crate::{Bypassed, Keeping};

/// Things of one page.
const PAGE_COUNT_MAX: i64 = 1_000;
/// A reason that somebody gives.
const REASON_CHARS_MAX: usize = 500;

/// Where a thing is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach {
    /// In the workspace that the request names.
    Workspace,
    /// The server's own: backups.
    Server,
}

impl Reach {
    const fn target(self) -> Target {
        match self {
            Self::Workspace => Target::Workspace,
            Self::Server => Target::Server,
        }
    }

    fn workspace<O: ?Sized>(self, permit: &Permit<O>) -> Result<String, Problem> {
        match self {
            Self::Workspace => permit.workspace().map(ToOwned::to_owned),
            Self::Server => Ok(String::new()),
        }
    }
}

/// Shows what is retained as a whole.
pub struct ListKept {
    /// The room.
    pub room: Keeping,
    /// Where.
    pub reach: Reach,
    /// The row that the page before ended with; empty for the first page.
    pub after: String,
    /// How many at most.
    pub rows: Option<i64>,
}

/// What is retained, and by what.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeptPage {
    /// The compliance clock.
    pub clock: ClockState,
    /// What enforces retention, at best.
    pub enforcement: Enforcement,
    /// Objects of the whole server that more than software holds.
    pub sealed_count: i64,
    /// The things.
    pub kept: Vec<Kept>,
    /// Where the next page begins; none behind the last.
    pub next: Option<String>,
}

impl Operation for ListKept {
    const ACTION: Action = Action::read("retention.list");
    type Output = KeptPage;

    fn target(&self) -> Target {
        self.reach.target()
    }

    async fn run(self, permit: Permit<Self>) -> Result<KeptPage, Problem> {
        let workspace = self.reach.workspace(&permit)?;
        let models = match permit.scope() {
            Scope::Workspace => None,
            Scope::Only { models, .. } => Some(models.clone()),
            _ => Some(Vec::new()),
        };
        let Keeping { db, clock, objects, .. } = self.room;
        let (after, enforcement) = (self.after, objects.enforcement());
        let rows = self.rows.unwrap_or(PAGE_COUNT_MAX).clamp(1, PAGE_COUNT_MAX);
        let list = move |writer: &mut Writer<'_>| {
            let clock = clock.tick(writer)?;
            let mut kept = store::list(writer, (&workspace, models.as_deref()), &after, rows + 1)?;
            let has_more = kept.len() > usize::try_from(rows).unwrap_or(usize::MAX);
            if has_more {
                kept.pop();
            }
            let next = kept.last().filter(|_| has_more).map(|last| last.id.clone());
            let count = kept.len();
            let page = KeptPage { clock, enforcement, sealed_count: seals::count(writer)?, kept, next };
            Ok((page, Outcome::done().with("count", count)))
        };
        db.write(&permit, list).await
    }
}

/// Which thing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Named {
    /// Where it is.
    pub reach: Reach,
    /// What it is.
    pub kind: Kind,
    /// What people call it (`NAME@3`, `NAME/3`, `PLACE#3`), or its id.
    pub name: String,
}

/// Retains a thing longer, or more strictly.
pub struct ExtendKept {
    /// The room.
    pub room: Keeping,
    /// Which.
    pub which: Named,
    /// Its retention from now on; never less than it has.
    pub retention: Retention,
}

impl Operation for ExtendKept {
    const ACTION: Action = Action::write("retention.extend");
    type Output = Kept;

    fn target(&self) -> Target {
        self.which.reach.target()
    }

    async fn run(self, permit: Permit<Self>) -> Result<Kept, Problem> {
        let wanted = self.retention;
        let change = move |_: &mut Writer<'_>, kept: &Kept, now: Micros| {
            // From governance to compliance of at least the same length is stricter, and no bypass.
            let is_stricter = kept.lock.in_force(now).is_some_and(|there| {
                there.mode == Mode::Governance && wanted.mode == Mode::Compliance && wanted.until >= there.until
            });
            kept.lock.may_become(Some(wanted), now, is_stricter)?;
            Ok(Lock { retention: Some(wanted), ..kept.lock })
        };
        self.room.clone().change(&permit, (self.which, Unretained::Refused), change, "").await
    }
}

/// Puts a thing under a legal hold, whether a rule retains it or not, or lifts it.
pub struct HoldKept {
    /// The room.
    pub room: Keeping,
    /// Which.
    pub which: Named,
    /// Whether it is under a hold from now on.
    pub hold: bool,
}

impl Operation for HoldKept {
    const ACTION: Action = Action::write("retention.hold");
    type Output = Kept;

    fn target(&self) -> Target {
        self.which.reach.target()
    }

    async fn run(self, permit: Permit<Self>) -> Result<Kept, Problem> {
        let hold = self.hold;
        let unretained = if hold { Unretained::Begun } else { Unretained::Refused };
        let change = move |_: &mut Writer<'_>, kept: &Kept, _: Micros| Ok(Lock { hold, ..kept.lock });
        self.room.clone().change(&permit, (self.which, unretained), change, "").await
    }
}

/// Takes the retention of a thing under governance away, or shortens it.
pub struct BypassKept {
    /// The room.
    pub room: Keeping,
    /// Which.
    pub which: Named,
    /// Until when it is retained from now on, under governance; none for no more.
    pub until: Option<Micros>,
    /// Why, in the caller's words.
    pub reason: String,
}

impl Operation for BypassKept {
    const ACTION: Action = Action::write("retention.bypass");
    type Output = Kept;

    fn target(&self) -> Target {
        self.which.reach.target()
    }

    async fn run(self, permit: Permit<Self>) -> Result<Kept, Problem> {
        let reason: String = self.reason.trim().chars().take(REASON_CHARS_MAX).collect();
        if reason.is_empty() {
            return Err(Problem::invalid("a bypass of governance needs a reason: say why"));
        }
        let retention = self.until.map(|until| Retention { mode: Mode::Governance, until });
        let (telling, by, at) = (self.room.clone(), permit.caller().id.clone(), permit.entry().at);
        let said = reason.clone();
        let change = move |writer: &mut Writer<'_>, kept: &Kept, now: Micros| {
            kept.lock.may_become(retention, now, true)?;
            if kept.lock.may_become(retention, now, false).is_err() {
                let what = format!("the {} `{}`", kept.kind.noun(), kept.name);
                let (workspace, subject) = (kept.workspace.clone(), kept.name.clone());
                let verb = Self::ACTION.name;
                telling.tell(writer, &Bypassed { workspace, what, subject, verb, by, reason, at })?;
            }
            Ok(Lock { retention, ..kept.lock })
        };
        self.room.clone().change(&permit, (self.which, Unretained::Refused), change, &said).await
    }
}

/// What a change does with a thing that nothing retains.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Unretained {
    Refused,
    Begun,
}

impl Keeping {
    /// What is called so now; what had the name before is not meant.
    fn find(&self, reader: &mut Reader<'_>, workspace: &str, which: &Named) -> Result<Option<Found>, Problem> {
        let mut rooms = self.rooms.iter().filter(|room| room.kind() == which.kind);
        rooms.next().map_or(Ok(None), |room| room.find(reader, workspace, &which.name))
    }

    async fn change<O: ?Sized>(
        self,
        permit: &Permit<O>,
        (which, unretained): (Named, Unretained),
        change: impl FnOnce(&mut Writer<'_>, &Kept, Micros) -> Result<Lock, Problem> + Send + 'static,
        reason: &str,
    ) -> Result<Kept, Problem> {
        let workspace = which.reach.workspace(permit)?;
        let (room, reason) = (self.clone(), reason.to_owned());
        let write = move |writer: &mut Writer<'_>| {
            let found = room.find(writer, &workspace, &which)?;
            let known = match &found {
                Some(found) => store::find(writer, which.kind, &found.id)?,
                None => store::named(writer, &workspace, which.kind, &which.name)?,
            };
            let now = room.clock.tick(writer)?.at;
            let is_known = known.is_some();
            let found = found.filter(|_| unretained == Unretained::Begun);
            let begun = || found.as_ref().map(|found| begin(found, which.kind, &workspace, now));
            let Some(kept) = known.or_else(begun) else { return Err(nothing_there(&which, unretained)) };
            let objects = found.as_ref().map(|found| found.objects.as_slice()).unwrap_or_default();
            let lock = change(writer, &kept, now)?;
            let object_count = kept.object_count.max(i64::try_from(objects.len()).unwrap_or(i64::MAX));
            let kept = Kept { lock, object_count, ..kept };
            if is_known {
                store::set_lock(writer, &kept.id, lock, None)?;
                store::add_objects(writer, &kept.id, objects)?;
            } else {
                store::insert(writer, &kept, objects)?;
            }
            // Nothing but a hold had retained it.
            if kept.rule.is_empty() && !lock.is_some() {
                store::forget(writer, &kept.id)?;
            }
            let (mode, until) = lock.retention.map_or(("none", 0), |one| (one.mode.word(), one.until.0));
            let outcome = Outcome::done()
                .resource(kept.subject.clone())
                .with("kind", kept.kind.word())
                .with("mode", mode)
                .with("retain_until", until)
                .with("legal_hold", i64::from(lock.hold));
            let outcome = if reason.is_empty() { outcome } else { outcome.with("reason", reason) };
            Ok((kept, outcome))
        };
        self.db.write(permit, write).await
    }
}

/// A thing that no rule retains, before its lock is put on.
fn begin(found: &Found, kind: Kind, workspace: &str, now: Micros) -> Kept {
    Kept {
        id: random_id(),
        kind,
        subject: found.id.clone(),
        name: found.shown.clone(),
        workspace: workspace.to_owned(),
        rule: String::new(),
        lock: Lock::default(),
        created_at: now,
        object_count: 0,
    }
}

fn nothing_there(which: &Named, unretained: Unretained) -> Problem {
    match unretained {
        Unretained::Refused => {
            Problem::not_found("nothing of this name is retained here; `strongroom retention list` shows what is")
        }
        Unretained::Begun => {
            let form = match which.kind {
                Kind::Dataset => "NAME@3",
                Kind::Model => "NAME/3",
                Kind::Backup => "PLACE#3",
            };
            Problem::not_found(format!("there is no {} of this name here; say {form}", which.kind.noun()))
        }
    }
}
