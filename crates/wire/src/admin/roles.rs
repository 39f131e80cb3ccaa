//! `/roles`: what each role may do.

use http::Method;
use policy::{ListRoles, Policy};
use serde_json::{Value, json};

use crate::{Door, json};

/// Adds the routes.
pub fn routes(door: &mut Door, policy: &Policy) {
    let room = policy.clone();
    door.route::<ListRoles, _, _>(
        Method::GET,
        "/api/strongroom/v1/roles",
        move |_| Ok(ListRoles { room: room.clone() }),
        |roles| {
            let roles: Vec<Value> = roles
                .iter()
                .map(|role| {
                    json!({ "name": role.name, "about": role.what, "on": role.on, "data": role.data, "actions": role.verbs })
                })
                .collect();
            json(&json!({ "roles": roles, "policy_version": policy::policy_version() }))
        },
    );
}
