//! Users and service accounts: create, list, get, disable, enable, delete.

use std::sync::Arc;

use gate::{Action, Operation, Outcome, Permit, Target};
use kernel::{Problem, Secret};

use super::lasting::may_open;
use super::remaining::with_an_administrator_left;
use crate::password::check_choice;
use crate::types::{Name, Page, PageWish, Principal, PrincipalKind};
use crate::{Identity, store};

/// The verb of [`CreateUser`].
pub const USERS_CREATE: Action = Action::write("users.create");
/// The verb of [`ListUsers`].
pub const USERS_LIST: Action = Action::read("users.list");
/// The verb of [`GetUser`].
pub const USERS_GET: Action = Action::read("users.get");
/// The verb of [`DisableUser`].
pub const USERS_DISABLE: Action = Action::write("users.disable");
/// The verb of [`EnableUser`].
pub const USERS_ENABLE: Action = Action::write("users.enable");
/// The verb of [`DeleteUser`].
pub const USERS_DELETE: Action = Action::write("users.delete");
/// The verb of [`CreateService`].
pub const SERVICES_CREATE: Action = Action::write("services.create");
/// The verb of [`ListServices`].
pub const SERVICES_LIST: Action = Action::read("services.list");
/// The verb of [`DisableService`].
pub const SERVICES_DISABLE: Action = Action::write("services.disable");
/// The verb of [`EnableService`].
pub const SERVICES_ENABLE: Action = Action::write("services.enable");
/// The verb of [`DeleteService`].
pub const SERVICES_DELETE: Action = Action::write("services.delete");

/// Makes a person's account. Without a password it is used with tokens only.
pub struct CreateUser {
    /// The room.
    pub room: Identity,
    /// Its name.
    pub name: Name,
    /// Its first password.
    pub password: Option<Secret>,
}

impl Operation for CreateUser {
    const ACTION: Action = USERS_CREATE;
    type Output = Principal;

    fn target(&self) -> Target {
        Target::Server
    }

    async fn run(self, permit: Permit<Self>) -> Result<Principal, Problem> {
        let inner = &self.room.inner;
        let hash = match self.password {
            Some(password) => {
                check_choice(&password, self.name.as_str(), inner.config.password_length_min)?;
                inner.check_leaked(&password)?;
                Some(inner.passwords.hash(password).await?)
            }
            None => None,
        };
        let (at, owner) = (permit.entry().at, permit.caller().id.clone());
        let name = self.name;
        let write = self.room.db.write(&permit, move |tx| {
            let made = store::create_principal(tx, PrincipalKind::User, &name, &owner, at)?;
            if let Some(hash) = &hash {
                store::set_password(tx, &made.id, hash, None, at)?;
            }
            let outcome = Outcome::done().resource(made.id.clone());
            Ok((made, outcome))
        });
        write.await
    }
}

/// Makes a service account. Who makes it owns it, and alone may mint its tokens.
pub struct CreateService {
    /// The room.
    pub room: Identity,
    /// Its name.
    pub name: Name,
}

impl Operation for CreateService {
    const ACTION: Action = SERVICES_CREATE;
    type Output = Principal;

    fn target(&self) -> Target {
        Target::Server
    }

    async fn run(self, permit: Permit<Self>) -> Result<Principal, Problem> {
        create(&self.room, &permit, PrincipalKind::Service, self.name).await
    }
}

pub(super) async fn create<O>(
    room: &Identity,
    permit: &Permit<O>,
    kind: PrincipalKind,
    name: Name,
) -> Result<Principal, Problem> {
    let (at, owner) = (permit.entry().at, permit.caller().id.clone());
    let write = room.db.write(permit, move |tx| {
        let made = store::create_principal(tx, kind, &name, &owner, at)?;
        let outcome = Outcome::done().resource(made.id.clone());
        Ok((made, outcome))
    });
    write.await
}

/// Lists the people who have accounts, by name.
pub struct ListUsers {
    /// The room.
    pub room: Identity,
    /// Which page.
    pub page: PageWish,
}

