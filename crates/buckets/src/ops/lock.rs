//! `buckets.lock`, `buckets.retain`, `buckets.hold` and `buckets.bypass`: Object Lock. Each is a right of its own, also where it comes in
//! the headers of another request: who writes an object with a retention asks for [`MayRetain`] first, and gets a leave that the writing
//! verb wants to see.

use gate::{Action, Operation, Outcome, Permit, Target};
use kernel::{Micros, Problem};
use vault::db::{Reader, Writer};
use vault::objects::Enforcement;

use super::read::{marker_problem, there};
use super::tags::find;
use crate::clock::ClockState;
use crate::lock::{DefaultRetention, Lock, Retention};
use crate::store::{buckets as store, versions};
use crate::types::{Bucket, Version, Versioning};
use crate::{Buckets, Bypassed, Code};

/// A reason that somebody gives.
const REASON_CHARS_MAX: usize = 500;

/// Switches a bucket's locks on, and sets what new versions get.
pub struct LockBucket {
    /// The room.
    pub room: Buckets,
    /// The bucket.
    pub bucket: String,
    /// What new versions get; none for nothing.
    pub default: Option<DefaultRetention>,
}

impl Operation for LockBucket {
    const ACTION: Action = Action::write("buckets.lock");
    type Output = ();

    fn target(&self) -> Target {
        Target::Bucket(self.bucket.clone())
    }

    async fn run(self, permit: Permit<Self>) -> Result<(), Problem> {
        let home = Buckets::home(&permit)?;
        let default = self.default.map(DefaultRetention::check).transpose();
        let default = default.map_err(|problem| Code::InvalidRetentionPeriod.problem(problem.message()))?;
        self.room
            .db
            .write(&permit, move |writer| {
                let bucket = store::of(writer, &home)?;
                if bucket.versioning != Versioning::Enabled {
                    return Err(Code::InvalidBucketState
                        .problem("Versioning must be 'Enabled' on the bucket to apply a Object Lock configuration"));
                }
                let changed = Bucket { lock_enabled: true, default_retention: default, ..bucket };
                store::update(writer, &changed)?;
                let mode = default.map_or("none", |default| default.mode.word());
                Ok(((), Outcome::done().resource(changed.id).with("mode", mode)))
            })
            .await
    }
}

macro_rules! leave {
    ($verb:ident $leave:ident $word:literal $what:literal $why:literal) => {
        #[doc = $what]
        pub struct $verb {
            /// The bucket.
            pub bucket: String,
            /// Why, in the caller's words.
            pub reason: Option<String>,
        }

        #[doc = $why]
        #[derive(Clone)]
        pub struct $leave {
            bucket_id: String,
            reason: String,
        }

        impl $leave {
            /// Whether it is for this bucket.
            pub(crate) fn is_for(&self, bucket_id: &str) -> bool {
                self.bucket_id == bucket_id
            }

            /// Why, in the caller's words; empty if they gave no reason.
            #[must_use]
            pub fn reason(&self) -> &str {
                &self.reason
            }
        }

        impl Operation for $verb {
            const ACTION: Action = Action::write($word);
            type Output = $leave;

            fn target(&self) -> Target {
                Target::Bucket(self.bucket.clone())
            }

            async fn run(self, permit: Permit<Self>) -> Result<$leave, Problem> {
                let bucket_id = Buckets::home(&permit)?.id;
                let reason: String = self.reason.unwrap_or_default().chars().take(REASON_CHARS_MAX).collect();
                let outcome = Outcome::done().resource(bucket_id.clone());
                let outcome = if reason.is_empty() { outcome } else { outcome.with("reason", reason.as_str()) };
                permit.defer_outcome().settle(&outcome);
                Ok($leave { bucket_id, reason })
            }
        }
    };
}

leave!(MayRetain RetainLeave "buckets.retain" "Asks whether the caller may retain versions of a bucket." "Leave to retain versions of one bucket.");
leave!(MayHold HoldLeave "buckets.hold" "Asks whether the caller may put versions of a bucket under a legal hold, and lift it." "Leave to hold versions of one bucket.");
leave!(MayBypass BypassLeave "buckets.bypass" "Asks whether the caller may bypass governance in a bucket." "Leave to delete and shorten what is under governance in one bucket.");

/// Changes the retention of a version.
pub struct SetRetention {
    /// The room.
    pub room: Buckets,
    /// The bucket.
    pub bucket: String,
    /// The object's key.
    pub key: String,
    /// The version; none for the newest.
    pub version_id: Option<String>,
    /// Its retention from now on; none takes it away.
    pub retention: Option<Retention>,
    /// Leave to shorten it while it is under governance.
    pub bypass: Option<BypassLeave>,
}

