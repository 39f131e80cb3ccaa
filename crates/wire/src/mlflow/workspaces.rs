//! `workspaces`: what MLflow's client and web page ask where a server has workspaces. They are made and ended through our own
//! interface.

use http::Method;
use identity::ops::workspaces::{GetWorkspace, ListWorkspaces};
use identity::{Identity, PageWish, Workspace};
use serde_json::{Value, json};

use crate::{Door, Inbound, json as json_answer};

/// Adds these routes.
pub fn routes(door: &mut Door, identity: &Identity) {
    let room = identity.clone();
    let list = move |_: &Inbound| {
        let page = PageWish { after: None, rows: Some(identity::PAGE_ROWS_MAX) };
        Ok(ListWorkspaces { room: room.clone(), page })
    };
    door.mlflow(Method::GET, "/mlflow/workspaces", list, |page| {
        json_answer(&json!({"workspaces": page.rows.iter().map(view).collect::<Vec<_>>()}))
    });
    let room = identity.clone();
    let get = move |inbound: &Inbound| Ok(GetWorkspace { room: room.clone(), name: Some(inbound.path("workspace").to_owned()) });
    door.mlflow(Method::GET, "/mlflow/workspaces/{workspace}", get, |workspace| {
        json_answer(&json!({"workspace": view(&workspace)}))
    });
}

fn view(workspace: &Workspace) -> Value {
    json!({"name": workspace.name})
}
