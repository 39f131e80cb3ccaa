//! People, service accounts and the caller's own account.

use http::Method;
use identity::ops::account::GetMe;
use identity::ops::accounts::{
    CreateService, CreateUser, DeleteService, DeleteUser, DisableService, DisableUser, EnableService, EnableUser, GetUser,
    ListServices, ListUsers,
};
use identity::ops::passwords::{ChangeOwnPassword, SetPassword};
use identity::ops::provisioning::Entrust;
use identity::{Identity, Me, Name, Page, Principal};
use kernel::{Problem, Secret};
use serde::Deserialize;
use serde_json::{Value, json};

use super::shape::{body, list, nothing, query};
use super::times::to_text;
use crate::outbound::json;
use crate::{Answer, Door, Inbound};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NewUser {
    name: String,
    password: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NewService {
    name: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NewPassword {
    password: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct OwnPassword {
    current: Option<String>,
    new: String,
}

/// Adds the routes of accounts.
pub fn routes(door: &mut Door, identity: &Identity) {
    users(door, identity);
    services(door, identity);
    me(door, identity);
    entrust(door, identity);
}

fn users(door: &mut Door, identity: &Identity) {
    let room = identity.clone();
    let create = move |inbound: &Inbound| {
        let NewUser { name, password } = body(inbound)?;
        Ok(CreateUser { room: room.clone(), name: Name::parse(&name)?, password: password.map(Secret::from) })
    };
    door.route(Method::POST, "/api/strongroom/v1/users", create, |user| json(&principal_value(&user)));
    let room = identity.clone();
    let all = move |inbound: &Inbound| Ok(ListUsers { room: room.clone(), page: query(inbound, [])?.0 });
    door.route(Method::GET, "/api/strongroom/v1/users", all, |page| principals("users", &page));
    let room = identity.clone();
    let get = move |inbound: &Inbound| Ok(GetUser { room: room.clone(), user: inbound.path("user").to_owned() });
    door.route(Method::GET, "/api/strongroom/v1/users/{user}", get, |user| json(&principal_value(&user)));
    let room = identity.clone();
    let delete = move |inbound: &Inbound| Ok(DeleteUser { room: room.clone(), user: inbound.path("user").to_owned() });
    door.route(Method::DELETE, "/api/strongroom/v1/users/{user}", delete, |()| nothing());
    let room = identity.clone();
    let disable = move |inbound: &Inbound| Ok(DisableUser { room: room.clone(), user: inbound.path("user").to_owned() });
    door.route(Method::POST, "/api/strongroom/v1/users/{user}/disable", disable, |user| json(&principal_value(&user)));
    let room = identity.clone();
    let enable = move |inbound: &Inbound| Ok(EnableUser { room: room.clone(), user: inbound.path("user").to_owned() });
    door.route(Method::POST, "/api/strongroom/v1/users/{user}/enable", enable, |user| json(&principal_value(&user)));
    let room = identity.clone();
    let password = move |inbound: &Inbound| {
        let NewPassword { password } = body(inbound)?;
        Ok(SetPassword { room: room.clone(), user: inbound.path("user").to_owned(), password: Secret::from(password) })
    };
    door.route(Method::POST, "/api/strongroom/v1/users/{user}/password", password, |user| json(&principal_value(&user)));
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Entrusted {
    to: Option<String>,
}

/// Who looks after an account or a group: a provisioner, or nobody.
fn entrust(door: &mut Door, identity: &Identity) {
    let room = identity.clone();
    let entrust = move |inbound: &Inbound| {
        let Entrusted { to } = body(inbound)?;
        Ok(Entrust { room: room.clone(), principal: inbound.path("principal").to_owned(), to })
    };
    door.route(Method::POST, "/api/strongroom/v1/principals/{principal}/entrust", entrust, |found| {
        json(&principal_value(&found))
    });
}

fn services(door: &mut Door, identity: &Identity) {
    let room = identity.clone();
    let create = move |inbound: &Inbound| {
        let NewService { name } = body(inbound)?;
        Ok(CreateService { room: room.clone(), name: Name::parse(&name)? })
    };
    door.route(Method::POST, "/api/strongroom/v1/services", create, |service| json(&principal_value(&service)));
    let room = identity.clone();
    let all = move |inbound: &Inbound| Ok(ListServices { room: room.clone(), page: query(inbound, [])?.0 });
    door.route(Method::GET, "/api/strongroom/v1/services", all, |page| principals("services", &page));
    let room = identity.clone();
    let disable = move |inbound: &Inbound| Ok(DisableService { room: room.clone(), service: inbound.path("service").to_owned() });
    door.route(Method::POST, "/api/strongroom/v1/services/{service}/disable", disable, |one| json(&principal_value(&one)));
    let room = identity.clone();
    let enable = move |inbound: &Inbound| Ok(EnableService { room: room.clone(), service: inbound.path("service").to_owned() });
    door.route(Method::POST, "/api/strongroom/v1/services/{service}/enable", enable, |one| json(&principal_value(&one)));
    let room = identity.clone();
    let delete = move |inbound: &Inbound| Ok(DeleteService { room: room.clone(), service: inbound.path("service").to_owned() });
    door.route(Method::DELETE, "/api/strongroom/v1/services/{service}", delete, |()| nothing());
}

fn me(door: &mut Door, identity: &Identity) {
    let room = identity.clone();
    let get = move |_: &Inbound| Ok(GetMe { room: room.clone() });
    door.route(Method::GET, "/api/strongroom/v1/me", get, |me| json(&me_value(&me)));
    let room = identity.clone();
    let password = move |inbound: &Inbound| {
        let OwnPassword { current, new } = body(inbound)?;
        Ok(ChangeOwnPassword { room: room.clone(), current: current.map(Secret::from), new: Secret::from(new) })
    };
    door.route(Method::POST, "/api/strongroom/v1/me/password", password, |()| nothing());
}

fn principals(plural: &str, page: &Page<Principal>) -> Result<Answer, Problem> {
    list(plural, &page.rows, page.next.as_deref(), principal_value)
}

pub(super) fn principal_value(principal: &Principal) -> Value {
    json!({
        "id": principal.id,
        "kind": principal.kind.word(),
        "name": principal.name,
        "disabled": principal.disabled,
        "owner": principal.owner,
        "created_at": to_text(principal.created_at),
    })
}

fn me_value(me: &Me) -> Value {
    json!({
        "kind": me.kind,
        "id": me.id,
        "name": me.name,
        "groups": me.groups.iter().map(|(id, name)| json!({"id": id, "name": name})).collect::<Vec<_>>(),
        "token": me.token.as_ref().map(|token| json!({"id": token.id, "scopes": token.scopes, "workspace_id": token.workspace})),
        "assurance": me.assurance,
        "method": me.method.map(gate::Method::word),
        "has_password": me.has_password,
    })
}
