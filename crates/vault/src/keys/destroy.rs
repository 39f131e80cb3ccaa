//! Destroying a workspace's key: one person asks, another agrees, a time is waited, and then every version of it is gone: what was
//! encrypted under it can be read by nobody, in backups neither.
//!
//! INVARIANT: nobody destroys a key alone, or before its time, or while something in the workspace must be kept. Held by
//! `artifacts/tests/rooms/key_life.rs`.

use gate::{Outcome, Permit};
use kernel::{Kind, Micros, Problem, random_id};

use super::life_store as store;
use super::ring::Keyring;
use super::store::Purpose;
use super::tombstone::{Facts, TOMBSTONE_KEY_BYTES, Tombstone, bury, public_key};
use crate::db::{Db, Reader};

const REASON_CHARS_MAX: usize = 1_000;
const DAY_S: i64 = 86_400;

/// Knows what must be kept: the one place where retention and legal holds are asked about before a key is destroyed.
pub trait Retained: Send + Sync {
    /// Why the workspace's objects must be kept now; none if nothing in it must be. Asked in the transaction that destroys.
    ///
    /// # Errors
    /// If it cannot be found out: then nothing is destroyed.
    fn retained(&self, reader: &mut Reader<'_>, workspace: &str) -> Result<Option<String>, Problem>;

    /// What time it is by the clock that retention is judged by, as it was last written down; none where there is no such clock. Nobody
    /// ends a wait early by setting the machine's clock forward.
    ///
    /// # Errors
    /// If it cannot be found out: then nothing is destroyed.
    fn time(&self, reader: &mut Reader<'_>) -> Result<Option<Micros>, Problem>;
}

/// Where nothing can be put under retention, nothing is retained.
#[derive(Clone, Copy, Debug, Default)]
pub struct NothingRetained;

impl Retained for NothingRetained {
    fn retained(&self, _: &mut Reader<'_>, _: &str) -> Result<Option<String>, Problem> {
        Ok(None)
    }

    fn time(&self, _: &mut Reader<'_>) -> Result<Option<Micros>, Problem> {
        Ok(None)
    }
}

/// How far a request has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DestroyState {
    /// Somebody asked.
    Requested,
    /// Another agreed: it waits for its time.
    Approved,
    /// Somebody took it back.
    Cancelled,
    /// The key is gone.
    Done,
}

impl DestroyState {
    /// The word for rows and answers.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Requested => "requested",
            Self::Approved => "approved",
            Self::Cancelled => "cancelled",
            Self::Done => "done",
        }
    }

    /// A word that is not known opens nothing.
    pub(super) fn parse(word: &str) -> Self {
        match word {
            "requested" => Self::Requested,
            "approved" => Self::Approved,
            "done" => Self::Done,
            _ => Self::Cancelled,
        }
    }
}

/// A request to destroy a workspace's key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DestroyRequest {
    /// Its id.
    pub id: String,
    /// The workspace's.
    pub workspace: String,
    /// Why.
    pub reason: String,
    /// How far it has come.
    pub state: DestroyState,
    /// Who asked, by id.
    pub requested_by: String,
    /// And by name, as it is now; none for an account that is gone.
    pub requested_by_name: Option<String>,
    /// When.
    pub requested_at: Micros,
    /// Who agreed.
    pub approved_by: Option<String>,
    /// When.
    pub approved_at: Option<Micros>,
    /// From when on it is done.
    pub due_at: Option<Micros>,
    /// Who took it back, or which job did it.
    pub ended_by: Option<String>,
    /// When.
    pub ended_at: Option<Micros>,
}

/// What is said of a thing whose key was destroyed.
pub(super) fn gone(tombstone: &Tombstone) -> Problem {
    let on = tombstone.destroyed_at.rfc3339_seconds();
    Problem::new(
        Kind::Gone,
        format!("the key of this workspace was destroyed on {on}: what was encrypted under it cannot be read any more"),
    )
}

fn held(retained: &dyn Retained, reader: &mut Reader<'_>, workspace: &str) -> Result<(), Problem> {
    match retained.retained(reader, workspace)? {
        None => Ok(()),
        Some(why) => Err(Problem::new(
            Kind::Conflict,
            format!("the key cannot be destroyed while something in the workspace must be kept: {why}"),
        )),
    }
}

