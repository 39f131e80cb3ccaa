//! `access.review`, `access.paths`, `grants.preview` and `groups.preview`: who may do more than they use, how somebody could come to more, and
//! what a grant or a membership would allow before there is one.

use std::sync::Arc;

use gate::{Action, Operation, Permit, Target};
use kernel::{Micros, Problem};

use crate::engine::Engine;
use crate::ops::CreateGrant;
use crate::policy::Policy;
use crate::review::{self, Enumeration, PathsFound, Question, ReviewReport, World};
use crate::types::{Grant, Principal, PrincipalKind};

/// How far back a review looks, at least and at most.
pub(super) const DAYS_MIN: i64 = 7;
const DAYS_MAX: i64 = 365;

/// Reviews all grants.
pub struct ReviewAccess {
    /// The room.
    pub room: Policy,
    /// How far back it looks.
    pub days: i64,
}

impl Operation for ReviewAccess {
    const ACTION: Action = super::ACCESS_REVIEW;
    type Output = ReviewReport;

    fn target(&self) -> Target {
        Target::Server
    }

    async fn run(self, permit: Permit<Self>) -> Result<ReviewReport, Problem> {
        let days = self.days;
        if !(DAYS_MIN..=DAYS_MAX).contains(&days) {
            return Err(Problem::invalid(format!("`days` is from {DAYS_MIN} to {DAYS_MAX}")));
        }
        let now = permit.entry().at;
        let world = self.room.db().read(&permit, move |reader| review::read(reader, now, days)).await?;
        let engine = self.room.engine_handle();
        let reviewing = Arc::clone(&engine);
        let (mut report, questions) = blocking(move || review::review(&world, &reviewing, days)).await?;
        if let Some(solver) = self.room.solver() {
            review::prove(&engine, solver, &questions, &mut report.enumeration).await;
            review::withdraw_found(&mut report);
        }
        Ok(report)
    }
}

/// Looks for ways up.
pub struct FindPaths {
    /// The room.
    pub room: Policy,
    /// How far back it looks for who trains models.
    pub days: i64,
}

impl Operation for FindPaths {
    const ACTION: Action = super::ACCESS_PATHS;
    type Output = PathsFound;

    fn target(&self) -> Target {
        Target::Server
    }

    async fn run(self, permit: Permit<Self>) -> Result<PathsFound, Problem> {
        let days = self.days;
        if !(DAYS_MIN..=DAYS_MAX).contains(&days) {
            return Err(Problem::invalid(format!("`days` is from {DAYS_MIN} to {DAYS_MAX}")));
        }
        let now = permit.entry().at;
        let world = self.room.db().read(&permit, move |reader| review::read(reader, now, days)).await?;
        let engine = self.room.engine_handle();
        blocking(move || review::find_paths(&world, &engine)).await
    }
}

/// Shows what a grant would newly allow, and gives nothing.
pub struct PreviewGrant {
    /// The grant that would be given.
    pub wanted: CreateGrant,
}

/// What a grant would do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GrantPreview {
    /// The grant, as it would be.
    pub grant: Grant,
    /// What it would allow that is not allowed now.
    pub newly: Enumeration,
}

impl Operation for PreviewGrant {
    const ACTION: Action = super::GRANTS_PREVIEW;
    type Output = GrantPreview;

    fn target(&self) -> Target {
        self.wanted.on.target()
    }

    async fn run(self, permit: Permit<Self>) -> Result<GrantPreview, Problem> {
        let now = permit.entry().at;
        let grant = self.wanted.would_be(permit.facts(), permit.caller(), now)?;
        let room = self.wanted.room;
        let (directory, name) = (room.directory(), self.wanted.principal.clone());
        let read =
            move |reader: &mut vault::db::Reader<'_>| Ok((directory.find(reader, &name)?, review::read(reader, now, DAYS_MIN)?));
        let (found, world): (_, World) = room.db().read(&permit, read).await?;
        let receiver = found.filter(|principal| !principal.disabled).ok_or_else(|| {
            Problem::not_found(format!("there is no active user, group or service `{}`", self.wanted.principal))
        })?;
        let grant = Grant { principal: receiver.id, principal_kind: receiver.kind, ..grant };
        let wanted = grant.clone();
        let newly = compared(&room, move |engine| review::newly_allowed(&world, engine, &wanted)).await?;
        Ok(GrantPreview { grant, newly })
    }
}