impl Operation for SetRetention {
    const ACTION: Action = MayRetain::ACTION;
    type Output = ();

    fn target(&self) -> Target {
        Target::Bucket(self.bucket.clone())
    }

    async fn run(self, permit: Permit<Self>) -> Result<(), Problem> {
        let home = Buckets::home(&permit)?;
        let bypass = self.bypass.filter(|leave| leave.is_for(&home.id));
        let retention = self.retention;
        let (room, at) = (self.room.clone(), permit.entry().at);
        let (bucket, by) = (self.bucket.clone(), permit.caller().id.clone());
        let change = move |writer: &mut Writer<'_>, lock: Lock, now: Micros, outcome: Outcome| {
            lock.may_become(retention, now, bypass.is_some())?;
            if let Some(leave) = bypass.filter(|_| lock.may_become(retention, now, false).is_err()) {
                let reason = leave.reason().to_owned();
                let (what, verb) = (format!("a version in bucket `{bucket}`"), MayBypass::ACTION.name);
                room.tell(writer, &Bypassed { workspace: home.workspace, what, subject: bucket, verb, by, reason, at })?;
            }
            let (mode, until) = retention.map_or(("none", 0), |one| (one.mode.word(), one.until.0));
            Ok((Lock { retention, ..lock }, outcome.with("mode", mode).with("retain_until", until)))
        };
        let wanted = move |lock| Lock { retention, ..lock };
        self.room.change_lock(&permit, (self.key, self.version_id), wanted, change).await
    }
}

/// What the log keeps of a new version's lock: by it a row that is changed later is found.
pub(crate) fn with_lock(outcome: Outcome, lock: Lock) -> Outcome {
    let outcome = match lock.retention {
        Some(one) => outcome.with("mode", one.mode.word()).with("retain_until", one.until.0),
        None => outcome,
    };
    if lock.hold { outcome.with("legal_hold", 1_i64) } else { outcome }
}

/// Puts a version under a legal hold, or lifts it.
pub struct SetHold {
    /// The room.
    pub room: Buckets,
    /// The bucket.
    pub bucket: String,
    /// The object's key.
    pub key: String,
    /// The version; none for the newest.
    pub version_id: Option<String>,
    /// Whether it is under a hold from now on.
    pub hold: bool,
}

impl Operation for SetHold {
    const ACTION: Action = MayHold::ACTION;
    type Output = ();

    fn target(&self) -> Target {
        Target::Bucket(self.bucket.clone())
    }

    async fn run(self, permit: Permit<Self>) -> Result<(), Problem> {
        let hold = self.hold;
        let change = move |_: &mut Writer<'_>, lock: Lock, _: Micros, outcome: Outcome| {
            Ok((Lock { hold, ..lock }, outcome.with("legal_hold", i64::from(hold))))
        };
        let wanted = move |lock| Lock { hold, ..lock };
        self.room.change_lock(&permit, (self.key, self.version_id), wanted, change).await
    }
}

/// How one version is locked, for those who may not read its bytes, too.
pub struct ShowLock {
    /// The room.
    pub room: Buckets,
    /// The bucket.
    pub bucket: String,
    /// The object's key.
    pub key: String,
    /// The version; none for the newest.
    pub version_id: Option<String>,
}

impl Operation for ShowLock {
    const ACTION: Action = ShowRetention::ACTION;
    type Output = (Bucket, Version);

    fn target(&self) -> Target {
        Target::Bucket(self.bucket.clone())
    }

    async fn run(self, permit: Permit<Self>) -> Result<(Bucket, Version), Problem> {
        let home = Buckets::home(&permit)?;
        let key_hash = self.room.key_hash(&home.id, &self.key).await?;
        let (key, version_id) = (self.key, self.version_id);
        let is_named = version_id.is_some();
        let read = move |reader: &mut Reader<'_>| {
            let bucket = store::of(reader, &home)?;
            Ok((bucket, there(reader, &home.id, &key, version_id.as_deref())?))
        };
        let (bucket, version) = self.room.db.read_point(&permit, read).await?;
        if version.is_marker {
            return Err(marker_problem(is_named));
        }
        let outcome = Outcome::done().with("key_hash", key_hash).with("version_id", version.version_id.as_str());
        permit.defer_outcome().settle(&outcome);
        Ok((bucket, version))
    }
}

