//! `/objects` and `/keys`: is every stored byte as it was written, and fresh keys for a workspace.

use artifacts::{Artifacts, RewrapKeys, RotateWorkspaceKey, SweepObjects, VerifyObjects};
use http::Method;
use serde_json::json;

use crate::{Door, Inbound, json as json_answer};

/// Adds the routes.
pub fn routes(door: &mut Door, artifacts: &Artifacts) {
    let room = artifacts.clone();
    let verify = move |_: &Inbound| Ok(VerifyObjects { room: room.clone() });
    door.route(Method::POST, "/api/strongroom/v1/objects/verify", verify, |report| {
        json_answer(&json!({
            "checked_count": report.checked_count,
            "checked_bytes": report.checked_bytes,
            "damaged_count": report.damaged_count,
            "damaged": report.damaged,
        }))
    });
    let room = artifacts.clone();
    let sweep = move |_: &Inbound| Ok(SweepObjects { room: room.clone() });
    door.route(Method::POST, "/api/strongroom/v1/objects/sweep", sweep, |swept| {
        json_answer(&json!({"unfinished_count": swept.unfinished_count, "orphan_count": swept.orphan_count}))
    });
    let room = artifacts.clone();
    let rotate = move |_: &Inbound| Ok(RotateWorkspaceKey { room: room.clone() });
    door.route(Method::POST, "/api/strongroom/v1/keys/rotate", rotate, |version| json_answer(&json!({"key_version": version})));
    let room = artifacts.clone();
    let rewrap = move |_: &Inbound| Ok(RewrapKeys { room: room.clone() });
    door.route(Method::POST, "/api/strongroom/v1/keys/rewrap", rewrap, |count| json_answer(&json!({"rewrapped_count": count})));
}
