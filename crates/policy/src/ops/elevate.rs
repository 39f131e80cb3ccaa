//! A role for some hours.

use gate::{Action, CallerKind, Facts, Operation, Outcome, Permit, Scope, Target};
use kernel::{Kind, Micros, Problem, random_id};
use vault::db::Reader;

use crate::elevation::{
    ASKED_COUNT_MAX, BROKEN_SECONDS_MAX, Broken, Elevation, ElevationState, SECONDS_MAX, not_open, reason_of, seconds_of, store,
};
use crate::escalate::{Gift, may_give};
use crate::policy::Policy;
use crate::store as grants;
use crate::types::{Grant, On, Principal, PrincipalKind, Resource};

/// What requests on the server begin with: where a request is judged must be known before it is read.
const ON_SERVER: &str = "es_";
/// What all others begin with. They are judged in their workspace.
const IN_WORKSPACE: &str = "ew_";
/// What somebody becomes who breaks the glass.
const BROKEN_ROLE: &str = "administrator";

/// Asks for a role.
#[derive(Clone)]
pub struct RequestElevation {
    /// The room.
    pub room: Policy,
    /// Which.
    pub role: String,
    /// On what.
    pub on: On,
    /// For how long.
    pub seconds: i64,
    /// Why.
    pub reason: String,
}

impl Operation for RequestElevation {
    const ACTION: Action = super::ELEVATIONS_REQUEST;
    type Output = Elevation;

    fn target(&self) -> Target {
        self.on.target()
    }

    async fn run(self, permit: Permit<Self>) -> Result<Elevation, Problem> {
        if permit.caller().kind != CallerKind::User {
            return Err(Problem::invalid("only people ask for a role; a service account is given what it needs"));
        }
        let (now, who) = (permit.entry().at, permit.caller().id.clone());
        let resource = self.on.resource(permit.facts())?;
        super::create_grant::check_role(&self.room, &self.role, &resource)?;
        let one = Elevation {
            id: format!("{}{}", if resource == Resource::Server { ON_SERVER } else { IN_WORKSPACE }, random_id()),
            principal: who,
            principal_name: None,
            role: self.role,
            workspace: if resource == Resource::Server { None } else { permit.facts().workspace.clone() },
            resource,
            reason: reason_of(&self.reason)?,
            seconds: seconds_of(self.seconds, SECONDS_MAX)?,
            asked_at: now,
            state: ElevationState::Asked,
            decided_by: None,
            decided_at: None,
            ends_at: None,
            grant_id: None,
        };
        let directory = self.room.directory();
        let write = self.room.db().write(&permit, move |tx| {
            // Whoever would decide on it could not give it.
            let groups = directory.find(tx, &one.principal)?.map(|who| who.groups).unwrap_or_default();
            for holder in std::iter::once(&one.principal).chain(&groups) {
                if grants::is_held(tx, holder, &one.role, &one.resource, now)? {
                    let message = format!("you hold the role `{}` there already; what you lack is another role", one.role);
                    return Err(Problem::already_exists(message));
                }
            }
            if store::asked_count(tx, &one.principal, now)? >= ASKED_COUNT_MAX {
                let message = format!("{ASKED_COUNT_MAX} requests of yours wait already; take one back or have it decided");
                return Err(Problem::new(Kind::Conflict, message));
            }
            store::insert(tx, &one)?;
            let outcome = Outcome::done().resource(&one.id).with("role", one.role.as_str()).with("on", one.resource.kind());
            Ok((one, outcome))
        });
        write.await
    }
}

/// Gives a role that somebody else asked for, or says no.
#[derive(Clone)]
pub struct DecideElevation {
    /// The room.
    pub room: Policy,
    /// Which request.
    pub id: String,
    /// Whether it is given.
    pub give: bool,
}

impl Operation for DecideElevation {
    const ACTION: Action = super::ELEVATIONS_DECIDE;
    type Output = Elevation;

    fn target(&self) -> Target {
        judged_on(&self.id)
    }

