//! Groups and their members.

use http::Method;
use identity::ops::groups::{AddMember, CreateGroup, DeleteGroup, ListGroups, RemoveMember};
use identity::{Group, Identity, Name};
use serde::Deserialize;
use serde_json::{Value, json};

use super::shape::{body, list, nothing, query};
use super::users::principal_value;
use crate::outbound::json;
use crate::{Door, Inbound};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NewGroup {
    name: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NewMember {
    member: String,
}

/// Adds the routes of groups.
pub fn routes(door: &mut Door, identity: &Identity) {
    let room = identity.clone();
    let create = move |inbound: &Inbound| {
        let NewGroup { name } = body(inbound)?;
        Ok(CreateGroup { room: room.clone(), name: Name::parse(&name)? })
    };
    door.route(Method::POST, "/api/strongroom/v1/groups", create, |group| json(&principal_value(&group)));
    let room = identity.clone();
    let all = move |inbound: &Inbound| Ok(ListGroups { room: room.clone(), page: query(inbound, [])?.0 });
    door.route(Method::GET, "/api/strongroom/v1/groups", all, |page| {
        list("groups", &page.rows, page.next.as_deref(), group_value)
    });
    let room = identity.clone();
    let delete = move |inbound: &Inbound| Ok(DeleteGroup { room: room.clone(), group: inbound.path("group").to_owned() });
    door.route(Method::DELETE, "/api/strongroom/v1/groups/{group}", delete, |()| nothing());
    let room = identity.clone();
    let add = move |inbound: &Inbound| {
        let NewMember { member } = body(inbound)?;
        Ok(AddMember { room: room.clone(), group: inbound.path("group").to_owned(), member })
    };
    door.route(Method::POST, "/api/strongroom/v1/groups/{group}/members", add, |()| nothing());
    let room = identity.clone();
    let remove = move |inbound: &Inbound| {
        let (group, member) = (inbound.path("group").to_owned(), inbound.path("member").to_owned());
        Ok(RemoveMember { room: room.clone(), group, member })
    };
    door.route(Method::DELETE, "/api/strongroom/v1/groups/{group}/members/{member}", remove, |()| nothing());
}

/// Members go by name here: whoever needs more looks the account up.
fn group_value(group: &Group) -> Value {
    let mut value = principal_value(&group.principal);
    if let Some(fields) = value.as_object_mut() {
        let names: Vec<&str> = group.members.iter().map(|member| member.name.as_str()).collect();
        fields.insert("members".to_owned(), json!(names));
    }
    value
}
