//! Keys by the calendar and on their way out: `keys.rotate_due`, `keys.rewrap_due` and `keys.destroy_due`, which are the jobs' alone, and
//! `keys.request_destroy`, `keys.approve_destroy`, `keys.cancel_destroy` and `keys.destroys`, which are people's.

use gate::{Action, CallerKind, Operation, Outcome, Permit, Target};
use kernel::Problem;
use vault::keys::{DestroyRequest, Tombstone};

use super::key_state::{is_due, newest_of};
use super::keys::rewrap_batch;
use crate::{Artifacts, store};

/// What one step of the schedule did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Rotated {
    /// This workspace's key has a new version.
    Workspace(String, i64),
    /// The root key has a new version, which wraps so many keys.
    Root(i64, usize),
    /// So many keys that an interrupted rotation left were wrapped by the root key's newest version.
    Finished(usize),
}

/// Rotates the next key that is older than the configuration wants. Gives none when there is none; call it until then.
pub struct RotateDue {
    /// The room.
    pub room: Artifacts,
}

impl Operation for RotateDue {
    const ACTION: Action = Action::write("keys.rotate_due");
    type Output = Option<Rotated>;

    fn target(&self) -> Target {
        Target::Server
    }

    async fn run(self, permit: Permit<Self>) -> Result<Option<Rotated>, Problem> {
        let (room, keyring) = (&self.room, self.room.objects.keys());
        let (policy, now) = (room.keys.policy, keyring.now());
        let facts = keyring.facts(&room.db, &permit).await?;
        let root = keyring.root_facts(&room.db, &permit).await?;
        if facts.iter().any(|key| key.root_version < root.version) {
            return Ok(Some(Rotated::Finished(keyring.finish_root(&room.db, &permit).await?)));
        }
        if root.renews && root.since_at.is_some_and(|since| is_due(since, policy.rotate_root_days, now)) {
            let renewed = keyring.renew_root(&room.db, &permit).await?;
            return Ok(renewed.map(|(version, count)| Rotated::Root(version, count)));
        }
        let due = newest_of(&facts).into_iter().find(|key| is_due(key.created_at, policy.rotate_workspace_days, now));
        let Some(key) = due else { return Ok(None) };
        let workspace = key.name.clone();
        let version = keyring.rotate_workspace(&room.db, &permit, &workspace).await?;
        Ok(Some(Rotated::Workspace(workspace, version)))
    }
}

/// Wraps one batch of object keys anew, of whatever workspace has some under an older version. Gives how many; call it until that is 0.
pub struct RewrapDue {
    /// The room.
    pub room: Artifacts,
}

impl Operation for RewrapDue {
    const ACTION: Action = Action::write("keys.rewrap_due");
    type Output = u64;

    fn target(&self) -> Target {
        Target::Server
    }

    async fn run(self, permit: Permit<Self>) -> Result<u64, Problem> {
        let room = &self.room;
        let facts = room.objects.keys().facts(&room.db, &permit).await?;
        for key in newest_of(&facts).into_iter().filter(|key| key.version > 1) {
            let (workspace, version) = (key.name.clone(), key.version);
            let waiting = room.db.read(&permit, move |reader| store::is_any_before_key(reader, &workspace, version)).await?;
            if waiting {
                return rewrap_batch(room, &permit, &key.name).await;
            }
        }
        Ok(0)
    }
}

/// Asks for the destruction of the attempt's workspace's key.
pub struct RequestDestroy {
    /// The room.
    pub room: Artifacts,
    /// Why.
    pub reason: String,
}

impl Operation for RequestDestroy {
    const ACTION: Action = Action::write("keys.request_destroy");
    type Output = DestroyRequest;

    fn target(&self) -> Target {
        Target::Workspace
    }

    async fn run(self, permit: Permit<Self>) -> Result<DestroyRequest, Problem> {
        people_only(&permit)?;
        let (room, workspace) = (&self.room, permit.workspace()?.to_owned());
        room.objects.keys().request_destroy((&room.db, &permit), &room.keys.retained, &workspace, &self.reason).await
    }
}

/// Agrees to a request of another person.
pub struct ApproveDestroy {
    /// The room.
    pub room: Artifacts,
    /// The request's id.
    pub request: String,
}

