//! People's accounts, as a provisioner makes, changes and ends them.

use std::sync::Arc;

use gate::{Action, Operation, Outcome, Permit, Target};
use kernel::{Micros, Problem};
use vault::db::{Reader, Writer};

use super::{Found, Profile, Provisioned, Wanted, checked, found, looked_after, no_office, purpose};
use crate::ops::own_account;
use crate::store::{self, Ended};
use crate::types::PrincipalKind;
use crate::{Identity, Inner};

/// The verb of [`GetProvisionedUser`].
pub const PROVISIONING_GET_USER: Action = Action::read("provisioning.get_user");
/// The verb of [`ListProvisionedUsers`].
pub const PROVISIONING_LIST_USERS: Action = Action::read("provisioning.list_users");
/// The verb of [`CreateProvisionedUser`].
pub const PROVISIONING_CREATE_USER: Action = Action::write("provisioning.create_user");
/// The verb of [`ChangeUser`].
pub const PROVISIONING_CHANGE_USER: Action = Action::write("provisioning.change_user");
/// The verb of [`DeleteProvisionedUser`].
pub const PROVISIONING_DELETE_USER: Action = Action::write("provisioning.delete_user");

/// Looks up a person whom the caller looks after.
pub struct GetProvisionedUser {
    /// The room.
    pub room: Identity,
    /// The account's id.
    pub id: String,
}

impl Operation for GetProvisionedUser {
    const ACTION: Action = PROVISIONING_GET_USER;
    type Output = Provisioned;

    fn target(&self) -> Target {
        Target::Server
    }

    async fn run(self, permit: Permit<Self>) -> Result<Provisioned, Problem> {
        let (by, inner) = (own_account(permit.caller())?.to_owned(), Arc::clone(&self.room.inner));
        let read =
            self.room.db.read_point(&permit, move |reader| looked_after(reader, &inner, &by, PrincipalKind::User, &self.id));
        read.await
    }
}

/// Lists the people whom the caller looks after, by name.
pub struct ListProvisionedUsers {
    /// The room.
    pub room: Identity,
    /// Which of them.
    pub wanted: Wanted,
    /// Whether groups decide which of them.
    pub by_groups: bool,
}

impl Operation for ListProvisionedUsers {
    const ACTION: Action = PROVISIONING_LIST_USERS;
    type Output = Found;

    fn target(&self) -> Target {
        Target::Server
    }

    async fn run(self, permit: Permit<Self>) -> Result<Found, Problem> {
        let (by, inner) = (own_account(permit.caller())?.to_owned(), Arc::clone(&self.room.inner));
        let Self { room, wanted, by_groups } = self;
        let read = room.db.read(&permit, move |reader| {
            let of = |reader: &mut Reader<'_>, one: &mut Provisioned| {
                one.groups = store::provisioned_groups(reader, &one.principal.id, &by)?;
                Ok(())
            };
            found(reader, &inner, (&by, PrincipalKind::User), wanted, (by_groups, true, &of))
        });
        read.await
    }
}

/// Makes an account that the caller looks after. It has no password: its holder comes by way of a provider.
pub struct CreateProvisionedUser {
    /// The room.
    pub room: Identity,
    /// What it shall be.
    pub profile: Profile,
}

impl Operation for CreateProvisionedUser {
    const ACTION: Action = PROVISIONING_CREATE_USER;
    type Output = Provisioned;

    fn target(&self) -> Target {
        Target::Server
    }

    async fn run(self, permit: Permit<Self>) -> Result<Provisioned, Problem> {
        let (at, by) = (permit.entry().at, own_account(permit.caller())?.to_owned());
        let Self { room, profile } = self;
        checked(profile.external_id.as_deref(), &profile.document)?;
        let inner = Arc::clone(&room.inner);
        let write = room.db.write(&permit, move |tx| {
            let made = store::create_principal(tx, PrincipalKind::User, &profile.name, &by, at)?;
            if !profile.active {
                store::bar(tx, &made.id, &by, at)?;
            }
            let sealed = inner.sealer.seal(&purpose(&made.id), profile.document.as_bytes())?;
            store::set_provisioned(tx, &made.id, &by, profile.external_id.as_deref(), &sealed, at)?;
            let outcome = Outcome::done().resource(made.id.clone()).with("active", usize::from(profile.active));
            Ok((looked_after(tx, &inner, &by, PrincipalKind::User, &made.id)?, outcome))
        });
        write.await
    }
}

/// What becomes of an account, from what it is.
pub type UserChange = Box<dyn FnOnce(&Provisioned) -> Result<Profile, Problem> + Send>;