fn not_open(request: Option<&DestroyRequest>) -> Problem {
    match request {
        None => Problem::not_found("there is no such request to destroy a key"),
        Some(request) => Problem::new(Kind::Conflict, format!("this request is `{}`", request.state.word())),
    }
}

impl Keyring {
    /// Asks for the destruction of a workspace's key.
    ///
    /// # Errors
    /// `Invalid` without a reason; `Conflict` if one is asked for already, or something must be kept; `Gone` if it was destroyed.
    pub async fn request_destroy<O: ?Sized>(
        &self,
        (db, permit): (&Db, &Permit<O>),
        retained: &std::sync::Arc<dyn Retained>,
        workspace: &str,
        reason: &str,
    ) -> Result<DestroyRequest, Problem> {
        let reason = reason.trim();
        if reason.is_empty() || reason.chars().count() > REASON_CHARS_MAX {
            return Err(Problem::invalid(format!("say why, in 1 to {REASON_CHARS_MAX} characters")));
        }
        let request = DestroyRequest {
            id: random_id(),
            workspace: workspace.to_owned(),
            reason: reason.to_owned(),
            state: DestroyState::Requested,
            requested_by: permit.caller().id.clone(),
            requested_by_name: Some(permit.caller().name.clone()),
            requested_at: self.now(),
            approved_by: None,
            approved_at: None,
            due_at: None,
            ended_by: None,
            ended_at: None,
        };
        let retained = std::sync::Arc::clone(retained);
        db.write(permit, move |writer| {
            if let Some(tombstone) = store::tombstone(writer, &request.workspace)? {
                return Err(gone(&tombstone));
            }
            if store::workspace_versions(writer, &request.workspace)?.is_empty() {
                return Err(Problem::not_found("this workspace has no key yet: nothing was encrypted in it"));
            }
            held(retained.as_ref(), writer, &request.workspace)?;
            if !store::insert_request(writer, &request)? {
                return Err(Problem::new(Kind::Conflict, "the destruction of this workspace's key is asked for already"));
            }
            let outcome = Outcome::done().with("request", request.id.as_str()).with("key_workspace", request.workspace.as_str());
            Ok((request, outcome))
        })
        .await
    }

    /// Agrees to it: from `wait_days` on it is done.
    ///
    /// # Errors
    /// `Forbidden` for whoever asked; `NotFound` or `Conflict` for a request that is not waiting for this, or of another workspace.
    pub async fn approve_destroy<O: ?Sized>(
        &self,
        (db, permit): (&Db, &Permit<O>),
        retained: &std::sync::Arc<dyn Retained>,
        (workspace, id): (&str, &str),
        wait_days: u32,
    ) -> Result<DestroyRequest, Problem> {
        let (by, now) = (permit.caller().id.clone(), self.now());
        let wait_s = i64::from(wait_days.max(1)).saturating_mul(DAY_S);
        let (workspace, id, retained) = (workspace.to_owned(), id.to_owned(), std::sync::Arc::clone(retained));
        db.write(permit, move |writer| {
            let found = store::request(writer, &id)?.filter(|request| request.workspace == workspace);
            let Some(request) = found.as_ref().filter(|request| request.state == DestroyState::Requested) else {
                return Err(not_open(found.as_ref()));
            };
            if request.requested_by == by {
                return Err(Problem::forbidden("nobody agrees to what they asked for: another person must"));
            }
            held(retained.as_ref(), writer, &workspace)?;
            let due_at = retained.time(writer)?.map_or(now, |time| time.max(now)).plus_secs(wait_s);
            if !store::approve(writer, &id, &by, now, due_at)? {
                return Err(not_open(found.as_ref()));
            }
            let request = store::request(writer, &id)?.ok_or_else(|| not_open(None))?;
            let outcome = Outcome::done().with("request", id.as_str()).with("key_workspace", workspace.as_str());
            Ok((request, outcome))
        })
        .await
    }

    /// Takes a request back, approved or not.
    ///
    /// # Errors
    /// `NotFound` or `Conflict` for a request that is over, or of another workspace.
    pub async fn cancel_destroy<O: ?Sized>(
        &self,
        (db, permit): (&Db, &Permit<O>),
        (workspace, id): (&str, &str),
    ) -> Result<DestroyRequest, Problem> {
        let (by, now) = (permit.caller().id.clone(), self.now());
        let (workspace, id) = (workspace.to_owned(), id.to_owned());
        db.write(permit, move |writer| {
            let found = store::request(writer, &id)?.filter(|request| request.workspace == workspace);
            if found.is_none() || !store::end(writer, &id, DestroyState::Cancelled, &by, now)? {
                return Err(not_open(found.as_ref()));
            }
            let request = store::request(writer, &id)?.ok_or_else(|| not_open(None))?;
            let outcome = Outcome::done().with("request", id.as_str()).with("key_workspace", workspace.as_str());
            Ok((request, outcome))
        })
        .await
    }