    async fn run(self, permit: Permit<Self>) -> Result<Elevation, Problem> {
        if permit.caller().kind != CallerKind::User {
            // A service account speaks for whoever owns it: who asked may be the same person.
            return Err(Problem::forbidden("Permission denied. Only people decide on requests; ask a second person."));
        }
        let (now, giver) = (permit.entry().at, permit.caller().id.clone());
        let (directory, id) = (self.room.directory(), self.id.clone());
        let look = move |reader: &mut Reader<'_>| {
            let Some(one) = store::get(reader, &id)? else { return Ok(None) };
            let receiver = directory.find(reader, &one.principal)?;
            let services = directory.find_services(reader, &giver)?;
            Ok(Some((one, receiver, services)))
        };
        let found = self.room.db().read_point(&permit, look).await?;
        let found = found.filter(|(one, ..)| lies_where_judged(one, permit.facts()));
        let (one, receiver, services) = found.ok_or_else(not_here)?;
        if one.principal == permit.caller().id {
            return Err(Problem::forbidden("Permission denied. Nobody decides on a request of their own; ask a second person."));
        }
        if !one.is_open(now) {
            return Err(not_open());
        }
        let receiver = active(receiver)?;
        let ends_at = now.plus_secs(one.seconds);
        let grant = self.give.then(|| grant_of(&one, &receiver, (&permit.caller().id, now, ends_at)));
        if let Some(grant) = &grant {
            self.room.with_judge(|judge, _| {
                let gift = Gift {
                    giver: permit.caller(),
                    receiver: &receiver,
                    services: &services,
                    role: &grant.role,
                    resource: &grant.resource,
                    workspace: grant.workspace.as_deref(),
                    expires_at: grant.expires_at,
                    now,
                };
                may_give(judge, gift)
            })?;
        }
        let decided = Elevation {
            state: if grant.is_some() { ElevationState::Given } else { ElevationState::Refused },
            decided_by: Some(permit.caller().id.clone()),
            decided_at: Some(now),
            ends_at: grant.as_ref().map(|_| ends_at),
            grant_id: grant.as_ref().map(|grant| grant.id.clone()),
            ..one
        };
        let write = self.room.db().write(&permit, move |tx| {
            if !store::decide(tx, &decided, now)? {
                return Err(not_open());
            }
            if let Some(grant) = &grant
                && !grants::insert(tx, grant, now)?
            {
                return Err(Problem::already_exists("the account has this role there already"));
            }
            let outcome = Outcome::done()
                .resource(&decided.id)
                .with("decided", decided.state.word())
                .with("principal", decided.principal.as_str())
                .with("role", decided.role.as_str());
            let outcome = match &decided.grant_id {
                Some(id) => outcome.with("grant", id.as_str()),
                None => outcome,
            };
            Ok((decided, outcome))
        });
        let decided = write.await?;
        self.room.changed().await;
        Ok(decided)
    }
}

/// Makes the caller administrator of the server for a while, alone.
#[derive(Clone)]
pub struct BreakGlass {
    /// The room.
    pub room: Policy,
    /// For how long.
    pub seconds: i64,
    /// Why.
    pub reason: String,
}

impl Operation for BreakGlass {
    const ACTION: Action = super::ELEVATIONS_BREAK_GLASS;
    type Output = Elevation;

    fn target(&self) -> Target {
        Target::Server
    }

    async fn run(self, permit: Permit<Self>) -> Result<Elevation, Problem> {
        if permit.caller().kind != CallerKind::User {
            return Err(Problem::invalid("only people break the glass"));
        }
        let (now, who) = (permit.entry().at, permit.caller().id.clone());
        let (reason, seconds) = (reason_of(&self.reason)?, seconds_of(self.seconds, BROKEN_SECONDS_MAX)?);
        let alarm = self.room.alarm().ok_or_else(|| Problem::unavailable("nobody would be alarmed, so the glass stays whole"))?;
        let ends_at = now.plus_secs(seconds);
        let one = Elevation {
            id: format!("{ON_SERVER}{}", random_id()),
            principal: who.clone(),
            principal_name: None,
            role: BROKEN_ROLE.to_owned(),
            resource: Resource::Server,
            workspace: None,
            reason,
            seconds,
            asked_at: now,
            state: ElevationState::Broken,
            decided_by: None,
            decided_at: Some(now),
            ends_at: Some(ends_at),
            grant_id: None,
        };
        let receiver = Principal { id: who.clone(), kind: PrincipalKind::User, groups: Vec::new(), owner: None, disabled: false };
        let grant = grant_of(&one, &receiver, (&who, now, ends_at));
        let one = Elevation { grant_id: Some(grant.id.clone()), ..one };
        let write = self.room.db().write(&permit, move |tx| {
            if !grants::insert(tx, &grant, now)? {
                return Err(Problem::already_exists("you are administrator of the server already"));
            }
            store::insert(tx, &one)?;
            alarm.broken(tx, &Broken { by: &one.principal, reason: &one.reason, grant: &grant.id, until: ends_at, at: now })?;
            let outcome = Outcome::done().resource(&one.id).with("role", BROKEN_ROLE).with("grant", grant.id.as_str());
            Ok((one, outcome))
        });
        let one = write.await?;
        self.room.changed().await;
        Ok(one)
    }
}