/// Shows what a membership of a group would newly allow, and puts nobody into it.
pub struct PreviewMember {
    /// The room.
    pub room: Policy,
    /// The group's id or name.
    pub group: String,
    /// The id or name of who would be put into it.
    pub member: String,
}

/// What a membership would do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MemberPreview {
    /// The group, by name.
    pub group: String,
    /// The member, by name.
    pub member: String,
    /// What it would allow that is not allowed now, to the member or to everybody in it.
    pub newly: Enumeration,
}

impl Operation for PreviewMember {
    const ACTION: Action = super::GROUPS_PREVIEW;
    type Output = MemberPreview;

    fn target(&self) -> Target {
        Target::Server
    }

    async fn run(self, permit: Permit<Self>) -> Result<MemberPreview, Problem> {
        let now = permit.entry().at;
        let Self { room, group, member } = self;
        let (directory, names) = (room.directory(), (group.clone(), member.clone()));
        let read = move |reader: &mut vault::db::Reader<'_>| {
            let found = (directory.find(reader, &names.0)?, directory.find(reader, &names.1)?);
            Ok((found, review::read(reader, now, DAYS_MIN)?))
        };
        let (found, world): ((Option<Principal>, Option<Principal>), World) = room.db().read(&permit, read).await?;
        let known = |one: Principal| world.people.get(&one.id).cloned();
        let above = found.0.filter(|one| one.kind == PrincipalKind::Group).and_then(known);
        let above = above.ok_or_else(|| Problem::not_found(format!("there is no group `{group}`")))?;
        let joins = found.1.and_then(known);
        let joins = joins.ok_or_else(|| Problem::not_found(format!("there is no user, group or service `{member}`")))?;
        if above.id == joins.id || above.groups.contains(&joins.id) {
            return Err(Problem::invalid("a group cannot hold itself, directly or through another group"));
        }
        let (group, member) = (above.name.clone(), joins.name.clone());
        let compare = move |engine: &Engine| review::newly_allowed_by_joining(&world, engine, &above, &joins.id);
        let newly = compared(&room, compare).await?;
        Ok(MemberPreview { group, member, newly })
    }
}

impl CreateGrant {
    /// The grant without its receiver, checked as it will be when it is given.
    fn would_be(&self, facts: &gate::Facts, giver: &gate::Caller, now: Micros) -> Result<Grant, Problem> {
        let resource = self.on.resource(facts)?;
        self.check_input(&resource, now)?;
        let workspace = match &resource {
            crate::Resource::Server => None,
            crate::Resource::Workspace(id) => Some(id.clone()),
            _ => facts.workspace.clone(),
        };
        Ok(Grant {
            id: "g_preview".to_owned(),
            principal: String::new(),
            principal_kind: crate::PrincipalKind::User,
            role: self.role.clone(),
            resource,
            workspace,
            created_by: giver.id.clone(),
            created_at: now,
            expires_at: self.expires_at,
            justification: self.justification.clone(),
        })
    }
}

/// What `compare` finds newly allowed, proved where there is a solver.
pub(super) async fn compared(
    room: &Policy,
    compare: impl FnOnce(&Engine) -> (Enumeration, Vec<Question>) + Send + 'static,
) -> Result<Enumeration, Problem> {
    let engine = room.engine_handle();
    let comparing = Arc::clone(&engine);
    let (mut newly, questions) = blocking(move || compare(&comparing)).await?;
    if let Some(solver) = room.solver() {
        review::prove(&engine, solver, &questions, &mut newly).await;
    }
    Ok(newly)
}

/// Deciding many thousand times takes a while.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, Problem> {
    let done = tokio::task::spawn_blocking(work).await;
    done.map_err(|broken| Problem::internal("the review broke off; this is a fault of the server", broken))
}