    /// Requests, the newest first: of one workspace, or every one.
    ///
    /// # Errors
    /// `Unavailable` if the database is down.
    pub async fn destroy_requests<O: ?Sized>(
        &self,
        db: &Db,
        permit: &Permit<O>,
        workspace: Option<String>,
    ) -> Result<Vec<DestroyRequest>, Problem> {
        db.read(permit, move |reader| store::requests(reader, workspace.as_deref())).await
    }

    /// The requests whose time has come.
    ///
    /// # Errors
    /// `Unavailable` if the database is down.
    pub async fn due_destroys<O: ?Sized>(&self, db: &Db, permit: &Permit<O>) -> Result<Vec<DestroyRequest>, Problem> {
        let now = self.now();
        db.read(permit, move |reader| store::due(reader, now)).await
    }

    /// Does what was asked and agreed to: every version of the key is overwritten, deleted and forgotten, in one transaction with its
    /// tombstone and its record.
    ///
    /// # Errors
    /// `Conflict` before its time, for a request that is not approved, or while something must be kept.
    pub async fn destroy<O: ?Sized>(
        &self,
        (db, permit): (&Db, &Permit<O>),
        retained: &std::sync::Arc<dyn Retained>,
        id: &str,
    ) -> Result<Tombstone, Problem> {
        let seed = self.secret(super::tombstone::SIGNING_SEED).await?;
        let (by, now) = (permit.caller().id.clone(), self.now());
        let (id, retained) = (id.to_owned(), std::sync::Arc::clone(retained));
        let tombstone = db
            .write(permit, move |writer| {
                let found = store::request(writer, &id)?;
                let Some((request, approved_by, approved_at, due_at)) = found.as_ref().and_then(approved) else {
                    return Err(not_open(found.as_ref()));
                };
                let time = retained.time(writer)?.map_or(now, |time| time.min(now));
                if time < due_at || approved_by == request.requested_by {
                    let (due, is) = (due_at.rfc3339_seconds(), time.rfc3339_seconds());
                    let message = format!("it is not done before {due}; by the clock that retention is judged by it is {is}");
                    return Err(Problem::new(Kind::Conflict, message));
                }
                held(retained.as_ref(), writer, &request.workspace)?;
                let versions = store::workspace_versions(writer, &request.workspace)?;
                let facts = Facts {
                    request: &request.id,
                    workspace: &request.workspace,
                    versions: &versions,
                    requested_by: &request.requested_by,
                    requested_at: request.requested_at,
                    approved_by,
                    approved_at,
                    destroyed_at: now,
                    reason: &request.reason,
                };
                let tombstone = Tombstone::sign(&seed, &facts)?;
                let count = bury(writer, &tombstone)?;
                if !store::end(writer, &id, DestroyState::Done, &by, now)? {
                    return Err(not_open(found.as_ref()));
                }
                let note = kernel::hex(&kernel::sha256(tombstone.note.as_bytes()));
                let outcome = Outcome::done()
                    .with("request", id.as_str())
                    .with("key_workspace", request.workspace.as_str())
                    .with("version_count", count)
                    .with("tombstone_sha256", note.as_str());
                Ok((tombstone, outcome))
            })
            .await?;
        self.forget(Purpose::Workspace, &tombstone.workspace);
        Ok(tombstone)
    }

    /// The public half of the key that tombstones are signed by. Keep it with backups.
    ///
    /// # Errors
    /// `Unavailable` if the database or the key service is down.
    pub async fn tombstone_key(&self) -> Result<[u8; TOMBSTONE_KEY_BYTES], Problem> {
        public_key(&*self.secret(super::tombstone::SIGNING_SEED).await?)
    }
}

fn approved(request: &DestroyRequest) -> Option<(&DestroyRequest, &str, Micros, Micros)> {
    let approved = request.state == DestroyState::Approved;
    approved.then_some((request, request.approved_by.as_deref()?, request.approved_at?, request.due_at?))
}