impl Operation for ListUsers {
    const ACTION: Action = USERS_LIST;
    type Output = Page<Principal>;

    fn target(&self) -> Target {
        Target::Server
    }

    async fn run(self, permit: Permit<Self>) -> Result<Page<Principal>, Problem> {
        list(&self.room, &permit, PrincipalKind::User, self.page).await
    }
}

/// Lists the service accounts, by name.
pub struct ListServices {
    /// The room.
    pub room: Identity,
    /// Which page.
    pub page: PageWish,
}

impl Operation for ListServices {
    const ACTION: Action = SERVICES_LIST;
    type Output = Page<Principal>;

    fn target(&self) -> Target {
        Target::Server
    }

    async fn run(self, permit: Permit<Self>) -> Result<Page<Principal>, Problem> {
        list(&self.room, &permit, PrincipalKind::Service, self.page).await
    }
}

async fn list<O>(room: &Identity, permit: &Permit<O>, kind: PrincipalKind, page: PageWish) -> Result<Page<Principal>, Problem> {
    room.db.read(permit, move |reader| Ok(store::list_principals(reader, kind, &page)?)).await
}

/// Looks one person's account up.
pub struct GetUser {
    /// The room.
    pub room: Identity,
    /// Its id or name.
    pub user: String,
}

impl Operation for GetUser {
    const ACTION: Action = USERS_GET;
    type Output = Principal;

    fn target(&self) -> Target {
        Target::Server
    }

    async fn run(self, permit: Permit<Self>) -> Result<Principal, Problem> {
        self.room.db.read_point(&permit, move |reader| store::principal(reader, PrincipalKind::User, &self.user)).await
    }
}

/// Looks one service account up.
pub struct GetService {
    /// The room.
    pub room: Identity,
    /// Its id or name.
    pub service: String,
}

impl Operation for GetService {
    const ACTION: Action = SERVICES_LIST;
    type Output = Principal;

    fn target(&self) -> Target {
        Target::Server
    }

    async fn run(self, permit: Permit<Self>) -> Result<Principal, Problem> {
        self.room.db.read_point(&permit, move |reader| store::principal(reader, PrincipalKind::Service, &self.service)).await
    }
}

/// Bars a person: tokens and the password stop working at once, sessions end.
pub struct DisableUser {
    /// The room.
    pub room: Identity,
    /// Its id or name.
    pub user: String,
}

impl Operation for DisableUser {
    const ACTION: Action = USERS_DISABLE;
    type Output = Principal;

    fn target(&self) -> Target {
        Target::Server
    }

    async fn run(self, permit: Permit<Self>) -> Result<Principal, Problem> {
        bar(&self.room, &permit, PrincipalKind::User, self.user).await
    }
}

/// Lets a barred person in again. Tokens that have not ended work again.
pub struct EnableUser {
    /// The room.
    pub room: Identity,
    /// Its id or name.
    pub user: String,
}

impl Operation for EnableUser {
    const ACTION: Action = USERS_ENABLE;
    type Output = Principal;

    fn target(&self) -> Target {
        Target::Server
    }

    async fn run(self, permit: Permit<Self>) -> Result<Principal, Problem> {
        lift_bar(&self.room, &permit, PrincipalKind::User, self.user).await
    }
}

/// Bars a service account: its tokens and access keys stop working at once.
pub struct DisableService {
    /// The room.
    pub room: Identity,
    /// Its id or name.
    pub service: String,
}

impl Operation for DisableService {
    const ACTION: Action = SERVICES_DISABLE;
    type Output = Principal;

    fn target(&self) -> Target {
        Target::Server
    }

    async fn run(self, permit: Permit<Self>) -> Result<Principal, Problem> {
        bar(&self.room, &permit, PrincipalKind::Service, self.service).await
    }
}

/// Lets a barred service account in again. Tokens that have not ended work again.
pub struct EnableService {
    /// The room.
    pub room: Identity,
    /// Its id or name.
    pub service: String,
}