/// Ends an elevation of the caller's own before its time, or takes a request back.
#[derive(Clone)]
pub struct EndElevation {
    /// The room.
    pub room: Policy,
    /// Which.
    pub id: String,
}

impl Operation for EndElevation {
    const ACTION: Action = super::ELEVATIONS_END;
    type Output = ();

    fn target(&self) -> Target {
        Target::Myself
    }

    async fn run(self, permit: Permit<Self>) -> Result<(), Problem> {
        let (now, who, id) = (permit.entry().at, permit.caller().id.clone(), self.id);
        let write = self.room.db().write(&permit, move |tx| {
            let found = store::get(tx, &id)?.filter(|one| one.principal == who);
            let found = found.ok_or_else(|| Problem::not_found("there is no such elevation of yours"))?;
            if !store::end(tx, &id, &who, now)? {
                return Err(Problem::new(Kind::Conflict, "it has ended already"));
            }
            if let Some(grant) = &found.grant_id {
                grants::revoke(tx, grant, &who, now)?;
            }
            Ok(((), Outcome::done().resource(id)))
        });
        write.await?;
        self.room.changed().await;
        Ok(())
    }
}

/// Lists those of the workspace, or of the server.
#[derive(Clone)]
pub struct ListElevations {
    /// The room.
    pub room: Policy,
    /// Of the server, or of the attempt's workspace.
    pub of_server: bool,
    /// Only those that wait for a second person.
    pub waiting_only: bool,
}

impl Operation for ListElevations {
    const ACTION: Action = super::ELEVATIONS_LIST;
    type Output = Vec<Elevation>;

    fn target(&self) -> Target {
        if self.of_server { Target::Server } else { Target::Workspace }
    }

    async fn run(self, permit: Permit<Self>) -> Result<Vec<Elevation>, Problem> {
        // Who holds a role on single things decides on nothing here, and what others ask for and why is not theirs to read.
        if *permit.scope() != Scope::Workspace {
            return Ok(Vec::new());
        }
        let workspace = if self.of_server { None } else { permit.facts().workspace.clone() };
        let (waiting_only, now) = (self.waiting_only, permit.entry().at);
        let read = move |reader: &mut Reader<'_>| {
            let workspace = workspace.as_deref();
            Ok(if waiting_only { store::waiting_at(reader, workspace, now)? } else { store::of_place(reader, workspace)? })
        };
        self.room.db().read(&permit, read).await
    }
}

/// Lists the caller's own.
#[derive(Clone)]
pub struct OwnElevations {
    /// The room.
    pub room: Policy,
}

impl Operation for OwnElevations {
    const ACTION: Action = super::ELEVATIONS_OWN;
    type Output = Vec<Elevation>;

    fn target(&self) -> Target {
        Target::Myself
    }

    async fn run(self, permit: Permit<Self>) -> Result<Vec<Elevation>, Problem> {
        let who = permit.caller().id.clone();
        self.room.db().read(&permit, move |reader| Ok(store::of_principal(reader, &who)?)).await
    }
}

/// Where a request is judged.
pub(super) fn judged_on(id: &str) -> Target {
    if id.starts_with(ON_SERVER) { Target::Server } else { Target::Workspace }
}

/// Where it was judged must be where it lies.
pub(super) fn lies_where_judged(one: &Elevation, facts: &Facts) -> bool {
    match &one.workspace {
        None => one.id.starts_with(ON_SERVER),
        Some(workspace) => facts.workspace.as_ref() == Some(workspace),
    }
}

pub(super) fn not_here() -> Problem {
    Problem::not_found("there is no such request here")
}

/// Who asked, if they can still be given anything.
pub(super) fn active(asker: Option<Principal>) -> Result<Principal, Problem> {
    let active = asker.filter(|one| !one.disabled);
    active.ok_or_else(|| Problem::new(Kind::Conflict, "the account that asked is not active any more"))
}

pub(super) fn grant_of(one: &Elevation, receiver: &Principal, (giver, now, ends_at): (&str, Micros, Micros)) -> Grant {
    Grant {
        id: format!("g_{}", random_id()),
        principal: receiver.id.clone(),
        principal_kind: receiver.kind,
        role: one.role.clone(),
        resource: one.resource.clone(),
        workspace: one.workspace.clone(),
        created_by: giver.to_owned(),
        created_at: now,
        expires_at: Some(ends_at),
        justification: format!("elevation {}: {}", one.id, one.reason),
    }
}