impl Buckets {
    /// Where the store of the objects holds locks itself: what is to be held longer is held there first. What is to be held less is let go
    /// there by the job that keeps seals.
    async fn hold_first<O: ?Sized>(
        &self,
        permit: &Permit<O>,
        bucket_id: &str,
        (key, version_id): (&str, Option<&str>),
        wanted: impl FnOnce(Lock) -> Lock + Send + 'static,
    ) -> Result<(), Problem> {
        if self.objects.enforcement() != Enforcement::Backend {
            return Ok(());
        }
        let (bucket_id, key, version_id) = (bucket_id.to_owned(), key.to_owned(), version_id.map(ToOwned::to_owned));
        let at = permit.entry().at;
        let read = move |reader: &mut Reader<'_>| {
            let version = find(reader, &bucket_id, &key, version_id.as_deref())?;
            let wanted = wanted(version.lock);
            let is_less = wanted.may_replace(version.lock, retention::store::now(reader)?.max(at)).is_err();
            let ids = versions::parts(reader, &version)?.into_iter().map(|part| part.object.id).collect::<Vec<_>>();
            Ok((!is_less).then_some((wanted, ids)))
        };
        match self.db.read_point(permit, read).await? {
            Some((wanted, ids)) => retention::seal::hold_first(&self.objects, permit, &ids, wanted).await,
            None => Ok(()),
        }
    }

    async fn change_lock<O: ?Sized>(
        &self,
        permit: &Permit<O>,
        (key, version_id): (String, Option<String>),
        wanted: impl FnOnce(Lock) -> Lock + Send + 'static,
        change: impl FnOnce(&mut Writer<'_>, Lock, Micros, Outcome) -> Result<(Lock, Outcome), Problem> + Send + 'static,
    ) -> Result<(), Problem> {
        let home = Self::home(permit)?;
        let key_hash = self.key_hash(&home.id, &key).await?;
        let clock = self.clock.clone();
        self.hold_first(permit, &home.id, (&key, version_id.as_deref()), wanted).await?;
        self.db
            .write(permit, move |writer| {
                let bucket = store::of(writer, &home)?;
                if !bucket.lock_enabled {
                    return Err(Code::InvalidRequest.problem("Bucket is missing Object Lock Configuration"));
                }
                let version = find(writer, &bucket.id, &key, version_id.as_deref())?;
                let now = clock.tick(writer)?.at;
                let outcome = Outcome::done().with("key_hash", key_hash).with("version_id", version.version_id.as_str());
                let (lock, outcome) = change(writer, version.lock, now, outcome)?;
                versions::set_lock(writer, &version.row, lock)?;
                Ok(((), outcome))
            })
            .await
    }
}

/// Writes down what time it is, so that a server that is killed has lost a minute of retention at most.
pub struct TickClock {
    /// The room.
    pub room: Buckets,
}

impl Operation for TickClock {
    const ACTION: Action = Action::write("buckets.tick");
    type Output = ClockState;

    fn target(&self) -> Target {
        Target::Server
    }

    async fn run(self, permit: Permit<Self>) -> Result<ClockState, Problem> {
        let clock = self.room.clock.clone();
        self.room
            .db
            .write(&permit, move |writer| {
                let state = clock.tick(writer)?;
                let outcome = Outcome::done().with("compliance_at", state.at.0).with("wall_at", state.wall_at.0);
                Ok((state, outcome))
            })
            .await
    }
}

/// How versions of the workspace are retained.
pub struct ShowRetention {
    /// The room.
    pub room: Buckets,
}

/// How much is locked, and by which time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RetentionState {
    /// The compliance clock.
    pub clock: ClockState,
    /// Versions under a legal hold.
    pub held_count: i64,
    /// Versions whose retention is in force.
    pub retained_count: i64,
    /// What enforces that, at best.
    pub enforcement: Enforcement,
}

impl Operation for ShowRetention {
    const ACTION: Action = Action::read("buckets.retention");
    type Output = RetentionState;

    fn target(&self) -> Target {
        Target::Workspace
    }

    async fn run(self, permit: Permit<Self>) -> Result<RetentionState, Problem> {
        let workspace = permit.workspace()?.to_owned();
        let (clock, enforcement) = (self.room.clock.clone(), self.room.objects.enforcement());
        self.room
            .db
            .write(&permit, move |writer| {
                let clock = clock.tick(writer)?;
                let (held_count, retained_count) = versions::locked_counts(writer, &workspace, clock.at)?;
                Ok((RetentionState { clock, held_count, retained_count, enforcement }, Outcome::done()))
            })
            .await
    }
}
