//! Workspaces.

use http::Method;
use identity::ops::workspaces::{CreateWorkspace, GetWorkspace, ListWorkspaces};
use identity::{Identity, Name, Workspace};
use serde::Deserialize;
use serde_json::{Value, json};

use super::shape::{body, list, query};
use super::times::to_text;
use crate::outbound::json;
use crate::{Door, Inbound};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NewWorkspace {
    name: String,
}

/// Adds the routes of workspaces.
pub fn routes(door: &mut Door, identity: &Identity) {
    let room = identity.clone();
    let create = move |inbound: &Inbound| {
        let NewWorkspace { name } = body(inbound)?;
        Ok(CreateWorkspace { room: room.clone(), name: Name::parse(&name)? })
    };
    door.route(Method::POST, "/api/strongroom/v1/workspaces", create, |workspace| json(&workspace_value(&workspace)));
    let room = identity.clone();
    let all = move |inbound: &Inbound| Ok(ListWorkspaces { room: room.clone(), page: query(inbound, [])?.0 });
    door.route(Method::GET, "/api/strongroom/v1/workspaces", all, |page| {
        list("workspaces", &page.rows, page.next.as_deref(), workspace_value)
    });
    let room = identity.clone();
    // The decision is about the workspace that the request names in its header; the path must mean the same one.
    let get = move |inbound: &Inbound| Ok(GetWorkspace { room: room.clone(), name: Some(inbound.path("workspace").to_owned()) });
    door.route(Method::GET, "/api/strongroom/v1/workspaces/{workspace}", get, |workspace| json(&workspace_value(&workspace)));
}

fn workspace_value(workspace: &Workspace) -> Value {
    json!({"id": workspace.id, "name": workspace.name, "created_at": to_text(workspace.created_at)})
}