impl Operation for ApproveDestroy {
    const ACTION: Action = Action::write("keys.approve_destroy");
    type Output = DestroyRequest;

    fn target(&self) -> Target {
        Target::Workspace
    }

    async fn run(self, permit: Permit<Self>) -> Result<DestroyRequest, Problem> {
        people_only(&permit)?;
        let (room, workspace) = (&self.room, permit.workspace()?.to_owned());
        let (ground, at) = (&room.keys, (workspace.as_str(), self.request.as_str()));
        let wait_days = ground.policy.destroy_wait_days;
        room.objects.keys().approve_destroy((&room.db, &permit), &ground.retained, at, wait_days).await
    }
}

/// Takes a request back.
pub struct CancelDestroy {
    /// The room.
    pub room: Artifacts,
    /// The request's id.
    pub request: String,
}

impl Operation for CancelDestroy {
    const ACTION: Action = Action::write("keys.cancel_destroy");
    type Output = DestroyRequest;

    fn target(&self) -> Target {
        Target::Workspace
    }

    async fn run(self, permit: Permit<Self>) -> Result<DestroyRequest, Problem> {
        let (room, workspace) = (&self.room, permit.workspace()?.to_owned());
        room.objects.keys().cancel_destroy((&room.db, &permit), (&workspace, &self.request)).await
    }
}

/// Whose requests to destroy a key are listed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DestroysOf {
    /// Those of the workspace that the request names.
    Workspace,
    /// Those of every workspace.
    Server,
}

/// Requests to destroy a key, the newest first.
pub struct ListDestroys {
    /// The room.
    pub room: Artifacts,
    /// Whose.
    pub of: DestroysOf,
}

impl Operation for ListDestroys {
    const ACTION: Action = Action::read("keys.destroys");
    type Output = Vec<DestroyRequest>;

    fn target(&self) -> Target {
        match self.of {
            DestroysOf::Workspace => Target::Workspace,
            DestroysOf::Server => Target::Server,
        }
    }

    async fn run(self, permit: Permit<Self>) -> Result<Vec<DestroyRequest>, Problem> {
        let workspace = match self.of {
            DestroysOf::Workspace => Some(permit.workspace()?.to_owned()),
            DestroysOf::Server => None,
        };
        self.room.objects.keys().destroy_requests(&self.room.db, &permit, workspace).await
    }
}

/// Destroys the next key whose request was agreed to and whose time has come, passing over those of `passed_over`. Gives none when there
/// is none.
pub struct DestroyDue {
    /// The room.
    pub room: Artifacts,
    /// Requests that could not be done in this round.
    pub passed_over: Vec<String>,
}

/// What came of one request.
#[derive(Debug)]
pub struct Destroyed {
    /// The request's id.
    pub request: String,
    /// The tombstone, or why the key is still there.
    pub done: Result<Tombstone, Problem>,
}

impl Operation for DestroyDue {
    const ACTION: Action = Action::write("keys.destroy_due");
    type Output = Option<Destroyed>;

    fn target(&self) -> Target {
        Target::Server
    }

    async fn run(self, permit: Permit<Self>) -> Result<Option<Destroyed>, Problem> {
        let (room, keyring) = (&self.room, self.room.objects.keys());
        let due = keyring.due_destroys(&room.db, &permit).await?;
        let Some(next) = due.into_iter().find(|request| !self.passed_over.contains(&request.id)) else { return Ok(None) };
        let done = keyring.destroy((&room.db, &permit), &room.keys.retained, &next.id).await;
        if let Err(problem) = &done {
            let outcome = Outcome::done().with("request", next.id.as_str()).with("refused", problem.kind().word());
            permit.defer_outcome().settle(&outcome);
        }
        Ok(Some(Destroyed { request: next.id, done }))
    }
}

/// Behind a service account stands whoever owns it: two of them are not two persons.
fn people_only<O: ?Sized>(permit: &Permit<O>) -> Result<(), Problem> {
    match permit.caller().kind {
        CallerKind::Service => Err(Problem::forbidden("a service account destroys no key: a person must ask, and another agree")),
        _ => Ok(()),
    }
}
