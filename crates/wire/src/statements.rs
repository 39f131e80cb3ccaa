//! Where issuers tell what happened to their people: logouts at a provider (OpenID Connect Back-Channel Logout 1.0) and Security Event Tokens
//! pushed by a transmitter (RFC 8935). The signed token is the credential.

use axum::body::Body;
use federation::Untaken;
use gate::{Credential, Statement, StatementKind};
use http::request::Parts;
use http::{HeaderValue, StatusCode, header};
use identity::Identity;
use identity::ops::statements::{EndFederated, HearSignal};
use kernel::{Kind, Problem, Secret};
use serde_json::json;

use crate::bodies::Unread;
use crate::form::Form;
use crate::outbound::harden;
use crate::{Answer, Door};

/// A token with a form around it.
const BODY_BYTES_MAX: usize = 20 * 1024;
/// Where providers tell of logouts.
pub const LOGOUT: &str = "/login/backchannel-logout";
/// Where transmitters push to.
pub const SIGNALS: &str = "/signals";

/// Adds the routes of issuers.
pub fn routes(door: &mut Door, identity: &Identity) {
    let room = identity.clone();
    door.statement(LOGOUT, StatementKind::Logout, move || EndFederated { room: room.clone() }, |()| empty(StatusCode::OK));
    let room = identity.clone();
    door.statement(SIGNALS, StatementKind::Event, move || HearSignal { room: room.clone() }, |()| empty(StatusCode::ACCEPTED));
}

fn empty(status: StatusCode) -> Result<Answer, Problem> {
    let mut answer = Answer::new(Body::empty());
    *answer.status_mut() = status;
    harden(&mut answer);
    Ok(answer)
}

/// The token that came.
pub(crate) async fn credential(parts: &Parts, body: Unread<'_>, kind: StatementKind) -> Result<Credential, Problem> {
    let content = parts.headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let content = content.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    let bytes = body.whole(BODY_BYTES_MAX).await?;
    let token = match (kind, content.as_str()) {
        (StatementKind::Logout, "application/x-www-form-urlencoded") => {
            Form::read(&bytes).ok().and_then(|form| form.get("logout_token").map(str::to_owned))
        }
        (StatementKind::Event, "application/secevent+jwt") => std::str::from_utf8(&bytes).ok().map(|text| text.trim().to_owned()),
        _ => None,
    };
    let statement = |token| Credential::Statement(Box::new(Statement { kind, token: Secret::from(token) }));
    Ok(token.map_or(Credential::Malformed, statement))
}

/// A refusal in the form that the sender knows: RFC 8935, section 2.3, and Back-Channel Logout, section 2.8.
pub(crate) fn refused(problem: &Problem, kind: StatementKind) -> Answer {
    let why = std::error::Error::source(problem).and_then(|source| source.downcast_ref::<Untaken>()).copied();
    let is_ours = matches!(problem.kind(), Kind::Unavailable | Kind::TooMany | Kind::Internal);
    let code = match why {
        Some(why) => why.word(),
        None if is_ours => "temporarily_unavailable",
        None => Untaken::InvalidRequest.word(),
    };
    let body = match kind {
        StatementKind::Event => json!({ "err": code, "description": problem.message() }),
        StatementKind::Logout => json!({ "error": "invalid_request", "error_description": problem.message() }),
    };
    let mut answer = crate::outbound::problem_answer(problem, true);
    if !is_ours {
        *answer.status_mut() = StatusCode::BAD_REQUEST;
    }
    *answer.body_mut() = Body::from(body.to_string());
    answer.headers_mut().remove(header::WWW_AUTHENTICATE);
    answer.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    answer
}
