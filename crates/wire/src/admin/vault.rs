//! `/objects`: is every stored byte as it was written?

use artifacts::{Artifacts, SweepObjects, VerifyObjects};
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
            "destroyed_count": report.destroyed_count,
        }))
    });
    let room = artifacts.clone();
    let sweep = move |_: &Inbound| Ok(SweepObjects { room: room.clone() });
    door.route(Method::POST, "/api/strongroom/v1/objects/sweep", sweep, |swept| {
        json_answer(&json!({"unfinished_count": swept.unfinished_count, "orphan_count": swept.orphan_count}))
    });
}
