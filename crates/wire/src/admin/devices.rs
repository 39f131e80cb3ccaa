//! Devices: what their agents say, what their owners see, what administrators do.

use ::devices::ops::attest::{Attest, AttestBegin, Pin, Signed, TpmKeys};
use ::devices::ops::enrol::{Enrol, Renew};
use ::devices::ops::invite::{Invite, InviteFor};
use ::devices::ops::list::{ListDevices, OwnDevices, Whose};
use ::devices::ops::report::{Challenge, Report};
use ::devices::ops::revoke::{Revoke, RevokeOwn};
use ::devices::ops::rules::{ListRules, SetRule};
use ::devices::{Device, Devices, Enrolled, Invitation, Rule};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::Method;
use kernel::Problem;
use serde::Deserialize;
use serde_json::{Value, json};

use super::shape::{body, list, nothing, only, query};
use super::times::to_text;
use crate::outbound::{base64_text, json as json_answer};
use crate::{Answer, Door, Inbound};

const PREFIX: &str = "/api/strongroom/v1";

/// Adds the routes.
pub fn routes(door: &mut Door, devices: &Devices) {
    of_agents(door, devices);
    attestation(door, devices);
    of_owners(door, devices);
    of_administrators(door, devices);
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct EnrolBody {
    request: String,
    #[serde(default)]
    label: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ReportBody {
    challenge: String,
    facts: String,
    signature: String,
}

fn of_agents(door: &mut Door, devices: &Devices) {
    let room = devices.clone();
    let enrol = move |inbound: &Inbound| {
        let EnrolBody { request, label } = body(inbound)?;
        Ok(Enrol { room: room.clone(), request: bytes("request", &request)?, label })
    };
    door.route(Method::POST, &format!("{PREFIX}/devices/enrol"), enrol, |enrolled| certificate(&enrolled));
    let room = devices.clone();
    let renew = move |inbound: &Inbound| {
        let Nothing {} = body(inbound)?;
        Ok(Renew { room: room.clone() })
    };
    door.route(Method::POST, &format!("{PREFIX}/devices/renew"), renew, |enrolled| certificate(&enrolled));
    let room = devices.clone();
    let challenge = move |_: &Inbound| Ok(Challenge { room: room.clone() });
    door.route(Method::GET, &format!("{PREFIX}/devices/challenge"), challenge, |(device, challenge)| {
        json_answer(&json!({"device": device, "challenge": challenge}))
    });
    let room = devices.clone();
    let report = move |inbound: &Inbound| {
        let ReportBody { challenge, facts, signature } = body(inbound)?;
        Ok(Report { room: room.clone(), challenge, facts, signature: bytes("signature", &signature)? })
    };
    door.route(Method::POST, &format!("{PREFIX}/devices/report"), report, |failing| {
        json_answer(&json!({"in_order": failing.is_empty(), "failing": failing}))
    });
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Nothing {}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct KeysBody {
    endorsement: String,
    attestation: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SignedBody {
    statement: String,
    signature: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct AttestBody {
    challenge: String,
    keys: KeysBody,
    secret: String,
    device_key: String,
    certified: SignedBody,
    quoted: SignedBody,
    registers: String,
    certificate: Option<String>,
}

fn attestation(door: &mut Door, devices: &Devices) {
    let room = devices.clone();
    let begin = move |inbound: &Inbound| Ok(AttestBegin { room: room.clone(), keys: keys(&body::<KeysBody>(inbound)?)? });
    door.route(Method::POST, &format!("{PREFIX}/devices/attest/begin"), begin, |asked| {
        json_answer(&json!({
            "challenge": asked.challenge,
            "id_object": base64_text(&asked.credential.id_object),
            "encrypted_secret": base64_text(&asked.credential.encrypted_secret),
            "nonce": kernel::hex(&asked.nonce),
        }))
    });
    let room = devices.clone();
    let attest = move |inbound: &Inbound| {
        let said: AttestBody = body(inbound)?;
        let signed = |what: &SignedBody| {
            Ok::<_, Problem>(Signed {
                statement: bytes("statement", &what.statement)?,
                signature: bytes("signature", &what.signature)?,
            })
        };
        Ok(Attest {
            room: room.clone(),
            keys: keys(&said.keys)?,
            secret: bytes("secret", &said.secret)?,
            device_key: bytes("device_key", &said.device_key)?,
            certified: signed(&said.certified)?,
            quoted: signed(&said.quoted)?,
            registers: bytes("registers", &said.registers)?,
            certificate: said.certificate.as_deref().map(|text| bytes("certificate", text)).transpose()?,
            challenge: said.challenge,
        })
    };
    door.route(Method::POST, &format!("{PREFIX}/devices/attest"), attest, |answer| {
        json_answer(&json!({"endorsement_key": answer.endorsement_key, "by_root": answer.by_root}))
    });
}

fn of_owners(door: &mut Door, devices: &Devices) {
    let room = devices.clone();
    let invite = move |inbound: &Inbound| {
        let Nothing {} = body(inbound)?;
        Ok(Invite { room: room.clone() })
    };
    door.route(Method::POST, &format!("{PREFIX}/me/devices/enrolment"), invite, |leave| invitation(&leave));
    let room = devices.clone();
    let own = move |_: &Inbound| Ok(OwnDevices { room: room.clone(), device: None });
    door.route(Method::GET, &format!("{PREFIX}/me/devices"), own, |all| list("devices", &all, None, device_value));
    let room = devices.clone();
    let one = move |inbound: &Inbound| Ok(OwnDevices { room: room.clone(), device: Some(inbound.path("device").to_owned()) });
    door.route(Method::GET, &format!("{PREFIX}/me/devices/{{device}}"), one, |all| {
        json_answer(&all.first().map_or(Value::Null, device_value))
    });
    let room = devices.clone();
    let revoke = move |inbound: &Inbound| {
        Ok(RevokeOwn { room: room.clone(), device: inbound.path("device").to_owned(), lost: is_lost(inbound)? })
    };
    door.route(Method::DELETE, &format!("{PREFIX}/me/devices/{{device}}"), revoke, |()| nothing());
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PinBody {
    endorsement_key: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RuleBody {
    tier: u8,
    data_class: Option<String>,
}

fn of_administrators(door: &mut Door, devices: &Devices) {
    let room = devices.clone();
    let invite = move |inbound: &Inbound| {
        let Nothing {} = body(inbound)?;
        Ok(InviteFor { room: room.clone(), account: inbound.path("user").to_owned() })
    };
    door.route(Method::POST, &format!("{PREFIX}/users/{{user}}/devices/enrolment"), invite, |leave| invitation(&leave));
    let room = devices.clone();
    let all = move |inbound: &Inbound| {
        let (page, [of]) = query(inbound, ["of"])?;
        Ok(ListDevices { room: room.clone(), whose: of.map_or(Whose::Everybody(page), Whose::Account) })
    };
    door.route(Method::GET, &format!("{PREFIX}/devices"), all, |page| {
        list("devices", &page.rows, page.next.as_deref(), device_value)
    });
    let room = devices.clone();
    let one =
        move |inbound: &Inbound| Ok(ListDevices { room: room.clone(), whose: Whose::One(inbound.path("device").to_owned()) });
    door.route(Method::GET, &format!("{PREFIX}/devices/by-id/{{device}}"), one, |page| {
        json_answer(&page.rows.first().map_or(Value::Null, device_value))
    });
    let room = devices.clone();
    let revoke = move |inbound: &Inbound| {
        Ok(Revoke { room: room.clone(), device: inbound.path("device").to_owned(), lost: is_lost(inbound)? })
    };
    door.route(Method::DELETE, &format!("{PREFIX}/devices/by-id/{{device}}"), revoke, |()| nothing());
    let room = devices.clone();
    let pin = move |inbound: &Inbound| {
        let PinBody { endorsement_key } = body(inbound)?;
        Ok(Pin { room: room.clone(), device: inbound.path("device").to_owned(), endorsement_key })
    };
    door.route(Method::POST, &format!("{PREFIX}/devices/by-id/{{device}}/pin"), pin, |()| nothing());
    let room = devices.clone();
    let rules = move |_: &Inbound| Ok(ListRules { room: room.clone() });
    door.route(Method::GET, &format!("{PREFIX}/device-rules"), rules, |rules| list("rules", &rules, None, rule_value));
    let room = devices.clone();
    let set_rule = move |inbound: &Inbound| {
        let RuleBody { tier, data_class } = body(inbound)?;
        Ok(SetRule { room: room.clone(), data_class, tier })
    };
    door.route(Method::POST, &format!("{PREFIX}/device-rules"), set_rule, |()| nothing());
}

fn is_lost(inbound: &Inbound) -> Result<bool, Problem> {
    let [lost] = only(inbound, ["lost"])?;
    match lost.as_deref() {
        None | Some("false") => Ok(false),
        Some("true") => Ok(true),
        Some(_) => Err(Problem::invalid("`lost` is true or false")),
    }
}

fn keys(said: &KeysBody) -> Result<TpmKeys, Problem> {
    Ok(TpmKeys { endorsement: bytes("endorsement", &said.endorsement)?, attestation: bytes("attestation", &said.attestation)? })
}

fn bytes(field: &str, text: &str) -> Result<Vec<u8>, Problem> {
    STANDARD.decode(text).map_err(|_| Problem::invalid(format!("`{field}` is not base64")))
}

fn certificate(enrolled: &Enrolled) -> Result<Answer, Problem> {
    json_answer(&json!({
        "device": enrolled.device_id,
        "certificate": enrolled.certificate,
        "expires_at": to_text(enrolled.expires_at),
    }))
}

fn invitation(leave: &Invitation) -> Result<Answer, Problem> {
    json_answer(&json!({
        "id": leave.id,
        "secret": leave.secret.expose_text().unwrap_or_default(),
        "expires_at": to_text(leave.expires_at),
    }))
}

fn device_value(device: &Device) -> Value {
    json!({
        "id": device.id,
        "principal": device.principal_id,
        "account": device.principal_name,
        "label": device.label,
        "tier": device.tier,
        "evidence": if device.tier >= 3 { "attested" } else { "reported" },
        "created_at": to_text(device.created_at),
        "certified_at": to_text(device.certified_at),
        "revoked_at": device.revoked_at.map(to_text),
        "lost": device.lost,
        "reported_at": device.reported_at.map(to_text),
        "failing": device.failing,
        "facts": device.facts,
        "attested_at": device.attested_at.map(to_text),
        "endorsement_key": device.endorsement_key,
        "vouched_by": device.vouched.map(::devices::Vouched::word),
        "registers": device.registers,
    })
}

fn rule_value(rule: &Rule) -> Value {
    json!({
        "workspace": rule.workspace,
        "data_class": if rule.data_class.is_empty() { Value::Null } else { json!(rule.data_class) },
        "tier": rule.tier,
        "set_by": rule.set_by,
        "set_at": to_text(rule.set_at),
    })
}
