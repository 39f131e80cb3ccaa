//! Groups, as a provisioner makes, changes and ends them. Members that it does not look after are neither shown nor touched.

use std::collections::HashSet;
use std::sync::Arc;

use gate::{Action, Operation, Outcome, Permit, Target};
use kernel::{Kind, Micros, Problem};
use vault::db::{Reader, Writer};

use super::users::Condition;
use super::{Found, GroupProfile, Provisioned, Wanted, checked, found, looked_after, no_office, purpose};
use crate::ops::own_account;
use crate::store;
use crate::types::{Principal, PrincipalKind};
use crate::{Identity, Offices};

/// The verb of [`GetProvisionedGroup`].
pub const PROVISIONING_GET_GROUP: Action = Action::read("provisioning.get_group");
/// The verb of [`ListProvisionedGroups`].
pub const PROVISIONING_LIST_GROUPS: Action = Action::read("provisioning.list_groups");
/// The verb of [`CreateProvisionedGroup`].
pub const PROVISIONING_CREATE_GROUP: Action = Action::write("provisioning.create_group");
/// The verb of [`ChangeGroup`].
pub const PROVISIONING_CHANGE_GROUP: Action = Action::write("provisioning.change_group");
/// The verb of [`DeleteProvisionedGroup`].
pub const PROVISIONING_DELETE_GROUP: Action = Action::write("provisioning.delete_group");

/// Looks up a group that the caller looks after.
pub struct GetProvisionedGroup {
    /// The room.
    pub room: Identity,
    /// The group's id.
    pub id: String,
}

impl Operation for GetProvisionedGroup {
    const ACTION: Action = PROVISIONING_GET_GROUP;
    type Output = Provisioned;

    fn target(&self) -> Target {
        Target::Server
    }

    async fn run(self, permit: Permit<Self>) -> Result<Provisioned, Problem> {
        let (by, inner) = (own_account(permit.caller())?.to_owned(), Arc::clone(&self.room.inner));
        self.room.db.read(&permit, move |reader| looked_after(reader, &inner, &by, PrincipalKind::Group, &self.id)).await
    }
}

/// Lists the groups that the caller looks after, by name.
pub struct ListProvisionedGroups {
    /// The room.
    pub room: Identity,
    /// Which of them.
    pub wanted: Wanted,
    /// Whether members decide which of them.
    pub by_members: bool,
    /// Whether members are asked for.
    pub with_members: bool,
}

impl Operation for ListProvisionedGroups {
    const ACTION: Action = PROVISIONING_LIST_GROUPS;
    type Output = Found;

    fn target(&self) -> Target {
        Target::Server
    }

    async fn run(self, permit: Permit<Self>) -> Result<Found, Problem> {
        let (by, inner) = (own_account(permit.caller())?.to_owned(), Arc::clone(&self.room.inner));
        let Self { room, wanted, by_members, with_members } = self;
        let read = room.db.read(&permit, move |reader| {
            let of = |reader: &mut Reader<'_>, one: &mut Provisioned| {
                one.members = store::provisioned_members(reader, &one.principal.id, &by)?;
                Ok(())
            };
            found(reader, &inner, (&by, PrincipalKind::Group), wanted, (by_members, with_members, &of))
        });
        read.await
    }
}

/// Makes a group that the caller looks after. It holds no role until an administrator gives it one.
pub struct CreateProvisionedGroup {
    /// The room.
    pub room: Identity,
    /// What it shall be.
    pub profile: GroupProfile,
}

impl Operation for CreateProvisionedGroup {
    const ACTION: Action = PROVISIONING_CREATE_GROUP;
    type Output = Provisioned;

    fn target(&self) -> Target {
        Target::Server
    }

    async fn run(self, permit: Permit<Self>) -> Result<Provisioned, Problem> {
        let (at, by) = (permit.entry().at, own_account(permit.caller())?.to_owned());
        let Self { room, profile } = self;
        checked(profile.external_id.as_deref(), &profile.document)?;
        let (inner, offices) = (Arc::clone(&room.inner), room.offices()?);
        let write = room.db.write(&permit, move |tx| {
            let made = store::create_principal(tx, PrincipalKind::Group, &profile.name, &by, at)?;
            let sealed = inner.sealer.seal(&purpose(&made.id), profile.document.as_bytes())?;
            store::set_provisioned(tx, &made.id, &by, profile.external_id.as_deref(), &sealed, at)?;
            let changed = set_members(tx, &*offices, (&made.id, &[]), &profile.members, (&by, at))?;
            let outcome = Outcome::done().resource(made.id.clone()).with("memberships_changed", changed);
            Ok((looked_after(tx, &inner, &by, PrincipalKind::Group, &made.id)?, outcome))
        });
        let made = write.await?;
        room.inner.memory.forget();
        Ok(made)
    }
}

