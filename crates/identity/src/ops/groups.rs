//! Groups and who is in them.

use std::sync::Arc;

use gate::{Action, Operation, Outcome, Permit, Target};
use kernel::{Micros, Problem};
use vault::db::{Reader, Writer};

use super::lasting::holds_no_longer;
use super::remaining::with_an_administrator_left;
use super::{accounts, is_job};
use crate::types::{Group, Name, Page, PageWish, Principal, PrincipalKind};
use crate::{Identity, Offices, store};

/// The verb of [`CreateGroup`].
pub const GROUPS_CREATE: Action = Action::write("groups.create");
/// The verb of [`ListGroups`].
pub const GROUPS_LIST: Action = Action::read("groups.list");
/// The verb of [`DeleteGroup`].
pub const GROUPS_DELETE: Action = Action::write("groups.delete");
/// The verb of [`AddMember`].
pub const GROUPS_ADD_MEMBER: Action = Action::write("groups.add_member");
/// The verb of [`RemoveMember`].
pub const GROUPS_REMOVE_MEMBER: Action = Action::write("groups.remove_member");

/// Makes an empty group.
pub struct CreateGroup {
    /// The room.
    pub room: Identity,
    /// Its name.
    pub name: Name,
}

impl Operation for CreateGroup {
    const ACTION: Action = GROUPS_CREATE;
    type Output = Principal;

    fn target(&self) -> Target {
        Target::Server
    }

    async fn run(self, permit: Permit<Self>) -> Result<Principal, Problem> {
        accounts::create(&self.room, &permit, PrincipalKind::Group, self.name).await
    }
}

/// Lists groups with their direct members, by name.
pub struct ListGroups {
    /// The room.
    pub room: Identity,
    /// Which page.
    pub page: PageWish,
}

/// Groups of a page: each comes with its members, so there are fewer than of other things.
pub const GROUP_PAGE_ROWS_MAX: usize = 20;

impl Operation for ListGroups {
    const ACTION: Action = GROUPS_LIST;
    type Output = Page<Group>;

    fn target(&self) -> Target {
        Target::Server
    }

    async fn run(self, permit: Permit<Self>) -> Result<Page<Group>, Problem> {
        let page = PageWish { rows: Some(self.page.row_count().min(GROUP_PAGE_ROWS_MAX)), ..self.page };
        let read = self.room.db.read(&permit, move |reader| {
            let found = store::list_principals(reader, PrincipalKind::Group, &page)?;
            let mut rows = Vec::with_capacity(found.rows.len());
            for principal in found.rows {
                let members = store::members_of(reader, &principal.id)?;
                rows.push(Group { principal, members });
            }
            Ok(Page { rows, next: found.next })
        });
        read.await
    }
}

/// Deletes a group. Its members stay.
pub struct DeleteGroup {
    /// The room.
    pub room: Identity,
    /// Its id or name.
    pub group: String,
}

impl Operation for DeleteGroup {
    const ACTION: Action = GROUPS_DELETE;
    type Output = ();

    fn target(&self) -> Target {
        Target::Server
    }

    async fn run(self, permit: Permit<Self>) -> Result<(), Problem> {
        accounts::delete(&self.room, &permit, PrincipalKind::Group, self.group).await
    }
}

/// Puts a user, service account or group into a group: never oneself.
pub struct AddMember {
    /// The room.
    pub room: Identity,
    /// The group's id or name.
    pub group: String,
    /// The member's id or name.
    pub member: String,
}

impl Operation for AddMember {
    const ACTION: Action = GROUPS_ADD_MEMBER;
    type Output = ();

    fn target(&self) -> Target {
        Target::Server
    }

    async fn run(self, permit: Permit<Self>) -> Result<(), Problem> {
        let (at, caller) = (permit.entry().at, permit.caller().clone());
        let offices = self.room.inner.offices.get().map(Arc::clone);
        let write = self.room.db.write(&permit, move |tx| {
            let (group, member) = both(tx, &self.group, &self.member)?;
            let oneself = member.id == caller.id || member.owner == caller.id && member.kind == PrincipalKind::Service;
            let through_a_group = member.kind == PrincipalKind::Group && holds_caller(tx, &member.id, &caller.id)?;
            if (oneself || through_a_group) && !is_job(&caller) {
                return Err(Problem::forbidden(
                    "nobody puts themself, a group they are in, or a service account of theirs into a group: ask another administrator",
                ));
            }
            let office = office_until(tx, offices.as_deref(), &group.id, at)?;
            holds_no_longer(tx, offices.as_deref(), (&caller, &group.id), at)?;
            let new = store::add_member(tx, &group.id, &member.id, &caller.id, at)?;
            let outcome = Outcome::done().resource(group.id).with("member", member.id).with("changed", i64::from(new));
            Ok(((), outcome.with("administers", i64::from(office.is_some()))))
        });
        write.await?;
        self.room.inner.memory.forget();
        Ok(())
    }
}

/// Takes a member out of a group.
pub struct RemoveMember {
    /// The room.
    pub room: Identity,
    /// The group's id or name.
    pub group: String,
    /// The member's id or name.
    pub member: String,
}

impl Operation for RemoveMember {
    const ACTION: Action = GROUPS_REMOVE_MEMBER;
    type Output = ();

    fn target(&self) -> Target {
        Target::Server
    }

    async fn run(self, permit: Permit<Self>) -> Result<(), Problem> {
        let at = permit.entry().at;
        let offices = self.room.inner.offices.get().map(Arc::clone);
        let write = self.room.db.write(&permit, move |tx| {
            let (group, member) = both(tx, &self.group, &self.member)?;
            let remove = |tx: &mut Writer<'_>| Ok(store::remove_member(tx, &group.id, &member.id)?);
            if !with_an_administrator_left(tx, offices.as_deref(), at, remove)? {
                return Err(Problem::not_found("it is not a direct member of this group"));
            }
            Ok(((), Outcome::done().resource(group.id).with("member", member.id)))
        });
        write.await?;
        self.room.inner.memory.forget();
        Ok(())
    }
}

fn both(reader: &mut Reader<'_>, group: &str, member: &str) -> Result<(Principal, Principal), Problem> {
    let group = store::principal(reader, PrincipalKind::Group, group)?;
    let member = store::any_principal(reader, member)?;
    Ok((group, member.ok_or_else(|| Problem::not_found("there is no account or group of this id or name to be the member"))?))
}

/// Until when whoever is in this group administers the server, or may make themself its administrator.
fn office_until(
    reader: &mut Reader<'_>,
    offices: Option<&dyn Offices>,
    group_id: &str,
    at: Micros,
) -> Result<Option<Micros>, Problem> {
    let Some(offices) = offices else { return Ok(None) };
    let mut all = store::groups_of(reader, group_id)?;
    all.push(group_id.to_owned());
    offices.may_administer_until(reader, &all, at)
}

/// Whether the caller, or a service account of theirs, is in this group at any level.
fn holds_caller(reader: &mut Reader<'_>, group_id: &str, caller_id: &str) -> Result<bool, Problem> {
    if store::groups_of(reader, caller_id)?.iter().any(|above| above == group_id) {
        return Ok(true);
    }
    for service in store::services_of(reader, caller_id)? {
        if store::groups_of(reader, &service)?.iter().any(|above| above == group_id) {
            return Ok(true);
        }
    }
    Ok(false)
}