impl Operation for EnableService {
    const ACTION: Action = SERVICES_ENABLE;
    type Output = Principal;

    fn target(&self) -> Target {
        Target::Server
    }

    async fn run(self, permit: Permit<Self>) -> Result<Principal, Problem> {
        lift_bar(&self.room, &permit, PrincipalKind::Service, self.service).await
    }
}

async fn bar<O>(room: &Identity, permit: &Permit<O>, kind: PrincipalKind, who: String) -> Result<Principal, Problem> {
    let (at, caller_id) = (permit.entry().at, permit.caller().id.clone());
    let offices = room.inner.offices.get().map(Arc::clone);
    let write = room.db.write(permit, move |tx| {
        let found = store::principal(tx, kind, &who)?;
        not_oneself(&found, &caller_id)?;
        with_an_administrator_left(tx, offices.as_deref(), at, |tx| Ok(store::bar(tx, &found.id, &caller_id, at)?))?;
        let outcome = Outcome::done().resource(found.id.clone());
        Ok((Principal { disabled: true, ..found }, outcome))
    });
    let changed = write.await?;
    room.inner.memory.forget();
    Ok(changed)
}

async fn lift_bar<O>(room: &Identity, permit: &Permit<O>, kind: PrincipalKind, who: String) -> Result<Principal, Problem> {
    let (at, caller) = (permit.entry().at, permit.caller().clone());
    let offices = room.inner.offices.get().map(Arc::clone);
    let write = room.db.write(permit, move |tx| {
        let found = store::principal(tx, kind, &who)?;
        not_oneself(&found, &caller.id)?;
        may_open(tx, offices.as_deref(), (&caller, &found.id), at)?;
        store::lift_bar(tx, &found.id)?;
        let outcome = Outcome::done().resource(found.id.clone());
        Ok((Principal { disabled: false, ..found }, outcome))
    });
    let changed = write.await?;
    room.inner.memory.forget();
    Ok(changed)
}

/// Deletes a person's account with its password, tokens, sessions and memberships. What the person did stays attributed to an
/// id that no longer has a name.
pub struct DeleteUser {
    /// The room.
    pub room: Identity,
    /// Its id or name.
    pub user: String,
}

impl Operation for DeleteUser {
    const ACTION: Action = USERS_DELETE;
    type Output = ();

    fn target(&self) -> Target {
        Target::Server
    }

    async fn run(self, permit: Permit<Self>) -> Result<(), Problem> {
        delete(&self.room, &permit, PrincipalKind::User, self.user).await
    }
}

/// Deletes a service account with its tokens and memberships.
pub struct DeleteService {
    /// The room.
    pub room: Identity,
    /// Its id or name.
    pub service: String,
}

impl Operation for DeleteService {
    const ACTION: Action = SERVICES_DELETE;
    type Output = ();

    fn target(&self) -> Target {
        Target::Server
    }

    async fn run(self, permit: Permit<Self>) -> Result<(), Problem> {
        delete(&self.room, &permit, PrincipalKind::Service, self.service).await
    }
}

pub(super) async fn delete<O>(
    room: &Identity,
    permit: &Permit<O>,
    kind: PrincipalKind,
    id_or_name: String,
) -> Result<(), Problem> {
    let (at, caller_id) = (permit.entry().at, permit.caller().id.clone());
    let offices = room.inner.offices.get().map(Arc::clone);
    let write = room.db.write(permit, move |tx| {
        let found = store::principal(tx, kind, &id_or_name)?;
        not_oneself(&found, &caller_id)?;
        with_an_administrator_left(tx, offices.as_deref(), at, |tx| Ok(store::delete_principal(tx, &found.id)?))?;
        Ok(((), Outcome::done().resource(found.id)))
    });
    write.await?;
    room.inner.memory.forget();
    Ok(())
}

/// Nobody bars or deletes themself.
fn not_oneself(principal: &Principal, caller_id: &str) -> Result<(), Problem> {
    if principal.id == caller_id {
        return Err(Problem::invalid("this is your own account; ask another administrator to do it"));
    }
    Ok(())
}