/// What becomes of a group, from what it is.
pub type GroupChange = Box<dyn FnOnce(&Provisioned) -> Result<GroupProfile, Problem> + Send>;

/// Changes a group that the caller looks after, and who is in it.
pub struct ChangeGroup {
    /// The room.
    pub room: Identity,
    /// The group's id.
    pub id: String,
    /// The change.
    pub change: GroupChange,
}

impl Operation for ChangeGroup {
    const ACTION: Action = PROVISIONING_CHANGE_GROUP;
    type Output = Provisioned;

    fn target(&self) -> Target {
        Target::Server
    }

    async fn run(self, permit: Permit<Self>) -> Result<Provisioned, Problem> {
        let (at, by) = (permit.entry().at, own_account(permit.caller())?.to_owned());
        let Self { room, id, change } = self;
        let (inner, offices) = (Arc::clone(&room.inner), room.offices()?);
        let write = room.db.write(&permit, move |tx| {
            let before = looked_after(tx, &inner, &by, PrincipalKind::Group, &id)?;
            no_office(tx, &*offices, &[&id], at)?;
            let profile = change(&before)?;
            checked(profile.external_id.as_deref(), &profile.document)?;
            if profile.name.as_str() != before.principal.name {
                store::rename(tx, &id, profile.name.as_str())?;
            }
            let changed = set_members(tx, &*offices, (&id, &before.members), &profile.members, (&by, at))?;
            let sealed = inner.sealer.seal(&purpose(&id), profile.document.as_bytes())?;
            store::set_provisioned(tx, &id, &by, profile.external_id.as_deref(), &sealed, at)?;
            let outcome = Outcome::done().resource(id.clone()).with("memberships_changed", changed);
            Ok((looked_after(tx, &inner, &by, PrincipalKind::Group, &id)?, outcome))
        });
        let changed = write.await?;
        room.inner.memory.forget();
        Ok(changed)
    }
}

/// Members that come and go with one request: all of it is one transaction.
const MEMBERS_CHANGED_COUNT_MAX: usize = 2_000;

/// Makes these the members, of those that the provisioner looks after. Gives how many came or went.
fn set_members(
    tx: &mut Writer<'_>,
    offices: &dyn Offices,
    (group, before): (&str, &[Principal]),
    wanted: &[String],
    (by, at): (&str, Micros),
) -> Result<usize, Problem> {
    let (known, stays): (HashSet<&str>, HashSet<&str>) =
        (before.iter().map(|held| held.id.as_str()).collect(), wanted.iter().map(String::as_str).collect());
    let change_count = known.symmetric_difference(&stays).count();
    if change_count > MEMBERS_CHANGED_COUNT_MAX {
        let message = format!("at most {MEMBERS_CHANGED_COUNT_MAX} members come and go with one request");
        return Err(Problem::new(Kind::TooLarge, message));
    }
    let mut changed = 0_usize;
    for gone in before.iter().filter(|held| !stays.contains(held.id.as_str())) {
        no_office(tx, offices, &[&gone.id], at)?;
        changed += usize::from(store::remove_member(tx, group, &gone.id)?);
    }
    for new in wanted.iter().filter(|id| !known.contains(id.as_str())) {
        let is_user = store::provisioned(tx, by, PrincipalKind::User, new)?.is_some();
        if !is_user && store::provisioned(tx, by, PrincipalKind::Group, new)?.is_none() {
            return Err(Problem::invalid("a member is the id of a user or group that you look after"));
        }
        no_office(tx, offices, &[new], at)?;
        changed += usize::from(store::add_member(tx, group, new, by, at)?);
    }
    Ok(changed)
}

/// Deletes a group that the caller looks after. Its members stay.
pub struct DeleteProvisionedGroup {
    /// The room.
    pub room: Identity,
    /// The group's id.
    pub id: String,
    /// What must hold of it.
    pub condition: Condition,
}

impl Operation for DeleteProvisionedGroup {
    const ACTION: Action = PROVISIONING_DELETE_GROUP;
    type Output = ();

    fn target(&self) -> Target {
        Target::Server
    }

    async fn run(self, permit: Permit<Self>) -> Result<(), Problem> {
        let (at, by) = (permit.entry().at, own_account(permit.caller())?.to_owned());
        let Self { room, id, condition } = self;
        let (inner, offices) = (Arc::clone(&room.inner), room.offices()?);
        let write = room.db.write(&permit, move |tx| {
            condition(&looked_after(tx, &inner, &by, PrincipalKind::Group, &id)?)?;
            no_office(tx, &*offices, &[&id], at)?;
            store::delete_principal(tx, &id)?;
            Ok(((), Outcome::done().resource(id)))
        });
        write.await?;
        room.inner.memory.forget();
        Ok(())
    }
}
