//! SCIM 2.0 (RFC 7643, RFC 7644) under `/scim/v2`: what a directory elsewhere makes, changes and ends here, with a token of a service account
//! that holds the role `provisioner`. Filters, patches and schemas are the crate `scim`'s, accounts and groups `identity`'s.

mod groups;
mod request;
mod users;
mod view;

use ::scim::{LIST_SCHEMA, Refusal};
use axum::body::Body;
use http::{HeaderValue, Method, StatusCode, header};
use identity::Identity;
use identity::ops::provisioning::{Describe, Found, ListProvisionedGroups, ListProvisionedUsers};
use kernel::{Kind, Problem};
use serde_json::{Value, json};

use self::request::{Listed, base};
use crate::outbound::harden;
use crate::{Answer, Chosen, Door, Inbound};

/// Where it is spoken.
pub(crate) const PREFIX: &str = "/scim/v2";
/// Its content type (RFC 7644, section 8.1).
const CONTENT_TYPE: &str = "application/scim+json";

/// Adds the routes of this interface.
pub fn routes(door: &mut Door, identity: &Identity) {
    descriptions(door);
    users::routes(door, identity);
    groups::routes(door, identity);
    let room = identity.clone();
    let verbs = [identity::ops::provisioning::PROVISIONING_LIST_USERS, identity::ops::provisioning::PROVISIONING_LIST_GROUPS];
    door.choice(Method::POST, "/scim/v2/.search", &verbs, move |inbound| everything(&room, inbound));
}

/// What this server says of itself.
fn descriptions(door: &mut Door) {
    let one = |inbound: &Inbound| Ok((Describe, base(inbound)));
    door.route_with(Method::GET, "/scim/v2/ServiceProviderConfig", one, |(), base| {
        answer(StatusCode::OK, &::scim::config(&base))
    });
    let all = |inbound: &Inbound| Ok((Describe, base(inbound)));
    door.route_with(Method::GET, "/scim/v2/ResourceTypes", all, |(), base| described(&::scim::resource_types(&base)));
    let all = |inbound: &Inbound| Ok((Describe, base(inbound)));
    door.route_with(Method::GET, "/scim/v2/Schemas", all, |(), base| described(&::scim::schemas(&base)));
    let one = |inbound: &Inbound| Ok((Describe, (base(inbound), inbound.path("id").to_owned())));
    door.route_with(Method::GET, "/scim/v2/ResourceTypes/{id}", one, |(), (base, id)| {
        answer(StatusCode::OK, named(&::scim::resource_types(&base), &id)?)
    });
    let one = |inbound: &Inbound| Ok((Describe, (base(inbound), inbound.path("id").to_owned())));
    door.route_with(Method::GET, "/scim/v2/Schemas/{id}", one, |(), (base, id)| {
        answer(StatusCode::OK, named(&::scim::schemas(&base), &id)?)
    });
}

fn named<'v>(all: &'v [Value], id: &str) -> Result<&'v Value, Problem> {
    let found = all.iter().find(|one| one.get("id").and_then(Value::as_str).is_some_and(|known| known.eq_ignore_ascii_case(id)));
    found.ok_or_else(|| Problem::not_found("there is no such description"))
}

fn described(all: &[Value]) -> Result<Answer, Problem> {
    list(all.len(), 1, all.to_vec())
}

/// Users and groups at once: users come first.
fn everything(room: &Identity, inbound: &Inbound) -> Result<Chosen, Problem> {
    let listed = Listed::of_body(inbound)?;
    let room = room.clone();
    Ok(Chosen::verbs(move |visitor| {
        Box::pin(async move {
            let asked: ListProvisionedUsers = users::list_of(&room, &listed);
            let found = visitor.call(asked).await?;
            let Found { total: users_total, rows } = found;
            let left = Listed {
                skip: listed.skip.saturating_sub(users_total),
                count: listed.count.saturating_sub(rows.len()),
                ..listed.clone()
            };
            let mut shown: Vec<Value> = rows.iter().map(|row| users::shown(row, &listed)).collect();
            let asked: ListProvisionedGroups = groups::list(&room, &left);
            let Found { total, rows } = visitor.call(asked).await?;
            shown.extend(rows.iter().map(|row| groups::shown(row, &listed)));
            list(users_total + total, listed.skip + 1, shown)
        })
    }))
}

/// A page of a list (RFC 7644, section 3.4.2).
fn list(total: usize, start: usize, rows: Vec<Value>) -> Result<Answer, Problem> {
    answer(
        StatusCode::OK,
        &json!({
            "schemas": [LIST_SCHEMA],
            "totalResults": total,
            "startIndex": start,
            "itemsPerPage": rows.len(),
            "Resources": rows,
        }),
    )
}

/// An answer with a body.
fn answer(status: StatusCode, value: &Value) -> Result<Answer, Problem> {
    let bytes = serde_json::to_vec(value).map_err(|error| Problem::internal("an answer could not be written", error))?;
    let mut answer = Answer::new(Body::from(bytes));
    *answer.status_mut() = status;
    answer.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(CONTENT_TYPE));
    harden(&mut answer);
    Ok(answer)
}

/// An answer without one.
fn nothing(status: StatusCode) -> Result<Answer, Problem> {
    let mut answer = Answer::new(Body::empty());
    *answer.status_mut() = status;
    harden(&mut answer);
    Ok(answer)
}

/// One resource, as it is now: with its version, and where it is.
fn resource(status: StatusCode, shown: Value, version: &str) -> Result<Answer, Problem> {
    let location = shown.pointer("/meta/location").and_then(Value::as_str).map(str::to_owned);
    let mut made = answer(status, &shown)?;
    let mut put = |name: header::HeaderName, text: &str| {
        if let Ok(value) = HeaderValue::from_str(text) {
            made.headers_mut().insert(name, value);
        }
    };
    put(header::ETAG, version);
    if let Some(location) = location.filter(|_| status == StatusCode::CREATED) {
        put(header::LOCATION, &location);
    }
    Ok(made)
}

/// The same answer with the body that SCIM asks for (RFC 7644, section 3.12).
pub(crate) fn in_form(mut answer: Answer, problem: &Problem) -> Answer {
    let source = std::error::Error::source(problem).and_then(|source| source.downcast_ref::<Refusal>());
    let scim_type = match (source, problem.kind()) {
        (Some(refusal), _) => refusal.scim_type(),
        (None, Kind::AlreadyExists) => Some("uniqueness"),
        (None, Kind::Invalid) => Some("invalidValue"),
        _ => None,
    };
    match (source, problem.kind()) {
        (Some(Refusal::Precondition), _) => *answer.status_mut() = StatusCode::PRECONDITION_FAILED,
        (_, Kind::AlreadyExists) => *answer.status_mut() = StatusCode::CONFLICT,
        _ => {}
    }
    let mut body = json!({
        "schemas": [::scim::ERROR_SCHEMA],
        "status": answer.status().as_u16().to_string(),
        "detail": problem.message(),
    });
    if let (Some(scim_type), Some(parts)) = (scim_type, body.as_object_mut()) {
        parts.insert("scimType".to_owned(), Value::from(scim_type));
    }
    *answer.body_mut() = Body::from(body.to_string());
    answer.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(CONTENT_TYPE));
    answer
}