/// Changes an account that the caller looks after. Whoever may come in no more has nothing left to come in with: sessions, tokens and access
/// keys end in the same commit, for good.
pub struct ChangeUser {
    /// The room.
    pub room: Identity,
    /// The account's id.
    pub id: String,
    /// The change.
    pub change: UserChange,
}

impl Operation for ChangeUser {
    const ACTION: Action = PROVISIONING_CHANGE_USER;
    type Output = Provisioned;

    fn target(&self) -> Target {
        Target::Server
    }

    async fn run(self, permit: Permit<Self>) -> Result<Provisioned, Problem> {
        let (at, by) = (permit.entry().at, own_account(permit.caller())?.to_owned());
        let Self { room, id, change } = self;
        let (inner, offices) = (Arc::clone(&room.inner), room.offices()?);
        let write = room.db.write(&permit, move |tx| {
            let before = looked_after(tx, &inner, &by, PrincipalKind::User, &id)?;
            no_office(tx, &*offices, &[&id], at)?;
            let profile = change(&before)?;
            checked(profile.external_id.as_deref(), &profile.document)?;
            let ended = settle(tx, &inner, &before, &profile, &by, at)?;
            let after = looked_after(tx, &inner, &by, PrincipalKind::User, &id)?;
            // As it is, not as it was wished: a restore goes by the log.
            let outcome = Outcome::done()
                .resource(id.clone())
                .with("active", usize::from(!after.principal.disabled))
                .with("tokens_ended", i64::try_from(ended.token_count).unwrap_or(i64::MAX))
                .with("sessions_ended", i64::try_from(ended.session_count).unwrap_or(i64::MAX))
                .with("devices_ended", i64::try_from(ended.device_count).unwrap_or(i64::MAX));
            Ok((after, outcome))
        });
        let changed = write.await?;
        room.inner.memory.forget();
        Ok(changed)
    }
}

fn settle(
    tx: &mut Writer<'_>,
    inner: &Inner,
    before: &Provisioned,
    profile: &Profile,
    by: &str,
    at: Micros,
) -> Result<Ended, Problem> {
    let id = &before.principal.id;
    if profile.name.as_str() != before.principal.name {
        store::rename(tx, id, profile.name.as_str())?;
    }
    let mut ended = Ended::default();
    if !profile.active {
        // Also where the account is barred already: what was left to come back ends now.
        ended = store::end_all(tx, id, at)?;
        if let Some(devices) = inner.devices.get() {
            ended.device_count = devices.end_all(tx, id, by, at)?;
        }
    }
    match (profile.active, before.principal.disabled) {
        // Whom an administrator barred, no directory lets in: it is told so by what it gets back.
        (true, true) => drop(store::lift_own_bar(tx, id, by)?),
        (false, false) => store::bar(tx, id, by, at)?,
        (true, false) | (false, true) => {}
    }
    let sealed = inner.sealer.seal(&purpose(id), profile.document.as_bytes())?;
    store::set_provisioned(tx, id, by, profile.external_id.as_deref(), &sealed, at)?;
    Ok(ended)
}

/// What must hold of the resource for it to be deleted.
pub type Condition = Box<dyn FnOnce(&Provisioned) -> Result<(), Problem> + Send>;

/// Deletes an account that the caller looks after, with all that it could come in with.
pub struct DeleteProvisionedUser {
    /// The room.
    pub room: Identity,
    /// The account's id.
    pub id: String,
    /// What must hold of it.
    pub condition: Condition,
}

impl Operation for DeleteProvisionedUser {
    const ACTION: Action = PROVISIONING_DELETE_USER;
    type Output = ();

    fn target(&self) -> Target {
        Target::Server
    }

    async fn run(self, permit: Permit<Self>) -> Result<(), Problem> {
        let (at, by) = (permit.entry().at, own_account(permit.caller())?.to_owned());
        let Self { room, id, condition } = self;
        let (inner, offices) = (Arc::clone(&room.inner), room.offices()?);
        let write = room.db.write(&permit, move |tx| {
            condition(&looked_after(tx, &inner, &by, PrincipalKind::User, &id)?)?;
            no_office(tx, &*offices, &[&id], at)?;
            // First, so that what was made of its tokens ends too.
            let ended = store::end_all(tx, &id, at)?;
            store::delete_principal(tx, &id)?;
            let count = |count: u64| i64::try_from(count).unwrap_or(i64::MAX);
            let outcome = Outcome::done().resource(id).with("tokens_ended", count(ended.token_count));
            Ok(((), outcome.with("sessions_ended", count(ended.session_count))))
        });
        write.await?;
        room.inner.memory.forget();
        Ok(())
    }
}
