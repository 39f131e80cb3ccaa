//! One's own devices: which there are, how far each is trusted and on what evidence, and their end.

use std::sync::Arc;

use askama::Template;
use devices::Devices;
use devices::ops::invite::Invite;
use devices::ops::list::{OWN, OwnDevices};
use devices::ops::revoke::RevokeOwn;
use http::Method;
use identity::Identity;
use identity::ops::account::{ACCOUNT_ME, GetMe};
use kernel::Micros;
use wire::{Chosen, Door, Inbound};

use crate::once::{self, Once};
use crate::page::{moment, page, redirect};

/// Where the page is.
const PAGE: &str = "/account/devices";

/// A moment, as a template has it.
fn shown(at: &Micros) -> String {
    moment(*at)
}

/// How far a device is trusted, and why.
pub fn trust_words(device: &devices::Device) -> String {
    let words = match device.tier {
        0 => "revoked",
        1 if device.reported_at.is_none() => "a registered key; it never reported",
        1 if device.failing.is_empty() => "a registered key; its last report is too old",
        1 => "a registered key; not in order",
        2 => "in order, as it reported",
        _ => "in order, and its key is in a TPM",
    };
    format!("{} – {words}", device.tier)
}

/// What stands behind that.
pub const fn evidence_words(device: &devices::Device) -> &'static str {
    if device.tier >= 3 { "attested" } else { "reported" }
}

#[derive(Template)]
#[template(path = "devices.html")]
struct DevicesTemplate<'a> {
    name: &'a str,
    devices: &'a [devices::Device],
    /// Of the form that enrols one.
    once: String,
}

#[derive(Template)]
#[template(path = "enrolment.html")]
struct EnrolmentTemplate<'a> {
    secret: &'a str,
    url: &'a str,
    ends: String,
}

/// Adds the pages.
pub fn routes(door: &mut Door, identity: &Identity, devices: &Devices, once: &Once) {
    let (accounts, room) = (identity.clone(), devices.clone());
    door.choice(Method::GET, PAGE, &[ACCOUNT_ME, OWN], move |_| {
        let (accounts, room) = (accounts.clone(), room.clone());
        Ok(Chosen::verbs(move |visitor| {
            Box::pin(async move {
                let me = visitor.call(GetMe { room: accounts }).await?;
                let own = visitor.call(OwnDevices { room, device: None }).await?;
                page(&DevicesTemplate { name: &me.name, devices: &own, once: once::form_id() })
            })
        }))
    });
    let room = devices.clone();
    let invite = move |inbound: &Inbound| Ok((Invite { room: room.clone() }, inbound.origin()));
    once.form(door, identity, "/account/devices/enrolment", invite, |leave, url: String| {
        Some(Arc::new(move || {
            let secret = leave.secret.expose_text().unwrap_or_default();
            page(&EnrolmentTemplate { secret, url: &url, ends: moment(leave.expires_at) })
        }))
    });
    let room = devices.clone();
    let revoke = move |inbound: &Inbound| {
        let form = inbound.form()?;
        form.sure()?;
        let lost = form.get("lost").is_some_and(|lost| lost == "true");
        Ok(RevokeOwn { room: room.clone(), device: form.need("device")?.to_owned(), lost })
    };
    door.route(Method::POST, "/account/devices/revoke", revoke, |()| Ok(redirect(PAGE)));
}
