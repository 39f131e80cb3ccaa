//! Browser sessions: the caller's own, which begin at the log-in form and end here or there, and those of others for those who administer.

use http::Method;
use identity::ops::sessions::{DeleteSession, ListSessions};
use identity::{Identity, Session};
use serde_json::{Value, json};

use super::shape::{list, nothing, only};
use super::times::to_text;
use crate::{Door, Inbound};

/// Adds the routes of sessions.
pub fn routes(door: &mut Door, identity: &Identity) {
    let room = identity.clone();
    let all = move |inbound: &Inbound| only(inbound, ["of"]).map(|[of]| ListSessions { room: room.clone(), of });
    door.route(Method::GET, "/api/strongroom/v1/sessions", all, |sessions| list("sessions", &sessions, None, session_value));
    let room = identity.clone();
    let delete =
        move |inbound: &Inbound| Ok(DeleteSession { room: room.clone(), session: Some(inbound.path("session").to_owned()) });
    door.route(Method::DELETE, "/api/strongroom/v1/sessions/{session}", delete, |()| nothing());
}

fn session_value(session: &Session) -> Value {
    json!({
        "id": session.id,
        "created_at": to_text(session.created_at),
        "last_seen": to_text(session.last_seen),
        "expires_at": to_text(session.expires_at),
        "assurance": session.assurance,
        "method": session.method.word(),
        "device": session.device_id,
        "current": session.current,
    })
}
