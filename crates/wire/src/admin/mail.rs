//! `/me/mail`, `/users/{user}/mail` and `/mail`: where people's notices go, and what waits to be sent.

use ::mail::Mail;
use ::mail::ops::{ListMail, Listed, OwnMail, Sent, SetAddress, SetKey, Shown, TestMail};
use http::Method;
use kernel::Problem;
use serde::Deserialize;
use serde_json::{Value, json};

use super::shape::{body, list, nothing, only};
use super::times::to_text;
use crate::{Door, Inbound, json as json_answer};

const PREFIX: &str = "/api/strongroom/v1";

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct KeyBody {
    key: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct AddressBody {
    address: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct TestBody {
    to: String,
}

/// Adds the routes.
pub fn routes(door: &mut Door, mail: &Mail) {
    let room = mail.clone();
    let own = move |_: &Inbound| Ok(OwnMail { room: room.clone() });
    door.route(Method::GET, &format!("{PREFIX}/me/mail"), own, |one| json_answer(&shown(&one)));
    let room = mail.clone();
    let set_key = move |inbound: &Inbound| {
        let KeyBody { key } = body(inbound)?;
        Ok(SetKey { room: room.clone(), key })
    };
    door.route(Method::POST, &format!("{PREFIX}/me/mail-key"), set_key, |key| json_answer(&json!({ "key": key })));
    let room = mail.clone();
    let set_address = move |inbound: &Inbound| {
        let AddressBody { address } = body(inbound)?;
        Ok(SetAddress { room: room.clone(), user: inbound.path("user").to_owned(), address })
    };
    door.route(Method::POST, &format!("{PREFIX}/users/{{user}}/mail"), set_address, |()| nothing());
    let room = mail.clone();
    let outbox = move |inbound: &Inbound| {
        let [sent] = only(inbound, ["sent"])?;
        let with_sent = match sent.as_deref() {
            None | Some("false") => false,
            Some("true") => true,
            Some(_) => return Err(Problem::invalid("`sent` is true or false")),
        };
        Ok(ListMail { room: room.clone(), with_sent })
    };
    door.route(Method::GET, &format!("{PREFIX}/mail"), outbox, |all| list("mail", &all, None, listed));
    let room = mail.clone();
    let test = move |inbound: &Inbound| {
        let TestBody { to } = body(inbound)?;
        Ok(TestMail { room: room.clone(), to })
    };
    door.route(Method::POST, &format!("{PREFIX}/mail/test"), test, |one| json_answer(&sent(&one)));
}

fn shown(one: &Shown) -> Value {
    json!({
        "mail_leaves": one.is_configured,
        "address": one.address.as_ref().map(|found| &found.0),
        "source": one.address.as_ref().map(|found| found.1.word()),
        "key": one.key,
        "key_fault": one.key_fault,
    })
}

fn sent(one: &Sent) -> Value {
    let state = if one.fault.is_none() && one.notice_count > 0 { "sent" } else { "waiting" };
    json!({ "state": state, "fault": one.fault })
}

fn listed(one: &Listed) -> Value {
    json!({
        "id": one.id,
        "to": one.to,
        "account": one.account,
        "kind": one.kind.word(),
        "event": one.event,
        "at": to_text(one.at),
        "state": one.state,
        "settled_at": one.settled_at.map(to_text),
        "attempts": one.attempts,
        "next_at": one.next_at.map(to_text),
        "fault": one.fault,
    })
}
