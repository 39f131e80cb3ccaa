//! `/retention`: by which time versions of objects are retained, and how many are.

use buckets::Buckets;
use buckets::ops::lock::ShowRetention;
use http::Method;
use serde_json::json;

use super::times::to_text;
use crate::{Door, Inbound, json as json_answer};

/// Adds the route.
pub fn routes(door: &mut Door, buckets: &Buckets) {
    let room = buckets.clone();
    let show = move |_: &Inbound| Ok(ShowRetention { room: room.clone() });
    door.route(Method::GET, "/api/strongroom/v1/retention", show, |state| {
        json_answer(&json!({
            "compliance_at": to_text(state.clock.at),
            "wall_at": to_text(state.clock.wall_at),
            "lag_s": state.clock.lag_us() / 1_000_000,
            "clock_is_followed": state.clock.lag_us() <= buckets::clock::LAG_US_MAX,
            "held_count": state.held_count,
            "retained_count": state.retained_count,
            "enforced_by": "software",
        }))
    });
}
